"""Settings and their origins; configurations of models."""
