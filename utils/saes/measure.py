"""This file knows what is measured of the sparse autoencoders that ship, how their card says it, and whether it still holds.

`python -m utils.saes.measure` measures and compares; with `--write` it writes the card anew.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from utils.atomic_write import write_atomically
from utils.data import token_windows
from utils.data.labels import labels_of
from utils.models.figures.common import Figures, generator, rounded
from utils.models.figures.tables import page, table
from utils.models.loading import load_model
from utils.models.measure import differences
from utils.saes.loading import SHIPPED, about, load_sae, sae_names
from utils.saes.recipes import TEXT
from utils.saes.topk import TopKSAE
from utils.saes.training import activations_of

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

TEXTS, LENGTH = 256, 128
# what a feature counts as active above, in shares of its largest activation
THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def fresh_text() -> Int[Tensor, "batch pos"]:
    return token_windows(TEXTS, LENGTH, generator=generator(20), kinds=TEXT)


def measure() -> Figures:
    """Every figure of the card, on fresh text."""
    figures: Figures = {"texts": TEXTS, "length": LENGTH}
    tokens = fresh_text()
    for name in sae_names():
        recipe = about(SHIPPED / f"{name}.safetensors")
        figures[name] = figures_of(load_model(recipe["model"]), load_sae(name), tokens)
    return figures


def figures_of(model: TransformerBridge, sae: TopKSAE, tokens: Int[Tensor, "batch pos"]) -> Figures:
    return {**reconstruction(model, sae, tokens), "best feature": single_features(model, sae, tokens)}


@torch.no_grad()
def reconstruction(model: TransformerBridge, sae: TopKSAE, tokens: Int[Tensor, "batch pos"]) -> Figures:
    """How well it does, and with how many features."""
    x = activations_of(model, tokens, sae.hook_name)[:, 1:]
    x_hat, f = sae(x)
    losses = spliced_losses(model, sae, tokens)
    kept, whole = (losses["mean-ablated"] - losses[name] for name in ("spliced in", "as it is"))
    return {
        "active features per token": (f > 0).sum(dim=-1).float().mean().item(),
        "explained variance": explained_variance(x, x_hat),
        "dead features": (~(f > 0).flatten(0, 1).any(dim=0)).float().mean().item(),
        **{f"loss, {name}": loss for name, loss in losses.items()},
        "loss recovered": kept / whole,
    }


@torch.no_grad()
def single_features(model: TransformerBridge, sae: TopKSAE, tokens: Int[Tensor, "batch pos"]) -> Figures:
    """For each label of the text, the feature that tells it best."""
    f = sae.encode(activations_of(model, tokens, sae.hook_name)[:, 1:]).flatten(0, 1)
    return best_features(f, {name: mask[:, 1:].flatten() for name, mask in labels_of(tokens).items()})


def explained_variance(x: Float[Tensor, "... d_in"], x_hat: Float[Tensor, "... d_in"]) -> float:
    centred = x - x.flatten(0, -2).mean(dim=0)
    return 1 - ((x - x_hat).square().sum() / centred.square().sum()).item()


def spliced_losses(
    model: TransformerBridge, sae: TopKSAE, tokens: Int[Tensor, "batch pos"], batch: int = 32
) -> dict[str, float]:
    """Nats per token as the model is, with the reconstruction in place of the activation, and with its mean; not at BOS."""
    mean = activations_of(model, tokens, sae.hook_name)[:, 1:].mean(dim=(0, 1))

    def loss(replacement: Callable[[Tensor], Tensor]) -> float:
        def replace(activation: Float[Tensor, "batch pos d_in"], hook) -> Float[Tensor, "batch pos d_in"]:
            return torch.cat([activation[:, :1], replacement(activation[:, 1:])], dim=1)

        total = 0.0
        for part in tokens.split(batch):
            logits = model.run_with_hooks(part, fwd_hooks=[(sae.hook_name, replace)])
            total += F.cross_entropy(logits[:, :-1].flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item()
        return total / tokens[:, 1:].numel()

    return {
        "as it is": loss(lambda x: x),
        "spliced in": loss(lambda x: sae(x)[0]),
        "mean-ablated": loss(lambda x: mean.expand_as(x)),
    }


def best_features(
    f: Float[Tensor, "example d_sae"], labels: Mapping[str, Bool[Tensor, " example"]]
) -> dict[str, dict[str, float]]:
    """For each label the feature that tells it best, at the best of a few thresholds, and how well: its F1."""
    truth = torch.stack(list(labels.values()), dim=1).float()
    largest = f.amax(dim=0).clamp_min(1e-6)
    scores = torch.stack([f1((f > threshold * largest).float(), truth) for threshold in THRESHOLDS])
    found = {}
    for name, of_label in zip(labels, scores.unbind(-1)):
        threshold, feature = divmod(of_label.argmax().item(), f.shape[1])
        found[name] = {"F1": of_label.max().item(), "feature": feature, "threshold": THRESHOLDS[threshold]}
    return found


def f1(said: Float[Tensor, "example d_sae"], truth: Float[Tensor, "example label"]) -> Float[Tensor, "d_sae label"]:
    """Of every feature for every label, from zeros and ones."""
    return 2 * said.T @ truth / (said.sum(dim=0)[:, None] + truth.sum(dim=0)).clamp_min(1)


def card() -> Figures:
    return json.loads((SHIPPED / "card.json").read_text(encoding="utf-8"))


def write_card() -> None:
    figures = rounded(measure())
    write_atomically(SHIPPED / "card.json", json.dumps(figures, indent=1) + "\n")
    write_atomically(SHIPPED / "SAE_CARD.md", markdown(figures))


def markdown(figures: Figures) -> str:
    names = [name for name, value in figures.items() if isinstance(value, dict)]
    recipe = about(SHIPPED / f"{names[0]}.safetensors")
    rows = [row for row in figures[names[0]] if row != "best feature"]
    labels = figures[names[0]]["best feature"]
    return page(
        [
            "# Sparse autoencoders of the organism",
            wrapped(
                f"{len(names)} TopK autoencoders of `{recipe['hook_name']}`, trained by `python -m utils.saes.training` "
                f"on {recipe['texts'] * (recipe['length'] - 1):,} activations: text of all kinds but runs of random words, "
                f"every position but the first. The {recipe['k']} strongest features of each activation are kept. "
                f"{recipe['steps']:,} steps of {recipe['batch']:,} examples; dead features are revived by an auxiliary "
                "loss. After Gao et al. (2024), https://arxiv.org/abs/2406.04093. Centring and scaling are folded into the "
                "weights, which are in half precision, so that they take activations as `load_model` gives them."
            ),
            "## How well they reconstruct",
            wrapped(
                f"Measured by `python -m utils.saes.measure` on {figures['texts']} fresh texts of {figures['length']} "
                "tokens of the same kinds. Position 0 is left alone throughout. A feature counts as dead if it is silent on "
                "all of this text. Losses are in nats per token. Loss recovered is 1 if the model loses nothing by the "
                "replacement, and 0 if it loses as much as by the mean activation. A small mean loss can hide an ability "
                "that is gone."
            ),
            table(["figure", *names], [[row, *(figures[name][row] for name in names)] for row in rows]),
            "## What single features say",
            wrapped(
                "For each label that `utils/data/labels.py` knows, the F1 of the best single feature, at the best of nine "
                "thresholds (shares of its largest activation). To choose the best of many features on the text that is "
                "scored flatters a little. A low figure does not say that the model lacks the concept: it may lie in "
                "several features, or in none."
            ),
            table(["label", *names], [[label, *(said(figures[name], label) for name in names)] for label in labels]),
        ]
    )


def wrapped(text: str) -> str:
    return textwrap.fill(text, width=120, break_long_words=False, break_on_hyphens=False)


def said(figures: Figures, label: str) -> str:
    best = figures["best feature"][label]
    return f"{best['F1']:.2f} (feature {best['feature']}, above {best['threshold']:.1f})"


def compare_with_card() -> list[str]:
    """A sentence for every figure of the card that a new measurement does not find."""
    return differences(rounded(measure()), card())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.saes.measure", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the card anew")
    if parser.parse_args(arguments).write:
        write_card()
        return 0
    wrong = compare_with_card()
    print("\n".join(wrong) or "every figure is as the card says")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
