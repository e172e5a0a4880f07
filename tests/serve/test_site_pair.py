"""The folder of a site of two models: the same items and shoppers row by row, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from api_world import train_run
from polars.testing import assert_frame_equal
from shop import make_catalog
from test_site import rows, told

from anchorrec_graph.cli.app import main
from anchorrec_graph.errors import DataError
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.site.sides import in_order, known_to_both, sides_of
from anchorrec_graph.serve.site.write import save_site


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LightGCN on the items and users of `api_run`."""
    return train_run(tmp_path_factory.mktemp("other"), "model={name: lightgcn, embedding_dim: 8}")


@pytest.fixture(scope="module")
def other(other_run: Path) -> Catalog:
    return Catalog.from_run(other_run)


def shuffled(catalog: Catalog) -> Catalog:
    order = torch.randperm(len(catalog.items), generator=torch.Generator().manual_seed(3))
    return Catalog(in_order(catalog.contents, order))


def renamed(catalog: Catalog, old: str, new: str) -> Catalog:
    items = catalog.items.with_columns(pl.col("item_id").replace(old, new))
    return Catalog(catalog.contents._replace(items=items))


@pytest.mark.parametrize("weights", [None, {"id": 2.0}])
def test_another_order_of_the_items_changes_no_answer(
    api_catalog: Catalog, weights: dict[str, float] | None
) -> None:
    moved = shuffled(api_catalog)
    assert moved.item_ids != api_catalog.item_ids
    users = api_catalog.user_ids.tolist()[:9]
    assert_frame_equal(
        moved.recommend(users, 12, weights=weights), api_catalog.recommend(users, 12, weights=weights)
    )
    history = ["i5", "i17", "i2"]
    assert_frame_equal(moved.recommend_for(history, 12), api_catalog.recommend_for(history, 12))
    for by in ("image", "final"):
        assert_frame_equal(
            moved.similar_items(["i9"], by=by, k=9), api_catalog.similar_items(["i9"], by=by, k=9)
        )
    ours, theirs = (one.explain("i9", user=users[3]) for one in (moved, api_catalog))
    assert ours.rank == theirs.rank
    assert {one.item_id for one in ours.purchases or []} == {one.item_id for one in theirs.purchases or []}


def test_rows_of_both_are_of_the_same_items_and_users(
    api_catalog: Catalog, other: Catalog, tmp_path: Path
) -> None:
    gone = [str(other.user_ids[row]) for row in (0, 1)]
    second = shuffled(other).forget(gone)
    report = save_site(api_catalog, tmp_path / "site", [5, 2, 9], compare=second)
    assert (report["name"], report["compare"]) == (api_catalog.name, other.name)
    about = told(tmp_path / "site")
    assert [model["name"] for model in about["models"]] == [api_catalog.name, other.name]
    assert (
        [model["key"] for model in about["models"]] == [side["key"] for side in about["sides"]] == ["a", "b"]
    )
    view = other.space.views["id"]
    assert view.user is not None
    np.testing.assert_array_equal(rows(tmp_path / "site", "space", "item/id", 1), view.item.numpy())
    found = rows(tmp_path / "site", "space", "user/id", 1)
    np.testing.assert_array_equal(found, view.user[[5, 2, 9]].numpy())
    for shopper, row in zip(about["sides"][1]["shoppers"], (5, 2, 9), strict=True):
        _, known = other.contents.known.select(torch.tensor([row]))
        assert shopper["known"] == sorted(known.tolist())


def test_equal_features_are_one_file(api_catalog: Catalog, other: Catalog, tmp_path: Path) -> None:
    save_site(api_catalog, tmp_path / "site", [0], compare=shuffled(other))
    files = [path.name for path in (tmp_path / "site" / "data").iterdir()]
    assert sorted(name.split("-")[0] for name in files) == ["features", "site.json", "space", "space"]
    named = {
        side[what]["file"] for side in told(tmp_path / "site")["sides"] for what in ("space", "features")
    }
    assert named == {*files} - {"site.json"}


def test_large_features_of_one_give_both_the_nearest(
    api_catalog: Catalog, other: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Catalog(other.contents._replace(features={"text": other.contents.features["text"]}))
    size = 4 * other.contents.features["text"].numel()
    monkeypatch.setattr("anchorrec_graph.serve.site.contents.NATIVE_MIB", size / 2**20)
    save_site(small, tmp_path / "small", [])
    assert told(tmp_path / "small")["site"]["near"] is None
    save_site(small, tmp_path / "site", [], compare=api_catalog)
    about = told(tmp_path / "site")
    assert about["site"]["near"] is not None
    assert [{*side["features"]["arrays"]} >= {"near/text"} for side in about["sides"]] == [True, True]


def test_other_items_are_refused(api_catalog: Catalog, other: Catalog, tmp_path: Path) -> None:
    second = renamed(renamed(other, "i7", "seven"), "i3", "three")
    refusal = (
        rf"item 'i3' of the first model \({api_catalog.name}\) is not in the second \({other.name}\), "
        "which lacks 2 of 40"
    )
    with pytest.raises(DataError, match=refusal):
        save_site(api_catalog, tmp_path / "site", [0], compare=second)
    more = Catalog(other.contents._replace(items=other.items[:39]))
    with pytest.raises(DataError, match=r"item 'i39' of the second model .* is not in the first"):
        sides_of(more, [0], None, other)
    with pytest.raises(DataError, match="which lacks 10 of 50"):
        save_site(make_catalog(), tmp_path / "site", [0], compare=other)
    assert [*tmp_path.iterdir()] == []


def test_shoppers_are_known_to_both(api_catalog: Catalog, other: Catalog, tmp_path: Path) -> None:
    second = other.forget([str(name) for name in other.user_ids[[1, 4]]])
    assert known_to_both(api_catalog, second) == [row for row in range(60) if row not in (1, 4)]
    assert known_to_both(api_catalog, None) == [*range(60)]
    with pytest.raises(DataError, match="unknown user 'u4'"):
        save_site(api_catalog, tmp_path / "site", [4], compare=second)


def test_the_command(
    api_run: Path,
    other_run: Path,
    other: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["anchorrec", "export", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    code, printed, _ = command(api_run, "--site", tmp_path / "site", "--compare", other_run)
    assert code == 0
    assert printed.startswith("anchorrec on planted beside lightgcn on planted: a site of ")
    assert "with 20 users without their ids" in printed
    code, _, _ = command(other_run, "--out", tmp_path / "shop")
    assert code == 0
    both = ["--site", tmp_path / "again", "--compare", tmp_path / "shop", "--json", "--site-users", 3]
    code, printed, _ = command(api_run, *both)
    assert code == 0
    assert json.loads(printed)["site"]["compare"] == "lightgcn on planted"
    assert (
        "--compare is for a site: give --site"
        in command(api_run, "--out", tmp_path / "b", "--compare", other_run)[2]
    )
    from anchorrec_graph.serve.export import save_export

    save_export(renamed(other, "i2", "two").contents, tmp_path / "odd")
    wrong = [api_run, "--out", tmp_path / "b", "--site", tmp_path / "c", "--compare", tmp_path / "odd"]
    code, _, problem = command(*wrong)
    assert code == DataError.exit_code
    assert problem.startswith("error: item 'i2' of the first model")
    assert not (tmp_path / "b").exists(), "nothing is written of what cannot be finished"
