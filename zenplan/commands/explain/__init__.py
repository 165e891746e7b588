"""``zenplan explain``."""
