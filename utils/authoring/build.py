"""This file knows how to carry out `circuits build`: bring both notebooks of each chapter up to date, or check that they are."""

import argparse
import difflib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import nbformat

from utils.atomic_write import write_atomically
from utils.authoring.cells import Problem, Source, SourceError
from utils.authoring.execution import RunError, execute, is_run, keep_outputs, why_run
from utils.authoring.notebooks import leaks, lines_in_source, serialise, solution_notebook, student_notebook
from utils.authoring.source import read_source
from utils.course import CHAPTER_NAME, NotInCourse, pick_chapter
from utils.paths import REPO

LARGEST = 2_000_000  # bytes: GitHub shows no larger notebook
SHOWN_DIFF = 20  # lines


def main(argv: list[str] | None = None, *, root: Path = REPO) -> int:
    """Returns the exit status: 0 when every chapter is as its source says."""
    parser = argparse.ArgumentParser(prog="circuits build", description="Make the notebooks from solutions/*.py.")
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="1, 01 or the chapter's name (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a build would change something")
    parser.add_argument(
        "--execute", action="store_true", help="run the solution notebooks also where their code is unchanged"
    )
    parser.add_argument("--student", action="store_true", help="only the student notebooks, so that nothing is run")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="for one cell (default: 300)")
    options = parser.parse_args(argv)

    there = {path.stem: path for path in sorted((root / "solutions").glob("*.py")) if CHAPTER_NAME.fullmatch(path.stem)}
    try:
        names = [pick_chapter(wanted, list(there)) for wanted in options.chapters] or list(there)
    except NotInCourse as error:
        print(error)
        return 1
    if not names:
        print("there is no chapter to build: solutions/ has no NN_name.py")
        return 1

    problems = [] if options.chapters or not options.check else list(_orphans(root, there))
    for name in dict.fromkeys(names):
        try:
            source = read_source(there[name])
            _refuse_leaks(source)
        except SourceError as error:
            problems.append(str(error))
            continue
        chapter = _Chapter(source, root, options.execute, options.timeout)
        problems += chapter.check_student() if options.check else chapter.build_student()
        if not options.student:
            problems += chapter.check_solution() if options.check else chapter.build_solution()
    for problem in problems:
        print(problem)
    if options.check:
        print(
            f"{len(problems)} to mend"
            if problems
            else f"{len(names)} chapter(s): the notebooks are as their sources say"
        )
    return 1 if problems else 0


class _Chapter:
    """One chapter's source and its two notebook files; what builds and checks them gives the problems that it met."""

    def __init__(self, source: Source, root: Path, always_execute: bool, timeout: float) -> None:
        self.source = source
        self.root = root
        self.always_execute = always_execute
        self.timeout = timeout
        self.student = root / "chapters" / f"{source.name}.ipynb"
        self.solution = root / "solutions" / f"{source.name}.ipynb"

    def build_student(self) -> Iterator[str]:
        # before the solution notebook: `check` in it reads the course map from this one
        yield from self.write(self.student, serialise(student_notebook(self.source)))

    def build_solution(self) -> Iterator[str]:
        notebook = solution_notebook(self.source)
        old = _read(self.solution)
        reason = why_run(notebook, old)
        note = ""
        if reason is None and not self.always_execute:
            keep_outputs(notebook, old)
        else:
            count = sum(map(is_run, notebook.cells))
            print(f"{self.shown(self.solution)}: running {count} cells ({reason or 'as asked'}) ...", flush=True)
            try:
                note = f", {count} cells run in {execute(notebook, root=self.root, timeout=self.timeout):.0f} s"
            except RunError as error:
                yield f"{self.failed(error)}\n{self.shown(self.solution)}: left as it was"
                return
        yield from self.write(self.solution, serialise(notebook), note)

    def check_student(self) -> Iterator[str]:
        expected = serialise(student_notebook(self.source))
        there = _text(self.student)
        if there == expected:
            yield from self.too_large(self.student, expected)
        elif there is None:
            yield f"{self.shown(self.student)}: is not there"
        else:
            name = self.shown(self.student)
            notebook = _read(self.student)
            if notebook is not None:
                if any(cell.get("outputs") for cell in notebook.cells):
                    yield f"{name}: has outputs"
                for leak in leaks(self.source, notebook):
                    yield f"{name}: gives a solution away ({leak})"
            yield f"{name}: differs from its source\n{_diff(there, expected)}"

    def check_solution(self) -> Iterator[str]:
        name = self.shown(self.solution)
        there, old = _text(self.solution), _read(self.solution)
        if there is None:
            yield f"{name}: is not there"
            return
        if old is None:
            yield f"{name}: is not a notebook"
            return
        yield from self.too_large(self.solution, there)
        expected = solution_notebook(self.source)
        reason = why_run(expected, old)
        if reason:
            yield f"{name}: must be executed again, {reason}\n{_diff(_without_outputs(old), _without_outputs(expected))}".rstrip()
        else:
            keep_outputs(expected, old)
            if serialise(expected) != there:
                yield f"{name}: differs from its source\n{_diff(there, serialise(expected))}"
        if self.always_execute:
            try:
                execute(expected, root=self.root, timeout=self.timeout)
            except RunError as error:
                yield self.failed(error)

    def write(self, path: Path, text: str, note: str = "") -> Iterator[str]:
        changed = _text(path) != text
        if changed:
            write_atomically(path, text)
        print(f"{self.shown(path)}: {'written' if changed else 'unchanged'}{note}", flush=True)
        yield from self.too_large(path, text)

    def too_large(self, path: Path, text: str) -> Iterator[str]:
        size = len(text.encode())
        if size > LARGEST:
            cells = nbformat.reads(text, as_version=4).cells
            largest = max(cells, key=lambda cell: len(str(cell)))
            line = lines_in_source(self.source).get(largest.id, 1)
            yield (
                f"{self.shown(path)}: has {size / 1e6:.1f} MB, and a notebook may have {LARGEST / 1e6:.0f} MB;"
                f" the largest cell is the one on line {line} of the source"
            )

    def failed(self, error: RunError) -> str:
        line = lines_in_source(self.source).get(error.cell_id, 1)
        return str(Problem(self.source.path, line, error.reason))

    def shown(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _orphans(root: Path, sources: dict[str, Path]) -> Iterator[str]:
    for folder in ("chapters", "solutions"):
        for path in sorted((root / folder).glob("*.ipynb")):
            if path.stem not in sources:
                yield f"{folder}/{path.name}: has no source solutions/{path.stem}.py"


def _refuse_leaks(source: Source) -> None:
    if problems := leaks(source, student_notebook(source)):
        raise SourceError(problems)


def _text(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8", "replace") if path.exists() else None


def _read(path: Path) -> nbformat.NotebookNode | None:
    """The notebook in this file, or None where there is none that can be read."""
    try:
        return nbformat.reads(_text(path) or "", as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, KeyError, AttributeError):
        return None


def _without_outputs(notebook: nbformat.NotebookNode) -> str:
    bare = deepcopy(notebook)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    for name in ("executed", "outputs"):
        bare.metadata.get("circuits", {}).pop(name, None)
    return nbformat.writes(bare, version=4)


def _diff(there: str, expected: str) -> str:
    lines = list(
        difflib.unified_diff(there.split("\n"), expected.split("\n"), "in the file", "from the source", "", "", 1)
    )
    more = [f"    … and {len(lines) - SHOWN_DIFF} lines more"] if len(lines) > SHOWN_DIFF else []
    return "\n".join([f"    {line[:160]}" for line in lines[:SHOWN_DIFF]] + more)
