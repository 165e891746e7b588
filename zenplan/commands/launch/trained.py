"""What is trained: the request file of ``zenplan train``, and how its paths are called on the nodes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.corpus.sources import PYTHON
from zenplan.adapters.files.regular_file import read_text
from zenplan.adapters.workers.process import BACKENDS
from zenplan.commands.launch.package import Package
from zenplan.commands.shared.options import parsed
from zenplan.commands.shared.request_file import read_request
from zenplan.commands.train.flags import parsed_train, read_train_table
from zenplan.commands.train.kinds import is_kind, kind_of
from zenplan.commands.train.search.table import has_search
from zenplan.errors import UnknownName, UsageError
from zenplan.protocols import Engine
from zenplan.units import digits_of

# As the command names it, in the folder of the job's files.
RUN: Final = "run.toml"
# Kubernetes keeps it in a ConfigMap, of 1 MiB in all.
_MOST_BYTES: Final = 500_000
_JAX: Final = {"NVIDIA": "jax[cuda12]", "Google": "jax[tpu]"}
_TOGETHER: Final = ("workers", "devices", "tensor_parallel", "zero")
_HINT: Final = "'zenplan train init decoder run.toml' writes one; --train names another"


def whole_path(path: Path) -> Path:
    """From the root, links as they are."""
    return Path(os.path.normpath(path.absolute()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A request file.

    Attributes:
        path: of it; text: that it has.
        given: the flags in it, as texts and paths; model among them.
        backend: the engine's name.
        batch: samples of a step; None for the model's own.
        max_usd, max_hours: of the file; usd_per_hour: of one machine.
        together: what it says of workers and devices, by flag.
        data_there: the data, as nodes call them; empty where they are those of the file.
    """

    path: Path
    text: str
    given: Mapping[str, Any]
    backend: str
    batch: int | None
    max_usd: float | None
    max_hours: float | None
    usd_per_hour: float | None
    together: Mapping[str, Any]
    data_there: str = ""

    def moved(self, shared: str) -> tuple[str, ...]:
        """The flags that name its files as the nodes do: those below its folder are below ``shared``; with none, nodes see
        this machine's folders."""
        data = ("--data", self.data_there) if self.data_there else ()
        return (*data, *(word for name, path in self.paths() for word in (name, self.there(path, shared))))

    def paths(self) -> Iterator[tuple[str, Path]]:
        """Flags that name files of this machine, with what they name."""
        for name, value in self.given.items():
            if name == "data" and self.data_there:
                continue
            flag = f"--{name.replace('_', '-')}"
            if isinstance(value, Path):
                yield flag, value
            elif name == "model" and str(value).endswith(".keras"):
                yield flag, Path(value)

    def there(self, path: Path, shared: str) -> str:
        """What nodes call it."""
        if path.name == PYTHON and not path.exists():
            return PYTHON
        whole, folder = whole_path(path), whole_path(self.path.parent)
        if not shared or not whole.is_relative_to(folder):
            return str(whole)
        return str(Path(shared) / whole.relative_to(folder))

    def requirements(self, engine: Engine, vendor: str, package: Package) -> tuple[str, ...]:
        """What pip installs for it: zenplan and its engine.

        Args:
            engine: that trains.
            vendor: of the devices; empty for processors.
            package: of zenplan.
        """
        if engine.name not in BACKENDS:
            return (package.requirement("train"), engine.extra)
        found = (package.requirement(f"train,{engine.name}"),)
        # Of itself JAX installs its processors' half alone.
        jax = _JAX.get(vendor) if engine.name == "jax" else None
        return (*found, jax) if jax else found

    def number(self, name: str, most: int) -> int | None:
        """The whole number of that flag, from 1 to ``most``; None where it has none."""
        return digits_of(str(self.given.get(name) or ""), most)

    def notes(self) -> Iterator[str]:
        """What has to be on the nodes beside it."""
        model = str(self.given.get("model") or "")
        if ":" in model:
            yield f"the code of {model} has to be importable on every node"


def read_trained(path: Path, engines: Sequence[Engine], data: str = "") -> tuple[Trained, Engine]:
    """The request file, and the engine that it names.

    Args:
        path: of it.
        engines: that there are.
        data: as ``data_there``.

    Raises:
        InputFileError: it cannot be read; UsageError: it is no run, or several, or nodes could not find the data.
    """
    if data and not data.startswith("/"):
        raise UsageError(f"--data {data} is no path that nodes could find", "an absolute one, as in /shared/corpus")
    text = read_text(path, f"the request file {str(path)!r}", _MOST_BYTES, _HINT)
    table = read_train_table(path)
    request = read_request(path)
    if has_search(path):
        raise UsageError(f"{path} asks for several runs, and a launch is of one", "leave [search] out")
    if not table:
        raise UsageError(f"{path} has no [train]: it says nothing to train", _HINT)
    preparing = read_request(path, preparing=True)
    strange = [name for name, value in preparing.items() if isinstance(value, Path) and name not in request]
    if strange:
        raise UsageError(
            f"{path}: {strange[0]} says how data are prepared, on every node anew",
            f"prepare them once: zenplan data prepare --request {shlex.quote(str(path))} --out corpus",
        )
    engine = _engine(path, table.get("backend"), engines)
    known = parsed_train(table)
    model = str(table.get("model") or request.get("keras") or "")
    if model and is_kind(model):
        kind_of(model)
    values = parsed(request)
    found = Trained(
        path=path,
        text=text,
        given={**request, **table},
        backend=engine.name,
        batch=values.get("batch"),
        max_usd=known.get("max_usd"),
        max_hours=known.get("max_hours"),
        usd_per_hour=values.get("usd_per_h"),
        together={name: known[name] for name in _TOGETHER if name in known},
        data_there=data,
    )
    return found, engine


def _engine(path: Path, name: object, engines: Sequence[Engine]) -> Engine:
    """The one that a request file names."""
    if not name:
        raise UsageError(f"{path} says no backend, and the nodes need one", 'as in: [train] and backend = "torch"')
    found = next((each for each in engines if each.name == name), None)
    if found is None:
        raise UnknownName("backend", str(name), (each.name for each in engines))
    return found
