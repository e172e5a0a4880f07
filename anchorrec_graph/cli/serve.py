"""anchorrec serve"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from anchorrec_graph.cli.options import interruptible, say
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.extras import require_extra
from anchorrec_graph.strict_yaml import parse_yaml

NEEDED = {
    "fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart", "orjson": "orjson",
    "PIL": "pillow",
}  # fmt: skip


def serve(
    folder: Annotated[Path, typer.Argument(metavar="RUN_OR_EXPORT", help="A run folder, or an export.")],
    compare: Annotated[
        Path | None, typer.Option(metavar="RUN_OR_EXPORT", help="A second model, to compare with.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Pictures of the items, named by item id.")
    ] = None,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is everywhere: give a token then."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: any that is free.")] = 8000,
    workers: Annotated[
        int,
        typer.Option(min=1, max=256, metavar="N", help="Processes; an export's files are shared by them."),
    ] = 1,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answer only to those who send the token in it.")
    ] = None,
    encode: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODALITY=ENCODER",
            help="What made its features, for new items: text=minilm; may be repeated.",
        ),
    ] = None,
    log_ids: Annotated[
        bool, typer.Option("--log-ids", help="Write ids of users and items to the log.")
    ] = False,
) -> None:
    """Serve a model over HTTP.

    A page for people is at /, the API is described at /openapi.json. A newer run or export that takes the
    folder's place, best as a link that is renamed over it, is served within seconds without a restart;
    requests that run are not disturbed. Ctrl-C lets them end first. One line of JSON per request goes to
    standard error, without ids and bodies.
    """
    require_serve()
    from anchorrec_graph.serve.api.auth import read_token
    from anchorrec_graph.serve.api.server import serve as run
    from anchorrec_graph.serve.api.settings import ServeSettings, is_loopback

    token = None if token_file is None else read_token(token_file)
    if token is None and not is_loopback(host):
        say(f"warning: --host {host} without --token-file: everyone who can reach this machine can ask")
    settings = ServeSettings(
        folders=(folder,) if compare is None else (folder, compare),
        images=images, host=host, port=port, workers=workers, token=token, log_ids=log_ids,
        encoders=parse_encoders(encode or []),
    )  # fmt: skip
    with interruptible():
        code = run(settings)
    if code:
        raise typer.Exit(code)


def require_serve() -> None:
    """Refuse to go on without the libraries of the extra `serve`.

    Raises:
        ConfigError: naming what is missing.
    """
    require_extra("serve", "a server", NEEDED)


def parse_encoders(texts: list[str]) -> dict[str, Any]:
    """`["text=minilm"]` -> `{"text": {"name": "minilm"}}`.

    Settings of an encoder are written as in YAML: `image={name: onnx, model: FILE}`.

    Raises:
        ConfigError: no such form, or a modality twice.
    """
    parsed: dict[str, Any] = {}
    for text in texts:
        modality, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not modality or not value:
            raise ConfigError(f"--encode {text}: expected MODALITY=ENCODER, for example text=minilm")
        if modality in parsed:
            raise ConfigError(f"--encode {text}: '{modality}' is given twice")
        settings = parse_yaml(value, f"--encode {text}")
        parsed[modality] = {"name": settings} if isinstance(settings, str) else settings
        if isinstance(settings, dict) and "function" in settings:
            sys.path.insert(0, "")  # a function in the working directory is found, as with --import
    return parsed
