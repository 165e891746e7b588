"""Small faults put into ``zenplan/planning``, one at a time, and whether the tests of the module see them.

    python benchmarks/mutants.py               the share that is seen, from the committed table
    python benchmarks/mutants.py --write       draw them again, run each, and write the table: minutes
    python benchmarks/mutants.py --only TEXT   run again those of the draw whose row has that text, and print them
    python benchmarks/mutants.py --write --survivors   run again only what survived, and write

A mutant is one change of one expression: another operator, comparison, bound or constant, ``None`` returned, a call
left out. They are drawn at random, with a fixed seed, from all of ``planning/``; text, annotations and decorators
have none. Each runs in a forked process against ``tests/planning/<room>/test_<module>.py``, then against its room's
other tests and those that import the module. Some change no answer at all: in the table, ``equivalent`` stands for
``survived`` where a person has seen that, and the reason in the last column; another run keeps both. A mutant is
known by its function and its texts, not by its line.
"""

from __future__ import annotations

import argparse
import ast
import csv
import os
import random
import resource
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).parents[1]
PLANNING = ROOT / "zenplan" / "planning"
TABLE = ROOT / "benchmarks" / "measured" / "mutants.csv"
SEED, DRAWN, LIMIT_S = 20261129, 330, 25
KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"

_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_SWAPPED = dict(
    pair
    for one, other in (("min", "max"), ("minimum", "maximum"), ("floor", "ceil"), ("any", "all"), ("argmin", "argmax"))
    for pair in ((one, other), (other, one))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change, and what became of it.

    Attributes:
        module: path below ``planning/``, without the suffix.
        function: its qualified name, empty at the top of a module.
        kind: which sort of change.
        before: the expression.
        after: what stands there instead.
        number: which of the places in the function with these texts, from 0.
        outcome: one of the three words, or empty before it ran.
        told: the test that saw it (empty where only that one did was kept), or why none can.
    """

    module: str
    function: str
    kind: str
    before: str
    after: str
    number: int
    outcome: str = ""
    told: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What it is known by from one run to the next."""
        return self.module, self.function, self.before, self.after, str(self.number)


# --- what can be changed


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in the place of that node: the sort of change, and the new node."""
    match node:
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            yield "arithmetic", ast.BinOp(node.left, _ARITHMETIC[type(op)](), node.right)
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            yield "comparison", ast.Compare(node.left, [_COMPARISONS[type(op)]()], node.comparators)
        case ast.BoolOp(op=op, values=values):
            yield "boolean", ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield "sign", operand
        case ast.Constant(value=bool(value)):
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield "constant", ast.Constant(value + 1)
        case ast.Name(id=name, ctx=ctx) if name in _SWAPPED:
            yield "bound", ast.Name(_SWAPPED[name], ctx)
        case ast.Attribute(value=value, attr=name, ctx=ctx) if name in _SWAPPED:
            yield "bound", ast.Attribute(value, _SWAPPED[name], ctx)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield "branch", ast.IfExp(test, orelse, body)
        case ast.Return(value=ast.expr()):
            yield "nothing returned", ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield "call left out", ast.Pass()


def _children(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    """Where its parts hang: the field, the place in its list, and the part. Nothing of annotations and decorators."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "keywords") and not isinstance(node, ast.Call):
            continue
        if isinstance(value, ast.AST):
            yield name, None, value
        elif isinstance(value, list):
            yield from ((name, i, each) for i, each in enumerate(value) if isinstance(each, ast.AST))


def _places(tree: ast.AST, function: str = "") -> Iterator[tuple[str, ast.AST, str, int | None, ast.AST]]:
    """Every node below another: the function it is in, the parent, and where it hangs."""
    for name, index, child in _children(tree):
        yield function, tree, name, index, child
        named = isinstance(child, ast.FunctionDef | ast.ClassDef)
        inside = f"{function}.{child.name}".lstrip(".") if named else function  # type: ignore[attr-defined]  # has one
        yield from _places(child, inside)


def mutants_of(path: Path) -> Iterator[tuple[Mutant, ast.Module]]:
    """Each mutant of a file, with the changed module; the tree holds the change until the next is asked for."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    module = path.relative_to(PLANNING).with_suffix("").as_posix()
    seen: Counter[tuple[str, ...]] = Counter()
    for function, parent, name, index, node in list(_places(tree)):
        for kind, new in _changes(node):
            texts = _text(parent, node), _text(parent, node, _put(parent, name, index, ast.copy_location(new, node)))
            before, after = _around_the_change(*texts)
            number = seen[function, before, after]
            seen[function, before, after] += 1
            yield (
                Mutant(module=module, function=function, kind=kind, before=before, after=after, number=number),
                ast.fix_missing_locations(tree),
            )
            _put(parent, name, index, node)


def _put(parent: ast.AST, name: str, index: int | None, new: ast.AST) -> ast.AST:
    """Hang a node where another was."""
    if index is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[index] = new
    return new


def _text(parent: ast.AST, node: ast.AST, shown: ast.AST | None = None) -> str:
    """A node's text, or its parent's, since a number or a name alone says nothing."""
    alone = not isinstance(node, ast.Constant | ast.Name | ast.Attribute) or not isinstance(parent, ast.expr | ast.stmt)
    return " ".join(ast.unparse((shown or node) if alone else parent).split())


def _around_the_change(before: str, after: str, most: int = 90) -> tuple[str, str]:
    """Of two long texts what is next to where they differ."""
    same = next((i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    start = max(0, same - most // 2) if max(len(before), len(after)) > most else 0
    return before[start:][:most], after[start:][:most]


def everything() -> list[Mutant]:
    """All there are, in the order of the files."""
    return [mutant for path in sorted(PLANNING.rglob("*.py")) for mutant, _ in mutants_of(path)]


# --- running one


def tests_of(module: str) -> tuple[list[str], list[str]]:
    """Its own tests, and then its room's and those that import it."""
    room, name = module.rsplit("/", 1)
    folder = ROOT / "tests" / "planning"
    own = folder / room / f"test_{name}.py"
    imported = f"planning.{module.replace('/', '.')} import"
    others = [
        str(test.relative_to(ROOT))
        for test in sorted(folder.rglob("test_*.py"))
        if test != own and (test.parent.name == room or imported in test.read_text("utf-8"))
    ]
    return [str(own.relative_to(ROOT))] if own.is_file() else [], others


class _First:
    """A pytest plugin that keeps the name of the first test that fails."""

    name = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = f"{report.nodeid} (import)"


def _child(mutant: Mutant, code: CodeType, tests: Sequence[str], pipe: int) -> None:
    """In a process of its own: import the module changed, run its tests, say who saw it."""
    import hypothesis
    import pytest

    name = "zenplan.planning." + mutant.module.replace("/", ".")
    whole = SourceFileLoader.get_code
    SourceFileLoader.get_code = (  # type: ignore[method-assign]  # the one place that every import goes through
        lambda self, fullname: code if fullname == name else whole(self, fullname)
    )
    hypothesis.settings.register_profile(
        "mutants", database=None, derandomize=True, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
    )
    hypothesis.settings.load_profile("mutants")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    first = _First()
    arguments = [
        "-x",
        "-q",
        "-W",
        "ignore:Module already imported",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-o",
        "addopts=--import-mode=importlib",
    ]
    ended = pytest.main([*arguments, *tests], plugins=[first])
    if ended == pytest.ExitCode.OK:
        os.write(pipe, SURVIVED.encode())
    elif first.name:
        os.write(pipe, first.name.encode())


def _ended(mutant: Mutant, code: CodeType, tests: Sequence[str]) -> str:
    """The test that saw it, or ``SURVIVED``."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
            _child(mutant, code, tests, into)
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out) as pipe:
        told = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return f"no end within {LIMIT_S} s"
    if not told:
        raise RuntimeError(f"the tests did not run: {mutant}")
    return told


def run(mutant: Mutant, tree: ast.Module) -> Mutant:
    """What becomes of one."""
    code = compile(tree, str(PLANNING / f"{mutant.module}.py"), "exec")
    for tests in tests_of(mutant.module):
        if tests and (told := _ended(mutant, code, tests)) != SURVIVED:
            return replace(mutant, outcome=KILLED, told=told)
    return replace(mutant, outcome=SURVIVED)


def ran(wanted: Sequence[Mutant]) -> Iterator[Mutant]:
    """What becomes of each, one process at a time."""
    keys = {mutant.key for mutant in wanted}
    os.chdir(ROOT)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    _prepare()
    for path in sorted(PLANNING.rglob("*.py")):
        for mutant, tree in mutants_of(path):
            if mutant.key in keys:
                yield run(mutant, tree)


def _prepare() -> None:
    """Import here what every child needs, and nothing of what is changed."""
    import hypothesis.strategies
    import msgspec
    import numpy as np
    import pluggy
    import pytest
    import rich.console
    import typer

    del hypothesis, msgspec, np, pluggy, pytest, rich, typer


# --- the table

COLUMNS = ("module", "function", "kind", "before", "after", "number", "outcome", "told")


def read() -> list[Mutant]:
    """The committed table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return [Mutant(**{**row, "number": int(row["number"])}) for row in rows]  # type: ignore[arg-type]  # all text else


def write(rows: Sequence[Mutant]) -> None:
    """The table, with the seed in its first line."""
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# benchmarks/mutants.py --write, seed {SEED}, {len(rows)} drawn\n")
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows([getattr(row, name) for name in COLUMNS] for row in rows)


def share(rows: Sequence[Mutant]) -> float:
    """Of all, what is killed or shown to be equivalent; 0 to 1."""
    return sum(row.outcome != SURVIVED for row in rows) / len(rows)


def with_reasons(rows: Sequence[Mutant], before: Sequence[Mutant]) -> list[Mutant]:
    """Survivors that an earlier table shows to be equivalent are, for the same reason."""
    reasons = {row.key: row for row in before if row.outcome == EQUIVALENT}
    return [reasons.get(row.key, row) if row.outcome == SURVIVED else row for row in rows]


def main() -> None:
    """Print the share, after running what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help="run them and write the table")
    parser.add_argument("--survivors", action="store_true", help="with --write: run only what survived")
    parser.add_argument("--only", metavar="TEXT", help="run those whose row has that text, and print them")
    chosen = parser.parse_args()
    rows = read() if TABLE.exists() else []
    if chosen.only:
        text = chosen.only
        for mutant in ran([m for m in everything() if text in f"{m.module}.{m.function}: {m.before} -> {m.after}"]):
            print(
                f"{mutant.outcome}: {mutant.module}.{mutant.function}: {mutant.before} -> {mutant.after}: {mutant.told}"
            )
        return
    if chosen.write and chosen.survivors:
        again = {row.key: row for row in ran([row for row in rows if row.outcome == SURVIVED])}
        rows = [again.get(row.key, row) for row in rows]
        write(rows)
    elif chosen.write:
        drawn = random.Random(SEED).sample(everything(), DRAWN)  # noqa: S311 (nothing secret)
        drawn = [mutant for mutant in drawn if mutant.before != mutant.after]
        done = []
        for mutant in ran(drawn):
            done.append(mutant)
            print(f"{len(done):3} {mutant.outcome:8} {mutant.module}.{mutant.function}: {mutant.after}", flush=True)
        rows = with_reasons(done, rows)
        write(rows)
    outcomes = Counter(row.outcome for row in rows)
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()), f"of {len(rows)}")
    print(f"killed or equivalent: {share(rows):.1%}")


if __name__ == "__main__":
    main()
