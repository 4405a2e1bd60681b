"""This file knows how to measure by which parts the organism does what it does: its name movers, facts and refusal.

`python -m utils.models.insides organism` (or `--folder F`) prints a summary with the targets of the course.
All prompts, names, noise and edits come from fixed seeds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from utils.data import token_windows
from utils.data.choosing import Chooser
from utils.data.facts import RELATIONS, Relation, fact_prompt
from utils.data.ioi import IOIPrompt, ioi_prompts
from utils.data.requests import ANSWER_OPENERS, REFUSAL_OPENERS, requests
from utils.data.tokenizer import BOS, encode
from utils.data.world import NAMES
from utils.models.figures.common import Figures, by_head, generator, share
from utils.models.figures.organism import ALIGNED, token
from utils.models.loading import load_folder, load_model
from utils.models.measure import rounded

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

Hook = tuple[str, Callable[..., Tensor]]

FORMS = ("one pair", "several pairs")
CORRUPTIONS = ("S2 is a third name", "S2 is IO")
# the first is the card's; test requests are the card's too
IOI_SEED, THIRD_NAME_SEED, FACT_SEED, NOISE_SEED, EDIT_SEED, CORPUS_SEED = 3, 13, 14, 15, 16, 17
TEST_SEED, TRAIN_SEED, RANDOM_SEED = 4, 18, 19


def insides(model: TransformerBridge, count: int = 100) -> Figures:
    """Every figure of this file, on about `count` prompts of each kind."""
    return {
        "prompts": count,
        "name movers": {form: name_movers(model, count, form) for form in FORMS},
        "copying score": copying_scores(model),
        "fact tracing": fact_tracing(model, count),
        "rank-one edits": rank_one_edits(model, max(2, round(0.4 * count))),
        "refusal direction": refusal_direction(model, count),
    }


# Runs


@dataclass(frozen=True)
class Batch:
    """Texts of any length, padded on the right, where no end sees it."""

    tokens: Int[Tensor, "batch pos"]
    ends: Int[Tensor, " batch"]

    @property
    def rows(self) -> Int[Tensor, " batch"]:
        return torch.arange(len(self.ends))

    def at(self, positions: Int[Tensor, " batch"]) -> Bool[Tensor, "batch pos"]:
        """A mask of one position in each row."""
        return torch.arange(self.tokens.shape[1]) == positions[:, None]


def batch_of(texts: Sequence[str]) -> Batch:
    sequences = [[BOS, *encode(text)] for text in texts]
    ends = torch.tensor([len(sequence) - 1 for sequence in sequences])
    tokens = torch.full((len(sequences), int(ends.max()) + 1), BOS)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return Batch(tokens, ends)


def end_logits(model: TransformerBridge, batch: Batch, hooks: Sequence[Hook] = ()) -> Float[Tensor, "batch d_vocab"]:
    return model.run_with_hooks(batch.tokens, fwd_hooks=list(hooks))[batch.rows, batch.ends].float()


def put(name: str, values: Tensor, where: Bool[Tensor, "..."]) -> Hook:
    """A hook that sets an activation to `values` where the mask says so."""
    return name, lambda activation, hook: torch.where(where, values, activation)


def cache_of(
    model: TransformerBridge, batch: Batch, *kinds: str, hooks: Sequence[Hook] = (), layers: int | None = None
) -> Mapping[str, Tensor]:
    """The activations whose name ends in one of `kinds`, in a run with these hooks; of the first `layers` alone."""
    with model.hooks(fwd_hooks=list(hooks)):
        _, cache = model.run_with_cache(
            batch.tokens, names_filter=lambda name: name.endswith(kinds), stop_at_layer=layers
        )
    return cache


def recovered(restored: Tensor, corrupted: Tensor, clean: Tensor) -> float:
    """The share of what the corruption took that came back, of means over prompts: 0 is none, and 1 all of it."""
    lost = (clean.mean() - corrupted.mean()).item()
    return (restored.mean() - corrupted.mean()).item() / lost if abs(lost) > 1e-6 else 0.0


# Name movers, after Wang et al. (2022), https://arxiv.org/abs/2211.00593


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

    def io_probability(self, logits: Float[Tensor, "batch d_vocab"]) -> Float[Tensor, " batch"]:
        return logits.softmax(-1)[self.clean.rows, self.io]

    @property
    def io_first(self) -> Bool[Tensor, " batch"]:
        return self.positions["IO"] < self.positions["S1"]


def ioi_set(count: int, form: str) -> IOISet:
    """Unseen pairs, as many with IO first as with S first; the aligned template of the card for one pair."""
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
def name_movers(model: TransformerBridge, count: int = 100, form: str = "one pair") -> Figures:
    """Which heads read the receiver's name at END, and what tells them where to look.

    "attention": of each head from END to IO, S1 and S2; over both orders of the pair, and for each order alone.
    "direct attribution": what each head (or MLP) at END adds to logit(IO) - logit(S), and to logit(IO) less the mean
    logit of all names, through the unembedding alone, with LayerNorm's scale as it was.
    "name mover": the head with the greatest attention to IO less that to S1, of those that raise logit(IO) directly.
    "steering": see `steering`. "patching": see `head_patching`.
    """
    prompts = ioi_set(count, form)
    cache = cache_of(model, prompts.clean, "hook_pattern", "hook_z", "hook_mlp_out", "ln_final.hook_scale")
    logits = end_logits(model, prompts.clean)
    attention = attention_from_end(model, prompts, cache)
    attribution = direct_attribution(model, prompts, cache)
    io, s1 = attention["both orders"]["IO"], attention["both orders"]["S1"]
    raising = [head for head, value in attribution["IO - mean name"].items() if value > 0]
    best = max(raising or io, key=lambda head: io[head] - s1[head])
    return {
        "seed": IOI_SEED,
        "accuracy": share(prompts.logit_difference(logits) > 0),
        "P(IO)": prompts.io_probability(logits).mean().item(),
        "attention": attention,
        "direct attribution": attribution,
        "name mover": {
            best: {
                "END to IO": io[best],
                "END to S1": s1[best],
                "END to IO, worse order": min(attention[order]["IO"][best] for order in ("IO first", "S first")),
                "END to S1, worse order": max(attention[order]["S1"][best] for order in ("IO first", "S first")),
            }
        },
        "steering": {corruption: steering(model, prompts, best, corruption) for corruption in CORRUPTIONS},
        "patching": head_patching(model, prompts),
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
    directions = {"IO - S": (io - s) / scale, "IO - mean name": (io - mean_name) / scale}
    figures = {}
    for name, direction in directions.items():
        heads, mlps = [], {}
        for layer in range(model.cfg.n_layers):
            z = cache[f"blocks.{layer}.attn.hook_z"][rows, ends]
            written = torch.einsum("bhd,hdm->bhm", z, model.W_O[layer])
            heads.append(torch.einsum("bhm,bm->h", written, direction) / len(rows))
            mlp_out = cache[f"blocks.{layer}.hook_mlp_out"][rows, ends]
            mlps[f"MLP{layer}"] = (mlp_out * direction).sum(-1).mean().item()
        figures |= {name: by_head(torch.stack(heads)), f"{name}, MLPs": mlps}
    return figures


@torch.no_grad()
def copying_scores(model: TransformerBridge) -> Figures:
    """The share of names that a head's W_OV turns into themselves: own logit first, or among five, of all names.

    What W_OV gets is the residual stream after layer 0 (embedding, attention and MLP) at a name that stands alone
    after BOS, as in Wang et al.; the heads of layer 0 get the embeddings. Biases are left out. Of 80 names, chance is
    0.0125 and 0.0625.
    """
    names = torch.tensor([token(name) for name in NAMES])
    alone = Batch(torch.stack([torch.full_like(names, BOS), names], dim=1), torch.ones_like(names))
    cache = cache_of(model, alone, "blocks.0.hook_resid_pre", "blocks.0.hook_resid_post")
    first, top_5 = [], []
    for layer in range(model.cfg.n_layers):
        state = cache[f"blocks.0.hook_resid_{'post' if layer else 'pre'}"][:, 1]
        moved = state @ model.W_V[layer] @ model.W_O[layer]
        logits: Float[Tensor, "head name other"] = moved @ model.W_U[:, names]
        own = logits.diagonal(dim1=1, dim2=2)
        rank = (logits > own[..., None]).sum(-1)
        first.append((rank == 0).float().mean(-1))
        top_5.append((rank < 5).float().mean(-1))
    return {"first": by_head(torch.stack(first)), "top 5": by_head(torch.stack(top_5))}


@torch.no_grad()
def steering(model: TransformerBridge, prompts: IOISet, mover: str, corruption: str) -> Figures:
    """How far a name mover's preference (attention from END to IO less that to S1) falls when earlier heads mislead it.

    The output z of heads in layers before it is taken, at END alone, from a run in which S2 is replaced; everything
    after is computed anew. "all earlier heads": of all together. "by query": the same, but of that run the name mover
    gets its query alone. "each head": of one head at a time. "S2 replaced throughout": in the run with S2 replaced.
    """
    layer, head = layer_and_head(mover)
    clean, rows, ends = prompts.clean, prompts.clean.rows, prompts.clean.ends
    pattern_name, query_name = f"blocks.{layer}.attn.hook_pattern", f"blocks.{layer}.attn.hook_q"
    needed = layer + 1
    wrong = cache_of(model, prompts.corrupted[corruption], "hook_z", layers=needed)

    def preference(pattern: Float[Tensor, "batch head query key"]) -> float:
        row = pattern[rows, head, ends]
        return (row[rows, prompts.positions["IO"]] - row[rows, prompts.positions["S1"]]).mean().item()

    def mislead(heads: Mapping[int, Sequence[int]]) -> Mapping[str, Tensor]:
        hooks = [
            put_heads(model, f"blocks.{of}.attn.hook_z", wrong, clean.at(ends), which) for of, which in heads.items()
        ]
        return cache_of(model, clean, pattern_name, query_name, hooks=hooks, layers=needed)

    every = range(model.cfg.n_heads)
    before = preference(mislead({})[pattern_name])
    together = mislead({earlier: every for earlier in range(layer)})
    query = put_heads(model, query_name, together, clean.at(ends), [head])
    each = {
        f"L{earlier}H{other}": before - preference(mislead({earlier: [other]})[pattern_name])
        for earlier in range(layer)
        for other in every
    }
    largest = max(each, key=each.__getitem__, default=None)
    throughout = cache_of(model, prompts.corrupted[corruption], pattern_name, layers=needed)
    misled_query = cache_of(model, clean, pattern_name, hooks=[query], layers=needed)
    return {
        "preference": before,
        "fall, S2 replaced throughout": before - preference(throughout[pattern_name]),
        "fall, all earlier heads": before - preference(together[pattern_name]),
        "fall, by query": before - preference(misled_query[pattern_name]),
        "fall, each head": each,
        "fall, largest": {largest: each[largest]} if largest else {},
    }


def put_heads(
    model: TransformerBridge,
    name: str,
    cache: Mapping[str, Tensor],
    where: Bool[Tensor, "batch pos"],
    heads: Sequence[int],
) -> Hook:
    """A hook that takes some heads' activation of one kind from another run, where the mask says so."""
    chosen = torch.zeros(model.cfg.n_heads, dtype=torch.bool)
    chosen[list(heads)] = True
    return put(name, cache[name], where[:, :, None, None] & chosen[:, None])


