"""This file knows what a run says on the terminal: how far it is, and at the end what came of it.

Names are anybody's, so nothing in them is taken for markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from utils.grading.points import shown
from utils.grading.reports.results import ChapterScope, ClassResults, LearnerResults

LONG_CLASS = 50  # learners that are still listed one by one


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar with the time that is left; what is yielded moves it on by one submission."""
    columns = [TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("grading", total=total)
        yield lambda: bar.advance(task)


def show(results: ClassResults, out: Path, notes: list[str]) -> None:
    """A table of the class, what could not be graded, and where everything is."""
    console = Console()
    console.print(_class_table(results) if len(results.learners) > LONG_CLASS else _table(results))
    for line in [*_not_graded(results), *notes]:
        console.print(Text(line), soft_wrap=True)
    for level in results.sandboxes:
        console.print(Text(f"sandbox: {level}"), soft_wrap=True)
    seeds = ", ".join(sorted({str(one.seed) for one in results.conditions}))
    console.print(Text(f"seed {seeds}; written to {out}"), soft_wrap=True)


def _table(results: ClassResults) -> Table:
    table = _columns(results, "learner")
    possible = shown(results.worth_of(results.exercises))
    for learner in results.learners:
        cells = [_solved(learner, scope) for scope in results.scopes]
        points = shown(learner.points(results.exercises, results.worth))
        table.add_row(Text(learner.name), *cells, f"{points} of {possible}")
    return table


def _class_table(results: ClassResults) -> Table:
    table = _columns(results, "")
    groups = [[one for one in results.learners if scope.chapter.number in one.pieces] for scope in results.scopes]
    table.add_row("learners", *(str(len(group)) for group in groups), str(len(results.learners)))
    points = [
        sum(one.points(scope.exercises, results.worth) for one in group) / max(len(group), 1)
        for scope, group in zip(results.scopes, groups)
    ]
    possible = [results.worth_of(scope.exercises) for scope in results.scopes]
    table.add_row("points, mean", *(f"{mean:.1f} of {shown(most)}" for mean, most in zip(points, possible)), "")
    return table


def _columns(results: ClassResults, first: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first)
    for scope in results.scopes:
        table.add_column(f"chapter {scope.chapter.number}", justify="right")
    table.add_column("points" if first else "all", justify="right")
    return table


def _solved(learner: LearnerResults, scope: ChapterScope) -> str:
    if scope.chapter.number not in learner.pieces:
        return ""
    return f"{learner.solved(scope.exercises)} of {len(scope.exercises)}"


def _not_graded(results: ClassResults) -> Iterator[str]:
    for learner in results.learners:
        for line in learner.left_out:
            yield f"{learner.name}: not graded: {line}"
        for piece in learner.pieces.values():
            if piece.error:
                yield f"{learner.name}: {piece.file} could not be graded: {piece.error}"
