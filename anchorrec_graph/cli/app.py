"""The command `anchorrec`: one verb per file."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from anchorrec_graph.cli import demo, doctor, evaluate, graph, recommend, train
from anchorrec_graph.errors import AnchorRecError

app = typer.Typer(
    help="Multimodal graph recommendation: train, evaluate and use AnchorRec.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001  read in main
) -> None:
    """Exit codes: 0 done, 1 other error, 2 settings or usage, 3 data, 4 run folder, 5 training failed."""


app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(recommend.recommend)
app.command()(graph.graph)
app.command()(doctor.doctor)
app.command()(demo.demo)


def main() -> None:
    """Run the command; errors are one line with the fix, and a traceback only with `--debug`."""
    warnings.showwarning = _one_line
    try:
        app()
    except (AnchorRecError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, AnchorRecError) else 1)


def _one_line(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
