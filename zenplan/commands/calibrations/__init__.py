"""``zenplan calibrations``."""
