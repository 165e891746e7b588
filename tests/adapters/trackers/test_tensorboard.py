"""Event files: read by TensorFlow where it is there, and by their own format."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from zenplan.adapters.trackers.tensorboard import TensorBoard, _checked
from zenplan.domain.measured.tracked_run import TrackedRun

READER = """
import json, sys
import tensorflow as tf
found = []
for event in tf.compat.v1.train.summary_iterator(sys.argv[1]):
    values = {v.tag: v.simple_value for v in event.summary.value}
    found.append([event.step, event.file_version, event.session_log.status, values])
print(json.dumps(found))
"""


def written(folder: Path, resumed: bool = False) -> Path:
    run = TrackedRun(id="abcd", name="decoder", backend="jax", folder=str(folder), resumed=resumed)
    file = TensorBoard().start(run)
    file.log(1, {"loss": 2.5, "step_s": 0.25})
    file.log(300, {"validation/loss": 1.5})
    file.finish("finished")
    (found,) = (folder / "tensorboard").iterdir()
    return found


def records(data: bytes) -> list[bytes]:
    found = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert data[8:12] == _checked(data[:8])
        found.append(data[12 : 12 + length])
        assert data[12 + length : 16 + length] == _checked(found[-1])
        data = data[16 + length :]
    return found


def test_the_checksum_is_that_of_the_format() -> None:
    """CRC-32C of 123456789 is E3069283 (RFC 3720, B.4, has others); masked as record_writer does."""
    (masked,) = struct.unpack("<I", _checked(b"123456789"))
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    assert ((rotated << 15) | (rotated >> 17)) & 0xFFFFFFFF == 0xE3069283


def test_a_file_is_records_that_check(tmp_path: Path) -> None:
    first, *others = records(written(tmp_path).read_bytes())
    assert b"brain.Event:2" in first
    assert [b"validation/loss" in each for each in others] == [False, True]
    assert struct.pack("<f", 2.5) in others[0]


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("tensorflow"), reason="TensorFlow is not installed")
@pytest.mark.parametrize("resumed", [False, True])
def test_tensorflow_reads_it(tmp_path: Path, resumed: bool) -> None:
    """A resumed run begins with the sign by which TensorBoard forgets later steps of before."""
    done = subprocess.run(
        [sys.executable, "-c", READER, str(written(tmp_path, resumed))],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    first, *others = json.loads(done.stdout)
    assert first[1] == "brain.Event:2"
    if resumed:
        assert others.pop(0)[:3] == [1, "", 1]
    assert others == [[1, "", 0, {"loss": 2.5, "step_s": 0.25}], [300, "", 0, {"validation/loss": 1.5}]]
