"""Every named model that is no language model: its parameters and FLOP are those that were published."""

from __future__ import annotations

import pytest

from zenplan.domain.model.operators import Attention, Embedding, Recurrent
from zenplan.domain.model.workload import Workload
from zenplan.domain.training.plan import OPTIMIZERS
from zenplan.errors import UsageError
from zenplan.families import classifiers, contrastive, diffusion, graphs, mlp, recommenders, recurrent, speech, vision
from zenplan.families.named import Builder, NamedFamily

FAMILIES: dict[str, dict[str, Builder]] = {
    "recurrent": recurrent.MODELS,
    "recommender": recommenders.MODELS,
    "mlp": mlp.MODELS,
    "vision transformer": {**vision.MODELS, **contrastive.MODELS},
    "speech transformer": speech.MODELS,
    "encoder": classifiers.MODELS,
    "diffusion": diffusion.MODELS,
    "gnn": graphs.MODELS,
}
NAMES = [(family, name) for family, models in FAMILIES.items() for name in models]
# Generic ones, of which nobody has published a count; and those whose source prints none.
UNPUBLISHED = {
    "lstm",
    "gru",
    "simple-rnn",
    "recommender",
    "mlp",
    "vit",
    "text-classifier",
    "wide-and-deep",
    "vae-cf",
    "dlrm-dcnv2",
    "deepfm",  # as a library counts it: test_retrieval.py
    "rgat",
    "se3-transformer",
}

# Parameters as printed in the source, and how far the count may lie from them.
PUBLISHED = {
    # torchvision 0.20, documentation of each model.
    "vit-base": (86_567_656, 0),
    "vit-base-32": (88_224_232, 0),
    "vit-large": (304_326_632, 0),
    "vit-large-32": (306_535_400, 0),
    "swin-tiny": (28_288_354, 0),
    "swin-small": (49_606_258, 0),
    "swin-base": (87_768_224, 0),
    # Zhai et al. 2022, table 2 (ViT-Ti, S, H without a head: with it, timm's results tables).
    "vit-tiny": (5.72e6, 0.002),
    "vit-small": (22.05e6, 0.002),
    "vit-huge": (632.05e6, 0.002),
    # open_clip, docs/model_profile.csv.
    "clip-vit-b-32": (151.28e6, 0.001),
    "clip-vit-b-16": (149.62e6, 0.001),
    "clip-vit-l-14": (427.62e6, 0.001),
    "clip-vit-h-14": (986.11e6, 0.001),
    # Touvron et al. 2021, table 1.
    "deit-tiny": (5.7e6, 0.01),
    "deit-small": (22e6, 0.01),
    "deit-base": (86e6, 0.01),
    "deit-base-distilled": (87e6, 0.01),
    # Liu et al. 2021, table 1 (Swin-L).
    "swin-large": (197e6, 0.01),
    # Kirillov et al. 2023, on the size of the image encoder: 636M.
    "sam-vit-h": (636e6, 0.01),
    # Model cards of openai/whisper-*, parameters in the weight files.
    "whisper-tiny": (37.8e6, 0.01),
    "whisper-base": (72.6e6, 0.01),
    "whisper-small": (242e6, 0.01),
    "whisper-medium": (764e6, 0.01),
    "whisper-large": (1.54e9, 0.01),
    "whisper-large-v3": (1.54e9, 0.01),
    # Devlin et al. 2019: 110M and 340M; Hugging Face counts 109.5M and 335.1M of a classifier of two.
    "bert-base-classifier": (109_483_778, 0),
    "bert-large-classifier": (335_143_938, 0),
    # Zaremba et al. 2014, section 4.1: 66M.
    "lstm-ptb-large": (66e6, 0.01),
    # NVIDIA DeepLearningExamples: GNMT v2 160M; Tacotron 2 and WaveGlow 28.2M and 268M (reports of their models).
    "gnmt": (160e6, 0.01),
    "tacotron2": (28.2e6, 0.01),
    "waveglow": (268e6, 0.01),
    # MLPerf Training v1.0, rnn_speech_recognition: 49M.
    "rnn-t": (49e6, 0.01),
    # NVIDIA DeepLearningExamples, PyTorch/Recommendation/DLRM: tables of 15.6 and 84.9 GiB in fp32; MLPerf v0.7: 24B.
    "dlrm": (15.6 * 2**30 / 4, 0.01),
    "dlrm-large": (84.9 * 2**30 / 4, 0.01),
    "dlrm-mlperf": (24e9, 0.01),
    # NVIDIA DeepLearningExamples, PyTorch/Recommendation/NCF: 31.8M.
    "ncf": (31.8e6, 0.01),
    "softmax-regression": (7850, 0),
    # timm's results tables.
    "mixer-s16": (18.53e6, 0.001),
    "mixer-b16": (59.88e6, 0.001),
    "mixer-l16": (208.2e6, 0.001),
    # Peebles & Xie 2023, table 4 (in millions).
    **{
        f"dit-{s}-{p}": (n * 1e6, 0.01)
        for s, n in (("s", 33), ("b", 130.5), ("l", 458), ("xl", 675))
        for p in (2, 4, 8)
    },
    # Kim et al. 2023 (BK-SDM): 860M of v1.4; the weight files of stabilityai/stable-diffusion-2 and -xl-base-1.0.
    "stable-diffusion": (859_520_964, 0),
    "stable-diffusion-2": (865_910_724, 0),
    "sdxl": (2_567_463_684, 0),
    "sd-vae-encoder": (34_163_592 + 72, 0),
    # Hu et al. 2020 (OGB), leaderboard of ogbn-products.
    "gcn": (103_727, 0),
    "graphsage": (206_895, 0),
}

