"""This file knows how to measure what one direction of the residual stream does to refusal.

After Arditi et al. (2024), https://arxiv.org/abs/2406.11717.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from utils.data.choosing import Chooser
from utils.data.requests import ANSWER_OPENERS, REFUSAL_OPENERS, requests
from utils.models.figures.common import Figures, generator, share
from utils.models.insides.runs import Batch, Hook, batch_of, cache_of, end_logits, token

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

# test requests are the card's
TEST_SEED, TRAIN_SEED, RANDOM_SEED = 4, 18, 19
REMOVALS = ("zero", "mean", "mean, every layer")
STRENGTHS = (1, 2, 4)
ADDITIONS = (*(f"added x{strength}" for strength in STRENGTHS), "set, every layer")

# the shares refused and answered by each way of removing or adding a direction
Effects = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Direction:
    """The difference of means of resid_post at END of one layer, and what both kinds of requests have there."""

    layer: int
    difference: Float[Tensor, " d_model"]
    # resid_post of training requests at END, in every layer
    harmful: Float[Tensor, "layer d_model"]
    harmless: Float[Tensor, "layer d_model"]

    @property
    def unit(self) -> Float[Tensor, " d_model"]:
        return self.difference / self.difference.norm().clamp(min=1e-12)

    def turned(self, random: torch.Generator) -> Direction:
        """A random direction of the same norm."""
        drawn = torch.randn(len(self.difference), generator=random)
        return replace(self, difference=drawn * self.difference.norm() / drawn.norm())


@torch.no_grad()
def refusal_direction(model: TransformerBridge, count: int = 100, draws: int = 3) -> Figures:
    """What one direction, the difference of means between harmful and harmless training requests, does to refusal.

    For resid_post at END of each layer but the last, after which a direction is no more than logits: shares of unseen
    requests to which the likeliest first word begins a refusal ("refused") or an answer ("answered").

    Removed, on harmful requests: "zero" with the component along the direction taken out of everything that writes to
    the residual stream, everywhere; "mean" with it set to what harmless requests have on average, at END of that layer;
    "mean, every layer" the same at END of that layer and all later ones. Added, on harmless requests: "added x2" with
    twice the difference added at END of that layer; "set, every layer" with the component set to what harmful requests
    have on average, at END of that layer and all later ones. "random": means over random directions of the same norm,
    treated alike.
    """
    train = {harmful: asked(count, TRAIN_SEED, harmful, held_out_words=False) for harmful in (True, False)}
    unseen = {harmful: asked(count, TEST_SEED, harmful, held_out_words=True) for harmful in (True, False)}
    random = generator(RANDOM_SEED)
    layers, controls = {}, {}
    for direction in mean_differences(model, train[True], train[False]):
        layers[f"L{direction.layer}"] = direction_effects(model, direction, unseen)
        turned = [direction_effects(model, direction.turned(random), unseen) for _ in range(draws)]
        controls[f"L{direction.layer}"] = mean_effects(turned)
    return {
        "harmful": first_words(model, unseen[True]),
        "harmless": first_words(model, unseen[False]),
        "layers": layers,
        "random": controls,
    }


def asked(count: int, seed: int, harmful: bool, *, held_out_words: bool) -> Batch:
    chosen = requests(count, Chooser(generator(seed)), harmful=harmful, held_out_words=held_out_words)
    return batch_of([request.text for request in chosen])


def first_words(model: TransformerBridge, batch: Batch, hooks: Sequence[Hook] = ()) -> dict[str, float]:
    """The shares of requests to which the likeliest first word begins a refusal, or an answer."""
    likeliest = end_logits(model, batch, hooks).argmax(-1)
    openers = {"refused": REFUSAL_OPENERS, "answered": ANSWER_OPENERS}
    return {
        name: share(torch.isin(likeliest, torch.tensor([token(word) for word in words])))
        for name, words in openers.items()
    }


def mean_differences(model: TransformerBridge, harmful: Batch, harmless: Batch) -> list[Direction]:
    def means(batch: Batch) -> Float[Tensor, "layer d_model"]:
        cache = cache_of(model, batch, "hook_resid_post")
        layers = range(model.cfg.n_layers)
        return torch.stack(
            [cache[f"blocks.{layer}.hook_resid_post"][batch.rows, batch.ends].mean(0) for layer in layers]
        )

    bad, good = means(harmful), means(harmless)
    return [Direction(layer, bad[layer] - good[layer], bad, good) for layer in range(model.cfg.n_layers - 1)]


def direction_effects(model: TransformerBridge, direction: Direction, unseen: Mapping[bool, Batch]) -> Effects:
    """The shares of `refusal_direction` along one direction."""
    harmful, harmless = unseen[True], unseen[False]
    name, unit = f"blocks.{direction.layer}.hook_resid_post", direction.unit
    at_harmful, at_harmless = harmful.at(harmful.ends), harmless.at(harmless.ends)
    writers = ["hook_embed", "hook_pos_embed"]
    writers += [f"blocks.{layer}.hook_{kind}_out" for layer in range(model.cfg.n_layers) for kind in ("attn", "mlp")]

    def add(strength: float) -> Hook:
        return name, lambda resid, hook: resid + strength * at_harmless[..., None] * direction.difference

    def from_here_on(means: Float[Tensor, "layer d_model"], where: Bool[Tensor, "batch pos"]) -> list[Hook]:
        later = range(direction.layer, model.cfg.n_layers)
        return [set_component(f"blocks.{layer}.hook_resid_post", unit, means[layer], where) for layer in later]

    removals = {
        "zero": [set_component(writer, unit, torch.zeros_like(unit)) for writer in writers],
        "mean": [set_component(name, unit, direction.harmless[direction.layer], at_harmful)],
        "mean, every layer": from_here_on(direction.harmless, at_harmful),
    }
    additions = {f"added x{strength}": [add(strength)] for strength in STRENGTHS}
    additions["set, every layer"] = from_here_on(direction.harmful, at_harmless)
    return {
        **{way: first_words(model, harmful, hooks) for way, hooks in removals.items()},
        **{way: first_words(model, harmless, hooks) for way, hooks in additions.items()},
    }


def set_component(
    name: str,
    unit: Float[Tensor, " d_model"],
    like: Float[Tensor, " d_model"],
    where: Bool[Tensor, "batch pos"] | None = None,
) -> Hook:
    """A hook that gives an activation the component along `unit` that `like` has; everywhere, without a mask."""

    def hook_function(activation: Float[Tensor, "batch pos d_model"], hook) -> Float[Tensor, "batch pos d_model"]:
        changed = activation + ((like - activation) @ unit)[..., None] * unit
        return changed if where is None else torch.where(where[..., None], changed, activation)

    return name, hook_function


def mean_effects(effects: Sequence[Effects]) -> Effects:
    def mean(way: str, name: str) -> float:
        return sum(each[way][name] for each in effects) / len(effects)

    return {way: {name: mean(way, name) for name in shares} for way, shares in effects[0].items()}
