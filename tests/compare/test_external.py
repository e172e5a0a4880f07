"""Results of other programs are scored like our own."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from comparisons import entries_of, run
from numpy.typing import NDArray

from anchorrec_graph.compare import Comparison, compare, read_externals
from anchorrec_graph.compare.costs import Cost
from anchorrec_graph.compare.external import score_external
from anchorrec_graph.compare.task import Task, shared_task
from anchorrec_graph.data.checks import DataWarning
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.evaluate import UserItems, top_k
from anchorrec_graph.evaluate.user_items import positives
from anchorrec_graph.train.fit import load_run
from anchorrec_graph.typing import Embeddings

USERS, ITEMS = 60, 40


@pytest.fixture
def task(comparison: Comparison) -> Task:
    return comparison.task


@pytest.fixture
def trained(comparison: Comparison) -> Embeddings:
    """LightGCN's embeddings of seed 0."""
    with torch.no_grad():
        return load_run(comparison.rows[0].results[0].origin["run"]).model.encode()


def ranked(task: Task, embeddings: Embeddings, k: int, *masked: str) -> tuple[Any, Any]:
    """All users and their first k items among those not masked."""
    excluded = positives(task.data, *masked)
    best = top_k(embeddings, torch.arange(USERS), k, excluded if masked else no_items())
    return np.arange(USERS), best.items.numpy()


def no_items() -> UserItems:
    return UserItems.from_pairs(torch.empty(2, 0, dtype=torch.long), USERS, ITEMS)


def write_mmrec(path: Path, users: NDArray[np.int64], items: NDArray[np.int64]) -> Path:
    columns = {"id": users, **{f"top_{rank}": items[:, rank] for rank in range(items.shape[1])}}
    pl.DataFrame(columns).write_csv(path, separator="\t")
    return path


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_embeddings_equal_the_run(
    comparison: Comparison, task: Task, trained: Embeddings, tmp_path: Path
) -> None:
    own = comparison.rows[0].results[0]
    path = save(tmp_path / "e.npz", user=trained.user.numpy(), item=trained.item.numpy())
    scored = score_external(path, task)
    assert scored.test == own.test
    assert scored.per_user.equals(own.per_user)


@pytest.mark.parametrize("masked", [("train", "validation"), ("train",), ()])
def test_lists_equal_the_run(
    comparison: Comparison, task: Task, trained: Embeddings, tmp_path: Path, masked: tuple[str, ...]
) -> None:
    """Also if the other program masked less: its lists are long enough, and move up."""
    own = comparison.rows[0].results[0]
    users, items = ranked(task, trained, ITEMS - 20 if masked else ITEMS, *masked)
    shuffled = np.random.default_rng(0).permutation(USERS)
    for path in (
        save(tmp_path / "l.npz", users=users[shuffled], items=items[shuffled]),
        write_mmrec(tmp_path / "l.csv", users[shuffled], items[shuffled]),
    ):
        scored = score_external(path, task)
        assert scored.test == own.test
        assert scored.per_user.equals(own.per_user)


def test_short_lists_of_another_mask_are_pointed_out(task: Task, trained: Embeddings, tmp_path: Path) -> None:
    path = write_mmrec(tmp_path / "l.csv", *ranked(task, trained, 5, "train"))
    with pytest.warns(DataWarning, match=r"l.csv: .* \d+ lists hold fewer than 5 items; export longer lists"):
        score_external(path, task)


