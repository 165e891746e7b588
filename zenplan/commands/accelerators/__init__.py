"""``zenplan accelerators``."""
