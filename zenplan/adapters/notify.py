"""Notifications of services that people have (Slack, mail, ntfy, ...), through Apprise: an address of its says which."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from zenplan.errors import UsageError, ZenplanError


class Notifier:
    """Sends a line to each address. What an address holds may be a secret: nothing says more of it than its scheme.

    Args:
        urls: as Apprise reads them: ``json://host/path``, ``ntfy://topic``, ...

    Raises:
        UsageError: Apprise is not installed, or one is none of its addresses.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        if not find_spec("apprise"):
            raise UsageError("apprise is not installed, and nothing is sent without", "pip install 'zenplan[notify]'")
        import apprise

        # It would write addresses that fail to stderr.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        self._services: list[tuple[str, Any]] = []
        for number, url in enumerate(urls, 1):
            service = apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(async_mode=False))
            if service is None:
                raise UsageError(
                    f"Apprise knows no such address as that of --notify {number}, {_scheme(url)}",
                    "as in: --notify ntfy://topic; https://appriseit.com has all",
                )
            self._services.append((_scheme(url), service))

    def send(self, title: str, text: str) -> None:
        """To all of them. Raises ZenplanError: one did not take it."""
        failed = [name for name, service in self._services if not service.notify(body=text, title=title)]
        if failed:
            raise ZenplanError(
                f"no notification by {', '.join(failed)}", "is its address right, and reached from here?"
            )


def _scheme(url: str) -> str:
    try:
        found = urlsplit(url).scheme
    except ValueError:
        found = ""
    return f"{found}://…" if found else "which has no scheme"
