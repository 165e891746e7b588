"""Files of a launch, handed to the system's own client."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys

from zenplan.commands.launch.launched import Launched
from zenplan.errors import ZenplanError


def hand_over(found: Launched, quiet: bool) -> None:
    """Run the system's client in the folder, and say so.

    Args:
        found: what was written.
        quiet: what it prints goes to stderr.

    Raises:
        ZenplanError: it is not installed, or ended badly; the files stay.
    """
    command, hint = found.submission.command, found.submission.install
    client = shutil.which(command[0])
    if client is None:
        raise ZenplanError(f"{command[0]} is not on the PATH; the files are in {found.folder}", hint)
    sys.stderr.write(f"running: {found.next}\n")
    sys.stdout.flush()
    # The client of the system, without a shell: its words are ours.
    done = subprocess.run(  # noqa: S603
        [client, *command[1:]], cwd=found.folder, stdout=sys.stderr if quiet else None, check=False
    )
    if done.returncode:
        raise ZenplanError(
            f"{shlex.join(command)} ended with {done.returncode}; the files are in {found.folder}",
            f"what it said is above; its client: {hint}",
        )
