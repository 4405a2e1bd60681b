"""This file knows how to write points as CSV: a plain table, nbgrader's, and a gradebook that Canvas exported.

A gradebook that is given is filled: cells of the learners and chapters that were graded get their points, and every
other cell stays as it was. Whoever opens a table gets no formula run: a text of ours that begins like one gets an
apostrophe in front. All fields are quoted.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from utils.atomic_write import write_atomically
from utils.grading.points import shown
from utils.grading.reports.results import ChapterScope, ClassResults, LearnerResults
from utils.refusal import CannotDo

NBGRADER = [
    "assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email",
    "raw_score", "late_submission_penalty", "score", "max_score",
]  # fmt: skip
CANVAS_IDS = ("ID", "SIS User ID", "SIS Login ID", "Integration ID", "Student")


def write_table(results: ClassResults, path: Path) -> None:
    """One row for each learner: points in every exercise, in every chapter, and in all."""
    heads = ["learner"]
    for scope in results.scopes:
        heads += [exercise.number for exercise in scope.exercises] + [f"chapter {scope.chapter.number}"]
    rows = [heads + ["points"]]
    rows.append(["points possible", *_points_possible(results), shown(results.worth_of(results.exercises))])
    for learner in results.learners:
        row = [learner.name]
        for scope in results.scopes:
            handed_in = scope.chapter.number in learner.pieces
            row += [shown(learner.points([one], results.worth)) if handed_in else "" for one in scope.exercises]
            row += [shown(learner.points(scope.exercises, results.worth)) if handed_in else ""]
        rows.append(row + [shown(learner.points(results.exercises, results.worth))])
    write_atomically(path, _as_csv([[defused(cell) for cell in row] for row in rows]))


def write_nbgrader(results: ClassResults, path: Path) -> None:
    """The columns that `nbgrader export` writes: one row for each learner and chapter handed in."""
    rows = [NBGRADER]
    for scope in results.scopes:
        most = shown(results.worth_of(scope.exercises))
        for learner in results.learners:
            if scope.chapter.number in learner.pieces:
                points = shown(learner.points(scope.exercises, results.worth))
                facts = {"assignment": scope.chapter.name, "student_id": learner.name, "raw_score": points}
                facts |= {"late_submission_penalty": "0", "score": points, "max_score": most}
                rows.append([defused(facts.get(name, "")) for name in NBGRADER])
    write_atomically(path, _as_csv(rows))


def fill_nbgrader(results: ClassResults, given: Path, path: Path) -> list[str]:
    """A file of `nbgrader export` with our points, less its penalties; a line for each thing that did not fit."""
    table = check_nbgrader(given)
    filled = set()
    for row in table.rows[1:]:
        scope = _only(one for one in results.scopes if _names_chapter(table.cell(row, "assignment"), one))
        learner = _only(one for one in results.learners if one.name == table.cell(row, "student_id"))
        if scope is None or learner is None or scope.chapter.number not in learner.pieces:
            continue
        points = learner.points(scope.exercises, results.worth)
        penalty = _number(table.cell(row, "late_submission_penalty"))
        table.put(row, "raw_score", shown(points))
        table.put(row, "score", shown(max(0.0, points - penalty)))
        table.put(row, "max_score", shown(results.worth_of(scope.exercises)))
        filled.add((learner.name, scope.chapter.number))
    write_atomically(path, table.text())
    return [
        f"{learner.name}, chapter {number}: not in {given.name}"
        for learner in results.learners
        for number in learner.pieces
        if (learner.name, number) not in filled
    ]


def fill_canvas(results: ClassResults, given: Path, path: Path, columns: dict[int, str] | None = None) -> list[str]:
    """A gradebook exported from Canvas with our points; a line for each thing that did not fit.

    ``columns`` says which column a chapter's points go to, where its head does not tell.
    """
    scopes = [one for one in results.scopes if any(one.chapter.number in each.pieces for each in results.learners)]
    table, places = check_canvas(given, scopes, columns)
    possible = next((row for row in table.rows[1:] if table.cell(row, "Student").strip() == "Points Possible"), None)
    said = []
    for scope in scopes if possible is not None else ():
        there, ours = _number(possible[places[scope.chapter.number]]), results.worth_of(scope.exercises)
        if there != ours:
            head = table.heads[places[scope.chapter.number]]
            said.append(f"{head}: Canvas gives {shown(there)} points for it, and what was graded {shown(ours)}")
    people = [row for row in table.rows[1:] if table.cell(row, "ID").strip()]
    taken: dict[int, str] = {}
    for learner in results.learners:
        if not learner.pieces:
            continue
        rows = _rows_of(learner, table, people)
        if len(rows) != 1:
            said.append(
                f"{learner.name}: {'nobody' if not rows else 'more than one person'} of that name in {given.name}"
            )
            continue
        if id(rows[0]) in taken:
            said.append(f"{learner.name}: {taken[id(rows[0])]} has that row of {given.name} already")
            continue
        taken[id(rows[0])] = learner.name
        for scope in scopes:
            if scope.chapter.number in learner.pieces:
                rows[0][places[scope.chapter.number]] = shown(learner.points(scope.exercises, results.worth))
    write_atomically(path, table.text())
    return said


def check_nbgrader(given: Path) -> _Table:
    """The table of an export; CannotDo if it is none, which one wants to know before grading."""
    table = _Table.read(given)
    if missing := {"assignment", "student_id", "score"} - set(table.heads):
        raise CannotDo(f"{given} is no export of nbgrader: it has no column {', '.join(sorted(missing))}")
    return table


def check_canvas(
    given: Path, scopes: list[ChapterScope], columns: dict[int, str] | None = None
) -> tuple[_Table, dict[int, int]]:
    """The table of a gradebook, and the place of each chapter's column in it; CannotDo if one is not there."""
    table = _Table.read(given)
    if not {"Student", "ID"} <= set(table.heads):
        raise CannotDo(f"{given} is no gradebook exported from Canvas: it has no columns Student and ID")
    numbers = {one.chapter.number: one for one in scopes}
    return table, {number: _column(table, one, (columns or {}).get(number), given) for number, one in numbers.items()}


