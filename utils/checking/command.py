"""This file knows the command ``circuits check``: a chapter or an exercise of a notebook or Python file, from outside."""

from __future__ import annotations

import argparse
from pathlib import Path

from utils import course, paths
from utils.checking.cells import UnreadableSubmission
from utils.checking.run import Submission
from utils.course import Chapter, Exercise
from utils.models.device import choose_device
from utils.refusal import CannotDo


def main(argv: list[str]) -> int:
    """Exit status 0 if everything asked for passes, 1 if not, 2 if it could not be checked."""
    parser = argparse.ArgumentParser(prog="circuits check", description="Check a chapter (1) or an exercise (1.4).")
    parser.add_argument("what", help="a chapter such as 1, or an exercise such as 1.4")
    parser.add_argument(
        "--submission", type=Path, metavar="PATH", help="a notebook or .py file; your copy in work/ if not given"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    options = parser.parse_args(argv)
    chapter, exercises = _asked_for(options.what)
    try:
        choose_device(options.device)
        path = options.submission or paths.WORK / chapter.student_notebook.name
        if not path.exists() and not options.submission:
            raise CannotDo(
                f"you have no copy of chapter {chapter.number} yet: `circuits learn {chapter.number}` makes one, "
                "--submission PATH names another file"
            )
        submission = Submission.from_file(path)
    except (UnreadableSubmission, ValueError) as error:
        raise CannotDo(str(error)) from None
    from utils.checking.card import text
    from utils.checking.report import check_exercise

    # a file that is not the learner's own copy says nothing about the learner's progress
    own = path.resolve() == (paths.WORK / chapter.student_notebook.name).resolve()
    reports = []
    for exercise in exercises:
        report = check_exercise(chapter, exercise, submission, device=options.device, keep=own)
        reports.append(report)
        print(text(report), flush=True)
    solved = sum(report.passed for report in reports)
    if len(reports) > 1:
        points = sum(report.exercise.points for report in reports if report.passed)
        total = sum(report.exercise.points for report in reports)
        print(f"\n{solved} of {len(reports)} exercises pass, {points} of {total} points")
    return 0 if solved == len(reports) else 1


def _asked_for(what: str) -> tuple[Chapter, list[Exercise]]:
    if "." not in what:
        chapter = course.chapter(what)
        return chapter, chapter.exercises
    everything = [exercise for chapter in course.chapters() for exercise in chapter.exercises]
    parts = [exercise for exercise in everything if exercise.number[-1].isalpha() and exercise.number[:-1] == what]
    exercises = parts or [course.exercise(what)]
    return course.chapter(exercises[0].chapter), exercises
