"""This file knows how to find out which named mistake a failing object makes: the one that gives the very same wrong values."""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Iterator

from utils.checking.mistakes import Mistake, changed_cells, load_mistakes
from utils.checking.run import Submission, TestResult, run
from utils.checking.transcript import Transcript
from utils.course import Chapter

# Seconds for telling apart what the first test did not, judged by how long the learner's own runs took.
TIME_BUDGET = 0.5


@contextlib.contextmanager
def _only_new_garbage() -> Iterator[None]:
    """Garbage collection in here looks at what was made in here: a walk over all of PyTorch's objects takes 0.3 s."""
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Tried:
    """How mistakes have fared in tests, kept for those who name many: with the same inputs they fare the same again."""

    def __init__(self) -> None:
        self.results: dict[tuple[str, str, str], TestResult] = {}

    def missing(self, chapter: Chapter, mistakes: list[Mistake], test: str) -> list[Mistake]:
        return [mistake for mistake in mistakes if (chapter.name, mistake.label, test) not in self.results]

    def add(self, chapter: Chapter, made: dict[tuple[str, str], TestResult]) -> None:
        self.results |= {(chapter.name, *key): result for key, result in made.items()}

    def of(
        self, chapter: Chapter, mistakes: list[Mistake], tests: list[TestResult]
    ) -> dict[tuple[str, str], TestResult]:
        keys = [(mistake.label, result.test) for mistake in mistakes for result in tests]
        return {key: self.results[(chapter.name, *key)] for key in keys if (chapter.name, *key) in self.results}


@_only_new_garbage()
def name_mistake(
    chapter: Chapter,
    name: str,
    results: list[TestResult],
    *,
    device: str = "auto",
    seed: int = 0,
    tried: Tried | None = None,
    budget: float = TIME_BUDGET,
) -> Mistake | None:
    """The mistake of object ``name`` whose results equal these, in every failed test that got as far as a value; None if there is none.

    ``results`` are those of one submission for the tests of this object. All mistakes try the quickest failed test;
    only those that give the same values there try the others, as far as the budget of seconds allows. Tests that the
    submission passed do nothing but choose among several.
    """
    memory = tried or Tried()
    telling = sorted((result for result in results if _is_telling(result)), key=_duration)
    rivals = [mistake for mistake in load_mistakes(chapter) if mistake.object == name]
    if not telling or not rivals:
        return None
    first, seen = telling[0], {result.test: result.transcript for result in results}
    failed = {result.test for result in telling}
    made = _results(chapter, name, rivals, [first], device, seed, memory)
    rivals = [mistake for mistake in rivals if first.transcript.equals(made[mistake.label, first.test].transcript)]
    passed = [result for result in results if result.passed] if len(rivals) > 1 else []
    others = _affordable(telling[1:], passed, len(rivals), budget)
    if rivals and others:
        made |= _results(chapter, name, rivals, others, device, seed, memory)
    compared = {first.test, *(result.test for result in others)}
    return choose(rivals, {test: seen[test] for test in compared}, failed, made)


def _results(
    chapter: Chapter,
    name: str,
    mistakes: list[Mistake],
    tests: list[TestResult],
    device: str,
    seed: int,
    memory: Tried,
) -> dict[tuple[str, str], TestResult]:
    """How each of the mistakes fares in each of the tests, which are run for those of whom that is not known yet."""
    unknown = [result for result in tests if memory.missing(chapter, mistakes, result.test)]
    wanting = {mistake.label: mistake for each in unknown for mistake in memory.missing(chapter, mistakes, each.test)}
    if unknown:
        memory.add(chapter, _run(chapter, name, list(wanting.values()), unknown, device, seed))
    return memory.of(chapter, mistakes, tests)


def _run(
    chapter: Chapter, name: str, mistakes: list[Mistake], tests: list[TestResult], device: str, seed: int
) -> dict[tuple[str, str], TestResult]:
    submissions = [
        Submission(mistake.label, cells=changed_cells(chapter, mistake), focus=[name]) for mistake in mistakes
    ]
    made = run(chapter, submissions, tests={result.test for result in tests}, device=device, seed=seed)
    return {(result.submission, result.test): result for result in made}


def choose(
    mistakes: list[Mistake],
    seen: dict[str, Transcript],
    failed: set[str],
    tried: dict[tuple[str, str], TestResult],
) -> Mistake | None:
    """The first mistake that fails every failed test, giving the same values as seen; of several the one that agrees in most tests."""
    best, agreeing = None, -1
    for mistake in mistakes:
        results = {test: tried.get((mistake.label, test)) for test in seen}
        same = {test: result is not None and result.transcript.equals(seen[test]) for test, result in results.items()}
        explains = all(same[test] and results[test].complaint is not None for test in seen if test in failed)
        if explains and sum(same.values()) > agreeing:
            best, agreeing = mistake, sum(same.values())
    return best


def _is_telling(result: TestResult) -> bool:
    """A failed test in which the object gave values, not an exception or nothing at all."""
    if result.complaint is None or result.complaint.kind in ("unwritten", "missing", "signature", "raised"):
        return False
    return result.transcript.tells_something


def _affordable(
    telling: list[TestResult], passed: list[TestResult], n_mistakes: int, budget: float
) -> list[TestResult]:
    """Tests that fit into the time budget: failed ones before passed ones, quick ones before slow ones."""
    chosen, spent = [], 0.0
    for result in [*telling, *sorted(passed, key=_duration)]:
        spent += result.seconds * n_mistakes
        if spent <= budget:
            chosen.append(result)
    return chosen


def _duration(result: TestResult) -> int:
    """In doublings of a hundredth of a second, so that small differences from run to run change no order."""
    return round(math.log2(max(result.seconds, 0.01)))
