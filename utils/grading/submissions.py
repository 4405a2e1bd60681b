"""This file knows how to find what learners handed in: whose each file is, and which chapter it belongs to.

Handed in are notebooks and Python files, each by itself or in folders. What lies directly in a folder is one
submission a file, called by the file's name without the chapter's; what lies in a folder within is the work of the
learner of that folder's name. Nothing in here runs or even parses what was handed in.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from utils.course import Chapter
from utils.grading.text import one_line
from utils.refusal import CannotDo

LARGEST = 64 * 2**20  # bytes; a notebook of this course with all its figures has less than one
SUFFIXES = (".ipynb", ".py")
DEFINED = re.compile(r'(?:^|"|\\n)(?:async def|def|class) (\w+)', re.MULTILINE)  # in Python, and in a notebook's JSON
TEACHERS = (".csv", ".txt", ".xlsx")  # gradebooks and weights that lie beside the submissions are nobody's work
NO_SUBMISSIONS = ("__pycache__", "__MACOSX")

# What Canvas and Moodle put before or after a learner's name when a teacher downloads all submissions
CANVAS_FILE = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<id>\d+)_\d+_(?P<file>.+)")
MOODLE_FOLDER = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_file_?(?P<file>.*)")
COPIES = re.compile(r"[\s_-]*(\(\d+\)|-\d+|-?Copy\d*)$", re.IGNORECASE)


@dataclass(frozen=True)
class HandIn:
    """One learner's file for one chapter."""

    learner: str
    chapter: Chapter
    path: Path
    sha256: str = ""
    ids: tuple[str, ...] = ()  # under which Canvas or Moodle knows the learner
    unreadable: str = ""  # why the file could not be read, where it could not

    @property
    def file(self) -> str:
        return one_line(self.path.name, 255)


@dataclass
class Collected:
    """What was found: the files to grade, everybody who appeared, and a line for each thing that was left out."""

    handins: list[HandIn] = field(default_factory=list)
    learners: dict[str, tuple[str, ...]] = field(default_factory=dict)  # and their ids
    left_out: list[tuple[str, str]] = field(default_factory=list)  # (learner, line)


@dataclass(frozen=True)
class _Found:
    name: str
    path: Path
    under: Path  # the folder that was asked for: two files of one name in two of them are of two learners
    ids: tuple[str, ...] = ()
    chapter: Chapter | None = None


def collect(
    paths: Iterable[Path], chapters: list[Chapter], wanted: list[Chapter] | None = None, *, apart: Path | None = None
) -> Collected:
    """Everything handed in under these paths for the chapters ``wanted``; CannotDo where a path is not there.

    The folder ``apart`` is left out: it is where results go.
    """
    wanted = chapters if wanted is None else wanted
    collected, found = Collected(), []
    for path in dict.fromkeys(paths):
        found += _found_under(path, chapters, collected, apart.resolve() if apart else None)
    placed = []
    for one in {one.path.resolve(): one for one in found}.values():
        chapter = one.chapter or _chapter_of(one.path, chapters) or (wanted[0] if len(wanted) == 1 else None)
        if chapter is None:
            name = f"{(wanted or chapters)[0].name}.ipynb"
            why = f"neither its name nor what it defines says which chapter it is; a name such as {name} does, or --chapter N"
            collected.left_out.append((one.name, f"{one_line(one.path.name)}: {why}"))
        placed.append(replace(one, chapter=chapter))
    for learner, ids, theirs in _by_learner(placed):
        collected.learners[learner] = ids
        for chapter in wanted:
            files = [one for one in theirs if one.chapter is not None and one.chapter.number == chapter.number]
            if not files:
                continue
            *others, last = sorted(files, key=lambda one: (os.lstat(one.path).st_mtime_ns, one.path.name))
            for other in others:
                line = f"{one_line(other.path.name)}: {one_line(last.path.name)} is for the same chapter and newer"
                collected.left_out.append((learner, line))
            collected.handins.append(_read(HandIn(learner, chapter, last.path, ids=ids)))
    return collected


