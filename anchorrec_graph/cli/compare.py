"""anchorrec compare"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anchorrec_graph.cli.options import (
    AsJson,
    Overrides,
    Quiet,
    RayAddress,
    RayCores,
    interruptible,
    on_cluster,
    print_json,
    say,
    silent,
)
from anchorrec_graph.compare import as_json as everything
from anchorrec_graph.compare import compare as run_comparison
from anchorrec_graph.compare import markdown, read_entries, read_externals, write_tables
from anchorrec_graph.errors import ConfigError


def compare(
    configs: Annotated[
        list[str], typer.Argument(metavar="CONFIG", help="Settings as YAML, each FILE or LABEL=FILE.")
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where runs and tables are kept.")],
    seeds: Annotated[str, typer.Option(metavar="N,N,...", help="Seeds of every model.")] = "0,1,2",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Runs at once; default 1, with --ray what its cores allow."),
    ] = None,
    ray: RayAddress = None,
    ray_cpus: RayCores = 1,
    override: Overrides = None,
    external: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=FILE",
            help="Another program's embeddings or lists, .npz or MMRec's CSV; a label's files are its seeds.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="What the others are tested against; default the first."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="METRIC", help="A column, such as Recall@20; may be repeated.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train models with several seeds, and write one table.

    It has tests of significance. Give the same command again to go on after a crash: what is finished
    is not trained again.
    """
    entries = read_entries(configs, override or ())
    with interruptible(), on_cluster(ray, ray_cpus, jobs) as cluster:
        comparison = run_comparison(
            entries,
            _numbers(seeds),
            out,
            workers=jobs or 1,
            cluster=cluster,
            externals=read_externals(external or ()),
            reference=reference,
            metrics=metric or (),
            report=silent if quiet else say,
        )
    write_tables(comparison, out)
    if as_json:
        print_json(everything(comparison))
    else:
        print(markdown(comparison), end="")
    comparison.raise_failures()


def _numbers(seeds: str) -> list[int]:
    try:
        return [int(seed) for seed in seeds.split(",")]
    except ValueError as error:
        raise ConfigError(f"--seeds {seeds}: expected whole numbers such as 0,1,2") from error
