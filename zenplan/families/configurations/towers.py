"""Models of several towers: language models that see or hear, images beside texts, speech to text; one tower alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zenplan.domain.model.operators import Attention, Convolution, Elementwise, Operator, Split
from zenplan.domain.model.workload import Block, Workload
from zenplan.domain.provenance import Fact, Origin
from zenplan.errors import InputFileError, UsageError, shown
from zenplan.families.configurations.crossing import at_images, tiled_tower
from zenplan.families.configurations.extras import few, product
from zenplan.families.configurations.fields import MOST_ENTRIES, MOST_HEADS, MOST_LAYERS, Fields, Known, inner_config
from zenplan.families.configurations.heads import architecture, labels
from zenplan.families.configurations.images import IMAGES, Tower, image_tower, standalone
from zenplan.families.configurations.projectors import PROJECTORS
from zenplan.families.configurations.sound import WAVES, seconds, spectrogram_tower, waveform_tower
from zenplan.families.parts import block, loss
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.shape import TransformerShape, check_seq_len

# Pairs that each pair is compared with, where a contrastive model is trained (Radford et al. 2021, table 18).
PAIRS = 32_768


def part_of(outer: Fields, config: Mapping[str, Any], key: str, known: Known) -> Fields | None:
    """The fields of a configuration inside another one; None where it has none and its type has none by default.

    Raises:
        UsageError: it is something else than an object, or of a type that is no text.
    """
    inner, usual, own = inner_config(config, outer.model_type, key, known)
    if inner is None and not usual:
        return None
    given = (inner or {}).get("model_type")
    if given is not None and not isinstance(given, str):
        raise InputFileError(
            f"the model configuration's '{key}' has an unknown 'model_type': {shown(given)}", "give a name"
        )
    if given and (not usual or given in IMAGES or given not in known):
        usual = given
    if inner is None:
        inner = own
    return Fields(inner, usual, known.get(usual), inner=True)


# --- a language model with towers


def seeing(
    config: Mapping[str, Any],
    outer: Fields,
    text: tuple[TransformerShape, tuple[Fact, ...]],
    known: Known,
    images: int | None = None,
) -> Workload:
    """The language model of a configuration with the towers in front of it, and one piece of sound a sequence.

    Args:
        images: of a sequence; None for one.

    Raises:
        UsageError: a field of a tower is missing or wrong, there is no tower for the images, or a sequence is too short
            for them.
    """
    shape, facts = text
    first: list[Block] = []
    told: list[Fact] = []
    of_images, aside = 0, False
    for key, what in (("vision_config", "image"), ("audio_config", "audio")):
        inner = part_of(outer, config, key, known)
        if inner is None:
            continue
        tower = _tower(inner, what)
        if tower is None:
            why = f"its type, {inner.model_type or 'unknown'}, is not known: its weights and its work are left out"
            told.append(Fact(name=f"{what} tower", value="left out", origin=Origin.ASSUMED, why=why))
            continue
        operators, tokens = PROJECTORS.get(outer.model_type, PROJECTORS["llava"])(outer, inner, tower, shape.width)
        if tower.blocks and not tokens:
            shape, aside = at_images(shape, tower.tokens * (1 if images is None else images)), True
        found = [replace(b, part="vision" if what == "image" else what) for b in tower.blocks]
        found.append(replace(block(f"{what} projector", operators, tokens * shape.width), part="projector"))
        count = 1 if what == "audio" or images is None else images
        first += several(found, count)
        of_images += count * tokens if what == "image" else 0
        told.append(_told(what, tokens, shape.seq_len, count, what == "image" and images is not None))
    if images and not (of_images or aside):
        raise UsageError(f"a model of type '{outer.model_type}' has no tower for images", "leave --images out")
    if images and of_images > shape.seq_len:
        one = f"{images} image{'s' if images > 1 else ''}"
        raise UsageError(
            f"{one} of {of_images // images:,} tokens do not fit in a sequence of {shape.seq_len:,}",
            f"give --seq-len {of_images:,} or more, or fewer --images",
        )
    seen = (1 if images is None else images) if of_images or aside else 0
    load = lower(shape, outer.model_type, (*facts, *told))
    texts = [replace(b, part="text") if first else b for b in load.blocks]
    return replace(load, blocks=(texts[0], *first, *texts[1:]), images=seen, image_tokens=of_images)


def several(blocks: list[Block], count: int) -> list[Block]:
    """Blocks of one image at work on so many in the place of one, each by itself; on none, only their weights are there."""
    if count == 1:
        return blocks
    if not count:
        weights = sum(b.parameters * b.repeat for b in blocks)
        idle = Elementwise(
            name="weights without work", elements=1, passes=1, split=Split.NONE, weights=weights, trainable=False
        )
        return [replace(blocks[0], operators=(idle,), repeat=1, boundary=0.0, reductions=0, passed=True)]
    grown = (tuple(_times(op, count) for op in b.operators) for b in blocks)
    return [replace(b, operators=ops, boundary=b.boundary * count) for b, ops in zip(blocks, grown, strict=True)]


# The sizes of operators that grow with what they work on.
_GROWING = ("rows", "positions", "input_elements", "output_elements", "elements", "steps")


def _times(op: Operator, count: int) -> Operator:
    if isinstance(op, Attention):
        return replace(op, heads=op.heads * count, kv_heads=op.kv_heads * count)
    if isinstance(op, Elementwise) and op.elements == op.weights:
        return op
    grown = {name: count * getattr(op, name) for name in _GROWING if hasattr(op, name)}
    if isinstance(op, Convolution | Elementwise) and op.saved:
        grown["saved"] = count * op.saved
    return replace(op, **grown)


def _tower(inner: Fields, what: str) -> Tower | None:
    if what == "audio":
        return (
            spectrogram_tower(inner, "audio")
            if inner.has("encoder_layers", "max_source_positions") or inner.known("max_source_positions")
            else None
        )
    if inner.model_type == "mllama_vision_model":
        return tiled_tower(inner)
    kind = IMAGES.get(inner.model_type)
    return None if kind is None else image_tower(inner, kind, "image")


def _told(what: str, tokens: int, seq_len: int, count: int, given: bool) -> Fact:
    taken = f"{tokens:,} tokens" + (" each" if count > 1 else "")
    why = f"{taken} of the {seq_len:,} of a sequence; the tower is trained too, unless --freeze says otherwise"
    if not count:
        why = "text alone: the tower's weights are there, and do no work"
    return Fact(name=f"{what}s a sequence", value=str(count), origin=Origin.GIVEN if given else Origin.ASSUMED, why=why)


# --- images beside texts


def pairs(config: Mapping[str, Any], outer: Fields, known: Known) -> Workload:
    """CLIP's kind: a tower of images and one of texts, whose outputs are compared.

    Raises:
        UsageError: a field is missing or wrong.
    """
    seen, read = part_of(outer, config, "vision_config", known), part_of(outer, config, "text_config", known)
    if seen is None or read is None:
        raise InputFileError(
            f"a configuration of type '{outer.model_type}' needs 'vision_config' and 'text_config'", "add it"
        )
    siglip = outer.model_type.startswith("siglip")
    tower = image_tower(seen, IMAGES["siglip_vision_model" if siglip else "clip_vision_model"], "image")
    shape = _texts(read)
    stem, layers, head = lower(shape, "texts").blocks
    common = (
        read.count("projection_size", default=shape.width) if siglip else outer.count("projection_dim", default=512)
    )
    last: list[Operator] = [head.operators[0]]
    if siglip:
        last.append(product("text projection", 1, shape.width, common))
    else:
        last.append(product("image projection", 1, tower.width, common, bias=False))
        last.append(product("text projection", 1, shape.width, common, bias=False))
    last += [few("scale", 2 if siglip else 1)]
    last += [product(n, 1, common, PAIRS, bias=False, tied=True) for n in ("image to text", "text to image")]
    why = "as CLIP was trained; each pair is compared with all others of the batch"
    return Workload(
        name=outer.model_type,
        family="vision transformer",
        blocks=(
            *(replace(b, part="vision") for b in tower.blocks),
            replace(stem, name="text embedding", part="text"),
            replace(layers, name="text layer", part="text"),
            block("pairs", [*last, loss(2, PAIRS)], 0, place="last"),
        ),
        tokens_per_sample=1,
        unit="images",
        heads=tower.heads,
        input="image",
        facts=(*seen.facts, *read.facts, Fact(name="pairs", value=f"{PAIRS:,}", origin=Origin.ASSUMED, why=why)),
    )


def _texts(read: Fields) -> TransformerShape:
    width = read.needed("hidden_size")
    reach = read.needed("max_position_embeddings", default=77, most=MOST_HEADS)
    return TransformerShape(
        family="encoder",
        layers=read.needed("num_hidden_layers", most=MOST_LAYERS),
        width=width,
        heads=_dividing(read, width),
        ff_width=read.needed("intermediate_size", most=MOST_ENTRIES),
        vocab=read.needed("vocab_size", most=MOST_ENTRIES),
        seq_len=reach,
        positions=reach,
        headless=True,
    )


def _dividing(fields: Fields, width: int) -> int:
    heads = fields.needed("num_attention_heads", "num_heads", most=MOST_HEADS)
    if width % heads:
        raise InputFileError(
            f"the model configuration's 'num_attention_heads' of {heads} does not divide its 'hidden_size' of {width}",
            "correct one of the two",
        )
    return heads


# --- one tower alone


def seeing_alone(fields: Fields) -> Workload:
    """A vision transformer by itself: a classifier, or what its class says.

    Raises:
        UsageError: a field is missing or wrong.
    """
    kind = IMAGES[fields.model_type]
    tower, head = standalone(fields, kind, architecture(fields), labels(fields))
    sound = fields.model_type == "audio-spectrogram-transformer"
    return Workload(
        name=fields.model_type,
        family="speech transformer" if sound else "vision transformer",
        blocks=(*tower.blocks, head),
        tokens_per_sample=1,
        unit="samples" if sound else "images",
        heads=tower.heads,
        input="audio" if sound else "image",
        facts=tuple(fields.facts),
    )


def hearing_alone(fields: Fields) -> Workload:
    """An encoder of waveforms by itself, with the letters that it writes down.

    Raises:
        UsageError: a field is missing or wrong.
    """
    tower = waveform_tower(fields, WAVES[fields.model_type])
    vocab, plain = fields.needed("vocab_size", default=32, most=MOST_ENTRIES), architecture(fields).endswith("Model")
    last: list[Operator] = [] if plain else [product("letters", tower.tokens, tower.width, vocab)]
    if architecture(fields).endswith("ForPreTraining"):
        last = _quantizer(fields, tower)
    why = "as wav2vec 2.0's longest pieces of speech were"
    told = Fact(name="speech a sample", value=f"{seconds():g} s", origin=Origin.ASSUMED, why=why)
    return Workload(
        name=fields.model_type,
        family="speech transformer",
        blocks=(*tower.blocks, block("head", [*last, loss(tower.tokens, vocab)], 0, place="last")),
        tokens_per_sample=1,
        unit="samples",
        heads=tower.heads,
        input="audio",
        facts=(*fields.facts, told),
    )


def _quantizer(fields: Fields, tower: Tower) -> list[Operator]:
    """What wav2vec 2.0 learns to predict before anything is written down."""
    groups, each = (
        fields.count("num_codevector_groups", default=2),
        fields.count("num_codevectors_per_group", default=320),
    )
    inner, common = fields.count("codevector_dim", default=256), fields.count("proj_codevector_dim", default=256)
    features = fields.numbers("conv_dim")[-1]
    return [
        few("codes", each * inner),
        product("quantizer", tower.tokens, features, max(1, groups * each)),
        product("project codes", tower.tokens, inner, common),
        product("project outputs", tower.tokens, tower.width, common),
    ]


def whisper(fields: Fields, seq_len: int | None) -> Workload:
    """Speech to text: an encoder of spectrograms, and a decoder that attends to it.

    Raises:
        UsageError: a field is missing or wrong.
    """
    tower = spectrogram_tower(fields)
    reach = fields.needed("max_target_positions", default=448, most=MOST_HEADS)
    tokens = reach if seq_len is None else seq_len
    check_seq_len(tokens)
    width = tower.width
    shape = TransformerShape(
        family="encoder-decoder",
        layers=fields.needed("decoder_layers", most=MOST_LAYERS),
        encoder_layers=1,
        width=width,
        heads=fields.needed("decoder_attention_heads", most=MOST_HEADS),
        ff_width=fields.needed("decoder_ffn_dim", most=MOST_ENTRIES),
        vocab=fields.needed("vocab_size", most=MOST_ENTRIES),
        seq_len=tokens,
        encoder_seq_len=tower.tokens,
        positions=max(reach, tokens),
    )
    embedding, _, decoder, head = lower(shape, "whisper").blocks
    return Workload(
        name=fields.model_type,
        family="speech transformer",
        blocks=(*tower.blocks, embedding, decoder, head),
        tokens_per_sample=1,
        unit="samples",
        heads=shape.heads,
        input="audio",
        facts=tuple(fields.facts),
    )
