"""``zenplan count``."""
