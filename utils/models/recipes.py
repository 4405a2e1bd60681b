"""This file knows what each model that ships is trained on, with which sizes and settings."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from utils.data import invented, token_windows
from utils.data.corpus import LATER_SHARES, SHARES
from utils.data.tokenizer import save_tokenizer, vocabulary
from utils.models import attention_only
from utils.models.attention_only import AttentionOnlyConfig
from utils.models.config import TransformerConfig
from utils.models.loading import quietly


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a training ends in, apart from the machine."""

    cfg: TransformerConfig | AttentionOnlyConfig
    steps: int
    batch: int
    learning_rate: float
    # the learning rate at the end, as a share of the highest
    last_learning_rate: float = 0.02
    warm_up: int = 100
    # from this step on the learning rate rises and falls a second time, up to `second_learning_rate`
    second_round: int | None = None
    second_learning_rate: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.05
    clip: float = 1.0
    seed: int = 0
    # after these steps the weights are kept, in half precision, to look at how the model came about
    kept_steps: tuple[int, ...] = ()

    def learning_rate_at(self, step: int) -> float:
        """A linear warm-up, then half a cosine down to the share `last_learning_rate`; in each round."""
        first, last, highest = 0, self.steps, self.learning_rate
        if self.second_round is not None:
            if step < self.second_round:
                last = self.second_round
            else:
                first, highest = self.second_round, self.second_learning_rate
        step, steps = step - first, last - first
        if step < self.warm_up:
            return highest * (step + 1) / self.warm_up
        progress = (step - self.warm_up) / max(1, steps - self.warm_up)
        low = self.last_learning_rate
        return highest * (low + (1 - low) * (1 + math.cos(math.pi * progress)) / 2)

    def new_model(self) -> nn.Module:
        raise NotImplementedError

    def windows(self, step: int, generator: torch.Generator) -> Int[Tensor, "batch pos"]:
        """The text of this step."""
        raise NotImplementedError

    def logits(self, model: nn.Module, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        raise NotImplementedError

    def save_model(self, model: nn.Module, folder: Path) -> None:
        """Write weights, configuration and tokenizer as `load_model` reads them."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class OrganismRecipe(Recipe):
    """A GPT-2 on the generated world of `utils.data`."""

    cfg: TransformerConfig

    def new_model(self) -> nn.Module:
        from transformers import GPT2LMHeadModel

        # transformers draws initial weights from the global generator
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return GPT2LMHeadModel(self.cfg.to_gpt2(attn_implementation="sdpa"))

    def windows(self, step: int, generator: torch.Generator) -> Int[Tensor, "batch pos"]:
        later = self.second_round is not None and step >= self.second_round
        shares = LATER_SHARES if later else SHARES
        return token_windows(self.batch, self.cfg.n_ctx, generator=generator, shares=shares)

    def logits(self, model: nn.Module, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        return model(tokens, use_cache=False).logits

    def save_model(self, model: nn.Module, folder: Path) -> None:
        with quietly():
            model.save_pretrained(folder)
            save_tokenizer(folder, self.cfg.n_ctx)


@dataclass(frozen=True, kw_only=True)
class AttentionOnlyRecipe(Recipe):
    """A transformer without MLPs on the language of `utils.data.invented`."""

    cfg: AttentionOnlyConfig

    def new_model(self) -> nn.Module:
        return attention_only.new_model(self.cfg, self.seed)

    def windows(self, step: int, generator: torch.Generator) -> Int[Tensor, "batch pos"]:
        return invented.invented_windows(self.batch, self.cfg.n_ctx, generator=generator)

    def logits(self, model: nn.Module, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        return model(tokens)

    def save_model(self, model: nn.Module, folder: Path) -> None:
        with quietly():
            attention_only.save_model(model, self.cfg, folder)
            invented.save_tokenizer(folder, self.cfg.n_ctx)


def recipes() -> dict[str, Recipe]:
    d_model = 128
    organism = OrganismRecipe(
        cfg=TransformerConfig(
            d_model=d_model,
            d_vocab=len(vocabulary()),
            n_ctx=128,
            n_layers=4,
            n_heads=4,
            d_head=32,
            d_mlp=4 * d_model,
            # GPT-2's 0.02 is for a width of 768
            init_range=0.02 * math.sqrt(768 / d_model),
        ),
        steps=7200,
        batch=32,
        learning_rate=3e-3,
        second_round=6000,
        second_learning_rate=1e-3,
    )
    return {
        "organism": organism,
        # other initial weights and another order of texts: what of the first is there again?
        "organism-seed-1": replace(organism, seed=1),
        "attn-only-2l": AttentionOnlyRecipe(
            cfg=AttentionOnlyConfig(
                d_model=d_model, d_vocab=invented.D_VOCAB, n_ctx=96, n_layers=2, n_heads=8, d_head=16
            ),
            steps=4000,
            batch=48,
            learning_rate=5e-3,
            warm_up=50,
            # dense where induction heads form
            kept_steps=(
                *(0, 100, 200, 400, 600, 700, 800, 850, 900, 950, 1000, 1050, 1100, 1200),
                *(1400, 1700, 2000, 2500, 3000, 4000),
            ),
        ),
    }
