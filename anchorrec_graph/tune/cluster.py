"""Trials on a Ray cluster. Workers train and send validation values; the study is opened here alone."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.cluster.connection import Cluster
from anchorrec_graph.cluster.tasks import cancel, cause, remote, was_lost
from anchorrec_graph.config import Config
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.files import waiting_for
from anchorrec_graph.registry import import_modules, imported_modules
from anchorrec_graph.tune import study as studies
from anchorrec_graph.tune.alive import give_sign_of_life
from anchorrec_graph.tune.space import Space
from anchorrec_graph.tune.study import enqueue, left_to_begin, lock_file, seed_sampler
from anchorrec_graph.tune.trial import draw, noting_reasons, report, validation_values

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial, TrialState

LOST = 3  # trials whose process may be lost before the search ends

Done = Callable[["Study", "FrozenTrial"], None]


def fill_on(
    cluster: Cluster,
    study: Study,
    storage: Path,
    trials: int,
    config: Config,
    space: Space,
    data: HeteroData,
    done: Done,
    waits: Callable[[int], None],
) -> None:
    """As `study.fill`, with the trainings in tasks of the cluster, `cluster.at_once` at a time.

    Args:
        data: without test pairs; only this is sent.

    Raises:
        AnchorRecError: the processes of more than `LOST` trials were lost.
    """
    running = _Running(cluster, study, config, space, data, done)
    waiting = False
    try:
        while True:
            with waiting_for(lock_file(storage)):
                left = left_to_begin(study, trials)
                if left is None:
                    return
                room = left and len(running.trials) < cluster.at_once
                trial = _ask(study, space.params(config)) if room else None
            if trial is not None:
                running.begin(trial)
                continue
            if not running.trials and not waiting:
                waits(studies.GRACE)
                waiting = True
            running.listen()
    finally:
        running.give_up()


def values(
    config: Config, data: HeteroData, threads: int, modules: Sequence[str]
) -> Iterator[tuple[int, float]]:
    """On a worker: the values of `validation_values`, each sent as it comes."""
    import_modules(modules)
    torch.set_num_threads(threads)
    yield from validation_values(config, data, Evaluator(config.evaluate, data))


class _Running:
    """The trials of this process that are not told yet, by the stream of their values."""

    def __init__(
        self, cluster: Cluster, study: Study, config: Config, space: Space, data: HeteroData, done: Done
    ) -> None:
        import ray

        self.study, self.config, self.space, self.done = study, config, space, done
        self.task, self.data, self.threads = remote(cluster, values), ray.put(data), cluster.cpus
        self.trials: dict[Any, Trial] = {}
        self.best: dict[Any, float] = {}
        self.lost, self.alive = 0, time.monotonic()

    def begin(self, trial: Trial) -> None:
        """Draw the trial's settings and start to train them."""
        from optuna import TrialPruned
        from optuna.trial import TrialState

        seed_sampler(self.study, trial)
        try:
            with noting_reasons(trial):
                settings = draw(trial, self.config, self.space)
        except TrialPruned:
            self.done(self.study, self.study.tell(trial, state=TrialState.PRUNED))
            return
        except BaseException:
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        stream = self.task.remote(settings, self.data, self.threads, imported_modules())
        self.trials[stream], self.best[stream] = trial, -float("inf")

    def listen(self) -> None:
        """Take what has come, waiting a moment if nothing has."""
        import ray

        ready = []
        if self.trials:
            ready, _ = ray.wait(list(self.trials), timeout=studies.POLL)
        else:
            time.sleep(studies.POLL)
        for stream in ready:
            self._take(stream)
        if time.monotonic() - self.alive >= studies.HEARTBEAT:
            self.alive = time.monotonic()
            for trial in self.trials.values():
                give_sign_of_life(self.study, trial)

    def give_up(self) -> None:
        """Stop what still runs. These trials count as failed."""
        from optuna.trial import TrialState

        cancel(list(self.trials))
        for trial in self.trials.values():
            self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def _take(self, stream: Any) -> None:
        """The next value of a trial, or its end."""
        import ray
        from optuna import TrialPruned
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        trial = self.trials[stream]
        try:
            with noting_reasons(trial):
                epoch, value = _next(stream)
                self.best[stream] = max(self.best[stream], value)
                report(trial, epoch, value)
        except StopIteration:
            self._tell(stream, TrialState.COMPLETE, self.best[stream])
        except TrialPruned:
            cancel([stream])
            self._tell(stream, TrialState.PRUNED)
        except UpdateFinishedTrialError:  # another process gave it up, as this one slept too long
            cancel([stream])
            self._tell(stream, TrialState.FAIL)
        except ray.exceptions.RayError as error:
            self.lost += 1
            if not was_lost(error) or self.lost > LOST:
                raise cause(error) from error
            self._tell(stream, TrialState.FAIL)

    def _tell(self, stream: Any, state: TrialState, value: float | None = None) -> None:
        told = self.study.tell(self.trials[stream], value, state, skip_if_finished=True)
        del self.trials[stream], self.best[stream]
        self.done(self.study, told)


def _ask(study: Study, itself: dict[str, Any]) -> Trial:
    enqueue(study, itself)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Heartbeat of storage")  # it is given here
        trial = study.ask()
    give_sign_of_life(study, trial)
    return trial


def _next(stream: Any) -> tuple[int, float]:
    """
    Raises:
        StopIteration: the trial is complete.
        RayError: its process was lost.
        Exception: what the worker raised.
    """
    import ray

    try:
        found: tuple[int, float] = ray.get(next(stream))
        return found
    except ray.exceptions.RayTaskError as error:
        raise cause(error) from error
