"""This file knows how to write spans of years: "The war lasted from the year 1732 to the year 1748."

A year is two tokens, " 17" and "32", so that after "to the year 17" any greater two digits are right.
After Hanna et al. (2023), "How does GPT-2 compute greater-than?", https://arxiv.org/abs/2305.00586.
"""

from __future__ import annotations

from dataclasses import dataclass

from utils.data.choosing import Chooser
from utils.data.splits import held_out

EVENTS = "war siege festival journey reign drought voyage project".split()
CENTURIES = list(range(11, 19))
# none of the first two and the last two years of a century, so that both answers always exist
FIRST_YEAR, LAST_YEAR = 2, 97

TEMPLATE = "The {event} lasted from the year {century}{start:02d} to the year {century}"
TEMPLATES = ["The lasted from the year to the year."]
WORDS = EVENTS


@dataclass(frozen=True)
class YearPrompt:
    """A text that stops before the last two digits, which should be greater than `start`."""

    text: str
    start: int


def is_held_out_year(century: int, start: int) -> bool:
    """Whether a span beginning in this year is never trained on (one in six)."""
    return held_out(century, f"{start:02d}", one_in=6)


def year_prompt(chooser: Chooser, *, held_out_years: bool) -> YearPrompt:
    while True:
        century, start = chooser.pick(CENTURIES), chooser.between(FIRST_YEAR, LAST_YEAR)
        if is_held_out_year(century, start) == held_out_years:
            return YearPrompt(TEMPLATE.format(event=chooser.pick(EVENTS), century=century, start=start), start)


def year_prompts(count: int, chooser: Chooser, *, held_out_years: bool = True) -> list[YearPrompt]:
    return [year_prompt(chooser, held_out_years=held_out_years) for _ in range(count)]


def document(chooser: Chooser) -> str:
    sentences = []
    for _ in range(chooser.between(1, 4)):
        prompt = year_prompt(chooser, held_out_years=False)
        sentences.append(f"{prompt.text}{chooser.between(prompt.start + 1, 99):02d}.")
    return " ".join(sentences)
