"""This file knows what the measurements of several models share: reading attention, and random words that repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from utils.data.repeats import repeated_tokens

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

Figures = dict[str, object]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def share(correct: Tensor) -> float:
    return correct.float().mean().item()


def patterns_of(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head query key"]:
    _, cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith("hook_pattern"))
    return torch.stack([cache["pattern", layer] for layer in range(model.cfg.n_layers)])


def by_head(values: Float[Tensor, "layer head"]) -> dict[str, float]:
    return {f"L{layer}H{head}": value for layer, row in enumerate(values.tolist()) for head, value in enumerate(row)}


def losses_of(model: TransformerBridge, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos-1"]:
    """Nats for every token after the first."""
    return F.cross_entropy(model(tokens)[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")


def repeats(model: TransformerBridge, count: int, length: int = 40) -> Figures:
    """On random tokens that come twice: how well the second half is known, and what each head looks at."""
    tokens = repeated_tokens(count, length, d_vocab=model.cfg.d_vocab, generator=generator(6))
    logits = model(tokens)
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    # the first token of the second half cannot be known yet
    known = slice(length + 1, 2 * length)
    patterns = patterns_of(model, tokens).mean(1)
    every, second = torch.arange(1, 2 * length + 1), torch.arange(length + 1, 2 * length + 1)

    def score(query: Int[Tensor, " pair"], key: Int[Tensor, " pair"]) -> dict[str, float]:
        return by_head(patterns[:, :, query, key].mean(-1))

    return {
        "accuracy, second half": share(logits[:, known].argmax(-1) == tokens[:, length + 2 :]),
        "loss, first half": losses[:, 1:length].mean().item(),
        "loss, second half": losses[:, known].mean().item(),
        "induction score": score(second, second - length + 1),
        "previous-token score": score(every, every - 1),
        "duplicate-token score": score(second, second - length),
    }


def rounded(figures: object) -> object:
    if isinstance(figures, dict):
        return {name: rounded(value) for name, value in figures.items()}
    return round(figures, 4) if isinstance(figures, float) else figures
