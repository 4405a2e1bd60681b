"""This file knows how to run a solution notebook in a fresh kernel, and when its last run still counts."""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from utils.authoring.notebooks import NOT_RUN
from utils.authoring.outputs import clean

# how a check's card starts as text
FAILED_CARD = re.compile(r"✗ \d+\.\d+")


class RunError(RuntimeError):
    """A cell of a solution notebook failed."""

    def __init__(self, cell_id: str, reason: str) -> None:
        self.cell_id = cell_id
        self.reason = reason
        super().__init__(reason)


class ThisPython(AsyncKernelManager):
    """Starts kernels with the interpreter that runs the build, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


def execute(notebook: NotebookNode, *, root: Path, timeout: float) -> float:
    """Runs the notebook's cells in place, cleans their outputs and records both; returns the seconds it took."""
    began = time.perf_counter()
    with TemporaryDirectory(prefix="circuits-build-") as temporary:
        client = NotebookClient(
            notebook,
            kernel_manager_class=ThisPython,
            kernel_name="python3",
            timeout=timeout,
            startup_timeout=60,
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": str(root)}},
        )
        with client.setup_kernel(env=_environment(root, Path(temporary)), cwd=str(root)):
            for index, cell in enumerate(notebook.cells):
                if is_run(cell):
                    _run_cell(client, cell, index, timeout)
    # nbclient writes the running interpreter's version there
    notebook.metadata.language_info.pop("version", None)
    clean(notebook)
    notebook.metadata.circuits.executed = code_digest(notebook)
    notebook.metadata.circuits.outputs = outputs_digest(notebook)
    return time.perf_counter() - began


def keep_outputs(fresh: NotebookNode, old: NotebookNode) -> None:
    """Gives the fresh notebook the outputs of an old one that ran the same code."""
    for new_cell, old_cell in zip(_run_cells(fresh), _run_cells(old)):
        new_cell.outputs = old_cell.outputs
        new_cell.execution_count = old_cell.execution_count
    fresh.metadata.circuits.executed = code_digest(fresh)
    fresh.metadata.circuits.outputs = outputs_digest(fresh)


def why_run(fresh: NotebookNode, old: NotebookNode | None) -> str | None:
    """Why the notebook must be executed again, or None when the old one's outputs still belong to it."""
    if old is None:
        return "it has not been executed yet"
    recorded = old.metadata.get("circuits", {})
    if recorded.get("executed") != code_digest(fresh) or code_digest(old) != code_digest(fresh):
        return "its code is not the code that was executed"
    if recorded.get("outputs") != outputs_digest(old):
        return "its outputs are not those of its last execution"
    for cell in _run_cells(old):
        if failure := _failure(cell):
            return f"its cell {cell.id} failed: {failure}"
    return None


def code_digest(notebook: NotebookNode) -> str:
    return _digest([cell.source for cell in _run_cells(notebook)])


def outputs_digest(notebook: NotebookNode) -> str:
    return _digest([[cell.execution_count, cell.outputs] for cell in notebook.cells if cell.cell_type == "code"])


def is_run(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and NOT_RUN not in cell.metadata.get("tags", [])


def _run_cells(notebook: NotebookNode) -> Iterator[NotebookNode]:
    return filter(is_run, notebook.cells)


def _digest(content: list) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _failure(cell: NotebookNode) -> str | None:
    """The error that the cell ended in, or the card of a check that the solution did not pass."""
    if "raises-exception" in cell.metadata.get("tags", []):
        return None
    for output in cell.outputs:
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue}"
        text = output.get("data", {}).get("text/plain", "")
        if FAILED_CARD.match(text):
            return text
    return None


def _run_cell(client: NotebookClient, cell: NotebookNode, index: int, timeout: float) -> None:
    try:
        client.execute_cell(cell, index)
        if failure := _failure(cell):
            raise RunError(cell.id, failure.replace("\n", "\n    "))
    except CellTimeoutError:
        raise RunError(cell.id, f"the cell ran for more than {timeout:g} s and was stopped") from None
    except DeadKernelError:
        raise RunError(cell.id, "the kernel died in this cell (out of memory?)") from None
    except CellExecutionError as error:
        trace = re.sub(r"\x1b\[[0-9;]*m", "", error.traceback).rpartition("Traceback (most recent call last)")[2]
        shown = trace.strip().split("\n")[-20:]
        raise RunError(cell.id, "\n    ".join([f"{error.ename}: {error.evalue}", *shown])) from None


def _environment(root: Path, temporary: Path) -> dict[str, str]:
    """No network, nobody's IPython profile, and the author's own progress left alone."""
    python_path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "PYTHONPATH": python_path,
        "HF_HUB_OFFLINE": "1",
        "CIRCUITS_STATIC_FIGURES": "1",
        "CIRCUITS_WORK": str(temporary / "work"),
        "IPYTHONDIR": str(temporary / "ipython"),
    }
