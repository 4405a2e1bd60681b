# %% [markdown]
# # 1. Transformers from scratch
#
# A language model is a function. It reads a list of tokens and returns, for every position, one number for each token
# that could come next. In this chapter you write that function, all of it, until your own two pages of code give the
# same numbers as a trained GPT-2.
#
# Why write what one can import? Because interpretability is made of claims about these lines. "This head looks back one
# token" is a claim about the matrix you compute in exercise 1.4. "This direction means refusal" is a claim about the
# sum you write in exercise 1.7. Whoever has written the lines knows what such a claim can mean, and where it can be
# wrong.
#
# **At the end of this chapter you will be able to**
#
# - write every part of GPT-2 from tensors, load trained weights into it, and show that its logits are the real ones;
# - say what the residual stream is, and split what a model computes into the parts that wrote it;
# - read a neuron of an MLP as a key and a value;
# - train a transformer, and tell from its loss what it has learned so far;
# - sample from it by every usual method, and make sampling fast with a cache;
# - as a bonus, build the tokenizer and beam search.
#
# **You need** Python, tensors and `nn.Module` in PyTorch, matrix products, and the softmax. Nothing else is assumed.
# The whole chapter takes about seven hours; the exercises can be done in several sittings.
#
# ## How this notebook works
#
# An exercise is a cell in which the important lines are missing: it has a name and a signature, and raises
# `NotImplementedError` where your code goes. Replace that line, run the cell, then run the `check` below it.
#
# | you run | you get |
# |---|---|
# | `check(LayerNorm)` | a card, usually within a second: every rule that your object was tried on; for the first that fails, what was seen, what the rule is, where to look, and, if it is a mistake that people often make, its name |
# | `hint(LayerNorm)` | the next of three hints: a nudge, the idea, nearly the code |
# | `reveal(LayerNorm)` | a solution, to compare with yours or when an hour is enough |
# | `!circuits progress` | what you have solved so far; every card counts it too |
#
# The checks know PyTorch, not our solution: any right way to write it passes, with loops or without. A check never
# changes your objects. Where a cell below a check draws a picture, it draws it with *your* code.
#
# The dots above each exercise say how difficult it is, and how much of the rest of the course stands on it.
#
# Everything runs on a laptop without a network, on **the organism**: a model of GPT-2's architecture with 4 layers and
# 0.9 million parameters, trained on generated text about people, places, facts, reviews and requests. It is small
# enough to answer at once and large enough to have circuits. One line below changes to the real GPT-2 small, for which
# the same cells hold.

# %%
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import einops
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from utils import TransformerConfig, check, device, hint, load_model, load_tokenizer, load_weights, reveal
from utils.data import KINDS, bigram_entropy, corpus_tokens, sample_document, token_windows, unigram_entropy
from utils.plots import (
    LiveLoss,
    attention,
    diagram,
    distribution,
    distributions,
    head_label,
    heatmap,
    lines,
    neuron_table,
    residual_sum,
    sampling_playground,
    timings,
)

MODEL = "organism"  # change to "gpt2" for GPT-2 small (downloads 550 MB once)

# %% [markdown]
# ## What goes in: tokens
#
# A model does not see letters. A **tokenizer** cuts text into pieces from a fixed list, the vocabulary, and replaces
# each piece by its place in the list. GPT-2 has 50,257 pieces, the organism 807: mostly whole words, with the space in
# front of a word belonging to it. So `" Mary"` is one token, and what the model reads is a number.
#
# Every text begins with a special token, `<|endoftext|>`, called **BOS** (beginning of sequence) from here on. It marks
# where a document starts; you will soon see that heads also use it as a place to look when they have nothing to do.

# %%
tokenizer = load_tokenizer(MODEL)
cfg, weights = load_weights(MODEL)


def to_tokens(text: str) -> Int[Tensor, "batch=1 pos"]:
    """The text's token ids, with BOS in front, as a batch of one."""
    return torch.tensor([[tokenizer.bos_token_id, *tokenizer.encode(text)]])


def token_strings(tokens: Int[Tensor, "batch=1 pos"]) -> list[str]:
    """The text of each token."""
    return [tokenizer.decode([token]) for token in tokens[0].tolist()]


sentence = " When Mary and John went to the store, John gave a drink to Mary."
tokens = to_tokens(sentence)
for token, text in zip(tokens[0].tolist(), token_strings(tokens)):
    print(f"{token:6}  {text!r}")

# %% [markdown]
# ## The plan of the building
#
# Here is the whole model. Look at the thick blue line first.

# %%
diagram("residual_stream")

# %% [markdown]
# The line is the **residual stream**: one vector of `d_model` numbers for each position. It starts as the sum of a
# vector for the token and a vector for its position. Then every block reads from it and *adds* something to it: first
# an attention layer, which moves information from earlier positions to later ones, then an MLP, which works on each
# position alone. At the end the vector at each position is turned into one score for every token of the vocabulary, the
# **logits**: how strongly the model expects this token next. Softmax makes probabilities of them.
#
# Since nothing is ever overwritten, only added, the final vector is a sum with one term per component. Almost every
# method in this course begins by taking that sum apart.
#
# The sizes have the same names everywhere, in this course and in TransformerLens:
#
# | name | meaning | organism | GPT-2 small |
# |---|---|---|---|
# | `batch` | texts worked on at once | | |
# | `pos` | positions in a text, at most `n_ctx` | 128 | 1024 |
# | `d_model` | length of a residual stream vector | 128 | 768 |
# | `d_vocab` | tokens in the vocabulary | 807 | 50257 |
# | `n_layers` | blocks | 4 | 12 |
# | `n_heads` | attention heads per block (axis `head`) | 4 | 12 |
# | `d_head` | numbers in a query, key or value | 32 | 64 |
# | `d_mlp` | neurons in an MLP | 512 | 3072 |
#
# They arrive in a `TransformerConfig`, called `cfg`. A shape is written as its axes: the residual stream is
# `batch pos d_model`. You will find these shapes in every signature.

# %%
cfg

# %% [markdown]
# ## LayerNorm: reading at a fixed volume
#
# We begin with the smallest part. The lengths of the vectors in the residual stream vary: they grow from block to
# block, and differ from token to token. A layer that reads them would have to cope with every volume. So each layer
# reads through a **LayerNorm**, which sets every vector to the same mean (0) and the same variance (1):
#
# $$\text{LayerNorm}(x) = \frac{x - \text{mean}(x)}{\sqrt{\text{var}(x) + \epsilon}} \cdot w + b$$
#
# Take one vector of four numbers, and leave out `w` and `b`:
#
# | step | | | | |
# |---|---|---|---|---|
# | `x` | 1 | 2 | 3 | 6 |
# | minus the mean, 3 | −2 | −1 | 0 | 3 |
# | squared | 4 | 1 | 0 | 9 |
# | divided by √(14 / 4) = 1.871 | −1.069 | −0.535 | 0 | 1.604 |
#
# Four details decide whether trained weights will fit:
#
# - Mean and variance are taken over `d_model`, the last axis, for each vector alone. Neither other positions nor other
#   texts take part.
# - The variance divides by `d_model` (here 4), not by `d_model - 1`. PyTorch's `var` does the latter unless told.
# - `eps`, a very small number, stands inside the root. It keeps a constant vector from dividing by 0.
# - `w` and `b`, one number per component, are learned. They let the next layer hear some components louder.
#
# As a picture: subtracting the mean and dividing by the length puts every vector on one sphere. **LayerNorm keeps the
# direction and forgets the length.**

# %%
diagram("layer_norm")

# %% [markdown]
# A learned tensor must be an `nn.Parameter` that is an attribute of the module (`self.w = nn.Parameter(...)`). That is
# how PyTorch finds it, trains it, moves it and loads it; a plain tensor would be ignored by all four.
#
# This time you write both methods. `w` starts as ones and `b` as zeros, so that an untrained LayerNorm only normalises.

# %%
# [exercise]
# number = "1.1"
# title = "LayerNorm"
# difficulty = 2
# importance = 3
# minutes = 15
# points = 2
# why = "LayerNorm is the one thing between the residual stream and everything that reads it. Each time you split a logit into parts you must say what you do about it."
# hints = [
#     "How many means does a tensor of shape `batch pos d_model` have, if every vector gets its own? What shape must they have so that `x - mean` works?",
#     "Take the mean over the last axis and keep that axis (`keepdim=True`), so that it broadcasts against `x`. The same for the variance, with `unbiased=False`. Add eps to the variance, then take the root.",
#     "`self.w = nn.Parameter(torch.ones(cfg.d_model))`, `self.b` with `torch.zeros`. Then `mean = x.mean(dim=-1, keepdim=True)`, `variance = x.var(dim=-1, keepdim=True, unbiased=False)`, and `(x - mean) / (variance + self.cfg.eps).sqrt() * self.w + self.b`.",
# ]
# [/exercise]
class LayerNorm(nn.Module):
    """Every vector with mean 0 and variance 1, then scaled by `w` and shifted by `b`."""

    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.cfg = cfg
        # BEGIN SOLUTION: make the parameters w (ones) and b (zeros), of length d_model
        self.w = nn.Parameter(torch.ones(cfg.d_model))
        self.b = nn.Parameter(torch.zeros(cfg.d_model))
        # END SOLUTION

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        # BEGIN SOLUTION: subtract the mean, divide by the root of variance plus eps, then apply w and b
        mean = x.mean(dim=-1, keepdim=True)
        variance = x.var(dim=-1, keepdim=True, unbiased=False)
        return (x - mean) / (variance + self.cfg.eps).sqrt() * self.w + self.b
        # END SOLUTION


# %%
check(LayerNorm)

# %% [markdown]
# See it at work on the shipped model. We run it once, with TransformerLens, which keeps everything that is computed on
# the way in a cache (chapter 2 is about little else), and take the residual stream before the first block and before
# the last: `resid_pre` of a layer is the stream as it stands just before that layer's block.

# %%
shipped = load_model(MODEL)
_, cache = shipped.run_with_cache(tokens)

norm = LayerNorm(cfg)
lengths = {}
for layer in (0, cfg.n_layers - 1):
    resid_pre = cache["resid_pre", layer][0]
    lengths[f"into block {layer}"] = resid_pre.norm(dim=-1)
    lengths[f"into block {layer}, normalised"] = norm(resid_pre).norm(dim=-1)

lines(
    list(range(tokens.shape[-1])),
    lengths,
    title="However long the vectors, your LayerNorm makes them all equally long",
    x_name="position",
    y_name="length of the vector",
    log_y=True,
)

# %% [markdown]
# **You should see** that what enters the last block is many times as long as what enters the first (in the organism about
# twenty times), and that its length differs from position to position. After your LayerNorm all lie on one line, at √`d_model`: that is the length of a
# vector whose `d_model` components have mean square 1.
#
# ## Embed: a vector for every token
#
# The first thing that happens to a token is a look-up. `W_E` has one row per token of the vocabulary, and token 119
# becomes row 119. That is all.
#
# It helps to know a second way to say it. Write token `t` as a one-hot vector, 0 everywhere and 1 at place `t`; then
# the look-up is the product of that vector with `W_E`:
#
# $$\begin{pmatrix} 0 & 1 & 0 \end{pmatrix} \begin{pmatrix} .1 & .2 \\ .3 & .4 \\ .5 & .6 \end{pmatrix} =
# \begin{pmatrix} .3 & .4 \end{pmatrix}$$
#
# So the embedding is a linear map like all others, and in chapter 2 you will multiply it with the matrices of heads.
# Nobody computes it that way, since indexing does the same and reads one row in place of all.
#
# From here on `__init__` is given where writing it teaches nothing: parameters start as small normal noise, with
# standard deviation `cfg.init_range`.

# %%
# [exercise]
# number = "1.2"
# title = "Embed"
# difficulty = 1
# importance = 3
# minutes = 5
# points = 1
# why = "The rows of W_E are the first thing written to the residual stream: every later direction that means a word is measured against them."
# hints = [
#     "A tensor can be indexed by a tensor of integers. What is the shape of `W[ids]` when `ids` has shape `batch pos`?",
#     "Indexing the first axis of `W_E` with `tokens` gives one row for each token, in the shape of `tokens`.",
#     "`W[ids]` with `W = self.W_E` and `ids = tokens`; `F.embedding(tokens, self.W_E)` does the same.",
# ]
# [/exercise]
class Embed(nn.Module):
    """The row of `W_E` that belongs to each token."""

    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.cfg = cfg
        self.W_E = nn.Parameter(cfg.init_range * torch.randn(cfg.d_vocab, cfg.d_model))

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        # BEGIN SOLUTION: look up the row of W_E of every token
        return self.W_E[tokens]
        # END SOLUTION


# %%
check(Embed)

# %% [markdown]
# Do the trained rows mean anything? Load them into your module and compare some words with each other, by the cosine
# of the angle between their vectors.

# %%
def weights_of(module: str) -> dict[str, Tensor]:
    """The shipped weights of one module, under the names that its parameters have inside it."""
    return {name.removeprefix(f"{module}."): w for name, w in weights.items() if name.startswith(f"{module}.")}


embed = Embed(cfg)
embed.load_state_dict(weights_of("embed"))

words = (
    " Mary Alice Laura John Tom Paul store school hospital hotel Paris Rome Vienna Athens"
    " terrible awful dreadful bad gave handed sent offered"
)
word_tokens = to_tokens(words)[:, 1:]
directions = F.normalize(embed(word_tokens)[0], dim=-1)

heatmap(
    directions @ directions.T,
    title="Words that are used alike have similar embeddings",
    x=token_strings(word_tokens),
    y=token_strings(word_tokens),
    signed=True,
    value_name="cosine",
)

# %% [markdown]
# **You should see** dark blocks along the diagonal: places with places, bad words with bad words, words for giving with each
# other. In the organism the blocks of cities and of names are there too, but paler, and some names are no closer to each
# other than to a city. (A likely reason: names stand in the same sentences, which pulls them together, but to say *who*,
# the model must keep each apart from all others.) Six names are too few to show it, but of the 80 names that it knows,
# 77 have as their nearest neighbour one of the same sex: ` she` follows the ones and ` he` the others. Nobody told the
# model about these groups. Words that stand in the same places in sentences are pushed the same way in training.
#
# ## PosEmbed: a vector for every place
#
# Attention, as you will see, treats earlier positions as a *set*: it has no idea which came first. "Mary thanked John"
# and "John thanked Mary" would look the same to its last position. GPT-2 mends this in the simplest way: it learns one
# vector per position, the rows of `W_pos`, and adds row 0 to whatever stands at position 0, row 1 to position 1, and so
# on.
#
# The token ids do not matter here, only how many there are. All texts in a batch get the same rows, and the result has
# them once *for every text*: its shape is `batch pos d_model`, not `1 pos d_model`.
#
# | tokens | rows of `W_pos` |
# |---|---|
# | `[[5, 9, 7],` | `[[0, 1, 2],` |
# | ` [4, 4, 4]]` | ` [0, 1, 2]]` |

# %%
# [exercise]
# number = "1.3"
# title = "PosEmbed"
# difficulty = 1
# importance = 3
# minutes = 10
# points = 1
# why = "Heads that look one token back can only find that token through these vectors; chapter 2 reads previous-token heads off W_pos."
# hints = [
#     "Which rows of `W_pos` does a text of 7 tokens need? Does it matter which tokens they are?",
#     "Take the first `pos` rows of `W_pos`, then repeat them along a new batch axis, so that the result has a vector for each token.",
#     "`batch, pos = tokens.shape`, then `einops.repeat(self.W_pos[:pos], \"pos d_model -> batch pos d_model\", batch=batch)`.",
# ]
# [/exercise]
class PosEmbed(nn.Module):
    """The row of `W_pos` that belongs to each position, the same for every text of the batch."""

    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.cfg = cfg
        self.W_pos = nn.Parameter(cfg.init_range * torch.randn(cfg.n_ctx, cfg.d_model))

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        # BEGIN SOLUTION: the first pos rows of W_pos, repeated over the batch
        batch, pos = tokens.shape
        return einops.repeat(self.W_pos[:pos], "pos d_model -> batch pos d_model", batch=batch)
        # END SOLUTION


# %%
check(PosEmbed)

# %%
pos_embed = PosEmbed(cfg)
pos_embed.load_state_dict(weights_of("pos_embed"))

every_position = torch.zeros(1, cfg.n_ctx, dtype=torch.long)
directions = F.normalize(pos_embed(every_position)[0], dim=-1)

