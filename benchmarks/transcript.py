"""Write the transcript at the top of README.md: what the first command answers today.

python benchmarks/transcript.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
COMMAND = "zenplan estimate --params 1e9 --top 3"
_MARKS = re.compile(r"(<!-- transcript -->\n).*?(<!-- /transcript -->)", re.DOTALL)
# The inputs and notes follow in the real answer; here they are left out, and said to be.
_CUT = "What this rests on"


def answer() -> str:
    """What the command prints in 80 columns, up to the list of inputs."""
    environment = {**os.environ, "COLUMNS": "80", "ZENPLAN_PLUGINS": ""}
    command = [sys.executable, "-m", *COMMAND.split()]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    shown = run.stdout.split(_CUT)[0].rstrip()
    return f"```console\n$ {COMMAND}\n{shown}\n```\n\n(The inputs follow, each with its origin.)\n"


def main() -> None:
    """Replace what is between the marks, or compare with it."""
    old = README.read_text(encoding="utf-8")
    new = _MARKS.sub(lambda m: f"{m[1]}{answer()}{m[2]}", old)
    if sys.argv[1:] == ["--check"]:
        sys.exit("README.md: run python benchmarks/transcript.py" if new != old else 0)
    README.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
