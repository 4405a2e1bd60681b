"""This file knows how to write the pages of a run: one for each learner, and one for the class.

A page is one file without scripts that loads nothing. Names, notebooks and what code printed are anybody's: Jinja
escapes every value, and only the pictures, which this library draws from numbers, are put in as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from utils.atomic_write import write_atomically
from utils.grading.points import shown
from utils.grading.reports.results import (
    ABSENT,
    BLOCKED,
    FAILED,
    NOT_GRADED,
    NOTHING,
    PASSED,
    UNREADABLE,
    UNWRITTEN,
    ClassResults,
    LearnerResults,
)

MARKS = {
    PASSED: "✓",
    FAILED: "✗",
    BLOCKED: "↓",
    UNWRITTEN: "·",
    ABSENT: "–",
    UNREADABLE: "!",
    NOT_GRADED: "?",
    NOTHING: "",
}
CLASSES = {
    PASSED: "p",
    FAILED: "f",
    BLOCKED: "b",
    UNWRITTEN: "u",
    ABSENT: "u",
    UNREADABLE: "f",
    NOT_GRADED: "f",
    NOTHING: "u",
}
MOST_MISTAKES = 20


def write_learner_page(results: ClassResults, learner: LearnerResults, folder: Path) -> Path:
    """What passed, what failed and why, exercise by exercise."""
    exercises = results.exercises
    page = _environment().get_template("learner.html")
    path = folder / "learners" / f"{learner.page}.html"
    text = page.render(
        results=results,
        learner=learner,
        exercises=exercises,
        solved=learner.solved(exercises),
        points=learner.points(exercises, results.worth),
        possible=results.worth_of(exercises),
        parts=[_part(results, learner, scope) for scope in results.scopes],
        marks=MARKS,
    )
    write_atomically(path, text)
    return path


def write_class_page(results: ClassResults, folder: Path) -> Path:
    """Where the room is stuck, the commonest mistakes, and a table of exercises × learners for each chapter."""
    stuck = []
    for exercise in results.stuck():
        count = results.counts[exercise.number]
        stuck.append((exercise, count[FAILED], count[FAILED] + count[PASSED], results.mistakes(exercise)))
    mistakes = [(exercise, *told) for exercise in results.exercises for told in results.mistakes(exercise)]
    mistakes.sort(key=lambda each: -len(each[3]))
    left_out = [(learner.name, line) for learner in results.learners for line in learner.left_out]
    left_out += [
        (learner.name, f"{piece.file}: {piece.error}")
        for learner in results.learners
        for piece in learner.pieces.values()
        if piece.error
    ]
    path = folder / "class.html"
    text = (
        _environment()
        .get_template("class.html")
        .render(
            results=results,
            learners=results.learners,
            scopes=results.scopes,
            stuck=stuck,
            mistakes=mistakes[:MOST_MISTAKES],
            left_out=left_out,
            marks=MARKS,
            classes=CLASSES,
        )
    )
    write_atomically(path, text)
    return path


def _part(results: ClassResults, learner: LearnerResults, scope: Any) -> dict[str, Any]:
    piece = learner.pieces.get(scope.chapter.number)
    records = {record.key.exercise: record for record in results.records(learner, scope.chapter)} if piece else {}
    solved = learner.solved(scope.exercises)
    return {
        "scope": scope,
        "piece": piece,
        "rows": [(exercise, records.get(exercise.number)) for exercise in scope.exercises],
        "unreadable": next((one.first_failure.seen for one in records.values() if one.state == UNREADABLE), ""),
        "sha256": next((record.key.sha256 for record in records.values()), ""),
        "solved": solved,
        "points": learner.points(scope.exercises, results.worth),
        "possible": results.worth_of(scope.exercises),
        "share": round(100 * solved / len(scope.exercises)) if scope.exercises else 0,
    }


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"points": shown, "backquoted": _backquoted, "drawn": _drawn}
    return environment


def _backquoted(text: str) -> Markup:
    """Text between backquotes as code."""
    pieces = [escape(piece) for piece in text.split("`")]
    return Markup("").join(
        piece if index % 2 == 0 else Markup("<code>{}</code>").format(piece) for index, piece in enumerate(pieces)
    )


def _drawn(picture: dict[str, Any]) -> Markup:
    """The two pictures of a card, from the numbers that a record keeps."""
    import torch  # heavy, so only where there is something to draw

    from utils.checking.complaints import Picture
    from utils.checking.pictures import side_by_side

    yours, rule = (torch.tensor(_floats(picture[name])) for name in ("yours", "rule"))
    return Markup(side_by_side(Picture(yours, rule, tuple(picture["axes"]), picture["caption"])))


def _floats(values: Any) -> Any:
    return [_floats(value) for value in values] if isinstance(values, list) else float(values)
