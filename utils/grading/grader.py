"""This file knows how to grade one submission: the checker runs here, the learner's code in a sandboxed worker."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from utils import course
from utils.checking.cells import UnreadableSubmission
from utils.checking.complaints import Complaint
from utils.checking.mistakes import Mistake, solution_cells
from utils.checking.naming import Tried, name_mistake
from utils.checking.report import Report
from utils.checking.run import Submission, TestResult, run
from utils.checking.transcript import Transcript
from utils.course import Chapter, Exercise
from utils.grading.imports import imported_modules
from utils.grading.remote import ENDED, Remote, RemoteSubmission
from utils.grading.sandbox import Zygote, time_limit
from utils.models.device import choose_device
from utils.refusal import CannotDo

LARGEST_FILE = 100 << 20  # bytes
CHANGES = {
    "weights": ("changed the weights of the model", "assignments to .data, calls that end in _, and optimizers"),
    "activations": ("changed the activations that it was given", "calls that end in _, and assignments into slices"),
    "hooks": ("left a hook on the model", "add_hook and register_forward_hook: take away what you put on"),
}


class Grader:
    """Grades submissions one after the other, with a warm process from which their workers come; a context manager.

    ``timeout`` are the seconds for the learner's code in all tests of an exercise, ``memory`` the GiB of a worker.
    ``modules`` is what workers find imported; what all chapters import if nothing is said.
    """

    def __init__(
        self,
        *,
        device: str = "auto",
        seed: int = 0,
        timeout: float = 10.0,
        memory: float = 2.0,
        require_sandbox: bool = False,
        modules: Iterable[str] | None = None,
    ):
        # the inputs of checkers are small: a worker would wait longer for a GPU than it computes
        self.device = "cpu" if device == "auto" else device
        self.seed, self.timeout = seed, timeout
        exercises = sum(len(chapter.exercises) for chapter in course.chapters())
        self.zygote = Zygote(
            memory=memory,
            seconds=time_limit(timeout, exercises),
            device=_device(self.device),
            modules=list(imported_modules(course.chapters()) if modules is None else modules),
            require_sandbox=require_sandbox,
        )
        self.tried = Tried()
        self.changing: dict[tuple[str, str], bool] = {}  # whether a test's solution changes the model it is given

    @property
    def level(self) -> str:
        """One line: which sandbox this machine gives."""
        return self.zygote.level

    def __enter__(self) -> Grader:
        self.zygote.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.zygote.stop()

    def grade(self, path: Path, chapter: Chapter, exercises: list[Exercise]) -> Iterator[Report]:
        """One report for each exercise; a file that cannot be read fails each with the line that says why."""
        try:
            data = read(path)
        except UnreadableSubmission as error:
            return failed(path.name, chapter, exercises, Complaint(str(error), kind="unreadable"))
        return self.grade_bytes(data, path.name, chapter, exercises)

    def grade_bytes(self, data: bytes, name: str, chapter: Chapter, exercises: list[Exercise]) -> Iterator[Report]:
        """The same for a file of this name that holds these bytes."""
        numbers = {name: each.number for each in chapter.exercises for name in each.objects}
        side = Remote(self.zygote.worker, data, name, numbers, self.timeout, choose_device(self.device))
        waiting = list(exercises)
        try:
            for report in self._reports(side, chapter, exercises):
                waiting.remove(report.exercise)
                yield report
        except CannotDo:
            raise
        except Exception as error:  # one submission that the grader cannot cope with must not end the others
            told = f"the grader stumbled over {name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            yield from failed(name, chapter, waiting, Complaint(told, kind="checker"))
        finally:
            side.close()

    def _reports(self, side: Remote, chapter: Chapter, exercises: list[Exercise]) -> Iterator[Report]:
        line = self._why_unreadable(side)
        if line:
            yield from failed(side.name, chapter, exercises, Complaint(line, kind="unreadable"))
            return
        graded = _Graded(self, chapter, RemoteSubmission(side.name, side))
        graded.run(exercises)
        for exercise in exercises:
            yield graded.report(exercise)

    def _why_unreadable(self, side: Remote) -> str:
        try:
            return side.open()
        except Complaint as complaint:
            return f"{side.name} cannot be read: {complaint.seen}"


def _device(name: str) -> str:
    """CannotDo where this machine has none of that name: no submission would fare better."""
    try:
        return str(choose_device(name))
    except ValueError as error:
        raise CannotDo(f"--device {name}: {error}") from None


class _Graded:
    """One submission of one chapter: the results of its tests, as far as they were asked for."""

    def __init__(self, grader: Grader, chapter: Chapter, submission: RemoteSubmission):
        self.grader, self.chapter, self.submission = grader, chapter, submission
        self.results: list[TestResult] = []
        self.place = {name: place for place, each in enumerate(chapter.exercises) for name in each.objects}
        self.run_exercises: set[str] = set()
        self.as_checked: dict[str, TestResult] = {}  # results that are judged otherwise than the checker did

    def run(self, exercises: list[Exercise]) -> None:
        """One session of pytest for the tests of all of these exercises."""
        wanted = [exercise for exercise in exercises if exercise.number not in self.run_exercises]
        self.run_exercises |= {exercise.number for exercise in wanted}
        names = [name for exercise in wanted for name in exercise.objects]
        if names:
            focused = self.submission.focused_on(names)
            made = run(self.chapter, [focused], device=self.grader.device, seed=self.grader.seed)
            self.results += [self._judged(result) for result in made]

    def of(self, exercise: Exercise) -> list[TestResult]:
        """The results of the tests that belong to an exercise: it is the last of those whose objects they use."""
        last = self.chapter.exercises.index(exercise)
        return [result for result in self.results if max(self.place[name] for name in result.objects) == last]

    def report(self, exercise: Exercise) -> Report:
        results = self.of(exercise)
        broken: tuple[str, ...] = ()
        mistake: Mistake | None = None
        failed = [result for result in results if result.complaint]
        if failed:
            broken = tuple(self._broken_below(exercise))
        if failed and not broken and not any(result.complaint.kind in ENDED for result in failed):
            checked = [self.as_checked.get(result.test, result) for result in results]
            for name in exercise.objects:
                mistake = mistake or self._named(name, [result for result in checked if name in result.objects])
        printed = next((result.printed for result in results if result.printed), "")
        light = tuple(
            replace(result, transcript=Transcript()) for result in results
        )  # all else can be kept for thousands
        return Report(self.chapter, exercise, light, mistake, broken, printed)

    def _named(self, name: str, results: list[TestResult]) -> Mistake | None:
        grader = self.grader
        return name_mistake(
            self.chapter, name, results, device=grader.device, seed=grader.seed, tried=grader.tried, budget=float("inf")
        )

    def _broken_below(self, exercise: Exercise) -> Iterator[str]:
        """The objects of earlier exercises that this one's code uses and that do not pass their own checks."""
        used: set[str] = set()
        for name in exercise.objects:
            try:
                used |= self.submission.side.names_used(name)
            except Complaint:
                continue
        earlier = self.chapter.exercises[: self.chapter.exercises.index(exercise)]
        below = {name: other for other in earlier for name in other.objects if name in used}
        self.run(list({other.number: other for other in below.values()}.values()))
        for name, other in below.items():
            if any(result.complaint for result in self.of(other) if name in result.objects):
                yield f"{name} ({other.number})"

    def _judged(self, result: TestResult) -> TestResult:
        """A test is not passed by changing what the rule is worked out from."""
        tampered = self.submission.side.tampered.pop(result.test, []) if result.passed else []
        for kind in tampered:
            if kind == "weights" and self._solution_changes(result.test):
                continue
            seen, look_at = CHANGES[kind]
            self.as_checked[result.test] = result
            rule = "what is handed in is as it was when the call returns"
            told = Complaint(f"{' and '.join(result.objects)} {seen}", rule=rule, look_at=look_at, kind="in_place")
            return replace(result, passed=False, complaint=told)
        return result

    def _solution_changes(self, test: str) -> bool:
        """Whether in this test the course's own solution changes the model that it is given: a training does."""
        known, key = self.grader.changing, (self.chapter.name, test)
        if key not in known:
            solution = Submission("solution", cells=solution_cells(self.chapter))
            made = run(self.chapter, [solution], tests={test}, device=self.grader.device, seed=self.grader.seed)
            labels = [label for result in made for label, _ in result.transcript.entries]
            known[key] = any(label.endswith(" changed the model") for label in labels)
        return known[key]


def read(path: Path) -> bytes:
    """The bytes of a submission, which must be a file of sensible size."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise UnreadableSubmission(f"{path.name} is no file")
        if facts.st_size > LARGEST_FILE:
            raise UnreadableSubmission(f"{path.name} is larger than {LARGEST_FILE >> 20} MiB: clear its outputs")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableSubmission(f"{path.name} cannot be read: {error.strerror}") from None


def failed(name: str, chapter: Chapter, exercises: list[Exercise], complaint: Complaint) -> Iterator[Report]:
    """Reports of exercises none of whose tests could be run."""
    for exercise in exercises:
        result = TestResult("test_the_file_can_be_read", name, tuple(exercise.objects), complaint=complaint)
        yield Report(chapter, exercise, (result,))
