"""What is answered: estimates, quotes, trade-offs, scores."""
