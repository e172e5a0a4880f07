"""Everything that was measured as Markdown, JSON, CSV or Parquet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anchorrec_graph.diagnose.measures import FAMILIES, MEASURES
from anchorrec_graph.diagnose.runs import Diagnosis
from anchorrec_graph.diagnose.summary import long_table, mean_over_seeds, places, stages
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.files import replacing, save_json

Write = Callable[[Sequence[Diagnosis], Path], None]


def check_suffix(path: Path) -> None:
    """Refuse a file that `write` cannot write.

    Raises:
        ConfigError: naming the suffixes that it can.
    """
    if path.suffix not in WRITERS:
        raise ConfigError(f"--out {path}: the file must end in {', '.join(WRITERS)}")


def write(diagnoses: Sequence[Diagnosis], path: Path) -> None:
    """Write every number; the suffix says how.

    .csv and .parquet have a row per run, stage, seed and number, .json has them by run, and .md has the
    mean ± sd over seeds with runs as columns.

    Raises:
        ConfigError: an unknown suffix.
    """
    check_suffix(path)
    WRITERS[path.suffix](diagnoses, path)


def as_json(diagnoses: Sequence[Diagnosis]) -> dict[str, Any]:
    """Runs with their tables as rows, and how to read every measure."""
    runs = [{**one._asdict(), "folder": str(one.folder), "table": one.table.to_dicts()} for one in diagnoses]
    return {"runs": runs, "measures": {name: measure._asdict() for name, measure in MEASURES.items()}}


def markdown(diagnoses: Sequence[Diagnosis]) -> str:
    """A table for each family, one row per stage and number, one column per run; then how to read them."""
    means = [mean_over_seeds(diagnosis) for diagnosis in diagnoses]
    head = ["measure", "space", "against", "group", "stage", *(one.label for one in diagnoses)]
    rule = "|---|---|---|---|---|" + "---:|" * len(diagnoses)
    parts = []
    for family, question in FAMILIES.items():
        rows = []
        for place in places(means):
            for stage in stages(means) if MEASURES[place.measure].family == family else ():
                cells = [str(of_run.get((stage, place), "-")) for of_run in means]
                if any(entry != "-" for entry in cells):
                    rows.append(_line([*place, stage, *cells]))
        if rows:
            reads = [f"- {name}: {m.reads}" for name, m in MEASURES.items() if m.family == family]
            title = f"### {family.capitalize()}: {question}"
            parts.append("\n".join([title, "", *reads, "", _line(head), rule, *rows]))
    notes = dict.fromkeys(note for diagnosis in diagnoses for note in diagnosis.notes)
    runs = [f"- {one.label}: `{one.folder}`, seeds {', '.join(map(str, one.seeds))}" for one in diagnoses]
    return "\n\n".join([*parts, "\n".join([*runs, *(f"- {note}" for note in notes)])]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _write_text(diagnoses: Sequence[Diagnosis], path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(markdown(diagnoses), encoding="utf-8")


def _write_json(diagnoses: Sequence[Diagnosis], path: Path) -> None:
    save_json(path, as_json(diagnoses))


def _write_csv(diagnoses: Sequence[Diagnosis], path: Path) -> None:
    with replacing(path) as temporary:
        long_table(diagnoses).write_csv(temporary)


def _write_parquet(diagnoses: Sequence[Diagnosis], path: Path) -> None:
    with replacing(path) as temporary:
        long_table(diagnoses).write_parquet(temporary)


WRITERS: dict[str, Write] = {
    ".json": _write_json, ".csv": _write_csv, ".parquet": _write_parquet, ".md": _write_text
}  # fmt: skip
