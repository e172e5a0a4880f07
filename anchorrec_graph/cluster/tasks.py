"""Tasks on a Ray cluster, several at once, and what becomes of each."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple

from anchorrec_graph.cluster.connection import Cluster
from anchorrec_graph.errors import AnchorRecError, ConfigError
from anchorrec_graph.text import first_line

RETRIES = 1  # times that a task is begun again after its process was lost
PATIENCE = 5.0  # seconds that cancelled tasks have to clear away what they left


class Outcome(NamedTuple):
    """What became of a task: a value, or an error."""

    number: int  # of its arguments, from 0
    value: Any
    error: Exception | None


def completed(
    cluster: Cluster,
    function: Callable[..., Any],
    arguments: Iterable[tuple[Any, ...]],
    *,
    fresh: bool = False,
    gpus: int = 0,
) -> Generator[Outcome, None, None]:
    """Run `function(*arguments)` for each of the arguments in a task; yields what becomes of each as it ends.

    Arguments are taken when there is room for their task. One whose process is lost is begun again, `RETRIES`
    times. When the iterator is closed, tasks that still run are cancelled.

    Args:
        function: of a module, which the machines import by its name.
        fresh: whether each task has a process of its own.
        gpus: of each task.
    """
    import ray

    call = remote(cluster, function, fresh=fresh, gpus=gpus).remote
    waiting = enumerate(arguments)
    running: dict[Any, tuple[int, tuple[Any, ...], int]] = {}
    try:
        while True:
            while len(running) < cluster.at_once and (following := next(waiting, None)) is not None:
                running[call(*following[1])] = (*following, 0)
            if not running:
                return
            (ended,), _ = ray.wait(list(running))
            number, values, lost = running.pop(ended)
            try:
                outcome = Outcome(number, ray.get(ended), None)
            except ray.exceptions.RayError as error:
                if was_lost(error) and lost < RETRIES:
                    running[call(*values)] = (number, values, lost + 1)
                    continue
                outcome = Outcome(number, None, cause(error))
            yield outcome
    finally:
        cancel(list(running))


def remote(
    cluster: Cluster,
    function: Callable[..., Any],
    *,
    fresh: bool = False,
    gpus: int = 0,
) -> Any:
    """Ray's remote function; it gives a stream if `function` is a generator.

    Ray itself begins nothing again: it would never stop with a task that lacks memory.

    Raises:
        ConfigError: GPUs are wanted and there are none.
    """
    import ray

    if gpus and not ray.cluster_resources().get("GPU"):
        raise ConfigError("no machine of the cluster has a GPU; take -o device=cpu")
    resources = {"num_cpus": cluster.cpus, "num_gpus": gpus, "max_retries": 0, "max_calls": int(fresh)}
    return ray.remote(**resources)(function)


def cancel(running: list[Any]) -> None:
    """Stop tasks or streams, and give them time to clear away what they left; then end their processes.

    Ray's first way to stop a task is an interrupt, which can be lost: the task would keep its cores.
    """
    import ray

    if not running or not ray.is_initialized():
        return
    for task in running:
        ray.cancel(task)
    ends = [task if isinstance(task, ray.ObjectRef) else task.completed() for task in running]
    _, left = ray.wait(ends, num_returns=len(ends), timeout=PATIENCE)
    for task, end in zip(running, ends, strict=True):
        if end in left:
            ray.cancel(task, force=True)


def was_lost(error: Exception) -> bool:
    """Whether the process or the machine of a task ended under it."""
    from ray import exceptions

    lost = (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.ObjectLostError)
    return isinstance(error, lost)


def cause(error: Exception) -> Exception:
    """What a task itself raised; an AnchorRecError if it could not, because its process was ended."""
    from ray import exceptions

    if isinstance(error, exceptions.RayTaskError) and isinstance(error.cause, Exception):
        trace, error = str(error), error.cause
        if not isinstance(error, AnchorRecError | exceptions.RayError):
            error.add_note(trace)  # of a bug
    if not isinstance(error, exceptions.RayError):
        return error
    if isinstance(missing := getattr(error, "client_exc", None), ImportError):
        return AnchorRecError(f"a machine lacks a module of yours ({missing}); install it on all of them")
    if isinstance(error, exceptions.OutOfMemoryError):
        return AnchorRecError(
            "Ray ended the process, because its machine had no memory left; "
            "a larger --ray-cpus puts fewer of them on a machine"
        )
    if was_lost(error):
        return AnchorRecError("the process was killed, perhaps for want of memory, or its machine was lost")
    return AnchorRecError(f"Ray: {first_line(error)}")
