"""What a measured run trained where it was no language transformer: a built-in model by its name, or one of its FLOP."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

from zenplan import units
from zenplan.domain.model.workload import Workload
from zenplan.errors import Skipped
from zenplan.families.images.summary import ACTIVATIONS, summary
from zenplan.families.transformer.family import TransformerFamily
from zenplan.families.transformer.presets import plain
from zenplan.plugins.builtin import zenplan_workloads
from zenplan.protocols import WorkloadFamily

# What publishers call a model to what ``zenplan workloads`` does, as names are compared; the same name is not here.
_PUBLISHED: Final = {
    "inception3": "inceptionv3",
    "gnmtv2": "gnmt",
    "neumf": "ncf",
    "neumfml20m": "ncf",
    # He et al. 2017 and the script of the source: 32 factors, three layers, the users and items of MovieLens-1M.
    "neumfml1m": "ncf:users=6040,items=3706,factors=32",
    "widedeep": "wide-and-deep",
    "maskrcnnr50fpn": "maskrcnn-resnet50-fpn",
    "samvithencoder": "sam-vit-h",
    "stablediffusionvaeencoder": "sd-vae-encoder",
    "dlrmsmall": "dlrm",
}
# A network that has two ways to stride is told by its FLOP.
_VARIANTS: Final = ("", "-v1.5")
# Beyond this share two counts of FLOP are of two models.
_SAME_MODEL: Final = 0.25
# Their models take the size of an image.
_IMAGES: Final = ("convnet", "vision transformer")


class _Model(NamedTuple):
    """The cells of a row that say what is trained."""

    family: str
    model: str
    params: str
    flop_per_sample: str
    activations_per_sample: str
    image_size: str


def named_workload(row: Mapping[str, str]) -> Workload:
    """The workload of a row of a family of ``run_shapes.BY_NAME``. Rows of one model share it.

    Raises:
        Skipped: no built-in model has that name, and FLOP and parameters are not both there; or the model of that
            name has other FLOP, or counts its samples in something else than the row does.
    """
    workload = _workload(_Model(*(row.get(name, "") for name in _Model._fields)))
    unit = row.get("unit", "")
    if row["tokens_per_s_per_device"] and unit and workload.unit != unit:
        raise Skipped(f"measured in {unit} a second, and {workload.name} counts {workload.unit}")
    return workload


@cache
def _workload(cells: _Model) -> Workload:
    flop = float(cells.flop_per_sample) if cells.flop_per_sample else None
    named = list(_by_name(cells))
    if not named:
        return _of_counts(cells, flop)
    if flop is None:
        return named[0]
    nearest = min(named, key=lambda w: abs(w.flop_per_sample / flop - 1.0))
    if abs(nearest.flop_per_sample / flop - 1.0) > _SAME_MODEL:
        raise Skipped(
            f"flop_per_sample of {units.count(flop)}, but {nearest.name} has {units.count(nearest.flop_per_sample)}"
        )
    return nearest


def _of_counts(cells: _Model, flop: float | None) -> Workload:
    """A model of the usual form of its family that has the row's FLOP, activations and parameters."""
    known = cells.family in ACTIVATIONS
    if not known or flop is None or not cells.params:
        lacking = ", and flop_per_sample or params is empty" if known else ""
        raise Skipped(f"family {cells.family}: no built-in model has the name {cells.model}{lacking}")
    activations = float(cells.activations_per_sample) if cells.activations_per_sample else None
    return summary(flop, activations, float(cells.params), cells.family, cells.model)


def _by_name(cells: _Model) -> Iterator[Workload]:
    """The built-in models that the row's name can mean."""
    size = {"image_size": int(cells.image_size)} if cells.image_size and cells.family in _IMAGES else {}
    for name in _names(cells.model):
        published, colon, changes = _PUBLISHED.get(plain(name), name).partition(":")
        for variant in _VARIANTS:
            family = _families().get(plain(published + variant))
            if family is not None:
                yield family.lower({"model": f"{published}{variant}{colon}{changes}", **size})


def _names(model: str) -> Iterator[str]:
    """Of ``NCF (NeuMF)`` and ``NCF/NeuMF`` either can be the one that is built in; ``DiT-XL/2`` is one name."""
    whole = model.replace("/", "-")
    bare = re.sub(r"\(.*\)", "", whole).strip()
    yield from dict.fromkeys((whole, bare, *re.findall(r"\((.*?)\)", whole), *model.split("/")))


@cache
def _families() -> dict[str, WorkloadFamily]:
    """Each built-in model's name, as names are compared, to its family; language models have a way of their own."""
    named = [family for family in zenplan_workloads() if not isinstance(family, TransformerFamily)]
    return {plain(name): family for family in reversed(named) for name in family.presets()}