def defused(cell: str) -> str:
    """The same text, which no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.lstrip(" '")[:1] in ("=", "+", "-", "@") or cell[:1] in ("\t", "\r", "\n") else cell


@dataclass
class _Table:
    """A CSV file as it was written: with its separator and its mark of UTF-8."""

    rows: list[list[str]]
    separator: str
    marked: bool

    @classmethod
    def read(cls, path: Path) -> _Table:
        try:
            raw = path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CannotDo(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        marked = raw.startswith("\ufeff")
        raw = raw.removeprefix("\ufeff")
        first = raw.split("\n", 1)[0]
        separator = max(",;\t", key=first.count)
        try:
            rows = list(csv.reader(io.StringIO(raw, newline=""), delimiter=separator, strict=True))
        except csv.Error as error:
            raise CannotDo(f"{path} is no CSV file: {error}") from None
        rows = [row for row in rows if row]
        if not rows:
            raise CannotDo(f"{path} is empty")
        for row in rows:
            row += [""] * (len(rows[0]) - len(row))
        return cls(rows, separator, marked)

    @property
    def heads(self) -> list[str]:
        return self.rows[0]

    def cell(self, row: list[str], head: str) -> str:
        return row[self.heads.index(head)] if head in self.heads else ""

    def put(self, row: list[str], head: str, value: str) -> None:
        if head in self.heads:
            row[self.heads.index(head)] = value

    def text(self) -> str:
        return ("\ufeff" if self.marked else "") + _as_csv(self.rows, self.separator)


def _column(table: _Table, scope: ChapterScope, named: str | None, given: Path) -> int:
    number = scope.chapter.number
    found = [
        place
        for place, head in enumerate(table.heads)
        if head not in CANVAS_IDS
        and (
            head == named or (named and re.sub(r" \(\d+\)$", "", head) == named)
            if named
            else _names_chapter(head, scope)
        )
    ]
    if len(found) == 1:
        return found[0]
    problem = (
        f"no column {named!r}" if named else f"{'no' if not found else 'more than one'} column for chapter {number}"
    )
    heads = ", ".join(repr(head) for head in table.heads if head not in CANVAS_IDS)
    raise CannotDo(f"{given} has {problem}; --column {number}=HEAD names one of {heads}")


def _names_chapter(head: str, scope: ChapterScope) -> bool:
    """Whether the head of a column, or an assignment's name, tells the chapter: by its name, title or number."""
    words = _letters(head)
    names = {_letters(scope.chapter.name), _letters(scope.chapter.name[3:]), _letters(scope.chapter.title)}
    numbered = re.search(rf"\bch(apter)?[\W_]*0*{scope.chapter.number}(?!\d)", head, re.IGNORECASE)
    if "(read only)" in head.lower():
        return False
    return numbered is not None or any(name in words for name in names)


def _rows_of(learner: LearnerResults, table: _Table, people: list[list[str]]) -> list[list[str]]:
    """The rows of a learner: by the ids that Canvas put into the files' names, else by login, else by name."""
    for head in ("ID", "SIS User ID"):
        if rows := [row for row in people if table.cell(row, head).strip() in learner.ids]:
            return rows
    name = learner.name.rsplit("/", 1)[-1]
    for head in ("SIS Login ID", "SIS User ID", "ID"):
        logins = [(row, table.cell(row, head).strip().lower()) for row in people]
        if rows := [row for row, login in logins if login and name.lower() in (login, login.split("@")[0])]:
            return rows
    return [row for row in people if _letters(name) in _spellings(table.cell(row, "Student"))]


def _spellings(student: str) -> Iterable[str]:
    """Canvas writes "Lovelace, Ada"; files are called lovelaceada, Ada Lovelace or ada_lovelace."""
    last, _, first = student.partition(",")
    return {_letters(last + first), _letters(first + last)} - {""}


def _letters(text: str) -> str:
    """Letters and digits alone, in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _points_possible(results: ClassResults) -> list[str]:
    cells = []
    for scope in results.scopes:
        cells += [shown(results.worth[one.number]) for one in scope.exercises] + [
            shown(results.worth_of(scope.exercises))
        ]
    return cells


def _only(items: Iterable) -> object | None:
    found = list(items)
    return found[0] if len(found) == 1 else None


def _number(cell: str) -> float:
    try:
        return float(cell.strip().replace(",", ".") or 0)
    except ValueError:
        return 0.0


def _as_csv(rows: list[list[str]], separator: str = ",") -> str:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return file.getvalue()
