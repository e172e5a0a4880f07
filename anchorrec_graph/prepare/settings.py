"""`PrepareSettings`: everything that decides what a prepared folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from anchorrec_graph.config import apply_override, describe
from anchorrec_graph.data.split import SPLITS, SplitConfig
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.prepare.sources.base import SOURCES, Source
from anchorrec_graph.registry import registered
from anchorrec_graph.settings import Settings

Duplicates = Literal["first", "last", "max_rating", "mean_rating", "refuse"]


class PrepareSettings(Settings):
    """Where rows come from and which are kept. The steps run in the order of the fields.

    require_metadata: rows of items that the item files do not list are dropped.
    min_rating: rows with a lower rating, or none, are dropped; None keeps all.
    duplicates: which of several rows of one user and item stays, of those that `min_rating` left:
        last: the latest timestamp, of equal ones the last in file order; first: the earliest, of equal
        ones the first. A row without a timestamp counts as earlier than any with one.
        max_rating: the highest rating, of equal ones the `last`; a row without one counts as lowest.
        mean_rating: the `last`, with the mean of the ratings that there are.
        refuse: an error.
    user_core, item_core: every user and every item that stays has at least so many rows; 0 is off.
    keep_items: items of the metadata without an interaction are kept too, after the others.
    split: labels are stored and used by every training, in place of the source's own. None keeps those
        of the source (dropped rows do not change them), else leaves the split to the data set's settings.
    pseudonymise: a key file; user ids are replaced by a keyed hash of themselves.
    max_reject_share: of the rows of interactions, and of the rows of items; more malformed ones are an error.
    """

    source: Annotated[Source, *registered(SOURCES)]
    require_metadata: bool = False
    min_rating: float | None = None
    duplicates: Duplicates = "last"
    user_core: int = Field(default=0, ge=0)
    item_core: int = Field(default=0, ge=0)
    keep_items: bool = False
    split: Annotated[SplitConfig, *registered(SPLITS)] | None = None
    pseudonymise: Path | None = None
    max_reject_share: float = Field(default=0.01, ge=0, le=1)


def prepare_settings(values: dict[str, Any], overrides: list[str]) -> PrepareSettings:
    """Check values, changed by overrides of the form `source.user_column=buyer`.

    Raises:
        ConfigError: naming the key, and saying what was expected.
    """
    for override in overrides:
        apply_override(values, override)
    try:
        return PrepareSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"prepare: {describe(error)}") from error
