"""``zenplan calibrate``."""
