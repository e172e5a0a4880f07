"""Optuna studies in an SQLite file that several processes share."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchorrec_graph.data.manifest import json_hash
from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.files import waiting_for
from anchorrec_graph.tune.alive import fail_dead, give_sign_of_life
from anchorrec_graph.tune.trial import ITSELF

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

HEARTBEAT, GRACE = 10, 120  # seconds between two signs of life, and without one until a trial counts as dead
BUSY = 60.0  # seconds to wait for another process's write
POLL = 0.5  # seconds between two looks at trials of other processes
STARTUP, WARMUP = 5, 10  # complete trials, and epochs, before a trial may be cut short


@contextmanager
def opened(storage: Path, name: str) -> Iterator[Study]:
    """The study of that name in the file, made if missing. Optuna's own messages are switched off.

    Raises:
        ConfigError: Optuna is not installed.
        RunError: the file is no storage of this Optuna.
    """
    try:
        import optuna
        from optuna.exceptions import ExperimentalWarning
        from sqlalchemy.engine import URL
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise ConfigError("tuning needs Optuna: pip install 'anchorrec_graph[tune]'") from error
    storage.parent.mkdir(parents=True, exist_ok=True)
    url = URL.create("sqlite", database=str(storage.resolve())).render_as_string()
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with warnings.catch_warnings(), ExitStack() as stack:
        stack.callback(optuna.logging.set_verbosity, verbosity)
        warnings.simplefilter("ignore", ExperimentalWarning)  # of signs of life
        try:
            with waiting_for(lock_file(storage)):  # two processes cannot both make the tables
                database = optuna.storages.RDBStorage(
                    url,
                    engine_kwargs={"connect_args": {"timeout": BUSY}},
                    heartbeat_interval=HEARTBEAT,
                    grace_period=GRACE,
                )
                stack.callback(database.engine.dispose)
                stack.callback(database.remove_session)
                study = optuna.create_study(
                    storage=database,
                    study_name=name,
                    direction="maximize",
                    load_if_exists=True,
                    pruner=optuna.pruners.MedianPruner(STARTUP, WARMUP),
                )
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise RunError(f"{storage}: no storage of this Optuna ({reason}); name another file") from error
        yield study


def fill(
    study: Study,
    storage: Path,
    trials: int,
    itself: dict[str, Any],
    objective: Callable[[Trial], float],
    done: Callable[[Study, FrozenTrial], None],
    waits: Callable[[int], None],
) -> None:
    """Run trials until `trials` of the study are complete or pruned, whoever ran them.

    Failed trials, and those of a process that gives no sign of life, do not count; where such a process
    only slept, it drops the trial and goes on. A trial is counted and begun, and gives its first sign of
    life, under a lock: processes on one machine never run one too many.

    Args:
        itself: the parameters of the configuration as it stands, which is always the first trial.
        done: called after each trial of this process.
        waits: called once when only trials of other processes are left, with the seconds until a dead one
            is given up.
    """
    waiting = False
    while True:
        with ExitStack() as claim:
            claim.enter_context(waiting_for(lock_file(storage)))
            left = left_to_begin(study, trials)
            if left is None:
                return
            if left:
                enqueue(study, itself)
                begun = _Begun(study, claim, objective)
                try:
                    study.optimize(begun, n_trials=1, callbacks=[done])
                except Exception:
                    if not begun.given_up:
                        raise
                continue
        if not waiting:
            waits(GRACE)
            waiting = True
        time.sleep(POLL)


def left_to_begin(study: Study, trials: int) -> int | None:
    """How many trials are to be begun; None if all have ended. To be called under the lock."""
    from optuna.trial import TrialState

    fail_dead(study)
    states = Counter(trial.state for trial in study.get_trials(deepcopy=False))
    left = trials - states[TrialState.COMPLETE] - states[TrialState.PRUNED]
    return None if left <= 0 else max(left - states[TrialState.RUNNING], 0)


def enqueue(study: Study, itself: dict[str, Any]) -> None:
    """Put the configuration itself first, unless it has a trial that did not fail."""
    known = [trial for trial in study.get_trials(deepcopy=False) if ITSELF in trial.user_attrs]
    if all(trial.state.name == "FAIL" for trial in known):
        study.enqueue_trial(itself, user_attrs={ITSELF: True})


class _Begun:
    """The objective, which first gives up the claim: from now on the trial is counted as running.

    Optuna's own thread gives the first sign of life at a moment of its own, perhaps too late.
    """

    def __init__(self, study: Study, claim: ExitStack, objective: Callable[[Trial], float]) -> None:
        self.study, self.claim, self.objective = study, claim, objective
        self.given_up = False  # by another process, before it ended here: Optuna takes no more of it

    def __call__(self, trial: Trial) -> float:
        give_sign_of_life(self.study, trial)
        self.claim.close()
        seed_sampler(self.study, trial)
        try:
            return self.objective(trial)
        finally:
            self.given_up = self.study.get_trials(deepcopy=False)[trial.number].state.is_finished()


def seed_sampler(study: Study, trial: Trial) -> None:
    """A trial draws the same, whichever process runs it, and no two trials or studies draw in step."""
    from optuna.samplers import TPESampler

    seed = int(json_hash([study.study_name, trial.number])[:8], 16)
    study.sampler = TPESampler(seed=seed, n_startup_trials=STARTUP)


def lock_file(storage: Path) -> Path:
    """One for all names of the file."""
    storage = storage.resolve()
    return storage.with_name(f".{storage.name}.lock")
