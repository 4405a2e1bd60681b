"""This file knows how to read the course map: which chapters and exercises there are, from the student notebooks."""

import difflib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from utils.paths import REPO

CHAPTER_NAME = re.compile(r"(\d\d)_([a-z0-9_]+)")
MOST_LISTED = 30  # names of exercises or objects in an error message
EXERCISE_NUMBER = re.compile(r"(\d+)\.(\d+)([a-z]?)")


class NotInCourse(LookupError):
    """Asked for a chapter, exercise or object that the course does not have."""


@dataclass(frozen=True)
class Exercise:
    number: str  # "1.4", or "1.15b" for a part
    title: str
    objects: list[str]  # the functions and classes that the learner writes
    difficulty: int  # 1 to 5
    importance: int  # 1 to 5
    minutes: int
    points: int
    hints: list[str] = field(repr=False)
    why: str = field(repr=False)

    @property
    def chapter(self) -> int:
        return int(self.number.split(".")[0])


@dataclass(frozen=True)
class Chapter:
    number: int
    name: str  # "01_transformers_from_scratch"
    title: str
    exercises: list[Exercise] = field(repr=False)
    root: Path = field(default=REPO, repr=False)

    @property
    def source(self) -> Path:
        return self.root / "solutions" / f"{self.name}.py"

    @property
    def student_notebook(self) -> Path:
        return self.root / "chapters" / f"{self.name}.ipynb"

    @property
    def solution_notebook(self) -> Path:
        return self.root / "solutions" / f"{self.name}.ipynb"

    @property
    def checker(self) -> Path:
        return self.root / "tests" / f"test_{self.name}.py"

    @property
    def mistakes(self) -> Path:
        return self.root / "tests" / f"mistakes_{self.name}.py"

    @property
    def right_answers(self) -> Path:
        return self.root / "tests" / f"right_answers_{self.name}.py"

    @property
    def total_points(self) -> int:
        return sum(exercise.points for exercise in self.exercises)


def chapters(*, root: Path = REPO) -> list[Chapter]:
    """Every chapter that has a student notebook, in order."""
    paths = sorted((root / "chapters").glob("*.ipynb"))
    return [_read_chapter(path, root) for path in paths if CHAPTER_NAME.fullmatch(path.stem)]


def chapter(number_or_name: int | str, *, root: Path = REPO) -> Chapter:
    """The chapter called 1, "1", "01" or "01_transformers_from_scratch"."""
    there = chapters(root=root)
    name = pick_chapter(number_or_name, [chapter.name for chapter in there])
    return next(chapter for chapter in there if chapter.name == name)


def exercise(number: str, *, root: Path = REPO) -> Exercise:
    """The exercise called "1.4" or "1.15b"."""
    there = {exercise.number: exercise for chapter in chapters(root=root) for exercise in chapter.exercises}
    wanted = str(number).strip().lower()
    if wanted in there:
        return there[wanted]
    parts = [known for known in there if known[:-1] == wanted and known[-1].isalpha()]
    if parts:
        raise NotInCourse(f"exercise {wanted} has parts: {', '.join(parts)}; name one of them")
    raise NotInCourse(f"there is no exercise {number!r}{_suggestion(wanted, list(there), 'exercises')}")


def exercise_of(object_name: str, *, root: Path = REPO) -> Exercise:
    """The exercise in which the learner writes the function or class of this name."""
    there: dict[str, list[Exercise]] = {}
    for one in (exercise for chapter in chapters(root=root) for exercise in chapter.exercises):
        for name in one.objects:
            there.setdefault(name, []).append(one)
    found = there.get(object_name, [])
    if len(found) == 1:
        return found[0]
    if found:
        raise NotInCourse(
            f"{object_name} is written in more than one exercise: {', '.join(one.number for one in found)}"
        )
    raise NotInCourse(f"no exercise asks for {object_name!r}{_suggestion(object_name, list(there), 'objects')}")


def pick_chapter(number_or_name: int | str, names: list[str]) -> str:
    """The one of these chapter names that 1, "1", "01" or the name itself means."""
    wanted = str(number_or_name).strip()
    for name in names:
        if wanted == name or (wanted.isdecimal() and int(wanted) == int(name[:2])):
            return name
    raise NotInCourse(f"there is no chapter {number_or_name!r}{_suggestion(wanted, names, 'chapters')}")


def sort_key(number: str) -> tuple[int, int, str]:
    """Puts "1.10" after "1.9" and "1.15b" after "1.15a"."""
    match = EXERCISE_NUMBER.fullmatch(number)
    if match is None:
        raise ValueError(f'an exercise number looks like "1.4" or "1.15b", but this one is {number!r}')
    return int(match[1]), int(match[2]), match[3]


def dots(level: int) -> str:
    """A difficulty or importance as it is shown: 2 is ●●○○○."""
    return "●" * level + "○" * (5 - level)


def _suggestion(wanted: str, there: list[str], kind: str) -> str:
    if not there:
        return f": the course has no {kind} yet (run `circuits build`)"
    by_lower_case = {name.lower(): name for name in there}
    close = difflib.get_close_matches(wanted.lower(), by_lower_case, n=1, cutoff=0.6)
    meant = f"; did you mean {by_lower_case[close[0]]}?" if close else ""
    listed = there if len(there) <= MOST_LISTED else [*there[: MOST_LISTED // 2], "…", *there[-MOST_LISTED // 2 :]]
    return f"{meant or '.'} The {kind} there are: {', '.join(listed)}"


_cache: dict[Path, tuple[tuple[int, int], Chapter]] = {}


def _read_chapter(path: Path, root: Path) -> Chapter:
    stat = path.stat()
    stamp = (stat.st_mtime_ns, stat.st_size)
    if path not in _cache or _cache[path][0] != stamp:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        facts = [cell["metadata"]["exercise"] for cell in notebook["cells"] if "exercise" in cell["metadata"]]
        fields = Exercise.__dataclass_fields__
        exercises = [Exercise(**{name: fact[name] for name in fields}) for fact in facts]
        title = notebook["metadata"].get("circuits", {}).get("title") or path.stem[3:].replace("_", " ").capitalize()
        in_order = sorted(exercises, key=lambda exercise: sort_key(exercise.number))
        _cache[path] = stamp, Chapter(int(path.stem[:2]), path.stem, title, in_order, root)
    return _cache[path][1]
