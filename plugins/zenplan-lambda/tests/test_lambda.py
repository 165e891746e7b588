"""Lambda's plugin over real HTTP: answers of the documented shape, and of others."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest
import zenplan
from zenplan import DataError, PriceTable, UsageError
from zenplan.testing import ProviderContract, Reply, Server, network

from zenplan_lambda import KEY_FILE, KINDS, TYPES, VARIABLE, Lambda

PATH = "/api/v1/instance-types"
KEY = "secret_planted_0123456789"


def a_type(name: str, cents: Any, gpus: int, description: str, **more: Any) -> dict[str, Any]:
    """As on https://docs-api.lambda.ai/api/cloud."""
    specs = {"vcpus": 26 * gpus, "memory_gib": 225 * gpus, "storage_gib": 2816, "gpus": gpus}
    regions = [{"name": "us-east-1", "description": "Virginia, USA"}]
    found = {
        "name": name,
        "description": f"{gpus}x {description}",
        "gpu_description": description,
        "price_cents_per_hour": cents,
        "specs": specs,
        **more,
    }
    return {name: {"instance_type": found, "regions_with_capacity_available": regions}}


H100 = a_type("gpu_8x_h100_sxm5", 3192, 8, "H100 (80 GB SXM5)")
A10 = a_type("gpu_1x_a10", 129, 1, "A10 (24 GB PCIe)")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    monkeypatch.setenv("HOME", str(tmp_path))


def fetched(*types: dict[str, Any]) -> PriceTable:
    data = {name: each for some in types for name, each in some.items()}
    with Server({PATH: {"data": data}}) as server, network() as http:
        table = Lambda(address=server.url + PATH).fetch(http)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        return table


class TestContract(ProviderContract):
    provider = Lambda()
    pages: ClassVar[dict[str, Any]] = {PATH: {"data": {**H100, **A10}}}
    environment: ClassVar[dict[str, str]] = {VARIABLE: KEY}
    undated = True


def test_types_at_the_prices_of_now() -> None:
    table = fetched(H100, A10)
    found = {o.instance.name: (o.instance.accelerator, o.instance.devices, o.on_demand) for o in table.offers}
    assert {name: (a, d, p and p.usd_per_h) for name, (a, d, p) in found.items()} == {
        "gpu_8x_h100_sxm5": ("H100-SXM5-80GB", 8, 31.92),
        "gpu_1x_a10": ("A10", 1, 1.29),
    }
    assert table.left_out == ()
    assert table.terms == Lambda().bundled().terms
    assert table.offers[0].instance.ram_bytes == 8 * 225 * 2**30


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (a_type("gpu_8x_h1000", 3192, 8, "H1000 (80 GB)"), "no accelerator"),
        (a_type("cpu_4x_general", 20, 4, "N/A"), "no accelerator"),
        (a_type("gpu_8x_h100_sxm5", 3192, 4, "H100 (80 GB SXM5)"), "4 GPUs"),
        (a_type("gpu_8x_h100_sxm5", 3192, 8, "H100 (96 GB SXM5)"), "memory of 96"),
        (a_type("gpu_8x_h100_sxm5", None, 8, "H100 (80 GB SXM5)"), "no price"),
        (a_type("gpu_8x_h100_sxm5", "31.92", 8, "H100 (80 GB SXM5)"), "no price"),
        (a_type("gpu_8x_h100_sxm5", 0, 8, "H100 (80 GB SXM5)"), "above zero"),
        (a_type("gpu_8x_h100_sxm5", 1e308, 8, "H100 (80 GB SXM5)"), "absurd"),
        ({"gpu_8x_h100_sxm5": {"price": 31.92}}, "as documented"),
        ({"gpu_8x_h100_sxm5": None}, "as documented"),
    ],
)
def test_what_cannot_be_is_left_out_with_its_reason(wrong: dict[str, Any], said: str) -> None:
    table = fetched(wrong, A10)
    assert [offer.instance.name for offer in table.offers] == ["gpu_1x_a10"]
    assert said in table.left_out[0]


def test_eight_a100_are_of_the_other_kind() -> None:
    table = fetched(
        a_type("gpu_1x_a100", 199, 1, "A100 (40 GB PCIe)"), a_type("gpu_8x_a100", 1592, 8, "A100 (40 GB SXM4)")
    )
    assert [o.instance.accelerator for o in table.offers] == ["A100-PCIE-40GB", "A100-SXM4-40GB"]


def test_the_key_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE)
    file = tmp_path / KEY_FILE
    file.parent.mkdir()
    file.write_text(f"# mine\napi_key = {KEY}\n", encoding="utf-8")
    assert fetched(A10).offers


def test_without_a_key_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, " ")
    with Server({PATH: {"data": A10}}) as server, network() as http:
        with pytest.raises(UsageError, match="customers") as caught:
            Lambda(address=server.url + PATH).fetch(http)
        assert server.requests == []
    assert VARIABLE in caught.value.hint


@pytest.mark.parametrize("status", [401, 403, 500])
def test_the_key_is_in_no_error(status: int) -> None:
    page = Reply(body={"error": {"message": f"the key {KEY} is not valid"}}, status=status)
    with Server({PATH: page}) as server, network() as http, pytest.raises(DataError) as caught:
        Lambda(address=server.url + PATH).fetch(http)
    assert KEY not in caught.value.message + caught.value.hint


def test_every_kind_is_zenplans() -> None:
    sheets = {sheet.name: sheet.memory_bytes for sheet in zenplan.accelerators()}
    for accelerator, memory_gb in (*KINDS.values(), *TYPES.values()):
        assert sheets[accelerator] == pytest.approx(memory_gb * 1e9, rel=0.1)


def test_the_entry_point_says_whose_prices_it_carries() -> None:
    """Without that, zenplan's own table of that name would need the user's consent to be replaced."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["zenplan"] == {Lambda().name: "zenplan_lambda"}
