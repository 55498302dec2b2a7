"""Tables: sources, readers, column types, encoding, splits, the prepared `Dataset`. Imports core."""
