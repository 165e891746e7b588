"""``zenplan compare``."""
