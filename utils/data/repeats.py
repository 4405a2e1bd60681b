"""This file knows how to write runs of random tokens that repeat, for which only induction helps."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from utils.data.choosing import Chooser

SHORTEST, LONGEST = 4, 60
# how long a run goes on at most, so that a short segment repeats often
RUN = 120


def tokens(chooser: Chooser) -> list[int]:
    """A random segment, repeated at least once, and stopped anywhere."""
    from utils.data.tokenizer import CONTINUATIONS, FIRST_WORD, vocabulary

    last = len(vocabulary()) - 1
    # short segments more often than long ones: what repeats many times teaches induction soonest
    length = chooser.between(SHORTEST, chooser.between(SHORTEST, LONGEST))
    segment = [chooser.between(FIRST_WORD, last) for _ in range(length)]
    # a document that began with the second half of a year would be read differently as text
    while segment[0] in CONTINUATIONS:
        segment[0] = chooser.between(FIRST_WORD, last)
    total = chooser.between(2 * length, max(RUN, 2 * length))
    return (segment * (total // length + 1))[:total]


def document(chooser: Chooser) -> str:
    from utils.data.tokenizer import decode

    return decode(tokens(chooser))


def repeated_tokens(count: int, length: int, *, d_vocab: int, generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """BOS, then `length` random tokens, then the same again; the usual test for induction heads."""
    from utils.data.tokenizer import BOS, FIRST_WORD

    segment = torch.randint(FIRST_WORD, d_vocab, (count, length), generator=generator)
    return torch.cat([torch.full((count, 1), BOS), segment, segment], dim=1)
