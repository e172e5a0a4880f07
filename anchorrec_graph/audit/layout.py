"""What an audit says to a reader: sections of sentences and tables, the same on screen and in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from anchorrec_graph.audit.audit import Audit
from anchorrec_graph.audit.columns import ALL, OTHER
from anchorrec_graph.audit.groups import COLD_USERS
from anchorrec_graph.audit.limits import Check
from anchorrec_graph.audit.tables import is_whole_gap
from anchorrec_graph.audit.users import DIVERSITY

Rows = list[list[str]]
Row = dict[str, Any]
WIDEST = 24  # letters of a name
SHOWN_GAPS = ("lift", "recall", "popularity_lift")
BUILT_IN = {
    "popularity": "Quartiles of items by training users: q1 has the fewest, q4 the most.",
    "cold": f"Cold: fewer than {COLD_USERS} training users.",
    "activity": "Quartiles of users by training items: q1 has the fewest, q4 the most.",
}


class Section(NamedTuple):
    """A heading, sentences, and a table whose first column is text."""

    title: str
    sentences: list[str]
    columns: list[str]
    rows: Rows


def sections(audit: Audit, checks: Sequence[Check] = (), most: int | None = None) -> list[Section]:
    """All of an audit that is worth reading in full; at most the `most` first groups of each grouping."""
    models = list(audit.about.seeds)
    parts = [_lists(audit, models)]
    for of, by, _ in audit.about.groups:
        if len(models) > 1:
            parts += _side_by_side(audit, of, by, models, most)
        else:
            parts.append((_items if of == "items" else _users)(audit, by, models[0], most))
    parts.append(_gaps(audit, models))
    parts += [part for model in models for part in _views(audit, model)]
    return parts + ([_limits(checks)] if checks else [])


def heading(audit: Audit) -> str:
    """Which models were audited, on what."""
    about = audit.about
    models = "; ".join(
        f"{model} (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})"
        for model, seeds in about.seeds.items()
    )
    return f"Audit of {models} on {about.dataset}"


def preface(audit: Audit) -> list[str]:
    """How the lists were made, and words that every section uses."""
    k, about = audit.about.k, audit.about
    masked = f" without the user's {' and '.join(about.mask)} items" if about.mask else ""
    return [
        f"Lists: the {k} best of {about.items} items for each of {about.users} users with {about.split} "
        f"pairs,{masked}.",
        f"Recall@{k} of a group of items: only its held-out items count. Lift of a group of items: its share "
        "of the places over its share of the training pairs; 1 is as often as users chose them. Popularity "
        "lift of users: how much more popular their lists are than their own history.",
    ]


def _lists(audit: Audit, models: Sequence[str]) -> Section:
    k, reading = audit.about.k, _reading(audit)
    table = audit.groups.filter(of="lists", without="")
    cells = {(row["model"], row["measure"], row["by"]): row for row in table.iter_rows(named=True)}
    form = _full if len(models) < 3 else _value
    rows = []
    for (measure, by), (title, how) in reading.items():
        of_models = [cells.get((model, measure, by)) for model in models]
        if any(of_models):
            rows.append([title, *("-" if row is None else form(row) for row in of_models), how])
    sentences = ["In [ ]: 95 % interval, bootstrap over users; ±: standard deviation over seeds."]
    columns = ["measure", *map(_name, models), "how to read it"]
    return Section(f"All lists of {k} items", sentences, columns, rows)


def _reading(audit: Audit) -> dict[tuple[str, str], tuple[str, str]]:
    """(measure, by) -> its title, and one line on its range and direction."""
    k = audit.about.k
    measures = audit.groups["measure"].unique(maintain_order=True).to_list()
    spread = [name for name in measures if name.startswith(DIVERSITY)]
    items = [by for of, by, _ in audit.about.groups if of == "items"]
    return {
        ("recall", ALL): (f"Recall@{k}", "share of held-out items found"),
        ("ndcg", ALL): (f"NDCG@{k}", "the same, early places count more"),
        ("coverage", ALL): ("coverage", "share of items in any list"),
        ("gini", ALL): ("Gini", "places: 0 shared evenly, 1 all one item's"),
        ("popularity_lift", ALL): ("popularity lift", "0 as popular as own history, 1 twice"),
        **{(name, ALL): (name, "0 all alike, 1 unrelated") for name in spread},
        **{("kl", by): (f"KL, {_name(by)}", "mix: 0 as in own history, to 4.61") for by in items},
        **{("js", by): (f"JS, {_name(by)}", "mix: 0 as in own history, to 0.69") for by in items},
    }


def _items(audit: Audit, by: str, model: str, most: int | None) -> Section:
    table = _by_group(audit, "items", by, model)
    rows = [
        [
            _name(group),
            f"{of['size']['value']:.0f}",
            *(_percent(of[name]) for name in ("share", "train_share", "exposure")),
            _spread(of["lift"], 2),
            _spread(of["recall"]),
        ]
        for group, of in table.items()
    ]
    sentences = _what(audit, by)
    if float(sum(of["share"]["value"] for group, of in table.items() if group != ALL)) > 1 + 1e-6:
        sentences.append("An item of several groups counts in each, so shares add up to more than 100 %.")
    columns = ["group", "items", "% items", "% training", "% places", "lift", f"Recall@{audit.about.k}"]
    return Section(f"Items by {by}", sentences, columns, _cut(rows, most))


def _users(audit: Audit, by: str, model: str, most: int | None) -> Section:
    measures = {"recall": f"Recall@{audit.about.k}", "ndcg": f"NDCG@{audit.about.k}"}
    measures["popularity_lift"] = "popularity lift"
    rows = [
        [_name(group), f"{of['size']['value']:.0f}", *(_spread(of[name]) for name in measures)]
        for group, of in _by_group(audit, "users", by, model).items()
    ]
    return Section(
        f"Users by {by}", _what(audit, by), ["group", "users", *measures.values()], _cut(rows, most)
    )


def _side_by_side(audit: Audit, of: str, by: str, models: Sequence[str], most: int | None) -> list[Section]:
    """One table per measure, one column per model."""
    tables = {model: _by_group(audit, of, by, model) for model in models}
    measures = {"recall": f"Recall@{audit.about.k}"}
    if of == "items":
        measures = {"lift": "Lift (places over training pairs)"} | measures
    else:
        measures["popularity_lift"] = "Popularity lift"
    parts = []
    for measure, title in measures.items():
        rows = [
            [
                _name(group),
                f"{values['size']['value']:.0f}",
                *(_value(tables[model][group][measure]) for model in models),
            ]
            for group, values in tables[models[0]].items()
        ]
        columns = ["group", of, *map(_name, models)]
        parts.append(Section(f"{title}: {of} by {by}", _what(audit, by), columns, _cut(rows, most)))
    return parts


def _gaps(audit: Audit, models: Sequence[str]) -> Section:
    rows = [
        [
            *([_name(row["model"])] if len(models) > 1 else []),
            f"{row['measure'].replace('_', ' ')} by {_name(row['by'])}",
            _name(row["group"]),
            _name(row["against"]),
            _value(row),
            "-" if row["sd"] is None else f"{row['sd']:.3f}",
            _interval(row),
        ]
        for row in _whole_gaps(audit).filter(without="").iter_rows(named=True)
    ]
    first = ["model"] if len(models) > 1 else []
    columns = [*first, "measure", "largest", "smallest", "gap", "± seeds", "95 % interval"]
    sentence = (
        "The pair is the same in every seed and resample: the interval does not know that it was chosen."
    )
    return Section("Gaps: largest minus smallest group", [sentence], columns, rows)


def _views(audit: Audit, model: str) -> list[Section]:
    """How measures change when a view is removed: which one carries what."""
    sentence = (
        "A gap that is smaller without a view was in part carried by that view. Views overlap, so the "
        "changes do not add up."
    )
    of_model = audit.groups.filter(model=model)
    removed = of_model["without"].unique(maintain_order=True).to_list()
    if len(removed) < 2:
        return []
    rows = []
    lists = of_model.filter(pl.col("by") == ALL, of="lists")
    for (measure, by), (title, _) in _reading(audit).items():
        if by == ALL and not measure.startswith(DIVERSITY):
            rows.append([title, *(_value(row) for row in _of_views(lists.filter(measure=measure), removed))])
    gaps = _whole_gaps(audit).filter(model=model)
    for measure, by in gaps.select("measure", "by").unique(maintain_order=True).rows():
        found = _of_views(gaps.filter(measure=measure, by=by), removed)
        title = f"{measure.replace('popularity_', 'pop. ')} gap by {_name(by)}"
        rows.append([title, *(_value(row) for row in found)])
    columns = ["", *("all views" if not view else f"no {view}" for view in removed)]
    title = f"{model}: each measure without one view (removed from the trained model, not retrained)"
    return [Section(title, [sentence], columns, rows)]


def _limits(checks: Sequence[Check]) -> Section:
    rows = [
        [
            "holds" if check.holds else "EXCEEDED",
            _name(check.model),
            check.rule,
            check.group or "-",
            f"{check.value:.4g}",
            ", ".join(f"{name} {bound:g}" for name, bound in _bounds(check)),
        ]
        for check in checks
    ]
    kept = sum(check.holds for check in checks)
    columns = ["", "model", "measure", "group", "value", "limit"]
    return Section(f"Limits: {kept} of {len(checks)} hold", [], columns, rows)


def _bounds(check: Check) -> list[tuple[str, float]]:
    return [(name, bound) for name, bound in (("min", check.min), ("max", check.max)) if bound is not None]


def _by_group(audit: Audit, of: str, by: str, model: str) -> dict[str, dict[str, Row]]:
    table = audit.groups.filter(of=of, by=by, model=model, without="")
    groups: dict[str, dict[str, Row]] = {}
    for row in table.iter_rows(named=True):
        groups.setdefault(row["group"], {})[row["measure"]] = row
    return groups


def _whole_gaps(audit: Audit) -> pl.DataFrame:
    return audit.gaps.filter(is_whole_gap(), pl.col("measure").is_in(SHOWN_GAPS))


def _of_views(table: pl.DataFrame, removed: Sequence[str]) -> list[Row]:
    rows = {row["without"]: row for row in table.iter_rows(named=True)}
    return [rows.get(view, {"value": None}) for view in removed]


def _what(audit: Audit, by: str) -> list[str]:
    """What the groups are, where their names do not say it."""
    ((of, folded),) = [(of, folded) for of, name, folded in audit.about.groups if name == by]
    sentences = [BUILT_IN[by]] if by in BUILT_IN else []
    if folded:
        what = "1 group" if folded == 1 else f"{folded} groups"
        sentences.append(f"{OTHER}: {what} of fewer than {audit.about.least} {of}, together.")
    return sentences


def _cut(rows: Rows, most: int | None) -> Rows:
    """The first rows, and the last one, `(all)`."""
    if most is None or len(rows) <= most + 1:
        return rows
    left = [f"{len(rows) - 1 - most} more", *("" for _ in rows[0][1:])]
    return [*rows[:most], left, rows[-1]]


def _name(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _value(row: Row) -> str:
    return "-" if row["value"] is None else f"{row['value']:.3f}"


def _percent(row: Row) -> str:
    return "-" if row["value"] is None else f"{row['value'] * 100:.1f}"


def _interval(row: Row, digits: int = 3) -> str:
    return "-" if row["low"] is None else f"[{row['low']:.{digits}f}, {row['high']:.{digits}f}]"


def _full(row: Row) -> str:
    if row["sd"] is None:
        return _spread(row)
    interval = "" if row["low"] is None else f" {_interval(row)}"
    return f"{_value(row)} ± {row['sd']:.3f}{interval}"


def _spread(row: Row, digits: int = 3) -> str:
    if row["value"] is None:
        return "-"
    interval = "" if row["low"] is None else f" {_interval(row, digits)}"
    return f"{row['value']:.{digits}f}{interval}"
