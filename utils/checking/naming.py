"""This file knows how to find out which named mistake a failing object makes: the one that gives the very same wrong values."""

from __future__ import annotations

from utils.checking.mistakes import Mistake, changed_cells, load_mistakes
from utils.checking.run import Submission, TestResult, run
from utils.checking.transcript import Transcript
from utils.course import Chapter

TIME_BUDGET = 1.5  # seconds that one naming may take, judged by how long the learner's own run of each test took


def name_mistake(
    chapter: Chapter, name: str, results: list[TestResult], *, device: str = "auto", seed: int = 0
) -> Mistake | None:
    """The mistake of object ``name`` whose results equal these, in every failed test that got as far as a value; None if there is none.

    ``results`` are those of one submission for the tests of this object.
    """
    telling = [result for result in results if _is_telling(result)]
    mistakes = [mistake for mistake in load_mistakes(chapter) if mistake.object == name]
    if not telling or not mistakes:
        return None
    affordable = _affordable(telling, [result for result in results if result.passed], len(mistakes))
    submissions = [
        Submission(mistake.label, cells=changed_cells(chapter, mistake), focus=[name]) for mistake in mistakes
    ]
    made = run(chapter, submissions, tests={result.test for result in affordable}, device=device, seed=seed)
    transcripts = {(result.submission, result.test): result.transcript for result in made}
    return choose(
        mistakes,
        {result.test: result.transcript for result in affordable},
        {result.test for result in telling},
        transcripts,
    )


def choose(
    mistakes: list[Mistake],
    seen: dict[str, Transcript],
    failed: set[str],
    transcripts: dict[tuple[str, str], Transcript],
) -> Mistake | None:
    """The first mistake that gives the same values as seen in every failed test, the one that agrees in most passed tests too."""
    best, agreeing = None, -1
    for mistake in mistakes:
        same = {
            test: test_seen.equals(transcripts.get((mistake.label, test), Transcript()))
            for test, test_seen in seen.items()
        }
        if all(same[test] for test in seen if test in failed) and sum(same.values()) > agreeing:
            best, agreeing = mistake, sum(same.values())
    return best


def _is_telling(result: TestResult) -> bool:
    """A failed test in which the object gave values, not an exception or nothing at all."""
    if result.complaint is None or result.complaint.kind in ("unwritten", "missing", "signature", "raised"):
        return False
    return result.transcript.tells_something


def _affordable(telling: list[TestResult], passed: list[TestResult], n_mistakes: int) -> list[TestResult]:
    """Tests that fit into the time budget: the quickest failed one always, then the other failed ones, then passed ones."""
    ordered = sorted(telling, key=lambda result: round(result.seconds, 1)) + sorted(
        passed, key=lambda result: round(result.seconds, 1)
    )
    chosen, spent = [], 0.0
    for result in ordered:
        cost = result.seconds * n_mistakes
        if not chosen or spent + cost <= TIME_BUDGET:
            chosen.append(result)
            spent += cost
    return chosen
