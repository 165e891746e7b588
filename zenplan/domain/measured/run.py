"""Measured runs, as tables of them have it: a step's speed, a whole run's hours, the passes of one operator.

Each is read once, by ``adapters.runs``. None is unknown, and so is an empty text.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from zenplan.domain import checks
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.model.operators import Convolution, MatMul, Recurrent
from zenplan.domain.precision import Precision
from zenplan.domain.training.layout import Recompute

# A model needs no name to be predicted.
UNNAMED: Final = "unnamed"
# Families whose models are known by their name, or by their FLOP; the others have a shape of layers, heads and widths.
BY_NAME: Final = frozenset(
    ("convnet", "vision transformer", "speech transformer", "recurrent", "recommender", "diffusion", "gnn", "mlp")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """A training run of which the speed was measured.

    Attributes:
        id, source: the row's own name, and the document that it is from.
        publisher: who measured it; empty where only the document is known.
        family: one of ``BY_NAME``, or a kind of language transformer.
        params, active_params: of the model; of a mixture of experts, those that a token meets.
        flop_per_sample: multiplications and additions of a forward pass, counted apart.
        activations_per_sample: elements that a forward pass writes.
        image_size: pixels along a side. unit: what a speed counts (``images``, ``mel-frames``).
        task: ``pretrain``, ``sft``, ``lora`` or ``qlora``.
        lora_rank, lora_targets: of adapters; which products have them, as the table says it.
        network_bytes_per_s: of one device, between nodes.
        fused_attention: attention ran in a fused kernel. channels_last: feature maps lay so in memory.
        compiled: ``yes`` or ``no``, as far as the table says so.
        release: of the software, in its maker's numbers. attention_kernel: as the table has it (``flash``).
        options: of the software, one word each (``packed``, ``liger``, ``offload-activations``).
        global_batch, micro_batch: in samples; ``vp`` is the number of parts that a pipeline stage has.
        written_precision, written_task: as the table has them.
        assumed: what the row does not say, and what was taken. notes: what is odd in it.
    """

    accelerator: Accelerator = field(hash=False)
    devices: int
    precision: Precision
    family: str
    id: str = ""
    source: str = ""
    publisher: str = ""
    model: str = UNNAMED
    params: float | None = None
    active_params: float | None = None
    flop_per_sample: float | None = None
    activations_per_sample: float | None = None
    image_size: int | None = None
    unit: str = ""
    layers: int | None = None
    width: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    ff_width: int | None = None
    gated: bool | None = None
    vocab: int | None = None
    seq_len: int | None = None
    task: str = ""
    lora_rank: int | None = None
    lora_targets: str = ""
    node_devices: int | None = None
    network_bytes_per_s: float | None = None
    fused_attention: bool | None = None
    channels_last: bool | None = None
    framework: str = ""
    release: str = ""
    attention_kernel: str = ""
    options: frozenset[str] = frozenset()
    compiled: str = ""
    global_batch: int | None = None
    micro_batch: int | None = None
    dp: int | None = None
    tp: int | None = None
    pp: int | None = None
    cp: int | None = None
    ep: int | None = None
    vp: int | None = None
    zero_stage: int | None = None
    recompute: Recompute | None = None
    tokens_per_s_per_device: float | None = None
    samples_per_s_per_device: float | None = None
    written_precision: str = ""
    written_task: str = ""
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.positive(
            f"run {self.id}",
            devices=self.devices,
            params=self.params,
            tokens_per_s_per_device=self.tokens_per_s_per_device,
            samples_per_s_per_device=self.samples_per_s_per_device,
        )

    def without_measurement(self) -> MeasuredRun:
        """What a prediction is made from: the run without its speed, and without who measured it."""
        return replace(
            self,
            id="",
            source="",
            publisher="",
            tokens_per_s_per_device=None,
            samples_per_s_per_device=None,
            written_task="",
            assumed=(),
            notes=(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredWholeRun:
    """A run from start to end, of which the hours of all devices together were published.

    Attributes:
        family: a kind of language transformer. written_family, written_task, written_precision: as the table has them.
        params, active_params: of the model; of a mixture of experts, those that a token meets.
        tokens: seen in the whole run; of an encoder-decoder, the encoder's.
        gpu_hours: of all devices together; without them there are ``devices`` and ``days``, from start to end.
        global_batch: in samples.
        assumed: what the row does not say, and what was taken.
    """

    accelerator: Accelerator
    precision: Precision
    family: str
    model: str
    params: float
    tokens: float
    id: str = ""
    source: str = ""
    active_params: float | None = None
    seq_len: int | None = None
    devices: int | None = None
    gpu_hours: float | None = None
    days: float | None = None
    global_batch: int | None = None
    framework: str = ""
    written_family: str = ""
    written_task: str = ""
    written_precision: str = ""
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.positive(
            f"run {self.id}",
            params=self.params,
            tokens=self.tokens,
            devices=self.devices,
            gpu_hours=self.gpu_hours,
            days=self.days,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredOperator:
    """One operator of a vendor's library, timed alone on one device.

    Attributes:
        operator: of one sample. batch: samples.
        forward_ms, input_gradient_ms, weight_gradient_ms: milliseconds of each pass that was measured.
        written_kind, written_precision: as the table has them.
        assumed: what the row does not say, and what was taken.
    """

    accelerator: Accelerator
    precision: Precision
    operator: MatMul | Convolution | Recurrent
    batch: int
    id: str = ""
    source: str = ""
    forward_ms: float | None = None
    input_gradient_ms: float | None = None
    weight_gradient_ms: float | None = None
    written_kind: str = ""
    written_precision: str = ""
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.positive(
            f"operator {self.id}",
            batch=self.batch,
            forward_ms=self.forward_ms,
            input_gradient_ms=self.input_gradient_ms,
            weight_gradient_ms=self.weight_gradient_ms,
        )
