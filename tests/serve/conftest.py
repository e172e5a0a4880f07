from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_world import ENCODE, serving, serving_shop, train_run
from starlette.testclient import TestClient

from anchorrec_graph.serve.catalog import Catalog


@pytest.fixture(scope="session")
def api_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, for reading only."""
    return train_run(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="session")
def api_catalog(api_run: Path) -> Catalog:
    """What the API must agree with."""
    return Catalog.from_run(api_run)


@pytest.fixture(scope="session")
def api(api_run: Path) -> Iterator[TestClient]:
    """A client of the run, with encoders."""
    with serving(api_run, encoders=ENCODE) as client:
        yield client


@pytest.fixture(scope="session")
def shop_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of random embeddings over items with columns of every type."""
    with serving_shop(tmp_path_factory.mktemp("shop")) as client:
        yield client
