"""The worker process from outside: which backend, what it may see, and the words for what becomes of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from zenplan.adapters.workers import process as worker_process
from zenplan.adapters.workers.process import (
    Limits,
    backend_of,
    ended,
    measuring_environment,
    raised,
    run_job,
    took_too_long,
    took_too_much,
    worker_environment,
)
from zenplan.documents import plain
from zenplan.errors import DataError, FailureKind, UnknownName, UsageError, ZenplanError
from zenplan.worker.protocol import Count, Done, Measure, Raised, Rounds, Target


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

JOBS = {
    "count": Count(what="m:f", model=Target(target="m:f")),
    "measure": Measure(
        what="m:f",
        precision="fp32",
        threads=1,
        device="cpu",
        points=(),
        rounds=Rounds(least=1, most=1, seconds=1.0),
    ),
}


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a job with a program of the test's own as the worker; ``job`` and ``send`` are there for it."""
    head = "import json, os, sys, time\njob = json.loads(sys.stdin.readline())\n"
    head += "def send(**event): os.write(job['events'], (json.dumps(event) + '\\n').encode())\n"
    head += "def counted(name, notes=()): send(event='count', "
    head += "count={'name': name, 'backend': 'jax', 'layers': [], 'notes': notes})\n"
    head += "def sample(key): send(event='sample', key=key, round=0, wall_s=1.0, cpu_s=1.0)\n"

    def run(program: str, job: str = "count", more: Any = None, **limits: Any) -> dict[str, Any]:
        python = tmp_path / "python"
        (tmp_path / "worker.py").write_text(head + program, encoding="utf-8")
        python.write_text(f'#!/bin/sh\nexec "{os.sys.executable}" "{tmp_path}/worker.py"\n', encoding="utf-8")
        python.chmod(0o755)
        monkeypatch.setattr(worker_process.sys, "executable", str(python))
        try:
            return plain(run_job(JOBS[job], "jax", Limits(**limits), lambda stage, seconds: None, **(more or {})))
        finally:
            monkeypatch.undo()

    return run


def test_the_answer_is_the_first_event_that_is_no_stage(stand_in: Any) -> None:
    program = "send(event='stage', stage='build'); counted('net'); send(event='error', message=''); time.sleep(60)"
    answer = stand_in(program)
    assert (answer["event"], answer["count"]["name"]) == ("count", "net")


def test_what_a_measurement_finds_is_heard_as_it_comes_until_it_is_done(stand_in: Any) -> None:
    heard: list[Any] = []
    program = "send(event='stage', stage='measure'); send(event='peak', key='a'); sample('a')\n"
    last = stand_in(program + "send(event='done'); send(event='late')", "measure", {"hear": heard.append})
    assert last == plain(Done())
    assert [(type(event).__name__, event.key) for event in heard] == [("Peak", "a"), ("Sampled", "a")]


def test_an_event_of_a_newer_worker_is_skipped(stand_in: Any) -> None:
    """And a field that is not known is left out; but an event that is known must be as it is known."""
    heard: list[Any] = []
    program = "send(event='weather', rain=[1.0]); send(event='peak', key='a', watts=4); send(event='done')"
    assert stand_in(program, "measure", {"hear": heard.append}) == plain(Done())
    assert [event.key for event in heard] == ["a"]


def test_what_was_heard_of_a_worker_that_is_killed_stays(stand_in: Any) -> None:
    heard: list[Any] = []
    with pytest.raises(ZenplanError, match="killed by SIGKILL while measuring it") as caught:
        stand_in(
            "send(event='stage', stage='measure'); sample('a'); os.kill(os.getpid(), 9)",
            "measure",
            {"hear": heard.append},
        )
    assert [event.key for event in heard] == ["a"]
    assert caught.value.kind is FailureKind.KILLED


def test_a_measurement_is_not_tried_again(stand_in: Any, tmp_path: Path) -> None:
    program = f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); assert 'values' not in job\n"
    program += "send(event='raised', stage='measure', type='ValueError', text='bad', inside=True)"
    with pytest.raises(ZenplanError, match="a training step of m:f with jax raised ValueError: bad"):
        stand_in(program, "measure")
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "x"


