"""The built-in formats: a table for people; JSON, CSV and markdown for programs and documents; a page for a browser."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zenplan.domain.report import Report, Table

_LEAST_WIDTH = 40
# Between two columns; and the widths below which a column of text is no longer pleasant to read.
_GAP = 3
_NARROWEST, _LONG_WORD = 10, 24
_LITTLE = 10
# A spreadsheet takes a text that starts with one of these for a formula, and runs it.
_FORMULA = ("=", "+", "-", "@", "\t")


@dataclass(frozen=True, slots=True)
class Format:
    """A named function from a report to text."""

    name: str
    write: Callable[[Report], str]

    def export(self, report: Report) -> str:
        """The whole report, ending in a newline."""
        return self.write(report)


def exporters() -> tuple[Format, ...]:
    """Every built-in format; ``table`` is the default."""
    every = (("table", table), ("json", to_json), ("csv", to_csv), ("markdown", markdown), ("html", to_html))
    return tuple(Format(name, write) for name, write in every)


def to_json(report: Report) -> str:
    """The report's document, its schema first. A figure that is not finite is null: JSON has no infinity."""
    import json

    return json.dumps(report.document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def to_csv(report: Report) -> str:
    """The report's records; an empty cell is unknown.

    A text that a spreadsheet would run as a formula gets an apostrophe in front. Numbers stay as they are.
    """
    text = io.StringIO()
    records = report.records
    if header := tuple(records[0]) if records else tuple(report.make_header()):
        writer = csv.DictWriter(text, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _harmless(value) for name, value in row.items()} for row in records)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def markdown(report: Report) -> str:
    """The report's tables in GitHub's markdown, notes as a list."""
    parts = [f"**{_cell(report.verdict)}**\n"] if report.verdict else []
    for each in report.tables:
        if each.title:
            head = f"<details><summary>{_escaped(each.title)}</summary>" if each.folded else f"### {_cell(each.title)}"
            parts.append(f"{head}\n")
        parts += _fenced(each) if each.drawing else _cells(each)
        parts.append(f"\n{_cell(each.caption)}\n" if each.caption else "")
        parts += ["</details>\n"] if each.title and each.folded else []
    parts += [f"- {_cell(note)}" for note in report.notes]
    return "\n".join(parts).rstrip("\n") + "\n"


def _cells(each: Table) -> list[str]:
    return [
        "| " + " | ".join(_cell(c.name) for c in each.columns) + " |",
        "|" + "|".join("---:" if c.numeric else "---" for c in each.columns) + "|",
        *("| " + " | ".join(_cell(text) for text in row) + " |" for row in each.rows),
    ]


def to_html(report: Report) -> str:
    """A page that needs nothing from elsewhere: an estimate's own, or the tables of any other answer."""
    from zenplan.adapters.page.page import ESTIMATE, page, plain_page

    document = report.document
    if str(document["schema"]).startswith(ESTIMATE):
        return page(document)
    return plain_page(str(document["schema"]), html(report))


def html(report: Report) -> str:
    """The report's tables and notes for a notebook: every text escaped, no styles but the alignment of numbers."""
    parts = [f"<p><strong>{_escaped(report.verdict)}</strong></p>"] if report.verdict else []
    for each in report.tables:
        rows = "".join(_html_row(each, row, "td") for row in each.rows)
        caption = f"<caption>{_escaped(each.title)}</caption>" if each.title else ""
        head = _html_row(each, tuple(c.name for c in each.columns), "th")
        parts.append(f"<table>{caption}<thead>{head}</thead><tbody>{rows}</tbody></table>")
        parts += [f"<p>{_escaped(each.caption)}</p>"] if each.caption else []
    notes = "".join(f"<li>{_escaped(note)}</li>" for note in report.notes)
    return "\n".join([*parts, *([f"<ul>{notes}</ul>"] if notes else [])])


