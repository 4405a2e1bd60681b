"""This file knows how to give a subject a new object by a rank-one change of one MLP (ROME), and to test the change.

After Meng et al. (2022), https://arxiv.org/abs/2202.05262.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from utils.data import token_windows
from utils.data.choosing import Chooser
from utils.data.facts import RELATIONS, Relation, fact_prompt
from utils.models.figures.common import Figures, generator, share
from utils.models.insides.fact_tracing import shares_a_word, subject_place
from utils.models.insides.runs import Batch, batch_of, cache_of, end_logits, token

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

EDIT_SEED, CORPUS_SEED = 16, 17
# subjects that share no word with the edited one, of which one edit is tested
STRANGERS = 12


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
    "value norm": of what an edit adds to the MLP's output at the subject, over the norm of the residual stream there.
    "before": the model as it is. The last layer is left out: no later head takes to END what its MLP writes at the
    subject.
    """
    edits = choose_edits(count)
    layers = range(model.cfg.n_layers - 1)
    tests = [edit_test(model, edit) for edit in edits]
    second_moments = key_second_moments(model, len(layers))
    keys, resid = keys_and_resid(model, edits, len(layers))
    figures = {}
    for layer in layers:
        values = find_values(model, edits, layer, resid[layer])
        outcomes = []
        for test, key, value in zip(tests, keys[layer], values, strict=True):
            with edited(model, layer, rank_one_update(key, value, second_moments[layer])):
                outcomes.append(edit_outcome(test, end_logits(model, test.batch)))
        figures[f"L{layer}"] = summary_of_edits(outcomes, values.norm(dim=-1) / resid[layer])
    unedited = summary_of_edits([edit_outcome(test, test.before) for test in tests], torch.zeros(count))
    return {"edits": count, "before": unedited, "layers": figures}


@dataclass(frozen=True)
class EditTest:
    """The taught prompt, its paraphrases, and the taught phrasing of neighbours and strangers, in this order."""

    edit: Edit
    batch: Batch
    # what the model says before any edit
    before: Float[Tensor, "batch d_vocab"]
    answers: Int[Tensor, " other"]
    neighbours: Bool[Tensor, " other"]

    @property
    def known(self) -> Bool[Tensor, " other"]:
        return self.before[-len(self.answers) :].argmax(-1) == self.answers


def edit_test(model: TransformerBridge, edit: Edit) -> EditTest:
    others = edit.neighbours + edit.strangers
    batch = batch_of([edit.prompt, *edit.paraphrases, *(fact_prompt(edit.phrasing, other) for other in others)])
    answers = torch.tensor([token(edit.relation.objects[other]) for other in others])
    neighbours = torch.arange(len(others)) < len(edit.neighbours)
    return EditTest(edit, batch, end_logits(model, batch), answers, neighbours)


def edit_outcome(test: EditTest, logits: Float[Tensor, "batch d_vocab"]) -> dict[str, Tensor]:
    about, others = logits.tensor_split([len(logits) - len(test.answers)])
    likelier = about[:, token(test.edit.new)] > about[:, token(test.edit.old)]
    first = about.argmax(-1) == token(test.edit.new)
    stayed = others.argmax(-1) == test.answers
    return {
        "efficacy": likelier[:1],
        "new comes first": first[:1],
        "paraphrase": likelier[1:],
        "paraphrase, new comes first": first[1:],
        "specificity, neighbours": stayed[test.known & test.neighbours],
        "specificity, others": stayed[test.known & ~test.neighbours],
    }


def summary_of_edits(outcomes: Sequence[Mapping[str, Tensor]], value_norms: Float[Tensor, " edit"]) -> dict[str, float]:
    """Means over edits, each edit counting once; one without such prompts (a city has no neighbours) is left out."""
    figures = {}
    for name in outcomes[0]:
        shares = [share(outcome[name]) for outcome in outcomes if len(outcome[name])]
        figures[name] = sum(shares) / len(shares) if shares else 0.0
    parts = [figures[name] for name in ("efficacy", "paraphrase", "specificity, neighbours")]
    figures["score"] = len(parts) / sum(1 / part for part in parts) if min(parts) > 0 else 0.0
    return {**figures, "value norm": value_norms.mean().item()}


def key_second_moments(
    model: TransformerBridge, layers: int, n_tokens: int = 10_000
) -> Float[Tensor, "layer d_mlp d_mlp"]:
    """The mean of k kᵀ over tokens of the corpus, k being mlp.hook_post; a hundredth of the mean diagonal is added."""
    windows = token_windows(-(-n_tokens // model.cfg.n_ctx), model.cfg.n_ctx, generator=generator(CORPUS_SEED))
    moments = torch.zeros(layers, model.cfg.d_mlp, model.cfg.d_mlp)
    for part in windows.split(32):
        cache = cache_of(model, Batch(part, torch.tensor([])), "mlp.hook_post", layers=layers)
        for layer, moment in enumerate(moments):
            keys = cache[f"blocks.{layer}.mlp.hook_post"].flatten(0, 1)
            moment += keys.T @ keys / windows.numel()
    ridge = 1e-2 * moments.diagonal(dim1=1, dim2=2).mean(-1)
    return moments + ridge[:, None, None] * torch.eye(model.cfg.d_mlp)


def keys_and_resid(
    model: TransformerBridge, edits: Sequence[Edit], layers: int
) -> tuple[Float[Tensor, "layer edit d_mlp"], Float[Tensor, "layer edit"]]:
    """At the subject's last word, in the first layers: the mean of mlp.hook_post over introductions, and resid_post's norm."""
    texts = [edit.introductions for edit in edits]
    batch = batch_of([text for each in texts for text in each])
    cache = cache_of(model, batch, "mlp.hook_post", "hook_resid_post", layers=layers)

    def means(values: Float[Tensor, "text ..."]) -> Float[Tensor, "edit ..."]:
        return torch.stack([part.mean(0) for part in values.split([len(each) for each in texts])])

    posts = [cache[f"blocks.{layer}.mlp.hook_post"][batch.rows, batch.ends] for layer in range(layers)]
    resid = [cache[f"blocks.{layer}.hook_resid_post"][batch.rows, batch.ends] for layer in range(layers)]
    return torch.stack([means(each) for each in posts]), torch.stack([means(each.norm(dim=-1)) for each in resid])


def find_values(
    model: TransformerBridge,
    edits: Sequence[Edit],
    layer: int,
    resid: Float[Tensor, " edit"],
    *,
    steps: int = 25,
    rate: float = 0.02,
    decay: float = 0.3,
    enough: float = 0.7,
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
        sought = torch.ones(len(edits), dtype=torch.bool)

        for _ in range(steps):
            rows = sought[of_row]
            delta = where[rows] * (added * resid[:, None])[of_row[rows]][:, None]
            hook = (f"blocks.{layer}.hook_mlp_out", lambda mlp_out, hook, delta=delta: mlp_out + delta)
            logits = end_logits(model, batch.only(rows), [hook])
            # a sum over edits, so that each is sought alone
            loss = F.cross_entropy(logits, new[rows], reduction="sum") / 2 + decay * added.pow(2).sum()
            # of what is added alone: the model's own gradients stay as they are
            (added.grad,) = torch.autograd.grad(loss, added)
            before = added.detach().clone()
            adam.step()
            likely = logits.softmax(-1)[torch.arange(len(logits)), new[rows]]
            sought[sought.clone()] = likely.view(-1, 2).amin(1) < enough
            added.data[~sought] = before[~sought]
            if not sought.any():
                break
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
