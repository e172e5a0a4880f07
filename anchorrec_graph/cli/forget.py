"""anchorrec forget"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from anchorrec_graph.cli.index import WithoutIndex, open_to_write
from anchorrec_graph.cli.options import AsJson, CatalogPath, Quiet, print_json
from anchorrec_graph.errors import RunError
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.export import has_scorer, save_export


def forget(
    export: CatalogPath,
    user: Annotated[list[str], typer.Option("--user", "-u", metavar="ID", help="May be repeated.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The new export; a new folder.")],
    no_ann: WithoutIndex = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write an export without some users.

    No id, row or history of theirs is left, which is checked in the files written. Delete the old export,
    and the run and its data, or the next training learns from them again. What training learned from them
    stays in the items' rows until then. An index of the items stays as it is: it holds nothing of users.
    """
    before = open_to_write(export, no_ann)
    save_export(before.forget(user).contents, out, onnx=has_scorer(export))
    after = Catalog.from_export(out)
    left = [name for name in user if after.knows_user(name)]
    rows = before.user_rows(user)
    others = [row for row in range(len(before.user_ids)) if row not in set(rows.tolist())]
    kept = not torch.equal(after.space.user, before.space.user[others])
    pairs = len(before.contents.known.keys) - len(after.contents.known.keys)
    if left or kept:
        raise RunError(
            f"{out}: still holds {', '.join(left) or 'rows of others than the users left'}; do not use it"
        )
    count = len(before.user_ids) - len(after.user_ids)
    if as_json:
        print_json({"out": str(out), "users_removed": count, "pairs_removed": pairs, "verified": True})
    elif not quiet:
        print(f"{count} users and {pairs} of their pairs removed; read back: no id, row or history is left")
        print(f"{out} is complete; delete {export} and its copies")
