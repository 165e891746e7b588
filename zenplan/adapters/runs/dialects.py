"""Published tables that write a run in columns of their own, under the project's names.

Keras' benchmark page has milliseconds a step by backend; MLPerf Training's results have the samples a second that all
devices logged together. What either does not print and is known of all its rows is filled in here, and told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from zenplan.adapters.runs.cells import accelerator_of, known, number, short
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.errors import Skipped

# A row that has one of the project's own is no dialect.
_OURS: Final = ("tokens_per_s_per_device", "samples_per_s_per_device")
KERAS: Final = "ms_per_step"
MLPERF: Final = "logged_throughput"


class _Model(NamedTuple):
    """What zenplan calls a model that a table names its own way.

    Attributes:
        framework: of MLPerf, which of a submitter's frameworks it is written in.
        fp8: of MLPerf, submitted in fp8 where the device has it for training.
    """

    model: str
    family: str
    unit: str = ""
    seq_len: str = ""
    task: str = ""
    framework: str = ""
    fp8: bool = False

    def cells(self) -> dict[str, str]:
        """The cells that say what is trained."""
        return {
            "model": self.model,
            "family": self.family,
            "unit": self.unit,
            "seq_len": self.seq_len,
            "task": self.task,
        }


# The models of keras-team/keras-io, templates/getting_started/benchmarks.md, as their rows train them.
_KERAS_MODELS: Final = {
    "SegmentAnything": _Model("SAM ViT-H encoder", "vision transformer", "images"),
    "StableDiffusion": _Model("Stable Diffusion VAE encoder", "diffusion", "images"),
    "BERT": _Model("BERT-base", "transformer"),
    "Gemma-7B": _Model("Gemma-7B", "decoder"),
    "Mistral-7B": _Model("Mistral-7B", "decoder"),
}
_BACKENDS: Final = {
    "native-pytorch-eager": "PyTorch eager",
    "native-pytorch-compiled": "PyTorch torch.compile",
    "keras2-tensorflow": "Keras 2 TensorFlow",
    "keras3-tensorflow": "Keras 3 TensorFlow",
    "keras3-jax": "Keras 3 JAX",
    "keras3-torch-eager": "Keras 3 PyTorch eager",
}
# The page names the machine after the device.
_MACHINE: Final = re.compile(r"\s*\(GCE [\w-]+\)$")
_LENGTH: Final = re.compile(r"\bseq(\d{1,8})\b")

# Before it took the name "ssd" over, that was SSD300. It logs the speed of one device, all others that of all.
_RETINANET: Final = _Model("retinanet-resnext50", "convnet", "images", framework="pytorch")
_SSD300: Final = _Model("ssd300-resnet34", "convnet", "images", framework="pytorch")
_SSD300_UNTIL: Final = ("v0.5", "v0.6", "v0.7", "v1.0", "v1.1")
_MLPERF_MODELS: Final = {
    "resnet": _Model("resnet50-v1.5", "convnet", "images", framework="mxnet"),
    "unet3d": _Model("unet3d", "convnet", "samples", framework="mxnet"),
    "maskrcnn": _Model("maskrcnn-resnet50-fpn", "convnet", "images", framework="pytorch"),
    "ssd": _RETINANET,
    "rnnt": _Model("rnn-t", "recurrent", "samples", framework="pytorch"),
    "dlrm": _Model("dlrm-mlperf", "recommender", "samples", framework="hugectr"),
    "dlrm_dcnv2": _Model("dlrm-dcnv2", "recommender", "samples", framework="hugectr"),
    "gnn": _Model("rgat", "gnn", "samples", framework="pytorch"),
    "stable_diffusion": _Model("stable-diffusion-2", "diffusion", "images", framework="nemo"),
    "bert": _Model("bert-large", "encoder", seq_len="512", task="pretrain", framework="pytorch", fp8=True),
    "gpt3": _Model("gpt3-175b", "decoder", seq_len="2048", task="pretrain", framework="nemo", fp8=True),
    "llama2_70b_lora": _Model("llama2-70b", "decoder", seq_len="8192", task="lora", framework="nemo", fp8=True),
}
_IN_FP8: Final = ("Hopper", "Blackwell", "Blackwell Ultra")
_LISTED: Final = re.compile(r"\s*[,;/]\s*|\s+and\s+")


class Translated(NamedTuple):
    """A row under the project's columns.

    Attributes:
        cells: text by column. figures: what was worked out, by column; it comes before what a cell says.
        assumed: what was taken that the table does not print.
    """

    cells: Mapping[str, str]
    figures: Mapping[str, float] = {}
    assumed: tuple[str, ...] = ()


def in_our_words(cells: Mapping[str, str], catalogue: Catalogue) -> Translated:
    """The row under the project's columns; one that is in no dialect as it is.

    Args:
        cells: text by column, as the table has them.
        catalogue: the accelerators that a row may name.

    Raises:
        Skipped: it is no training, has no speed, no built-in model is that of the row, a cell is no figure, or no
            accelerator has that name.
    """
    if cells.keys().isdisjoint(_OURS):
        if KERAS in cells:
            return _keras(cells, catalogue)
        if MLPERF in cells:
            return _mlperf(cells, catalogue)
    return Translated(cells)


def _keras(cells: Mapping[str, str], catalogue: Catalogue) -> Translated:
    """A row of milliseconds a step, of one device."""
    name, backend, what = (cells.get(column, "") for column in ("model", "backend", "input"))
    task, jit = cells.get("task", ""), cells.get("jit", "").lower()
    if task.lower() != "train":
        raise Skipped(f"task {short(task)} is no training" if task else "task is empty")
    found = _KERAS_MODELS.get(name)
    if found is None:
        raise Skipped(f"no built-in model is the {short(name)} of Keras' benchmark page")
    step_ms, batch = _figure(cells, KERAS), _figure(cells, "batch")
    accelerator, form = accelerator_of({"gpu": _MACHINE.sub("", cells.get("gpu", ""))}, catalogue)
    framework, length = _BACKENDS.get(backend, backend), _LENGTH.search(what)
    precision, assumed = _multiplied(cells.get("precision", ""), found, framework, accelerator)
    ours = found.cells() | {
        "input": what.split(";")[0],
        "seq_len": length[1] if length else "",
        "task": _method(what),
        "accelerator": accelerator.name,
        "devices": "1",
        "node_devices": "1",
        "precision": precision,
        "framework": framework,
        "compiled": "no" if "eager" in jit else "yes" if jit else "",
    }
    figures = {"global_batch": batch, "micro_batch": batch, "samples_per_s_per_device": 1e3 * batch / step_ms}
    return Translated({**cells, **ours}, figures, (*form, *assumed))


def _figure(cells: Mapping[str, str], column: str) -> float:
    """A cell that must have a figure."""
    text = known(column, cells.get(column, ""))
    if not text:
        raise Skipped(f"{column} is empty")
    return number(column, text)


def _method(what: str) -> str:
    """What of the model is trained, from the page's words on its input: ``LoRA rank 4``, ``2-class``."""
    return "lora" if "lora" in what.lower() else "sft" if "-class" in what else "pretrain"


