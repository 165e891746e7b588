"""``zenplan config``."""
