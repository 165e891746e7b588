"""A finished run that is served: what answers with it, and what that takes (``zenplan serve-cost RUN``), measured here."""
