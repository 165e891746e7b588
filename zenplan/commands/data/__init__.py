"""``zenplan data``."""
