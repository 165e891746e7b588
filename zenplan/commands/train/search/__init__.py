"""``[search]`` of a request file: several runs that differ in named settings, of which the best is kept."""