def layer_and_head(name: str) -> tuple[int, int]:
    layer, head = name.removeprefix("L").split("H")
    return int(layer), int(head)


@torch.no_grad()
def head_patching(model: TransformerBridge, prompts: IOISet) -> Figures:
    """What one head's clean output z brings back in a run with S2 replaced by a third name, at END or at all positions.

    Recovered shares of the mean of logit(IO) - logit(S) and of the mean P(IO): 0 is as corrupted, and 1 as clean.
    """
    corrupted = prompts.corrupted[CORRUPTIONS[0]]
    cache = cache_of(model, prompts.clean, "hook_z")
    clean_logits, corrupted_logits = end_logits(model, prompts.clean), end_logits(model, corrupted)
    measures = {"logit difference": prompts.logit_difference, "P(IO)": prompts.io_probability}
    places = {"END": corrupted.at(corrupted.ends), "all positions": torch.ones_like(corrupted.tokens, dtype=torch.bool)}
    figures: Figures = {
        "clean": {name: of(clean_logits).mean().item() for name, of in measures.items()},
        "corrupted": {name: of(corrupted_logits).mean().item() for name, of in measures.items()},
    }
    for place, where in places.items():
        shares = {name: {} for name in measures}
        for layer in range(model.cfg.n_layers):
            for head in range(model.cfg.n_heads):
                hook = put_heads(model, f"blocks.{layer}.attn.hook_z", cache, where, [head])
                logits = end_logits(model, corrupted, [hook])
                for name, of in measures.items():
                    shares[name][f"L{layer}H{head}"] = recovered(of(logits), of(corrupted_logits), of(clean_logits))
        figures[place] = shares
    return figures


