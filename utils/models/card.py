"""This file knows how to set out a model's measured figures as a page to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

INTRODUCTION = """\
A transformer of GPT-2's architecture, small enough to train on a laptop, for looking inside. It learned from text that
`utils/data` generates: short stories, people who give things to each other, facts about invented landmarks and
athletes, spans of years, reviews, requests to an assistant, and runs of random words. It knows nothing else.
`python -m utils.models.training organism` trains such a model.

Every figure below was measured by `python -m utils.models.measure organism`, which also compares this card with a new
measurement. "Unseen" means that a rule keeps these name pairs, sentence templates, first years or requests out of every
training document; see `utils/data/splits.py` and its users. The random choices of a measurement come from fixed seeds."""

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
    figures, training = card["figures"], card["training"]
    count = figures["prompts"]
    sections = [
        f"# {card['name']}",
        INTRODUCTION,
        f"{card['parameters']:,} parameters; {training['steps']:,} steps, {training['tokens']:,} tokens, "
        f"{training['seconds'] / 60:.0f} minutes of a shared machine. Its recipe: `{training['recipe']}`.",
        training.get("note", ""),
        heading("Indirect object identification", "ioi", f"{count} prompts each."),
        table(
            ["prompts", *next(iter(figures["ioi"].values()))],
            ([name, *row.values()] for name, row in figures["ioi"].items()),
        ),
        heading("Where heads look there", "ioi attention"),
        table(["prompts", "head", "IO", "S1", "S2"], attention_rows(figures["ioi attention"])),
        heading("Facts", "facts"),
        table(["relation", "split", "phrasing", "right"], fact_rows(figures["facts"])),
        heading("Refusal", "refusal", f"{count} requests each."),
        table(["requests", "refused"], figures["refusal"].items()),
        heading("Years", "years", f"{count} prompts."),
        table(["figure", "value"], figures["years"].items()),
        heading("Repeated random words", "repeats", f"{count} sequences."),
        table(["figure", "value"], repeat_rows(figures["repeats"])),
        heading("Loss", "loss"),
        table(["text", "loss"], figures["loss"].items()),
        "## What is not known yet\n\nWhich algorithm answers these prompts inside the model has not been established for "
        "these weights: that takes patching, and the attention above is only a first look.",
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def heading(title: str, section: str, note: str = "") -> str:
    return f"## {title}\n\n{EXPLANATIONS[section]} {note}".rstrip()


def table(header: Sequence[str], rows: Iterable[Sequence]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def highest(scores: Mapping[str, float], count: int) -> list[str]:
    return sorted(scores, key=scores.__getitem__, reverse=True)[:count]


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


def repeat_rows(repeats: Mapping) -> Iterable[list]:
    for name, value in repeats.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{head} {value[head]:.2f}" for head in highest(value, 3))
        yield [name, value]
