"""Trackers: services and files that follow a run from beside it."""
