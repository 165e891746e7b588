"""What a family of models has to keep, as tests."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from zenplan.domain.model.workload import Workload
from zenplan.errors import UsageError
from zenplan.protocols import WorkloadFamily
from zenplan.testing.border import own_items, taken

_PATIENCE_S = 300.0
# How far a count may be from the model's own.
WITHIN = 0.02


class WorkloadContract:
    """The tests. Derive a class of a name that begins with ``Test``, and give it a family.

    Attributes:
        family: that is tested.
        grows: an option to values of it, in rising order: with each, a sample takes more FLOP and no fewer parameters.
        published: models to the parameters that their makers published.
        keras: models to a function that builds the same one in Keras, ``package.module:build_model``, which is counted.
    """

    family: ClassVar[WorkloadFamily]
    grows: ClassVar[Mapping[str, Sequence[Any]]] = {}
    published: ClassVar[Mapping[str, float]] = {}
    keras: ClassVar[Mapping[str, str]] = {}

    def _lowered(self) -> dict[str, Workload]:
        return {name: self.family.lower({"model": name}) for name in self.family.presets()}

    def test_zenplan_takes_each_model(self) -> None:
        """Types and figures pass the border, whatever the model."""
        assert isinstance(self.family, WorkloadFamily)
        found = taken("zenplan_workloads", self.family)
        assert found.problems == ()
        (guarded,) = found.items
        names = tuple(guarded.presets())
        assert names, "it has no presets"
        assert len(set(names)) == len(names), "a name comes twice"
        for name in names:
            assert guarded.lower({"model": name}).name
        assert found.problems == ()

    def test_its_models_are_nobody_elses(self) -> None:
        """No name is one of zenplan's own."""
        own = {name for family in own_items("zenplan_workloads") for name in family.presets()}
        assert own & set(self.family.presets()) == set()

    def test_counts_are_consistent(self) -> None:
        """Finite and above zero; no more parameters meet a token, or learn, than there are; a step is more than a pass."""
        for name, each in self._lowered().items():
            figures = (each.parameters, each.active_parameters, each.flop_per_sample, each.training_flop_per_sample)
            assert all(math.isfinite(figure) and figure > 0 for figure in figures), f"{name}: {figures}"
            assert each.active_parameters <= each.parameters, name
            assert 0 < each.trainable_parameters <= each.parameters, name
            assert each.flop_per_sample < each.training_flop_per_sample <= 3 * each.flop_per_sample * (1 + 1e-9), name
            # Every weight of a product meets at least one row: 2 FLOP each.
            assert each.flop_per_sample >= each.active_parameters, f"{name}: fewer FLOP than weights that are met"

    def test_it_answers_the_same_each_time(self) -> None:
        """What is lowered twice is equal."""
        assert self._lowered() == self._lowered()

    def test_more_takes_more(self) -> None:
        """FLOP rise with each option of ``grows``, and parameters do not fall."""
        for option, values in self.grows.items():
            for name in self.family.presets():
                made = [self.family.lower({"model": name, option: value}) for value in values]
                flop, parameters = [w.flop_per_sample for w in made], [w.parameters for w in made]
                assert flop == sorted(set(flop)), f"{name}: FLOP {flop} over {option} {list(values)}"
                assert parameters == sorted(parameters), f"{name}: parameters {parameters} over {option} {list(values)}"

    def test_what_it_does_not_know_is_an_error_of_the_user(self) -> None:
        """A model that nobody has, and an option that no model has: UsageError, with a message."""
        name = next(iter(self.family.presets()))
        for options in ({"model": "no-such-model-of-anybody"}, {"model": name, "no_such_option": 7}):
            with pytest.raises(UsageError) as raised:
                self.family.lower(options)
            assert raised.value.message

    def test_parameters_are_the_published_ones(self) -> None:
        """Within 2 % of ``published``."""
        if not self.published:
            pytest.skip("it names no published count")
        for name, wanted in self.published.items():
            found = self.family.lower({"model": name}).parameters
            assert abs(found / wanted - 1) <= WITHIN, f"{name}: {found:,.0f} parameters, published {wanted:,.0f}"

    def test_counts_are_those_of_the_model_in_keras(self) -> None:
        """Parameters and FLOP within 2 % of what ``zenplan count`` counts."""
        if not self.keras or not find_spec("keras"):
            pytest.skip("it names no model in Keras" if not self.keras else "Keras is not installed")
        for name, target in self.keras.items():
            found, counted = self.family.lower({"model": name}), _counted(target)
            for what, mine, other in (
                ("parameters", found.parameters, counted["parameters"]),
                ("FLOP", found.flop_per_sample, counted["flop_per_sample"]),
            ):
                assert abs(mine / other - 1) <= WITHIN, f"{name}: {mine:,.0f} {what}, in Keras {other:,.0f}"


def _counted(target: str) -> Mapping[str, Any]:
    """What ``zenplan count`` says of the model that the function builds."""
    paths = [str(Path.cwd()), *sys.path]
    done = subprocess.run(  # noqa: S603 - the author's own model, in their own test
        [sys.executable, "-m", "zenplan", "count", "--keras", target, "--format", "json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found
