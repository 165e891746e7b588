"""``zenplan train``."""
