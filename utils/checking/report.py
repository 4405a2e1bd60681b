"""This file knows how to turn the results of one exercise into what its learner should read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import suppress
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
    broken_below: tuple[str, ...] = ()  # objects this one is built on that do not pass their own checks
    printed: str = ""

    @property
    def passed(self) -> bool:
        return self.n_passed > 0 and not self.first_failure

    @property
    def state(self) -> str:
        """``passed``, ``failed`` or ``unwritten``."""
        if self.passed:
            return "passed"
        own_stub = self.complaint is not None and self.complaint.kind == "unwritten"
        return "unwritten" if own_stub and self.complaint.seen.startswith(f"{self.exercise.number} ") else "failed"

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
    results = run(chapter, [submission.focused_on(exercise.objects)], device=device, seed=seed)
    broken: tuple[str, ...] = ()
    mistake = None
    if any(result.complaint for result in results):
        broken = tuple(_broken_below(chapter, exercise, submission, device, seed))
        for name in exercise.objects if not broken else ():
            of_name = [result for result in results if name in result.objects]
            mistake = mistake or name_mistake(chapter, name, of_name, device=device, seed=seed)
    printed = next((result.printed for result in results if result.printed), "")
    report = Report(chapter, exercise, tuple(results), mistake, broken, printed)
    if keep:
        points = exercise.points if report.passed else 0
        progress.record(
            exercise.number,
            passed=report.passed,
            tests_passed=report.n_passed,
            tests_total=len(results),
            points=points,
        )
    return report


def _broken_below(
    chapter: Chapter, exercise: Exercise, submission: Submission, device: str, seed: int
) -> Iterator[str]:
    """The objects of earlier exercises that this one's code uses and that do not pass their own checks."""
    used: set[str] = set()
    for name in exercise.objects:
        with suppress(Complaint):
            used |= set(_names_in(submission.get(name)))
    earlier = chapter.exercises[: chapter.exercises.index(exercise)]
    below = {name: other.number for other in earlier for name in other.objects if name in used}
    if not below:
        return
    results = run(chapter, [submission.focused_on(below)], device=device, seed=seed)
    for name, number in below.items():
        if any(result.complaint for result in results if name in result.objects):
            yield f"{name} ({number})"


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
