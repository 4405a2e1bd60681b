"""This file knows the small objects that checkers hand to learners' functions in the place of objects of the course.

They stand here, and not in the tests, because a grader's worker needs them and sees no tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


class ToyModelsOfTheChecker(nn.Module):
    """Toy models with given weights, for a training to change."""

    def __init__(self, W, b):
        super().__init__()
        self.W, self.b = nn.Parameter(W.clone()), nn.Parameter(b.clone())

    def forward(self, x):
        h = torch.einsum("bif,ihf->bih", x, self.W)
        return torch.relu(torch.einsum("bih,ihf->bif", h, self.W) + self.b)


class CourseSAE(nn.Module):
    """A sparse autoencoder with the course's names, written apart from the solutions."""

    def __init__(self, weights):
        super().__init__()
        for name, value in weights.items():
            setattr(self, name, nn.Parameter(value.clone()))

    def encode(self, x):
        return torch.einsum("...i,is->...s", x, self.W_enc).add(self.b_enc).clamp(min=0)

    def decode(self, f):
        return torch.einsum("...s,si->...i", f, self.W_dec).add(self.b_dec)

    def forward(self, x):
        f = self.encode(x)
        return self.decode(f), f


class CourseGatedSAE(CourseSAE):
    """A gated one."""

    def gate(self, x):
        return torch.einsum("...i,is->...s", x, self.W_gate).add(self.b_gate)

    def encode(self, x):
        scaled = torch.einsum("...i,is,s->...s", x, self.W_gate, torch.exp(self.r_mag))
        return torch.where(self.gate(x) > 0, (scaled + self.b_mag).clamp(min=0), 0.0)


@dataclass(frozen=True)
class TaskPrompts:
    """The fields of the notebook's `Prompts`."""

    texts: list
    tokens: Tensor
    io: Tensor
    s: Tensor
    positions: dict
    templates: list

    def __len__(self):
        return len(self.texts)


class WordsByNumber:
    """A tokenizer that only decodes, for who writes the four texts out."""

    def decode(self, tokens):
        return " ".join(str(int(token)) for token in tokens)
