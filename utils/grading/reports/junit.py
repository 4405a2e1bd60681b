"""This file knows how to write a run as JUnit XML, which build servers and many other tools read."""

from __future__ import annotations

import os
from pathlib import Path
from xml.sax.saxutils import XMLGenerator

from utils.grading.records import Record, TestOutcome
from utils.grading.reports.results import ClassResults, LearnerResults


def write(results: ClassResults, path: Path) -> None:
    """One suite for each learner and chapter, one case for each test; written as it goes, so a large class needs no memory."""
    beside = path.with_name(f".{path.name}.new")
    try:
        with open(beside, "w", encoding="utf-8") as file:
            xml = XMLGenerator(file, encoding="utf-8", short_empty_elements=True)
            xml.startDocument()
            xml.startElement("testsuites", {"name": "circuits grade"})
            for learner in results.learners:
                _learner(xml, results, learner)
            xml.endElement("testsuites")
            xml.endDocument()
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _learner(xml: XMLGenerator, results: ClassResults, learner: LearnerResults) -> None:
    for scope in results.scopes:
        piece = learner.pieces.get(scope.chapter.number)
        if piece is None:
            continue
        records = list(results.records(learner, scope.chapter))
        tests = [test for record in records for test in record.tests]
        missing = [one for one in scope.exercises if one.number not in piece.marks]
        facts = {
            "name": f"{learner.name}: {scope.chapter.name}",
            "tests": len(tests) + len(missing),
            "failures": sum(test.failed for test in tests),
            "errors": len(missing),
            "skipped": sum(bool(test.skipped) for test in tests),
            "time": f"{sum(record.seconds for record in records):.3f}",
        }
        xml.startElement("testsuite", {name: str(value) for name, value in facts.items()})
        if records:
            _properties(xml, records[0])
        for record in records:
            for test in record.tests:
                _case(xml, learner, record, test)
        for exercise in missing:
            _open_case(xml, learner, exercise.number, exercise.title, 0.0)
            _element(xml, "error", {"message": piece.error or "not graded"}, "")
            xml.endElement("testcase")
        xml.endElement("testsuite")


def _properties(xml: XMLGenerator, record: Record) -> None:
    conditions = record.key.conditions
    told = {"file": record.file, "sha256": record.key.sha256, "sandbox": record.sandbox}
    told |= {"seed": conditions.seed, "checkers": conditions.checker, "device": conditions.device}
    xml.startElement("properties", {})
    for name, value in told.items():
        _element(xml, "property", {"name": name, "value": str(value)}, "")
    xml.endElement("properties")


def _case(xml: XMLGenerator, learner: LearnerResults, record: Record, test: TestOutcome) -> None:
    _open_case(xml, learner, record.key.exercise, test.sentence, test.seconds)
    if test.skipped:
        _element(xml, "skipped", {"message": test.skipped}, "")
    elif test.failed:
        first = test is record.first_failure
        lines = [test.seen]
        if first and record.broken_below:
            lines.append(f"built on what does not pass by itself: {', '.join(record.broken_below)}")
        if first and record.mistake:
            lines.append(f"a known mistake, {record.mistake['name']}: {record.mistake['sentence']}")
        lines += [f"the rule: {test.rule}"] if test.rule else []
        lines += [f"look at: {test.look_at}"] if test.look_at else []
        lines += [f"{f['place']}, line {f['line']}, in {f['function']}: {f['source']}" for f in test.frames]
        _element(xml, "failure", {"message": test.seen, "type": test.kind}, "\n".join(lines))
    if record.printed and test is record.tests[-1]:
        _element(xml, "system-out", {}, record.printed)
    xml.endElement("testcase")


def _open_case(xml: XMLGenerator, learner: LearnerResults, number: str, sentence: str, seconds: float) -> None:
    facts = {"classname": f"{learner.name}.{number}", "name": sentence, "time": f"{seconds:.4f}"}
    xml.startElement("testcase", facts)


def _element(xml: XMLGenerator, name: str, attributes: dict[str, str], text: str) -> None:
    xml.startElement(name, attributes)
    xml.characters(text)
    xml.endElement(name)
