"""``zenplan stop``."""
