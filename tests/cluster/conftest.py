"""One Ray of two cores for all tests of this folder; they are skipped where Ray is not installed."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from anchorrec_graph.cluster.connection import Cluster, connected


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'anchorrec_graph[ray]'")
    place = "/tmp" if Path("/tmp").is_dir() else None  # the paths of sockets must be short
    with tempfile.TemporaryDirectory(prefix="ray-", dir=place, ignore_cleanup_errors=True) as home:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
            patch.setenv("TMPDIR", home)
            patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # workers import modules of the tests
            ray.init(
                num_cpus=2,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                _temp_dir=home,
            )
        try:
            with connected("local") as found:
                yield found
        finally:
            ray.shutdown()
