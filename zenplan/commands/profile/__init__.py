"""``zenplan profile``."""
