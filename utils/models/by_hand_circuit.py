"""This file knows the task of the model `ioi-by-hand`, and the circuit that answers it.

The task is indirect object identification, in twelve names and ten templates: "When Mary and John went to the store,
John gave a drink to", where the name that stands once (IO, Mary) should follow, and not the one that gives (S, John).
The weights are in by_hand.py; that this is their circuit, all of it and nothing else, is shown by interventions in
tests/tooling/test_by_hand.py.

After Wang et al. (2022), "Interpretability in the Wild", https://arxiv.org/abs/2211.00593.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import permutations, product
from typing import TYPE_CHECKING, Literal

from utils.data.ioi import IOIPrompt, prompt
from utils.data.tokenizer import BOS, BOS_TOKEN, UNKNOWN_TOKEN, word_level_tokenizer, words
from utils.data.world import BOYS, GIRLS

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

NAMES = GIRLS[:6] + BOYS[:6]
PLACES = ["store", "park", "school", "market"]
THINGS = ["drink", "ring", "book", "ball"]
# of 8, 9 and 10 tokens
OPENINGS = [
    "When {A} and {B} went to the {place},",
    "Then, {A} and {B} went to the {place}.",
    "One day {A} met {B} at the {place}.",
    "{A} was with {B} in the {place}.",
    "Friends {A} and {B} were playing in the {place}.",
]
# of 5 and 7 tokens up to the receiver
GIVINGS = [
    "{S} gave a {thing} to {IO}.",
    "{S} decided to give the {thing} to {IO}.",
]
N_LAYERS, N_HEADS = 4, 4
# the longest prompt, BOS included
N_CTX = 18


# The task


@cache
def vocabulary() -> dict[str, int]:
    """The id of every token: BOS, what is unknown, names, places, things, and the other words of the templates."""
    texts = " ".join(re.sub(r"\{[^}]*\}", " ", template) for template in OPENINGS + GIVINGS)
    lists = [f" {word}" for word in NAMES + PLACES + THINGS]
    tokens = [BOS_TOKEN, UNKNOWN_TOKEN, *lists, *sorted(set(words(texts)))]
    return {token: index for index, token in enumerate(tokens)}


def encode(text: str) -> list[int]:
    """The ids of a text in these words, without BOS; raises on any other word."""
    ids = vocabulary()
    if unknown := [word for word in words(text) if word not in ids]:
        raise ValueError(f"{unknown[0]!r} is not in the vocabulary of ioi-by-hand, in the text {text!r}")
    return [ids[word] for word in words(text)]


def tokens_of(prompts: Sequence[IOIPrompt]) -> Int[Tensor, "batch pos"]:
    """The prompts after BOS, filled up with BOS on the right, which no earlier position sees."""
    import torch

    rows = [torch.tensor([BOS, *encode(prompt.text)]) for prompt in prompts]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=BOS)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Cuts as the organism's tokenizer does, into this model's words."""
    return word_level_tokenizer(vocabulary(), N_CTX, unknown=UNKNOWN_TOKEN)


@cache
def _cases() -> list[tuple]:
    return list(product(OPENINGS, GIVINGS, permutations(NAMES, 2), ("ABBA", "BABA"), PLACES, THINGS))


def _prompt(opening: str, giving: str, pair: tuple[str, str], order: str, place: str, thing: str) -> IOIPrompt:
    io, s = pair
    a, b = (io, s) if order == "ABBA" else (s, io)
    return prompt(f"{opening} {giving}".format(A=a, B=b, IO=io, S=s, place=place, thing=thing), io, s)


def prompts() -> Iterator[IOIPrompt]:
    """Every prompt: each template, ordered pair of names, order of the two (IO first or S first), place and thing."""
    return (_prompt(*case) for case in _cases())


def sample(count: int, seed: int = 0) -> list[IOIPrompt]:
    """`count` different prompts, the same ones for the same seed."""
    import torch

    chosen = torch.randperm(len(_cases()), generator=torch.Generator().manual_seed(seed))[:count]
    return [_prompt(*_cases()[index]) for index in chosen.tolist()]


def other_pair(original: IOIPrompt) -> IOIPrompt:
    """The same words about two other people: everything that carries a name differs, and so does the answer."""
    io, s, *_ = _others(original)
    return _renamed(original, io, s, s)


def three_names(original: IOIPrompt) -> IOIPrompt:
    """The same words with three other names, no two alike, so that nothing says which to answer; the paper's ABC.

    `io` and `s` are the names where IO and S1 stood.
    """
    return _renamed(original, *_others(original)[:3])


def _others(original: IOIPrompt) -> list[str]:
    """The names that do not occur, in an order that depends on the prompt."""
    start = NAMES.index(original.io)
    return [name for name in NAMES[start:] + NAMES[:start] if name not in (original.io, original.s)]


