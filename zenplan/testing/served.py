"""What a trained language model writes, served as ``zenplan serve`` does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zenplan.adapters.serving.worker import ModelWorker
from zenplan.worker.protocol import Serve, Trained

_LOOK_S = 0.05


def written(model: Trained, backend: str, tokens: Sequence[int], count: int, patience_s: float) -> list[int]:
    """So many tokens after those, the likeliest each.

    Args:
        model: that is served; backend: of Keras, on which.
        tokens, count: that it goes on from, and that are wanted.
        patience_s: in which all of it is done.

    Raises:
        ZenplanError: it is not served. TimeoutError: it took longer.
    """
    job = Serve(what="the model", model=model, line=-1)
    worker = ModelWorker(job=job, backend=backend, memory_bytes=None, time_s=patience_s, tell=lambda _: None)
    return asyncio.run(asyncio.wait_for(_written(worker, tokens, count), patience_s))


async def _written(worker: ModelWorker, tokens: Sequence[int], count: int) -> list[int]:
    life = asyncio.create_task(worker.keep())
    try:
        while worker.serving is None:
            if life.done():
                life.result()
            await asyncio.sleep(_LOOK_S)
        return [token async for token, _ in worker.write(tokens, count, 0.0, 0)]
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
