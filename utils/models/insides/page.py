"""This file knows how to set the figures of the insides out for a learner, as a section of a model card.

The prose says only what is true of any weights; what was found in these is computed from the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from utils.models.figures.tables import heading, page, table
from utils.models.insides import rows
from utils.models.insides.name_movers import COPIES, LOOKS_AT_PAIR, MOST_HEADS
from utils.models.insides.report import CONTROL_ADDED, CONTROL_REFUSED, Target, targets
from utils.models.insides.rows import Rows, without_minus_zero

INTRODUCTION = """\
Three mechanisms that papers found in larger models, looked for in these weights by changing activations and weights and
seeing what follows. `python -m utils.models.insides NAME` measures them anew; its random choices come from fixed seeds.
A head is written L2H1, for layer 2 and head 1, both counted from 0; END is the last word of a prompt, where the model
predicts the next one."""

NAME_MOVERS = """\
After "Mary and John went to the store. John gave a drink to" the receiver (IO) should follow, not the giver, who is named
twice (S1, S2). Which heads take IO's name to END, and what tells them which name it is, whichever of the two came first?
Wang et al. (2022), https://arxiv.org/abs/2211.00593, found heads that attend from END to IO and copy it (name movers),
steered by earlier heads that saw who came twice.

Columns IO, S1 and S2 are mean attention from END over both orders of the pair, and the next two that to IO where IO or S
comes first. Copying is the share of names that a head's W_OV makes the likeliest of all names. What a head adds through
the unembedding alone is in logits: to logit(IO) - logit(S), and to logit(IO) less the mean of all names. Patched is the
share of the logit difference that its clean output at END brings back where S2 is replaced by a third name: 0 is none, 1
all. A name mover by role copies, attends to IO and not to S1 in both orders, and adds to IO. Attention does not show what
is moved, an attribution leaves out what later parts make of it, and patching one head can show little where others do the
same."""

HEADS_SHOWN = f"""\
Shown are heads with a copying score of at least {COPIES:.2f}, that add at least {rows.SHOWN_SHARE:.0%} of what all heads add to the
logit difference (signs left aside), or that bring at least that share of it back."""

CIRCUIT = f"""\
Taken together: the heads with a copying score of at least {COPIES:.2f} that attend to IO and S1 with at least {LOOKS_AT_PAIR:.2f} and
add to IO, at most {MOST_HEADS}, weighted by what they add. Preference is attention to IO less that to S1."""

STEERING = """\
What tells them where to look: the preference of one name mover, the head with the greatest of those that add to IO, and
how far it falls when the outputs at END of all earlier heads come from a run in which S2 is replaced; when only its query
does; and by the one earlier head that moves it most."""

FACTS = """\
A fact is said of a subject ("the Amber Tower"), whose last word comes some words before the object is due. At which words
and layers is the object found, and can it be changed there? Both after Meng et al. (2022),
https://arxiv.org/abs/2202.05262. Tracing corrupts the subject, by putting another one in its place or by noise on its
embeddings (of three times their standard deviation), restores one clean activation at the words of one role, and gives
the share of P(object) that this brings back, averaged over relations: 0 is none, 1 all. "Between" is every word after the
subject and before END. After the last layer only END is read, so resid_post brings back everything there, whatever the
model. A restored activation can suffice without being what the model needs, and the shares of several places need not
add up."""

EDITS = """\
Rank-one editing (ROME) gives a subject a new object by changing one MLP's W_out as little as it can. Efficacy is the share
of edits after which P(new) > P(old) in the wording taught, paraphrase the same in others, and "new comes first" asks that
no word be likelier. Specificity is the share of other subjects whose object still comes first, of those for which it did
before: neighbours share a word with the edited subject. The score is the harmonic mean of efficacy, paraphrase and
specificity of neighbours, and the value norm how much an edit adds, over the norm of the residual stream there. That an
edit works at a layer does not show that the fact is stored there: see Hase et al. (2023),
https://arxiv.org/abs/2301.04213."""

