"""This file knows how to run a chapter's checkers against submissions in this process, and what comes out of that."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from utils.checking.cells import Cell, UnreadableSubmission, read_cells
from utils.checking.complaints import Complaint
from utils.checking.side import HERE, Here
from utils.checking.slicing import namespace_of
from utils.checking.transcript import Transcript
from utils.course import Chapter
from utils.paths import REPO

QUIET_PYTEST = [
    "-p", "utils.checking.plugin", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:faulthandler",
    "-p", "no:unraisableexception", "-p", "no:threadexception",  # these two collect garbage over torch's heap: 0.2 s
    "-p", "no:logging", "-p", "no:warnings", "-p", "no:doctest", "-p", "no:junitxml", "-p", "no:pastebin",
    "-p", "no:stepwise", "--capture=no", "--import-mode=importlib", "-o", "addopts=", "-o", "xfail_strict=false",
]  # fmt: skip


# Test inputs are small: a second thread costs more than it brings. `circuits audit --stability` tries two.
threads = 1


class Submission:
    """Somebody's objects by name, made when they are first asked for. ``focus`` limits the tests to those of these objects.

    ``side`` is where these objects live: here in this process.
    """

    side: Here = HERE

    def __init__(
        self,
        label: str,
        objects: Mapping[str, Any] | None = None,
        cells: list[Cell] | None = None,
        focus: Iterable[str] = (),
    ):
        self.label = label
        self.focus = set(focus)
        self._objects = dict(objects or {})
        self._cells = cells
        self._complaints: dict[str, Complaint] = {}

    @classmethod
    def from_file(cls, path: Path, focus: Iterable[str] = ()) -> Submission:
        """A notebook or Python file; UnreadableSubmission if it is neither."""
        return cls(path.name, cells=read_cells(path), focus=focus)

    def focused_on(self, names: Iterable[str]) -> Submission:
        """The same objects, but only the tests of ``names``."""
        same = Submission(self.label, cells=self._cells, focus=names)
        same._objects, same._complaints = self._objects, self._complaints
        return same

    def get(self, name: str) -> Any:
        """The object called ``name``; a Complaint if it is not there or its definition fails."""
        if name in self._complaints:
            raise self._complaints[name]
        if name not in self._objects:
            try:
                if self._cells is None:
                    raise Complaint(f"{name} is not defined", kind="missing")
                self._objects[name] = namespace_of(self._cells, [name])[name]
            except Complaint as complaint:
                self._complaints[name] = complaint
                raise
        return self._objects[name]

    def refuse(self, name: str, complaint: Complaint) -> None:
        """From now on, whoever asks for the object called ``name`` gets this complaint."""
        self._complaints[name] = complaint


@dataclass
class TestResult:
    """One checker test against one submission."""

    __test__ = False  # not a pytest class

    test: str
    submission: str
    objects: tuple[str, ...]
    passed: bool = False
    skipped: str = ""
    complaint: Complaint | None = None
    seconds: float = 0.0
    transcript: Transcript = field(default_factory=Transcript)
    printed: str = ""

    @property
    def sentence(self) -> str:
        return self.test.removeprefix("test_").replace("_", " ")


@dataclass(eq=False)  # pytest keeps plugins in a dictionary
class Plan:
    """What a pytest session of ours is to run, and where its results go. It is registered as a plugin, so that ours finds it."""

    chapters: list[Chapter]
    submissions: list[Submission] = field(default_factory=list)  # none: each chapter's own solutions
    tests: set[str] | None = None
    device: str = "auto"
    seed: int = 0
    results: list[TestResult] = field(default_factory=list)
    solutions: dict[str, Submission] = field(default_factory=dict)

    @cached_property
    def place(self) -> dict[str, int]:
        """Where in the course each object is written: the place of its exercise."""
        exercises = [exercise for chapter in self.chapters for exercise in chapter.exercises]
        return {name: place for place, exercise in enumerate(exercises) for name in exercise.objects}

    def wants(self, test: str, objects: Iterable[str], submission: Submission) -> bool:
        """True if this test is to run for this submission. A test belongs to the last of the exercises whose objects it uses,
        so that checking an exercise never asks for what comes later."""
        if self.tests is not None and test not in self.tests:
            return False
        if not submission.focus:
            return True
        last = max(self.place[name] for name in objects)
        return any(name in objects and self.place[name] == last for name in submission.focus)


def run(
    chapter: Chapter,
    submissions: list[Submission],
    *,
    tests: Iterable[str] | None = None,
    device: str = "auto",
    seed: int = 0,
) -> list[TestResult]:
    """Run the chapter's tests against each submission, those of its ``focus`` only; nothing outside is disturbed."""
    if not submissions:
        return []  # to pytest, none would mean the solutions
    plan = Plan([chapter], list(submissions), set(tests) if tests is not None else None, device, seed)
    _forget_if_changed(chapter.checker)
    arguments = [str(chapter.checker), "--rootdir", str(REPO), *QUIET_PYTEST]
    with undisturbed(), _environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS=""):
        code = pytest.main(arguments, plugins=[plan])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(
            f"pytest could not run {chapter.checker.name} ({pytest.ExitCode(code).name}); run it on the command line to see why"
        )
    return plan.results


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Put random states, grad mode, default dtype, threads and TF32 settings back as they were."""
    python, numbers = random.getstate(), numpy.random.get_state()
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else None
    grad, dtype, n_threads = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
    precise = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        with torch.inference_mode(False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = precise
        torch.set_num_threads(n_threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        torch.set_rng_state(cpu)
        numpy.random.set_state(numbers)
        random.setstate(python)


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


_seen: dict[Path, int] = {}


def _forget_if_changed(checker: Path) -> None:
    """An author edits a checker while a notebook is open: the next check uses the new one."""
    changed = checker.stat().st_mtime_ns
    if _seen.setdefault(checker, changed) != changed:
        for name, module in list(sys.modules.items()):
            if getattr(module, "__file__", None) == str(checker):
                del sys.modules[name]
        _seen[checker] = changed


__all__ = ["Plan", "Submission", "TestResult", "UnreadableSubmission", "run", "undisturbed"]
