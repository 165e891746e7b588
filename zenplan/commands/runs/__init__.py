"""``zenplan runs``."""
