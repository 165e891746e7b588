"""The user's calibrations, for commands that predict."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zenplan.domain.measured.stored import Stored


def stored() -> tuple[Stored, ...]:
    """Those in the store; one line on stderr where some or all cannot be read."""
    from zenplan.commands.shared.evidence import stored_calibrations
    from zenplan.commands.shared.output import write

    return stored_calibrations(lambda line: write(sys.stderr, f"warning: {line}\n"))
