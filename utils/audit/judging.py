"""This file knows how to judge one mutant: does its exercise's checker refuse it, and in which words."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from utils.checking.cells import make_cell
from utils.checking.mistakes import changed_cells, defining_cell, load_mistakes, solution_cells
from utils.checking.naming import Tried, name_mistake
from utils.checking.run import Submission, TestResult, run
from utils.course import Chapter, Exercise

# Seconds of processor time, so that a busy machine condemns nobody: so many times what the solution takes, at least
# the second number.
PATIENCE = 20
LEAST_PATIENCE = 3.0


@dataclass(frozen=True)
class Suspect:
    """What a worker needs to know of a mutant."""

    hash: str
    exercise: str
    object: str
    cell: str


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: ``how`` it was refused, by which tests (the first one speaks), as which named mistake.

    ``how`` is empty for a survivor, ``time`` where it had to be stopped, ``mistake`` where the notebook names it, and
    otherwise the kind of the first complaint.
    """

    how: str
    tests: tuple[str, ...] = ()
    mistake: str = ""

    @property
    def killed(self) -> bool:
        return bool(self.how)


class Judge:
    """Judges the mutants of one chapter in this process, in which everything stays warm."""

    def __init__(self, chapter: Chapter):
        self.chapter = chapter
        self.exercises = {exercise.number: exercise for exercise in chapter.exercises}

    def prepare(self, number: str) -> float:
        """Do once what all mutants of an exercise need; seconds of processor time that each of them may take."""
        for name in self.exercises[number].objects:
            _tried(self, name)
        return _patience(self, number)

    def judge(self, suspect: Suspect) -> Verdict:
        exercise = self.exercises[suspect.exercise]
        cells = list(solution_cells(self.chapter))
        label = f"mutant {suspect.hash}"
        cells[defining_cell(cells, suspect.object)] = make_cell(suspect.cell, label)
        submission = Submission(label, cells=cells, focus=exercise.objects)
        try:
            with stopped_after(self.prepare(suspect.exercise)):
                results = run(self.chapter, [submission])
        except TookTooLong:
            return Verdict("time")
        refused = [result for result in results if result.complaint]
        if not refused:
            return Verdict("")
        mistake = self.named(exercise, results)
        how = "mistake" if mistake else refused[0].complaint.kind
        return Verdict(how, tuple(result.test for result in refused), mistake)

    def named(self, exercise: Exercise, results: list[TestResult]) -> str:
        """The mistake that the notebook names; here all tests are compared, where a notebook stops after half a second."""
        for name in exercise.objects:
            of_name = [result for result in results if name in result.objects]
            mistake = name_mistake(self.chapter, name, of_name, tried=_tried(self, name), budget=math.inf)
            if mistake:
                return mistake.name
        return ""

    def still_accepts_the_solution(self, number: str) -> bool:
        """False where a mutant left something behind in this process that harms those after it."""
        return all(result.complaint is None for result in self.solution(self.exercises[number]))

    def solution(self, exercise: Exercise) -> list[TestResult]:
        return run(self.chapter, [Submission("solution", cells=solution_cells(self.chapter), focus=exercise.objects)])


@lru_cache(maxsize=4)
def _tried(judge: Judge, name: str) -> Tried:
    """How every named mistake of an object fares in every test."""
    mistakes = [mistake for mistake in load_mistakes(judge.chapter) if mistake.object == name]
    submissions = [
        Submission(mistake.label, cells=changed_cells(judge.chapter, mistake), focus=[name]) for mistake in mistakes
    ]
    tried = Tried()
    tried.add(judge.chapter, {(made.submission, made.test): made for made in run(judge.chapter, submissions)})
    return tried


@lru_cache
def _patience(judge: Judge, number: str) -> float:
    exercise = judge.exercises[number]
    judge.solution(exercise)  # builds models and the like, which are kept
    start = time.process_time()
    judge.solution(exercise)
    return max(LEAST_PATIENCE, PATIENCE * (time.process_time() - start))


class TookTooLong(Exception):
    """A mutant was stopped."""


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Stop a pytest session that has taken so many seconds of processor time, as far as Python's own code goes.

    Who loops inside of a library, or sleeps, has to be stopped from outside.
    """
    stopped = []

    def stop(*_: Any) -> None:
        stopped.append(True)
        raise KeyboardInterrupt  # the one exception that neither a test's fixtures nor pytest takes for the test's own

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, LEAST_PATIENCE)
    try:
        yield
    except (RuntimeError, KeyboardInterrupt):  # `run` makes the first of the second
        if stopped:
            raise TookTooLong from None
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
