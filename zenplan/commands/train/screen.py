"""What is seen of a run while it goes on: a panel on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, TextIO

from zenplan import units
from zenplan.commands.shared.output import write
from zenplan.domain.measured.training_run import RunPrediction, RunStatus
from zenplan.domain.range import Range
from zenplan.domain.training.several import in_words

# Plain lines come so far apart, the panel is drawn anew so often.
_LINE_EVERY_S: Final = 10.0
_DRAWN_EVERY_S: Final = 0.5


_OF_STATUS: Final = ("name", "backend", "id", "state", "workers", "devices", "step", "steps", "checkpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A run as it stands.

    Attributes:
        name, backend, id, state: of the run, as of ``RunStatus``; stage: that it is in.
        workers, devices: that train it together.
        step, steps: done, and of the run; checkpoint: step of the newest.
        loss: of the last step; evaluated: the values of the last evaluation.
        rate, unit: tokens or samples a second of the last steps.
        step_s: mean of the last steps.
        elapsed_s: of all starts; left_s: until the end.
        usd, usd_end: so far, and at the end.
        prediction: from before the run.
        mfu: of the device's peak.
        memory_bytes, power_w, temperature_c: of the GPU.
        drift: a line, where steps are not as predicted; faster: whether they take less time, which is good news.
    """

    name: str
    backend: str
    id: str = ""
    state: str = ""
    workers: int = 1
    devices: int = 1
    stage: str = ""
    step: int = 0
    steps: int = 0
    checkpoint: int = 0
    loss: float | None = None
    evaluated: Mapping[str, float] = field(default_factory=dict)
    rate: float | None = None
    unit: str = "samples"
    step_s: float | None = None
    elapsed_s: float = 0.0
    left_s: Range | None = None
    usd: float | None = None
    usd_end: Range | None = None
    prediction: RunPrediction | None = None
    mfu: float | None = None
    memory_bytes: float | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    drift: str = ""
    faster: bool = False

    @classmethod
    def of(cls, status: RunStatus, **more: Any) -> View:
        """A run that stands so, and what else is known of it."""
        return cls(**{name: getattr(status, name) for name in _OF_STATUS}, **more)


class Screen(Protocol):
    """Where a run is shown."""

    def update(self, view: View) -> None:
        """It stands so now; called often."""

    def tell(self, event: str, text: str, values: Mapping[str, Any]) -> None:
        """Something happened: a word for programs, a line for people, and figures."""


def _left(view: View) -> str:
    if view.left_s is None:
        return ""
    span = units.span(units.duration(view.left_s.low, 2), units.duration(view.left_s.high, 2))
    return f"{units.duration(view.left_s.mid, 2)} left ({span})"


def _money(view: View) -> str:
    if view.usd is None:
        return ""
    return " of ".join(units.usd_apart(view.usd, *([view.usd_end.mid] if view.usd_end else [])))


def line_of(view: View) -> str:
    """The run in a line."""
    loss = "" if view.loss is None else f"loss {units.significant(view.loss, 4)}"
    rate = "" if view.rate is None else f"{units.count(view.rate)} {view.unit}/s"
    mfu = "" if view.mfu is None else f"MFU {units.percent(view.mfu)}"
    parts = (f"step {view.step:,} of {view.steps:,}", loss, rate, mfu, _left(view), _money(view))
    return ", ".join(part for part in parts if part)


def told(prediction: RunPrediction) -> str:
    """A prediction in a line."""
    run, usd = prediction.run_s, prediction.usd
    if run is None:
        return f"predicted: {prediction.why}"
    span = units.span(units.duration(run.low), units.duration(run.high))
    money = f", {units.usd(usd.mid)}" if usd else ""
    return f"predicted: {units.duration(run.mid)} ({span}){money}; {prediction.origin}: {prediction.why}"


def evaluated(step: int, part: str, values: Mapping[str, float]) -> tuple[str, str, Mapping[str, Any]]:
    """An evaluation, as ``Screen.tell`` takes it."""
    figures = ", ".join(f"{name} {units.significant(value, 4)}" for name, value in values.items())
    return "evaluation", f"step {step:,}: {part}: {figures}", {"step": step, "part": part, "values": values}


def live(view: View) -> View:
    """As it is written down for others to show: without the prediction, which has its own file, and what is no number."""
    loss = view.loss if view.loss is not None and math.isfinite(view.loss) else None
    figures = {name: value for name, value in view.evaluated.items() if math.isfinite(value)}
    return replace(view, prediction=None, loss=loss, evaluated=figures)


@dataclass(slots=True)
class Lines:
    """Plain lines, one now and then.

    Attributes:
        stream: where they go.
    """

    stream: TextIO | None
    _last_s: float = -1e9
    _step: int = -1
    _stage: str = ""

    def update(self, view: View) -> None:
        """A line where the last is some time ago, and of another step."""
        if time.monotonic() - self._last_s < _LINE_EVERY_S:
            return
        if view.loss is not None:
            if view.step != self._step:
                self._step = view.step
                self._say(line_of(view))
        elif view.stage != self._stage:
            self._say(f"{view.name} on {view.backend}: {view.stage}")
        self._stage = view.stage

    def tell(self, event: str, text: str, values: Mapping[str, Any]) -> None:
        """That line."""
        if text:
            self._say(text)

    def _say(self, text: str) -> None:
        self._last_s = time.monotonic()
        write(self.stream, f"{text}\n")
        if self.stream is not None:
            self.stream.flush()


