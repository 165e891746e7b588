"""It raises while it is imported.

Said: RuntimeError: broken at import
"""

from __future__ import annotations

raise RuntimeError("broken\nat import")
