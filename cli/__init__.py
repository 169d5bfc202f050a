"""The `parefront` command line."""
