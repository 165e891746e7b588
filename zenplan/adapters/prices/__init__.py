"""Price tables: the bundled ones and the user's own."""
