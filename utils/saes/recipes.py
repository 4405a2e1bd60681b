"""This file knows which sparse autoencoders ship, and everything that decides what their training ends in."""

from __future__ import annotations

from dataclasses import dataclass

from utils.data import KINDS

# runs of random words say nothing of what the model knows, and would take many features
TEXT = tuple(kind for kind in KINDS if kind != "repeats")


@dataclass(frozen=True, kw_only=True)
class SAERecipe:
    """A TopK autoencoder of one place in one model."""

    d_sae: int
    k: int = 8
    model: str = "organism"
    hook_name: str = "blocks.1.hook_resid_post"
    # activations to train on: so many texts of so many tokens
    texts: int = 4096
    length: int = 128
    steps: int = 4000
    batch: int = 1024
    learning_rate: float = 2e-3
    warm_up: int = 100
    # the learning rate falls to 0 over this share of the steps, the last ones
    cool_down: float = 0.25
    # a feature is dead when it was silent for so many steps; dead ones get a loss of their own, of this weight
    dead_after: int = 150
    auxiliary: float = 1 / 32
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        rising = (step + 1) / self.warm_up
        falling = (self.steps - step) / (self.steps * self.cool_down)
        return self.learning_rate * min(1.0, rising, falling)


RECIPES = {f"organism-{d_sae}": SAERecipe(d_sae=d_sae) for d_sae in (256, 512, 1024)}
