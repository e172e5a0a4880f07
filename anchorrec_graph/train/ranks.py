"""Several processes that train one model together, started by torchrun: all knowledge of torch.distributed.

The processes are numbered ("ranks"), hold the same weights and draw the same batches. Each computes the
gradient of its part of a step's batches; the parts are added up, and every process does the same step.
Tables that are cut (`train.sharding`) are the exception: each process holds its own rows of these.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from anchorrec_graph.data.manifest import content_hash
from anchorrec_graph.errors import ConfigError, DataError, RunError, TrainingError
from anchorrec_graph.nn.sharded_table import ShardedTable

T = TypeVar("T")
MEETING = timedelta(minutes=5)  # until every process has started
REFUSED = "anchorrec/refused"  # in the store that torchrun keeps: the error that no restart mends
SMALL = 1 << 16  # numbers
TIMEOUT = timedelta(hours=2)  # for one exchange; the longest is the wait for what only the first rank makes


class LostRank(TrainingError):
    """Another process of the training ended or no longer answers, or this one is told to end."""


class Ranks(NamedTuple):
    """The number of this process and of all of them.

    With one process nothing is exchanged, and `trade` must not be called.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    @property
    def label(self) -> str:
        return f", {self.size} processes" if self.size > 1 else ""

    def check_batches(self, per_step: int) -> None:
        """Refuse steps of fewer batches than there are processes.

        Raises:
            ConfigError: naming the setting.
        """
        if per_step < self.size:
            raise ConfigError(
                f"train.batches_per_step is {per_step}: {self.size} processes share the batches of a step, "
                f"so raise it to {self.size} or a multiple, or start at most {per_step}"
            )

    def part(self, batches: Sequence[T]) -> Sequence[T]:
        """Batch j of a step belongs to rank j mod N. Empty where a last step has fewer batches than N."""
        return batches[self.rank :: self.size]

    def rows(self, count: int, block_size: int) -> slice:
        """This rank's part of `count` rows: whole blocks, so that each is computed as by one process."""
        blocks = -(-count // block_size)
        first, last = (blocks * rank // self.size for rank in (self.rank, self.rank + 1))
        return slice(min(first * block_size, count), min(last * block_size, count))

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the ranks, the same bits on all of them.

        Small ones of a type travel together: an exchange of its own costs each of them about a millisecond.
        The others have equal strides on all ranks.
        """
        if self.size == 1:
            return
        alone: list[Tensor] = []
        small: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            is_small = not tensor.is_sparse and tensor.numel() <= SMALL
            (small.setdefault(tensor.dtype, []) if is_small else alone).append(tensor)
        joint = [torch.cat([tensor.flatten() for tensor in group]) for group in small.values()]
        with exchange():
            for work in [dist.all_reduce(tensor, async_op=True) for tensor in alone + joint]:
                work.wait()
        for group, total in zip(small.values(), joint, strict=True):
            for tensor, part in zip(group, total.split([t.numel() for t in group]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def trade(self, rows: Tensor, sent: list[int], received: list[int]) -> Tensor:
        """Send `sent[r]` of the rows, in their order, to rank r; what the others sent, in order of rank.

        Args:
            rows: [sum of sent, ...].
            received: how many rows each rank sends here.
        """
        found = rows.new_empty(sum(received), *rows.shape[1:])
        with exchange():
            dist.all_to_all_single(found, rows.contiguous(), received, sent)
        return found

    def all_rows(self, own: Tensor, counts: list[int]) -> Tensor:
        """The rows of all ranks, which hold `counts` of them, in order of rank."""
        if self.size == 1:
            return own
        padded = own.new_zeros(max(counts), *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in counts]
        with exchange():
            dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in order of rank. It travels as JSON: nothing is unpickled."""
        if self.size == 1:
            return [value]
        text = torch.frombuffer(bytearray(json.dumps(value), "utf-8"), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.long) for _ in range(self.size)]
        with exchange():
            dist.all_gather(lengths, torch.tensor([len(text)]))
            longest = int(max(lengths))
            texts = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.size)]
            dist.all_gather(texts, nn.functional.pad(text, (0, longest - len(text))))
        return [
            json.loads(bytes(row[: int(n)].numpy()).decode()) for row, n in zip(texts, lengths, strict=True)
        ]

    def first(self, make: Callable[[], Any]) -> Any:
        """What `make` gives the first rank, on all ranks; the others do not call it. JSON, as in `gather`."""
        return self.gather(make() if self.is_first else None)[0]

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.size > 1:
            with exchange():
                dist.barrier()

    def draw_apart(self, *place: int) -> None:
        """Give the dropout and noise of every rank but the first numbers of its own, anew at each `place`.

        The first rank's are PyTorch's own, which the checkpoint keeps; so a resumed run draws the same.
        """
        if not self.is_first:
            digest = hashlib.sha256("|".join(map(str, (*place, self.rank))).encode()).digest()
            torch.manual_seed(int.from_bytes(digest[:7], "big"))

    def check_equal(self, what: str, digest: Callable[[], str]) -> None:
        """Refuse to go on where the ranks do not hold the same.

        Raises:
            TrainingError: naming `what` differs.
        """
        if self.size > 1 and len(set(self.gather(digest()))) > 1:
            raise TrainingError(f"{what} differ between the {self.size} processes; train with one")


