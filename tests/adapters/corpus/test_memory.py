"""Memory stays where it is while the text grows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adapters.corpus.conftest import sentence

MEASURED = """
import resource, sys
from pathlib import Path
from zenplan.adapters.corpus.asked import Asked
from zenplan.adapters.corpus.prepare import prepare

source, out = map(Path, sys.argv[1:])
asked = Asked(source=source, out=out, vocabulary=1000, shard_bytes=1_000_000, sample_bytes=1_000_000)
prepare(asked, lambda share, stage: None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_bytes(source: Path, out: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, source, out], capture_output=True, text=True, check=True, timeout=300
    )
    return int(done.stdout) * 1024


@pytest.mark.slow
def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    peaks = []
    for times in (2, 12):
        file = tmp_path / f"{times}.jsonl"
        with file.open("w") as lines:
            for number in range(times * 500):
                lines.write(json.dumps({"text": sentence(number, 400)}) + "\n")
        peaks.append(peak_bytes(file, tmp_path / f"out{times}"))
    size = (tmp_path / "12.jsonl").stat().st_size
    assert size > 9e6, peaks
    assert peaks[1] - peaks[0] < 0.5 * size, peaks
