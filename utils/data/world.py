"""This file knows how to name the people, places and things that all kinds of text share."""

from __future__ import annotations

from utils.data.choosing import Chooser
from utils.data.splits import held_out

GIRLS = """
    Mary Anna Emma Alice Sarah Laura Julia Kate Lucy Jane Clara Helen Grace Amy Nora Ruth Sophie Ella Lily Eva
    Maria Diana Linda Susan Karen Paula Irene Olivia Hannah Molly Rachel Zoe Joan Tina Carol Betty Wendy Vera Nina Doris
""".split()
BOYS = """
    John Tom James Paul Mark Peter David Jack Sam Ben Adam Luke Henry George Frank Oscar Simon Daniel Leo Max
    Victor Robert Kevin Alan Eric Brian Carl Fred Harry Jason Martin Neil Owen Philip Ryan Scott Sean Toby Ivan Walter
""".split()
NAMES = GIRLS + BOYS

PLACES = """
    store park school market garden beach station library hospital museum farm river forest bakery office castle
    church harbor zoo theater restaurant gym hotel lake
""".split()
THINGS = """
    drink ring book ball basket cake kite letter flower pear cup hat map coin box lamp pen bag toy key card gift bone
    necklace computer sandwich blanket bottle candle camera
""".split()
LOOKS = "big small red blue green long new shiny heavy pretty little strange".split()
WEATHER = "sunny rainy cold warm windy cloudy quiet busy".split()
GAVE = "gave handed passed sent offered brought".split()

_GIRLS = frozenset(GIRLS)


def is_girl(name: str) -> bool:
    return name in _GIRLS


def pronouns(name: str, prefix: str = "") -> dict[str, str]:
    """The words for a person, ready for a template: {he}, {him}, {his}, {girl} and, to begin a sentence, {He}, {His}."""
    if is_girl(name):
        words = {"he": "she", "him": "her", "his": "her", "He": "She", "His": "Her", "girl": "girl"}
    else:
        words = {"he": "he", "him": "him", "his": "his", "He": "He", "His": "His", "girl": "boy"}
    return {prefix + word: pronoun for word, pronoun in words.items()}


def is_held_out_pair(a: str, b: str) -> bool:
    """Whether these two names never occur in one training document (one pair in five)."""
    return held_out(*sorted((a, b)), one_in=5)


HELD_OUT_PAIRS = [(a, b) for a in NAMES for b in NAMES if a < b and is_held_out_pair(a, b)]
_MAY_MEET = {a: frozenset(b for b in NAMES if a != b and not is_held_out_pair(a, b)) for a in NAMES}


def companions(chooser: Chooser, company: list[str], count: int) -> list[str]:
    """`count` more people: new names, of which none is half of a held-out pair with any other or with the company."""
    everyone = list(company)
    while len(everyone) < len(company) + count:
        name = chooser.pick(NAMES)
        if all(name in _MAY_MEET[other] for other in everyone):
            everyone.append(name)
    return everyone[len(company) :]


def people(chooser: Chooser, count: int) -> list[str]:
    """Different people who may meet in one training document."""
    return companions(chooser, [], count)


def word_lists() -> list[list[str]]:
    persons = [word for name in (GIRLS[0], BOYS[0]) for word in pronouns(name).values()]
    return [NAMES, PLACES, THINGS, LOOKS, WEATHER, GAVE, persons]
