"""This file knows how to keep what grading found: one line of JSON for each submission and exercise, written as it comes.

Everything else that a run writes can be made again from these lines. A line says what it was made from (learner,
chapter, exercise, hash of the file) and under which conditions (version of the checkers, seed, device, limits), so a
run that was interrupted goes on where it stopped: what is there is not graded again, and half a line, left by a
process that was killed in the middle of writing it, is taken away and graded again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from utils.refusal import CannotDo

FILE = "results.jsonl"


@dataclass(frozen=True)
class Conditions:
    """What, besides the submission, decides a result."""

    checker: str  # version of the chapter's checkers, see version.py
    seed: int = 0
    device: str = "auto"
    timeout: float = 10.0
    memory: float = 2.0


@dataclass(frozen=True)
class Key:
    """What tells results apart: there is one record of each."""

    learner: str
    chapter: str
    exercise: str
    sha256: str
    conditions: Conditions


@dataclass(frozen=True)
class TestOutcome:
    """One test of an exercise. ``seen`` and what follows say why it failed."""

    __test__ = False  # not a pytest class

    test: str
    objects: list[str]
    passed: bool
    seconds: float = 0.0
    skipped: str = ""
    kind: str = ""
    seen: str = ""
    rule: str = ""
    look_at: str = ""
    frames: list[dict[str, Any]] = field(default_factory=list)  # place, line, function, source

    @property
    def sentence(self) -> str:
        return self.test.removeprefix("test_").replace("_", " ")

    @property
    def failed(self) -> bool:
        return bool(self.kind)


@dataclass(frozen=True)
class Record:
    """What grading found out about one exercise of one submission."""

    key: Key
    file: str
    state: str  # passed, failed, unwritten or unreadable
    tests: list[TestOutcome]
    sandbox: str  # the level that it was made under
    mistake: dict[str, str] | None = None  # name and sentence
    broken_below: list[str] = field(default_factory=list)
    picture: dict[str, Any] | None = None  # yours, rule, axes, caption
    printed: str = ""
    seconds: float = 0.0  # of its own tests
    graded: str = ""  # when, in UTC

    @property
    def first_failure(self) -> TestOutcome | None:
        return next((test for test in self.tests if test.failed), None)

    @property
    def sandboxed(self) -> bool:
        return self.sandbox.startswith("bubblewrap")

    def line(self) -> str:
        """One line of plain ASCII, so that no text in it can be taken for an end of line."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_line(cls, line: str | bytes) -> Record:
        """ValueError where it is no record."""
        try:
            facts = json.loads(line)
            key = facts.pop("key")
            key["conditions"] = Conditions(**key["conditions"])
            tests = [TestOutcome(**test) for test in facts.pop("tests")]
            return cls(key=Key(**key), tests=tests, **facts)
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a record: {error}") from None


class RecordFile:
    """The file of a run: records are appended, and read again one by one. Only one process at a time may hold it."""

    def __init__(self, folder: Path, *, resume: bool = False):
        self.path = folder / FILE
        self.dropped = 0
        self._places: dict[Key, int] = {}
        self._resume = resume
        self._last: Key | None = None

    def __enter__(self) -> RecordFile:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b")  # noqa: SIM115
        except OSError as error:
            raise CannotDo(f"results cannot be written to {self.path}: {error.strerror}") from None
        try:
            self._lock()
            if self._file.tell() and not self._resume:
                raise CannotDo(
                    f"{self.path.parent} holds the results of an earlier run: --resume goes on with it, "
                    "--out names another folder"
                )
            self._read_all()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def __contains__(self, key: Key) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    @property
    def last(self) -> Key | None:
        return self._last

    def append(self, records: Iterable[Record]) -> None:
        """Write what is new to disk; when this returns, it is there."""
        for record in records:
            if record.key not in self._places:
                self._note(record.key, self._file.seek(0, os.SEEK_END))
                self._file.write(record.line().encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def read(self, key: Key) -> Record:
        self._file.seek(self._places[key])
        return Record.from_line(self._file.readline())

    def remove(self, keys: Iterable[Key]) -> None:
        """Take records away, so that they are graded again."""
        gone = set(keys)
        if gone:
            self._places = {key: place for key, place in self._places.items() if key not in gone}
            self._rewrite()

    def _note(self, key: Key, place: int) -> None:
        self._places[key] = place
        self._last = key

    def _read_all(self) -> None:
        """Learn what is there, and take away what is no whole record."""
        place = 0
        for whole, line in _lines(self._file):
            record = None
            if whole:
                with contextlib.suppress(ValueError):
                    record = Record.from_line(line)
            if record is None or record.key in self._places:
                self.dropped += 1
            else:
                self._note(record.key, place)
            place += len(line)
        if self.dropped:
            self._rewrite()

    def _rewrite(self) -> None:
        """Only the good lines, in a new file that takes the old one's place."""
        beside = self.path.with_name(f".{FILE}.new")
        with open(beside, "wb") as new:
            for key, place in self._places.items():
                self._file.seek(place)
                self._places[key] = new.tell()
                new.write(self._file.readline())
            new.flush()
            os.fsync(new.fileno())
        os.replace(beside, self.path)
        self._file.close()
        self._file = open(self.path, "a+b")  # noqa: SIM115
        self._lock()

    def _lock(self) -> None:
        try:
            import fcntl

            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotDo(f"another run is writing to {self.path.parent}; --out names another folder") from None
        except (ImportError, OSError):
            pass  # a file system without locks


def _lines(file: Any) -> Iterator[tuple[bool, bytes]]:
    file.seek(0)
    for line in file:
        yield line.endswith(b"\n"), line
