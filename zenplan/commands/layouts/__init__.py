"""``zenplan layouts``."""
