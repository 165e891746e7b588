"""``zenplan launch``."""
