"""RunPod's prices, as a zenplan plugin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from zenplan import DataError, Http, PriceProvider, PriceTable, bundled_prices, hookimpl, price_table

ADDRESS: Final = "https://api.runpod.io/graphql"
QUERY: Final = (
    "query { gpuTypes { id memoryInGb securePrice communityPrice secureSpotPrice communitySpotPrice "
    "maxGpuCountSecureCloud maxGpuCountCommunityCloud } }"
)
# RunPod's id of a GPU (https://docs.runpod.io/references/gpu-types) to its name in zenplan's table, zenplan's accelerator,
# and its memory in GB.
GPUS: Final[Mapping[str, tuple[str, str, float]]] = {
    "AMD Instinct MI300X OAM": ("mi300x", "MI300X", 192),
    "NVIDIA A100 80GB PCIe": ("a100-pcie", "A100-PCIE-80GB", 80),
    "NVIDIA A100-SXM4-80GB": ("a100-sxm", "A100-SXM4-80GB", 80),
    "NVIDIA A30": ("a30", "A30", 24),
    "NVIDIA A40": ("a40", "A40", 48),
    "NVIDIA B200": ("b200", "B200-SXM-180GB", 180),
    "NVIDIA GeForce RTX 3070": ("rtx-3070", "RTX-3070", 8),
    "NVIDIA GeForce RTX 3080": ("rtx-3080", "RTX-3080", 10),
    "NVIDIA GeForce RTX 3090": ("rtx-3090", "RTX-3090", 24),
    "NVIDIA GeForce RTX 3090 Ti": ("rtx-3090-ti", "RTX-3090-Ti", 24),
    "NVIDIA GeForce RTX 4070 Ti": ("rtx-4070-ti", "RTX-4070-Ti", 12),
    "NVIDIA GeForce RTX 4080": ("rtx-4080", "RTX-4080", 16),
    "NVIDIA GeForce RTX 4080 SUPER": ("rtx-4080-super", "RTX-4080-Super", 16),
    "NVIDIA GeForce RTX 4090": ("rtx-4090", "RTX-4090", 24),
    "NVIDIA GeForce RTX 5080": ("rtx-5080", "RTX-5080", 16),
    "NVIDIA GeForce RTX 5090": ("rtx-5090", "RTX-5090", 32),
    "NVIDIA H100 80GB HBM3": ("h100-sxm", "H100-SXM5-80GB", 80),
    "NVIDIA H100 NVL": ("h100-nvl", "H100-NVL-94GB", 94),
    "NVIDIA H100 PCIe": ("h100-pcie", "H100-PCIE-80GB", 80),
    "NVIDIA H200": ("h200", "H200-SXM-141GB", 141),
    "NVIDIA L4": ("l4", "L4", 24),
    "NVIDIA L40": ("l40", "L40", 48),
    "NVIDIA L40S": ("l40s", "L40S", 48),
    "NVIDIA RTX 4000 Ada Generation": ("rtx-4000-ada", "RTX-4000-Ada", 20),
    "NVIDIA RTX 5000 Ada Generation": ("rtx-5000-ada", "RTX-5000-Ada", 32),
    "NVIDIA RTX 6000 Ada Generation": ("rtx-6000-ada", "RTX-6000-Ada", 48),
    "NVIDIA RTX A4000": ("rtx-a4000", "RTX-A4000", 16),
    "NVIDIA RTX A4500": ("rtx-a4500", "RTX-A4500", 20),
    "NVIDIA RTX A5000": ("rtx-a5000", "RTX-A5000", 24),
    "NVIDIA RTX A6000": ("rtx-a6000", "RTX-A6000", 48),
    "Tesla V100-PCIE-16GB": ("v100-pcie", "V100-PCIE-16GB", 16),
    "Tesla V100-SXM2-16GB": ("v100-sxm2", "V100-SXM2-16GB", 16),
    "Tesla V100-SXM2-32GB": ("v100-sxm2-32gb", "V100-SXM2-32GB", 32),
}
_TIERS: Final = ("secure", "community")
_SIZES: Final = (1, 2, 4, 8)
# A memory is rounded to whole GB, or is GiB: further off it is another product.
_SAME_MEMORY: Final = 0.1


@dataclass(frozen=True, slots=True)
class RunPod:
    """RunPod's pods.

    Attributes:
        address: of its GraphQL interface.
    """

    name: str = "runpod"
    address: str = ADDRESS

    def bundled(self) -> PriceTable:
        """Zenplan's own table: pods of 1, 2, 4 and 8 GPUs, in both tiers, each price with its day."""
        return bundled_prices(self.name)

    def fetch(self, http: Http) -> PriceTable:
        """The same pods at the prices of now, and spot ones. Raises DataError: the answer is not as documented."""
        gpus = _gpus(http.get_json(self.address, {}, {"query": QUERY}))
        bundled = self.bundled()
        hosts = {(o.instance.name, o.tier): o.instance for o in bundled.offers}
        left_out: list[str] = []
        rows = []
        for gpu in gpus:
            for row in _rows(gpu, left_out):
                host = hosts.get((row["instance"], row["tier"]))
                row["vcpus"] = host and host.vcpus
                row["ram_gib"] = host and host.ram_bytes and host.ram_bytes / 2**30
                rows.append(row)
        table = price_table(self.name, rows, self.address)
        return replace(table, terms=bundled.terms, left_out=(*left_out, *table.left_out))


def _gpus(answer: Any) -> list[Mapping[str, Any]]:
    """The GPU types of an answer. Raises DataError: it has none."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if errors:
        raise DataError(
            "RunPod answers with an error of the query", "its interface may have changed: look for a newer plugin"
        )
    data = answer.get("data") if isinstance(answer, dict) else None
    found = data.get("gpuTypes") if isinstance(data, dict) else None
    if not isinstance(found, list) or not found or not all(isinstance(gpu, dict) for gpu in found):
        raise DataError("RunPod's answer has no gpuTypes", "its interface may have changed: look for a newer plugin")
    return found


def _rows(gpu: Mapping[str, Any], left_out: list[str]) -> Iterator[dict[str, Any]]:
    """A row for each pod of a GPU type: its price is one GPU's, in proportion."""
    known = GPUS.get(str(gpu.get("id")))
    if known is None:
        left_out.append(f"{gpu.get('id')}: no accelerator of zenplan's has that name")
        return
    name, accelerator, memory_gb = known
    memory = gpu.get("memoryInGb")
    if not isinstance(memory, int | float) or abs(memory / memory_gb - 1) > _SAME_MEMORY:
        left_out.append(f"{gpu['id']}: memory of {memory} GB, and {accelerator} has {memory_gb:g}")
        return
    for tier in _TIERS:
        one, spot = gpu.get(f"{tier}Price"), gpu.get(f"{tier}SpotPrice")
        most = gpu.get(f"maxGpuCount{tier.capitalize()}Cloud")
        # A tier that has none of them has no price.
        if one is None:
            continue
        for count in _SIZES:
            if count == 1 or (isinstance(most, int) and count <= most):
                yield {
                    "instance": name + (f" x{count}" if count > 1 else ""),
                    "accelerator": accelerator,
                    "devices": count,
                    "tier": tier,
                    "on_demand_usd_per_h": _times(one, count),
                    # 0 where nobody bids.
                    "spot_usd_per_h": _times(spot, count) if spot else None,
                }


def _times(price: Any, count: int) -> Any:
    """Of so many; what is no number is for the reader of rows to refuse."""
    return round(price * count, 6) if isinstance(price, int | float) and not isinstance(price, bool) else price


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """One provider, ``runpod``."""
    return (RunPod(),)
