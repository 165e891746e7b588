"""``zenplan serve-cost``."""
