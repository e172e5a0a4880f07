"""What a tuning leaves on disk beside its storage."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from anchorrec_graph.files import replacing
from anchorrec_graph.graph.drawing import FONT_SIZE, PALETTE, save_figure
from anchorrec_graph.tune.search import RANKED, TuneResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Report(NamedTuple):
    """Where `write_report` wrote."""

    best: Path  # the best configuration, complete
    trials: Path  # CSV
    importance: Path | None  # a figure; None where `why_no_figure` says so


def write_report(result: TuneResult, storage: Path, out: Path | None = None) -> Report:
    """Write `<study>-best.yaml` (or `out`), `-trials.csv` and `-importance.svg` beside the storage.

    They are named by the study, as a storage may hold many.
    """

    def beside(ending: str) -> Path:
        return storage.with_name(f"{result.study}-{ending}")

    report = Report(out or beside("best.yaml"), beside("trials.csv"), None)
    with replacing(report.best) as temporary:
        temporary.write_text(best_yaml(result), encoding="utf-8")
    with replacing(report.trials) as temporary:
        result.trials.write_csv(temporary)
    if why_no_figure(result) is None:
        report = report._replace(importance=beside("importance.svg"))
        save_figure(importance_figure(result), beside("importance.svg"))
    return report


def why_no_figure(result: TuneResult) -> str | None:
    """Why no figure of importance is drawn; None if one is."""
    complete = len(result.trials.filter(state="complete"))
    if complete < RANKED:
        return f"it needs {RANKED} complete trials, and there are {complete}"
    if not result.importance:
        return "nearly all trials are equally good"
    if importlib.util.find_spec("matplotlib") is None:
        return "matplotlib is missing: pip install 'anchorrec_graph[tune]'"
    return None


def best_yaml(result: TuneResult) -> str:
    """The best configuration; its first line says what was found, and how."""
    return (
        f"# Validation {result.metric} {result.best_value:.4f}, test not read; best of {len(result.trials)} "
        f"trials (trial {result.best_trial} of study {result.study}); {time.strftime('%Y-%m-%d')}.\n"
        f"{result.best_config.to_yaml()}"
    )


def importance_figure(result: TuneResult) -> Figure:
    """One bar per tuned setting, the most important at the top."""
    from matplotlib.figure import Figure

    keys = list(result.importance)[::-1]
    figure = Figure(figsize=(7, 1 + 0.3 * len(keys)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(keys, [result.importance[key] for key in keys], color=PALETTE[0])
    axes.tick_params(labelsize=FONT_SIZE)
    axes.set_xlabel(f"importance for {result.metric} on validation (PED-ANOVA, best quarter)", size=FONT_SIZE)
    axes.set_title(result.study, size=FONT_SIZE)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
