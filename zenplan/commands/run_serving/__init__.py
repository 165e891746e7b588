"""``zenplan serve-cost RUN``: what serving the model of a finished run takes, measured here."""
