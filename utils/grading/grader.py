"""This file knows how to grade one submission, exercise by exercise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from utils.checking.cells import UnreadableSubmission
from utils.checking.complaints import Complaint
from utils.checking.report import Report, check_exercise
from utils.checking.run import Submission, TestResult
from utils.course import Chapter, Exercise


class Grader:
    """Grades submissions one after the other; a context manager."""

    def __init__(
        self,
        *,
        device: str = "auto",
        seed: int = 0,
        timeout: float = 10.0,
        memory: float = 2.0,
        require_sandbox: bool = False,
    ):
        self.device, self.seed, self.timeout, self.memory = device, seed, timeout, memory
        self.level = "none: the learner's code runs in the grader's own process"

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        pass

    def grade(self, path: Path, chapter: Chapter, exercises: list[Exercise]) -> Iterator[Report]:
        """One report for each exercise; a file that cannot be read fails each with the line that says why."""
        try:
            submission = Submission.from_file(path)
        except UnreadableSubmission as error:
            complaint = Complaint(str(error), kind="unreadable")
            for exercise in exercises:
                result = TestResult("test_the_file_can_be_read", path.name, tuple(exercise.objects), complaint=complaint)
                yield Report(chapter, exercise, (result,))
            return
        for exercise in exercises:
            yield check_exercise(chapter, exercise, submission, device=self.device, seed=self.seed, keep=False)
