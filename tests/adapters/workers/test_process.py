"""The worker process from outside: which backend, what it may see, and the words for what becomes of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.workers import process as worker_process
from zenplan.adapters.workers.environment import measuring_environment
from zenplan.adapters.workers.errors import ended, raised, took_too_long, took_too_much
from zenplan.adapters.workers.process import Limits, backend_of, run_job
from zenplan.errors import DataError, UnknownName, UsageError, ZenplanError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Packages that are found; the test fills it."""
    found = {"keras"}
    monkeypatch.setattr(worker_process, "find_spec", lambda name: name if name in found else None)
    return found


def test_the_backend_is_the_one_wanted_the_one_set_or_the_first_there(installed: set[str]) -> None:
    installed |= {"torch", "tensorflow"}
    assert backend_of("tensorflow", {"KERAS_BACKEND": "torch"}) == "tensorflow"
    assert backend_of(None, {"KERAS_BACKEND": "tensorflow"}) == "tensorflow"
    assert backend_of(None, {}) == "torch"
    installed.add("jax")
    assert backend_of(None, {}) == "jax"


@pytest.mark.parametrize(
    ("there", "wanted", "missing", "extra"),
    [
        ({"keras", "torch"}, "jax", "jax is not installed", "zenplan[jax]"),
        ({"keras"}, None, "jax, torch or tensorflow is not installed", "zenplan[jax]"),
        ({"torch"}, "torch", "keras is not installed", "zenplan[torch]"),
        (set(), None, "keras is not installed", "zenplan[jax]"),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(
    there: set[str], wanted: str | None, missing: str, extra: str, installed: set[str]
) -> None:
    installed.clear()
    installed |= there
    with pytest.raises(UsageError) as caught:
        backend_of(wanted, {})
    assert caught.value.message.startswith(missing)
    assert extra in caught.value.hint


@pytest.mark.parametrize("name", ["numpy", "jaxx", "openvino"])
def test_a_backend_that_keras_cannot_train_with_is_refused(name: str) -> None:
    with pytest.raises(UnknownName):
        backend_of(name, {})
    with pytest.raises(UnknownName):
        backend_of(None, {"KERAS_BACKEND": name})


# --- a worker of another kind in its place


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a job with a program of the test's own as the worker; ``job`` and ``send`` are there for it."""
    head = "import json, os, sys, time\njob = json.loads(sys.stdin.readline())\n"
    head += "def send(**event): os.write(job['events'], (json.dumps(event) + '\\n').encode())\n"

    def run(program: str, job: str = "count", more: Any = None, **limits: Any) -> dict[str, Any]:
        python = tmp_path / "python"
        (tmp_path / "worker.py").write_text(head + program, encoding="utf-8")
        python.write_text(f'#!/bin/sh\nexec "{os.sys.executable}" "{tmp_path}/worker.py"\n', encoding="utf-8")
        python.chmod(0o755)
        monkeypatch.setattr(worker_process.sys, "executable", str(python))
        try:
            return run_job(
                {"job": job, "what": "m:f"}, "jax", Limits(**limits), lambda stage, seconds: None, **(more or {})
            )
        finally:
            monkeypatch.undo()

    return run


def test_the_answer_is_the_first_event_that_is_no_stage(stand_in: Any) -> None:
    program = "send(event='stage', stage='build'); send(event='count', count=4); send(event='error'); time.sleep(60)"
    assert stand_in(program) == {"event": "count", "count": 4}


def test_what_a_measurement_finds_is_heard_as_it_comes_until_it_is_done(stand_in: Any) -> None:
    heard: list[dict[str, Any]] = []
    program = "send(event='stage', stage='measure'); send(event='count', key='a'); send(event='sample', key='a')\n"
    last = stand_in(program + "send(event='done'); send(event='late')", "measure", {"hear": heard.append})
    assert last == {"event": "done"}
    assert heard == [{"event": "count", "key": "a"}, {"event": "sample", "key": "a"}]


def test_what_was_heard_of_a_worker_that_is_killed_stays(stand_in: Any) -> None:
    heard: list[dict[str, Any]] = []
    with pytest.raises(ZenplanError, match="killed by SIGKILL while measuring it"):
        stand_in(
            "send(event='stage', stage='measure'); send(event='sample'); os.kill(os.getpid(), 9)",
            "measure",
            {"hear": heard.append},
        )
    assert heard == [{"event": "sample"}]


def test_a_measurement_is_not_tried_again(stand_in: Any, tmp_path: Path) -> None:
    program = f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); assert 'values' not in job\n"
    program += "send(event='raised', stage='measure', kind='ValueError', text='bad', inside=True)"
    with pytest.raises(ZenplanError, match="a training step of m:f with jax raised ValueError: bad"):
        stand_in(program, "measure")
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "x"


def test_a_worker_of_another_kind_is_run_in_its_environment(stand_in: Any) -> None:
    text = "import json, os, sys; job = json.loads(sys.stdin.readline()); "
    text += "os.write(job['events'], json.dumps({'event': 'done', 'found': os.environ['OWN']}).encode() + b'\\n')"
    more = {"command": (os.sys.executable, "-c", text), "environment": {"OWN": "4"}}
    assert stand_in("sys.exit(1)", "measure", more) == {"event": "done", "found": "4"}


def test_a_command_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ZenplanError, match="the worker of mine does not start: /no/such: No such file"):
        run_job({"job": "measure", "what": "m:f"}, "mine", Limits(), lambda stage, seconds: None, command=("/no/such",))


