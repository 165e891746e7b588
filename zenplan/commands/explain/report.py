"""``zenplan explain``: the places that an answer comes from, and whether that can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenplan import units
from zenplan.adapters.picture.heat import shares
from zenplan.domain.measured.explanation import Attribution, Explanation, SampleExplanation
from zenplan.domain.report import Column, Report, Table
from zenplan.errors import printable

# Places that are shown of each sample, and letters of a bar.
_PLACES, _BAR = 6, 16


def explanation_report(found: Explanation) -> Report:
    """The report."""
    return Report(
        make_document=lambda: _document(found),
        make_records=lambda: _records(found),
        make_header=lambda: ("sample", "input", "place", "label", "value"),
        verdict=_verdict(found),
        tables=(*map(_sample, found.samples), *_importance(found), *_checks(found)),
        notes=_notes(found),
    )


def _document(found: Explanation) -> Any:
    from zenplan.commands.explain.document import explanation_document

    return explanation_document(found)


def _records(found: Explanation) -> list[Mapping[str, Any]]:
    every: list[tuple[int | None, Attribution]] = [(each.number, one) for each in found.samples for one in each.inputs]
    every += [(None, one) for one in (found.importance.inputs if found.importance else ())]
    return [
        {"sample": number, "input": one.name, "place": place, "label": one.label(place), "value": value}
        for number, one in every
        for place, value in enumerate(one.values)
    ]


def _verdict(found: Explanation) -> str:
    every = [one for each in found.samples for one in each.inputs]
    every += found.importance.inputs if found.importance else ()
    named = [one for one in every if any(one.values) and not one.is_image]
    tops = dict.fromkeys(printable(one.label(place)).strip() for one in named for place in one.largest(2))
    shown = ", ".join(f"'{name}'" for name in list(tops)[:4] if name)
    what = f"{found.name} answers by {shown}" if shown else f"{found.name}: what its answers come from"
    trust = {
        True: f"The checks of this explanation pass{', but one was not made' if found.not_checked else ''}.",
        False: "Do not believe it: a check of this explanation fails.",
        None: "No check of this explanation could be made.",
    }
    return f"{what}. {trust[found.believable]}"


def _sample(found: SampleExplanation) -> Table:
    target = f": {found.target}" if found.target else ""
    known = f"; the data say {found.label}" if found.label else ""
    rows = []
    for one in found.inputs:
        of_places = shares(one.values)
        for place in one.largest(_PLACES):
            rows.append((_shown(one, place), units.significant(one.values[place], 3), _bar(of_places[place])))
    return Table(
        title=f"sample {found.number}{target}",
        columns=(Column(name="place"), Column(name="adds", numeric=True), Column(name="", optional=True)),
        rows=tuple(rows),
        caption=f"score {units.significant(found.score, 4)}, "
        f"of the baseline {units.significant(found.baseline_score, 4)}{known}",
    )


def _importance(found: Explanation) -> tuple[Table, ...]:
    importance = found.importance
    if importance is None:
        return ()
    rows = []
    for one in importance.inputs:
        of_places = shares(one.values)
        for place in one.largest(2 * _PLACES):
            spread = units.significant(one.deviations[place], 2) if one.deviations else ""
            rows.append((_shown(one, place), units.significant(one.values[place], 3), spread, _bar(of_places[place])))
    names = (("place", False), ("adds to the loss", True), ("±", True), ("", False))
    return (
        Table(
            title=f"shuffled among {importance.samples:,} samples",
            columns=tuple(Column(name=name, numeric=numeric, optional=not name) for name, numeric in names),
            rows=tuple(rows),
            caption=f"loss {units.significant(importance.loss, 4)} as it is",
        ),
    )


def _checks(found: Explanation) -> tuple[Table, ...]:
    if not found.checks:
        return ()
    rows = tuple(
        (each.name, units.significant(each.value, 2), f"≤ {each.most:g}", "passed" if each.passed else "FAILED")
        for each in found.checks
    )
    names = (("check", False), ("found", True), ("asked", True), ("", False))
    return (Table(title="checks", columns=tuple(Column(name=n, numeric=r) for n, r in names), rows=rows),)


def _notes(found: Explanation) -> tuple[str, ...]:
    method = {
        "gradients": f"Integrated gradients in {found.steps} steps from a baseline (Sundararajan et al. 2017): the mean of "
        "the training data, and nothing for what a table reads.",
        "occlusion": "How much lower the score is where a place is as in the baseline: the mean of the training data, or 0.",
        "permutation": "Mean of repeats; what two places both tell is shared out between them, or hidden.",
    }
    missing = (f"{found.not_checked[0].upper()}{found.not_checked[1:]}.",) if found.not_checked else ()
    return (method[found.method], *(f"{each.name}: {each.why}." for each in found.checks), *missing)


def _shown(found: Attribution, place: int) -> str:
    label = printable(found.label(place))
    return label if label.strip() else repr(label)


def _bar(share: float) -> str:
    return ("+" if share >= 0.0 else "-") * round(abs(share) * _BAR)


def coloured(found: Explanation) -> str:
    """Texts of the samples for a terminal, each token on a ground by its attribution; empty where there is no text."""
    lines = []
    for each in found.samples:
        for one in each.inputs:
            if not one.tokens:
                continue
            tokens = zip(one.labels, shares(one.values), strict=True)
            lines.append(f"{each.number}: " + "".join(_ground(label, share) for label, share in tokens))
    return "".join(f"{line}\x1b[0m\n" for line in lines)


def _ground(label: str, share: float) -> str:
    # Of the 256 colours: steps of red and of blue.
    step = round(abs(share) * 4)
    ground = (0, 52, 88, 124, 160)[step] if share >= 0.0 else (0, 17, 18, 19, 20)[step]
    text = printable(label.replace("\n", " "))
    return f"\x1b[48;5;{ground}m\x1b[97m{text}" if step else f"\x1b[0m{text}"
