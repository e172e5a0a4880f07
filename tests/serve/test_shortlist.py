"""Recommendations from an index of items: the best by exact score, nothing seen, all scored where needed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from shop import make_catalog
from torch import Tensor

from anchorrec_graph.data.manifest import file_hash
from anchorrec_graph.errors import ConfigError, DataError, RunError
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.graph import hnsw
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.serve import shortlist as module
from anchorrec_graph.serve.additions import with_items
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.contents import Contents
from anchorrec_graph.serve.export import MANIFEST, SHORTLIST, save_export
from anchorrec_graph.serve.shortlist import build_shortlist
from anchorrec_graph.serve.space import Space
from anchorrec_graph.serve.update import without_users
from anchorrec_graph.typing import Embeddings, View

faiss = pytest.importorskip("faiss")
ITEMS, USERS, SEEN = 3_000, 60, 30


def catalog(shortlist: bool = True) -> Catalog:
    """Users who are the sum of what they have seen; strangers can be made."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(40, 12, generator=generator)
    item = centres[torch.randint(40, (ITEMS,), generator=generator)]
    item = item + 0.5 * torch.randn(ITEMS, 12, generator=generator)
    taken = torch.stack([torch.randperm(ITEMS, generator=generator)[:SEEN] for _ in range(USERS)])
    pairs = torch.stack([torch.arange(USERS).repeat_interleave(SEEN), taken.flatten()])
    known = UserItems.from_pairs(pairs, USERS, ITEMS)
    space = Space.from_embeddings(
        Embeddings(item[taken].mean(1), item, {"id": View(item[taken].mean(1), item)})
    )
    contents = make_catalog().contents._replace(
        items=pl.DataFrame(
            {"item_id": [f"i{n}" for n in range(ITEMS)], "even": [n % 2 == 0 for n in range(ITEMS)]}
        ),
        user_ids=make_ids(USERS),
        space=space,
        features={},
        bought=known,
        known=known,
        fold_in=FoldIn(sent={"id": item}, own={}, start={"id": 0}, dim=12, learned=("id",), length=None),
    )
    return Catalog(contents._replace(shortlist=build_shortlist(space)) if shortlist else contents)


def make_ids(count: int) -> Any:
    return pl.Series([f"u{n}" for n in range(count)]).to_numpy().astype(str)


@pytest.fixture(scope="module")
def pair() -> tuple[Catalog, Catalog]:
    with_index = catalog()
    return with_index, Catalog(with_index.contents._replace(shortlist=None))


def test_where_everything_is_found_the_answers_are_those_of_all_items(pair: tuple[Catalog, Catalog]) -> None:
    index, exact = pair
    assert index.contents.shortlist is not None
    assert index.contents.shortlist.recall > 0.99
    found, expected = index.recommend(k=10), exact.recommend(k=10)
    same = (found["item_id"] == expected["item_id"]).mean()
    assert same is not None
    assert float(str(same)) > 0.97
    history = ["i5", "i17", "i2000"]
    assert_frame_equal(index.recommend_for(history, k=5), exact.recommend_for(history, k=5))


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_the_order_is_that_of_the_exact_scores_of_the_candidates(
    pair: tuple[Catalog, Catalog], exclude_seen: bool
) -> None:
    found = pair[0].recommend(k=15, exclude_seen=exclude_seen)
    space, shown = pair[0].space, 0
    for number, rows in enumerate(found.partition_by("user_id", maintain_order=True)):
        items = torch.tensor([int(name[1:]) for name in rows["item_id"]])
        scores = space.item[items] @ space.user[number]
        torch.testing.assert_close(torch.from_numpy(rows["score"].to_numpy().copy()), scores)
        assert rows["score"].is_sorted(descending=True)
        assert rows["rank"].to_list() == list(range(1, 16))
        seen = pair[0].contents.known.select(torch.tensor([number]))[1]
        shown += int(torch.isin(items, seen).sum())
    assert (shown == 0) == exclude_seen


