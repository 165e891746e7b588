"""Serving a language model: memory, time of a step, throughput and latency under load, dollars. Pure functions."""
