"""anchorrec audit"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from anchorrec_graph.audit import (
    LimitExceeded,
    Limits,
    as_json,
    check_limits,
    check_out,
    markdown,
    write_audit,
)
from anchorrec_graph.audit import audit as run_audit
from anchorrec_graph.audit.audit import LEAST
from anchorrec_graph.cli.options import AsJson, EverySeed, one_line, print_json
from anchorrec_graph.errors import ConfigError

MOST = 20  # groups of each grouping on the screen


def audit(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Run folders, each FOLDER or LABEL=FOLDER.")
    ],
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Of the item or user table, or popularity, cold, activity; may be repeated; default all.",
        ),
    ] = None,
    split: Annotated[Literal["validation", "test"], typer.Option(help="Which held-out pairs.")] = "test",
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="Length of the lists.")] = 20,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="VIEW", help="Also without this view, not retrained; may be repeated."),
    ] = None,
    views: Annotated[bool, typer.Option("--views", help="Also without each of the views.")] = False,
    limits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Limits as YAML, see configs/audit.yaml.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write everything: .json, .csv, .parquet or .md.")
    ] = None,
    min_size: Annotated[
        int, typer.Option(min=1, metavar="N", help="Smaller groups are put together as (other).")
    ] = LEAST,
    seed: EverySeed = None,
    as_json_: AsJson = False,
) -> None:
    """Show how a model treats groups of items and users.

    An audit judges a finished model, so it reads test; while you still choose among models, give
    --split validation. With --limits the exit code is 6 if a limit is exceeded.
    """
    if views and without:
        raise ConfigError("--views removes every view; leave out --without")
    if out is not None:
        check_out(out)
    rules = Limits.load(limits) if limits is not None else None
    wanted = [*(by or ()), *(rules.by if rules and by else ())]
    result = run_audit(
        runs,
        wanted,
        split=split,
        k=k,
        without="each" if views else (without or ()),
        seed=seed,
        least=min_size,
    )
    checks = check_limits(result, rules) if rules else []
    if out is not None:
        write_audit(result, checks, out)
    if as_json_:
        print_json(as_json(result, checks))
    else:
        print(markdown(result, checks, MOST), end="")
        if out is not None:
            print(f"\nwritten: {out}")
    exceeded = [check for check in checks if not check.holds]
    for check in exceeded:
        print(one_line(f"limit exceeded: {check.message}"), file=sys.stderr)
    if exceeded:
        raise typer.Exit(LimitExceeded.exit_code)
