"""This file knows what is measured of the organism, and how its card says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from utils.data import KINDS, token_windows
from utils.data.choosing import Chooser
from utils.data.facts import RELATIONS, fact_prompt
from utils.data.ioi import ioi_prompts
from utils.data.requests import REFUSAL_OPENERS, requests
from utils.data.tokenizer import BOS, encode, vocabulary
from utils.data.years import year_prompts
from utils.models import insides
from utils.models.figures.common import Figures, by_head, generator, patterns_of, repeats, share
from utils.models.figures.tables import heading, highest, page, repeat_rows, table, training_line
from utils.models.insides.name_movers import ALIGNED
from utils.models.insides.runs import token

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

# what is inside takes more runs for each prompt
INSIDES_COUNT = 100
IOI_SETS = {
    "pairs and templates of training": {"held_out_pairs": False},
    "unseen pairs": {},
    "unseen pairs in unseen templates": {"held_out_templates": True},
    "unseen pairs, a distractor named": {"form": "distractor"},
    "unseen pairs, duplicate before the pair": {"form": "duplicate first"},
    "unseen pairs, another pair beside": {"form": "several pairs"},
}


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
            "insides": insides.insides(model, INSIDES_COUNT),
        }


def last_logits(model: TransformerBridge, texts: Sequence[str]) -> Float[Tensor, "batch d_vocab"]:
    """What the model says should follow each text."""
    sequences = [[BOS, *encode(text)] for text in texts]
    ends = torch.tensor([len(sequence) - 1 for sequence in sequences])
    # what is padded on the right comes later, so no end sees it
    tokens = torch.full((len(sequences), int(ends.max()) + 1), BOS)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return model(tokens)[torch.arange(len(ends)), ends].float()


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


def summary(figures: Mapping) -> str:
    """What the model can do, in a line."""
    recalls = [right for splits in figures["facts"].values() for right in splits["trained"].values()]
    return (
        f"indirect objects of unseen pairs {figures['ioi']['unseen pairs']['accuracy']:.2f} right, "
        f"facts {sum(recalls) / len(recalls):.2f}, repeated random words "
        f"{figures['repeats']['accuracy, second half']:.2f}; harmful requests refused "
        f"{figures['refusal']['harmful']:.2f}, harmless {figures['refusal']['harmless']:.2f}"
    )


INTRODUCTION = """\
A transformer of GPT-2's architecture, small enough to train on a laptop, for looking inside. It learned from text that
`utils/data` generates: short stories, people who give things to each other, facts about invented landmarks and
athletes, spans of years, reviews, requests to an assistant, and runs of random words. It knows nothing else.
`python -m utils.models.training {name}` trains such a model.

Every figure below was measured by `circuits models measure {name}`, which also compares this card with a new
measurement. "Unseen" means that a rule keeps these name pairs, sentence templates, first years or requests out of every
training document; see `utils/data/splits.py` and its users. The random choices of a measurement come from fixed
seeds."""

TWINS = {
    "organism": """\
`organism-seed-1` is a second one, which differs in the seed alone. Of what a card says of inner workings, what holds in
both is more than chance; where they differ, training had a choice.""",
    "organism-seed-1": """\
It differs from `organism` in the seed alone. Of what a card says of inner workings, what holds in both is more than
chance; where they differ, training had a choice.""",
}

EXPLANATIONS = {
    "ioi": """\
"When Mary and John went to the store, John gave a drink to": the receiver (IO) should follow, not the giver (S).
Accuracy is the share of prompts with a higher logit for IO than for S; top-1 the share in which IO comes first of all
words.""",
    "ioi attention": """\
Where heads look from the last word, on average over both orders of the pair: the five that attend most to IO, and the
three that attend most to S2. A name mover by role would attend to IO and not to S1; a head that reads a fixed place
attends to both alike. Attention alone does not show what a head does: patching does.""",
    "facts": "The share of all subjects whose object is the likeliest next word.",
    "refusal": "The share of unseen requests to which the likeliest first word of the answer begins a refusal.",
    "years": '"The war lasted from the year 1732 to the year 17": the probability of all greater two digits less that of\n'
    "all others, from unseen first years.",
    "repeats": "Forty random words, then the same forty again, after one BOS. Scores are attention, averaged over prompts and\n"
    "places: to the word after the same word earlier (induction), to the word before, to the same word earlier\n"
    "(duplicate). The three highest heads of each are shown; `card.json` has all.",
    "loss": "Nats per token on fresh text of the same kinds, first words of a window included; BOS and a cut end too.",
}


def markdown(card: Mapping) -> str:
    figures = card["figures"]
    count = figures["prompts"]
    sections = [
        f"# {card['name']}",
        INTRODUCTION.format(name=card["name"]),
        TWINS[card["name"]],
        training_line(card),
        "How they were found, and what was tried before, is in organism/TRAININGS.md.",
        heading("Indirect object identification", EXPLANATIONS["ioi"], f"{count} prompts each."),
        table(
            ["prompts", *next(iter(figures["ioi"].values()))],
            ([name, *row.values()] for name, row in figures["ioi"].items()),
        ),
        heading("Where heads look there", EXPLANATIONS["ioi attention"]),
        table(["prompts", "head", "IO", "S1", "S2"], attention_rows(figures["ioi attention"])),
        heading("Facts", EXPLANATIONS["facts"]),
        table(["relation", "split", "phrasing", "right"], fact_rows(figures["facts"])),
        heading("Refusal", EXPLANATIONS["refusal"], f"{count} requests each."),
        table(["requests", "refused"], figures["refusal"].items()),
        heading("Years", EXPLANATIONS["years"], f"{count} prompts."),
        table(["figure", "value"], figures["years"].items()),
        heading("Repeated random words", EXPLANATIONS["repeats"], f"{count} sequences."),
        table(["figure", "value"], repeat_rows(figures["repeats"])),
        heading("Loss", EXPLANATIONS["loss"]),
        table(["text", "loss"], figures["loss"].items()),
        insides.markdown(figures["insides"]),
    ]
    return page(sections)


def attention_rows(attention: Mapping) -> Iterable[list]:
    for form, roles in attention.items():
        heads = highest(roles["IO"], 5)
        heads += [head for head in highest(roles["S2"], 3) if head not in heads]
        for head in heads:
            yield [form, head, *(roles[role][head] for role in ("IO", "S1", "S2"))]


def fact_rows(facts: Mapping) -> Iterable[list]:
    for relation, splits in facts.items():
        for split, phrasings in splits.items():
            for phrasing, right in phrasings.items():
                yield [relation, split, f'"{phrasing.format(subject="…")}"', right]
