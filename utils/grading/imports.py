"""This file knows what submissions of a chapter import: a process that has it imported spares each of them the time.

It is only that, and not what all chapters need: every sandbox of a run holds it in its memory.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from utils.course import Chapter

ALWAYS = ("IPython.core.inputtransformer2", "utils.checking.stand_ins", "utils.models.course_transformer")
PICTURES = "utils.plots"  # is large, with its libraries, and functions that are checked draw nothing


def imported_modules(chapters: Iterable[Chapter]) -> list[str]:
    """What the student notebooks of these chapters import, but for pictures, and what any worker needs.

    What is taken from a module is named too, as if it were a module of its own: some are.
    """
    sources = [source for chapter in chapters for source in _code_with_imports(chapter.student_notebook)]
    found = {name for source in sources for name in _imports(source)}
    return sorted({*ALWAYS, *(name for name in found if not f"{name}.".startswith(f"{PICTURES}."))})


def _code_with_imports(notebook: Path) -> Iterator[str]:
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "import" in source:
            yield source


def _imports(source: str) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a line for IPython alone, such as a magic
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
