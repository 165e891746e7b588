"""``zenplan federate``."""
