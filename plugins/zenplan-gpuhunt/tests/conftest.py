"""A server on loopback that publishes catalogues as gpuhunt's makers do.

The plugin is tested from the checkout, installed or not.
"""

from __future__ import annotations

import io
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

CLOUDS = ("aws", "azure", "verda", "gcp", "lambdalabs", "nebius", "oci", "runpod", "cloudrift")
HEADER = (
    "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,gpu_vendor,flags,cpu_arch,"
    "provider_data"
)
# A machine without a GPU, which every catalogue has.
CPU = "CPU.4V,FIN-01,0.03,4,16.0,0,,,False,,,,x86,{}"


class Bucket:
    """By path what is published; ``wait_s`` before each answer, ``asked`` what was asked for."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.files: dict[str, bytes] = {}
        self.wait_s = 0.0
        self.asked: list[str] = []

    def publish(self, cloud: str, *rows: str, version: str = "20261129-1", header: str = HEADER) -> None:
        """A catalogue of these rows."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"{cloud}.csv", "\n".join((header, CPU, *rows)) + "\n")
        self.files[f"/{cloud}/version"] = f"{version}\n".encode()
        self.files[f"/{cloud}/{version}/catalog.zip"] = packed.getvalue()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        bucket: Bucket = self.server.bucket  # type: ignore[attr-defined]  # ours
        bucket.asked.append(self.path)
        time.sleep(bucket.wait_s)
        body = bucket.files.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket with a catalogue of each cloud, in which gpuhunt looks."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as listening:
        listening.daemon_threads = True
        listening.block_on_close = False
        bucket = Bucket(listening.server_port)
        for cloud in CLOUDS:
            bucket.publish(cloud)
        listening.bucket = bucket  # type: ignore[attr-defined]  # for the handler
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        monkeypatch.setenv("GPUHUNT_CATALOG_URL", bucket.url)
        yield bucket
        listening.shutdown()
        thread.join()
