from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import HOSTILE, Runs, hostile_shop, train

from anchorrec_graph.report import write_report


@pytest.fixture(autouse=True)
def _titles() -> Iterator[None]:
    with hostile_shop():
        yield


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Finished runs of three models on a tiny shop, for reading only."""
    folder = tmp_path_factory.mktemp("runs")
    with hostile_shop():
        return Runs(
            train(folder / "anchorrec", "model={name: anchorrec, embedding_dim: 8}", "train.seeds=[0, 1]"),
            train(folder / "lightgcn"),
            train(folder / "popularity", "model=popularity"),
        )


@pytest.fixture(scope="session")
def page(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on all of them; the figures lie in `figures` beside it."""
    out = tmp_path_factory.mktemp("page") / "page.html"
    named = [f"{HOSTILE}={runs.anchorrec}", runs.lightgcn, runs.popularity]
    with hostile_shop():
        return write_report(named, out, figures=out.parent / "figures", images=out.parent)
