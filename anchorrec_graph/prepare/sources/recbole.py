"""Source `recbole`: a folder of atomic files, `<name>.inter` and optionally `<name>.item`.

A split is read from benchmark files, `<name>.train.inter`, `<name>.valid.inter` and `<name>.test.inter`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from anchorrec_graph.data.features import find_features
from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import items as item
from anchorrec_graph.prepare.sources.base import ITEM_COLUMNS, SOURCES, Source
from anchorrec_graph.prepare.sources.csv_rows import TSV, csv_rows
from anchorrec_graph.prepare.sources.interactions import BLANKS, TimeUnit, interactions
from anchorrec_graph.prepare.sources.rows import Fields
from anchorrec_graph.text import printable

PARTS = ("train", "valid", "test")  # of the benchmark files, in the order of their labels
PART_ENDS = tuple(f".{part}" for part in PARTS)
KINDS: Mapping[str, Any] = {
    "token": pl.String,
    "token_seq": pl.List(pl.String),
    "float": pl.Float64,
    "float_seq": pl.List(pl.Float64),
}


class RecBole(Source):
    """Tab-separated tables whose columns are `field:kind`, of kind token, token_seq, float or float_seq.

    Sequences are separated by spaces. Fields of `.item` that are not named below are kept with their own
    names and kinds. Where there are benchmark files, they are read and their `<name>.inter` is not.
    """

    name: Literal["recbole"] = "recbole"
    files: tuple[Path, ...] = Field(min_length=1, max_length=1)  # the folder
    dataset: str | None = None  # <name>; None: of the only *.inter file, or of the benchmark files
    user_field: str = "user_id"
    item_field: str = "item_id"
    rating_field: str | None = None  # None: rating, if there is one
    time_field: str | None = None  # None: timestamp, if there is one
    time_unit: TimeUnit = "s"
    title_field: str = "title"
    description_field: str = "description"
    brand_field: str = "brand"
    categories_field: str = "categories"
    price_field: str = "price"
    image_field: str = "image"
    features: dict[str, str] | None = None  # modality -> .npy in the order of .item; None: every matrix

    def interaction_files(self) -> tuple[Path, ...]:
        name = self._name()
        parts = [self.files[0] / f"{name}.{part}.inter" for part in PARTS]
        missing = [path.name for path in parts if not path.exists()]
        if len(missing) == len(parts):
            return (self.files[0] / f"{name}.inter",)
        if missing:
            raise DataError(
                f"{self.files[0]}: a split of '{name}' needs three files, missing: {', '.join(missing)}; "
                "add them, or name a single file with dataset"
            )
        return tuple(parts)

    def read_interactions(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        fields = Fields(
            {
                "user_id": (self.user_field,),
                "item_id": (self.item_field,),
                "rating": (self.rating_field or "rating",),
                "timestamp": (self.time_field or "timestamp",),
            },
            optional=[
                ours
                for ours, field in (("rating", self.rating_field), ("timestamp", self.time_field))
                if field is None
            ],
            hint="name others with user_field, item_field, rating_field, time_field",
        )

        def choose(columns: tuple[str, ...]) -> dict[str, str]:
            typed = _typed(path, columns)
            return {ours: typed[name][0] for ours, name in fields.choose(path, typed).items()}

        files = self.interaction_files()
        label = [pl.lit(files.index(path), pl.Int8).alias("label")] if len(files) > 1 else []
        for rows in csv_rows(path, TSV, choose, rejects):
            for frame in interactions(rows, path, rejects, self.time_unit):
                yield frame.with_columns(label)

    def item_files(self) -> tuple[Path, ...]:
        path = self.files[0] / f"{self._name()}.item"
        return (path,) if path.exists() else ()

    def feature_files(self) -> Mapping[str, Path]:
        """The matrices beside the item file; without one nothing tells whose their rows are."""
        names = self.features
        if names is None:
            names = find_features(self.files[0]) if self.item_files() else {}
        return {modality: self.files[0] / name for modality, name in names.items()}

    def read_items(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        kinds: dict[str, str] = {}  # our name -> kind; these two are filled when the header is read
        dtypes: dict[str, Any] = {}

        def choose(columns: tuple[str, ...]) -> dict[str, str]:
            typed = _typed(path, columns)
            Fields({"item_id": (self.item_field,)}, hint="name another with item_field").choose(path, typed)
            named = self._named()
            chosen: dict[str, str] = {}
            for field, (column, kind) in typed.items():
                ours = named.get(field, field)
                if ours in chosen:
                    raise DataError(
                        f"{path}: two columns are read as '{printable(ours)}'; rename one of them"
                    )
                chosen[ours], kinds[ours], dtypes[ours] = column, kind, KINDS[kind]
            return chosen

        records = item.as_records(csv_rows(path, TSV, choose, rejects))
        yield from item.item_frames(records, path, rejects, lambda record: _item(record, kinds), dtypes)

    def _named(self) -> dict[str, str]:
        """Field -> our name."""
        return {
            self.title_field: "title",
            self.description_field: "description",
            self.brand_field: "brand",
            self.categories_field: "categories",
            self.price_field: "price",
            self.image_field: "image",
            self.item_field: "item_id",
        }

    def _name(self) -> str:
        """The <name> of the files."""
        folder = self.files[0]
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; files must name the folder of the atomic files")
        if self.dataset is not None:
            return self.dataset
        found = sorted(path.name.removesuffix(".inter") for path in folder.glob("*.inter"))
        names = {stem.rpartition(".")[0] if stem.endswith(PART_ENDS) else stem for stem in found}
        if len(names) != 1:
            files = ", ".join(f"{stem}.inter" for stem in found) or "none"
            raise DataError(f"{folder}: needs one .inter file, found {files}; name one with dataset")
        return names.pop()


def _typed(path: Path, columns: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Field -> (column as in the header, kind)."""
    typed: dict[str, tuple[str, str]] = {}
    for column in columns:
        field, _, kind = column.rpartition(":")
        if kind not in KINDS or not field:
            raise DataError(
                f"{path}: column '{printable(column[:60])}' is not field:kind with kind {', '.join(KINDS)} "
                "(columns are separated by tabs)"
            )
        if field in typed:
            raise DataError(f"{path}: the field '{printable(field[:60])}' occurs twice; keep one")
        typed[field] = (column, kind)
    return typed


def _item(record: Mapping[str, Any], kinds: Mapping[str, str]) -> item.Item:
    values: dict[str, Any] = {}
    for ours, value in record.items():
        if ours == "item_id":
            values[ours] = item.item_id(value)
        elif ours == "categories":
            values[ours] = item.labels(value, ours, " " if kinds[ours].endswith("_seq") else None)
        elif ours == "price":
            values[ours] = item.price(value)
        elif ours in ITEM_COLUMNS:
            values[ours] = _text(value)
        else:
            values[ours] = _value(value, kinds[ours], ours)
    return values


def _text(text: str | None) -> str | None:
    return (text or "").strip(BLANKS) or None


def _value(text: str | None, kind: str, field: str) -> Any:
    if text is None or kind == "token":
        return _text(text)
    if kind == "token_seq":
        return text.split()
    try:
        numbers = [float(part) for part in text.split()]
    except ValueError as error:
        raise item.Unfit(f"{field} is no number") from error
    if kind == "float" and len(numbers) != 1:
        raise item.Unfit(f"{field} is no number")
    return numbers[0] if kind == "float" else numbers


SOURCES.register(RecBole)(RecBole)
