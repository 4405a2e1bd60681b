"""This file knows what a named mistake and a further right answer are, and how to make the object that each describes."""

from __future__ import annotations

import ast
import importlib.util
import re
import textwrap
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from utils.checking.cells import Cell, make_cell, percent_cells
from utils.course import Chapter

NOT_CODE = re.compile(
    r"^# \[exercise\]\n.*?^# \[/exercise\]\n|^[ \t]*# (BEGIN|END) SOLUTION[^\n]*\n", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make with ``object``: a name, the sentence that the learner is told, and the wrong implementation.

    Give ``change``, pairs (old, new) applied in order to the exercise's solution, each old text being there exactly once;
    or ``write``, a whole wrong implementation, which sees the chapter's imports and other solutions.
    """

    object: str
    name: str
    sentence: str
    change: list[tuple[str, str]] = field(default_factory=list)
    write: str = ""

    def __post_init__(self) -> None:
        if bool(self.change) == bool(self.write):
            raise ValueError(f"mistake {self.label}: give either change= or write=")

    @property
    def label(self) -> str:
        return f"{self.object}: {self.name}"


@dataclass(frozen=True)
class RightAnswer:
    """Another right implementation of ``object``, written in another way, which its checker must accept."""

    object: str
    name: str
    write: str

    @property
    def label(self) -> str:
        return f"{self.object}: {self.name}"


def solution_cells(chapter: Chapter) -> list[Cell]:
    return _cells(chapter.source.read_text(encoding="utf-8"), chapter.source.name)


@lru_cache(maxsize=8)
def _cells(text: str, name: str) -> list[Cell]:
    return percent_cells(text, name)


def returned_kinds(chapter: Chapter) -> dict[str, str]:
    """The annotation of what each of the chapter's functions returns; for a class, what its forward does."""
    kinds = {}
    for statement in [statement for cell in solution_cells(chapter) if cell.tree for statement in cell.tree.body]:
        functions = [statement] if isinstance(statement, ast.FunctionDef) else []
        if isinstance(statement, ast.ClassDef):
            functions = [inner for inner in statement.body if getattr(inner, "name", "") == "forward"]
        for function in functions:
            kinds[statement.name] = ast.unparse(function.returns) if function.returns else ""
    return kinds


def changed_cells(chapter: Chapter, item: Mistake | RightAnswer) -> list[Cell]:
    """The chapter's solution cells with the one object replaced by what ``item`` describes."""
    cells = list(solution_cells(chapter))
    if item.write:
        return cells + [make_cell(textwrap.dedent(item.write), item.label)]
    index = defining_cell(cells, item.object)
    source = NOT_CODE.sub("", cells[index].source)
    for old, new in item.change:
        if source.count(old) != 1:
            raise ValueError(
                f"mistake {item.label}: the text {old!r} is in the solution {source.count(old)} times, 1 is right"
            )
        source = source.replace(old, new)
    cells[index] = make_cell(source, item.label)
    if cells[index].error:
        raise ValueError(f"mistake {item.label}: {cells[index].error}")
    return cells


def load_mistakes(chapter: Chapter) -> list[Mistake]:
    return _load(chapter.mistakes, "MISTAKES")


def load_right_answers(chapter: Chapter) -> list[RightAnswer]:
    return _load(chapter.right_answers, "RIGHT_ANSWERS")


def _load(path: Path, name: str) -> list[Any]:
    if not path.exists():
        return []
    return _load_file(path, path.stat().st_mtime_ns, name)


@lru_cache(maxsize=16)
def _load_file(path: Path, _changed: int, name: str) -> list[Any]:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def defining_cell(cells: list[Cell], name: str) -> int:
    """Where among the cells the one is that defines ``name``, the last if there are several."""
    pattern = re.compile(rf"^(def|class) {re.escape(name)}\b", re.MULTILINE)
    found = [index for index, cell in enumerate(cells) if pattern.search(cell.source)]
    if not found:
        raise ValueError(f"no solution cell defines {name}")
    return found[-1]