def content_of(path: Path) -> bytes:
    """What is in a regular file of bearable size; OSError, saying why, if it is not one. Links are not followed."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError("it is no ordinary file")
        content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise OSError(f"it is larger than {LARGEST >> 20} MB; without its outputs it would be small")
    return content


def _read(handin: HandIn) -> HandIn:
    try:
        return replace(handin, sha256=hashlib.sha256(content_of(handin.path)).hexdigest())
    except OSError as error:
        why = f"{handin.file} could not be read: {error.strerror or error}"
        return replace(handin, unreadable=why, sha256=hashlib.sha256(why.encode()).hexdigest())


# ── Whose ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _found_under(path: Path, chapters: list[Chapter], collected: Collected, apart: Path | None) -> Iterator[_Found]:
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise CannotDo(f"{path} is neither .ipynb nor .py")
        yield replace(
            _whose(path, path.parent, chapters), path=path.resolve()
        )  # a link that the teacher names is meant
        return
    if not path.is_dir():
        raise CannotDo(f"there is no file or folder {path}")
    for entry in _entries(path):
        if entry.resolve() == apart:
            continue
        if not entry.is_symlink() and entry.is_dir():
            yield from _in_learners_folder(entry, path, chapters, collected)
        elif entry.suffix in SUFFIXES or entry.is_symlink():
            yield from _unless_linked(_whose(entry, path, chapters), collected)
        else:
            _unless_teachers(entry, path, chapters, collected)


def _unless_teachers(file: Path, folder: Path, chapters: list[Chapter], collected: Collected, group: str = "") -> None:
    """A file of another kind among submissions is somebody's, and is named, but for a gradebook or weights."""
    misnamed = Path(file.stem).suffix in SUFFIXES  # ada.ipynb.txt
    if file.suffix.lower() in TEACHERS and not misnamed:
        return
    whose = _whose(file.with_suffix("") if misnamed else file, folder, chapters)
    collected.left_out.append((f"{group}{whose.name}", f"{one_line(file.name)}: it is neither .ipynb nor .py"))
    collected.learners.setdefault(f"{group}{whose.name}", whose.ids)


def _in_learners_folder(folder: Path, under: Path, chapters: list[Chapter], collected: Collected) -> Iterator[_Found]:
    moodle = MOODLE_FOLDER.fullmatch(folder.name)
    learner = one_line(moodle["name"] if moodle else folder.name)
    ids = (moodle["id"],) if moodle else ()
    files = [file for file in _files_below(folder) if file.suffix in SUFFIXES]
    found = []
    for file in files:
        chapter = _chapter_named(file.relative_to(folder), chapters) or _chapter_of(file, chapters)
        if chapter is not None or file.suffix == ".ipynb":  # a .py of no chapter is somebody's helper
            found.append(_Found(learner, file, under, ids, chapter))
    if not found:
        there = ", ".join(sorted({one_line(file.name) for file in _files_below(folder)})[:5])
        collected.left_out.append((learner, "no notebook or Python file" + (f"; there is {there}" if there else "")))
        collected.learners.setdefault(learner, ids)
    if _is_of_many(found, chapters):
        found = [replace(one, name=f"{learner}/{_whose(one.path, folder, chapters).name}") for one in found]
        for file in _files_below(folder):
            if file.suffix not in SUFFIXES and not file.is_symlink():
                _unless_teachers(file, folder, chapters, collected, f"{learner}/")
    for one in found:
        yield from _unless_linked(one, collected)


def _is_of_many(found: list[_Found], chapters: list[Chapter]) -> bool:
    """Whether a folder is a group's and not a learner's: files for one chapter that carry different names."""
    names: dict[int, set[str]] = {}
    for one in found:
        if one.chapter is not None:
            names.setdefault(one.chapter.number, set()).add(_name_in(one.path.stem, chapters))
    return any(len(of_chapter - {""}) > 1 for of_chapter in names.values())


