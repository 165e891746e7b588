"""The floors: who may import whom, read from the source; and what starting the program loads.

An import inside a function, or under ``TYPE_CHECKING``, is an arrow like any other.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "zenplan"
BENCHMARKS = ROOT / "benchmarks"

FLOORS = {
    "version": 1,
    "units": 1,
    "errors": 1,
    "documents": 1,
    "unions": 1,
    "domain": 2,
    "planning": 3,
    "families": 3,
    "worker": 3,
    "hookspecs": 4,
    "protocols": 4,
    "adapters": 5,
    "plugins": 6,
    "backtesting": 7,
    "testing": 7,
    "fitting": 8,
    "commands": 9,
    "__main__": 10,
    "results": 10,
    "arguments": 10,
    "api": 11,
    "api_buy": 11,
    "api_data": 11,
    "api_serve": 11,
    "api_train": 11,
    "api_trained": 11,
    "api_export": 11,
    "api_runs": 11,
    "__init__": 12,
}

# A place to those it may import from. Siblings on one floor are written down only where there is a reason:
# planning and families do not know each other, the physics and the models meet in the commands.
GROUND = {"version", "units", "errors", "documents", "unions"}
NOUNS = GROUND | {"domain"}
PHYSICS = NOUNS | {"planning", "families"}
SEAM = {"hookspecs", "protocols"}
ALLOWED = {
    "version": set[str](),
    "errors": set[str](),
    "units": {"errors"},
    "documents": {"errors", "unions"},
    "unions": {"errors"},
    "domain": NOUNS,
    "planning": NOUNS | {"planning"},
    "families": NOUNS | {"families"},
    "worker": NOUNS | {"worker"},
    "protocols": NOUNS,
    "hookspecs": NOUNS | {"protocols"},
    # What a worker and its parent say to each other, and nothing else of the worker: see the test below.
    "adapters": NOUNS | SEAM | {"families", "adapters", "worker"},
    # zenplan's own items come through the same hooks as anybody's, so the seam stands on what makes them.
    "plugins": PHYSICS | SEAM | {"adapters", "plugins"},
    "backtesting": PHYSICS | SEAM | {"adapters", "plugins", "backtesting"},
    "fitting": PHYSICS | {"adapters", "backtesting", "fitting"},
    # What plugins are tested with: a worker is started as adapters do, and spoken to by its protocol.
    "testing": NOUNS | SEAM | {"adapters", "plugins", "worker", "testing"},
    "commands": PHYSICS | SEAM | {"adapters", "plugins", "backtesting", "commands", "worker"},
    "__main__": {"commands"},
    "results": NOUNS | {"adapters", "commands"},
    "arguments": GROUND | {"adapters"},
    "api": PHYSICS | SEAM | {"adapters", "plugins", "commands", "worker", "results", "arguments"},
    "api_buy": GROUND | {"commands", "results", "arguments"},
    "api_data": GROUND | {"commands", "results", "arguments"},
    "api_serve": GROUND | {"commands", "results", "arguments"},
    "api_train": GROUND | {"commands", "results", "arguments"},
    "api_trained": GROUND | {"commands", "results", "arguments"},
    "api_runs": GROUND | {"commands", "results", "arguments"},
    "api_export": GROUND | {"commands", "results", "arguments"},
    # The public face: names from anywhere, imported when they are used. Nobody inside imports it.
    "__init__": NOUNS
    | SEAM
    | {
        "adapters",
        "arguments",
        "results",
        "api",
        "api_buy",
        "api_data",
        "api_export",
        "api_runs",
        "api_serve",
        "api_train",
        "api_trained",
    },
}

# Everything that is not Python's own, and where it may be imported.
OUTSIDE = {
    # In a worker Keras has imported it already.
    "numpy": ("planning/", "fitting/", "worker/", "adapters/corpus/", "adapters/serving/", "testing/"),
    "safetensors": ("worker/training/", "adapters/files/weights.py"),
    "msgspec": ("documents.py", "unions.py", "worker/", "adapters/", "commands/", "testing/"),
    "pytest": ("testing/",),
    "pyarrow": ("adapters/data/parquet.py",),
    "tokenizers": ("adapters/data/tokenizer.py", "adapters/corpus/bpe.py"),
    "rensa": ("adapters/corpus/minhash.py",),
    "PIL": ("adapters/corpus/images.py",),
    "starlette": ("adapters/serving/",),
    "uvicorn": ("adapters/serving/",),
    "uvloop": ("adapters/serving/",),
    "prometheus_client": ("adapters/serving/",),
    "httpx": ("adapters/http/",),
    "apprise": ("adapters/notify.py",),
    "hishel": ("adapters/http/",),
    "rich": ("adapters/formats.py", "commands/"),
    "typer": ("commands/",),
    "pluggy": ("hookspecs.py",),
    "packaging": ("plugins/sources.py",),
    "mlflow": ("adapters/trackers/services.py",),
    "trackio": ("adapters/trackers/services.py",),
    "wandb": ("adapters/trackers/services.py",),
    "yaml": ("adapters/launchers/parts.py",),
    "pynvml": ("adapters/machine/nvml.py",),
    "platformdirs": ("adapters/", "commands/"),
    "keras": ("worker/",),
    "jax": ("worker/",),
    "torch": ("worker/",),
    "tensorflow": ("worker/",),
    "onnxruntime": ("worker/",),
}

# What nouns and physics may not touch: files, clocks, the environment, the network, other processes.
WORLD = {
    "io",
    "os",
    "pathlib",
    "random",
    "shutil",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
}

BROAD_EXCEPTS = {"plugins/guard.py": "the plugin border", "commands/main.py": "the program's top"}
# A context that can swallow what is raised in it is a broad except too.
BROAD_EXITS = {
    "worker/counting/attempt.py:Attempt": "a layer's call may raise anything where it meets symbolic tensors: it is told",
    "worker/protocol/sending.py:Events": "the worker's top: what ends the job goes to the parent as an event",
}

MOST_LINES_OF_FILE, MOST_LINES_OF_FUNCTION = 500, 50
# What is longer, and why it may be. One that is no longer longer has to be taken out.
LONGER = {
    "commands/buy/command.py:buy": "as calibrate's",
    "commands/serve_cost/command.py:serve_cost": "as calibrate's",
    "commands/calibrate/command.py:calibrate": "Typer reads its own flags from the signature, a line each",
    "commands/compress/command.py:compress": "as calibrate's",
    "api_trained.py:compress": "as api.estimate",
    "commands/explain/command.py:explain": "as calibrate's",
    "commands/federate/command.py:federate": "as calibrate's",
    "commands/launch/command.py:launch": "as calibrate's",
    "commands/serve/command.py:serve": "as calibrate's",
    "api.py:estimate": "the flags of the command are the arguments, and there are two lines for each",
    "api.py:calibrate": "as api.estimate",
    "api_train.py:train": "as api.estimate",
    "api_buy.py:buy": "as api.estimate",
    "api_data.py:prepare_data": "as api.estimate",
    "api_runs.py:launch": "as api.estimate",
    "api_serve.py:serve_cost": "as api.estimate",
}

HEAVY = (
    "pyarrow",
    "tokenizers",
    "rensa",
    "PIL",
    "httpx",
    "hishel",
    "apprise",
    "keras",
    "jax",
    "torch",
    "tensorflow",
    "pynvml",
    "ray",
    "numpy",
    "rich",
    "msgspec",
)


def files() -> list[Path]:
    """zenplan's own. A template of a plugin is another distribution's: ``tests/test_face.py`` says what it may import."""
    return sorted(file for file in PACKAGE.rglob("*.py") if file.relative_to(PACKAGE).parts[0] != "templates")


def within(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_of(file): file for file in files()}


def place(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported(file: Path) -> Iterator[tuple[str, int]]:
    """Full names of what the file imports anywhere in it, with the line; ``importlib`` by literal included."""
    package = module_of(file) if file.name == "__init__.py" else module_of(file).rpartition(".")[0]
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module"):
            name = node.args[0]
            assert isinstance(name, ast.Constant), f"{within(file)}:{node.lineno} imports what cannot be read"
            yield str(name.value), node.lineno


def arrows(file: Path) -> Iterator[tuple[str, int]]:
    """Modules of zenplan that the file imports; a name in a module counts as the module."""
    for name, line in imported(file):
        if name.split(".")[0] == "zenplan":
            known = name if name in modules() else name.rpartition(".")[0]
            yield known or "zenplan", line


def named(file: Path, *names: str) -> bool:
    return any(within(file).startswith(n) if n.endswith("/") else within(file) == n for n in names)


# --- the arrows


def test_every_place_has_a_floor() -> None:
    places = {place(m) for m in modules()}
    assert {"domain", "planning", "adapters", "commands"} <= places
    assert places <= FLOORS.keys()
    assert FLOORS.keys() == ALLOWED.keys()


def test_the_table_has_no_arrow_up() -> None:
    up = [(a, b) for a, allowed in ALLOWED.items() for b in allowed if FLOORS[b] > FLOORS[a]]
    assert up == []


def test_only_allowed_arrows() -> None:
    wrong = [
        f"{within(file)}:{line} imports {module}"
        for module_name, file in modules().items()
        for module, line in arrows(file)
        if place(module) not in ALLOWED[place(module_name)]
    ]
    assert wrong == []


def test_of_the_worker_others_see_its_protocol_alone() -> None:
    """All else of it may import a framework."""
    seen = {
        module
        for name, file in modules().items()
        for module, _ in arrows(file)
        if place(module) == "worker" and place(name) in ("adapters", "commands", "testing")
    }
    assert seen == {"zenplan.worker.protocol"}


def circles(graph: Mapping[str, set[str]]) -> list[str]:
    """Each circle of imports, as text."""
    state: dict[str, int] = {}
    found: list[str] = []

    def visit(module: str, path: tuple[str, ...]) -> None:
        if state.get(module) == 1:
            found.append(" -> ".join((*path[path.index(module) :], module)))
        if module in state:
            return
        state[module] = 1
        for each in sorted(graph.get(module, ())):
            visit(each, (*path, module))
        state[module] = 2

    for module in sorted(graph):
        visit(module, ())
    return found


def test_no_circle_between_files() -> None:
    assert circles({module: {m for m, _ in arrows(file)} for module, file in modules().items()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b -> c -> b"]


def room(module: str) -> str:
    """The folder of a place, with what is below it; a file that lies in the place itself is a room of its own."""
    return ".".join(module_of(modules()[module]).split(".")[:3])


def test_no_circle_between_rooms() -> None:
    graph: dict[str, set[str]] = {}
    for module, file in modules().items():
        graph.setdefault(room(module), set()).update(room(m) for m, _ in arrows(file) if room(m) != room(module))
    assert {"zenplan.domain.model", "zenplan.domain.checks", "zenplan.commands.estimate", "zenplan.api"} <= graph.keys()
    assert circles(graph) == []


def test_no_circle_between_benchmarks() -> None:
    """A benchmark is a script: it may import what lies beside it, by its name and without changing where Python looks."""
    scripts = {file.stem: file for file in BENCHMARKS.glob("*.py")}
    names = {stem: {name.split(".")[0] for name, _ in imported(file)} for stem, file in scripts.items()}
    assert circles({stem: each & scripts.keys() for stem, each in names.items()}) == []
    assert [stem for stem, file in scripts.items() if "sys.path" in file.read_text(encoding="utf-8")] == []


def test_the_reader_of_arrows_sees_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof that the tests above can fail: every spelling of an import is seen."""
    package = tmp_path / "zenplan"
    (package / "domain").mkdir(parents=True)
    file = package / "domain" / "bad.py"
    lines = [
        "import zenplan.commands.shared.output",
        "from zenplan.commands.shared import tables",
        "from zenplan import plugins",
        "from ..plugins import guard",
        "def f():",
        "    import numpy.linalg",
        "if TYPE_CHECKING:",
        "    from rich.table import Table",
        "importlib.import_module('zenplan.worker')",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", package)
    assert [name for name, _ in sorted(imported(file), key=lambda x: x[1])] == [
        "zenplan.commands.shared.output",
        "zenplan.commands.shared.tables",
        "zenplan.plugins",
        "zenplan.plugins.guard",
        "numpy.linalg",
        "rich.table.Table",
        "zenplan.worker",
    ]


# --- what is not ours


def test_outside_packages_stay_in_their_places() -> None:
    wrong = []
    for file in files():
        for name, line in imported(file):
            top = name.split(".")[0]
            if top in sys.stdlib_module_names or top == "zenplan" or named(file, *OUTSIDE.get(top, ())):
                continue
            wrong.append(f"{within(file)}:{line} imports {top}")
    assert wrong == []


# Distributions whose module has another name.
MODULES = {
    "nvidia-ml-py": "pynvml",
    "pillow": "PIL",
    "prometheus-client": "prometheus_client",
    "pyyaml": "yaml",
    "tensorflow-cpu": "tensorflow",
}


def dependencies(*extras: str) -> set[str]:
    """Modules that pyproject.toml states: zenplan's own, and those of its ``extras``, or of all of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in extras or optional for line in optional[extra])]
    stated = {re.split(r"[\[<>=; ]", line, maxsplit=1)[0] for line in lines}
    return {MODULES.get(name, name) for name in stated}


def test_what_is_imported_is_a_dependency() -> None:
    assert set(OUTSIDE) - dependencies() == set()


def test_what_a_test_imports_at_its_top_is_installed_with_the_tests() -> None:
    known = sys.stdlib_module_names | dependencies("dev") | {"zenplan", "tests"}
    wrong = []
    # Not what a test starts as a process, where it finds the framework installed.
    collected = [file for name in ("test_*.py", "conftest.py") for file in (ROOT / "tests").rglob(name)]
    for file in sorted(collected):
        for node in tree(file).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            wrong += [f"{file.name}:{node.lineno} imports {name}" for name in names if name.split(".")[0] not in known]
    assert wrong == []


def test_nouns_and_physics_touch_nothing_of_the_world() -> None:
    wrong = []
    for file in files():
        if not named(file, "domain/", "planning/", "families/", "units.py", "errors.py"):
            continue
        wrong += [f"{within(file)}:{line} imports {n}" for n, line in imported(file) if n.split(".")[0] in WORLD]
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and re.search(
                r"(^|\.)(open|now|today|getenv|input)$", ast.unparse(node.func)
            ):
                wrong.append(f"{within(file)}:{node.lineno} calls {ast.unparse(node.func)}")
    assert wrong == []


def test_the_fit_writes_nothing() -> None:
    """It reads tables and answers with nouns; scripts in ``benchmarks/`` print them and write them down."""
    written = re.compile(r"(^|\.)(open|write|write_text|write_bytes|writerows?|dump|print)$")
    wrong = []
    for file in files():
        if named(file, "fitting/"):
            calls = [node for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
            wrong += [f"{within(file)}:{c.lineno}" for c in calls if written.search(ast.unparse(c.func))]
    assert wrong == []


def test_data_has_no_code() -> None:
    assert list((PACKAGE / "data").rglob("*.py")) == []


# --- habits


def test_print_is_only_in_the_command_line() -> None:
    wrong = []
    for file in files():
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "typer.echo", "sys.stdout.write"):
                wrong += [] if named(file, "commands/") else [f"{within(file)}:{node.lineno}"]
    assert wrong == []


def broad_excepts(file: Path) -> Iterator[int]:
    broad = {"Exception", "BaseException"}
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(c is None or ast.unparse(c) in broad for c in caught):
                yield node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            yield from (node.lineno for argument in node.args if ast.unparse(argument) in broad)


def test_two_broad_excepts_and_no_more() -> None:
    found = [within(file) for file in files() for _ in broad_excepts(file)]
    assert sorted(found) == sorted(BROAD_EXCEPTS)


def swallowing(file: Path) -> Iterator[str]:
    """Classes whose ``__exit__`` can return something true: any value is taken for one that is not written as false."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ClassDef):
            exits = [
                f
                for f in node.body
                if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) and f.name in ("__exit__", "__aexit__")
            ]
            returned = [r.value for f in exits for r in ast.walk(f) if isinstance(r, ast.Return) and r.value]
            if any(not isinstance(v, ast.Constant) or v.value for v in returned):
                yield node.name


