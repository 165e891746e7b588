"""Write the transcript at the top of the READMEs: what the first command answers today.

python benchmarks/transcript.py
"""

from __future__ import annotations

import os
import subprocess
import sys

import readme

COMMAND = "zenplan estimate --params 1e9"
# The day of the documents: dates and ages in them stay until they are written anew.
DAY = "2026-11-29"


def answer() -> str:
    """What the command prints in 80 columns."""
    environment = {**os.environ, "COLUMNS": "80", "ZENPLAN_PLUGINS": "", "ZENPLAN_TODAY": DAY}
    command = [sys.executable, "-m", *COMMAND.split()]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return f"```console\n$ {COMMAND}\n{run.stdout.rstrip()}\n```"


def main() -> None:
    """Replace what is between the marks, or compare with it."""
    if sys.argv[1:] == ["--check"]:
        text = answer()
        same = all(
            readme.with_text(p, "transcript", text) == p.read_text(encoding="utf-8")
            for p in readme.pages_of("transcript")
        )
        sys.exit(0 if same else "README.md: run python benchmarks/transcript.py")
    readme.write("transcript", answer())


if __name__ == "__main__":
    main()
