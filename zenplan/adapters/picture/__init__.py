"""Pictures of a run, without a library for them."""
