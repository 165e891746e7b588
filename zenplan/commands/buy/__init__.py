"""``zenplan buy``."""
