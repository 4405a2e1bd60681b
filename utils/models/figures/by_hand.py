"""This file knows what is measured of ioi-by-hand, whose circuit is known, and how its card says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from utils.data.ioi import IOIPrompt
from utils.models.by_hand_circuit import Head, circuit, possible_heads, prompts, sample, tokens_of, vocabulary
from utils.models.figures.common import Figures
from utils.models.figures.tables import heading, page, table

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

# where each role's heads look, from the position at which they matter
LOOKS_AT = {
    "duplicate-token head": ["S1"],
    "previous-token head": ["S1"],
    "induction head": ["S1+1"],
    "S-inhibition head": ["S2"],
    "name-mover head": ["IO", "S1", "S2"],
    "negative name-mover head": ["IO", "S1", "S2"],
}


def measure(model: TransformerBridge, count: int = 300) -> Figures:
    """Every figure of the card, on `count` prompts of the task, and whether it answers every prompt there is."""
    chosen = sample(count)
    decoys = [head for head in possible_heads() if head not in circuit().heads]
    with torch.no_grad():
        return {
            "prompts": count,
            "every prompt": answers(model, list(prompts()), chunk=2000),
            "attention": attention(model, chosen),
            "ablated": {
                "nothing": answers(model, chosen),
                **{f"all {role}s": answers(model, chosen, heads) for role, heads in circuit().by_role().items()},
                "all heads that are not in the circuit": answers(model, chosen, decoys),
            },
        }


def answers(
    model: TransformerBridge, chosen: Sequence[IOIPrompt], ablated: Sequence[Head] = (), chunk: int = 300
) -> dict[str, float]:
    """How IO compares with S at END, with the output of these heads set to zero."""

    def zero(layer: int):
        heads = [head.head for head in ablated if head.layer == layer]

        def hook_function(z: Float[Tensor, "batch pos head d_head"], hook) -> Float[Tensor, "batch pos head d_head"]:
            z[:, :, heads] = 0
            return z

        return f"blocks.{layer}.attn.hook_z", hook_function

    hooks = [zero(layer) for layer in {head.layer for head in ablated}]
    differences, tops = [], []
    for start in range(0, len(chosen), chunk):
        part = chosen[start : start + chunk]
        logits = model.run_with_hooks(tokens_of(part), fwd_hooks=hooks)
        logits = logits[torch.arange(len(part)), [prompt.positions["END"] for prompt in part]]
        io, s = (
            torch.tensor([vocabulary()[f" {name}"] for name in names]) for names in zip(*names_of(part), strict=True)
        )
        io_logit, s_logit = (logits.gather(-1, ids[:, None])[:, 0] for ids in (io, s))
        differences.append(io_logit - s_logit)
        tops.append(logits.argmax(-1) == io)
    difference, top = torch.cat(differences), torch.cat(tops)
    return {
        "accuracy": (difference > 0).float().mean().item(),
        "top-1": top.float().mean().item(),
        "logit difference": difference.mean().item(),
    }


def names_of(chosen: Sequence[IOIPrompt]) -> list[tuple[str, str]]:
    return [(prompt.io, prompt.s) for prompt in chosen]


def attention(model: TransformerBridge, chosen: Sequence[IOIPrompt]) -> dict[str, dict[str, float]]:
    """Where each head of the circuit looks from the position at which it matters, on average."""
    _, cache = model.run_with_cache(tokens_of(chosen), names_filter=lambda name: name.endswith("hook_pattern"))
    rows = torch.arange(len(chosen))

    def at(role: str) -> Tensor:
        return torch.tensor([prompt.positions[role] for prompt in chosen])

    found: dict[str, dict[str, float]] = {}
    for head in circuit().heads:
        (query,) = head.positions
        pattern = cache["pattern", head.layer][rows, head.head, at(query)]
        looks = {f"{query} to {key}": pattern[rows, at(key)].mean().item() for key in LOOKS_AT[head.role]}
        found[f"{head}, {head.role}"] = looks
    return found


def summary(figures: Mapping) -> str:
    """What the model can do, in a line."""
    every = figures["every prompt"]
    return (
        f"weights set by hand, circuit known: {len(circuit().heads)} of {len(possible_heads())} heads; "
        f"all prompts of its task {every['accuracy']:.2f} right, logit difference {every['logit difference']:.1f}"
    )


INTRODUCTION = """\
A transformer that nobody trained: `utils/models/by_hand.py` sets its weights, head by head, and explains each. It has
attention only, and implements the circuit that Wang et al. (2022), https://arxiv.org/abs/2211.00593, found in GPT-2 for
"When Mary and John went to the store, John gave a drink to", together with decoys: heads that look where heads of the
circuit look but write where nothing reads. So the truth about it is known: `circuit()` in
`utils/models/by_hand_circuit.py` lists the heads and the edges, and `tests/tooling/test_by_hand.py` shows by
interventions that these matter, and no others. It cannot do anything else: its words are those of its ten templates.

It is simpler than GPT-2: no MLPs, no LayerNorm, no backup name movers, and one role at most per head.
`python -m utils.models.by_hand` writes the weights anew, to the byte. Every figure below was measured by
`circuits models measure ioi-by-hand`, which also compares this card with a new measurement."""


def markdown(card: Mapping) -> str:
    figures = card["figures"]
    count = f"{figures['prompts']} prompts."
    every = figures["every prompt"]
    return page(
        [
            f"# {card['name']}",
            INTRODUCTION,
            f"{card['parameters']:,} parameters.",
            heading(
                "The task",
                f"All {len(list(prompts())):,} prompts: IO above S in {every['accuracy']:.2f} of them and above every "
                f"word in {every['top-1']:.2f}, by a logit difference of {every['logit difference']:.2f} on average.",
            ),
            heading(
                "Where the heads of the circuit look", "Attention from the position at which a head matters.", count
            ),
            table(
                ["head", "attention"],
                (
                    [head, ", ".join(f"{where} {value:.2f}" for where, value in looks.items())]
                    for head, looks in figures["attention"].items()
                ),
            ),
            heading("What happens without them", "The output of all heads of a role set to zero.", count),
            table(
                ["without", *figures["ablated"]["nothing"]],
                ([name, *row.values()] for name, row in figures["ablated"].items()),
            ),
        ]
    )
