"""This file knows how to write the invented language of attn-only-2l: words without meaning, in which only two things help.

The word before says which few words are likely next (bigrams), and what stood earlier in the text is often repeated
(induction). Nothing else helps, so that a model of two attention layers can learn nearly all there is, and what each
head is for can be seen. Olsson et al. (2022), https://arxiv.org/abs/2209.11895, study the same two in natural language.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from utils.data.choosing import Chooser

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BOS_TOKEN = "<|endoftext|>"
BOS, FIRST_WORD = 0, 1
ONSETS = "b d f g h k l m n p r s t v w y z".split()
RHYMES = "a e i o u an en in on un as es is os us".split()
WORDS = [f" {onset}{rhyme}" for onset in ONSETS for rhyme in RHYMES]
D_VOCAB = FIRST_WORD + len(WORDS)

# each word has this many likely successors
SUCCESSORS = 5
# how often the next word is one of them; otherwise any word, common ones more often
LIKELY_SHARE = 0.6

RANDOM_REPEATS, COPIES, PLAIN = "random repeats", "copies", "plain"
SHARES = {RANDOM_REPEATS: 0.20, COPIES: 0.55, PLAIN: 0.25}


@cache
def word_frequencies() -> Float[Tensor, "d_vocab"]:
    """How common each word is where the word before says nothing: after Zipf, the n-th at 1 / (n + 3); BOS never."""
    frequencies = 1 / (torch.arange(D_VOCAB, dtype=torch.float64) + 3)
    frequencies[BOS] = 0
    return frequencies / frequencies.sum()


@cache
def transitions() -> Float[Tensor, "before after"]:
    """P(next word | word before): the truth that a bigram model would learn."""
    generator = torch.Generator().manual_seed(1234)
    frequencies = word_frequencies()
    successors = torch.multinomial(frequencies.expand(D_VOCAB, -1), SUCCESSORS, generator=generator)
    # exponential draws, made to sum to one, are uniform over all ways to share out: a flat Dirichlet distribution
    weights = -torch.rand(D_VOCAB, SUCCESSORS, generator=generator, dtype=torch.float64).log()
    likely = torch.zeros(D_VOCAB, D_VOCAB, dtype=torch.float64)
    likely.scatter_(1, successors, weights / weights.sum(-1, keepdim=True))
    return LIKELY_SHARE * likely + (1 - LIKELY_SHARE) * frequencies


def bigram_entropy() -> float:
    """The least loss, in nats per word, on plain text: H(next word | word before)."""
    matrix = transitions()
    stationary = torch.linalg.matrix_power(matrix, 100)[BOS]
    return -(stationary @ torch.xlogy(matrix, matrix).sum(-1)).item()


def plain_text(count: int, length: int, *, generator: torch.Generator) -> Int[Tensor, "count length"]:
    """BOS, then words of which each follows from the one before."""
    matrix = transitions()
    columns = [torch.full((count,), BOS)]
    while len(columns) < length:
        columns.append(torch.multinomial(matrix[columns[-1]], 1, generator=generator)[:, 0])
    return torch.stack(columns, dim=1)


def random_repeats(length: int, chooser: Chooser) -> list[int]:
    """Words at random, all equally often, and the same again until the text is full."""
    segment = [chooser.between(FIRST_WORD, D_VOCAB - 1) for _ in range(chooser.between(10, 44))]
    return (segment * (length // len(segment) + 1))[:length]


def with_copies(words: list[int], chooser: Chooser) -> list[int]:
    """The text with runs of 5 to 24 words replaced by what stood somewhere earlier in it."""
    words = list(words)
    place = chooser.between(12, 29)
    while place < len(words):
        source = chooser.between(0, place - 5)
        run = min(chooser.between(5, 24), len(words) - place, place - source)
        words[place : place + run] = words[source : source + run]
        place += run + chooser.between(0, 11)
    return words


def invented_windows(count: int, length: int, *, generator: torch.Generator) -> Int[Tensor, "count length"]:
    """Windows for training, each begun with BOS: plain text, text with copied runs, and repeated random words."""
    windows = plain_text(count, length, generator=generator)
    chooser = Chooser(generator)
    for window in windows:
        kind = chooser.weighted(SHARES)
        if kind == RANDOM_REPEATS:
            window[1:] = torch.tensor(random_repeats(length - 1, chooser))
        elif kind == COPIES:
            window[1:] = torch.tensor(with_copies(window[1:].tolist(), chooser))
    return windows


def build_tokenizer(n_ctx: int) -> PreTrainedTokenizerFast:
    from utils.data.tokenizer import word_level_tokenizer

    vocabulary = {token: index for index, token in enumerate([BOS_TOKEN, *WORDS])}
    return word_level_tokenizer(vocabulary, n_ctx, unknown=BOS_TOKEN)


def save_tokenizer(folder: Path, n_ctx: int) -> None:
    build_tokenizer(n_ctx).save_pretrained(folder)
