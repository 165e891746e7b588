"""What is installed in another version than a calibration was made with."""

from __future__ import annotations

from collections.abc import Iterator

from zenplan.domain.measured.calibration import Fingerprint


def changed(mark: Fingerprint) -> Iterator[str]:
    """What is installed in another version than it was measured with; what is in the build alone does not count."""
    from zenplan.adapters.machine.host import installed_version

    for name, then in mark.versions.items():
        now = installed_version(name)
        if now is None:
            yield f"{name} {then}, which is not installed now"
        elif now.partition("+")[0] != then.partition("+")[0]:
            yield f"{name} {then}, now {now}"
