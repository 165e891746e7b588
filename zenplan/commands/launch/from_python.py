"""``zenplan.launch``: files of a launch, from Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenplan.commands.launch.asked import Asked
from zenplan.commands.launch.launched import Launched
from zenplan.commands.launch.submitting import hand_over
from zenplan.commands.launch.use_case import launch
from zenplan.commands.shared.output import loaded_plugins


def launched(given: Mapping[str, Any], env: Mapping[str, str], options: Mapping[str, str], submit: bool) -> Launched:
    """What was written, and handed over where ``submit``; nothing is printed.

    Args:
        given: arguments as flags, as texts.
        env, options: by name.

    Raises:
        ZenplanError: as of ``zenplan.launch``.
    """
    asked = Asked.of(given, _texts(env), _texts(options))
    with loaded_plugins() as plugins:
        found = launch(asked, plugins)
    if submit:
        hand_over(found, quiet=True, silent=True)
    return found


def _texts(pairs: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in pairs.items())
