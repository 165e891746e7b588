"""Calibrate: measure this machine through the framework that will be used, and say what a model's step will take."""
