"""``zenplan watch`` and ``zenplan stop`` of a folder that a test writes: what is seen, told, and made of what is wrong."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import zenplan
from zenplan.adapters.notify import Notifier
from zenplan.adapters.run_folder.folder import STOP, writing
from zenplan.commands.train import past
from zenplan.commands.train.screen import View, rows_of
from zenplan.commands.watch import following, use_case
from zenplan.commands.watch.alarming import Alarms, Sender
from zenplan.commands.watch.following import Followed
from zenplan.commands.watch.sources import FolderSource
from zenplan.errors import ZenplanError
from zenplan.planning.watch.alarms import SILENT_S
from zenplan.testing.server import Reply, Server

# What libraries of Apprise import.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
Call = Callable[..., Any]


class Seen:
    """A screen that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def update(self, view: View) -> None:
        pass

    def tell(self, event: str, text: str, values: Mapping[str, Any]) -> None:
        self.told.append((event, text))

    def texts(self, event: str) -> list[str]:
        return [text for each, text in self.told if each == event]


class Clock:
    """Seconds that a test sets."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_case, "_RESULT_S", 0.0)
    monkeypatch.setattr(FolderSource, "every_s", 0.02)


def followed(written: Any) -> tuple[Followed, Seen, Clock]:
    seen, clock = Seen(), Clock()
    return Followed(FolderSource(written.folder), seen, clock), seen, clock


# --- how it ends


@pytest.mark.parametrize(
    ("state", "reason", "own", "code"),
    [
        ("finished", "finished", 0, 0),
        ("failed", "diverged", 1, 1),
        ("stopped", "max_usd", 3, 3),
        ("stopped", "zenplan stop", 3, 3),
        ("preempted", "preempted", 75, 75),
        ("stopped", "sigterm", 143, 143),
        # It is not the watching that Ctrl-C came to.
        ("stopped", "sigint", 130, 143),
    ],
)
def test_the_exit_code_is_that_of_the_run(
    state: str, reason: str, own: int, code: int, written: Any, called: Call
) -> None:
    written.ended(state, reason, own)
    for more in ((), ("--once",)):
        ended = called("watch", str(written.folder), *more)
        assert (ended.code, "error" in ended.err) == (code, False)
        assert f"abcd2345 is {state}" in ended.out
        assert "step 10 of 100" in ended.out


def test_a_run_is_followed_to_its_end(written: Any, called: Call) -> None:
    def go_on() -> None:
        time.sleep(0.3)
        written.steps(11, 20)
        written.lines("metrics.jsonl", {"step": 20, "part": "validation", "values": {"loss": 1.5}})
        written.lines("notices.jsonl", {"at": "now", "event": "changed", "text": "a smaller micro-batch", "step": 20})
        time.sleep(0.3)
        written.ended("finished", "finished", 0, step=100, checkpoint=100)

    with writing(written.folder, False):
        thread = threading.Thread(target=go_on)
        thread.start()
        ended = called("watch", str(written.folder), "--format", "json")
        thread.join()
    assert (ended.code, ended.err) == (0, "")
    events = [json.loads(line) for line in ended.lines]
    told = [each["event"] for each in events]
    assert told.index("progress") < told.index("evaluation") <= told.index("changed") < told.index("checkpoint")
    assert next(each for each in events if each["event"] == "evaluation")["values"] == {"loss": 1.5}


def test_one_whose_process_is_gone_was_killed(written: Any, called: Call) -> None:
    for more in ((), ("--once",), ("--format", "json")):
        ended = called("watch", str(written.folder), *more)
        assert ended.code == 1
        assert "was killed: no process is at it; its last word is of step 10 of 100" in ended.err
        assert "hint: zenplan train --resume abcd2345" in ended.err
    ended = called("stop", str(written.folder))
    assert (ended.code, ended.err) == (0, "")
    assert "was killed" in ended.out
    assert "--resume abcd2345" in ended.out
    assert not (written.folder / STOP).exists()


def test_once_shows_the_panel(written: Any, called: Call) -> None:
    with writing(written.folder, False):
        ended = called("watch", str(written.folder), "--once")
        as_json = called("watch", str(written.folder), "--once", "--format", "json")
    assert (ended.code, ended.err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in ended.lines)
    assert rows["step"] == "10 of 100"
    assert rows["loss"].startswith("2")
    assert rows["dollars"] == "$0.01"
    progress = json.loads(as_json.out)
    assert (progress["event"], progress["step"], progress["step_s"]) == ("progress", 10, 0.5)
    assert (progress["run"], progress["state"], progress["workers"]) == ("abcd2345", "running", 1)


def test_several_workers_are_shown(written: Any, called: Call) -> None:
    written.status(workers=4)
    with writing(written.folder, False):
        ended = called("watch", str(written.folder), "--once")
        as_json = called("watch", str(written.folder), "--once", "--format", "json")
    assert dict(line.split(maxsplit=1) for line in ended.lines)["workers"] == "4 workers"
    assert json.loads(as_json.out)["workers"] == 4


def test_what_was_said_before_a_run_was_gone_on_with_is_summed_up(written: Any) -> None:
    order = {"event": "zenplan stop", "text": "stopped by zenplan stop"}
    written.lines(
        "notices.jsonl", order, {"event": "again", "text": "start 2"}, {"event": "changed", "text": "smaller"}
    )
    run, seen, _ = followed(written)
    run.look()
    assert [text for _, text in seen.told] == ["start 2", "smaller"]
    # One of now is no history.
    written.lines("notices.jsonl", order)
    run.look()
    assert seen.texts("zenplan stop") == ["stopped by zenplan stop"]


def test_steps_that_are_faster_are_news_and_no_alarm(written: Any) -> None:
    run, seen, _ = followed(written)
    alarms = Alarms(seen, Sender(None, seen))
    own = {"name": "decoder", "backend": "jax", "steps": 100, "step": 10, "loss": 2.0, "drift": "steps are quick"}
    for faster in (True, False):
        written.put("live.json", json.dumps({**own, "faster": faster}))
        written.lines("notices.jsonl", {"event": "drift", "text": "steps are quick", "ratio": 0.5 if faster else 2.0})
        with writing(written.folder, False):
            run.look()
            alarms.look(run, run.view())
        assert seen.texts("drift")[-1] == ("steps are quick" if faster else "")
        assert bool(seen.texts("alarm")) is not faster


def test_figures_that_cannot_be_have_a_hint(written: Any, called: Call) -> None:
    made = {"made_at": "2026-11-30T12:00:00+00:00", "origin": "nowhere", "why": "x", "steps": 1}
    written.put("prediction.json", json.dumps(made))
    ended = called("watch", str(written.folder), "--once")
    assert ended.code == 1
    assert "hint:" in ended.err


# --- signs of life, without a common clock


def test_one_on_another_machine_lives_while_it_writes(written: Any) -> None:
    """Whatever its clock says."""
    run, _, clock = followed(written)
    written.status(host="elsewhere", updated_at="1970-01-01T00:00:00+00:00")
    for number in range(5):
        clock.now_s += 60.0
        written.status(host="elsewhere", updated_at=f"2199-01-01T00:00:{number:02}+00:00")
        run.look()
        assert (run.gone, run.silent_s) == ("", 0.0)
        assert "elsewhere" in run.unsure
    clock.now_s += SILENT_S - 1.0
    written.steps(11, 11)
    run.look()
    # A step is a sign of life too.
    assert run.silent_s == 0.0
    clock.now_s += following.GONE_S
    run.look()
    assert "no sign of life of run abcd2345 on elsewhere" in run.gone


def test_one_that_is_held_and_silent_is_an_alarm_and_not_dead(written: Any) -> None:
    run, seen, clock = followed(written)
    alarms = Alarms(seen, Sender(None, seen))
    with writing(written.folder, False):
        run.look()
        alarms.look(run, run.view())
        assert seen.texts("alarm") == []
        clock.now_s += 10 * following.GONE_S
        run.look()
        alarms.look(run, run.view())
        assert run.gone == ""
        assert "no sign of life" in seen.texts("alarm")[0]
        written.beat(1)
        run.look()
        alarms.look(run, run.view())
        assert "no sign of life" in seen.texts("alarm_over")[0]


def test_a_source_that_fails_for_a_while_is_survived(written: Any) -> None:
    run, _, clock = followed(written)
    written.status(host="elsewhere")
    run.look()
    text = (written.folder / "status.json").read_text(encoding="utf-8")
    (written.folder / "status.json").unlink()
    run.look()
    assert run.gone == ""
    written.put("status.json", text)
    written.steps(11, 12)
    run.look()
    assert (run.view().step, run.silent_s) == (12, 0.0)
    (written.folder / "status.json").unlink()
    clock.now_s += following.GONE_S
    run.look()
    assert "status.json" in run.gone


# --- what is seen


def test_the_panel_is_that_of_the_run_itself(written: Any) -> None:
    own = {"name": "decoder", "backend": "jax", "step": 8, "steps": 100, "rate": 250.0, "unit": "tokens", "mfu": 0.4}
    more = {"step_s": 0.5, "elapsed_s": 9.0, "left_s": {"low": 40.0, "mid": 45.0, "high": 50.0}, "usd": 0.009}
    drift = {"drift": "steps take 2 s", "usd_end": {"low": 0.05, "mid": 0.054, "high": 0.06}}
    written.put("live.json", json.dumps({**own, **more, **drift}))
    run, _, _ = followed(written)
    run.look()
    rows = dict(rows_of(run.view()))
    assert rows["step"] == "10 of 100"
    assert rows["speed"] == "250 tokens/s   MFU 40 %"
    assert rows["time"] == "9.00 s   45 s left (40–50 s)"
    assert rows["drift"] == "steps take 2 s"


def test_half_a_line_is_read_when_it_is_whole_and_what_is_none_is_passed_over(written: Any) -> None:
    run, seen, _ = followed(written)
    written.lines("metrics.jsonl", "a text", [1], {"step": True, "loss": 9.0}, {"loss": 9.0}, {"step": 11, "loss": 1.9})
    path = written.folder / "metrics.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write('not JSON\n{"step": 12, "lo')
    run.look()
    assert (run.view().step, run.loss) == (11, 1.9)
    with path.open("a", encoding="utf-8") as file:
        file.write('ss": 1.8}\n')
    run.look()
    assert (run.view().step, run.loss) == (12, 1.8)
    # The run went back to its checkpoint: its metrics are made anew, and nothing is told twice.
    evaluation = {"step": 12, "part": "validation", "values": {"loss": 1.5}}
    written.lines("metrics.jsonl", evaluation)
    run.look()
    path.rename(path.with_name("old"))
    written.steps(1, 11)
    written.lines("metrics.jsonl", evaluation)
    run.look()
    assert run.view().step == 11
    assert len(seen.texts("evaluation")) == 1


def test_a_loss_that_is_no_number_is_an_alarm(written: Any) -> None:
    run, seen, _ = followed(written)
    written.steps(11, 11, loss=math.nan)
    run.look()
    Alarms(seen, Sender(None, seen)).look(run, run.view())
    assert seen.texts("alarm") == ["alarm: the loss is no number any more"]


def test_an_alarm_that_comes_and_goes_is_told_seldom(written: Any) -> None:
    run, seen, clock = followed(written)
    alarms = Alarms(seen, Sender(None, seen))
    for number in range(12):
        written.steps(11 + number, 11 + number, loss=(2.0, math.nan)[number % 2])
        run.look()
        alarms.look(run, run.view())
        clock.now_s += 61.0
    assert len(seen.texts("alarm")) == 2


def test_what_a_terminal_would_obey_is_not_shown(written: Any, called: Call) -> None:
    evil = "\x1b]0;owned\x07\x9b2J\n"
    written.lines("notices.jsonl", {"event": f"odd{evil}", "text": f"text{evil}", "more": {evil: evil}})
    written.lines("metrics.jsonl", {"step": 11, "loss": 2.0})
    run, seen, _ = followed(written)
    run.look()
    written.lines("metrics.jsonl", {"step": 11, "part": f"val{evil}", "values": {evil: 1.0}})
    run.look()
    assert len(seen.told) == 2
    shown = [text for each in seen.told for text in each] + [text for row in rows_of(run.view()) for text in row]
    assert all(text.isprintable() for text in shown)
    for name in ("name", "host", "reason"):
        written.status(**{name: f"text{evil}"})
        ended = called("watch", str(written.folder), "--once")
        assert name in wrong(ended, 1)
        assert "\x1b" not in ended.err


# --- who is told


def test_alarms_and_the_end_are_sent(written: Any, called: Call) -> None:
    with Server({"": b""}) as server:
        written.steps(11, 11, loss=math.nan)
        url = f"json://user:planted@{server.host}/here"
        # Importing Apprise takes a while.
        Notifier([url])
        with writing(written.folder, False):
            thread = threading.Timer(0.5, lambda: written.ended("failed", "diverged", 1))
            thread.start()
            ended = called("watch", str(written.folder), "--notify", url)
            thread.join()
        assert ended.code == 1
        sent = [json.loads(each.body) for each in server.requests]
    assert ["no number" in each["message"] for each in sent] == [True, False]
    assert "run abcd2345 is failed" in sent[1]["message"]
    assert all(each["title"] == "zenplan: run abcd2345, decoder" for each in sent)
    assert "planted" not in ended.out + ended.err


def test_a_notification_that_fails_is_said_once_and_without_its_address(written: Any) -> None:
    run, seen, _ = followed(written)
    with Server({"": Reply(status=500)}) as server:
        sender = Sender(Notifier([f"json://user:planted@{server.host}/secret-path"]), seen)
        for _ in range(3):
            sender.send("title", "text")
        sender.close()
        assert len(server.requests) >= 3
    assert len(seen.texts("notify")) == 1
    assert "json://" in seen.texts("notify")[0]
    assert not {"planted", "secret-path"} & set(seen.texts("notify")[0].replace("/", " ").split())
    run.look()


# --- what is wrong


def wrong(ended: Any, code: int) -> str:
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, "")
    assert [line.partition(":")[0] for line in lines] in (["error"], ["error", "hint"])
    return str(lines[0])


@pytest.mark.parametrize("command", ["watch", "stop"])
def test_what_is_no_run(command: str, called: Call, tmp_path: Path) -> None:
    assert "unknown run 'nosuchrun'" in wrong(called(command, "nosuchrun"), 2)
    assert "unknown run" in wrong(called(command, str(tmp_path)), 2)
    assert "no address as it stands" in wrong(called(command, "node1:8443"), 2)
    for url in ("http://", "https://:80", "ftp://host", "https://host:99999", "https://a\x1bb", "http://[::1"):
        assert "no address" in wrong(called(command, url), 2)
    for url in ("https://me:planted@host", "https://host/?token=planted"):
        assert "planted" not in wrong(called(command, url), 2)
    assert "in the clear" in wrong(called(command, "http://192.0.2.1:8090"), 2)
    assert "token" in wrong(called(command, "https://127.0.0.1:1", "--token", "two words"), 2)


def test_what_cannot_be_asked_for(written: Any, called: Call) -> None:
    place = str(written.folder)
    assert "format" in wrong(called("watch", place, "--format", "csv"), 2)
    said = wrong(called("watch", place, "--notify", "nosuch://planted@x"), 2)
    assert "planted" not in said
    assert "nosuch://" in said


@pytest.mark.parametrize("text", ["", "[]", "{}", "not JSON", '{"id": 3}', "[" * 100_000, "\x00"])
def test_a_status_that_is_none(text: str, written: Any, called: Call) -> None:
    written.put("status.json", text)
    for command in ("watch", "stop"):
        ended = called(command, str(written.folder))
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("error: status.json of the run in ")
        assert "a fault in" not in ended.err


def test_one_that_does_not_hear_is_not_waited_for_for_ever(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zenplan.commands.stop import use_case as stopping

    monkeypatch.setattr(stopping, "GONE_S", 0.2)
    monkeypatch.setattr(stopping, "_LOOK_S", 0.05)
    with writing(written.folder, False), pytest.raises(ZenplanError, match="no sign of life") as caught:
        stopping.stop(FolderSource(written.folder), True, lambda what, seconds: None)
    assert "kill -TERM" in caught.value.hint
    assert (written.folder / STOP).exists()


@pytest.mark.parametrize("how", ["ends", "begins"])
def test_a_run_that_is_looked_at_at_the_wrong_moment_was_not_killed(
    how: str, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last word is written before it lets go of its folder, and its first after it has taken hold of it."""
    looks = iter([False, True])

    def is_held(_: Path) -> bool:
        if how == "ends":
            written.ended("finished", "finished", 0)
            return False
        return next(looks)

    monkeypatch.setattr(past, "is_held", is_held)
    run = Followed(FolderSource(written.folder), Seen())
    run.look()
    assert (run.gone, run.status.state) == ("", "finished" if how == "ends" else "running")


