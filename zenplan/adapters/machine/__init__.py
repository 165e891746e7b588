"""This machine: host, GPUs, what is installed."""
