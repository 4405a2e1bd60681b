"""This file knows how to trace, by restoring activations, where the model recalls a subject's fact.

After Meng et al. (2022), https://arxiv.org/abs/2202.05262.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from utils.data.choosing import Chooser
from utils.data.facts import RELATIONS, Relation, fact_prompt
from utils.data.tokenizer import BOS, encode
from utils.models.figures.common import Figures, generator
from utils.models.insides.runs import Batch, Hook, batch_of, cache_of, end_logits, put, recovered, token

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

FACT_SEED, NOISE_SEED = 14, 15
ROLES = ("subject first word", "subject last word", "between", "END")
KINDS = ("resid_post", "mlp_out", "attn_out")


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
def fact_tracing(model: TransformerBridge, count: int = 100, draws: int = 2) -> Figures:
    """Causal tracing: what one clean activation brings back of P(object) once the subject is corrupted.

    Recovered shares, (P restored - P corrupted) / (P clean - P corrupted) of means over prompts, averaged over
    relations. The subject is replaced by another ("another subject"), or Gaussian noise of three standard deviations of
    W_E is added to its embeddings ("noise", over some draws). Restored is resid_post of one layer, or the output of its
    MLP or attention, at the tokens of one role; "between" is every token after the subject and before END.
    """
    prompts = fact_set(count)
    noise = [(prompts.clean, [hook]) for hook in noises(model, prompts, draws)]
    return {
        "another subject": trace(model, prompts, [(prompts.corrupted, [])], KINDS),
        "noise": trace(model, prompts, noise, KINDS[:1]),
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
    kinds: Sequence[str],
) -> Figures:
    """The recovered shares of `fact_tracing`; several corruptions are draws of one, and averaged."""
    cache = cache_of(model, prompts.clean, *(f"hook_{kind}" for kind in kinds))

    def probability(hooks: Sequence[Hook]) -> Float[Tensor, " batch"]:
        drawn = [end_logits(model, batch, [*corruption, *hooks]) for batch, corruption in corruptions]
        return torch.stack([logits.softmax(-1)[prompts.clean.rows, prompts.answers] for logits in drawn]).mean(0)

    clean = end_logits(model, prompts.clean).softmax(-1)[prompts.clean.rows, prompts.answers]
    corrupted = probability([])
    figures: Figures = {"P clean": clean.mean().item(), "P corrupted": corrupted.mean().item()}
    for kind in kinds:
        figures[kind] = {}
        for role, where in prompts.roles.items():
            names = {f"L{layer}": f"blocks.{layer}.hook_{kind}" for layer in range(model.cfg.n_layers)}
            figures[kind][role] = {
                layer: mean_of_relations(
                    prompts, where, probability([put(name, cache[name], where[..., None])]), corrupted, clean
                )
                for layer, name in names.items()
            }
    return figures


def mean_of_relations(
    prompts: FactSet,
    where: Bool[Tensor, "batch pos"],
    restored: Float[Tensor, " batch"],
    corrupted: Float[Tensor, " batch"],
    clean: Float[Tensor, " batch"],
) -> float:
    """The recovered share, averaged over the relations that have the role; cities have no first word."""
    members = [torch.tensor([each == name for each in prompts.relations]) for name in dict.fromkeys(prompts.relations)]
    shares = [recovered(restored[rows], corrupted[rows], clean[rows]) for rows in members if where[rows].any()]
    return sum(shares) / len(shares)