def test_contexts_that_swallow_exceptions_are_known() -> None:
    found = {f"{within(file)}:{name}" for file in files() for name in swallowing(file)}
    assert found == BROAD_EXITS.keys()


def test_a_context_that_swallows_exceptions_would_be_seen(tmp_path: Path) -> None:
    """The proof that the test above can fail: a constant and a computed value are seen, what is false is not."""
    file = tmp_path / "contexts.py"
    kinds = {
        "Always": "return True",
        "Maybe": "return kind is ValueError",
        "Never": "return False",
        "Silent": "pass",
        "Bare": "return",
    }
    bodies = [f"class {name}:\n    def __exit__(self, kind, *more):\n        {body}\n" for name, body in kinds.items()]
    file.write_text("".join(bodies), encoding="utf-8")
    assert list(swallowing(file)) == ["Always", "Maybe"]


def test_files_are_short() -> None:
    lengths = {within(f): len(f.read_text(encoding="utf-8").splitlines()) for f in files()}
    long = {name for name, lines in lengths.items() if lines > MOST_LINES_OF_FILE}
    assert long == {name for name in LONGER if ":" not in name}


def test_functions_are_short() -> None:
    long = set()
    for file in files():
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                long |= {f"{within(file)}:{node.name}"} if lines > MOST_LINES_OF_FUNCTION else set()
    assert long == {name for name in LONGER if ":" in name}


