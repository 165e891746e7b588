"""Runs that somebody measured: from a row of a table to what is predicted for it."""
