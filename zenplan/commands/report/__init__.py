"""``zenplan report``."""