def test_from_python_it_is_the_same(written: Any, called: Call) -> None:
    with writing(written.folder, False):
        now = zenplan.watch(written.folder, once=True)
        assert (now.status.state, now.status.step, now.last_loss, now.folder) == ("running", 10, 2.0, written.folder)
        assert now.to_dict()["status"]["state"] == "running"
        assert zenplan.stop(written.folder, no_wait=True).status.state == "running"
        assert (written.folder / STOP).exists()
        threading.Timer(0.3, lambda: written.ended("stopped", "zenplan stop", 3)).start()
        seen: list[float] = []
        found = zenplan.watch(str(written.folder), progress=lambda share, line: seen.append(share))
        assert (found.status.state, found.status.exit_code) == ("stopped", 3)
        assert seen[0] == 0.1
    assert zenplan.stop(written.folder).status.state == "stopped"
    written.status()
    assert zenplan.stop(written.folder).status.state == "killed"
    with pytest.raises(zenplan.ZenplanError, match="was killed"):
        zenplan.watch(written.folder)


def test_one_that_starts_is_said_to_and_waited_for(written: Any, called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    status = (written.folder / "status.json").read_text(encoding="utf-8")
    (written.folder / "status.json").unlink()
    with writing(written.folder, False):
        assert "is starting" in called("watch", str(written.folder), "--once").out
        assert json.loads(called("watch", str(written.folder), "--once", "--format", "json").out)["event"] == "starting"
        stopped = called("stop", str(written.folder))
        assert (stopped.code, "is starting" in stopped.err) == (1, True)
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            written.put("status.json", status)
            if len(slept) > 1:
                written.ended("finished", "finished", 0)

        monkeypatch.setattr(use_case.time, "sleep", sleep)
        screen = Seen()
        assert use_case.watch(FolderSource(written.folder), screen, Sender(None, screen)).status.state == "finished"
        assert len(screen.texts("starting")) == 1
    # Nobody is at it, and it has said nothing: no run.
    (written.folder / "status.json").unlink()
    assert called("watch", str(written.folder), "--once").code == 2