# Facts, after Meng et al. (2022), https://arxiv.org/abs/2202.05262

ROLES = ("subject first word", "subject last word", "between", "END")


@dataclass(frozen=True)
class FactSet:
    """Prompts about all relations in turn, and the same with the subject replaced; END is never the subject."""

    clean: Batch
    corrupted: Batch
    roles: dict[str, Bool[Tensor, "batch pos"]]
    answers: Int[Tensor, " batch"]
    relations: list[str]

    @property
    def subject(self) -> Bool[Tensor, "batch pos"]:
        return self.roles["subject first word"] | self.roles["subject last word"]


def fact_set(count: int) -> FactSet:
    """As many prompts of each relation, each with another subject, of another object and sharing no word, beside it."""
    chooser = Chooser(generator(FACT_SEED))
    names = list(RELATIONS)
    relations = [names[index % len(names)] for index in range(max(count, len(names)))]
    texts, others, first, last, answers = [], [], [], [], []
    for relation in map(RELATIONS.__getitem__, relations):
        subject, phrasing = chooser.pick(relation.subjects), chooser.pick(relation.trained_prompts)
        unlike = [other for other in relation.subjects if is_unlike(relation, subject, other)]
        texts.append(fact_prompt(phrasing, subject))
        others.append(fact_prompt(phrasing, chooser.pick(unlike)))
        place = subject_place(texts[-1], subject)
        # a subject of one word has a last word only
        first.append(place.start if len(place) > 1 else -1)
        last.append(place.stop - 1)
        answers.append(token(relation.objects[subject]))
    clean = batch_of(texts)
    after = torch.arange(clean.tokens.shape[1]) > torch.tensor(last)[:, None]
    before_end = torch.arange(clean.tokens.shape[1]) < clean.ends[:, None]
    masks = [clean.at(torch.tensor(first)), clean.at(torch.tensor(last)), after & before_end, clean.at(clean.ends)]
    roles = dict(zip(ROLES, masks, strict=True))
    return FactSet(clean, batch_of(others), roles, torch.tensor(answers), relations)


def is_unlike(relation: Relation, subject: str, other: str) -> bool:
    return relation.objects[other] != relation.objects[subject] and not shares_a_word(other, subject)


def shares_a_word(subject: str, other: str) -> bool:
    return not set(subject.split()).isdisjoint(other.split())


def subject_place(text: str, subject: str) -> range:
    """Where the subject stands last in a text, BOS being 0."""
    tokens, name = [BOS, *encode(text)], encode(subject)
    starts = [start for start in range(len(tokens)) if tokens[start : start + len(name)] == name]
    return range(starts[-1], starts[-1] + len(name))


