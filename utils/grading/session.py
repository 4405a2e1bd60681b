"""This file knows how to carry out a run: grade what has no record yet, and add up what the records say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from utils.course import Exercise
from utils.grading import batch
from utils.grading.imports import imported_modules
from utils.grading.records import Conditions, Key, RecordFile
from utils.grading.reports.page_names import page_names
from utils.grading.reports.results import ChapterScope, ClassResults, LearnerResults, Piece, mark_of
from utils.grading.submissions import Collected, HandIn, content_of
from utils.grading.tasks import Task

Errors = dict[tuple[str, int], str]  # why something could not be graded, by learner and chapter number


class Session:
    """One run over what was collected. ``conditions`` are those of each chapter, by its number."""

    def __init__(
        self,
        scopes: list[ChapterScope],
        collected: Collected,
        conditions: dict[int, Conditions],
        records: RecordFile,
        *,
        require_sandbox: bool = False,
    ):
        self.scopes, self.collected, self.conditions, self.records = scopes, collected, conditions, records
        self.require_sandbox = require_sandbox
        self.errors: Errors = {}
        self._exercises = {scope.chapter.number: scope.exercises for scope in scopes}
        if require_sandbox:
            keys = [self._key(handin, one) for handin in collected.handins for one in self._exercises_of(handin)]
            records.remove(key for key in keys if key in records and not records.read(key).sandboxed)

    def waiting(self) -> list[tuple[HandIn, list[Exercise]]]:
        """What has no record yet."""
        waiting = []
        for handin in self.collected.handins:
            missing = [one for one in self._exercises_of(handin) if self._key(handin, one) not in self.records]
            if missing:
                waiting.append((handin, missing))
        return waiting

    def grade(self, *, jobs: int, scheduler: str = "", advance: Callable[[], None] = lambda: None) -> None:
        """Grade what is waiting; every result is on disk before ``advance`` is called for it."""
        waiting = self.waiting()
        chapters = {handin.chapter.number: handin.chapter for handin, _ in waiting}
        modules = tuple(imported_modules(chapters.values()))
        device = next(iter(self.conditions.values())).device
        tasks = (self._task(handin, exercises, modules) for handin, exercises in waiting)
        outcomes = batch.grade_on_cluster(tasks, scheduler) if scheduler else batch.grade_here(tasks, jobs, device)
        for outcome in outcomes:
            self.records.append(outcome.records)
            if outcome.error:
                self.errors[outcome.task.learner, outcome.task.chapter.number] = outcome.error
            advance()

    def results(self, worth: dict[str, float]) -> ClassResults:
        """What the records say about everything that was collected."""
        people = {name: () for name, _ in self.collected.left_out} | self.collected.learners
        pages = page_names(people)
        learners = {name: LearnerResults(name, pages[name], ids) for name, ids in people.items()}
        for name, line in self.collected.left_out:
            learners[name].left_out.append(line)
        sandboxes: Counter[str] = Counter()
        last = ""
        for handin in self.collected.handins:
            number = handin.chapter.number
            keys = {one.number: self._key(handin, one) for one in self._exercises_of(handin)}
            piece = Piece(handin.chapter, handin.file, keys, {}, self.errors.get((handin.learner, number), ""))
            for exercise, key in keys.items():
                if key in self.records:
                    record = self.records.read(key)
                    piece.marks[exercise] = mark_of(record)
                    sandboxes[record.sandbox] += 1
                    last = max(last, record.graded)
            learners[handin.learner].pieces[number] = piece
        in_order = sorted(learners.values(), key=lambda one: (one.name.casefold(), one.name))
        told = [self.conditions[number] for number in self._exercises]
        return ClassResults(self.scopes, in_order, worth, self.records.read, told, sandboxes, last)

    def _exercises_of(self, handin: HandIn) -> list[Exercise]:
        return self._exercises[handin.chapter.number]

    def _key(self, handin: HandIn, exercise: Exercise) -> Key:
        conditions = self.conditions[handin.chapter.number]
        return Key(handin.learner, handin.chapter.name, exercise.number, handin.sha256, conditions)

    def _task(self, handin: HandIn, exercises: list[Exercise], modules: tuple[str, ...]) -> Task:
        content, why = b"", handin.unreadable
        if not why:
            try:
                content = content_of(handin.path)
            except OSError as error:
                why = f"{handin.file} could not be read: {error.strerror or error}"
        conditions = self.conditions[handin.chapter.number]
        facts = handin.learner, handin.chapter, exercises, handin.file, handin.sha256
        return Task(*facts, content, conditions, self.require_sandbox, why, modules)
