"""Signs of life of running trials: those of a process that was killed are told from all others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna import Study, Trial

SECOND_LOOK = 0.5  # seconds after which a trial without any sign of life is looked at once more
SILENT = """\
SELECT number FROM trials WHERE study_id = :study AND state = 'RUNNING'
AND trial_id NOT IN (SELECT trial_id FROM trial_heartbeats)"""


def give_sign_of_life(study: Study, trial: Trial) -> None:
    """Note that the process of a running trial lives; first under the lock in which it was asked for."""
    study._storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]


def fail_dead(study: Study) -> None:
    """Let running trials fail whose process has died.

    They are those that were silent for the storage's period of grace, and those that never gave a sign of
    life, for which Optuna would wait for ever. To be called under the lock in which trials are asked for
    and give their first sign.
    """
    from optuna.storages import fail_stale_trials
    from optuna.trial import TrialState

    fail_stale_trials(study)
    silent = _silent(study)
    if silent:
        time.sleep(SECOND_LOOK)  # on a system without locks, a living one may be about to give it
        silent &= _silent(study)
    for number in silent:
        study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


def _silent(study: Study) -> set[int]:
    """Numbers of the running trials without any sign of life. Optuna has no call for this."""
    from sqlalchemy import text

    with study._storage._backend.engine.connect() as connection:  # type: ignore[attr-defined]
        return set(connection.execute(text(SILENT), {"study": study._study_id}).scalars())
