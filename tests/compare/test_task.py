"""Rows that are not about the same question do not get into one table."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparisons import entries_of, write_config

from anchorrec_graph.compare import compare, read_entries
from anchorrec_graph.compare.task import shared_task
from anchorrec_graph.errors import AnchorRecError, ConfigError, DataError

SHOP = "dataset={name: planted, num_users: 70, num_items: 40, interactions_per_user: 8, num_clusters: 4}"


@pytest.mark.parametrize(
    ("override", "kind", "message"),
    [
        ("dataset.split={name: random, seed: 1}", DataError, "have different train, validation, test"),
        ("dataset.split=leave_last", DataError, "have different train, validation, test"),
        (SHOP, DataError, "have different users, train"),
        ("evaluate.mask=[train]", ConfigError, "evaluate.mask: only .*lightgcn/short.yaml has validation"),
        ("evaluate.max_users=20", ConfigError, "differ in evaluate.max_users: None and 20"),
        ("train.metric=NDCG@5", ConfigError, "differ in train.metric, .*: Recall@5 and NDCG@5"),
        (
            "evaluate.metrics=[Recall@5, NDCG@10, Coverage@5]",
            ConfigError,
            "evaluate.metrics: only .*lightgcn/short.yaml has NDCG@5; only .*/short.yaml has NDCG@10",
        ),
    ],
)
def test_refused_before_training(
    tmp_path: Path, override: str, kind: type[AnchorRecError], message: str
) -> None:
    paths = [write_config(tmp_path, "lightgcn"), write_config(tmp_path, "popularity", override)]
    entries = read_entries(list(map(str, paths)))
    with pytest.raises(kind, match=message) as caught:
        compare(entries, [0], tmp_path / "out")
    assert all(str(path) in str(caught.value) for path in paths)
    assert not (tmp_path / "out").exists()


def test_modalities_and_order_of_metrics_may_differ(tmp_path: Path) -> None:
    first = entries_of(tmp_path, models=["lightgcn"])
    second = entries_of(
        tmp_path,
        "dataset.modalities=[text]",
        "evaluate.metrics=[Coverage@5, NDCG@5, Recall@5]",
        models=["popularity"],
    )
    task = shared_task([*first, *second])
    assert list(task.manifests["lightgcn"]["features"]) == ["image", "text"]
    assert list(task.manifests["popularity"]["features"]) == ["text"]
    assert task.hash == shared_task(second).hash


def test_no_test_pairs(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = "".join(f"{u}\t{(u + n) % 3}\t{n // 2}\n" for u in range(4) for n in range(3))
    (tmp_path / "data/own.inter").write_text("userID\titemID\tx_label\n" + rows)
    config = write_config(tmp_path, "popularity", f"dataset={{name: mmrec, folder: {tmp_path / 'data'}}}")
    with pytest.raises(DataError, match="no test interactions"):
        compare(read_entries([str(config)]), [0], tmp_path / "out")


def test_labels(tmp_path: Path) -> None:
    light, popular = (str(write_config(tmp_path, model)) for model in ("lightgcn", "popularity"))
    other = str(Path(light).with_name("other=1.yaml"))
    Path(other).write_text(Path(light).read_text())

    def labels(*arguments: str) -> list[str]:
        return [entry.label for entry in read_entries(arguments)]

    assert labels(light, popular) == ["lightgcn", "popularity"]
    assert labels(light, other, popular) == ["lightgcn/short", "lightgcn/other=1", "popularity"]
    assert labels(light, f"mine =  {other}".replace("=  ", "=")) == ["lightgcn", "mine"]
    with pytest.raises(ConfigError, match="2 rows have the label 'lightgcn/short'"):
        labels(light, light)
    with pytest.raises(ConfigError, match="2 rows have the label 'lightgcn'"):
        labels(light, f"lightgcn={popular}")
    with pytest.raises(ConfigError, match="expected LABEL=PATH"):
        labels(f"={light}")


def test_unknown_names(tmp_path: Path) -> None:
    entries = entries_of(tmp_path)
    with pytest.raises(ConfigError, match="unknown label 'lightgc'; did you mean 'lightgcn'"):
        compare(entries, [0], tmp_path / "out", reference="lightgc")
    with pytest.raises(ConfigError, match="unknown metric 'Recall@20'; did you mean 'Recall@5'"):
        compare(entries, [0], tmp_path / "out", metrics=["Recall@20"])
    with pytest.raises(ConfigError, match="2 rows have the label 'popularity'"):
        compare(entries, [0], tmp_path / "out", externals={"popularity": [tmp_path / "x.npz"]})