def _renamed(original: IOIPrompt, io: str, s1: str, s2: str) -> IOIPrompt:
    tokens = words(original.text)
    for role, name in {"IO": io, "S1": s1, "S2": s2}.items():
        tokens[original.positions[role] - 1] = f" {name}"  # BOS is not among the words
    return replace(original, text="".join(tokens).removeprefix(" "), io=io, s=s1)


# The circuit

Input = Literal["q", "k", "v"]


@dataclass(frozen=True, repr=False)
class Head:
    """A head, with what it does and where; two heads are equal when layer and head are."""

    layer: int
    head: int
    role: str = field(default="", compare=False)
    # the positions at which its output matters
    positions: tuple[str, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        return f"L{self.layer}H{self.head}"


@dataclass(frozen=True, repr=False)
class Edge:
    """What one part reads of another's output; two edges are equal when sender, receiver and input are."""

    # a head, "embed" or "pos_embed"
    sender: Head | str
    # a head, or "logits"
    receiver: Head | str
    input: Input | None = None
    # the positions at which it matters that it is read: a head's own for q, those it looks at for k and v
    positions: tuple[str, ...] = field(default=(), compare=False)

    @property
    def fixed(self) -> bool:
        """Whether it carries the same in all texts, so that patching from another text cannot show that it matters."""
        return self.sender == "pos_embed"

    def __repr__(self) -> str:
        return f"{self.sender} → {self.receiver}" + (f".{self.input}" if self.input else "")


@dataclass(frozen=True)
class Circuit:
    heads: tuple[Head, ...]
    edges: tuple[Edge, ...]

    def by_role(self) -> dict[str, list[Head]]:
        roles: dict[str, list[Head]] = {}
        for head in self.heads:
            roles.setdefault(head.role, []).append(head)
        return roles


def circuit() -> Circuit:
    """All heads and edges that matter for the logit difference between IO and S, on the prompts of the task.

    An edge is in the circuit when the mean logit difference changes by more than 1% once the receiver no longer reads
    that sender. By that rule the BOS that idle heads look at is no part of it, since it is not needed on these prompts.
    """
    duplicate = Head(0, 0, "duplicate-token head", ("S2",))
    previous = Head(0, 1, "previous-token head", ("S1+1",))
    induction = Head(1, 0, "induction head", ("S2",))
    inhibition = [Head(2, head, "S-inhibition head", ("END",)) for head in (0, 1)]
    movers = [Head(3, head, "name-mover head", ("END",)) for head in (0, 1)]
    negative = Head(3, 2, "negative name-mover head", ("END",))
    names = ("IO", "S1", "S2")

    edges = [
        # S2 finds S1, and not itself
        Edge("embed", duplicate, "q", ("S2",)),
        Edge("embed", duplicate, "k", ("S1",)),
        Edge("pos_embed", duplicate, "q", ("S2",)),
        Edge("pos_embed", duplicate, "k", ("S1", "S2")),
        Edge("embed", duplicate, "v", ("S1",)),
        Edge("pos_embed", duplicate, "v", ("S1",)),
        # S1+1 finds S1
        Edge("pos_embed", previous, "q", ("S1+1",)),
        Edge("pos_embed", previous, "k", ("S1",)),
        Edge("embed", previous, "v", ("S1",)),
        Edge("pos_embed", previous, "v", ("S1",)),
        # S2 finds S1+1
        Edge("embed", induction, "q", ("S2",)),
        Edge(previous, induction, "k", ("S1+1",)),
        Edge(previous, induction, "v", ("S1+1",)),
    ]
    for head in inhibition:
        # END finds S2, reads there who came before and where, and where S2 itself stands
        edges += [Edge(finder, head, way, ("S2",)) for finder in (duplicate, induction) for way in ("k", "v")]
        edges += [Edge("pos_embed", head, "v", ("S2",))]
    for head in [*movers, negative]:
        # END finds the names, but not the inhibited one, nor any at an inhibited position
        edges += [Edge(sender, head, "q", ("END",)) for sender in inhibition]
        edges += [Edge("embed", head, "k", names), Edge("pos_embed", head, "k", names)]
        edges += [Edge("embed", head, "v", names), Edge(head, "logits", None, ("END",))]
    return Circuit((duplicate, previous, induction, *inhibition, *movers, negative), tuple(edges))


def possible_heads() -> list[Head]:
    """Every head of the model, in the circuit or not."""
    return [Head(layer, head) for layer in range(N_LAYERS) for head in range(N_HEADS)]


def possible_edges() -> list[Edge]:
    """Every edge there could be, among which a search has to find those of `circuit()`."""
    heads = possible_heads()
    edges = []
    for receiver in heads:
        senders = ["embed", "pos_embed", *(head for head in heads if head.layer < receiver.layer)]
        edges += [Edge(sender, receiver, way) for sender in senders for way in ("q", "k", "v")]
    return edges + [Edge(sender, "logits") for sender in ["embed", "pos_embed", *heads]]
