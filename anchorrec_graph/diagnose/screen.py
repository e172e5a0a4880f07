"""The most telling numbers of one or more diagnoses, as text of at most 110 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from anchorrec_graph.diagnose.items import ALL
from anchorrec_graph.diagnose.lists import SCORE
from anchorrec_graph.diagnose.measures import FAMILIES, MEASURES
from anchorrec_graph.diagnose.runs import Diagnosis
from anchorrec_graph.diagnose.spaces import FINAL, ORACLE, RANDOM, view_name
from anchorrec_graph.diagnose.summary import Means, Place, cell, mean_over_seeds, places, stages
from anchorrec_graph.models.base import ID

WIDTH, INDENT = 110, "    "
SHOWN = {  # the spaces that a measure is shown of: "view": learned views
    "overlap": (FINAL, "view", RANDOM),
    "coherence": (FINAL, RANDOM, ORACLE),
    "cka": (FINAL, RANDOM),
    "paired distance": ("view",),
    "mrr": (view_name(ID),),
    "effective rank": (FINAL, "view", "native", RANDOM),
    "recall": (SCORE,),
    "ranking share": ("view",),
    "shapley": ("view",),
    "removal drop": ("view",),
    "neighbour popularity": (FINAL, RANDOM),
    "list popularity": (SCORE, RANDOM, ORACLE),
    "gini": (SCORE, ORACLE),
    "coverage": (SCORE, ORACLE),
}
BY_EPOCH = ("overlap", "effective rank", "paired distance", "recall", "coverage")


def text(diagnoses: Sequence[Diagnosis]) -> str:
    """The runs as columns, in as many tables as the width needs, by family of measures."""
    means = [mean_over_seeds(diagnosis) for diagnosis in diagnoses]
    lines = [_about(diagnosis) for diagnosis in diagnoses]
    lines += ["", *_legend(means)]
    for family, question in FAMILIES.items():
        chosen = [place for place in places(means) if MEASURES[place.measure].family == family]
        chosen = [place for place in chosen if is_telling(place)]
        if chosen:
            lines += ["", f"{family.upper()}: {question}"]
            lines += _family(chosen, [diagnosis.label for diagnosis in diagnoses], means)
    for diagnosis, of_run in zip(diagnoses, means, strict=True):
        lines += _by_epoch(diagnosis, of_run)
    notes = dict.fromkeys(note for diagnosis in diagnoses for note in diagnosis.notes)
    return "\n".join([*lines, "", *notes]) + "\n"


def is_telling(place: Place) -> bool:
    kind = place.space.partition("/")[0]
    shown = SHOWN.get(place.measure, ())
    return place.group == ALL and (kind in shown or place.space in shown)


def spoken(space: str) -> str:
    """ "view/image" -> "image view"."""
    kind, _, name = space.partition("/")
    known = {"view": f"{name} view", "native": f"{name} features", RANDOM: "random", SCORE: "whole model"}
    return known.get(kind, space)


def _about(diagnosis: Diagnosis) -> str:
    seeds = ", ".join(map(str, diagnosis.seeds))
    return f"{diagnosis.label}: {diagnosis.folder}, seed{'s' * (len(diagnosis.seeds) > 1)} {seeds}"


def _legend(means: Sequence[Means]) -> Iterator[str]:
    found = stages(means)
    if {"before", "after"} <= set(found):
        yield "before training → after it (best epoch) ± sd over seeds, if there are several."
    elif found[0] in ("before", "after"):
        yield f"{found[0]} training ± sd over seeds, if there are several."
    yield "final: the sum of the learned views. random: knows nothing. oracle: keeps everything; of lists,"
    yield "what users really took. Views against features, or one view against another, are written a | b."


def _family(chosen: Sequence[Place], labels: Sequence[str], means: Sequence[Means]) -> Iterator[str]:
    names = {place: INDENT + _name(place) for place in chosen}
    cells = {place: [cell(of_run, place) for of_run in means] for place in chosen}
    first = max(map(len, names.values()))
    column = max(len(entry) for entry in [*labels, *(entry for row in cells.values() for entry in row)]) + 2
    per_table = max(1, (WIDTH - first) // column)
    for start in range(0, len(labels), per_table):
        part = slice(start, start + per_table)
        yield " " * first + "".join(label.rjust(column) for label in labels[part])
        measure = ""
        for place in chosen:
            if place.measure != measure:
                measure = place.measure
                yield f"  {measure}: {MEASURES[measure].reads}"
            yield names[place].ljust(first) + "".join(entry.rjust(column) for entry in cells[place][part])


def _name(place: Place) -> str:
    return spoken(place.space) + (f" | {spoken(place.against)}" if place.against else "")


def _by_epoch(diagnosis: Diagnosis, means: Means) -> Iterator[str]:
    """A few numbers of every epoch that was kept."""
    epochs = [stage for stage in stages([means]) if stage.startswith("epoch ")]
    if not epochs:
        return
    spaces = (FINAL, SCORE, view_name(ID))
    wanted = [p for p in places([means]) if p.measure in BY_EPOCH and p.space in spaces and is_telling(p)]
    yield from ("", f"{diagnosis.label} BY EPOCH")
    for place in wanted:
        yield f"  {place.measure}, {_name(place)}"
        values = [f"{stage.removeprefix('epoch ')}: {means[stage, place]}" for stage in epochs]
        yield from _wrapped(values)


def _wrapped(values: Sequence[str]) -> Iterator[str]:
    line = INDENT
    for value in values:
        if len(line) + len(value) > WIDTH:
            yield line.rstrip()
            line = INDENT
        line += value + "   "
    yield line.rstrip()
