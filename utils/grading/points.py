"""This file knows how many points an exercise gives: those of the course, or those of a teacher's file."""

from __future__ import annotations

import math
import re
from pathlib import Path

from utils.course import Chapter, NotInCourse
from utils.course import exercise as find_exercise
from utils.refusal import CannotDo

LINE = re.compile(r"(?P<number>\S+?)\s*[=:,\s]\s*(?P<points>\S+)")


def points_of(chapters: list[Chapter], weights: Path | None = None) -> dict[str, float]:
    """Points by exercise number. A file of weights, with lines such as ``1.4 = 3``, replaces those it names."""
    points = {exercise.number: float(exercise.points) for chapter in chapters for exercise in chapter.exercises}
    return points | (_read(weights, points, chapters[0].root) if weights and chapters else {})


def shown(points: float) -> str:
    """Points as people write them: 3, 2.5."""
    return f"{points:.4f}".rstrip("0").rstrip(".")


def _read(path: Path, known: dict[str, float], root: Path) -> dict[str, float]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotDo(f"the weights in {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    weights: dict[str, float] = {}
    for number, line in enumerate(lines, start=1):
        text = line.split("#", 1)[0].strip()
        if text:
            exercise, points = _parse(text, known, root, f"{path}, line {number}")
            if exercise in weights:
                raise CannotDo(f"{path}, line {number}: exercise {exercise} has its points already")
            weights[exercise] = points
    return weights


def _parse(text: str, known: dict[str, float], root: Path, place: str) -> tuple[str, float]:
    match = LINE.fullmatch(text)
    if match is None:
        raise CannotDo(f"{place}: {text!r} is not an exercise and its points, as in 1.4 = 3")
    try:
        points = float(match["points"])
    except ValueError:
        points = math.nan
    if not 0 <= points < 1e6:
        raise CannotDo(f"{place}: {match['points']!r} is no number of points")
    if match["number"] not in known:
        try:
            return find_exercise(match["number"], root=root).number, points  # of a chapter that is not graded now
        except NotInCourse as error:
            raise CannotDo(f"{place}: {error}") from None
    return match["number"], points
