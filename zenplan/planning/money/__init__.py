"""From a step to a calendar and a bill: runs, billing, quotes, ranking."""
