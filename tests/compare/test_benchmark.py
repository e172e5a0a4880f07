"""`python benchmarks/compare.py`, on configurations of a few epochs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from comparisons import write_config

SCRIPT = Path(__file__).parents[2] / "benchmarks/compare.py"


def run_script(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    spec = importlib.util.spec_from_file_location("benchmark_compare", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", ["compare.py", *arguments])
    module.main()


def write_shop(folder: Path) -> None:
    """Twenty users who each know six of twelve items, in MMRec's format, with a split."""
    folder.mkdir(parents=True)
    labels = (0, 0, 0, 0, 1, 2)
    rows = [f"{u}\t{(u * 5 + n * 2) % 12}\t{label}\n" for u in range(20) for n, label in enumerate(labels)]
    (folder / "shop.inter").write_text("userID\titemID\tx_label\n" + "".join(rows), encoding="utf-8")


def test_publishes_every_configuration_of_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path / "data/shop")
    dataset = "dataset={name: mmrec, folder: elsewhere}"
    ours = write_config(tmp_path / "configs", "anchorrec", dataset, "model=popularity")  # needs no features
    ours.rename(ours.with_name("shop.yaml"))
    theirs = write_config(tmp_path / "configs", "lightgcn", dataset)
    for name in ("shop", "shop-variant", "shops"):
        theirs.with_name(f"{name}.yaml").write_text(theirs.read_text())
    run_script(monkeypatch, "shop", "--seeds", "0", "--data", "data")
    assert "shop-variant" not in capsys.readouterr().out
    assert not (tmp_path / "benchmarks").exists()
    run_script(monkeypatch, "shop", "--variants", "--publish", "--seeds", "0", "--data", "data")
    report = json.loads((tmp_path / "benchmarks/results/compare-shop.json").read_text())
    labels = [row["label"] for row in report["rows"]]
    assert labels == ["popularity", "lightgcn/shop-variant", "lightgcn/shop"]
    assert report["reference"] == "popularity"
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "benchmarks/results/compare-shop.md").read_text() + "\n"
    assert (tmp_path / ".cache/compare/shop/table.html").exists()
    run_script(monkeypatch, "shop", "--only", "variant", "--publish", "--seeds", "0", "--data", "data")
    report = json.loads((tmp_path / "benchmarks/results/compare-shop-variant.json").read_text())
    assert [row["label"] for row in report["rows"]] == ["popularity", "lightgcn"]
    whole = (tmp_path / "benchmarks/results/compare-shop.json").read_bytes()
    some = ["shop", "--models", "anchorrec,lightgcn", "--publish", "--seeds", "0", "--data", "data"]
    with pytest.raises(SystemExit, match=r"compare-shop.json has rows lightgcn/shop, lightgcn/shop-variant"):
        run_script(monkeypatch, *some)
    for odd in (["--models", "lightgcn", "--variants"], ["--name", "two"]):
        with pytest.raises(SystemExit, match="2"):
            run_script(monkeypatch, "shop", *odd)
    run_script(monkeypatch, *some, "--name", "two")
    report = json.loads((tmp_path / "benchmarks/results/compare-shop-two.json").read_text())
    assert [row["label"] for row in report["rows"]] == ["popularity", "lightgcn"]
    assert (tmp_path / "benchmarks/results/compare-shop.json").read_bytes() == whole
    more = ["shop", "--models", "anchorrec,lightgcn", "--publish", "--seeds", "0,1", "--data", "data"]
    run_script(monkeypatch, *more, "--name", "two")
    with pytest.raises(SystemExit, match=r"compare-shop-two.json has 2 seeds, which this table lacks"):
        run_script(monkeypatch, *some, "--name", "two")
    with pytest.raises(SystemExit, match=r"shop: no such file: configs/\*/shop-varaint\.yaml"):
        run_script(monkeypatch, "shop", "--only", "varaint")
    with pytest.raises(SystemExit, match=r"shop: no such file: configs/ligtgcn/shop-variant\.yaml"):
        run_script(monkeypatch, "shop", "--only", "variant", "--models", "lightgcn,ligtgcn")


def test_errors_name_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"error: nothing: configs/anchorrec/nothing.yaml: no such file"):
        run_script(monkeypatch, "nothing")
