"""What was learned from published runs: coefficients, efficiencies, intervals, corrections."""
