"""This file knows how to make what a run printed and drew the same from one run to the next, where that can be."""

import hashlib
import json
import re
from itertools import groupby

from nbformat import NotebookNode

# the ids that plotly and circuitsvis give to their <div>
RANDOM_ID = re.compile(
    r"(?<=circuits-vis-)[0-9a-f]{4,}(?:-[0-9a-f]{4,})*|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"
)
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
CURSOR_MOVES = re.compile(r"\x1b\[\d*[A-GJK]")
LIVE_CONTROL = "application/vnd.jupyter.widget-view+json"


def clean(notebook: NotebookNode) -> None:
    """Changes the outputs of an executed notebook in place, so that only what the code made is left of them."""
    count = 0
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None:
            count += 1
            cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            if "data" in output:
                output.data = _without_live_control(output.data)
        cell.outputs = _with_steady_ids(cell.id, _merged_streams(cell.outputs))


def _merged_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """One stdout and one stderr between two figures, however the kernel happened to split and mix them."""
    merged = []
    for is_stream, run in groupby(outputs, key=lambda output: output.output_type == "stream"):
        if not is_stream:
            merged += run
            continue
        by_name: dict[str, NotebookNode] = {}
        for output in run:
            if output.name in by_name:
                by_name[output.name].text += output.text
            else:
                by_name[output.name] = output
        for name in sorted(by_name, reverse=True):  # stdout, then stderr
            output = by_name[name]
            output.text = _last_state(output.text)
            if output.text:
                merged.append(output)
    return merged


def _last_state(text: str) -> str:
    """What a terminal would show in the end: a progress bar overwrites its line with every carriage return."""
    text = CURSOR_MOVES.sub("", text).replace("\r\n", "\n")
    lines = (next((state for state in reversed(line.split("\r")) if state.strip()), "") for line in text.split("\n"))
    return "\n".join(lines)


def _without_live_control(data: NotebookNode) -> NotebookNode:
    """A widget lives in its kernel and leaves only an error behind it, so a sentence takes its place."""
    if LIVE_CONTROL not in data:
        return data
    rest = {kind: value for kind, value in data.items() if kind not in (LIVE_CONTROL, "text/plain")}
    return NotebookNode(rest or {"text/markdown": "*(a live control: run the notebook to use it)*"})


def _with_steady_ids(cell_id: str, outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Random ids replaced by ones made from the cell and from what its outputs hold otherwise."""
    text = ADDRESS.sub("at 0x0", json.dumps(outputs, ensure_ascii=False))
    random_ids = list(dict.fromkeys(RANDOM_ID.findall(text)))
    content = f"{cell_id}\n{RANDOM_ID.sub('', text)}"
    for index, random_id in enumerate(random_ids):
        digest = hashlib.sha256(f"{content}\n{index}".encode()).hexdigest()
        text = text.replace(random_id, _shaped_like(random_id, digest))
    return [NotebookNode(output) for output in json.loads(text, object_hook=NotebookNode)]


def _shaped_like(random_id: str, digest: str) -> str:
    digits = iter(digest)
    return "".join("-" if character == "-" else next(digits) for character in random_id)
