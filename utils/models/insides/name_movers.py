"""This file knows how to measure which heads name the receiver in IOI, and what tells them where to look.

After Wang et al. (2022), https://arxiv.org/abs/2211.00593.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from utils.data.choosing import Chooser
from utils.data.ioi import IOIPrompt, ioi_prompts
from utils.data.tokenizer import BOS, encode
from utils.data.world import NAMES
from utils.models.figures.common import Figures, by_head, generator, share
from utils.models.figures.tables import highest
from utils.models.insides.runs import Batch, batch_of, cache_of, end_logits, put_heads, recovered, token

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

FORMS = ("one pair", "several pairs")
# the card's template for one pair, so that positions line up; and the card's seed
ALIGNED = {"one pair": {"opening": "Then, {A} and {B} went to the {place}.", "giving": "{S} {gave} a {thing} to {IO}."}}
IOI_SEED, THIRD_NAME_SEED = 3, 13
CORRUPTIONS = ("S2 is a third name", "S2 is IO")

# a head of the circuit copies names, and looks at the pair
COPIES, LOOKS_AT_PAIR, MOST_HEADS = 0.5, 0.3, 4


@dataclass(frozen=True)
class IOISet:
    """Prompts of indirect object identification, and the same with S2 replaced."""

    clean: Batch
    corrupted: dict[str, Batch]
    positions: dict[str, Int[Tensor, " batch"]]
    io: Int[Tensor, " batch"]
    s: Int[Tensor, " batch"]

    def logit_difference(self, logits: Float[Tensor, "batch d_vocab"]) -> Float[Tensor, " batch"]:
        return logits[self.clean.rows, self.io] - logits[self.clean.rows, self.s]

    @property
    def io_first(self) -> Bool[Tensor, " batch"]:
        return self.positions["IO"] < self.positions["S1"]


def ioi_set(count: int, form: str) -> IOISet:
    """Unseen pairs, as many with IO first as with S first."""
    # a multiple of four, since order within a pair and order of the pairs change in blocks of two
    prompts = ioi_prompts(-(-count // 4) * 4, Chooser(generator(IOI_SEED)), form=form, **ALIGNED.get(form, {}))
    chooser = Chooser(generator(THIRD_NAME_SEED))
    clean = batch_of([prompt.text for prompt in prompts])
    positions = {role: torch.tensor([prompt.positions[role] for prompt in prompts]) for role in ("IO", "S1", "S2")}
    io = torch.tensor([token(prompt.io) for prompt in prompts])
    third = torch.tensor([token(third_name(prompt, chooser)) for prompt in prompts])
    corrupted = {}
    for corruption, names in zip(CORRUPTIONS, (third, io), strict=True):
        tokens = clean.tokens.clone()
        tokens[clean.rows, positions["S2"]] = names
        corrupted[corruption] = Batch(tokens, clean.ends)
    return IOISet(clean, corrupted, positions, io, torch.tensor([token(prompt.s) for prompt in prompts]))


def third_name(prompt: IOIPrompt, chooser: Chooser) -> str:
    present = set(encode(prompt.text)) | {token(prompt.io)}
    return chooser.pick([name for name in NAMES if token(name) not in present])


@torch.no_grad()
def name_movers(model: TransformerBridge, count: int, form: str, copying: Mapping[str, float]) -> Figures:
    """Which heads read the receiver's name at END, and what tells them where to look.

    "attention": of each head from END to IO, S1 and S2; over both orders of the pair, and for each order alone.
    "direct attribution": what each head at END adds to logit(IO) - logit(S), and to logit(IO) less the mean logit of
    all names, through the unembedding alone, with LayerNorm's scale as it was.
    "joint": see `joint_attention`; "patching": see `head_patching`.
    "steering": see `steering`, under the name of the head with the greatest attention to IO less that to S1, of those
    that raise logit(IO) directly.
    """
    prompts = ioi_set(count, form)
    cache = cache_of(model, prompts.clean, "hook_pattern", "hook_z", "ln_final.hook_scale")
    logits = end_logits(model, prompts.clean)
    attention = attention_from_end(model, prompts, cache)
    attribution = direct_attribution(model, prompts, cache)
    io, s1 = attention["both orders"]["IO"], attention["both orders"]["S1"]
    raising = [head for head, value in attribution["IO - mean name"].items() if value > 0]
    mover = max(raising or io, key=lambda head: io[head] - s1[head])
    return {
        "accuracy": share(prompts.logit_difference(logits) > 0),
        "P(IO)": logits.softmax(-1)[prompts.clean.rows, prompts.io].mean().item(),
        "attention": attention,
        "direct attribution": attribution,
        "joint": joint_attention(attention, attribution["IO - mean name"], copying),
        "patching": head_patching(model, prompts, cache, logits),
        "steering": {mover: {corruption: steering(model, prompts, mover, corruption) for corruption in CORRUPTIONS}},
    }


def attention_from_end(model: TransformerBridge, prompts: IOISet, cache: Mapping[str, Tensor]) -> Figures:
    rows, ends = prompts.clean.rows, prompts.clean.ends
    pattern = torch.stack([cache[f"blocks.{layer}.attn.hook_pattern"] for layer in range(model.cfg.n_layers)])
    # indices apart from each other come first
    at_end: Float[Tensor, "batch layer head key"] = pattern[:, rows, :, ends]
    orders = {"both orders": slice(None), "IO first": prompts.io_first, "S first": ~prompts.io_first}
    return {
        order: {
            role: by_head(at_end[rows, :, :, positions][chosen].mean(0))
            for role, positions in prompts.positions.items()
        }
        for order, chosen in orders.items()
    }


def direct_attribution(model: TransformerBridge, prompts: IOISet, cache: Mapping[str, Tensor]) -> Figures:
    rows, ends = prompts.clean.rows, prompts.clean.ends
    scale = cache["ln_final.hook_scale"][rows, ends]
    io, s = model.W_U.T[prompts.io], model.W_U.T[prompts.s]
    mean_name = model.W_U.T[[token(name) for name in NAMES]].mean(0)
    z = torch.stack([cache[f"blocks.{layer}.attn.hook_z"][rows, ends] for layer in range(model.cfg.n_layers)])
    written = torch.einsum("lbhd,lhdm->blhm", z, model.W_O)
    return {
        name: by_head(torch.einsum("blhm,bm->lh", written, direction / scale) / len(rows))
        for name, direction in {"IO - S": io - s, "IO - mean name": io - mean_name}.items()
    }


def joint_attention(
    attention: Mapping[str, Mapping[str, Mapping[str, float]]],
    attribution: Mapping[str, float],
    copying: Mapping[str, float],
) -> Figures:
    """What the heads of the circuit attend to together, over both orders of the pair and for each alone.

    They are those with a copying score of at least 0.5, that attend to IO and S1 together with at least 0.3 over both
    orders and raise logit(IO) directly; the four with the greatest attribution, if there are more. "IO", "S1" and
    "preference" (IO less S1) are means weighted by these attributions; "preference, plain mean" counts all alike.
    """
    over_both = attention["both orders"]
    circuit = {
        head: value
        for head, value in attribution.items()
        if value > 0 and copying[head] >= COPIES and over_both["IO"][head] + over_both["S1"][head] >= LOOKS_AT_PAIR
    }
    heads = highest(circuit, MOST_HEADS)
    total = sum(circuit[head] for head in heads)
    figures: Figures = {"weights": {head: circuit[head] / total for head in heads}}
    for order, roles in attention.items() if heads else ():
        io, s1 = (sum(circuit[head] * roles[role][head] for head in heads) / total for role in ("IO", "S1"))
        plain = sum(roles["IO"][head] - roles["S1"][head] for head in heads) / len(heads)
        figures[order] = {"IO": io, "S1": s1, "preference": io - s1, "preference, plain mean": plain}
    return figures


@torch.no_grad()
def copying_scores(model: TransformerBridge) -> dict[str, float]:
    """The share of names that a head's W_OV turns into themselves: with a higher own logit than any other name's.

    What W_OV gets is the residual stream after layer 0 (embedding, attention and MLP) at a name that stands alone
    after BOS, as in Wang et al., who ask for the top five; the heads of layer 0 get the embeddings. Biases are left
    out. Chance is one of the number of names.
    """
    names = torch.tensor([token(name) for name in NAMES])
    alone = Batch(torch.stack([torch.full_like(names, BOS), names], dim=1), torch.ones_like(names))
    cache = cache_of(model, alone, "blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", layers=1)
    scores = []
    for layer in range(model.cfg.n_layers):
        state = cache[f"blocks.0.hook_resid_{'post' if layer else 'pre'}"][:, 1]
        moved = state @ model.W_V[layer] @ model.W_O[layer]
        logits: Float[Tensor, "head name other"] = moved @ model.W_U[:, names]
        scores.append((logits.argmax(-1) == torch.arange(len(names))).float().mean(-1))
    return by_head(torch.stack(scores))


@torch.no_grad()
def steering(model: TransformerBridge, prompts: IOISet, mover: str, corruption: str) -> Figures:
    """How far a name mover's preference (attention from END to IO less that to S1) falls when earlier heads mislead it.

    The output z of heads in layers before it is taken, at END alone, from a run in which S2 is replaced; everything
    after is computed anew. "fall, all earlier heads": of all together. "fall, by query": the same, but of that run the
    name mover gets its query alone. "fall, one head": of one head at a time.
    """
    layer, head = map(int, mover.removeprefix("L").split("H"))
    clean, rows, ends = prompts.clean, prompts.clean.rows, prompts.clean.ends
    pattern_name, query_name = f"blocks.{layer}.attn.hook_pattern", f"blocks.{layer}.attn.hook_q"
    wrong = cache_of(model, prompts.corrupted[corruption], "hook_z", layers=layer)

    def preference(pattern: Float[Tensor, "batch head query key"]) -> float:
        row = pattern[rows, head, ends]
        return (row[rows, prompts.positions["IO"]] - row[rows, prompts.positions["S1"]]).mean().item()

    def mislead(heads: Mapping[int, Sequence[int]]) -> Mapping[str, Tensor]:
        hooks = [
            put_heads(model, f"blocks.{of}.attn.hook_z", wrong, clean.at(ends), which) for of, which in heads.items()
        ]
        return cache_of(model, clean, pattern_name, query_name, hooks=hooks, layers=layer + 1)

    every = range(model.cfg.n_heads)
    before = preference(mislead({})[pattern_name])
    together = mislead({earlier: every for earlier in range(layer)})
    query = put_heads(model, query_name, together, clean.at(ends), [head])
    misled_query = cache_of(model, clean, pattern_name, hooks=[query], layers=layer + 1)
    return {
        "preference": before,
        "fall, all earlier heads": before - preference(together[pattern_name]),
        "fall, by query": before - preference(misled_query[pattern_name]),
        "fall, one head": {
            f"L{earlier}H{other}": before - preference(mislead({earlier: [other]})[pattern_name])
            for earlier in range(layer)
            for other in every
        },
    }


def head_patching(
    model: TransformerBridge, prompts: IOISet, clean: Mapping[str, Tensor], logits: Float[Tensor, "batch d_vocab"]
) -> dict[str, float]:
    """What one head's clean output z at END brings back in a run with S2 replaced by a third name.

    Recovered shares of the mean of logit(IO) - logit(S): 0 is as corrupted, and 1 as clean.
    """
    corrupted = prompts.corrupted[CORRUPTIONS[0]]
    before = prompts.logit_difference(end_logits(model, corrupted))
    shares = {}
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            hook = put_heads(model, f"blocks.{layer}.attn.hook_z", clean, corrupted.at(corrupted.ends), [head])
            after = prompts.logit_difference(end_logits(model, corrupted, [hook]))
            shares[f"L{layer}H{head}"] = recovered(after, before, prompts.logit_difference(logits))
    return shares
