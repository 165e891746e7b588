"""One file for each outside thing: the GPU driver, the host, data tables, the user's files."""
