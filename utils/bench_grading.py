"""This file knows how to measure the grader: against the tests alone, against nbgrader, and on a thousand submissions."""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from utils import course
from utils.bench import in_turn, machine
from utils.course import Chapter
from utils.grading import plain_exercises
from utils.grading.records import FILE
from utils.paths import REPO
from utils.refusal import CannotDo

# What a class of a thousand has ten of, in place of its first exercise: each ends, hangs or lies in another way.
# `name` stands for the function's name.
HOSTILE = {
    "endless": """
        def name(*args):
            while True:
                pass
    """,
    "stubborn": """
        def name(*args):
            while True:
                try:
                    while True:
                        pass
                except BaseException:
                    pass
    """,
    "leaves": """
        import os
        def name(*args):
            os._exit(0)
    """,
    "crashes": """
        import ctypes
        def name(*args):
            ctypes.string_at(0)
    """,
    "eats memory": """
        def name(*args):
            return [bytearray(2**30) for _ in range(64)]
    """,
    "forks": """
        import os
        def name(*args):
            while True:
                os.fork()
    """,
    "fills the disk": """
        def name(*args):
            with open("/tmp/full", "wb") as file:
                while True:
                    file.write(bytes(2**24))
    """,
    "patches torch": """
        import torch
        torch.testing.assert_close = torch.allclose = torch.equal = lambda *args, **kwargs: True
        def name(*args):
            return args[0]
    """,
    "reads frames": """
        import sys
        def name(*args):
            frame = sys._getframe()
            while frame:
                for value in frame.f_locals.values():
                    if callable(value) and "expect" in repr(value):
                        return value
                frame = frame.f_back
    """,
    "kills all": """
        import os, signal
        def name(*args):
            os.kill(-1, signal.SIGKILL)
    """,
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="circuits bench --grading", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="times that each is measured (default 5)")
    parser.add_argument("--chapters", default="", help="comma-separated; all written ones if not given")
    parser.add_argument(
        "--nbgrader",
        nargs="?",
        const="",
        metavar="VENV",
        help="compare with nbgrader: in this virtual environment, or in one that is made for it (needs the network)",
    )
    parser.add_argument("--submissions", type=int, default=20, help="that nbgrader is given (default 20)")
    parser.add_argument(
        "--class", type=int, dest="learners", metavar="N", help="grade a class of this size, ten of them hostile"
    )
    parser.add_argument(
        "--class-chapter", default="1", help="the class's chapter; `plain` for the five plain exercises"
    )
    parser.add_argument(
        "--solved",
        type=int,
        metavar="N",
        help="how far the class is: learners have solved 0, 1, … N exercises (default all)",
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes for the class (default 2)")
    options = parser.parse_args(argv)
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="circuits-bench-") as folder:
        if options.nbgrader is not None:
            against_nbgrader(Path(folder), options.nbgrader, options.submissions)
        if options.learners:
            whole_class(Path(folder), options.class_chapter, options.learners, options.jobs, options.solved)
        if options.nbgrader is None and not options.learners:
            named = options.chapters.split(",") if options.chapters else []
            against_tests([course.chapter(name) for name in named] or course.chapters(), options.repeats)
            overhead(Path(folder), 5 * options.repeats)
    return 0


# ── Against the tests alone ───────────────────────────────────────────────────────────────────────────────────────


def against_tests(chapters: list[Chapter], repeats: int) -> float:
    """How many times longer grading the solutions takes than their tests alone in a warm process, the two in turn."""
    from utils.grading.grader import Grader

    with Grader() as grader:
        print(f"sandbox: {grader.level}", flush=True)
        rounds = []
        for chapter in chapters:
            tests, graded = in_turn([run_tests, grade_with(grader)], repeats, chapter)
            rounds.append((tests, graded))
            each = f"tests {tests:.2f} s, graded {graded:.2f} s, {graded / tests:.2f} times"
            print(f"chapter {chapter.number}: {each}", flush=True)
    tests, graded = (sum(seconds) for seconds in zip(*rounds))
    print(
        f"one submission of {len(chapters)} chapters: tests in one warm process {tests:.2f} s, graded {graded:.2f} s, "
        f"{graded / tests:.2f} times (sums of medians of {repeats})",
        flush=True,
    )
    return graded / tests


def run_tests(chapter: Chapter) -> None:
    """All tests of the chapter's solutions in one session in this process."""
    from utils.checking.mistakes import solution_cells
    from utils.checking.run import Submission, run

    names = [name for exercise in chapter.exercises for name in exercise.objects]
    results = run(chapter, [Submission("solution", cells=solution_cells(chapter), focus=names)], device="cpu")
    if not results or not all(result.passed or result.skipped for result in results):
        raise CannotDo(f"the solutions of chapter {chapter.number} do not pass: there is nothing to measure")


def grade_with(grader) -> Callable[[Chapter], None]:
    def grade(chapter: Chapter) -> None:
        failed = [
            one.exercise.number for one in grader.grade(chapter.source, chapter, chapter.exercises) if not one.passed
        ]
        if failed:
            raise CannotDo(
                f"the grader does not pass the solutions of {', '.join(failed)}: there is nothing to measure"
            )

    return grade


