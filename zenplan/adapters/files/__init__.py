"""Files of the user's."""
