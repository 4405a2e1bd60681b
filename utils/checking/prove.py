"""This file knows how to prove a chapter's checkers: right code passes, stubs and every named mistake are refused in their own words."""

from __future__ import annotations

import argparse

from utils import course
from utils.checking.cells import read_cells
from utils.checking.mistakes import changed_cells, load_mistakes, load_right_answers, solution_cells
from utils.checking.naming import choose
from utils.checking.run import Submission, run
from utils.course import Chapter


def prove_solutions(chapter: Chapter, names: list[str], device: str = "auto", seed: int = 0) -> list[str]:
    """What is wrong with the solutions: nothing, one hopes; every object must be tested by something."""
    results = run(
        chapter, [Submission("solution", cells=solution_cells(chapter), focus=names)], device=device, seed=seed
    )
    wrong = [f"solution: {result.sentence}: {result.complaint}" for result in results if result.complaint]
    tested = {name for result in results if result.passed for name in result.objects}
    return wrong + [f"{name}: no test passes on it" for name in names if name not in tested]


def prove_stubs(chapter: Chapter, names: list[str], device: str = "auto") -> list[str]:
    """Which stubs do not fail in every test, with NotImplementedError and one line that begins with the exercise's number."""
    cells = read_cells(chapter.student_notebook)
    numbers = {name: exercise.number for exercise in chapter.exercises for name in exercise.objects}
    results = run(chapter, [Submission(f"stub: {name}", cells=cells, focus=[name]) for name in names], device=device)
    wrong = []
    for result in results:
        complaint = result.complaint
        starts = tuple(f"{numbers[name]} {name}" for name in result.objects)
        if complaint is None or complaint.kind != "unwritten":
            wrong.append(
                f"{result.submission}: {result.sentence}: not refused as unwritten but {complaint or 'passed'}"
            )
        elif (
            "\n" in complaint.seen
            or not any(complaint.seen.startswith(start) for start in starts)
            and not _of_dependency(complaint.seen, numbers)
        ):
            wrong.append(f"{result.submission}: {result.sentence}: the line is {complaint.seen!r}")
    tested = {result.submission for result in results}
    return wrong + [f"stub: {name}: no test" for name in names if f"stub: {name}" not in tested]


def prove_mistakes(chapter: Chapter, names: list[str], device: str = "auto", seed: int = 0) -> dict[str, str]:
    """For every named mistake of these objects: an empty text if it is refused by its own sentence, or what is wrong."""
    mistakes = [mistake for mistake in load_mistakes(chapter) if mistake.object in names]
    submissions = [
        Submission(mistake.label, cells=changed_cells(chapter, mistake), focus=[mistake.object]) for mistake in mistakes
    ]
    results = run(chapter, submissions, device=device, seed=seed)
    tried = {(result.submission, result.test): result for result in results}
    verdicts = {}
    for mistake in mistakes:
        own = [result for result in results if result.submission == mistake.label]
        failed = [result for result in own if result.complaint]
        broken = [
            result for result in failed if result.complaint.kind in ("raised", "signature", "missing", "unwritten")
        ]
        if not failed:
            verdicts[mistake.label] = "passes all tests"
        elif broken:
            verdicts[mistake.label] = f"does not run: {broken[0].complaint}"
        else:
            rivals = [other for other in mistakes if other.object == mistake.object]
            named = choose(
                rivals,
                {result.test: result.transcript for result in own},
                {result.test for result in failed},
                tried,
            )
            verdicts[mistake.label] = "" if named is mistake else f"is taken for {named.label if named else 'nothing'}"
    return verdicts


def prove_right_answers(chapter: Chapter, names: list[str], device: str = "auto", seed: int = 0) -> dict[str, str]:
    """For every further right answer of these objects: an empty text if it is accepted, or what was complained about."""
    answers = [answer for answer in load_right_answers(chapter) if answer.object in names]
    submissions = [
        Submission(answer.label, cells=changed_cells(chapter, answer), focus=[answer.object]) for answer in answers
    ]
    verdicts = {answer.label: "no test" for answer in answers}
    results = run(chapter, submissions, device=device, seed=seed)
    for result in results:
        verdicts[result.submission] = "" if verdicts[result.submission] == "no test" else verdicts[result.submission]
    for result in results:
        if result.complaint and not verdicts[result.submission]:
            verdicts[result.submission] = f"{result.sentence}: {result.complaint}"
    return verdicts


def _of_dependency(seen: str, numbers: dict[str, str]) -> bool:
    """A stub may also fail in the stub of an object that it builds on."""
    return any(seen.startswith(f"{number} {name}") for name, number in numbers.items())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.checking.prove", description="Prove a chapter's checkers.")
    parser.add_argument("chapter", nargs="?", default="1")
    parser.add_argument("--objects", default="", help="comma-separated; all if not given")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0, help="other test inputs")
    options = parser.parse_args(argv)
    chapter = course.chapter(options.chapter)
    names = [name for exercise in chapter.exercises for name in exercise.objects]
    wanted = options.objects.split(",") if options.objects else names
    if unknown := ", ".join(sorted(set(wanted) - set(names))):
        parser.error(f"no exercise of chapter {chapter.number} asks for {unknown}; there are {', '.join(names)}")
    names = [name for name in names if name in wanted]
    wrong = prove_solutions(chapter, names, options.device, options.seed)
    wrong += prove_stubs(chapter, names, options.device)
    mistakes = prove_mistakes(chapter, names, options.device, options.seed)
    answers = prove_right_answers(chapter, names, options.device, options.seed)
    wrong += [f"mistake {label} {verdict}" for label, verdict in mistakes.items() if verdict]
    wrong += [f"right answer {label} refused: {verdict}" for label, verdict in answers.items() if verdict]
    print("".join(f"{line}\n" for line in wrong), end="")
    tried = f"{', '.join(names) if options.objects else f'{len(names)} objects'}: solution and stub"
    print(f"{tried}, {len(mistakes)} mistakes, {len(answers)} further right answers: {len(wrong)} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
