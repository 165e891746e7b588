"""Operations as people write them: each name reaches its field, and what was given says so."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import zenplan
from zenplan.adapters.settings.operations import KEYS, operations_of, parse_operations
from zenplan.adapters.settings.settings import resolve
from zenplan.domain.provenance import Origin
from zenplan.domain.training.operations import Operations
from zenplan.errors import UsageError

VALUES: dict[str, tuple[Any, Any]] = {
    "startup": ("5min", 300.0),
    "restart": ("0s", 0.0),
    "replace": ("1h", 3600.0),
    "device_mtbf": ("50000h", 1.8e8),
    "preemption": ("0.1%:0.2%:0.4%", (0.001 / 3600, 0.002 / 3600, 0.004 / 3600)),
    "checkpoint_speed": ("2GB", 2e9),
    "checkpoints_kept": (5, 5),
    "evaluation": ("2%", 0.02),
    "production": ([1.0, 1.2, 1.5], (1.0, 1.2, 1.5)),
    "production_half_devices": (8, 8.0),
    "production_half": ("12h", 43_200.0),
    "power_share": (0.7, (0.7, 0.7, 0.7)),
    "idle_power_share": ("20%", 0.2),
    "host_power": ("150W", 150.0),
    "pue": (1.08, 1.08),
    "grid": (50, 50 / 1000 / 3.6e6),
    "disk": ("1TB", 1e12),
}


def test_every_field_has_a_name_and_every_name_its_field() -> None:
    own = {field.name for field in fields(Operations)} - {"given"}
    assert {field for field, _, _ in KEYS.values()} == own
    assert VALUES.keys() == KEYS.keys()


@pytest.mark.parametrize("name", KEYS)
def test_a_value_reaches_its_field_and_is_given(name: str) -> None:
    value, expected = VALUES[name]
    found = operations_of(parse_operations({name: value}))
    field = KEYS[name][0]
    assert getattr(found, field) == pytest.approx(expected)
    assert found.given == (field,)
    told = [fact for fact in found.facts() if fact.origin is Origin.GIVEN]
    assert len(told) == 1
    assert [f for f in Operations().facts() if f.origin is Origin.GIVEN] == []


@pytest.mark.parametrize(
    "value",
    [
        "",
        "pue",
        "pue=",
        "puee=1",
        "pue=1,pue=2",
        "pue=x",
        "pue=0",
        "power_share=1:2",
        "power_share=0.9:0.5:0.1",
        "production=0.1:0.2:0.3",
        "startup=5",
        "startup=-5min",
        "preemption=120%",
        3,
        {},
        {"pue": None},
        {"pue": {"x": 1}},
    ],
)
def test_what_cannot_be_is_a_slip(value: object) -> None:
    with pytest.raises(UsageError):
        parse_operations(value)


def test_a_table_of_the_projects_file_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "zenplan.toml").write_text('[operations]\npue = 1.07\nhost-power = "80W"\n', encoding="utf-8")
    text = resolve({}, {}, tmp_path, None)["operations"]
    assert (operations_of(text).pue, operations_of(text).host_w) == (1.07, 80.0)
    # Who comes first says all of it, as with every setting.
    text = resolve({"operations": "pue=1.5"}, {}, tmp_path, None)["operations"]
    assert (operations_of(text).pue, operations_of(text).host_w) == (1.5, Operations().host_w)


def test_python_has_them_too() -> None:
    asked = {"params": 1e9, "tokens": 2e8, "gpu": "H100", "gpus": 8, "no_calibrations": True}
    plain = zenplan.estimate(**asked)
    slow = zenplan.estimate(**asked, operations={"startup": "1h", "pue": 1.5})
    usual = plain.recommended.wall_clock_s.mid
    assert slow.recommended.wall_clock_s.mid == pytest.approx(usual - 600 + 3600, rel=1e-6)
    origins = {fact.name: fact.origin for fact in slow.operations.facts()}
    assert (origins["PUE"], origins["checkpoints kept"]) == (Origin.GIVEN, Origin.ASSUMED)
    assert slow.request.given["operations"] == "startup=1h,pue=1.5"


def test_what_was_given_of_preemption_comes_before_what_is_published(ask: Any) -> None:
    """A run on spot machines is longer where they are taken more often, whatever is published of them."""
    asked = {"params": 1e9, "tokens": 2e10, "gpu": "a100-80gb", "gpus": 8, "billing": "spot", "no_calibrations": True}
    times = [
        zenplan.estimate(**asked, operations={"preemption": each}).recommended.wall_clock_s.mid
        for each in ("0%", "1%", "5%")
    ]
    assert times == sorted(set(times))
