"""This file knows how to write what Gradescope reads after its autograder has run: results.json, one for each learner.

The keys are those of https://gradescope-autograders.readthedocs.io/en/latest/specs/. Everything is given as plain
text, so nothing that a learner wrote is taken for markup.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from utils.atomic_write import write_atomically
from utils.grading.records import Record
from utils.grading.reports.results import ClassResults, LearnerResults


def write(results: ClassResults, folder: Path) -> list[Path]:
    """``results.json`` where there is one learner, as in Gradescope's own container; else gradescope/NAME.json for each."""
    alone = len(results.learners) == 1
    written = []
    for learner in results.learners:
        path = folder / "results.json" if alone else folder / "gradescope" / f"{learner.page}.json"
        write_atomically(path, json.dumps(_results(results, learner), indent=1) + "\n")
        written.append(path)
    return written


def _results(results: ClassResults, learner: LearnerResults) -> dict[str, Any]:
    tests, seconds = [], 0.0
    for scope in results.scopes:
        piece = learner.pieces.get(scope.chapter.number)
        if piece is None:
            continue
        records = {record.key.exercise: record for record in results.records(learner, scope.chapter)}
        seconds += sum(record.seconds for record in records.values())
        for exercise in scope.exercises:
            record, worth = records.get(exercise.number), results.worth[exercise.number]
            test = {"number": exercise.number, "name": exercise.title, "max_score": worth, "output_format": "text"}
            if record is None:
                tests.append(test | {"score": 0, "status": "failed", "output": piece.error or "not graded"})
            else:
                passed = record.state == "passed"
                told = {"score": worth if passed else 0, "status": "passed" if passed else "failed"}
                tests.append(test | told | {"output": _output(record)})
    lines = [f"Graded under: {sandbox}" for sandbox in results.sandboxes]
    lines += [f"Seed of the test inputs: {seed}" for seed in sorted({one.seed for one in results.conditions})]
    lines += learner.left_out
    return {
        "score": sum(test["score"] for test in tests),
        "execution_time": round(seconds),
        "output": "\n".join(lines),
        "output_format": "text",
        "tests": tests,
    }


def _output(record: Record) -> str:
    lines = []
    if record.state == "unwritten":
        return "not written yet"
    for test in record.tests:
        mark = "passed" if test.passed else "skipped" if test.skipped else "failed"
        lines.append(f"{mark}: {test.sentence}")
    failure = record.first_failure
    if failure is not None:
        lines += ["", f"seen: {failure.seen}"]
        if record.broken_below:
            lines.append(f"built on what does not pass by itself: {', '.join(record.broken_below)}")
        if record.mistake:
            lines.append(f"a known mistake, {record.mistake['name']}: {record.mistake['sentence']}")
        lines += [f"the rule: {failure.rule}"] if failure.rule else []
        lines += [f"look at: {failure.look_at}"] if failure.look_at else []
    return "\n".join(lines)
