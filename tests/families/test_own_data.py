"""How a data set of one's own is trained on: within what is usual for its kind, and never less for more data.

The bands, by what a model learns, are those that a careful practitioner would not shake their head at.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.commands.shared.training_plan import training_plan
from zenplan.domain.model.workload import TASKS
from zenplan.domain.training.plan import TrainingPlan
from zenplan.domain.training.request import Request
from zenplan.errors import DataError
from zenplan.families.images.usual import imagenet
from zenplan.families.own_data import FINE_TUNING, PRACTICES, batch_of, practice_for, sequences_of_a_step
from zenplan.plugins import load_plugins

FAMILIES = load_plugins({"ZENPLAN_PLUGINS": ""}).workloads()
LAZY = settings(max_examples=200, deadline=None, derandomize=True)
# Passes over 200 to 5,000 samples, at least and at most, and the largest batch, with the reason for the band.
BANDS = {
    "classification": (10, 100, 512),  # transfer to small sets: 10 to 100 passes, steps of up to 512 (BiT)
    "detection": (10, 100, 64),  # 12 (1x) to 100 passes (the default of YOLO), steps of 16 to 64
    "segmentation": (50, 300, 32),  # hundreds of passes over tens of scans, fewer over thousands
    "generation": (5, 150, 64),  # 72 passes over 833 pictures in the example of diffusers
    "clicks": (1, 3, 65_536),  # one pass, or models overfit
    "ratings": (5, 50, 1024),  # 20 passes of NCF
    "speech": (3, 30, 64),  # ten passes over ten hours
    "synthesis": (50, 1000, 128),  # a voice is hundreds of passes over thousands of clips
    "text classification": (2, 5, 64),  # Devlin et al.: 2 to 4
    "translation": (3, 20, 1024),
    "text": (5, 50, 128),
    "graphs": (10, 100, 1024),
    "tables": (5, 50, 512),
}
USUAL = [name for family in FAMILIES for name in family.presets() if family.lower({"model": name}).usual]


def plan(**options: object) -> TrainingPlan:
    return training_plan(Request(**options), FAMILIES)  # type: ignore[arg-type]  # fields by name


def test_every_task_has_a_practice_and_a_band() -> None:
    assert set(PRACTICES) == set(TASKS) == set(BANDS)
    assert all(practice.source for practice in PRACTICES.values())


def test_a_task_is_one_of_those_there_are() -> None:
    with pytest.raises(DataError, match="task"):
        replace(imagenet(), task="chess")


@pytest.mark.parametrize("name", USUAL)
def test_small_and_large_sets_of_ones_own(name: str) -> None:
    for samples in (1.0, 7.0, 200.0, 5000.0, 4e5, 3e7):
        made = plan(model=name, samples=samples)
        usual = made.workload.usual
        assert usual is not None
        low, high, most = BANDS[usual.task]
        assert made.samples == pytest.approx(samples * made.epochs)
        assert made.epochs >= 1
        assert 1 <= made.global_batch <= samples
        assert made.global_batch <= max(most, usual.global_batch)
        if 200 <= samples <= 5000 and usual.samples != samples:
            assert low <= made.epochs <= high
            assert made.global_batch <= most
        told = {f.name: f for f in made.facts}
        assert told["epochs"].origin == told["global batch"].origin == "assumed"
        assert told["epochs"].why
        assert told["global batch"].why


def test_the_examples_that_were_absurd() -> None:
    assert plan(model="unet", samples=5000.0).samples <= 1e6
    assert plan(model="unet3d", samples=50.0).epochs <= 300
    small = plan(model="stable-diffusion", samples=200.0)
    assert small.epochs >= 1
    assert small.global_batch <= 16
    assert small.steps >= 1000


def test_the_data_of_the_paper_are_trained_on_as_in_the_paper() -> None:
    for samples in (1_281_167.0, 1.28e6, 1.2e6):
        made = plan(model="resnet50", samples=samples)
        assert (made.epochs, made.global_batch) == (90, 256)
    assert plan(model="unet3d", samples=168.0).epochs == 2000
    assert plan(model="unet3d", samples=160.0).epochs < 2000


def test_what_is_given_comes_first_but_no_batch_is_larger_than_the_data() -> None:
    made = plan(model="resnet50", samples=100.0, epochs=7.0, batch=10)
    assert (made.epochs, made.global_batch, made.steps) == (7, 10, 70)
    cut = plan(model="resnet50", samples=100.0, batch=256)
    assert cut.global_batch == 100
    assert cut.batch_fact is not None
    assert (cut.batch_fact.origin, "cut from 256" in cut.batch_fact.why) == ("given", True)


@LAZY
@given(task=st.sampled_from(TASKS), data=st.floats(1, 1e12), more=st.floats(1, 1e3))
def test_more_data_are_never_less_work(task: str, data: float, more: float) -> None:
    practice = PRACTICES[task]
    first, second = practice.passes(data) * data, practice.passes(data * more) * data * more
    assert second >= first * (1 - 1e-12)
    assert 1 <= practice.passes(data) <= practice.epochs
    assert batch_of(practice, data * more, 4096) >= batch_of(practice, data, 4096) >= 1
    assert batch_of(practice, data, 4096) <= data


@LAZY
@given(sequences=st.floats(1, 1e12))
def test_a_step_of_fine_tuning_has_a_usual_number_of_sequences(sequences: float) -> None:
    found = sequences_of_a_step(sequences)
    assert 16 <= found <= 128
    assert math.log2(found).is_integer()


def test_a_practice_is_not_for_the_data_of_the_paper() -> None:
    usual = imagenet()
    assert practice_for(usual, usual.samples) is None
    assert practice_for(usual, usual.samples * 1.2) is PRACTICES["classification"]
    assert practice_for(usual, usual.samples / 1.2) is PRACTICES["classification"]
    assert FINE_TUNING.passes(1e6) == 3
    assert FINE_TUNING.passes(1e10) == 1


@pytest.mark.parametrize(("name", "task"), [("sdxl", "generation"), ("recommender", "clicks")])
def test_a_model_without_a_recipe_is_trained_as_others_of_its_family(name: str, task: str) -> None:
    """30 photographs are not one step, and two billion clicks not eight million steps."""
    least, most, largest = BANDS[task]
    few = plan(model=name, samples=2000)
    assert least <= few.epochs <= most
    assert few.global_batch <= largest
    many = plan(model=name, samples=2e9)
    assert many.epochs == 1
    assert many.steps < 1e6
    assert plan(model="sdxl", method="lora", samples=30).steps >= 500
