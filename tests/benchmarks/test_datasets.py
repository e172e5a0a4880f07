from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import DataError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "datasets.py"
spec = importlib.util.spec_from_file_location("benchmarks_datasets", SCRIPT)
assert spec is not None
assert spec.loader is not None
datasets = importlib.util.module_from_spec(spec)
spec.loader.exec_module(datasets)

USERS, ITEMS = 10, 8
BRANDS = ["HP", "", "Canon", "HP ", "", "hp", "Canon", "HP"]
CATEGORIES = ["Ink, Printers", "", "Printers", "Ink", "Paper", "Paper, Ink", "Ink", "Printers, Paper"]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Both sources in miniature: every user has 5 of the 8 items."""
    rng = np.random.default_rng(0)
    lastfm, office = tmp_path / "shared" / "lastfm", tmp_path / "shared" / "amazon_office"
    lastfm.mkdir(parents=True)
    office.mkdir()
    pairs = [(user, (user + step) % ITEMS, step) for user in range(USERS) for step in range(5)]
    rows = [f"{user}\t{item}\t1\t{max(0, step - 2)}" for user, item, step in pairs]
    write(lastfm / "lfm2k.inter", ["userID\titemID\trating\tx_label", *rows])
    for place, name in enumerate(("all-MiniLM-L6-v2", "whisper", "vggish")):
        np.save(lastfm / f"{name}.npy", rng.standard_normal((ITEMS, 3 + place)).astype(np.float32))
    rows = [f"{user}\t{item}\t{step}\tU{user}\tA{item}" for user, item, step in pairs]
    write(office / "interactions.tsv", ["user\titem\torder\tuser_id\tasin", *rows])
    numbered = enumerate(zip(BRANDS, CATEGORIES, strict=True))
    write(
        office / "items.jsonl",
        [json.dumps({"item": i, "brand": b, "categories": c}) for i, (b, c) in numbered],
    )
    np.save(office / "text_feat.npy", rng.standard_normal((ITEMS, 6)).astype(np.float32))
    return tmp_path / "shared"


def write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_lastfm_is_copied_with_its_own_split(shared: Path, tmp_path: Path) -> None:
    data = datasets.make_lastfm(shared / "lastfm", tmp_path / "out")
    assert content(tmp_path / "out") == content(shared / "lastfm")
    assert data.modalities == ("text", "whisper", "vggish")
    edges = data[INTERACTS]
    parts = edges.edge_index, edges.val_edge_label_index, edges.test_edge_label_index
    assert [part.shape[1] for part in parts] == [3 * USERS, USERS, USERS]


@pytest.mark.filterwarnings("ignore::anchorrec_graph.data.checks.DataWarning")
def test_office_has_its_histories_in_order_and_two_modalities(shared: Path, tmp_path: Path) -> None:
    data = datasets.make_office(shared / "amazon_office", tmp_path / "out")
    assert (tmp_path / "out" / "office.inter").read_text().splitlines()[:4] == [
        "userID\titemID\trating\ttimestamp",
        "0\t0\t1\t0",
        "0\t1\t1\t1",
        "0\t2\t1\t2",
    ]
    assert data.modalities == ("text", "tags")
    assert (data["user"].num_nodes, data["item"].num_nodes) == (USERS, ITEMS)
    text = np.load(shared / "amazon_office" / "text_feat.npy")
    assert np.array_equal(data["item"]["text"].numpy(), text)
    norms = data["item"]["tags"].norm(dim=1).tolist()
    assert norms == pytest.approx([0.0 if item == 1 else 1.0 for item in range(ITEMS)], abs=1e-5)


def test_tags_are_brands_and_categories(shared: Path) -> None:
    items = datasets.read_office_items(shared / "amazon_office" / "items.jsonl")
    assert items[0] == {"brand hp", "category ink", "category printers"}
    assert items[1] == set()
    assert items[3] == items[3] & items[5]  # spelling of the brand does not matter


def test_in_the_full_space_cosines_are_those_of_tf_idf() -> None:
    items = [{"a", "b"}, {"b"}, set(), {"b", "c"}, {"c", "d", "a"}]
    rows = datasets.tag_features(items).astype(np.float64)
    assert rows.shape == (5, 4)
    count = {tag: sum(tag in tags for tags in items) for tag in "abcd"}
    weight = {tag: math.log(6 / (1 + df)) + 1 for tag, df in count.items()}
    length = [math.sqrt(sum(weight[tag] ** 2 for tag in tags)) for tags in items]
    for i, first in enumerate(items):
        for j, second in enumerate(items):
            common = sum(weight[tag] ** 2 for tag in first & second)
            expected = common / (length[i] * length[j]) if common else 0.0
            assert float(rows[i] @ rows[j]) == pytest.approx(expected, abs=1e-5)


def test_fewer_dimensions_keep_the_largest_directions() -> None:
    items = [{"a", "b"}, {"a", "b"}, {"a", "b"}, {"c"}]
    rows = datasets.tag_features(items, dim=1)
    assert rows.tolist() == [[1.0], [1.0], [1.0], [0.0]]


@pytest.mark.filterwarnings("ignore::anchorrec_graph.data.checks.DataWarning")
def test_the_script_is_deterministic_and_says_what_it_wrote(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for name in ("a", "b"):
        arguments = [str(SCRIPT), "--shared", str(shared), "--out", str(tmp_path / name)]
        monkeypatch.setattr(sys, "argv", arguments)
        datasets.main()
        printed.append(capsys.readouterr().out.replace(str(tmp_path / name), ""))
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert printed[0] == printed[1]
    assert f"/amazon_office: {USERS} users, {ITEMS} items" in printed[0]
    assert "tags: 8 x 5, 1 rows of zeros" in printed[0]
    assert printed[0].count("sha256") == 7

    (shared / "lastfm" / "vggish.npy").unlink()
    with pytest.raises(SystemExit, match=r"error: .*vggish.npy: no such file"):
        datasets.main()


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("lastfm/lfm2k.inter", "x_label", "label", "lfm2k.inter: no column 'x_label'"),
        ("amazon_office/interactions.tsv", "order", "time", "interactions.tsv: no column order"),
        (
            "amazon_office/interactions.tsv",
            "0\t2\t2",
            "0\t8\t2",
            r"row 3: item 8, but items.jsonl numbers 0..7",
        ),
        ("amazon_office/interactions.tsv", "0\t2\t2", "0\t2\tx", "row 3: column 'order' holds 'x'"),
        ("amazon_office/items.jsonl", '"item": 1', '"item": 2', "row 2: item 2 instead of 1"),
        (
            "amazon_office/items.jsonl",
            '"brand"',
            '"maker"',
            "needs JSON lines with item, brand and categories",
        ),
    ],
)
def test_faults_are_named(shared: Path, tmp_path: Path, name: str, old: str, new: str, message: str) -> None:
    path = shared / name
    path.write_text(path.read_text().replace(old, new))
    make = datasets.make_lastfm if name.startswith("lastfm") else datasets.make_office
    with pytest.raises(DataError, match=message):
        make(path.parent, tmp_path / "out")


def test_a_missing_file_and_rows_that_do_not_match(shared: Path, tmp_path: Path) -> None:
    (shared / "lastfm" / "whisper.npy").unlink()
    with pytest.raises(DataError, match=r"whisper.npy: no such file"):
        datasets.make_lastfm(shared / "lastfm", tmp_path / "out")
    np.save(shared / "amazon_office" / "text_feat.npy", np.ones((7, 2), dtype=np.float32))
    with pytest.raises(DataError, match=r"text_feat.npy: 7 rows for 8 items"):
        datasets.make_office(shared / "amazon_office", tmp_path / "out")
    assert not (tmp_path / "out" / "office.inter").exists()