def test_every_python_file_says_what_it_is() -> None:
    ours = [f for part in ("zenplan", "plugins", "benchmarks") for f in (ROOT / part).rglob("*.py")]
    ours = [f for f in ours if not {"build", ".venv", "dist", "tests"} & set(f.relative_to(ROOT).parts)]
    assert [str(f.relative_to(ROOT)) for f in ours if not ast.get_docstring(tree(f))] == []


# --- what starting loads

_LOADED = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
_COMMANDS = "import zenplan.commands.app"
_PYTHON_API = "import zenplan; assert callable(zenplan.count_flop); assert zenplan.Offer; assert zenplan.Answer"
_HELP = "from zenplan.commands.main import run; assert run(['--help']) == 0"
_CONFIG = "from zenplan.commands.main import run; assert run(['config', '--format', 'json']) == 0"
_ESTIMATE = "from zenplan.commands.main import run; assert run(['estimate', '--params', '1e9', '--format', '{}']) == 0"


def loaded(code: str, *paths: Path) -> set[str]:
    """Which of the heavy modules a fresh interpreter has after that code."""
    program = f"{''.join(f'import sys; sys.path.insert(0, {str(p)!r}); ' for p in paths)}{code}; {_LOADED}"
    with tempfile.TemporaryDirectory() as home:
        # What was measured, fetched or set on this machine would have to be read.
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ZENPLAN_"))}
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            cwd=ROOT,
            env={**environ, "HOME": home},
        )
    return set(json.loads(done.stdout.splitlines()[-1])) & set(HEAVY)


@pytest.mark.parametrize("code", [_PYTHON_API, _COMMANDS, _HELP], ids=["api", "commands", "help"])
def test_starting_loads_nothing_heavy(code: str) -> None:
    assert loaded(code) == set()


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        (_CONFIG, {"msgspec"}),
        (_ESTIMATE.format("json"), {"msgspec", "numpy"}),
        (_ESTIMATE.format("csv"), {"numpy"}),
        (_ESTIMATE.format("table"), {"numpy", "rich"}),
    ],
    ids=["config in JSON", "estimate in JSON", "estimate in CSV", "estimate for people"],
)
def test_a_command_loads_what_its_answer_needs(code: str, needed: set[str]) -> None:
    """JSON is written with msgspec, and nothing else is; a table is drawn with rich."""
    assert loaded(code) == needed


@pytest.mark.parametrize("name", HEAVY)
def test_a_heavy_import_would_be_seen(name: str, tmp_path: Path) -> None:
    """The proof that the test above can fail, with a fake of each."""
    (tmp_path / f"{name}.py").write_text("", encoding="utf-8")
    assert loaded(f"import {name}; {_COMMANDS}", tmp_path) == {name}
