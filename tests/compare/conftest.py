from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from comparisons import entries_of, run
from processes import server

from anchorrec_graph.compare import Comparison, processes


@pytest.fixture(scope="session", autouse=True)
def _forked() -> Iterator[None]:
    """Jobs come from the tests' fork server. `test_processes.py` also starts one as users do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "CONTEXT", server())
        yield


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="session")
def comparison(out: Path) -> Comparison:
    """LightGCN and popularity with two seeds, for reading only."""
    return run(entries_of(out / "configs"), out, workers=2)