def _html_row(each: Table, row: tuple[str, ...], tag: str) -> str:
    text = "text-align: {}" + "; white-space: pre; font-family: monospace" * each.drawing
    cells = (
        f'<{tag} style="{text.format("right" if column.numeric else "left")}">{_escaped(cell)}</{tag}>'
        for column, cell in zip(each.columns, row, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _escaped(text: str) -> str:
    from html import escape

    return escape(text).replace("\n", "<br>")


def _fenced(each: Table) -> list[str]:
    """A drawing as it is: letters of one width, blanks kept."""
    rows = [tuple(c.name for c in each.columns), *each.rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(each.columns))]
    lines = (
        "  ".join(
            text.rjust(width) if column.numeric else text.ljust(width)
            for text, width, column in zip(row, widths, each.columns, strict=True)
        )
        for row in rows
    )
    return ["```text", *(line.rstrip() for line in lines), "```"]


def _cell(text: str) -> str:
    """A text that is shown as it is: no HTML, no escape, no border of a cell."""
    from html import escape

    return escape(text.replace("\\", "\\\\"), quote=False).replace("|", "\\|").replace("\n", "<br>")


def table(report: Report, width: int | None = None, colour: bool = False) -> str:
    """The report's tables and notes for a terminal, without colour unless asked for.

    Args:
        report: what to show.
        width: columns of the terminal; None to ask it (``COLUMNS``, then the terminal, then 80).
        colour: write ANSI styles.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    across = max(width or shutil.get_terminal_size((80, 24)).columns, _LEAST_WIDTH)
    console = Console(
        file=io.StringIO(),
        width=across,
        force_terminal=colour,
        highlight=False,
        markup=False,
        emoji=False,
        color_system="standard" if colour else None,
        legacy_windows=False,
    )
    if report.verdict:
        console.print(Text(report.verdict, style="bold"))
        console.print()
    for each in report.tables:
        if each.title:
            console.print(Text(each.title, style="bold"))
        console.print(_rich_table(each, across))
        if each.caption:
            console.print(Padding(Text(each.caption, style="dim"), (0, 1)))
        console.print()
    for note in report.notes:
        console.print(Text(note, style="dim"))
    file = console.file
    text = file.getvalue() if isinstance(file, io.StringIO) else ""
    # Alignment pads every line to the full width; nobody wants the blanks.
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip("\n") + "\n"


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text on a terminal of that width: broken between words, and in a word that is longer than a line."""
    lines: list[str] = []
    for line in text.splitlines():
        now = ""
        for word in line.split():
            if now and len(now) + 1 + len(word) > width:
                lines.append(now)
                now = ""
            now = f"{now} {word}" if now else word
            while len(now) > width:
                lines.append(now[:width])
                now = now[width:]
        lines.append(now)
    return lines


def height(each: Table, width: int) -> int:
    """Lines that ``table`` takes for this one on a terminal of that width: its headings, their rule, rows and caption."""
    kept = _columns_that_fit(each, width)
    widths = _widths(each, kept, width)
    if widths is None:
        return len(table(Report(make_document=dict, make_records=tuple, tables=(each,)), width).splitlines())
    heads = tuple(column.name for column in each.columns)
    tall = [
        max(len(wrapped(row[place], across)) for place, across in zip(kept, widths, strict=True))
        for row in (heads, *each.rows)
    ]
    return bool(each.title) + sum(tall) + 1 + len(wrapped(each.caption, width - 2))


def _rich_table(each: Table, width: int) -> Any:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    kept = _columns_that_fit(each, width)
    widths = _widths(each, kept, width)
    if widths is None:
        return _stacked(each)
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for index, across in zip(kept, widths, strict=True):
        column = each.columns[index]
        drawn.add_column(
            Text(column.name), justify="right" if column.numeric else "left", overflow="fold", width=across
        )
    for number, row in enumerate(each.rows):
        style = "bold green" if number == each.emphasis else ""
        texts = (Text(_folded(row[place], across), style=style) for place, across in zip(kept, widths, strict=True))
        drawn.add_row(*texts)
    return drawn


def _folded(text: str, width: int) -> str:
    """The text with a line break behind each word that fills whole lines: rich puts the blank there on one of its own."""
    return re.sub(r"(\S+) ", lambda m: f"{m[1]}\n" if len(m[1]) > width and len(m[1]) % width == 0 else m[0], text)


def _stacked(each: Table) -> Any:
    """The table with a line for each cell, for a terminal that has no room for its columns side by side."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False, show_edge=False)
    for row in each.rows:
        for column, text in zip(each.columns, row, strict=True):
            drawn.add_row(Text(column.name, style="bold"), Text(text, overflow="fold"))
        drawn.add_section()
    return drawn


def _longest(each: Table, index: int, parts: Callable[[str], list[str]]) -> int:
    texts = (each.columns[index].name, *(row[index] for row in each.rows))
    return max((len(part) for text in texts for part in parts(text)), default=0)


def _columns_that_fit(each: Table, width: int) -> list[int]:
    """All columns, less optional ones from the right while the widest cells do not fit."""
    kept = list(range(len(each.columns)))
    for index in reversed(kept.copy()):
        if sum(_longest(each, p, str.splitlines) + _GAP for p in kept) - _GAP <= width:
            break
        if each.columns[index].optional:
            kept.remove(index)
    return kept


def _widths(each: Table, kept: list[int], width: int) -> list[int] | None:
    """How wide to draw each column; None where the terminal is too narrow for them.

    A number or a whole cell is never broken. A text is broken between words; within one only where there is no other way,
    and then in the column that has the longest.
    """
    room = width - _GAP * (len(kept) - 1)
    most = [_longest(each, p, str.splitlines) for p in kept]
    words = [_longest(each, p, str.split) for p in kept]
    unbroken = [each.columns[p].numeric or each.columns[p].whole for p in kept]
    least = [m if whole else min(w, _LONG_WORD) for whole, m, w in zip(unbroken, most, words, strict=True)]
    for index in sorted(range(len(kept)), key=lambda i: -words[i]):
        if not unbroken[index]:
            least[index] -= max(0, min(sum(least) - room, least[index] - _NARROWEST))
    if sum(least) > room:
        return None
    # What is left: a column that lacks little gets all of it, so short ones stay on one line; the rest share.
    lack = [m - n for m, n in zip(most, least, strict=True)]
    places = sorted(range(len(kept)), key=lambda i: lack[i])
    for number, index in enumerate(places):
        spare, others = room - sum(least), sum(lack[i] for i in places[number:])
        share = lack[index] if lack[index] <= _LITTLE else spare * lack[index] // others
        least[index] += min(spare, share, lack[index])
    return least