heatmap(
    directions @ directions.T,
    title="Which positions the model takes to be alike",
    x_name="position",
    y_name="position",
    signed=True,
    value_name="cosine",
)

# %% [markdown]
# **You should see** a band along the diagonal: a position is most like those near it. In the organism the likeness is
# used up at a distance of about 50, and nearly all positions 64 or more apart point to opposite sides. Nobody asked for
# this order. It is what training makes of free vectors when what matters is how far two positions lie apart. Look closely
# and you find a fine chequerboard too: a position is more like the one two places on than like its neighbour.
#
# One more thing in this picture tells of how the organism was made: the last row and column stand alone. It was trained
# on texts of 128 tokens. The last token of such a text has no successor to predict, so position 127 never got a
# gradient: you are looking at the random direction that it began with. Chance finds like this are why it pays to plot
# weights.
#
# ## Attention, first half: where to look
#
# So far each position knows its own token and its own place, and nothing else. Attention is the only part of a
# transformer that moves information between positions. Each head answers two questions, which can be studied apart:
#
# 1. **Where does each position look?** A matrix of shares, the *attention pattern*. This exercise.
# 2. **What does it bring back from there?** The next one.
#
# For the first question every position makes two vectors of length `d_head`: a **query**, what it looks for, and a
# **key**, what it offers to be found by. The better a query fits a key, the larger their dot product. So the *score* of
# query position $i$ for key position $j$ is
#
# $$\text{score}_{ij} = \frac{q_i \cdot k_j}{\sqrt{d_\text{head}}}$$
#
# **Why divide?** The product is a sum of `d_head` terms. If each is about as large as 1 and of either sign, the sum is
# about as large as $\sqrt{d_\text{head}}$. Dividing by that keeps scores near 1 however wide the heads are. Without it
# softmax would give almost everything to one key from the start, and almost no gradient to the others.
#
# **Why a mask?** The model is trained to predict every next token of a text at once. If position 3 could look at
# position 4, it could read off the answer. So a query may look at its own position and at earlier ones, never later:
# this is what *causal* means. Scores of later keys are set to $-\infty$.
#
# **Why softmax, and over what?** Scores must become shares: positive, with sum 1. Each *query* divides its attention, so
# its shares over all keys sum to 1. Softmax runs over keys. Since $e^{-\infty} = 0$, masked keys get exactly nothing, and
# the rest still sums to 1. (Setting shares to 0 after softmax would leave rows that no longer do.)
#
# An example with three positions and `d_head` = 4, so that we divide by 2:
#
# | $q_i \cdot k_j$ | key 0 | key 1 | key 2 | | share | key 0 | key 1 | key 2 |
# |---|---|---|---|---|---|---|---|---|
# | query 0 | 2 | 9 | 4 | | query 0 | 1 | 0 | 0 |
# | query 1 | 0 | 2 | 8 | → | query 1 | .27 | .73 | 0 |
# | query 2 | 2 | 4 | 0 | | query 2 | .24 | .67 | .09 |
#
# Query 0 can only look at itself, however well key 1 fits. Query 1 compares scores 0 and 1: $e^1/(e^0+e^1) = .73$.
#
# Below, the upper row of the picture is this exercise; the lower one is the next.

# %%
diagram("attention_head")

# %% [markdown]
# ### einsum: products with named axes
#
# With `batch`, `head`, `query`, `key` and `d_head` around, one soon loses track of which axis is number 2.
# `einops.einsum` lets you name them. You give tensors and a pattern, `"axes, axes -> axes"`, and the rule is short:
#
# - an axis that stands in both inputs is matched, element with element;
# - an axis that does not come back after the arrow is summed over;
# - all others are kept, in the order you write them.

# %%
a = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])  # row inner
b = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # inner col

print("matrix product:\n", einops.einsum(a, b, "row inner, inner col -> row col"))
print("each row of a with itself, a sum for each:", einops.einsum(a, a, "row inner, row inner -> row"))
print("every row of a with every row of a:\n", einops.einsum(a, a, "left inner, right inner -> left right"))

# %% [markdown]
# The last line is the one to remember: one axis under two names, to pair every place with every place.
#
# For the mask you need two more tools. `torch.triu` and `torch.tril` keep the upper or the lower triangle of a matrix
# (`diagonal=` says where it begins), and `scores.masked_fill(mask, value)` gives a copy of `scores` with `value`
# wherever the boolean `mask` is true. `scores` itself stays as it was, so use what comes back.
#
# Two things keep such code right everywhere. Make new tensors with the device and dtype of your inputs
# (`torch.zeros(..., device=q.device, dtype=q.dtype)`, or `q.new_zeros(...)`, which takes both from `q`): then it runs on a
# GPU, and float64 inputs give a float64 result. A boolean mask needs the device only. And take softmax from PyTorch:
# written by hand as `exp` over its sum it overflows for large scores ($e^{89}$ is too large for float32, and inf / inf is
# NaN), while `.softmax(dim=...)` subtracts the largest score first, which changes nothing else.

# %%
# [exercise]
# number = "1.4"
# title = "The attention pattern"
# difficulty = 3
# importance = 5
# minutes = 20
# points = 3
# why = "Every attention head you will ever look at is one of these matrices: induction heads, name movers and attention sinks are names for patterns."
# hints = [
#     "Draw the 4 by 4 matrix for a text of four tokens, queries down, keys across. Which entries may be larger than 0? Along which direction must they sum to 1?",
#     "Four steps: dot products of all queries with all keys within each head; divide by the root of d_head; put minus infinity where the key comes after the query, so strictly above the diagonal; softmax along the key axis.",
#     "`scores = einops.einsum(q, k, \"batch query head d_head, batch key head d_head -> batch head query key\") / math.sqrt(q.shape[-1])`; `future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(diagonal=1)`; then `scores.masked_fill(future, float(\"-inf\")).softmax(dim=-1)`.",
# ]
# [/exercise]
def attention_pattern(
    q: Float[Tensor, "batch pos head d_head"],
    k: Float[Tensor, "batch pos head d_head"],
) -> Float[Tensor, "batch head query key"]:
    """The share of its attention that every query pays to every key; a key that comes later gets 0."""
    # BEGIN SOLUTION: scale the scores, mask the future, softmax over keys
    scores = einops.einsum(q, k, "batch query head d_head, batch key head d_head -> batch head query key")
    scores = scores / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(diagonal=1)
    return scores.masked_fill(future, float("-inf")).softmax(dim=-1)
    # END SOLUTION


# %%
check(attention_pattern)

# %% [markdown]
# Now build three heads by hand. Say that the key of position $j$ is the one-hot vector $e_j$, a name tag. Then a query
# chooses where to look by naming a tag:
#
# - head 0 asks for the tag before its own, $q_i = 20\, e_{i-1}$;
# - head 1 always asks for tag 0;
# - head 2 asks for nothing, $q_i = 0$.
#
# What will each pattern look like? Decide before you run the cell.

# %%
n_pos = 8
tags = torch.eye(n_pos)
one_back = 20 * torch.cat([torch.zeros(1, n_pos), tags[:-1]])
first = 20 * tags[:1].expand(n_pos, n_pos)
nothing = torch.zeros(n_pos, n_pos)

q = torch.stack([one_back, first, nothing], dim=1)[None]
k = torch.stack([tags, tags, tags], dim=1)[None]

attention(
    attention_pattern(q, k)[0],
    [str(i) for i in range(n_pos)],
    title="Three heads made by hand",
    heads=["one back", "first", "nothing"],
)

# %% [markdown]
# **You should see** a line just beneath the diagonal, a column, and rows that get paler: a query of zeros finds all keys
# equal, so query $i$ divides itself into $i+1$ equal shares. A head cannot look *nowhere*. A head with nothing to do has
# to put its attention somewhere, and trained models choose the first token. You will meet both other heads in the
# shipped model in a moment.
#
# ## Attention, second half: what to bring back
#
# Each position also makes a third vector, its **value**: what it hands over when it is looked at. What a head brings to
# query position $i$ is the average of the values of all positions, weighted by row $i$ of the pattern:
#
# $$z_i = \sum_j \text{pattern}_{ij}\, v_j$$
#
# Note the index: the value is read at the *key* position $j$, at the far end of the arrow. Then $z$, of length `d_head`,
# is multiplied by `W_O` to become a vector of length `d_model`, and is ready to be added to the residual stream.
#
# All of it, for input $x$ (the residual stream after LayerNorm) and head $h$:
#
# | step | formula | shape |
# |---|---|---|
# | queries, keys, values | $q = xW_Q^h + b_Q^h$, and so for $k$, $v$ | `batch pos head d_head` |
# | pattern | your `attention_pattern(q, k)` | `batch head query key` |
# | mixed values | $z_i = \sum_j \text{pattern}_{ij} v_j$ | `batch pos head d_head` |
# | output | $\sum_h z^h W_O^h + b_O$ | `batch pos d_model` |
#
# In an einsum with the pattern, the axis `pos` needs the name of the side it stands on: `query` in $q$ and $z$, `key` in
# $k$ and $v$. It is the same axis of positions; the two names say which of the pattern's two axes it meets.
#
# Two things are worth a pause.
#
# **Heads only add up.** The output is a sum over heads, each with its own `W_O`. Many implementations lay all $z^h$ side
# by side and multiply with one large matrix; that is the same sum, written so that the heads can no longer be seen. Ours
# keeps the `head` axis to the end. It is why one can speak of *a head* at all: each reads the residual stream by itself
# and writes to it by itself.
#
# **Where and what are separate.** $W_Q$ and $W_K$ only decide the pattern; $W_V$ and $W_O$ only decide what is moved.
# Chapter 2 studies the products $W_Q W_K^\top$ and $W_V W_O$ as two small circuits.
#
# `b_O` belongs to the layer, not to a head: it is added once.

# %%
# [exercise]
# number = "1.5"
# title = "Attention"
# difficulty = 3
# importance = 5
# minutes = 30
# points = 4
# why = "Heads that read and write independently are what makes circuits findable: each one's write can be measured, removed or replaced without touching the others."
# hints = [
#     "Write down the shape of each thing on paper first: x, W_Q, q, pattern, v, z, W_O. Which axis is summed away in each step?",
#     "Every step is one einsum. For q, sum over d_model. For z, sum over key positions: the value carries the key's position. For the output, sum over head and d_head at once, then add b_O once.",
#     "`q = einops.einsum(x, self.W_Q, \"batch pos d_model, head d_model d_head -> batch pos head d_head\") + self.b_Q`, the same for k and v. `z = einops.einsum(pattern, v, \"batch head query key, batch key head d_head -> batch query head d_head\")`. Output: `\"batch pos head d_head, head d_head d_model -> batch pos d_model\"`, plus `self.b_O`.",
# ]
# [/exercise]
class Attention(nn.Module):
    """What all heads of a layer together write to the residual stream."""

    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.cfg = cfg
        self.W_Q = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_model, cfg.d_head))
        self.W_K = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_model, cfg.d_head))
        self.W_V = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_model, cfg.d_head))
        self.W_O = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_head, cfg.d_model))
        self.b_Q = nn.Parameter(torch.zeros(cfg.n_heads, cfg.d_head))
        self.b_K = nn.Parameter(torch.zeros(cfg.n_heads, cfg.d_head))
        self.b_V = nn.Parameter(torch.zeros(cfg.n_heads, cfg.d_head))
        self.b_O = nn.Parameter(torch.zeros(cfg.d_model))

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        # BEGIN SOLUTION: queries, keys and values; the pattern; values mixed by it; out through W_O, and b_O once
        to_heads = "batch pos d_model, head d_model d_head -> batch pos head d_head"
        q = einops.einsum(x, self.W_Q, to_heads) + self.b_Q
        k = einops.einsum(x, self.W_K, to_heads) + self.b_K
        v = einops.einsum(x, self.W_V, to_heads) + self.b_V
        pattern = attention_pattern(q, k)
        z = einops.einsum(pattern, v, "batch head query key, batch key head d_head -> batch query head d_head")
        return einops.einsum(z, self.W_O, "batch pos head d_head, head d_head d_model -> batch pos d_model") + self.b_O
        # END SOLUTION


# %%
check(Attention)

# %% [markdown]
# Now look through the eyes of the shipped model. The first attention layer reads the two embeddings through the first
# LayerNorm. You have written all of these; what is left is to load the weights.

