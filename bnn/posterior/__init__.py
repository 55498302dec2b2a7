"""Draws on disk and what they predict, for the table's rows and for new ones. Imports core, data and model."""
