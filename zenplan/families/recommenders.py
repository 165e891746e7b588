"""Recommenders: tables of categories, next to small dense networks.

A step moves rows of tables more than it computes. The tables of DLRM are shared out over the devices (``sparse``);
those of the others are copied to each, and their gradient is as large as they are.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from zenplan.domain.model.operators import ElementwiseKind, Embedding, Operator
from zenplan.domain.model.workload import Usual, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.families.named import Builder
from zenplan.families.parts import block, dense, elementwise, loss, stack

_EXAMPLES = "NVIDIA DeepLearningExamples"
# Criteo's click logs of 24 days, the last of which is for testing.
CRITEO = Usual(
    dataset="Criteo 1TB click logs, 23 days",
    samples=4_195_197_692,
    epochs=1,
    global_batch=65_536,
    optimizer="sgd",
    source=f"{_EXAMPLES}, PyTorch/Recommendation/DLRM; MLPerf Training v0.7",
    task="clicks",
)
# Adagrad, which keeps as much for each parameter as momentum does.
MULTI_HOT = Usual(
    dataset="Criteo 1TB click logs, 23 days",
    samples=4_195_197_692,
    epochs=1,
    global_batch=65_536,
    optimizer="sgd-momentum",
    source="MLPerf Training v3.0, recommendation_v2",
    task="clicks",
)
# 19,861,770 ratings that are trained on, and four that were never given beside each.
MOVIELENS = Usual(
    dataset="MovieLens 20M",
    samples=5 * 19_861_770,
    epochs=12,
    global_batch=1_048_576,
    optimizer="adamw",
    source=f"{_EXAMPLES}, PyTorch/Recommendation/NCF",
    task="ratings",
)
MOVIELENS_USERS = Usual(
    dataset="MovieLens 20M, by user",
    samples=116_677,
    epochs=400,
    global_batch=24_576,
    optimizer="adamw",
    source=f"{_EXAMPLES}, TensorFlow/Recommendation/VAE-CF",
    task="ratings",
)
OUTBRAIN = Usual(
    dataset="Outbrain click prediction",
    samples=59_761_827,
    epochs=20,
    global_batch=131_072,
    optimizer="adamw",
    source=f"{_EXAMPLES}, TensorFlow/Recommendation/WideAndDeep",
    task="clicks",
)
# 45 million clicks; its batch is not published.
CRITEO_CLICKS = Usual(
    dataset="Criteo's display advertising challenge",
    samples=45_000_000,
    epochs=1,
    global_batch=2048,
    optimizer="adamw",
    source="Guo et al. 2017 (arXiv 1703.04247), section 3.1; one pass in steps of 2,048: assumed",
    task="clicks",
)

# Rows of the 26 tables of Criteo's categories. At least 15 times seen, as in NVIDIA's example (15.6 GiB in fp32); at
# most 40 million each, as in MLPerf 0.7 (its reference's counts), and as in MLPerf 3.0 (hashed to that).
CRITEO_15 = (
    7912889,
    33823,
    17139,
    7339,
    20046,
    4,
    7105,
    1382,
    63,
    5554114,
    582469,
    245828,
    11,
    2209,
    10667,
    104,
    4,
    968,
    15,
    8165896,
    2675940,
    7156453,
    302516,
    12022,
    97,
    35,
)
CRITEO_40M = (
    39884406,
    39043,
    17289,
    7420,
    20263,
    3,
    7120,
    1543,
    63,
    38532951,
    2953546,
    403346,
    10,
    2208,
    11938,
    155,
    4,
    976,
    14,
    39979771,
    25641295,
    39664984,
    585935,
    12972,
    108,
    36,
)
CRITEO_HASHED = (
    40000000,
    39060,
    17295,
    7424,
    20265,
    3,
    7122,
    1543,
    63,
    40000000,
    3067956,
    405282,
    10,
    2209,
    11938,
    155,
    4,
    976,
    14,
    40000000,
    40000000,
    40000000,
    590152,
    12973,
    108,
    36,
)
# Those of the display advertising challenge, as facebookresearch/dlrm counts them.
CRITEO_KAGGLE = (
    *(1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10, 5652),
    *(2173, 4, 7046547, 18, 15, 286181, 105, 142572),
)
# At least 3 times seen: NVIDIA's example prints 84.9 GiB, of rows of 128 in fp32.
_CRITEO_3_ENTRIES = 178_000_000
# Categories of each of these in a sample of MLPerf 3.0.
_HOT = (3, 2, 1, 2, 6, 1, 1, 1, 1, 7, 3, 8, 1, 6, 9, 5, 1, 1, 1, 12, 100, 27, 10, 3, 1, 1)


def _tables(entries: float, width: int, tables: int, rows: int) -> list[Operator]:
    """All tables as one fused embedding, and the sum of each table's rows where a sample has several of one."""
    operators: list[Operator] = [Embedding(name="tables", entries=entries, width=width, rows=rows, sparse=True)]
    if rows > tables:
        operators.append(elementwise(ElementwiseKind.MEAN_POOL, "pooling", rows * width, 1 + tables / rows))
    return operators


