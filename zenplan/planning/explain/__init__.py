"""How an answer came about: the derivation, what limits it, scores."""
