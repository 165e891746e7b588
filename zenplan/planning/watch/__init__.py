"""A run that is going on: its money, the time that is left, whether it goes as predicted, and when it has to end."""
