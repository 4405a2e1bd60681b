"""This file knows how to write short reviews in which every word of feeling agrees."""

from __future__ import annotations

from utils.data.choosing import Chooser
from utils.data.splits import held_out

POSITIVE = {
    "adjective": "wonderful great excellent lovely brilliant superb delightful charming".split(),
    "verb": "loved enjoyed liked".split(),
    "feeling": "happy glad pleased".split(),
    "advice": ["see"],
}
NEGATIVE = {
    "adjective": "terrible awful horrible boring dreadful dull poor bad".split(),
    "verb": "hated disliked regretted".split(),
    "feeling": "sad angry annoyed".split(),
    "advice": ["avoid"],
}
SUBJECTS = "film book meal song play concert".split()
PARTS = "start end story music".split()

OPENINGS = ["This {subject} was {adjective}.", "I thought the {subject} was {adjective}."]
MIDDLES = ["", "It was really {other_adjective}.", "The {part} was {other_adjective}."]
CLOSINGS = ["I {verb} it.", "I felt {feeling}.", "You should {advice} it."]
TEMPLATES = OPENINGS + MIDDLES + CLOSINGS
WORDS = [*SUBJECTS, *PARTS, *(word for side in (POSITIVE, NEGATIVE) for words in side.values() for word in words)]


def is_held_out_review(subject: str, adjective: str) -> bool:
    """Whether no training review begins by calling this subject so (one in six)."""
    return held_out(subject, adjective, one_in=6)


def document(chooser: Chooser) -> str:
    return review(chooser, positive=chooser.chance(0.5), held_out_words=False)


def review(chooser: Chooser, *, positive: bool, held_out_words: bool) -> str:
    side = POSITIVE if positive else NEGATIVE
    while True:
        subject, adjective = chooser.pick(SUBJECTS), chooser.pick(side["adjective"])
        if is_held_out_review(subject, adjective) == held_out_words:
            break
    sentences = [chooser.pick(OPENINGS), chooser.pick(MIDDLES), chooser.pick(CLOSINGS)]
    return " ".join(filter(None, sentences)).format(
        subject=subject,
        adjective=adjective,
        other_adjective=chooser.pick(side["adjective"]),
        part=chooser.pick(PARTS),
        **{word: chooser.pick(side[word]) for word in ("verb", "feeling", "advice")},
    )
