"""It leaves while it is imported.

Said: SystemExit: 5
"""

from __future__ import annotations

import sys

sys.exit(5)
