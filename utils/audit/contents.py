"""This file knows what the verdicts on an exercise's mutants depend on, and gives it a short mark that changes when it does.

That is: the exercise's tests and what they use, the solutions behind the objects that these tests ask for, the mistakes
known by name, the course's own code that all of this imports, and the machinery of checking.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from utils import _HOME
from utils.audit.trees import dump
from utils.checking.cells import make_cell
from utils.checking.mistakes import load_mistakes, solution_cells
from utils.checking.run import Plan, Submission
from utils.checking.slicing import Statement, needed_statements, used_names
from utils.course import Chapter, Exercise
from utils.paths import REPO

MACHINERY = [
    *(f"utils.checking.{name}" for name in ("run", "plugin", "border", "handles", "compare", "naming", "transcript")),
    "utils.audit.judging",
]


def mark_of(chapter: Chapter, exercise: Exercise) -> str:
    """The mark of everything but the mutants themselves, which have hashes of their own."""
    test_cells = [make_cell(_text(chapter.checker), chapter.checker.name)]
    tests = dict(tests_of(chapter, exercise))
    fixtures = [name for arguments in tests.values() for name in arguments]  # those that the file itself defines
    test_code = needed_statements(test_cells, [*tests, *fixtures])
    objects = [name for arguments in tests.values() for name in arguments if name in Plan([chapter]).place]
    solutions = needed_statements(solution_cells(chapter), [*exercise.objects, *objects])
    mistakes = [mistake for mistake in load_mistakes(chapter) if mistake.object in exercise.objects]
    modules = set(MACHINERY) | set(_imported(test_code)) | set(_imported(solutions))
    parts = [
        *(dump(statement) for _, statement in [*test_code, *solutions]),
        *map(repr, mistakes),
        *(_digest(path, path.stat().st_mtime_ns) for path in sorted(_files(modules))),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def tests_of(chapter: Chapter, exercise: Exercise) -> Iterator[tuple[str, list[str]]]:
    """The tests of an exercise with their arguments, in the order in which they run."""
    plan, focus = Plan([chapter]), Submission("", focus=exercise.objects)
    for statement in ast.parse(_text(chapter.checker)).body:
        if isinstance(statement, ast.FunctionDef) and statement.name.startswith("test_"):
            arguments = [arg.arg for arg in (*statement.args.args, *statement.args.kwonlyargs)]
            objects = [name for name in arguments if name in plan.place]
            if objects and plan.wants(statement.name, objects, focus):
                yield statement.name, arguments


def _imported(statements: list[Statement]) -> Iterator[str]:
    """The course's modules that these statements use; of a long import only the names that are used."""
    used = {name for _, statement in statements for name in used_names(statement)}
    for _, statement in statements:
        for module, name in _imports(statement):
            if name is None or name in used:
                yield from (module, f"{module}.{name}")


def _imports(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "utils":
            for alias in node.names:
                yield (_HOME.get(alias.name, "utils") if node.module == "utils" else node.module), alias.name
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.split(".")[0] == "utils")


def _files(modules: Iterable[str]) -> set[Path]:
    """The files of these modules and of all that they import in turn."""
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        path = _file_of(waiting.pop())
        if path is not None and path not in found:
            found.add(path)
            waiting += _modules_in(path, path.stat().st_mtime_ns)
    return found


@cache
def _modules_in(path: Path, _changed: int) -> tuple[str, ...]:
    imports = _imports(ast.parse(_text(path)))
    return tuple(dict.fromkeys(name for module, part in imports for name in (module, f"{module}.{part}")))


def _file_of(module: str) -> Path | None:
    path = REPO.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _digest(path: Path, _changed: int) -> str:
    """Of what the file does: comments and layout do not count."""
    return hashlib.sha256(dump(ast.parse(_text(path))).encode()).hexdigest()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
