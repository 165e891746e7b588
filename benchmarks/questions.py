"""Write docs/questions.md and docs/questions.zh-CN.md: questions of founders, with their commands and today's answers.

python benchmarks/questions.py
python benchmarks/questions.py --check

The questions are ``asked/*.toml``, a file for each chapter. Each ``[[question]]`` has

    id, who, asks   who asks what; in Chinese with ``means``, in English
    before          commands that come before it, in the same folder; it has the files of ``folder``
    command         what follows ``zenplan``
    code            how it has to end: 0 (default), 2, 3
    says, silent    patterns that the answer has to have, and may not have
    show            pattern of lines that the page shows beside the first paragraph
    screen          false where the answer may be longer than a screen of 24 lines
    document        false where it has no JSON
    laws            names of functions in ``tests/test_questions.py``, which know more than a pattern can say
    wrong           in what the answer is known to be wrong: the test is then expected to fail, and the page says so
    breaks          which law of every answer it is known to break, in the same way

and ``[[question.band]]``, between what a figure of the answer has to lie, for a reason (``why``) that is not zenplan's:
either ``between``, or from ``flop`` (in all, or ``per`` token or sample of the answer), ``peak_tflops``, ``mfu``,
``lost`` (× for restarts and waiting), ``start_gpu_h`` and ``usd_per_h`` of one device; ``market`` stands for those of
``MARKET``. ``figure`` is usd (default), gpu_hours, hours, days, kwh (``usd_per_h`` are then kW), project_usd,
parameters, tokens, samples, or ``case N`` of a comparison.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]
ASKED = Path(__file__).parent / "asked"
# The day of the documents, as in transcript.py.
DAY = "2026-11-29"
CHAPTERS = {
    "money": "Money",
    "time": "Time and compute",
    "hardware": "Hardware and memory",
    "data": "Data",
    "fine_tuning": "Fine-tuning",
    "models": "Other models",
    "named": "Models by name",
    "plans": "Plans kept in files",
    "trust": "Trust",
    "chinese": "中文",
}
# What a run on rented machines costs where the question names none. H100-SXM is rented at $1.00 (spot, marketplaces
# in 2026) to 4.50 an hour; others cost as much for their peak, by a third less or more. Published training runs keep
# 25 to 50 % of the dense peak. Restarts, evaluation and waiting make it up to 1.7 times as long.
MARKET: dict[str, Any] = {"peak_tflops": 989, "mfu": [0.25, 0.5], "lost": [1.0, 1.7], "usd_per_h": [1.0, 4.5]}
CHATS, PHOTOS = 1000, 300
MOST_SHOWN, WIDTH = 9, 119


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Between what a figure has to lie, ends included, and why. Pairs are the low and the high end."""

    why: str
    figure: str = "usd"
    between: Sequence[float] = ()
    flop: Sequence[float] = ()
    per: str = ""
    peak_tflops: float = 0.0
    mfu: Sequence[float] = ()
    lost: Sequence[float] = (1.0, 1.0)
    start_gpu_h: Sequence[float] = (0.0, 0.0)
    usd_per_h: Sequence[float] = (1.0, 1.0)
    devices: int = 1

    def ends(self, units: float = 1.0) -> tuple[float, float]:
        """FLOP / (peak × MFU) × what is lost are hours of a device; ``units`` are those of ``per``."""
        if self.between:
            return self.between[0], self.between[1]
        rates = [self.peak_tflops * 1e12 * mfu * 3600 for mfu in reversed(self.mfu)]
        low, high = (
            (self.flop[end] * units / rates[end] * self.lost[end] + self.start_gpu_h[end])
            * {"usd": self.usd_per_h[end], "days": 1 / self.devices / 24, "hours": 1 / self.devices}.get(
                self._unit, 1.0
            )
            for end in (0, -1)
        )
        return low, high

    @property
    def _unit(self) -> str:
        return self.figure if self.figure in ("days", "hours", "gpu_hours") else "usd"

    @property
    def reason(self) -> str:
        """Every number that the ends come from."""
        if self.between:
            return self.why
        said = [
            self.why,
            f"at {_span([100 * m for m in self.mfu])} % of {self.peak_tflops:g} TFLOP/s",
            f"× {_span(self.lost)} for restarts and waiting",
        ]
        if any(self.start_gpu_h):
            said.append(f"{_span(self.start_gpu_h)} GPU-hours of start or of a begun hour")
        if self.figure == "kwh":
            said.append(f"{_span(self.usd_per_h)} kW")
        elif self._unit == "usd":
            said.append(f"${_span(self.usd_per_h, '.2f')} an hour of a device")
        return ", ".join(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody asks, the command that answers, and what must be true of the answer."""

    id: str
    chapter: str
    who: str
    asks: str
    means: str
    before: tuple[str, ...]
    command: str
    code: int
    says: tuple[str, ...]
    silent: tuple[str, ...]
    show: str
    screen: bool
    document: bool
    laws: tuple[str, ...]
    bands: tuple[Band, ...]
    wrong: str
    breaks: str

    @property
    def argv(self) -> tuple[str, ...]:
        """Of the command, without the program."""
        return tuple(shlex.split(self.command))


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """What zenplan does not answer, and why; with the command that says so where there is one."""

    asks: str
    why: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command line said, and its exit code."""

    code: int
    out: str
    err: str


def questions() -> list[Question]:
    """All of them, in the order of the page."""
    return [_question(chapter, row) for chapter in CHAPTERS for row in _table(chapter)["question"]]


def unanswered() -> list[Open]:
    """What is not answered yet."""
    return [Open(**row) for row in _table("unanswered")["question"]]


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((ASKED / f"{name}.toml").read_text(encoding="utf-8"))


def _question(chapter: str, row: dict[str, Any]) -> Question:
    known = {*Question.__slots__, "band"} - {"chapter", "bands"}
    if unknown := row.keys() - known:
        raise ValueError(f"{row.get('id')}: {sorted(unknown)}")
    return Question(
        id=row["id"],
        chapter=chapter,
        who=row["who"],
        asks=row["asks"],
        means=row.get("means", ""),
        before=tuple(row.get("before", ())),
        command=row["command"],
        code=row.get("code", 0),
        says=tuple(row["says"]),
        silent=tuple(row.get("silent", ())),
        show=row.get("show", ""),
        screen=row.get("screen", True),
        document=row.get("document", True),
        laws=tuple(row.get("laws", ())),
        bands=tuple(map(_band, row.get("band", ()))),
        wrong=row.get("wrong", ""),
        breaks=row.get("breaks", ""),
    )


def _band(row: dict[str, Any]) -> Band:
    given = {**MARKET, **row} if row.get("market") else row
    return Band(
        **{key: value for key, value in given.items() if key != "market"} | {"why": " ".join(row["why"].split())}
    )


@cache
def folder() -> Path:
    """Where commands run, with the files that they name: those of a founder, and those that docs/plans.md shows."""
    path = Path(tempfile.mkdtemp(prefix="zenplan-questions-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    chats = [
        {
            "messages": [
                {"role": "user", "content": "Where is it? " * 30},
                {"role": "assistant", "content": "On its way. " * 100},
            ]
        }
    ] * CHATS
    (path / "chats.jsonl").write_text("".join(f"{json.dumps(chat)}\n" for chat in chats), encoding="utf-8")
    (path / "photos" / "cats").mkdir(parents=True)
    for number in range(PHOTOS):
        (path / "photos" / "cats" / f"{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0 a photo")
    rows = ["provider,instance,accelerator,devices,region,on_demand_usd_per_h", "mine,box,H100-SXM5-80GB,8,here,20"]
    (path / "prices.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    plans = (ROOT / "docs" / "plans.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"^```toml\n# (\w+\.toml)\n(.*?)^```$", plans, re.MULTILINE | re.DOTALL):
        (path / name).write_text(text, encoding="utf-8")
    (path / "benchmarks").symlink_to(ROOT / "benchmarks")
    return path


def ended(argv: Sequence[str], day: str = DAY, before: Sequence[str] = ()) -> Ended:
    """The end of a command line in this process: no plugins, a home without settings, 80 columns, that day."""
    from zenplan.commands.main import run

    for line in before:
        first = ended(shlex.split(line), day)
        if first.code:
            raise RuntimeError(f"{line}: {first.err}")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    clean = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder() / "home"),
        "COLUMNS": "80",
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "ZENPLAN_PLUGINS": "",
        "ZENPLAN_TODAY": day,
    }
    with (
        contextlib.chdir(folder()),
        mock.patch.dict(os.environ, clean, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(argv)
    return Ended(code, *(_said(stream) for stream in (out, err)))


def _said(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def excerpt(answer: Ended, show: str) -> str:
    """The first paragraph and as much of the second as is short; of the rest, lines with that pattern."""
    text = (answer.out.strip() or answer.err.strip()).splitlines()
    first = next((i for i, line in enumerate(text) if not line.strip()), len(text))
    kept = text[:first][:MOST_SHOWN]
    more = [line for line in text[first:] if show and re.search(show, line)][: MOST_SHOWN - 4]
    if not show and first < 3:
        more = [line for line in text[first + 1 :] if line.strip()][: MOST_SHOWN - 2]
    return "\n".join([*kept, *more])


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _span(ends: Sequence[float], form: str = ".3g") -> str:
    return " to ".join(dict.fromkeys(format(end, form) for end in ends))


def _held(band: Band) -> str:
    if band.per:
        return f"what its {band.per} take: {band.reason}"
    show = _usd if band.figure in ("usd", "project_usd") or band.figure.startswith("case") else _count
    unit = {"gpu_hours": " GPU-hours", "kwh": " kWh"}.get(band.figure, f" {band.figure}" if show is _count else "")
    low, high = map(show, band.ends())
    return f"{low} to {high}{unit}: {band.reason}"


def _usd(figure: float) -> str:
    return f"${figure:.3f}" if 0 < figure < 0.1 else f"${_count(figure)}"


def _count(figure: float) -> str:
    if figure >= 1e4:
        return next(
            f"{figure / unit:.3g}{name}" for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "K")) if figure >= unit
        )
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _block(question: Question) -> Iterator[str]:
    answer = ended(question.argv, before=question.before)
    code = f"  # exit code {question.code}" if question.code else ""
    yield f"**{question.asks}** ({question.who}{f'; {question.means}' if question.means else ''})"
    yield ""
    yield "```console"
    yield from (f"$ zenplan {line}" for line in question.before)
    yield f"$ zenplan {question.command}{code}"
    yield excerpt(answer, question.show)
    yield "```"
    yield ""
    for band in question.bands:
        yield from (*_wrapped(f"Held to {_held(band)}."), "")
    for fault in filter(None, (question.wrong, question.breaks)):
        yield from (*_wrapped(f"Known to be wrong: {fault}."), "")


ENGLISH = f"""# Questions

What founders, and who works with them, ask; the command; and how its answer of {DAY} begins. What stands under an
answer is what the tests hold it to: between which figures it has to lie, for a reason that is not zenplan's.
[中文](questions.zh-CN.md) has more of them. `python benchmarks/questions.py` writes this page from
`benchmarks/asked/`."""
CHINESE = f"""# 问题

用中文提出的问题、对应的命令，以及 {DAY} 的回答（命令和输出为英文）。每条下面的 “Held to” 是测试要求答案落入的范围及其理由，
这些理由与 zenplan 的计算无关。英文的更多问题见 [Questions](questions.md)。本页由 `python benchmarks/questions.py` 生成。"""


def pages() -> dict[Path, str]:
    """Both pages as they are today."""
    asked = questions()
    english = [ENGLISH, ""]
    for chapter, title in CHAPTERS.items():
        if chapter != "chinese":
            english += [f"## {title}", ""]
            english += [line for q in asked if q.chapter == chapter for line in _block(q)]
    english += ["## What it does not answer yet", ""]
    for each in unanswered():
        refused = " Such a request is refused, with exit code 2." if each.command else ""
        english += _wrapped(f"- **{each.asks}** {each.why}{refused}", "  ")
    chinese = [CHINESE, "", *(line for q in asked if q.chapter == "chinese" for line in _block(q))]
    docs = ROOT / "docs"
    return {
        docs / "questions.md": "\n".join(english).rstrip() + "\n",
        docs / "questions.zh-CN.md": "\n".join(chinese).rstrip() + "\n",
    }


def main() -> None:
    """Write the pages, or compare with them."""
    check = sys.argv[1:] == ["--check"]
    for page, text in pages().items():
        if not check:
            page.write_text(text, encoding="utf-8")
        elif not page.exists() or page.read_text(encoding="utf-8") != text:
            sys.exit(f"docs/{page.name}: run python benchmarks/questions.py")


if __name__ == "__main__":
    main()
