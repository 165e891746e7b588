"""A training run for a cluster or a cloud: the job that is described once, for any system."""