# Multiply-adds forward, 1e9, as printed; whether they count those of attention.
MULTIPLY_ADDS = {
    # torchvision 0.20, documentation ("GFLOPS", which counts a multiply-add once).
    "vit-base": (17.56, True),
    "vit-base-32": (4.41, True),
    "vit-large": (61.55, True),
    "vit-large-32": (15.38, True),
    "swin-tiny": (4.49, True),
    "swin-small": (8.74, True),
    "swin-base": (15.43, True),
    # open_clip, docs/model_profile.csv, which counts a multiply-add twice.
    "clip-vit-b-32": (14.78 / 2, True),
    "clip-vit-b-16": (41.09 / 2, True),
    "clip-vit-l-14": (175.33 / 2, True),
    "clip-vit-h-14": (381.68 / 2, True),
    # Zhang et al. 2023 (MobileSAM and after it): 2,976 for SAM's encoder.
    "sam-vit-h": (2976, True),
    # timm's results tables.
    "mixer-b16": (12.62, True),
    "mixer-s16": (3.79, True),
    "mixer-l16": (44.6, True),
    # Peebles & Xie 2023, table 4.
    "dit-s-2": (6.06, True),
    "dit-b-2": (23.01, True),
    "dit-l-2": (80.71, True),
    "dit-xl-2": (118.64, True),
    "dit-xl-4": (29.05, True),
    "dit-xl-8": (7.39, True),
    # Kim et al. 2023 (BK-SDM), table 1: one evaluation, layers that a profiler sees.
    "stable-diffusion": (338.7, False),
}


def made(name: str) -> Workload:
    """The model of that name, with or without parameters, as ``--model`` makes it."""
    family = next(f for f, models in FAMILIES.items() if name.partition(":")[0] in models)
    return NamedFamily(family, FAMILIES[family]).lower({"model": name})


def kept(workload: Workload) -> float:
    return sum(o.saved_elements * b.repeat for b in workload.blocks for o in b.operators)


def test_parameters_are_as_published() -> None:
    for name in PUBLISHED:
        count, tolerance = PUBLISHED[name]
        assert made(name).parameters == pytest.approx(count, rel=max(tolerance, 1e-12)), name


