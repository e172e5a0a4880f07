"""Loop twins of the prepare package: slow, plain, written from the definitions and not from the code."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class Row(NamedTuple):
    user: int
    item: int
    rating: float | None
    timestamp: int | None


def threshold(rows: list[Row], least: float) -> list[Row]:
    return [row for row in rows if row.rating is not None and row.rating >= least]


def one_per_pair(rows: list[Row], policy: str) -> list[Row]:
    """One row of each pair, in file order."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault((row.user, row.item), []).append(place)
    kept = {}
    for places in groups.values():
        best = places[0]
        for place in places[1:]:
            if _beats(rows[place], rows[best], policy):
                best = place
        ratings = [rows[place].rating for place in places]
        known = [rating for rating in ratings if rating is not None]
        row = rows[best]
        if policy == "mean_rating" and known:
            row = row._replace(rating=sum(known) / len(known))
        kept[best] = row
    return [kept[place] for place in sorted(kept)]


def _beats(later: Row, earlier: Row, policy: str) -> bool:
    """Whether a row stays instead of one before it in the file."""
    times = [-1 if row.timestamp is None else row.timestamp for row in (later, earlier)]
    ratings = [float("-inf") if row.rating is None else row.rating for row in (later, earlier)]
    if policy == "first":
        return times[0] < times[1]
    if policy == "max_rating" and ratings[0] != ratings[1]:
        return ratings[0] > ratings[1]
    return times[0] >= times[1]


def k_core(rows: list[Row], user_core: int, item_core: int) -> list[Row]:
    """Remove one row at a time until no row has to go."""
    rows = list(rows)
    while True:
        users, items = Counter(row.user for row in rows), Counter(row.item for row in rows)
        for place, row in enumerate(rows):
            if users[row.user] < user_core or items[row.item] < item_core:
                del rows[place]
                break
        else:
            return rows


def number_by_appearance(codes: list[int]) -> tuple[list[int], list[int]]:
    seen: list[int] = []
    for code in codes:
        if code not in seen:
            seen.append(code)
    return [seen.index(code) for code in codes], seen


def align(
    ids: list[str], metadata: list[dict[str, str]], keep_all: bool
) -> tuple[list[dict[str, str | None]], list[int]]:
    """Item rows, and the metadata row of each."""
    wanted = list(ids)
    for record in metadata:
        if keep_all and record["item_id"] not in wanted:
            wanted.append(record["item_id"])
    rows, places = [], []
    for item in wanted:
        place = next((n for n, record in enumerate(metadata) if record["item_id"] == item), -1)
        title = metadata[place]["title"] if place >= 0 else None
        rows.append({"item_id": item, "title": title})
        places.append(place)
    return rows, places
