"""An audit as Markdown, JSON, CSV and Parquet."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from anchorrec_graph.audit.audit import Audit
from anchorrec_graph.audit.layout import Section, heading, preface, sections
from anchorrec_graph.audit.limits import Check
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.text import printable

WIDTH = 110


def markdown(audit: Audit, checks: Sequence[Check] = (), most: int | None = None) -> str:
    """Headings, sentences and aligned pipe tables; see `sections`."""
    opening = [f"# {_plain(heading(audit))}", *map(_paragraph, preface(audit))]
    parts = [*opening, *map(_section, sections(audit, checks, most))]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    text = "\n\n".join(map(_paragraph, section.sentences))
    return "\n\n".join(part for part in (f"## {_plain(section.title)}", text, _pipes(section)) if part)


def _paragraph(sentence: str) -> str:
    return textwrap.fill(_plain(sentence), WIDTH, break_long_words=False, break_on_hyphens=False)


def _pipes(section: Section) -> str:
    """Numbers to the right, the first column and words to the left."""
    table = [[_plain(cell) for cell in row] for row in (section.columns, *section.rows)]
    widths = [max(3, *map(len, column)) for column in zip(*table, strict=True)]
    right = [
        place > 0 and all(not cell or cell[-1].isdigit() or cell[-1] in "-]" for cell in column)
        for place, column in enumerate(zip(*table[1:], strict=True))
    ] or [False] * len(widths)
    lines = [
        " | ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        for row in table
    ]
    rule = "|".join(
        "-" * (width + 1) + ":" if to_right else "-" * (width + 2)
        for width, to_right in zip(widths, right, strict=True)
    )
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def _plain(text: str) -> str:
    """Text on one line, that neither controls a terminal nor ends a cell."""
    return printable(text).replace("|", "\\|")


def as_json(audit: Audit, checks: Sequence[Check] = ()) -> dict[str, Any]:
    """Everything: what was audited, groups, gaps, and what each limit says."""
    limits = [{**check._asdict(), "holds": check.holds, "message": check.message} for check in checks]
    return {**audit.to_dict(), "limits": limits}


def flat(audit: Audit) -> pl.DataFrame:
    """Groups and gaps in one table; `against` is empty for a group itself."""
    groups = audit.groups.with_columns(against=pl.lit(""))
    return pl.concat([groups.select(audit.gaps.columns), audit.gaps])


def check_out(path: Path) -> None:
    """Refuse a file whose kind is not known, before the work is done.

    Raises:
        ConfigError: naming the kinds.
    """
    if path.suffix not in WRITERS:
        raise ConfigError(f"--out {path}: the file must end in {' or '.join(WRITERS)}")


def write_audit(audit: Audit, checks: Sequence[Check], path: Path) -> None:
    """Write `.json` (everything), `.csv`, `.parquet` (`flat`) or `.md` (`markdown`, all groups).

    Raises:
        ConfigError: another suffix.
    """
    check_out(path)
    WRITERS[path.suffix](audit, checks, path)


def _write_json(audit: Audit, checks: Sequence[Check], path: Path) -> None:
    save_json(path, as_json(audit, checks))


def _write_csv(audit: Audit, _checks: Sequence[Check], path: Path) -> None:
    with replacing(path) as temporary:
        flat(audit).write_csv(temporary)


def _write_parquet(audit: Audit, _checks: Sequence[Check], path: Path) -> None:
    with replacing(path) as temporary:
        flat(audit).write_parquet(temporary)


def _write_markdown(audit: Audit, checks: Sequence[Check], path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(markdown(audit, checks), encoding="utf-8")


WRITERS: dict[str, Callable[[Audit, Sequence[Check], Path], None]] = {
    ".json": _write_json,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".md": _write_markdown,
}
