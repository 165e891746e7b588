"""The table of models of which only counts are published."""

from __future__ import annotations

import pytest

from zenplan.adapters.tables.counted import COLUMNS, counted_by_name, read_counted_models
from zenplan.errors import DataError
from zenplan.families.catalogue import FAMILIES, families_by_name
from zenplan.families.named import NamedFamily
from zenplan.families.transformer.presets import plain

HEADER = ",".join(COLUMNS)


def test_counts_agree_with_those_of_the_built_in_model_of_the_name() -> None:
    known, both = families_by_name(), 0
    for name, counted in counted_by_name().items():
        if name not in known or counted.family != known[name]:
            continue
        built = NamedFamily(counted.family, FAMILIES[counted.family]()).lower({"model": counted.name})
        both += 1
        assert built.parameters == pytest.approx(counted.parameters, rel=0.05), name
        size = built.image_size or counted.image_size
        assert built.flop_per_sample == pytest.approx(counted.at(size)[0], rel=0.12), name
    assert both >= 30


def test_four_times_the_pixels_are_four_times_the_flop() -> None:
    model = counted_by_name()[plain("resnet50d")]
    flop, activations = model.at(2 * model.image_size)
    assert (flop, activations) == (4 * model.flop_per_sample, 4 * (model.activations_per_sample or 0))
    assert model.at(None) == (model.flop_per_sample, model.activations_per_sample)
    assert counted_by_name()["yolov8n"].at(None)[1] is None


def test_a_name_that_comes_twice_is_an_error() -> None:
    row = "net-a,convnet,1000,1000,,224,here,read,2026-11-30"
    assert len(read_counted_models(f"{HEADER}\n{row}\n")) == 1
    with pytest.raises(DataError, match="comes twice"):
        read_counted_models(f"{HEADER}\n{row}\n{row.replace('net-a', 'Net_A')}\n")