@dataclass(slots=True)
class JsonLines:
    """One object a line on stdout; the last of a run is its result."""

    _last_s: float = -1e9
    _shown: tuple[int, str] = (-1, "")

    def update(self, view: View) -> None:
        """Progress, of another step or stage, at most as often as plain lines come."""
        if (view.step, view.stage) == self._shown or time.monotonic() - self._last_s < _LINE_EVERY_S:
            return
        self._last_s, self._shown = time.monotonic(), (view.step, view.stage)
        left, end = view.left_s, view.usd_end
        self.tell(
            "progress",
            "",
            {
                "run": view.id,
                "state": view.state,
                "stage": view.stage,
                "workers": view.workers,
                "devices": view.devices,
                "step": view.step,
                "steps": view.steps,
                "loss": view.loss,
                "rate": view.rate,
                "unit": view.unit,
                "step_s": view.step_s,
                "elapsed_s": view.elapsed_s,
                "left_s": None if left is None else left.mid,
                "usd": view.usd,
                "usd_end": None if end is None else end.mid,
                "mfu": view.mfu,
            },
        )

    def tell(self, event: str, text: str, values: Mapping[str, Any]) -> None:
        """An object with the word under ``event``."""
        found = {"event": event, **({"text": text} if text else {}), **values}
        write(sys.stdout, json.dumps(_finite(found), ensure_ascii=False) + "\n")
        sys.stdout.flush()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@dataclass(slots=True)
class Told:
    """A function that is told the share that is done, and a line.

    Attributes:
        progress: that function.
    """

    progress: Callable[[float, str], None]
    _share: float = 0.0

    def update(self, view: View) -> None:
        """How far it is."""
        share = view.step / max(1, view.steps)
        if share != self._share or not view.step:
            self._share = share
            self.progress(share, line_of(view) if view.loss is not None else view.stage)

    def tell(self, event: str, text: str, values: Mapping[str, Any]) -> None:
        """That line."""
        if text:
            self.progress(self._share, text)


class Unseen:
    """Nothing is shown."""

    def update(self, view: View) -> None:
        """Nothing."""

    def tell(self, event: str, text: str, values: Mapping[str, Any]) -> None:
        """Nothing."""


class Panel:
    """A panel that is drawn over itself on a terminal; what happens goes by above it."""

    def __init__(self, live: Any) -> None:
        """``live`` of rich draws it."""
        self._live = live
        self._last_s = -1e9

    def update(self, view: View) -> None:
        """Draw it anew, where the last drawing is some time ago."""
        if time.monotonic() - self._last_s >= _DRAWN_EVERY_S:
            self._last_s = time.monotonic()
            self._live.update(_drawn(view), refresh=True)

    def tell(self, event: str, text: str, values: Mapping[str, Any]) -> None:
        """That line, above the panel."""
        if text:
            self._live.console.print(text, markup=False, highlight=False)


def _drawn(view: View) -> Any:
    from rich import box
    from rich.panel import Panel as Frame
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    for name, value in rows_of(view):
        table.add_row(name, Text(value))
    outer = Table.grid()
    outer.add_row(ProgressBar(total=max(1, view.steps), completed=view.step, width=60))
    outer.add_row(table)
    return Frame(outer, title=Text(f"{view.name} on {view.backend}"), box=box.ROUNDED, expand=False)


def rows_of(view: View) -> Iterator[tuple[str, str]]:
    """The panel's rows: what it is, and how it stands."""
    yield "step", f"{view.step:,} of {view.steps:,}" + (f"   {view.stage}" if view.loss is None else "")
    if view.workers * view.devices > 1:
        yield "workers", in_words(view.workers, view.devices)
    if view.loss is not None:
        evaluated = ", ".join(f"{name} {units.significant(v, 4)}" for name, v in view.evaluated.items())
        yield "loss", units.significant(view.loss, 4) + (f"   validation: {evaluated}" if evaluated else "")
    if view.rate is not None:
        mfu = "" if view.mfu is None else f"   MFU {units.percent(view.mfu)}"
        yield "speed", f"{units.count(view.rate)} {view.unit}/s{mfu}"
    yield "time", f"{units.duration(view.elapsed_s)}" + (f"   {_left(view)}" if view.left_s else "")
    if view.usd is not None:
        yield "dollars", _money(view)
    predicted = view.prediction
    if predicted is not None and predicted.step_s is not None and view.step_s is not None:
        step = predicted.step_s
        span = units.span(units.duration(step.low), units.duration(step.high))
        yield "a step", f"{units.duration(view.step_s)}   predicted {units.duration(step.mid)} ({span})"
    gpu = [
        "" if view.memory_bytes is None else units.size(view.memory_bytes),
        "" if view.power_w is None else f"{view.power_w:,.0f} W",
        "" if view.temperature_c is None else f"{view.temperature_c:.0f} °C",
    ]
    if any(gpu):
        yield "GPU", ", ".join(each for each in gpu if each)
    if view.checkpoint:
        yield "checkpoint", f"of step {view.checkpoint:,}"
    if view.drift:
        yield "drift", view.drift


@contextmanager
def shown(format: str) -> Iterator[Screen]:
    """Where a run is shown: by the format of its answer, and by what stderr is."""
    if format == "json":
        yield JsonLines()
    elif sys.stderr is not None and sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(file=sys.stderr), auto_refresh=False, transient=True) as live:
            yield Panel(live)
    else:
        yield Lines(sys.stderr)
