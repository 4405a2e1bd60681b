# %% [markdown]
# # 4. Indirect object identification and activation patching
#
# "When Mary and John went to the store, John gave a drink to". Everyone who reads this knows the next word, and so does
# a language model. How does it know? In 2022, Wang and others took GPT-2 small apart until they could say which 26 of
# its 144 heads do it, what each of them reads, and what it tells the next. To their knowledge, nobody had explained so
# large a piece of a language model's natural behaviour from end to end, and their methods are still in use.
#
# In this chapter you do the whole of it: you measure a behaviour, find the parts that cause it by changing activations
# and seeing what follows, read what these parts do, and put a number on how well your circuit explains the model.
# You do it twice:
#
# - on **ioi-by-hand**, a transformer whose weights were written by hand, so that its circuit is known, and your methods
#   can be tested before you trust them;
# - on the **organism**, which was trained, and whose circuit nobody wrote.
#
# **At the end of this chapter you will be able to**
#
# - build prompts and their corrupted twins, and a metric that says what you mean;
# - patch activations by layer, position, head, query, key, value and pattern, in both directions, and say what each
#   direction shows and what it does not;
# - estimate a whole sweep by gradients, and say where the estimate fails;
# - patch single paths from one head to another;
# - score a circuit for faithfulness, completeness and minimality.
#
# **You need** chapter 1; hooks, caches, direct logit attribution, ablation, OV circuits and induction heads from
# chapter 2. The whole chapter takes about twelve hours, ten of them for the exercises.
#
# ## How this notebook works
#
# As before: replace `raise NotImplementedError`, run the cell, then the `check` below it. `hint(logit_difference)`
# gives the next hint, `reveal(logit_difference)` a solution, and `!circuits progress` says what is solved.
#
# ioi-by-hand is always there, whatever `MODEL` is, and you will see the two models side by side. What you should see,
# and the titles of the figures, are about ioi-by-hand and the organism. Other values of `MODEL`:
#
# - `"organism-seed-1"`: the same training from other random numbers. Every cell runs, and much comes out differently.
# - `"ioi-by-hand"`: every cell runs, and shows one model twice.
# - `"gpt2"`: GPT-2 small, with fewer prompts. The search over all edges and the greedy pruning are left out, since they
#   would take hours, and the circuit that is scored is the paper's. The sweeps want a graphics card, or patience.

# %%
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import einops
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens import ActivationCache, TransformerBridge

from utils import check, device, hint, load_model, reveal
from utils.data import ioi
from utils.data.world import GAVE, HELD_OUT_PAIRS, LOOKS, PLACES, THINGS, WEATHER
from utils.models.by_hand import circuit as circuit_by_hand
from utils.models.loading import ModelUnavailable
from utils.plots import (
    circuit_graph,
    compare,
    diagram,
    head_label,
    heatmap,
    lines,
    residual_sum,
    scatter,
    show,
)

MODEL = "organism"  # or "organism-seed-1", "ioi-by-hand", or "gpt2" for GPT-2 small (downloads 550 MB once)

# %%
# nothing is trained in this chapter; what needs a gradient (attribution patching) says so: with torch.enable_grad()
torch.set_grad_enabled(False)
model = load_model(MODEL, device=device)
hand = load_model("ioi-by-hand", device=device)
# GPT-2 small has 144 heads: fewer prompts, and no search over all edges
MANY_HEADS = model.cfg.n_layers * model.cfg.n_heads > 32
for name, each in ((MODEL, model), ("ioi-by-hand", hand)):
    cfg = each.cfg
    print(f"{name}: {cfg.n_layers} layers of {cfg.n_heads} heads, d_model {cfg.d_model}, {cfg.d_vocab} words")

# %% [markdown]
# ## The task
#
# **Indirect object identification** (IOI) is the task of Wang et al. (2022,
# [*Interpretability in the Wild*](https://arxiv.org/abs/2211.00593)). Two people are introduced; one of them gives
# something to, and the text stops before the name of the other:

# %%
diagram("ioi_prompt")

# %% [markdown]
# Five words have roles, and these are all the positions you will need:
#
# | role | is | in this text |
# |---|---|---|
# | **IO** | the indirect object: the name that stands once, and the answer | Mary |
# | **S1** | the subject's first mention | John |
# | **S1+1** | the word after it | went |
# | **S2** | the subject's second mention | John |
# | **END** | the last word, where the next one is predicted | to |
#
# Why this task? It is easy to state, the answer can be checked by a program, and it cannot be done by knowing words:
# the same two names, with the other one giving, have the other answer. The model must find out *from the text* which
# name came twice, carry this to the last word, and there say the other name. So something must be moved between
# positions, probably more than once, and in a transformer only attention heads move anything between positions.
#
# Both models know the task. Ask them:

# %%
text = "Then, Mary and John went to the store. John gave a drink to"
for name, each in ((MODEL, model), ("ioi-by-hand", hand)):
    probs = each(each.to_tokens(text))[0, -1].softmax(dim=-1)
    best = [f"{each.tokenizer.decode(token)!r} {probs[token]:.2f}" for token in probs.topk(4).indices.tolist()]
    print(f"{name:12} {', '.join(best)}")

# %% [markdown]
# **You should see** Mary first in both. ioi-by-hand knows 44 words and 12 names, and the templates of this task are all
# that it can read. The organism has read millions of words of its small world, and texts of this kind were among them;
# it gives a little to "her", which would be right, too.
#
# ## Where the names stand
#
# From here on nothing is said by number ("position 11") but by role ("S2"), because the number differs from text to
# text and the role does not. So first, write the function that finds the roles.
#
# A text in tokens, as `model.to_str_tokens(text)` gives it, is a list of strings that begins with BOS. In our models,
# as in GPT-2, a word in the middle of a text is one token *with the space before it*:

# %%
print(model.to_str_tokens(text))

# %% [markdown]
# So the name Mary is there where a token is exactly `" Mary"`. Not where a token *contains* Mary: `" Maryland"` is
# another word. And not `"Mary"` without the space: GPT-2 has that as another token, and it is not the one to be
# predicted.
#
# The function must refuse what is not a text of this task: a name that is not there as one token (a tokenizer may have
# cut it into pieces), IO more than once, S not exactly twice. If it returned some position nevertheless, you would
# patch the wrong word later and believe the picture. Raise a `ValueError` whose text has the name in it.


# %%
# [exercise]
# number = "4.1"
# title = "Where the names stand"
# difficulty = 1
# importance = 3
# minutes = 15
# points = 2
# why = "Every later result of this chapter is said by role. An error here would shift all of them by a word, and no picture would tell you."
# hints = [
#     "How do you find all places of a value in a list? And for which numbers of places is the text one of this task?",
#     "For each name, list the positions at which the token is a space and the name. IO must have one of them, S two; otherwise raise ValueError with the name in the text. END is the last position of the list.",
#     "`[position for position, token in enumerate(str_tokens) if token == f\" {name}\"]` for both names; `raise ValueError(f\"{name!r} …\")` when the number is wrong; then `(at_io,), (s1, s2) = …` and a dictionary with the five keys.",
# ]
# [/exercise]
def name_positions(str_tokens: Sequence[str], io: str, s: str) -> dict[str, int]:
    """Where "IO", "S1", "S1+1", "S2" and "END" stand in the tokens of one text, of which BOS is number 0.

    Raises `ValueError`, which names the name, unless IO stands there exactly once as one token, and S exactly twice.
    """
    # BEGIN SOLUTION: find the tokens that are a space and the name; refuse unless IO is there once and S twice
    places = {}
    for name, times in ((io, 1), (s, 2)):
        places[name] = [position for position, token in enumerate(str_tokens) if token == f" {name}"]
        if len(places[name]) != times:
            raise ValueError(f"{times} of the tokens must be {name!r}, but {len(places[name])} of {str_tokens} are")
    (at_io,), (s1, s2) = places[io], places[s]
    return {"IO": at_io, "S1": s1, "S1+1": s1 + 1, "S2": s2, "END": len(str_tokens) - 1}
    # END SOLUTION


# %%
check(name_positions)

# %% [markdown]
# ## Many prompts, in both orders
#
# One prompt shows one case. A model that always says the *first* name would be right on the text above, and a head that
# looks at position 3 would look like a head that finds Mary. So every text comes in two orders:
#
# | order | text | answer |
# |---|---|---|
# | **ABBA**, IO first | Then, **Mary** and John went to the store. John gave a drink to | Mary |
# | **BABA**, S first | Then, John and **Mary** went to the store. John gave a drink to | Mary |
#
# What depends on the order alone has opposite effects in the two halves, and the mean over both is free of it. Later,
# when means are not enough, you look at the halves apart.
#
# We keep prompts side by side in one object. It holds the texts as rows of tokens, filled up *on the right* with BOS
# where a row is shorter (attention is causal, so nothing before END can see the filling), and for each role one tensor
# with its position in every row. END is the last word of the row's *own* text, so it differs between rows, and
# `logits[:, -1]` would be wrong.


# %%
@dataclass(frozen=True)
class Prompts:
    """Texts of one task side by side; all of one length, or filled up with BOS on the right."""

    texts: list[str]
    tokens: Int[Tensor, "batch pos"]
    # token of the right answer, and of the name that stands twice
    io: Int[Tensor, "batch"]
    s: Int[Tensor, "batch"]
    # where each role's token stands, BOS being 0: "IO", "S1", "S1+1", "S2", "END"
    positions: dict[str, Int[Tensor, "batch"]]
    # which template each text is of
    templates: list[int]

    def __len__(self) -> int:
        return len(self.texts)


def name_token(model: TransformerBridge, name: str) -> int:
    """The token of a name in the middle of a text; a `ValueError` with its tokens unless it is a single one."""
    pieces = model.to_str_tokens(f" {name}", prepend_bos=False)
    if pieces != [f" {name}"]:
        raise ValueError(f"{name!r} must be a single token of this model, but its tokens are {pieces}")
    return model.to_tokens(f" {name}", prepend_bos=False).item()


# %% [markdown]
# `name_token` is there because of other models. GPT-2 has one token for " Mary", but it cuts rarer names into pieces,
# and then there is no single logit to look at; our models, whose tokens are words, turn every name they do not know
# into the one token `<unk>`. Either way it is better to hear of it at once:

# %%
for name in ("Mary", "Mary Ann", "Zaphod"):
    try:
        print(name, name_token(model, name))
    except ValueError as error:
        print(error)

# %% [markdown]
# A template is a text with fields, and Python fills them: `template.format(A="Mary", B="John", S="John",
# place="store")`. Fields that a template lacks are ignored. {A} is the first name of the text, {B} the second, {S} the
# giver; {place}, {thing} and whatever else occurs are nouns that do not matter, drawn at random so that no result hangs
# on one of them.
#
# The rows go template by template; in each, pair by pair, where a pair is (IO, S); and for each pair first ABBA, then
# BABA. The two orders of a pair share their nouns: they are the same sentence but for the order.


# %%
# [exercise]
# number = "4.2"
# title = "Prompts in both orders"
# difficulty = 3
# importance = 4
# minutes = 30
# points = 4
# why = "A circuit is found on a set of prompts and is true of that set. What the set leaves uncontrolled (who stands first, where, beside which words) comes out as a finding."
# hints = [
#     "Three loops: templates, pairs, orders. In which of them is a noun drawn, so that both orders of a pair get the same?",
#     "For each text: `model.to_tokens(text)[0]` is its row with BOS, `name_positions(model.to_str_tokens(text), io, s)` its positions. Collect everything in lists; `torch.nn.utils.rnn.pad_sequence` fills up on the right.",
#     "`words[int(torch.randint(len(words), (), generator=generator))]` draws a word. For a, b in ((io, s), (s, io)): `text = template.format(A=a, B=b, S=s, **chosen)`. At the end `pad_sequence(rows, batch_first=True, padding_value=model.tokenizer.bos_token_id)` and, per role, torch.tensor of its positions, on the device of the tokens.",
# ]
# [/exercise]
def ioi_prompts(
    model: TransformerBridge,
    templates: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    nouns: Mapping[str, Sequence[str]],
    generator: torch.Generator,
) -> Prompts:
    """Every template with every pair (IO, S): IO first (ABBA), then S first (BABA), in this order of rows.

    A template has the fields {A} and {B} for the pair in the order of the text, {S} for the giver and any of the fields
    of `nouns`, and ends before IO's name. For each field of `nouns` one of its words is drawn for every template and
    pair, the same one for both orders. Everything lives where the model lives.
    Raises `ValueError` for a name that is not a single token, with the name and its tokens.
    After Wang et al. (2022), https://arxiv.org/abs/2211.00593.
    """
    # BEGIN SOLUTION: the tokens of the names; every template in both orders, with its row, positions and answers
    names = {name: name_token(model, name) for pair in pairs for name in pair}
    texts, rows, positions, answers, numbers = [], [], [], [], []
    for number, template in enumerate(templates):
        for io, s in pairs:
            chosen = {
                field: words[int(torch.randint(len(words), (), generator=generator))] for field, words in nouns.items()
            }
            for a, b in ((io, s), (s, io)):
                text = template.format(A=a, B=b, S=s, **chosen)
                texts.append(text)
                rows.append(model.to_tokens(text)[0])
                positions.append(name_positions(model.to_str_tokens(text), io, s))
                answers.append((names[io], names[s]))
                numbers.append(number)
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=model.tokenizer.bos_token_id)
    by_role = {
        role: torch.tensor([places[role] for places in positions], device=tokens.device)
        for role in ("IO", "S1", "S1+1", "S2", "END")
    }
    io_tokens, s_tokens = torch.tensor(answers, device=tokens.device).unbind(-1)
    return Prompts(texts, tokens, io_tokens, s_tokens, by_role, numbers)
    # END SOLUTION


# %%
check(ioi_prompts)

# %% [markdown]
# Now the prompts of this chapter. Three templates of different lengths; twelve names, and of these, pairs that have
# never met: the organism's training texts keep a fifth of all pairs apart, so whatever it says about these it has not
# learned by heart. Each pair comes in both roles, since who gives must not depend on who it is.

# %%
# both models know these words
TEMPLATES = [
    "Then, {A} and {B} went to the {place}. {S} gave a {thing} to",
    "When {A} and {B} went to the {place}, {S} gave a {thing} to",
    "Friends {A} and {B} were playing in the {place}. {S} decided to give the {thing} to",
]
NOUNS = {"place": ["store", "park", "school", "market"], "thing": ["drink", "ring", "book", "ball"]}
NAMES = ["Mary", "Anna", "Emma", "Alice", "Sarah", "Laura", "John", "Tom", "James", "Paul", "Mark", "Peter"]
unseen = [(a, b) for a, b in HELD_OUT_PAIRS if a in NAMES and b in NAMES]
PAIRS = [pair for a, b in unseen[: 2 if MANY_HEADS else 8] for pair in ((a, b), (b, a))]

prompts = ioi_prompts(model, TEMPLATES, PAIRS, NOUNS, torch.Generator().manual_seed(0))
hand_prompts = ioi_prompts(hand, TEMPLATES, PAIRS, NOUNS, torch.Generator().manual_seed(0))

print(f"{len(prompts)} prompts of up to {prompts.tokens.shape[1]} tokens")
for row in (0, 1, 2, 3, -1):
    places = ", ".join(f"{role} {where[row]}" for role, where in prompts.positions.items())
    print(f"{prompts.texts[row]:78} {places}")


# %% [markdown]
# Two small functions for later: a part of the prompts, and which of them have IO first.


# %%
def select(prompts: Prompts, rows: Sequence[int] | Int[Tensor, "row"] | Bool[Tensor, "batch"]) -> Prompts:
    """These prompts alone, without columns that only longer ones fill."""
    rows = torch.arange(len(prompts), device=prompts.tokens.device)[rows]
    positions = {role: places[rows] for role, places in prompts.positions.items()}
    return Prompts(
        [prompts.texts[row] for row in rows.tolist()],
        prompts.tokens[rows, : int(positions["END"].max()) + 1],
        prompts.io[rows],
        prompts.s[rows],
        positions,
        [prompts.templates[row] for row in rows.tolist()],
    )


def io_first(prompts: Prompts) -> Bool[Tensor, "batch"]:
    """Which rows are ABBA: IO stands before S1."""
    return prompts.positions["IO"] < prompts.positions["S1"]


# %% [markdown]
# ## Corrupted twins
#
# To find out what a part of the model does with some information, you take that information away and see what changes.
# In chapter 2 you took it away by ablation: the head's output became zero, or a mean. That damages everything the head
# says at once. A gentler way, and the one that the rest of this chapter is built on, is to run the model on a **twin**
# of the text, a text that differs in just what you ask about, and to put activations of one run into the other.
#
# So the twin *is* the question. What the two texts share cannot show up in any result; what they differ in, can. Wang
# et al. use, for most of their work, the distribution they call **ABC**: the same sentence with three names, all
# different, none of them in the original.
#
# | | text | what it still holds |
# |---|---|---|
# | clean | Then, Mary and John went to the store. **John** gave a drink to | everything |
# | **ABC** | Then, Paul and Anna went to the store. **Tom** gave a drink to | the sentence, and that names stand there |
# | **S2 is IO** | Then, Mary and John went to the store. **Mary** gave a drink to | which names, and where; the *other* one gives |
# | **S2 is a third** | Then, Mary and John went to the store. **Tom** gave a drink to | which names, and where; no name stands twice |
#
# - **ABC** takes away *which* names there are and *which one is repeated*. A part that matters for any of this shows.
#   Nothing in such a text prefers Mary to John, so the logit difference of these two should be about 0.
# - **S2 is IO** leaves both names in their places and turns the answer round. What merely knows the names does the same
#   in both runs, so it does *not* show; what knows who came twice shows at double strength, because the twin argues for
#   the other side.
# - **S2 is a third name** takes the repetition away and puts nothing in its place.
#
# A twin must not hold the answer. If Mary could be drawn as one of the three names, then some twins would still have
# her, and the corrupted run would sometimes say the right thing for the wrong reason. This includes names elsewhere in
# the text: leave out *every* name that the row holds.
#
# A twin keeps the rest of the object: positions, `io`, `s`. It is asked the same question (Mary or John?) as the clean
# text. This function puts names in, and writes the texts anew:


# %%
def with_names(model: TransformerBridge, prompts: Prompts, names: Mapping[str, Int[Tensor, "batch"]]) -> Prompts:
    """The same prompts with these tokens at the positions of these roles, row by row."""
    tokens, ends = prompts.tokens.clone(), prompts.positions["END"].tolist()
    rows = torch.arange(len(tokens), device=tokens.device)
    for role, new in names.items():
        tokens[rows, prompts.positions[role]] = new
    texts = [model.tokenizer.decode(row[1 : end + 1]).strip() for row, end in zip(tokens, ends)]
    return replace(prompts, texts=texts, tokens=tokens)


# %%
# [exercise]
# number = "4.3"
# title = "Corrupted twins: three other names"
# difficulty = 2
# importance = 4
# minutes = 20
# points = 3
# why = "Which twin you patch from decides what your result is about. A twin that still holds the answer makes good parts look useless."
# hints = [
#     "For one row: which tokens of `names` may be drawn? And how do you draw three of them of which no two are the same?",
#     "Turn `names` into tokens with `name_token`. For each row keep those that are not among the row's tokens; if fewer than three are left, raise ValueError; `torch.randperm(len(free), generator=generator)[:3]` draws three without putting back.",
#     "In a list `chosen` one triple of tokens for every row; then `io, s1, s2 = torch.tensor(chosen, device=prompts.tokens.device).unbind(-1)` and `with_names(model, prompts, {\"IO\": io, \"S1\": s1, \"S2\": s2})`.",
# ]
# [/exercise]
def abc_twins(model: TransformerBridge, prompts: Prompts, names: Sequence[str], generator: torch.Generator) -> Prompts:
    """The same texts with three other, different names where IO, S1 and S2 stand; positions, io and s as in `prompts`.

    The names of each text are drawn from those of `names` that do not occur in it. Raises `ValueError` where fewer than
    three of these are left. The ABC distribution of Wang et al. (2022), https://arxiv.org/abs/2211.00593.
    """
    # BEGIN SOLUTION: for each row draw three names that it does not hold, and put them at the three positions
    tokens = [name_token(model, name) for name in names]
    chosen = []
    for row, text in zip(prompts.tokens.tolist(), prompts.texts):
        free = [token for token in tokens if token not in row]
        if len(free) < 3:
            raise ValueError(f"only {len(free)} of {list(names)} do not occur in {text!r}, but 3 are needed")
        chosen.append([free[place] for place in torch.randperm(len(free), generator=generator)[:3]])
    io, s1, s2 = torch.tensor(chosen, device=prompts.tokens.device).unbind(-1)
    return with_names(model, prompts, {"IO": io, "S1": s1, "S2": s2})
    # END SOLUTION


# %%
check(abc_twins)

# %% [markdown]
# And the two that change S2 alone, in one function: without `names`, S2 becomes IO; with `names`, it becomes one of
# them that the text does not hold yet.


# %%
# [exercise]
# number = "4.4"
# title = "Corrupted twins: only S2"
# difficulty = 2
# importance = 3
# minutes = 15
# points = 2
# why = "With the names left in place, only one thing can make a difference: which of them came twice. This is the twin that separates knowing the names from knowing the giver."
# hints = [
#     "One of the two cases needs no drawing at all. Which tensor of `prompts` already holds what must stand at S2?",
#     "Without names: `with_names` with `prompts.io` at S2. With names: for every row one of the tokens that the row does not hold, drawn with the generator.",
#     "As in abc_twins, with one draw in place of three: `free[int(torch.randint(len(free), (), generator=generator))]` for each row, and the list as a tensor on the device of `prompts.tokens`.",
# ]
# [/exercise]
def s2_twins(
    model: TransformerBridge,
    prompts: Prompts,
    names: Sequence[str] | None = None,
    generator: torch.Generator | None = None,
) -> Prompts:
    """The same texts with another name where S2 stands: IO's or, with `names`, one drawn from those the text lacks.

    Positions, io and s are those of `prompts`. Raises `ValueError` where none of `names` is left.
    """
    # BEGIN SOLUTION: the token of IO, or one drawn for each row, at S2
    if names is None:
        return with_names(model, prompts, {"S2": prompts.io})
    tokens = [name_token(model, name) for name in names]
    chosen = []
    for row, text in zip(prompts.tokens.tolist(), prompts.texts):
        free = [token for token in tokens if token not in row]
        if not free:
            raise ValueError(f"all of {list(names)} occur in {text!r}")
        chosen.append(free[int(torch.randint(len(free), (), generator=generator))])
    return with_names(model, prompts, {"S2": torch.tensor(chosen, device=prompts.tokens.device)})
    # END SOLUTION


# %%
check(s2_twins)

# %%
twins = abc_twins(model, prompts, NAMES, torch.Generator().manual_seed(1))
flipped = s2_twins(model, prompts)
third = s2_twins(model, prompts, NAMES, torch.Generator().manual_seed(2))
hand_twins = abc_twins(hand, hand_prompts, NAMES, torch.Generator().manual_seed(1))
hand_flipped = s2_twins(hand, hand_prompts)
hand_third = s2_twins(hand, hand_prompts, NAMES, torch.Generator().manual_seed(2))

for name, each in (("clean", prompts), ("ABC", twins), ("S2 is IO", flipped), ("S2 is a third", third)):
    print(f"{name:14} {each.texts[0]}")

# %% [markdown]
# ## The number to watch
#
# Everything that follows asks "what does this change?", and needs one number for "the behaviour". Wang et al. take the
# **logit difference** at END:
#
# $$\text{LD} = \text{logit}_\text{END}(\text{IO}) - \text{logit}_\text{END}(\text{S})$$
#
# Why this, and not the probability of IO?
#
# - **It asks the one question of the task**: of the two names in the text, which? Whatever makes *all names* likelier
#   ("to" is often followed by a name) raises both logits alike, and cancels. That is not what we want to explain.
# - **It is linear in the final residual stream**, once LayerNorm's scale is given. So it can be taken apart into a sum
#   over heads, which no probability can.
# - **It does not saturate.** Between probabilities of 0.99 and 0.999 there is hardly a difference, between the logits
#   there are 2.3. It is also easy to read: the ratio of the two probabilities is $e^\text{LD}$, so 0 means undecided,
#   2.3 means ten to one, and a negative one means the giver is preferred.
#
# And what it hides, we look at in a moment.


# %%
# [exercise]
# number = "4.5"
# title = "Logit difference"
# difficulty = 1
# importance = 5
# minutes = 10
# points = 2
# why = "It is the number under every picture of this chapter."
# hints = [
#     "Which position of `logits` predicts the missing name? Is it the same one in every row?",
#     "Index with a tensor of row numbers and a tensor of positions together: that takes one position from each row. Then the same once more, with tokens.",
#     "With `rows = torch.arange(len(logits), device=logits.device)`, `logits[rows, prompts.positions[\"END\"]]` has the shape `batch d_vocab`; index this with `rows` and prompts.io, and with `rows` and prompts.s.",
# ]
# [/exercise]
def logit_difference(logits: Float[Tensor, "batch pos d_vocab"], prompts: Prompts) -> Float[Tensor, "batch"]:
    """Logit of IO less logit of S at END of each text, in logits (nats)."""
    # BEGIN SOLUTION: the logits at each row's own END; there, IO's less S's
    rows = torch.arange(len(logits), device=logits.device)
    at_end = logits[rows, prompts.positions["END"]]
    return at_end[rows, prompts.io] - at_end[rows, prompts.s]
    # END SOLUTION


# %%
check(logit_difference)

