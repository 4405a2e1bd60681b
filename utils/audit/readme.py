"""This file knows how to keep the README's two figures of each chapter true: what is refused, and what is told the cause."""

from __future__ import annotations

import re

from utils.atomic_write import write_atomically
from utils.audit.figures import Tally, percent
from utils.course import Chapter
from utils.refusal import CannotDo

BEGIN, END = "<!-- written by circuits audit -->", "<!-- end of what circuits audit writes -->"
BLOCK = re.compile(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", re.DOTALL)


def sentence(chapter: Chapter, total: Tally) -> str:
    """The line for a chapter."""
    there = total.killed + total.survived
    return (
        f"- Chapter {chapter.number}: of {there:,} wrong variants {percent(total.killed_share)} % are refused, "
        f"{percent(total.named_share)} % of those that run in words that name the cause."
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
    text = path.read_text(encoding="utf-8")
    right = _changed(text, chapter, total) == text
    return [] if right else [f"the README says something else: run `circuits audit {chapter.number}`"]


def _changed(text: str, chapter: Chapter, total: Tally) -> str:
    block = BLOCK.search(text)
    if block is None:
        raise CannotDo(f"README.md has no lines between {BEGIN} and {END}")
    lines = {int(re.match(r"- Chapter (\d+)", line)[1]): line for line in block[1].splitlines()}
    lines[chapter.number] = sentence(chapter, total)
    inside = "".join(f"{lines[number]}\n" for number in sorted(lines))
    return text[: block.start(1)] + inside + text[block.end(1) :]
