"""This file knows how to run a model without each of its heads in turn, all in one forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def ablate_every_head(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer head batch pos d_vocab"]:
    """The logits with each head's output set to zero, one head at a time.

    The batch is repeated once per head, and each repetition goes without its own head. What a forward pass costs
    besides its sums, which for few and short texts is nearly all of it, is then paid once in place of once per head.
    """
    n_layers, n_heads, batch = model.cfg.n_layers, model.cfg.n_heads, len(tokens)

    def without_its_head(z: Float[Tensor, "run pos head d_head"], hook) -> Float[Tensor, "run pos head d_head"]:
        first = int(hook.name.split(".")[1]) * n_heads
        for head in range(n_heads):
            z[(first + head) * batch : (first + head + 1) * batch, :, head] = 0
        return z

    hooks = [(f"blocks.{layer}.attn.hook_z", without_its_head) for layer in range(n_layers)]
    logits = model.run_with_hooks(tokens.repeat(n_layers * n_heads, 1), fwd_hooks=hooks)
    return logits.unflatten(0, (n_layers, n_heads, batch))


def ablate_heads_one_by_one(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer head batch pos d_vocab"]:
    """The same with a forward pass for each head."""

    def without(layer: int, head: int) -> Float[Tensor, "batch pos d_vocab"]:
        def zero(z: Float[Tensor, "batch pos head d_head"], hook) -> Float[Tensor, "batch pos head d_head"]:
            z[:, :, head] = 0
            return z

        return model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", zero)])

    return torch.stack(
        [
            torch.stack([without(layer, head) for head in range(model.cfg.n_heads)])
            for layer in range(model.cfg.n_layers)
        ]
    )
