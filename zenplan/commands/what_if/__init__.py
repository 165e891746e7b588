"""``zenplan what-if``."""
