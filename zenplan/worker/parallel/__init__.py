"""Workers that are joined as those of a run, and measured: models and collectives."""
