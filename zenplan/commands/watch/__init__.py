"""``zenplan watch``."""
