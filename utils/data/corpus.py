"""This file knows how to mix all kinds of text into what the organism is trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial

import torch
from jaxtyping import Int
from torch import Tensor

from utils.data import facts, ioi, repeats, requests, reviews, stories, years
from utils.data.choosing import Chooser
from utils.data.tokenizer import BOS, encode

KINDS = ("stories", "ioi", "facts", "years", "reviews", "requests", "repeats")
# shares of documents; a story or a run of repeats has about twice the tokens of the others
SHARES = {
    "stories": 0.08,
    "ioi": 0.32,
    "facts": 0.26,
    "years": 0.12,
    "reviews": 0.03,
    "requests": 0.08,
    "repeats": 0.11,
}
# towards the end of a training: more of what is still answered badly by then
LATER_SHARES = SHARES | {"ioi": 0.20, "ioi with a distractor": 0.12}

_WRITERS = {
    "stories": stories.document,
    "ioi": ioi.document,
    "ioi with a distractor": partial(ioi.document, form="distractor"),
    "facts": facts.document,
    "years": years.document,
    "reviews": reviews.document,
    "requests": requests.document,
    "repeats": repeats.document,
}


def sample_document(kind: str, generator: torch.Generator) -> str:
    """One training document of this kind, without BOS."""
    if kind not in _WRITERS:
        raise ValueError(f'there is no kind of text called "{kind}": KINDS are {", ".join(KINDS)}')
    return _WRITERS[kind](Chooser(generator))


def documents(chooser: Chooser, shares: Mapping[str, float]) -> Iterator[list[int]]:
    """Endless training documents as token ids, each begun with BOS, in these shares."""
    while True:
        kind = chooser.weighted(shares)
        ids = repeats.tokens(chooser) if kind == "repeats" else encode(_WRITERS[kind](chooser))
        yield [BOS, *ids]


def token_windows(
    n_windows: int,
    length: int,
    *,
    generator: torch.Generator,
    kinds: Sequence[str] | None = None,
    shares: Mapping[str, float] = SHARES,
) -> Int[Tensor, "n_windows length"]:
    """Windows for training: each begins with the BOS of a document, and the last document in it is cut off.

    Of all kinds of text in `shares`, or of these `kinds` alone.
    """
    stream = documents(Chooser(generator), {kind: shares[kind] for kind in (shares if kinds is None else kinds)})
    windows = []
    for _ in range(n_windows):
        window: list[int] = []
        while len(window) < length:
            window += next(stream)
        windows.append(window[:length])
    return torch.tensor(windows, dtype=torch.long).reshape(n_windows, length)


def corpus_tokens(
    n_tokens: int, *, generator: torch.Generator, kinds: Sequence[str] | None = None
) -> Int[Tensor, "n_tokens"]:
    """One stream of documents, each begun with BOS."""
    return token_windows(1, n_tokens, generator=generator, kinds=kinds)[0]


def unigram_entropy(tokens: Int[Tensor, "..."] | None = None) -> float:
    """The loss, in nats per token, of guessing by how common each token is: H(x_t) from the counts in `tokens`.

    Without `tokens`, of a fixed sample of the corpus. A model that has learned only which words are common gets here.
    """
    tokens = _sample() if tokens is None else tokens
    counts = torch.bincount(tokens.flatten()).double()
    return entropy(counts)


def bigram_entropy(tokens: Int[Tensor, "... pos"] | None = None) -> float:
    """The loss, in nats per token, of guessing from the token before: H(x_t | x_{t-1}) from the counts in `tokens`.

    Without `tokens`, of a fixed sample of the corpus. A model that uses only the last token gets here at best; counts
    of a small sample look better than that, since rare pairs occur once.
    """
    tokens = _sample() if tokens is None else tokens
    before, after = tokens[..., :-1].flatten(), tokens[..., 1:].flatten()
    pairs = torch.bincount(before * (int(tokens.max()) + 1) + after).double()
    return entropy(pairs) - entropy(torch.bincount(before).double())


def entropy(counts: Tensor) -> float:
    """In nats, of the distribution with these counts."""
    shares = counts[counts > 0] / counts.sum()
    return -(shares * shares.log()).sum().item()


@cache
def _sample() -> Int[Tensor, "pos"]:
    return corpus_tokens(300_000, generator=torch.Generator().manual_seed(0))
