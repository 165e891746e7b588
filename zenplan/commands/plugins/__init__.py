"""``zenplan plugins``."""
