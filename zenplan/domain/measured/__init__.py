"""What was measured here: calibrations, their points and samples, and what they predict."""
