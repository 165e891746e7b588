"""All named models but language models, by family, and what else people call them.

Nothing is imported before somebody asks for a family's models.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Final

from zenplan.families.named import Builder
from zenplan.families.transformer.presets import plain


def _images() -> Mapping[str, Builder]:
    driving = importlib.import_module("zenplan.families.images.bevformer").bevformer_models()
    return {**importlib.import_module("zenplan.families.images.models").models(), **driving}


def _vision() -> Mapping[str, Builder]:
    towers = importlib.import_module("zenplan.families.vision").MODELS
    return {**towers, **importlib.import_module("zenplan.families.contrastive").MODELS}


def _recommenders() -> Mapping[str, Builder]:
    retrieval = importlib.import_module("zenplan.families.retrieval").MODELS
    return {**importlib.import_module("zenplan.families.recommenders").MODELS, **retrieval}


def _diffusion() -> Mapping[str, Builder]:
    joint = importlib.import_module("zenplan.families.joint_diffusion").MODELS
    return {**importlib.import_module("zenplan.families.diffusion").MODELS, **joint}


# Family to its models; the module of one is imported once somebody asks for one of its models.
FAMILIES: Final[Mapping[str, Callable[[], Mapping[str, Builder]]]] = {
    "convnet": _images,
    "recurrent": lambda: importlib.import_module("zenplan.families.recurrent").MODELS,
    "recommender": _recommenders,
    "mlp": lambda: importlib.import_module("zenplan.families.mlp").MODELS,
    "vision transformer": _vision,
    "speech transformer": lambda: importlib.import_module("zenplan.families.speech").MODELS,
    "text classifier": lambda: importlib.import_module("zenplan.families.classifiers").MODELS,
    "diffusion": _diffusion,
    "gnn": lambda: importlib.import_module("zenplan.families.graphs").MODELS,
    "time series": lambda: importlib.import_module("zenplan.families.series").MODELS,
    "protein": lambda: importlib.import_module("zenplan.families.proteins").MODELS,
}

# What publishers and libraries call a model, as names are compared, to its name here; the same name is not in it.
_ALIASES: Final = {
    "inception3": "inceptionv3",
    "gnmtv2": "gnmt",
    "neumf": "ncf",
    "neumfml20m": "ncf",
    # He et al. 2017 and the script of the source: 32 factors, three layers, the users and items of MovieLens-1M.
    "neumfml1m": "ncf:users=6040,items=3706,factors=32",
    "widedeep": "wide-and-deep",
    "maskrcnnr50fpn": "maskrcnn-resnet50-fpn",
    "maskrcnnresnet50": "maskrcnn-resnet50-fpn",
    **dict.fromkeys(("fasterrcnnr50fpn", "fasterrcnnresnet50"), "fasterrcnn-resnet50-fpn"),
    "samvithencoder": "sam-vit-h",
    "stablediffusionvaeencoder": "sd-vae-encoder",
    "dlrmsmall": "dlrm",
    **dict.fromkeys(("alphafold", "alphafold2", "openfold"), "evoformer"),
    **{f"{alias}{size}": f"flux-{size}" for alias in ("flux1", "flux.1") for size in ("dev", "schnell")},
    **{f"stablediffusion{size}": f"sd{size}" for size in ("3medium", "3.5medium", "3.5large")},
    **dict.fromkeys(("retinanetr50fpn", "retinanetresnet50fpn"), "retinanet-resnet50"),
    "3dunet": "unet3d",
    **{f"rtdetrr{depth}vd": f"rtdetr-r{depth}" for depth in (18, 34, 50, 101)},
    **{f"yolov{number}{size}": f"yolo{number}{size}" for number in (11, 12) for size in "nsmlx"},
    **{f"convnext{name[0]}": f"convnext-{name}" for name in ("tiny", "small", "base", "large")},
    # ViT-B/16, as the papers write it; vit_base_patch16_224, as pytorch-image-models does.
    **{
        alias: name
        for short, long, name in (
            ("ti", "tiny", "vit-tiny"),
            ("s", "small", "vit-small"),
            ("b", "base", "vit-base"),
            ("l", "large", "vit-large"),
        )
        for alias in (f"vit{short}16", f"vit{long}16", f"vit{long}patch16", f"vit{long}patch16.224")
    },
    **dict.fromkeys(("vitb32", "vitbase32", "vitbasepatch32", "vitbasepatch32.224"), "vit-base-32"),
    **dict.fromkeys(("vitl32", "vitlarge32", "vitlargepatch32", "vitlargepatch32.224"), "vit-large-32"),
    **dict.fromkeys(("vitl14", "vitlargepatch14", "vitlargepatch14.224"), "vit-large:patch=14"),
    **dict.fromkeys(("vith14", "vithuge14", "vithugepatch14", "vithugepatch14.224"), "vit-huge"),
    **dict.fromkeys(("deitti", "deittinypatch16.224"), "deit-tiny"),
    **dict.fromkeys(("deits", "deitsmallpatch16.224"), "deit-small"),
    **dict.fromkeys(("deitb", "deitbasepatch16.224"), "deit-base"),
    **dict.fromkeys(("swint", "swintinypatch4window7.224"), "swin-tiny"),
    **dict.fromkeys(("swins", "swinsmallpatch4window7.224"), "swin-small"),
    **dict.fromkeys(("swinb", "swinbasepatch4window7.224"), "swin-base"),
    **dict.fromkeys(("swinl", "swinlargepatch4window7.224"), "swin-large"),
    **dict.fromkeys(("clipvitbasepatch32", "clipvitbase32", "openclipvitb32"), "clip-vit-b-32"),
    **dict.fromkeys(("clipvitbasepatch16", "clipvitbase16", "openclipvitb16"), "clip-vit-b-16"),
    **dict.fromkeys(("clipvitlargepatch14", "clipvitlarge14", "openclipvitl14"), "clip-vit-l-14"),
    **dict.fromkeys(("clipvithugepatch14", "clipvithuge14", "openclipvith14"), "clip-vit-h-14"),
}


def names_of(model: str) -> Iterator[str]:
    """What a text can mean by a model's name: of ``NCF (NeuMF)`` and ``NCF/NeuMF`` either can be the one that is known;
    ``DiT-XL/2`` is one name."""
    whole = model.replace("/", "-")
    bare = re.sub(r"\(.*\)", "", whole).strip()
    yield from dict.fromkeys((whole, bare, *re.findall(r"\((.*?)\)", whole), *model.split("/")))


def named_here(name: str) -> str:
    """The name under which a model that has another one is here; else the name itself."""
    return _ALIASES.get(plain(name), name)


@cache
def families_by_name() -> Mapping[str, str]:
    """Each named model, as names are compared, to its family; of a name in two families the first is its own."""
    return {plain(name): family for family in reversed(tuple(FAMILIES)) for name in FAMILIES[family]()}


def family_of(model: str) -> str | None:
    """The family of a named model that is no language model; None where no part that is a name by itself is known."""
    known = families_by_name()
    found = (known.get(plain(named_here(name).partition(":")[0])) for name in names_of(model))
    return next((family for family in found if family), None)
