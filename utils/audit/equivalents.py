"""This file knows how to read the lists of equivalent mutants: those that do what the solution does, so that no checker can refuse them.

A list is tests/equivalent_mutants_NN_name.toml; each entry has the hashes of some mutants, what they change, and a reason
that a reader can check.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from utils.audit.judging import Verdict
from utils.audit.mutants import Mutant
from utils.course import Chapter
from utils.refusal import CannotDo

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FIELDS = {"exercise", "change", "reason", "mutants"}


@dataclass(frozen=True)
class Equivalent:
    """Some mutants of an exercise that do what the solution does, all for one reason."""

    exercise: str
    change: str
    reason: str
    mutants: tuple[str, ...]


def equivalents_file(chapter: Chapter) -> Path:
    return chapter.checker.with_name(f"equivalent_mutants_{chapter.name}.toml")


def read_equivalents(chapter: Chapter) -> list[Equivalent]:
    path = equivalents_file(chapter)
    if not path.exists():
        return []
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    except tomllib.TOMLDecodeError as error:
        raise CannotDo(f"{path.name} is not valid TOML: {error}") from None
    for number, entry in enumerate(entries, start=1):
        if set(entry) != FIELDS or not entry["mutants"] or not str(entry["reason"]).strip():
            raise CannotDo(f"{path.name}, entry {number}: it must have {', '.join(sorted(FIELDS))}, none of them empty")
    return [Equivalent(e["exercise"], e["change"], " ".join(e["reason"].split()), tuple(e["mutants"])) for e in entries]


def entry_for(mutant: Mutant) -> str:
    """The entry that lists a mutant, without the reason, which its author has to give."""
    facts = {"exercise": mutant.exercise, "change": mutant.change, "reason": "", "mutants": [mutant.hash]}
    # the texts and lists of JSON are TOML's
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in facts.items()]
    return "\n".join(["[[equivalent]]", *lines])


def complaints(listed: list[Equivalent], mutants: list[Mutant], verdicts: dict[str, Verdict]) -> list[str]:
    """What is wrong with the list: mutants that are refused after all, that do not exist, or that are there twice."""
    there = {mutant.hash: mutant for mutant in mutants}
    seen: set[str] = set()
    wrong = []
    for entry in listed:
        for hash in entry.mutants:
            who = f"{hash} of exercise {entry.exercise} ({entry.change})"
            if hash in seen:
                wrong.append(f"{who} is listed twice")
            elif hash not in there:
                wrong.append(f"{who} does not exist any more: take it off the list")
            elif there[hash].exercise != entry.exercise:
                wrong.append(f"{who} is a mutant of exercise {there[hash].exercise}")
            elif hash in verdicts and verdicts[hash].killed:
                test = verdicts[hash].tests[0] if verdicts[hash].tests else "the time limit"
                wrong.append(f"{who} is not equivalent: {test} refuses it")
            seen.add(hash)
    return wrong
