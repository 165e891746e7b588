"""Flags into settings: what a command was given, over variables, files and defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zenplan.adapters.settings.settings import Settings

Format = Annotated[
    str | None, typer.Option("--format", help="table, json, csv, markdown, html, or a plugin's.", metavar="FORMAT")
]


def resolved(**flags: object | None) -> Settings:
    """Every setting, with these flags on top."""
    from zenplan.adapters.settings.settings import resolve, user_config_file
    from zenplan.errors import UsageError

    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder is no longer there", "change to one that is") from error
    return resolve(flags, os.environ, here, user_config_file())
