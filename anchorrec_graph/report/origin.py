"""Which runs a report is about, and how each is made again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from anchorrec_graph.report.blocks import Block, Code, Heading, Paragraph, Section, TableBlock, table
from anchorrec_graph.report.sources import Source, Sources


def origin_section(sources: Sources) -> Section:
    runs = sources.runs
    blocks: list[Block] = [
        table(
            "Runs",
            ["run", "model", "seeds", "best epochs", "epochs", "parameters", "settings", "folder"],
            [_run_row(run) for run in runs],
        ),
        _environments(runs),
        Heading("Commands"),
        Paragraph(
            "What each run was started with. Its folder holds the complete settings, so that "
            "anchorrec train --config FOLDER/config.yaml --run-dir NEW makes it again anywhere."
        ),
    ]
    for run in runs:
        blocks += [Paragraph(f"{run.label}:"), Code(_command(run.environment))]
    blocks += [Paragraph("This report:"), Code(_command(sources.comparison.environment))]
    return Section("runs", "Runs", blocks)


def _run_row(run: Source) -> list[str]:
    origins = [result.origin for result in run.results]
    return [
        run.label,
        run.config.model.name,
        ", ".join(map(str, run.seeds)),
        ", ".join(_number(origin["best_epoch"]) for origin in origins),
        ", ".join(_number(origin["epochs"]) for origin in origins),
        _number(run.results[0].cost.parameters),
        run.config.hash,
        str(run.folder.path),
    ]


def _environments(runs: list[Source]) -> TableBlock:
    """One column for each run, or one for all if they were made in the same place."""
    facts = {run.label: _facts(run.environment) for run in runs}
    first = facts[runs[0].label]
    if all(fact == first for fact in facts.values()):
        facts = {"all runs" if len(runs) > 1 else runs[0].label: first}
    names = list(dict.fromkeys(name for fact in facts.values() for name in fact))
    rows = [[name, *(fact.get(name, "-") for fact in facts.values())] for name in names]
    return table("Where they were trained", ["", *facts], rows)


def _facts(environment: Mapping[str, Any]) -> dict[str, str]:
    machine = environment["machine"]
    packages = {name: version for name, version in environment["packages"].items() if version is not None}
    return {
        "commit": environment["commit"] or "not in a checkout",
        "Python": environment["python"],
        "packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
        "system": machine["system"],
        "processor": machine["processor"],
        "cores": _number(machine["cores"]),
        "threads": _number(machine["threads"]),
        "memory": f"{_number(machine['memory_gib'])} GiB",
    }


def _command(environment: Mapping[str, Any]) -> str:
    return shlex.join(environment["command"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"
