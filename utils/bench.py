"""This file knows how to measure what a learner waits for: the first check of a session, and every later one."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import course
from utils.paths import REPO
from utils.refusal import CannotDo

if TYPE_CHECKING:
    from utils.checking.run import Submission

FIRST_CHECK = "import sys; from utils.bench import first_check; first_check(sys.argv[1])"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="circuits bench",
        description="Times the check of every exercise of a chapter, on its solution and on a mistake that people make.",
    )
    parser.add_argument("chapter", nargs="?", default="1", help="number or name; without it, chapter 1")
    parser.add_argument(
        "--repeats", type=int, default=5, help="checks of each, after one that does not count (default 5)"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures to a file as well")
    parser.add_argument(
        "--setup", action="store_true", help="time set-up from a fresh clone to the first passing check"
    )
    parser.add_argument("--notebook", action="store_true", help="time the solution notebook, run from top to bottom")
    parser.add_argument(
        "--ablation",
        action="store_true",
        help="time the ablation of every head of the organism: in one batch, one by one",
    )
    parser.add_argument(
        "--toy-models",
        action="store_true",
        help="time the training of many toy models: in one batched run, one after another",
    )
    parser.add_argument(
        "--patching",
        action="store_true",
        help="time the patching sweeps of chapter 4 on the organism: TransformerLens' own and one by one, in few passes",
    )
    parser.add_argument(
        "--grading", action="store_true", help="measure the grader; with --help, what there is to measure"
    )
    if "--grading" in argv:
        from utils.bench_grading import main as bench_grading

        return bench_grading([argument for argument in argv if argument != "--grading"])
    options = parser.parse_args(argv)
    if options.ablation:
        print(f"{ablation()}; {machine()}")
    if options.toy_models:
        print(f"{toy_models()}; {machine()}")
    if options.patching:
        from utils.bench_patching import sweeps

        print(machine(), flush=True)
        for line in sweeps():
            print(line, flush=True)
    if options.ablation or options.toy_models or options.patching:
        return 0
    chapter = course.chapter(options.chapter)
    if not chapter.exercises:
        raise CannotDo(f"chapter {chapter.number} has no exercises to check")

    print(f"Chapter {chapter.number}, {machine()}", flush=True)
    if options.setup:
        print(f"from a fresh clone to the first passing check, network included: {setup_seconds(chapter):.0f} s")
    if options.notebook:
        print(f"solution notebook from top to bottom: {notebook_seconds(chapter):.0f} s")
    if options.setup or options.notebook:
        return 0
    first = statistics.median(first_check_seconds(chapter) for _ in range(3))
    print(f"first check of a session, imports included: {first:.1f} s (median of 3)\n", flush=True)

    times = {}
    for label, seconds in warm_checks(chapter, options.repeats):
        times[label] = seconds
        print(f"  {statistics.median(seconds):6.3f} s  {label}", flush=True)
    medians = [statistics.median(seconds) for seconds in times.values()]
    slowest = max(times, key=lambda label: max(times[label]))
    print(
        f"\nlater checks: median {statistics.median(medians):.2f} s, "
        f"slowest of {sum(map(len, times.values()))} {max(times[slowest]):.2f} s ({slowest})"
    )
    if options.json:
        figures = {"machine": machine(), "first_check_seconds": first, "check_seconds": times}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def warm_checks(chapter: course.Chapter, repeats: int) -> Iterator[tuple[str, list[float]]]:
    """What was checked, and the seconds of each check, in a process where everything is imported."""
    for exercise in chapter.exercises:
        for label, submission in submissions(chapter, exercise):
            timed_check(chapter, exercise, submission)
            yield label, [timed_check(chapter, exercise, submission) for _ in range(repeats)]


def submissions(chapter: course.Chapter, exercise: course.Exercise) -> Iterator[tuple[str, Submission]]:
    """The solution of an exercise, and for each of its objects the first mistake in the list."""
    from utils.checking.mistakes import changed_cells, load_mistakes, solution_cells
    from utils.checking.run import Submission

    yield f"{exercise.number} solution", Submission("solution", cells=solution_cells(chapter))
    first = {mistake.object: mistake for mistake in reversed(load_mistakes(chapter))}
    for name in exercise.objects:
        if mistake := first.get(name):
            yield f"{exercise.number} {mistake.label}", Submission(mistake.label, cells=changed_cells(chapter, mistake))


def timed_check(chapter: course.Chapter, exercise: course.Exercise, submission: Submission) -> float:
    """Seconds for what `check` does in a notebook, up to the finished card."""
    from utils.checking.card import html
    from utils.checking.report import check_exercise

    start = time.perf_counter()
    html(check_exercise(chapter, exercise, submission, keep=False))
    return time.perf_counter() - start


def first_check_seconds(chapter: course.Chapter) -> float:
    """Seconds of a process that starts, imports what it needs, checks one exercise and ends."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", FIRST_CHECK, str(chapter.number)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def first_check(chapter_number: str) -> None:
    chapter = course.chapter(chapter_number)
    _, solution = next(submissions(chapter, chapter.exercises[0]))
    timed_check(chapter, chapter.exercises[0], solution)