def test_every_model_is_compared_or_known_not_to_be() -> None:
    names = {name for _, name in NAMES}
    assert names - PUBLISHED.keys() == UNPUBLISHED
    assert PUBLISHED.keys() <= names
    assert all(tolerance <= 0.01 for _, tolerance in PUBLISHED.values())


def test_flop_are_twice_the_published_multiply_adds() -> None:
    for name in MULTIPLY_ADDS:
        published, attention = MULTIPLY_ADDS[name]
        workload = made(name)
        unseen = sum(
            o.flop * b.repeat
            for b in workload.blocks
            for o in b.operators
            if isinstance(o, Attention) and not attention
        )
        assert workload.flop_per_sample - unseen == pytest.approx(2e9 * published, rel=0.005), name


@pytest.mark.parametrize(("family", "name"), NAMES)
def test_a_model_says_what_it_is_and_how_it_is_trained(family: str, name: str) -> None:
    workload = made(name)
    assert (workload.name, workload.family) == (name, family)
    assert workload.flop_per_sample > 0
    assert kept(workload) > 0
    # Something comes first, before which nothing learns; else the input is looked up.
    first = any(
        not getattr(o, "input_gradient", True) or isinstance(o, Embedding) for b in workload.blocks for o in b.operators
    )
    assert first
    assert 2 <= workload.training_flop_per_sample / workload.flop_per_sample <= 3
    if workload.usual is None:
        # SDXL's shape is published, its data and steps are not.
        assert name in UNPUBLISHED | {"sdxl"}
    else:
        assert workload.usual.optimizer in OPTIMIZERS
        assert workload.usual.global_batch < workload.usual.samples * workload.usual.epochs


@pytest.mark.parametrize(
    ("name", "unit", "units_of_a_sample"),
    [
        ("gnmt", "tokens", 50),  # source and target
        ("tacotron2", "mel-frames", 566),
        ("waveglow", "audio-samples", 8000),
        ("waveglow:segment=16000", "audio-samples", 16_000),
        ("ncf", "samples", 1),
        ("lstm", "tokens", 35),
        ("lstm:text=no,input=40", "samples", 1),
    ],
)
def test_units_are_those_that_throughput_is_published_in(name: str, unit: str, units_of_a_sample: int) -> None:
    workload = made(name)
    assert (workload.unit, workload.tokens_per_sample) == (unit, units_of_a_sample)


def test_stable_diffusions_usual_steps_are_those_at_its_image_size() -> None:
    """Model card of Stable Diffusion 1.4: 194,000, 515,000 and 225,000 steps at 512, of 2,048 images."""
    usual = made("stable-diffusion").usual
    assert usual is not None
    assert usual.samples * usual.epochs / usual.global_batch == pytest.approx(194e3 + 515e3 + 225e3, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        # Model cards: 850,000 steps of 2,048; two passes over 5 million hours of half minutes. Zaremba 2014: 55 passes.
        ("stable-diffusion-2", 850e3 * 2048),
        ("whisper-large", 1_048_576 * 256),
        ("whisper-large-v3", 2 * 5e6 * 120),
        ("lstm-ptb-large", 55 * 929_589 / 35),
    ],
)
def test_how_much_is_usually_seen(name: str, seen: float) -> None:
    usual = made(name).usual
    assert usual is not None
    assert usual.samples * usual.epochs == pytest.approx(seen, rel=0.01)


def test_gnmt_is_what_a_token_of_it_costs() -> None:
    """By hand, of 1024: 92M FLOP for a source token, 92 + 2 + 66 for a target's; attention's keys beside."""
    workload = made("gnmt:padding=1,seq_len=50")
    assert workload.flop_per_sample / 100 == pytest.approx((92.3e6 + 92.3e6 + 4.2e6 + 66.2e6) / 2, rel=0.005)


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("simple-rnn", 1)])
def test_a_recurrent_layer_is_its_gates(cell: str, gates: int) -> None:
    workload = made(f"{cell}:layers=1,hidden=100,input=20,text=no,classes=10,seq_len=7")
    # cuDNN's: two products and two biases of each gate.
    assert workload.parameters == gates * 100 * (20 + 100 + 2) + 1010
    both = made(f"{cell}:layers=1,hidden=100,input=20,text=no,classes=10,seq_len=7,bidirectional=yes")
    assert both.parameters - 2010 == 2 * (workload.parameters - 1010)
    steps = [o for b in workload.blocks for o in b.operators if isinstance(o, Recurrent)]
    assert [(o.steps, o.kernels) for o in steps] == [(7, 1)]


