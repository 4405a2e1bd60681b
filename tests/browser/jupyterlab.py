"""This file knows how to drive a notebook in the real JupyterLab page, as a learner does: scroll to a cell, type, run, look."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from utils.paths import REPO

TOKEN = "course"
START_WITHIN = 90  # seconds, on a busy machine with a cold disk
RUN_WITHIN = 120_000  # milliseconds for one cell: the first one imports torch

# JupyterLab keeps cells outside the window out of the page, so cells are found through its own model of the notebook.
NOTEBOOK = "window.jupyterapp.shell.currentWidget.content"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """`circuits learn` on a work folder of its own, without opening a browser."""

    def __init__(self, work: Path, log: Path, *, chapter: str = "1"):
        self.port, self.work, self.log = free_port(), work, log
        options = [
            "--no-browser",
            f"--port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={TOKEN}",
            "--expose-app-in-browser",
        ]
        settings = log.parent / "settings"
        notification = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
        notification.parent.mkdir(parents=True)
        notification.write_text('{"fetchNews": "false"}')  # else a question covers a corner of the page
        environment = {
            **os.environ,
            "CIRCUITS_WORK": str(work),
            "CIRCUITS_STATIC_FIGURES": "0",
            "JUPYTERLAB_SETTINGS_DIR": str(settings),
            "JUPYTERLAB_WORKSPACES_DIR": str(log.parent / "workspaces"),
        }
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH")]))
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "utils.cli", "learn", chapter, *options],
                cwd=REPO,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its kernels end with it
            )

    def wait(self) -> None:
        """Returns when the server answers; raises with its log when it ends or takes too long."""
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.url("api/status"), timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text(errors='replace')[-3000:]}")

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}?token={TOKEN}"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Notebook:
    """One notebook open in a page."""

    def __init__(self, page, server: Server, name: str):
        self.page, self.name = page, name
        # a workspace of its own: JupyterLab would open again what an earlier page had open
        page.goto(server.url(f"lab/workspaces/{uuid.uuid4().hex}/tree/{name}"))
        self.wait_until_open()

    def wait_until_open(self) -> None:
        """Returns when the notebook is on the page and its kernel is idle."""
        self.page.wait_for_function(
            "name => { const panel = window.jupyterapp?.shell.currentWidget;"
            " return panel?.context?.path === name && panel.context.isReady"
            " && panel.content.widgets.length === panel.content.model?.cells.length"
            " && panel.sessionContext.session?.kernel?.status === 'idle'; }",
            arg=self.name,
            timeout=RUN_WITHIN,
        )

    def cell(self, text: str) -> int:
        """The place of the first code cell with this text in it."""
        place = self.page.evaluate(
            f"text => {NOTEBOOK}.widgets.findIndex(w => w.model.type === 'code' && w.model.sharedModel.getSource().includes(text))",
            text,
        )
        assert place >= 0, f"the notebook has no code cell with {text!r}"
        return place

    def show(self, place: int):
        """Scrolls to a cell and returns it as a locator."""
        self.page.evaluate(
            f"async place => {{ const notebook = {NOTEBOOK}; notebook.activeCellIndex = place;"
            " await notebook.scrollToItem(place, 'start');"
            " notebook.widgets[place].node.dataset.place = place; }",
            place,
        )
        cell = self.page.locator(f".jp-Cell[data-place='{place}']")
        cell.locator(".cm-content").wait_for(state="visible")
        return cell

    def write(self, place: int, code: str) -> None:
        """Replaces what stands in a cell, through its editor."""
        self.show(place).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(code)
        self.page.wait_for_function(
            f"([place, code]) => {NOTEBOOK}.widgets[place].model.sharedModel.getSource() === code", arg=[place, code]
        )

    def run(self, place: int):
        """Runs a cell, waits until it is done, and returns it as a locator."""
        self.start(place)
        self.wait(place)
        return self.show(place)

    def start(self, place: int):
        """Starts a cell with Ctrl+Enter and returns it as a locator."""
        cell = self.show(place)
        self.page.evaluate(f"place => {{ {NOTEBOOK}.widgets[place].model.sharedModel.execution_count = null; }}", place)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        return cell

    def wait(self, place: int) -> None:
        """Returns when a started cell is done."""
        self.page.wait_for_function(
            f"place => {NOTEBOOK}.widgets[place].model.executionCount !== null", arg=place, timeout=RUN_WITHIN
        )

    def insert_below(self, place: int, code: str) -> int:
        """Adds a cell under another, as the key B does, and writes code into it."""
        self.show(place).locator(".cm-content").click()
        self.page.keyboard.press("Escape")
        cells = self.page.evaluate(f"() => {NOTEBOOK}.widgets.length")
        self.page.keyboard.press("b")
        self.page.wait_for_function(f"cells => {NOTEBOOK}.widgets.length === cells + 1", arg=cells)
        self.write(place + 1, code)
        return place + 1

    def save(self) -> None:
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