ALONE = Ranks()


def weights_digest(model: nn.Module) -> str:
    """Equal for models whose parameters and buffers have the same bits, cut tables aside."""
    cut = cut_weights(model)
    kept = (value for name, value in model.state_dict().items() if name not in cut)
    return content_hash(*(value.reshape(-1).view(torch.uint8) for value in kept))


def cut_weights(model: nn.Module) -> set[str]:
    """The names of the parameters that hold this rank's rows of a table."""
    return {f"{name}.weight" for name, part in model.named_modules() if isinstance(part, ShardedTable)}


def num_processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def num_restarts() -> int:
    """How often torchrun has started the processes of this machine anew."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def may_restart() -> bool:
    """Whether torchrun starts the processes anew when one of them ends (`--max-restarts`)."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0


@contextmanager
def joined() -> Iterator[Ranks]:
    """Meet the processes that torchrun started beside this one; without torchrun, be alone.

    An error leaves this block in one process only, the first that fails. In the others, which fail for the
    same reason or because the first is gone, it becomes a silent exit. Warnings are shown by the first rank.
    An error of settings, data or folders at the first start is that of every restart: none mends it.

    Raises:
        ConfigError: the others do not come.
        RunError: an earlier start was refused.
        LostRank: SIGTERM, by which torchrun ends the processes that are left when one has ended.
    """
    if "RANK" not in os.environ or os.environ.get("WORLD_SIZE", "1") == "1":
        yield ALONE
        return
    ranks, fails_first = _meet()
    before = signal.signal(signal.SIGTERM, _end)
    with warnings.catch_warnings():
        if not ranks.is_first:
            warnings.simplefilter("ignore")
        try:
            yield ranks
        except BaseException as error:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # until the message is out and the process ends
            if fails_first(error):
                raise
            sys.exit(getattr(error, "exit_code", 1))
    signal.signal(signal.SIGTERM, before)
    dist.destroy_process_group()


def _meet() -> tuple[Ranks, Callable[[BaseException], bool]]:
    """The ranks, and whether no other of them failed before an error (also True if nobody can know)."""
    try:
        from torch.distributed.distributed_c10d import PrefixStore, _set_pg_timeout
        from torch.distributed.rendezvous import rendezvous

        kept, rank, size = next(rendezvous("env://", timeout=MEETING))
        store = PrefixStore(_attempt(), kept)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=MEETING)
        dist.barrier()  # else one that fails at once is gone before the last has reached it
        _set_pg_timeout(TIMEOUT)
    except (ImportError, RuntimeError, ValueError) as error:
        raise ConfigError(f"the processes cannot meet ({error}); start them by torchrun") from error

    def fails_first(error: BaseException) -> bool:
        try:
            first = bool(store.compare_set("failed", "", str(rank)) == str(rank).encode())
            if first and not num_restarts() and isinstance(error, ConfigError | DataError | RunError):
                kept.set(REFUSED, str(error))
            return first
        except RuntimeError:
            return True

    if num_restarts() and kept.check([REFUSED]):
        if rank:
            sys.exit(RunError.exit_code)
        raise RunError(f"as at the first start: {kept.get(REFUSED).decode()}")
    return Ranks(rank, size), fails_first


def _attempt() -> str:
    """The name of this start in a store that torchrun keeps over its restarts: the addresses and the failure
    of processes that are gone must not be found there. A store of the first rank is new each time.
    """
    kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return f"attempt {num_restarts()}" if kept else "attempt"


def _end(*_: object) -> None:
    raise LostRank("this training was ended from outside, or another of its processes ended")


@contextmanager
def exchange() -> Iterator[None]:
    """gloo says only that a connection was closed or that nothing came in time."""
    try:
        yield
    except RuntimeError as error:
        raise LostRank("another process of this training ended or does not answer") from error
