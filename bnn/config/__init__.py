"""The config: from YAML to checked settings, its schema and its tables of keys. Imports none."""
