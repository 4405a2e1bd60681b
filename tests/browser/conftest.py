"""A JupyterLab on a fresh work folder, and a Chromium page that looks at it; skipped where either is missing."""

import os
from pathlib import Path

import pytest

from utils.plots.renderer import find_browser

from .jupyterlab import Notebook, Server


@pytest.fixture(scope="session")
def browser():
    """An installed Chrome or Chromium, driven by playwright: nothing is downloaded."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    executable = find_browser()
    if executable is None:
        pytest.skip("no Chrome or Chromium on PATH (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    """`circuits learn 1` on an empty work folder."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: bash setup.sh")
    folder = tmp_path_factory.mktemp("lab")
    server = Server(folder / "work", folder / "jupyterlab.log")
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture
def asked():
    """Every address outside this machine that the page asked for."""
    return []


@pytest.fixture
def page(browser, asked):
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, device_scale_factor=1.5)
    page = context.new_page()
    local = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(local) else asked.append(request.url))
    yield page
    context.close()


@pytest.fixture
def open_notebook(page, lab):
    return lambda name: Notebook(page, lab, name)


@pytest.fixture
def screenshot(tmp_path):
    """Saves a picture of a page or a cell under $CIRCUITS_SCREENSHOTS, or in the test's own folder."""
    folder = Path(os.environ.get("CIRCUITS_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def save(name, what):
        what.screenshot(path=folder / f"{name}.png")

    return save
