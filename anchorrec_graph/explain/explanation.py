"""`Explanation`: why a user is shown an item, as numbers with names."""

from __future__ import annotations

from typing import Any, NamedTuple


class ViewPart(NamedTuple):
    """A view's part of the score (`view_parts`)."""

    view: str
    value: float
    share: float | None  # of the score if that is positive, as all shares here; may be negative
    rank_without: int | None  # None: the model has nothing else to rank by


class PairPart(NamedTuple):
    """The product of one view of the user and one of the item (`pair_parts`)."""

    user_view: str
    item_view: str
    value: float


class Own(NamedTuple):
    """What comes through no purchase: the user's own table row, a bias, a popularity prior."""

    value: float
    share: float | None
    views: dict[str, float]  # sums to the value


class Purchase(NamedTuple):
    """A training item's part of the score (`purchase_parts`)."""

    item_id: str
    title: str
    value: float
    share: float | None
    rank_without: int
    views: dict[str, float]  # sums to the value


class Similar(NamedTuple):
    """A training item, and the cosine of its native features with those of the explained item."""

    item_id: str
    title: str
    cosine: float


class Explanation(NamedTuple):
    """The score of a user and an item: the views sum to it, so do the pairs, and the purchases with `own`."""

    user_id: str
    item_id: str
    title: str
    score: float
    rank: int  # among the candidates: items that the user has neither in training nor in validation
    candidates: int
    known: bool  # the user has the item; it is ranked with the candidates all the same
    views: list[ViewPart]  # largest first, as all lists here
    pairs: list[PairPart]
    own: Own | None
    purchases: list[Purchase] | None
    no_purchases: str | None  # why `own` and `purchases` are None
    similar: dict[str, list[Similar]]  # modality -> the user's items most like it; empty without features

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return _plain(self)  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    return [_plain(entry) for entry in value] if isinstance(value, list) else value
