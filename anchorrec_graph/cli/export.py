"""anchorrec export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from anchorrec_graph.cli.index import index_line, open_to_write
from anchorrec_graph.cli.options import AsJson, CatalogPath, Quiet, Seed, print_json
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.extras import require_extra
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.export import save_export

NEEDED = {"fastapi": "fastapi", "orjson": "orjson", "PIL": "pillow"}  # of a site


def export(
    run: CatalogPath,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="A new folder.")] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also the score as an ONNX graph (extra export).")
    ] = False,
    ann: Annotated[
        bool | None,
        typer.Option(
            "--ann/--no-ann",
            help="Also an approximate index of the items (extra ann), see docs/serve.md; default: as in an "
            "export that is exported again.",
            show_default=False,
        ),
    ] = None,
    site: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A new folder for the page as files that need no server."),
    ] = None,
    site_users: Annotated[
        int, typer.Option(min=0, max=10_000, metavar="N", help="Users in it, drawn at random, without ids.")
    ] = 20,
    site_images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Pictures of the items, named by item id.")
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="RUN_OR_EXPORT", help="A second model, to compare with in the site."),
    ] = None,
    site_mib: Annotated[
        int, typer.Option(min=1, metavar="N", help="The most that the site may take up.")
    ] = 64,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write what serving needs, or the page as a static site.

    --out: plain files without the data or anything to train: safetensors, Parquet, a model card, and the
    SHA-256 of each, which is checked whenever the export is read. recommend, similar, update, forget and
    serve take an export in place of a run.

    --site: the page of `anchorrec serve` with all that it computes from, for any host of static files.
    Whoever can load it has the items' columns and rows, and what the users in it bought. --compare
    takes a second model of the same items, and shows both side by side, as in `anchorrec serve --compare`.
    """
    if out is None and site is None:
        raise ConfigError("give --out FOLDER, --site FOLDER, or both")
    if compare is not None and site is None:
        raise ConfigError("--compare is for a site: give --site FOLDER, too")
    if site is not None:
        require_extra("serve", "a site", NEEDED)
    catalog = Catalog.open(run, seed) if out is None else open_to_write(run, ann is False, seed)
    other = None if compare is None else _second(compare, seed, catalog)
    report: dict[str, Any] = {}
    if out is not None:
        manifest = save_export(catalog.contents, out, onnx, bool(ann))
        report |= {"out": str(out), **manifest}
    if site is not None:
        from anchorrec_graph.serve.site.sides import known_to_both
        from anchorrec_graph.serve.site.write import sample_users, save_site

        known = known_to_both(catalog, other)
        users = [known[place] for place in sample_users(len(known), site_users)]
        written = save_site(catalog, site, users, site_images, site_mib, other)
        report["site"] = {"out": str(site), **written}
    if as_json:
        print_json(report)
    elif not quiet:
        _tell(report)


def _second(folder: Path, seed: int | None, first: Catalog) -> Catalog:
    """The model to compare with. What is wrong with it is said before anything is written."""
    from anchorrec_graph.serve.site.sides import check_same_items

    catalog = Catalog.open(folder, seed)
    check_same_items(first, catalog)
    return catalog


def _tell(report: dict[str, Any]) -> None:
    if "out" in report:
        out = Path(report["out"])
        size = sum(path.stat().st_size for path in out.iterdir()) / 2**20
        print(f"{report['card']['name']}: {len(report['files'])} files, {size:.1f} MiB, written to {out}")
        if line := index_line(report):
            print(line)
        print(f"try: anchorrec serve {out}")
    if site := report.get("site"):
        size, people = site["bytes"] / 2**20, f"{site['shoppers']} users without their ids"
        names = " beside ".join(filter(None, (site["name"], site["compare"])))
        print(f"{names}: a site of {size:.1f} MiB with {people}, written to {site['out']}")
        print(f"try: python -m http.server -d {site['out']}")
