"""A few threads for the work of the catalog, and a bound on what may wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from anchorrec_graph.serve.api.errors import overloaded

T = TypeVar("T")


class Pool:
    """Runs calls in threads. A call beyond `threads + waiting` is refused at once.

    A caller that gives up does not stop a call that runs; its place is free when the call has ended.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(threads, name)
        self._places = threads + waiting
        self.busy = 0

    async def run(self, call: Callable[[], T]) -> T:
        """
        Raises:
            ApiError: overloaded, or the server is ending.
        """
        if self.busy >= self._places:
            raise overloaded()
        loop = asyncio.get_running_loop()
        try:
            future: Future[T] = self._threads.submit(call)
        except RuntimeError as error:  # the threads were shut down
            raise overloaded("the server is shutting down") from error
        self.busy += 1
        future.add_done_callback(lambda _: _soon(loop, self._leave))
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        self.busy -= 1

    def close(self) -> None:
        """Take no more calls; those that run come to their end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
