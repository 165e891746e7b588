"""The search for layouts and clusters."""