def test_filters_weights_and_long_lists_look_at_all_items(
    pair: tuple[Catalog, Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, exact = pair

    def never(*_: object) -> None:
        raise AssertionError("the index was asked")

    asked = index.recommend(["u1"], k=1_024 - SEEN)  # as many candidates as there may be
    assert len(asked) == 1_024 - SEEN
    long = index.recommend(["u1", "u2"], k=1_000)
    assert_frame_equal(long, exact.recommend(["u1", "u2"], k=1_000))
    monkeypatch.setattr(type(index.contents.shortlist), "best", never)
    for wish in ({"filters": {"even": True}}, {"weights": {"id": 2.0}}):
        assert_frame_equal(index.recommend(k=4, **wish), exact.recommend(k=4, **wish))
    with pytest.raises(AssertionError, match="was asked"):
        index.recommend(k=4)


def test_a_user_whose_candidates_are_too_few_gets_all_that_are_left() -> None:
    small = make_catalog()
    index = Catalog(small.contents._replace(shortlist=build_shortlist(small.space)))
    assert_frame_equal(index.recommend(k=50), small.recommend(k=50))
    assert_frame_equal(index.recommend(k=3), small.recommend(k=3))


def test_candidates_that_the_search_did_not_find_are_not_made_up(
    pair: tuple[Catalog, Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = lambda index, rows, count, effort: torch.full((len(rows), count), -1)  # noqa: E731
    monkeypatch.setattr(module, "search_index", nothing)
    assert_frame_equal(pair[0].recommend(k=3), pair[1].recommend(k=3))


def test_recall_is_what_a_loop_counts(pair: tuple[Catalog, Catalog], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EFFORT", 1)
    space, shortlist = pair[0].space, pair[0].contents.shortlist
    assert shortlist is not None
    hits = 0
    for user in space.user:
        true = set((space.item.double() @ user.double()).topk(20).indices.tolist())
        best = shortlist.best(space.item, user[None], torch.tensor([0]), 20, None)
        hits += len(true & set(best.items[0].tolist()))
    recall = module.measured_recall(shortlist, space)
    assert recall == pytest.approx(hits / (20 * USERS))
    assert 0.3 < recall < 1


def test_an_export_carries_the_index_and_checks_it(pair: tuple[Catalog, Catalog], tmp_path: Path) -> None:
    manifest = save_export(pair[1].contents, tmp_path / "shop", ann=True)
    assert manifest["files"][SHORTLIST] == file_hash(tmp_path / "shop" / SHORTLIST)
    assert manifest["shortlist"]["recall"] > 0.99
    other = Catalog.from_export(tmp_path / "shop")
    assert_frame_equal(other.recommend(k=7), pair[0].recommend(k=7))
    save_export(other.contents, tmp_path / "again")  # as after forget: the index stays
    assert file_hash(tmp_path / "again" / SHORTLIST) == manifest["files"][SHORTLIST]
    path = tmp_path / "shop" / SHORTLIST
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"items\.faiss: is missing or not as it was exported"):
        Catalog.from_export(tmp_path / "shop")


@pytest.mark.parametrize("content", ["text", "flat", "other rows"])
def test_a_file_that_is_no_such_index(pair: tuple[Catalog, Catalog], tmp_path: Path, content: str) -> None:
    save_export(pair[0].contents, tmp_path / "shop")
    path = tmp_path / "shop" / SHORTLIST
    path.unlink()
    if content == "text":
        path.write_bytes(b"not an index at all")
    else:
        index = faiss.IndexFlatIP(12) if content == "flat" else faiss.IndexHNSWFlat(12, 4, 0)
        index.add(torch.randn(9, 12).numpy())
        faiss.write_index(index, str(path))
    manifest = json.loads((tmp_path / "shop" / MANIFEST).read_text())
    manifest["files"][SHORTLIST] = file_hash(path)
    (tmp_path / "shop" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"is no whole export \(items\.faiss is "):
        Catalog.from_export(tmp_path / "shop")


def test_without_faiss(
    pair: tuple[Catalog, Catalog], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_export(pair[0].contents, tmp_path / "shop")
    find = importlib.util.find_spec
    away = lambda name: None if name == "faiss" else find(name)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", away)
    monkeypatch.setattr(module, "find_spec", away)
    other = Catalog.from_export(tmp_path / "shop")
    assert other.contents.shortlist is None
    assert_frame_equal(other.recommend(k=5), pair[1].recommend(k=5))
    with pytest.raises(
        ConfigError, match=r"faiss-cpu, which is missing: pip install 'anchorrec_graph\[ann\]'"
    ):
        save_export(pair[1].contents, tmp_path / "more", ann=True)
    assert not (tmp_path / "more").exists()


def test_equal_rows_give_equal_files(pair: tuple[Catalog, Catalog], tmp_path: Path) -> None:
    for name in "ab":
        build_shortlist(pair[0].space).write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_that_are_not_finite_and_a_low_recall_are_refused(
    pair: tuple[Catalog, Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = pair[0].space
    broken = space.item.clone()
    broken[3, 4] = torch.nan
    with pytest.raises(DataError, match="not finite"):
        build_shortlist(space._replace(item=broken))
    monkeypatch.setattr(module, "EFFORT", 1)
    monkeypatch.setattr(hnsw, "LINKS", 2)
    with pytest.raises(ConfigError, match=r"finds 0\.\d+ of the 20 best items of users, below 0\.9"):
        build_shortlist(space)


def test_users_may_go_while_the_index_stays(pair: tuple[Catalog, Catalog]) -> None:
    left = Catalog(without_users(pair[0].contents, torch.tensor([0, 5])))
    assert left.contents.shortlist is pair[0].contents.shortlist
    assert_frame_equal(left.recommend(["u7"], k=5), pair[0].recommend(["u7"], k=5))


class Placing(NamedTuple):
    """Places items at rows that are given, as an attachment does at rows that it computes."""

    rows_of: Tensor

    def rows(self, _: object) -> dict[str, Tensor]:
        return {"id": self.rows_of}


def with_new_items(contents: Contents, rows: Tensor) -> Catalog:
    """The items n0, n1, ... at the end."""
    table = pl.DataFrame({"item_id": [f"n{n}" for n in range(len(rows))]})
    placing: Any = Placing(rows)
    return Catalog(with_items(contents, placing, table, {}))


def test_new_items_are_found_through_the_index(
    pair: tuple[Catalog, Catalog], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = 50 * pair[0].space.user[:5]  # the best of these users, and behind all others in the table
    grown, exact = (with_new_items(one.contents, fresh) for one in pair)
    assert exact.contents.shortlist is None
    save_export(grown.contents, tmp_path / "grown")
    save_export(exact.contents, tmp_path / "built", ann=True)
    for name in (SHORTLIST, MANIFEST):
        assert (tmp_path / "grown" / name).read_bytes() == (tmp_path / "built" / name).read_bytes()
    read = Catalog.from_export(tmp_path / "grown")
    users = [f"u{n}" for n in range(5)]
    expected = exact.recommend(users, k=3)

    def never(*_: object) -> None:
        raise AssertionError("all items were scored")

    monkeypatch.setattr("anchorrec_graph.serve.ranking.top_k", never)
    found = read.recommend(users, k=3)
    assert {*found.filter(rank=1)["item_id"]} <= {f"n{n}" for n in range(5)}
    assert_frame_equal(found, expected)


def test_purchases_leave_the_index_and_are_in_the_recall(
    pair: tuple[Catalog, Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pair[0].contents.shortlist
    monkeypatch.setattr(module, "EFFORT", 1)
    monkeypatch.setattr(module, "LEAST", 0)
    rows = [(f"new{n}", f"i{7 * n + m}") for n in range(40) for m in range(3)]
    bought = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")
    updated, _ = pair[0].update(bought)
    after = updated.contents.shortlist
    assert before is not None
    assert after is not None
    assert after.index is before.index
    assert after.recall == module.measured_recall(before, updated.space)
    old = module.measured_recall(before, pair[0].space)
    assert after.recall != old, "the recall must be that of the users as they are now"


def test_an_update_that_the_index_cannot_follow_is_refused(
    pair: tuple[Catalog, Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "measured_recall", lambda *_: 0.89)
    refusal = r"finds 0\.890 of the 20 best items of users, below 0\.9: .* give --no-ann"
    with pytest.raises(ConfigError, match=refusal):
        with_new_items(pair[0].contents, torch.ones(1, 12))
    with pytest.raises(ConfigError, match=refusal):
        pair[0].update(pl.DataFrame({"user_id": ["new"], "item_id": ["i1"]}))
    assert with_new_items(pair[1].contents, torch.ones(1, 12)).contents.shortlist is None
    monkeypatch.undo()
    with pytest.raises(DataError, match="not finite"):
        with_new_items(pair[0].contents, torch.full((1, 12), torch.nan))