def test_a_worker_of_another_kind_is_run_in_its_environment(stand_in: Any) -> None:
    text = "import json, os, sys; job = json.loads(sys.stdin.readline()); "
    text += "os.write(job['events'], json.dumps({'event': 'done', 'stage': os.environ['OWN']}).encode() + b'\\n')"
    more = {"command": (os.sys.executable, "-c", text), "environment": {"OWN": "4"}}
    assert stand_in("sys.exit(1)", "measure", more) == {"event": "done", "stage": "4", "stays": False}


def test_a_command_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ZenplanError, match="the worker of mine does not start: /no/such: No such file"):
        run_job(JOBS["measure"], "mine", Limits(), lambda stage, seconds: None, command=("/no/such",))


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


def test_on_pytorch_the_c_library_keeps_the_memory_of_a_step() -> None:
    """Unless the user has said otherwise."""
    names = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
    kept = worker_environment("torch", "home", {})
    assert min(int(kept[name]) for name in names) >= 32 << 20
    assert worker_environment("torch", "home", {names[0]: "65536"}) == {**kept, names[0]: "65536"}
    assert not set(names) & worker_environment("jax", "home", {}).keys()


def test_an_answer_of_many_parts_is_put_together(stand_in: Any) -> None:
    assert len(stand_in("counted('x' * 3_000_000)")["count"]["name"]) == 3_000_000


def test_an_answer_written_just_before_the_end_is_read(stand_in: Any) -> None:
    assert stand_in("counted('y' * 200_000); os._exit(0)")["count"]["name"].startswith("y")


