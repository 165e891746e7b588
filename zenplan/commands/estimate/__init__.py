"""``zenplan estimate``."""
