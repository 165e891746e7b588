"""The job ``train``: a Keras model trained by a step of zenplan's own, on each backend, with exact checkpoints."""
