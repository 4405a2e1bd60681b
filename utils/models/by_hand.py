"""This file knows how to set the weights of `ioi-by-hand`, a transformer that nobody trained.

It has attention only: four layers of four heads. Eight heads are a circuit of the kind that Wang et al. (2022) found in
GPT-2 for "When Mary and John went to the store, John gave a drink to" (https://arxiv.org/abs/2211.00593); the other
eight are decoys. What can be known at a position is in `SUBSPACES`, what each head does is in `LAYERS`, and the rest of
the file turns these into matrices. by_hand_circuit.py has the prompts, and lists the heads and edges of the circuit.

The residual stream is cut into subspaces, each with one meaning. A head is two short tables. `looks` says which keys a
query prefers: under the name of what is read at the key stands what is read at the query, with the score where the two
agree. `ALWAYS` stands for a bias of the query, which prefers every key that has anything in that subspace. `moves` says
what is copied, and from which subspace at the key's position to which at the query's. As matrices, `looks` is W_QK and
`moves` is W_OV.

The answer to "When Mary and John went to the store, John gave a drink to" comes about in three steps:

1. S2, the second John, finds out that the name came before. Two ways lead there, and each contributes half. L0H0 looks
   from S2 for the same name at another position, and copies from S1 which name stands there, and where. L0H1 tells
   every position which name stands before it, and where; so L1H0 can look from S2 for the position that follows a
   John, which is S1+1, and copy what L0H1 wrote there.
2. L2H0 and L2H1 look from END for a name that came before, which is S2, and each contributes half. They tell END which
   name to inhibit (the token signal: John) and at which positions (the position signal: S1, and S2 itself).
3. L3H0 and L3H1 look from END for any name, but less for the inhibited name, and less at the inhibited positions. That
   leaves Mary, whom they copy to where the unembedding reads. L3H2 looks there too and writes the opposite, as the
   negative name movers of GPT-2 do.

With three different names, nothing is inhibited, and all three get the same logit.

Positions are four clocks, each of which turns twice as fast as the one before, so that no two positions agree in all
hands; to go one position back is a rotation. A head that finds nothing rests on BOS, which has no name and no position,
so that it writes nothing. Words that no head needs have no direction of their own.

There is no MLP and no LayerNorm: the residual stream is the sum of what embeddings and heads wrote, and every query,
key, value and logit is the sum of what each of them contributes, so that the effect of an edge can be computed exactly.
It is simpler than GPT-2 in other ways too: there are no backup name movers, and a head has one role at most.

`python -m utils.models.by_hand` writes utils/models/weights/ioi-by-hand anew, to the byte.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from utils.data.tokenizer import BOS
from utils.models import attention_only
from utils.models.attention_only import AttentionOnlyConfig
from utils.models.by_hand_circuit import (
    N_CTX,
    N_HEADS,
    N_LAYERS,
    NAMES,
    PLACES,
    Circuit,
    Edge,
    Head,
    build_tokenizer,
    circuit,
    encode,
    other_pair,
    possible_edges,
    possible_heads,
    prompts,
    sample,
    three_names,
    tokens_of,
    vocabulary,
)
from utils.paths import WEIGHTS

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge
    from transformer_lens.model_bridge.sources.native import NativeModel

__all__ = [
    "NAMES", "Circuit", "Edge", "Head", "build", "build_tokenizer", "circuit", "encode", "load", "other_pair",
    "possible_edges", "possible_heads", "prompts", "sample", "three_names", "tokens_of", "vocabulary",
]  # fmt: skip

FOLDER = WEIGHTS / "ioi-by-hand"

# From one position to the next, clock i turns by SPEEDS[i] / PERIOD of a circle. With these numbers the hands of two
# different positions have a dot product of -0.32 or 0.20, and the hands of one position have 1 with themselves.
PERIOD, SPEEDS = 17, (1, 2, 4, 8)
HANDS = 2 * len(SPEEDS)
EACH_NAME = len(NAMES)

# What the residual stream has room for, and how many dimensions each takes.
SUBSPACES = {
    # of the token itself, from the embeddings
    "bos": 1,
    "name": EACH_NAME,
    "position": HANDS,
    "place": len(PLACES),
    # at a position: the name and the position before it
    "previous name": EACH_NAME,
    "previous position": HANDS,
    # at a name that came before: that name, and where it stood
    "repeated name": EACH_NAME,
    "repeated position": HANDS,
    # at END: which name, and which positions, a name mover should avoid
    "inhibited name": EACH_NAME,
    "inhibited position": HANDS,
    # what the unembedding reads
    "answer": EACH_NAME,
    "topic": len(PLACES),
    # what nothing reads
    "scratch": EACH_NAME,
}
D_MODEL = sum(SUBSPACES.values())
ALWAYS = "always"
POSITION_BEFORE = "position before"


@dataclass(frozen=True)
class Script:
    """A head in words. `looks[at the key][at the query]` is a score, `moves[to][from]` is a factor."""

    looks: Mapping[str, Mapping[str, float]]
    moves: Mapping[str, Mapping[str, float]]

    @property
    def d_head(self) -> int:
        """How many dimensions the head needs."""
        return max(sum(SUBSPACES[name] for name in table) for table in (self.looks, self.moves))


# What is looked for scores 8 more than BOS or better, and BOS 8 more than anything else, so that attention is nearly all
# or nothing. Two exceptions: a name that was found on one of the two ways only scores as BOS does, and name movers do
# not rest, since there are always names.
SAME_NAME_ELSEWHERE = {"name": {"name": 40.0}, "position": {"position": -32.0}, "bos": {ALWAYS: 20.0}}
THE_POSITION_BEFORE = {"position": {POSITION_BEFORE: 32.0}, "bos": {ALWAYS: 20.0}}
WHAT_FOLLOWED_THIS_NAME = {"previous name": {"name": 24.0}, "bos": {ALWAYS: 12.0}}
A_NAME_THAT_CAME_BEFORE = {"repeated name": {ALWAYS: 16.0}, "bos": {ALWAYS: 8.0}}
A_NAME_NOT_INHIBITED = {
    "name": {ALWAYS: 12.0, "inhibited name": -2.5},
    "position": {"inhibited position": -2.5},
}
A_PLACE = {"place": {ALWAYS: 12.0}, "bos": {ALWAYS: 6.0}}
ITSELF = {"position": {"position": 32.0}, "bos": {ALWAYS: 20.0}}
ANYTHING: dict[str, dict[str, float]] = {}

INHIBIT = {
    "inhibited name": {"repeated name": 0.5},
    "inhibited position": {"repeated position": 0.5, "position": 0.5},
}
FOR_NOBODY = {"scratch": {"name": 1.0}}

LAYERS = [
    [
        # L0H0, the duplicate-token head
        Script(SAME_NAME_ELSEWHERE, {"repeated name": {"name": 0.5}, "repeated position": {"position": 0.5}}),
        # L0H1, the previous-token head
        Script(THE_POSITION_BEFORE, {"previous name": {"name": 1.0}, "previous position": {"position": 1.0}}),
        # L0H2, a decoy, looks where a previous-token head looks
        Script(THE_POSITION_BEFORE, FOR_NOBODY),
        # L0H3, a decoy, tells of the place
        Script(A_PLACE, {"topic": {"place": 0.5}}),
    ],
    [
        # L1H0, the induction head
        Script(
            WHAT_FOLLOWED_THIS_NAME,
            {"repeated name": {"previous name": 0.5}, "repeated position": {"previous position": 0.5}},
        ),
        # L1H1, a decoy, looks where a duplicate-token head looks
        Script(SAME_NAME_ELSEWHERE, FOR_NOBODY),
        # L1H2, a decoy, doubles what a position knows of the place
        Script(ITSELF, {"topic": {"topic": 1.0}}),
        # L1H3, a decoy, looks everywhere alike
        Script(ANYTHING, FOR_NOBODY),
    ],
    [
        # L2H0 and L2H1, the S-inhibition heads
        Script(A_NAME_THAT_CAME_BEFORE, INHIBIT),
        Script(A_NAME_THAT_CAME_BEFORE, INHIBIT),
        # L2H2, a decoy, looks where they look, and reads of what they read
        Script(A_NAME_THAT_CAME_BEFORE, {"scratch": {"repeated name": 1.0}}),
        # L2H3, a decoy, tells of the place once more
        Script(A_PLACE, {"topic": {"topic": 1.0}}),
    ],
    [
        # L3H0 and L3H1, the name-mover heads
        Script(A_NAME_NOT_INHIBITED, {"answer": {"name": 8.0}}),
        Script(A_NAME_NOT_INHIBITED, {"answer": {"name": 8.0}}),
        # L3H2, the negative name-mover head
        Script(A_NAME_NOT_INHIBITED, {"answer": {"name": -4.0}}),
        # L3H3, a decoy, looks where they look
        Script(A_NAME_NOT_INHIBITED, FOR_NOBODY),
    ],
]
D_HEAD = max(head.d_head for layer in LAYERS for head in layer)


# From tables to matrices


def clocks(position: int) -> Float[Tensor, " hand"]:
    """The hands of all clocks at a position, as one vector of length 1."""
    angles = 2 * math.pi / PERIOD * position * torch.tensor(SPEEDS, dtype=torch.float64)
    return torch.stack([angles.cos(), angles.sin()], dim=-1).flatten() / math.sqrt(len(SPEEDS))


def one_position_back() -> Float[Tensor, "hand hand"]:
    """The rotation that takes `clocks(position)` to `clocks(position - 1)`."""
    angles = 2 * math.pi / PERIOD * torch.tensor(SPEEDS, dtype=torch.float64)
    cos, sin = angles.cos(), angles.sin()
    turns = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    return torch.block_diag(*turns)


def subspace(name: str) -> slice:
    """The dimensions of the residual stream that a subspace takes."""
    names = list(SUBSPACES)
    start = sum(SUBSPACES[before] for before in names[: names.index(name)])
    return slice(start, start + SUBSPACES[name])


def reading(name: str) -> Float[Tensor, "channel d_model"]:
    """The matrix that takes the residual stream to what it says in a subspace."""
    if name == POSITION_BEFORE:
        return one_position_back() @ reading("position")
    return torch.eye(D_MODEL, dtype=torch.float64)[subspace(name)]


def head_weights(head: Script) -> dict[str, Float[Tensor, "..."]]:
    """One head's part of q, k, v and o, where a Linear's weight is "output input"."""
    q, k, v = torch.zeros(3, D_HEAD, D_MODEL, dtype=torch.float64)
    q_bias = torch.zeros(D_HEAD, dtype=torch.float64)
    o = torch.zeros(D_MODEL, D_HEAD, dtype=torch.float64)
    for (at_key, scores), channels in zip(head.looks.items(), channels_of(head.looks), strict=True):
        k[channels] = reading(at_key)
        for at_query, score in scores.items():
            score *= math.sqrt(D_HEAD)  # by which attention divides
            if at_query == ALWAYS:
                q_bias[channels] = score
            else:
                q[channels] += score * reading(at_query)
    for (to, sources), channels in zip(head.moves.items(), channels_of(head.moves), strict=True):
        v[channels] = sum(factor * reading(source) for source, factor in sources.items())
        o[:, channels] = reading(to).T
    return {"q": q, "k": k, "v": v, "o": o, "q_bias": q_bias}


def channels_of(table: Mapping[str, object]) -> list[slice]:
    """For each row of a table, the dimensions that it takes inside the head."""
    slices, start = [], 0
    for name in table:
        slices.append(slice(start, start + SUBSPACES[name]))
        start += SUBSPACES[name]
    return slices


def embedding() -> Float[Tensor, "d_vocab d_model"]:
    ids = vocabulary()
    weight = torch.zeros(len(ids), D_MODEL, dtype=torch.float64)
    weight[BOS] = reading("bos")[0]
    for index, name in enumerate(NAMES):
        weight[ids[f" {name}"]] = reading("name")[index]
    for index, place in enumerate(PLACES):
        weight[ids[f" {place}"]] = reading("place")[index]
    return weight


def position_embedding() -> Float[Tensor, "n_ctx d_model"]:
    weight = torch.zeros(N_CTX, D_MODEL, dtype=torch.float64)
    # position 0 is BOS, which has none
    for position in range(1, N_CTX):
        weight[position, subspace("position")] = clocks(position)
    return weight


def unembedding() -> Float[Tensor, "d_vocab d_model"]:
    ids = vocabulary()
    weight = torch.zeros(len(ids), D_MODEL, dtype=torch.float64)
    for index, name in enumerate(NAMES):
        weight[ids[f" {name}"]] = reading("answer")[index]
    for index, place in enumerate(PLACES):
        weight[ids[f" {place}"]] = reading("topic")[index]
    return weight


def weights() -> dict[str, Float[Tensor, "..."]]:
    """The state dict of TransformerLens' NativeModel."""
    state = {"tok_embed.weight": embedding(), "pos.weight": position_embedding(), "head.weight": unembedding()}
    for layer, heads in enumerate(LAYERS):
        parts = [head_weights(head) for head in heads]
        for name in "qkvo":
            # heads lie one below the other in q, k and v, and side by side in o
            state[f"layers.{layer}.attn.{name}.weight"] = torch.cat([part[name] for part in parts], int(name == "o"))
            width = D_MODEL if name == "o" else N_HEADS * D_HEAD
            state[f"layers.{layer}.attn.{name}.bias"] = torch.zeros(width, dtype=torch.float64)
        state[f"layers.{layer}.attn.q.bias"] = torch.cat([part["q_bias"] for part in parts])
    return {name: weight.float() for name, weight in state.items()}


# From matrices to a model

CFG = AttentionOnlyConfig(
    d_model=D_MODEL,
    d_vocab=len(vocabulary()),
    n_ctx=N_CTX,
    n_layers=N_LAYERS,
    n_heads=N_HEADS,
    d_head=D_HEAD,
    normalization_type=None,
)


def build() -> NativeModel:
    """The model from this script, without any file."""
    from transformer_lens.model_bridge.sources.native import NativeModel

    # torch draws weights of its own before ours replace them
    with torch.random.fork_rng():
        model = NativeModel(CFG.to_bridge())
    model.load_state_dict(weights(), strict=True)
    return model.eval()


def save(folder: Path = FOLDER) -> None:
    """Write weights, sizes and tokenizer, the same bytes every time."""
    attention_only.save_model(build(), CFG, folder)
    build_tokenizer().save_pretrained(folder)


def load(
    folder: Path = FOLDER, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> TransformerBridge:
    """The model from its folder, under TransformerLens' names, with every weight as this script wrote it.

    It is in compatibility mode, but nothing is folded or centred.
    """
    from utils.models.loading import load_folder

    return load_folder(folder, device, dtype)


if __name__ == "__main__":
    save()
