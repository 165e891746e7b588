"""A server on loopback that publishes catalogues as gpuhunt's makers do.

The plugin is tested from the checkout, installed or not.
"""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from zenplan.testing import Server

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

CLOUDS = ("aws", "azure", "verda", "gcp", "lambdalabs", "nebius", "oci", "runpod", "cloudrift")
HEADER = (
    "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,gpu_vendor,flags,cpu_arch,"
    "provider_data"
)
# A machine without a GPU, which every catalogue has.
CPU = "CPU.4V,FIN-01,0.03,4,16.0,0,,,False,,,,x86,{}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Where gpuhunt looks."""
    with Server() as listening:
        monkeypatch.setenv("GPUHUNT_CATALOG_URL", listening.url)
        yield listening


@pytest.fixture
def publish(server: Server) -> Callable[..., None]:
    """Publishes a cloud's catalogue of these rows; there is one of each cloud, with no accelerators."""

    def put(cloud: str, *rows: str, version: str = "20261101-1", header: str = HEADER) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"{cloud}.csv", "\n".join((header, CPU, *rows)) + "\n")
        server.pages[f"/{cloud}/version"] = f"{version}\n"
        server.pages[f"/{cloud}/{version}/catalog.zip"] = packed.getvalue()

    for cloud in CLOUDS:
        put(cloud)
    return put
