"""This file knows how to measure what the organism can do, and to write its card.

`python -m utils.models.measure organism` measures and compares with the card, and ends with an error where they
differ; with `--write` it writes the card anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from safetensors.torch import load_file
from torch import Tensor

from utils.data import KINDS, token_windows
from utils.data.choosing import Chooser
from utils.data.facts import RELATIONS, fact_prompt
from utils.data.ioi import ioi_prompts
from utils.data.repeats import repeated_tokens
from utils.data.requests import REFUSAL_OPENERS, requests
from utils.data.tokenizer import BOS, encode, vocabulary
from utils.data.years import year_prompts
from utils.models.loading import load_model
from utils.paths import WEIGHTS

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

Figures = dict[str, object]

IOI_SETS = {
    "pairs and templates of training": {"held_out_pairs": False},
    "unseen pairs": {},
    "unseen pairs in unseen templates": {"held_out_templates": True},
    "unseen pairs, a distractor named": {"form": "distractor"},
    "unseen pairs, duplicate before the pair": {"form": "duplicate first"},
    "unseen pairs, another pair beside": {"form": "several pairs"},
}
# Two figures of the same weights may differ by this much between machines.
TOLERANCE = 0.02


def measure(model: TransformerBridge, count: int = 300) -> Figures:
    """Every figure of the card, on `count` prompts of each kind that no training text contains."""
    with torch.no_grad():
        return {
            "prompts": count,
            "loss": loss_of_each_kind(model),
            "ioi": {name: ioi(model, count, **options) for name, options in IOI_SETS.items()},
            "ioi attention": {form: ioi_attention(model, count, form) for form in ("one pair", "several pairs")},
            "facts": facts(model),
            "refusal": refusal(model, count),
            "years": years(model, count),
            "repeats": repeats(model, count),
        }


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def last_logits(model: TransformerBridge, texts: Sequence[str]) -> Float[Tensor, "batch d_vocab"]:
    """What the model says should follow each text."""
    sequences = [[BOS, *encode(text)] for text in texts]
    ends = torch.tensor([len(sequence) - 1 for sequence in sequences])
    # what is padded on the right comes later, so no end sees it
    tokens = torch.full((len(sequences), int(ends.max()) + 1), BOS)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return model(tokens)[torch.arange(len(ends)), ends].float()


def token(word: str) -> int:
    return vocabulary()[f" {word}"]


def loss_of_each_kind(model: TransformerBridge) -> dict[str, float]:
    """Nats per token on fresh text: of the corpus, and of each kind alone."""
    losses = {}
    for name, kinds in {"corpus": None, **{kind: [kind] for kind in KINDS}}.items():
        tokens = token_windows(64, model.cfg.n_ctx, generator=generator(1), kinds=kinds)
        losses[name] = F.cross_entropy(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).item()
    return losses


def ioi(model: TransformerBridge, count: int, **options) -> dict[str, float]:
    """How the name that receives compares with the name that gives."""
    prompts = ioi_prompts(count, Chooser(generator(2)), **options)
    logits = last_logits(model, [prompt.text for prompt in prompts])
    answers = torch.tensor([[token(prompt.io), token(prompt.s)] for prompt in prompts])
    io_logit, s_logit = logits.gather(-1, answers).unbind(-1)
    return {
        "accuracy": share(io_logit > s_logit),
        "logit difference": (io_logit - s_logit).mean().item(),
        "top-1": share(logits.argmax(-1) == answers[:, 0]),
        "P(IO)": logits.softmax(-1).gather(-1, answers)[:, 0].mean().item(),
    }


def ioi_attention(model: TransformerBridge, count: int, form: str) -> dict[str, dict[str, float]]:
    """How much each head, at the last token, attends to IO, S1 and S2; both orders of the pair equally often."""
    prompts = ioi_prompts(count, Chooser(generator(3)), form=form, **ALIGNED.get(form, {}))
    lengths = {len(encode(prompt.text)) for prompt in prompts}
    attention: dict[str, Tensor] = {}
    # prompts of one length together, so that none needs padding
    for length in lengths:
        group = [prompt for prompt in prompts if len(encode(prompt.text)) == length]
        patterns = patterns_of(model, torch.tensor([[BOS, *encode(prompt.text)] for prompt in group]))
        for role in ("IO", "S1", "S2"):
            per_head = sum(patterns[:, row, :, -1, prompt.positions[role]] for row, prompt in enumerate(group))
            attention[role] = attention.get(role, 0) + per_head / len(prompts)
    return {role: by_head(values) for role, values in attention.items()}


ALIGNED = {"one pair": {"opening": "Then, {A} and {B} went to the {place}.", "giving": "{S} {gave} a {thing} to {IO}."}}


def patterns_of(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head query key"]:
    _, cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith("hook_pattern"))
    return torch.stack([cache["pattern", layer] for layer in range(model.cfg.n_layers)])


def by_head(values: Float[Tensor, "layer head"]) -> dict[str, float]:
    return {f"L{layer}H{head}": value for layer, row in enumerate(values.tolist()) for head, value in enumerate(row)}


def facts(model: TransformerBridge) -> dict[str, dict[str, dict[str, float]]]:
    """The share of all subjects whose object comes first, in every trained and every held-out phrasing."""
    return {
        name: {
            split: {phrasing: recall(model, relation.objects, phrasing) for phrasing in phrasings}
            for split, phrasings in {
                "trained": relation.trained_prompts,
                "held out": relation.held_out_phrasings,
            }.items()
        }
        for name, relation in RELATIONS.items()
    }


def recall(model: TransformerBridge, objects: dict[str, str], phrasing: str) -> float:
    logits = last_logits(model, [fact_prompt(phrasing, subject) for subject in objects])
    return share(logits.argmax(-1) == torch.tensor([token(answer) for answer in objects.values()]))


def refusal(model: TransformerBridge, count: int) -> dict[str, float]:
    """The share of unseen requests to which the likeliest first word begins a refusal."""
    openers = torch.tensor([token(word) for word in REFUSAL_OPENERS])
    rates = {}
    for name, harmful in {"harmful": True, "harmless": False}.items():
        asked = requests(count, Chooser(generator(4)), harmful=harmful)
        logits = last_logits(model, [request.text for request in asked])
        rates[name] = share(torch.isin(logits.argmax(-1), openers))
    return rates


def years(model: TransformerBridge, count: int) -> dict[str, float]:
    """The probability of all greater years less that of all others, from unseen first years."""
    prompts = year_prompts(count, Chooser(generator(5)))
    ids = torch.tensor([vocabulary()[f"{year:02d}"] for year in range(100)])
    probabilities = last_logits(model, [prompt.text for prompt in prompts]).softmax(-1)[:, ids]
    greater = torch.arange(100) > torch.tensor([[prompt.start] for prompt in prompts])
    differences = (probabilities * greater).sum(-1) - (probabilities * ~greater).sum(-1)
    return {"P(greater) - P(not greater)": differences.mean().item()}


def repeats(model: TransformerBridge, count: int, length: int = 40) -> Figures:
    """On random tokens that come twice: how well the second half is known, and what each head looks at."""
    tokens = repeated_tokens(count, length, d_vocab=model.cfg.d_vocab, generator=generator(6))
    logits = model(tokens)
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    # the first token of the second half cannot be known yet
    known = slice(length + 1, 2 * length)
    patterns = patterns_of(model, tokens).mean(1)
    every, second = torch.arange(1, 2 * length + 1), torch.arange(length + 1, 2 * length + 1)

    def score(query: Int[Tensor, " pair"], key: Int[Tensor, " pair"]) -> dict[str, float]:
        return by_head(patterns[:, :, query, key].mean(-1))

    return {
        "accuracy, second half": share(logits[:, known].argmax(-1) == tokens[:, length + 2 :]),
        "loss, first half": losses[:, 1:length].mean().item(),
        "loss, second half": losses[:, known].mean().item(),
        "induction score": score(second, second - length + 1),
        "previous-token score": score(every, every - 1),
        "duplicate-token score": score(second, second - length),
    }


def share(correct: Tensor) -> float:
    return correct.float().mean().item()


def rounded(figures: object) -> object:
    if isinstance(figures, dict):
        return {name: rounded(value) for name, value in figures.items()}
    return round(figures, 4) if isinstance(figures, float) else figures


def differences(measured: object, stated: object, path: str = "") -> list[str]:
    """A sentence for every figure in which a measurement and a card differ by more than `TOLERANCE`."""
    if isinstance(measured, dict) and isinstance(stated, dict):
        names = [*measured, *(name for name in stated if name not in measured)]
        return [
            sentence
            for name in names
            for sentence in differences(measured.get(name), stated.get(name), f"{path} > {name}" if path else name)
        ]
    if measured is None or stated is None:
        return [f"{path}: measured {measured}, and the card says {stated}"]
    # logit differences and losses are not shares, so what counts is how large they are
    allowed = TOLERANCE * max(1.0, abs(stated))
    if abs(measured - stated) <= allowed:
        return []
    return [f"{path}: measured {measured:.4f}, and the card says {stated:.4f}"]


def write_card(name: str) -> Figures:
    """Measure a shipped model and write what was found into its folder, for programs and for readers."""
    from utils.models.card import markdown

    folder = WEIGHTS / name
    training = json.loads((folder / "training.json").read_text())
    card = {
        "name": name,
        # as stored: the embedding serves as the unembedding too
        "parameters": sum(weight.numel() for weight in load_file(folder / "model.safetensors").values()),
        "training": {key: value for key, value in training.items() if key != "losses"},
        "figures": rounded(measure(load_model(name))),
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    (folder / "MODEL_CARD.md").write_text(markdown(card))
    return card


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.models.measure", description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", default="organism")
    parser.add_argument("--write", action="store_true", help="write the card anew")
    options = parser.parse_args(arguments)
    if options.write:
        write_card(options.name)
        return 0
    card = json.loads((WEIGHTS / options.name / "card.json").read_text())
    wrong = differences(rounded(measure(load_model(options.name), card["figures"]["prompts"])), card["figures"])
    print("\n".join(wrong) or "every figure is as the card says")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
