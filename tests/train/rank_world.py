"""Processes that train together, as torchrun starts them, but forked from a server that has imported torch.

As with torchrun the store is another process's (here the test's), so that it outlives every rank.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import torch
from processes import server
from torch.distributed import TCPStore

from anchorrec_graph.cli.app import main
from anchorrec_graph.train.ranks import joined

PATIENCE = 300  # seconds until a group counts as hung


class Ended(NamedTuple):
    """How a rank ended."""

    code: int | None
    out: str
    err: str


class Group:
    """`size` processes that call `work(*arguments)` together; a single one has no variables of torchrun.

    As those of `before` started anew, whose store torchrun keeps, if that is given.
    """

    def __init__(
        self,
        folder: Path,
        size: int,
        work: Callable[..., None],
        *arguments: Any,
        before: Group | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.restarts: int = before.restarts + 1 if before else 0
        self.files = [[folder / f"rank-{rank}.{name}" for name in ("out", "err")] for rank in range(size)]
        self.store: TCPStore = (
            before.store if before else TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        )
        self.processes: list[BaseProcess] = []
        for rank, files in enumerate(self.files):
            variables = {
                "RANK": str(rank),
                "WORLD_SIZE": str(size),
                "LOCAL_RANK": str(rank),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(self.store.port),
                "TORCHELASTIC_USE_AGENT_STORE": "True",
                "TORCHELASTIC_RESTART_COUNT": str(self.restarts),
                "ANCHORREC_CACHE": os.environ["ANCHORREC_CACHE"],
            }
            process = server().Process(  # type: ignore[attr-defined]
                target=_begin, args=(variables if size > 1 else {}, files, work, arguments)
            )
            process.start()
            self.processes.append(process)

    def join(self) -> list[Ended]:
        """Wait for all of them; one that hangs is killed, and has the code -9."""
        latest = time.monotonic() + PATIENCE
        for process in self.processes:
            process.join(max(latest - time.monotonic(), 0))
            if process.exitcode is None:
                process.kill()
                process.join()
        texts = [[file.read_text("utf-8") for file in files] for files in self.files]
        return [Ended(process.exitcode, *text) for process, text in zip(self.processes, texts, strict=True)]


def _begin(
    variables: dict[str, str], files: list[Path], work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(variables)
    torch.set_num_threads(1)  # torchrun's default
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  the old one thinks it is pytest's
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    try:
        work(*arguments)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(70)
    sys.stdout.flush()


def command(*arguments: str) -> None:
    """The command line, as work of a group."""
    sys.argv = ["anchorrec", *arguments]
    main()


def with_ranks(work: Callable[..., None], *arguments: Any) -> None:
    """`work(ranks, *arguments)` among the processes of a group."""
    with joined() as ranks:
        work(ranks, *arguments)


def together(folder: Path, size: int, work: Callable[..., None], *arguments: Any) -> list[Ended]:
    """`work(ranks, *arguments)` in `size` processes, to its end."""
    return Group(folder, size, with_ranks, work, *arguments).join()


def all_well(ended: list[Ended]) -> None:
    assert [rank.code for rank in ended] == [0] * len(ended), "\n".join(rank.err for rank in ended)


def by_command(folder: Path, size: int, *arguments: object) -> list[Ended]:
    """`anchorrec ...` in `size` processes, to its end."""
    return Group(folder, size, command, *map(str, arguments)).join()
