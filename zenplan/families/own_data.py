"""How a data set of one's own is trained on, by what is learned from it: passes, and samples a step.

A recipe of a paper is for the data of that paper: 1,700 passes over 30 pictures, or less than one over two billion.
Here a small set is passed over so often as fine-tuning on such sets does; a large one until so many samples are seen
as long runs see, and at least once. Both grow with the set: more data is never less work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from zenplan.domain.model.workload import Usual

# A set so near in size to that of the paper is taken for it, where that one is no handful of pictures.
_SAME, _HANDFUL = 0.07, 10_000
# A small set is cut into at least so many steps a pass; a large one into no more than about so many.
_LEAST_STEPS, _MOST_STEPS = 16, 2000
# Sequences of a step in which language models are fine-tuned: QLoRA 16 (arXiv 2305.14314, table 9), Alpaca 128.
_LEAST_SEQUENCES, _MOST_SEQUENCES = 16, 128
# Steps that a fine-tuning with more sequences than the fewest still has: Alpaca takes 1,200, LIMA and Guanaco fewer.
_STEPS = 1000


class Practice(NamedTuple):
    """How sets of one's own are trained on.

    Attributes:
        epochs: passes over a small set.
        seen: samples (tokens, of text) after which more passes are no longer usual.
        batch: samples of a step on a small set; a large one has more, up to the paper's.
        source: of all these.
    """

    epochs: float
    seen: float
    batch: int
    source: str

    def passes(self, data: float) -> float:
        """Passes over that many samples."""
        return max(1.0, min(self.epochs, self.seen / data))


# By ``Usual.task``. What stands as assumed has no published rule behind it: --epochs and --batch change it.
PRACTICES: Final[Mapping[str, Practice]] = {
    # Kornblith et al. 2019 fine-tune 20,000 steps of 256 on sets of 2,000 to 75,000 images, BiT (Kolesnikov et al.
    # 2020) 500 steps of 512 below 20,000; ninety passes over ImageNet are 115M.
    "classification": Practice(30, 115e6, 128, "between BiT's 500 steps and Kornblith et al. 2019's 20,000; assumed"),
    # The schedules of Detectron2 see 1.4M (1x) to 4.3M (3x) images of COCO, in steps of 16.
    "detection": Practice(50, 4.3e6, 16, "steps of 16 to Detectron2's 3x schedule; passes over small sets assumed"),
    # nnU-Net (Isensee et al. 2021): 250,000 steps of 2 patches, whatever the size of the set.
    "segmentation": Practice(200, 500e3, 8, "nnU-Net sees 500,000 patches; passes over small sets assumed"),
    # The text-to-image example of diffusers: 833 pictures, 15,000 steps of 4: 72 passes, 60,000 pictures.
    "generation": Practice(100, 60e3, 4, "the text-to-image example of diffusers: 15,000 steps of 4"),
    # Models of clicks are worse after their second pass (Zhang et al. 2022, arXiv 2209.06053).
    "clicks": Practice(1, 1.0, 2048, "one pass: models of clicks overfit in the second, arXiv 2209.06053"),
    "ratings": Practice(20, 1.2e9, 256, "He et al. 2017 (NCF): steps of 256, 20 passes"),
    # The guide of Hugging Face to Whisper: 4,000 steps of 16 over about 6,500 clips, 10 passes.
    "speech": Practice(10, 5e6, 16, "Hugging Face's guide to Whisper: 4,000 steps of 16; large sets assumed"),
    "synthesis": Practice(200, 2.5e6, 32, "assumed: 200 passes over a voice of 12,500 clips, as in ESPnet's recipe"),
    "text classification": Practice(3, 1e9, 32, "Devlin et al. 2019, appendix A.3"),
    "translation": Practice(10, 21e6, 128, "assumed: ten passes, up to the samples of GNMT on WMT16"),
    "text": Practice(20, 1e6, 20, "assumed: twenty passes, up to the sequences of Zaremba et al. 2014"),
    "graphs": Practice(50, 10e6, 128, "assumed: fifty passes, up to the samples of SE(3)-Transformers on QM9"),
    "tables": Practice(20, 10e6, 128, "assumed: twenty passes in steps of 128, as in the examples of Keras"),
}
# What models learn whose makers did not publish how: by ``Workload.family``, with the most samples of a step that others
# of the family take (Stable Diffusion 2,048; DLRM in MLPerf 65,536; ViT 4,096; Whisper 256).
FAMILIES: Final[Mapping[str, tuple[str, int]]] = {
    "diffusion": ("generation", 2048),
    "recommender": ("clicks", 65_536),
    "vision transformer": ("classification", 4096),
    "speech transformer": ("speech", 256),
    "protein": ("graphs", 128),
    "time series": ("tables", 128),
}
# Fine-tuning of a language model; of all its parameters no more than this share of its compute-optimal tokens.
FINE_TUNING: Final = Practice(
    3, 300e6, _LEAST_SEQUENCES, "three passes as in Alpaca, up to 300M tokens; one over larger sets; assumed"
)
FINE_TUNED_SHARE: Final = 0.01
# Fewer tokens are not known to be worth a fine-tuning: LIMA took 1,000 chosen examples, some 750k tokens, for 7B to 65B
# parameters (Zhou et al. 2023, arXiv 2305.11206, section 2).
LEAST_FINE_TUNING: Final = 750e3


def practice_for(usual: Usual | None, samples: float, family: str = "") -> Practice | None:
    """How so many samples of one's own are trained on; None where they are the data of the paper, or where nothing is
    known of the family."""
    if usual is None:
        return PRACTICES[FAMILIES[family][0]] if family in FAMILIES else None
    near = _SAME if usual.samples >= _HANDFUL else 0.0
    return None if abs(samples / usual.samples - 1.0) <= near else PRACTICES[usual.task]


def batch_of(practice: Practice, samples: float, most: int) -> int:
    """Samples of a step, at most the paper's: a power of two where that is less than both."""
    large = max(practice.batch, _power_of_two(samples / _MOST_STEPS))
    return min(large, most, _power_of_two(samples / _LEAST_STEPS))


def sequences_of_a_step(sequences: float) -> int:
    """In fine-tuning a language model on so many, repetitions counted: a power of two within what is usual."""
    return max(_LEAST_SEQUENCES, min(_MOST_SEQUENCES, _power_of_two(sequences / _STEPS)))


def _power_of_two(value: float) -> int:
    """The largest that is no more than the value; 1 below it."""
    return int(2 ** math.floor(math.log2(max(value, 1.0))))
