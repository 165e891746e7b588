"""The physics of a step: operators, collectives, memory, time."""
