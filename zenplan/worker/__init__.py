"""The worker process: the one place that imports keras, jax, torch or tensorflow."""
