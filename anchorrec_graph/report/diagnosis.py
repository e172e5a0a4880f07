"""Diagnoses of the runs: what is measured here, and every telling number as a table."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from anchorrec_graph.diagnose.diagnosis import Diagnoser
from anchorrec_graph.diagnose.measures import FAMILIES, MEASURES
from anchorrec_graph.diagnose.runs import AFTER, BEFORE, Diagnosis, labelled
from anchorrec_graph.diagnose.screen import is_telling, spoken
from anchorrec_graph.diagnose.summary import Means, Place, cell, mean_over_seeds, places
from anchorrec_graph.report.blocks import Block, Paragraph, Section, table
from anchorrec_graph.report.collapse import collapse_blocks
from anchorrec_graph.report.dominance import dominance_blocks
from anchorrec_graph.report.sources import Source, Sources
from anchorrec_graph.train.fit import learns, load_best

MOST_STATES = 12  # of models that are measured: each takes seconds


def diagnosis_sections(sources: Sources) -> list[Section]:
    """What training did to the spaces, and which views the scores are made of."""
    diagnoses = diagnose_sources(sources)
    means = {one.label: mean_over_seeds(one) for one in diagnoses}
    collapse: list[Block] = [Paragraph(_which(sources)), *collapse_blocks(means)]
    dominance: list[Block] = dominance_blocks(means)
    for family, question in FAMILIES.items():
        blocks = dominance if family in ("dominance", "popularity") else collapse
        blocks += _table(family, question, means)
    notes = dict.fromkeys(note for one in diagnoses for note in one.notes)
    dominance += [Paragraph(note) for note in notes]
    return [
        Section("collapse", "Structure, position and dimension of the spaces", collapse),
        Section("dominance", "Which views the scores are made of", dominance),
    ]


def measured_seeds(sources: Sources) -> bool:
    """Whether all seeds are measured after training, or only the first of each run."""
    further = sum(len(run.seeds) - 1 for run in sources.runs)
    return 2 * len(sources.runs) + further <= MOST_STATES


def diagnose_sources(sources: Sources) -> list[Diagnosis]:
    """Every run with its first seed before and after training, and after it with others if they are few."""
    every, found = measured_seeds(sources), []
    known: list[tuple[Source, Diagnoser]] = []
    for run in sources.runs:
        shared = [d for other, d in known if other.data is run.data]
        diagnoser = shared[0] if shared else Diagnoser(run.data, evaluate=run.config.evaluate)
        known.append((run, diagnoser))
        seeds = list(run.seeds) if every else [run.seeds[0]]
        tables = [part for seed in seeds for part in _tables(diagnoser, run, seed)]
        found.append(Diagnosis(run.label, run.folder.path, seeds, pl.concat(tables), diagnoser.notes))
    return found


def _tables(diagnoser: Diagnoser, run: Source, seed: int) -> list[pl.DataFrame]:
    model = run.fresh_model(seed)
    tables = []
    if learns(model) and seed == run.seeds[0]:
        tables.append(labelled(diagnoser.diagnose(model, seed), BEFORE, seed))
    load_best(model, run.folder.seed(seed))
    return [*tables, labelled(diagnoser.diagnose(model, seed), AFTER, seed)]


def _which(sources: Sources) -> str:
    seeds = (
        "All seeds after training, the first one also before it."
        if measured_seeds(sources)
        else "The first seed of each run; anchorrec diagnose measures all."
    )
    return (
        f"{seeds} final is the sum of the learned views. random knows nothing, oracle keeps everything: a "
        "number is read between these two. Views against features, or one view against another, are "
        "written a | b."
    )


def _table(family: str, question: str, means: dict[str, Means]) -> list[Block]:
    chosen = [
        place
        for place in places(list(means.values()))
        if MEASURES[place.measure].family == family and is_telling(place)
    ]
    if not chosen:
        return []
    rows = [[name_of(place), *(cell(of_run, place) for of_run in means.values())] for place in chosen]
    caption = f"{family.capitalize()}: {question} Before → after training, ± sd over seeds"
    reading = [f"{name}: {MEASURES[name].reads}." for name in dict.fromkeys(p.measure for p in chosen)]
    return [table(caption, ["measure", *means], rows), *_notes(reading)]


def name_of(place: Place) -> str:
    against = f" | {spoken(place.against)}" if place.against else ""
    return f"{place.measure}: {spoken(place.space)}{against}"


def _notes(sentences: Sequence[str]) -> list[Block]:
    return [Paragraph("How to read it: " + " ".join(sentences))]