def _multiplied(precision: str, found: _Model, framework: str, accelerator: Accelerator) -> tuple[str, tuple[str, ...]]:
    """In which precision float32 is multiplied: TensorFlow and JAX do it in TF32, PyTorch only in convolutions."""
    if precision != "float32" or accelerator.peak("tf32") is None:
        return precision, ()
    if framework.endswith(("TensorFlow", "JAX")):
        return "tf32", ("precision is float32: tf32, the default of TensorFlow and JAX",)
    if found.family == "diffusion":
        return "tf32", ("precision is float32: tf32, PyTorch's default of convolutions",)
    return precision, ()


def _mlperf(cells: Mapping[str, str], catalogue: Catalogue) -> Translated:
    """A row of the samples a second of all devices."""
    if not known(MLPERF, cells[MLPERF]):
        raise Skipped(
            "no logged throughput; minutes to a target are not a speed: python benchmarks/mlperf.py scores them"
        )
    name, version = cells.get("benchmark", ""), cells.get("version", "")
    found = _SSD300 if name == "ssd" and version in _SSD300_UNTIL else _MLPERF_MODELS.get(name)
    if found is None:
        raise Skipped(f"no built-in model is MLPerf's {short(name)}")
    accelerator, form = accelerator_of(cells, catalogue)
    precision, speed = _submitted(accelerator, found), _figure(cells, MLPERF)
    assumed = [*form, f"precision is not printed: {precision}, usual for {name} on {accelerator.name}"]
    if found is _RETINANET:
        assumed.append("the logged throughput of RetinaNet is that of one device")
    else:
        speed /= _figure(cells, "n_gpus")
    # GPT-3 counts its tokens.
    column = "tokens_per_s_per_device" if name == "gpt3" else "samples_per_s_per_device"
    ours = found.cells() | {
        "accelerator": accelerator.name,
        "nodes": cells.get("n_nodes", ""),
        "precision": precision,
        "framework": _framework(cells.get("framework", ""), found.framework),
        "source": cells.get("source") or f"mlcommons/training_results_{version}",
    }
    return Translated({**cells, **ours}, {column: speed}, tuple(assumed))


def _submitted(accelerator: Accelerator, found: _Model) -> str:
    """The precision that submissions have: results do not print it."""
    if accelerator.vendor != "NVIDIA":
        return "bf16"
    return "fp8" if found.fp8 and accelerator.architecture in _IN_FP8 else "fp16"


def _framework(text: str, written_in: str) -> str:
    """Of a list of all that a submitter has, the framework of that benchmark; empty where it is not in the list."""
    listed = _LISTED.split(text)
    if len(listed) == 1:
        return text
    return next((part.strip() for part in listed if written_in in part.lower()), "")