def setup_seconds(chapter: course.Chapter) -> float:
    """Seconds for cloning this repository, `bash setup.sh` and the check of the first exercise's solution."""
    with tempfile.TemporaryDirectory(prefix="circuits-bench-") as folder:
        clone = Path(folder) / "course"
        check = [clone / ".venv/bin/circuits", "check", chapter.exercises[0].number, "--submission"]
        start = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", REPO, clone], check=True)
        subprocess.run(["bash", "setup.sh", "--no-launch"], cwd=clone, check=True, stdin=subprocess.DEVNULL)
        subprocess.run([*check, clone / "solutions" / chapter.source.name], cwd=clone, check=True)
        return time.perf_counter() - start


def notebook_seconds(chapter: course.Chapter) -> float:
    """Seconds for the solution notebook in a new kernel, as `circuits build` runs it, pictures for GitHub included."""
    import nbformat

    from utils.authoring.execution import execute

    notebook = nbformat.read(chapter.solution_notebook, as_version=4)
    start = time.perf_counter()
    execute(notebook, root=REPO, timeout=600)
    return time.perf_counter() - start


def ablation(rounds: int = 15) -> str:
    """How much faster every head of the organism is ablated in one batch than one by one, the two in turn in one run."""
    import torch

    from utils.models.ablation import ablate_every_head, ablate_heads_one_by_one
    from utils.models.loading import load_model

    model = load_model("organism")
    tokens = model.to_tokens("When Mary and John went to the store, John gave a drink to")
    with torch.no_grad():
        batch, single = in_turn([ablate_every_head, ablate_heads_one_by_one], rounds, model, tokens)
    heads = model.cfg.n_layers * model.cfg.n_heads
    return (
        f"{heads} heads ablated on a text of {tokens.shape[1]} tokens: one by one {1000 * single:.0f} ms, in one batch "
        f"{1000 * batch:.0f} ms, {single / batch:.1f} times faster (median of {rounds})"
    )


def toy_models(n_instances: int = 64, steps: int = 50, batch: int = 256, rounds: int = 5) -> str:
    """How much faster many toy models train in one batched run than one after another, the two in turn in one run."""
    import torch

    from utils.models.toy_models import some_batches, some_models, train_one_by_one, train_together

    generator = torch.Generator().manual_seed(0)
    W = some_models(n_instances, generator)
    batches = some_batches(steps, batch, torch.linspace(0.05, 1, n_instances), generator)
    together, single = in_turn([train_together, train_one_by_one], rounds, W, batches)
    return (
        f"{n_instances} toy models trained for {steps} steps of {batch} examples: one after another {1000 * single:.0f} "
        f"ms, in one run {1000 * together:.0f} ms, {single / together:.1f} times faster (median of {rounds})"
    )


def in_turn(
    ways: Sequence[Callable], rounds: int, *args: Any, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """The median seconds of each way to do the same, one after the other in every round; one more round does not count."""
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds + 1):
        for way, times in zip(ways, seconds, strict=True):
            start = clock()
            way(*args)
            times.append(clock() - start)
    return [statistics.median(times[1:]) for times in seconds]


def machine() -> str:
    """What the figures were measured on."""
    import torch

    name = processor()
    where: dict[str, Any] = {"Python": platform.python_version(), "PyTorch": torch.__version__}
    return f"{os.cpu_count()} cores of {name}, " + ", ".join(f"{what} {version}" for what, version in where.items())


def processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
