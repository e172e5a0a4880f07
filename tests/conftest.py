"""One cache folder per test session, and no time limits on property tests: machines are shared."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


@pytest.fixture(scope="session", autouse=True)
def _cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANCHORREC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