def _whose(file: Path, folder: Path, chapters: list[Chapter]) -> _Found:
    """The learner that a file's name tells; where it tells none, its folder's."""
    stem, ids = file.stem, ()
    for pattern in (CANVAS_FILE, MOODLE_FOLDER):
        if match := pattern.fullmatch(stem):
            return _Found(
                one_line(match["name"]), file, folder, (match["id"],), _chapter_named(Path(match["file"]), chapters)
            )
    name = _name_in(stem, chapters) or one_line(folder.resolve().name) or "learner"
    return _Found(name, file, folder, ids, _chapter_named(Path(file.name), chapters))


def _name_in(stem: str, chapters: list[Chapter]) -> str:
    """What is left of a file's name without the chapter's and without marks of a copy."""
    for chapter in chapters:
        for pattern in _patterns(chapter):
            stem = pattern.sub(" ", stem)
    while COPIES.search(stem):
        stem = COPIES.sub("", stem)
    return one_line(re.sub(r"\(\s*\)", "", stem).strip(" ._-"))


def _by_learner(found: list[_Found]) -> Iterator[tuple[str, tuple[str, ...], list[_Found]]]:
    """Who handed in what. Files of one name under two folders are one learner's, unless both are for one chapter."""
    names: dict[str, list[_Found]] = {}
    for one in found:
        names.setdefault(one.name, []).append(one)
    for name, theirs in sorted(names.items()):
        seen: dict[tuple[int, Path], None] = {
            (one.chapter.number, one.under): None for one in theirs if one.chapter is not None
        }
        several = len({number for number, _ in seen}) < len(seen)
        groups: dict[str, list[_Found]] = {}
        for one in theirs:
            groups.setdefault(f"{one_line(one.under.resolve().name)}/{name}" if several else name, []).append(one)
        for learner, group in groups.items():
            yield learner, tuple(dict.fromkeys(known for one in group for known in one.ids)), group


def _unless_linked(found: _Found, collected: Collected) -> Iterator[_Found]:
    if found.path.is_symlink():
        # it may lead anywhere: to another learner's work, or out of the folder
        collected.left_out.append((found.name, f"{one_line(found.path.name)}: a link, and links are not followed"))
        collected.learners.setdefault(found.name, found.ids)
    else:
        yield found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name[0] != "." and path.name not in NO_SUBMISSIONS)
    except OSError as error:
        raise CannotDo(f"the folder {folder} cannot be read: {error.strerror}") from None


def _files_below(folder: Path) -> Iterator[Path]:
    waiting = [folder]  # no recursion: who packed the folder chose how deep it is
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_dir() and not entry.is_symlink():
                waiting.append(entry)
            else:
                yield entry


# ── Which chapter ─────────────────────────────────────────────────────────────────────────────────────────────────


def _chapter_named(path: Path, chapters: list[Chapter]) -> Chapter | None:
    """The chapter that the file's name tells, or else the name of a folder above it."""
    for part in reversed(path.parts):
        named = [one for one in chapters if any(pattern.search(part) for pattern in _patterns(one))]
        if len(named) == 1:
            return named[0]
    return None


def _patterns(chapter: Chapter) -> list[re.Pattern[str]]:
    """How people write a chapter's name: 02_induction_heads, Induction-Heads, chapter 2, ch02."""
    words = r"[\W_]*".join(map(re.escape, chapter.name[3:].split("_")))
    number = rf"0*{chapter.number}(?!\d)"
    return [
        re.compile(rf"(?<!\d){number}[\W_]*{words}", re.IGNORECASE),
        re.compile(rf"(?<![a-z]){words}(?![a-z])", re.IGNORECASE),
        re.compile(rf"(?<![a-z])ch(apter)?[\W_]*{number}", re.IGNORECASE),
    ]


def _chapter_of(path: Path, chapters: list[Chapter]) -> Chapter | None:
    """The chapter most of whose objects the file defines."""
    try:
        text = content_of(path).decode("utf-8", "replace")
    except OSError:
        return None
    defined = set(DEFINED.findall(text))
    hits = {one.number: sum(name in defined for each in one.exercises for name in each.objects) for one in chapters}
    most = max(hits.values(), default=0)
    likely = [one for one in chapters if hits[one.number] == most > 0]
    return likely[0] if len(likely) == 1 else None
