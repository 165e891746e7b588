"""Flags of a training run into a request: one place for every command that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zenplan.adapters.config import Settings
    from zenplan.domain.request import Request


def request_of(settings: Settings, **given: Any) -> Request:
    """The flags in base units; each is checked on its own here, together later. One that is not given is None."""
    from zenplan.domain.request import Request
    from zenplan.units import parse_bytes, parse_count, parse_duration_s, parse_usd

    def parsed(name: str, parse: Any, *more: Any) -> Any:
        value = given.get(name)
        return None if value is None else parse(value, f"--{name.replace('_', '-')}", *more)

    config = None
    if given.get("config") is not None:
        from zenplan.adapters.config_file import read_model_config

        config = read_model_config(given["config"])
    return Request(
        params=parsed("params", parse_count, 1e14),
        model=given.get("model"),
        config=config,
        active_params=parsed("active_params", parse_count, 1e14),
        tokens=parsed("tokens", parse_count, 1e18),
        dataset_bytes=parsed("dataset_size", parse_bytes),
        epochs=parsed("epochs", parse_count, 1e9),
        seq_len=parsed("seq_len", _whole, 1e8),
        global_batch_tokens=parsed("global_batch", parse_count, 1e12),
        method=given.get("method"),
        deadline_s=parsed("deadline", parse_duration_s),
        budget_usd=parsed("budget", parse_usd),
        precision=settings["precision"], optimizer=settings["optimizer"],
        software=settings["software"], gpu=settings["gpu"],
        gpus=settings["gpus"], provider=settings["provider"], region=settings["region"],
        billing=settings["billing"], top=settings["top"], max_gpus=settings["max_gpus"],
    )  # fmt: skip


def _whole(text: str, what: str, most: float) -> int:
    from zenplan.errors import UsageError
    from zenplan.units import parse_count

    value = parse_count(text, what, most)
    if value != int(value):
        raise UsageError(f"{what} must be a whole number, not '{text}'", "write it as in: 4096")
    return int(value)