def _dlrm(
    name: str,
    usual: Usual | None,
    /,
    *,
    entries: int,
    width: int = 128,
    tables: int = 26,
    rows: int = 26,
    features: int = 13,
    top: int = 1024,
    cross_layers: int = 0,
    cross_rank: int = 512,
) -> Workload:
    """DLRM (Naumov et al. 2019): tables and a bottom network, their interaction, a top network.

    The interaction is every pair's dot product; of DLRM-DCNv2 (``cross_layers``), low-rank cross layers over all.
    """
    vectors = tables + 1
    joined = vectors * width
    bottom = stack((features, 4 * width, 2 * width, width))
    if cross_layers:
        interaction: list[Operator] = []
        for layer in range(1, cross_layers + 1):
            interaction += [
                dense(f"cross {layer} down", 1, joined, cross_rank, bias=False),
                dense(f"cross {layer} up", 1, cross_rank, joined),
                elementwise(ElementwiseKind.OTHER, f"cross {layer} product and sum", joined, 4, kept=joined),
            ]
    else:
        joined = -(-(vectors * (vectors - 1) // 2 + width) // 8) * 8  # padded for tensor cores
        interaction = [
            # A batched product of the vectors with themselves: it owns no weight.
            replace(dense("interaction", vectors, width, vectors, bias=False), tied=True),
            elementwise(ElementwiseKind.OTHER, "pairs", vectors * width + joined),
        ]
    head = [*stack((joined, top, top, top // 2, top // 4, 1), first=False, last=True), loss(1, 1)]
    blocks = (
        block("tables", _tables(entries, width, tables, rows), tables * width, place="first"),
        block("bottom", bottom, width, place="first"),
        block("interaction", interaction, joined),
        block("top", head, 0, place="last"),
    )
    return Workload(
        name=name, family="recommender", blocks=blocks, tokens_per_sample=1, unit="samples", usual=usual, input="table"
    )


def _recommender(
    *, tables: int = 26, entries: int = 1_000_000, width: int = 64, hot: int = 1, features: int = 13, top: int = 1024
) -> Workload:
    """A network like DLRM.

    Args:
        entries: of each table. hot: categories of each table in a sample.
        features: numbers in a sample. top: width of the first layer after the interaction.
    """
    return _dlrm(
        "recommender",
        None,
        entries=tables * entries,
        width=width,
        tables=tables,
        rows=tables * hot,
        features=features,
        top=top,
    )


def _ncf(*, users: int = 138_493, items: int = 26_744, factors: int = 64, width: int = 256) -> Workload:
    """NeuMF (He et al. 2017): factors multiplied, and a network beside; a sample is a user with one item."""
    half = width // 2
    embeddings: list[Operator] = [
        Embedding(name=f"{name} {kind}", entries=entries, width=size, rows=1)
        for name, entries in (("user", users), ("item", items))
        for kind, size in (("factors", factors), ("vector", half))
    ]
    network: list[Operator] = []
    for number, (inner, columns) in enumerate(((width, width), (width, half), (half, half // 2)), 1):
        network += [
            dense(f"layer {number}", 1, inner, columns),
            elementwise(
                ElementwiseKind.ACTIVATION_DROPOUT, f"activation and dropout {number}", columns, 4, kept=columns / 2
            ),
        ]
    last = factors + half // 2
    head: list[Operator] = [
        elementwise(ElementwiseKind.OTHER, "product of factors", factors, 3, kept=2 * factors),
        dense("prediction", 1, last, 1),
        loss(1, 1),
    ]
    blocks = (
        block("tables", embeddings, 2 * factors + width, place="first"),
        block("network", network, last),
        block("head", head, 0, place="last"),
    )
    why = "four pairs that were never rated are drawn for each rating, and counted as samples"
    return Workload(
        name="ncf",
        family="recommender",
        blocks=blocks,
        tokens_per_sample=1,
        unit="samples",
        usual=MOVIELENS,
        facts=(Fact(name="samples", value="ratings and negatives", origin=Origin.PUBLISHED, why=why),),
    )


# Outbrain's tables by the width of their rows: entries, and rows taken for a sample.
_OUTBRAIN = {128: (650_000, 3), 64: (38_200, 32)}
# Categories so few that they are inputs as they are; numbers.
_OUTBRAIN_ONE_HOT, _OUTBRAIN_NUMBERS = (6, 3, 3, 2, 2), 32


def _wide_and_deep(*, width: int = 1024, layers: int = 5) -> Workload:
    """Wide & Deep (Cheng et al. 2016) on Outbrain: a linear model of all categories, and a network.

    Args:
        width, layers: of the network.
    """
    few = sum(_OUTBRAIN_ONE_HOT)
    embeddings: list[Operator] = [
        Embedding(name=f"tables of {size}", entries=entries, width=size, rows=rows)
        for size, (entries, rows) in _OUTBRAIN.items()
    ]
    # 14 of the 64 wide tables have a place of their own among the inputs: several rows of one are averaged.
    inputs = 3 * 128 + 14 * 64 + few + _OUTBRAIN_NUMBERS
    taken = sum(rows for _, rows in _OUTBRAIN.values()) + len(_OUTBRAIN_ONE_HOT)
    linear = sum(entries for entries, _ in _OUTBRAIN.values()) + few
    wide: list[Operator] = [
        Embedding(name="linear categories", entries=linear, width=1, rows=taken),
        dense("linear numbers", 1, _OUTBRAIN_NUMBERS, 1, first=True),
    ]
    embeddings.append(elementwise(ElementwiseKind.OTHER, "average and join", inputs, 3))
    deep = stack((inputs, *(layers * (width,)), 1), first=False, last=True)
    blocks = (
        block("tables", embeddings, inputs, place="first"),
        block("wide", wide, 1, place="first"),
        block("deep", deep, 1),
        block("head", [loss(1, 1)], 0, place="last"),
    )
    return Workload(
        name="wide-and-deep",
        family="recommender",
        blocks=blocks,
        tokens_per_sample=1,
        unit="samples",
        usual=OUTBRAIN,
        input="table",
    )


def _deepfm(
    *,
    entries: int = sum(CRITEO_KAGGLE),
    tables: int = 26,
    features: int = 13,
    factors: int = 10,
    width: int = 400,
    layers: int = 3,
) -> Workload:
    """DeepFM (Guo et al. 2017): a linear model, factors of each two categories, and a network, of the same embeddings.

    Args:
        entries: of all tables together. tables: categories of a sample. features: numbers of a sample.
        factors: width of an entry. width, layers: of the network.
    """
    inputs = tables * factors + features
    looked_up: list[Operator] = [
        Embedding(name="factors", entries=entries, width=factors, rows=tables),
        Embedding(name="linear categories", entries=entries, width=1, rows=tables),
        dense("linear numbers", 1, features, 1, first=True),
        elementwise(ElementwiseKind.OTHER, "products of factors", tables * factors, 4, kept=tables * factors),
    ]
    deep = [*stack((inputs, *(layers * (width,))), first=False), dense("deep output", 1, width, 1, bias=False)]
    return Workload(
        name="deepfm",
        family="recommender",
        blocks=(
            block("tables", looked_up, inputs, place="first"),
            block("deep", deep, 1),
            block("head", [loss(1, 1)], 0, place="last"),
        ),
        tokens_per_sample=1,
        unit="samples",
        usual=CRITEO_CLICKS,
        input="table",
    )


def _vae_cf(*, items: int = 20_108, hidden: int = 600, latent: int = 200, rated: int = 73) -> Workload:
    """Variational autoencoder for collaborative filtering (Liang et al. 2018): a sample is a user.

    Args:
        rated: items that a user rated: the rows of the first layer's weight that are summed, no product.
    """
    encoder: list[Operator] = [
        Embedding(name="items", entries=items, width=hidden, rows=rated),
        elementwise(ElementwiseKind.OTHER, "sum of items", rated * hidden, 1 + 1 / rated, weights=hidden),
        elementwise(ElementwiseKind.ACTIVATION, "activation", hidden, kept=hidden),
        dense("mean and deviation", 1, hidden, 2 * latent, kept=False),
        elementwise(ElementwiseKind.OTHER, "sample", 2 * latent, 3, kept=2 * latent),
    ]
    decoder = [*stack((latent, hidden, items), first=False, last=True), loss(1, items)]
    blocks = (block("encoder", encoder, latent), block("decoder", decoder, 0, place="last"))
    why = "MovieLens 20M has 9,990,682 ratings of four and more, by 136,677 users"
    return Workload(
        name="vae-cf",
        family="recommender",
        blocks=blocks,
        tokens_per_sample=1,
        unit="samples",
        usual=MOVIELENS_USERS,
        facts=(Fact(name="items of a user", value=str(rated), origin=Origin.PUBLISHED, why=why),),
    )


MODELS: dict[str, Builder] = {
    "dlrm": partial(_dlrm, "dlrm", CRITEO, entries=sum(CRITEO_15)),
    "dlrm-large": partial(_dlrm, "dlrm-large", CRITEO, entries=_CRITEO_3_ENTRIES),
    "dlrm-mlperf": partial(_dlrm, "dlrm-mlperf", CRITEO, entries=sum(CRITEO_40M)),
    "dlrm-dcnv2": partial(_dlrm, "dlrm-dcnv2", MULTI_HOT, entries=sum(CRITEO_HASHED), rows=sum(_HOT), cross_layers=3),
    "recommender": _recommender,
    "ncf": _ncf,
    "wide-and-deep": _wide_and_deep,
    "deepfm": _deepfm,
    "vae-cf": _vae_cf,
}
