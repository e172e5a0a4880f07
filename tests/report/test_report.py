"""The page: one file, whole, closed to the network and to what titles try."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hostile import HOSTILE, Page, Runs, train
from PIL import Image

from anchorrec_graph.data import planted
from anchorrec_graph.errors import ConfigError, DataError, RunError
from anchorrec_graph.report import libraries, report, write_report


@pytest.fixture(scope="module")
def read(page: Path) -> Page:
    return Page(page)


def test_sections(read: Page) -> None:
    (title,) = re.findall("3 models on planted", read.text)[:1]
    assert title
    names = [attrs["id"] for attrs in read.all("h2")]
    expected = "runs data results slices curves maps collapse dominance examples audit"
    assert names == expected.split()
    assert {f"#{name}" for name in names} <= {attrs["href"] for attrs in read.all("a")}


def test_needs_no_network_and_runs_nothing(read: Page) -> None:
    assert not {"script", "link", "iframe", "object", "embed", "form"} & {tag for tag, _ in read.elements}
    for _, attrs in read.elements:
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            assert re.match("#|data:image/(png|jpeg);base64,|$", attrs.get(name) or "")
    styles = re.findall(r"url\((.*?)\)", " ".join(str(attrs) for _, attrs in read.elements))
    assert all(style.strip("'\"").startswith("#") for style in styles)


def test_ids_are_unique_and_references_resolve(read: Page) -> None:
    ids = Counter(attrs["id"] for _, attrs in read.elements if "id" in attrs)
    assert max(ids.values()) == 1
    used = {attrs["xlink:href"] for attrs in read.all("use")}
    assert used
    assert {name.removeprefix("#") for name in used if name} <= set(ids)


def test_titles_are_text(read: Page, page: Path) -> None:
    assert "<script" not in page.read_text(encoding="utf-8")
    assert read.text.count(HOSTILE) > 10
    assert any(HOSTILE in (attrs.get("aria-label") or "") for attrs in read.all("svg"))


def test_can_be_heard(read: Page) -> None:
    drawn = read.all("svg")
    assert len(drawn) == len(read.all("figure")) == len(read.all("figcaption")) > 10
    assert all(attrs["role"] == "img" and len(attrs["aria-label"] or "") > 20 for attrs in drawn)
    assert all("alt" in attrs for attrs in read.all("img"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in read.all("th"))
    assert len(read.all("caption")) == len(read.all("table")) > 10


def test_figures_are_saved_and_show_something(page: Path, read: Page) -> None:
    names = {(attrs["id"] or "").removeprefix("figure-") for attrs in read.all("figure")}
    folder = page.parent / "figures"
    assert {path.stem for path in folder.iterdir()} == names
    for name in names:
        pixels = np.asarray(Image.open(folder / f"{name}.png").convert("L"))
        assert (pixels < 200).mean() > 0.002, name
        marks = ElementTree.parse(folder / f"{name}.svg").iter()
        assert sum(mark.tag.endswith(("path", "use", "image")) for mark in marks) > 10, name


def test_a_model_without_epochs_or_spaces(runs: Runs, tmp_path: Path) -> None:
    read = Page(write_report([runs.popularity], tmp_path / "page.html"))
    assert "popularity on planted" in read.text
    assert "Without epochs, and so without curves: popularity." in read.text
    assert "popularity puts items in no space" in read.text
    assert "With one view only" in read.text
    assert {path.stem for path in (tmp_path / "page-figures").iterdir()} >= {"slices", "examples"}


def test_runs_that_do_not_match_are_refused(runs: Runs, tmp_path: Path) -> None:
    other = train(tmp_path / "split", "dataset.split={name: random, seed: 1}", "train.epochs=1")
    longer = train(tmp_path / "k", "evaluate.metrics=[Recall@5, Recall@10]", "train.epochs=1")
    out = tmp_path / "page.html"
    with pytest.raises(DataError, match="different train"):
        write_report([runs.lightgcn, f"other={other}"], out)
    with pytest.raises(ConfigError, match=r"differ in evaluate\.metrics"):
        write_report([runs.lightgcn, f"other={longer}"], out)
    with pytest.raises(ConfigError, match="2 rows have the label"):
        write_report([f"a={runs.lightgcn}", f"a={runs.popularity}"], out)
    with pytest.raises(ConfigError, match="at least one run"):
        write_report([], out)
    (longer / "seed-0/metrics.json").unlink()
    with pytest.raises(RunError, match="seed 0 is not finished; continue with"):
        write_report([longer], out)
    assert not out.exists()


def test_data_that_changed_are_refused(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = planted._items_table
    monkeypatch.setattr(planted, "_items_table", lambda truth: named(truth).with_columns(new=1))
    with pytest.raises(RunError, match="made from data"):
        write_report([runs.popularity], tmp_path / "page.html")


def test_what_is_asked_for_must_exist(runs: Runs, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    with pytest.raises(ConfigError, match="--images"):
        write_report([runs.popularity], out, images=tmp_path / "none")
    with pytest.raises(DataError, match="--color: unknown item column 'lok'; did you mean 'look'"):
        write_report([runs.popularity], out, color="lok")
    with pytest.raises(DataError, match="--highlight i999: no such item; ids look like 'i0'"):
        write_report([runs.popularity], out, highlight=["i999"])
    assert not out.exists()


def test_a_failure_leaves_the_old_page(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "page.html"
    out.write_text("old", encoding="utf-8")

    monkeypatch.setattr(report, "render", lambda *_: "cannot be encoded: \ud800")
    with pytest.raises(UnicodeEncodeError):
        write_report([runs.popularity], out)
    assert out.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.glob("*page.html*")] == ["page.html"]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "NEEDED", {"json": "json", "no_such_module": "scikit-learn"})
    message = r"needs scikit-learn, which is missing: pip install 'anchorrec_graph\[report\]'"
    with pytest.raises(ConfigError, match=message):
        libraries.require_report()