# %%
def head_patterns(attn: Attention, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch head query key"]:
    """Where each head of the layer looks when the layer reads `x`."""
    to_heads = "batch pos d_model, head d_model d_head -> batch pos head d_head"
    q = einops.einsum(x, attn.W_Q, to_heads) + attn.b_Q
    k = einops.einsum(x, attn.W_K, to_heads) + attn.b_K
    return attention_pattern(q, k)


ln1, attn = LayerNorm(cfg), Attention(cfg)
ln1.load_state_dict(weights_of("blocks.0.ln1"))
attn.load_state_dict(weights_of("blocks.0.attn"))

x = ln1(embed(tokens) + pos_embed(tokens))
attention(
    head_patterns(attn, x)[0],
    token_strings(tokens),
    title="Where the heads of the first layer look",
    heads=[head_label(0, head) for head in range(cfg.n_heads)],
)

# %% [markdown]
# **You should see** that heads differ. In the organism, L0H3 is a line just beneath the diagonal: most tokens look at the one
# before them, as your first hand-made head did. L0H0 looks mostly at BOS in the first rows, where there is little else, and
# then spreads over many words. L0H2 comes back to BOS nearly everywhere.
#
# Move over a matrix to read off what a single query does. Take the second ` to`, after which the receiver of the drink
# must follow: at which word does it look most in L0H0?
#
# <details><summary>Answer</summary>
#
# In the organism, at the second ` John`, the one who gives, with 60% of its attention. With the first ` John` (13%) and
# ` Mary` (11%), most of it is on names, and most of that on the one who came twice. (L0H2 does nearly the same.) The
# receiver is the other one. Hold that thought until the end of exercise 1.9. (Where a head looks is not yet what it does
# with it.)
# </details>
#
# <details><summary>A question to think about: one of the four biases of attention has no effect on anything. Which?</summary>
#
# `b_K`. Adding it to every key adds $q_i \cdot b_K$ to every score of query $i$, the same amount for all keys, and
# softmax does not change when all its inputs move by the same amount. Its gradient is zero, too. (You can forget it in
# your code, and no check in the world can tell from the output.)
# </details>
#
# ## MLP: work on each position alone
#
# After information has been gathered, each position works on what it has. The **MLP** is two linear maps with a bend in
# between:
#
# $$\text{MLP}(x) = f(xW_\text{in} + b_\text{in})\, W_\text{out} + b_\text{out}$$
#
# The middle has `d_mlp` numbers, four times `d_model` in GPT-2, called **neurons**. Neuron $i$ asks a question of the
# residual stream, how far does it point along column $i$ of `W_in`, and if the answer is large it adds row $i$ of
# `W_out` to the stream. In exercise 1.12 you will read neurons exactly so.
#
# The bend $f$ is needed because two linear maps in a row are only one linear map. GPT-2 uses **GELU**, which is close to
# `max(x, 0)` but rounded at the corner, and of GELU an approximation that was faster in 2019:
#
# $$\text{gelu\_new}(x) = \tfrac{1}{2}\, x \left(1 + \tanh\left(\sqrt{2/\pi}\,(x + 0.044715\, x^3)\right)\right)$$
#
# | $x$ | −2 | −1 | 0 | 1 | 2 |
# |---|---|---|---|---|---|
# | relu | 0 | 0 | 0 | 1 | 2 |
# | exact gelu | −.0455 | −.1587 | 0 | .8413 | 1.9545 |
# | gelu_new | −.0454 | −.1588 | 0 | .8412 | 1.9546 |
#
# Exact and approximate GELU differ in the fourth decimal. That is small, but the weights were trained with one of them,
# and twelve layers of it move the logits of GPT-2 visibly. PyTorch has it as `F.gelu(x, approximate="tanh")`.
#
# Here, once more, you write `__init__`: matrices with `cfg.init_range * torch.randn(...)`, biases zero.

# %%
# [exercise]
# number = "1.6"
# title = "MLP"
# difficulty = 2
# importance = 4
# minutes = 15
# points = 2
# why = "Two thirds of a GPT-2 block's parameters are here. Neurons are the first thing people tried to interpret, and sparse autoencoders are usually trained on what MLPs read or write."
# hints = [
#     "What are the shapes of the two matrices, if the middle has d_mlp numbers? Which of the two has the bend behind it?",
#     "One matrix product into d_mlp, plus b_in; then the GELU that uses tanh; then one matrix product back into d_model, plus b_out. Nothing mixes positions.",
#     "`W_in` is `[d_model, d_mlp]`, `W_out` is `[d_mlp, d_model]`. `pre = x @ self.W_in + self.b_in`, `post = F.gelu(pre, approximate=\"tanh\")`, `return post @ self.W_out + self.b_out`.",
# ]
# [/exercise]
class MLP(nn.Module):
    """What a layer of neurons writes to the residual stream, at each position by itself."""

    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.cfg = cfg
        # BEGIN SOLUTION: make W_in, b_in, W_out and b_out (matrices normal with init_range, biases zero)
        self.W_in = nn.Parameter(cfg.init_range * torch.randn(cfg.d_model, cfg.d_mlp))
        self.b_in = nn.Parameter(torch.zeros(cfg.d_mlp))
        self.W_out = nn.Parameter(cfg.init_range * torch.randn(cfg.d_mlp, cfg.d_model))
        self.b_out = nn.Parameter(torch.zeros(cfg.d_model))
        # END SOLUTION

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        # BEGIN SOLUTION: into d_mlp, through gelu_new, back into d_model
        pre = einops.einsum(x, self.W_in, "batch pos d_model, d_model d_mlp -> batch pos d_mlp") + self.b_in
        post = F.gelu(pre, approximate="tanh")
        return einops.einsum(post, self.W_out, "batch pos d_mlp, d_mlp d_model -> batch pos d_model") + self.b_out
        # END SOLUTION


# %%
check(MLP)

# %% [markdown]
# An MLP with one input, one neuron and weights 1 is nothing but its bend. Here is yours.

# %%
neuron = MLP(replace(cfg, d_model=1, d_mlp=1))
one, zero = torch.ones(1, 1), torch.zeros(1)
neuron.load_state_dict({"W_in": one, "b_in": zero, "W_out": one, "b_out": zero})

grid = torch.linspace(-4, 3, 141)
yours = neuron(grid[None, :, None])[0, :, 0].detach()
lines(
    grid,
    {"your neuron": yours, "relu": grid.relu(), "1000 × (yours − exact gelu)": 1000 * (yours - F.gelu(grid))},
    title="A neuron is quiet below zero and passes on what is above",
    x_name="what the neuron reads",
    y_name="what it passes on",
)

# %% [markdown]
# **You should see** a smooth corner with a shallow dip below zero, and, a thousand times enlarged, the difference from
# the exact GELU.
#
# ## The block: read, add, read, add
#
# Now the parts come together. A block has two *sublayers*, and each does the same thing: read the residual stream
# through a LayerNorm of its own, compute, and **add** the result to the stream.
#
# | stream | is | name in TransformerLens |
# |---|---|---|
# | before the block | $x$ | `resid_pre` |
# | after attention | $x' = x + \text{attn}(\text{ln}_1(x))$ | `resid_mid` |
# | after the MLP | $x'' = x' + \text{mlp}(\text{ln}_2(x'))$ | `resid_post` |
#
# Look at what is *not* there. The LayerNorm stands on the way into a sublayer, and not on the stream itself: the stream
# is never normalised, only read through a normalising glass (*pre-norm*; the first transformer of 2017 did it the other
# way). And the MLP reads $x'$, the stream with the attention layer's write already in it.
#
# So a straight line runs from the embedding to the end, on which nothing happens except addition. A small write of
# layer 0 is still there in layer 11, next to all others, for whoever reads in its direction.

# %%
# [exercise]
# number = "1.7"
# title = "The block"
# difficulty = 2
# importance = 5
# minutes = 10
# points = 2
# why = "These two additions are the residual stream. Logit lens, direct logit attribution, activation patching and steering all rest on them."
# hints = [
#     "How many plus signs does a block have? What stands to the left and to the right of each?",
#     "Compute the stream in the middle first: the input plus what attention makes of the normalised input. The MLP then reads the normalised middle, and its result is added to the middle itself.",
#     "`resid_mid = resid_pre + self.attn(self.ln1(resid_pre))`, then `return resid_mid + self.mlp(self.ln2(resid_mid))`.",
# ]
# [/exercise]
class TransformerBlock(nn.Module):
    """The residual stream after an attention layer and an MLP have each added their write."""

    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.cfg = cfg
        self.ln1 = LayerNorm(cfg)
        self.attn = Attention(cfg)
        self.ln2 = LayerNorm(cfg)
        self.mlp = MLP(cfg)

    def forward(self, resid_pre: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        # BEGIN SOLUTION: add what attention makes of the stream, then what the MLP makes of the result
        resid_mid = resid_pre + self.attn(self.ln1(resid_pre))
        return resid_mid + self.mlp(self.ln2(resid_mid))
        # END SOLUTION


# %%
check(TransformerBlock)

# %% [markdown]
# Send the sentence through the shipped model's blocks, with your code, and write down how long each write is, on
# average over the positions after BOS. At the end we add up everything that was written.

# %%
resid = embed(tokens) + pos_embed(tokens)
writes = {"embeddings": resid}
for layer in range(cfg.n_layers):
    block = TransformerBlock(cfg)
    block.load_state_dict(weights_of(f"blocks.{layer}"))
    attn_out = block.attn(block.ln1(resid))
    mlp_out = block.mlp(block.ln2(resid + attn_out))
    writes |= {f"L{layer} attn": attn_out, f"L{layer} mlp": mlp_out}
    resid = block(resid)

difference = (sum(writes.values()) - resid).abs().max().item()
print(f"sum of {len(writes)} writes against the final residual stream: largest difference {difference:.0e}")

residual_sum(
    {name: write[0, 1:].norm(dim=-1).mean().item() for name, write in writes.items()},
    title="How long a vector each part writes to the residual stream",
    value_name="mean length of the write",
    waterfall=False,
)

# %% [markdown]
# **You should see** no difference, except perhaps rounding, and bars of very unequal length: in the organism the embeddings
# write a vector of length 2, and the last MLP one of about 100. The final residual stream *is* the sum of these
# `2 * n_layers + 1` vectors. Long does not mean important, though: a write counts for what is read of
# it later, and its length says nothing about its direction. Exercise 1.11 asks which of them make the answer.
#
# ## Unembed: from the stream to a score for every token
#
# The way out mirrors the way in. `W_U` has one *column* per token, and the logit of a token is the dot product of the
# final vector with its column, plus a bias:
#
# $$\text{logits} = x\, W_U + b_U$$
#
# The result are scores, not probabilities: they may be negative, and they do not sum to anything. The softmax is left
# to whoever needs probabilities, since losses and samplers do better with logits.
#
# In GPT-2, and in the organism, $W_U$ is $W_E$ transposed and $b_U$ is zero (*tied* embeddings). Your module has its own
# parameters for both, so that it fits models in which they are not.

# %%
# [exercise]
# number = "1.8"
# title = "Unembed"
# difficulty = 1
# importance = 4
# minutes = 5
# points = 1
# why = "Columns of W_U are the directions that mean 'say this token next'. Project any vector of the model on them and you have the logit lens."
# hints = [
#     "Which axis of the stream has to disappear, and which axis appears in its place?",
#     "One matrix product over d_model, at every position, plus b_U. No softmax, no LayerNorm.",
#     "The pattern of the einsum is `\"batch pos d_model, d_model d_vocab -> batch pos d_vocab\"`; `resid @ self.W_U` does the same. Then `+ self.b_U`.",
# ]
# [/exercise]
class Unembed(nn.Module):
    """One score (logit) for every token of the vocabulary, at every position."""

    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.cfg = cfg
        self.W_U = nn.Parameter(cfg.init_range * torch.randn(cfg.d_model, cfg.d_vocab))
        self.b_U = nn.Parameter(torch.zeros(cfg.d_vocab))

    def forward(self, resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_vocab"]:
        # BEGIN SOLUTION: the dot product of every vector with every column of W_U, plus b_U
        return einops.einsum(resid, self.W_U, "batch pos d_model, d_model d_vocab -> batch pos d_vocab") + self.b_U
        # END SOLUTION


# %%
check(Unembed)

# %% [markdown]
# What would the shipped model say if it had no blocks at all? Send embeddings straight through the final LayerNorm to
# the unembedding.

# %%
ln_final, unembed = LayerNorm(cfg), Unembed(cfg)
ln_final.load_state_dict(weights_of("ln_final"))
unembed.load_state_dict(weights_of("unembed"))

few_words = to_tokens(" Mary Rome hockey gave terrible the")[:, 1:]
direct_logits = unembed(ln_final(embed(few_words)))
for word, best in zip(token_strings(few_words), direct_logits[0].topk(5).indices):
    print(f"{word:>10}  →  {' '.join(tokenizer.decode([token]) for token in best.tolist())}")

# %% [markdown]
# **You should see** that each token votes for itself first, and ` Mary`, ` Rome`, ` hockey`, ` gave` and ` terrible` then
# for words of their kind. This *direct path* is a poor language model: no text goes on "Mary Mary Mary". With tied embeddings it is always there, and the blocks must overcome
# it. That the path can be written down at all, as one matrix product through the model, is the first circuit of Elhage
# et al. (2021).
#
# ## The whole transformer
#
# You have every part. What remains is their order:
#
# 1. the stream starts as `embed(tokens) + pos_embed(tokens)`;
# 2. it passes through the blocks, one after the other;
# 3. it is read through one last LayerNorm, `ln_final`;
# 4. it is unembedded.
#
# The blocks are in an `nn.ModuleList`: a list whose modules PyTorch can see. In a plain list their parameters would
# neither be trained nor loaded.

# %%
# [exercise]
# number = "1.9"
# title = "The transformer"
# difficulty = 2
# importance = 5
# minutes = 15
# points = 3
# why = "From here on no part of the model is hidden from you: each number that it computes has a line in your code."
# hints = [
#     "Follow the thick line of the first diagram from left to right. What is the first sum, and what is the last thing before the logits?",
#     "Start with the sum of the two embeddings. Replace the stream by what each block returns, in order. Then the final LayerNorm, once, and the unembedding.",
#     "`resid = self.embed(tokens) + self.pos_embed(tokens)`; `for block in self.blocks: resid = block(resid)`; `return self.unembed(self.ln_final(resid))`.",
# ]
# [/exercise]
class Transformer(nn.Module):
    """GPT-2: tokens in, and out come the logits of the next token at every position."""

    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.cfg = cfg
        self.embed = Embed(cfg)
        self.pos_embed = PosEmbed(cfg)
        self.blocks = nn.ModuleList(TransformerBlock(cfg) for _ in range(cfg.n_layers))
        self.ln_final = LayerNorm(cfg)
        self.unembed = Unembed(cfg)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        # BEGIN SOLUTION: the two embeddings, every block in turn, the final LayerNorm, the unembedding
        resid = self.embed(tokens) + self.pos_embed(tokens)
        for block in self.blocks:
            resid = block(resid)
        return self.unembed(self.ln_final(resid))
        # END SOLUTION


# %%
check(Transformer)

# %% [markdown]
# ### Is it really the same model?
#
# Load all trained weights and compare with the shipped model, which runs on transformers' code behind TransformerLens.
# (TransformerLens subtracts from the logits at each position their mean, which no softmax can notice; we do the same to
# yours before comparing.)

# %%
model = Transformer(cfg)
model.load_state_dict(weights)

with torch.no_grad():
    yours, theirs = model(tokens), shipped(tokens)

yours = yours - yours.mean(dim=-1, keepdim=True)
theirs = theirs - theirs.mean(dim=-1, keepdim=True)
print(f"{yours.numel():,} logits between {theirs.min():.1f} and {theirs.max():.1f}")
print(f"largest difference: {(yours - theirs).abs().max():.1e}")

# %% [markdown]
# **You should see**, for the organism, a difference below 1e-4: floating-point rounding, and nothing else. The code that you wrote *is* the
# model. Ask it what comes next, at every position of the sentence:

# %%
with torch.no_grad():
    probs = model(tokens).softmax(dim=-1)[0]

strings = token_strings(tokens)
print(f"{'read so far':>14}   likeliest next tokens")
for text, next_probs in zip(strings, probs):
    best = next_probs.topk(3)
    guesses = (f"{tokenizer.decode([token])} {p:.2f}" for token, p in zip(best.indices.tolist(), best.values.tolist()))
    print(f"{text:>14} → {'   '.join(guesses)}")

# %%
vocabulary = [tokenizer.decode([token]) for token in range(cfg.d_vocab)]
distribution(
    probs[strings.index(" drink") + 1],
    vocabulary,
    title="After '… John gave a drink to' your model expects Mary",
    k=8,
)

# %% [markdown]
# John gives, so Mary receives. The sentence alone does not say so: the model has to notice which of the two names has
# come twice, and name the other. How it does this is the subject of a famous paper (Wang et al., 2022), and of a later
# chapter.
#
# Nothing stops you from looking into deeper layers now. Here is a nonsense text, written twice; the heads of layer 2, the
# third, read a stream that your first two blocks have already written to.

# %%
layer = 2
nonsense = to_tokens(2 * " music ball red coat garden wood drum chess")
with torch.no_grad():
    resid = model.embed(nonsense) + model.pos_embed(nonsense)
    for block in model.blocks[:layer]:
        resid = block(resid)
    patterns = head_patterns(model.blocks[layer].attn, model.blocks[layer].ln1(resid))

attention(
    patterns[0],
    token_strings(nonsense),
    title=f"Where the heads of layer {layer} look in a text that repeats",
    heads=[head_label(layer, head) for head in range(cfg.n_heads)],
)

# %% [markdown]
# **You should see**, in the organism, two things. In the first half L2H0 and L2H2 rest on BOS, and L2H1 mostly on the first
# word: they have found nothing (L2H3 is less tidy, and often looks at the word itself). In the second half a stripe appears
# in all four heads, parallel to the diagonal: at the second ` music` they look at ` ball`, which came *after* the first
# ` music`; at the second ` ball` they look at ` red`, and so on to the end. They have never seen this text. These are
# **induction heads**, and chapter 2 finds out how they work. (In GPT-2 small they come later, around layer 5: set `layer`.)
#
# Is it chance that they are there, and that they are these? The course ships a second organism, which differs only in the
# random numbers with which training began: `MODEL = "organism-seed-1"`. It has induction heads too, but in layers 1 and 2.
# So that they form looks like more than chance, while training had a choice of where.
#
# ### A story
#
# A model that predicts the next token can write: draw a token from its probabilities, append it, and ask again. Here is
# the plainest such loop; exercise 1.15 does it properly.

# %%
@torch.no_grad()
def write_story(model: nn.Module, prompt: str, *, generator: torch.Generator, max_tokens: int = 60) -> str:
    """The prompt, continued by one drawn token at a time until the document ends or the context is full."""
    tokens = to_tokens(prompt)
    while tokens.shape[-1] < min(model.cfg.n_ctx, max_tokens):
        next_probs = model(tokens)[0, -1].softmax(dim=-1)
        next_token = torch.multinomial(next_probs, num_samples=1, generator=generator)
        if next_token.item() == tokenizer.eos_token_id:
            break
        tokens = torch.cat([tokens, next_token[None]], dim=-1)
    return tokenizer.decode(tokens[0, 1:])


generator = torch.Generator().manual_seed(1)
for prompt in (" Once there was a", " Once there was a", " Yesterday Mary and", " The journey lasted"):
    print(write_story(model, prompt, generator=generator).strip(), "\n")

# %% [markdown]
# **You should see** short texts, not always sensible ones, in which names and things mostly stay what they were. Every word
# was chosen by code that you wrote.
#
# Change the prompt and the seed, and see where it breaks. Two things to know about prompts for the organism: its
# tokenizer knows 807 words and pieces, and makes `<unk>` of anything else, a small letter at the start of a name or a
# second space included; and a word's token includes one space in front, which the tokenizer adds to the first word if
# you leave it out. (GPT-2's adds nothing: there `"Mary"` and `" Mary"` are different tokens, and no text is unknown.)
# `print(token_strings(to_tokens(prompt)))` shows what the model will read. With `" zebra"`, which becomes `<unk>`, it is
# lost at once: in its world no text begins like that.

# %% [markdown]
# ## How wrong is the model? One number
#
# Your transformer gives logits for every position at once. What they are *about* is easy to get wrong: the logits at
# position $p$ were computed from tokens $0 \ldots p$, so they are a guess about token $p + 1$.
#
# | position | 0 | 1 | 2 | 3 |
# |---|---|---|---|---|
# | token there | BOS | ` Mary` | ` and` | ` John` |
# | its logits guess | ` Mary` | ` and` | ` John` | *nothing we have* |
#
# Four tokens make three guesses. The first token is never guessed, and the last guess has nothing to be held against.
#
# The loss of one guess is its **surprise**: $-\ln p$, where $p$ is the probability (softmax of the logits) that the
# model gave to the token that really came. The unit is the *nat*: like a bit, but with the natural logarithm (one nat is 1.44 bits).
#
# | the model gave the right token | surprise |
# |---|---|
# | $p = 1$ | $0$ |
# | $p = 1/2$ | $\ln 2 = 0.69$ |
# | $p = 1/100$ | $\ln 100 = 4.61$ |
# | the same $p$ as each of $V$ tokens | $\ln V$ |
#
# Read from right to left: a loss of 4.61 nats means being as unsure as somebody who picks among 100 equally likely
# tokens. ($e^{\text{loss}}$ is called the *perplexity*.) The **loss of the model** is the mean surprise over all
# guesses in all sequences of the batch. Write it without Python loops: training calls it hundreds of times.

# %%
# [exercise]
# number = "1.10"
# title = "The loss"
# difficulty = 2
# importance = 5
# minutes = 10
# points = 2
# why = "Ablations, patches and sparse autoencoders are all judged by how much they change this number."
# hints = [
#     "A window of 7 tokens: how many guesses in it can be marked? Which logits make them, and which tokens are the answers?",
#     "Drop the last position of the logits and the first of the tokens; now the two line up. Then take the log-probability of each answer, and the mean of all of them with a minus.",
#     "`F.cross_entropy(guesses, answers)` wants guesses `[n d_vocab]` and answers `[n]`: flatten batch and pos together in `logits[:, :-1]` and in `tokens[:, 1:]`.",
# ]
# [/exercise]
def next_token_loss(
    logits: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> Float[Tensor, ""]:
    """The mean surprise, in nats, at every token that has one before it."""
    # BEGIN SOLUTION: line the logits up with the tokens that they guess, then mean cross-entropy
    guesses = einops.rearrange(logits[:, :-1], "batch pos d_vocab -> (batch pos) d_vocab")
    answers = einops.rearrange(tokens[:, 1:], "batch pos -> (batch pos)")
    return F.cross_entropy(guesses, answers)
    # END SOLUTION


# %%
check(next_token_loss)

# %% [markdown]
# Where does a model that knows this text find it surprising? Below, your loss is applied to one guess at a time (two
# neighbouring positions are a window with a single guess). `model` is still your own `Transformer` with the trained
# weights in it.

# %%
tokens = to_tokens(sentence)
words = token_strings(tokens)
with torch.no_grad():
    logits = model(tokens)
    surprises = [next_token_loss(logits[:, p : p + 2], tokens[:, p : p + 2]).item() for p in range(len(words) - 1)]

heatmap(
    [surprises],
    x=words[1:],
    y=["surprise"],
    x_name="token that came",
    value_name="nats",
    title=f"What nobody can know surprises, what must follow does not (mean {sum(surprises) / len(surprises):.2f} nats)",
)

# %% [markdown]
# **You should see** that words nobody could have known are expensive (how the text begins, who it is about, where they went,
# what was given), while words that grammar dictates cost little or nothing. (` to` is not dictated: the organism rather
# expected ` from`, as its corpus has gifts that come from a third person.) And look at the two places where a name comes *back*:
# they are far cheaper than its first mention. Something in the model looked back. Chapter 2 begins to find out what.
#
# ## The residual stream is a sum
#
# Look at your `TransformerBlock` again. Nothing in it ever overwrites `x`. It only *adds*: first what attention
# computed, then what the MLP computed. So what reaches the end of an $L$-layer model is
#
# $$
# x_\text{final} \;=\; \underbrace{W_E[t] + W_\text{pos}[p]}_{\text{embeddings}} \;+\; \sum_{\ell=0}^{L-1} \big(\text{attn}_\ell + \text{mlp}_\ell\big)
# $$
#
# where $\text{attn}_\ell$ is whatever layer $\ell$'s attention *wrote*, having *read* `ln1` of the stream as it stood
# at that moment. Every component reads the running total and adds one vector to it. This is the view of Elhage et al.
# (2021, *A Mathematical Framework for Transformer Circuits*): the stream is a shared channel, and a component is what
# it reads and what it writes.
#
# A tiny example, with a stream of two numbers:
#
# | component | reads (the total so far) | writes | total after it |
# |---|---|---|---|
# | embed | nothing | $(2, 0)$ | $(2, 0)$ |
# | pos_embed | nothing | $(0, 1)$ | $(2, 1)$ |
# | L0.attn | ln1 of $(2, 1)$ | $(-1, 3)$ | $(1, 4)$ |
# | L0.mlp | ln2 of $(1, 4)$ | $(4, -4)$ | $(5, 0)$ |
#
# The third column is what you collect. The fourth is the residual stream. The LayerNorms stand in front of what
# components *read*; what they write goes into the stream as it is, biases included.

# %%
# [exercise]
# number = "1.11"
# title = "The residual stream, taken apart"
# difficulty = 2
# importance = 5
# minutes = 15
# points = 3
# why = "Direct logit attribution, the logit lens and path patching all start from this one sum."
# hints = [
#     "Which lines of your Transformer and TransformerBlock add something to the stream? There are two for the embeddings, and two for each layer.",
#     "Run the model by hand and keep a running total. Each component reads the total (through its LayerNorm), and what it returns goes into the dict and into the total.",
#     "`resid = embed + pos_embed`; then for every layer `write = block.attn(block.ln1(resid))`, `parts[f\"L{layer}.attn\"] = write`, `resid = resid + write`; and the same with `block.mlp` and `block.ln2`.",
# ]
# [/exercise]
def residual_contributions(
    model: nn.Module,
    tokens: Int[Tensor, "batch pos"],
) -> dict[str, Float[Tensor, "batch pos d_model"]]:
    """What every component writes into the residual stream, by name; the sum is the stream that ln_final reads.

    The names are "embed", "pos_embed", "L0.attn", "L0.mlp", "L1.attn" and so on, best put in in this order, that in which
    they write. `model` is a Transformer, or anything with the same parts (embed, pos_embed, blocks[i].ln1, .attn, .ln2, .mlp).
    """
    # BEGIN SOLUTION: run the components one after the other on a running total, and keep what each one adds
    contributions = {"embed": model.embed(tokens), "pos_embed": model.pos_embed(tokens)}
    resid = contributions["embed"] + contributions["pos_embed"]
    for layer, block in enumerate(model.blocks):
        contributions[f"L{layer}.attn"] = attn_out = block.attn(block.ln1(resid))
        resid = resid + attn_out
        contributions[f"L{layer}.mlp"] = mlp_out = block.mlp(block.ln2(resid))
        resid = resid + mlp_out
    return contributions
    # END SOLUTION


# %%
check(residual_contributions)

# %% [markdown]
# ### Who writes most, and who writes the answer?
#
# Two pictures. The first is about size: the length of what attention and MLP write in each layer, and of the stream
# after the layer, averaged over the tokens of the sentence (without BOS, whose vectors are often of quite another size
# than all others).

# %%
with torch.no_grad():
    parts = residual_contributions(model, tokens)


def mean_length(vectors: Float[Tensor, "batch pos d_model"]) -> float:
    """The mean length of the vectors at all positions but BOS."""
    return vectors[:, 1:].norm(dim=-1).mean().item()


layers = list(range(cfg.n_layers))
stream, after_layer = parts["embed"] + parts["pos_embed"], []
for layer in layers:
    stream = stream + parts[f"L{layer}.attn"] + parts[f"L{layer}.mlp"]
    after_layer.append(stream)

lines(
    layers,
    {
        "the stream after the layer": [mean_length(stream) for stream in after_layer],
        "what attention writes": [mean_length(parts[f"L{layer}.attn"]) for layer in layers],
        "what the MLP writes": [mean_length(parts[f"L{layer}.mlp"]) for layer in layers],
    },
    title="How long is the stream, and how long is what each layer adds to it?",
    x_name="layer",
    y_name="mean length of the vector",
)

# %% [markdown]
# **You should see** that lengths do not simply add up. Writes that are at right angles to the stream lengthen it a
# little, a write that points against what is there already makes it shorter, and only what points the same way adds its
# full length. In the organism the first MLP writes nearly all that there is of the stream after layer 0, layers 1 and 2
# lengthen it by an eighth and a fifth, and then layer 3, with a long write of its MLP, makes it three times as long: a
# write of length 1 that decides something in layer 0 would be drowned in layer 3.
#
# The second picture is about the answer. Take the sentence *When Mary and John went to the store, John gave a drink
# to*, and the logit of ` Mary`. The logits come from the sum through `ln_final` and `unembed`. The unembedding is
# linear, so it acts on each part separately. LayerNorm is not quite linear, for one reason only: it divides by the
# spread of the *whole* stream. So we **freeze** that one number at the value that it has in the real run. With it
# frozen the rest (subtract the mean, multiply by `w`) is linear too, and the logit falls apart into one term per
# component, without remainder. Chapter 2 has you write this yourself; here it is given.
#
# One more convention. Adding the same number to all logits changes no probability, so a single logit means little on
# its own. We measure it from the mean of all logits.

# %%
@torch.no_grad()
def direct_contributions(model: nn.Module, tokens: Int[Tensor, "1 pos"], token: int) -> dict[str, float]:
    """What each component adds to a token's logit (above the mean logit) at the last position, ln_final's scale frozen."""
    names = ["embed", "pos_embed", *(f"L{i}.{part}" for i in range(len(model.blocks)) for part in ("attn", "mlp"))]
    written = residual_contributions(model, tokens)
    parts = {name: written[name][0, -1] for name in names}
    resid = sum(parts.values())
    scale = (resid.var(unbiased=False) + model.cfg.eps).sqrt()  # of the whole stream: the same for every part
    direction = model.unembed.W_U[:, token] - model.unembed.W_U.mean(dim=-1)
    normalised = {name: (part - part.mean()) / scale * model.ln_final.w for name, part in parts.items()}
    logits = {name: (part @ direction).item() for name, part in normalised.items()}
    b_U = model.unembed.b_U
    logits["biases"] = (model.ln_final.b @ direction + b_U[token] - b_U.mean()).item()
    return logits


question = to_tokens(" When Mary and John went to the store, John gave a drink to")
mary = to_tokens(" Mary")[0, -1].item()
with torch.no_grad():
    last_logits = model(question)[0, -1]

residual_sum(
    direct_contributions(model, question, mary),
    total=(last_logits[mary] - last_logits.mean()).item(),
    title="Each component's direct contribution to the logit of “ Mary” adds up to the model's own",
    value_name="logit above the mean",
)

# %% [markdown]
# **You should see** the bars end on the model's own logit, up to rounding. Exchange ` Mary` for ` John` in the cell and run it
# again: which bars tell the two names apart?
#
# Mind the word *direct*. A bar shows what a component wrote straight into the answer. A component in layer 0 may have a
# small bar and still be indispensable, because a later one reads what it wrote. In the organism `L0.attn` is such a one:
# it has no bar to speak of, and yet, if what L0H0 and L0H2 bring to the last position is set to zero, the logit of ` Mary`,
# which led that of ` John` by 16, falls behind it by almost 3. (One of the two heads alone, and half of the lead is left:
# they stand in for each other.) Such *indirect* effects do not show here; chapters 2 and 4 measure them by intervening.
#
# ## MLP neurons as keys and values
#
# About two thirds of the parameters of GPT-2's blocks sit in the MLPs. What is in there? Your MLP computes
#
# $$
# \text{mlp}(x) = b_\text{out} + \sum_{i=1}^{d_\text{mlp}} \underbrace{\text{gelu}(x \cdot W_\text{in}[:, i] + b_\text{in}[i])}_{\text{activation } a_i \text{: one number}}\; W_\text{out}[i, :]
# $$
#
# This is a sum again, now over *neurons*. Neuron $i$ compares its input with one fixed vector, column $i$ of
# $W_\text{in}$. The better the match, the more it adds of another fixed vector, row $i$ of $W_\text{out}$. Geva et al.
# (2021, *Transformer Feed-Forward Layers Are Key-Value Memories*) therefore call the column the neuron's **key** and
# the row its **value**: a memory that is asked with `x` and answers with a mixture of values.
#
# Both ends can be read without any training:
#
# - **the value**: push it through the unembedding. $W_\text{out}[i, :] \cdot W_U$ has one number per vocabulary token:
#   how much each logit rises per unit of activation. The tokens with the largest numbers are what the neuron
#   *promotes*.
# - **the key**: run text through the model and look at which positions drive the neuron highest.
#
# A worked example in two dimensions. Key $(1, 2)$, bias $-1$: the input $(0.5, 1.5)$ matches at $0.5 + 3 - 1 = 2.5$,
# and $\text{gelu}(2.5) = 2.48$. Value $(0, 3)$: the neuron adds $2.48 \cdot (0, 3) = (0, 7.45)$ to the stream. If
# ` cat` has the unembedding column $(1, 2)$, its score is $0 \cdot 1 + 3 \cdot 2 = 6$, and its logit goes up by $2.48
# \cdot 6 = 14.9$, before the final LayerNorm rescales everything.
#
# That last clause is the small print. Like Geva et al. we multiply the value with the bare unembedding and leave
# `ln_final` and `b_U` out. `ln_final` removes the mean, multiplies by `w` and rescales, which can change the order of
# the tokens somewhat. (Chapter 2's models have `w` folded into $W_U$, and then only the scale is left over, which
# changes no order.)

# %%
# [exercise]
# number = "1.12a"
# title = "What a neuron says: its value"
# difficulty = 2
# importance = 4
# minutes = 10
# points = 2
# why = "Reading a vector through the unembedding is the cheapest look into a model; it serves SAE features and steering vectors too."
# hints = [
#     "Which of the two MLP matrices does a neuron write with, and is a neuron a row or a column of it?",
#     "The value is a vector in the residual stream. The unembedding turns residual vectors into logits, one per token. Then the k largest.",
#     "`scores = mlp.W_out[neuron] @ model.unembed.W_U`; `scores.topk(k)` gives values and indices, in this order.",
# ]
# [/exercise]
def top_tokens_promoted(
    model: nn.Module, layer: int, neuron: int, k: int
) -> tuple[Int[Tensor, "k"], Float[Tensor, "k"]]:
    """The ids of the k tokens whose logits the neuron's value raises most, highest first, and their scores.

    A score is the rise of the logit per unit of activation. The value is multiplied with the bare unembedding matrix: no final LayerNorm, no unembedding bias.
    """
    # BEGIN SOLUTION: the neuron's value (its row of W_out) through W_U, then the k largest scores
    value = model.blocks[layer].mlp.W_out[neuron]
    scores = einops.einsum(value, model.unembed.W_U, "d_model, d_model d_vocab -> d_vocab")
    top = scores.topk(k)
    return top.indices, top.values
    # END SOLUTION


# %%
check(top_tokens_promoted)

# %% [markdown]
# Now the other end. Give the model a batch of text and find the places at which one neuron's activation is highest. Be
# exact about what the key reads: the residual stream *after this layer's attention has written to it*, through `ln2`.
# Not the block's input, and not the raw stream. And the activation is what multiplies the value, so it is taken after
# the gelu (the tanh form, as in your `MLP`).

# %%
# [exercise]
# number = "1.12b"
# title = "What a neuron listens to: its key"
# difficulty = 3
# importance = 4
# minutes = 20
# points = 3
# why = "The inputs that drive it highest are the first thing anyone looks at in a neuron or SAE feature; know what was computed."
# hints = [
#     "Your TransformerBlock computes exactly the vector that the key is compared with. On which line?",
#     "Run the blocks below `layer`, then this block's attention; `ln2` of that is the MLP's input. One column of `W_in` and one bias give a number for each position. Flatten, take the k largest, and turn flat indices back into (batch, pos).",
#     "`pre = block.ln2(resid + block.attn(block.ln1(resid))) @ mlp.W_in[:, neuron] + mlp.b_in[neuron]`; `top = F.gelu(pre, approximate=\"tanh\").flatten().topk(k)`; `torch.unravel_index(top.indices, tokens.shape)` gives the two columns to stack.",
# ]
# [/exercise]
def top_inputs(
    model: nn.Module, layer: int, neuron: int, tokens: Int[Tensor, "batch pos"], k: int
) -> tuple[Int[Tensor, "k 2"], Float[Tensor, "k"]]:
    """The k places, as rows (batch, pos), where the neuron is most active, highest first, and its activations there.

    The activation is what multiplies the neuron's value: it is taken after the gelu.
    """
    # BEGIN SOLUTION: run up to this layer's MLP, compare what ln2 gives with the neuron's key, find the k largest
    resid = model.embed(tokens) + model.pos_embed(tokens)
    for below in range(layer):
        resid = model.blocks[below](resid)
    block = model.blocks[layer]
    resid_mid = resid + block.attn(block.ln1(resid))
    key, bias = block.mlp.W_in[:, neuron], block.mlp.b_in[neuron]
    pre = einops.einsum(block.ln2(resid_mid), key, "batch pos d_model, d_model -> batch pos") + bias
    top = F.gelu(pre, approximate="tanh").flatten().topk(k)
    places = torch.stack(torch.unravel_index(top.indices, tokens.shape), dim=-1)
    return places, top.values
    # END SOLUTION


# %%
check(top_inputs)

# %% [markdown]
# Put the two together: for a few neurons of the first and the last layer, the contexts that drive them highest (the
# last word shown is the position itself) and the tokens that they promote. We take the neurons with the largest direct
# effect, that is highest activation times highest score, among 64 of each layer.

# %%
generator = torch.Generator().manual_seed(0)
documents = [sample_document(kind, generator) for kind in KINDS if kind != "repeats" for _ in range(20)]
beginnings = [to_tokens(document[:200])[:, :24] for document in documents]
rows = torch.cat([row for row in beginnings if row.shape[1] == 24])


@torch.no_grad()
def strongest_neurons(layer: int, n: int) -> list[int]:
    """Those n of 64 neurons of the layer that raise some logit most, at the place that drives them highest."""
    some = list(range(0, cfg.d_mlp, cfg.d_mlp // 64))
    effects = [
        top_inputs(model, layer, neuron, rows[::4], 1)[1] * top_tokens_promoted(model, layer, neuron, 1)[1]
        for neuron in some
    ]
    return [some[i] for i in torch.cat(effects).topk(n).indices.tolist()]


@torch.no_grad()
def describe_neuron(layer: int, neuron: int, k: int = 5) -> tuple[list, list]:
    """What the neuron promotes and what drives it, as (text, number) pairs for the table."""
    ids, scores = top_tokens_promoted(model, layer, neuron, k)
    places, activations = top_inputs(model, layer, neuron, rows, k)
    promoted = [(tokenizer.decode([token]), score) for token, score in zip(ids.tolist(), scores.tolist())]
    contexts = [tokenizer.decode(rows[batch, max(0, pos - 4) : pos + 1].tolist()) for batch, pos in places.tolist()]
    return promoted, list(zip(contexts, activations.tolist()))


neuron_table(
    {
        f"L{layer}N{neuron}": describe_neuron(layer, neuron)
        for layer in (0, cfg.n_layers - 1)
        for neuron in strongest_neurons(layer, 4)
    },
    title="What drives a few neurons of the first and the last layer, and what they promote",
)

# %% [markdown]
# **You should see** some neurons whose two ends fit together: in the organism ` He had`, and ` a` or ` many`; ` a`, and
# things that can be given; two names in a row, and words for giving; ` in the`, and places. Others, in the same table,
# fit no such story, or only in part: L0N160 answers to ` the year`, and promotes ` after`, ` John` and ` friends`. The
# last layer's scores are larger: its neurons have nobody left to write to but the unembedding, while those of the first
# layer write for all the layers above them as well. (`<unk>` stands first so often because it occurs in no text: training never
# asked anything of its logit but to be low in the end, so its score tells of no single neuron.)
#
# These neurons were chosen for a large effect, though. Put `range(8)` in place of `strongest_neurons(layer, 4)` and
# look at eight that were not chosen: a few make sense (which?), most do not, above all in the first layer.
#
# How far the key-value picture carries is contested, and you should know where:
#
# - **Top contexts mislead.** They show only the extreme of a distribution. Bolukbasi et al. (2021, *An Interpretability
#   Illusion for BERT*) found that the same neuron seems to have different clear meanings on different data sets.
# - **Neurons are often polysemantic**: one neuron answers to several unrelated things, as a model can hold more
#   features than it has neurons (Elhage et al. 2022, *Toy Models of Superposition*; chapter 3). Then "the key" is not
#   one pattern.
# - **A memory need not be where it is read or edited.** Facts may be spread over many neurons and heads. Hase et al.
#   (2023, *Does Localization Inform Editing?*) and Niu et al. (2024, *What does the Knowledge Neuron Thesis Have to do
#   with Knowledge?*) argue that finding a neuron tied to a fact falls short of finding where the fact is kept.
#
# The arithmetic is not contested: a column of `W_in`, a gelu, a row of `W_out`. What the two vectors *mean* is a
# hypothesis to be tested, and the later chapters have the tools.
#
# ## Training
#
# ### How fast to learn
#
# Training repeats one move: compute the loss on a batch of text, ask the loss for its gradient, and push every
# parameter a little way against it. How little is the **learning rate**, and no fixed value is right throughout:
#
# - **At the start** the weights are random, gradients are large and change direction quickly, and Adam's running
#   averages of them rest on a handful of batches. Full-sized steps now can throw the model into a region from which it
#   recovers slowly or not at all. So: **warm up**, in equal increments from almost nothing to the peak.
# - **At the end** the model sits near the floor of a valley, and big steps only bounce it from wall to wall. So:
#   **decay**, here along half a period of a cosine, which leaves the peak slowly, falls fastest in the middle, and
#   arrives gently.
#
# The steps are counted 0, 1, …, `total - 1`. An off-by-one here is invisible in a loss curve and yet real (a first step
# with rate 0 wastes a batch), so the definition is exact:
#
# $$
# \text{rate}(s) = \begin{cases}
# \text{peak} \cdot \dfrac{s + 1}{\text{warmup}} & s < \text{warmup} \\[2ex]
# \text{floor} + \dfrac{\text{peak} - \text{floor}}{2}\,\big(1 + \cos \pi t\big), \quad t = \dfrac{s + 1 - \text{warmup}}{\text{total} - \text{warmup}} & \text{warmup} \le s < \text{total} \\[2ex]
# \text{floor} & s \ge \text{total}
# \end{cases}
# $$
#
# With peak 1, floor 0, warm-up 4 and 8 steps in all:
#
# | step | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
# |---|---|---|---|---|---|---|---|---|
# | part | up | up | up | up | down | down | down | down |
# | $t$ | | | | | 1/4 | 2/4 | 3/4 | 1 |
# | rate | 0.25 | 0.50 | 0.75 | 1 | 0.854 | 0.500 | 0.146 | 0 |
#
# The warm-up's last step has the full peak, and the very last step has the floor. Every step has a rate of its own:
# nothing is stated twice, and nothing is skipped.

# %%
# [exercise]
# number = "1.13"
# title = "The learning rate: up in a line, down along a cosine"
# difficulty = 2
# importance = 2
# minutes = 10
# points = 2
# why = "When a circuit forms is a question about steps; training runs can only be compared if you know what each step did."
# hints = [
#     "Write down what should come out at step `0`, at step `warmup - 1`, at step `warmup` and at step `total - 1`. Which fraction of the way has each of them gone?",
#     "Three cases: before warmup a straight line, from total on the floor, and in between half a cosine, which goes from 1 to 0 as `(1 + cos(pi * t)) / 2` while t goes from 0 to 1.",
#     "`t = (step + 1 - warmup) / (total - warmup)`; `floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * t))`. Test for `step < warmup` first: then `total == warmup` never divides by zero.",
# ]
# [/exercise]
def learning_rate(step: int, *, peak: float, warmup: int, total: int, floor: float = 0.0) -> float:
    """The rate of a step: up in a straight line to the peak, then down along half a cosine to the floor.

    It is peak / warmup at step 0, peak at step warmup - 1, and floor at step total - 1, the last one; from step
    `total` on it stays at the floor. `warmup` may be 0 (no warm-up) or `total` (nothing but warm-up).
    """
    # BEGIN SOLUTION: the straight line before warmup, half a cosine from there, the floor after the last step
    if step < warmup:
        return peak * (step + 1) / warmup
    if step >= total:
        return floor
    t = (step + 1 - warmup) / (total - warmup)
    return floor + (peak - floor) * (1 + math.cos(math.pi * t)) / 2
    # END SOLUTION


# %%
check(learning_rate)

# %%
steps = list(range(120))
lines(
    steps,
    {
        f"warm-up {warmup}, floor {floor}": [
            learning_rate(step, peak=1.0, warmup=warmup, total=100, floor=floor) for step in steps
        ]
        for warmup, floor in [(10, 0.0), (40, 0.0), (10, 0.2)]
    },
    title="Up in a straight line, down along a cosine, and then the floor",
    x_name="step (the last one of the schedule is 99)",
    y_name="learning rate / peak",
)

# %% [markdown]
# ### The loop
#
# Every model you have heard of was made by a loop like the one you write now. For each batch:
#
# 1. **Set the learning rate** of this step in the optimizer. It keeps its parameters in groups, each a dict with a rate of
#    its own: `for group in optimizer.param_groups: group["lr"] = …`.
# 2. **Forward**: logits, loss.
# 3. **Backward**: `loss.backward()` computes the gradient of the loss in every parameter, and *adds* it to the
#    parameter's `.grad`. Adds: if the previous step's gradients are still in there, they stay in the sum. So they have
#    to be cleared once per step, before backward: `optimizer.zero_grad()`.
# 4. **Clip**: if the length of the whole gradient, over all parameters together, exceeds `max_norm`, scale all of it
#    down to that length. A single odd batch then cannot throw the model far. This keeps the gradient's direction, which
#    clipping each entry by itself would not: `nn.utils.clip_grad_norm_(parameters, max_norm)` changes the gradients in
#    place, and so has to come between backward and step.
# 5. **Step**: the optimizer moves the parameters, `optimizer.step()`.
#
# Only the order matters, and most wrong orders run without complaint and even learn something. That makes training code
# the hardest kind to get right: it hardly ever crashes.
#
# The optimizer is given: AdamW (Loshchilov and Hutter 2019), which divides each entry of the gradient by a running
# estimate of its own size, so that all parameters move at similar speed, and pulls all weights a little toward zero. As
# Adam rescales the gradient, a clipped gradient is not simply a smaller step: what clipping changes is how much one
# batch weighs in the running averages.

# %%
# [exercise]
# number = "1.14"
# title = "The training loop"
# difficulty = 3
# importance = 4
# minutes = 20
# points = 4
# why = "Whatever you find inside a model was put there by these five steps; how circuits form is studied by running them."
# hints = [
#     "Write the five numbered steps as five lines, in that order. Which of them has to come before backward so that the last batch's gradients are gone?",
#     "The rate: every dict in `optimizer.param_groups` has an entry `\"lr\"`. The schedule's total is the number of batches. Clipping goes between backward and step. Store `loss.item()`, a plain number.",
#     "`for group in optimizer.param_groups: group[\"lr\"] = learning_rate(step, peak=peak, warmup=warmup, total=len(batches), floor=floor)`; `loss = next_token_loss(model(tokens), tokens)`; `optimizer.zero_grad()`; `loss.backward()`; `nn.utils.clip_grad_norm_(model.parameters(), max_norm)`; `optimizer.step()`; and do not forget `on_step`.",
# ]
# [/exercise]
def train(
    model: nn.Module,
    batches: Sequence[Int[Tensor, "batch pos"]],
    *,
    peak: float,
    warmup: int,
    floor: float = 0.0,
    max_norm: float = 1.0,
    weight_decay: float = 0.01,
    on_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """The loss on each batch, taken before the step on that batch; `model` is trained in place, one step per batch.

    The learning rate follows `learning_rate` with one step per batch, and the gradient is clipped to length `max_norm`.
    `on_step(step, loss)` is called after each step, if given.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=weight_decay)
    losses = []
    # BEGIN SOLUTION: for each batch set the rate, compute the loss, clear old gradients, backward, clip, step
    for step, tokens in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, peak=peak, warmup=warmup, total=len(batches), floor=floor)
        loss = next_token_loss(model(tokens), tokens)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        losses.append(loss.item())
        if on_step is not None:
            on_step(step, losses[-1])
    # END SOLUTION
    return losses


# %%
check(train)

# %% [markdown]
# ### What would be a good loss?
#
# A loss curve that falls tells you little. It helps to know the losses of guessers that are simple enough to be
# understood completely:
#
# - **The uniform guesser** knows only the vocabulary, and pays $\ln d_\text{vocab}$ for every token. A fresh model
#   starts there.
# - **The unigram guesser** knows how frequent every token is, and nothing else. It gives token $t$ its frequency $p(t)$
#   and pays $-\ln p(t)$; on average that is $H_1 = -\sum_t p(t) \ln p(t)$, the **unigram entropy** of the text. No
#   guesser that ignores the context can do better.
# - **The bigram guesser** looks at the current token $s$ and knows how often each $t$ follows it. It pays on average
#   $H_2 = -\sum_{s,t} p(s, t) \ln p(t \mid s)$, the **bigram entropy**. No guesser that looks at the current token
#   alone can do better.
#
# For example: in the text `a b a b a c a b …`, where every second token is `a` and the others are `b` with probability
# 3/4 or else `c`, the unigram guesser knows $p = (1/2, 3/8, 1/8)$ and pays 0.97 nats. The bigram guesser knows that `a`
# follows `b` and `c` for certain (0 nats), and after `a` still has to choose between `b` and `c` (0.56 nats): 0.28 on
# average.
#
# Your transformer without its attention would see the current token and its position, and hardly anything more. So as
# long as the loss lies above the bigram entropy, the model may be doing nothing but counting pairs. **Below that line
# it must be using earlier tokens**, and only attention can bring them.
#
# The next cell takes text from the course's corpus and measures the two entropies on it. Every batch is text that the
# model has not seen before, so there is nothing to memorise, and the curve needs no separate test set.

# %%
N_STEPS, BATCH, LENGTH = 300, 32, 48
kinds = [kind for kind in KINDS if kind != "repeats"]  # random tokens written twice: they are for chapter 2
generator = torch.Generator().manual_seed(1)
train_tokenizer = load_tokenizer("organism")
windows = token_windows(N_STEPS * BATCH, LENGTH, generator=generator, kinds=kinds)
text_tokens = corpus_tokens(400_000, generator=generator, kinds=kinds)

entropies = {"unigram": unigram_entropy(text_tokens), "bigram": bigram_entropy(text_tokens)}
print(f"uniform guesser {math.log(len(train_tokenizer)):.2f} nats per token")
for name, entropy in entropies.items():
    print(f"{name} guesser {entropy:.2f} nats per token, as unsure as a choice among {math.exp(entropy):.0f} tokens")

# %% [markdown]
# Now train your own transformer: two layers, a stream of 64 numbers. It takes about half a minute.

# %%
torch.manual_seed(0)
small_cfg = TransformerConfig(
    d_model=64, d_vocab=len(train_tokenizer), n_ctx=LENGTH, n_layers=2, n_heads=4, d_head=16, d_mlp=256
)
small_model = Transformer(small_cfg).to(device)

curve = LiveLoss(
    entropies=entropies, title="Loss falls below the unigram, then the bigram entropy", total_steps=N_STEPS
)
losses = train(small_model, windows.to(device).split(BATCH), peak=4e-3, warmup=30, floor=4e-4, on_step=curve.log)

# %%
for name, entropy in entropies.items():
    passed = next((step for step in range(len(losses)) if sum(losses[step : step + 10]) / 10 < entropy), None)
    print(f"below the {name} entropy ({entropy:.2f} nats) from step {passed}")
final = sum(losses[-20:]) / 20
print(f"mean loss of the last 20 steps: {final:.2f} nats, as unsure as a choice among {math.exp(final):.0f} tokens")

# %% [markdown]
# **You should see** three stretches that run into each other. First a steep fall: the model learns which tokens are
# frequent, and its loss passes the unigram entropy. Then it learns which token follows which, and passes the bigram
# entropy. What comes after only attention can give it. That simple statistics of the text are learned before
# complicated ones has been seen in large language models, too (Belrose et al. 2024, *Neural Networks Learn Statistics
# of Increasing Complexity*).
#
# Where in the sentence did that last part of the learning happen? Compare the surprise of the small model, token by
# token, with that of a guesser who counts pairs.

# %%
story = torch.tensor([[train_tokenizer.bos_token_id, *train_tokenizer.encode(sentence)]])
story_words = [train_tokenizer.decode([token]) for token in story[0].tolist()]

# how often each token follows each; adding 0.01 keeps pairs that were never seen from being impossible
pair_counts = torch.full((small_cfg.d_vocab, small_cfg.d_vocab), 0.01)
pair_counts.index_put_((text_tokens[:-1], text_tokens[1:]), torch.tensor(1.0), accumulate=True)
pair_log_probs = (pair_counts / pair_counts.sum(dim=-1, keepdim=True)).log()

with torch.no_grad():
    story_logits = small_model.cpu()(story)
    surprise_model = [
        next_token_loss(story_logits[:, p : p + 2], story[:, p : p + 2]).item() for p in range(story.shape[1] - 1)
    ]
surprise_pairs = [-pair_log_probs[s, t].item() for s, t in zip(story[0, :-1].tolist(), story[0, 1:].tolist())]

heatmap(
    [surprise_pairs, surprise_model],
    x=story_words[1:],
    y=["pair counter", "your model"],
    x_name="token that came",
    value_name="nats",
    title="Where your model is less surprised than a counter of pairs, it has looked back",
)

# %% [markdown]
# **You should see** your model know better than the pair counter wherever the words before the last one matter: what
# may follow a name here, where the first clause ends. And you should see what it does not know yet. The last ` Mary`
# costs it several nats, nearly as much as the pair counter. The trained model in the picture below exercise 1.10 paid
# almost nothing for it. Knowing *who* receives the drink takes a circuit, and a few hundred steps have not built it.
#
# You trained this model yourself, and nobody told it about grammar or about names. Whatever is in it now, you can take
# apart with the tools above: `residual_contributions(small_model, …)` works on it just as on the big one. Try it, then
# go on and let it write.

# %% [markdown]
# ## Writing text: from logits to tokens
#
# The model ends in a row of logits. It does not say which token to write: that is a decision we make outside of it. Six
# small functions make up every sampler you have met behind an API, and each answers a question of its own:
#
# | function | the question it answers |
# |---|---|
# | `greedy` | what does the model think is most likely? |
# | `apply_frequency_penalty` | has this token been written too often already? |
# | `apply_temperature` | how much should likely tokens be favoured? |
# | `top_k_filter` | may a token outside the best $k$ ever be written? |
# | `top_p_filter` | may a token from the last few per cent of probability ever be written? |
# | `sample` | all of the above, then a draw |
#
# All of them work with anything that has this chapter's interface, so below we use your own transformer with the trained
# weights in it. Every text starts with the token `<|endoftext|>`, because every text the model was trained on did.

# %%
cfg, weights = load_weights(MODEL)
writer = Transformer(cfg)
writer.load_state_dict(weights)
writer.requires_grad_(False)


def as_story(row: Int[Tensor, "pos"]) -> str:
    """The text of a row, up to the <|endoftext|> with which a next document would begin."""
    ids = row.tolist()[1:]
    end = ids.index(tokenizer.bos_token_id) if tokenizer.bos_token_id in ids else len(ids)
    return tokenizer.decode(ids[:end])


# %% [markdown]
# ### Greedy decoding
#
# The simplest decision: write the token with the largest logit, put it at the end of the text, run the model again.
#
# ```text
# <|endoftext|> Then Mary         → model → logits at the last position → argmax → " and"
# <|endoftext|> Then Mary and     → model → logits at the last position → argmax → " John"
# <|endoftext|> Then Mary and John → …
# ```
#
# Only the last position's logits are used: those at earlier positions predict tokens that are already there.
#
# One detail matters. The model has a position vector for positions $0$ to $n_\text{ctx}-1$ and no others, so once the
# text is longer than that, the model can only be shown its last $n_\text{ctx}$ tokens. The text itself stays whole. Ask
# the model that you are given for this number, `model.cfg.n_ctx` or `len(model.pos_embed.W_pos)`: the notebook's own
# `cfg` may belong to another model.

# %%
# [exercise]
# number = "1.15a"
# title = "Greedy decoding"
# difficulty = 2
# importance = 4
# minutes = 10
# points = 2
# why = "What a model says with every random choice taken out is the behaviour that most circuit analyses explain."
# hints = [
#     "Which of the model's rows of logits says something about a token that is not there yet?",
#     "Loop n_new times: show the model the last n_ctx tokens, take the argmax of the last position in every row, and put it at the end of the text. Crop what the model sees, not the text you keep.",
#     "n_ctx = len(model.pos_embed.W_pos); logits = model(tokens[:, -n_ctx:])[:, -1]; best = logits.argmax(dim=-1, keepdim=True); tokens = torch.cat([tokens, best], dim=1).",
# ]
# [/exercise]
def greedy(model, tokens: Int[Tensor, "batch pos"], n_new: int) -> Int[Tensor, "batch pos_and_new"]:
    """The tokens, each row followed by n_new more: always the most likely next token.

    The model reads at most the last n_ctx tokens; what comes back is the whole text.
    """
    # BEGIN SOLUTION: n_new times, put the most likely next token at the end of every row
    n_ctx = len(model.pos_embed.W_pos)
    for _ in range(n_new):
        next_logits = model(tokens[:, -n_ctx:])[:, -1]
        best = next_logits.argmax(dim=-1, keepdim=True)
        tokens = torch.cat([tokens, best], dim=1)
    return tokens
    # END SOLUTION


# %%
check(greedy)

# %% [markdown]
# **You should see** two texts, the same ones every time you run the cell. Look at who does what, and to whom.

# %%
for prompt in (" One day", " Once there was a"):
    print(as_story(greedy(writer, to_tokens(prompt), 50)[0]), "\n")

# %% [markdown]
# Every word was the best one at its moment, and yet Leo talks with Leo, takes a cup of Leo and gives it to Leo, and the
# friend of Irene is called Irene. No text of the corpus says such a thing. With whom does Leo talk? Any name could
# follow, so the model gives none of them much: ` Leo` gets 3%, and all other names together nearly all the rest. But 3%
# is more than any *one* of the others gets. GPT-2 soon says the same sentence again and again (try it with
# `MODEL = "gpt2"`), for a like reason: copying what stands in the context is often the best single guess, and greedy text
# makes the best guess every time. A text of nothing but best guesses is not a typical text.

# %% [markdown]
# ### Temperature
#
# Greedy decoding shows the peak of the distribution and hides the rest of it. To see the rest, draw from it:
# $p_i \propto e^{\ell_i}$. Temperature divides the logits before the softmax,
#
# $$p_i \propto e^{\ell_i / T},$$
#
# so that it stretches ($T<1$) or shrinks ($T>1$) the *differences* between logits. Nothing else about logits matters to a
# softmax. For logits $(2, 1, 0)$:
#
# | $T$ | logits after dividing | probabilities |
# |---|---|---|
# | 0.5 | 4, 2, 0 | 0.867, 0.117, 0.016 |
# | 1 | 2, 1, 0 | 0.665, 0.245, 0.090 |
# | 2 | 1, 0.5, 0 | 0.506, 0.307, 0.186 |
#
# As $T \to 0$ the draw becomes greedy; as $T \to \infty$ every token becomes equally likely. $T = 1$ is the model's own
# distribution, the only one it was trained to get right. $T=0$ itself would divide by zero, so here a temperature is
# always positive, and `greedy` is what people mean by zero.

# %%
# [exercise]
# number = "1.15b"
# title = "Temperature"
# difficulty = 1
# importance = 4
# minutes = 3
# points = 1
# why = "A model can be safe at one temperature and not at another: an evaluation that leaves it out has not said what it measured."
# hints = [
#     "Which temperature must leave the distribution as it is: 0 or 1?",
#     "Logits go in and logits come out. The softmax comes later, in sample.",
#     "return logits / temperature.",
# ]
# [/exercise]
def apply_temperature(
    logits: Float[Tensor, "batch d_vocab"], temperature: float
) -> Float[Tensor, "batch d_vocab"]:
    """The logits divided by a positive temperature."""
    # BEGIN SOLUTION: divide the logits by the temperature
    return logits / temperature
    # END SOLUTION


# %%
check(apply_temperature)

# %% [markdown]
# **You should see** the same tokens in the same order three times, with the differences stretched at $T=0.4$ and shrunk
# at $T=2$. Look at the bottom of the panels: words that contradict the sentence begin to get a share.

# %%
vocabulary = [tokenizer.decode([token]) for token in range(cfg.d_vocab)]
review = to_tokens(" I thought the film was wonderful. It was really")
next_logits = writer(review)[:, -1]

distributions(
    {f"T = {T:g}": apply_temperature(next_logits, T).softmax(dim=-1)[0] for T in (1.0, 0.4, 2.0)},
    vocabulary,
    title="“… was wonderful. It was really …”: temperature sharpens or levels",
)

# %% [markdown]
# ### Top-k
#
# At $T=1$ a vocabulary of 50,000 tokens has a long tail. Each token in it is very unlikely; together they are drawn often
# enough to spoil a text, and a text once spoilt is hard to continue well. *Top-k* sampling (Fan, Lewis and Dauphin 2018)
# forbids everything but the $k$ most likely tokens.
#
# To forbid a token, set its logit to $-\infty$: $e^{-\infty} = 0$, and the softmax shares its probability out over the
# rest with no further work. That is why filters here take and return logits, and why they can be chained.
#
# What if two tokens tie for the $k$-th place? We keep both: **a token goes only if it is strictly below the $k$-th
# largest logit.** So logits $(3, 1, 1, 0)$ with $k=2$ become $(3, 1, 1, -\infty)$. With $k$ at or above the size of the
# vocabulary, nothing is removed.

# %%
# [exercise]
# number = "1.15c"
# title = "Top-k"
# difficulty = 2
# importance = 2
# minutes = 8
# points = 2
# why = "A filter changes which behaviours can be seen at all: with k = 40 a harmful token in place 41 looks impossible, and is not."
# hints = [
#     "Which one number of each row decides which of its tokens stay?",
#     "Find the k-th largest logit of each row, keeping the axis so that it broadcasts, and set every logit strictly below it to -inf. torch.topk complains when k is larger than the axis.",
#     "logits.topk(…, dim=-1).values holds the k largest of each row in order; take its last column with [..., -1:], and min(k, logits.shape[-1]) for k. Then masked_fill with logits < threshold and -math.inf.",
# ]
# [/exercise]
def top_k_filter(logits: Float[Tensor, "batch d_vocab"], k: int) -> Float[Tensor, "batch d_vocab"]:
    """The logits with -inf wherever a token is below the k-th largest of its row; ties with it stay."""
    # BEGIN SOLUTION: put -inf where a logit is below the k-th largest of its row
    threshold = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < threshold, -math.inf)
    # END SOLUTION


# %%
check(top_k_filter)

# %% [markdown]
# **You should see** the tail gone, and its probability given to the rest in equal proportion.

# %%
hot_logits = apply_temperature(next_logits, 2.0)
distributions(
    {
        "T = 2": hot_logits.softmax(dim=-1)[0],
        "T = 2, top-k 8": top_k_filter(hot_logits, 8).softmax(dim=-1)[0],
        "T = 2, top-k 3": top_k_filter(hot_logits, 3).softmax(dim=-1)[0],
    },
    vocabulary,
    title="Top-k cuts the tail off and keeps the proportions of the rest",
)

# %% [markdown]
# ### Top-p
#
# A fixed $k$ is too many where the model is certain and too few where it is not. *Top-p* or *nucleus* sampling (Holtzman
# et al. 2020) fixes the probability in place of the count: **keep the smallest set of most likely tokens whose total
# probability is at least $p$.** With $p = 0.75$:
#
# | token, most likely first | probability | total before it | total with it | stays? |
# |---|---|---|---|---|
# | A | 0.50 | 0.00 | 0.50 | yes |
# | B | 0.20 | 0.50 | 0.70 | yes |
# | C | 0.15 | 0.70 | 0.85 | **yes**: the total before it has not reached 0.75 yet |
# | D | 0.10 | 0.85 | 0.95 | no |
# | E | 0.05 | 0.95 | 1.00 | no |
#
# The token that crosses $p$ belongs to the set: without C the total is only 0.70. So the question to ask of each token is
# whether the total *before* it is below $p$, and the most likely token always stays. A total of exactly $p$ is enough: of
# four equally likely tokens, $p = 0.5$ keeps two. The tokens of a vocabulary are not sorted, so the decision has to be
# carried back to where each token came from.

# %%
# [exercise]
# number = "1.15d"
# title = "Top-p"
# difficulty = 3
# importance = 3
# minutes = 15
# points = 3
# why = "The size of this set is a plain measure of how undecided a model is at a position, which tells you where a text could have gone another way."
# hints = [
#     "In the table, which column settles whether a token stays? How do you get it from a cumulative sum?",
#     "Sort the row from likely to unlikely and add up its probabilities. A token goes when the total before it (the cumulative sum minus its own probability) has reached p. Then undo the sort.",
#     "ordered, order = logits.sort(dim=-1, descending=True); probs = ordered.softmax(-1); removed = probs.cumsum(-1) - probs >= p; put it back with torch.zeros_like(removed).scatter(-1, order, removed), then masked_fill.",
# ]
# [/exercise]
def top_p_filter(logits: Float[Tensor, "batch d_vocab"], p: float) -> Float[Tensor, "batch d_vocab"]:
    """The logits with -inf outside the smallest set of most likely tokens whose probabilities reach p in total.

    0 < p <= 1. Logits that are -inf already are tokens of probability 0.
    """
    # BEGIN SOLUTION: put -inf on every token that comes after the probabilities have reached p
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(dim=-1)
    total_before = probabilities.cumsum(dim=-1) - probabilities
    removed = (total_before >= p).scatter(-1, order, total_before >= p)
    return logits.masked_fill(removed, -math.inf)
    # END SOLUTION


# %%
check(top_p_filter)

# %% [markdown]
# How many tokens does it take to hold 90% of the probability? With your filter that is one line, and it shows where in
# a text a model has a choice.

# %%
text = to_tokens(
    " Once there was a clever girl named Mary. Her aunt made a cookie for her. Then her friend Anna came by and looked at"
    " the cookie. Mary cut the cookie in two and gave one half to Anna."
)
kept = torch.isfinite(top_p_filter(writer(text)[0], 0.9)).sum(dim=-1)
heatmap(
    [kept[:-1].log2()],
    x=token_strings(text)[1:],
    x_name="token that came",
    y=["size, log2"],
    title="How many tokens hold 90%: where the story could have gone another way",
)

# %% [markdown]
# **You should see** pale stretches, where one or two tokens hold nearly everything, and dark places where dozens share
# it: new names, and how a text begins. No single $k$ fits both. Where a name or a thing comes *back*, the second ` Mary`,
# ` cookie` and ` Anna`, one or two tokens are enough, and some circuit has to know which names and things there are.

# %% [markdown]
# ### The frequency penalty
#
# The greedy text of GPT-2 runs in circles: what has been written makes itself more likely. (You will meet the heads that
# do this in chapter 2.) A *frequency penalty* lowers each token's logit by a fixed amount for every time the token
# stands in the text already. With $c_i$ the count of token $i$ and $\alpha$ the penalty, OpenAI's documentation of its
# API gives it as
#
# $$\ell_i \leftarrow \ell_i - \alpha\, c_i.$$
#
# Note the *count*: a token that was written three times loses $3\alpha$. And note that it is subtracted, so that positive
# and negative logits are treated alike; dividing by a factor, as some libraries do, would push a negative logit the other
# way. We count over the whole row so far, prompt included. To count, you need a tool that adds up repeats, such as
# `scatter_add`, or `F.one_hot(…)` summed over the positions.

# %%
# [exercise]
# number = "1.15e"
# title = "The frequency penalty"
# difficulty = 2
# importance = 2
# minutes = 10
# points = 2
# why = "It works directly against induction, the best understood mechanism in language models, so it changes what a model's text shows of its circuits."
# hints = [
#     "Two rows of the batch hold different texts. Whose counts should lower whose logits?",
#     "You need a table of counts, (batch, d_vocab): how often each token stands in that row. Indexing assignment writes each place once, however often it is named; what adds up repeats?",
#     "counts = torch.zeros_like(logits).scatter_add(-1, tokens, torch.ones_like(tokens, dtype=logits.dtype)); return logits - penalty * counts.",
# ]
# [/exercise]
def apply_frequency_penalty(
    logits: Float[Tensor, "batch d_vocab"], tokens: Int[Tensor, "batch pos"], penalty: float
) -> Float[Tensor, "batch d_vocab"]:
    """The logits, each lowered by penalty times the number of times its token stands in the same row of tokens."""
    # BEGIN SOLUTION: subtract penalty times each token's count in its own row
    one_each = torch.ones_like(tokens, dtype=logits.dtype)
    counts = torch.zeros_like(logits).scatter_add(-1, tokens, one_each)
    return logits - penalty * counts
    # END SOLUTION


# %%
check(apply_frequency_penalty)

# %% [markdown]
# **You should see** ` wonderful`, which was written once, fall behind, and everything else gain in the same proportion.

# %%
distributions(
    {
        f"penalty {penalty:g}": apply_frequency_penalty(next_logits, review, penalty).softmax(dim=-1)[0]
        for penalty in (0.0, 1.0, 3.0)
    },
    vocabulary,
    title="A penalty for “wonderful”, which stands in the text already",
)

# %% [markdown]
# ### The sampler
#
# Now put the pieces together. The order is part of the definition, because the pieces do not commute:
#
# 1. **frequency penalty**, on the model's own logits;
# 2. **temperature**;
# 3. **top-k**;
# 4. **top-p**, on what top-k has left (its probabilities are those of the remaining tokens, and sum to 1 over them);
# 5. softmax, and one **draw** in every row.
#
# Temperature before top-p is the choice of `transformers` and of most APIs: a hotter distribution is flatter, so more
# tokens are needed to reach $p$. In the other order temperature would not change which tokens may be written.
#
# A draw needs randomness, and randomness is an argument here: the same generator state gives the same text, and nobody
# else's random numbers change. `torch.multinomial(probs, 1, generator=generator)` draws one index from every row of
# probabilities.

# %%
# [exercise]
# number = "1.15f"
# title = "The sampler"
# difficulty = 3
# importance = 4
# minutes = 15
# points = 3
# why = "What a model might say is a distribution: rates of refusal, deception or error are estimated from many samples of exactly this loop."
# hints = [
#     "This is greedy with one line replaced. Which one?",
#     "Loop as in greedy, with the whole row for the counts and the last n_ctx tokens for the model. A knob that is None is skipped. Then softmax, and one draw per row with torch.multinomial.",
#     "logits = apply_frequency_penalty(model(tokens[:, -n_ctx:])[:, -1], tokens, frequency_penalty), then temperature, top_k, top_p; drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator); torch.cat as before.",
# ]
# [/exercise]
def sample(
    model,
    tokens: Int[Tensor, "batch pos"],
    n_new: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    frequency_penalty: float = 0.0,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch pos_and_new"]:
    """The tokens, each row followed by n_new more that are drawn from the filtered distribution.

    The order is: frequency penalty (counted over the whole row so far), temperature, top-k, top-p, softmax, draw. The
    model reads at most the last n_ctx tokens. A generator lives on the same device as the tokens.
    """
    # BEGIN SOLUTION: as in greedy, but penalise, temper, filter and draw
    n_ctx = len(model.pos_embed.W_pos)
    for _ in range(n_new):
        logits = model(tokens[:, -n_ctx:])[:, -1]
        logits = apply_frequency_penalty(logits, tokens, frequency_penalty)
        logits = apply_temperature(logits, temperature)
        if top_k is not None:
            logits = top_k_filter(logits, top_k)
        if top_p is not None:
            logits = top_p_filter(logits, top_p)
        drawn = torch.multinomial(logits.softmax(dim=-1), num_samples=1, generator=generator)
        tokens = torch.cat([tokens, drawn], dim=1)
    return tokens
    # END SOLUTION


# %%
check(sample)

# %% [markdown]
# ### What each knob does
#
# Move the sliders (in a saved notebook you see one setting of each). Try a high temperature first; then keep it, and
# take the nonsense out again with a small top-p or top-k.

# %%
def next_token_probs(*, temperature: float, top_k: int, top_p: float, frequency_penalty: float) -> Float[Tensor, "d_vocab"]:
    """The distribution that sample draws from after the review, where top_k = 0 and top_p = 1 leave everything in."""
    logits = apply_frequency_penalty(next_logits, review, frequency_penalty)
    logits = apply_temperature(logits, temperature)
    logits = top_k_filter(logits, top_k or cfg.d_vocab)
    return top_p_filter(logits, top_p).softmax(dim=-1)[0]


sampling_playground(next_token_probs, vocabulary, title="“I thought the film was wonderful. It was really …”")

# %% [markdown]
# And what it does to whole stories:

# %%
settings = {
    "the model's own distribution": {},
    "T = 0.3": {"temperature": 0.3},
    "T = 2": {"temperature": 2.0},
    "T = 2, top-p 0.9": {"temperature": 2.0, "top_p": 0.9},
    "T = 2, top-k 5": {"temperature": 2.0, "top_k": 5},
    "frequency penalty 4": {"frequency_penalty": 4.0},
}
two_starts = to_tokens(" Once there was a").repeat(2, 1)
for name, knobs in settings.items():
    print(name)
    for row in sample(writer, two_starts, 45, generator=torch.Generator().manual_seed(3), **knobs):
        print("   ", as_story(row))

# %% [markdown]
# **You should see** plausible stories at first, then safe ones, then word salad. Top-p 0.9 hardly helps there: at $T = 2$
# the distribution is so flat that 90% of it still holds a great deal of nonsense. Top-k 5 turns it back into sentences,
# nearly. The strong penalty is instructive: its text begins well and then loses the small words that hold a sentence
# together, since those are what any text repeats most.
#
# Which temperature is the *right* one? There is a way to ask the model itself. Give it the openings of real texts, let
# it go on at several temperatures, and measure with your loss from 1.10 how much it is surprised by what it wrote. Then
# compare with how much it is surprised by what really followed.

# %%
def surprise_after_opening(tokens: Int[Tensor, "batch pos"], opening: int) -> float:
    """The mean surprise, in nats, at the tokens that come after the opening."""
    return next_token_loss(writer(tokens)[:, opening - 1 :], tokens[:, opening - 1 :]).item()


openings, references = to_tokens(" Once there was a").repeat(64, 1), {}
if MODEL == "organism":
    kinds = [kind for kind in KINDS if kind != "repeats"]
    real = token_windows(64, 32, generator=torch.Generator().manual_seed(0), kinds=kinds)
    openings, references = real[:, :8], {"what really followed": surprise_after_opening(real, 8)}

temperatures = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
surprise = []
for T in temperatures:
    written = sample(writer, openings, 24, temperature=T, generator=torch.Generator().manual_seed(0))
    surprise.append(surprise_after_opening(written, openings.shape[1]))

lines(
    temperatures,
    {"what the model wrote": surprise},
    title="Somewhat below temperature 1 the model's text is as surprising as real text",
    x_name="temperature",
    y_name="nats per token",
    references=references,
)

# %% [markdown]
# **You should see** the curve cross the dashed line somewhat below 1 (in the organism at about 0.85). On real text the model's own distribution is the
# one that training fitted, and a perfect model would cross at exactly 1. But once an odd word has been drawn, the model
# continues a text unlike any that it has read, is unsure, and draws odder ones. Turning the temperature down, as people
# do, makes such words rarer; too far down, and the text is safer than any real one.

# %% [markdown]
# ## The KV cache
#
# `greedy` and `sample` waste most of their work. To write token 60 they run the model on 59 positions, and 58 of those
# were run one step earlier with the very same result: **no position reads a later one, so nothing computed for a
# position ever changes when the text grows.**
#
# What does a new position need from the old ones? Follow its residual stream through a block. LayerNorm and MLP look at
# one position only. Attention alone looks back, and it sees an old position through its key and its value in that
# layer. So keep those, for every layer, and the old positions need never be run again:
#
# | step | without a cache | with a cache |
# |---|---|---|
# | 1 | run positions 0 1 2 3 | run 0 1 2 3, keep their k and v |
# | 2 | run positions 0 1 2 3 4 | run 4, which reads k and v of 0 1 2 3 |
# | 3 | run positions 0 1 2 3 4 5 | run 5, which reads k and v of 0 1 2 3 4 |

# %%
diagram("kv_cache")

# %% [markdown]
# Writing $n$ tokens one by one runs about $n^2/2$ positions without the cache and $n$ with it. The price is memory:
# $2 \cdot n_\text{layers} \cdot n_\text{heads} \cdot d_\text{head}$ numbers for each position. For GPT-2 small that is
# $2 \cdot 12 \cdot 12 \cdot 64 = 18{,}432$ numbers, 74 kB in fp32, for a single token.
#
# The cache is a small class with one job. It keeps one pair of tensors for each layer, and puts new positions behind
# the old ones.

# %%
# [exercise]
# number = "1.16a"
# title = "A store for keys and values"
# difficulty = 2
# importance = 3
# minutes = 10
# points = 2
# why = "The cache is all that later tokens can know of earlier ones: whoever edits it edits the model's memory of the text."
# hints = [
#     "How many separate stores are there, and what do they hold before anything was appended?",
#     "In __init__ make, on self, one empty place per layer for keys and one for values. append joins what is there with what is new along the position axis, stores that and returns it.",
#     "self.keys = [None] * cfg.n_layers; in append: torch.cat([self.keys[layer], k], dim=1) unless the place is still None; length is the size of axis 1, or 0.",
# ]
# [/exercise]
class KVCache:
    """Keeps the keys and values of every position read so far, layer by layer."""

    def __init__(self, cfg: TransformerConfig):
        # BEGIN SOLUTION: make an empty store for the keys and the values of every layer
        self.keys: list[Tensor | None] = [None] * cfg.n_layers
        self.values: list[Tensor | None] = [None] * cfg.n_layers
        # END SOLUTION

    @property
    def length(self) -> int:
        """The number of positions that every layer holds."""
        # BEGIN SOLUTION: say how many positions are stored
        # the last layer is written last, so what it holds, all layers hold
        return 0 if self.keys[-1] is None else self.keys[-1].shape[1]
        # END SOLUTION

    def append(
        self, layer: int, k: Float[Tensor, "batch new head d_head"], v: Float[Tensor, "batch new head d_head"]
    ) -> tuple[Float[Tensor, "batch pos head d_head"], Float[Tensor, "batch pos head d_head"]]:
        """All keys and all values of this layer, oldest position first, after storing the new ones at the end."""
        # BEGIN SOLUTION: store the new positions behind the old ones and return them all
        if self.keys[layer] is not None:
            k = torch.cat([self.keys[layer], k], dim=1)
            v = torch.cat([self.values[layer], v], dim=1)
        self.keys[layer], self.values[layer] = k, v
        return k, v
        # END SOLUTION


# %%
check(KVCache)

# %% [markdown]
# ### A forward pass that remembers
#
# `forward_cached` is your transformer's forward pass with two changes.
#
# **Positions continue.** With $n$ positions in the cache, the first new token stands at position $n$, not at 0.
#
# **The mask is a rectangle.** There are only as many queries as new tokens, but as many keys as positions in all. With
# three positions cached and two new tokens (✓ may read, · may not):
#
# ```text
#               keys   0  1  2 │ 3  4
# query 3  (new)       ✓  ✓  ✓ │ ✓  ·
# query 4  (new)       ✓  ✓  ✓ │ ✓  ✓
# ```
#
# The rule is the old one, key position ≤ query position, and it helps to write it like that, with real positions. A
# triangle from the top left corner would be wrong: it would let query 3 read key 0 only.
#
# Any number of new tokens at once must work. The prompt goes in as one piece (*prefill*); then one token follows the
# other (*decoding*).

# %%
# [exercise]
# number = "1.16b"
# title = "A forward pass with the cache"
# difficulty = 4
# importance = 4
# minutes = 25
# points = 4
# why = "You rebuild attention from its parameters, which is what every intervention on queries, keys or values in later chapters does."
# hints = [
#     "Which lines of your forward pass looked at more than one position, and which knew what position they were at?",
#     "Read cache.length before anything is appended: it is the position of the first new token. In every block compute q, k and v of the new tokens, append k and v, and attend from the new queries over all keys, masked where key position > query position.",
#     "positions = torch.arange(cache.length, cache.length + new); the residual stream starts as embed(tokens) plus W_pos[positions]; per block: ln1, einsum with W_Q, W_K, W_V plus biases, k, v = cache.append(layer, k, v), scores / sqrt(d_head), masked_fill(torch.arange(k.shape[1]) > positions[:, None], -inf), softmax, values, W_O, b_O; then the MLP on ln2; at the end ln_final and unembed.",
# ]
# [/exercise]
def forward_cached(
    model, tokens: Int[Tensor, "batch new"], cache: "KVCache"
) -> Float[Tensor, "batch new d_vocab"]:
    """The logits at the new tokens, which continue the text that the cache holds; the cache holds them too afterwards."""
    # BEGIN SOLUTION: run the new tokens only, reading earlier positions through the cache
    start = cache.length
    positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
    resid = model.embed(tokens) + model.pos_embed.W_pos[positions]
    for layer, block in enumerate(model.blocks):
        attn = block.attn
        x = block.ln1(resid)
        q, k, v = (
            einops.einsum(x, W, "batch pos d_model, head d_model d_head -> batch pos head d_head") + b
            for W, b in ((attn.W_Q, attn.b_Q), (attn.W_K, attn.b_K), (attn.W_V, attn.b_V))
        )
        k, v = cache.append(layer, k, v)
        scores = einops.einsum(
            q, k, "batch query head d_head, batch key head d_head -> batch head query key"
        ) / math.sqrt(q.shape[-1])
        later = torch.arange(k.shape[1], device=tokens.device) > positions[:, None]
        pattern = scores.masked_fill(later, -math.inf).softmax(dim=-1)
        z = einops.einsum(pattern, v, "batch head query key, batch key head d_head -> batch query head d_head")
        resid = resid + attn.b_O + einops.einsum(
            z, attn.W_O, "batch pos head d_head, head d_head d_model -> batch pos d_model"
        )
        resid = resid + block.mlp(block.ln2(resid))
    return model.unembed(model.ln_final(resid))
    # END SOLUTION


# %%
check(forward_cached)

# %% [markdown]
# Now greedy decoding again, with every position run once. The text must be the same.

# %%
def greedy_cached(model, tokens: Int[Tensor, "batch pos"], n_new: int) -> Int[Tensor, "batch pos_and_new"]:
    """What greedy gives, as long as the whole text fits into n_ctx."""
    cache, new = KVCache(cfg), tokens
    for _ in range(n_new):
        new = forward_cached(model, new, cache)[:, -1].argmax(dim=-1, keepdim=True)
        tokens = torch.cat([tokens, new], dim=1)
    return tokens


def seconds(write, n_new: int) -> float:
    """The quicker of two runs."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        write(writer, prompts, n_new)
        times.append(time.perf_counter() - start)
    return min(times)


prompts = to_tokens(" Once there was a").repeat(8, 1)
lengths = [10, 20, 40, 70]
took = {"no cache": [seconds(greedy, n) for n in lengths], "cache": [seconds(greedy_cached, n) for n in lengths]}

print("the same text:", torch.equal(greedy(writer, prompts, 70), greedy_cached(writer, prompts, 70)))
ratio = took["no cache"][-1] / took["cache"][-1]
timings(lengths, took, title=f"Writing 70 tokens in 8 rows is {ratio:.1f} times faster with the cache")

# %% [markdown]
# **You should see** a curve that bends upwards beside one that is nearly straight, and a ratio that grows with the
# length. Each step without the cache costs as much as the text is long; with it, every step costs about the same. At 70
# tokens the gain is modest. At 10,000 it is the difference between possible and impossible, and the memory for the
# cache, not arithmetic, is what limits how many texts a server writes at once.
#
# One thing is lost. When a text outgrows $n_\text{ctx}$, `greedy` slides its window, so every token gets a new
# position. A cache cannot follow: its keys and values were computed with the old position vectors in them. With learned
# positions the cached text ends at $n_\text{ctx}$, which is one reason why later models put positions into the
# attention scores.

# %% [markdown]
# ## Bonus: where tokens come from
#
# The organism's tokenizer knows whole words, which is possible only because its world has a few hundred of them. Real
# models have to read any text at all. Cut into characters, texts become long; cut into words, some word is always
# unknown. *Byte-pair encoding* (Gage 1994; for translation and language models Sennrich, Haddow and Birch 2016) sits
# between the two and learns its vocabulary from text: start from single characters, find the pair of neighbours that
# occurs most often, make it one symbol, repeat.
#
# It matters to anyone who looks inside a model: the tokens are the axis of every plot you will make, and oddities of a
# model, from spelling to arithmetic, often begin here.
#
# First the text is cut into words and runs of punctuation, each with the space in front of it, as GPT-2 does it (its
# own pattern is a little longer). Pairs are counted **within these words only**; no symbol ever reaches across a
# border.

# %%
def split_words(text: str) -> list[str]:
    """The words and punctuation of the text, each with the one space or line break in front; joined they give the text back."""
    return re.findall(r"\s?\w+|\s?[^\w\s]+|\s+", text)


split_words("the cat sat on the mat.")

# %% [markdown]
# ### Learning the merges
#
# Each round of training on the text `"low low low lower lowest"`:
#
# | round | most frequent pair | how often | `" lower"` is now |
# |---|---|---|---|
# | 0 | | | `" "` `l` `o` `w` `e` `r` |
# | 1 | `l` `o` | 5 | `" "` `lo` `w` `e` `r` |
# | 2 | `lo` `w` | 5 | `" "` `low` `e` `r` |
# | 3 | `" "` `low` | 4 | `" low"` `e` `r` |
# | 4 | `" low"` `e` | 2 | `" lowe"` `r` |
#
# In round 1, `l` `o` and `o` `w` both occur five times. Ties are common, and two tokenizers that break them differently
# read the same text differently, so the rule has to be exact. We use the rule of Hugging Face's `tokenizers`, with
# which your merges will be compared. Give every symbol an *age rank*: first all characters of the text in the order of
# their code points (`sorted(set(text))`), then each new symbol as it is made. **Of the pairs that occur most often,
# take the one whose left symbol has the smallest rank; among those, the smallest rank on the right.** Here `l` has a
# smaller rank than `o`.
#
#
# Three more details: overlapping pairs all count (`aaa` has the pair `a` `a` twice), a merge goes through a word from
# left to right (`aaa` becomes `aa` `a`), and when no pair is left there are fewer merges than asked for.
#
# First the last column of the table: one pair, merged in one word.

# %%
# [exercise]
# number = "1.17a"
# title = "Bonus: merge a pair"
# difficulty = 2
# importance = 2
# minutes = 8
# points = 1
# why = "Training and reading both consist of this one move; done in another order, it gives other tokens for the same text."
# hints = [
#     "In `a a a`, which two become one, and is the third looked at again?",
#     "Walk through the symbols with an index. Where this symbol and the next are the pair, write the joined one and step on by two; otherwise copy the symbol and step on by one.",
#     "`while i < len(symbols)`; compare `tuple(symbols[i : i + 2])` with `pair`, which at the last symbol is a tuple of one and so no match; `merged.append(pair[0] + pair[1])`; `i += 2`.",
# ]
# [/exercise]
def merge_pair(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """The symbols with every occurrence of the pair made one symbol, from left to right."""
    # BEGIN SOLUTION: replace each neighbouring pair by the joined symbol
    merged, i = [], 0
    while i < len(symbols):
        step = 2 if tuple(symbols[i : i + 2]) == pair else 1
        merged.append("".join(symbols[i : i + step]))
        i += step
    return merged
    # END SOLUTION


# %%
check(merge_pair)

# %% [markdown]
# Now the loop around it. It is enough to keep every *different* word once, with how often it occurs.

# %%
# [exercise]
# number = "1.17b"
# title = "Bonus: train byte-pair encoding"
# difficulty = 3
# importance = 2
# minutes = 25
# points = 3
# why = "Tokens are the only thing a model ever sees; strange tokens, and strange behaviour on them, come out of this loop."
# hints = [
#     "Which is the quickest to count: every word of the text, or every different word together with its count?",
#     "Keep for each different word its list of symbols. Each round: count pairs weighted by word counts, choose the best by (count, then smaller ranks), record it, give the new symbol the next rank, and rewrite every word with merge_pair.",
#     "`count = Counter(split_words(text))`; `max(pairs, key=…)` with the key (count, minus the left rank, minus the right rank); `rank[best[0] + best[1]] = len(rank)`; `merge_pair(parts, best)` for every word.",
# ]
# [/exercise]
def train_bpe(text: str, n_merges: int) -> list[tuple[str, str]]:
    """The first n_merges merges in the order in which they are learned, or fewer where no pair is left."""
    # BEGIN SOLUTION: n_merges times, find the most frequent pair within words and make it one symbol
    count = Counter(split_words(text))
    symbols = {word: list(word) for word in count}
    rank = {character: age for age, character in enumerate(sorted(set(text)))}
    merges = []
    for _ in range(n_merges):
        pairs = Counter()
        for word, parts in symbols.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += count[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], -rank[pair[0]], -rank[pair[1]]))
        merges.append(best)
        rank[best[0] + best[1]] = len(rank)
        symbols = {word: merge_pair(parts, best) for word, parts in symbols.items()}
    return merges
    # END SOLUTION


# %%
check(train_bpe)

# %% [markdown]
# ### Reading with them
#
# To encode a new text, cut it into words, take each word apart into characters, and replay the merges **in the order in
# which they were learned**. The order matters, because an early merge takes letters that a later one would have needed.
# Characters that training never saw stay single symbols.
#
# For merges `a b`, then `b c`, then `ab c`, the word `abc` becomes `ab` `c`, then `abc`. The merge `b c` never finds
# its `b`.

# %%
# [exercise]
# number = "1.17c"
# title = "Bonus: encode with the merges"
# difficulty = 2
# importance = 2
# minutes = 15
# points = 2
# why = "The same word with and without a space in front is often a different number of tokens, which is the first thing to check when a patching experiment goes strangely."
# hints = [
#     "Which decides first: where you are in the word, or how early a merge was learned?",
#     "For each word on its own: start from its characters, and go through the merges from first to last, each time merging all its occurrences.",
#     "Two loops, one inside the other: over split_words(text), starting from list(word), and over merges, where merge_pair gives the new symbols. Collect the symbols of all words in one list.",
# ]
# [/exercise]
def encode(text: str, merges: list[tuple[str, str]]) -> list[str]:
    """The symbols of the text; joined they give the text back."""
    # BEGIN SOLUTION: replay the merges in order within every word
    encoded = []
    for word in split_words(text):
        symbols = list(word)
        for pair in merges:
            symbols = merge_pair(symbols, pair)
        encoded += symbols
    return encoded
    # END SOLUTION


# %%
check(encode)

# %% [markdown]
# Now on the organism's own corpus. How many merges does it take until most words are one symbol?

# %%
generator = torch.Generator().manual_seed(0)
corpus, unseen = ("\n".join(sample_document("ioi", generator) for _ in range(n)) for n in (400, 20))
merges = train_bpe(corpus, 500)

print("the first merges:", " ".join((left + right).replace(" ", "·") for left, right in merges[:25]))
print("the last merges: ", " ".join((left + right).replace(" ", "·") for left, right in merges[-25:]), "\n")
for n_merges in (0, 30, 150, 500):
    print(f"{n_merges:3} merges:", "|".join(encode(sentence, merges[:n_merges])))

sizes = [0, 25, 50, 100, 200, 350, 500]
lines(
    sizes,
    {"unseen text": [len(encode(unseen, merges[:n])) / len(split_words(unseen)) for n in sizes]},
    title="The first merges shorten a text most",
    x_name="merges",
    y_name="symbols per word",
    references={"one symbol per word": 1.0},
)

# %% [markdown]
# **You should see** small words and endings first, and whole names late, each with its space in front: ` Mary` and
# `Mary` are different symbols here, as they are different tokens to GPT-2. The curve falls steeply and then flattens,
# since the frequent pairs are used up first.
#
# Two things are left between this and GPT-2's tokenizer. It starts from the 256 *bytes* in place of characters, so that
# no text at all is unknown, and it stopped at 50,000 merges.

# %% [markdown]
# ## Bonus: beam search
#
# Greedy decoding takes the best next *token*. That is not the same as the best *text*: a first token that is a little
# less likely can lead to a continuation that is much more so.
#
# ```text
#                 ┌ A 0.6 ─┬ C 0.4   →  0.6 × 0.4 = 0.24   greedy ends here
#                 │        └ D 0.3 …
#  prompt ────────┤
#                 └ B 0.4 ─┬ E 0.9   →  0.4 × 0.9 = 0.36   the most likely text
#                          └ F 0.1
# ```
#
# *Beam search* keeps the `n_beams` best texts at every step. Extend each of them by every token of the vocabulary,
# score a text by the **sum of its log-probabilities** (the log of the product above), keep the `n_beams` best of them
# all, repeat. The texts compete with each other: two of the survivors may come from one parent, and another parent may
# have none. One beam is greedy decoding; enough beams to hold every text is a full search.

# %%
# [exercise]
# number = "1.17d"
# title = "Bonus: beam search"
# difficulty = 4
# importance = 2
# minutes = 25
# points = 4
# why = "The most likely text is not what sampling shows: whether a model could say something and whether it will are two questions."
# hints = [
#     "After one step from two beams with a vocabulary of five, how many candidates compete, and for how many places?",
#     "Keep a tensor of beams and one of their scores. Each step: log_softmax of the last position's logits, add each beam's score, take topk over all beams and tokens together (flattened), and work out from the flat index which beam and which token each winner is.",
#     "scores = (scores[:, None] + model(beams[:, -n_ctx:])[:, -1].log_softmax(-1)).flatten(); scores, winners = scores.topk(min(n_beams, len(scores))); parent, token = winners // d_vocab, winners % d_vocab; beams = torch.cat([beams[parent], token[:, None]], dim=1).",
# ]
# [/exercise]
def beam_search(
    model, tokens: Int[Tensor, "pos"], n_new: int, n_beams: int
) -> tuple[Int[Tensor, "beam pos_and_new"], Float[Tensor, "beam"]]:
    """The n_beams best continuations that the search finds, most likely first, and the log-probability of what was added.

    There are fewer where n_new tokens cannot make n_beams different texts. The model reads at most the last n_ctx tokens.
    """
    # BEGIN SOLUTION: extend every beam by every token, keep the n_beams best by summed log-probability
    n_ctx = len(model.pos_embed.W_pos)
    beams = tokens[None]
    scores = torch.zeros(1, device=tokens.device)
    for _ in range(n_new):
        log_probs = model(beams[:, -n_ctx:])[:, -1].log_softmax(dim=-1)
        d_vocab = log_probs.shape[-1]
        candidates = (scores[:, None] + log_probs).flatten()
        scores, winners = candidates.topk(min(n_beams, len(candidates)))
        parent, token = winners // d_vocab, winners % d_vocab
        beams = torch.cat([beams[parent], token[:, None]], dim=1)
    return beams, scores
    # END SOLUTION


# %%
check(beam_search)

# %% [markdown]
# **You should see** that more beams need hardly help, until at last the log-probability leaps.

# %%
start = to_tokens(" Once there was a")[0]
for n_beams in (1, 5, 20, 300):
    texts, scores = beam_search(writer, start, 12, n_beams)
    print(f"{n_beams:3} beams  log-probability {scores[0]:6.2f}  {as_story(texts[0])}")

samples = sample(writer, start.repeat(300, 1), 12, generator=torch.Generator().manual_seed(0))
log_probs = writer(samples[:, :-1]).log_softmax(dim=-1).gather(-1, samples[:, 1:, None])[:, len(start) - 1 :, 0].sum(dim=-1)
print(f"\n300 samples: mean {log_probs.mean():.2f}, best {log_probs.max():.2f}")

# %% [markdown]
# Greedy misses the most likely text, and twenty beams miss it too: the text that 300 beams find begins with words that
# twenty had dropped before the likely part came. Look at the last line as well: 300 random samples hold one that is
# nearly 30 times as likely as what twenty beams found, and almost four times as likely as what 300 did. A search that keeps the best
# beginnings does not keep the best texts. And the best text is an outlier: most of the model's probability lies on texts
# that are much less likely, one by one, but so many. In open-ended writing large beams even make texts worse; they are used where there is one right answer, as in
# translation.

# %% [markdown]
# ## What you can do now
#
# - You can write every line of GPT-2, and know that it is right because its logits are the real ones.
# - You can say what the residual stream is and split any final vector into the parts that wrote it.
# - You can read an MLP neuron as a pair: what it waits for, and what it then promotes.
# - You can train a transformer and say, from the loss alone, what kind of statistics it has learned so far.
# - You can turn logits into text, and name what each knob hides of the distribution.
# - You know why no position depends on a later one, what that allows (the cache), and what it rules out.
#
# You have also seen, more than once, that something inside copies from earlier in the text: names come back at low
# cost, and a second occurrence surprises far less than the first. Chapter 2 takes the model apart to find what does
# that.
#
# ## Bonus problems
#
# 1. **Bytes.** Make `train_bpe` and `encode` work on `text.encode("utf-8").decode("latin-1")`, where every character is one
#    byte. What happens to a Japanese sentence with merges that were learned from English? What does that mean for what a
#    question costs in Japanese?
# 2. **Min-p.** Write `min_p_filter(logits, p)`, which keeps the tokens with at least $p$ times the probability of the most
#    likely one. Find a prompt where it and top-p with the same number of tokens on average disagree most.
# 3. **Speculative decoding** (Leviathan, Kalman and Matias 2023). Train a model of one layer on text that `writer` wrote. Let
#    it propose four tokens, and let `writer` check them in one run of `forward_cached`. Accept and reject so that the
#    text has exactly `writer`'s distribution, and show with a chi-square that it has. (Your cache needs a way to forget.)
# 4. **A cache that slides.** Replace learned positions by rotary ones (Su et al. 2021) in your own model, train it as in 1.14, and
#    let the cache drop its oldest positions. How long does the text stay sensible? Then keep the very first position and
#    drop the ones after it (Xiao et al. 2024), and explain the difference.
# 5. **A smaller cache.** Let several query heads share one head of keys and values (Ainslie et al. 2023). What does it cost in loss
#    on the course's corpus, and how much memory does it save?
# 6. **Edit a memory.** Prefill a cache with " Mary and John went to the store.", then overwrite the keys and values at the position of
#    " Mary" with those from a text that says " Anna". Whom does the model talk about next? (You have just done your
#    first activation patch. Chapter 4 is about little else.)
#
# ## Reading
#
# **The model.** Vaswani et al. 2017, *Attention Is All You Need*. Radford et al. 2019, *Language Models are
# Unsupervised Multitask Learners* (GPT-2). Ba, Kiros and Hinton 2016, *Layer Normalization*. Hendrycks and Gimpel 2016,
# *Gaussian Error Linear Units*. Xiong et al. 2020, *On Layer Normalization in the Transformer Architecture*. Phuong and
# Hutter 2022, *Formal Algorithms for Transformers*, which is the whole chapter in pseudocode.
#
# **Seeing it as parts.** Elhage et al. 2021, *A Mathematical Framework for Transformer Circuits*: read its first third
# now, the rest with chapter 2. Geva et al. 2021, *Transformer Feed-Forward Layers Are Key-Value Memories*.
#
# **Training.** Loshchilov and Hutter 2017, *SGDR: Stochastic Gradient Descent with Warm Restarts* (the cosine), and 2019,
# *Decoupled Weight Decay Regularization* (AdamW).
#
# **Writing.** Fan, Lewis and Dauphin 2018, *Hierarchical Neural Story Generation* (top-k). Holtzman et al. 2020, *The
# Curious Case of Neural Text Degeneration* (top-p, and why likely text is not good text). Stahlberg and Byrne 2019, *On
# NMT Search Errors and Model Errors: Cat Got Your Tongue?* (exact search, and what it finds).
#
# **Speed.** Shazeer 2019, *Fast Transformer Decoding: One Write-Head is All You Need*. Pope et al. 2023, *Efficiently
# Scaling Transformer Inference*. Leviathan, Kalman and Matias 2023, *Fast Inference from Transformers via Speculative
# Decoding*. Ainslie et al. 2023, *GQA: Training Generalized Multi-Query Transformer Models from Multi-Head
# Checkpoints*. Su et al. 2021, *RoFormer: Enhanced Transformer with Rotary Position Embedding*. Xiao et al. 2024,
# *Efficient Streaming Language Models with Attention Sinks*.
#
# **Tokens.** Gage 1994, *A New Algorithm for Data Compression*. Sennrich, Haddow and Birch 2016, *Neural Machine
# Translation of Rare Words with Subword Units*. Rumbelow and Watkins 2023, *SolidGoldMagikarp* (tokens that a model
# never learned to read).
