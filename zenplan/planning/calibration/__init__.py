"""What to measure, and the fits to what was measured."""
