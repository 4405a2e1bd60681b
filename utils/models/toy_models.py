"""This file knows how to train many small models of superposition at once, and the same models one after another."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

N_FEATURES, D_HIDDEN = 5, 2


def some_models(n_instances: int, generator: torch.Generator) -> Float[Tensor, "instance d_hidden feature"]:
    """Random weights of this many models, each with 5 features in 2 dimensions."""
    return torch.randn(n_instances, D_HIDDEN, N_FEATURES, generator=generator) / math.sqrt(N_FEATURES)


def some_batches(
    steps: int, batch: int, probability: Float[Tensor, "instance"], generator: torch.Generator
) -> Float[Tensor, "step batch instance feature"]:
    """Inputs for every step: each feature is there with its instance's probability, uniform in [0, 1]."""
    shape = (steps, batch, len(probability), N_FEATURES)
    present = torch.rand(shape, generator=generator) < probability[:, None]
    return present * torch.rand(shape, generator=generator)


def train_together(
    W: Float[Tensor, "instance d_hidden feature"],
    batches: Float[Tensor, "step batch instance feature"],
    learning_rate: float = 1e-2,
) -> Float[Tensor, "instance d_hidden feature"]:
    """The weights after one training in which all instances take each step together.

    Every model is ReLU(Wᵀ W x + b), trained by SGD on the mean squared error, all features equally important. The sum of
    the instances' losses is what is minimised: its gradient in one instance's weights is that of its own loss.
    """
    W = W.clone().requires_grad_()
    b = torch.zeros(len(W), N_FEATURES, requires_grad=True)
    optimizer = torch.optim.SGD([W, b], lr=learning_rate)
    for x in batches:
        hidden = torch.einsum("bif,ihf->bih", x, W)
        x_hat = torch.relu(torch.einsum("bih,ihf->bif", hidden, W) + b)
        loss = (x - x_hat).square().mean(dim=(0, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return W.detach()


def train_one_by_one(
    W: Float[Tensor, "instance d_hidden feature"],
    batches: Float[Tensor, "step batch instance feature"],
    learning_rate: float = 1e-2,
) -> Float[Tensor, "instance d_hidden feature"]:
    """The same weights, from a training for each instance."""
    one = [slice(i, i + 1) for i in range(len(W))]
    return torch.cat([train_together(W[i], batches[:, :, i], learning_rate) for i in one])
