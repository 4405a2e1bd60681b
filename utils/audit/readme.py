"""This file knows how to keep true what the README says of each chapter: what its checkers know, refuse and tell the cause of."""

from __future__ import annotations

import re

from utils.atomic_write import write_atomically
from utils.audit.figures import Tally, percent
from utils.checking.mistakes import load_mistakes, load_right_answers
from utils.course import Chapter
from utils.refusal import CannotDo

BEGIN, END = "<!-- written by circuits audit -->", "<!-- end of what circuits audit writes -->"
SHARE = re.compile(r"\d+\.\d(?= %)")
CLOSE = 0.5  # percentage points
BLOCK = re.compile(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", re.DOTALL)


def sentence(chapter: Chapter, total: Tally) -> str:
    """The line for a chapter."""
    known, tried = len(load_mistakes(chapter)), len(load_right_answers(chapter))
    return (
        f"- Chapter {chapter.number}, {len(chapter.exercises)} exercises: {known} mistakes known by name, {tried} further "
        f"right answers; {shares(total)}."
    )


def shares(total: Tally) -> str:
    """The two figures of some mutants."""
    return (
        f"of {total.killed + total.survived:,} wrong variants {percent(total.killed_share)} % are refused, "
        f"{percent(total.named_share)} % of those that run in words that name the cause"
    )


def with_sentence(chapter: Chapter, total: Tally) -> None:
    """Write a chapter's line into the README."""
    path = chapter.root / "README.md"
    if path.exists():
        write_atomically(path, _changed(path.read_text(encoding="utf-8"), chapter, total))


def without_changes(chapter: Chapter, total: Tally) -> list[str]:
    """What is wrong if the README says something else."""
    path = chapter.root / "README.md"
    if not path.exists():
        return []
    stated = _lines(_block(path.read_text(encoding="utf-8"))).get(chapter.number, "")
    right = says_the_same(stated, sentence(chapter, total))
    return [] if right else [f"the README says something else: run `circuits audit {chapter.number}`"]


def says_the_same(stated: str, found: str) -> bool:
    """Whether two lines say the same, but for what another machine's arithmetic may do to a share."""
    if SHARE.sub("", stated) != SHARE.sub("", found):
        return False
    pairs = zip(SHARE.findall(stated), SHARE.findall(found), strict=True)
    return all(abs(float(before) - float(now)) <= CLOSE for before, now in pairs)


def _changed(text: str, chapter: Chapter, total: Tally) -> str:
    block = _block(text)
    lines = _lines(block) | {chapter.number: sentence(chapter, total)}
    inside = "".join(f"{lines[number]}\n" for number in sorted(lines))
    return text[: block.start(1)] + inside + text[block.end(1) :]


def _block(text: str) -> re.Match[str]:
    block = BLOCK.search(text)
    if block is None:
        raise CannotDo(f"README.md has no lines between {BEGIN} and {END}")
    return block


def _lines(block: re.Match[str]) -> dict[int, str]:
    """Its lines by chapter."""
    return {int(re.match(r"- Chapter (\d+)", line)[1]): line for line in block[1].splitlines()}
