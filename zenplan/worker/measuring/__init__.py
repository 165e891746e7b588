"""Measuring steps of models on this machine."""
