"""``zenplan export``."""
