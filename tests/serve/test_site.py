"""The folder of a site: what is in it, what must not be, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_world import picture
from shop import make_catalog

from anchorrec_graph.cli.app import main
from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.serve.api.page import FOLDER
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.site.write import OURS, sample_users, save_site

FEATURES = re.compile(r"features-[0-9a-f]{12}\.bin")


def named(catalog: Catalog) -> Catalog:
    """The same with ids of users that nothing else has in it."""
    ids = np.array([f"person-{n:04d}@shop" for n in range(len(catalog.user_ids))])
    return Catalog(catalog.contents._replace(user_ids=ids))


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "data" / "site.json").read_text(encoding="utf-8"))
    return found


def rows(folder: Path, what: str, name: str, side: int = 0) -> Any:
    """An array of a site, as the browser reads it."""
    described = told(folder)["sides"][side][what]
    entry = described["arrays"][name]
    values = np.frombuffer((folder / "data" / described["file"]).read_bytes(), dtype="<f4")
    return values[entry["at"] :][: np.prod(entry["shape"])].reshape(entry["shape"])


@pytest.fixture
def site(api_catalog: Catalog, tmp_path: Path) -> Path:
    save_site(named(api_catalog), tmp_path / "site", [5, 2, 9])
    return tmp_path / "site"


def test_no_id_of_a_user_is_in_any_file(site: Path, api_catalog: Catalog) -> None:
    catalog = named(api_catalog)
    files = [path for path in site.rglob("*") if path.is_file()]
    assert len(files) > 40
    for path in files:
        assert "person-" not in path.name
        content = path.read_bytes()
        assert b"person-" not in content, path
        assert b"@shop" not in content, path
    assert len(catalog.user_ids) > 3
    assert told(site)["site"] == {"shoppers": 3, "near": None}


def test_only_the_users_that_were_asked_for_are_in_it(site: Path, api_catalog: Catalog) -> None:
    contents = api_catalog.contents
    about = told(site)
    shoppers = about["sides"][0]["shoppers"]
    assert len(shoppers) == about["site"]["shoppers"] == 3
    for name, view in contents.space.views.items():
        if view.user is not None:
            found = rows(site, "space", f"user/{name}")
            np.testing.assert_array_equal(found, view.user[[5, 2, 9]].numpy())
    for shopper, row in zip(shoppers, (5, 2, 9), strict=True):
        user = str(api_catalog.user_ids[row])
        bought = api_catalog.explain("i0", user=user).purchases
        assert bought is not None
        assert {api_catalog.item_ids[item] for item in shopper["bought"]} == {one.item_id for one in bought}
        assert set(shopper["bought"]) <= set(shopper["known"])


def test_rows_are_those_of_the_catalog_to_the_bit(site: Path, api_catalog: Catalog) -> None:
    contents = api_catalog.contents
    total = np.zeros(contents.space.item.shape, dtype=np.float32)
    for name, view in contents.space.views.items():
        found = rows(site, "space", f"item/{name}")
        np.testing.assert_array_equal(found, view.item.numpy())
        total[:, view.start : view.start + found.shape[1]] += found
    np.testing.assert_allclose(total, contents.space.item.numpy(), rtol=1e-6, atol=1e-7)
    for name, features in contents.features.items():
        np.testing.assert_array_equal(rows(site, "features", f"features/{name}"), features.numpy())


def test_without_users(api_catalog: Catalog, tmp_path: Path) -> None:
    report = save_site(api_catalog, tmp_path / "site", [])
    assert report["shoppers"] == 0
    (side,) = told(tmp_path / "site")["sides"]
    assert side["shoppers"] == []
    arrays = side["space"]["arrays"]
    assert all(entry["shape"][0] == 0 for name, entry in arrays.items() if name.startswith("user/"))


def test_the_files_are_the_page_and_nothing_from_elsewhere(site: Path) -> None:
    page, ours = ({path.name for path in place.iterdir()} for place in (FOLDER, OURS))
    assert page & ours == {"api.js"}, "another of these files would take the place of one of the page's"
    assert {path.name for path in (site / "page").iterdir()} == (page | ours) - {"index.html"}
    for path in (site / "page").iterdir():
        source = OURS / path.name if path.name in ours else FOLDER / path.name
        assert path.read_bytes() == source.read_bytes()
    data = {path.name for path in (site / "data").iterdir()}
    (side,) = told(site)["sides"]
    assert {"site.json", side["space"]["file"], side["features"]["file"]} == data
    assert any(map(FEATURES.fullmatch, data))
    index = (site / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in index
    assert "unsafe" not in index
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=|/api|(?:src|href)=\"/", index)
    for path in OURS.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", text)
        assert "://" not in text
        assert len(text.splitlines()) <= 300


def test_pictures_are_copied_and_a_damaged_one_is_not(api_catalog: Catalog, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "i3.png").write_bytes(picture())
    (images / "i4.png").write_bytes(b"no picture")
    report = save_site(api_catalog, tmp_path / "site", [0], images)
    assert report["pictures"] == 1
    about = told(tmp_path / "site")
    row = api_catalog.item_row("i3")
    assert about["pictures"] == {str(row): f"{row}.png"}
    assert (tmp_path / "site" / "pictures" / f"{row}.png").read_bytes() == picture()
    assert [card["item_id"] for card in about["cards"] if card["image"]] == ["i3"]


def test_whole_or_not_at_all(api_catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(RunError, match=r"there: is there already"):
        save_site(api_catalog, tmp_path / "there", [0])
    monkeypatch.setattr("anchorrec_graph.serve.site.write.to_json", lambda _: b" " * 2**20)
    with pytest.raises(ConfigError, match=r"would have 1\.\d MiB, more than 1; .* --site-mib"):
        save_site(api_catalog, tmp_path / "large", [0], most_mib=1)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert [*(tmp_path / "there").iterdir()] == []


def test_a_catalog_that_folds_nobody_in(tmp_path: Path) -> None:
    save_site(make_catalog(), tmp_path / "site", [1])
    about = told(tmp_path / "site")
    assert "made from embeddings alone" in about["sides"][0]["fold_in"]
    assert about["terms"]["tags"][1] == ["red", "big"]
    assert about["terms"]["tags"][0] is None
    assert about["terms"]["sizes"][2] == ["2", "10"]


def test_the_nearest_take_the_place_of_large_features(
    api_catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("NATIVE_MIB", 0), ("NEAR", 6), ("BLOCK", 7)):
        monkeypatch.setattr(f"anchorrec_graph.serve.site.contents.{name}", value)
    features = {name: rows.clone() for name, rows in api_catalog.contents.features.items()}
    features["image"][[3, 20]] = 0
    catalog = Catalog(api_catalog.contents._replace(features=features))
    save_site(catalog, tmp_path / "site", [])
    near, words = (rows(tmp_path / "site", "features", name) for name in ("near/image", "cosine/image/text"))
    assert (near[[3, 20]] == -1).all(), "items without a picture are near to nothing"
    assert not np.isin(near, [3, 20]).any()
    for row in (0, 8, 39):
        table = catalog.similar_items([catalog.item_ids[row]], by="image", k=6)
        assert [catalog.item_ids[int(other)] for other in near[row]] == table["item_id"].to_list()
        expected = features["text"][near[row].astype(int)] @ features["text"][row]
        np.testing.assert_allclose(words[row], expected, atol=1e-6)


def test_users_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [sample_users(10_000, 20) for _ in range(2)]
    assert drawn[0] != drawn[1], "whoever has the data could draw the same users"
    assert all(len(set(rows)) == 20 and max(rows) < 10_000 for rows in drawn)
    assert sorted(sample_users(7, 20)) == [*range(7)]
    assert sample_users(7, 0) == []


def test_the_command(
    api_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["anchorrec", "export", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    site, out = tmp_path / "site", tmp_path / "shop"
    code, printed, problem = command(api_run, "--site", site, "--site-users", 2, "--out", out)
    assert (code, problem) == (0, "")
    assert "with 2 users without their ids" in printed
    assert f"python -m http.server -d {site}" in printed
    assert f"anchorrec serve {out}" in printed
    code, printed, _ = command(out, "--site", tmp_path / "second", "--site-users", 0, "--json")
    assert code == 0
    assert json.loads(printed)["site"]["shoppers"] == 0
    assert command(out, "--site", site)[0] == RunError.exit_code
    assert "give --out FOLDER, --site FOLDER" in command(api_run)[2]