def test_only_tacotrons_loop_launches_more_than_a_kernel_a_step() -> None:
    kernels = {}
    for name in ("gnmt", "rnn-t", "tacotron2"):
        steps = [o for b in made(name).blocks for o in b.operators if isinstance(o, Recurrent)]
        longest = max(o.steps for o in steps)
        kernels[name] = (
            sum(o.kernels for o in steps if o.steps == longest)
            if name == "tacotron2"
            else max(o.kernels for o in steps)
        )
    assert kernels == {"gnmt": 1, "rnn-t": 1, "tacotron2": 55}


def test_tables_that_devices_share_out_are_dlrms() -> None:
    shared = {
        name
        for name in recommenders.MODELS
        for b in made(name).blocks
        for o in b.operators
        if isinstance(o, Embedding) and o.sparse
    }
    assert shared == {"dlrm", "dlrm-large", "dlrm-mlperf", "dlrm-dcnv2", "recommender"}


def test_windows_save_what_whole_attention_costs() -> None:
    def attention(name: str) -> float:
        return sum(o.flop * b.repeat for b in made(name).blocks for o in b.operators if isinstance(o, Attention))

    # 4 of SAM's 32 layers see 4,096 tokens, the rest 25 windows of 196.
    assert attention("sam-vit-h") == 4 * 1280 * (4 * 4096**2 + 28 * 25 * 196**2)
    # A side of 7 windows where 6.4 would do: the last is padded.
    assert attention("swin-tiny:image_size=448,window=8") > attention("swin-tiny:image_size=448")


@pytest.mark.parametrize(
    "name", ["vit-base", "swin-tiny", "dit-xl-2", "stable-diffusion", "sd-vae-encoder", "mixer-b16"]
)
def test_an_image_of_twice_the_side_costs_four_times_as_much_and_more(name: str) -> None:
    family = next(f for f, models in FAMILIES.items() if name in models)
    size = {"dit-xl-2": 256, "stable-diffusion": 512, "sd-vae-encoder": 512}.get(name, 224)
    model = NamedFamily(family, FAMILIES[family])
    small = model.lower({"model": name, "image_size": size})
    large = model.lower({"model": name, "image_size": 2 * size})
    assert small == made(name) or small.flop_per_sample == made(name).flop_per_sample
    assert 3.7 < large.flop_per_sample / small.flop_per_sample < 16


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mlp:widths=784", "1 layers|0 layers"),
        ("mlp:widths=784xx10", "cannot be"),
        ("mlp:widths=784x-1x10", "cannot be"),
        ("vit-base:image_size=100", "patches of 16"),
        ("vit-base:heads=7", "7 heads"),
        ("vit-base:heads=0", "above zero"),
        ("whisper-tiny:heads=5", "5 heads"),
        ("bert-base-classifier:heads=5", "5 heads"),
        ("dit-xl-2:image_size=100", "patches of 8"),
        ("stable-diffusion:image_size=100", "patches of 64"),
        ("mixer-b16:image_size=225", "patches of 16"),
        ("sam-vit-h:layers=4", "none with windows"),
        ("lstm:layers=1e12", "beyond what zenplan"),
        ("rgat:relations=1e6", "beyond what zenplan"),
        ("se3-transformer:degrees=1e4", "beyond what zenplan"),
        ("graphsage:neighbours=15xa", "neighbours cannot be"),
        ("lstm:seq=3", "no parameter"),
        ("lstm:layers=2,layers=3", "layers of lstm is given twice"),
    ],
)
def test_what_cannot_be_is_said(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as error:
        made(name)
    assert error.value.hint
