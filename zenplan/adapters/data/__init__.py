"""Data to train on: which files there are, a reader for each format, and how much it is, measured on a sample."""
