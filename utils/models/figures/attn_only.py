"""This file knows what is measured of attn-only-2l, at the end and along its training, and how its card says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from utils.data.invented import bigram_entropy, plain_text
from utils.models.figures.common import Figures, by_head, generator, losses_of, repeats
from utils.models.figures.tables import heading, highest, page, repeat_rows, table, training_line
from utils.models.loading import checkpoint_steps, load_model

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

# sequences per checkpoint: enough for two digits
COUNT_ALONG_TRAINING = 60


def measure(model: TransformerBridge, count: int = 300) -> Figures:
    """Every figure of the card: of the model that ships, then of each checkpoint on fewer sequences."""
    with torch.no_grad():
        return {
            "sequences": count,
            "plain text": plain(model, count),
            "repeats": repeats(model, count),
            "copying": copying(model),
            "K-composition": k_composition(model),
            "along training": {f"step {step}": along_training(step) for step in checkpoint_steps("attn-only-2l")},
        }


def plain(model: TransformerBridge, count: int) -> dict[str, float]:
    """The loss on text without copies, beside the least that bigrams allow."""
    tokens = plain_text(count, model.cfg.n_ctx, generator=generator(1))
    return {"loss": losses_of(model, tokens).mean().item(), "bigram entropy": bigram_entropy()}


def copying(model: TransformerBridge) -> dict[str, float]:
    """Of each head's full OV circuit W_E W_OV W_U, the sum of eigenvalues over the sum of their sizes: 1 copies.

    After Elhage et al. (2021), https://transformer-circuits.pub/2021/framework.
    """
    scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer, head in all_heads(model):
        # the eigenvalues of AB and BA are the same but for zeros, and d_head is smaller than d_vocab
        small = model.W_O[layer, head] @ model.W_U @ model.W_E @ model.W_V[layer, head]
        eigenvalues = torch.linalg.eigvals(small.double())
        scores[layer, head] = eigenvalues.real.sum() / eigenvalues.abs().sum()
    return by_head(scores)


def k_composition(model: TransformerBridge) -> dict[str, dict[str, float]]:
    """How strongly each head of layer 0 feeds the keys of each head of layer 1: ||W_OV W_QK^T|| / (||W_OV|| ||W_QK||)."""
    scores: dict[str, dict[str, float]] = {}
    for later in range(model.cfg.n_heads):
        W_QK = model.W_Q[1, later] @ model.W_K[1, later].T
        scores[f"L1H{later}"] = {}
        for earlier in range(model.cfg.n_heads):
            W_OV = model.W_V[0, earlier] @ model.W_O[0, earlier]
            scores[f"L1H{later}"][f"L0H{earlier}"] = ((W_OV @ W_QK.T).norm() / (W_OV.norm() * W_QK.norm())).item()
    return scores


def all_heads(model: TransformerBridge) -> list[tuple[int, int]]:
    return [(layer, head) for layer in range(model.cfg.n_layers) for head in range(model.cfg.n_heads)]


def along_training(step: int) -> dict[str, float]:
    """What a checkpoint can do, and its strongest head of each kind."""
    model = load_model("attn-only-2l", step=step)
    found = repeats(model, COUNT_ALONG_TRAINING)
    return {
        "loss, plain text": plain(model, COUNT_ALONG_TRAINING)["loss"],
        "loss, first half": found["loss, first half"],
        "loss, second half": found["loss, second half"],
        "accuracy, second half": found["accuracy, second half"],
        "highest induction score": max(found["induction score"].values()),
        "highest previous-token score": max(found["previous-token score"].values()),
    }


def summary(figures: Mapping) -> str:
    """What the model can do, in a line."""
    found = figures["repeats"]
    induction, previous = found["induction score"], found["previous-token score"]
    (copier,), (looks_back,) = highest(induction, 1), highest(previous, 1)
    return (
        f"repeated random words: {found['accuracy, second half']:.2f} right; induction head {copier} "
        f"{induction[copier]:.2f}, previous-token head {looks_back} {previous[looks_back]:.2f}; "
        f"{len(figures['along training'])} checkpoints along its training"
    )


INTRODUCTION = """\
Two layers of eight attention heads and nothing else, trained on an invented language (`utils/data/invented.py`) in
which two things help: which few words often follow the word before, and that what stood earlier is often repeated.
`python -m utils.models.training attn-only-2l` trains such a model; `load_model("attn-only-2l", step=...)` loads it as
it was after that many steps.

Every figure below was measured by `circuits models measure attn-only-2l`, which also compares this card with a new
measurement. The random choices of a measurement come from fixed seeds."""

REPEATS = """\
Forty random words, then the same forty again, after one BOS. Scores are attention, averaged over sequences and places:
to the word after the same word earlier (induction), to the word before, to the same word earlier (duplicate)."""

WEIGHTS_ALONE = """\
Copying: of the head's full OV circuit, W_E W_OV W_U, the sum of eigenvalues over the sum of their sizes; 1 raises every
word it attends to, -1 lowers it. K-composition: ||W_OV W_QK^T|| over the product of norms, with the head of layer 0
that fits best and the mean over layer 0. Both after Elhage et al. (2021),
https://transformer-circuits.pub/2021/framework."""

ALONG = f"""\
Each checkpoint that ships, on {COUNT_ALONG_TRAINING} sequences; the highest score over all heads. Induction heads form
within a few hundred steps, and the loss on what is repeated falls then and hardly before. The loss on the first half,
random words that nothing announces, rises while they form: a model that expects repetition is surer, and wrong, where
there is none."""


def markdown(card: Mapping) -> str:
    figures = card["figures"]
    found = figures["repeats"]
    heads = [head for head in found["induction score"] if head.startswith("L1")]
    return page(
        [
            f"# {card['name']}",
            INTRODUCTION,
            training_line(card),
            heading("Plain text", "Nats per word on text without copies, and the least that bigrams allow."),
            table(["figure", "value"], figures["plain text"].items()),
            heading("Repeated random words", REPEATS, f"{figures['sequences']} sequences."),
            table(["figure", "value"], repeat_rows(found, count=8)),
            heading("The heads of layer 1, from attention and from weights alone", WEIGHTS_ALONE),
            table(
                ["head", "induction score", "copying", "K-composition, highest", "from", "mean"],
                (layer_1_row(head, figures) for head in heads),
            ),
            heading("Along training", ALONG),
            table(
                ["checkpoint", *next(iter(figures["along training"].values()))],
                ([step, *row.values()] for step, row in figures["along training"].items()),
            ),
        ]
    )


def layer_1_row(head: str, figures: Mapping) -> list:
    composition = figures["K-composition"][head]
    (best,) = highest(composition, 1)
    mean = sum(composition.values()) / len(composition)
    return [head, figures["repeats"]["induction score"][head], figures["copying"][head], composition[best], best, mean]
