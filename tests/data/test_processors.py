"""The bundled table of processors, and what is planned on them."""

from dataclasses import replace
from datetime import date

import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.coefficients import read_coefficients
from zenplan.adapters.tables.processors import read_processors
from zenplan.domain.fit.processor import PROCESSOR
from zenplan.domain.hardware.catalogue import Catalogue, plain
from zenplan.domain.hardware.processor import share_of
from zenplan.domain.market.offer import Instance
from zenplan.domain.precision import PRECISIONS
from zenplan.errors import UnknownName
from zenplan.planning.physics.columns import kept_up

PROCESSORS = read_processors()
CATALOGUE = Catalogue(accelerators=(*read_accelerators(), *PROCESSORS))


def test_makers_and_generations_that_people_have_are_there():
    assert {p.vendor for p in PROCESSORS} == {"AMD", "Intel", "AWS", "NVIDIA"}
    assert len({p.architecture for p in PROCESSORS}) >= 14
    assert all(p.is_processor for p in PROCESSORS)
    assert not any(a.is_processor for a in read_accelerators())


@pytest.mark.parametrize(
    ("name", "fp32", "bf16", "gb_per_s"),
    [
        ("EPYC 9654", 96 * 2.4 * 32e-3, None, 460.8),
        ("EPYC-7763", 64 * 2.45 * 32e-3, None, 204.8),
        ("8480+", 56 * 2.0 * 64e-3, 56 * 2.0 * 1.024, 307.2),
        ("i9-9900K", 8 * 3.6 * 32e-3, None, 42.7),
        ("graviton3", 64 * 2.6 * 32e-3, None, 307.2),
        ("5950X", 16 * 3.4 * 32e-3, None, 51.2),
        ("grace", 7.1, None, 500),
    ],
)
def test_peaks_and_bandwidth_follow_from_cores_clock_and_channels(name, fp32, bf16, gb_per_s):
    sheet = CATALOGUE.by_name(name)
    assert sheet.peak("fp32") == pytest.approx(fp32 * 1e12, rel=0.01)
    assert sheet.peak("bf16") == (bf16 and pytest.approx(bf16 * 1e12))
    assert sheet.memory_bytes_per_s == pytest.approx(gb_per_s * 1e9, rel=0.01)
    assert sheet.peak("fp16") is None


def test_no_name_is_anothers_and_every_figure_has_a_dated_source():
    owners: dict[str, set[str]] = {}
    for each in CATALOGUE:
        for name in (each.name, *each.aliases, *each.nvml_names):
            owners.setdefault(plain(name), set()).add(each.name)
    processors = {p.name for p in PROCESSORS}
    assert [found for found in owners.values() if len(found) > 1 and found & processors] == []
    for each in PROCESSORS:
        figures = {f"peak_flop_per_s.{dtype}" for dtype in each.peak_flop_per_s}
        figures |= {"multiprocessors", "threads", "clock_hz", "memory_bytes", "memory_bytes_per_s"}
        assert figures <= each.sources.keys(), each.name
        for source in each.sources.values():
            assert date.fromisoformat(source.date) <= date(2026, 11, 30)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("AMD EPYC 9654 96-Core Processor", "EPYC-9654"),
        ("Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz", "Xeon-E5-2690-v4"),
        ("Intel(R) Xeon(R) Platinum 8480+", "Xeon-Platinum-8480+"),
        ("12th Gen Intel(R) Core(TM) i9-12900K", "Core-i9-12900K"),
        ("AMD Ryzen 7 5800H with Radeon Graphics", "Ryzen-7-5800H"),
        ("AMD Ryzen Threadripper PRO 5995WX 64-Cores", "Threadripper-PRO-5995WX"),
        ("AMD EPYC", None),
        ("AMD EPYC 9654P 96-Core Processor", None),
        ("Intel Xeon Processor (Skylake, IBRS)", None),
        ("Tesla T4", None),
    ],
)
def test_a_systems_name_finds_its_product_and_no_neighbour(model, name):
    found = CATALOGUE.by_processor(model)
    assert (found and found.name) == name


def test_a_machine_has_its_share_of_the_processor_and_its_own_memory():
    whole = CATALOGUE.by_name("graviton4")
    machine = Instance(provider="aws", name="x", accelerator=whole.name, devices=1, vcpus=24, ram_bytes=48e9)
    part = share_of(whole, machine)
    assert part.peak("fp32") == pytest.approx(whole.peak("fp32") / 4)
    assert (part.multiprocessors, part.threads) == (24, 24)
    assert part.memory_bytes_per_s == pytest.approx(whole.memory_bytes_per_s / 4)
    assert part.memory_bytes == 48e9
    unknown = share_of(whole, replace(machine, vcpus=None, ram_bytes=None))
    assert unknown == whole


def test_a_processor_has_no_defaults_of_a_gpu():
    coefficients = read_coefficients()
    of_gpu = coefficients.of("Hopper", PRECISIONS["fp32"], None, "decoder")
    sheet = CATALOGUE.by_name("grace")
    of_processor = coefficients.of(sheet.architecture, PRECISIONS["fp32"], None, "decoder", sheet.is_processor)
    amx = CATALOGUE.by_name("8480+")
    assert kept_up(sheet, "fp32") == kept_up(amx, "fp32") == 1.0
    assert kept_up(amx, "bf16") < 0.5, "its matrix units keep up far less than their peak"
    assert (of_processor.fill_elements, of_processor.launch_s) == (0, 0)
    assert of_processor.operator_s >= of_gpu.launch_s > 0
    told, plain_one = of_processor.interval.of({PROCESSOR: 1.0}), of_gpu.interval.of({PROCESSOR: 1.0})
    assert told.high > 2 * plain_one.high - 1
    assert "assumed" in of_processor.source


def test_no_generation_is_of_accelerators_too():
    """Fitted coefficients go by its name."""
    assert not {p.architecture for p in PROCESSORS} & {a.architecture for a in read_accelerators()}


def test_a_makers_name_lists_its_accelerators_alone():
    with pytest.raises(UnknownName) as told:
        CATALOGUE.by_name("AMD")
    assert not any(p.name in str(told.value.hint) for p in PROCESSORS)
