"""This file knows how to add up the records of a run: marks of each learner, and where a class is stuck.

Of each result only what a table needs is held in memory; whole records are read one learner at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from utils.checking.slicing import not_defined
from utils.course import Chapter, Exercise
from utils.grading.records import Conditions, Key, Record, TestOutcome

PASSED, FAILED, UNWRITTEN, UNREADABLE = "passed", "failed", "not written", "unreadable"
BLOCKED = "built on what does not pass"
ABSENT = "not defined"
NOT_GRADED, NOTHING = "not graded", "nothing handed in"


@dataclass(frozen=True)
class Mark:
    """What a table needs of one record."""

    state: str
    mistake: str = ""
    sentence: str = ""
    failed_test: str = ""
    absent: str = ""  # what the first test to fail did not find in the file at all


@dataclass(frozen=True)
class Piece:
    """One learner's file for one chapter, and the marks it got by exercise number."""

    chapter: Chapter
    file: str
    keys: dict[str, Key]  # by exercise number
    marks: dict[str, Mark]
    error: str = ""  # why the grader could not grade it


@dataclass
class LearnerResults:
    """All of one learner's marks."""

    name: str
    page: str  # the name of the learner's own report, without suffix
    ids: tuple[str, ...] = ()
    pieces: dict[int, Piece] = field(default_factory=dict)  # by chapter number
    left_out: list[str] = field(default_factory=list)

    def state(self, exercise: Exercise) -> str:
        piece = self.pieces.get(exercise.chapter)
        if piece is None:
            return NOTHING
        mark = piece.marks.get(exercise.number)
        if mark and mark.absent in exercise.objects:
            return ABSENT
        return mark.state if mark else NOT_GRADED

    def solved(self, exercises: list[Exercise]) -> int:
        return sum(self.state(exercise) == PASSED for exercise in exercises)

    def points(self, exercises: list[Exercise], worth: dict[str, float]) -> float:
        return sum(worth[exercise.number] for exercise in exercises if self.state(exercise) == PASSED)


@dataclass(frozen=True)
class ChapterScope:
    """The exercises of a chapter that were asked for."""

    chapter: Chapter
    exercises: list[Exercise]


@dataclass
class ClassResults:
    """Everything that the reports of a run are made from."""

    scopes: list[ChapterScope]
    learners: list[LearnerResults]
    worth: dict[str, float]  # points by exercise number
    read: Callable[[Key], Record]
    conditions: list[Conditions]
    sandboxes: Counter[str]
    graded: str = ""  # when the last result was made

    @property
    def exercises(self) -> list[Exercise]:
        return [exercise for scope in self.scopes for exercise in scope.exercises]

    def worth_of(self, exercises: list[Exercise]) -> float:
        return sum(self.worth[exercise.number] for exercise in exercises)

    def records(self, learner: LearnerResults, chapter: Chapter) -> Iterator[Record]:
        """The learner's records of a chapter, in the order of its exercises."""
        piece = learner.pieces.get(chapter.number)
        for number in piece.marks if piece else ():
            yield self.read(piece.keys[number])

    @cached_property
    def counts(self) -> dict[str, Counter[str]]:
        """How many learners are in which state, by exercise number."""
        return {one.number: Counter(learner.state(one) for learner in self.learners) for one in self.exercises}

    @cached_property
    def furthest(self) -> Counter[str]:
        """How many learners stand at each exercise: it is the first that they have not solved, and they solved another."""
        at: Counter[str] = Counter()
        for learner in self.learners:
            for scope in self.scopes:
                states = [(one.number, learner.state(one)) for one in scope.exercises]
                unsolved = [number for number, state in states if state not in (PASSED, NOTHING, NOT_GRADED)]
                if unsolved and any(state == PASSED for _, state in states):
                    at[unsolved[0]] += 1
        return at

    def mistakes(self, exercise: Exercise) -> list[tuple[str, str, list[LearnerResults]]]:
        """The known mistakes found in an exercise (name, sentence, who made it), the commonest first."""
        found: dict[tuple[str, str], list[LearnerResults]] = {}
        for learner in self.learners:
            piece = learner.pieces.get(exercise.chapter)
            mark = piece.marks.get(exercise.number) if piece else None
            if mark and mark.mistake:
                found.setdefault((mark.mistake, mark.sentence), []).append(learner)
        return sorted(((*told, who) for told, who in found.items()), key=lambda each: (-len(each[2]), each[0]))

    def stuck(self, most: int = 5) -> list[Exercise]:
        """The exercises that most learners have tried and not solved."""
        tried = [one for one in self.exercises if self.counts[one.number][FAILED]]
        return sorted(tried, key=lambda one: (-self.counts[one.number][FAILED], one.chapter))[:most]


def mark_of(record: Record) -> Mark:
    """A failure of something that a broken, unwritten or absent exercise is part of says nothing about this exercise."""
    failure = record.first_failure
    absent = _absent(failure) if failure is not None else ""
    state = UNWRITTEN if record.state == "unwritten" else record.state
    if state == FAILED and (absent or record.broken_below or (failure is not None and failure.kind == "unwritten")):
        state = BLOCKED
    told = record.mistake or {}
    sentence = failure.sentence if failure is not None else ""
    return Mark(state, told.get("name", ""), told.get("sentence", ""), sentence, absent)


def _absent(failure: TestOutcome) -> str:
    """The object of which there is no definition, not even one that cannot be read; empty where all are there."""
    names = failure.objects if failure.kind == "missing" else ()
    return next((name for name in names if failure.seen == not_defined(name)), "")
