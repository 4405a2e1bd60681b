"""This file knows how to make small sparse autoencoders with random weights, for checkers to hand out."""

from __future__ import annotations

import torch
from torch import nn

from utils.saes.topk import TopKSAE


def random_sae(
    d_in: int, d_sae: int, k: int, generator: torch.Generator, device: torch.device | None = None
) -> TopKSAE:
    """One in which nothing is at its default: biases are not 0, directions are of many lengths, the encoder is its own.

    It is frozen, as a trained one is.
    """
    sae = TopKSAE(d_in, d_sae, k, generator)
    with torch.no_grad():
        lengths = 0.5 + 1.5 * torch.rand(d_sae, 1, generator=generator)
        sae.W_dec.mul_(lengths)
        sae.W_enc.add_(0.6 * torch.randn(d_in, d_sae, generator=generator) / d_in**0.5)
        for bias in (sae.b_enc, sae.b_dec):
            bias.copy_(0.4 * torch.randn(len(bias), generator=generator))
    return frozen(sae).to(device or "cpu")


def frozen(sae: nn.Module) -> nn.Module:
    """The same, whose parameters ask for no gradient any more."""
    for parameter in sae.parameters():
        parameter.requires_grad_(False)
    return sae.eval()
