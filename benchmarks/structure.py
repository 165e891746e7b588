"""The shape of the house: how long, how entangled and how much written by hand the package is.

    python benchmarks/structure.py                  of the working tree
    python benchmarks/structure.py --compare REV    and of a git revision beside it, without a checkout
    python benchmarks/structure.py --longest        also the longest files and functions by name

How it is counted:

* A function is as long as from its ``def`` to its last line. Importers of a file are the other files of the package.
* An arrow is a pair of rooms of which one imports the other, anywhere in a file: a function, or under
  ``TYPE_CHECKING``. Between places: ``zenplan/X`` to ``zenplan/Y``. Inside a place each folder of it is a room, with what
  is below; a file that lies in the place itself is a room of its own.
* JSON fields written by hand are string keys in dict displays, and in ``x["key"] = ...``, inside functions of the files
  that make documents: those called ``document``, ``report``, ``reports`` or ``protocol``, also as a part of the name
  (``count_document``) or as a folder.
* Mutants are those of ``benchmarks/measured/mutants.csv``.
"""

from __future__ import annotations

import argparse
import ast
import csv
import io
import re
import subprocess
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from statistics import median

ROOT = Path(__file__).parents[1]
PACKAGE = "zenplan"
MUTANTS = "benchmarks/measured/mutants.csv"
MAX_FUNCTION = 50
_SKIP = re.compile(r"#\s*fmt:\s*(?:skip|off)\b")
_DOCUMENTS = re.compile(r"(?:^|[/_])(?:documents?|reports?|protocol)(?:$|[/_])")
_SHOWN = 5

# Path in the repository to text.
Files = Mapping[str, str]


def working_tree() -> Files:
    """What lies in the checkout."""
    found = [*(ROOT / PACKAGE).rglob("*.py"), ROOT / MUTANTS]
    return {f.relative_to(ROOT).as_posix(): f.read_text(encoding="utf-8") for f in sorted(found) if f.is_file()}


def revision(name: str) -> Files:
    """The same of a git revision."""
    command = ["git", "-C", str(ROOT), "archive", name, PACKAGE, "benchmarks"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode().strip())
    files = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            wanted = member.name.startswith(f"{PACKAGE}/") and member.name.endswith(".py")
            if member.isfile() and (wanted or member.name == MUTANTS) and (file := archive.extractfile(member)):
                files[member.name] = file.read().decode()
    return files


# --- who imports whom


def module_of(path: str) -> str:
    """``zenplan/domain/range.py`` as ``zenplan.domain.range``; a package is called as its folder."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: str, tree: ast.Module) -> Iterator[str]:
    """Full names of what a file imports, each with what is taken from it."""
    module = module_of(path)
    package = module if path.endswith("/__init__.py") else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [base])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def arrows(trees: Mapping[str, ast.Module]) -> set[tuple[str, str]]:
    """Pairs of files, the importing one first; a name in a module counts as the module."""
    paths = {module_of(path): path for path in trees}
    found = set()
    for path, tree in trees.items():
        for name in imports(path, tree):
            target = paths.get(name) or paths.get(name.rpartition(".")[0])
            if target and target != path:
                found.add((path, target))
    return found


def place(path: str) -> str:
    """The first name below the package."""
    return PurePosixPath(path).with_suffix("").parts[1]


def room(path: str) -> str:
    """The folder of a place, with what is below it; a file in the place itself is a room."""
    return "/".join(PurePosixPath(path).with_suffix("").parts[1:3])


# --- the figures


def functions(trees: Mapping[str, ast.Module]) -> dict[str, int]:
    """Lines of each function, by file and name."""
    found = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[f"{path}:{node.name}:{node.lineno}"] = (node.end_lineno or node.lineno) - node.lineno + 1
    return found


def json_fields(path: str, tree: ast.Module) -> int:
    """String keys that the functions of a file write; none where the file makes no document."""
    if not _DOCUMENTS.search(path.removesuffix(".py")):
        return 0
    within = {
        id(node): node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    return sum(map(_keys, within.values()))


def _keys(node: ast.AST) -> int:
    if isinstance(node, ast.Dict):
        return sum(map(_is_text, node.keys))
    return int(isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _is_text(node.slice))


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def mutants(table: str | None) -> str:
    """Share of mutants that tests see, and of those that change no answer."""
    rows = list(csv.DictReader(line for line in (table or "").splitlines() if not line.startswith("#")))
    outcomes = [row.get("outcome") or "" for row in rows]
    if not any(outcomes):
        return "not measured"
    killed, equivalent = (outcomes.count(kind) / len(rows) for kind in ("killed", "equivalent"))
    return f"{killed:.0%} killed, {equivalent:.0%} equivalent, of {len(rows)}"


def figures(files: Files) -> dict[str, str]:
    """Name of each figure, and the figure."""
    texts = {path: text for path, text in files.items() if path.endswith(".py")}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    lines = [len(text.splitlines()) for text in texts.values()]
    skips = [len(_SKIP.findall(text)) for text in texts.values()]
    fields = [json_fields(path, tree) for path, tree in trees.items()]
    pairs = arrows(trees)
    importers = defaultdict(set)
    for path, target in pairs:
        importers[target].add(path)
    between = {(place(a), place(b)) for a, b in pairs if place(a) != place(b)}
    inside = defaultdict(set)
    for a, b in pairs:
        if place(a) == place(b) and room(a) != room(b):
            inside[place(a)].add((room(a), room(b)))
    found = {
        "files": f"{len(texts):,}",
        "lines": f"{sum(lines):,}",
        "lines of a file: median, longest": f"{median(lines):.0f}, {max(lines)}",
        f"functions over {MAX_FUNCTION} lines": str(sum(n > MAX_FUNCTION for n in functions(trees).values())),
        "files with one importer": str(sum(len(who) == 1 for who in importers.values())),
        "skips of the formatter": f"{sum(skips)} in {sum(map(bool, skips))} files" if any(skips) else "0",
        "JSON fields written by hand": f"{sum(fields)} in {sum(map(bool, fields))} files" if any(fields) else "0",
        "mutants": mutants(files.get(MUTANTS)),
        "arrows between places": str(len(between)),
    }
    return found | {f"arrows inside {name}": str(len(inside[name])) for name in sorted(inside)}


def table(columns: Mapping[str, Mapping[str, str]]) -> str:
    """Figures side by side, as markdown; what one of them does not have is a dash."""
    names = dict.fromkeys(name for column in columns.values() for name in column)
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    lines += [f"| {name} | {' | '.join(column.get(name, '–') for column in columns.values())} |" for name in names]
    return "\n".join(lines)


def longest(files: Files) -> str:
    """The longest files and functions."""
    texts = {path: text for path, text in files.items() if path.endswith(".py")}
    by_file = {path: len(text.splitlines()) for path, text in texts.items()}
    by_function = functions({path: ast.parse(text) for path, text in texts.items()})
    rows = [sorted(each.items(), key=lambda item: -item[1])[:_SHOWN] for each in (by_file, by_function)]
    return "\n".join(f"{lines:5d}  {name}" for each in rows for name, lines in each)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", metavar="REV", help="a git revision, shown beside")
    parser.add_argument("--longest", action="store_true", help="the longest files and functions")
    arguments = parser.parse_args()
    now = working_tree()
    columns = {arguments.compare: figures(revision(arguments.compare))} if arguments.compare else {}
    print(table(columns | {"now": figures(now)}))
    if arguments.longest:
        print(f"\n{longest(now)}")


if __name__ == "__main__":
    main()
