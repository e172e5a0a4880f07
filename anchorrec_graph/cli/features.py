"""anchorrec features"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from pydantic import ValidationError

import anchorrec_graph.encoders.families  # noqa: F401  registers the encoders
from anchorrec_graph.cli.options import (
    AsJson,
    Quiet,
    RayAddress,
    RayCores,
    interruptible,
    on_cluster,
    print_json,
    print_table,
    say,
)
from anchorrec_graph.config import describe
from anchorrec_graph.encoders.base import ENCODERS, Encoder, FileEncoder
from anchorrec_graph.encoders.batches import encode_here
from anchorrec_graph.encoders.cluster import encode_on
from anchorrec_graph.encoders.fuse_stored import fuse_modalities
from anchorrec_graph.encoders.joint import RIDGE, Recipe
from anchorrec_graph.encoders.pipeline import encode_items
from anchorrec_graph.encoders.progress import shown
from anchorrec_graph.encoders.ready_matrix import import_matrix
from anchorrec_graph.encoders.sources import Sources, files, read_items, texts
from anchorrec_graph.encoders.store import DType, Policy
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.strict_yaml import parse_yaml


def features(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="As written by anchorrec prepare.")],
    modality: Annotated[str, typer.Option(metavar="NAME", help="Makes features/NAME.npy.")],
    encoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="What turns texts or files into rows: minilm, ...")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("-o", "--override", metavar="KEY=VALUE", help="A setting of the encoder."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Columns that make the text, or the one with the files' paths."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", "--files", metavar="DIR", help="Where the files lie; by item id."),
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="A ready .npy instead.")
    ] = None,
    ids: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Item ids of its rows, one a line.")
    ] = None,
    fuse: Annotated[
        str | None, typer.Option(metavar="A,B", help="Modalities to make a fused one of instead.")
    ] = None,
    recipe: Annotated[Recipe, typer.Option(help="How they are fused.")] = "whiten",
    dim: Annotated[int, typer.Option(min=1, metavar="N", help="Columns of whiten and cca.")] = 256,
    ridge: Annotated[float, typer.Option(min=0, help="Regularisation of whiten and cca.")] = RIDGE,
    missing: Annotated[
        Policy, typer.Option(help="Rows of items without a readable input; item graphs pass over zero rows.")
    ] = "mean",
    out_dtype: Annotated[DType, typer.Option(help="Of the stored rows.")] = "float16",
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="Inputs encoded at a time.")] = 64,
    ray: RayAddress = None,
    ray_cpus: RayCores = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Encode texts or files of a prepared folder, or fuse.

    Makes one modality, from an encoder, a ready matrix or other modalities. A call that was cut off
    continues where it stopped, and unchanged inputs are never encoded again. Absent or damaged inputs are
    filled by --missing; oversized files are refused.
    """
    if sum(way is not None for way in (encoder, from_, fuse)) != 1:
        raise ConfigError("give one of --encoder NAME, --from FILE and --fuse A,B")
    if encoder is None:
        _only("--encoder", {"-o": overrides, "--columns": columns, "--images": images, "--ray": ray})
    if from_ is None:
        _only("--from", {"--ids": ids})
    elif ids is None:
        raise ConfigError("--from: give --ids too, the item ids of the rows, one a line")
    items = read_items(folder)
    if fuse is not None:
        options: dict[str, Any] = {"recipe": recipe, "dim": dim, "ridge": ridge, "dtype": out_dtype}
        sidecar = fuse_modalities(folder, modality, items, _names(fuse), **options)
    elif from_ is not None and ids is not None:
        sidecar = import_matrix(folder, modality, items, from_, ids, dtype=out_dtype, policy=missing)
    else:
        chosen = _encoder(encoder or "", overrides or ())
        sources = _sources(chosen, items, columns, images)
        with interruptible(), on_cluster(ray, ray_cpus) as cluster, shown(modality, quiet) as report:
            encode = encode_here if cluster is None else partial(encode_on, cluster)
            sidecar = encode_items(
                folder, modality, items, sources, chosen,
                dtype=out_dtype, batch_size=batch_size, policy=missing, encode=encode, report=report,
            )  # fmt: skip
    _print(sidecar, as_json, quiet)


def _encoder(name: str, overrides: list[str] | tuple[str, ...]) -> Encoder:
    settings: dict[str, Any] = {"name": name}
    for override in overrides:
        key, equals, text = (part.strip() for part in override.partition("="))
        if not equals or not key:
            raise ConfigError(f"-o {override}: expected key=value, for example -o device=cpu")
        settings[key] = parse_yaml(text, f"-o {override}")
    if "function" in settings:
        sys.path.insert(0, "")  # a function in the working directory is found, as with --import
    try:
        found: Encoder = ENCODERS.parse(settings)
    except ValidationError as error:
        raise ConfigError(f"--encoder {name}: {describe(error)}; set it with -o KEY=VALUE") from error
    except ValueError as error:
        raise ConfigError(f"--encoder: {error}") from error
    return found


def _sources(encoder: Encoder, items: pl.DataFrame, columns: str | None, images: Path | None) -> Sources:
    names = None if columns is None else _names(columns)
    if not isinstance(encoder, FileEncoder):
        _only("an encoder of files", {"--images": images})
        return texts(items, names)
    if images is None:
        raise ConfigError(f"--encoder {encoder.name}: give --images DIR, the folder of the files")
    if names is not None and len(names) != 1:
        raise ConfigError("--columns: an encoder of files takes one column, that of their paths")
    return files(items, images, names[0] if names else None, encoder.suffixes)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _only(way: str, options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value is not None:
            raise ConfigError(f"{option}: only with {way}; leave it out")


def _print(sidecar: dict[str, Any], as_json: bool, quiet: bool) -> None:
    missing, repeated = sidecar["missing"], sidecar["duplicates"]
    if not quiet and missing["rows"]:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in missing["reasons"].items())
        say(f"{missing['rows']} missing rows, filled by {missing['policy']} ({reasons})")
    if not quiet and repeated["rows"]:
        same = ", ".join(repeated["examples"][0])
        say(f"{repeated['rows']} items have the input of an earlier one, such as {same}")
    if as_json:
        print_json(sidecar)
        return
    counts: dict[str, Any] = {
        key: sidecar[key] for key in ("rows", "dim", "dtype", "encoded", "reused", "unused") if key in sidecar
    }
    counts |= {"missing": missing["rows"], "duplicates": repeated["rows"], "zero": sidecar["zero_rows"]}
    print_table(f"features/{sidecar['modality']}.npy", list(counts), [list(counts.values())])
