"""The release, in one place that imports nothing."""

from __future__ import annotations

__version__ = "0.1.0"
# What plugins and zenplan say to each other: hooks, protocols, nouns. It rises where a plugin has to change.
API = 1
