"""Write the transcript at the top of the READMEs: what the first command answers today.

python benchmarks/transcript.py
"""

from __future__ import annotations

import os
import subprocess
import sys

import readme

COMMAND = "zenplan estimate --params 1e9 --top 3"
# The inputs and notes follow in the real answer; here they are left out, and said to be.
_CUT = "What this rests on"


def answer() -> str:
    """What the command prints in 80 columns, up to the list of inputs."""
    environment = {**os.environ, "COLUMNS": "80", "ZENPLAN_PLUGINS": ""}
    command = [sys.executable, "-m", *COMMAND.split()]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    shown = run.stdout.split(_CUT)[0].rstrip()
    return f"```console\n$ {COMMAND}\n{shown}\n```"


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
