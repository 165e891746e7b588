"""DETR and Table Transformer (Carion et al. 2020, arXiv 2005.12872): a ResNet, an encoder over its last map, a decoder of
queries, each of which becomes a box and its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from zenplan.domain.model.operators import Elementwise, ElementwiseKind, Operator
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import InputFileError
from zenplan.families.configurations.extras import few, norm, product
from zenplan.families.configurations.fields import MOST_ENTRIES, MOST_HEADS, MOST_LAYERS, Fields
from zenplan.families.configurations.heads import architecture, labels
from zenplan.families.configurations.stages import resnet_maps, without_statistics
from zenplan.families.images.maps import image
from zenplan.families.images.residual import DEPTHS
from zenplan.families.images.usual import imagenet
from zenplan.families.parts import block, loss
from zenplan.families.transformer.lowering import layers_of
from zenplan.families.transformer.shape import TransformerShape

# Pixels of an image whose shorter side is 800, as it is trained and tested on, of the usual shape of COCO's (4 : 3).
_SIZE = (800, 1066)


def detector(fields: Fields) -> Workload:
    """The workload of a configuration.

    Raises:
        InputFileError: a field is missing or wrong, or its backbone is no ResNet.
    """
    why = "the shorter side that DETR is trained at, and the usual shape of COCO's images"
    fields.facts.append(Fact(name="image size", value="800 × 1066", origin=Origin.ASSUMED, why=why))
    blocks, channels, positions = _backbone(fields)
    width, queries = fields.needed("d_model"), fields.needed("num_queries", default=100, most=MOST_HEADS)
    shape = TransformerShape(
        family="encoder-decoder",
        layers=fields.needed("decoder_layers", most=MOST_LAYERS),
        encoder_layers=fields.needed("encoder_layers", most=MOST_LAYERS),
        width=width,
        heads=fields.needed("encoder_attention_heads", most=MOST_HEADS),
        ff_width=fields.needed("encoder_ffn_dim", most=MOST_ENTRIES),
        vocab=1,
        seq_len=queries,
        encoder_seq_len=positions,
        headless=True,
    )
    layers = layers_of(shape)
    joined: list[Operator] = [product("input projection", positions, channels, width), few("queries", queries * width)]
    if fields.model_type == "table-transformer":
        joined.append(norm("encoder norm", positions, width))
    last: list[Operator] = [norm("final norm", queries, width)]
    if not architecture(fields).endswith("Model"):
        classes = labels(fields) + 1
        last.append(product("classes", queries, width, classes))
        last += [product(f"boxes {n}", queries, width, 4 if n == 3 else width) for n in (1, 2, 3)]
        last.append(loss(queries, classes))
    return Workload(
        name=fields.model_type,
        family="convnet",
        blocks=(
            *blocks,
            block("input projection", joined, positions * width),
            *layers,
            block("head", last, 0, place="last"),
        ),
        tokens_per_sample=1,
        unit="images",
        input="image",
        facts=tuple(fields.facts),
    )


def _backbone(fields: Fields) -> tuple[list[Block], int, int]:
    """Blocks of the ResNet, whose norms do not learn, nor its first stage; the channels and positions of its last map."""
    given, name = fields.raw("backbone_config"), fields.raw("backbone")
    depths = {f"resnet{depth}": list(blocks) for depth, blocks in DEPTHS.items()}.get(str(name or "resnet50"))
    written = dict(given) if isinstance(given, Mapping) else {}
    if written.get("model_type", "resnet") not in ("resnet", "timm_backbone") or depths is None:
        raise InputFileError(
            "the model configuration's backbone is not known: it is read where it is a ResNet",
            "count it: zenplan count",
        )
    small = str(name) in ("resnet18", "resnet34")
    usual = {
        "depths": depths,
        "hidden_sizes": [64, 128, 256, 512] if small else [256, 512, 1024, 2048],
        "layer_type": "basic" if small else "bottleneck",
        "embedding_size": 64,
    }
    inner = Fields(usual | written, "resnet", inner=True)
    x = resnet_maps(inner, image(_SIZE), frozen=1)
    blocks = [
        replace(b, operators=tuple(map(_fixed, b.operators)), place="middle" if n else "first")
        for n, b in enumerate(without_statistics(x.net.workload("backbone", imagenet()).blocks))
    ]
    return blocks, x.channels, x.positions


def _fixed(op: Operator) -> Operator:
    """The same; a norm with what it learned before, which is no parameter."""
    return replace(op, weights=0.0) if isinstance(op, Elementwise) and op.kind is ElementwiseKind.BATCH_NORM else op
