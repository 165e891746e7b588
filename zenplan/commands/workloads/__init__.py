"""``zenplan workloads``."""
