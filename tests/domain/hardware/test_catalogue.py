"""The rules by which a name finds an accelerator, on a small catalogue made here."""

from dataclasses import replace

import pytest

from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.hardware.catalogue import Catalogue, plain
from zenplan.errors import UnknownName


def make(name: str, nvml: str = "", *aliases: str, memory_bytes: float = 80e9) -> Accelerator:
    return Accelerator(
        name=name,
        vendor="NVIDIA",
        architecture="Hopper",
        nvml_names=(nvml,) if nvml else (),
        aliases=aliases,
        memory_bytes=memory_bytes,
        memory_bytes_per_s=1e12,
        mig_instances=7 if memory_bytes >= 80e9 else None,
    )


CATALOGUE = Catalogue(
    accelerators=(
        make("H20-96GB", "NVIDIA H20", "h20", memory_bytes=96e9),
        make("H200-SXM-141GB", "NVIDIA H200", "h200", memory_bytes=141e9),
        make("H200-NVL-141GB", "NVIDIA H200 NVL", "h200-nvl", memory_bytes=141e9),
        make("H100-SXM5-80GB", "NVIDIA H100 80GB HBM3", "h100"),
        make("A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB", "a100", "a100-80gb"),
        make("RTX-4090", "NVIDIA GeForce RTX 4090", "4090", memory_bytes=24e9),
        make("RTX-3080", "NVIDIA GeForce RTX 3080", "3080", memory_bytes=10e9),
        make("L4", "NVIDIA L4", memory_bytes=24e9),
        make("V100-SXM2-16GB", "Tesla V100-SXM2-16GB", "v100", memory_bytes=16e9),
    )
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("H100-SXM5-80GB", "H100-SXM5-80GB"),
        ("h100", "H100-SXM5-80GB"),
        ("H100 SXM5 80GB", "H100-SXM5-80GB"),
        (" rtx4090 ", "RTX-4090"),
        ("RTX 4090", "RTX-4090"),
        ("a100_80gb", "A100-SXM4-80GB"),
        ("Tesla V100-SXM2-16GB", "V100-SXM2-16GB"),
    ],
)
def test_a_name_is_found_without_its_case_and_punctuation(text, name):
    assert CATALOGUE.by_name(text).name == name


@pytest.mark.parametrize("text", ["h10", "h1000", "rtx", "", "  ", "N/A", "TPU", "100"])
def test_a_name_is_exact_or_unknown(text):
    with pytest.raises(UnknownName):
        CATALOGUE.by_name(text)


def test_an_unknown_name_has_the_nearest_ones_as_its_hint():
    with pytest.raises(UnknownName, match="unknown accelerator 'h10O'") as caught:
        CATALOGUE.by_name("h10O")
    assert "h100" in caught.value.hint


def test_a_maker_or_a_series_has_its_accelerators_as_its_hint():
    others = (
        replace(make("MI300X"), vendor="AMD"),
        replace(make("MI250X"), vendor="AMD"),
        make("TPU-v5e"),
        make("TPU-v4"),
    )
    many = Catalogue(accelerators=(*CATALOGUE.accelerators, *others))
    for text, some, other in (("amd", "MI300X", "H100"), ("TPU", "TPU-v5e", "MI300X"), ("rtx", "RTX-3080", "TPU-v4")):
        with pytest.raises(UnknownName) as caught:
            many.by_name(text)
        assert some in caught.value.hint
        assert other not in caught.value.hint
        assert "zenplan accelerators" in caught.value.hint


def test_an_unknown_name_near_nothing_names_the_listing():
    with pytest.raises(UnknownName) as caught:
        CATALOGUE.by_name("zzzzzz")
    assert "zenplan accelerators" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("NVIDIA H200", "H200-SXM-141GB"),
        ("NVIDIA H200 NVL", "H200-NVL-141GB"),
        ("NVIDIA H20", "H20-96GB"),
        ("nvidia  h100 80gb hbm3", "H100-SXM5-80GB"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "H100-SXM5-80GB 1g.10gb"),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb+me", "A100-SXM4-80GB 1g.10gb+me"),
        ("NVIDIA H200 141GB HBM3e", "H200-SXM-141GB"),
        ("A100-SXM4-80GB", "A100-SXM4-80GB"),
        ("GeForce RTX 4090", "RTX-4090"),
        ("NVIDIA Tesla V100-SXM2-16GB", "V100-SXM2-16GB"),
    ],
)
def test_nvml_finds_its_product(text, name):
    found = CATALOGUE.by_nvml(text)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "text",
    [
        "NVIDIA H2000",
        "NVIDIA H20-3e",
        "NVIDIA H100 80GB HBM2e",
        "NVIDIA H100",
        "NVIDIA L40S",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 3080 Ti",
        "NVIDIA GeForce RTX 3080 12GB",
        "NVIDIA A100-SXM4-80GB MIG",
        "NVIDIA A100-SXM4-80GBx",
        "A100-SXM4-40GB",
        "RTX-4090",
        "",
    ],
)
def test_nvml_never_guesses(text):
    assert CATALOGUE.by_nvml(text) is None


def test_the_first_of_two_owners_of_a_name_wins():
    first, second = make("X", "NVIDIA X", "x-80gb"), make("X", "NVIDIA X", "x-80gb")
    catalogue = Catalogue(accelerators=(first, second))
    assert catalogue.by_name("x") is first
    assert catalogue.by_name("x-80gb") is first
    assert catalogue.by_nvml("NVIDIA X") is first


def test_a_canonical_name_beats_an_alias_that_came_first():
    catalogue = Catalogue(accelerators=(make("Y-PCIE", "", "y"), make("Y")))
    assert catalogue.by_name("y").name == "Y"


def test_it_is_counted_and_gone_through_in_order():
    assert len(CATALOGUE) == 9
    assert [each.name for each in CATALOGUE][:2] == ["H20-96GB", "H200-SXM-141GB"]
    assert len(Catalogue(accelerators=())) == 0


def test_plain_keeps_letters_and_digits():
    assert plain("NVIDIA GeForce RTX 4090 (Ti)") == "nvidiageforcertx4090ti"
