"""Source `mmrec`: a folder in MMRec's format, with its split (`x_label`) or to be split anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from anchorrec_graph.data.features import find_features, open_features
from anchorrec_graph.data.mmrec import MAX_GAP
from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import items as item
from anchorrec_graph.prepare.sources.base import BLOCK, ITEM_COLUMNS, SOURCES, Source
from anchorrec_graph.prepare.sources.csv_rows import TSV, csv_rows
from anchorrec_graph.prepare.sources.interactions import interactions
from anchorrec_graph.prepare.sources.rows import Fields
from anchorrec_graph.prepare.sources.tables import table_records
from anchorrec_graph.text import printable

FIELDS = Fields(
    {
        "user_id": ("userid",),
        "item_id": ("itemid",),
        "rating": ("rating",),
        "timestamp": ("timestamp",),
        "label": ("xlabel",),
    },
    optional=("rating", "timestamp", "label"),
    hint="an MMRec table has userID and itemID, separated by tabs",
)
ROW_NUMBER = r"^(0|[1-9][0-9]{0,17})$"


class MMRec(Source):
    """A tab-separated `.inter` table of row numbers, and `.npy` matrices whose row i is item i.

    Columns are userID, itemID and, if known, rating, timestamp and x_label (0 train, 1 validation, 2 test);
    RecBole's spelling is read too. Items are `0`, `1`, ... in order, as many as the first matrix has rows,
    else as the item table, else as the largest itemID + 1. A column `item_id` of the item table is kept as
    `original_id`.
    """

    name: Literal["mmrec"] = "mmrec"
    files: tuple[Path, ...] = Field(min_length=1, max_length=1)  # the folder
    inter_file: str | None = None  # None: the only *.inter file
    items_file: str | None = None  # TSV, CSV or JSON lines: in item order, or numbered by a column itemID
    features: dict[str, str] | None = None  # modality -> file; None: every floating matrix in a *.npy

    def interaction_files(self) -> tuple[Path, ...]:
        folder = self.files[0]
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; files must name the MMRec folder")
        if self.inter_file is not None:
            return (folder / self.inter_file,)
        found = sorted(folder.glob("*.inter"))
        if len(found) != 1:
            names = ", ".join(path.name for path in found) or "none"
            raise DataError(f"{folder}: needs one .inter file, found {names}; name it with inter_file")
        return (found[0],)

    def read_interactions(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        def choose(columns: tuple[str, ...]) -> dict[str, str]:
            plain: dict[str, str] = {}
            for column in columns:
                name = column.split(":")[0].strip().lower().replace("_", "")
                if name in plain and any(name in names for names in FIELDS.names.values()):
                    raise DataError(f"{path}: two columns are read as '{printable(name)}'; keep one")
                plain[name] = column
            return {ours: plain[name] for ours, name in FIELDS.choose(path, plain).items()}

        for rows in csv_rows(path, TSV, choose, rejects):
            yield from interactions(rows, path, rejects, ids=ROW_NUMBER)

    def item_files(self) -> tuple[Path, ...]:
        """The item table, or the interactions, which then tell how many items there are."""
        return (self.files[0] / self.items_file,) if self.items_file else self.interaction_files()

    def read_items(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:  # noqa: ARG002
        """All items in order. No row of the item table may be malformed: its place is the item's id."""
        table = self._table(path) if self.items_file else None
        needed = self._items_needed()
        matrix = next(iter(self.feature_files().values()), None)
        count = len(open_features(matrix)) if matrix else needed
        if table is not None:
            count = count if matrix else len(table)
            if len(table) != count:
                raise DataError(
                    f"{path}: {len(table)} items, but {matrix} has {count} rows; give one line per row"
                )
        if needed > count:
            raise DataError(
                f"{self.interaction_files()[0]}: holds item {needed - 1}, but there are only {count}"
            )
        ids = pl.Series("item_id", range(count), dtype=pl.Int64).cast(pl.String)
        frame = pl.DataFrame([ids]) if table is None else table.select(ids, pl.all())
        yield from frame.iter_slices(BLOCK)

    def feature_files(self) -> Mapping[str, Path]:
        names = find_features(self.files[0]) if self.features is None else self.features
        return {modality: self.files[0] / name for modality, name in names.items()}

    def _items_needed(self) -> int:
        """The largest item id + 1."""
        (path,) = self.interaction_files()
        largest, rows = -1, 0
        for frame in self.read_interactions(path, Rejects()):
            highest = frame["item_id"].cast(pl.Int64).max()
            largest, rows = max(largest, int(str(highest)) if highest is not None else -1), rows + len(frame)
        if largest > rows + MAX_GAP:
            raise DataError(f"{path}: item {largest} in a file of {rows} rows; renumber the items from 0")
        return largest + 1

    def _table(self, path: Path) -> pl.DataFrame:
        """The item table in item order, without `item_id`. No row may be left out: their places are ids."""
        rejects = Rejects()
        records = table_records(path, Fields({}), rejects)
        frames = list(item.item_frames(records, path, rejects, _item))
        if rejects.total:
            fault = rejects.samples[0]
            raise DataError(
                f"{path}: row {fault.row}: {fault.reason}; correct it, as rows are items by their place"
            )
        if not frames:
            return pl.DataFrame()
        table = pl.concat(frames, how="diagonal")
        if "itemID" not in table.columns:
            return table
        number = table["itemID"].cast(pl.Int64, strict=False)
        if number.sort().to_list() != list(range(len(table))):
            raise DataError(
                f"{path}: itemID must number the items 0..{len(table) - 1}, each once; renumber them"
            )
        return table.with_columns(number).sort("itemID").drop("itemID")


def _item(record: Mapping[str, Any]) -> item.Item:
    values: dict[str, Any] = {}
    for name, value in record.items():
        if name == "item_id":
            values["original_id"] = item.kept(value)
        else:
            values[item.whole(name)] = (
                item.converted(name, value) if name in ITEM_COLUMNS else item.kept(value)
            )
    return values


SOURCES.register(MMRec)(MMRec)
