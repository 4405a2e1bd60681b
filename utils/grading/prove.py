"""This file knows how to prove that the grader judges as the notebook does: solutions, stubs, right answers, every mistake."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from utils import course
from utils.checking.cells import Cell
from utils.checking.mistakes import changed_cells, load_mistakes, load_right_answers
from utils.checking.report import check_exercise
from utils.checking.run import Submission
from utils.course import Chapter, Exercise
from utils.grading.grader import Grader


def wrong_solutions(grader: Grader, chapter: Chapter) -> Iterator[str]:
    """Which exercises do not pass with their solution."""
    for report in grader.grade(chapter.source, chapter, chapter.exercises):
        if not report.passed:
            yield f"solution of {report.exercise.number}: {report.complaint or 'no test'}"


def wrong_stubs(grader: Grader, chapter: Chapter) -> Iterator[str]:
    """Which exercises of the student notebook are not refused, in every test, as not written yet."""
    for report in grader.grade(chapter.student_notebook, chapter, chapter.exercises):
        kinds = {result.complaint.kind if result.complaint else "passed" for result in report.results}
        if kinds != {"unwritten"}:
            yield f"stub of {report.exercise.number}: {', '.join(sorted(kinds))}"


def wrong_mistakes(grader: Grader, chapter: Chapter, every: int = 1, offset: int = 0) -> Iterator[str]:
    """Which of the named mistakes, or of every n-th, are not refused in their own sentence, or the one of the notebook."""
    for mistake in load_mistakes(chapter)[offset::every]:
        exercise, cells = exercise_of(chapter, mistake.object), changed_cells(chapter, mistake)
        for report in grader.grade_bytes(notebook(cells), "mistake.ipynb", chapter, [exercise]):
            if report.passed:
                yield f"{mistake.label}: passes"
            elif report.mistake != mistake:
                here = check_exercise(
                    chapter, exercise, Submission("here", cells=cells), device=grader.device, keep=False
                )
                if report.mistake != here.mistake:
                    named = report.mistake.label if report.mistake else "nothing"
                    yield f"{mistake.label}: taken for {named}; {report.complaint}"


def wrong_right_answers(grader: Grader, chapter: Chapter, every: int = 1, offset: int = 0) -> Iterator[str]:
    """Which of the right answers written in other ways, or of every n-th, do not pass."""
    for answer in load_right_answers(chapter)[offset::every]:
        exercise, cells = exercise_of(chapter, answer.object), changed_cells(chapter, answer)
        for report in grader.grade_bytes(notebook(cells), "answer.ipynb", chapter, [exercise]):
            if not report.passed:
                yield f"right answer {answer.label}: {report.complaint or 'no test'}"


def exercise_of(chapter: Chapter, name: str) -> Exercise:
    return next(exercise for exercise in chapter.exercises if name in exercise.objects)


def notebook(cells: list[Cell]) -> bytes:
    """A notebook of these cells."""
    listed = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": cell.source} for cell in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": listed}).encode()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.grading.prove", description="Prove the grader.")
    parser.add_argument("chapter", nargs="?", default="1")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th mistake and right answer only")
    parser.add_argument("--offset", type=int, default=0, metavar="N", help="beginning with the N-th")
    options = parser.parse_args(argv)
    chapter = course.chapter(options.chapter)
    count = 0
    with Grader() as grader:
        print(grader.level, flush=True)
        for lines in (
            wrong_solutions(grader, chapter),
            wrong_stubs(grader, chapter),
            wrong_right_answers(grader, chapter, options.every, options.offset),
            wrong_mistakes(grader, chapter, options.every, options.offset),
        ):
            for line in lines:
                count += 1
                print(line, flush=True)
    mistakes, answers = (
        len(load(chapter)[options.offset :: options.every]) for load in (load_mistakes, load_right_answers)
    )
    tried = f"{len(chapter.exercises)} exercises, {answers} right answers, {mistakes} mistakes"
    print(f"chapter {chapter.number}: {tried}: {count} wrong")
    return int(bool(count))


if __name__ == "__main__":
    raise SystemExit(main())