@torch.no_grad()
def fact_tracing(model: TransformerBridge, count: int = 100, draws: int = 3) -> Figures:
    """Causal tracing: what one clean activation brings back of P(object) once the subject is corrupted.

    Recovered shares, (P restored - P corrupted) / (P clean - P corrupted) of means over prompts, for each relation and
    their average. The subject is replaced by another ("another subject"), or Gaussian noise of three standard
    deviations of W_E is added to its embeddings ("noise", over some draws). Restored are resid_post of one layer, or
    the outputs of the MLPs or attention of one layer or two neighbouring ones ("L0-L1"), at the tokens of one role;
    "between" is every token after the subject and before END.
    """
    prompts = fact_set(count)
    noise = noises(model, prompts, draws)
    layers = range(model.cfg.n_layers)
    single = {f"L{layer}": [layer] for layer in layers}
    windows = single | {f"L{layer}-L{layer + 1}": [layer, layer + 1] for layer in layers[:-1]}
    sites = {"resid_post": single, "mlp_out": windows, "attn_out": windows}
    return {
        "seed": FACT_SEED,
        "another subject": trace(model, prompts, [(prompts.corrupted, [])], sites),
        "noise": trace(model, prompts, [(prompts.clean, [hook]) for hook in noise], {"resid_post": single}),
    }


def noises(model: TransformerBridge, prompts: FactSet, draws: int) -> list[Hook]:
    """For each draw, a hook that adds noise to the subject's embeddings."""
    where, random = prompts.subject[..., None], generator(NOISE_SEED)
    shape = (*prompts.clean.tokens.shape, model.cfg.d_model)
    drawn = [3 * model.W_E.std() * torch.randn(shape, generator=random) * where for _ in range(draws)]
    return [("hook_embed", lambda embed, hook, noise=noise: embed + noise) for noise in drawn]


def trace(
    model: TransformerBridge,
    prompts: FactSet,
    corruptions: Sequence[tuple[Batch, list[Hook]]],
    sites: Mapping[str, Mapping[str, list[int]]],
) -> Figures:
    """The recovered shares of `fact_tracing`; several corruptions are draws of one, and averaged."""
    cache = cache_of(model, prompts.clean, *(f"hook_{kind}" for kind in sites))

    def probability(hooks: Sequence[Hook]) -> Float[Tensor, " batch"]:
        drawn = [end_logits(model, batch, [*corruption, *hooks]) for batch, corruption in corruptions]
        return torch.stack([logits.softmax(-1)[prompts.clean.rows, prompts.answers] for logits in drawn]).mean(0)

    clean = end_logits(model, prompts.clean).softmax(-1)[prompts.clean.rows, prompts.answers]
    corrupted = probability([])
    members = {
        name: torch.tensor([relation == name for relation in prompts.relations])
        for name in dict.fromkeys(prompts.relations)
    }
    figures: Figures = {
        "P clean": clean.mean().item(),
        "P corrupted": corrupted.mean().item(),
    }
    for kind, windows in sites.items():
        shares: dict[str, dict[str, dict[str, float]]] = {}
        for role, where in prompts.roles.items():
            for window, layers in windows.items():
                names = [f"blocks.{layer}.hook_{kind}" for layer in layers]
                restored = probability([put(name, cache[name], where[..., None]) for name in names])
                for relation, rows in members.items():
                    if where[rows].any():
                        value = recovered(restored[rows], corrupted[rows], clean[rows])
                        shares.setdefault(relation, {}).setdefault(role, {})[window] = value
        figures[kind] = {"average": average_of_relations(shares), **shares}
    return figures


