"""Devices, machines, providers and zones as people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from zenplan.domain.answer.answer import Answer
from zenplan.errors import NoFit, UnknownName, UsageError

Ask = Callable[..., Answer]


def machines(ask: Ask, **given: Any) -> set[tuple[str, str, int]]:
    """Provider, accelerator and number of devices of all that is quoted."""
    return {
        (r.quote.offer.instance.provider, r.quote.offer.instance.accelerator, r.quote.devices)
        for r in ask(params=1e9, top=1000, **given).ranked
    }


@pytest.mark.parametrize("text", ["8xH100", "8 x h100", "8×H100", "8*H100", "H100:8", "H100x8", "H100 x 8"])
def test_a_count_goes_with_the_name(ask: Ask, text: str) -> None:
    assert machines(ask, gpu=text) == machines(ask, gpu="H100", gpus=8)
    assert machines(ask, gpu=text, gpus=8) == machines(ask, gpu="H100", gpus=8)
    with pytest.raises(UsageError, match="contradict"):
        ask(params=1e9, gpu=text, gpus=4)


@pytest.mark.parametrize("name", ["RTX4090", "RTX-4090", "4090", "TPU-v5e", "A100-40GB"])
def test_a_name_of_an_accelerator_is_no_count(ask: Ask, name: str) -> None:
    assert len({gpus for _, _, gpus in machines(ask, gpu=name)}) > 1


@pytest.mark.parametrize("text", ["aws/p5.48xlarge", "p5.48xlarge", "AWS/P5.48xlarge"])
def test_a_machine_by_its_provider_s_name(ask: Ask, text: str) -> None:
    found = ask(params=1e9, gpu=text, top=1000).ranked
    assert {(r.quote.offer.instance.provider, r.quote.offer.instance.name) for r in found} == {("aws", "p5.48xlarge")}
    assert {r.quote.devices for r in ask(params=1e9, gpu=f"2x{text}", top=1000).ranked} == {16}


@pytest.mark.parametrize("text", ["0xH100", "H100:0", "00 x h100", "0xp5.48xlarge"])
def test_no_devices_are_refused(ask: Ask, text: str) -> None:
    with pytest.raises(UsageError, match="no devices"):
        ask(params=1e9, gpu=text)


def test_what_nobody_has_is_refused_by_its_own_name(ask: Ask) -> None:
    for text, name in (("8xFOO", "FOO"), ("FOO:8", "FOO:8"), ("RTX4099", "RTX4099"), ("aws/p9.48xlarge", "p9")):
        with pytest.raises(UnknownName, match=name):
            ask(params=1e9, gpu=text)
    with pytest.raises(UsageError, match="a machine and other devices"):
        ask(params=1e9, gpu=("p5.48xlarge", "H100"))


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("Google Cloud", "gcp"),
        ("google-cloud", "gcp"),
        ("Amazon", "aws"),
        ("LambdaLabs", "lambda"),
        ("vast.ai", "vast-ai"),
    ],
)
def test_providers_as_people_call_them(ask: Ask, name: str, provider: str) -> None:
    assert {found for found, _, _ in machines(ask, provider=name)} == {provider}
    assert provider not in {found for found, _, _ in machines(ask, exclude_provider=name)}


@pytest.mark.parametrize(
    ("provider", "zone", "region"), [("aws", "us-east-1a", "us-east-1"), ("gcp", "us-central1-a", "us-central1")]
)
def test_a_zone_is_of_its_region(ask: Ask, provider: str, zone: str, region: str) -> None:
    found = ask(params=1e9, provider=provider, region=zone, top=1000).ranked
    assert {r.quote.offer.region for r in found} == {region}


def test_what_a_provider_has_instead_is_said(ask: Ask) -> None:
    with pytest.raises(NoFit) as error:
        ask(params=1e9, gpu="H100-PCIE-80GB", provider="aws")
    assert "H100-SXM5-80GB" in error.value.hint
