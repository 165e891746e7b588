"""Rows of measured runs as runs that can be predicted."""
