"""This file knows how to show that checkers never refuse a right answer by chance: the solutions, on many seeds and threads."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from utils import course
from utils.course import Chapter

THREADS = (1, 2)
ALLOWED = 0.1  # of the tolerance: no difference of a right answer may be larger
ALLOWED_BY_CHANCE = 0.5  # where right answers differ by what they drew: frequencies, not rounding
SHOWN = 15
KEEP_POSTED = 20  # seeds
MODELS_KEPT = 150  # random ones, of half a megabyte each: more than the tests of a chapter ask for


@dataclass(frozen=True)
class Trial:
    """One test of the solutions on one seed: how large its largest difference was, as a share of what it allowed."""

    test: str
    seed: int
    threads: int
    share: float | None  # None where no numbers were compared
    chance: bool = False  # it was a difference between draws
    complaint: str = ""

    @property
    def where(self) -> str:
        return f"seed {self.seed}, {self.threads} thread{'s' if self.threads > 1 else ''}"


def stability(chapter: Chapter, exercise: str | None, n_seeds: int, jobs: int, first_seed: int = 0) -> int:
    """Print what was refused and the tightest margins; 1 if anything was refused or a margin is too small."""
    trials = list(try_seeds(chapter, exercise, range(first_seed, first_seed + n_seeds), jobs))
    refused = [trial for trial in trials if trial.complaint]
    tightest = margins(trials)
    tests = {trial.test for trial in trials}
    seeds = f"seeds {first_seed} to {first_seed + n_seeds - 1}"
    print(f"Chapter {chapter.number}: {len(tests)} tests, {seeds}, {' and '.join(map(str, THREADS))} threads")
    for trial in refused:
        print(f"  refused: {trial.test}, {trial.where}: {' '.join(trial.complaint.split())}")
    compared = (
        f"{len(tightest)} tests compare numbers; the largest difference of a solution, as a share of the tolerance:"
    )
    print(f"  {len(refused)} of {len(trials)} checks refused. {compared}")
    for trial in tightest[:SHOWN]:
        print(f"  {trial.share:9.2g}  {trial.test} ({trial.where}{', by chance' if trial.chance else ''})")
    small = [trial for trial in tightest if trial.share > allowed(trial.chance)]
    print(f"  {len(small)} of them above {ALLOWED:g}, or {ALLOWED_BY_CHANCE:g} where a solution draws\n")
    return int(bool(refused or small))


def allowed(chance: bool) -> float:
    return ALLOWED_BY_CHANCE if chance else ALLOWED


def margins(trials: list[Trial]) -> list[Trial]:
    """Of every test that compared numbers the trial with the largest difference, the tightest test first."""
    worst: dict[str, Trial] = {}
    for trial in trials:
        if trial.share is not None and (trial.test not in worst or trial.share > worst[trial.test].share):
            worst[trial.test] = trial
    return sorted(worst.values(), key=lambda trial: -trial.share)


def try_seeds(chapter: Chapter, exercise: str | None, seeds: range, jobs: int) -> Iterator[Trial]:
    context = multiprocessing.get_context("spawn")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two threads that spin would keep each other waiting
    tasks = [(chapter.name, str(chapter.root), exercise, seed) for seed in seeds]
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for number, trials in enumerate(pool.map(_try_seed, tasks), start=1):
            yield from trials
            if number % KEEP_POSTED == 0:
                print(f"  {number} of {len(seeds)} seeds", file=sys.stderr, flush=True)


def _try_seed(task: tuple[str, str, str | None, int]) -> list[Trial]:
    """A seed on every number of threads, one after the other, so that the random models of the first serve the second."""
    from utils.models import random_models

    random_models.MOST_KEPT = MODELS_KEPT
    return [trial for threads in THREADS for trial in _try((*task, threads))]


def _try(task: tuple[str, str, str | None, int, int]) -> list[Trial]:
    """All tests of a chapter, or of one exercise, on one seed."""
    from utils.checking import compare, run
    from utils.checking.mistakes import solution_cells

    name, root, number, seed, threads = task
    chapter = course.chapter(name, root=Path(root))
    objects = [name for one in chapter.exercises if number in (None, one.number) for name in one.objects]
    shares: dict[str, tuple[float, bool]] = {}

    def watch(share: float, chance: bool) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition("::")[2].partition("[")[0]
        so_far = shares.get(test, (0.0, False))
        shares[test] = max(so_far, (share, chance), key=lambda told: told[0] / allowed(told[1]))

    before = compare.watch, run.threads
    compare.watch, run.threads = watch, threads
    try:
        solution = run.Submission("solution", cells=solution_cells(chapter), focus=objects)
        results = run.run(chapter, [solution], seed=seed)
    finally:
        compare.watch, run.threads = before
    return [
        Trial(result.test, seed, threads, *shares.get(result.test, (None, False)), str(result.complaint or ""))
        for result in results
    ]
