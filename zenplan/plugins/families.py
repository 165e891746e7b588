"""A plugin's family of models behind the border: what it raises costs an answer, never the program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from zenplan.domain.model.workload import Workload
from zenplan.errors import DataError, ZenplanError
from zenplan.plugins.guard import Outcome
from zenplan.protocols import WorkloadFamily

Ask = Callable[[object, str, Callable[[], Any]], Outcome[Any]]


class GuardedFamily:
    """A family whose members are called through ``ask``. A ``WorkloadFamily`` itself."""

    def __init__(self, family: WorkloadFamily, name: str, ask: Ask) -> None:
        self.name = name
        self._family = family
        self._ask = ask

    def presets(self) -> Iterable[str]:
        """The names it knows; none where it fails to say."""
        outcome = self._ask(self._family, f"presets of {self.name}", lambda: tuple(self._family.presets()))
        return tuple(name for name in outcome.value or () if isinstance(name, str))

    def lower(self, options: Mapping[str, Any]) -> Workload:
        """The workload it makes of these options.

        Raises:
            ZenplanError: what the family says of the options; DataError where it fails.
        """

        def work() -> object:
            try:
                return self._family.lower(options)
            except ZenplanError as error:
                return error  # an answer to the user, not a failure of the plugin

        outcome = self._ask(self._family, f"a model of {self.name}", work)
        if isinstance(outcome.value, ZenplanError):
            raise outcome.value
        if not isinstance(outcome.value, Workload):
            reason = outcome.reason or f"it gave {type(outcome.value).__name__}, no workload"
            raise DataError(f"the family {self.name} cannot make that model: {reason}", "'zenplan plugins' lists it")
        return outcome.value