# %% [markdown]
# ### How well is it done?
#
# A circuit is an explanation of a behaviour, so first make sure that there is a behaviour. Five numbers: **accuracy**,
# the share of texts in which IO gets a higher logit than S; the mean logit difference, and the lowest of all texts;
# **top-1**, the share in which IO is the likeliest of *all* words; and the mean probability of IO. And not only on
# average: by template, by order, and on prompts that are harder.


# %%
def behaviour(model: TransformerBridge, prompts: Prompts, name: str) -> None:
    """Print five figures of these prompts in a line."""
    logits = model(prompts.tokens)
    rows = torch.arange(len(prompts), device=logits.device)
    at_end = logits[rows, prompts.positions["END"]]
    difference = logit_difference(logits, prompts)
    figures = {
        "accuracy": (difference > 0).float().mean(),
        "logit difference": difference.mean(),
        "lowest": difference.min(),
        "top-1": (at_end.argmax(dim=-1) == prompts.io).float().mean(),
        "P(IO)": at_end.softmax(dim=-1)[rows, prompts.io].mean(),
    }
    print(f"{name:52}", *(f"{value:{len(column) + 1}.2f}" for column, value in figures.items()))


HEADING = f"{'':52}  accuracy  logit difference  lowest  top-1  P(IO)"

print(f"{MODEL}\n{HEADING}")
behaviour(model, prompts, "all prompts")
for number, template in enumerate(TEMPLATES):
    behaviour(model, select(prompts, torch.tensor(prompts.templates) == number), f"  {template[:46]}…")
behaviour(model, select(prompts, io_first(prompts)), "  IO first (ABBA)")
behaviour(model, select(prompts, ~io_first(prompts)), "  S first (BABA)")
print(f"\nioi-by-hand\n{HEADING}")
behaviour(hand, hand_prompts, "all prompts")
behaviour(hand, select(hand_prompts, io_first(hand_prompts)), "  IO first (ABBA)")
behaviour(hand, select(hand_prompts, ~io_first(hand_prompts)), "  S first (BABA)")

# %% [markdown]
# **You should see** the task done. The organism prefers IO in every text, by 15.9 on average and nowhere by less than
# 10, in both orders, and IO is the likeliest of all words, with 0.97. ioi-by-hand is right everywhere, too, and its
# logit difference depends on the order alone: 10.22 with IO first, 11.85 with S first.
#
# <details><summary>A question to think about: what does ioi-by-hand have against IO first?</summary>
#
# Nothing. One of its signals says "not the place of S2". It knows places by four clocks, and by these clocks a word 8
# or 9 places before S2, where IO stands in ABBA, looks a little like S2's own place (the hands have a dot product of
# 0.20), while a word 6 or 7 places before looks unlike it (−0.32). So there is a systematic effect of 1.6 that means
# nothing. Here we know that, because we wrote the weights; in a trained model somebody would explain it.
# </details>
#
# Three templates are few. The organism's world has many more sentences of this kind, among them some made to be harder:
# a third person stands by; a name comes twice *before* the pair is introduced, so that nobody "gives" at the end;
# another pair is introduced as well. `utils/data/ioi.py` has them all.

# %%
if MODEL.startswith("organism"):
    nouns = {"place": PLACES, "thing": THINGS, "other_thing": THINGS, "look": LOOKS, "weather": WEATHER, "gave": GAVE}
    nouns["D"] = ["Helen", "Frank", "Nora", "Simon"]  # a bystander
    complete = [opening for opening in ioi.OPENINGS if opening.endswith(".")]
    another = "Friends Clara and Oscar were playing in the {place}."
    kinds = {
        "one pair": [(opening, giving) for opening in ioi.OPENINGS for giving in ioi.GIVINGS[:5]],
        "unseen templates": [(opening, giving) for opening in ioi.HELD_OUT_OPENINGS for giving in ioi.HELD_OUT_GIVINGS],
        "a bystander is named": [(opening, giving) for opening in complete for giving in ioi.GIVINGS_WITH_DISTRACTOR],
        "the duplicate comes before the pair": [
            (first, opening, giving)
            for first in ioi.FIRST_MENTIONS
            for opening, giving in zip(complete, ioi.GIVINGS_WITHOUT_GIVER)
        ],
        "another pair before": [(another, opening, giving) for opening in complete for giving in ioi.GIVINGS[:3]],
        "another pair after": [(opening, another, giving) for opening in complete for giving in ioi.GIVINGS[:3]],
    }
    print(HEADING)
    for kind, sentences in kinds.items():
        templates = [" ".join(parts).partition(" {IO}")[0] for parts in sentences]
        harder = ioi_prompts(model, templates, PAIRS[:6], nouns, torch.Generator().manual_seed(0))
        behaviour(model, harder, f"{kind} ({len(harder)} prompts)")

# %% [markdown]
# **You should see** accuracies of 1.00 but for one row, and large differences behind them. A bystander's name halves
# the logit difference, and in the closest case 1.6 is left. Where the duplicate comes first and nobody gives at the
# end, the model is wrong in 2%, once by 4.2. Another pair in the text does little harm. So what we find on three
# templates will be a claim about these. Whether the same parts do the harder kinds is a question that no table of
# accuracies answers.
#
# For comparison: on 100,000 prompts of this kind, GPT-2 small prefers IO in 99.3% of cases and by 3.56 on average, and
# gives it a probability of 0.49 (Wang et al. 2022, section 2). So the organism's logit differences are larger. That
# does not make it cleverer: it has 80 names to choose from and lives in a small world, where after "gave a drink to"
# there is little to say but one of two names.
#
# ## A scale from corrupted to clean
#
# A patched run has a logit difference somewhere, usually, between that of the corrupted and that of the clean run. To
# say "this head restores 40%" we need a scale with two fixed points:
#
# $$m = \frac{\overline{\text{LD}} - \overline{\text{LD}}_\text{corrupted}}{\overline{\text{LD}}_\text{clean} - \overline{\text{LD}}_\text{corrupted}}$$
#
# 0 is as in the corrupted run, 1 as in the clean one. The bars are means over the prompts, and each is taken *before*
# dividing. A share for each prompt and the mean of these would be another number, and a bad one: in a prompt whose twin
# happens to have nearly the same logit difference you would divide by almost 0, and this prompt would outvote all
# others.
#
# The measure need not stay between 0 and 1. Above 1: more than all of it is back, as when a part that works *against*
# the answer is taken away. Below 0: worse than corrupted. Do not clip it; these are findings.


# %%
# [exercise]
# number = "4.6"
# title = "A scale from corrupted to clean"
# difficulty = 1
# importance = 4
# minutes = 10
# points = 1
# why = "It makes results of different models, prompts and twins comparable; and where its two ends agree, it says that there is nothing to explain."
# hints = [
#     "What must come out if `difference` is the corrupted run's own? And the clean one's?",
#     "Three means first. Then the way from corrupted to where you are, over the way from corrupted to clean. When is there no such way?",
#     "`whole = clean.mean() - corrupted.mean()`; a ValueError if the two means agree (torch.isclose); then `(difference.mean() - corrupted.mean())` over `whole`.",
# ]
# [/exercise]
def normalised_metric(
    difference: Float[Tensor, "batch"], clean: Float[Tensor, "batch"], corrupted: Float[Tensor, "batch"]
) -> Float[Tensor, ""]:
    """How far the mean of `difference` has come from the mean of the corrupted run (0) to that of the clean one (1).

    Raises `ValueError` where these two means agree.
    """
    # BEGIN SOLUTION: the share of the way, of means
    if torch.isclose(clean.mean(), corrupted.mean()):
        raise ValueError(f"clean and corrupted runs both have the mean {clean.mean():.4g}: nothing is between them")
    return (difference.mean() - corrupted.mean()) / (clean.mean() - corrupted.mean())
    # END SOLUTION


# %%
check(normalised_metric)

# %% [markdown]
# The sweeps of the next part want a *metric*: a function of logits that gives one number for each text. Since the scale
# is linear, it can be applied to each text and averaged afterwards, as long as both fixed points are means over all
# texts. `recovery` makes such a metric. And here are the four runs that everything to come is about, with what they
# keep.


# %%
def recovery(
    prompts: Prompts, clean: Float[Tensor, "batch"], corrupted: Float[Tensor, "batch"]
) -> Callable[[Float[Tensor, "batch pos d_vocab"]], Float[Tensor, "batch"]]:
    """A metric for sweeps, one number for each text, whose mean over texts is `normalised_metric`."""
    start, whole = corrupted.mean(), clean.mean() - corrupted.mean()
    return lambda logits: (logit_difference(logits, prompts) - start) / whole


# not everything: GPT-2's caches of these prompts would take 6 GB
KEPT = "embed pos_embed resid_pre resid_mid resid_post q k v z pattern mlp_out scale".split()
keep = dict(names_filter=lambda name: name.endswith(tuple(f"hook_{kept}" for kept in KEPT)))

clean_logits, clean_cache = model.run_with_cache(prompts.tokens, **keep)
twin_logits, twin_cache = model.run_with_cache(twins.tokens, **keep)
hand_logits, hand_cache = hand.run_with_cache(hand_prompts.tokens, **keep)
hand_twin_logits, hand_twin_cache = hand.run_with_cache(hand_twins.tokens, **keep)

clean_difference = logit_difference(clean_logits, prompts)
twin_difference = logit_difference(twin_logits, prompts)
hand_difference = logit_difference(hand_logits, hand_prompts)
hand_twin_difference = logit_difference(hand_twin_logits, hand_prompts)
metric = recovery(prompts, clean_difference, twin_difference)
hand_metric = recovery(hand_prompts, hand_difference, hand_twin_difference)

print("mean logit difference, and on the scale from ABC to clean:")
for name, each, hands in (
    ("clean", prompts, hand_prompts),
    ("ABC", twins, hand_twins),
    ("S2 is IO", flipped, hand_flipped),
    ("S2 is a third", third, hand_third),
):
    mine = logit_difference(model(each.tokens), prompts)
    theirs = logit_difference(hand(hands.tokens), hand_prompts)
    on_scale = normalised_metric(mine, clean_difference, twin_difference)
    on_hand_scale = normalised_metric(theirs, hand_difference, hand_twin_difference)
    print(
        f"{name:14} {MODEL}: {mine.mean():6.2f} ({on_scale:5.2f})   "
        f"ioi-by-hand: {theirs.mean():6.2f} ({on_hand_scale:5.2f})"
    )

# %% [markdown]
# **You should see** what the twins were made for. Under ABC both models are undecided between two names that are not
# there. With S2 turned into IO the difference is the clean one with its sign turned round, −1 on the scale. And a third
# name at S2 is as good as ABC for taking the answer away: 0 on average, though both names still stand in the text.
#
# ## The logit difference, taken apart
#
# Who writes the answer? In chapter 2 you took the logit of one word apart into what each component wrote (exercise
# 2.10). The logit difference is the difference of two such sums, so it is again a sum, over the same components $c$:
#
# $$\text{LD} = \sum_c \frac{\text{write}_c}{\text{scale}} \cdot \big(W_U[:, \text{IO}] - W_U[:, \text{S}]\big) + b_U[\text{IO}] - b_U[\text{S}]$$
#
# All of it at END, which differs by row; the scale is that of the final LayerNorm *at END*, **frozen** at what it is in
# the run, since it depends on all writes at once. ioi-by-hand has no LayerNorm (`model.cfg.normalization_type is
# None`), so there the scale is 1, and the cache has none.
#
# The order of components is that of chapter 2:


# %%
def component_labels(model: TransformerBridge) -> list[str]:
    """The name of everything that adds to a logit, in the order of the forward pass."""
    labels = ["embed", "pos_embed"]
    for layer in range(model.cfg.n_layers):
        labels += [head_label(layer, head) for head in range(model.cfg.n_heads)]
        labels.append(f"L{layer}.b_O")
        if not model.cfg.attn_only:
            labels.append(f"L{layer}.mlp")
    return [*labels, "b_U"]


print(*component_labels(model))


# %%
# [exercise]
# number = "4.7"
# title = "The logit difference, component by component"
# difficulty = 3
# importance = 5
# minutes = 30
# points = 4
# why = "It finds the last step of the circuit, the heads that write the answer, from a single run and without any intervention. Everything before the last step has to be found by other means."
# hints = [
#     "Which entries of the cache are writes into the stream already, and which must go through W_O first? At which position of each row?",
#     "Take everything at END before anything else: `cache[...][rows, ends]` loses its axis of positions. Heads: z of each times its own W_O. Stack; divide by the final scale at END if the model has LayerNorm; dot product with W_U of IO less W_U of S.",
#     "writes begin with cache[\"embed\"] and cache[\"pos_embed\"] at END; per layer einops.einsum(z, model.W_O[layer], \"batch head d_head, head d_head d_model -> head batch d_model\"), model.b_O[layer] expanded, cache[\"mlp_out\", layer] unless attn_only. `direction = model.W_U.T[prompts.io] - model.W_U.T[prompts.s]`, over cache[\"ln_final.hook_scale\"][rows, ends]. Last row: b_U of IO less that of S.",
# ]
# [/exercise]
def logit_difference_by_component(
    model: TransformerBridge, cache: ActivationCache, prompts: Prompts
) -> Float[Tensor, "component batch"]:
    """What each component writes directly into the logit difference at END; over all components, its sum.

    The components are those of `component_labels(model)`. LayerNorm's scale is that of the run in `cache`; a model
    without LayerNorm has none.
    """
    # BEGIN SOLUTION: every write at END on the direction of IO less S over the frozen scale; then b_U
    ends = prompts.positions["END"]
    rows = torch.arange(len(ends), device=ends.device)
    embed = cache["embed"]
    writes = [embed[rows, ends], cache["pos_embed"].expand_as(embed)[rows, ends]]
    for layer in range(model.cfg.n_layers):
        z = cache["z", layer][rows, ends]
        writes += einops.einsum(z, model.W_O[layer], "batch head d_head, head d_head d_model -> head batch d_model")
        writes.append(model.b_O[layer].expand_as(writes[0]))
        if not model.cfg.attn_only:
            writes.append(cache["mlp_out", layer][rows, ends])
    direction = model.W_U.T[prompts.io] - model.W_U.T[prompts.s]
    if model.cfg.normalization_type is not None:
        direction = direction / cache["ln_final.hook_scale"][rows, ends]
    parts = einops.einsum(torch.stack(writes), direction, "component batch d_model, batch d_model -> component batch")
    return torch.cat([parts, (model.b_U[prompts.io] - model.b_U[prompts.s])[None]])
    # END SOLUTION


# %%
check(logit_difference_by_component)

# %% [markdown]
# First on the model whose answer is known. In ioi-by-hand, two heads write the name they look at with a factor of 8
# (Wang et al. call such heads **name movers**), and one with a factor of −4 (a **negative name mover**). From END, all
# three look at IO with 0.96 and at S with 0.04, its two places together (means over these prompts). So it should be
# twice 8 · (0.96 − 0.04) = 7.36, once half of that with a minus, and nothing else. If your function says anything else,
# your function is wrong.

# %%
hand_parts = logit_difference_by_component(hand, hand_cache, hand_prompts)
residual_sum(
    dict(zip(component_labels(hand), hand_parts.mean(dim=1).tolist())),
    total=hand_difference.mean().item(),
    title="ioi-by-hand: two name movers write the answer, a negative one writes against it",
    value_name="logit difference",
)

# %% [markdown]
# **You should see** just that: L3H0 and L3H1 with +7.36 each, L3H2 with −3.68, and 0.00 everywhere else, which makes
# the model's 11.04. Note what is *not* there. Five other heads belong to the circuit of ioi-by-hand. Without the two of
# layer 2, for instance, it gets every prompt wrong. They write nothing into the answer, so attribution does not know
# them.
#
# Now the organism, whose circuit nobody wrote.

# %%
parts = logit_difference_by_component(model, clean_cache, prompts)
residual_sum(
    dict(zip(component_labels(model), parts.mean(dim=1).tolist())),
    total=clean_difference.mean().item(),
    title=f"{MODEL}: who writes IO rather than S",
    value_name="logit difference",
)

# %% [markdown]
# **You should see** another kind of picture. One head stands out, L2H1 with +1.66; L3H0 writes −0.44, L1H0 −0.26, and
# the others are near 0. All heads together write 0.6 of 15.9. Everything else is written by MLPs: 3.9, 1.3, 6.3 and 3.8
# from the first layer to the last.
#
# An MLP sees one position only. What it writes at END about Mary and John, it can only make from what heads have
# *brought* to END. So a large entry of an MLP says where the answer is written, and not who found it. (Wang et al.
# study the attention heads of GPT-2 and let the MLPs run as they would; ioi-by-hand has none. Here you will have to
# keep an eye on them.)
#
# ### By order
#
# A mean over both orders is free of what depends on the order, and also blind to it. Here are the heads in the two
# halves.


# %%
def by_head(parts: Float[Tensor, "component batch"], model: TransformerBridge) -> Float[Tensor, "layer head batch"]:
    """The rows that belong to heads."""
    heads = [index for index, label in enumerate(component_labels(model)) if "H" in label]
    return einops.rearrange(parts[heads], "(layer head) batch -> layer head batch", layer=model.cfg.n_layers)


def layer_and_head(model: TransformerBridge) -> dict[str, str | list[str]]:
    """The labels of a figure with a row for each layer and a column for each head."""
    x, y = [f"H{head}" for head in range(model.cfg.n_heads)], [f"L{layer}" for layer in range(model.cfg.n_layers)]
    return {"x": x, "y": y, "x_name": "head", "y_name": "layer"}


first = io_first(prompts)
compare(
    by_head(parts, model)[..., first].mean(dim=-1),
    by_head(parts, model)[..., ~first].mean(dim=-1),
    titles=("IO first (ABBA)", "S first (BABA)"),
    title="L2H1 writes the same in both orders, L2H3 and L3H0 the opposite: role, and place",
    **layer_and_head(model),
    signed=True,
)

# %% [markdown]
# **You should see** three kinds of heads. **L2H1** writes +1.9 and +1.4: whatever it knows, it does not depend on who
# stands first. **L2H3** writes −2.5 and +3.0: it says whoever stands *second*. **L3H0** writes +1.9 and −2.8: it says
# whoever stands *first*. Each of these two is right in one half of the texts and wrong in the other, and on average
# over both orders they are at 0.2 and −0.4, as if they had no part in anything. Only one head of the three goes by
# role.
#
# So which is the circuit? A head that says the second name gives the right answer in half of all texts, and must be
# outvoted in the other half. Among trained models this is nothing unusual, and a mean hides it.
#
# ## What the logit difference hides
#
# A difference of two logits does not see what raises both. A head that looks at *both* names and copies whatever it
# sees writes IO and S alike. Its entry above is 0, and yet without it the model might say "her", or some third name.
# And a positive entry can mean two things: IO was raised, or S was lowered.
#
# So take the difference apart once more. With $\overline{\text{names}}$, the mean logit of twelve names,
#
# $$\text{LD} = \big(\text{IO} - \overline{\text{names}}\big) - \big(\text{S} - \overline{\text{names}}\big)$$
#
# and each of the two is a logit difference itself, which your function can take apart: between IO (or S) and each of
# the names, and then the mean.


# %%
name_tokens = torch.tensor([name_token(model, name) for name in NAMES], device=device)


def against_names(function: Callable, who: Int[Tensor, "batch"]) -> Float[Tensor, "row batch"]:
    """What `function` gives for the logit of `who` less the mean logit of NAMES, on the model's clean run."""
    rows = [function(model, clean_cache, replace(prompts, io=who, s=token.expand_as(who))) for token in name_tokens]
    return torch.stack(rows).mean(dim=0)


to_io = against_names(logit_difference_by_component, prompts.io)
to_s = against_names(logit_difference_by_component, prompts.s)
print("           IO      S")
for label, io, s in zip(component_labels(model), to_io.mean(dim=1).tolist(), to_s.mean(dim=1).tolist()):
    if max(abs(io), abs(s)) > 0.25:
        print(f"{label:8} {io:5.2f}  {s:5.2f}")

compare(
    by_head(to_io, model).mean(dim=-1),
    by_head(to_s, model).mean(dim=-1),
    titles=("IO less the mean of names", "S less the mean of names"),
    title="Some heads say both names, and the logit difference does not see them",
    **layer_and_head(model),
    signed=True,
)

# %% [markdown]
# **You should see** that the logit difference made large heads look small. L2H3 raises IO by 2.1 and S by 1.8, L3H0 by
# 0.9 and 1.4: over both orders they say *both* names of the text, out of all there are. Their difference is small, or
# even against the answer; but without them neither name might be in the race. **L2H1** raises IO by 1.7 and leaves S
# where it was: it says Mary, and Mary alone. No head lowers S; the MLPs do, by 3.0, 1.0, 3.1 and 1.1.
#
# The logit difference hides two more things. **It says nothing about other words**: it may be large while the model
# says "the"; hence top-1 and P(IO) in the table above. And **a mean over prompts hides the prompts**: 4 may be 4
# everywhere, or 12 in a third of them and 0 in the others; hence the column of the lowest. GPT-2 small is a warning.
# Somebody ran it on all nine million prompts of the BABA templates ([*GPT-2 Sometimes Fails at
# IOI*](https://ronakrm.github.io/ioi-tails)): it prefers the giver in 1.3% of them, and these are not spread evenly but
# gather at some names, as when Lisa gives.
#
# There is also what *direct* attribution cannot see, whatever the metric: a head that tells another head where to look
# writes nothing that the unembedding reads. It has an entry near 0 here, and may be the most important one of all. That
# is what the next part is for.
#
# ## Layer by layer
#
# Before you intervene, one more look, with a ruler: the logit lens of chapter 2, for the logit difference. At which
# layer does END know the answer? Row $\ell$ reads the stream before layer $\ell$ as if it were the end, with the
# LayerNorm of what is read (each stream has its own scale, because the question is what a model that stopped there
# would say); the last row is the model itself.


# %%
# [exercise]
# number = "4.8"
# title = "The logit difference, layer by layer"
# difficulty = 2
# importance = 3
# minutes = 10
# points = 2
# why = "It dates the decision at END. What happens at other positions before that, it cannot see, which is where patching begins."
# hints = [
#     "You wrote a lens in exercise 2.9. Which streams are in the cache, and which function of this chapter reads two logits at END?",
#     "For each stream (resid_pre of every layer, and resid_post of the last): ln_final, unembed, and the logit difference of these logits. Stack the results on a new first axis.",
#     "`streams = [cache[\"resid_pre\", layer] for layer in range(model.cfg.n_layers)]` and cache[\"resid_post\", model.cfg.n_layers - 1]; for each of them `logit_difference(model.unembed(model.ln_final(stream)), prompts)`; torch.stack.",
# ]
# [/exercise]
def logit_difference_by_layer(
    model: TransformerBridge, cache: ActivationCache, prompts: Prompts
) -> Float[Tensor, "layer+1 batch"]:
    """The logit difference that the residual stream at END gives before each layer and, as the last row, at the end."""
    # BEGIN SOLUTION: each stream through ln_final and unembed, and the logit difference of what comes out
    last = model.cfg.n_layers - 1
    streams = [cache["resid_pre", layer] for layer in range(last + 1)] + [cache["resid_post", last]]
    return torch.stack([logit_difference(model.unembed(model.ln_final(stream)), prompts) for stream in streams])
    # END SOLUTION


# %%
check(logit_difference_by_layer)

# %%
lines(
    range(model.cfg.n_layers + 1),
    {
        "IO less S": logit_difference_by_layer(model, clean_cache, prompts).mean(dim=1),
        "IO less the mean of names": against_names(logit_difference_by_layer, prompts.io).mean(dim=1),
        "S less the mean of names": against_names(logit_difference_by_layer, prompts.s).mean(dim=1),
        "ioi-by-hand: IO less S": logit_difference_by_layer(hand, hand_cache, hand_prompts).mean(dim=1),
    },
    title="The organism: layer 0 knows who it is not, layers 2 and 3 say who it is",
    x_name="layers that have written",
    y_name="logit difference",
)

# %% [markdown]
# **You should see** END decide in two steps. After layer 0 the difference is 5.2 already. But IO has hardly risen; what
# happened is that S has *fallen*, to 4.0 below other names. That can be known early: S2 is the last name before END,
# and two heads of layer 0 look there (L0H0 and L0H2, with 0.56 and 0.45 of their attention). Something then writes "not
# him", and it is L0.mlp, by the sum above. Who it is *instead* comes in layers 2 and 3, with IO at 8.5 and 12.5. In
# ioi-by-hand there is nothing to be read before the last layer, though five heads have done all the work by then.
#
# That is as far as looking goes. You know who writes the answer, and when. You do not know what these parts read, who
# told them, or what would happen without them: a head that tells others where to look has written nothing that this
# chapter's functions could see so far. For that, you must change something.

# %% [markdown]
# ## Activation patching: what if this one thing were different?
#
# Attribution says who *writes* the answer, and not what the answer *depends on*. For causes, one must intervene.
# Ablation, as in chapter 2, takes a part away. **Activation patching** does something finer: it exchanges one
# activation for the one that the model has on *another text*. If the two texts differ in one respect only, then so does
# the activation, and what follows in the output is the effect of just that.
#
# (Vig et al. 2020 brought the idea to language models, as causal mediation analysis. Geiger et al. 2021 call it an
# interchange intervention. The causal tracing of Meng et al. 2022 restores activations in a run on a text whose
# embeddings were disturbed by noise.)

# %%
diagram("activation_patching")

