"""This file knows the command ``circuits grade``: from what learners handed in to records, pages and gradebooks."""

from __future__ import annotations

import argparse
import secrets
import sys
from contextlib import suppress
from pathlib import Path

from utils import course
from utils.course import Chapter
from utils.grading import batch, summary
from utils.grading.points import points_of
from utils.grading.records import FILE, Conditions, RecordFile
from utils.grading.reports import gradebooks, gradescope, junit, pages
from utils.grading.reports.results import ChapterScope, ClassResults
from utils.grading.session import Session
from utils.grading.submissions import collect
from utils.grading.version import checker_version
from utils.refusal import CannotDo

FORMATS = ("html", "csv", "junit", "nbgrader", "canvas", "gradescope")


def main(argv: list[str]) -> int:
    """Exit status 0 if everything was graded, whatever the marks; 1 if something could not be; 2 if nothing was tried."""
    options = _parser().parse_args(argv)
    formats = _formats(options.format)
    columns = _columns(options.column)
    if columns and "canvas" not in formats:
        raise CannotDo("--column says where points go in Canvas's gradebook: it needs --format canvas=FILE")
    worth = points_of(course.chapters(), options.weights)
    scopes = _scopes(options.chapter, options.exercise)
    collected = collect(options.paths, course.chapters(), [scope.chapter for scope in scopes], apart=options.out)
    if not collected.handins:
        for name, line in collected.left_out:
            print(f"{name}: {line}", file=sys.stderr)
        raise CannotDo(
            "nothing here is a submission of " + ", ".join(f"chapter {one.chapter.number}" for one in scopes)
        )
    if not options.chapter and not options.exercise:
        handed_in = {handin.chapter.number for handin in collected.handins}
        scopes = [scope for scope in scopes if scope.chapter.number in handed_in]
    if given := formats.get("canvas"):
        gradebooks.check_canvas(given, scopes, columns)
    if given := formats.get("nbgrader"):
        gradebooks.check_nbgrader(given)
    with RecordFile(options.out, resume=options.resume) as records:
        conditions = _conditions(options, scopes, records)
        session = Session(scopes, collected, conditions, records, require_sandbox=options.require_sandbox)
        _grade(session, options)
        results = session.results(worth)
        notes = write_reports(results, options.out, formats, columns)
        summary.show(results, options.out, notes)
    return int(bool(session.errors))


def _grade(session: Session, options: argparse.Namespace) -> None:
    waiting = len(session.waiting())
    if session.records.dropped:
        print(f"{session.records.dropped} unfinished lines of {session.records.path} are graded again", file=sys.stderr)
    if not waiting:
        return
    jobs = min(options.jobs or min(batch.cores(), 8), waiting)
    try:
        with summary.progress(waiting) as advance:
            session.grade(jobs=jobs, scheduler=options.scheduler, advance=advance)
    except BaseException:
        if len(session.records):
            kept = f"{len(session.records)} results are kept in {session.records.path}"
            print(f"stopped: {kept}; with --resume the same command goes on", file=sys.stderr)
        raise