def test_files_of_one_label_are_its_seeds(comparison: Comparison, out: Path, tmp_path: Path) -> None:
    runs = [result.origin["run"] for result in comparison.rows[0].results]
    paths = []
    for number, folder in enumerate(runs):
        with torch.no_grad():
            user, item, _ = load_run(folder).model.encode()
        paths.append(save(tmp_path / f"{number}.npz", user=user.numpy(), item=item.numpy()))
    externals = read_externals([f"theirs={path}" for path in paths])
    both = compare(entries_of(out / "configs"), [0, 1], out, externals=externals)
    ours, _, theirs = both.rows
    assert theirs.label == "theirs"
    assert [result.name for result in theirs.results] == [str(path) for path in paths]
    assert theirs.cost == Cost()
    for name in both.metrics:
        assert theirs.cells[name][:3] == ours.cells[name][:3]
        assert theirs.cells[name].difference == 0
    assert {test.holm for test in theirs.cells["Recall@5"].tests.values()} == {1.0}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"user": np.zeros((60, 3))}, "has the keys user; it needs user and item (embeddings), or users and"),
        ({"user": np.zeros((59, 3)), "item": np.zeros((40, 3))}, "'user' is float64 [59, 3]; the data needs"),
        ({"user": np.zeros((60, 3)), "item": np.zeros((40, 3), int)}, "'item' is int64 [40, 3]; the data"),
        ({"user": np.zeros((60, 3)), "item": np.zeros((40, 4))}, "'user' has 3 columns and 'item' 4"),
        (
            {"user": np.zeros((60, 3)), "item": np.where(np.arange(120) == 22, np.nan, 0).reshape(40, 3)},
            "'item' row 7 is not finite",
        ),
        ({"users": np.arange(60.0), "items": np.zeros((60, 5), int)}, "'users' is float64 [60]; whole"),
        ({"users": np.arange(60), "items": np.zeros(60, int)}, "'items' is int64 [60]; whole numbers [m, K]"),
        ({"users": np.arange(60), "items": np.full((60, 4), -1)}, "the lists hold 4 items, the metrics need"),
        ({"users": np.arange(60), "items": np.full((60, 5), 40)}, "the lists name an item row 40, outside"),
        (
            {"users": np.arange(60), "items": np.zeros((60, 5), int)},
            "the list of user row 0 names an item tw",
        ),
        (
            {"users": np.arange(9), "items": np.full((9, 5), -1)},
            "the lists lack 51 users with held-out items",
        ),
        ({"a": np.zeros(3)}, "has the keys a; it needs user and item (embeddings), or users and items"),
        (dict.fromkeys(("user", "item", "users", "items"), np.zeros(3)), "has the keys item, items, user, u"),
        ({"user": np.array([{}]), "item": np.zeros(3)}, "'user' cannot be read (Object arrays cannot"),
    ],
)
def test_malformed_npz(task: Task, tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = save(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=re.escape(f"{path}: {message}")):
        score_external(path, task)


def test_damaged_npz(task: Task, tmp_path: Path) -> None:
    """An empty file, a member that is no array, damaged bytes of a compressed one."""
    path = tmp_path / "x.npz"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.npz: not an \.npz file"):
        score_external(path, task)
    for content in (b"", b"words"):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("user.npy", content)
            file.writestr("item.npy", content)
        with pytest.raises(DataError, match=r"x\.npz: '(user|item)' (is no array|cannot be read)"):
            score_external(path, task)
    rows = np.random.default_rng(0).random((60, 3))
    np.savez_compressed(path, user=rows, item=rows)
    damaged = bytearray(path.read_bytes())
    for place in range(200, 1200):
        damaged[place] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"x\.npz: '(user|item)' cannot be read"):
        score_external(path, task)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "id\ttop_1\n0\t1\n", "has the columns id, top_1, ...; MMRec writes id, top_0, top_1"),
        ("x.csv", "id,top_0\n0,1\n", "has the columns id,top_0, ...; MMRec writes"),
        ("x.csv", "id\ttop_0\n0\t1\n1\t1.5\n", "row 2: column 'top_0' holds '1.5', not a whole number"),
        ("x.csv", "", "not a tab-separated table (empty"),
        ("x.npz", "PK", "not an .npz file"),
        ("x.npy", "", "unknown suffix '.npy'; known: .npz, .csv, .tsv"),
    ],
)
def test_malformed_files(task: Task, tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(f"{path}: {message}")):
        score_external(path, task)


def test_missing_files(task: Task, tmp_path: Path) -> None:
    for name in ("x.csv", "x.npz"):
        with pytest.raises(DataError, match=f"{name}: no such file"):
            score_external(tmp_path / name, task)


def test_arguments() -> None:
    assert read_externals(["a=x.npz", "b=y.csv", "a=z.npz"]) == {
        "a": [Path("x.npz"), Path("z.npz")],
        "b": [Path("y.csv")],
    }
    with pytest.raises(ConfigError, match=r"x\.npz: expected LABEL=PATH"):
        read_externals(["x.npz"])
    with pytest.raises(ConfigError, match="is named twice"):
        read_externals(["a=x.npz", "a=x.npz"])


def test_malformed_files_are_found_before_training(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        run(entries_of(tmp_path), tmp_path / "out", externals={"theirs": [tmp_path / "x.npz"]})
    assert not (tmp_path / "out").exists()
    assert shared_task(entries_of(tmp_path)).num_test_users == USERS
