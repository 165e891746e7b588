"""Whether a process lives."""

from __future__ import annotations

import os
import subprocess
import sys

from zenplan.adapters.machine.processes import is_alive


def test_a_process_is_alive_until_it_has_ended() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert is_alive(os.getpid())
    assert not is_alive(done.pid)


def test_a_number_that_no_process_can_have_is_of_none() -> None:
    assert not is_alive(10**30)
