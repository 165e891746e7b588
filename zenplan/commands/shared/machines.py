"""Devices as people write them: a count beside the name, as in ``8xH100``, or a machine, as in ``aws/p5.48xlarge``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from zenplan.commands.shared.filters import Filters
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.market.offer import Instance, Offers, PriceTable
from zenplan.domain.training.request import Request
from zenplan.errors import UnknownName, UsageError

_COUNT_FIRST: Final = re.compile(r"(?P<count>\d{1,6})\s*[x×*]\s*(?P<name>\S.*)", re.IGNORECASE)
_COUNT_LAST: Final = re.compile(r"(?P<name>\S.*?)\s*[x×*:]\s*(?P<count>\d{1,6})", re.IGNORECASE)


def with_named_devices(request: Request, catalogue: Catalogue, tables: Sequence[PriceTable] = ()) -> Request:
    """The request with the accelerators, their number and the machines that its names stand for.

    A name that an accelerator has is that accelerator, whatever it looks like; one that nothing answers to stays, and is
    refused where it is looked up.

    Args:
        tables: whose machines may be named, as the provider calls them, with or without its name and a slash before it.

    Raises:
        UsageError: two counts contradict, or a machine is named beside other devices.
    """
    names: list[str] = []
    counts: dict[str, int] = {}
    machines: list[Instance] = []
    for text in request.gpu:
        name, count = _counted(text, catalogue)
        found = () if _is_known(name, catalogue) else _machines(name, tables)
        machines.extend(found)
        names.extend(dict.fromkeys(each.accelerator for each in found) if found else [name])
        if count is not None:
            counts[text] = count * (found[0].devices if found else 1)
    if machines and len(request.gpu) > 1:
        raise UsageError(f"--gpu {','.join(request.gpu)} names a machine and other devices", "name one machine alone")
    return replace(
        request,
        gpu=tuple(dict.fromkeys(names)),
        gpus=_agreed(request.gpus, counts),
        instances=tuple(dict.fromkeys((each.provider, each.name) for each in machines)),
    )


def _agreed(gpus: int | None, counts: dict[str, int]) -> int | None:
    told = {f"--gpu {text}": count for text, count in counts.items()} | (
        {} if gpus is None else {f"--gpus {gpus}": gpus}
    )
    if len(set(told.values())) > 1:
        raise UsageError(f"{' and '.join(told)} contradict", "give one count")
    return next(iter(told.values()), None)


def _counted(text: str, catalogue: Catalogue) -> tuple[str, int | None]:
    """The name without the count that stands before or behind it; the whole text where it is a name itself."""
    if not _is_known(text, catalogue):
        for pattern in (_COUNT_FIRST, _COUNT_LAST):
            match = pattern.fullmatch(text.strip())
            # Behind a name an x may be its last letter.
            if match and (pattern is _COUNT_FIRST or _is_known(match["name"], catalogue)):
                if not int(match["count"]):
                    raise UsageError(f"--gpu {text}: no devices are nothing to train on", "one at least, as in 8xH100")
                return match["name"], int(match["count"])
    return text, None


def wanted(
    filters: Mapping[str, Any], catalogue: Catalogue, tables: Sequence[PriceTable], spot: bool = False
) -> Filters:
    """Which offers are looked at, where devices are named as people do: ``8xH100`` are machines of eight.

    Args:
        filters: fields of a request that say which offers to look at.
        catalogue: every accelerator.
        tables: whose machines may be named.
        spot: only offers with a spot price.

    Raises:
        UsageError: as of ``with_named_devices``.
    """
    named = with_named_devices(Request(gpu=tuple(filters["gpu"])), catalogue, tables)
    return Filters(**{**filters, "gpu": named.gpu}, instances=named.instances, devices=named.gpus, spot=spot)


def _is_known(name: str, catalogue: Catalogue) -> bool:
    try:
        catalogue.by_name(name)
    except UnknownName:
        return False
    return True


def _machines(text: str, tables: Sequence[PriceTable]) -> tuple[Instance, ...]:
    """Those of that name."""
    provider, _, name = text.strip().casefold().rpartition("/")
    found = (
        table.offers[place].instance
        for table in tables
        if provider in ("", table.provider.casefold())
        for place, called in enumerate(Offers.of(table.offers).names)
        if called.casefold() == name
    )
    return tuple(dict.fromkeys(found))