# %% [markdown]
# Two runs take part, and it pays to be pedantic about which is which:
#
# - the **source** has already been run. It only lends an activation, out of its cache;
# - the **patched run** is run now, on `tokens`. It is the one whose output is measured.
#
# All functions in this part take them in this order: `model, tokens, source`. The same function then does two
# experiments, depending on what you hand it:
#
# | | `tokens` | `source` | asks |
# |---|---|---|---|
# | **denoising** | corrupted | clean | does this activation alone *bring the answer back*? |
# | **noising** | clean | corrupted | does the answer *go away* when this activation alone is spoilt? |
#
# They sound like the same question asked twice. You will see that they are not.
#
# As corrupted texts we take at first those in which **S2 is IO**: "Mary and John went to the store. Mary gave a drink
# to". Nothing but the name that stands twice has changed, so both runs know the same names at the same places, and they
# give opposite answers. Everything that differs between them differs *because of S2*. To have positions line up, we use
# prompts of one template: 16 of them, with four pairs of names in both roles and both orders.


# %%
@dataclass(frozen=True)
class Runs:
    """A clean and a corrupted run of one model on texts that stand side by side, and a metric for them."""

    name: str
    model: TransformerBridge
    clean: Prompts
    corrupted: Prompts
    clean_cache: ActivationCache
    corrupted_cache: ActivationCache
    # one number per text; its mean is 1 on the clean and 0 on the corrupted texts
    metric: Callable[[Float[Tensor, "batch pos d_vocab"]], Float[Tensor, "batch"]]


def run_both(name: str, model: TransformerBridge, clean: Prompts, corrupted: Prompts) -> Runs:
    """Both runs with their caches; prints the two mean logit differences."""
    clean_logits, clean_cache = model.run_with_cache(clean.tokens, **keep)
    corrupted_logits, corrupted_cache = model.run_with_cache(corrupted.tokens, **keep)
    differences = [logit_difference(logits, clean) for logits in (clean_logits, corrupted_logits)]
    print(f"{name:12} logit difference {differences[0].mean():.2f} clean, {differences[1].mean():.2f} corrupted")
    return Runs(name, model, clean, corrupted, clean_cache, corrupted_cache, recovery(clean, *differences))


first_template = [row for row, number in enumerate(prompts.templates) if number == 0][:16]
one, one_flipped = select(prompts, first_template), select(flipped, first_template)
hand_one, hand_one_flipped = select(hand_prompts, first_template), select(hand_flipped, first_template)
print(one.texts[0], "|", one_flipped.texts[0], sep="\n")
runs_of_both = [run_both(MODEL, model, one, one_flipped), run_both("ioi-by-hand", hand, hand_one, hand_one_flipped)]
by_hand = runs_of_both[1]

# %% [markdown]
# The metric is the one of exercise 4.6: 0 is what the corrupted run says, 1 what the clean one says. With these twins,
# 0.5 means that both names are equally likely, and 0 that the model is as sure of the wrong name as it is of the right
# one otherwise.
#
# ### The first patch
#
# The coarsest thing to exchange is the whole residual stream at one position: everything that the model has worked out
# there so far. At `resid_pre` of layer $\ell$ and position $p$, the patched run is given
#
# $$\text{resid\_pre}_{\ell, p} \leftarrow \text{resid\_pre}^{\text{source}}_{\ell, p}$$
#
# and goes on from there. One worked example: `layer` 0. There the stream is embedding plus position embedding and
# nothing else, so to patch position $p$ is the same as to exchange the *word* at $p$ in the text. (The checker uses
# this.) From layer 1 on, other positions have already read that word, and keep what they have read.
#
# Positions differ from text to text, so `pos` may be a tensor with one position for each text of the batch. Two tensors
# as indices are paired: `x[rows, pos]` is, for every text, its own position, if `rows` is `torch.arange(batch)`. But
# `x[:, pos]` is every position in the list, for every text.
#
# The hook point is `blocks.{layer}.hook_resid_pre`, and `source[name]`, with its full name, gives the tensor to take
# from, whether `source` is a cache or a plain dictionary. (`hook.name` may be another name of the same place, here
# `blocks.{layer}.hook_in`; use the one that you hooked.)


# %%
# [exercise]
# number = "4.9"
# title = "Patch the residual stream"
# difficulty = 2
# importance = 5
# minutes = 15
# points = 3
# why = "This is the experiment that all others here are made of: hold everything, change one thing, look at the end. Said in five lines, it leaves no room for doubt about what was held and what was changed."
# hints = [
#     "A hook that returns a tensor replaces what passed. What is the same in that tensor as in the one that passed, and what is not?",
#     "Inside the hook: copy the stream; with `rows` the numbers of the texts, set the copy at `[rows, pos]` to the source's stream of the same layer at `[rows, pos]`; return the copy. An int as `pos` works in the same line.",
#     "name = f\"blocks.{layer}.hook_resid_pre\"; in the hook resid = resid.clone(), then resid[rows, pos] = source[name][rows, pos], then return resid. Give [(name, patch)] to model.run_with_hooks as fwd_hooks.",
# ]
# [/exercise]
def patch_residual(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    layer: int,
    pos: Int[Tensor, "batch"] | int,
) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits on `tokens` when the residual stream before `layer` is the source's at one position of each text.

    `pos` is that position, or one for each text. `source` holds activations by hook name, of a run with the same rows.
    """
    # BEGIN SOLUTION: run with a hook on resid_pre that takes the source's stream at each text's position
    name = f"blocks.{layer}.hook_resid_pre"
    rows = torch.arange(len(tokens), device=tokens.device)

    def patch(resid: Float[Tensor, "batch pos d_model"], hook) -> Float[Tensor, "batch pos d_model"]:
        resid = resid.clone()
        resid[rows, pos] = source[name][rows, pos]
        return resid

    return model.run_with_hooks(tokens, fwd_hooks=[(name, patch)])
    # END SOLUTION


# %%
check(patch_residual)

# %% [markdown]
# Where does the model keep, at each layer, which name stands twice? We restore the stream at S2, and then at END,
# before each layer.

# %%
for runs in runs_of_both:
    layers = range(runs.model.cfg.n_layers)
    restored = {
        role: [
            runs.metric(
                patch_residual(runs.model, runs.corrupted.tokens, runs.clean_cache, layer, runs.clean.positions[role])
            ).mean()
            for layer in layers
        ]
        for role in ("S1", "S2", "END")
    }
    show(
        lines(
            layers,
            restored,
            title=f"{runs.name}: what S2 says is first at S2, and later at END",
            x_name="patched before layer",
            y_name="share of the way to clean",
            references={"clean": 1, "corrupted": 0},
        )
    )

# %% [markdown]
# **You should see** two steps, at different heights. In ioi-by-hand, what S2 says is at S2, and nowhere else, before
# layers 0, 1 and 2; before layer 3 it is at END, and S2 is of no use any more (−0.03). In the organism it has moved
# after a single layer: from layer 1 on, END alone brings back all of it. S1 has nothing to say in either model; up to
# S2, both texts are the same.
#
# So, two questions: who carries it to END, and who makes an answer of it there?

# %% [markdown]
# ### Down to heads
#
# A head is a small program with parts of its own, and each can be exchanged by itself:
#
# | `what` | hook point | axes | what it means to patch it |
# |---|---|---|---|
# | `"q"` | `attn.hook_q` | `batch pos head d_head` | the head *asks* what it asks on the other text |
# | `"k"` | `attn.hook_k` | `batch pos head d_head` | positions *present themselves* to it as on the other text |
# | `"v"` | `attn.hook_v` | `batch pos head d_head` | it looks where it looks, and *is given* what stands there on the other text |
# | `"pattern"` | `attn.hook_pattern` | `batch head query key` | it *looks where* it looks on the other text, and takes what is there on this one |
# | `"z"` | `attn.hook_z` | `batch pos head d_head` | its whole *output* is that of the other text |
#
# Mind the axes of the pattern: the head comes second there. `pos` is optional now, and without it the whole text is
# patched. For q, k, v and z it is the position whose vector is exchanged; for the pattern it is the **query**, that is,
# a row: what does this position look at?
#
# Anything else as `what` must not pass silently. A typing error, say `"Q"`, would otherwise patch something else, and
# the number would look like any other. Raise a `ValueError` that says what `what` was.


# %%
# [exercise]
# number = "4.10"
# title = "Patch a head"
# difficulty = 3
# importance = 5
# minutes = 25
# points = 4
# why = "That a head matters is the beginning. Whether it matters by where it looks or by what it carries there, tells you which earlier head to look for next."
# hints = [
#     "In which two respects does the pattern differ from the other four? Could one line of code serve all five once you have taken the head's own part out?",
#     "Take the head's part of the copy and of the source: `[:, head]` for the pattern, `[:, :, head]` for the others. Both parts then have axes batch and pos (or query) first, and are views: what you write into them lands in the copy. Without `pos` write all of it, with `pos` write at `[rows, pos]`.",
#     "def part(x): return x[:, head] if what == \"pattern\" else x[:, :, head]. In the hook: activation = activation.clone(); index = slice(None) if pos is None else (rows, pos); part(activation)[index] = part(source[name])[index]; return activation.",
# ]
# [/exercise]
def patch_head(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    layer: int,
    head: int,
    what: str = "z",
    pos: Int[Tensor, "batch"] | int | None = None,
) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits on `tokens` when one head's "z", "q", "k", "v" or "pattern" is the source's.

    At all positions, or at `pos`: one position, or one for each text; for the pattern it is the query.
    Raises `ValueError`, which says what `what` was, for anything else.
    """
    # BEGIN SOLUTION: refuse any other `what`; exchange the head's part of that activation, everywhere or at pos
    if what not in ("z", "q", "k", "v", "pattern"):
        raise ValueError(f'what must be "z", "q", "k", "v" or "pattern", but it is "{what}"')
    name = f"blocks.{layer}.attn.hook_{what}"
    index = slice(None) if pos is None else (torch.arange(len(tokens), device=tokens.device), pos)

    def part(activation: Tensor) -> Float[Tensor, "batch pos last"]:
        return activation[:, head] if what == "pattern" else activation[:, :, head]

    def patch(activation: Tensor, hook) -> Tensor:
        activation = activation.clone()
        part(activation)[index] = part(source[name])[index]
        return activation

    return model.run_with_hooks(tokens, fwd_hooks=[(name, patch)])
    # END SOLUTION


# %%
check(patch_head)

# %% [markdown]
# Try it where you know what must come out. In ioi-by-hand, L0H0 (a **duplicate-token** head) and L1H0 (an induction
# head) find out at S2 which name has come before, L2H0 (an **S-inhibition** head) takes that to END, and L3H0 moves a
# name. Before you run the cell: which of the five matters for each of them? (Both texts have the same names, and only
# S2 differs.)

# %%
KINDS = ("z", "q", "k", "v", "pattern")
print(f"{'restored in ioi-by-hand':24}" + "".join(f"{what:>9}" for what in KINDS))
for layer, head in ((0, 0), (0, 1), (1, 0), (2, 0), (3, 0), (3, 2), (3, 3)):
    restored = [
        by_hand.metric(patch_head(hand, by_hand.corrupted.tokens, by_hand.clean_cache, layer, head, what)).mean()
        for what in KINDS
    ]
    print(f"{head_label(layer, head):24}" + "".join(f"{value:9.2f}" for value in restored))

# %% [markdown]
# **You should see** what each of them does:
#
# - L0H0 and L1H0 matter by what they *ask*: query, pattern and output bring back 0.57 each, keys and values nothing. S2
#   asks "where did my name stand before?", and its name is what differs.
# - L2H0 matters by what it *carries*: values 0.57, and 0.00 for query and pattern. It looks at S2 in both runs. What it
#   finds there is another name to inhibit.
# - L3H0 matters by its query again (0.69), since the inhibition is read there, and so by its pattern. The 0.11 of its
#   keys comes from S2, which offers another name as a place to look at. L3H2, the negative name mover, has the same
#   with the sign turned.
# - L3H3 looks where the name movers look. But what it writes nobody reads: 0.00 throughout. It is one of eight
#   **decoys**, which the script has put beside the eight heads of the circuit.
# - **L0H1 is 0.00 throughout, too. And it is in the circuit**: a previous-token head, it tells S1+1 which name stands
#   before. It just does the very same in both runs. Keep this one in mind.

# %% [markdown]
# ## Sweeps: every cell at once
#
# Nobody knows beforehand which head to patch. So one patches them all, one after the other, and makes a map: a
# **sweep**. Each cell of the map is one experiment, a run of the model with one patch. For heads by position that is
# layers × heads × positions: 256 runs for this model and these texts of 16 tokens, and 2,304 in GPT-2 small.
#
# How long does a run take? Doing sums, for one text in this small model: less than a millisecond. All the rest, 7 ms or
# so, is what a forward pass costs whatever goes through it: Python, hooks, the launch of some hundred small operations.
# So do not run 256 times. The model takes a batch; it does not care whether the rows of that batch are
# different texts or the *same* text with different patches. Lay all cells side by side, each with all its texts:
#
# | row | 0 | 1 | … | `batch - 1` | `batch` | `batch + 1` | … | `2 * batch - 1` | … |
# |---|---|---|---|---|---|---|---|---|---|
# | text | 0 | 1 | … | `batch - 1` | 0 | 1 | … | `batch - 1` | … |
# | cell | 0 | 0 | … | 0 | 1 | 1 | … | 1 | … |
#
# So cell `i` has the rows `i * batch` up to `(i + 1) * batch`. `tokens.repeat(n, 1)` makes these rows, and
# `logits.unflatten(0, (n, batch))` takes the logits apart again, cell by cell. The hook patches, in every cell's rows,
# what that cell is about, and leaves all other rows alone.
#
# Memory sets the limit. A forward pass of `rows` rows holds `rows × pos × d_vocab` logits, for GPT-2 small 3.2 MB a
# row. So there is a budget, `rows_at_once`: take as many whole cells at a time as fit into it, **but always at least
# one**, also where a single cell has more rows than the budget.
#
# A metric is a function of the logits of *the batch*: it knows where END is in each of the `batch` texts, and gives one
# number for each. Call it once per cell, on that cell's rows. What goes into the map is its mean.


