from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from page_world import serving_page

    with serving_page(tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from site_world import hosting_sites

    with hosting_sites(tmp_path_factory.mktemp("sites")) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Of one file: while it is open, its event loop is the only one that this thread can have."""
    from page_world import CHROMIUM, NO_BROWSER, sync_api, without_browser

    if CHROMIUM is None:
        without_browser(NO_BROWSER)
    with sync_api.sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except sync_api.Error as error:
            denied = [line.strip(" -") for line in str(error).splitlines() if "[err]" in line]
            without_browser(f"{CHROMIUM} is there but does not start: {(denied or [error])[-1]}")
        yield found
        found.close()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    found = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    found.set_default_timeout(10_000)
    yield found
    found.close()


@pytest.fixture
def visitor(context: Any, world: Any) -> Iterator[Any]:
    from page_world import Visitor

    found = Visitor(context.new_page(), world.url)
    yield found
    assert found.complaints == []
    assert found.page.evaluate("window.hacked") is None


@pytest.fixture
def guest(context: Any, sites: Any) -> Iterator[Any]:
    """Of the site of anchorrec. Nothing outside its folder may be asked for, and no method but GET."""
    from page_world import Visitor

    found = Visitor(context.new_page(), sites.address("anchorrec"))
    methods: set[str] = set()
    found.page.on("request", lambda request: methods.add(request.method))
    yield found
    assert found.complaints == []
    assert methods <= {"GET"}
    assert found.page.evaluate("window.hacked") is None
