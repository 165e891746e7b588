"""``zenplan retrain-plan``: when to train again."""