def test_a_measurement_has_its_threads_and_the_users_gpu() -> None:
    one = measuring_environment("cpu", 1, {"XLA_FLAGS": "--xla_dump_to=x"})
    assert (one["OMP_NUM_THREADS"], one["CUDA_VISIBLE_DEVICES"], one["JAX_PLATFORMS"]) == ("1", "", "cpu")
    assert one["XLA_FLAGS"] == "--xla_dump_to=x --xla_cpu_multi_thread_eigen=false"
    several = measuring_environment("gpu", 4, {})
    # GPUs in NVML's order, by which their names go.
    assert several["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert several["TF_NUM_INTRAOP_THREADS"] == "4"
    assert several["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert not {"CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "XLA_FLAGS"} & several.keys()


def test_an_answer_of_many_parts_is_put_together(stand_in: Any) -> None:
    assert len(stand_in("send(event='count', count='x' * 3_000_000)")["count"]) == 3_000_000


def test_an_answer_written_just_before_the_end_is_read(stand_in: Any) -> None:
    assert stand_in("send(event='count', count='y' * 200_000); os._exit(0)")["count"].startswith("y")


def test_no_gpu_is_seen_and_the_home_is_a_folder_of_its_own(stand_in: Any) -> None:
    names = ("KERAS_BACKEND", "KERAS_HOME", "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS")
    event = stand_in(f"send(event='count', seen={{n: os.environ[n] for n in {names}}})")
    home = event["seen"].pop("KERAS_HOME")
    assert event["seen"] == {"KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    assert not Path(home).exists()


def test_the_users_keras_settings_hold(stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "keras_home"
    own.mkdir()
    (own / "keras.json").write_text('{"image_data_format": "channels_first"}', encoding="utf-8")
    monkeypatch.setenv("KERAS_HOME", str(own))
    program = "send(event='count', read=open(os.environ['KERAS_HOME'] + '/keras.json').read())"
    assert "channels_first" in stand_in(program)["read"]


def test_a_user_without_a_home_has_no_settings(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert stand_in("send(event='count', there=os.listdir(os.environ['KERAS_HOME']))")["there"] == []


def test_what_a_library_raised_is_tried_again_with_values(stand_in: Any) -> None:
    program = """
if job["values"]:
    send(event="count", count=1)
else:
    send(event="raised", stage="build", kind="ValueError", text="no values", inside=True)
"""
    assert stand_in(program)["count"] == 1


def test_what_the_user_raised_is_not(stand_in: Any, tmp_path: Path) -> None:
    program = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')\n"
    program += "send(event='raised', stage='build', kind='ValueError', text='mine', place='a.py:3', inside=False)"
    with pytest.raises(ZenplanError, match=r"building m:f raised ValueError: mine \(a.py:3\)"):
        stand_in(program)
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize("code", [1, 2])
def test_an_error_keeps_its_exit_code(code: int, stand_in: Any) -> None:
    with pytest.raises(ZenplanError) as caught:
        stand_in(f"send(event='error', message='no', hint='do', exit_code={code})")
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == ("no", "do", code)


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff", b"4"])
def test_what_is_no_event_is_an_error(line: bytes, stand_in: Any) -> None:
    with pytest.raises(DataError, match="no event"):
        stand_in(f"os.write(job['events'], {line!r} + b'\\n'); time.sleep(60)")


def test_an_end_without_a_word_is_an_error(stand_in: Any) -> None:
    with pytest.raises(ZenplanError, match="ended with code 1 before it began"):
        stand_in("sys.exit(1)")
    with pytest.raises(ZenplanError, match=r"m:f ended the worker \(os._exit, code 1\) while building it") as caught:
        stand_in("send(event='stage', stage='build'); sys.exit('what it said')")
    assert caught.value.hint == "its last words: what it said"


def test_one_that_does_not_read_its_job_is_an_error(stand_in: Any) -> None:
    with pytest.raises(ZenplanError, match="killed by SIGKILL") as caught:
        stand_in("os.kill(os.getpid(), 9)")
    assert "memory" in caught.value.hint


def test_time_and_memory_are_held(stand_in: Any) -> None:
    with pytest.raises(ZenplanError, match="takes longer than 500 ms"):
        stand_in("time.sleep(60)", time_s=0.5)
    with pytest.raises(ZenplanError, match="takes more than 200 MB of memory"):
        stand_in("kept = b'x' * 400_000_000; time.sleep(60)", memory_bytes=2e8)


# --- the words


def event(**fields: Any) -> dict[str, Any]:
    return {"event": "raised", "kind": "ValueError", "text": "bad", "place": "m.py:3", "module": "", **fields}


@pytest.mark.parametrize(
    ("told", "message", "code"),
    [
        (event(stage="start"), "Keras does not start with backend jax: ValueError: bad", 1),
        (event(stage="import"), "module a.b does not import: ValueError: bad (m.py:3)", 2),
        (event(stage="import", kind="ModuleNotFoundError", module="a"), "there is no module a", 2),
        (event(stage="import", kind="ModuleNotFoundError", module="a.b"), "there is no module a.b", 2),
        (event(stage="import", kind="ModuleNotFoundError", module="ab"), "module a.b does not import", 2),
        (event(stage="build", text=""), "building a.b:f raised ValueError (m.py:3)", 1),
        (event(stage="build", kind="SystemExit", text="2"), "a.b:f called sys.exit(2) while building it", 1),
        (event(stage="compile", kind="InductorError"), "torch.compile fails on a.b:f: InductorError: bad", 1),
        (event(stage="measure"), "a training step of a.b:f with jax raised ValueError: bad (m.py:3)", 1),
        (event(stage="count", place=""), "counting a.b:f raised ValueError: bad", 1),
        ({"event": "raised"}, "counting a.b:f raised ", 1),
    ],
)
def test_exceptions_are_told_by_their_stage(told: dict[str, Any], message: str, code: int) -> None:
    error = raised(told, "a.b:f", "jax")
    assert error.message.startswith(message)
    assert error.hint
    assert error.exit_code == code


def test_ends_are_told_by_their_kind() -> None:
    assert "os._exit, code 3" in ended(3, False, "build", "m:f", "").message
    assert ended(3, False, "build", "m:f", "").hint == ""
    assert ended(signal.SIGSEGV, True, "import", "m:f", "").message == "m:f was killed by SIGSEGV while importing it"
    assert "memory" in ended(signal.SIGKILL, True, "count", "m:f", "noise").hint
    assert ended(signal.SIGABRT, True, "count", "m:f", "a\nlast\n\n").hint == "its last words: last"


def test_limits_are_told_with_the_flag_that_moves_them() -> None:
    assert "--timeout" in took_too_long(120, "build", "m:f", True).hint
    assert "--memory" in took_too_much(8e9, "count", "m:f", True).hint
    assert "--minutes" in took_too_long(480, "measure", "m:f", False).hint
    assert "--batch" in took_too_much(8e9, "measure", "m:f", False).hint
