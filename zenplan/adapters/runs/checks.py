"""Whether the cells of a measured run agree with each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from zenplan.errors import DataError

# Two printed figures that differ by no more than this are one, rounded.
_AGREE: Final = 0.02
# What should divide what; a run where it does not is rare, but there are some.
_DIVIDES: Final = (("tp", "heads"), ("kv_heads", "heads"), ("heads", "width"), ("cp", "seq_len"))
_AT_MOST: Final = (("tp", "heads"), ("kv_heads", "heads"), ("micro_batch", "global_batch"), ("ep", "devices"))
_MIXTURES: Final = ("moe-decoder",)
# Stages are often shared out with the embedding, the head or both counted as layers.
_ENDS: Final = (0, 1, 2)

Counts = Mapping[str, int]


def check_layout(row: Mapping[str, str], counts: Counts, nodes: int | None, node_devices: int | None) -> None:
    """Find a layout that no run can have had.

    Args:
        row: text by column.
        counts: the whole numbers among the cells, the empty ones left out.
        nodes, node_devices: as the row prints them, before anything is worked out; None where it does not.

    Raises:
        DataError: two cells contradict each other; the message has both.
    """
    stages, parts = counts.get("pp", 1), counts.get("vp", 1)
    if stages * parts > counts.get("layers", math.inf):
        raise DataError(f"{stages} pipeline stages of {parts} parts need more than {counts['layers']} layers")
    for name, whole in _AT_MOST:
        if counts.get(name, 1) > counts.get(whole, math.inf):
            raise DataError(f"{name} = {counts[name]} is more than {whole} = {counts[whole]}")
    if counts.get("ep", 1) > 1 and row["family"] not in _MIXTURES:
        raise DataError(f"ep = {counts['ep']}, but a model of the family {row['family']} has no experts")
    devices = counts["devices"]
    # The last node, or the only one, may be in use in part.
    if nodes and node_devices and nodes != -(-devices // node_devices):
        raise DataError(
            f"nodes · node_devices = {nodes} · {node_devices} = {nodes * node_devices}, not {devices} devices"
        )
    degrees = {name: counts[name] for name in ("tp", "pp", "dp", "cp") if name in counts}
    product = math.prod(degrees.values())
    if devices % product or (len({"tp", "pp", "dp"} & degrees.keys()) == 3 and product != devices):
        raise DataError(f"{'·'.join(degrees)} = {product}, not {devices} devices")


def odd_cells(row: Mapping[str, str], counts: Counts) -> list[str]:
    """Notes on cells that do not go together, but with which a run can be predicted."""
    notes = [
        f"{name} = {counts[name]} does not divide {whole} = {counts[whole]}"
        for name, whole in _DIVIDES
        if name in counts and whole in counts and counts[whole] % counts[name]
    ]
    stages, parts, layers = counts.get("pp", 1), counts.get("vp", 1), counts.get("layers", 0)
    if all((layers + more) % (stages * parts) for more in _ENDS):
        product = f"pp · vp = {stages * parts}" if parts > 1 else f"pp = {stages}"
        notes.append(f"{product} does not divide layers = {layers}")
    tokens, samples = row["tokens_per_s_per_device"], row["samples_per_s_per_device"]
    if tokens and samples and row["seq_len"]:
        ratio = float(tokens) / (float(samples) * int(row["seq_len"]))
        if abs(ratio - 1.0) > _AGREE:
            notes.append(f"tokens_per_s_per_device is {ratio:.2f} times samples_per_s_per_device · seq_len")
    return notes
