"""This file knows how to turn the results of one exercise into what its learner should read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from utils import progress
from utils.checking.complaints import Complaint
from utils.checking.mistakes import Mistake
from utils.checking.naming import name_mistake
from utils.checking.run import Submission, TestResult, run
from utils.course import Chapter, Exercise


@dataclass(frozen=True)
class Report:
    """The outcome of one exercise for one submission."""

    chapter: Chapter
    exercise: Exercise
    results: tuple[TestResult, ...]
    mistake: Mistake | None = None
    unchecked: tuple[str, ...] = ()  # objects this one is built on whose own check has not passed
    printed: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.results) and all(result.passed or result.skipped for result in self.results)

    @property
    def state(self) -> str:
        """``passed``, ``failed`` or ``unwritten``."""
        if self.passed:
            return "passed"
        return "unwritten" if self.complaint is not None and self.complaint.kind == "unwritten" else "failed"

    @property
    def first_failure(self) -> TestResult | None:
        return next((result for result in self.results if result.complaint), None)

    @property
    def complaint(self) -> Complaint | None:
        return self.first_failure.complaint if self.first_failure else None

    @property
    def n_passed(self) -> int:
        return sum(result.passed for result in self.results)


def check_exercise(
    chapter: Chapter,
    exercise: Exercise,
    submission: Submission,
    *,
    device: str = "auto",
    seed: int = 0,
    keep: bool = True,
) -> Report:
    """Run an exercise's tests against a submission, name the mistake if it is a known one, and keep the progress."""
    focused = submission.focused_on(exercise.objects)
    results = [result for result in run(chapter, [focused], device=device, seed=seed) if result.objects]
    mistake = None
    for name in exercise.objects:
        of_name = [result for result in results if name in result.objects]
        if mistake is None and any(result.complaint for result in of_name):
            mistake = name_mistake(chapter, name, of_name, device=device, seed=seed)
    report = Report(
        chapter,
        exercise,
        tuple(results),
        mistake,
        tuple(_unchecked(chapter, exercise, submission)) if any(result.complaint for result in results) else (),
        next((result.printed for result in results if result.printed), ""),
    )
    if keep:
        points = exercise.points if report.passed else 0
        progress.record(
            exercise.number, passed=report.passed, tests_passed=report.n_passed, tests_total=len(results), points=points
        )
    return report


def _unchecked(chapter: Chapter, exercise: Exercise, submission: Submission) -> Iterator[str]:
    kept = progress.load()
    numbers = {name: other.number for other in chapter.exercises for name in other.objects if other is not exercise}
    for name in exercise.objects:
        try:
            used = set(_names_in(submission.get(name)))
        except Complaint:
            continue
        for other in numbers:
            entry = kept.get(numbers[other], {})
            if other in used and (not entry.get("solved") or entry["tests_passed"] < entry["tests_total"]):
                yield f"{other} ({numbers[other]})"


def _names_in(value: Any) -> Iterator[str]:
    """Every name that a function, or the methods of a class, uses."""
    functions = (
        [value] if not inspect.isclass(value) else [member for member in vars(value).values() if callable(member)]
    )
    codes = [
        inspect.unwrap(function).__code__ for function in functions if hasattr(inspect.unwrap(function), "__code__")
    ]
    while codes:
        code = codes.pop()
        yield from code.co_names
        yield from code.co_freevars
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
