"""One Ray of two cores for all tests of this folder; they are skipped where Ray is not installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from anchorrec_graph.cluster.connection import Cluster, connected, started


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'anchorrec_graph[ray]'")
    with started(cores=2), connected("local") as found:
        yield found
