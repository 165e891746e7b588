"""Proxy models: Keras models made of a workload's own operators."""
