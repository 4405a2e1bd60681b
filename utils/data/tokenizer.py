"""This file knows how to cut the generated text into words: a token is a word with the space before it.

The vocabulary is every word that the templates and word lists contain, so no sampling decides what is in it, and the
order is alphabetical. Years are two tokens, " 17" and "32".
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from utils.data import facts, ioi, requests, reviews, stories, world, years

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BOS_TOKEN, UNKNOWN_TOKEN = "<|endoftext|>", "<unk>"
BOS, UNKNOWN, FIRST_WORD = 0, 1, 2
# a word or the first half of a year takes the space before it; the second half of a year and punctuation have none
TOKEN = r" ?[A-Za-z]+| ?\d\d|[.,?!:]"

_TOKEN = re.compile(TOKEN)
_SLOT = re.compile(r"\{[^}]*\}")
_WORD = re.compile(r"[A-Za-z]+")


@cache
def vocabulary() -> dict[str, int]:
    """The id of every token."""
    texts = [text for kind in (stories, ioi, facts, years, reviews, requests) for text in kind.TEMPLATES]
    texts += [word for kind in (stories, facts, years, reviews, requests) for word in kind.WORDS]
    texts += [word for words in world.word_lists() for word in words]
    words = {f" {word}" for text in texts for word in _WORD.findall(_SLOT.sub(" ", text))}
    centuries = {f" {century}" for century in years.CENTURIES}
    digits = {f"{number:02d}" for number in range(100)}
    tokens = [BOS_TOKEN, UNKNOWN_TOKEN, *sorted(words | centuries | digits | set(".,?!:"))]
    return {token: index for index, token in enumerate(tokens)}


CONTINUATIONS = frozenset(vocabulary()[f"{number:02d}"] for number in range(100))


@cache
def _tokens() -> list[str]:
    return list(vocabulary())


def words(text: str) -> list[str]:
    """The tokens of a text, as strings."""
    return _TOKEN.findall(text if text.startswith(" ") or not text[:1].isalnum() else f" {text}")


def encode(text: str) -> list[int]:
    """The ids of a text of this world, much faster than the tokenizer; raises on a word outside the vocabulary."""
    ids = vocabulary()
    try:
        return [ids[word] for word in words(text)]
    except KeyError as unknown:
        raise ValueError(f"{unknown} is not in the vocabulary, in the text {text!r}") from None


def decode(ids: list[int]) -> str:
    """The text of these ids, without the first space."""
    tokens = _tokens()
    return "".join(tokens[index] for index in ids).removeprefix(" ")


def build_tokenizer(n_ctx: int) -> PreTrainedTokenizerFast:
    """The tokenizer that ships with the organism."""
    return word_level_tokenizer(vocabulary(), n_ctx, unknown=UNKNOWN_TOKEN)


def word_level_tokenizer(vocabulary: dict[str, int], n_ctx: int, *, unknown: str) -> PreTrainedTokenizerFast:
    """A tokenizer for transformers that knows these words, each with the space before it, and begins with BOS."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    # the first word has its space too, so that a word is one token wherever it stands
    tokenizer.normalizer = normalizers.Replace(Regex(r"^ *(?=[A-Za-z0-9])"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(TOKEN), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS_TOKEN,
        eos_token=BOS_TOKEN,
        pad_token=BOS_TOKEN,
        unk_token=unknown,
        model_max_length=n_ctx,
    )


def save_tokenizer(folder: Path, n_ctx: int) -> None:
    build_tokenizer(n_ctx).save_pretrained(folder)