def overhead(folder: Path, repeats: int) -> float:
    """Milliseconds that a sandboxed worker adds to the five plain exercises: its start, the pipe, its end."""
    from utils.grading.grader import Grader

    chapter = plain_exercises.make_chapter(folder / "overhead")
    with Grader() as grader:
        tests, graded = in_turn([run_tests, grade_with(grader)], repeats, chapter)
    added = 1000 * (graded - tests)
    print(
        f"a worker's overhead: {added:.0f} ms (five plain exercises: tests {1000 * tests:.0f} ms, graded "
        f"{1000 * graded:.0f} ms; medians of {repeats})",
        flush=True,
    )
    return added


# ── Against nbgrader ──────────────────────────────────────────────────────────────────────────────────────────────


def against_nbgrader(folder: Path, venv: str, count: int) -> float:
    """How many times faster than `nbgrader autograde` the same notebooks are graded, both after a start that counts."""
    nbgrader = (Path(venv) if venv else install_nbgrader(folder)) / "bin" / "nbgrader"
    theirs = nbgrader_seconds(folder / "nbgrader", nbgrader, count) / count
    chapter = plain_exercises.make_chapter(folder / "plain")
    handed_in = folder / "handed_in"
    for number in range(count):
        (handed_in / f"student{number:03}").mkdir(parents=True)
        (handed_in / f"student{number:03}" / f"{chapter.name}.ipynb").write_text(plain_exercises.submission())
    once = grade_command(folder, chapter.root, handed_in, "first", ["--jobs", "1"]) / count
    from utils.grading.grader import Grader

    with Grader() as grader:
        paths = sorted(handed_in.rglob("*.ipynb"))
        list(grader.grade(paths[0], chapter, chapter.exercises))
        start = time.perf_counter()
        for path in paths:
            if not all(report.passed for report in grader.grade(path, chapter, chapter.exercises)):
                raise CannotDo("the five plain exercises do not pass: there is nothing to measure")
        ours = (time.perf_counter() - start) / count
    print(
        f"{count} notebooks of five plain exercises: nbgrader autograde {theirs:.2f} s each, this grader {ours:.3f} s, "
        f"{theirs / ours:.0f} times faster; `circuits grade` with its start and its reports, one process: {once:.2f} s, "
        f"{theirs / once:.1f} times faster",
        flush=True,
    )
    return theirs / ours


def install_nbgrader(folder: Path) -> Path:
    """A virtual environment with nbgrader, which finds PyTorch and the rest here."""
    import torch

    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    packages = next((venv / "lib").iterdir()) / "site-packages"
    (packages / "here.pth").write_text(f"{Path(torch.__file__).parent.parent}\n")
    subprocess.run([venv / "bin" / "pip", "install", "--quiet", "nbgrader"], check=True)
    return venv


