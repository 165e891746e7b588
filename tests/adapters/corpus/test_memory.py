"""Memory stays where it is while the text grows."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.corpus.conftest import Prepare, sentence
from zenplan.adapters.corpus.asked import Asked, key_of
from zenplan.adapters.corpus.sources import source_of

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


def traced_bytes(work: Callable[[], object]) -> int:
    """The most that Python and NumPy hold for it at a time, the second time: what is imported for it stays."""
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("texts", {}),
        ("values to predict", {"label": "value", "features": ("one",)}),
        ("names", {"label": "value", "ids": ("user",)}),
        ("by file", {"split_by": "file"}),
    ],
)
def test_memory_for_each_record_is_little(kind: str, asked: dict[str, Any], tmp_path: Path, make: Prepare) -> None:
    """Some ten bytes, where the objects of a record take hundreds: they are on the disk, but for those of one shard."""
    peaks, sizes = [], (3_000, 15_000)
    for count in sizes:
        folder = tmp_path / f"{count}"
        folder.mkdir()
        for part in range(4):
            with (folder / f"{part}.jsonl").open("w") as lines:
                for n in range(part, count, 4):
                    row = {"one": n * 0.5, "value": n * 1.25 + 0.1, "user": f"user {n % 50}"}
                    text = {} if "label" in asked else {"text": f"{n} {sentence(n, 4)}"}
                    lines.write(json.dumps({**row, **text}) + "\n")
        more = {"near": "ignore", "shard_bytes": 60_000, "sample_bytes": 50_000, "overwrite": True, **asked}
        peaks.append(traced_bytes(partial(make, folder, out=tmp_path / f"out{count}", **more)))
    assert (peaks[1] - peaks[0]) / (sizes[1] - sizes[0]) < 30, (kind, peaks)


def test_memory_for_each_file_is_little(tmp_path: Path) -> None:
    """Some 220 bytes: its path, size and format, and nothing of it beside."""
    peaks, sizes = [], (400, 2_400)
    for count in sizes:
        folder = tmp_path / f"{count}"
        for n in range(count):
            file = folder / ("train", "test")[n % 2] / f"some-text-{n:06}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x")
        asked = Asked(source=folder, out=tmp_path / "out")

        def listed(asked: Asked = asked) -> None:
            source = source_of(asked, lambda: None)
            key_of(asked, source.root, source.files)

        peaks.append(traced_bytes(listed))
    assert (peaks[1] - peaks[0]) / (sizes[1] - sizes[0]) < 300, peaks
