"""One Ray of two cores for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from anchorrec_graph.cluster.connection import Cluster, connected, started


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with started(cores=2), connected("local") as found:
        yield found