def test_no_gpu_is_seen_and_the_home_is_a_folder_of_its_own(stand_in: Any) -> None:
    names = ("KERAS_BACKEND", "KERAS_HOME", "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS")
    event = stand_in(f"counted('net', [os.environ[n] for n in {names}])")
    seen = dict(zip(names, event["count"]["notes"], strict=True))
    home = seen.pop("KERAS_HOME")
    assert seen == {"KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    assert not Path(home).exists()


def test_the_users_keras_settings_hold(stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "keras_home"
    own.mkdir()
    (own / "keras.json").write_text('{"image_data_format": "channels_first"}', encoding="utf-8")
    monkeypatch.setenv("KERAS_HOME", str(own))
    program = "counted(open(os.environ['KERAS_HOME'] + '/keras.json').read())"
    assert "channels_first" in stand_in(program)["count"]["name"]


def test_a_user_without_a_home_has_no_settings(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert stand_in("counted('net', os.listdir(os.environ['KERAS_HOME']))")["count"]["notes"] == []


def test_what_a_library_raised_is_tried_again_with_values(stand_in: Any) -> None:
    program = """
if job["values"]:
    counted("with values")
else:
    send(event="raised", stage="build", type="ValueError", text="no values", inside=True)
"""
    assert stand_in(program)["count"]["name"] == "with values"


def test_what_the_user_raised_is_not(stand_in: Any, tmp_path: Path) -> None:
    program = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')\n"
    program += "send(event='raised', stage='build', type='ValueError', text='mine', place='a.py:3', inside=False)"
    with pytest.raises(ZenplanError, match=r"building m:f raised ValueError: mine \(a.py:3\)"):
        stand_in(program)
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize("code", [1, 2])
def test_an_error_keeps_its_exit_code(code: int, stand_in: Any) -> None:
    with pytest.raises(ZenplanError) as caught:
        stand_in(f"send(event='error', message='no', hint='do', exit_code={code})")
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == ("no", "do", code)


# What comes after it is read as a number.
COMMUNICATED = b'{"event": "communicated", "collective": "all_reduce", "group": 0, "round": 0, "wall_s": 1, "bytes": 1'


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"\xff",
        b"4",
        b"",
        b"{}",
        b'{"event": 4}',
        b'{"event": ["sample"]}',
        b'{"event": "stage", "stage": 4}',
        b'{"event": "sample", "key": "a", "round": 0, "wall_s": NaN, "cpu_s": 1}',
        b'{"event": "sample", "key": "a", "round": 0, "wall_s": 1e999, "cpu_s": 1}',
        b'{"event": "sample", "key": "a", "round": "0", "wall_s": 1, "cpu_s": 1}',
        b'{"event": "sample", "key": "a"}',
        COMMUNICATED + b"0" * 400 + b"}",
        COMMUNICATED + b"0" * 5000 + b"}",
        b'{"event": "count", "count": 4}',
        b'{"event": "count", "count": {"name": "n", "backend": "jax", "layers": [{"path": [], "kind": "K", "calls": -1}]}}',
        b'{"event": "machine", "device": "d", "kind": "cpu", "threads": 1, "versions": [], "compiled": false}',
        b"[" * 100_000,
        b'{"event": "done", "x": ' + b"[" * 100_000 + b"}",
    ],
    ids=lambda line: line[:60].decode(errors="replace"),
)
def test_what_is_no_event_is_an_error(line: bytes, stand_in: Any) -> None:
    with pytest.raises(DataError, match=r"^the worker wrote what is no event: "):
        stand_in(f"os.write(job['events'], {line!r} + b'\\n'); time.sleep(60)", "measure")


def test_what_a_terminal_would_not_show_is_taken_out(stand_in: Any) -> None:
    heard: list[Any] = []
    program = "send(event='failed', key='a', reason='\\x1b[2J\\n', kind='none that is known'); send(event='done')"
    stand_in(program, "measure", {"hear": heard.append})
    assert heard[0].reason == "\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"
    assert heard[0].kind is FailureKind.OTHER


def test_a_line_without_an_end_is_an_error(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "_MOST_ANSWER_BYTES", 5_000_000)
    with pytest.raises(DataError, match="the worker's answer on m:f has no end"):
        stand_in("while True: os.write(job['events'], b'x' * 100_000)")


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
    with pytest.raises(ZenplanError, match="takes longer than 500 ms") as caught:
        stand_in("time.sleep(60)", time_s=0.5)
    assert caught.value.kind is FailureKind.TIMED_OUT
    with pytest.raises(ZenplanError, match="takes more than 200 MB of memory") as caught:
        stand_in("kept = b'x' * 400_000_000; time.sleep(60)", memory_bytes=2e8)
    assert caught.value.kind is FailureKind.OUT_OF_MEMORY


# --- the words


def event(**fields: Any) -> Raised:
    return Raised(**{"type": "ValueError", "text": "bad", "place": "m.py:3", **fields})


@pytest.mark.parametrize(
    ("told", "message", "code"),
    [
        (event(stage="start"), "Keras does not start with backend jax: ValueError: bad", 1),
        (event(stage="import"), "module a.b does not import: ValueError: bad (m.py:3)", 2),
        (event(stage="import", type="ModuleNotFoundError", module="a"), "there is no module a", 2),
        (event(stage="import", type="ModuleNotFoundError", module="a.b"), "there is no module a.b", 2),
        (event(stage="import", type="ModuleNotFoundError", module="ab"), "module a.b does not import", 2),
        (event(stage="build", text=""), "building a.b:f raised ValueError (m.py:3)", 1),
        (event(stage="build", type="SystemExit", text="2"), "a.b:f called sys.exit(2) while building it", 1),
        (event(stage="compile", type="InductorError"), "torch.compile fails on a.b:f: InductorError: bad", 1),
        (event(stage="measure"), "a training step of a.b:f with jax raised ValueError: bad (m.py:3)", 1),
        (event(stage="count", place=""), "counting a.b:f raised ValueError: bad", 1),
        (Raised(), "counting a.b:f raised ", 1),
    ],
)
def test_exceptions_are_told_by_their_stage(told: Raised, message: str, code: int) -> None:
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
    kinds = [ended(status, killed, "count", "m:f", "").kind for status, killed in ((3, False), (11, True), (9, True))]
    assert kinds == [FailureKind.ENDED, FailureKind.CRASHED, FailureKind.KILLED]


def test_limits_are_told_with_the_flag_that_moves_them() -> None:
    assert "--timeout" in took_too_long(120, "build", "m:f", True).hint
    assert "--memory" in took_too_much(8e9, "count", "m:f", True).hint
    assert "--minutes" in took_too_long(480, "measure", "m:f", False).hint
    assert "--batch" in took_too_much(8e9, "measure", "m:f", False).hint
