"""What a worker and its parent say to each other."""

from __future__ import annotations

import os
import threading
import time

import pytest

from zenplan.errors import DataError
from zenplan.worker.protocol import Event, Events, Pulse, Steps, decode_event


@pytest.mark.parametrize("kind", Event.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_event_is_known(kind: type[Event]) -> None:
    """None that zenplan's own worker sends is skipped as one of a newer one's: it is read, or what it lacks is told."""
    line = f'{{"event": "{kind.__struct_config__.tag}"}}'.encode()
    found, said = None, ""
    try:
        found = decode_event(line)
    except DataError as error:
        said = error.message
    assert isinstance(found, kind) or "missing required field" in said


def test_an_event_of_another_name_is_skipped() -> None:
    assert decode_event(b'{"event": "of a newer worker"}') is None


def test_threads_that_send_into_a_full_pipe_do_not_mix_their_lines() -> None:
    """A worker's pulse comes from a thread of its own, while its parent may be behind: a line in two pieces is lost."""
    reading, writing = os.pipe()
    events, seconds = Events(writing), tuple(0.1 + i for i in range(2000))
    long = Steps(first=1, losses=seconds, wall_s=seconds, wait_s=seconds, cpu_s=1.0)
    pulse = Pulse(rank=0, host="here", begun=1, done=1)
    counts = {long: 20, pulse: 2000}
    threads = [
        threading.Thread(target=lambda each=each, count=count: [events.send(each) for _ in range(count)])
        for each, count in counts.items()
    ]
    for thread in threads:
        thread.start()
    found = b""
    while any(thread.is_alive() for thread in threads):
        # Slower than they write: the pipe is full.
        found += os.read(reading, 5000)
        time.sleep(0.0001)
    os.close(writing)
    while more := os.read(reading, 1 << 16):
        found += more
    os.close(reading)
    heard = [type(decode_event(line)) for line in found.splitlines()]
    assert {each: heard.count(type(each)) for each in counts} == counts
