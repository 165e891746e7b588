"""Lambda's prices as they are now, as a zenplan plugin."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from zenplan import DataError, Http, PriceProvider, PriceTable, UsageError, bundled_prices, hookimpl, price_table

ADDRESS: Final = "https://cloud.lambda.ai/api/v1/instance-types"
VARIABLE: Final = "LAMBDA_API_KEY"
# Where SkyPilot has people put the key: "api_key = ...".
KEY_FILE: Final = ".lambda_cloud/lambda_keys"
# What stands behind the number of GPUs in the name of an instance type, as in gpu_8x_h100_sxm5; zenplan's accelerator, and
# its memory in GB.
KINDS: Final[Mapping[str, tuple[str, float]]] = {
    "a10": ("A10", 24),
    "a100": ("A100-PCIE-40GB", 40),
    "a100_sxm4": ("A100-SXM4-40GB", 40),
    "a100_80gb_sxm4": ("A100-SXM4-80GB", 80),
    "a6000": ("RTX-A6000", 48),
    "b200_sxm6": ("B200-SXM-180GB", 180),
    "gh200": ("GH200-96GB", 96),
    "h100_pcie": ("H100-PCIE-80GB", 80),
    "h100_sxm5": ("H100-SXM5-80GB", 80),
    "rtx6000": ("Quadro-RTX-6000", 24),
    "v100": ("V100-SXM2-16GB", 16),
}
# The one of eight is another product than the one of fewer.
TYPES: Final[Mapping[str, tuple[str, float]]] = {"gpu_8x_a100": ("A100-SXM4-40GB", 40)}
_NAME: Final = re.compile(r"gpu_(\d+)x_(\w+)")
_MEMORY: Final = re.compile(r"\((\d+) ?GB\b")
_SAME_MEMORY: Final = 0.1
_CHANGED: Final = "its interface may have changed: look for a newer plugin"


@dataclass(frozen=True, slots=True)
class Lambda:
    """Lambda's instances on demand.

    Attributes:
        address: of its list of instance types.
    """

    name: str = "lambda"
    address: str = ADDRESS

    def bundled(self) -> PriceTable:
        """zenplan's own dated table."""
        return bundled_prices(self.name)

    def fetch(self, http: Http) -> PriceTable:
        """Every instance type at its price of now, the same in all regions.

        Raises:
            UsageError: there is no key.
            DataError: the answer is not as documented.
        """
        answer = http.get_json(self.address, {"Authorization": f"Bearer {_key(os.environ, Path.home())}"})
        types = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(types, dict) or not types:
            raise DataError("Lambda's answer has no instance types", _CHANGED)
        left_out: list[str] = []
        rows = []
        for name, each in types.items():
            try:
                rows.append(_row(name, each))
            except DataError as error:
                left_out.append(f"{name}: {error.message}")
        table = price_table(self.name, rows, self.address)
        return replace(table, left_out=(*left_out, *table.left_out))


def _key(environ: Mapping[str, str], home: Path) -> str:
    """The user's key. Raises UsageError: there is none."""
    key = environ.get(VARIABLE, "").strip()
    if not key:
        try:
            lines = (home / KEY_FILE).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            lines = []
        pairs = (line.partition("=") for line in lines)
        key = next((value.strip() for name, _, value in pairs if name.strip() == "api_key"), "")
    if not key:
        raise UsageError(
            "Lambda gives its prices to customers alone", f"set {VARIABLE}, or put the key into ~/{KEY_FILE}"
        )
    return key


def _row(name: str, each: Any) -> dict[str, Any]:
    """The row of an instance type. Raises DataError: it cannot be used."""
    found = each.get("instance_type") if isinstance(each, dict) else None
    specs = found.get("specs") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(specs, dict):
        raise DataError("it is not described as documented")
    match = _NAME.fullmatch(name)
    known = TYPES.get(name) or (KINDS.get(match[2]) if match else None)
    if match is None or known is None:
        raise DataError("no accelerator of zenplan's has that name")
    accelerator, memory_gb = known
    devices = int(match[1])
    if specs.get("gpus", devices) != devices:
        raise DataError(f"it has {specs['gpus']} GPUs, and {devices} in its name")
    memory = _MEMORY.search(str(found.get("gpu_description") or found.get("description")))
    if memory and abs(int(memory[1]) / memory_gb - 1) > _SAME_MEMORY:
        raise DataError(f"memory of {memory[1]} GB, and {accelerator} has {memory_gb:g}")
    cents = found.get("price_cents_per_hour")
    if not isinstance(cents, int | float) or isinstance(cents, bool):
        raise DataError("it has no price")
    return {
        "instance": name,
        "accelerator": accelerator,
        "devices": devices,
        "vcpus": specs.get("vcpus"),
        "ram_gib": specs.get("memory_gib"),
        "on_demand_usd_per_h": cents / 100,
    }


@hookimpl
def zenplan_price_providers() -> Iterable[PriceProvider]:
    """One provider, ``lambda``."""
    return (Lambda(),)
