"""``zenplan compress``."""
