"""``zenplan prices``."""