def nbgrader_seconds(root: Path, nbgrader: Path, count: int) -> float:
    """Seconds of `nbgrader autograde` for so many submissions, all of them right."""
    (root / "source" / "plain").mkdir(parents=True)
    (root / "source" / "plain" / "plain.ipynb").write_text(plain_exercises.assignment())
    (root / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'bench'\n")
    environment = os.environ | {"PATH": f"{nbgrader.parent}{os.pathsep}{os.environ['PATH']}"}

    def run(*command: str) -> None:
        done = subprocess.run([nbgrader, *command], cwd=root, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise CannotDo(f"nbgrader {command[0]} failed: {done.stderr.strip().splitlines()[-1]}")

    run("generate_assignment", "plain", "--create")
    for number in range(count):
        folder = root / "submitted" / f"student{number:03}" / "plain"
        folder.mkdir(parents=True)
        (folder / "plain.ipynb").write_text(plain_exercises.assignment())
    start = time.perf_counter()
    run("autograde", "plain", "--create")
    seconds = time.perf_counter() - start
    run("export")
    scores = (root / "grades.csv").read_text().splitlines()[1:]
    if len(scores) != count or any(",5.0," not in score for score in scores):
        raise CannotDo("nbgrader did not give every submission its five points: there is nothing to compare")
    return seconds


# ── A class ───────────────────────────────────────────────────────────────────────────────────────────────────────


def whole_class(folder: Path, name: str, learners: int, jobs: int, solved: int | None = None) -> None:
    """Grade a class, ten of it hostile: how long it takes, what is lost or doubled, and what memory it needs."""
    chapter = plain_exercises.make_chapter(folder / "plain") if name == "plain" else course.chapter(name)
    handed_in = folder / "handed_in"
    handed_in.mkdir()
    expected = hand_in(handed_in, chapter, learners, solved)
    memory: list[tuple[float, int]] = []
    # hostile code is started nowhere but in a sandbox
    options = ["--jobs", str(jobs), "--require-sandbox"]
    seconds = grade_command(folder, chapter.root, handed_in, "grades", options, memory=memory)
    states: Counter[tuple[str, str]] = Counter()
    wrong = 0
    for line in (folder / "grades" / FILE).read_text().splitlines():
        key, state = json.loads(line)["key"], json.loads(line)["state"]
        states[key["learner"], key["exercise"]] += 1
        right = expected[key["learner"], key["exercise"]]
        wrong += right is not None and right != (state == "passed")
    lost, doubled = len(expected.keys() - states.keys()), sum(count > 1 for count in states.values())
    print(
        f"{learners} submissions of chapter {name} ({len(chapter.exercises)} exercises, ten submissions hostile), "
        f"{jobs} processes: {seconds:.0f} s, {learners / seconds:.1f} a second; {len(states)} results, {lost} lost, "
        f"{doubled} doubled, {wrong} wrong"
    )
    used = [each for _, each in memory]
    early, late = (statistics.median(used[len(used) * part // 10 :][: len(used) // 10 + 1]) for part in (2, 8))
    print(
        f"memory of the grader and all its processes: median {statistics.median(used) / 1e9:.2f} GB, in the third tenth of "
        f"the run {early / 1e9:.2f} GB, in the ninth {late / 1e9:.2f} GB, at most {max(used) / 1e9:.2f} GB (what hostile "
        "code takes included)"
    )


def hand_in(
    folder: Path, chapter: Chapter, learners: int, solved: int | None = None
) -> dict[tuple[str, str], bool | None]:
    """Write a class's files, ten of them hostile. Which exercises each is to pass, where known.

    One after the other, learners have solved no exercise, the first, the first two, … the first ``solved``; without that
    number two of three have solved all, and one none.
    """
    right, untouched = chapter.source.read_text(), chapter.student_notebook.read_text()
    first, *others = chapter.exercises
    hostile = dict(zip(range(learners // 20, learners, max(1, learners // len(HOSTILE))), HOSTILE.values()))
    expected: dict[tuple[str, str], bool | None] = {}
    for number in range(learners):
        who = f"learner{number:04}"
        if number in hostile:
            code = textwrap.dedent(hostile[number]).replace("def name(", f"def {first.objects[0]}(")
            (folder / f"{who}_{chapter.name}.py").write_text(f"{right}\n\n# %%\n{code}")
            # of a course's chapter, other exercises are built on the first
            rest = None if chapter.name != plain_exercises.NAME else True
            expected |= {(who, first.number): False} | {(who, one.number): rest for one in others}
            continue
        if solved is None:
            done = 0 if number % 3 == 2 else len(chapter.exercises)
        else:
            done = number % (min(solved, len(chapter.exercises)) + 1)
        if done == len(chapter.exercises):
            (folder / f"{who}_{chapter.name}.py").write_text(right)
        else:
            text = untouched if done == 0 else solved_so_far(chapter, done)
            (folder / f"{who}_{chapter.name}.ipynb").write_text(text)
        expected |= {(who, one.number): place < done for place, one in enumerate(chapter.exercises)}
    return expected


def solved_so_far(chapter: Chapter, count: int) -> str:
    """The student notebook with the solutions of its first exercises in the places of their stubs."""
    from utils.checking.mistakes import defining_cell, solution_cells

    cells = solution_cells(chapter)
    notebook = json.loads(chapter.student_notebook.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for name in [name for exercise in chapter.exercises[:count] for name in exercise.objects]:
        stub = re.compile(rf"^(def|class) {re.escape(name)}\b", re.MULTILINE)
        place = [cell for cell in code if stub.search("".join(cell["source"]))][-1]
        place["source"] = cells[defining_cell(cells, name)].source
    return json.dumps(notebook)


def grade_command(
    folder: Path,
    root: Path,
    handed_in: Path,
    out: str,
    options: list[str],
    *,
    memory: list[tuple[float, int]] | None = None,
) -> float:
    """Seconds of `circuits grade` in a process of its own, reports included; ``memory`` gets what it used as it went."""
    script = (
        "import sys; from pathlib import Path; from utils import cli, course; "
        f"there = course.chapters(root=Path({str(root)!r})); course.chapters = lambda **_: there; sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "grade", str(handed_in), "--out", str(folder / out), *options]
    start = time.perf_counter()
    running = subprocess.Popen(command, cwd=REPO, stdout=subprocess.DEVNULL)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(running.pid, memory, done)) if memory is not None else None
    if watcher:
        watcher.start()
    status = running.wait()
    seconds = time.perf_counter() - start
    done.set()
    if watcher:
        watcher.join()
    if status:
        raise CannotDo(f"circuits grade ended with status {status}")
    return seconds


def _watch(pid: int, memory: list[tuple[float, int]], done: threading.Event) -> None:
    """Every second, the memory of a process and of all that come from it."""
    start = time.perf_counter()
    while not done.wait(1):
        memory.append((time.perf_counter() - start, memory_of_all(pid)))


def memory_of_all(pid: int) -> int:
    """Bytes of a process and all below it; what they share counts once where the system tells, else for each of them."""
    import psutil

    used = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            used += process.memory_full_info().pss
        except (psutil.AccessDenied, AttributeError):
            try:
                used += process.memory_info().rss
            except psutil.Error:
                continue
        except psutil.Error:
            continue
    return used


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
