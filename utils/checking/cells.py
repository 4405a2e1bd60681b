"""This file knows how to read the code cells of a notebook or a Python file that may be in any state."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

HARMLESS_CELL_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")
CELL_MARK = re.compile(r"^# %%(.*)$", re.MULTILINE)


class UnreadableSubmission(ValueError):
    """A file that is not a notebook and not a Python file, said in one line."""


@dataclass(frozen=True)
class Cell:
    """One code cell: its number among all cells (from 1, as a reader counts), its text, and its syntax tree if it has one."""

    place: str
    source: str
    tree: ast.Module | None
    error: str = ""
    key: int = 0

    @property
    def filename(self) -> str:
        """What Python calls the place; cells of one .py file share a name, so a number after # tells them apart."""
        return f"<submission {self.place}#{self.key}>"


def read_cells(path: Path) -> list[Cell]:
    """The code cells of a ``.ipynb`` or ``.py`` file; an error in one line if the file cannot be read as one."""
    try:
        return cells_in(path.read_bytes(), path.name)
    except FileNotFoundError:
        raise UnreadableSubmission(f"there is no file {path}") from None


def cells_in(data: bytes, name: str) -> list[Cell]:
    """The code cells of the file of this name that holds these bytes."""
    try:
        text = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UnreadableSubmission(f"{name} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    if name.endswith(".ipynb"):
        return _notebook_cells(name, text)
    if name.endswith(".py"):
        return percent_cells(text, name)
    raise UnreadableSubmission(f"{name} is neither .ipynb nor .py")


def percent_cells(text: str, name: str) -> list[Cell]:
    """The code cells of a py:percent file; a file without ``# %%`` marks is one cell. Line numbers are the file's."""
    marks = list(CELL_MARK.finditer(text))
    starts = [0] + [mark.start() for mark in marks]
    ends = [mark.start() for mark in marks] + [len(text)]
    kinds = [""] + [mark.group(1) for mark in marks]
    cells = []
    for start, end, kind in zip(starts, ends, kinds):
        if "[markdown]" in kind or not text[start:end].strip():
            continue
        padding = "\n" * text.count("\n", 0, start)
        cells.append(make_cell(padding + text[start:end], name, key=start))
    return cells


def make_cell(source: str, place: str, *, key: int = 0) -> Cell:
    """A cell from its text; shell lines and magics are taken out, a syntax error is kept as a sentence."""
    plain = _without_magics(source)
    try:
        return Cell(place, plain, ast.parse(plain), key=key)
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes
        line = getattr(error, "lineno", None)
        text = getattr(error, "text", None) or ""
        message = (
            f"syntax error in {place}"
            + (f", line {line}: {text.strip()}" if line else "")
            + f" ({getattr(error, 'msg', error)})"
        )
        return Cell(place, plain, None, message, key)


def _notebook_cells(name: str, text: str) -> list[Cell]:
    if not text.strip():
        raise UnreadableSubmission(f"{name} is not a Jupyter notebook: it is empty")
    try:
        notebook = json.loads(text)
        raw = notebook["cells"] if "cells" in notebook else notebook["worksheets"][0]["cells"]
        listed = [(number, cell) for number, cell in enumerate(raw, start=1) if cell.get("cell_type") == "code"]
        sources = [(number, cell.get("source", cell.get("input", ""))) for number, cell in listed]
        joined = [(number, source if isinstance(source, str) else "".join(source)) for number, source in sources]
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or "Unterminated" in error.msg
        why = "it breaks off before its end" if cut else f"line {error.lineno} is no JSON ({error.msg})"
        raise UnreadableSubmission(f"{name} is not a Jupyter notebook: {why}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise UnreadableSubmission(f"{name} is not a Jupyter notebook ({type(error).__name__}: {error})") from None
    return [make_cell(source, f"{name}, cell {number}") for number, source in joined]


def _without_magics(source: str) -> str:
    first = source.lstrip().split("\n", 1)[0]
    if first.startswith("%%"):
        if not first.startswith(HARMLESS_CELL_MAGICS):
            return ""  # another language, or a file to write: no Python in it
        source = source.replace(first, "", 1)
    if not re.search(r"^[ \t]*[%!?]|\?[ \t]*$|=[ \t]*[%!]", source, re.MULTILINE):
        return source
    from IPython.core.inputtransformer2 import TransformerManager  # knows every magic; heavy, so only when one is there

    try:
        return TransformerManager().transform_cell(source)
    except (SyntaxError, ValueError):
        return source
