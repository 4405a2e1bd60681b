"""This file knows how to keep what the learner has solved, in work/progress.json, and to show it."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import paths
from utils.atomic_write import write_atomically

if TYPE_CHECKING:
    from rich.console import Group

Entry = dict[str, Any]
FILE = "progress.json"


def main(argv: list[str]) -> int:
    argparse.ArgumentParser(prog="circuits progress", description="Shows what you have solved so far.").parse_args(argv)
    from rich.console import Console

    Console().print(table())
    return 0


# ── Keeping ───────────────────────────────────────────────────────────────────────────────────────────────────────


def record(number: str, *, passed: bool, tests_passed: int, tests_total: int, points: float) -> None:
    """Notes a check of one exercise. What was solved once stays solved, with the most points it ever earned."""

    def note(entry: Entry) -> None:
        entry["checks"] = entry.get("checks", 0) + 1
        entry["tests_passed"], entry["tests_total"] = tests_passed, tests_total
        entry["points"] = max(points, entry.get("points", 0))
        entry["last_check"] = _now()
        if passed:
            entry.setdefault("solved", _now())

    _update(number, note)


def record_hint(number: str, shown: int) -> None:
    """Notes that the first `shown` hints of an exercise have been seen."""
    _update(number, lambda entry: entry.update(hints=max(shown, entry.get("hints", 0))))


def record_reveal(number: str) -> None:
    """Notes that the solution of an exercise has been looked at."""
    _update(number, lambda entry: entry.setdefault("revealed", _now()))


def load() -> dict[str, Entry]:
    """What is known of each exercise, by number; an exercise never touched is absent.

    The keys of an entry, each there once it has happened: checks, tests_passed, tests_total, points, last_check,
    solved (when first), hints (how many seen), revealed (when).
    """
    path = paths.WORK / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        text = ""
    try:
        return _read(text)
    except ValueError:
        return _set_aside(path)


def chapter_summary(chapter_number: int) -> tuple[int, int, float, float]:
    """(exercises solved, exercises in all, points earned, points in all) of a chapter."""
    from utils import course

    entries = load()
    exercises = course.chapter(chapter_number).exercises
    known = [entries.get(exercise.number, {}) for exercise in exercises]
    solved = sum("solved" in entry for entry in known)
    return solved, len(exercises), sum(entry.get("points", 0) for entry in known), sum(e.points for e in exercises)


def _update(number: str, change: Callable[[Entry], Any]) -> None:
    try:
        paths.WORK.mkdir(parents=True, exist_ok=True)
        with _locked():
            entries = load()
            change(entries.setdefault(number, {}))
            write_atomically(paths.WORK / FILE, json.dumps({"exercises": entries}, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        # A full disk is no reason for a check to fail.
        print(f"Your progress could not be saved in {paths.WORK / FILE}: {error.strerror or error}.", file=sys.stderr)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """One writer at a time: two notebooks may be open, and each reads, changes and writes the whole file."""
    try:
        import fcntl
    except ImportError:  # Windows: writing is still atomic
        yield
        return
    with open(paths.WORK / ".progress.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(text: str) -> dict[str, Entry]:
    kept = json.loads(text)
    entries = kept.get("exercises") if isinstance(kept, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise ValueError(f"{FILE} should hold {{'exercises': {{number: entry}}}}")
    return entries


def _set_aside(path: Path) -> dict[str, Entry]:
    aside = path.with_name(f"{FILE}.damaged")
    if aside.exists():
        aside = path.with_name(f"{FILE}.damaged.{time.strftime('%Y-%m-%d_%H-%M-%S')}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
        print(f"{path} could not be read. It is kept as {aside.name}, and your progress starts anew.", file=sys.stderr)
    return {}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S")


# ── Showing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def table() -> Group:
    """Every chapter and exercise with its bar; in a notebook, `utils.progress.table()` shows itself."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from utils import course

    entries = load()
    chapters = course.chapters()
    if not chapters:
        return Group(Text("The course has no chapters yet."))
    parts = []
    for chapter in chapters:
        solved, total, points, total_points = chapter_summary(chapter.number)
        summary = f"{solved} of {total} exercises, {points:g} of {total_points:g} points"
        parts.append(Text(f"\n{chapter.number}  {chapter.title}", style="bold"))
        parts.append(Text(f"   {bar(solved, total, width=30)}  {summary}\n"))
        rows = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
        for name in ("", "", "exercise", "tests"):
            rows.add_column(name, no_wrap=name != "exercise")
        for name in ("points", "hints"):
            rows.add_column(name, justify="right", no_wrap=True)
        for exercise in chapter.exercises:
            entry = entries.get(exercise.number, {})
            mark = Text("✓", style="green") if "solved" in entry else Text("·", style="dim")
            done, tests = entry.get("tests_passed", 0), entry.get("tests_total", 0)
            rows.add_row(
                mark,
                exercise.number,
                exercise.title,
                f"{bar(done, tests, width=10)} {done}/{tests}" if tests else Text(bar(0, 1, width=10), style="dim"),
                f"{entry.get('points', 0):g}/{exercise.points:g}",
                "solution" if "revealed" in entry else str(entry.get("hints", "")),
            )
        parts.append(rows)
    return Group(*parts)


def bar(done: float, total: float, *, width: int) -> str:
    """███████░░░: full only when all is done, and empty only when nothing is."""
    filled = round(width * done / total) if total else 0
    if 0 < done < total:
        filled = min(max(filled, 1), width - 1)
    return "█" * filled + "░" * (width - filled)
