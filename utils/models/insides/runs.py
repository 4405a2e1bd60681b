"""This file knows how to run a model on texts of any length, with activations read and set: what every part here needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from utils.data.tokenizer import BOS, encode, vocabulary

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

Hook = tuple[str, Callable[..., Tensor]]


def token(word: str) -> int:
    return vocabulary()[f" {word}"]


@dataclass(frozen=True)
class Batch:
    """Texts of any length, padded on the right, where no end sees it."""

    tokens: Int[Tensor, "batch pos"]
    ends: Int[Tensor, " batch"]

    @property
    def rows(self) -> Int[Tensor, " batch"]:
        return torch.arange(len(self.ends))

    def at(self, positions: Int[Tensor, " batch"]) -> Bool[Tensor, "batch pos"]:
        """A mask of one position in each row."""
        return torch.arange(self.tokens.shape[1]) == positions[:, None]

    def only(self, rows: Bool[Tensor, " batch"]) -> Batch:
        return Batch(self.tokens[rows], self.ends[rows])


def batch_of(texts: Sequence[str]) -> Batch:
    sequences = [[BOS, *encode(text)] for text in texts]
    ends = torch.tensor([len(sequence) - 1 for sequence in sequences])
    tokens = torch.full((len(sequences), int(ends.max()) + 1), BOS)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return Batch(tokens, ends)


def end_logits(model: TransformerBridge, batch: Batch, hooks: Sequence[Hook] = ()) -> Float[Tensor, "batch d_vocab"]:
    return model.run_with_hooks(batch.tokens, fwd_hooks=list(hooks))[batch.rows, batch.ends].float()


def put(name: str, values: Tensor, where: Bool[Tensor, "..."]) -> Hook:
    """A hook that sets an activation to `values` where the mask says so."""
    return name, lambda activation, hook: torch.where(where, values, activation)


def put_heads(
    model: TransformerBridge,
    name: str,
    cache: Mapping[str, Tensor],
    where: Bool[Tensor, "batch pos"],
    heads: Sequence[int],
) -> Hook:
    """A hook that takes some heads' activation of one kind from another run, where the mask says so."""
    chosen = torch.zeros(model.cfg.n_heads, dtype=torch.bool)
    chosen[list(heads)] = True
    return put(name, cache[name], where[:, :, None, None] & chosen[:, None])


def cache_of(
    model: TransformerBridge, batch: Batch, *kinds: str, hooks: Sequence[Hook] = (), layers: int | None = None
) -> Mapping[str, Tensor]:
    """The activations whose name ends in one of `kinds`, in a run with these hooks; of the first `layers` alone."""
    with model.hooks(fwd_hooks=list(hooks)):
        _, cache = model.run_with_cache(
            batch.tokens, names_filter=lambda name: name.endswith(kinds), stop_at_layer=layers
        )
    return cache


def recovered(restored: Tensor, corrupted: Tensor, clean: Tensor) -> float:
    """The share of what the corruption took that came back, of means over prompts: 0 is none, and 1 all of it."""
    lost = (clean.mean() - corrupted.mean()).item()
    return (restored.mean() - corrupted.mean()).item() / lost if abs(lost) > 1e-6 else 0.0