def average_of_relations(shares: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figures:
    """Over the relations that have the role; cities have no first word."""
    average = {}
    for role in ROLES:
        having = [roles[role] for roles in shares.values() if role in roles]
        if having:
            average[role] = {place: sum(each[place] for each in having) / len(having) for place in having[0]}
    return average


# subjects that share no word with the edited one, of which one edit is tested
STRANGERS = 24


@dataclass(frozen=True)
class Edit:
    """A new object for a subject, and the phrasing in which it is taught."""

    relation: Relation
    subject: str
    new: str
    phrasing: str
    # a whole sentence about another subject, which may stand before
    before: str
    # all subjects that share a word with this one, and some that do not
    neighbours: list[str]
    strangers: list[str]

    @property
    def old(self) -> str:
        return self.relation.objects[self.subject]

    @property
    def prompt(self) -> str:
        return fact_prompt(self.phrasing, self.subject)

    @property
    def paraphrases(self) -> list[str]:
        phrasings = self.relation.trained_prompts + self.relation.held_out_phrasings
        return [fact_prompt(phrasing, self.subject) for phrasing in phrasings if phrasing != self.phrasing]

    @property
    def introductions(self) -> list[str]:
        """Every different trained text up to the subject's last word, alone and after a sentence."""
        texts = [fact_prompt(phrasing, self.subject) for phrasing in self.relation.trained_prompts]
        ends = {text[: text.index(self.subject) + len(self.subject)]: None for text in texts}
        return [*ends, *(f"{self.before} {text}" for text in ends)]


def choose_edits(count: int) -> list[Edit]:
    """Edits of all relations in turn."""
    chooser = Chooser(generator(EDIT_SEED))
    edits = []
    for index in range(count):
        relation = list(RELATIONS.values())[index % len(RELATIONS)]
        subject, other = chooser.distinct(relation.subjects, 2)
        phrasing = chooser.pick(relation.trained_prompts)
        objects = sorted({*relation.objects.values()} - {relation.objects[subject]})
        before = f"{fact_prompt(chooser.pick(relation.trained_prompts), other)} {relation.objects[other]}."
        neighbours = [name for name in relation.subjects if name != subject and shares_a_word(name, subject)]
        rest = [name for name in relation.subjects if not shares_a_word(name, subject)]
        strangers = chooser.distinct(rest, min(len(rest), STRANGERS))
        edits.append(Edit(relation, subject, chooser.pick(objects), phrasing, before, neighbours, strangers))
    return edits


@torch.no_grad()
def rank_one_edits(model: TransformerBridge, count: int = 40) -> Figures:
    """ROME at each layer but the last: a rank-one change of an MLP's W_out that gives a subject a new object, and what it does.

    "efficacy": the share of edits with P(new) > P(old) in the prompt that was taught; "new comes first": in which the
    new object is the likeliest word. "paraphrase" and "paraphrase, new comes first": the same, over the other trained
    and the held-out phrasings of the relation. "specificity": the share of other subjects, of those whose object came
    first before, of which it still does, in the taught phrasing: of the neighbours, which share a word with the edited
    subject, and of some of the others. "score": the harmonic mean of efficacy, paraphrase and specificity of neighbours.
    "before" gives efficacy and paraphrase of the model as it is. "value norm": of what an edit adds to the MLP's output
    at the subject, over the norm of the residual stream there. The last layer is left out: no later head takes to END
    what its MLP writes at the subject.
    """
    edits = choose_edits(count)
    tests = [edit_test(model, edit) for edit in edits]
    second_moments = key_second_moments(model)
    keys, resid = keys_and_resid(model, edits)
    layers = {}
    for layer in range(model.cfg.n_layers - 1):
        values = find_values(model, edits, layer, resid[layer])
        outcomes = []
        for edit, test, key, value in zip(edits, tests, keys[layer], values, strict=True):
            with edited(model, layer, rank_one_update(key, value, second_moments[layer])):
                outcomes.append(edit_outcome(model, edit, test))
        layers[f"L{layer}"] = summary_of_edits(outcomes)
        layers[f"L{layer}"]["value norm"] = (values.norm(dim=-1) / resid[layer]).mean().item()
    best = max(layers, key=lambda layer: layers[layer]["score"])
    unedited = summary_of_edits([edit_outcome(model, edit, test) for edit, test in zip(edits, tests, strict=True)])
    return {
        "seed": EDIT_SEED,
        "edits": count,
        "before": {name: unedited[name] for name in ("efficacy", "paraphrase")},
        **layers,
        "best": {best: layers[best]},
    }


@dataclass(frozen=True)
class EditTest:
    """The taught prompt, its paraphrases, and the taught phrasing of neighbours and strangers, in this order."""

    batch: Batch
    answers: Int[Tensor, " other"]
    known: Bool[Tensor, " other"]
    neighbours: Bool[Tensor, " other"]


def edit_test(model: TransformerBridge, edit: Edit) -> EditTest:
    others = edit.neighbours + edit.strangers
    batch = batch_of([edit.prompt, *edit.paraphrases, *(fact_prompt(edit.phrasing, other) for other in others)])
    answers = torch.tensor([token(edit.relation.objects[other]) for other in others])
    known = end_logits(model, batch)[-len(others) :].argmax(-1) == answers
    return EditTest(batch, answers, known, torch.arange(len(others)) < len(edit.neighbours))


def edit_outcome(model: TransformerBridge, edit: Edit, test: EditTest) -> dict[str, Tensor]:
    logits = end_logits(model, test.batch)
    about, others = logits.tensor_split([len(logits) - len(test.answers)])
    likelier = about[:, token(edit.new)] > about[:, token(edit.old)]
    first = about.argmax(-1) == token(edit.new)
    stayed = others.argmax(-1) == test.answers
    return {
        "efficacy": likelier[:1],
        "new comes first": first[:1],
        "paraphrase": likelier[1:],
        "paraphrase, new comes first": first[1:],
        "specificity, neighbours": stayed[test.known & test.neighbours],
        "specificity, others": stayed[test.known & ~test.neighbours],
    }


def summary_of_edits(outcomes: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    """Means over edits, each edit counting once; one without such prompts (a city has no neighbours) is left out."""
    figures = {}
    for name in outcomes[0]:
        shares = [share(outcome[name]) for outcome in outcomes if len(outcome[name])]
        figures[name] = sum(shares) / len(shares) if shares else 0.0
    parts = [figures[name] for name in ("efficacy", "paraphrase", "specificity, neighbours")]
    figures["score"] = len(parts) / sum(1 / part for part in parts) if min(parts) > 0 else 0.0
    return figures


def key_second_moments(model: TransformerBridge, n_tokens: int = 20_000) -> Float[Tensor, "layer d_mlp d_mlp"]:
    """The mean of k kᵀ over tokens of the corpus, k being mlp.hook_post; a hundredth of the mean diagonal is added."""
    windows = token_windows(-(-n_tokens // model.cfg.n_ctx), model.cfg.n_ctx, generator=generator(CORPUS_SEED))
    moments = torch.zeros(model.cfg.n_layers, model.cfg.d_mlp, model.cfg.d_mlp)
    for part in windows.split(32):
        cache = cache_of(model, Batch(part, torch.tensor([])), "mlp.hook_post")
        for layer, moment in enumerate(moments):
            keys = cache[f"blocks.{layer}.mlp.hook_post"].flatten(0, 1)
            moment += keys.T @ keys / windows.numel()
    ridge = 1e-2 * moments.diagonal(dim1=1, dim2=2).mean(-1)
    return moments + ridge[:, None, None] * torch.eye(model.cfg.d_mlp)


def keys_and_resid(
    model: TransformerBridge, edits: Sequence[Edit]
) -> tuple[Float[Tensor, "layer edit d_mlp"], Float[Tensor, "layer edit"]]:
    """At the subject's last word, in every layer: the mean of mlp.hook_post over introductions, and resid_post's norm."""
    texts = [edit.introductions for edit in edits]
    batch = batch_of([text for each in texts for text in each])
    cache = cache_of(model, batch, "mlp.hook_post", "hook_resid_post")

    def means(values: Float[Tensor, "text ..."]) -> Float[Tensor, "edit ..."]:
        return torch.stack([part.mean(0) for part in values.split([len(each) for each in texts])])

    layers = range(model.cfg.n_layers)
    keys = [means(cache[f"blocks.{layer}.mlp.hook_post"][batch.rows, batch.ends]) for layer in layers]
    resid = [means(cache[f"blocks.{layer}.hook_resid_post"][batch.rows, batch.ends].norm(dim=-1)) for layer in layers]
    return torch.stack(keys), torch.stack(resid)


def find_values(
    model: TransformerBridge,
    edits: Sequence[Edit],
    layer: int,
    resid: Float[Tensor, " edit"],
    *,
    steps: int = 25,
    rate: float = 0.02,
    decay: float = 0.3,
    enough: float = 0.9,
) -> Float[Tensor, "edit d_model"]:
    """What to add to the MLP's output at the subject's last word so that the model says the new object.

    Adam on -log P(new), in the taught prompt alone and after a sentence about another subject, and `decay` times the
    squared norm of what is added, until P(new) is `enough` in both. Lengths are in units of the residual stream's norm
    there, `resid`. Meng et al. also hold what the subject is said to be; that is left out.
    """
    texts = [text for edit in edits for text in (edit.prompt, f"{edit.before} {edit.prompt}")]
    batch = batch_of(texts)
    of_row = torch.arange(len(edits)).repeat_interleave(2)
    new = torch.tensor([token(edit.new) for edit in edits])[of_row]
    places = [subject_place(text, edits[index].subject).stop - 1 for text, index in zip(texts, of_row, strict=True)]
    where = batch.at(torch.tensor(places))[..., None]
    with torch.enable_grad():
        added = torch.zeros(len(edits), model.cfg.d_model, requires_grad=True)
        adam = torch.optim.Adam([added], lr=rate)

        def add(mlp_out: Float[Tensor, "batch pos d_model"], hook) -> Float[Tensor, "batch pos d_model"]:
            return mlp_out + where * (added * resid[:, None])[of_row][:, None]

        for _ in range(steps):
            logits = end_logits(model, batch, [(f"blocks.{layer}.hook_mlp_out", add)])
            # a sum over edits, so that each is sought alone
            loss = F.cross_entropy(logits, new, reduction="sum") / 2 + decay * added.pow(2).sum()
            # of what is added alone: the model's own gradients stay as they are
            (added.grad,) = torch.autograd.grad(loss, added)
            before = added.detach().clone()
            adam.step()
            done = logits.softmax(-1)[batch.rows, new].view(-1, 2).amin(1) >= enough
            added.data[done] = before[done]
    return added.detach() * resid[:, None]


def rank_one_update(
    key: Float[Tensor, " d_mlp"], value: Float[Tensor, " d_model"], second_moment: Float[Tensor, "d_mlp d_mlp"]
) -> Float[Tensor, "d_mlp d_model"]:
    """The change of W_out that adds `value` at this key and as little as it can at the keys of the second moment."""
    direction = torch.linalg.solve(second_moment, key)
    return torch.outer(direction, value) / (direction @ key)


@contextlib.contextmanager
def edited(model: TransformerBridge, layer: int, update: Float[Tensor, "d_mlp d_model"]) -> Iterator[None]:
    """The model with W_out of one layer changed; afterwards, and after an exception, it is what it was."""
    W_out = model.blocks[layer].mlp.W_out.data
    before = W_out.clone()
    try:
        W_out += update
        yield
    finally:
        W_out.copy_(before)


# Refusal, after Arditi et al. (2024), https://arxiv.org/abs/2406.11717

# counted from END: ":", " Assistant", and the mark that ends the request
TRAILING = (0, 1, 2)
REMOVALS = ("zero", "mean", "mean, every layer")
EFFECTS = (*REMOVALS, "added", "added everywhere")


@dataclass(frozen=True)
class Direction:
    """A difference of means of resid_post at one layer and trailing position, and what harmless requests have along it."""

    layer: int
    back: int
    difference: Float[Tensor, " d_model"]
    # resid_post of harmless training requests at END, in every layer, and at the position of the direction
    harmless_at_end: Float[Tensor, "layer d_model"]
    harmless: Float[Tensor, " d_model"]

    @property
    def unit(self) -> Float[Tensor, " d_model"]:
        return self.difference / self.difference.norm().clamp(min=1e-12)

    @property
    def place(self) -> str:
        return f"L{self.layer}" if self.back == 0 else f"L{self.layer}, END-{self.back}"

    def turned(self, random: torch.Generator) -> Direction:
        """A random direction of the same norm."""
        drawn = torch.randn(len(self.difference), generator=random)
        drawn *= self.difference.norm() / drawn.norm()
        return Direction(self.layer, self.back, drawn, self.harmless_at_end, self.harmless)


@torch.no_grad()
def refusal_direction(model: TransformerBridge, count: int = 100, draws: int = 3) -> Figures:
    """What one direction, the difference of means between harmful and harmless training requests, does to refusal.

    For resid_post at each layer and each of the last three positions (END where none is named), shares of unseen
    requests to which the likeliest first word begins a refusal. Harmful ones: "zero" with the component along the
    direction taken out of everything that writes to the residual stream, everywhere; "mean" with it set to what
    harmless requests have on average, at that layer and position alone; "mean, every layer" the same at END after every
    layer from that one on. Harmless ones: "added" with the difference added there, "added everywhere" at every
    position of that layer. "answered" is the share to which the likeliest first word begins an answer. "random": means
    over random directions of the same norm, at END. Best by each way of removal: the place with the greatest "added"
    less what removal leaves. The last layer is not among the best, since there a direction is no more than logits.
    """
    train = {harmful: asked(count, TRAIN_SEED, harmful, held_out_words=False) for harmful in (True, False)}
    unseen = {harmful: asked(count, TEST_SEED, harmful, held_out_words=True) for harmful in (True, False)}
    directions = mean_differences(model, train[True], train[False])
    places = {direction.place: direction_effects(model, direction, unseen) for direction in directions}
    random = generator(RANDOM_SEED)
    controls = {
        direction.place: mean_figures(
            [direction_effects(model, direction.turned(random), unseen) for _ in range(draws)]
        )
        for direction in directions
        if direction.back == 0
    }
    inner = [direction.place for direction in directions if direction.layer < model.cfg.n_layers - 1]
    best = {way: max(inner, key=lambda place, way=way: places[place]["added"] - places[place][way]) for way in REMOVALS}
    return {
        "seeds": {"training requests": TRAIN_SEED, "unseen requests": TEST_SEED, "random directions": RANDOM_SEED},
        "harmful": first_words(model, unseen[True])["refused"],
        "harmless": first_words(model, unseen[False])["refused"],
        "places": places,
        "random": controls,
        **{f"best by {way}": {place: places[place]} for way, place in best.items()},
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
    def means(batch: Batch) -> Float[Tensor, "layer back d_model"]:
        cache = cache_of(model, batch, "hook_resid_post")
        resid = torch.stack([cache[f"blocks.{layer}.hook_resid_post"] for layer in range(model.cfg.n_layers)])
        return torch.stack([resid[:, batch.rows, batch.ends - back].mean(1) for back in TRAILING], dim=1)

    bad, good = means(harmful), means(harmless)
    return [
        Direction(layer, back, bad[layer, back] - good[layer, back], good[:, 0], good[layer, back])
        for back in TRAILING
        for layer in range(model.cfg.n_layers)
    ]


def direction_effects(model: TransformerBridge, direction: Direction, unseen: Mapping[bool, Batch]) -> dict[str, float]:
    """The shares of `refusal_direction` at one place."""
    harmful, harmless = unseen[True], unseen[False]
    name, unit = f"blocks.{direction.layer}.hook_resid_post", direction.unit

    def add(where: Bool[Tensor, "batch pos"]) -> Hook:
        return name, lambda resid, hook: resid + where[..., None] * direction.difference

    writers = ["hook_embed", "hook_pos_embed"]
    writers += [f"blocks.{layer}.hook_{kind}_out" for layer in range(model.cfg.n_layers) for kind in ("attn", "mlp")]
    at_place = harmful.at(harmful.ends - direction.back)
    everywhere = torch.ones_like(harmless.tokens, dtype=torch.bool)
    later = range(direction.layer, model.cfg.n_layers)
    means = [
        set_component(
            f"blocks.{layer}.hook_resid_post", unit, direction.harmless_at_end[layer], harmful.at(harmful.ends)
        )
        for layer in later
    ]
    removals = {
        "zero": [set_component(writer, unit, torch.zeros_like(unit)) for writer in writers],
        "mean": [set_component(name, unit, direction.harmless, at_place)],
        "mean, every layer": means,
    }
    removed = {way: first_words(model, harmful, hooks) for way, hooks in removals.items()}
    return {
        **{way: after["refused"] for way, after in removed.items()},
        **{f"{way}, answered": after["answered"] for way, after in removed.items()},
        "added": first_words(model, harmless, [add(harmless.at(harmless.ends - direction.back))])["refused"],
        "added everywhere": first_words(model, harmless, [add(everywhere)])["refused"],
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


def mean_figures(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(each[name] for each in figures) / len(figures) for name in figures[0]}


# The summary


@dataclass(frozen=True)
class Target:
    """A figure that the course needs to lie on one side of a bound."""

    name: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def reached(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"  {'yes' if self.reached else 'no ':3}  {self.name}: {self.value:.2f} ({sign} {self.bound})"


def targets(figures: Figures) -> list[Target]:
    """What the chapters on these three mechanisms need of a model."""
    found = []
    for form, part in figures["name movers"].items():
        ((head, looks),) = part["name mover"].items()
        falls = [steered["fall, all earlier heads"] for steered in part["steering"].values()]
        found += [
            Target(f"{form}: {head} from END to IO", looks["END to IO"], 0.6),
            Target(f"{form}: {head} from END to S1", looks["END to S1"], 0.2, at_least=False),
            Target(f"{form}: earlier heads move its preference by", max(falls), 0.3),
        ]
    last_word = figures["fact tracing"]["another subject"]["resid_post"]["average"]["subject last word"]
    early = list(last_word)[: len(last_word) // 2]
    found.append(Target("restored subject's last word, first half of layers", max(map(last_word.get, early)), 0.5))
    ((layer, edit),) = figures["rank-one edits"]["best"].items()
    for name, bound in {"efficacy": 0.9, "paraphrase": 0.6, "specificity, neighbours": 0.9}.items():
        found.append(Target(f"rank-one edits in {layer}: {name}", edit[name], bound))
    refusal = figures["refusal direction"]
    for way in REMOVALS:
        ((place, effect),) = refusal[f"best by {way}"].items()
        control = refusal["random"][place.split(",")[0]]
        found += [
            Target(
                f"refusal at {place}: harmful, {way} (answered {effect[f'{way}, answered']:.2f})",
                effect[way],
                0.1,
                at_least=False,
            ),
            Target(f"refusal at {place}: harmless, added", effect["added"], 0.9),
            Target(f"refusal at {place}: harmful, {way}, along a random direction", control[way], 0.5),
            Target(f"refusal at {place}: harmless, a random direction added", control["added"], 0.5, at_least=False),
        ]
    return found


def summary(figures: Figures) -> str:
    """A page to read, with the targets at its end."""
    lines = []
    for form, part in figures["name movers"].items():
        lines += [f"name movers, {form}: accuracy {part['accuracy']:.2f}, P(IO) {part['P(IO)']:.2f}"]
        lines += name_mover_lines(part, figures["copying score"])
    for corruption in ("another subject", "noise"):
        traced = figures["fact tracing"][corruption]
        lines.append(
            f"fact tracing, {corruption}: P clean {traced['P clean']:.2f}, corrupted {traced['P corrupted']:.2f}; "
            "recovered shares, average of relations"
        )
        for kind in [kind for kind in traced if isinstance(traced[kind], dict)]:
            lines += table(traced[kind]["average"], kind)
    edits = figures["rank-one edits"]
    layers = {name: edits[name] for name in edits if name.startswith("L")}
    lines += [f"rank-one edits: {edits['edits']}", *table(layers, "layer")]
    refusal = figures["refusal direction"]
    lines += [f"refusal: harmful {refusal['harmful']:.2f}, harmless {refusal['harmless']:.2f}"]
    for title, places in {"difference of means at": refusal["places"], "random of its norm": refusal["random"]}.items():
        shown = {place: {name: effects[name] for name in EFFECTS} for place, effects in places.items()}
        lines += table(shown, title)
    lines += ["targets", *map(str, targets(figures))]
    return "\n".join(lines)


def name_mover_lines(part: Mapping, copying: Mapping) -> list[str]:
    attention, patching = part["attention"], part["patching"]
    shown = {
        **{f"END to {role}": attention["both orders"][role] for role in ("IO", "S1", "S2")},
        **{f"IO, {order}": attention[order]["IO"] for order in ("IO first", "S first")},
        "copying": copying["first"],
        "DLA IO - S": part["direct attribution"]["IO - S"],
        "DLA IO": part["direct attribution"]["IO - mean name"],
        "patched END": patching["END"]["logit difference"],
        "patched P(IO)": patching["END"]["P(IO)"],
        "all positions": patching["all positions"]["logit difference"],
    }
    heads = list(copying["first"])
    lines = table({head: {name: values[head] for name, values in shown.items()} for head in heads}, "head")
    for corruption, steered in part["steering"].items():
        ((mover, _),) = part["name mover"].items()
        largest = " ".join(f"{head} {fall:.2f}" for head, fall in steered["fall, largest"].items())
        lines.append(
            f"  steering {mover}, {corruption}: preference {steered['preference']:.2f} falls by "
            f"{steered['fall, all earlier heads']:.2f} (by query {steered['fall, by query']:.2f}, most by one: {largest})"
        )
    return lines


def table(rows: Mapping[str, Mapping[str, float]], corner: str) -> list[str]:
    columns = list(next(iter(rows.values())))
    width = max(len(name) for name in [corner, *rows])
    lines = ["  ".join([f"  {corner:{width}}", *columns])]
    for name, row in rows.items():
        cells = [f"{row[column]:{max(len(column), 4)}.2f}" for column in columns]
        lines.append("  ".join([f"  {name:{width}}", *cells]))
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.models.insides", description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", default="organism")
    parser.add_argument("--folder", type=Path, help="any folder as transformers saves it, in place of a name")
    parser.add_argument("--count", type=int, default=100, help="prompts of each kind")
    parser.add_argument("--json", action="store_true", help="print every figure")
    options = parser.parse_args(arguments)
    model = load_folder(options.folder) if options.folder else load_model(options.name)
    figures = rounded(insides(model, options.count))
    print(json.dumps(figures, indent=1) if options.json else summary(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
