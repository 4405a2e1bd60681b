"""This file knows how to keep the verdicts on a chapter's mutants in a file of the repository, as long as they hold.

The file is tests/verdicts_NN_name.json. For each exercise it has the mark of what the verdicts depend on, the names of
the tests, and for each verdict the hashes of the mutants that got it: "differs 0 3" is a mutant refused by the first and
the fourth test, "mistake 1 'mean added'" one refused by the second test, in which the notebook names a mistake.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from utils.atomic_write import write_atomically
from utils.audit.contents import mark_of, tests_of
from utils.audit.judging import Verdict
from utils.audit.mutants import Mutant
from utils.course import Chapter


@dataclass
class Verdicts:
    """What is known of a chapter's mutants, by hash."""

    chapter: Chapter
    known: dict[str, Verdict] = field(default_factory=dict)
    outdated: set[str] = field(default_factory=set)  # whose verdicts do not hold any more
    marks: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, chapter: Chapter) -> Verdicts:
        """Those of the chapter's file that still hold."""
        marks = {exercise.number: mark_of(chapter, exercise) for exercise in chapter.exercises}
        verdicts = cls(chapter, marks=marks)
        for number, kept in _read(verdicts_file(chapter)).items():
            if kept["mark"] != marks.get(number):
                verdicts.outdated.update(*map(str.split, kept["verdicts"].values()))
                continue
            for written, hashes in kept["verdicts"].items():
                verdict = _parsed(written, kept["tests"])
                verdicts.known |= {hash: verdict for hash in hashes.split()}
        return verdicts

    def write(self, mutants: list[Mutant]) -> None:
        write_atomically(verdicts_file(self.chapter), self.as_text(mutants))

    def as_text(self, mutants: list[Mutant]) -> str:
        """The file for these mutants; an exercise of which not all are known stays as it was in the file."""
        kept = _read(verdicts_file(self.chapter))
        made = {}
        for exercise in self.chapter.exercises:
            own = [mutant.hash for mutant in mutants if mutant.exercise == exercise.number]
            if not all(hash in self.known for hash in own):
                made |= {exercise.number: kept[exercise.number]} if exercise.number in kept else {}
                continue
            tests = [name for name, _ in tests_of(self.chapter, exercise)]
            groups: dict[str, list[str]] = {}
            for hash in own:
                groups.setdefault(_written(self.known[hash], tests), []).append(hash)
            lines = {written: " ".join(hashes) for written, hashes in sorted(groups.items())}
            made[exercise.number] = {"mark": self.marks[exercise.number], "tests": tests, "verdicts": lines}
        return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def verdicts_file(chapter: Chapter) -> Path:
    return chapter.checker.with_name(f"verdicts_{chapter.name}.json")


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _written(verdict: Verdict, tests: list[str]) -> str:
    places = [str(tests.index(test)) for test in verdict.tests]
    return " ".join([verdict.how or "survived", *places, *([f"'{verdict.mistake}'"] if verdict.mistake else [])])


def _parsed(written: str, tests: list[str]) -> Verdict:
    words, _, mistake = written.partition(" '")
    how, *places = words.split()
    return Verdict("" if how == "survived" else how, tuple(tests[int(place)] for place in places), mistake[:-1])
