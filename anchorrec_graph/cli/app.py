"""The command `anchorrec`: one verb per file."""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from typing import Annotated

import typer

from anchorrec_graph.cli import (
    audit,
    compare,
    convert,
    demo,
    diagnose,
    doctor,
    evaluate,
    explain,
    export,
    features,
    forget,
    graph,
    prepare,
    recommend,
    report,
    serve,
    serve_demo,
    similar,
    train,
    tune,
    update,
)
from anchorrec_graph.cli.options import one_line
from anchorrec_graph.errors import AnchorRecError
from anchorrec_graph.registry import import_modules
from anchorrec_graph.train.environment import version

OUT_OF_MEMORY = (
    "not enough memory; anchorrec doctor --config FILE forecasts what a run needs, and a smaller "
    "train.batch_size, model.embedding_dim or evaluate.block_size needs less"
)

app = typer.Typer(
    help="Multimodal graph recommendation: train, evaluate and use AnchorRec.",
    epilog=(
        "Exit codes: 0 done, 1 other error, 2 settings or usage, 3 data, 4 run folder, 5 training failed, "
        "6 a limit of an audit exceeded, 130 interrupted."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001  read in main
    modules: Annotated[
        list[str] | None,
        typer.Option("--import", metavar="MODULE", help="A module that registers your own classes."),
    ] = None,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    import_modules(modules or ())
    if show_version:
        print(version("anchorrec_graph"))
        raise typer.Exit


for _verb in (
    prepare.prepare,
    train.train,
    tune.tune,
    evaluate.evaluate,
    compare.compare,
    audit.audit,
    diagnose.diagnose,
    recommend.recommend,
    similar.similar,
    explain.explain,
    export.export,
    update.update,
    forget.forget,
    report.report,
    serve.serve,
    serve_demo.serve_demo,
    features.features,
    convert.convert,
    graph.graph,
    doctor.doctor,
    demo.demo,
):
    app.command()(_verb)


def main() -> None:
    """Run the command. Errors are one line with the fix; `--debug`, at any place, shows the traceback too."""
    warnings.showwarning = _show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a title may hold what the terminal cannot show
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        try:
            app(args=arguments, prog_name="anchorrec")
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `anchorrec ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (AnchorRecError, OSError, MemoryError, RuntimeError) as error:
        message = describe(error)
        if message is None:
            raise
        if len(arguments) < len(sys.argv) - 1:
            traceback.print_exc()
        print(f"error: {one_line(message)}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, AnchorRecError) else 1)


def describe(error: Exception) -> str | None:
    """What to tell the user; None for an error that only a bug can cause."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    if isinstance(error, AnchorRecError | OSError):
        return str(error)
    no_memory = isinstance(error, MemoryError) or "can't allocate memory" in str(error)
    return OUT_OF_MEMORY if no_memory else None


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {one_line(str(message))}", file=sys.stderr)