# %%
# [exercise]
# number = "4.11"
# title = "Sweep the residual stream"
# difficulty = 4
# importance = 5
# minutes = 35
# points = 5
# why = "Interpretability is limited by how many experiments you can afford. Cells as rows is how sweeps are made affordable on any hardware, and the same trick serves ablation, steering and every other intervention."
# hints = [
#     "First write the slow version in your head: two loops and patch_residual. Then: which cells go into one forward pass, which rows belong to which of them, and what must the hook of layer 2 know?",
#     "List all cells as (layer, pos). Take `max(1, rows_at_once // batch)` of them at a time. Hook resid_pre of every layer with one function that goes through the group, and for each cell of *its* layer (`hook.layer()`) sets the rows of that cell, at that position, to the source's. Then the metric's mean on each cell's part of the logits.",
#     "In the hook: for place, (layer, pos) in enumerate(group): if layer == hook.layer(): resid[place * batch : (place + 1) * batch, pos] = source[names[layer]][:, pos]. Afterwards: values += [metric(part).mean() for part in logits.unflatten(0, (len(group), batch))], and at the end torch.stack(values).reshape(n_layers, n_pos).",
# ]
# [/exercise]
def residual_sweep(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    metric: Callable[[Float[Tensor, "batch pos d_vocab"]], Float[Tensor, "batch"]],
    rows_at_once: int = 512,
) -> Float[Tensor, "layer pos"]:
    """The metric's mean over the batch when the residual stream before each layer is the source's at each position.

    Cells go through the model side by side, as many as fit into `rows_at_once` rows; at least one at a time.
    """
    # BEGIN SOLUTION: groups of cells as rows of one forward pass; a hook on each layer's resid_pre patches each cell's rows
    batch, n_pos = tokens.shape
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(model.cfg.n_layers)]
    cells = [(layer, pos) for layer in range(model.cfg.n_layers) for pos in range(n_pos)]
    at_once = max(1, rows_at_once // batch)
    values = []
    for start in range(0, len(cells), at_once):
        group = cells[start : start + at_once]

        def patch(resid: Float[Tensor, "row pos d_model"], hook, group=group) -> Float[Tensor, "row pos d_model"]:
            resid = resid.clone()
            for place, (layer, pos) in enumerate(group):
                if layer == hook.layer():
                    resid[place * batch : (place + 1) * batch, pos] = source[names[layer]][:, pos]
            return resid

        logits = model.run_with_hooks(tokens.repeat(len(group), 1), fwd_hooks=[(name, patch) for name in names])
        values += [metric(part).mean() for part in logits.unflatten(0, (len(group), batch))]
    return torch.stack(values).reshape(model.cfg.n_layers, n_pos)
    # END SOLUTION


# %%
check(residual_sweep)

# %% [markdown]
# Now the whole map, by layer and position. The columns are words, or roles, or … where each text has a word of its own.


# %%
def column_labels(model: TransformerBridge, prompts: Prompts) -> list[str]:
    """For each position the roles that stand there in some text, or else the word, or … where texts have several."""
    columns = []
    for position, column in enumerate(prompts.tokens.T):
        roles = [role for role in ("IO", "S1", "S2", "END") if (prompts.positions[role] == position).any()]
        word = model.tokenizer.decode(column[0]).strip() if (column == column[0]).all() else "…"
        columns.append("/".join(roles) or word)
    return columns


def all_heads(model: TransformerBridge) -> list[tuple[int, int]]:
    """(layer, head) of every head, in the order of the forward pass."""
    return [(layer, head) for layer in range(model.cfg.n_layers) for head in range(model.cfg.n_heads)]


def head_labels(model: TransformerBridge) -> list[str]:
    return [head_label(*pair) for pair in all_heads(model)]


for runs in runs_of_both:
    show(
        heatmap(
            residual_sweep(runs.model, runs.corrupted.tokens, runs.clean_cache, runs.metric),
            title=f"{runs.name}, denoising: the clean run's residual stream at one position, before one layer",
            x=column_labels(runs.model, runs.clean),
            y=layer_and_head(runs.model)["y"],
            x_name="position",
            y_name="patched before layer",
            signed=True,
            value_name="restored",
        )
    )

# %% [markdown]
# **You should see** two maps that are nearly white. Of 64 cells, one in layer 0 is at 1.00, S2, where the word was
# changed, and then one in each layer: END (organism, from layer 1 on), or S2 and in the end END (ioi-by-hand). What
# lies between S2 and END in the text takes no part; the name is not handed on from word to word. This is what is meant
# when people say that an effect is *localised*. (Where both texts agree, to the left of S2, zeros are no finding. There
# was nothing to exchange.)

# %% [markdown]
# ## Every head
#
# The stream says *where* something is known. Which heads put it there? A map of `layer head`, for any of the five
# activations, over all positions at once. Rows and cells are as before; only what the hook replaces is different.


# %%
# [exercise]
# number = "4.12"
# title = "Sweep the heads"
# difficulty = 3
# importance = 5
# minutes = 25
# points = 4
# why = "This one map, for z, is the first that most people make of a new behaviour: it takes a question about a whole model to a list of a few heads."
# hints = [
#     "Compare with the sweep that you have: what is a cell now, and what does the hook set in the rows of a cell?",
#     "Cells are (layer, head); the hook point is that of `what` in each layer. In the rows of a cell, all positions of one head: the head is on axis 2, for the pattern on axis 1.",
#     "rows = slice(place * batch, (place + 1) * batch), then either activation[rows, head] = source[name][:, head] (pattern) or activation[rows, :, head] = source[name][:, :, head]. Reshape the values to (n_layers, n_heads).",
# ]
# [/exercise]
def head_sweep(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    metric: Callable[[Float[Tensor, "batch pos d_vocab"]], Float[Tensor, "batch"]],
    what: str = "z",
    rows_at_once: int = 512,
) -> Float[Tensor, "layer head"]:
    """The metric's mean over the batch when each head's "z", "q", "k", "v" or "pattern" is the source's, everywhere.

    Cells go through the model side by side, as many as fit into `rows_at_once` rows; at least one at a time.
    Raises `ValueError`, which says what `what` was, for anything else.
    """
    # BEGIN SOLUTION: as in residual_sweep, with one head of `what` at all positions in the rows of each cell
    if what not in ("z", "q", "k", "v", "pattern"):
        raise ValueError(f'what must be "z", "q", "k", "v" or "pattern", but it is "{what}"')
    batch, n_layers, n_heads = len(tokens), model.cfg.n_layers, model.cfg.n_heads
    names = [f"blocks.{layer}.attn.hook_{what}" for layer in range(n_layers)]
    cells = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    at_once = max(1, rows_at_once // batch)
    values = []
    for start in range(0, len(cells), at_once):
        group = cells[start : start + at_once]

        def patch(activation: Tensor, hook, group=group) -> Tensor:
            activation = activation.clone()
            for place, (layer, head) in enumerate(group):
                if layer == hook.layer():
                    rows = slice(place * batch, (place + 1) * batch)
                    if what == "pattern":
                        activation[rows, head] = source[names[layer]][:, head]
                    else:
                        activation[rows, :, head] = source[names[layer]][:, :, head]
            return activation

        logits = model.run_with_hooks(tokens.repeat(len(group), 1), fwd_hooks=[(name, patch) for name in names])
        values += [metric(part).mean() for part in logits.unflatten(0, (len(group), batch))]
    return torch.stack(values).reshape(n_layers, n_heads)
    # END SOLUTION


# %%
check(head_sweep)

# %% [markdown]
# Which heads bring the answer back?

# %%
for runs in runs_of_both:
    show(
        heatmap(
            head_sweep(runs.model, runs.corrupted.tokens, runs.clean_cache, runs.metric),
            title=f"{runs.name}, denoising: the output of one head from the clean run",
            **layer_and_head(runs.model),
            signed=True,
            value_name="restored",
        )
    )

# %% [markdown]
# **You should see** in ioi-by-hand seven heads: 0.57 for each of L0H0, L1H0, L2H0 and L2H1, 0.67 for both name movers,
# −0.33 for the negative one. All others are white, and the eighth head of the circuit, L0H1, is among them. That the
# shares sum to far more than 1 is no error: the heads work one after the other, and whoever restores the message early
# restores everything after it.
#
# In the organism there are two heads, **L0H0 and L0H2, with 0.43 each**, then L2H1 with 0.13, L0H1 with 0.06, L2H3 with
# 0.04. (L0H0, L0H1 and L0H2 together bring back 1.01.) Already different from ioi-by-hand and from GPT-2 small: most of
# it happens in layer 0.

# %% [markdown]
# ### What each direction shows
#
# All these maps restored something in a corrupted run. One could as well go the other way and spoil something in a
# clean one. Would it be the same heads? Think of two parts, A and B, that work together, and of what comes out if *one*
# of them is exchanged. Say each part says 1 in the clean run and 0 in the corrupted one.

# %%
COMBINED = {"A and B": lambda a, b: a * b, "A or B": lambda a, b: max(a, b), "half A, half B": lambda a, b: (a + b) / 2}
print(f"{'the answer is':16} {'denoising A: restored':>22} {'noising A: lost':>17}")
for name, answer in COMBINED.items():
    restored = answer(1, 0) - answer(0, 0)  # corrupted, but A is clean
    lost = answer(1, 1) - answer(0, 1)  # clean, but A is corrupted
    print(f"{name:16} {restored:22.1f} {lost:17.1f}")

# %% [markdown]
# Three circuits, and in two of them one direction is blind ([Heimersheim and Nanda
# 2024](https://arxiv.org/abs/2404.15255)):
#
# - **AND.** Both parts are needed. Restoring A alone brings nothing back, since B is still wrong: *denoising overlooks
#   both parts*. Noising finds both.
# - **OR.** Each part suffices. Spoiling A alone breaks nothing, since B is still there: *noising overlooks both parts*.
#   Denoising finds both. A **backup head**, which takes over when another one fails, is an OR. Wang et al. (2022) found
#   several in GPT-2 small when they knocked out its name movers. How much of such *self-repair* is heads that step in
#   is disputed: some of it is LayerNorm, which divides by less when less has been written (Rushing and Nanda 2024).
# - **Sum.** Each part adds its share, and both directions agree.
#
# So denoising finds what **suffices**, given that everything else is corrupted; noising finds what is **necessary**,
# given that everything else is clean. A set of parts that brings the answer back may leave out half of what the model
# uses (the other ways to get there), and a part that can be spoilt without harm may still be one that does the work.
# Say which one you did. "We patched the head and it matters" is half a sentence.
#
# Real models do not come labelled AND and OR. In ioi-by-hand you can see both, since you know its parts.
#
# For an **AND** take the ABC twins, which have three other names. The answer is in them nowhere. A name mover must then
# *look* where IO stands, which is its pattern, and *find IO's name there*, which is its values.
#
# For an **OR** take the twins in which S2 is a **third name**: no name stands twice, so nobody is inhibited, but IO and
# S are both there. L2H0 and L2H1 each inhibit S by half. A softmax of which one half of a push already moves most of
# the weight makes an OR of the two.


# %%
def patch_heads(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    heads: Iterable[tuple[int, int]],
) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits on `tokens` when z of all these heads is the source's, at all positions."""

    def patch(z: Float[Tensor, "batch pos head d_head"], hook, head: int) -> Float[Tensor, "batch pos head d_head"]:
        z = z.clone()
        z[:, :, head] = source[f"blocks.{hook.layer()}.attn.hook_z"][:, :, head]
        return z

    hooks = [(f"blocks.{layer}.attn.hook_z", partial(patch, head=head)) for layer, head in heads]
    return model.run_with_hooks(tokens, fwd_hooks=hooks)


hand_abc = run_both("ioi-by-hand", hand, hand_one, select(hand_twins, first_template))
hand_three = run_both("ioi-by-hand", hand, hand_one, select(hand_third, first_template))

print(f"\n{'':36} {'restored':>9} {'lost':>6}")
for what in ("pattern", "v", "z"):
    runs = hand_abc
    restored = runs.metric(patch_head(hand, runs.corrupted.tokens, runs.clean_cache, 3, 0, what)).mean()
    lost = 1 - runs.metric(patch_head(hand, runs.clean.tokens, runs.corrupted_cache, 3, 0, what)).mean()
    print(f"{'three other names: ' + what + ' of L3H0':36} {restored:9.2f} {lost:6.2f}")
for heads in ([(2, 0)], [(2, 1)], [(2, 0), (2, 1)]):
    runs = hand_three
    restored = runs.metric(patch_heads(hand, runs.corrupted.tokens, runs.clean_cache, heads)).mean()
    lost = 1 - runs.metric(patch_heads(hand, runs.clean.tokens, runs.corrupted_cache, heads)).mean()
    label = " and ".join(head_label(*pair) for pair in heads)
    print(f"{'S2 a third name: ' + label:36} {restored:9.2f} {lost:6.2f}")

# %% [markdown]
# **You should see** the AND in the first three rows. The pattern alone restores 0.00: the head looks at the right
# place, and finds a wrong name. The values alone restore less than nothing, −0.24: now both names are there to be
# found, but it looks at all three places alike, and S has two of them. Both together, which is z, restore 0.67. Yet to
# spoil one of the two costs as much as to spoil both, which is 0.67, or more. (The pattern costs 0.91: a name mover
# that finds names, but looks at all places alike, says S.)
#
# And the OR in the last three. Each of L2H0 and L2H1 alone restores 0.64; both together only 0.86. Each alone, when
# spoilt, costs 0.33; both together 1.36, four times as much. (That is more than 1, because S stands twice in the clean
# text: name movers that nobody tells whom to avoid prefer it, and the metric falls below that of the corrupted text,
# where no name stands twice.) Had you only spoilt heads one at a time, you would have called S-inhibition a minor
# matter.
#
# Now both directions for every head, with the ABC twins. (With the twins that have IO at S2, there would be nothing to
# compare: they are good texts of the task themselves, with the roles of the two names exchanged. So to restore one of
# them is to spoil the other, and both maps are the same.)

# %%
abc_of_both = [run_both(MODEL, model, one, select(twins, first_template)), hand_abc]
for runs in abc_of_both:
    show(
        compare(
            head_sweep(runs.model, runs.corrupted.tokens, runs.clean_cache, runs.metric),
            1 - head_sweep(runs.model, runs.clean.tokens, runs.corrupted_cache, runs.metric),
            titles=("denoising: restored", "noising: lost"),
            title=f"{runs.name}: the output of one head from the other run, which has three other names",
            **layer_and_head(runs.model),
            signed=True,
        )
    )

# %% [markdown]
# **You should see** two quite different pictures of ioi-by-hand, of which the truth is known. Denoising finds three
# heads, those that write the answer. Noising finds all eight, with L0H1, which these twins show at last, since they
# have another name at S1. Why are five heads blind spots of denoising? They tell the name movers where *not* to look.
# In the ABC twins the answer is nowhere, and to look in the right place is of no use: the AND that you have just seen.
#
# In the organism the two maps nearly agree: 0.35 and 0.37 for L0H0, 0.33 and 0.34 for L0H2, 0.13 and 0.11 for L2H1. So
# there the parts rather add up. L2H3 differs, 0.08 against 0.17.

# %% [markdown]
# ### By what does a head matter: asking, finding, carrying
#
# The map of z says that a head matters. To know *what it received*, patch its queries, keys, values and pattern. All
# five maps, one row each, heads side by side:

# %%
for runs in runs_of_both:
    show(
        heatmap(
            torch.stack(
                [
                    head_sweep(runs.model, runs.corrupted.tokens, runs.clean_cache, runs.metric, what).flatten()
                    for what in KINDS
                ]
            ),
            title=f"{runs.name}, denoising: what of each head brings the answer back?",
            x=head_labels(runs.model),
            y=KINDS,
            x_name="head",
            y_name="patched",
            signed=True,
            value_name="restored",
        )
    )

# %% [markdown]
# **You should see** for ioi-by-hand what you saw above, now for all heads. In the organism, two kinds of head are told
# apart at a glance:
#
# - **L0H0 and L0H2 by their values** (0.43 and 0.44), not by query, key or pattern. They are in layer 0, so they read
#   words and positions only. From END they look at S2 in both runs (mean attention 0.53 and 0.42) and bring its name
#   along, whatever it is.
# - **L2H1 by its query** (0.14), and so by its pattern. What END has been told decides where it looks: it pays 0.67 to
#   IO and 0.18 to S1. With the other S2, the same two numbers the other way round. That is a name mover.
#
# A chain suggests itself: a name gets to END in layer 0, becomes part of L2H1's query there, and L2H1 looks away from
# it. It is only a suggestion, since these maps do not show who listens to whom. And it cannot be everything: L2H1
# brings back 0.13 only. Who else makes an answer of it? Not another head.


# %%
def patch_mlp_at_end(runs: Runs, layer: int) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits on the corrupted texts when the output of a layer's MLP at END is that of the clean run."""
    name, ends = f"blocks.{layer}.hook_mlp_out", runs.clean.positions["END"]
    rows = torch.arange(len(ends), device=ends.device)

    def patch(written: Float[Tensor, "batch pos d_model"], hook) -> Float[Tensor, "batch pos d_model"]:
        written = written.clone()
        written[rows, ends] = runs.clean_cache[name][rows, ends]
        return written

    return runs.model.run_with_hooks(runs.corrupted.tokens, fwd_hooks=[(name, patch)])


later_heads = [(layer, head) for layer in range(1, model.cfg.n_layers) for head in range(model.cfg.n_heads)]
runs = runs_of_both[0]
restored = runs.metric(patch_heads(model, runs.corrupted.tokens, runs.clean_cache, later_heads)).mean()
print(f"all heads from layer 1 on, together: {restored:.2f} restored")
if not model.cfg.attn_only:
    for layer in range(model.cfg.n_layers):
        print(f"the MLP of layer {layer} at END: {runs.metric(patch_mlp_at_end(runs, layer)).mean():.2f} restored")

# %% [markdown]
# **You should see** that all heads after layer 0 *together* bring back 0.09 (some work against the others), and the MLP
# of layer 0 at END alone 1.02; those of layers 2 and 3 bring back 0.40 and 0.20. So this model answers mostly by its
# MLPs: two heads carry the name that was said last to END, and what the MLPs make of it there lowers that name and
# raises the other. (Directly, as you saw above, those of layers 0 and 2 write −3.0 and −3.1 into the logit of S, and
# those of layers 2 and 3 write 3.1 and 2.7 into that of IO, measured from the mean of names.) A map of heads would
# never have told you. In GPT-2 small, Wang et al. (2022) knocked out one MLP at a time and found none but the first to
# matter much; their circuit is one of heads. That is a finding about that model, not a rule.

# %% [markdown]
# ## Heads by position
#
# Finally the finest of the maps: each head at each position, `layer head pos`. It is also the largest, so it pays to
# look at what the sweeps so far compute for nothing.
#
# 1. **The layers before the patch.** In the rows of a cell of layer 3, layers 0 to 2 compute what they compute in the
#    unpatched run. So start at the layer of the patch, from the `resid_pre` that the unpatched run had there. The
#    blocks of a model can be called one by one, hooks and all; the function `run_from` below does it. Cells of one
#    layer then go together. On average that saves three eighths of the work in a model of four layers.
# 2. **Patches that change nothing.** Up to S2, the two runs have read the same words. What a head writes there is the
#    same number for number in both, and to exchange it for itself changes nothing. Such a cell need not be run: its
#    value is the metric of the *unpatched run*. (Not 0! And it can only be left out if source and own run agree in
#    *all* texts.) With our twins, that is two thirds of all cells.


# %%
def run_from(
    model: TransformerBridge, resid: Float[Tensor, "batch pos d_model"], layer: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits when the residual stream before `layer` is `resid`; layers before it do not run. Hooks work as usual."""
    for block in model.blocks[layer:]:
        written = block(resid)
        # some kinds of block hand back a tuple, with the stream in front
        resid = written[0] if isinstance(written, tuple) else written
    return model.unembed(model.ln_final(resid))


# %% [markdown]
# `run_from` runs the blocks, and so the hooks that are on them. But it takes no `fwd_hooks`. Put the hooks on with
# `with model.hooks(fwd_hooks=[(name, patch)]):`, which takes them off again at its end, also when something inside
# raises.
#
# Whether you make use of the two savings is up to you; the checker accepts any sweep that has the right values, keeps
# within its budget, and does not run cell by cell.


# %%
# [exercise]
# number = "4.13"
# title = "Sweep heads by position"
# difficulty = 4
# importance = 4
# minutes = 35
# points = 5
# why = "A head does different things at different words, and a circuit is about heads at places. This map has them all, and it is the one that is hopeless without batching."
# hints = [
#     "What is a cell now, and what has its value if it is not run at all? What do all cells of one layer have in common?",
#     "Run `tokens` once with a cache. Fill the result with the metric's mean of that run. Then for each layer: list the cells (pos, head) in which z of source and own run differ in any text; in groups of `max(1, rows_at_once // batch)` cells, repeat the own resid_pre of that layer for each cell, and run from there under a hook on this layer's z.",
#     "differs = (source[name] != own[name]).any(dim=-1).any(dim=0) has axes pos and head; cells = differs.nonzero().tolist(). In the hook: z[place * batch : (place + 1) * batch, pos, head] = source[name][:, pos, head]. Then logits = run_from(model, own[\"resid_pre\", layer].repeat(len(group), 1, 1), layer), and results[layer, head, pos] = metric(part).mean() for each cell's part.",
# ]
# [/exercise]
def head_position_sweep(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    metric: Callable[[Float[Tensor, "batch pos d_vocab"]], Float[Tensor, "batch"]],
    rows_at_once: int = 512,
) -> Float[Tensor, "layer head pos"]:
    """The metric's mean over the batch when z of each head is the source's at each position.

    Cells go through the model side by side, as many as fit into `rows_at_once` rows; at least one at a time.
    """
    # BEGIN SOLUTION: layer by layer from the own stream there; only cells in which source and own run differ are run
    batch, n_pos = tokens.shape
    logits, own = model.run_with_cache(tokens)
    results = metric(logits).mean().repeat(model.cfg.n_layers, model.cfg.n_heads, n_pos)
    at_once = max(1, rows_at_once // batch)
    for layer in range(model.cfg.n_layers):
        name = f"blocks.{layer}.attn.hook_z"
        differs = (source[name] != own[name]).any(dim=-1).any(dim=0)
        cells = differs.nonzero().tolist()
        for start in range(0, len(cells), at_once):
            group = cells[start : start + at_once]

            def patch(z: Float[Tensor, "row pos head d_head"], hook, group=group, name=name) -> Tensor:
                z = z.clone()
                for place, (pos, head) in enumerate(group):
                    z[place * batch : (place + 1) * batch, pos, head] = source[name][:, pos, head]
                return z

            with model.hooks(fwd_hooks=[(name, patch)]):
                logits = run_from(model, own["resid_pre", layer].repeat(len(group), 1, 1), layer)
            for (pos, head), part in zip(group, logits.unflatten(0, (len(group), batch))):
                results[layer, head, pos] = metric(part).mean()
    return results
    # END SOLUTION


# %%
check(head_position_sweep)

# %%
for runs in runs_of_both:
    show(
        heatmap(
            head_position_sweep(runs.model, runs.corrupted.tokens, runs.clean_cache, runs.metric).flatten(0, 1),
            title=f"{runs.name}, denoising: one head at one position",
            x=column_labels(runs.model, runs.clean),
            y=head_labels(runs.model),
            x_name="position",
            y_name="head",
            signed=True,
            value_name="restored",
        )
    )

# %% [markdown]
# **You should see** again how little is needed. In ioi-by-hand, L0H0 and L1H0 work at S2, and all others at END, as
# their script says. In the organism everything is at END, also in layer 0: nothing that any head does elsewhere brings
# back more than 0.002. So in the organism no head finds out *at S2* that the name has come before, at least not in a
# way that depends on which of the two names it is.

# %% [markdown]
# ## Attribution patching: a whole sweep from one gradient
#
# 256 cells are no trouble. A large model has thousands of heads and millions of neurons, each at hundreds of positions,
# and for each cell a run. Can one *estimate* what a patch would do, without running it?
#
# A patch moves an activation from its own value $a$ to the source's $a^{\text{source}}$. If that were a small step, the
# metric $m$ would change by the step times the slope:
#
# $$m\big(a \leftarrow a^{\text{source}}\big) - m \;\approx\; \big(a^{\text{source}} - a\big) \cdot \frac{\partial m}{\partial a}$$
#
# The slope is the gradient of the metric in the run that is to be patched, at the activation as it is there. And one
# backward pass gives the gradients of *all* activations at once. So one run of the source, one run on `tokens`, one
# backward pass, and every cell of every map is a dot product. This is **attribution patching** (Nanda 2023; its scores
# are used as edges of circuits by Syed et al. 2023).
#
# A worked example: one number $a$, own value 1, source's value 3, $m = a^2$. The gradient at 1 is 2, so the estimate is
# $(3 - 1) \cdot 2 = 4$. The truth is $9 - 1 = 8$: the slope at the start says nothing of how it goes on.
#
# Note what comes out: a *change* of the metric, not its value after the patch. To compare it with a sweep, subtract the
# metric of the unpatched run from the sweep.
#
# How to get at the gradient of each layer's `z`? `z` is no leaf: autograd does not keep its gradient by itself, and
# cutting it out of the graph (with `detach`) would cut off everything that earlier heads do by way of later ones. A
# neat way: in a hook on every layer's `z`, **add a tensor of zeros that requires grad**. It changes nothing, and the
# gradient with respect to it is the gradient with respect to `z`. `torch.autograd.grad(total, zeros)` then gives all of
# them, and leaves nothing behind; `total.backward()` would also fill the `.grad` of every weight of the model, and
# leave it there. (Whoever keeps `z` itself must also *return* it from the hook. Hooks are handed a view of their own,
# and only what they return is sure to be what goes on.)
#
# The metric gives one number per text, and no text has to do with another's activations. So the gradient of the *sum*
# over texts holds each text's own gradient in its own row. The dot product is over `d_head`, text by text; the mean
# over texts comes last. And gradients are off in this chapter: turn them on inside, `with torch.enable_grad():`, which
# turns them off again at its end (`torch.set_grad_enabled(True)` would leave them on for all later cells).


# %%
# [exercise]
# number = "4.14"
# title = "Attribution patching"
# difficulty = 4
# importance = 4
# minutes = 30
# points = 4
# why = "It makes maps of models possible in which nobody can run a sweep. And because it is so cheap, it is used where it should not be: one who has seen it fail checks first."
# hints = [
#     "Which run is the gradient taken in, and which two values of z make the difference? Where do you have each of them?",
#     "In hooks on every layer's z, keep z and add zeros that require grad. Sum the metric over texts, ask torch.autograd.grad for the gradients of all zeros. Then for each layer (source z - own z) times gradient, summed over d_head, averaged over the batch, with axes put in the order head, pos.",
#     "zeros[layer] = torch.zeros_like(z, requires_grad=True); return z + zeros[layer]. grads = torch.autograd.grad(metric(logits).sum(), zeros). For each layer: einops.einsum(source[name] - own[layer], grads[layer], \"batch pos head d_head, batch pos head d_head -> head pos\") / batch, with own[layer] detached.",
# ]
# [/exercise]
def attribution_sweep(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    metric: Callable[[Float[Tensor, "batch pos d_vocab"]], Float[Tensor, "batch"]],
) -> Float[Tensor, "layer head pos"]:
    """An estimate of how much the metric's mean changes when z of each head is the source's at each position.

    To first order, from one forward and one backward pass on `tokens`. After Nanda (2023),
    https://www.neelnanda.io/mechanistic-interpretability/attribution-patching.
    """
    # BEGIN SOLUTION: add zeros to each z, take the summed metric's gradient with respect to them, and dot it with source - own
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(model.cfg.n_layers)]
    own, zeros = {}, {}

    def keep(z: Float[Tensor, "batch pos head d_head"], hook) -> Float[Tensor, "batch pos head d_head"]:
        name = names[hook.layer()]
        own[name], zeros[name] = z.detach(), torch.zeros_like(z, requires_grad=True)
        return z + zeros[name]

    with torch.enable_grad():
        logits = model.run_with_hooks(tokens, fwd_hooks=[(name, keep) for name in names])
        gradients = torch.autograd.grad(metric(logits).sum(), [zeros[name] for name in names])
    estimates = [
        einops.einsum(source[name] - own[name], gradient, "batch pos head d_head, batch pos head d_head -> head pos")
        for name, gradient in zip(names, gradients)
    ]
    return torch.stack(estimates) / len(tokens)
    # END SOLUTION


# %%
check(attribution_sweep)

# %% [markdown]
# You have the truth: the sweep. So put the estimate of every cell beside it, as points. On the dashed line, they agree.
# We take the twins in which S2 is a third name, with which the two directions differ, and add the ABC twins in figures.

# %%
third_of_both = [run_both(MODEL, model, one, select(third, first_template)), hand_three]


def truth_and_estimate(runs: Runs) -> dict[str, Float[Tensor, "two layer head pos"]]:
    """For both directions the true and the estimated change of the metric, of every head at every position."""
    directions = {
        "denoising": (runs.corrupted.tokens, runs.clean_cache, 0),  # the last is the metric of the unpatched run
        "noising": (runs.clean.tokens, runs.corrupted_cache, 1),
    }
    return {
        direction: torch.stack(
            [
                head_position_sweep(runs.model, tokens, source, runs.metric) - unpatched,
                attribution_sweep(runs.model, tokens, source, runs.metric),
            ]
        )
        for direction, (tokens, source, unpatched) in directions.items()
    }


for twins_name, pair_of_runs in (("S2 a third name", third_of_both), ("three other names", abc_of_both)):
    for runs in pair_of_runs:
        pairs = truth_and_estimate(runs)
        cells = [
            f"{head} at {word}" for head in head_labels(runs.model) for word in column_labels(runs.model, runs.clean)
        ]
        for direction, both in pairs.items():
            truth, estimate = both.flatten(1)
            worst = (truth - estimate).abs().argmax()
            print(
                f"{runs.name}, {twins_name}, {direction}: correlation {torch.corrcoef(both.flatten(1))[0, 1]:.2f};"
                f" worst is {cells[worst]}: {truth[worst]:.2f}, estimated {estimate[worst]:.2f}"
            )
        if pair_of_runs is third_of_both:
            show(
                scatter(
                    {direction: truth for direction, (truth, _) in pairs.items()},
                    {direction: estimate for direction, (_, estimate) in pairs.items()},
                    names=dict.fromkeys(pairs, cells),
                    name_farthest=8,
                    title=f"{runs.name}: each head at each position, what a patch does and what the gradient says",
                    x_name="true change of the metric",
                    y_name="estimated change",
                )
            )

# %% [markdown]
# **You should see** two kinds of result.
#
# **In the organism the estimate is good for a search.** Denoising, it is nearly the truth (correlation 1.00). Noising,
# it has the right cells in the right order, but L0H0 and L0H2 at END at about half of their size (−0.42 and −0.40,
# estimated −0.19 and −0.21). With the ABC twins, noising, even a sign is wrong: L2H3 at END costs 0.16, and the
# estimate says that it gains 0.09.
#
# **In ioi-by-hand it misses the beginning of the circuit.** L0H0 and L1H0 at S2 bring back 0.43 each. The estimate is
# **0.00**. And there is no uncertainty about the truth here. Why? In the corrupted run no name stands twice, so L2H0
# finds nothing and rests on BOS, with nearly all of its weight. There its softmax is *saturated*: if a key has weight
# $p$, the slope of $p$ is $p\,(1 - p)$ times that of its score, and next to 0 when $p$ is close to 0 or 1. A small step
# of what S2 says changes nothing; the whole step takes L2H0 off BOS. The gradient knows of small steps only.
#
# A wrong zero is the worst of errors, because nobody looks again where there is a zero. Kramár et al. (2024, *AtP\**)
# name two causes of such false negatives, saturated attention and direct and indirect effects that cancel in the
# estimate, and mend the first by computing the softmax anew for patched queries and keys. Other ways out: take the
# gradient at several points on the way from own to source, as integrated gradients do (Hanna et al. 2024 do so for
# edges); and always run the true patches for the top of the list, and for a sample of the rest.

# %% [markdown]
# ## What batching is worth
#
# TransformerLens has functions for these maps, in `transformer_lens.patching`. They run cell by cell, and are what your
# sweeps were compared with. `circuits bench --patching` runs both in turn on the organism:
#
# | heads by position, 256 cells | TransformerLens | in few passes | |
# |---|---|---|---|
# | 1 text, S2 is IO | 1,550 ms | 66 ms | 23 times faster |
# | 1 text, three other names | 2,010 ms | 169 ms | 12 times |
# | 8 texts, S2 is IO | 2,850 ms | 479 ms | 6 times |
# | 8 texts, three other names | 3,040 ms | 1,330 ms | 2.3 times |
#
# (One thread of a shared AMD EPYC, on which the ratios differ by a fifth from run to run; the values agree to the last
# digit.) What batching saves is the fixed price of a pass. With one text, that is nearly all there is to pay. With
# eight, the sums begin to count, and no arrangement of rows makes them fewer; what still helps then is not to compute
# what is known. It also shows why the second saving is worth having: with twins that share most of their text, two
# cells of three need not be run at all.
#
# ## What patching shows, and what it does not
#
# You have now seen every cell of every map. Before the next part takes the maps apart into paths, what may you say?
#
# - **Patching shows only what differs.** L0H1 of ioi-by-hand is blank when S2 alone differs, and costs 0.66 when all
#   names do. What both texts share (BOS, positions, the words of the template) no patch between them can show. So the
#   choice of the corrupted text is part of the question.
# - **One cell at a time shows no AND when restoring, and no OR when spoiling.** A blank cell in one direction is no
#   evidence of absence. Do both, and where it matters, patch sets.
# - **An effect is a total effect.** A patched head acts through everybody who comes after it. The map does not say
#   whether L0's output is read by the name movers or by somebody who tells them. That is what path patching is for.
# - **A patched run is a state that the model is never in.** One activation says John, all others say Mary. What the
#   later parts make of such a mixture is a fact about the model, but it need not be what they do on any text. Small
#   patches are safer than large ones, and activations of real texts are safer than zeros or noise (Zhang and Nanda 2024
#   compare ways to corrupt, and find that the choice can change which parts are found).
# - **A share is relative to these two runs and this metric.** It can be above 1 or below 0, and 0.5 means something
#   else for these twins (both names alike) than for ABC twins.
# - **Where, not how.** That an activation carries an answer does not say in which form, nor that changing it there is
#   the best way to change the answer: in factual recall, where tracing finds a fact and where an edit succeeds are
#   nearly unrelated (Hase et al. 2023).

# %% [markdown]
# ## Paths: who tells whom
#
# Patching a head says *that* it matters. It does not say for whom. The change goes into the residual stream, and every
# later part may read it: the unembedding, the query of one head, the values of another, and by way of them all parts
# that come after. What you measure at the end is the sum of all that.
#
# Look first where the truth is known: on ioi-by-hand, each head's output taken from the twins, beside what each head
# writes into the logit difference directly.

# %%
compare(
    1 - head_sweep(hand, hand_prompts.tokens, hand_twin_cache, hand_metric),
    by_head(hand_parts, hand).mean(dim=-1) / hand_difference.mean(),
    titles=("share lost when its z is the twins'", "share written directly, by attribution"),
    title="ioi-by-hand: eight heads matter, but only three of them write the answer",
    **layer_and_head(hand),
    signed=True,
)

# %% [markdown]
# **You should see** eight coloured cells on the left and three on the right. L0H0, L0H1, L1H0, L2H0 and L2H1 write
# nothing of the answer; without them it is lost nevertheless. So they act through others. Through whom? The left
# picture cannot say, and the right one leaves them out.
#
# ### One path at a time
#
# A **path** goes from a *sender* to a *receiver*: from a head's z to the logits, say, or from a head's z to the query
# of another head. **Path patching** changes what goes along one path and nothing else. Wang et al. found most of their
# circuit with it, and [Goldowsky-Dill et al. 2023](https://arxiv.org/abs/2304.05969) describe it in general. Left in
# the picture: what we do not want.

# %%
diagram("path_patching")

# %% [markdown]
# 1. Run the model on the *source* (here the twins) and on the *tokens* (here the prompts) as they are. Keep the z of
#    every head of both; call them z′ and z.
# 2. Run on the tokens once more, with the z of **every** head set: of the sender to z′, of all others to z. All that
#    heads tell each other is now frozen. Whatever still differs from the first run on the tokens, anywhere in the
#    model, comes from the sender directly. If the receiver is the logits, you are done: these are the patched logits.
# 3. If the receiver is a head's query, read that query off run 2, and run on the tokens a last time with nothing set
#    but this one query.
#
# What about the **MLPs**? They are not heads, and what the sender writes passes through them too. Wang et al. let them
# be computed anew, so that "direct" means: *through no other attention head*, be it straight or by way of MLPs. We do
# so as well; with `freeze_mlps=True` they are frozen too, and only the straight path is left. LayerNorm is always
# computed anew. It divides by a scale that depends on the whole stream; hence effects of single paths need not add up
# to the effect of all of them, and neither need they where a softmax or an MLP comes after.
#
# In formulas, for the path from head $h$ to the logits, with $f$ for all that is computed anew (MLPs, LayerNorm,
# unembedding):
#
# $$\text{logits} = f\Big(\text{embeddings} + \sum_{h' \neq h} z^{h'} W_O^{h'} + z'^{\,h} W_O^{h} + b_O\Big)$$
#
# We patch from the twins into the prompts (noising): what is lost was carried by this path. Everything in this section
# can be run in the other direction as well, and then says what one path alone brings back.


# %%
# [exercise]
# number = "4.15"
# title = "The path from a head to the logits"
# difficulty = 3
# importance = 5
# minutes = 25
# points = 4
# why = "The direct effect of a head, measured by intervention: it tells those who write the answer from those who tell others what to write."
# hints = [
#     "Which activations have to be set in run 2, so that no head reacts to the sender? You need their values from a run of your own on `tokens`; only the sender's come from `source`.",
#     "Names: f\"blocks.{each}.attn.hook_z\" for every layer, and with freeze_mlps f\"blocks.{each}.hook_mlp_out\" too (a model with cfg.attn_only has none). Keep them with run_with_cache(tokens, names_filter=names), clone, put the sender's part of the source into the clone, and let one hook per name return its clone. A function made in a loop sees the loop's last value: bind the name, as in `lambda _, hook, name=name: frozen[name]`.",
#     "frozen = {name: own[name].clone() for name in names}; z = f\"blocks.{layer}.attn.hook_z\"; frozen[z][:, :, head] = source[z][:, :, head]; then run_with_hooks(tokens, fwd_hooks=[...]) with one pair (name, function) for each name.",
# ]
# [/exercise]
def path_patch_to_logits(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    layer: int,
    head: int,
    freeze_mlps: bool = False,
) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits on `tokens` when one head's z is that of the source and all other heads keep their own.

    So what it changes reaches the logits through no other head. MLPs are computed anew, unless `freeze_mlps`, and
    LayerNorm always. `source` has the activations of another run with the same rows, by their hook names.
    After Wang et al. (2022), https://arxiv.org/abs/2211.00593, appendix B.
    """
    # BEGIN SOLUTION: keep every z of a run on `tokens`; run again with all of them set, the sender's to the source's
    names = [f"blocks.{each}.attn.hook_z" for each in range(model.cfg.n_layers)]
    if freeze_mlps and not model.cfg.attn_only:
        names += [f"blocks.{each}.hook_mlp_out" for each in range(model.cfg.n_layers)]
    _, own = model.run_with_cache(tokens, names_filter=names)
    frozen = {name: own[name].clone() for name in names}
    z = f"blocks.{layer}.attn.hook_z"
    frozen[z][:, :, head] = source[z][:, :, head]
    return model.run_with_hooks(tokens, fwd_hooks=[(name, lambda _, hook, name=name: frozen[name]) for name in names])
    # END SOLUTION


# %%
check(path_patch_to_logits)

# %% [markdown]
# Test the tool where the truth is known. ioi-by-hand has no MLPs and no LayerNorm, so its logits are a plain sum. The
# path from a head to the logits then carries just what attribution says the head writes: the logit difference should
# fall by the attribution on the prompts less that on the twins. To the last digit, for every head:

# %%
on_twins = logit_difference_by_component(hand, hand_twin_cache, hand_prompts)
by_attribution = by_head(hand_parts - on_twins, hand).mean(dim=-1)

by_path = torch.zeros_like(by_attribution)
for layer, head in all_heads(hand):
    logits = path_patch_to_logits(hand, hand_prompts.tokens, hand_twin_cache, layer, head)
    by_path[layer, head] = (hand_difference - logit_difference(logits, hand_prompts)).mean()

print(f"largest difference between path patching and attribution: {(by_path - by_attribution).abs().max():.1e}")
for layer, head in by_path.abs().gt(0.01).nonzero().tolist():
    print(f"{head_label(layer, head)}: the logit difference falls by {by_path[layer, head]:.2f}")

# %% [markdown]
# **You should see** a difference of rounding, about 2e-07, and three heads. Without the paths of the name movers L3H0
# and L3H1 the logit difference falls by 7.36 each; without that of L3H2, the negative name mover, it *rises* by 3.68.
# Together that is the whole logit difference, 11.04: nobody else writes the answer.
#
# In a model with LayerNorm and MLPs the two need not agree, and there path patching is the one to trust: it runs the
# model, where attribution pretends that the scale and the MLPs do not notice.
#
# ### How much goes through the MLPs?
#
# The organism has MLPs. Compare each head's path to the logits with MLPs computed anew and with MLPs frozen.

# %%
n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
direct = {}
for freeze_mlps in (False, True):
    direct[freeze_mlps] = torch.zeros(n_layers, n_heads)
    for layer, head in all_heads(model):
        logits = path_patch_to_logits(model, prompts.tokens, twin_cache, layer, head, freeze_mlps)
        direct[freeze_mlps][layer, head] = 1 - metric(logits).mean()

compare(
    direct[False],
    direct[True],
    titles=("share lost, MLPs computed anew", "share lost, MLPs frozen"),
    title=f"{MODEL}: two heads of layer 0 reach the logits by way of MLPs",
    **layer_and_head(model),
    signed=True,
)

# %% [markdown]
# **You should see** a surprise. On the left the darkest cells are in layer 0: L0H2 (0.43) and L0H0 (0.39). Four tenths
# of the logit difference each, though no other head hears of the change. On the right both are white (−0.01). So what
# they write is of no use to the unembedding; an MLP reads it and makes the answer of it. Patching with MLPs frozen
# would have missed the two strongest paths of the model, and so would attribution. L2H1, which looks like a name mover,
# has 0.11, of which 0.07 is straight.
#
# Which MLP is it? The hooks of run 2 are worth having as a function, since the next exercise needs the same run too, to
# read something else off it. Here they are, as a list of pairs for `run_with_hooks`. Take out the pair of one MLP, and
# it is computed anew while the others stay frozen; or the pairs of all others, and it alone is frozen.


# %%
def path_hooks(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    sender: tuple[int, int],
    freeze_mlps: bool = False,
) -> list[tuple[str, Callable]]:
    """The hooks of run 2 on `tokens`: the sender's z is that of the source, all other heads keep their own."""
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(model.cfg.n_layers)]
    if freeze_mlps and not model.cfg.attn_only:
        names += [f"blocks.{layer}.hook_mlp_out" for layer in range(model.cfg.n_layers)]
    _, own = model.run_with_cache(tokens, names_filter=names)
    frozen = {name: own[name].clone() for name in names}
    layer, head = sender
    z = f"blocks.{layer}.attn.hook_z"
    frozen[z][:, :, head] = source[z][:, :, head]
    return [(name, lambda _, hook, name=name: frozen[name]) for name in names]


mlps = [f"blocks.{layer}.hook_mlp_out" for layer in range(n_layers)]
through_mlps = (direct[False] - direct[True]).flatten().topk(2).indices.tolist()
straight = direct[True].argmax().item()
rows, end, s2 = torch.arange(len(prompts)), prompts.positions["END"], prompts.positions["S2"]
for sender in (divmod(number, n_heads) for number in (*through_mlps, straight)):
    looks = clean_cache["pattern", sender[0]][rows, sender[1], end, s2].mean()
    print(f"{head_label(*sender)} looks from END at S2 with {looks:.2f}")
    if model.cfg.attn_only:
        continue  # ioi-by-hand
    hooks = path_hooks(model, prompts.tokens, twin_cache, sender, freeze_mlps=True)
    for kind in ("computed anew", "frozen"):
        shares = []
        for mlp in mlps:
            others = [name for name in mlps if name != mlp]
            left_out = [mlp] if kind == "computed anew" else others
            chosen = [(name, function) for name, function in hooks if name not in left_out]
            shares.append(1 - metric(model.run_with_hooks(prompts.tokens, fwd_hooks=chosen)).mean().item())
        listed = ", ".join(f"MLP {layer} {share:5.2f}" for layer, share in enumerate(shares))
        print(f"  lost with one MLP alone {kind:13}: {listed}")

# %% [markdown]
# **You should see** that for both heads of layer 0 everything passes MLP 0: with it frozen nothing is left (−0.01 and
# 0.00). But MLP 0 alone is not enough (0.10 and 0.11, of 0.39 and 0.43). The others read what it wrote, MLP 2 most of
# all: without it nearly half of the effect is gone. And what do these two heads move? From END they look at S2. They
# tell END the name of the giver, and a chain of MLPs makes of it "not this one".
#
# ### From a head to a head
#
# Now for the heads that act through other heads. A head reads the stream three times: for its queries, its keys and its
# values. A receiver is one of these three, of one head or of several (a whole class, such as the name movers):
# `blocks.{layer}.attn.hook_q`, `hook_k` or `hook_v`, with the axes `batch pos head d_head`.
#
# Two things are easy to get wrong. In run 3 the sender has its own z again, and all other heads run freely:
# whatever the receivers now do differently may reach the logits in any way it likes. And the receivers get what
# *arrived in run 2*, not what they had in the source's run, to which everything contributed.


# %%
# [exercise]
# number = "4.16"
# title = "The path from a head to other heads"
# difficulty = 4
# importance = 5
# minutes = 30
# points = 5
# why = "A circuit is not a list of heads but who tells whom what. Each edge of it, with the input that it goes into, is one call of this function."
# hints = [
#     "Two runs after one another, with different hooks. What do you keep from the first, and what do you set in the second?",
#     "Run 2: `with model.hooks(fwd_hooks=path_hooks(...)):` and in it run_with_cache, which keeps f\"hook_{what}\" of the receivers' layers. Last run: run_with_hooks with one hook for each of these layers, which puts the kept input in at the receivers of this layer, and at no other head. Check `what` before you run anything.",
#     "arrived = cache of run 2. The hook of a layer, with `heads` the receivers that stand in it: `value = value.clone(); value[:, :, heads] = arrived[what, layer][:, :, heads]; return value`. One pair (hook name, function) for each layer in {layer for layer, _ in receivers}, the layer bound with partial(...).",
# ]
# [/exercise]
def path_patch_to_heads(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    sender: tuple[int, int],
    receivers: Sequence[tuple[int, int]],
    what: str,
    freeze_mlps: bool = False,
) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits on `tokens` when the receivers' q, k or v (`what`) are as the sender's z of the source makes them.

    Sender and receivers are pairs (layer, head). What the sender changes arrives through no other head; MLPs are computed
    anew on the way, unless `freeze_mlps`. With the input that arrived, the receivers and everything after them run on
    freely, and all else is as without any patching. Raises `ValueError`, which says what `what` was, for any other one.
    After Wang et al. (2022), https://arxiv.org/abs/2211.00593, appendix B.
    """
    # BEGIN SOLUTION: refuse any other `what`; keep what arrives at the receivers in run 2; run with that alone set
    if what not in ("q", "k", "v"):
        raise ValueError(f'what must be "q", "k" or "v", but it is "{what}"')
    heads = {layer: [head for of, head in receivers if of == layer] for layer, _ in receivers}
    names = {layer: f"blocks.{layer}.attn.hook_{what}" for layer in heads}
    with model.hooks(fwd_hooks=path_hooks(model, tokens, source, sender, freeze_mlps)):
        _, arrived = model.run_with_cache(tokens, names_filter=list(names.values()))

    def receive(value: Float[Tensor, "batch pos head d_head"], hook, layer: int) -> Float[Tensor, "..."]:
        value = value.clone()
        value[:, :, heads[layer]] = arrived[names[layer]][:, :, heads[layer]]
        return value

    hooks = [(name, partial(receive, layer=layer)) for layer, name in names.items()]
    return model.run_with_hooks(tokens, fwd_hooks=hooks)
    # END SOLUTION


# %%
check(path_patch_to_heads)

# %% [markdown]
# ### All senders in a few runs
#
# A map of the direct effects needs a call for every head, and each call is two or three runs. But the runs differ in
# one number only: who the sender is. So they go side by side as rows of one batch, like the cells of the sweeps before.
# Row block 0 has the first sender, block 1 the second, and so on; each block has all texts. The run on `tokens` that
# says what is frozen is needed once. The metric looks at the logits of all texts of one sender, and the sweep keeps its
# mean over them.
#
# That is enough for the checker. There is more to gain from two things that hold for paths to the logits alone:
#
# 1. **No attention has to be computed.** What it gives is overwritten. All that reacts to the sender is the MLPs from
#    its layer on, the last LayerNorm and the unembedding. So there is no need for hooks and whole runs: take the stream
#    that the run on `tokens` had, add what the sender changes, (z′ − z) W_O, and carry it through the MLPs.
# 2. **Positions do not hear of each other.** Only heads move something from one position to another. Where z′ is the
#    same as z for all heads and all texts, the logits stay what they were, and need not be computed again. With twins
#    that differ in S2 alone, that is everything before S2.


# %%
# [exercise]
# number = "4.17"
# title = "All heads' paths to the logits"
# difficulty = 3
# importance = 4
# minutes = 25
# points = 4
# why = "The first map of every circuit search: who writes the answer. With all senders in one batch it costs two runs, so that you can look at it for every question that you have."
# hints = [
#     "How many senders fit into one run, if each takes as many rows as there are texts, and at least one has to?",
#     "With hooks, for a chunk of senders: run on `tokens.repeat(len(chunk), 1)` with every own z repeated likewise, `own[name].repeat(len(chunk), 1, 1, 1)`. Sender number i has the rows from i * batch up to (i + 1) * batch; there, its z is the source's. `logits.split(batch)` gives the blocks back: effects += [metric(block).mean() for block in logits.split(batch)], and at the end torch.stack(effects).reshape(n_layers, n_heads).",
#     "Without hooks: `change` has the axes sender batch pos d_model and is 0 at first. Layer by layer: for the senders of this layer it becomes (source z - own z)[:, :, head] @ model.W_O[layer, head]; then, for the senders up to this layer, `block.mlp(block.ln2(resid_mid + change)) - mlp_out` is added, with both from the run on `tokens`, if the model has MLPs. The logits are model.unembed(model.ln_final(resid_post + change)), the last layer's resid_post.",
# ]
# [/exercise]
def path_sweep_to_logits(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    metric: Callable[[Float[Tensor, "batch pos d_vocab"]], Float[Tensor, "batch"]],
    rows_at_once: int = 512,
) -> Float[Tensor, "layer head"]:
    """The mean metric over the texts when a head's path to the logits is patched, for each head; MLPs are computed anew.

    Many senders go into one run, as many as `rows_at_once` rows have room for, and at least one.
    """
    # BEGIN SOLUTION: with all heads frozen only MLPs react: carry what each sender changes through them, side by side
    batch, n_layers, n_heads = len(tokens), model.cfg.n_layers, model.cfg.n_heads
    kinds = ("attn.hook_z", "hook_resid_mid", "hook_mlp_out", f"{n_layers - 1}.hook_resid_post")
    logits, own = model.run_with_cache(tokens, names_filter=lambda name: name.endswith(kinds))
    z = [source[f"blocks.{layer}.attn.hook_z"] - own["z", layer] for layer in range(n_layers)]
    # nothing moves between positions: where no head differs, logits stay as they are
    where = torch.stack([(each != 0).any(dim=-1).any(dim=-1).any(dim=0) for each in z]).any(dim=0)
    senders = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    at_once = max(1, rows_at_once // batch)
    effects = []
    for start in range(0, len(senders), at_once):
        chunk = senders[start : start + at_once]
        change = logits.new_zeros(len(chunk), batch, int(where.sum()), model.cfg.d_model)
        for layer in range(chunk[0][0], n_layers):
            for number, (of, head) in enumerate(chunk):
                if of == layer:
                    change[number] = z[layer][:, where, head] @ model.W_O[layer, head]
            if not model.cfg.attn_only:
                begun, mlp, ln = sum(of <= layer for of, _ in chunk), model.blocks[layer].mlp, model.blocks[layer].ln2
                out = mlp(ln((own["resid_mid", layer][:, where] + change[:begun]).flatten(0, 1)))
                change[:begun] += out.unflatten(0, (begun, batch)) - own["mlp_out", layer][:, where]
        stream = own["resid_post", n_layers - 1][:, where] + change
        patched = logits.repeat(len(chunk), 1, 1)
        patched[:, where] = model.unembed(model.ln_final(stream.flatten(0, 1)))
        effects += [metric(block).mean() for block in patched.split(batch)]
    return torch.stack(effects).reshape(n_layers, n_heads)
    # END SOLUTION


# %%
check(path_sweep_to_logits)

# %%
hand_to_logits = 1 - path_sweep_to_logits(hand, hand_prompts.tokens, hand_twin_cache, hand_metric)
to_logits = 1 - path_sweep_to_logits(model, prompts.tokens, twin_cache, metric)

for name, each, losses in (("ioi-by-hand", hand, hand_to_logits), (MODEL, model, to_logits)):
    show(
        heatmap(
            losses,
            title=f"{name}: who writes the answer, straight or by way of MLPs",
            **layer_and_head(each),
            signed=True,
            value_name="share lost",
        )
    )

# %% [markdown]
# **You should see** the maps that you know already, now from a single run each and, for each layer, an MLP over the
# changed streams. On ioi-by-hand the two name movers and the negative one, and thirteen white cells. On the organism
# L0H2 and L0H0, by way of the MLPs, then L2H1 (0.11); and small ones of both signs. (`circuits bench --patching` has
# the gain over a call for each head: 15 times with one text, 7 to 12 times with eight.)
#
# ### Another question, another circuit
#
# The metric decides what you find. The logit difference asks: IO *rather than S*? Whatever says "not the giver" raises
# it as much as what says "Mary". So ask something else of the same runs: how far is IO above the mean of names? A part
# that pushes S down hardly moves this; a part that brings IO does.


# %%
def above_names(logits: Float[Tensor, "batch pos d_vocab"], prompts: Prompts) -> Float[Tensor, "batch"]:
    """At END of each text, the logit of IO less the mean logit of NAMES."""
    rows = torch.arange(len(logits), device=logits.device)
    at_end = logits[rows, prompts.positions["END"]]
    return at_end[rows, prompts.io] - at_end[:, name_tokens].mean(dim=-1)


clean_above, twin_above = (above_names(logits, prompts).mean() for logits in (clean_logits, twin_logits))


def above_names_metric(logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, "batch"]:
    """`above_names` on the scale from the twins (0) to the prompts (1)."""
    return (above_names(logits, prompts) - twin_above) / (clean_above - twin_above)


brings_io = 1 - path_sweep_to_logits(model, prompts.tokens, twin_cache, above_names_metric)

print(f"IO less the mean of names: {clean_above:.2f} on the prompts, {twin_above:.2f} on the twins")
compare(
    to_logits,
    brings_io,
    titles=("share lost of IO less S", "share lost of IO less the mean of names"),
    title=f"{MODEL}: excluding the giver and bringing the receiver are the work of different heads",
    **layer_and_head(model),
    signed=True,
)

# %% [markdown]
# **You should see** the two questions answered by different heads. L2H3 brings the receiver (0.35), then L2H1 (0.21),
# the one head that is high in both; L0H0 and L0H2 fall from 0.39 and 0.43 to 0.13 and 0.12. Both maps are true. "The IO
# circuit" of a model is always the circuit of a metric: Wang et al. used the logit difference, and you will do so from
# here on, but remember what it leaves out: whatever raises both names alike.
#
# ### Whom do the senders tell?
#
# The same for heads as receivers. A head has a path to a receiver only if it stands in an earlier layer. To patch a
# path that is not there changes nothing, so all other heads get the metric of the run on `tokens` as it is, and cost no
# run. With several receivers, in several layers, a sender counts if it stands before any of them.


# %%
# [exercise]
# number = "4.18"
# title = "All heads' paths to other heads"
# difficulty = 4
# importance = 4
# minutes = 30
# points = 4
# why = "With this map you walk a circuit backwards: from those who write the answer to those who tell them where to look, and on to those who tell these."
# hints = [
#     "It is exercise 4.16 with the rows of exercise 4.17: two runs for each chunk of senders. Which senders do you need to run at all?",
#     "Senders are all heads of the layers before max(layer for layer, _ in receivers). For each chunk: run 2 with the frozen z in blocks of rows, keeping f\"hook_{what}\" of the receivers' layers, which then have the rows of all blocks already; and run 3 on the same repeated tokens, in which only the receivers get what arrived.",
#     "Begin with effects = metric(own logits).mean().repeat(n_layers, n_heads). In the loop over chunks: `many = tokens.repeat(len(chunk), 1)`; `with model.hooks(fwd_hooks=frozen ones): _, arrived = model.run_with_cache(many, names_filter=...)`; logits = model.run_with_hooks(many, fwd_hooks=those of the receivers); then for (layer, head), block in zip(chunk, logits.split(batch)): effects[layer, head] = metric(block).mean().",
# ]
# [/exercise]
def path_sweep_to_heads(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache | dict[str, Tensor],
    metric: Callable[[Float[Tensor, "batch pos d_vocab"]], Float[Tensor, "batch"]],
    receivers: Sequence[tuple[int, int]],
    what: str,
    rows_at_once: int = 512,
) -> Float[Tensor, "layer head"]:
    """The mean metric over the texts when a head's path to the receivers' q, k or v is patched, for each head as sender.

    Heads that stand before none of the receivers get the mean metric without any patching. MLPs are computed anew. Many
    senders go into one run, as many as `rows_at_once` rows have room for, and at least one.
    """
    # BEGIN SOLUTION: chunks of senders side by side: what arrives at the receivers in a frozen run, put into a free one
    batch, n_layers, n_heads = len(tokens), model.cfg.n_layers, model.cfg.n_heads
    heads = {layer: [head for of, head in receivers if of == layer] for layer, _ in receivers}
    names = {layer: f"blocks.{layer}.attn.hook_{what}" for layer in heads}
    z_names = [f"blocks.{layer}.attn.hook_z" for layer in range(n_layers)]
    logits, own = model.run_with_cache(tokens, names_filter=z_names)
    senders = [(layer, head) for layer in range(max(heads)) for head in range(n_heads)]
    at_once = max(1, rows_at_once // batch)
    effects = metric(logits).mean().repeat(n_layers, n_heads)

    def put_back(z: Float[Tensor, "row pos head d_head"], hook, frozen: Tensor) -> Tensor:
        return frozen

    def receive(value: Float[Tensor, "row pos head d_head"], hook, arrived: Tensor, heads: list[int]) -> Tensor:
        value = value.clone()
        value[:, :, heads] = arrived[:, :, heads]
        return value

    for start in range(0, len(senders), at_once):
        chunk = senders[start : start + at_once]
        many = tokens.repeat(len(chunk), 1)
        frozen = {name: own[name].repeat(len(chunk), 1, 1, 1) for name in z_names}
        for number, (layer, head) in enumerate(chunk):
            rows = slice(number * batch, (number + 1) * batch)
            frozen[z_names[layer]][rows, :, head] = source[z_names[layer]][:, :, head]
        with model.hooks(fwd_hooks=[(name, partial(put_back, frozen=frozen[name])) for name in z_names]):
            _, arrived = model.run_with_cache(many, names_filter=list(names.values()), stop_at_layer=max(heads) + 1)
        hooks = [(names[of], partial(receive, arrived=arrived[names[of]], heads=heads[of])) for of in heads]
        logits = model.run_with_hooks(many, fwd_hooks=hooks)
        for (layer, head), block in zip(chunk, logits.split(batch)):
            effects[layer, head] = metric(block).mean()
    return effects
    # END SOLUTION


# %%
check(path_sweep_to_heads)

# %% [markdown]
# ### Backwards through ioi-by-hand
#
# Walk back from the answer. The name movers L3H0 and L3H1 write it. Who tells them, and is it their query, their key or
# their value?


# %%
def losses_by_sender(
    model: TransformerBridge,
    prompts: Prompts,
    source: ActivationCache,
    metric: Callable,
    receivers: Sequence[tuple[int, int]],
    name: str,
) -> None:
    """Shows what is lost when each head's path to the receivers' q, k and v is patched, for all earlier layers."""
    layers = max(layer for layer, _ in receivers)
    maps = [1 - path_sweep_to_heads(model, prompts.tokens, source, metric, receivers, what)[:layers] for what in "qkv"]
    columns = [f"{what} ← H{head}" for what in "qkv" for head in range(model.cfg.n_heads)]
    named = ", ".join(head_label(*receiver) for receiver in receivers)
    show(
        heatmap(
            torch.cat(maps, dim=1),
            title=f"{name}: who tells {named} what matters, and into which of q, k and v",
            x=columns,
            y=[f"L{layer}" for layer in range(layers)],
            x_name="receivers' input and sender",
            y_name="sender's layer",
            signed=True,
            value_name="share lost",
        )
    )


losses_by_sender(hand, hand_prompts, hand_twin_cache, hand_metric, [(3, 0), (3, 1)], "ioi-by-hand")
losses_by_sender(hand, hand_prompts, hand_twin_cache, hand_metric, [(2, 0), (2, 1)], "ioi-by-hand")
losses_by_sender(hand, hand_prompts, hand_twin_cache, hand_metric, [(1, 0)], "ioi-by-hand")

# %% [markdown]
# **You should see** each class of heads tell the next, and by which input:
#
# - into the name movers, only queries: L2H0 and L2H1, 0.44 each. They tell END whom to avoid;
# - into these, keys and values, of L0H0 and L1H0 alike (0.33 into k, 0.29 into v). The key says *that* a name came
#   before at S2, so that END looks there; the value says *which*;
# - into the induction head L1H0, keys and values of L0H1, the previous-token head: 0.66 and 0.17.
#
# These are the S-inhibition heads, the duplicate-token and the induction head of Wang et al., found by the walk that
# they took. The decoys are white in every map, though they look where the others look.
#
# Now the organism. Whom does L2H1 hear? Use other twins for this: those in which only S2 differs, and is IO. There
# each name of the pair stands where it stood, so that L2H1's keys and values of them are the same, and what is patched
# is the knowledge of who gives.

# %%
flipped_logits, flipped_cache = model.run_with_cache(flipped.tokens, **keep)
flipped_metric = recovery(prompts, clean_difference, logit_difference(flipped_logits, prompts))

mover = divmod(straight, n_heads)
losses_by_sender(model, prompts, flipped_cache, flipped_metric, [mover], MODEL)
of_query = 1 - head_sweep(model, prompts.tokens, flipped_cache, flipped_metric, "q")[mover]
print(f"with the whole query of {head_label(*mover)} from the twins, {of_query:.2f} is lost")

# %% [markdown]
# **You should see** two cells: L0H0 (0.07) and L0H2 (0.06), both into the query. Together they are nearly all that
# L2H1's query hears (0.15 with the whole of it exchanged). So the same two heads that tell the MLPs who gives tell the
# name mover whom to avoid. That is the work of S-inhibition heads. But in GPT-2 these read what duplicate-token and
# induction heads left at S2, who had to find out that the name stands twice. L0H0 and L0H2 stand in layer 0 and can
# read nothing of the kind: they take the name that stands at S2, twice named or not. In the organism's texts the giver
# is named right before the gift, and that is enough.
#
# ### The first sender
#
# One thing is missing: the duplicate-token head L0H0 and the previous-token head L0H1 of ioi-by-hand stand in layer 0,
# where no head comes before, and so do L0H0 and L0H2 of the organism. They read the embeddings. So the embedding is a
# sender, too: patch it, freeze all heads, and see what arrives.


# %%
def embedding_effect(
    model: TransformerBridge,
    tokens: Int[Tensor, "batch pos"],
    source: ActivationCache,
    metric: Callable[[Float[Tensor, "batch pos d_vocab"]], Float[Tensor, "batch"]],
    receiver: tuple[int, int, str] | str,
) -> float:
    """The mean metric when the path from the embeddings to a receiver, (layer, head, input) or "logits", is patched."""
    _, own = model.run_with_cache(tokens, names_filter=lambda name: name.endswith("attn.hook_z"))
    hooks = [
        (f"blocks.{each}.attn.hook_z", lambda z, hook, each=each: own["z", each]) for each in range(model.cfg.n_layers)
    ]
    hooks.append(("hook_embed", lambda embed, hook: source["hook_embed"]))
    if receiver == "logits":
        return metric(model.run_with_hooks(tokens, fwd_hooks=hooks)).mean().item()
    layer, head, what = receiver
    name = f"blocks.{layer}.attn.hook_{what}"
    with model.hooks(fwd_hooks=hooks):
        _, arrived = model.run_with_cache(tokens, names_filter=name, stop_at_layer=layer + 1)

    def receive(value: Float[Tensor, "batch pos head d_head"], hook) -> Float[Tensor, "..."]:
        received = value.clone()
        received[:, :, head] = arrived[name][:, :, head]
        return received

    return metric(model.run_with_hooks(tokens, fwd_hooks=[(name, receive)])).mean().item()


def effects_on(
    receiver: tuple[int, int, str] | str,
    *,
    model: TransformerBridge,
    prompts: Prompts,
    source: ActivationCache,
    metric: Callable,
) -> dict[tuple[int, int] | str, float]:
    """For each sender with a path to the receiver, the share of the logit difference lost when that is patched."""
    if receiver == "logits":
        kept = path_sweep_to_logits(model, prompts.tokens, source, metric)
    else:
        layer, head, what = receiver
        # layer 0 has no heads before it
        kept = path_sweep_to_heads(model, prompts.tokens, source, metric, [(layer, head)], what)[:layer]
    effects = {"embed": 1 - embedding_effect(model, prompts.tokens, source, metric, receiver)}
    for layer, row in enumerate(kept.tolist()):
        for head, value in enumerate(row):
            effects[layer, head] = 1 - value
    return effects


# %% [markdown]
# ### The whole circuit, traced
#
# You have done two steps of a search by hand. What you did can be written down in four lines:
#
# - start with the logits as the receiver;
# - ask for the effect of every sender on it, and keep as **edges** those whose effect is above a threshold, whatever
#   its sign (a path that makes the answer *worse* belongs to the circuit as much as one that makes it better);
# - every head that is kept as a sender becomes a receiver in turn, with each of its three inputs;
# - until no new head turns up. No receiver is asked twice.
#
# Automated circuit discovery ([Conmy et al. 2023](https://arxiv.org/abs/2304.14997); chapter 8) walks backwards over
# edges in much this way, but removes what it leaves out as it goes, so that later edges are judged in what is left of
# the model. Ours leaves the model whole.


# %%
# [exercise]
# number = "4.19"
# title = "Trace a circuit"
# difficulty = 3
# importance = 4
# minutes = 20
# points = 3
# why = "It turns single measurements into a claim about the whole model that can be wrong: these heads, these edges, and no others. On ioi-by-hand you can compare it with the truth."
# hints = [
#     "You need a list of receivers still to be asked, which begins with \"logits\" and grows while you work through it, and a way to know which heads have been put there already.",
#     "For each receiver: for sender, effect in effects_on(receiver).items(): an edge if abs(effect) > threshold. A sender that is a head is a tuple: `isinstance(sender, tuple)`; \"embed\" has no inputs that could be asked.",
#     "edges, waiting, found = {}, [\"logits\"], set(); while waiting: receiver = waiting.pop(0); for every sender whose abs(effect) is above the threshold: edges[sender, receiver] = effect, and if the sender is a tuple and not in found: found.add(sender); waiting += [(*sender, what) for what in \"qkv\"].",
# ]
# [/exercise]
def trace_circuit(
    effects_on: Callable[[tuple[int, int, str] | str], Mapping[tuple[int, int] | str, float]], threshold: float
) -> dict[tuple[tuple[int, int] | str, tuple[int, int, str] | str], float]:
    """The edges of the circuit that ends in the logits: for each pair (sender, receiver) its effect.

    A sender is a head (layer, head), or a string such as "embed"; a receiver is "logits", or a head's input (layer, head,
    "q"), with "q", "k" or "v". `effects_on(receiver)` gives the effect of every sender on a receiver; it is slow, and is
    asked once for a receiver at most. An edge has an effect of a size above `threshold`. Only heads that send along an
    edge are followed back.
    """
    # BEGIN SOLUTION: from the logits backwards; every head that sends along an edge is asked about its q, k and v once
    edges, waiting, found = {}, ["logits"], set()
    while waiting:
        receiver = waiting.pop(0)
        for sender, effect in effects_on(receiver).items():
            if abs(effect) > threshold:
                edges[sender, receiver] = effect
                if isinstance(sender, tuple) and sender not in found:
                    found.add(sender)
                    waiting += [(*sender, what) for what in ("q", "k", "v")]
    return edges
    # END SOLUTION


# %%
check(trace_circuit)

# %% [markdown]
# For a search each text costs time, so take every seventh: 14 texts with both orders and all templates. The search will
# ask about a receiver more than once when you change the threshold; `functools.cache` remembers the answers.


# %%
def noising_effects(
    model: TransformerBridge, prompts: Prompts, twins: Prompts, rows: slice = slice(0, None, 7)
) -> Callable[[tuple[int, int, str] | str], dict[tuple[int, int] | str, float]]:
    """`effects_on` for some of these texts, as a function of the receiver alone that remembers its answers."""
    few, few_twins = select(prompts, rows), select(twins, rows)
    logits = model(few.tokens)
    twin_logits, source = model.run_with_cache(few_twins.tokens, **keep)
    metric = recovery(few, logit_difference(logits, few), logit_difference(twin_logits, few))
    return functools.cache(partial(effects_on, model=model, prompts=few, source=source, metric=metric))


def end_label(end: tuple | str) -> str:
    """A sender or receiver as the field writes it: L2H0, L3H1.q, logits."""
    return end if isinstance(end, str) else head_label(*end[:2]) + "".join(f".{what}" for what in end[2:])


def print_edges(edges: Mapping[tuple, float]) -> None:
    """The edges, receiver by receiver, from the logits backwards, each with its share of the logit difference."""
    by_receiver: dict[str, list[str]] = {}
    for (sender, receiver), effect in edges.items():
        by_receiver.setdefault(end_label(receiver), []).append(f"{end_label(sender)} {effect:+.2f}")
    for receiver, senders in by_receiver.items():
        print(f"{receiver:7} ← {', '.join(senders)}")


hand_effects = noising_effects(hand, hand_prompts, hand_twins)
hand_edges = trace_circuit(hand_effects, threshold=0.01)
print_edges(hand_edges)

# %% [markdown]
# Is it the circuit? `circuit_by_hand()` lists the truth: the heads and the edges that the script built in, with the
# inputs that they go into. Of its edges, those from the position embeddings carry the same in every text, so no patch
# from another text of the same form can show them; they are marked `fixed`, and left out here.

# %%
true_circuit = circuit_by_hand()


def as_pair(edge) -> tuple:
    """An edge of the true circuit as `trace_circuit` writes it."""
    sender = edge.sender if isinstance(edge.sender, str) else (edge.sender.layer, edge.sender.head)
    receiver = "logits" if edge.receiver == "logits" else (edge.receiver.layer, edge.receiver.head, edge.input)
    return sender, receiver


true_edges = {as_pair(edge) for edge in true_circuit.edges if not edge.fixed}
true_heads = {(head.layer, head.head) for head in true_circuit.heads}
found_heads = {sender for sender, _ in hand_edges if isinstance(sender, tuple)}
for kind, found, true in (("heads", found_heads, true_heads), ("edges", set(hand_edges), true_edges)):
    print(f"{kind}: {len(found)} found; missing {len(true - found)}, too many {len(found - true)}")
fixed = [edge for edge in true_circuit.edges if edge.fixed]
print(f"not to be found by patching: {len(fixed)} edges from the position embeddings")

# %% [markdown]
# **You should see** 8 heads and 30 edges found, none missing and none too many: exactly the circuit that the script
# built, from the logits back to the words, with the eight decoys left out. The weakest edge has 0.09. What patching
# could not find are the 11 edges from the position embeddings.
#
# ### And the organism
#
# The same search, on a model that nobody wired. Before you choose a threshold, look at all effects at once, of every
# sender on every receiver, sorted by size. (GPT-2 small is left out: 144 heads with three inputs each would be hours of
# work.)

# %%
traced_models = {"ioi-by-hand": (hand, hand_effects)}
if MANY_HEADS:
    print(f"{MODEL} is not traced: {len(all_heads(model))} heads with three inputs each are too many for this search")
else:
    traced_models[MODEL] = (model, noising_effects(model, prompts, twins))

sizes = {}
for name, (each, effects) in traced_models.items():
    receivers = ["logits", *((*pair, what) for pair in all_heads(each) for what in "qkv")]
    every = [abs(effect) for receiver in receivers for effect in effects(receiver).values()]
    sizes[name] = sorted([max(effect, 1e-5) for effect in every], reverse=True)

shortest = min(len(values) for values in sizes.values())
lines(
    range(1, shortest + 1),
    {name: values[:shortest] for name, values in sizes.items()},
    title="ioi-by-hand has a gap between its circuit and the rest, the organism has none",
    x_name="edge, from the strongest to the weakest",
    y_name="size of the effect, share of the logit difference",
    log_y=True,
)

# %% [markdown]
# **You should see** the line of ioi-by-hand fall off a cliff: 30 effects of 0.09 or more, and all others below 0.00001.
# Any threshold between these gives the same circuit. The organism has four effects above 0.3 (the two heads of layer 0
# into the logits, and the words into their values), then 0.14, and from there ever smaller steps: 12 above 0.05, 24
# above 0.02, 39 above 0.01. Where its circuit ends is nobody's discovery but a choice, to be reported with the circuit.

# %%
for threshold in (0.2, 0.1, 0.05, 0.02, 0.01):
    counts = []
    for name, (_, effects) in traced_models.items():
        edges = trace_circuit(effects, threshold)
        heads = {sender for sender, _ in edges if isinstance(sender, tuple)}
        counts.append(f"{name} {len(heads):2} heads, {len(edges):3} edges")
    print(f"threshold {threshold:4}: {'; '.join(counts)}")

model_edges = {}
if MODEL in traced_models:
    model_edges = trace_circuit(traced_models[MODEL][1], threshold=0.05)
    print(f"\n{MODEL}, threshold 0.05")
    print_edges(model_edges)

# %% [markdown]
# **You should see** the circuit of ioi-by-hand complete from 0.05 down, and that of the organism growing with every
# step. Its core is short: the words at S2, L0H0 and L0H2, the MLPs, the logits. Then L2H1 and L2H3, which read words
# and write into the logits, and L3H0, which works against them (−0.06).
#
# Two edges are missing that you know to be there: from L0H0 and L0H2 into the query of L2H1. With three other names
# they have 0.03 each, below the threshold; the twins with IO at S2 showed 0.07 and 0.06. What a search finds depends on
# the corruption, the metric, the threshold and the texts; a circuit without these four is half a statement.
#
# ### What path patching shows, and what it does not
#
# - **An edge is a claim about one input with everything else in place.** Noising a path shows that the rest of the
#   model does not make up for its loss. Where two paths bring the same (an OR), each alone looks weak or idle, and both
#   belong to the circuit. Take both away together, or patch in the other direction, to see it.
# - **Effects need not add up.** On ioi-by-hand the three edges of L2H0 do: 0.22 + 0.22 − 0.11 is 0.33, what the model
#   loses with all of it. But without L2H0 and L2H1 it does not lose 0.67, but 1.36: with only one of them gone, the
#   softmax of the name movers still holds; with both gone, S even wins.
# - **What all texts share cannot be seen**, such as the positions above. Nor can what the twins leave as it was:
#   another corruption shows other edges.
# - **"Direct" is a convention.** Here it means: through no other head. With MLPs frozen the map is another.
# - **Positions were lumped together.** A path was patched at all positions at once. Which of them matters you can ask
#   as in the sweeps by position.
# - **A path says who tells whom, not what is told.** For that, read what the heads attend to and write.

# %% [markdown]
# ## What the heads do
#
# You can say who matters, and who tells whom. That is a wiring diagram with numbers on it, and still no explanation: it
# does not say *what* is told. For this you read the heads. What does a head look at? What does it write when it looks
# there? What changes in those who listen, if the message is another one?
#
# Wang et al. did so for the 26 heads that they found in GPT-2 small, and sorted them into seven classes. You have met
# most of them in ioi-by-hand. (What they write as 9.6 is L9H6 here.)

# %%
# Wang et al. (2022), https://arxiv.org/abs/2211.00593, section 3 and figure 2
PAPER_CLASSES = {
    "previous token": [(2, 2), (4, 11)],
    "duplicate token": [(0, 1), (0, 10), (3, 0)],
    "induction": [(5, 5), (5, 8), (5, 9), (6, 9)],
    "S-inhibition": [(7, 3), (7, 9), (8, 6), (8, 10)],
    "name mover": [(9, 6), (9, 9), (10, 0)],
    "negative name mover": [(10, 7), (11, 10)],
    "backup name mover": [(9, 0), (9, 7), (10, 1), (10, 2), (10, 6), (10, 10), (11, 2), (11, 9)],
}
DOES = {
    "previous token": "at S1+1, looks at S1 and copies who stands there",
    "duplicate token": "at S2, looks at S1, the same name earlier",
    "induction": "at S2, looks at S1+1, of which a previous-token head has said that it follows this name",
    "S-inhibition": "at END, looks at S2 and tells name movers whom to leave out",
    "name mover": "at END, looks at names but not the one left out, and copies what it sees",
    "negative name mover": "does the same, and writes it with the opposite sign",
    "backup name mover": "moves names when name movers are ablated, and little or not at all otherwise",
}
for role, paper_heads in PAPER_CLASSES.items():
    print(f"{role:20} {', '.join(head_label(*pair) for pair in paper_heads)}\n{'':20} {DOES[role]}")
print(f"{sum(map(len, PAPER_CLASSES.values()))} heads of 144 in {len(PAPER_CLASSES)} classes")

# %% [markdown]
# The script of ioi-by-hand has all classes but the last, with one or two heads each. So for each question below, you
# ask it of ioi-by-hand first, where you know the answer, and then of the organism. **Do not expect the organism to have
# these classes.** It is another model, from other data. Expect to find out.
#
# ### Does it copy names?
#
# A name mover should say the name that it looks at. That needs no text at all: it is a property of weights, and chapter
# 2 has counted it for all words and heads that read embeddings (exercise 2.14). Wang et al. count it for names, and for
# heads that stand deeper. Take the residual stream of a name after the first MLP, as if the head looked at this name and
# nothing else; send it through the head's $W_{OV}$ and the unembedding; is the name among the $k = 5$ highest of *all*
# tokens?
#
# $$\text{logits}(x) = \big(e_x + \text{MLP}_0(\text{LN}(e_x))\big)\, W_V W_O W_U$$
#
# with $e_x$ the name's embedding (token only: no position, no attention). The **copying score** is the share of names
# for which it is. LayerNorm, before the head and before the unembedding, only scales such a vector here (its weights
# are folded into others, and centring is done in $W_E$ and $W_O$), and scaling does not change an order. Biases are
# left out, since they say the same for each name: multiply by $W_U$ (`model.unembed` would add $b_U$).
#
# Why the MLP? In GPT-2 and in the organism the first MLP changes what a token's vector looks like so much that later
# heads read *that*, rather than the embedding. A head of layer 0 stands before that MLP, so it reads the embedding
# alone; and in a model without MLPs (`model.cfg.attn_only`) so does everyone.
#
# For **negative** name movers, one asks the same with the sign of the logits turned round: is the name among the five
# *lowest*?
#
# One trap: a head that writes nothing gives every token the logit 0, and is among the five highest with all others. It
# copies nothing. So a name counts if **at most $k$ tokens, itself included, have a logit at least as high as its own**.


# %%
# [exercise]
# number = "4.20"
# title = "Copying score"
# difficulty = 2
# importance = 4
# minutes = 20
# points = 3
# why = "It is the one piece of evidence for a name mover that does not depend on any text, so it cannot be fooled by one. But a head may copy well and never look at a name."
# hints = [
#     "Which vector would the head read if it looked at this name only? What becomes of it on the way to the logits, and in which order do the three matrices come?",
#     "resid = model.W_E[names][None], with a batch axis in front, as the parts of the model want it. If layer > 0 and the model has MLPs, add `block.mlp(block.ln2(resid))` of block 0. Then W_V and W_O of this head and W_U, from left to right.",
#     "own = logits.gather(-1, names[:, None]) has each name's own logit; `(logits >= own).sum(dim=-1) <= k` says of which names the head is a copier. With negative, turn the sign of the logits before that.",
# ]
# [/exercise]
def name_copying_score(
    model: TransformerBridge,
    layer: int,
    head: int,
    names: Int[Tensor, "name"],
    k: int = 5,
    negative: bool = False,
) -> float:
    """The share of names that a head which looks at nothing else puts among the `k` highest logits of all tokens.

    With `negative`, among the `k` lowest. The head reads the name's embedding and what the first layer's MLP makes of
    it alone; the embedding alone if the head is in layer 0 or the model has no MLPs. Tokens with the same logit as the
    name count as before it. After Wang et al. (2022), https://arxiv.org/abs/2211.00593, section 3.1.
    """
    # BEGIN SOLUTION: embedding, with what the first MLP adds for a later head; W_V, W_O, W_U; how many logits are at least the name's own
    resid = model.W_E[names][None]
    if layer > 0 and not model.cfg.attn_only:
        block = model.blocks[0]
        resid = resid + block.mlp(block.ln2(resid))
    logits = resid[0] @ model.W_V[layer, head] @ model.W_O[layer, head] @ model.W_U
    if negative:
        logits = -logits
    own = logits.gather(-1, names[:, None])
    return ((logits >= own).sum(dim=-1) <= k).float().mean().item()
    # END SOLUTION


# %%
check(name_copying_score)

# %%
for name, each in (("ioi-by-hand", hand), (MODEL, model)):
    tokens = torch.tensor([name_token(each, word) for word in NAMES], device=each.W_E.device)
    print(f"{name}: copying score / negative copying score of {len(NAMES)} names, among {each.cfg.d_vocab} tokens")
    for layer in range(each.cfg.n_layers):
        scores = [
            (
                name_copying_score(each, layer, head, tokens),
                name_copying_score(each, layer, head, tokens, negative=True),
            )
            for head in range(each.cfg.n_heads)
        ]
        print(f"  L{layer}  " + "   ".join(f"H{h} {plus:.2f} / {minus:.2f}" for h, (plus, minus) in enumerate(scores)))

# %% [markdown]
# **You should see** the truth in ioi-by-hand: L3H0 and L3H1 copy all names, L3H2 all of them with the sign turned
# round, and nobody else any. (L3H3, which looks where they look, writes for nobody.)
#
# In the organism, **copying is everywhere**: all of layer 2 with 0.92 or more, L3H0 with 1.00, L1H0 and L0H2 with 0.92,
# and the average head has 0.52. In GPT-2 small, name movers have more than 0.95 and an average head less than 0.20
# (Wang et al.), so there the score tells name movers from others. Here it does not. (In the organism's training texts,
# what has stood once comes back again and again; that may be why so many heads copy.) And **no head copies
# negatively**, not a single name. Whatever lowers S in the organism, it is no negative name mover.
#
# ### When it looks at a name, does it say it?
#
# The score says what a head *would* write. What does it do on the prompts? Wang et al. show it in one picture: for each
# text, how much a head attends from END to a name, against how far its output points towards the unembedding of that
# name. If the head copies what it looks at, the points climb along a line.
#
# The output at END is $z_\text{END} W_O$; its **projection** on a name is its dot product with that name's column of
# $W_U$. Divide it by the final LayerNorm's scale at END (a model without LayerNorm has none), and it is in logits: what
# the head writes into this one logit directly.


# %%
# [exercise]
# number = "4.21"
# title = "Attention against projection"
# difficulty = 2
# importance = 4
# minutes = 20
# points = 3
# why = "A mean says that a head attends to IO and that it raises IO's logit. Only text by text you see whether it raises the name because it attends to it."
# hints = [
#     "END differs by row. With which tensors do you index the pattern so that one query of each text, and then one key, is left?",
#     "With rows = torch.arange(batch): the pattern at [rows, head, ends] has the axes batch and key; at [rows, the role's positions] of that you have attention. The output is z at [rows, ends, head] times W_O of the head, over `ln_final.hook_scale` at END where the model has LayerNorm.",
#     "attention = torch.stack([looks[rows, prompts.positions[role]] for role in (\"IO\", \"S1\")]); the directions are model.W_U.T[tokens] for tokens prompts.io and then prompts.s; multiply `written` with each and sum over d_model.",
# ]
# [/exercise]
def attention_and_projection(
    model: TransformerBridge, cache: ActivationCache, prompts: Prompts, layer: int, head: int
) -> tuple[Float[Tensor, "role batch"], Float[Tensor, "role batch"]]:
    """What a head at END attends to each of two names, IO's and then S1's, and what it writes into their logits.

    The first are shares, the second logits: the head's output at END, along the unembedding of IO and of S, over the
    final LayerNorm's scale of this run (a model without LayerNorm has none).
    After Wang et al. (2022), https://arxiv.org/abs/2211.00593, figure 3.
    """
    # BEGIN SOLUTION: the pattern's row at END, at IO and at S1; z at END through W_O over the scale, along both names' columns of W_U
    ends = prompts.positions["END"]
    rows = torch.arange(len(ends), device=ends.device)
    looks = cache["pattern", layer][rows, head, ends]
    written = cache["z", layer][rows, ends, head] @ model.W_O[layer, head]
    if model.cfg.normalization_type is not None:
        written = written / cache["ln_final.hook_scale"][rows, ends]
    attention = torch.stack([looks[rows, prompts.positions[role]] for role in ("IO", "S1")])
    names = model.W_U.T[torch.stack([prompts.io, prompts.s])]
    return attention, einops.einsum(written, names, "batch d_model, role batch d_model -> role batch")
    # END SOLUTION


# %%
check(attention_and_projection)

# %%
# on other models, put in the heads that your maps have shown
movers = {MODEL: [(2, 1), (2, 3), (3, 0)], "gpt2": [(9, 9), (9, 6), (10, 7)], "ioi-by-hand": [(3, 0), (3, 2)]}
for name, each, cache, texts in (
    ("ioi-by-hand", hand, hand_cache, hand_prompts),
    (MODEL, model, clean_cache, prompts),
):
    points = {head_label(*pair): attention_and_projection(each, cache, texts, *pair) for pair in movers[name]}
    for label, (attended, projected) in points.items():
        both = torch.stack([attended.flatten(), projected.flatten()])
        by_name = "; ".join(
            f"{role} looked at with {looks:.2f}, raised by {writes:+.2f}"
            for role, looks, writes in zip(("IO", "S1"), attended.mean(dim=1), projected.mean(dim=1))
        )
        print(f"{name} {label}: {by_name}; correlation {torch.corrcoef(both)[0, 1]:.2f}")
    show(
        scatter(
            {label: attended for label, (attended, _) in points.items()},
            {label: projected for label, (_, projected) in points.items()},
            names={label: [f"{role}: {text}" for role in ("IO", "S1") for text in texts.texts] for label in points},
            title=f"{name}: whom a head looks at from END, and what it writes into that name's logit",
            x_name="attention from END to the name",
            y_name="written into its logit",
            diagonal=False,
        )
    )

# %% [markdown]
# **You should see** points on two lines in ioi-by-hand, which is what its script says: attention times 8, and times −4.
# In the organism all three heads climb as well, with correlations of 0.86, 0.87 and 0.93. They say what they look at.
# The difference between them is *whom they look at*: L2H1 at IO with 0.73 and at S1 with 0.15; L2H3 and L3H0 at IO with
# 0.48 and 0.41, at S1 with 0.32 and 0.55.
#
# ### Where does it look?
#
# So now by role: how much of its attention does each head, at one word, give to each of the five words? And, after what
# you saw in attribution, **in both orders apart**. 0.48 to IO over all texts can be 0.48 in each, or 0.96 in one half
# and 0 in the other.


# %%
# [exercise]
# number = "4.22"
# title = "Attention by role, in both orders"
# difficulty = 2
# importance = 4
# minutes = 20
# points = 3
# why = "The classes of heads are defined by who looks from where to where. One table answers it for all heads at once; two halves of it tell a role from a place."
# hints = [
#     "For one head and one role, one number for each text: at which query, and at which key? Over which texts are they averaged?",
#     "Per layer, `cache[\"pattern\", layer][rows, :, queries]` has the axes batch, head, key (indices with a slice between them go to the front). Stack layers after batch. For each role take `[rows, ..., places]`, which leaves batch, layer, head; stack roles last.",
#     "first = io_first(prompts) is a mask over the texts: torch.stack([shares[first].mean(dim=0), shares[~first].mean(dim=0)]), with shares of the axes batch, layer, head, role.",
# ]
# [/exercise]
def attention_by_role(
    model: TransformerBridge, cache: ActivationCache, prompts: Prompts, query: str = "END"
) -> Float[Tensor, "order layer head role"]:
    """The mean attention of every head from the word of one role to the word of each, in texts with IO first and S first.

    Order 0 is that of the texts in which IO comes first (ABBA), order 1 the others; roles are in the order of
    `prompts.positions`.
    """
    # BEGIN SOLUTION: of each text the row at its query; of this row the entries at each role's place; means over both halves
    queries = prompts.positions[query]
    rows = torch.arange(len(queries), device=queries.device)
    layers = range(model.cfg.n_layers)
    looks = torch.stack([cache["pattern", layer][rows, :, queries] for layer in layers], dim=1)
    shares = torch.stack([looks[rows, ..., places] for places in prompts.positions.values()], dim=-1)
    first = io_first(prompts)
    return torch.stack([shares[first].mean(dim=0), shares[~first].mean(dim=0)])
    # END SOLUTION


# %%
check(attention_by_role)

# %%
for name, each, cache, texts in (
    ("ioi-by-hand", hand, hand_cache, hand_prompts),
    (MODEL, model, clean_cache, prompts),
):
    abba, baba = attention_by_role(each, cache, texts).flatten(1, 2)
    show(
        compare(
            abba,
            baba,
            titles=("IO first (ABBA)", "S first (BABA)"),
            title=f"{name}: where each head looks from END",
            x=list(texts.positions),
            y=head_labels(each),
            x_name="role",
            y_name="head",
        )
    )

for name, each, cache, texts in (
    ("ioi-by-hand", hand, hand_cache, hand_prompts),
    (MODEL, model, clean_cache, prompts),
):
    print(f"{name}: most attention, ABBA and BABA")
    for query, key in (("S1+1", "S1"), ("S2", "S1"), ("S2", "S1+1"), ("END", "S2"), ("END", "IO")):
        both = attention_by_role(each, cache, texts, query)[..., list(texts.positions).index(key)]
        most = both.mean(dim=0).flatten().argsort(descending=True)[:3].tolist()
        shares = both.flatten(1).T
        listed = ", ".join(
            f"{head_labels(each)[place]} {shares[place, 0]:.2f} and {shares[place, 1]:.2f}" for place in most
        )
        print(f"  from {query:4} to {key:4}  {listed}")

# %% [markdown]
# **You should see** five classes of ioi-by-hand, one in each line, all with 1.00 but the name movers (0.93 and 0.99),
# and their decoys beside them, which look where they look. Looking is not doing.
#
# In the organism:
#
# - **From END to S2**, heads of *layer 0*: L0H0 with 0.56, L0H2 with 0.45, L0H1 with 0.22, the same in both orders.
#   They cannot know that this name came twice. They stand in the first layer, where nobody has told anybody anything;
#   they look for the *last name before END*, and on these texts this is S2.
# - **From END to IO**: L2H1 with 0.67 and 0.78, by role. L2H3 with 0.00 and 0.96, and L3H0 with 0.68 and 0.15: by
#   place, the second name and the first.
# - **From S2 to S1**, nobody: L1H0 with 0.22 and 0.08, in ABBA mostly, is all there is. **From S2 to S1+1**, L2H3 (0.69
#   and 0.65), L2H2 and L2H1: these look like induction heads.
# - **From S1+1 to S1**, nobody in both orders: three heads of layer 3 look there in BABA, where S1 is the only name so
#   far.
#
# ### Repeated words
#
# Are they? A class of heads should do what its name says not only on the texts that it was found on. So, as in chapter
# 2, random words, repeated. A **previous-token** head looks one back; a **duplicate-token** head from the second copy
# of a word to the first, `length` back; an **induction** head to the word after that, `length - 1` back.


# %%
def repeat_scores(
    model: TransformerBridge, words: Int[Tensor, "word"], length: int, generator: torch.Generator, batch: int = 32
) -> dict[str, Float[Tensor, "layer head"]]:
    """Three scores of every head on `length` different words after BOS, and the same words again: mean attention."""
    chosen = torch.stack([words[torch.randperm(len(words), generator=generator)[:length]] for _ in range(batch)])
    tokens = F.pad(chosen.repeat(1, 2), (1, 0), value=model.tokenizer.bos_token_id)
    _, cache = model.run_with_cache(tokens, names_filter=lambda hook: hook.endswith("hook_pattern"))
    patterns = torch.stack([cache["pattern", layer] for layer in range(model.cfg.n_layers)])
    back = {"previous token": 1, "duplicate token": length, "induction": length - 1}
    # the mean over texts and over the queries of the second copy, which stand at the end of this diagonal
    return {
        name: patterns.diagonal(-far, dim1=-2, dim2=-1)[..., -length:].mean(dim=(1, -1)) for name, far in back.items()
    }


for name, each, length in (("ioi-by-hand", hand, 8), (MODEL, model, 8)):
    words = torch.tensor([name_token(each, word) for word in NAMES], device=each.W_E.device)
    print(f"{name}: {length} random names, twice")
    for kind, scores in repeat_scores(each, words, length, torch.Generator().manual_seed(0)).items():
        most = scores.flatten().argsort(descending=True)[:4].tolist()
        print(
            f"  {kind:16}",
            ", ".join(f"{head_labels(each)[place]} {scores.flatten()[place]:.2f}" for place in most),
        )

# %% [markdown]
# **You should see** 1.00 for the heads of ioi-by-hand that have the name, and for their decoys. In the organism all
# four heads of layer 2 are **induction** heads, with 0.45 to 0.76, among them the name mover L2H1. L0H3 (0.51) looks
# **one back**, and L0H1 a little. For **duplicates** there is nobody: the highest score is 0.12, of L1H0. Two of the
# three kinds are there, and neither is used here as Wang et al. found it. What an induction head has learned, to look
# at something earlier and to copy it, is much of what a name mover needs; it may be no accident that L2H1 and L2H3 are
# both. That is a guess: the scores show that both are there, not why.
#
# ### Which name, or which place?
#
# Now the message itself. Heads at END look at S2, and tell those after them something, so that these do not look at S.
# But *what*? There are two ways to point at S1: by its **name** ("not John": the token signal), or by its **place**
# ("not the fourth word": the position signal). In the prompts both always agree. To tell them apart, you need texts in
# which they do not, and the trick of Wang et al. is that only the message comes from such a text:
#
# | the message is taken from | who comes twice | where that name stood first |
# |---|---|---|
# | Then, Mary and **John** went to the store. **John** gave a drink to | John, as in the text | S1, as in the text |
# | Then, **John** and Mary went to the store. **John** gave a drink to | John, as in the text | *IO's place* |
# | Then, John and **Mary** went to the store. **Mary** gave a drink to | *Mary* | S1, as in the text |
# | Then, **Mary** and John went to the store. **Mary** gave a drink to | *Mary* | *IO's place* |
#
# Run the model on the text itself, with z of the messengers **at END** from one of the four. If the messengers speak of
# names, it is the third and fourth line that turn the answer round; if of places, the second and fourth.


# %%
# [exercise]
# number = "4.23"
# title = "Token signal and position signal"
# difficulty = 3
# importance = 4
# minutes = 30
# points = 4
# why = "Two explanations that agree on all your texts need a text on which they disagree. To make one in which one thing only is inverted is the art of the whole field."
# hints = [
#     "In each of the four texts, which token stands at IO's position, which at S1's, which at S2's? Write the four lines down with IO and S for Mary and John.",
#     "Let `twice` be who comes twice (S, or IO when the token is inverted) and `once` the other one. S2 is always `twice`. `twice` also stands at S1's position, and `once` at IO's; the other way round when the position is inverted. Run each with a cache of z.",
#     "tokens = prompts.tokens.clone(); tokens[rows, prompts.positions[role]] = the name, for three roles. The hook: z = z.clone(); for each of the heads in this layer, z[rows, ends, head] = source[hook.name][rows, ends, head]. Then the mean of logit_difference of the logits on prompts.tokens.",
# ]
# [/exercise]
def token_and_position_signal(
    model: TransformerBridge, prompts: Prompts, heads: Sequence[tuple[int, int]]
) -> Float[Tensor, "token position"]:
    """The mean logit difference on the prompts when z of these heads at END is that of a text with another message.

    Row 0: the name that comes twice there is S, as in the prompts; row 1: it is IO. Column 0: this name stands first
    where S1 stands in the prompts; column 1: where IO stands. All heads, (layer, head), are replaced together.
    After Wang et al. (2022), https://arxiv.org/abs/2211.00593, appendix A.
    """
    # BEGIN SOLUTION: put the two names at their three places four times; take the heads' z at END from each; logit differences
    ends = prompts.positions["END"]
    rows = torch.arange(len(ends), device=ends.device)
    names = [f"blocks.{layer}.attn.hook_z" for layer in sorted({layer for layer, _ in heads})]
    result = torch.zeros(2, 2, device=ends.device)
    for token in (0, 1):
        twice, once = (prompts.io, prompts.s) if token else (prompts.s, prompts.io)
        for position in (0, 1):
            at_first, elsewhere = ("IO", "S1") if position else ("S1", "IO")
            tokens = prompts.tokens.clone()
            for role, name in ((at_first, twice), (elsewhere, once), ("S2", twice)):
                tokens[rows, prompts.positions[role]] = name
            _, source = model.run_with_cache(tokens, names_filter=names)

            def patch(z: Float[Tensor, "batch pos head d_head"], hook, source=source) -> Tensor:
                z = z.clone()
                for layer, head in heads:
                    if layer == hook.layer():
                        z[rows, ends, head] = source[hook.name][rows, ends, head]
                return z

            logits = model.run_with_hooks(prompts.tokens, fwd_hooks=[(name, patch) for name in names])
            result[token, position] = logit_difference(logits, prompts).mean()
    return result
    # END SOLUTION


# %%
check(token_and_position_signal)


# %%
def looks_at_s2(model: TransformerBridge, cache: ActivationCache, prompts: Prompts) -> list[tuple[int, int]]:
    """The heads that attend from END to S2 with more than .3 in both orders."""
    shares = attention_by_role(model, cache, prompts)[..., list(prompts.positions).index("S2")]
    return [tuple(pair) for pair in (shares > 0.3).all(dim=0).nonzero().tolist()]


for name, each, cache, texts in (
    ("ioi-by-hand", hand, hand_cache, hand_prompts),
    (MODEL, model, clean_cache, prompts),
):
    messengers = looks_at_s2(each, cache, texts)
    signals = token_and_position_signal(each, texts, messengers)
    print(f"{name}: z at END of {', '.join(head_label(*pair) for pair in messengers)}; mean logit difference")
    print("                   place as in the text   place inverted")
    for row, values in zip(("token as in the text", "token inverted"), signals.tolist()):
        print(f"{row:20} {values[0]:19.2f} {values[1]:16.2f}")

# %% [markdown]
# **You should see** both signals in ioi-by-hand: 11.04 with a true message; 1.22 if the place is wrong; −4.74 if the
# name is; −11.65 with both. (L2H2 is among the three because it looks at S2; what it writes, nobody reads.) In GPT-2
# small both are there as well, and Wang et al. sum their six such figures up as 2.31 for the token signal plus 0.99 for
# the position signal, each with its sign.
#
# **The organism has a token signal and no other.** With the place inverted, nothing happens: 15.85. With the name
# inverted the answer turns round, to −14.81. And that had to be so: L0H0 and L0H2 stand in layer 0. At S2 they can read
# the name that stands there, but not where it stood before, which nobody has found out yet. "The last name before the
# end, and not him" is a message about a name.
#
# ### Point by point
#
# | class of Wang et al. | in ioi-by-hand | in the organism |
# |---|---|---|
# | previous token: S1+1 → S1 | L0H1 | L0H3 looks one back on random words. Tracing does not find it, and with its mean in its place the logit difference is 16.2 instead of 15.9 |
# | duplicate token: S2 → S1 | L0H0 | **none**. L1H0 looks there a little, more in one order than in the other, and nothing depends on it |
# | induction: S2 → S1+1 | L1H0 | L2H3, L2H2 and L2H1 look so, and are induction heads on random words. **But no path from S2 through them was traced**; two of them work at END |
# | S-inhibition: END → S2 | L2H0, L2H1 | **L0H0, L0H2**, in the first layer, with a token signal only; and what stops S is first of all the MLP after them |
# | name mover: END → IO | L3H0, L3H1 | **L2H1 by role**; L2H3 and L3H0 look by place, and say both names over the two orders |
# | negative name mover | L3H2 | **none**: no head has a negative copying score |
# | backup name mover | none | not looked for: bonus problem 4. The scores below show no sign of one |
#
# The organism solves the same task by a shorter way. In GPT-2 the duplicate must be *found* at S2, and the news carried
# on; here S2 is found by "the last name that was said", since in the organism's world the giver is named just before
# "gave … to". That is a shortcut, and a shortcut shows where it no longer fits: with another name between giver and END
# ("John, a friend of Tom, gave a drink to"), the last name is not S2. In the table of behaviours at the beginning, just
# these prompts (a bystander is named) had the logit difference halved. That they are answered nevertheless means that
# there is more in the organism than this circuit. (Bonus problem 1.)
#
# **Do other models have the same circuit?** *Universality* is the question whether different networks learn the same
# parts. The evidence is mixed, and much depends on what "the same" is to mean:
#
# - Merullo et al. (2024, [*Circuit Component Reuse*](https://arxiv.org/abs/2310.08744)) find that in GPT-2 medium a
#   circuit like that of IOI does the task, and that most of its heads also serve a quite different task.
# - Tigges et al. (2024, [*LLM Circuit Analyses Are Consistent Across Training and
#   Scale*](https://arxiv.org/abs/2407.10827)) follow Pythia models of 70M to 2.8B parameters through their training:
#   the *algorithm* of IOI stays, the heads that carry it out may change.
# - Chughtai et al. (2023, [*A Toy Model of Universality*](https://arxiv.org/abs/2302.03025)) train small networks on
#   group operations: the same family of solutions appears again and again, and which members of it appear differs by
#   seed.
#
# And our two seeds, which differ in nothing but the random numbers: take `MODEL = "organism-seed-1"`. It does the task
# as well. Two heads of layer 0 look from END at S2 (L0H1 with 0.70, L0H2 with 0.76), and their signal is one of token
# only, as here: with the place inverted the logit difference stays at 12.80. It has a name mover by role, L2H2 (0.69
# and 0.41), and one by place, L2H0 (0.00 and 0.99). So far it is the same story with other numbers. But it also has
# **L3H1, which looks from END at S2** (0.96 and 0.90) and has a *negative* copying score of 0.92: it says "not John"
# once more, in the last layer, and without it a third of the logit difference is gone. (McDougall et al. 2023 take
# GPT-2's L10H7 apart: it looks at a word that earlier layers are about to say, and lowers it, which they call [*copy
# suppression*](https://arxiv.org/abs/2310.04625). Whether L3H1 waits for such a prediction, we have not tested.) There
# is no such head in the first seed. The same data, the same steps: what the two share, the data may have asked for;
# where they differ, training had a choice.
#
# ## How good is the circuit?
#
# "These heads do it" is a claim that can be wrong in three ways. The circuit may not do the task by itself (it is not
# **faithful**); it may leave out parts that do the task too, which you did not notice because others stood in (it is
# not **complete**); it may have parts that do nothing (it is not **minimal**). Wang et al. give each a number.
#
# All three need one operation: run the model with *only* the circuit. What to do with all the other heads? If their
# output became zero, the model would lose everything they write on average, as in chapter 2, and break for reasons that
# have nothing to do with the task. So each gets a **mean** that holds what is always there (the grammar, the place in
# the sentence) and nothing of these names: its z averaged over the ABC twins, **by template and position**. Averaged
# over all texts alike it would be another thing: position 8 is "went" in one template and "the" in another, and the
# mean of both is something that no text has.


# %%
# [exercise]
# number = "4.24"
# title = "Means by template"
# difficulty = 2
# importance = 3
# minutes = 15
# points = 2
# why = "What you replace a part with decides what you say you removed. These means remove who the people are, and leave everything that a template has in all its texts."
# hints = [
#     "Which run gives the activations, and which of its axes is averaged over? Which rows go together?",
#     "Run on reference.tokens with a cache of hook_z only; stack layers in front. For each number in reference.templates take the rows of this template and average over the axis of texts.",
#     "numbers = torch.tensor(reference.templates, device=z.device); then a dictionary: number to z[:, numbers == number].mean(dim=1), with z of the axes layer, batch, pos, head, d_head.",
# ]
# [/exercise]
def mean_by_template(model: TransformerBridge, reference: Prompts) -> dict[int, Float[Tensor, "layer pos head d_head"]]:
    """For each template number of `reference` the mean z of every head at every position over its texts.

    Positions are all columns of `reference.tokens`, also those that only longer texts fill.
    After Wang et al. (2022), https://arxiv.org/abs/2211.00593, section 2.
    """
    # BEGIN SOLUTION: z of every layer on the reference texts; for each template the mean over its own rows
    _, cache = model.run_with_cache(reference.tokens, names_filter=lambda name: name.endswith("attn.hook_z"))
    z = torch.stack([cache["z", layer] for layer in range(model.cfg.n_layers)])
    numbers = torch.tensor(reference.templates, device=z.device)
    return {number: z[:, numbers == number].mean(dim=1) for number in sorted(set(reference.templates))}
    # END SOLUTION


# %%
check(mean_by_template)

# %% [markdown]
# Now the model with only the circuit: z of every head that is *not* in it is replaced, in each text by the mean of that
# text's template. MLPs, LayerNorm and embeddings run as they will. (They read from the stream, so they react to what is
# missing. We say nothing about them: "the circuit" here is a set of heads, as in Wang et al.)
#
# We keep a head at all positions or at none. Wang et al. are stricter and keep it only at the position of its class,
# such as END; that makes a smaller circuit, and a stronger claim. (Bonus problem 2.)


# %%
# [exercise]
# number = "4.25"
# title = "Nothing but the circuit"
# difficulty = 3
# importance = 5
# minutes = 25
# points = 4
# why = "A circuit that has never been run alone is a story. This runs it."
# hints = [
#     "In the hook of a layer: which heads are replaced, and by what, in a row of template 2?",
#     "Lay the means side by side, row by row: torch.stack([means[number] for number in prompts.templates]) has the axes batch, layer, pos, head, d_head. `circuit` may be a generator, which can be gone through once only: make a set of it first.",
#     "layer = hook.layer(); z = z.clone(); for head in range(model.cfg.n_heads): if (layer, head) not in kept: z[:, :, head] = mean[:, layer, :, head]. One hook for each layer, and run_with_hooks on prompts.tokens.",
# ]
# [/exercise]
def ablate_all_but(
    model: TransformerBridge,
    prompts: Prompts,
    circuit: Iterable[tuple[int, int]],
    means: Mapping[int, Float[Tensor, "layer pos head d_head"]],
) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits on the prompts when z of every head outside the circuit is the mean of the text's template.

    `circuit` has pairs (layer, head), and `means` an entry for every number in `prompts.templates`.
    After Wang et al. (2022), https://arxiv.org/abs/2211.00593, section 2.
    """
    # BEGIN SOLUTION: each row's means by its template; a hook on every layer's z that puts them in for heads not kept
    kept = set(circuit)
    mean = torch.stack([means[number] for number in prompts.templates])

    def ablate(z: Float[Tensor, "batch pos head d_head"], hook) -> Float[Tensor, "batch pos head d_head"]:
        layer, z = hook.layer(), z.clone()
        for head in range(model.cfg.n_heads):
            if (layer, head) not in kept:
                z[:, :, head] = mean[:, layer, :, head]
        return z

    names = [f"blocks.{layer}.attn.hook_z" for layer in range(model.cfg.n_layers)]
    return model.run_with_hooks(prompts.tokens, fwd_hooks=[(name, ablate) for name in names])
    # END SOLUTION


# %%
check(ablate_all_but)

# %% [markdown]
# Everything from here on is about **scores** of a set of heads: the mean of some number over all texts when just these
# heads are kept. Wang et al. write $F(C)$, with the logit difference as the number, and $M$ for all heads. Since we
# will ask for the same sets again, the score remembers its answers; for that, a set must be a `frozenset`.


# %%
def score_of(
    model: TransformerBridge,
    prompts: Prompts,
    reference: Prompts,
    number: Callable[[Float[Tensor, "batch pos d_vocab"]], Float[Tensor, "batch"]],
) -> Callable[[frozenset[tuple[int, int]]], float]:
    """F: for a set of heads to keep, the mean over texts of a number that is read off the logits."""
    means = mean_by_template(model, reference)
    return functools.cache(lambda keep: number(ablate_all_but(model, prompts, keep, means)).mean().item())


hand_score = score_of(hand, hand_prompts, hand_twins, partial(logit_difference, prompts=hand_prompts))
score = score_of(model, prompts, twins, partial(logit_difference, prompts=prompts))

hand_circuit = frozenset(found_heads)
traced = frozenset(sender for sender, _ in model_edges if isinstance(sender, tuple))
if MODEL == "gpt2":  # not traced, but the paper's heads are known
    traced = frozenset(pair for paper_heads in PAPER_CLASSES.values() for pair in paper_heads)
for name, each, value in (("ioi-by-hand", hand, hand_score), (MODEL, model, score)):
    chosen = hand_circuit if each is hand else traced
    print(f"{name}, the circuit: {', '.join(head_label(*pair) for pair in sorted(chosen))}")
    for label, heads in (("all heads", all_heads(each)), ("the circuit", chosen), ("no head", [])):
        print(f"  {label:12} {len(heads):3} heads   F = {value(frozenset(heads)):6.2f}")

# %% [markdown]
# ### Faithfulness
#
# How much of $F(M)$ does the circuit have by itself? People give this number in three ways, and papers do not always
# say which:
#
# - the **gap** $F(M) - F(C)$, in logits. Wang et al. define faithfulness by its size; in their best circuit it is 0.46;
# - the **ratio** $F(C) / F(M)$: their "87%";
# - the part **recovered** of what there is to recover, $\dfrac{F(C) - F(\emptyset)}{F(M) - F(\emptyset)}$, where
#   $F(\emptyset)$ keeps no head at all. Ratio and recovered agree if $F(\emptyset) = 0$. Where it is not, the ratio
#   gives the circuit credit for what the model without any head does as well.


# %%
# [exercise]
# number = "4.26"
# title = "Faithfulness"
# difficulty = 1
# importance = 5
# minutes = 10
# points = 2
# why = "Percentages of faithfulness from different papers are often not the same quantity. One who has computed all three asks which one it was."
# hints = [
#     "Which three sets of heads must be scored?",
#     "`score` takes a frozenset of the heads to keep: all, the circuit's, and none. Everything else is arithmetic with three numbers.",
#     "whole, part, nothing = score(frozenset(everything)), score(frozenset(circuit)), score(frozenset()); the gap is whole - part, with its sign; ratio part / whole; recovered as in the formula.",
# ]
# [/exercise]
def faithfulness(
    circuit: Iterable[tuple[int, int]],
    everything: Iterable[tuple[int, int]],
    score: Callable[[frozenset[tuple[int, int]]], float],
) -> dict[str, float]:
    """How near the circuit alone comes to all heads: "gap" F(M) - F(C), "ratio" F(C) / F(M), and "recovered".

    Recovered is (F(C) - F(∅)) / (F(M) - F(∅)). `score` is F, of a frozenset of heads to keep; `everything` is M. A gap
    below 0 means that the circuit alone has the higher score.
    After Wang et al. (2022), https://arxiv.org/abs/2211.00593, section 4.
    """
    # BEGIN SOLUTION: score all heads, the circuit and no head; the difference and both ratios
    whole, part, nothing = score(frozenset(everything)), score(frozenset(circuit)), score(frozenset())
    return {"gap": whole - part, "ratio": part / whole, "recovered": (part - nothing) / (whole - nothing)}
    # END SOLUTION


# %%
check(faithfulness)

# %%
at_s2 = frozenset(looks_at_s2(model, clean_cache, prompts))
tried = {
    "ioi-by-hand, its circuit": (hand_circuit, hand, hand_score),
    f"{MODEL}, its circuit": (traced, model, score),
    f"{MODEL}, {' and '.join(head_label(*pair) for pair in sorted(at_s2))} alone": (at_s2, model, score),
}
for name, (circuit, each, value) in tried.items():
    figures = faithfulness(circuit, all_heads(each), value)
    print(f"{name:32} {len(circuit):2} heads  ", "  ".join(f"{key} {number:6.2f}" for key, number in figures.items()))

# %% [markdown]
# **You should see** a perfect circuit in ioi-by-hand: gap 0. In the organism, the six traced heads have *more* than the
# whole model: a gap of −1.93, and 112%. The other ten, taken together, work against this number. Here $F(\emptyset)$ is
# 0, because each pair of names is there in both roles and the means know none of them; so ratio and recovered agree.
#
# And then the last line. **Two heads of the first layer, out of 16, have 89% of the organism's logit difference.** Is
# that the circuit of the task, and are name movers superfluous? Look at more than the one number:


# %%
def probability(logits: Float[Tensor, "batch pos d_vocab"], prompts: Prompts) -> Float[Tensor, "batch"]:
    """P(IO) at END."""
    rows = torch.arange(len(logits), device=logits.device)
    return logits[rows, prompts.positions["END"]].softmax(dim=-1)[rows, prompts.io]


answer_score = score_of(model, prompts, twins, partial(above_names, prompts=prompts))
probability_score = score_of(model, prompts, twins, partial(probability, prompts=prompts))
sets = {"all heads": all_heads(model), "no head": [], "the circuit": traced, "they look at S2": at_s2}
for pair in movers[MODEL]:
    sets[f"… at S2, and {head_label(*pair)}"] = at_s2 | {pair}
sets["… at S2, and all of these"] = at_s2.union(movers[MODEL])
print(f"{'kept':26} heads   IO less S   IO less names   P(IO)")
for name, heads in sets.items():
    these = frozenset(heads)
    print(
        f"{name:26} {len(these):5}  {score(these):10.2f}  {answer_score(these):14.2f}  {probability_score(these):6.2f}"
    )

# %% [markdown]
# **You should see** that the two heads have the logit difference and nothing else. With them alone the model prefers
# Mary to John in 14.05 logits, and says Mary with a probability of 0.02. It knows whom *not* to name. With L2H1, L2H3
# and L3H0 beside them it says Mary with 0.86: of the 12.52 logits by which IO is above the mean of names, 2.77 are
# there without these three, and 10.67 with them. Each of them brings some of it, those that go by place too, since in
# any text one of them is right.
#
# So the logit difference has hidden the name movers, as the first part of this chapter warned. To prefer Mary to John
# it is enough to lower John; to *say* Mary, somebody has to bring her. A circuit is faithful **to a metric**. "87%
# faithful" is a statement about one number on one set of texts with one kind of ablation (Miller et al. 2024 show how
# much each of these choices moves the score, [*Transformer Circuit Faithfulness Metrics Are Not
# Robust*](https://arxiv.org/abs/2407.08734)).
#
# ### Completeness
#
# A circuit may be faithful and still not be all of it. Think of an OR: two heads do the same thing, each would suffice.
# A circuit with one of them is as good as the model. But ablate that one, in the circuit and in the model: the circuit
# is broken, the model is not, for there the other one is left. So compare circuit and model **in damaged states**: for
# subsets $K$ of the circuit,
#
# $$\text{incompleteness}(K) = \big| F(C \setminus K) - F(M \setminus K) \big|$$
#
# A complete circuit has a small number here for *every* $K$. There are $2^{|C|}$ of them, so one samples (Wang et al.
# also search for the worst one greedily). With $K = \emptyset$ it is the size of faithfulness' gap.


# %%
# [exercise]
# number = "4.27"
# title = "Completeness"
# difficulty = 1
# importance = 4
# minutes = 10
# points = 1
# why = "It is the only one of the three that looks outside the circuit, and finds what was left out: backups, and second ways."
# hints = [
#     "Which two sets of heads are kept, and what is missing from both of them?",
#     "Sets know `-`. What is asked for is the difference of two scores, without its sign.",
#     "missing = frozenset(subset); then score(frozenset(circuit) - missing) and score(frozenset(everything) - missing).",
# ]
# [/exercise]
def completeness(
    circuit: Iterable[tuple[int, int]],
    subset: Iterable[tuple[int, int]],
    everything: Iterable[tuple[int, int]],
    score: Callable[[frozenset[tuple[int, int]]], float],
) -> float:
    """|F(C∖K) - F(M∖K)|: how far circuit and model are apart when both lack the heads of the subset K.

    `score` is F, of a frozenset of heads to keep; `everything` is M.
    After Wang et al. (2022), https://arxiv.org/abs/2211.00593, section 4.
    """
    # BEGIN SOLUTION: take the subset out of the circuit and out of everything; the size of the difference of scores
    missing = frozenset(subset)
    return abs(score(frozenset(circuit) - missing) - score(frozenset(everything) - missing))
    # END SOLUTION


# %%
check(completeness)

# %%
generator = torch.Generator().manual_seed(0)
for name, circuit, each, value in (
    ("ioi-by-hand", hand_circuit, hand, hand_score),
    (MODEL, traced, model, score),
):
    heads = sorted(circuit)
    # each head is taken out or not, by a coin
    subsets = [
        frozenset(pair for pair, out in zip(heads, torch.rand(len(heads), generator=generator) < 0.5) if out)
        for _ in range(24)
    ]
    gaps = [completeness(circuit, subset, all_heads(each), value) for subset in subsets]
    worst = max(range(len(gaps)), key=gaps.__getitem__)
    without = ", ".join(head_label(*pair) for pair in sorted(subsets[worst]))
    print(f"{name}: mean incompleteness {sum(gaps) / len(gaps):.2f}, worst {gaps[worst]:.2f}, without {without}")
    show(
        scatter(
            [value(frozenset(all_heads(each)) - subset) for subset in subsets],
            [value(circuit - subset) for subset in subsets],
            names=[", ".join(head_label(*pair) for pair in sorted(subset)) for subset in subsets],
            name_farthest=3 if max(gaps) > 0.01 else 0,
            title=f"{name}: model and circuit, each without the same heads; on the line, they agree",
            x_name="F of the model without K",
            y_name="F of the circuit without K",
        )
    )

# %% [markdown]
# **You should see** all points of ioi-by-hand on the line: nothing is missing. In the organism circuit and model stay
# near each other, 0.48 apart on average. The worst of these $K$ has 1.49, which is no more than the gap of 1.93 with
# nothing removed: the ten heads left out lower the score, in whatever state, and none of them steps in for a head of
# the circuit.
#
# ### Minimality
#
# Is each head in it needed? Not simply "does the score change without it": one of two heads that do the same thing can
# always go, as long as the other is there. So a head $v$ may be judged in the circuit without some $K$, in which its
# doubles are:
#
# $$\text{minimality}(v, K) = \big| F(C \setminus (K \cup \{v\})) - F(C \setminus K) \big|$$
#
# $v$ is justified if for *some* $K \subseteq C \setminus \{v\}$ this is large. With $K = \emptyset$ it is the plain
# effect of the head in the circuit.


# %%
# [exercise]
# number = "4.28"
# title = "Minimality"
# difficulty = 1
# importance = 4
# minutes = 10
# points = 1
# why = "The whole model is faithful and complete. What makes a circuit an explanation is that nothing is in it without need."
# hints = [
#     "Two sets are scored, and they differ in a single head. What have they in common?",
#     "First the circuit without K. Then that, without the head.",
#     "rest = frozenset(circuit) - frozenset(subset); compare score(rest) with score(rest - {head}).",
# ]
# [/exercise]
def minimality(
    circuit: Iterable[tuple[int, int]],
    head: tuple[int, int],
    subset: Iterable[tuple[int, int]],
    score: Callable[[frozenset[tuple[int, int]]], float],
) -> float:
    """|F(C∖(K ∪ {v})) - F(C∖K)|: what the head v does in the circuit without the subset K.

    `score` is F, of a frozenset of heads to keep.
    After Wang et al. (2022), https://arxiv.org/abs/2211.00593, section 4.
    """
    # BEGIN SOLUTION: the circuit without the subset, with and without the head; the size of the difference of scores
    rest = frozenset(circuit) - frozenset(subset)
    return abs(score(rest - {head}) - score(rest))
    # END SOLUTION


# %%
check(minimality)

# %%
for name, circuit, value in (("ioi-by-hand", hand_circuit, hand_score), (MODEL, traced, score)):
    print(f"{name}: effect of each head in the circuit; and at most, with one other head of the circuit away")
    for pair in sorted(circuit):
        line = f"  {head_label(*pair)}  {minimality(circuit, pair, [], value):6.2f}"
        if len(circuit) <= 10:  # the pairs of GPT-2's 26 heads would take long
            most, other = max((minimality(circuit, pair, [second], value), second) for second in circuit - {pair})
            line += f"   {most:6.2f} without {head_label(*other)}"
        print(line)

# %% [markdown]
# **You should see** every head justified in ioi-by-hand, with 3.65 or more. Note L2H0 and L2H1: 3.65 each, and 11.38
# once the other is gone. They share the work, and without both there is nothing. In the organism it is the same with
# L0H0 and L0H2: 4.33 and 5.06 by themselves, 10.19 and 10.92 each without the other. L0H1, a third of their kind, is
# worth 0.62 while they are there. And L3H0 has the least effect of all in this number, 0.76; whether it belongs to the
# circuit depends on what the circuit is for.
#
# ### Let a program prune
#
# With a score, a circuit can be *searched*: begin with all heads; drop the one without which the score stays nearest to
# $F(M)$; again; stop before the score leaves a margin around $F(M)$. After each removal, all the others are judged
# anew, since what was superfluous may have become necessary: of two doubles, the first can go and the second cannot.


# %%
# [exercise]
# number = "4.29"
# title = "Prune a circuit greedily"
# difficulty = 3
# importance = 3
# minutes = 20
# points = 3
# why = "Automated circuit discovery (chapter 8) is this loop with edges in place of heads and with cheaper estimates. What it finds depends on metric and order, which you can watch here."
# hints = [
#     "Which sets are candidates for the next step, and with what are their scores compared: with the score of the last step, or with that of all heads?",
#     "In each round: for every head that is left, the distance of score(kept - {head}) from the score of everything. Take the nearest. If even this is farther than tolerance times |F(M)|, stop without removing it.",
#     "gaps = {head: abs(whole - score(kept - {head})) for head in sorted(kept)}; head = min(gaps, key=gaps.get); break if gaps[head] > tolerance * abs(whole), else kept = kept - {head}. while kept; and at the end sorted(kept).",
# ]
# [/exercise]
def greedy_circuit(
    everything: Iterable[tuple[int, int]],
    score: Callable[[frozenset[tuple[int, int]]], float],
    tolerance: float,
) -> list[tuple[int, int]]:
    """What is left of all heads when, one at a time, those are dropped without which the score stays nearest to F(M).

    Stops before the score would be farther from F(M) than `tolerance` times the size of F(M), on either side. `score` is
    F, of a frozenset of heads to keep; `everything` is M. Where two heads are as good, the one of the lower layer, then
    of the lower number, goes first. What comes back is sorted in the same way.
    """
    # BEGIN SOLUTION: while the best removal keeps the score within the margin around that of all heads, remove it
    kept = frozenset(everything)
    whole = score(kept)
    while kept:
        gaps = {head: abs(whole - score(kept - {head})) for head in sorted(kept)}
        head = min(gaps, key=gaps.get)
        if gaps[head] > tolerance * abs(whole):
            break
        kept = kept - {head}
    return sorted(kept)
    # END SOLUTION


# %%
check(greedy_circuit)

# %%
# some 130 sets of heads are scored for each search: every fifth text will do, with all templates and both orders
few, hand_few = select(prompts, slice(None, None, 5)), select(hand_prompts, slice(None, None, 5))
hand_value = score_of(hand, hand_few, hand_twins, partial(logit_difference, prompts=hand_few))
searches = [("ioi-by-hand", "IO less S", hand, hand_value)]
# the number of runs grows with the square of the number of heads: 10,000 in GPT-2 small
if not MANY_HEADS:
    for measured, number in (("IO less S", logit_difference), ("IO less names", above_names)):
        searches.append((MODEL, measured, model, score_of(model, few, twins, partial(number, prompts=few))))
for name, measured, each, value in searches:
    for tolerance in (0.05, 0.1, 0.2):
        kept = greedy_circuit(all_heads(each), value, tolerance)
        listed = " ".join(head_label(*pair) for pair in kept)
        of_all, of_kept = value(frozenset(all_heads(each))), value(frozenset(kept))
        print(f"{name}, {measured}, {tolerance:.0%}: F {of_kept:5.2f} of {of_all:5.2f}: {listed}")

# %% [markdown]
# **You should see** ioi-by-hand's eight heads, whatever the tolerance: there is a clean edge between what does the task
# and what does not. The organism has none. For IO less S, four heads are left with a tolerance of 5%, three with 10%,
# and with 20% only L0H0 and L0H2. For IO less names, eight, six and five, and the name movers are in all of these. Even
# the words "the circuit" are too much here: there is one for each metric and tolerance, and one says which.
#
# ## The circuit, drawn
#
# Now put together what was found: the heads and edges of the tracing, what each head does, and what is left of the
# model without the rest.

# %%
hand_roles = {(head.layer, head.head): head.role.removesuffix(" head") for head in true_circuit.heads}
show(
    circuit_graph(
        hand_edges,
        roles=hand_roles,
        title="ioi-by-hand: the circuit that tracing found; the thicker, the more of the answer is lost",
        value_name="share of the logit difference",
    )
)

# %%
ROLES_FOUND = {  # yours, if they are others; for another model, what you found there
    "organism": {
        (0, 0): "last name said",
        (0, 1): "last name said",
        (0, 2): "last name said",
        (2, 1): "name mover",
        (2, 3): "second name",
        (3, 0): "first name",
    },
    "ioi-by-hand": hand_roles,
}
if model_edges:
    show(
        circuit_graph(
            model_edges,
            roles=ROLES_FOUND.get(MODEL, {}),
            title=f"{MODEL}: what tracing found; dashed paths work against the answer",
            value_name="share of the logit difference",
        )
    )

# %% [markdown]
# And before and after: what every head writes directly into the logit difference, in the whole model and in the
# circuit. If the circuit is all there is, the heads of the circuit should do the same in both pictures.


# %%
def written_by_head(
    model: TransformerBridge, prompts: Prompts, heads: Iterable[tuple[int, int]], reference: Prompts
) -> Float[Tensor, "layer head"]:
    """What each head writes into the logit difference, over the mean of all texts, when only these heads are kept."""
    means, kept = mean_by_template(model, reference), set(heads)
    mean = torch.stack([means[number] for number in prompts.templates])

    def ablate(z: Float[Tensor, "batch pos head d_head"], hook) -> Float[Tensor, "batch pos head d_head"]:
        layer, z = hook.layer(), z.clone()
        for head in range(model.cfg.n_heads):
            if (layer, head) not in kept:
                z[:, :, head] = mean[:, layer, :, head]
        return z

    with model.hooks(fwd_hooks=[(f"blocks.{layer}.attn.hook_z", ablate) for layer in range(model.cfg.n_layers)]):
        _, cache = model.run_with_cache(prompts.tokens, **keep)
    return by_head(logit_difference_by_component(model, cache, prompts), model).mean(dim=-1)


for name, each, circuit, texts, reference in (
    ("ioi-by-hand", hand, hand_circuit, hand_prompts, hand_twins),
    (MODEL, model, traced, prompts, twins),
):
    show(
        compare(
            written_by_head(each, texts, all_heads(each), reference),
            written_by_head(each, texts, circuit, reference),
            titles=("before: all heads", f"after: the circuit's {len(circuit)} heads"),
            title=f"{name}: what heads write into the logit difference, before and after ablation",
            **layer_and_head(each),
            signed=True,
        )
    )

# %% [markdown]
# **You should see** the same picture twice for ioi-by-hand. In the organism nearly so: L2H1 writes 1.66 before and 1.82
# after, L2H3 0.24 and 0.26, L3H0 −0.44 and −0.63. The ten ablated heads say the same for IO and S now. What they wrote
# before was small, and mostly against the answer: −0.26 by L1H0, −0.20 by L2H2. And L0H0 and L0H2, with 4 and 5 logits
# the strongest of all by ablation, write −0.15 and −0.22 here. All they do, they do through others: MLPs above all, and
# the query of L2H1.
#
# ## GPT-2 small
#
# The paper's circuit has 26 heads. Does it do by itself what they say? Set `WITH_GPT2 = True` and run your functions on
# it. It is downloaded once (550 MB), and the runs take a minute or two.

# %%
WITH_GPT2 = MODEL == "gpt2"

gpt2 = None
if not WITH_GPT2:
    print("GPT-2 small is skipped: it would have to be downloaded (550 MB, once). WITH_GPT2 = True runs this.")
else:
    try:
        gpt2 = model if MODEL == "gpt2" else load_model("gpt2", device=device)
    except ModelUnavailable as error:
        print(f"GPT-2 small is skipped: {error}")

if gpt2 is not None:
    texts = ioi_prompts(gpt2, TEMPLATES, PAIRS[:6], NOUNS, torch.Generator().manual_seed(0))
    reference = abc_twins(gpt2, texts, NAMES, torch.Generator().manual_seed(1))
    paper = frozenset(pair for heads in PAPER_CLASSES.values() for pair in heads)
    value = score_of(gpt2, texts, reference, partial(logit_difference, prompts=texts))
    print(f"F of all 144 heads {value(frozenset(all_heads(gpt2))):.2f} (the paper: 3.56)")
    figures = faithfulness(paper, all_heads(gpt2), value)
    print("the paper's 26 heads, at all positions:", {key: round(number, 2) for key, number in figures.items()})
    _, cache = gpt2.run_with_cache(
        texts.tokens, names_filter=lambda name: name.endswith(("pattern", "hook_z", "ln_final.hook_scale"))
    )
    words = torch.tensor([name_token(gpt2, word) for word in NAMES], device=texts.tokens.device)
    works_at = {"previous token": "S1+1", "duplicate token": "S2", "induction": "S2"}  # the others at END
    for role, heads in PAPER_CLASSES.items():
        query = works_at.get(role, "END")
        both = attention_by_role(gpt2, cache, texts, query).mean(dim=0)
        for pair in heads:
            looks = " ".join(f"{key} {share:.2f}" for key, share in zip(texts.positions, both[pair].tolist()))
            copies, minus = (name_copying_score(gpt2, *pair, words, negative=sign) for sign in (False, True))
            print(f"{role:20} {head_label(*pair):7} {query:4} to {looks}; copies {copies:.2f}, negatively {minus:.2f}")

# %% [markdown]
# The paper's own figures, to compare with: the logit difference of GPT-2 small is 3.56, of which the 26 heads, each at
# the positions of its class, reach 87%. Name movers have copying scores above 0.95, and negative name movers copy
# negatively with 0.98. Your prompts are others, and your circuit keeps heads at all positions; so expect these figures
# to be near, not the same.
#
# ## What a circuit shows, and what it does not
#
# What you noted on patches and on paths holds for the circuit that was put together from them: it is about these texts,
# these twins, one metric and one direction, and where you saw no effect, a backup, a second way, or a metric that
# cannot see it may be the reason. What is more:
#
# - **Faithful is not true.** Different circuits can have equal scores; you met three for one model above. A score says
#   that a set of heads *suffices* for a number, when all others stand at their means.
# - **A circuit of heads says nothing of what is not a head.** In the organism most of the answer is written by MLPs,
#   which we left whole. A head may do several things, and a thing may be spread over heads; chapter 3's features are
#   one answer to this.
# - **A mean is over texts.** Order, template and rare cases: look at the halves, and at the lowest.
# - **A name is a summary.** "L2H1 is a name mover" says what it does on these texts. The same head is an induction head
#   on others, and nobody has looked at all texts.
#
# ## What you can do now
#
# - You can write prompts that control what they should, with twins that change one thing, and check that they do.
# - You can choose a metric, and say what it does not see.
# - You can patch any activation, in either direction, and batch a sweep so that it costs a few runs.
# - You can estimate a sweep from a gradient, and know where the estimate is wrong.
# - You can follow a circuit backwards, path by path, and know on a model with a known circuit that your method finds
#   it.
# - You can say what a head does, from its weights, where it looks, and what its message changes.
# - You can score a circuit in three ways, and say what a good score does not prove.
#
# Chapter 5 asks a question that looks easier: is something *in* an activation at all? And why is the answer worth so
# little without what you learned here?
#
# ## Bonus problems
#
# 1. **The shortcut, attacked.** Write prompts in which the last name before END is *not* S ("John, a friend of Tom,
#    gave a drink to"). Where do L0H0 and L0H2 look now? Who lowers S then? Trace these prompts.
# 2. **Heads at positions.** Let `circuit` be pairs of a head and a role, and ablate heads elsewhere, as Wang et al. do.
#    How small does the circuit of ioi-by-hand become, and does it stay perfect?
# 3. **The worst K.** Search greedily for the subset with the largest incompleteness, and compare it with the worst of
#    24 random ones.
# 4. **Backup.** Mean-ablate L2H1 alone, and attribute anew. Does any head write more than before? Separate what
#    LayerNorm's scale does by itself (Rushing and Nanda 2024, [*Explorations of Self-Repair in Language
#    Models*](https://arxiv.org/abs/2402.15390)).
# 5. **The second seed.** Set `MODEL = "organism-seed-1"` and run the chapter again. Which of the sentences of this
#    notebook are still true?
# 6. **MLPs as parts.** Extend `ablate_all_but` to keep or ablate MLPs too. Which MLPs can go?
# 7. **Another corruption.** Use twins in which S2 is a third name as the reference of the means. Which scores change?
#
# ## Reading
#
# **The circuit.** Wang et al. 2022, [*Interpretability in the Wild: a Circuit for Indirect Object Identification in
# GPT-2 small*](https://arxiv.org/abs/2211.00593): all of it now, with its appendices.
#
# **Patching.** Heimersheim and Nanda 2024, [*How to use and interpret activation
# patching*](https://arxiv.org/abs/2404.15255). Zhang and Nanda 2024, [*Towards Best Practices of Activation Patching in
# Language Models*](https://arxiv.org/abs/2309.16042). Where it comes from: Vig et al. 2020, [*Causal Mediation Analysis
# for Interpreting Neural NLP*](https://arxiv.org/abs/2004.12265); Geiger et al. 2021, [*Causal Abstractions of Neural
# Networks*](https://arxiv.org/abs/2106.02997); Meng et al. 2022, [*Locating and Editing Factual Associations in
# GPT*](https://arxiv.org/abs/2202.05262). What it does not show: Hase et al. 2023, [*Does Localization Inform
# Editing?*](https://arxiv.org/abs/2301.04213).
#
# **Estimates.** Nanda 2023, [*Attribution Patching: Activation Patching At Industrial
# Scale*](https://www.neelnanda.io/mechanistic-interpretability/attribution-patching). Syed et al. 2023, [*Attribution
# Patching Outperforms Automated Circuit Discovery*](https://arxiv.org/abs/2310.10348). Kramár et al. 2024,
# [*AtP\**](https://arxiv.org/abs/2403.00745). Hanna et al. 2024, [*Have Faith in
# Faithfulness*](https://arxiv.org/abs/2403.17806).
#
# **Paths and circuits.** Goldowsky-Dill et al. 2023, [*Localizing Model Behavior with Path
# Patching*](https://arxiv.org/abs/2304.05969). Conmy et al. 2023, [*Towards Automated Circuit Discovery for Mechanistic
# Interpretability*](https://arxiv.org/abs/2304.14997). McDougall et al. 2023, [*Copy
# Suppression*](https://arxiv.org/abs/2310.04625).
#
# **Judging them.** Miller et al. 2024, [*Transformer Circuit Faithfulness Metrics Are Not
# Robust*](https://arxiv.org/abs/2407.08734). Chan et al. 2022, [*Causal
# Scrubbing*](https://www.alignmentforum.org/posts/JvZhhzycHu2Yd57RN/causal-scrubbing-a-method-for-rigorously-testing).
# Makelov et al. 2023, [*Is This the Subspace You Are Looking for?*](https://arxiv.org/abs/2311.17030), on patches that
# work for the wrong reason; Wu et al. 2024 reply ([arXiv 2401.12631](https://arxiv.org/abs/2401.12631)).
#
# **The same circuit elsewhere?** Merullo et al. 2024, [*Circuit Component Reuse Across Tasks in Transformer Language
# Models*](https://arxiv.org/abs/2310.08744). Tigges et al. 2024, [*LLM Circuit Analyses Are Consistent Across Training
# and Scale*](https://arxiv.org/abs/2407.10827). Chughtai et al. 2023, [*A Toy Model of
# Universality*](https://arxiv.org/abs/2302.03025).
#
# **Parts that stand in for others.** McGrath et al. 2023, [*The Hydra Effect*](https://arxiv.org/abs/2307.15771).
# Rushing and Nanda 2024, [*Explorations of Self-Repair in Language Models*](https://arxiv.org/abs/2402.15390).
