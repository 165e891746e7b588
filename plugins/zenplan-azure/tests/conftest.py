"""A server on loopback that answers as the cloud's documentation says, and zenplan's own network.

The plugin is tested from the checkout, installed or not.
"""

from __future__ import annotations

import sys
from pathlib import Path

from zenplan.testing import http, says, server

__all__ = ["http", "says", "server"]

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
