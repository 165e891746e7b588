"""``zenplan serve``."""
