"""``zenplan diff``."""
