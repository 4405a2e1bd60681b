"""This file knows the command ``circuits audit``: mutation testing of the checkers, for authors."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

from utils import course
from utils.audit.equivalents import complaints, entry_for, equivalents_file, read_equivalents
from utils.audit.figures import KILLED_AIM, NAMED_AIM, Tally, percent, table, tallies
from utils.audit.judging import Judge, Suspect, Verdict
from utils.audit.mutants import Mutant, mutants_of
from utils.audit.readme import sentence, shares, with_sentence, without_changes
from utils.audit.verdicts import Verdicts, verdicts_file
from utils.audit.workers import judge_all
from utils.course import Chapter
from utils.refusal import CannotDo

KEEP_EVERY = 100  # verdicts, after which they are written into the file
SAMPLE = 40  # mutants of a chapter that --check judges again, though their verdicts are known: always the same ones
SAMPLED = 6  # exercises that these are of: to get ready for one takes longer than to judge its mutants


def main(argv: list[str]) -> int:
    """Exit status 0 if the checkers reach the aims and the list of equivalent mutants is right, 1 if not."""
    parser = argparse.ArgumentParser(
        prog="circuits audit",
        description="Changes every solution in many small ways, one at a time, and says which of the changed ones the "
        "checkers refuse. Verdicts are kept in tests/verdicts_*.json; only what changed since is judged again.",
    )
    parser.add_argument("chapter", nargs="?", help="number or name; all chapters if not given")
    parser.add_argument("--exercise", metavar="N.N", help="one exercise only")
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        help="processes (default: one for each core; 0: this one, and nothing may hang)",
    )
    parser.add_argument("--show-survivors", action="store_true", help="show what is not refused, as diffs")
    parser.add_argument("--show-named", action="store_true", help="show how each refused mutant was refused")
    parser.add_argument("--again", action="store_true", help="judge all again, known or not")
    parser.add_argument("--check", action="store_true", help=f"write nothing; judge {SAMPLE} known ones again (for CI)")
    parser.add_argument("--stability", action="store_true", help="run the solutions on 200 seeds, with 1 and 2 threads")
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds --stability tries (default 200)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them, to go on elsewhere (default 0)")
    options = parser.parse_args(argv)
    chapters = _chapters(options.chapter, options.exercise)
    if options.stability:
        from utils.audit.stability import stability

        how = options.seeds, options.jobs, options.first_seed
        return max([stability(chapter, options.exercise, *how) for chapter in chapters])
    others = ("chapter", "stability", "seeds", "first_seed")
    choices = {name: value for name, value in vars(options).items() if name not in others}
    return max([audit(chapter, **choices) for chapter in chapters])


def _chapters(chapter: str | None, exercise: str | None) -> list[Chapter]:
    if exercise is not None:
        number = course.exercise(exercise).chapter
        if chapter is not None and course.chapter(chapter).number != number:
            raise CannotDo(f"exercise {exercise} is not in chapter {chapter}")
        return [course.chapter(number)]
    return [course.chapter(chapter)] if chapter is not None else course.chapters()


def audit(
    chapter: Chapter,
    *,
    exercise: str | None = None,
    jobs: int = 1,
    again: bool = False,
    check: bool = False,
    show_survivors: bool = False,
    show_named: bool = False,
) -> int:
    """Judge what is not known, print the tables, keep what was found; 1 if something is wrong."""
    every = mutants_of(chapter)
    mutants = [mutant for mutant in every if exercise in (None, mutant.exercise)]
    kept = Verdicts.read(chapter)
    before = dict(kept.known)
    waiting = [mutant for mutant in mutants if again or mutant.hash not in before]
    if check:
        waiting += sample([mutant for mutant in mutants if mutant.hash in before])
    changed = kept.outdated & {mutant.hash for mutant in waiting}
    why = f" ({len(changed)} of them again: what they depend on has changed)" if changed else ""
    print(f"Chapter {chapter.number}: {len(mutants)} mutants, {len(waiting)} to judge{why}", flush=True)
    judge_waiting(chapter, waiting, kept.known, jobs, keep=lambda: None if check else kept.write(every))
    known = kept.known
    if not check:
        kept.write(every)

    listed = [entry for entry in read_equivalents(chapter) if exercise in (None, entry.exercise)]
    equivalent = {hash for entry in listed for hash in entry.mutants}
    wrong = complaints(listed, mutants, known)
    if check:
        wrong += [
            f"{verdicts_file(chapter).name} says that {mutant.hash} is {_said(before[mutant.hash])}, but it is "
            f"{_said(known[mutant.hash])}; exercise {mutant.exercise}, {mutant.change}"
            for mutant in waiting
            if mutant.hash in before and before[mutant.hash].killed != known[mutant.hash].killed
        ]
    for key in ("exercise", "operator"):
        print(table(tallies(mutants, known, equivalent, key=lambda mutant: getattr(mutant, key)), key) + "\n")  # noqa: B023
    surviving = [mutant for mutant in mutants if not known[mutant.hash].killed and mutant.hash not in equivalent]
    if show_survivors:
        print("".join(f"{shown(mutant)}\n\n" for mutant in surviving), end="")
    if show_named:
        print("\n".join(f"{mutant.exercise} {_said(known[mutant.hash])}: {mutant.change}" for mutant in mutants) + "\n")

    total = tallies(mutants, known, equivalent, key=lambda _: "all").get("all", Tally())
    print(f"Exercise {exercise}: {shares(total)}." if exercise else sentence(chapter, total).removeprefix("- "))
    if exercise is not None and surviving:
        wrong.append(
            f"{len(surviving)} not refused: mend the checker, or list what is equivalent in "
            f"{equivalents_file(chapter).name} (--show-survivors shows each; CONTRIBUTING.md, section 5)"
        )
    if exercise is None:
        wrong += aims(total)
        if check:
            wrong += without_changes(chapter, total)
        else:
            with_sentence(chapter, total)
    print("".join(f"  {complaint}\n" for complaint in wrong), end="")
    return int(bool(wrong))


def judge_waiting(
    chapter: Chapter, waiting: list[Mutant], known: dict[str, Verdict], jobs: int, keep: Callable[[], None]
) -> None:
    """Put the verdicts on these mutants among the known ones; ``keep`` is called now and then, as it may take long."""
    suspects = [Suspect(mutant.hash, mutant.exercise, mutant.object, mutant.cell) for mutant in waiting]
    alone = ((suspect, judge.judge(suspect)) for judge in [Judge(chapter)] for suspect in suspects)
    start = time.monotonic()
    for number, (suspect, verdict) in enumerate(judge_all(chapter, suspects, jobs) if jobs else alone, start=1):
        known[suspect.hash] = verdict
        if number % KEEP_EVERY == 0 or number == len(suspects):
            keep()
            print(
                f"  {number} of {len(suspects)} judged in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True
            )


def sample(mutants: list[Mutant]) -> list[Mutant]:
    """A few mutants of a few exercises, the same ones as long as they exist: those with the smallest hashes."""
    ordered = sorted(mutants, key=lambda mutant: mutant.hash)
    exercises = list(dict.fromkeys(mutant.exercise for mutant in ordered))[:SAMPLED]
    return [mutant for mutant in ordered if mutant.exercise in exercises][:SAMPLE]


def aims(total: Tally) -> list[str]:
    """Which of the two aims are not reached."""
    wrong = []
    if total.killed_share < KILLED_AIM:
        wrong.append(f"{percent(total.killed_share)} % are killed, {100 * KILLED_AIM:.0f} % is the aim")
    if total.named_share < NAMED_AIM:
        wrong.append(f"{percent(total.named_share)} % of those are told the cause, {100 * NAMED_AIM:.0f} % is the aim")
    return wrong


def shown(mutant: Mutant) -> str:
    """A survivor as its author wants to see it, with the entry for the list, should it be equivalent."""
    where = f"solutions, line {mutant.line}"
    title = f"{mutant.hash}  exercise {mutant.exercise}, {mutant.object}, {mutant.operator} ({where})"
    return f"{title}\n{mutant.diff.rstrip()}\n\n{entry_for(mutant)}"


def _said(verdict: Verdict) -> str:
    """How it was refused, as which mistake, and by which test first."""
    if not verdict.killed:
        return "not refused"
    how = f"refused ({verdict.mistake or verdict.how})"
    return f"{how} by {verdict.tests[0]}" if verdict.tests else how
