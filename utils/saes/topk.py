"""This file knows how to take an activation apart into few features, and how to put it together again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class TopKSAE(nn.Module):
    """A sparse autoencoder that keeps the k strongest features of every activation.

    f = ReLU(the k largest of x W_enc + b_enc, the others 0), and x_hat = f W_dec + b_dec. Each row of `W_dec` is one
    feature's direction. After Gao et al. (2024), https://arxiv.org/abs/2406.04093.
    """

    def __init__(self, d_in: int, d_sae: int, k: int, generator: torch.Generator, *, hook_name: str = ""):
        super().__init__()
        if not 0 < k <= d_sae:
            raise ValueError(f"k must be at least 1 and at most d_sae, but k is {k} and d_sae {d_sae}")
        self.k = k
        # whose activations these are
        self.hook_name = hook_name
        directions = F.normalize(torch.randn(d_sae, d_in, generator=generator), dim=-1)
        self.W_enc = nn.Parameter(directions.T.clone())
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.W_dec = nn.Parameter(directions)
        self.b_dec = nn.Parameter(torch.zeros(d_in))

    @property
    def d_sae(self) -> int:
        return len(self.W_dec)

    def pre_activations(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_sae"]:
        return x @ self.W_enc + self.b_enc

    def encode(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_sae"]:
        return strongest(self.pre_activations(x), self.k)

    def decode(self, f: Float[Tensor, "... d_sae"]) -> Float[Tensor, "... d_in"]:
        return f @ self.W_dec + self.b_dec

    def forward(self, x: Float[Tensor, "... d_in"]) -> tuple[Float[Tensor, "... d_in"], Float[Tensor, "... d_sae"]]:
        f = self.encode(x)
        return self.decode(f), f


def strongest(pre: Float[Tensor, "... d_sae"], k: int) -> Float[Tensor, "... d_sae"]:
    """The k largest of each example, where they are positive; all others are 0."""
    values, places = pre.topk(k, dim=-1)
    return torch.zeros_like(pre).scatter(-1, places, values.relu())
