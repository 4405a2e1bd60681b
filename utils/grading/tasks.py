"""This file knows what one process asks another to grade."""

from __future__ import annotations

from dataclasses import dataclass, field

from utils.course import Chapter, Exercise
from utils.grading.records import Conditions, Key, Record


@dataclass(frozen=True)
class Task:
    """One submission to grade, its bytes included: what is graded is what was hashed, on whichever machine."""

    learner: str
    chapter: Chapter
    exercises: list[Exercise]
    file: str
    sha256: str
    content: bytes = field(repr=False)
    conditions: Conditions
    require_sandbox: bool = False
    unreadable: str = ""  # why there is no content
    modules: tuple[str, ...] = ()  # what the submissions of this run import

    def key(self, exercise: Exercise) -> Key:
        return Key(self.learner, self.chapter.name, exercise.number, self.sha256, self.conditions)


def grade(task: Task) -> list[Record]:
    """A record for each exercise. Whoever only asks another process for this does without PyTorch."""
    from utils.grading.grade_one import grade_task

    return grade_task(task)
