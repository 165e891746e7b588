"""The folder of a training run: written by one process, whole or not at all, read by any."""