def write_reports(
    results: ClassResults, out: Path, formats: dict[str, Path | None], columns: dict[int, str]
) -> list[str]:
    """Write what was asked for; a line for each thing that a gradebook had no place for."""
    notes: list[str] = []
    if "html" in formats:
        for learner in results.learners:
            pages.write_learner_page(results, learner, out)
        pages.write_class_page(results, out)
    if "csv" in formats:
        gradebooks.write_table(results, out / "grades.csv")
    if "junit" in formats:
        junit.write(results, out / "junit.xml")
    if "gradescope" in formats:
        gradescope.write(results, out)
    if "nbgrader" in formats:
        if given := formats["nbgrader"]:
            notes += gradebooks.fill_nbgrader(results, given, out / "nbgrader.csv")
        else:
            gradebooks.write_nbgrader(results, out / "nbgrader.csv")
    if given := formats.get("canvas"):
        notes += gradebooks.fill_canvas(results, given, out / "canvas.csv", columns)
    return notes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="circuits grade",
        description="Grade notebooks and .py files that nobody trusts. In a folder, each file is one submission, and "
        "each folder within is one learner's.",
        epilog=f"Every result is kept in OUT/{FILE} as it comes; TEACHING.md says more.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="notebooks, .py files, folders of them")
    parser.add_argument(
        "--chapter", action="append", default=[], metavar="N", help="this chapter only; may be repeated"
    )
    parser.add_argument(
        "--exercise", action="append", default=[], metavar="N.M", help="this exercise only; may be repeated"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("grades"), help="folder for everything written (default: grades)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in OUT: grade what is new or missing")
    parser.add_argument(
        "--format",
        action="append",
        default=[],
        metavar="NAME",
        help="html, csv, junit (these three if none is named), nbgrader, gradescope; canvas=FILE and nbgrader=FILE "
        "fill an exported gradebook; may be repeated",
    )
    parser.add_argument(
        "--column", action="append", default=[], metavar="N=HEAD", help="the column of chapter N in Canvas's gradebook"
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="points by exercise: lines such as 1.4 = 3")
    parser.add_argument(
        "--jobs", type=_at_least_one, default=None, help="processes (default: one for each core, at most 8)"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="grade on this Dask cluster: tcp://HOST:PORT or its file"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    parser.add_argument("--seed", type=int, help="of the test inputs (default: drawn; kept with every result)")
    parser.add_argument("--timeout", type=_positive, default=10.0, help="seconds for each exercise (default 10)")
    parser.add_argument("--memory", type=_positive, default=2.0, help="GiB for a learner's code (default 2)")
    parser.add_argument("--require-sandbox", action="store_true", help="refuse to run without bubblewrap")
    return parser


# ── What is asked for ─────────────────────────────────────────────────────────────────────────────────────────────


def _scopes(chapters: list[str], exercises: list[str]) -> list[ChapterScope]:
    """The chapters and exercises that the options name; all if they name none."""
    there = course.chapters()
    if not there:
        raise CannotDo("the course has no chapters yet: run `circuits build`")
    whole = {course.chapter(name).number for name in chapters}
    single = {exercise.number for text in exercises for exercise in _exercises(text, there)}
    if not whole and not single:
        whole = {chapter.number for chapter in there}
    scopes = []
    for chapter in there:
        chosen = [one for one in chapter.exercises if chapter.number in whole or one.number in single]
        if chosen:
            scopes.append(ChapterScope(chapter, chosen))
    return scopes


def _exercises(number: str, chapters: list[Chapter]) -> list[course.Exercise]:
    """One exercise, or its parts where it has some."""
    everything = [exercise for chapter in chapters for exercise in chapter.exercises]
    parts = [one for one in everything if one.number[-1].isalpha() and one.number[:-1] == number]
    return parts or [course.exercise(number)]


def _formats(named: list[str]) -> dict[str, Path | None]:
    """What to write, by name, and the gradebook to fill where one is given."""
    formats: dict[str, Path | None] = {}
    for text in [each for one in named for each in one.split(",")] or ["html", "csv", "junit"]:
        name, _, file = text.partition("=")
        if name not in FORMATS:
            raise CannotDo(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
        if file and name not in ("canvas", "nbgrader"):
            raise CannotDo(f"--format {name} takes no file: it is written to the folder of --out")
        if name == "canvas" and not file:
            raise CannotDo("--format canvas=FILE needs the gradebook that Canvas exported")
        if file and not Path(file).is_file():
            raise CannotDo(f"there is no gradebook {file}")
        formats[name] = Path(file) if file else None
    return formats


def _columns(named: list[str]) -> dict[int, str]:
    columns = {}
    for text in named:
        number, _, head = text.partition("=")
        if not number.isdecimal() or not head:
            raise CannotDo(f"--column {text}: give a chapter and the head of its column, as in --column 1='Homework 1'")
        course.chapter(number)  # NotInCourse where there is none
        columns[int(number)] = head
    return columns


def _conditions(options: argparse.Namespace, scopes: list[ChapterScope], records: RecordFile) -> dict[int, Conditions]:
    """What decides results, by chapter. A seed that is not given is the earlier run's, or drawn."""
    seed = options.seed
    if seed is None:
        seed = records.last.conditions.seed if records.last else secrets.randbelow(2**31)
    settings = seed, options.device, options.timeout, options.memory
    return {one.chapter.number: Conditions(checker_version(one.chapter), *settings) for one in scopes}


def _positive(text: str) -> float:
    with suppress(ValueError):
        if 0 < (value := float(text)) < 1e6:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def _at_least_one(text: str) -> int:
    with suppress(ValueError):
        if (value := int(text)) >= 1:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
