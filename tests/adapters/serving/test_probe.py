"""What a server takes is measured by a process that may be late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from zenplan.errors import ZenplanError

pytestmark = pytest.mark.skipif(not find_spec("uvicorn"), reason="the libraries of serving are not installed")
STEP_S, BURST = 0.002, 5


class Late:
    """A worker whose tokens take a while each, and are heard of several at once."""

    async def write(
        self, tokens: Sequence[int], count: int, temperature: float, seed: int
    ) -> AsyncGenerator[tuple[int, bool], None]:
        for made in range(1, count + 1):
            if made % BURST == 0:
                await asyncio.sleep(BURST * STEP_S)
            yield 1, made == count


def test_steps_are_as_long_when_their_tokens_come_several_at_once() -> None:
    from zenplan.adapters.serving import probe

    service: Any = SimpleNamespace(worker=Late(), batcher=SimpleNamespace(batch=4))
    begin = time.perf_counter()
    found = asyncio.run(probe._steps(service))
    assert sorted(found) == [1, 2, 4]
    for step_s in found.values():
        assert cast(float, step_s) > 0.7 * STEP_S
    # Texts get longer until they last, and no longer than that.
    assert time.perf_counter() - begin > 3 * probe._TEXT_S


def test_files_of_the_folder_that_it_is_started_in_are_not_what_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zenplan.adapters.serving import probe

    (tmp_path / "queue.py").write_text("print('one of the user')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    async def ask() -> None:
        async with probe._client(1) as client:
            await client.put("/v1/predict", {}, 1, 0.1)

    # Nobody listens there: it ends without a word, and not with one that another has said.
    with pytest.raises(ZenplanError, match="could not be asked"):
        asyncio.run(ask())
