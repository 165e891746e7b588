"""The worker that has the model: started, asked, watched, and started anew where it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from io import FileIO

import msgspec
import numpy as np

from zenplan import units
from zenplan.adapters.serving.refusal import gone, not_ready
from zenplan.adapters.workers.process import ended, error_of, measuring_environment, raised, resident_bytes, settled
from zenplan.documents import encode
from zenplan.errors import DataError, ZenplanError, printable
from zenplan.worker.protocol import (
    LENGTH,
    MOST_FRAME_BYTES,
    Continue,
    Error,
    Forget,
    Predict,
    Predicted,
    Raised,
    Reply,
    Request,
    Serve,
    Serving,
    Stage,
    Tensor,
    decode_event,
    decode_reply,
    framed,
)

Array = np.ndarray
_LOOK_S, _READ_BYTES, _MOST_SAID_BYTES = 0.1, 1 << 16, 4096
# Between starts of workers that end: longer each time.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
# What it looks like when a worker hangs: so many times the time that a request has.
_HANGS = 4.0


@dataclass(slots=True, kw_only=True)
class ModelWorker:
    """A model in a process of its own.

    Attributes:
        job: that it gets; its descriptors are filled in here.
        backend: of Keras.
        memory_bytes: resident, that it may take; None for no limit.
        time_s: that a request has.
        tell: told a line each time that one has ended.
        command: that starts it; empty for zenplan's own.
        serving: what it said of itself; None while it is not ready.
        restarts: so far.
        pid: of the process; None between two.
        lost: called where it is gone.
    """

    job: Serve
    backend: str
    memory_bytes: float | None
    time_s: float
    tell: Callable[[str], None]
    command: Sequence[str] = ()
    serving: Serving | None = None
    restarts: int = 0
    pid: int | None = None
    lost: Callable[[], None] = lambda: None
    _writer: asyncio.StreamWriter | None = None
    _next: int = 0
    _replies: dict[int, asyncio.Future[Predicted]] = field(default_factory=dict)
    _texts: dict[int, asyncio.Queue[tuple[int, bool] | ZenplanError]] = field(default_factory=dict)
    _heard: float = 0.0
    _said: bytearray = field(default_factory=bytearray)

    @property
    def writing(self) -> int:
        """Texts that are being written."""
        return len(self._texts)

    async def predict(self, inputs: dict[str, Array]) -> tuple[Array, float]:
        """What the model returns for a batch, and the seconds of the call.

        Raises:
            Refusal: there is no model, or there is none any more.
        """
        number = self._send(
            lambda n: Predict(id=n, inputs={k: Tensor(a.dtype.name, a.shape, a.tobytes()) for k, a in inputs.items()})
        )
        future = self._replies[number] = asyncio.get_running_loop().create_future()
        found = await future
        output = np.frombuffer(found.output.data, found.output.kind).reshape(found.output.shape)
        return output, found.wall_s

    async def write(
        self, tokens: Sequence[int], count: int, temperature: float, seed: int
    ) -> AsyncGenerator[tuple[int, bool], None]:
        """Tokens after those, each with whether it is the last. Raises as ``predict``."""
        number = self._send(
            lambda n: Continue(id=n, tokens=tuple(tokens), count=count, temperature=temperature, seed=seed)
        )
        queue = self._texts[number] = asyncio.Queue()
        try:
            last = False
            while not last:
                got = await queue.get()
                if isinstance(got, ZenplanError):
                    raise got
                token, last = got
                yield token, last
        finally:
            if self._texts.pop(number, None) is not None and self._writer is not None:
                self._writer.write(framed(Forget(id=number)))

    def _send(self, made: Callable[[int], Request]) -> int:
        if self.serving is None or self._writer is None:
            raise not_ready()
        self._next += 1
        if not self._replies and not self._texts:
            self._heard = time.monotonic()
        self._writer.write(framed(made(self._next)))
        return self._next

    # --- its life

    async def keep(self) -> None:
        """Have a worker at all times, until this is cancelled.

        Raises:
            ZenplanError: the first one does not come to be ready.
        """
        pause_s, first = _FIRST_PAUSE_S, True
        while True:
            try:
                await self._live()
            except ZenplanError as error:
                was_ready = self.serving is not None
                self._end(error)
                if first and not was_ready:
                    raise
                self.tell(f"the worker ended: {error.message}; another is started")
                pause_s = _FIRST_PAUSE_S if was_ready else min(2 * pause_s, _LONGEST_PAUSE_S)
            first = False
            self.restarts += 1
            await asyncio.sleep(pause_s)

    def _end(self, error: ZenplanError) -> None:
        """Whoever waits is told."""
        self.serving, self._writer, self.pid = None, None, None
        for future in self._replies.values():
            if not future.done():
                future.set_exception(gone(error.message))
        self._replies.clear()
        for queue in self._texts.values():
            queue.put_nowait(gone(error.message))
        self._texts.clear()
        self.lost()

    async def _live(self) -> None:
        """One worker, to its end, which is an error."""
        ours, theirs = socket.socketpair()
        async with AsyncExitStack() as stack:
            stack.enter_context(ours)
            with theirs:
                process, events, descriptor = stack.enter_context(
                    settled(self.backend, _environment(self.job), self.command, (theirs.fileno(),))
                )
                job = msgspec.structs.replace(self.job, events=descriptor, line=theirs.fileno())
            if process.stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.write(encode(job).encode() + b"\n")
                    process.stdin.flush()
            self.pid = process.pid
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=1 << 20)
            stack.callback(writer.close)
            self._said.clear()
            tasks = [
                asyncio.create_task(each)
                for each in (self._listen(process, events, writer), self._read(reader), self._watch(process))
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                # What an event says of the end is more than that the line is cut.
                raise next(e for task in tasks if task in done and (e := task.exception()) is not None)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, process: subprocess.Popen[bytes], events: FileIO, writer: asyncio.StreamWriter) -> None:
        """Its events, to the one that ends it."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[bytes] = asyncio.Queue()
        errors = process.stderr.fileno() if process.stderr is not None else -1

        def of_events() -> None:
            piece = os.read(events.fileno(), _READ_BYTES)
            pieces.put_nowait(piece)
            if not piece:
                loop.remove_reader(events.fileno())

        def of_stderr() -> None:
            piece = os.read(errors, _READ_BYTES)
            self._said = (self._said + piece)[-_MOST_SAID_BYTES:]
            if not piece:
                loop.remove_reader(errors)

        loop.add_reader(events.fileno(), of_events)
        loop.add_reader(errors, of_stderr)
        stage, partial = "start", b""
        try:
            while piece := await pieces.get():
                *lines, partial = (partial + piece).split(b"\n")
                for line in lines:
                    event = decode_event(line)
                    if isinstance(event, Serving):
                        self.serving, self._writer = event, writer
                    elif isinstance(event, Stage):
                        stage = event.stage
                    elif isinstance(event, Error):
                        raise error_of(event)
                    elif isinstance(event, Raised):
                        raise raised(event, self.job.what, self.backend)
            status = await asyncio.to_thread(process.wait)
            raise ended(abs(status), status < 0, stage, self.job.what, printable(self._said.decode(errors="replace")))
        finally:
            loop.remove_reader(events.fileno())
            loop.remove_reader(errors)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Its replies. The end of the line is left to ``_listen``, which knows more of it."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = LENGTH.unpack(await reader.readexactly(LENGTH.size))[0]
                if size > MOST_FRAME_BYTES:
                    raise DataError("the worker wrote what is no reply")
                self._take(decode_reply(await reader.readexactly(size)))

    def _take(self, reply: Reply) -> None:
        self._heard = time.monotonic()
        if isinstance(reply, Predicted):
            future = self._replies.pop(reply.id, None)
            if future is not None and not future.done():
                future.set_result(reply)
            return
        for number, token in reply.tokens.items():
            last = number in reply.ended
            queue = self._texts.pop(number, None) if last else self._texts.get(number)
            if queue is not None:
                queue.put_nowait((token, last))

    async def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Raises ZenplanError: it takes too much memory, or has not answered for very long."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.memory_bytes is not None and resident_bytes(process.pid) > self.memory_bytes:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                raise ZenplanError(f"it took more than {units.size(self.memory_bytes)} of memory", "--memory")
            silent_s = time.monotonic() - self._heard
            if (self._replies or self._texts) and silent_s > _HANGS * self.time_s:
                raise ZenplanError(f"it did not answer for {units.duration(silent_s)}")


def _environment(job: Serve) -> dict[str, str]:
    return measuring_environment("cpu", job.threads, os.environ)
