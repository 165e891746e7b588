"""Whether a command that is given once more asks for the run that it began: what was changed since is no run's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from zenplan.adapters.run_folder.folder import REQUEST
from zenplan.commands.shared.options import FLAGS
from zenplan.commands.shared.preparing import PREPARE
from zenplan.commands.shared.request_file import read_request
from zenplan.commands.train.flags import BY_NAME, ENDPOINT, LIMITS, OPTIONS, Flags, option_of, read_train_table
from zenplan.errors import UsageError

# What may be changed of a run that is gone on with.
_TOGETHER: Final = ("workers", "devices", "zero", "max_restarts", "rendezvous_timeout")
OF_A_RESUMED: Final = (*LIMITS, *ENDPOINT, "tracker", *_TOGETHER)
# The folder of a run has its data as they were prepared, and the backend that was found; machines differ in threads.
_OTHERWISE: Final = {"data", "backend", "threads", *(flag.name for flag in PREPARE)} - {"seed", "seq_len", "image_size"}


def of_file(path: Path | None) -> dict[str, Any]:
    """What a request file asks for of a run."""
    return {} if path is None else {**read_request(path), **read_train_table(path)}


def given_of(flags: Flags) -> dict[str, Any]:
    """What a command asks for of a run: what stands in its file, and before it what was given beside that."""
    found = {**of_file(flags.file), **flags.own}
    if options := {**found.pop(OPTIONS, {}), **dict(map(option_of, flags.options))}:
        found[OPTIONS] = options
    if flags.compiled is not None:
        found["compiled"] = flags.compiled
    return found


def check_as_begun(flags: Flags, folder: Path) -> None:
    """Raise UsageError where the run in that folder was begun with something else that cannot be changed in a run.

    Args:
        flags: of the command that goes on with it; those of a demonstration are its own.
    """
    if flags.demo or not (folder / REQUEST).exists():
        return
    now, before = _asked(given_of(flags)), _asked(of_file(folder / REQUEST))
    for name in sorted((now.keys() | before.keys()) - {*OF_A_RESUMED, *_OTHERWISE}):
        given, begun = now.get(name), before.get(name)
        if given != begun:
            said = [str("nothing" if each is None else each)[:60] for each in (begun, given)]
            raise UsageError(
                f"the run in {folder} was begun with another {name.replace('_', '-')}: {said[0]}, not {said[1]}",
                "ask for it as it was begun, or name another folder for a new run: --out",
            )


def _asked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values, in base units, of what was given; files by their names."""
    return {name: _value(name, value) for name, value in given.items() if value is not None}


def _value(name: str, value: Any) -> Any:
    flag = BY_NAME.get(name) or FLAGS.get(name)
    if flag is not None and flag.parse is not None:
        return flag.parse(value, flag.flag)
    # A relative one is looked for elsewhere from the folder of a run.
    return Path(value).name if isinstance(value, Path) or str(value).endswith(".keras") else value