REFUSAL = """\
Is there one direction of the residual stream that decides whether a request is refused? Arditi et al. (2024),
https://arxiv.org/abs/2406.11717, take the difference of means between harmful and harmless requests, here of resid_post
at END of one layer on training requests, and remove or add it on unseen ones.

Removed from harmful requests: "zero" takes it out of everything that writes to the residual stream; "mean" sets the
component, at END of that layer, to what harmless requests have on average; "mean, every layer" does so there and at END
of all later layers. Added to harmless ones: one, two or four times the difference, at END of that layer; "set, every
layer" sets the component to what harmful requests have on average, there and at END of all later layers. Each cell is
the share whose likeliest first word begins a refusal, and in brackets an answer. A direction that decides takes refusal
down in the first three columns and up in the others, and random ones of its norm, in the row below, do not. The first
word is not the whole answer; the difference holds everything that tells the two kinds of request apart on average; where
one direction suffices, others may too; and a multiple of it may lie beyond what any request has by itself."""

TARGETS = f"""\
What the chapters on these mechanisms need of a model, and whether these weights have it. A way of removing or adding
counts at a layer only if random directions, treated alike, leave at least {CONTROL_REFUSED:.2f} of harmful requests refused, or
have at most {CONTROL_ADDED:.2f} of harmless ones refused."""


def markdown(figures: Mapping) -> str:
    """The section "What is inside, and how we know" of a model card; headings below it are one level down."""
    parts, edits = figures["name movers"], figures["rank-one edits"]
    return page(
        [
            heading("What is inside, and how we know", INTRODUCTION),
            "#" + heading("Which heads name the receiver", NAME_MOVERS),
            f"{HEADS_SHOWN} About {figures['prompts']} prompts of each form.",
            *head_tables(parts, figures["copying score"]),
            CIRCUIT,
            *map(circuit_line, parts.items()),
            table_of(rows.joint_rows(parts), "prompts"),
            STEERING,
            table_of(rows.steering_rows(parts), "head and replacement"),
            "#" + heading("Where facts are recalled, and edits of them", FACTS),
            tracing_line(figures["fact tracing"], figures["prompts"]),
            table_of(rows.tracing_rows(figures["fact tracing"]), "restored (corruption)"),
            f"{EDITS} {edits['edits']} edits at each layer.",
            table_of(rows.edit_rows(edits), "layer"),
            "#" + heading("Which direction refuses", REFUSAL),
            refusal_line(figures["refusal direction"], figures["prompts"]),
            table_of(rows.refusal_rows(figures["refusal direction"]), "layer"),
            "#" + heading("Targets", TARGETS),
            "\n".join(map(target_line, targets(figures))),
        ]
    ).rstrip()


def table_of(figures: Rows, corner: str) -> str:
    """A table of rows; nothing of none."""
    if not figures:
        return ""
    columns = next(iter(figures.values()))
    return table([corner, *columns], ([name, *map(without_minus_zero, row.values())] for name, row in figures.items()))


def head_tables(parts: Mapping, copying: Mapping[str, float]) -> Iterable[str]:
    for form, part in parts.items():
        yield (
            f"{form.capitalize()}: logit(IO) is above logit(S) in {part['accuracy']:.2f} of prompts, "
            f"and P(IO) is {part['P(IO)']:.2f}."
        )
        yield table_of(rows.head_rows(part, copying), "head")


def circuit_line(form_and_part: tuple[str, Mapping]) -> str:
    form, part = form_and_part
    weights = part["joint"]["weights"]
    heads = ", ".join(f"{head} (weight {weight:.2f})" for head, weight in weights.items())
    return f"{form.capitalize()}: {heads or 'no head is such'}."


def tracing_line(tracing: Mapping, count: int) -> str:
    clean = tracing["another subject"]["P clean"]
    corrupted = ", ".join(f"{traced['P corrupted']:.2f} with {name}" for name, traced in tracing.items())
    last_word = tracing["another subject"]["resid_post"]["subject last word"]
    layer = max(last_word, key=last_word.__getitem__)
    return (
        f"On {count} prompts P(object) is {clean:.2f}, and {corrupted}. With another subject, resid_post at the subject's "
        f"last word brings back most after {layer}: {without_minus_zero(last_word[layer]):.2f}."
    )


def refusal_line(refusal: Mapping, count: int) -> str:
    harmful, harmless = refusal["harmful"], refusal["harmless"]
    return (
        f"Of {count} requests each, with nothing changed, {harmful['refused']:.2f} ({harmful['answered']:.2f}) of the "
        f"harmful and {harmless['refused']:.2f} ({harmless['answered']:.2f}) of the harmless."
    )


def target_line(target: Target) -> str:
    side = "at least" if target.at_least else "at most"
    reached = "reached" if target.reached else "not reached"
    return f"- {target.name}: {target.value:.2f}; {side} {target.bound:.2f} needed; {reached}"
