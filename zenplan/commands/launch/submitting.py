"""Files of a launch, handed to the system's own client."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from typing import Any

from zenplan.commands.launch.launched import Launched
from zenplan.errors import ZenplanError


def hand_over(found: Launched, quiet: bool, silent: bool = False) -> None:
    """Run the system's client in the folder.

    Args:
        found: what was written.
        quiet: what it prints goes to stderr.
        silent: nothing is printed.

    Raises:
        ZenplanError: it is not installed, or ended badly; the files stay.
    """
    command, hint = found.submission.command, found.submission.install
    client = shutil.which(command[0])
    if client is None:
        raise ZenplanError(f"{command[0]} is not on the PATH; the files are in {found.folder}", hint)
    streams: dict[str, Any] = {"stdout": sys.stderr if quiet else None}
    if silent:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    else:
        sys.stderr.write(f"running: {found.next}\n")
        sys.stdout.flush()
    # The client of the system, without a shell: its words are ours.
    done = subprocess.run([client, *command[1:]], cwd=found.folder, check=False, **streams)  # noqa: S603
    if done.returncode:
        last = (done.stdout or "").strip().rpartition("\n")[2]
        raise ZenplanError(
            f"{shlex.join(command)} ended with {done.returncode}; the files are in {found.folder}",
            f"{f'it said: {last}' if last else 'what it said is above'}; its client: {hint}",
        )
