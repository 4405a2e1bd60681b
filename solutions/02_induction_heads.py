# %% [markdown]
# # 2. Induction heads
#
# Give a language model a text it has never seen, with a name it has never seen, and the second time the name begins, it
# knows how it goes on. Nothing in the weights holds that name. The model has learned *to copy from its context*, and in
# small models the heads that do it can be found, switched off, and read: they are called **induction heads**.
#
# In this chapter you find them and prove what they do, in three ways that do not depend on each other:
#
# 1. **by what they look at**: on random words that repeat, an induction head looks at the word after the last
#    occurrence of the present one, and you write the score that says so;
# 2. **by what breaks without them**: you switch heads off, one by one and together, and see copying disappear while
#    everything else stays;
# 3. **by their weights alone**: without running the model, you multiply a few matrices and read off a head of the first
#    layer that looks one position back, a head of the second layer that searches for what the first one wrote, and an
#    output that says the word it found.
#
# Then you watch them come into being, over twenty checkpoints of one training.
#
# **At the end of this chapter you will be able to**
#
# - run a model under TransformerLens with a cache, with hooks, and with hooks that change what it computes;
# - define a score for a kind of head, and say what the score does not show;
# - take a logit apart into what each head contributed, and ablate a head in two ways;
# - read QK and OV circuits off the weights, and measure composition between heads against a baseline;
# - say what is known and what is disputed about induction heads and in-context learning.
#
# **You need** chapter 1: the residual stream, attention patterns, LayerNorm, the unembedding. The whole chapter takes
# about seven hours, six of them for the exercises.
#
# ## How this notebook works
#
# As in chapter 1: replace `raise NotImplementedError`, run the cell, then the `check` below it. `hint(induction_score)`
# gives the next hint, `reveal(induction_score)` a solution, and `!circuits progress` says what is solved.
#
# Everything runs on **attn-only-2l**: two layers of eight attention heads each, no MLPs, 0.2 million parameters, trained
# in 20 minutes on an invented language. Two layers are the fewest with which a model can have induction heads. The
# organism of chapter 1 and GPT-2 small have such heads too: change `MODEL` below, and the cells of the first two proofs
# find theirs. The third proof is written for two layers without MLPs. What you should see, and the titles of the
# figures, are about attn-only-2l throughout.

# %%
import math
from collections.abc import Callable, Sequence
from functools import partial

import einops
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens import ActivationCache, FactoredMatrix, TransformerBridge

from utils import check, checkpoint_steps, device, hint, load_model, reveal
from utils.data.invented import LIKELY_SHARE, invented_windows, plain_text, transitions, word_frequencies
from utils.plots import (
    along_training,
    attention,
    compare,
    composition_graph,
    diagram,
    head_label,
    heatmap,
    lines,
    residual_sum,
)

MODEL = "attn-only-2l"  # change to "organism", or to "gpt2" for GPT-2 small (downloads 550 MB once)

# %%
torch.set_grad_enabled(False)  # nothing is trained in this chapter
model = load_model(MODEL, device=device)
# heads write "L1H0": layer 1, head 0, both counted from 0
print(
    f"{model.cfg.n_layers} layers of {model.cfg.n_heads} heads, d_model {model.cfg.d_model}, d_head {model.cfg.d_head}"
)
print(f"{model.cfg.d_vocab} words, at most {model.cfg.n_ctx} positions")

# %% [markdown]
# ## A language without meaning
#
# The model reads 255 words such as " tun" and " las", with BOS in front of every text. They mean nothing, and only two
# things help to guess the next one:
#
# - **the word before.** Each word has a few likely successors, fixed once and for all. A table of 256 × 256
#   probabilities holds this, and a model can learn it by heart, into its weights.
# - **what stood earlier.** In three of four training texts, something that has occurred occurs again: a run of words, or
#   everything from the start. What it is differs from text to text, so it must be read off the context.
#
# Natural language has both of these and a thousand other things. With the others away, nearly everything that the model
# does is one of the two, and you can tell which head is for what.

# %%
if MODEL == "attn-only-2l":
    # text without copies: only the word before helps
    plain = plain_text(50, model.cfg.n_ctx, generator=torch.Generator().manual_seed(0)).to(device)
else:
    sentence = " When Mary and John went to the store, John gave a drink to Mary. Mary said that John was at the store."
    plain = model.to_tokens(sentence).to(device)

print(model.tokenizer.decode(plain[0, :24]))

# %% [markdown]
# A TransformerLens model is called on token ids, and returns logits. Does it know the table? Take the word at position
# 10 and compare what the model expects next with what the language says.

# %%
logits = model(plain)
word = plain[0, 10].item()
probs = logits[0, 10].softmax(dim=-1)
print(f"after {model.tokenizer.decode(word)!r}")
for guess in probs.topk(6).indices.tolist():
    truth = f"truth {transitions()[word, guess]:.2f}" if MODEL == "attn-only-2l" else ""
    print(f"{model.tokenizer.decode(guess)!r:>12}  model {probs[guess]:.2f}  {truth}")

# %% [markdown]
# **You should see** the same shares in both columns, to a hundredth or so: the model knows its table. So much for the
# first of the two things. The rest of the chapter is about the second.
#
# ## A run that keeps everything
#
# `model(tokens)` returns the end of a long computation. To look inside, call `model.run_with_cache(tokens)`: it returns
# the logits and an `ActivationCache`, a dictionary of every tensor that was computed on the way. TransformerLens has
# placed a **hook point** after each interesting step, a module that passes on what it is given, and the cache has one
# entry per hook point. The names say where they are:
#
# | short name | full name of the hook point, in layer 1 | what it is | shape |
# |---|---|---|---|
# | `cache["embed"]` | `hook_embed` | `W_E` of each token | `batch pos d_model` |
# | `cache["pos_embed"]` | `hook_pos_embed` | `W_pos` of each position | `batch pos d_model` |
# | `cache["resid_pre", 1]` | `blocks.1.hook_resid_pre` | the residual stream that the layer finds | `batch pos d_model` |
# | `cache["q", 1]`, `"k"`, `"v"` | `blocks.1.attn.hook_q` … | queries, keys, values | `batch pos head d_head` |
# | `cache["pattern", 1]` | `blocks.1.attn.hook_pattern` | the attention pattern | `batch head query key` |
# | `cache["z", 1]` | `blocks.1.attn.hook_z` | values mixed by the pattern, before `W_O` | `batch pos head d_head` |
# | `cache["attn_out", 1]` | `blocks.1.hook_attn_out` | what the layer's heads and `b_O` write | `batch pos d_model` |
# | `cache["mlp_out", 1]` | `blocks.1.hook_mlp_out` | what the layer's MLP writes, in models that have one | `batch pos d_model` |
# | `cache["resid_post", 1]` | `blocks.1.hook_resid_post` | the stream as the layer leaves it | `batch pos d_model` |
# | `cache["scale", 1, "ln1"]` | `blocks.1.ln1.hook_scale` | what LayerNorm divides by before attention | `batch pos 1` |
# | `cache["ln_final.hook_scale"]` | `ln_final.hook_scale` | what LayerNorm divides by before the unembedding | `batch pos 1` |
#
# The short name is a pair of the last word and the layer. Both find the same tensor. One thing to remember: `head` is
# the *third* axis of q, k, v and z, and the *second* of the pattern. Most wrong einsums of this chapter are there.
#
# (The course loads every model in *compatibility mode*: LayerNorm's weights are folded into the matrices behind them,
# and what is written to the residual stream is centred, which changes no probability. After that, $q = \hat x W_Q +
# b_Q$, where $\hat x$ is the residual stream with mean 0 and variance 1, and nothing else stands in between.)

# %%
logits, cache = model.run_with_cache(plain[:1])
for name in ("embed", ("resid_pre", 1), ("q", 1), ("k", 1), ("pattern", 1), ("z", 1), ("attn_out", 1)):
    print(f"{str(name):20} {list(cache[name].shape)}")
print(f"{len(list(cache.keys()))} entries in all")

# %% [markdown]
# ## The pattern, once more from its parts
#
# In chapter 1 you wrote the attention pattern for tensors of your own. Do it again for a real model, from the queries
# and keys in its cache:
#
# $$\text{pattern}_{ij} = \operatorname{softmax}_j\left(\frac{q_i \cdot k_j}{\sqrt{d_\text{head}}}\right), \qquad j \le i$$
#
# The point is trust. The cache has the pattern ready, and if you can rebuild it from two other entries, up to
# rounding, then you know what these entries are: no scale hidden in `q`, no mask forgotten, no other order of axes. Whenever
# you meet a new library, or a hook whose name you do not quite believe, check it so.
#
# Take `d_head` from the shape of `q` itself. And let every tensor that you make live where `q` lives
# (`device=q.device`), so that the same line runs on a GPU. The result has the dtype of what you were given, here and in
# the whole chapter: a float64 pattern has float64 scores.
#
# (There is a hook named `attn_scores`, too. In this version of TransformerLens it holds, for models like ours, the
# pattern after the softmax. Trust, but check.)


# %%
# [exercise]
# number = "2.1"
# title = "The pattern, from cached queries and keys"
# difficulty = 2
# importance = 3
# minutes = 15
# points = 2
# why = "Everything later in this chapter takes queries and keys apart; that only means something if you can put the pattern together from them again."
# hints = [
#     "Look at the shapes of `cache[\"q\", layer]` and `cache[\"k\", layer]`. Which axes must meet in the product, and which two must stay apart?",
#     "Four steps, as in exercise 1.4: dot products of every query with every key of the same head; divide by the root of q's last axis; minus infinity where the key comes after the query; softmax over keys.",
#     "`scores = einops.einsum(q, k, \"batch query head d_head, batch key head d_head -> batch head query key\") / math.sqrt(q.shape[-1])`; `future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(diagonal=1)`; `masked_fill`, then softmax over the last axis.",
# ]
# [/exercise]
def pattern_from_cache(cache: ActivationCache, layer: int) -> Float[Tensor, "batch head query key"]:
    """The attention pattern of every head of the layer, computed from its cached queries and keys."""
    # BEGIN SOLUTION: take q and k from the cache; scaled scores, no later keys, softmax over keys
    q, k = cache["q", layer], cache["k", layer]
    scores = einops.einsum(q, k, "batch query head d_head, batch key head d_head -> batch head query key")
    scores = scores / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(diagonal=1)
    return scores.masked_fill(future, float("-inf")).softmax(dim=-1)
    # END SOLUTION


# %%
check(pattern_from_cache)

# %%
for layer in range(model.cfg.n_layers):
    difference = (pattern_from_cache(cache, layer) - cache["pattern", layer]).abs().max()
    print(f"layer {layer}: yours differs from the cached pattern by {difference:.1e} at most")

# %% [markdown]
# **You should see** 0, or something like $10^{-7}$ where your sums run in another order, which is rounding. What you get
# is what the model attends with.
#
# ## Looking at all heads at once
#
# Here are the patterns of both layers on the first 24 words of a plain text, in which nothing is copied. Click a small
# picture to enlarge it, and move over a row to see where that word looks. Before you read on: which head would you call
# by a name?


# %%
def labels(n_layers: int) -> list[str]:
    """L0H0, L0H1 and so on: the heads of the first layers."""
    return [head_label(layer, head) for layer in range(n_layers) for head in range(model.cfg.n_heads)]


begin = plain[:1, :24]
_, cache = model.run_with_cache(begin)
attention(
    torch.cat([pattern_from_cache(cache, layer)[0] for layer in (0, 1)]),
    [model.tokenizer.decode(token) for token in begin[0]],
    title="Where the heads of the first two layers look, on text without copies",
    heads=labels(2),
)

# %% [markdown]
# **You should see** one head like no other: **L0H2** is a line just beneath the diagonal. Every word looks at the one
# before it. The other heads of layer 0 are more diffuse.
#
# Layer 1 looks odd: all of its heads stare at BOS, the first column. In chapter 1 you saw why there is such a thing. A
# row of a pattern sums to 1, so a head cannot look nowhere; a head with nothing to do needs a place where looking does
# no harm. BOS stands in every text, says nothing, and is always in reach. It has become the **resting place**. So the
# picture says: on this text, layer 1 has nothing to do. It is waiting for something.
#
# Is resting really doing nothing? What a head brings back from a word is that word's value times `W_O`, so we can ask how
# long the vector is that it would write when it looks at BOS alone, and when it looks at another word.


# %%
def written(cache: ActivationCache, layer: int) -> Float[Tensor, "batch pos head"]:
    """The length of what each head would write if it looked at this position alone."""
    writes = einops.einsum(
        cache["v", layer], model.W_O[layer], "batch pos head d_head, head d_head d_model -> batch pos head d_model"
    )
    return writes.norm(dim=-1)


_, cache = model.run_with_cache(begin)
lengths = written(cache, 1)
at = {"BOS": lengths[:, 0].mean(0), "another word": lengths[:, 1:].mean((0, 1))}
heatmap(
    torch.stack(list(at.values())),
    title="What the heads of layer 1 write when they look at BOS, and when at another word",
    x=[head_label(1, head) for head in range(model.cfg.n_heads)],
    y=list(at),
    y_name="looking at",
    value_name="length",
)

# %% [markdown]
# **You should see** that it depends on the head. In four of them (L1H1, L1H3, L1H4, L1H6) BOS brings back about a third of
# what another word brings; in L1H0 it is two thirds, in L1H2 and L1H5 about as much, and in L1H7 half as much again. A
# head at rest still adds its vector for BOS, the same one at every position. So "it looks at BOS, hence it does nothing"
# is a guess, and for half of these heads a wrong one. Keep this in mind for the second proof, where you switch heads off:
# what should a head be replaced by, by nothing or by what it usually writes?
#
# ## A score is a definition
#
# With 16 heads one can look at every picture. With the 144 of GPT-2 small, or the thousands of a large model, nobody
# can, and "looks like a line to me" is no result anyway. So give each head a number. A **score** for a kind of head is
# the average attention that it pays to the place that the kind is named after:

# %%
diagram("where_heads_look")

# %% [markdown]
# Five places, five kinds of heads. In the next three exercises you write the scores of three kinds that need no special
# text. Each takes a pattern, `batch head query key`, and returns one number for each head, between 0 and 1: the mean over
# all texts and over queries.
#
# **Over which queries?** Position 0 sees only itself. Its row of the pattern is 1 at key 0 in *every* head of every model,
# so it says nothing about the head. We leave it out of all three scores: the mean runs over queries 1, 2, 3, …
#
# We begin with the **current-token score**, the attention that a query pays to its own position. In the matrix these are
# the entries (1, 1), (2, 2), …: the main diagonal without its first entry.
#
# | pattern | key 0 | key 1 | key 2 | key 3 |
# |---|---|---|---|---|
# | query 0 | 1 | | | |
# | query 1 | .5 | **.5** | | |
# | query 2 | .8 | .1 | **.1** | |
# | query 3 | 0 | .7 | 0 | **.3** |
#
# Its score is (.5 + .1 + .3) / 3 = .3. A mean, not a sum: the score of a head must not grow with the length of the text.
#
# The tool: `pattern.diagonal(offset=0, dim1=-2, dim2=-1)` takes out the diagonal of the last two axes and puts it last:
# `batch head query key` becomes `batch head diagonal`. Without `dim1` and `dim2` it takes that of the *first* two.


# %%
# [exercise]
# number = "2.2"
# title = "Current-token score"
# difficulty = 1
# importance = 3
# minutes = 10
# points = 1
# why = "A head that attends to its own position moves nothing from place to place, as an MLP does not. One wants to know which heads these are before looking for those that do."
# hints = [
#     "Which entries of the matrix `query key` are a query looking at its own position? Which of them is 1 in every head?",
#     "Take the main diagonal of the last two axes, leave out its first entry, and average over the batch and over what is left. The head axis stays.",
#     "`own = pattern.diagonal(dim1=-2, dim2=-1)` has the shape `batch head query`; then `own[..., 1:]` and `.mean(dim=(0, -1))`.",
# ]
# [/exercise]
def current_token_score(pattern: Float[Tensor, "batch head query key"]) -> Float[Tensor, "head"]:
    """The mean attention of each head to the query's own position, over queries 1, 2, …"""
    # BEGIN SOLUTION: the main diagonal without query 0, averaged over texts and queries
    own = pattern.diagonal(dim1=-2, dim2=-1)
    return own[..., 1:].mean(dim=(0, -1))
    # END SOLUTION


# %%
check(current_token_score)

# %% [markdown]
# The **previous-token score** is the attention to the position just before: entries (1, 0), (2, 1), (3, 2), …, the
# diagonal one step *below* the main one. Query 0 has no previous token, so there is nothing to leave out: the diagonal
# has one entry less than the matrix has rows, and these are just queries 1, 2, …
#
# In the table above they are .5, .1 and 0: the score is .2.


# %%
# [exercise]
# number = "2.3"
# title = "Previous-token score"
# difficulty = 1
# importance = 4
# minutes = 10
# points = 1
# why = "An induction head needs a head in an earlier layer that looks one back. This number finds the candidates, in models of any size."
# hints = [
#     "In which direction from the main diagonal is the entry (query 3, key 2)? How many such entries does a matrix of 4 rows have?",
#     "`diagonal` has an `offset`: positive goes above the main diagonal, negative below it. Everything on the diagonal below belongs to a query that has a previous token.",
#     "`pattern.diagonal(offset=-1, dim1=-2, dim2=-1)` has the shape `batch head query`, for queries 1, 2, …; then the mean over `dim=(0, -1)`.",
# ]
# [/exercise]
def previous_token_score(pattern: Float[Tensor, "batch head query key"]) -> Float[Tensor, "head"]:
    """The mean attention of each head to the position before the query, over queries 1, 2, …"""
    # BEGIN SOLUTION: the diagonal just below the main one, averaged over texts and queries
    return pattern.diagonal(offset=-1, dim1=-2, dim2=-1).mean(dim=(0, -1))
    # END SOLUTION


# %%
check(previous_token_score)

# %% [markdown]
# The **first-token score** is the attention to position 0, where BOS stands: a column of the matrix. Here query 0 must
# be left out by hand. It looks at position 0 because it has no other choice, not because the head likes BOS; counted in,
# it would give every head 1 / `pos` for free.
#
# In the table above the entries are .5, .8 and 0: the score is .43.


# %%
# [exercise]
# number = "2.4"
# title = "First-token score"
# difficulty = 1
# importance = 3
# minutes = 5
# points = 1
# why = "How much a head rests tells how often it works. Heads that rest on most texts are the specialised ones, and averages over ordinary text hide them."
# hints = [
#     "Is key 0 a row or a column of the matrix `query key`?",
#     "All queries but the first, one key: index the last two axes, then average over texts and queries.",
#     "`pattern[:, :, 1:, 0]` has the shape `batch head query`; then the mean over `dim=(0, -1)`.",
# ]
# [/exercise]
def first_token_score(pattern: Float[Tensor, "batch head query key"]) -> Float[Tensor, "head"]:
    """The mean attention of each head to position 0, over queries 1, 2, …"""
    # BEGIN SOLUTION: column 0 without query 0, averaged over texts and queries
    return pattern[:, :, 1:, 0].mean(dim=(0, -1))
    # END SOLUTION


# %%
check(first_token_score)

# %% [markdown]
# Now every head of the model at once, on fifty plain texts.


# %%
def score_map(tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "kind head"]:
    """The three scores of every head, layer after layer."""
    _, cache = model.run_with_cache(tokens)
    patterns = [cache["pattern", layer] for layer in range(model.cfg.n_layers)]
    scores = (current_token_score, previous_token_score, first_token_score)
    return torch.stack([torch.cat([score(pattern) for pattern in patterns]) for score in scores])


heatmap(
    score_map(plain),
    title="Three scores of every head, on text without copies",
    x=labels(model.cfg.n_layers),
    y=["current token", "previous token", "first token"],
    value_name="mean attention",
)

# %% [markdown]
# **You should see** layer 1 dark in the row of the first token: from .64 (L1H5) to .89 (L1H7). L0H2 stands out in the row
# of the previous token, with .55. No head is a current-token head: the highest has .12.
#
# ### Look behind the mean
#
# Does .55 mean that L0H2 pays half of its attention to the word before? The pictures above said nearly all. A mean can
# come about in many ways, so plot what it is a mean of: its attention to the previous and to the first token, one number
# for each position.

# %%
LAYER, HEAD = 0, 2  # L0H2; in the organism L0H3 does this job, in GPT-2 small L4H11

_, cache = model.run_with_cache(plain)
pattern = cache["pattern", LAYER][:, HEAD]
lines(
    range(1, plain.shape[-1]),
    {
        "to the word before": pattern.diagonal(offset=-1, dim1=-2, dim2=-1).mean(0),
        "to BOS": pattern[:, 1:, 0].mean(0),
    },
    title=f"{head_label(LAYER, HEAD)} is two heads: one for early positions, another for late ones",
    x_name="position of the query",
    y_name="attention, mean over texts",
)

# %% [markdown]
# **You should see** that .55 is the attention of *no* position. Up to position 56 the head is as pure a previous-token head
# as one could wish, with .91 to 1 of its attention. From position 57 on it does not look back at all and rests
# at BOS, and so it does at three earlier places, 37, 44 and 54. The score is just the share of positions at which it
# works. (The very last position has no next word to predict, and was never trained.)
#
# Why only the first half? A likely reason: what is copied in training mostly comes from there, since it must have stood
# earlier (a text of random words that repeats begins again after 44 words at the latest). You will meet the hole at
# position 37 again.
#
# ## Text that can only be copied
#
# What is layer 1 waiting for? The second thing that helps: that something comes again. We give it text in which *nothing
# else* helps. Take random words, all equally likely, and then the same words again:
#
# | position | 0 | 1 | 2 | 3 | 4 | 5 | 6 |
# |---|---|---|---|---|---|---|---|
# | token | BOS | tun | be | las | tun | be | las |
#
# In the first half, nobody can do better than chance: a loss of $\ln 255 = 5.54$ nats per word. In the second half,
# whoever notices the repetition can know every word. And since the words are random, no table learned in training is of
# any use: a model that predicts the second half has read it in the context. This is the standard test for induction
# heads (Elhage et al. 2021, Olsson et al. 2022), and it works on every language model, since nothing in it is language.
#
# BOS stands in front once, as in training, and never inside. It may be any id: the course's models have 0, GPT-2 has
# 50256, its last. So draw from one token fewer than there are, and make room: of ids 0 to `d_vocab - 2`, raise those
# that are `bos` or larger by one. (To draw again wherever BOS came up works, too. To replace it by its neighbour would
# make the neighbour twice as likely.)
#
# All randomness comes from the generator that is handed in: `torch.randint(low, high, shape, generator=generator)`, with
# `high` itself excluded. Same generator, same tokens, so that others can repeat what you measured.


# %%
# [exercise]
# number = "2.5"
# title = "Repeated random tokens"
# difficulty = 2
# importance = 4
# minutes = 15
# points = 2
# why = "A test input in which only one mechanism can help is worth more than a thousand natural texts in which five do."
# hints = [
#     "How many different tokens may stand inside? Which three pieces make up a text, and how long is it?",
#     "Draw one segment of shape `batch length` with `torch.randint` from 0 up to `d_vocab - 1` (excluded), add 1 where it is at least `bos`, make a column of BOS, and put column, segment, segment side by side.",
#     "`segment = torch.randint(0, d_vocab - 1, (batch, length), generator=generator, device=generator.device)`, `segment = segment + (segment >= bos)`, `start = torch.full_like(segment[:, :1], bos)`, then `torch.cat` of the three pieces along axis 1.",
# ]
# [/exercise]
def repeated_tokens(
    d_vocab: int, batch: int, length: int, bos: int, generator: torch.Generator
) -> Int[Tensor, "batch pos"]:
    """BOS, then `length` random tokens that are never BOS and otherwise equally likely, then the same again.

    The result has 1 + 2 * `length` positions and lives on the generator's device.
    """
    # BEGIN SOLUTION: a column of BOS, a random segment without BOS, and the same segment again
    segment = torch.randint(0, d_vocab - 1, (batch, length), generator=generator, device=generator.device)
    segment = segment + (segment >= bos)
    start = torch.full_like(segment[:, :1], bos)
    return torch.cat([start, segment, segment], dim=1)
    # END SOLUTION


# %%
check(repeated_tokens)

# %% [markdown]
# To see *where* the model does well we need the loss of every single prediction, not its mean. The model gives logits; a
# log-softmax over the vocabulary makes log-probabilities of them; and of these we want the one of the token that came.
#
# Mind the shift, as in chapter 1: the logits at position $i$ are about the token at position $i + 1$. A text of `pos`
# tokens has `pos - 1` predictions. What the model says at the last position is not checked by anything, and nobody
# predicted the first token.
#
# $$\text{result}_i = \log p(\text{token}_{i+1} \mid \text{token}_0, \ldots, \text{token}_i)$$
#
# `torch.gather`, or `Tensor.gather`, picks one entry per row: `log_probs.gather(-1, index)` wants an `index` with as many
# axes as `log_probs`, so give the tokens a last axis of size 1 and take it off again. And use `log_softmax`, not the
# `log` of a `softmax`: a probability of $e^{-200}$ is 0 in float32, and its log minus infinity.


# %%
# [exercise]
# number = "2.6"
# title = "Log-probability of every right next token"
# difficulty = 2
# importance = 4
# minutes = 10
# points = 2
# why = "A mean loss hides where a model succeeds. In-context learning is a statement about this vector along the text."
# hints = [
#     "Which positions of the logits have a next token? Which tokens are a next token?",
#     "log_softmax over the last axis; drop the last position; gather the entries of tokens 1, 2, …",
#     "`log_probs = logits[:, :-1].log_softmax(dim=-1)`, then `log_probs.gather(-1, tokens[:, 1:, None])`, without its last axis.",
# ]
# [/exercise]
def per_token_log_probs(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos-1"]:
    """The log-probability, in nats, that the logits at each position but the last give to the token after it."""
    # BEGIN SOLUTION: log-softmax of all but the last position, and of it the entry of the next token
    log_probs = logits[:, :-1].log_softmax(dim=-1)
    return log_probs.gather(-1, tokens[:, 1:, None]).squeeze(-1)
    # END SOLUTION


# %%
check(per_token_log_probs)

# %% [markdown]
# Now let the model read a hundred such texts: 40 words, and the same 40 again.

# %%
LENGTH = 40
generator = torch.Generator().manual_seed(0)
repeated = repeated_tokens(model.cfg.d_vocab, 100, LENGTH, model.tokenizer.bos_token_id, generator).to(device)

loss = -per_token_log_probs(model(repeated), repeated)
lines(
    range(1, repeated.shape[-1]),
    {"loss": loss.mean(0)},
    title="As soon as words come again, the model knows them",
    x_name="position of the predicted word",
    y_name="loss in nats, mean over texts",
    references={"chance": math.log(model.cfg.d_vocab - 1)},
)

# %% [markdown]
# **You should see** a cliff. Up to position 40 the loss stays a little above chance: the model expects the successors that
# it knows, and they do not come. From position 42, the second repeated word, it is about 0.1 nats: the model is right 19
# times out of 20. One word is enough to know where we are.
#
# Three details are worth a look, since a good explanation will have to cover them:
#
# - Between positions 10 and 40 the loss *rises*, from 5.6 to about 6. The longer nothing has come again, the more the
#   model bets that it will. In this text it is wrong until it is right.
# - Position 41, the first repeated word, cannot be known. Yet the loss is already lower, 3.5: that the text begins again
#   *from its start* is a good bet in the training texts.
# - At position 77 there is a tooth: 1.3 nats for one word, and then all is well again.
#
# ## The stripe
#
# Which heads do this? Look at the patterns of layer 1 again, now on a text that repeats. (A short one, so that you can
# read it; the rule is the same.)

# %%
bos = model.tokenizer.bos_token_id
twelve = repeated_tokens(model.cfg.d_vocab, 1, 12, bos, torch.Generator().manual_seed(2)).to(device)
_, cache = model.run_with_cache(twelve)
attention(
    cache["pattern", 1][0],
    [model.tokenizer.decode(token) for token in twelve[0]],
    title="Layer 1, on 12 random words that come twice",
    heads=[head_label(1, head) for head in range(model.cfg.n_heads)],
)

# %% [markdown]
# **You should see** stripes that were not there before. In the upper half of each picture, the first 12 words, the heads
# still look mostly at the left edge. In the lower half, all heads but L1H7 have a diagonal stripe. Take one row and read
# where it looks: not at the same word in the first half, but at the word *after* it. That is the word which comes next.
#
# That is an **induction head**, and its stripe has a definite place. The second half begins `length` positions after the
# first. So the query at position $i$ finds its own first occurrence at $i - \text{length}$ and the word after it at
#
# $$i - \text{length} + 1 = i - (\text{length} - 1)$$
#
# The stripe is the diagonal `length - 1` below the main one. Which part of it? With `length` = 3, positions 0 to 6:
#
# | query | 2 (be) | 3 (las) | 4 (tun) | 5 (be) | 6 (las) |
# |---|---|---|---|---|---|
# | key, 2 before it | 0 (BOS) | 1 (tun) | 2 (be) | 3 (las) | 4 (tun) |
# | counts | no | no | **yes** | **yes** | **yes** |
#
# The diagonal has `length + 2` entries. Its first two belong to queries of the first half, for which nothing has
# repeated yet. The last `length` are the queries of the second half, each looking at the word that followed its first
# occurrence. (For the very last query, that is the first word of the second half. It is where the text would go on if
# it began a third time.) The **induction score** is the mean over these.


# %%
# [exercise]
# number = "2.7"
# title = "Induction score"
# difficulty = 2
# importance = 5
# minutes = 15
# points = 3
# why = "This one number finds candidates for induction heads in any transformer, and they are among the few parts that were found in small and large models alike (Olsson et al. 2022)."
# hints = [
#     "With `length` = 3, write down which key each of the queries 4, 5 and 6 should look at. What is the difference each time?",
#     "Take the diagonal with the offset for which the key lies `length - 1` before the query. It has `length + 2` entries; those of the second half are the last `length`. Average over them and over the texts.",
#     "`stripe = pattern.diagonal(offset=1 - length, dim1=-2, dim2=-1)`, then `stripe[..., -length:]` and the mean over `dim=(0, -1)`.",
# ]
# [/exercise]
def induction_score(pattern: Float[Tensor, "batch head query key"], length: int) -> Float[Tensor, "head"]:
    """The mean attention of each head from the tokens of the second half to the token after their first occurrence.

    The pattern is that of BOS, `length` tokens, and the same `length` tokens again. After Olsson et al. (2022).
    """
    # BEGIN SOLUTION: the diagonal length - 1 below the main one, only the queries of the second half, averaged
    stripe = pattern.diagonal(offset=1 - length, dim1=-2, dim2=-1)
    return stripe[..., -length:].mean(dim=(0, -1))
    # END SOLUTION


# %%
check(induction_score)

# %% [markdown]
# ## Hooks: asking while the model runs
#
# You have what you need: run with a cache, score every layer. But a cache keeps *everything*. For 100 texts of 81 tokens
# this small model already keeps 140 MB, to give you 16 numbers. For a large model on long texts it does not fit
# anywhere, and half of what this course does later (ablating, patching, steering) is not reading at all but changing
# what the model computes. Both need the thing that a cache is made of: hooks.
#
# A **hook function** is called when the model arrives at a hook point, with the tensor that passes and the hook point:
#
# ```python
# def show(pattern, hook):
#     print(hook.name, pattern.shape)
#
# model.run_with_hooks(tokens, return_type=None, fwd_hooks=[("blocks.1.attn.hook_pattern", show)])
# ```
#
# - `fwd_hooks` is a list of pairs (hook point, function). The hook point may be a name, or a function of the name that
#   says whether to hook it: `lambda name: name.endswith("hook_pattern")` means the patterns of all layers.
# - If the function returns `None`, as this one does, the computation goes on as it would have. If it returns a tensor,
#   that tensor *takes the place* of the one that passed. (That is how you will ablate. It is also why a hook that only
#   reads must not return what it read out.)
# - `hook.name` is the full name, `hook.layer()` the layer's number.
# - `return_type=None` says that nobody wants the logits.
# - `run_with_hooks` takes its hooks off again when it is done, also when something inside raises.
#   `model.add_hook(name, function)` does not, and such a hook then changes, or slows, every later run in the notebook,
#   long after you have forgotten it. `model.reset_hooks()` takes all off.


# %%
def show(pattern, hook):
    print(f"{hook.name} of layer {hook.layer()}: {list(pattern.shape)}")


model.run_with_hooks(twelve, return_type=None, fwd_hooks=[(lambda name: name.endswith("hook_pattern"), show)])

# %% [markdown]
# Now write `induction_scores`: one run of the model, in which a hook at each layer's pattern stores that layer's scores in
# a tensor `layer head` and lets the pattern go. Nothing is kept but the scores, and no hook is left on the model.
#
# A trap, if you make the hooks in a loop: a `lambda` or an inner function looks up the loop variable when it is *called*,
# and by then the loop is over. All hooks see the last layer. Ask `hook.layer()`, or fix the value with
# `partial(store, layer=layer)`.


# %%
# [exercise]
# number = "2.8"
# title = "Induction scores of all heads, by hooks"
# difficulty = 3
# importance = 5
# minutes = 20
# points = 3
# why = "Hooks are how everything from here on is done. A function that reads with them, and leaves no trace, is the smallest useful one."
# hints = [
#     "What does the hook function get, and where can it put what it computes? How does it know its layer?",
#     "Make a tensor of zeros, `layer head`, on the device of the tokens. The hook function writes `induction_score(pattern, length)` into the row of `hook.layer()` and returns nothing. Give it to `run_with_hooks`, with a filter for all names that end with hook_pattern.",
#     "`def store(pattern, hook): scores[hook.layer()] = induction_score(pattern, length)`, then `model.run_with_hooks(tokens, return_type=None, fwd_hooks=[(lambda name: name.endswith(\"hook_pattern\"), store)])` and return the scores.",
# ]
# [/exercise]
def induction_scores(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"], length: int
) -> Float[Tensor, "layer head"]:
    """The induction score of every head, on BOS, `length` tokens and the same again; the model is left without hooks."""
    # BEGIN SOLUTION: one run, in which a hook on each layer's pattern stores its scores
    scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, device=tokens.device)

    def store(pattern, hook):
        scores[hook.layer()] = induction_score(pattern, length)

    model.run_with_hooks(tokens, return_type=None, fwd_hooks=[(lambda name: name.endswith("hook_pattern"), store)])
    return scores
    # END SOLUTION


# %%
check(induction_scores)

# %%
scores = induction_scores(model, repeated, LENGTH)
heatmap(
    scores,
    title="Seven of the eight heads of layer 1 are induction heads",
    x=list(range(model.cfg.n_heads)),
    y=[f"layer {layer}" for layer in range(model.cfg.n_layers)],
    x_name="head",
    value_name="induction score",
)

# %% [markdown]
# **You should see** nothing in layer 0 (.02 and less), and in layer 1 L1H0 at .83, six heads around .6, and L1H7 at .02,
# which does something else. No head of layer 0 can do this: to know that a word is the one *after* an earlier tun, it
# would need to know what stood before that word, and a head of the first layer sees of each position only its own word
# and place. Somebody must have written it there. You know which head looks one back.
#
# ### At rest and at work
#
# The two pictures of layer 1, BOS on plain text and stripes on repeated text, are the same heads at different moments.
# Follow the strongest one along the text.

# %%
layer, head = divmod(scores.argmax().item(), model.cfg.n_heads)
kept = {}
model.run_with_hooks(
    repeated,
    return_type=None,
    fwd_hooks=[(f"blocks.{layer}.attn.hook_pattern", lambda pattern, hook: kept.update(pattern=pattern[:, head]))],
)
pattern = kept["pattern"]
stripe = torch.full((repeated.shape[-1],), math.nan)
stripe[LENGTH + 1 :] = pattern.diagonal(offset=1 - LENGTH, dim1=-2, dim2=-1)[:, -LENGTH:].mean(0)
lines(
    range(1, repeated.shape[-1]),
    {
        "to the word after the first occurrence": stripe[1:],
        "to BOS": pattern[:, 1:, 0].mean(0),
        "to position 1, the first word": pattern[:, 1:, 1].mean(0),
    },
    title=f"{head_label(layer, head)} waits, and goes to work when the text repeats",
    x_name="position of the query",
    y_name="attention, mean over texts",
)

# %% [markdown]
# **You should see** two phases. In the first half L1H0 leaves BOS bit by bit for the *first word*, as if the text were to
# begin again, and that fits the bet that you saw in the loss: the rise towards position 40, and the good guess at 41. At
# position 41 the first word does come again, and from there on the head is on its stripe and hardly anywhere else.
#
# At position 76 the attention on the stripe drops to .5. Its target there is position 76 − 39 = 37.
#
# <details><summary>A question to think about: what is the matter with position 37?</summary>
#
# It is one of the places at which L0H2 does not look at the word before but at BOS. The induction heads find the right
# word because L0H2 has noted at each position which word came before; at position 37 no note was written. So the heads of
# layer 1 hardly find it (the other six put .15 to .30 there), and the model often misses it: that is the tooth at
# position 77 in the loss. One missing entry in the pattern of a head in layer 0 goes with a failure at the output 40
# positions later. This is evidence that the two layers work together, and it came from looking behind two means. (It is
# not proof yet. For that you must intervene.)
# </details>
#
# ## What a score shows, and what it does not
#
# A score is a definition, and it can be met for a wrong reason. Three controls, of which each could have gone wrong:
#
# 1. **Is it the repetition, or just the distance?** A head that always looks 39 back, whatever stands there, would get
#    the same score. So measure on random words that do not come again, and with other lengths.
# 2. **Is it this text?** Other random words must give the same heads.
# 3. **Is it this model?** The organism was trained on other text, mostly sentences about people and places.


# %%
def best_heads(scores: Float[Tensor, "layer head"], count: int = 7) -> str:
    """The heads with the highest scores."""
    best = scores.flatten().topk(count)
    places = [divmod(index, scores.shape[1]) for index in best.indices.tolist()]
    return ", ".join(f"{head_label(*place)} {value:.2f}" for place, value in zip(places, best.values.tolist()))


generator = torch.Generator().manual_seed(1)
once = repeated_tokens(model.cfg.d_vocab, 100, 2 * LENGTH, bos, generator)[:, : 2 * LENGTH + 1].to(device)
print("no repetition: ", best_heads(induction_scores(model, once, LENGTH)))
for length in (10, 25, 40):
    tokens = repeated_tokens(model.cfg.d_vocab, 100, length, bos, generator).to(device)
    print(f"length {length}:     ", best_heads(induction_scores(model, tokens, length)))

organism = load_model("organism", device=device)
tokens = repeated_tokens(organism.cfg.d_vocab, 50, LENGTH, organism.tokenizer.bos_token_id, generator).to(device)
print("the organism:  ", best_heads(induction_scores(organism, tokens, LENGTH)))

# %% [markdown]
# **You should see** scores of .03 and less where nothing comes again, the same seven heads at every length, with L1H0 in
# front, and in the organism the four heads of layer 2, with .82 to .94, and no other.
#
# So these heads look at the word that followed last time, because it followed last time. What has *not* been shown:
#
# - **That they copy.** A score is about where a head looks. What it writes when it looks there, a pattern cannot tell:
#   a head could look at a word in order to *lower* it.
# - **That they matter.** A head can look, and write, and nothing after it may listen. Seven heads do the same thing here;
#   perhaps one would do.
# - **That this is all they do.** On other texts the same heads may do other things. In the score, these texts do not occur.
# - **How they do it.** That L0H2 takes part is a guess from one missing entry.
#
# That was the first proof. The next parts answer these in turn: what each head contributes to the right word, what breaks
# without it, and what its weights say.

# %% [markdown]
# ## From where a head looks to what it does
#
# So far you know where heads look. That is a description, not yet an explanation. A head can look at the right word and
# write nothing of use, and a head can write the right word while the model would say it without that head, too. Two
# questions remain, and they are not the same:
#
# - **What does each part write into the answer?** That can be read from one run of the model, by taking the logit
#   apart. This is *attribution* (exercises 2.9 and 2.10).
# - **What breaks without it?** That takes a second run, in which the part is missing. This is *ablation* (2.11 and
#   2.12).
#
# On random words that repeat, we count the loss on the **second half** from its second word on. Its first word can at
# best be bet on: nothing announces that the repetition begins. In the tensor of losses, which begins with the loss of
# the token at position 1, the words of the second half that can be known are at `length + 1` up to `2 * length - 1`:
#
# | | BOS | first half | | | second half | | |
# |---|---|---|---|---|---|---|---|
# | position | 0 | 1 | 2 … | `length` | `length + 1` | `length + 2` … | `2 * length` |
# | index among the losses | | 0 | 1 … | `length - 1` | `length` | `length + 1` … | `2 * length - 1` |
# | can it be known? | | no | no | no | no | yes | yes |

# %%
twice = repeated_tokens(
    model.cfg.d_vocab, 20, LENGTH, model.tokenizer.bos_token_id, torch.Generator().manual_seed(0)
).to(device)
second_half = slice(LENGTH + 1, 2 * LENGTH)  # of losses: the words that can be known
chance = math.log(model.cfg.d_vocab - 1)

twice_logits, twice_cache = model.run_with_cache(twice)
losses = -per_token_log_probs(twice_logits, twice)
print(
    f"loss in nats per word: first half {losses[:, 1:LENGTH].mean():.2f}, second half {losses[:, second_half].mean():.2f}"
)
print(f"chance: {chance:.2f}")

# %% [markdown]
# ## The logit lens: what would the model say now?
#
# Layers only ever add to the residual stream, and only the end of it is turned into logits. But nothing keeps us from
# reading it earlier. Take the stream as it stands before layer $\ell$, and treat it as if it were the end:
#
# $$\text{lens}_\ell = \text{unembed}\big(\text{ln\_final}(\text{resid\_pre}_\ell)\big)$$
#
# This is the **logit lens** (nostalgebraist 2020, *interpreting GPT: the logit lens*). Said otherwise: it gives the
# logits of a model whose layers from $\ell$ on write nothing. A model with two layers has three rows:
#
# | row | stream | what has written so far |
# |---|---|---|
# | 0 | `resid_pre` of layer 0 | the embeddings |
# | 1 | `resid_pre` of layer 1 | and layer 0 |
# | 2 | `resid_post` of layer 1 | and layer 1: the model's own logits |
#
# `model.ln_final` and `model.unembed` are functions of a stream that you can call yourself. The LayerNorm belongs to
# what is read: each stream is divided by its *own* spread, so it is applied to every row anew.


# %%
# [exercise]
# number = "2.9"
# title = "The logit lens"
# difficulty = 2
# importance = 3
# minutes = 15
# points = 2
# why = "The quickest look at when a model makes up its mind. It also shows the first trap of reading inside: a stream that the unembedding cannot read yet may still hold the answer."
# hints = [
#     "How many different residual streams does a model with n_layers layers have, counted at the gaps between layers, both ends included?",
#     "The cache has `resid_pre` of every layer, and `resid_post` of the last is the end. Stack them on a new first axis; ln_final and unembed work on the last axis and leave the others as they are.",
#     "With `_, cache = model.run_with_cache(tokens)`: streams = [cache[\"resid_pre\", layer] for layer in range(n_layers)], then append cache[\"resid_post\", n_layers - 1], and send torch.stack(streams) through model.ln_final and model.unembed.",
# ]
# [/exercise]
def logit_lens(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer+1 batch pos d_vocab"]:
    """The logits that the residual stream gives before each layer and, as the last row, at the end.

    nostalgebraist (2020), https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens.
    """
    # BEGIN SOLUTION: take the stream before each layer and after the last, and read each through ln_final and unembed
    _, cache = model.run_with_cache(tokens)
    streams = [cache["resid_pre", layer] for layer in range(model.cfg.n_layers)]
    streams.append(cache["resid_post", model.cfg.n_layers - 1])
    return model.unembed(model.ln_final(torch.stack(streams)))
    # END SOLUTION


# %%
check(logit_lens)

# %%
few = twice[:8]
names = ["the embeddings", *(f"up to layer {layer}" for layer in range(model.cfg.n_layers))]
by_row = {name: -per_token_log_probs(row, few).mean(dim=0) for name, row in zip(names, logit_lens(model, few))}
lens_on_plain = [-per_token_log_probs(row, plain[:8]).mean().item() for row in logit_lens(model, plain[:8])]
print("on plain text:", ", ".join(f"{name} {nats:.1f}" for name, nats in zip(names, lens_on_plain)), "nats")

lines(
    range(1, 2 * LENGTH + 1),
    by_row,
    title="Read after each layer: the right word is there only after the last layer, and only from the repetition on",
    x_name="position of the word",
    y_name="loss, nats",
    references={"chance": chance},
)

# %% [markdown]
# **You should see** one curve fall from about 6 nats to near 0 as soon as the second half begins: the end of the
# stream. Up to layer 0, nothing at all happens there. So whatever says the right word is written in layer 1.
#
# The other two curves lie far *above* chance. The line that was printed helps to say why. On plain text, the embeddings
# give 5.7 nats, no better than chance: they cannot be read at all. Up to layer 0 it is 3.6, and layer 1 adds little. So
# layer 0 writes which word often follows the present one, and on random words that is a confident error. The lens tells
# the two abilities of this model apart: what the word before says is written in layer 0, what stood earlier in layer 1.
#
# And now the trap. It would be wrong to conclude that layer 0 has no part in copying. The lens shows what can be read
# *by the unembedding*. What layer 0 writes may be meant for layer 1 to read, in directions that the unembedding
# ignores; you will soon see that it is just so. In larger models, the early rows are often unreadable for a second
# reason: the basis itself drifts from layer to layer. Belrose et al. (2023, *Eliciting Latent Predictions from
# Transformers with the Tuned Lens*) train a small map for each layer to correct that.
#
# ## Attribution: taking one logit apart
#
# The lens asks after whole layers. The logit can be taken apart further, down to single heads. In chapter 1 you wrote
# the final stream as a sum of what each component wrote. The unembedding is linear, so with LayerNorm's scale
# **frozen** at what it is in the real run, the logit of token $t$ is a sum over the same components $c$:
#
# $$\text{logit}_t = \sum_c \frac{\text{write}_c}{\text{scale}} \cdot W_U[:, t] \; + \; b_U[t]$$
#
# This is **direct logit attribution**. Compatibility mode makes it simpler than it was in chapter 1:
#
# - the weights of `ln_final` are folded into `W_U` and `b_U`, so they need no mention;
# - all that is written into the stream is centred: its mean over `d_model` is 0, so LayerNorm has no mean to subtract;
# - `W_U` is centred over the vocabulary, so a logit is measured from the mean of all logits, as we wanted in chapter 1.
#
# What an attention layer writes is the sum over heads of `z @ W_O`, plus one bias: `z`, in the cache as
# `cache["z", layer]` with axes `batch pos head d_head`, is the mixture of values that the head's attention brings back.
# The bias `b_O` belongs to no head, and gets an entry of its own. (It also holds the biases of the values: since each
# row of a pattern sums to 1, they add the same to every position, and compatibility mode moves them here.)
#
# A worked example, with `d_model` 2, one component and no bias: write $(3, -3)$, scale 3, $W_U[:, t] = (0.5, -1)$.
# The contribution is $(1, -1) \cdot (0.5, -1) = 1.5$. Were the scale taken from each part alone, then doubling a
# write would change nothing, and the parts would no longer sum to the logit.
#
# The token whose logit we take apart is the one that really comes next, at every position but the last. The order of
# the components is that of these labels:


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
# number = "2.10"
# title = "Direct logit attribution"
# difficulty = 3
# importance = 5
# minutes = 30
# points = 4
# why = "It answers who wrote the answer, for every position at once and from a single run. Chapter 4 begins with it, and most published circuits do too."
# hints = [
#     "First collect what each component writes into the stream, all as tensors of one shape. Which entries of the cache are such writes already, and which must go through a matrix first?",
#     "Heads: `z` times that head's own W_O. Stack all writes on a first axis, divide by `cache[\"ln_final.hook_scale\"]`, and take the dot product with the column of W_U of the next token. What predicts the token at position p + 1 stands at position p.",
#     "In a list `writes`: cache[\"embed\"], cache[\"pos_embed\"], then per layer einops.einsum(cache[\"z\", layer], model.W_O[layer], \"batch pos head d_head, head d_head d_model -> head batch pos d_model\"), model.b_O[layer] expanded, and cache[\"mlp_out\", layer] unless model.cfg.attn_only. The directions are model.W_U.T[tokens[:, 1:]]; the writes lose their last position. Last row: model.b_U[tokens[:, 1:]].",
# ]
# [/exercise]
def logit_attribution(
    model: TransformerBridge, cache: ActivationCache, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "component batch pos-1"]:
    """What each component adds directly to the logit of the token that comes next; they sum to that logit.

    The components are those of `component_labels(model)`. LayerNorm's scale is that of the run in `cache`.
    """
    # BEGIN SOLUTION: collect every write, divide by the final scale, project on the next token's column of W_U, add b_U
    embed = cache["embed"]
    writes = [embed, cache["pos_embed"].expand_as(embed)]
    for layer in range(model.cfg.n_layers):
        heads = einops.einsum(
            cache["z", layer],
            model.W_O[layer],
            "batch pos head d_head, head d_head d_model -> head batch pos d_model",
        )
        writes += [*heads, model.b_O[layer].expand_as(embed)]
        if not model.cfg.attn_only:
            writes.append(cache["mlp_out", layer])
    normalised = torch.stack(writes) / cache["ln_final.hook_scale"]
    answers = tokens[:, 1:]
    contributions = einops.einsum(
        normalised[:, :, :-1],
        model.W_U.T[answers],
        "component batch pos d_model, batch pos d_model -> component batch pos",
    )
    return torch.cat([contributions, model.b_U[answers][None]])
    # END SOLUTION


# %%
check(logit_attribution)

# %% [markdown]
# Now see who writes the right word, on average over the second half.

# %%
attribution = logit_attribution(model, twice_cache, twice)
on_second_half = attribution[:, :, second_half].mean(dim=(1, 2))

residual_sum(
    dict(zip(component_labels(model), on_second_half.tolist())),
    total=twice_logits[:, :-1].gather(-1, twice[:, 1:, None])[:, second_half].mean().item(),
    title="Who writes the right word, on random words that repeat? The heads that look at it",
    value_name="logit above the mean",
)

# %% [markdown]
# **You should see** seven steps and flat ground otherwise. The heads L1H0 to L1H6, those with a high induction score,
# write between 1.1 and 2.3 each, together about 11; every other component, the embeddings and L1H7 included, is within
# a few hundredths of 0. So the attention score found the right heads, and what they look at is what they write.
#
# Over positions, the same heads are silent while there is nothing to copy:

# %%
components = component_labels(model)
is_head = [index for index, label in enumerate(components) if "H" in label]

around = range(LENGTH - 10, LENGTH + 16)

heatmap(
    attribution[is_head][:, :, around].mean(dim=1),
    title="What each head writes into the logit of the right word, by position: nothing until the words repeat",
    x=list(around),
    y=[components[index] for index in is_head],
    x_name="position that predicts",
    y_name="head",
    signed=True,
    value_name="logit above the mean",
)

# %% [markdown]
# **You should see** the lower right filled from position 41 on, where the first repeated word has been read, and all
# else pale. (At 40, some already bet that the text begins again.) One row is empty that you may have expected to be
# full: **L0H2**, the previous-token head, adds 0.00. Does copying not need it? Attribution cannot say. It counts what
# goes *directly* into the logit. What a head writes for another head to read is not in here, or rather it is, but
# under the other head's name. For that we must intervene.
#
# ## Ablation: what breaks without it?
#
# To **ablate** a head is to run the model with the head's output replaced by something that carries no information
# about the text. There are several ways, and they ask different questions:
#
# - **zero**: the head writes nothing. But the rest of the model has never seen this head write nothing. Part of what
#   you measure is then the surprise of the other parts, and not the loss of information. (Part of what a head writes
#   may be the same everywhere, so that it acts as a bias.)
# - **mean**: the head writes what it writes on average, over all texts and positions of this run. What it always writes
#   stays; what depends on the text is gone.
# - Others replace the output by that from another text. Chapter 4 is about those.
#
# The place to do it is `z` (hook name `blocks.{layer}.attn.hook_z`, axes `batch pos head d_head`): there the heads lie
# side by side, and after it they are summed. A hook that *returns* a tensor replaces what was there:
#
# ```python
# def louder(z, hook):
#     return 2 * z
#
# logits = model.run_with_hooks(tokens, fwd_hooks=[("blocks.0.attn.hook_z", louder)])
# ```
#
# Use `run_with_hooks`, which takes its hooks off again. A hook of `model.add_hook` that stayed on would ablate the head in
# everything that you measure afterwards.


# %%
# [exercise]
# number = "2.11"
# title = "Ablate a head"
# difficulty = 2
# importance = 5
# minutes = 20
# points = 3
# why = "The difference between a part that is active and a part that is needed is the difference between a correlation and a cause; ablation is the simplest experiment that tells them apart."
# hints = [
#     "Your hook function gets `z` of all heads. What must it give back so that the other heads write what they always write?",
#     "Inside the hook: copy z (`z.clone()`), and set `[:, :, head]` of the copy to 0, or to its own mean over batch and positions, which is one vector of d_head numbers. Check `how` before you run anything.",
#     "def ablate(z, hook): z = z.clone(); z[:, :, head] = 0.0 if how == \"zero\" else z[:, :, head].mean(dim=(0, 1)); return z. It goes into fwd_hooks as the pair (f\"blocks.{layer}.attn.hook_z\", ablate).",
# ]
# [/exercise]
def ablate_head(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"], layer: int, head: int, how: str = "zero"
) -> Float[Tensor, "batch pos d_vocab"]:
    """The model's logits when one head's z is replaced everywhere: by 0 ("zero"), or by its mean over batch and positions ("mean").

    Raises `ValueError`, which says what `how` was, for anything else.
    """
    # BEGIN SOLUTION: refuse any other `how`; run with a hook on z that replaces this head's part
    if how not in ("zero", "mean"):
        raise ValueError(f'how must be "zero" or "mean", but it is "{how}"')

    def ablate(z: Float[Tensor, "batch pos head d_head"], hook) -> Float[Tensor, "batch pos head d_head"]:
        z = z.clone()
        z[:, :, head] = 0.0 if how == "zero" else z[:, :, head].mean(dim=(0, 1))
        return z

    return model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", ablate)])
    # END SOLUTION


# %%
check(ablate_head)

# %% [markdown]
# Two experiments. Take away the strongest induction head, and take away the strongest previous-token head.

# %%
n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
induction = induction_scores(model, twice, LENGTH)
previous = torch.stack([previous_token_score(twice_cache["pattern", layer]) for layer in range(n_layers)])

curves = {"the whole model": losses.mean(dim=0)}
for kind, by_head in {"induction head": induction, "previous-token head": previous}.items():
    layer, head = divmod(by_head.argmax().item(), n_heads)
    logits = ablate_head(model, twice, layer, head)
    curve = curves[f"without {kind} {head_label(layer, head)}"] = -per_token_log_probs(logits, twice).mean(dim=0)
    print(f"second half without {head_label(layer, head)}: {curve[second_half].mean():.2f} nats")

lines(
    range(1, 2 * LENGTH + 1),
    curves,
    title="One induction head fewer is hardly felt; without the previous-token head nothing is copied at all",
    x_name="position of the word",
    y_name="loss, nats",
)

# %% [markdown]
# **You should see** two results that contradict what attribution seemed to say. L1H0 wrote more of the right word than
# any other head, and without it the loss on the second half rises by 0.2 nats only. L0H2 wrote nothing of it, and
# without it the loss rises by over 6: copying is gone. So L0H2 acts through others. And L1H0? Before you read on: which
# explanations are possible?
#
# <details><summary>Another question: without L0H2, why is word 77, and it alone, predicted well?</summary>
#
# You met position 37 before: it is one of the few at which L0H2 looks at BOS in place of the word before, so that it
# leaves no note there. Ablate L0H2, and no position has a note. Measured: L1H0 then pays about 0.4 of its attention to
# position 37, from every query after position 60, whatever its word. So the model says the word at position 37 again and
# again, in nearly half of the second half; hence a loss far above chance, and hence one hit, when word 77 is the word at
# 37. Why there? Without the notes, the scores of all seven heads are highest at position 37, from its position embedding:
# layer 1 has learned to favour the place that it cannot find by a note. (You can read this off with exercise 2.18.)
# </details>
#
# Score every head, to see. In `how="mean"` each head must get its own average, taken in the same run.


# %%
# [exercise]
# number = "2.12"
# title = "Ablation scores"
# difficulty = 2
# importance = 4
# minutes = 15
# points = 2
# why = "A map of what each head is needed for. Beside the map of who writes the answer it shows which heads work through others, and which have colleagues."
# hints = [
#     "A loss is needed once without any ablation, and once for each head. Where in the chapter do you have the pieces already?",
#     "The loss per token is minus per_token_log_probs; of it, take the mean over the batch and over the indices length + 1 up to 2 * length - 1 (the first word of the second half cannot be known). The score is the loss with the head ablated minus the loss without.",
#     "An inner function second_half_loss(logits) that returns -per_token_log_probs(logits, tokens)[:, length + 1 : 2 * length].mean(); then scores = torch.zeros(n_layers, n_heads, device=tokens.device), filled in two loops with second_half_loss(ablate_head(...)) minus second_half_loss(model(tokens)), which is computed once.",
# ]
# [/exercise]
def ablation_scores(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"], length: int, how: str = "zero"
) -> Float[Tensor, "layer head"]:
    """How much the loss on the second half of repeated tokens rises when a head is ablated, in nats per token.

    `tokens` are BOS, `length` words, and the same words again. The first word of the second half does not count.
    """

    # BEGIN SOLUTION: for each head, the second half's loss with it ablated minus the loss of the whole model
    def second_half_loss(logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, ""]:
        return -per_token_log_probs(logits, tokens)[:, length + 1 : 2 * length].mean()

    whole = second_half_loss(model(tokens))
    scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, device=tokens.device)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            scores[layer, head] = second_half_loss(ablate_head(model, tokens, layer, head, how)) - whole
    return scores
    # END SOLUTION


# %%
check(ablation_scores)

# %%
direct = on_second_half[is_head].reshape(n_layers, n_heads)
needed = ablation_scores(model, twice, LENGTH, how="mean")

compare(
    direct,
    needed,
    titles=("written into the right logit", "rise of the loss without it, nats"),
    title="Who writes the right word, and whom is it needed from? Two different heads stand out",
    x=[f"H{head}" for head in range(n_heads)],
    y=[f"L{layer}" for layer in range(n_layers)],
    x_name="head",
    y_name="layer",
    signed=True,
)

# %% [markdown]
# **You should see** seven blue heads in layer 1 on the left and a single dark one, L0H2, on the right, where every
# head of layer 1 is nearly white: 0.1 to 0.3 nats for each of the seven. Neither map is wrong. The left one says who
# writes; the right one says whom the model cannot spare *if all others stay as they are*. Seven heads write the same
# word; each can be spared because six remain. To show that, ablate several at once.

# %% [markdown]
# ### The second proof: copying is gone, and nothing else
#
# A claim of the form "these heads copy" has two halves. Without them, copying must fail. And what is not copying must
# stay as it was; a model that is broken altogether cannot copy either. So we need a text on which copying does not
# help: *plain text* of the invented language, in which each word depends on the word before and nothing repeats except
# by chance. The least loss that is possible there is the entropy of the bigrams, 3.28 nats per word.


# %%
def ablate_together(heads: Sequence[tuple[int, int]], how: str) -> list[tuple[str, Callable]]:
    """Hooks that ablate all these heads at once, as (hook name, function) for run_with_hooks."""

    def ablate(z: Float[Tensor, "batch pos head d_head"], hook, head: int) -> Float[Tensor, "batch pos head d_head"]:
        z = z.clone()
        z[:, :, head] = 0.0 if how == "zero" else z[:, :, head].mean(dim=(0, 1))
        return z

    return [(f"blocks.{layer}.attn.hook_z", partial(ablate, head=head)) for layer, head in heads]


all_heads = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
strongest = divmod(induction.argmax().item(), n_heads)
copiers = [pair for pair in all_heads if induction[pair] > 0.4]
looks_back = divmod(previous.argmax().item(), n_heads)
sets = {
    "nothing": [],
    f"{head_label(*strongest)}, the strongest induction head": [strongest],
    f"the {len(copiers) - 1} other induction heads": [pair for pair in copiers if pair != strongest],
    f"all {len(copiers)} induction heads": copiers,
    f"{head_label(*looks_back)}, the previous-token head": [looks_back],
    f"the other {n_heads - 1} heads of layer {looks_back[0]}": [
        pair for pair in all_heads if pair[0] == looks_back[0] and pair != looks_back
    ],
}

print(f"{'nats per word, ablated:':36} {'words, repeated':>21} {'plain text':>19}")
print(f"{'':36} {'zero':>13} {'mean':>7} {'zero':>11} {'mean':>7}")
for name, heads in sets.items():
    row = []
    for tokens, counted in ((twice, second_half), (plain, slice(None))):
        for how in ("zero", "mean"):
            logits = model.run_with_hooks(tokens, fwd_hooks=ablate_together(heads, how))
            row.append(-per_token_log_probs(logits, tokens)[:, counted].mean().item())
    print(f"{name:36} {row[0]:13.2f} {row[1]:7.2f} {row[2]:11.2f} {row[3]:7.2f}")

# %% [markdown]
# **You should see** the proof in the rows and columns of one small table (figures of mean ablation, if not said
# otherwise):
#
# - **Without all seven induction heads copying is gone**: from 0.1 to 6.0 nats, where chance is 5.5. Without any one
#   of them it is nearly untouched, and the strongest alone, without the other six, still brings 3.8. Seven heads
#   share one job. Ablating single heads would have missed all of them: *a small effect does not show that a
#   head is not involved*.
# - **Without L0H2 copying is gone too**, though it never writes the word. The seven read what it writes. You will see
#   how, in the weights.
# - **What is not copying stays.** On plain text the loss without the seven, or without L0H2, is no higher than
#   before. It is even *lower*, by 0.1 nats: in plain text a word that came before is no sign of anything, and the
#   induction heads raise it nevertheless. So induction has a price, which the model pays where nothing repeats.
# - **It is not just any heads.** Take away the seven other heads of layer 0, and copying hardly suffers, while plain
#   text does. A lesion that hurts one thing and spares the other, beside a lesion that does the opposite, is what
#   neurologists call a double dissociation, and it is as strong as evidence by ablation gets.
# - **Zero and mean disagree** where many heads go at once. With zeros in place of seven heads, the second half is much
#   *worse* than chance, 7.65 nats: the scale of the stream and what the other parts are used to are upset as well. Had
#   we reported only that number, we would have measured damage and called it copying.
#
# With `MODEL = "organism"` the same cells give much the same picture in a model with MLPs that was trained on stories:
# without its four induction heads copying is gone (6.7 nats, which is chance), though the strongest is missed alone, too
# (1.7). Without its previous-token head L0H3 copying is half gone (3.5), since this job can be shared as well: L0H1 also
# looks back, if less, and without both it is 6.5. Only the columns for plain text do not carry over. There the text is a
# single sentence, too little to tell, and names come again in it.
#
# So far the two kinds of proof, by attention and by intervention, agree on which heads copy. What neither says is
# *how*: how does a head find the place after an earlier occurrence of a word? That stands in the weights.

# %% [markdown]
# ## Third proof: the weights alone
#
# So far you ran the model and watched. A head that behaves like an induction head on random words might still do it in
# many ways, and on other text do something else. Its weights are the same on all texts. In this part you multiply
# them, and read off a circuit of two heads, with a number for each of its three parts:
#
# 1. a head of layer 0 looks one position back and copies which word stands there;
# 2. a head of layer 1 looks for a position where *that copy* equals the word that it stands on;
# 3. it brings back the word at that position, and raises this word's logit.

# %%
diagram("induction_circuit")

# %% [markdown]
# In `… A B … A`, position B carries a note "before me stood A". The second A asks "where does the note say A?", finds
# B, and says B. Neither head could do it alone: the first hands something to the second. That is called
# **composition**, and this kind, in which the first head changes what the second head's *keys* are, K-composition.
#
# ### Two circuits in each head
#
# From chapter 1: a head with pattern $A$ adds $A\,x\,W_V W_O$ to the stream, and its scores are
# $x\,W_Q W_K^{\top} x^{\top}$ over $\sqrt{d_\text{head}}$, where $x$ has one row per position. So the four matrices
# only ever act in pairs, and each pair is *one* matrix of `d_model` by `d_model`, of rank `d_head` at most:
#
# | | matrix | answers |
# |---|---|---|
# | **QK circuit** | $W_{QK} = W_Q W_K^{\top}$ | from a query with this in its stream, how much attention to a key with that in its? |
# | **OV circuit** | $W_{OV} = W_V W_O$ | if a position with this in its stream is looked at, what is written? |
#
# As TransformerLens has it, vectors are rows and matrices stand to their right. We read every product from left to
# right, from what goes in to what comes out.
#
# Directions in the residual stream have no names. Words have. So put the embedding before the OV circuit and the
# unembedding after it, and you get a matrix from words to words:
#
# $$\underbrace{W_E}_{\text{word} \to \text{stream}}\; W_V\, W_O\; \underbrace{W_U}_{\text{stream} \to \text{logits}}$$
#
# Row $s$, column $o$ says by how much the head raises the logit of word $o$ when it looks at word $s$. Nothing was run.
# What is left out: that the stream at $s$ may hold more than the word's embedding, and that LayerNorm scales what is
# read and what comes out (it makes rows longer or shorter, and changes no sign and no order in a row).
#
# The product has `d_vocab` rows and columns. For 256 words that is nothing, for GPT-2 it is 10 GB, and all of it is
# made of two thin matrices: `d_vocab` by `d_head`, and `d_head` by `d_vocab`. TransformerLens' `FactoredMatrix(A, B)`
# keeps the two and stands for their product. It knows its shape, `.A`, `.B`, and, when you insist, the product `.AB`.
#
# TransformerLens stacks the weights of all layers: `model.W_V` has the axes `layer head d_model d_head`, and `model.W_O`
# has `layer head d_head d_model`, so `model.W_V[layer, head]` belongs to one head.


# %%
# [exercise]
# number = "2.13"
# title = "From words to words: the OV circuit"
# difficulty = 2
# importance = 5
# minutes = 10
# points = 2
# why = "It says what a head does to the logits for every word at once: no set of prompts can promise that."
# hints = [
#     "Four matrices in the order in which a word meets them: it is embedded, made a value, written to the stream, unembedded.",
#     "`FactoredMatrix` wants two factors. Where must you cut the chain of four so that what lies between the factors is as small as possible?",
#     "The left factor is `model.W_E @ model.W_V[layer, head]`, of d_vocab by d_head; the right one is what remains of the chain, multiplied the same way.",
# ]
# [/exercise]
def ov_circuit(model: TransformerBridge, layer: int, head: int) -> FactoredMatrix:
    """W_E W_V W_O W_U of one head, source word by word written, kept as two thin factors.

    After Elhage et al. (2021), https://transformer-circuits.pub/2021/framework.
    """
    # BEGIN SOLUTION: two factors with d_head between them, embedding to values and values to logits
    return FactoredMatrix(model.W_E @ model.W_V[layer, head], model.W_O[layer, head] @ model.W_U)
    # END SOLUTION


# %%
check(ov_circuit)

# %% [markdown]
# Here is the circuit of the strongest induction head, for two dozen words, beside a head of layer 1 with no induction
# score to speak of. Rows are the word looked at, columns the word whose logit is changed.

# %%
sample = repeated_tokens(model.cfg.d_vocab, 10, LENGTH, bos, torch.Generator().manual_seed(2)).to(device)
_, sample_cache = model.run_with_cache(sample)
induction = induction_scores(model, sample, LENGTH)

copy_layer, copy_head = divmod(induction.argmax().item(), model.cfg.n_heads)
no_copy_head = induction[copy_layer].argmin().item()
some = torch.linspace(10, model.cfg.d_vocab - 1, 24).long().to(device)
words = [model.tokenizer.decode([token]) for token in some.tolist()]


def block(circuit: FactoredMatrix) -> Float[Tensor, "word word"]:
    """The circuit's rows and columns of the two dozen words."""
    return circuit.A[some] @ circuit.B[:, some]


compare(
    *(block(ov_circuit(model, copy_layer, h)) for h in (copy_head, no_copy_head)),
    title=f"What {head_label(copy_layer, copy_head)} writes about a word is that word",
    titles=(
        f"{head_label(copy_layer, copy_head)}, an induction head",
        f"{head_label(copy_layer, no_copy_head)}, which is none",
    ),
    x=words,
    y=words,
    x_name="word whose logit changes",
    y_name="word looked at",
    signed=True,
).update_xaxes(tickangle=-90)

# %% [markdown]
# **You should see** a diagonal in L1H0, darker for some words than for others, and none in L1H7. The head does not know
# what any word means; it says of every word that it looks at: *this one*. How good is that diagonal? Two scores.
#
# ### Copying, counted
#
# The plain question: look at word $s$; is $s$ itself among the `k` words whose logits the head raises most? The score
# is the share of words for which it is. Chance is `k / d_vocab`.
#
# | row (word looked at) | what is written to words 0, 1, 2, 3 | rank of its own | counts for k = 1 | k = 2 |
# |---|---|---|---|---|
# | 0 | **2.0**, 0.1, −3.0, 0.4 | 1st | yes | yes |
# | 1 | 0.3, **0.5**, 0.9, 0.1 | 2nd | no | yes |
# | 2 | 1.1, 0.2, **−4.0**, 0.0 | 4th | no | no |
# | 3 | 0.0, 0.7, 0.6, **0.1** | 3rd | no | no |
#
# So the score is 0.25 for `k = 1` and 0.5 for `k = 2`. Note row 2: a large *negative* entry is the opposite of copying.


# %%
# [exercise]
# number = "2.14"
# title = "Copying, counted"
# difficulty = 2
# importance = 4
# minutes = 15
# points = 2
# why = "A claim like \"this head copies\" needs a count over all words, not the three that look good."
# hints = [
#     "For one row: how many entries are larger than the entry on the diagonal? What does that number say about the rank?",
#     "A word is among its row's `k` highest if fewer than `k` entries of the row exceed its own. Rows are the words looked at: compare along columns.",
#     "With `logits = circuit.AB` and `own = logits.diagonal()[:, None]`, the number of higher entries is `(logits > own).sum(dim=-1)`; then the share of rows where it is below `k`, as a float. For a large vocabulary take some rows at a time: `circuit.A[rows] @ circuit.B`.",
# ]
# [/exercise]
def copying_score(circuit: FactoredMatrix, k: int = 1) -> float:
    """The share of source words (rows) whose own logit is among the k highest that the circuit writes for them."""
    # BEGIN SOLUTION: count, for each row, the logits above its own, and take the share of rows with fewer than k
    copied = 0
    for rows in torch.arange(circuit.shape[0], device=circuit.A.device).split(1024):
        logits = circuit.A[rows] @ circuit.B
        own = logits.gather(-1, rows[:, None])
        copied += ((logits > own).sum(dim=-1) < k).sum().item()
    return copied / circuit.shape[0]
    # END SOLUTION


# %%
check(copying_score)


# %%
def first_words(circuit: FactoredMatrix, most: int = 2000) -> FactoredMatrix:
    """The circuit among the first words: all of them here, and few enough of GPT-2's not to wait for minutes."""
    return FactoredMatrix(circuit.A[:most], circuit.B[:, :most])


def over_all_heads(score: Callable[[FactoredMatrix], float]) -> Float[Tensor, "layer head"]:
    """The score of every head's OV circuit."""
    heads = range(model.cfg.n_heads)
    return torch.tensor([[score(ov_circuit(model, i, h)) for h in heads] for i in range(model.cfg.n_layers)])


counted = over_all_heads(lambda circuit: copying_score(first_words(circuit)))
heatmap(
    counted,
    title="Share of words whose own logit is raised most when the head looks at them",
    x_name="head",
    y_name="layer",
    value_name="share",
)

# %% [markdown]
# **You should see** 0.52 for L1H0 and 0.28 to 0.43 for the six other induction heads, at most 0.13 in layer 0, and 0.02
# for L1H7; chance is 0.004. But half of all words only? The head has 16 dimensions for 256 words, so words must share
# directions. The heads do not work alone, though: all seven look at the same place, and what they write adds up. The
# sum of their OV circuits is again a factored matrix: put the left factors side by side, and the right factors below
# each other.

# %%
copy_heads = [h for h in range(model.cfg.n_heads) if induction[copy_layer, h] > 0.4]
circuits = [ov_circuit(model, copy_layer, h) for h in copy_heads]
together = FactoredMatrix(torch.cat([c.A for c in circuits], dim=-1), torch.cat([c.B for c in circuits], dim=-2))
print(
    f"{len(copy_heads)} induction heads of layer {copy_layer} together: {copying_score(first_words(together)):.3f} of all words copied"
)

# %% [markdown]
# **You should see** 0.996: every word but one, and the one is BOS, which no text repeats. Seven heads that each copy
# badly are one that copies perfectly. A head is the unit that the *architecture* has; nothing says that it is the unit
# in which the model thinks.
#
# ### Copying, in one number
#
# The second score looks at the matrix as a whole. If a direction $v$ of word-space (a mixture of words) comes out as
# $\lambda v$, then $\lambda$ is an **eigenvalue**. A positive one says: this mixture of words raises *itself*. A
# negative one: it lowers itself. A copying head has mostly positive ones. So Elhage et al. (2021) take
#
# $$\frac{\sum_i \lambda_i}{\sum_i |\lambda_i|}$$
#
# which is 1 if all are positive, −1 if all are negative, and near 0 if they point anywhere. Eigenvalues of a matrix
# that is not symmetric may be complex: $|\lambda|$ is then the length $\sqrt{\text{Re}^2 + \text{Im}^2}$, and the sum
# on top is real, since complex ones come in pairs $a \pm bi$ (so take its real part; what is left is rounding).
#
# A rotation by 60° in a plane has the eigenvalues $\tfrac12 \pm \tfrac{\sqrt3}{2}i$, both of length 1. Score:
# $(\tfrac12 + \tfrac12) / 2 = 0.5$. Turned by 120°, it is −0.5.
#
# There is a trick that makes it cheap. $AB$ and $BA$ have the same eigenvalues except for zeros: if $ABv = \lambda v$,
# then $BA(Bv) = \lambda (Bv)$. $AB$ is `d_vocab` by `d_vocab`; $BA$ is `d_head` by `d_head`. Zeros change neither sum.


# %%
# [exercise]
# number = "2.15"
# title = "Copying by eigenvalues"
# difficulty = 3
# importance = 3
# minutes = 15
# points = 2
# why = "One number for a head's whole OV circuit makes it possible to scan every head of a large model for copying."
# hints = [
#     "Which is smaller, A times B or B times A? Both have the eigenvalues that count here.",
#     "`torch.linalg.eigvals` returns complex numbers. Their `.abs()` is the length; the sum of their `.real` is what stands on top.",
#     "With `eigenvalues = torch.linalg.eigvals(B @ A)` of the circuit's two factors: the sum of `eigenvalues.real` over the sum of `eigenvalues.abs()`, as a float.",
# ]
# [/exercise]
def eigenvalue_copying_score(circuit: FactoredMatrix) -> float:
    """The sum of the circuit's eigenvalues (its real part) over the sum of their absolute values: between -1 and 1.

    After Elhage et al. (2021), https://transformer-circuits.pub/2021/framework.
    """
    # BEGIN SOLUTION: eigenvalues of the small product, then real parts summed over lengths summed
    eigenvalues = torch.linalg.eigvals(circuit.B @ circuit.A)
    return (eigenvalues.real.sum() / eigenvalues.abs().sum()).item()
    # END SOLUTION


# %%
check(eigenvalue_copying_score)

# %%
heatmap(
    over_all_heads(eigenvalue_copying_score),
    title="Eigenvalue copying score: 1 where every eigenvalue is positive",
    x_name="head",
    y_name="layer",
    signed=True,
    value_name="score",
)

# %% [markdown]
# **You should see** 1.00 for all seven induction heads and 0.09 for L1H7. In layer 0, five heads lie between 0.87 and
# 0.95 (L0H0, L0H1, L0H3, L0H5, L0H7), L0H4 at 0.65, L0H6 at 0.20. So a high score is no proof of copying: those five
# heads rank a word first in its own row for only 4 to 13 of 100 words. Positive eigenvalues say that mixtures of words
# raise themselves *on balance*. The count says what a reader of the logits would notice. Use both.
#
# And L0H2, the previous-token head, has −0.06: it does not copy to the *logits* at all. It was not meant to. What it
# writes is for the heads of layer 1 to read.
#
# > **On the organism** the induction heads, those of layer 2, have *negative* scores, −0.81 to −0.90, though they do
# > copy. There MLPs stand between the embedding and layer 2, and the first one rewrites every word: the stream that those
# > heads read hardly contains `W_E`. Put $W_E + \text{MLP}_0(W_E)$ in its place, the embedding as layer 1 meets it, and
# > the four scores are 0.99 to 1.00. The same goes for the search that you will read off further down: the note of the
# > previous-token head goes through that MLP, too. A circuit read off weights is as good as the assumption about what
# > goes in.
#
# ### Where positions alone make a head look
#
# Part one of the circuit: a head of layer 0 that looks one position back, whatever the words. If it does so *whatever
# the words*, words can be left out. What remains of the scores is a matrix over positions:
#
# $$\frac{W_\text{pos} W_Q\, (W_\text{pos} W_K)^{\top}}{\sqrt{d_\text{head}}}$$
#
# and the usual mask and softmax make a pattern of it. That leaves out three things: the words; the biases $b_Q$ and
# $b_K$; and LayerNorm. The first two we leave out on purpose. The third is different. In the model, LayerNorm divides
# the stream by its spread before the head reads it. In layer 0 of this model, that is a division by 0.23 for queries
# and again for keys, which makes every score about 19 times as large, and a softmax of small scores is nearly flat. So
# `ln_scale` says what to divide $W_\text{pos}$ by. With `1`, LayerNorm is left out; with the mean of the scale in real
# runs, it stands in for the real thing.


# %%
# [exercise]
# number = "2.16"
# title = "The pattern that positions give"
# difficulty = 2
# importance = 4
# minutes = 15
# points = 2
# why = "If positions alone explain a pattern, the head does the same on every text: a statement that no number of prompts gives you."
# hints = [
#     "It is the attention pattern of chapter 1, with rows of `W_pos` as the stream, and without biases.",
#     "Queries are `W_pos / ln_scale` times `W_Q[layer, head]`, keys the same with `W_K`. Scores over the root of d_head; keys after the query to `-inf`; softmax over keys.",
#     "`later = torch.ones_like(scores, dtype=torch.bool).triu(1)` marks what a query must not see: `scores.masked_fill(later, -torch.inf)`, and then the softmax over the last axis.",
# ]
# [/exercise]
def previous_token_circuit(
    model: TransformerBridge, layer: int, head: int, ln_scale: float = 1.0
) -> Float[Tensor, "query key"]:
    """The pattern over all n_ctx positions that the position embeddings alone would give this head.

    Words, biases and LayerNorm are left out; `W_pos` is divided by `ln_scale`, a number, for queries and for keys.
    """
    # BEGIN SOLUTION: queries and keys from W_pos, scaled scores, causal mask, softmax over keys
    read = model.W_pos / ln_scale
    queries, keys = read @ model.W_Q[layer, head], read @ model.W_K[layer, head]
    scores = einops.einsum(queries, keys, "query d_head, key d_head -> query key") / math.sqrt(model.cfg.d_head)
    later = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(dim=-1)
    # END SOLUTION


# %%
check(previous_token_circuit)

# %%
ln_scale = sample_cache["scale", 0, "ln1"][:, 1:].mean().item()  # BOS, at position 0, has a scale of its own
by_position = torch.stack([previous_token_circuit(model, 0, h, ln_scale) for h in range(model.cfg.n_heads)])
one_back = by_position.diagonal(-1, -2, -1)  # [head query], queries 1 and later

print(f"LayerNorm of layer 0 divides by {ln_scale:.2f}")
for h, share in enumerate(one_back.mean(-1).tolist()):
    print(f"{head_label(0, h)}  {share:.2f} of its attention one position back, by positions alone")

# %%
back_head = one_back.mean(-1).argmax().item()
heatmap(
    by_position[back_head, :128, :128],
    title=f"Where positions alone make {head_label(0, back_head)} look",
    x_name="key position",
    y_name="query position",
    value_name="attention",
)

# %% [markdown]
# **You should see** that L0H2 stands out: 0.54 of its attention goes one position back, and no other head reaches 0.11.
# (Without LayerNorm's scale it is 0.07: still the highest, but nothing to build on.) The picture says more than the
# mean. Up to position 56 there is a sharp line just below the diagonal, with gaps. From 57 on, no query looks one
# position back; most look at position 55.
#
# Is that an artefact of all that was left out? It is a prediction, so test it. From weights alone: *L0H2 looks back
# from every position up to 56, but not from 37, 44 and 54, and from none after that.* Now run the model, on random
# words.

# %%
measured = sample_cache["pattern", 0][:, back_head].mean(0).diagonal(-1)
lines(
    list(range(1, len(measured) + 1)),
    {"by positions alone": one_back[back_head][: len(measured)], "measured": measured},
    title=f"{head_label(0, back_head)}, one position back: the weights said where it fails",
    x_name="query position",
    y_name="attention to the position before",
)

# %% [markdown]
# **You should see** two lines that lie on each other, gaps and all. And it goes further: a position that holds no note
# about the word before it cannot be found by an induction head. So where the words repeat after forty, the model should
# stumble at position 77. There was a tooth at 77 in the loss; now it follows from the weights. The same in accuracy, on
# new texts:

# %%
more = repeated_tokens(model.cfg.d_vocab, 200, LENGTH, bos, torch.Generator().manual_seed(3)).to(device)
right = (model(more)[:, :-1].argmax(-1) == more[:, 1:]).float().mean(0)  # entry p - 1 is about the token at position p
lines(
    list(range(LENGTH + 1, 2 * LENGTH + 1)),
    {"share right": right[LENGTH:]},
    title="The second time, the model stumbles where the first time nothing looked back",
    x_name="position of the repeated word",
    y_name="share of words guessed right",
)

# %% [markdown]
# **You should see** about 0.95 everywhere but in two places. The first repeated word, at position 41, cannot be found
# by induction: the word before it, at position 40, stands there for the first time. (Three of four are guessed right
# all the same, though with little confidence: the loss there was 3.5. It is the bet on the first word, on which you saw
# L1H0 wait.) And position 77 drops to 0.80, as the weights said. It does not drop to 0, so there are other hints to go
# by.
#
# ### What the second head reads, part by part
#
# Part two: how does the head of layer 1 find the place? Its query and its key both read the residual stream, and the
# stream is a sum. So you first take the sum apart: *what does layer `layer` read?* The embedding of the word, that of
# the position, and what every earlier component wrote. A head's write is its `z` times its `W_O`; and a layer's
# attention adds its bias `b_O` once, which belongs to no head.
#
# The order of the parts is that of the forward pass:
#
# | | parts |
# |---|---|
# | 0, 1 | `embed`, `pos_embed` |
# | then for every earlier layer | its heads in order, its `b_O`, its MLP's write if it has an MLP |
#
# So layer 0 reads two parts, and layer 1 of attn-only-2l reads 2 + 8 + 1 = 11. A cache knows its model: `cache.model`.


# %%
# [exercise]
# number = "2.17"
# title = "What a layer reads, as a sum"
# difficulty = 2
# importance = 5
# minutes = 20
# points = 3
# why = "Everything that one head hands to another goes through this sum; path patching in chapter 4 changes one of its terms."
# hints = [
#     "Which components ran before `layer`? Everything in layers 0 to `layer - 1`, and the two embeddings.",
#     "`cache[\"z\", earlier]` is `batch pos head d_head`, `model.W_O[earlier]` is `head d_head d_model`. Contract d_head and keep the head axis. The bias `model.b_O[earlier]` is the same at all positions: expand it to `batch pos d_model`.",
#     "Start with `[cache[\"embed\"], cache[\"pos_embed\"]]`; per earlier layer add the heads of `einops.einsum(z, W_O, \"batch pos head d_head, head d_head d_model -> head batch pos d_model\")`, then `b_O`, then `cache[\"mlp_out\", earlier]` unless `model.cfg.attn_only`; `torch.stack` at the end.",
# ]
# [/exercise]
def decompose_resid(cache: ActivationCache, layer: int) -> Float[Tensor, "component batch pos d_model"]:
    """The parts of the residual stream that `layer` reads; they sum to what goes into its ln1.

    In order: embed, pos_embed, then for every earlier layer its heads, its attention bias b_O, and its MLP if it has one.
    """
    # BEGIN SOLUTION: collect the embeddings and, layer by layer, what each component wrote, as it went into the stream
    model = cache.model
    parts = [cache["embed"], cache["pos_embed"]]
    for earlier in range(layer):
        heads = einops.einsum(
            cache["z", earlier],
            model.W_O[earlier],
            "batch pos head d_head, head d_head d_model -> head batch pos d_model",
        )
        parts += [*heads, model.b_O[earlier].expand_as(parts[0])]
        if not model.cfg.attn_only:
            parts.append(cache["mlp_out", earlier])
    return torch.stack(parts)
    # END SOLUTION


# %%
check(decompose_resid)

# %% [markdown]
# ### Each pair's share of the score
#
# A score is a product of two sums: of the query's parts and of the key's. Multiply out, and there is one term for each
# *pair* of parts. With $x = \sum_i x_i$ and LayerNorm's division by $s$:
#
# $$q \cdot k = \Big(\sum_i \frac{x_i^{\,(q)}}{s^{(q)}} W_Q + b_Q\Big) \cdot \Big(\sum_j \frac{x_j^{\,(k)}}{s^{(k)}} W_K + b_K\Big)$$
#
# Two details decide whether the terms add up:
#
# - **LayerNorm is frozen.** Each position is divided by one number, its own spread, as it was in the real run:
#   `cache["scale", layer, "ln1"]`, of shape `batch pos 1`. All parts at a position share it. (In compatibility mode every
#   part has mean 0 already, and the learned scale and shift of LayerNorm are in `W_Q`, `b_Q` and so on.)
# - **The biases are one more part**, on each side: $b_Q$ belongs to no $x_i$. It comes last.
#
# So with $n$ parts there are $(n + 1)^2$ terms. For each query and key they sum to the score before the mask:
# `cache["q", layer]` times `cache["k", layer]`, over the root of `d_head`.


# %%
# [exercise]
# number = "2.18"
# title = "Each pair's share of an attention score"
# difficulty = 4
# importance = 4
# minutes = 30
# points = 4
# why = "It says why a head looks where it looks, in terms of the components that put the reason there."
# hints = [
#     "You have the parts of what the layer reads. Make a query of each of them and a key of each of them; the biases make one more of both.",
#     "Divide the parts by the scale, which broadcasts over components. Multiply by `W_Q[layer, head]`, append `b_Q[layer, head]`, expanded to `1 batch pos d_head`. The same for keys. Then contract d_head of queries with keys, with five axes left.",
#     "`parts = decompose_resid(cache, layer) / cache[\"scale\", layer, \"ln1\"]`; `torch.cat([parts @ W_Q, b_Q.expand(1, *parts.shape[1:3], -1)])`; and the pattern `\"query_component batch query d_head, key_component batch key d_head -> query_component key_component batch query key\"`, over the root of d_head.",
# ]
# [/exercise]
def attention_scores_by_input(
    model: TransformerBridge, cache: ActivationCache, layer: int, head: int
) -> Float[Tensor, "query_component key_component batch query key"]:
    """The share of each pair of parts in a head's attention scores before the mask, LayerNorm's scale frozen.

    The components are those of `decompose_resid`, and last the bias (b_Q on the query's side, b_K on the key's).
    """
    # BEGIN SOLUTION: a query and a key for every part and for the bias, then all products, over the root of d_head
    parts = decompose_resid(cache, layer) / cache["scale", layer, "ln1"]
    _, batch, pos, _ = parts.shape
    b_Q, b_K = model.b_Q[layer, head], model.b_K[layer, head]
    queries = torch.cat([parts @ model.W_Q[layer, head], b_Q.expand(1, batch, pos, -1)])
    keys = torch.cat([parts @ model.W_K[layer, head], b_K.expand(1, batch, pos, -1)])
    scores = einops.einsum(
        queries,
        keys,
        "query_component batch query d_head, key_component batch key d_head"
        " -> query_component key_component batch query key",
    )
    return scores / math.sqrt(model.cfg.d_head)
    # END SOLUTION


# %%
check(attention_scores_by_input)

# %% [markdown]
# Now ask of the strongest induction head: from a repeated word, *why* does it score the right place higher than the
# others? We take the score there, minus the mean score of all positions that it could have looked at (a softmax only
# feels differences), and average over all repeated words.


# %%
def input_labels(model: TransformerBridge, layer: int) -> list[str]:
    """Names for the components of `attention_scores_by_input`, in order."""
    labels = ["embed", "pos_embed"]
    for earlier in range(layer):
        labels += [head_label(earlier, head) for head in range(model.cfg.n_heads)] + [f"b_O {earlier}"]
        if not model.cfg.attn_only:
            labels.append(f"MLP {earlier}")
    return [*labels, "bias"]


def reasons(layer: int, head: int) -> Float[Tensor, "query_component key_component"]:
    """Each pair's share in preferring the right place over the mean place, from repeated words, averaged."""
    _, few = model.run_with_cache(sample[:4])
    scores = attention_scores_by_input(model, few, layer, head)
    queries = range(LENGTH + 1, 2 * LENGTH + 1)
    found = torch.stack([scores[..., query, query + 1 - LENGTH] for query in queries], dim=-1)
    anywhere = torch.stack([scores[..., query, 1 : query + 1].mean(-1) for query in queries], dim=-1)
    return (found - anywhere).mean(dim=(-2, -1))


parts = input_labels(model, copy_layer)
why = reasons(copy_layer, copy_head)
heatmap(
    why,
    title=f"{head_label(copy_layer, copy_head)} finds the place because the key holds what the previous-token head wrote there",
    x=parts,
    y=parts,
    x_name="part of the key",
    y_name="part of the query",
    signed=True,
    value_name="score above the mean",
)

# %%
best = why.flatten().topk(3)
for value, place in zip(best.values.tolist(), best.indices.tolist()):
    query_part, key_part = divmod(place, len(parts))
    print(f"{value:6.2f}  query: {parts[query_part]:10} key: {parts[key_part]}")
print(f"{why.sum():6.2f}  all {why.numel()} pairs together")

# %% [markdown]
# **You should see** one dark cell in a matrix of 144: the word's *embedding* in the query, and *L0H2's write* in the
# key. It makes up 10.4 of 11.1, and all other pairs together less than 1. (Before the softmax is normalised, a
# difference of 10 in a score is a factor of $e^{10}$, 22,000.) This is K-composition, caught in the act: the query is
# raw, the key was prepared.
#
# It is still a measurement on texts, though, on four of them. The same can be said without a text.
#
# ### The search, from weights alone
#
# Follow that one dark cell. A query made of the embedding of word $a$; a key made of what L0H2 writes when it looks at
# word $b$:
#
# $$\text{score}(a, b) \;\propto\; W_E[a]\; W_Q\, W_K^{\top} \big(W_E[b]\, W_{OV}^{\text{L0H2}}\big)^{\top}$$
#
# If the head searches for its own word, the largest entry of each row $a$ is at $b = a$. You wrote the function for
# that: `copying_score`. What it counts here is not copying but *matching*.


# %%
def matching_circuit(model: TransformerBridge, earlier: int, layer: int, head: int) -> FactoredMatrix:
    """Scores [word at the query, word that the earlier head of layer 0 looked at] through K-composition."""
    written = model.W_E @ model.W_V[0, earlier] @ model.W_O[0, earlier]
    return FactoredMatrix(model.W_E @ model.W_Q[layer, head], (written @ model.W_K[layer, head]).T)


head_numbers = range(model.cfg.n_heads)
matched = torch.tensor(
    [
        [copying_score(first_words(matching_circuit(model, earlier, copy_layer, later))) for later in head_numbers]
        for earlier in head_numbers
    ]
)
heatmap(
    matched,
    title=f"Share of words that a head of layer {copy_layer} finds best in what a head of layer 0 wrote about that word",
    x=[head_label(copy_layer, h) for h in head_numbers],
    y=[head_label(0, h) for h in head_numbers],
    x_name="searches",
    y_name="wrote the note",
    value_name="share",
)

# %%
searches, says = block(matching_circuit(model, back_head, copy_layer, copy_head)), block(together)
compare(
    searches / searches.abs().max(),
    says / says.abs().max(),
    title="The two circuits of induction: search for your own word, and say what you find (each over its largest entry)",
    titles=(
        f"QK of {head_label(copy_layer, copy_head)}, through {head_label(0, back_head)}",
        "OV of all induction heads",
    ),
    x=words,
    y=words,
    x_name="word in the note (QK), word written (OV)",
    y_name="word at the query (QK), word found (OV)",
    signed=True,
).update_xaxes(tickangle=-90)

# %% [markdown]
# **You should see** one row of the first figure dark, that of L0H2, for all induction heads: 0.996 of all words (again
# all but BOS). And 0.01 for L1H7. No other head of layer 0 reaches 0.1. In the second figure both circuits have their
# diagonal: the two halves of an induction head.
#
# ### Composition without knowing what to look for
#
# You knew which pair to multiply. In a model with 144 heads you would like to be told. Elhage et al. (2021) propose a
# number for any two matrices: how much of their sizes survives in the product,
#
# $$\frac{\lVert W_A W_B \rVert_F}{\lVert W_A \rVert_F\, \lVert W_B \rVert_F}, \qquad \lVert W \rVert_F = \sqrt{\textstyle\sum_{ij} W_{ij}^2}.$$
#
# $W_A$ is what the earlier head writes, $W_B$ what the later one reads. If $W_A$ writes only to directions that $W_B$
# does not read, the product is 0; it is at most 1. Rescaling a matrix changes nothing. For
# $W_A = \begin{pmatrix} 3 & 0 \\ 0 & 0 \end{pmatrix}$, the score is 1 with $W_B = W_A$ and 0 with
# $W_B = \begin{pmatrix} 0 & 0 \\ 0 & 1 \end{pmatrix}$.


# %%
# [exercise]
# number = "2.19"
# title = "Composition of two matrices"
# difficulty = 1
# importance = 3
# minutes = 5
# points = 1
# why = "Whether one component can talk to another at all is a question about their weights."
# hints = [
#     "The Frobenius norm is the length of the matrix, taken as one long vector.",
#     "`W.norm()` without arguments is the Frobenius norm. Rows are what goes in: the earlier matrix stands on the left.",
#     "The norm of `W_A @ W_B`, divided by the product of the two norms, and `.item()` to make a float of it.",
# ]
# [/exercise]
def composition_score(W_A: Float[Tensor, "d_model d_model"], W_B: Float[Tensor, "d_model d_model"]) -> float:
    """||W_A W_B|| / (||W_A|| ||W_B||) in Frobenius norms: between 0 and 1, W_A writes and W_B reads.

    After Elhage et al. (2021), https://transformer-circuits.pub/2021/framework.
    """
    # BEGIN SOLUTION: the norm of the product over the product of the norms
    return ((W_A @ W_B).norm() / (W_A.norm() * W_B.norm())).item()
    # END SOLUTION


# %%
check(composition_score)

# %% [markdown]
# ### Three ways to be read
#
# What an earlier head writes can enter a later one by three doors, each with its own matrix $W_B$:
#
# | kind | the earlier head changes | $W_A$ | $W_B$ |
# |---|---|---|---|
# | Q-composition | what the later one searches for | $W_{OV}$ of the earlier | $W_{QK} = W_Q W_K^{\top}$ of the later |
# | K-composition | where the later one can be found | $W_{OV}$ of the earlier | $W_{QK}^{\top} = W_K W_Q^{\top}$ of the later |
# | V-composition | what the later one brings back | $W_{OV}$ of the earlier | $W_{OV} = W_V W_O$ of the later |
#
# Why the transpose? A row vector from the query's side meets $W_{QK}$ from the left. From the key's side, the same
# matrix is met from the right, which is its transpose met from the left.


# %%
# [exercise]
# number = "2.20"
# title = "Who composes with whom"
# difficulty = 3
# importance = 4
# minutes = 20
# points = 3
# why = "It is the one scan for circuits that needs no text at all; and a lesson in what a norm cannot see."
# hints = [
#     "There are n_heads times n_heads numbers: for every head of layer 0, its W_OV, and for every head of layer 1 the matrix that belongs to the kind.",
#     "`W_QK = W_Q @ W_K.T` for one head. Which of W_QK, its transpose and W_OV does each kind need? Raise the ValueError before the loops.",
#     "A dict `{\"Q\": W_Q @ W_K.T, \"K\": W_K @ W_Q.T, \"V\": W_V @ W_O}` for each later head, all from layer 1; call `composition_score(W_OV, thereof)` with W_OV from layer 0; rows are earlier heads.",
# ]
# [/exercise]
def composition_scores(model: TransformerBridge, kind: str) -> Float[Tensor, "earlier later"]:
    """The composition score of every head of layer 0 (rows) with every head of layer 1 (columns).

    `kind` is "Q", "K" or "V"; a ValueError that names it for anything else.
    """
    # BEGIN SOLUTION: W_OV of each head of layer 0 against what each head of layer 1 reads with, by kind
    if kind not in ("Q", "K", "V"):
        raise ValueError(f'the kind of composition must be "Q", "K" or "V", but got {kind!r}')
    scores = torch.zeros(model.cfg.n_heads, model.cfg.n_heads, device=model.W_V.device)
    for later in range(model.cfg.n_heads):
        W_Q, W_K, W_V, W_O = (weights[1, later] for weights in (model.W_Q, model.W_K, model.W_V, model.W_O))
        reads = {"Q": W_Q @ W_K.T, "K": W_K @ W_Q.T, "V": W_V @ W_O}[kind]
        for earlier in range(model.cfg.n_heads):
            scores[earlier, later] = composition_score(model.W_V[0, earlier] @ model.W_O[0, earlier], reads)
    return scores
    # END SOLUTION


# %%
check(composition_scores)

# %% [markdown]
# A score needs a **baseline**: two random matrices do not have a score of 0. The directions that the one writes and
# those that the other reads are random subspaces, and of every direction a share of $1/d_\text{model}$ falls on every
# other; so the score is about $1/\sqrt{d_\text{model}}$. Given here, by drawing:


# %%
def random_composition(d_model: int, d_head: int, draws: int, generator: torch.Generator) -> Float[Tensor, " draws"]:
    """Composition scores of pairs of random matrices that are as large, and of as low a rank, as W_OV and W_QK."""

    def low_rank() -> Float[Tensor, "d_model d_model"]:
        left, right = torch.randn(2, d_model, d_head, generator=generator)
        return left @ right.T

    return torch.tensor([composition_score(low_rank(), low_rank()) for _ in range(draws)])


random_scores = random_composition(model.cfg.d_model, model.cfg.d_head, 100, torch.Generator().manual_seed(0))
baseline = random_scores.mean().item()
print(f"random matrices: {baseline:.3f} ± {random_scores.std():.3f}; 1 / √d_model is {model.cfg.d_model**-0.5:.3f}")

compositions = {kind: composition_scores(model, kind) for kind in ("Q", "K", "V")}
heatmap(
    compositions["K"],
    title=f"K-composition of layer 0 with layer 1; random matrices have {baseline:.2f}",
    x=[head_label(1, h) for h in head_numbers],
    y=[head_label(0, h) for h in head_numbers],
    x_name="later head",
    y_name="earlier head",
    value_name="score",
)

# %% [markdown]
# **You should see** the row of L0H2, again with all induction heads and without L1H7: 0.22 to 0.24, where random
# matrices have 0.088 ± 0.005. The scan finds the pair without knowing anything about words or positions. Now all three
# kinds as a graph:

# %%
composition_graph(
    compositions,
    baseline=baseline,
    title="Composition between the layers: the sixteen strongest pairs of all kinds, above the random baseline",
)

# %% [markdown]
# **You should see** that the strongest lines of all are *not* the induction circuit. They lead into L1H7, by
# Q-composition: 0.41 from L0H3, 0.32 from L0H7, 0.29 from L0H1. L1H7 has no induction score and copies nothing.
# (V-composition is not among the sixteen; its largest score is 0.16.) This is what a norm cannot see: it weighs every
# direction that *could* be written, whether or not the earlier head ever writes there, and whether or not it matters
# where the later one looks. And almost every K-score in the picture above lies over the baseline, also where nothing is
# known to be handed on: trained matrices share directions for many reasons, so random ones are a low bar. A composition
# score tells you where to look. It is no proof.
#
# ### Skip-trigrams: what one head can do alone
#
# Take a single head of layer 0, and words only. From a word that is looking, the **destination**, attention to an
# earlier **source** word depends on the QK circuit; what is then written depends on the source and the OV circuit. Both
# together make statements of the form *source … destination → out*: "if `source` stood somewhere before, and now comes
# `destination`, then `out` is likelier". Elhage et al. (2021) call them skip-trigrams, and read a model of one
# attention layer as a table of them, on top of the **direct path** $W_E W_U$, which knows the present word only
# (bigrams) and is left out here.
#
# We need one number for a triple. With $r = W_E\, /\, \texttt{ln\_scale}$ for what the head reads:
#
# $$\text{strength}(s, d, o) = \underbrace{\operatorname{softmax}_{s}\Big(\frac{r_d W_Q \cdot r_s W_K}{\sqrt{d_\text{head}}}\Big)}_{\text{attention of } d \text{ to } s}\;\cdot\;\underbrace{r_s\, W_V W_O W_U[:, o]}_{\text{what } s \text{ writes to } o}$$
#
# The softmax runs over all words of the vocabulary as sources: the attention that $d$ would pay if every word stood
# before it once. Positions and biases are left out, and there is no mask, since words have no order. A strength is in
# units of logits (before the last LayerNorm); a real text has fewer words than the vocabulary, so real attention is
# larger.
#
# There are `d_vocab`³ triples: 16.8 million for 256 words. You need not write them all down. Attention is positive, so
# for each source only its `k` largest outs can be among the `k` strongest triples.


# %%
# [exercise]
# number = "2.21"
# title = "Skip-trigrams"
# difficulty = 4
# importance = 2
# minutes = 25
# points = 3
# why = "A table of what a head does to every pair of words is the most complete reading of a head there is, where it can be had."
# hints = [
#     "Two matrices: attention, destination by source, and what a source writes, source by out. A triple's strength is one entry of the first times one of the second; the source is in both.",
#     "Keep the `k` largest outs of each source with `topk` on the second matrix. Multiply with attention so that you get `source destination rank`, flatten, `topk` again. `divmod` turns a place in the flat list into its three indices.",
#     "`values, outs = written.topk(min(k, d_vocab))`, then `\"destination source, source rank -> source destination rank\"`; for a flat place, `torch.unravel_index` gives source, destination and rank, and the word is `outs[source, rank]`.",
# ]
# [/exercise]
def skip_trigrams(
    model: TransformerBridge, layer: int, head: int, k: int, ln_scale: float = 1.0
) -> list[tuple[int, int, int, float]]:
    """The k strongest (source, destination, out, strength) of a head, by words alone, the highest strength first.

    The strength is the attention of destination to source (softmax over all words as sources) times what the source
    writes to the logit of out; `W_E` is divided by `ln_scale` wherever the head reads it. The direct path is left out.
    """
    # BEGIN SOLUTION: attention over all source words, the k largest outs of each source, then the k largest products
    read = model.W_E / ln_scale
    scores = (read @ model.W_Q[layer, head]) @ (read @ model.W_K[layer, head]).T / math.sqrt(model.cfg.d_head)
    attention_to_source = scores.softmax(dim=-1)
    written = read @ model.W_V[layer, head] @ model.W_O[layer, head] @ model.W_U
    values, outs = written.topk(min(k, model.cfg.d_vocab), dim=-1)
    strengths = einops.einsum(attention_to_source, values, "destination source, source rank -> source destination rank")
    best = strengths.flatten().topk(min(k, strengths.numel()))
    places = zip(*(axis.tolist() for axis in torch.unravel_index(best.indices, strengths.shape)))
    return [
        (source, destination, outs[source, rank].item(), strength)
        for (source, destination, rank), strength in zip(places, best.values.tolist())
    ]
    # END SOLUTION


# %%
check(skip_trigrams)


# %%
def print_trigrams(layer: int, head: int, count: int = 12) -> None:
    """The strongest skip-trigrams of a head, without those about BOS, which no text repeats."""
    scale = sample_cache["scale", layer, "ln1"][:, 1:].mean().item()
    found = [triple for triple in skip_trigrams(model, layer, head, 20 * count, scale) if bos not in triple[:3]]
    print(head_label(layer, head))
    for *triple, strength in found[:count]:
        source, destination, out = (model.tokenizer.decode([token]).strip() for token in triple)
        print(f"  {source} … {destination} → {out}  {strength:.2f}")


if model.cfg.d_vocab < 500:  # half a minute for the organism; for GPT-2, attention alone would take 10 GB
    for triple_head in (5, 6, 1):
        print_trigrams(0, triple_head)

# %% [markdown]
# **You should see** that the strongest of L0H5 and L0H6 have the same word as source and destination: *das … das → pa*,
# *dan … dan → wun*. A position always sees itself, so such a triple speaks of the present word too: it would be a
# bigram in disguise. Is it? In the invented language each word has five likely successors. You can ask it which:

# %%
if MODEL == "attn-only-2l":
    # what remains when the words that follow anything are taken off are the likely successors
    successors = transitions() - (1 - LIKELY_SHARE) * word_frequencies() > 1e-9
    for word in (" das", " dan"):
        row = successors[model.tokenizer.encode(word)[-1]]
        print(f"{word} is followed by{''.join(model.tokenizer.decode([token]) for token in row.nonzero()[:, 0])}")
    for triple_head in (5, 6):
        strongest = [t for t in skip_trigrams(model, 0, triple_head, 1000, ln_scale) if bos not in t[:3]][:100]
        same = sum(source == destination for source, destination, *_ in strongest)
        follow = sum(successors[source, out].item() for source, _, out, _ in strongest)
        print(f"{head_label(0, triple_head)}, the {len(strongest)} strongest: source = destination in {same},", end=" ")
        print(f"out is a likely successor of the source in {follow}")

# %% [markdown]
# **You should see** that all five successors of *das*, and all five of *dan*, stand in the lists above. Of the hundred
# strongest triples of L0H5 and L0H6, all have one word as source and destination, and 16 and 22 end in one of
# its successors, where chance would give 2. So these two heads add a little to what the direct path says; the rest of
# their entries has no such reading. L0H1 has no entry above 0.02: it says little by words alone, and skip-trigrams are
# not what it is for. That fits the language, in which there is no rule of the form *source … destination → out* but
# copying.
#
# You can ask for L1H0 too, with `print_trigrams(1, 0)`. It gives *se … den → se*, *yan … do → yan*: always out =
# source, and the destination hardly matters. Copying can be seen in it, but no search; for its keys are not words. They
# are what L0H2 wrote. This is the limit of the method, and the reason for all that came before it.
#
# ## Three proofs, and what each one shows
#
# | | what you did | what it shows | what it does not |
# |---|---|---|---|
# | **by attention** | scores on repeated random words | *where* the head looks, on these texts | that it matters; what it does with what it finds |
# | **by ablation** | switched the head off | *that* the head matters, for this behaviour | how it works; and what others make up for is not seen |
# | **by weights** | multiplied matrices: 0.54 one position back by positions, 0.996 of words matched through L0H2, 0.996 copied by seven heads | *how* it works, on all texts at once | that it is used; and it holds as far as what was left out (LayerNorm, words, biases) does not matter |
#
# In one sentence: attention shows where it looks, ablation that it counts, and the weights how it is done. None of them
# replaces another. You have seen each fail where another speaks: L1H7 has the largest composition scores and no
# induction; the organism's heads copy and have negative eigenvalues; L0H2 fails at position 37, which a mean over
# positions hides.

# %% [markdown]
# ## How induction heads come about
#
# You have three proofs of what the finished model does. Its training can be watched, too: `attn-only-2l` ships with
# twenty checkpoints. Two measures are needed for that, one for what the model can do on text as it meets it in
# training, and one for the parts inside.
#
# ### In-context learning, as a number
#
# A model **learns in context** if it predicts better the more it has read. The simplest measure compares two places of
# the same texts: the mean loss late in the context minus the mean loss early. Olsson et al. (2022) take the 500th and
# the 50th token of a text, and call it the **in-context learning score**:
#
# $$\text{score} = \text{mean loss at index late} - \text{mean loss at index early}$$
#
# It is *negative* when context helps. Example: two texts, losses (4, 3, 1) and (6, 5, 3). With `early` 0 and `late` 2
# the score is (1 + 3) / 2 − (4 + 6) / 2 = −3 nats.
#
# What it is for, and what not: a model that predicts everything 1 nat better has the same score as before, so the score
# is not a measure of quality. And it says nothing about *how* the context helps.


# %%
# [exercise]
# number = "2.22"
# title = "In-context learning score"
# difficulty = 1
# importance = 3
# minutes = 5
# points = 1
# why = "In-context learning is where much of what worries people about large models happens, and this is the number by which it was first connected with a circuit."
# hints = [
#     "Which axis of `losses` counts texts, and which counts places? What is averaged?",
#     "Take the column `late` and the column `early`, average each over the batch, and subtract in the order that gives less than 0 when the late loss is smaller.",
#     "(losses[:, late] - losses[:, early]).mean(), made a Python number with .item().",
# ]
# [/exercise]
def in_context_learning_score(losses: Float[Tensor, "batch pos"], early: int, late: int) -> float:
    """The mean loss at index `late` minus the mean loss at index `early`, in nats: negative when context helps.

    After Olsson et al. (2022), who take tokens 500 and 50, https://arxiv.org/abs/2209.11895.
    """
    # BEGIN SOLUTION: late column minus early column, averaged over the texts
    return (losses[:, late] - losses[:, early]).mean().item()
    # END SOLUTION


# %%
check(in_context_learning_score)

# %% [markdown]
# ### The same measurements at every step
#
# Now the parts inside. For each checkpoint: load it, run it on repeated random words, and note four numbers.
#
# | name | what |
# |---|---|
# | `"loss, first half"` | mean loss on the words 2 to `length`, of losses the indices `1` up to `length - 1` |
# | `"loss, second half"` | mean loss from the second word of the second half on, as in 2.12 |
# | `"induction"` | the highest induction score of any head of any layer |
# | `"previous token"` | the highest previous-token score of any head of any layer |
#
# Both halves begin with their second word, so that they are compared alike. Each number becomes an entry of a tensor,
# in the order of `steps`. How a checkpoint is loaded is not your function's business: it is handed in as `load`, a
# function that takes a step and gives a model. (So the same function works on the checkpoints of Pythia, bonus problem
# 3.) All else you have written already.


# %%
# [exercise]
# number = "2.23"
# title = "Scores along training"
# difficulty = 2
# importance = 4
# minutes = 20
# points = 2
# why = "That a part and an ability appear at the same moment of training is evidence of a kind that no single model can give."
# hints = [
#     "Write it for one step first: a function of a model that returns four numbers. Then a loop.",
#     "One run with a cache gives you everything: the logits for both losses, and the patterns of all layers for both scores. Of all heads in all layers, keep the maximum.",
#     "rows = {name: [] for name in the four names}; per step: logits, cache = load(step).run_with_cache(tokens); losses = -per_token_log_probs(logits, tokens); append losses[:, 1:length].mean(), losses[:, length + 1 : 2 * length].mean(), and for each score torch.stack([score of cache[\"pattern\", layer] for every layer]).max(). At the end torch.stack each list.",
# ]
# [/exercise]
def scores_along_training(
    steps: Sequence[int],
    load: Callable[[int], TransformerBridge],
    tokens: Int[Tensor, "batch pos"],
    length: int,
) -> dict[str, Float[Tensor, "step"]]:
    """For each step the losses on both halves of repeated `tokens`, in nats, and the highest score of any head.

    The names are "loss, first half", "loss, second half", "induction" and "previous token". `tokens` are BOS, `length`
    words and the same again; the first word of each half does not count for its loss.
    """
    # BEGIN SOLUTION: for each step, load the model, run it once, and append its two losses and two highest scores
    rows = {name: [] for name in ("loss, first half", "loss, second half", "induction", "previous token")}
    for step in steps:
        model = load(step)
        logits, cache = model.run_with_cache(tokens)
        losses = -per_token_log_probs(logits, tokens)
        patterns = [cache["pattern", layer] for layer in range(model.cfg.n_layers)]
        rows["loss, first half"].append(losses[:, 1:length].mean())
        rows["loss, second half"].append(losses[:, length + 1 : 2 * length].mean())
        rows["induction"].append(torch.stack([induction_score(pattern, length) for pattern in patterns]).max())
        rows["previous token"].append(torch.stack([previous_token_score(pattern) for pattern in patterns]).max())
    return {name: torch.stack(values) for name, values in rows.items()}
    # END SOLUTION


# %%
check(scores_along_training)

# %% [markdown]
# Everything on one page. The in-context learning score is taken on windows of the kind that the model is trained on
# (plain, with copied runs, with repeats). At a single place, 150 windows are few, and chance would shift the score by
# some tenths of a nat; so it is averaged over ten pairs of places, 5 and 81, 6 and 82, up to 14 and 90. The loss on
# plain text shows what has nothing to do with copying.

# %%
steps = checkpoint_steps("attn-only-2l")
checkpoints = {step: load_model("attn-only-2l", device=device, step=step) for step in steps}
generator = torch.Generator().manual_seed(0)
random_words = repeated_tokens(256, 20, LENGTH, 0, generator).to(device)
windows = invented_windows(150, 96, generator=generator).to(device)
plain_windows = plain_text(40, 96, generator=generator).to(device)

history = scores_along_training(steps, checkpoints.get, random_words, LENGTH)
plain_losses, in_context = [], []
for checkpoint in checkpoints.values():
    plain_losses.append(-per_token_log_probs(checkpoint(plain_windows), plain_windows).mean().item())
    window_losses = -per_token_log_probs(checkpoint(windows), windows)
    pairs = [in_context_learning_score(window_losses, early, early + 76) for early in range(5, 15)]
    in_context.append(sum(pairs) / len(pairs))

along_training(
    steps,
    {
        "plain text, nats": {"plain text": plain_losses},
        "repeated words, nats": {
            "first half": history["loss, first half"],
            "second half": history["loss, second half"],
        },
        "in-context learning": {"in-context learning": in_context},
        "highest score": {"induction": history["induction"], "previous token": history["previous token"]},
    },
    title="One moment in training: induction heads form, and the model begins to learn in context",
    band=(850, 1100),
    band_name="steps 850 to 1,100",
)

# %%
print("  step   plain  first half  second half  in-context  induction  previous token")
for row in zip(
    steps,
    plain_losses,
    *(history[name] for name in list(history)[:2]),
    in_context,
    history["induction"],
    history["previous token"],
):
    print("{:6} {:7.2f} {:11.2f} {:12.2f} {:11.2f} {:10.2f} {:15.2f}".format(*row))

# %% [markdown]
# **You should see** a long plain, a cliff, and a long plain. Within 250 of 4,000 steps nearly everything happens, and
# all at once:
#
# - **The loss on what repeats falls** from 5.0 to 0.9 nats. Before, it had crept down from 5.9 to 5.0 without any
#   induction head. How? By something simpler: a word that has occurred is likelier to occur again, after whichever
#   word. Measured on 200 texts at step 800: 5.0 nats when the words come again in their order, 5.3 when they come again
#   in another order, and 6.0 for words that are new. So a falling loss on the second half is no proof of induction by
#   itself.
# - **Induction and previous-token scores rise together**, from .05 and .07 to over .7 and .4. A previous-token head is
#   of no use for copying before someone reads it, and an induction head has nothing to read before someone writes it.
#   At step 850 both have barely begun; neither comes first and waits. A natural reading is that each makes the other
#   worth having, though these curves alone do not prove it.
# - **The in-context learning score falls** at the same time, from −0.2 to −1.5 nats, and hardly moves
#   in the remaining 2,900 steps. This is text of the training kind, and not made for the test.
# - **Plain text does not care.** Its loss falls in the first few hundred steps, while bigrams are learned, and is
#   nearly flat from then on. While the induction heads form it even gets *worse*, by 0.1 nats, and then takes a
#   thousand steps to recover. So does the first half of the random words: the young induction heads bet on repetition
#   where there is none.
#
# Olsson et al. (2022) found such a **phase change** in every model they trained that had more than one layer. The
# models with a single layer did not have it, as they should not: what you read off the weights takes two.

# %% [markdown]
# ## What is known about induction heads, and what is disputed
#
# You have shown, for one small model, that certain heads copy. Much more has been claimed. It helps to keep three
# claims apart.
#
# **"Small attention-only models copy by induction heads."** This is as certain as anything in the field. Elhage et al.
# (2021) read the circuit off the weights, and you have done the same, and confirmed it by attention and by ablation.
#
# **"Induction heads form suddenly, and in-context learning with them."** Olsson et al. (2022) saw both at the same
# time in models of up to 13 billion parameters; when they changed the architecture so that keys could see the word
# before directly, even models with one layer learned it, and others learned it sooner. Later work asks *why* it is
# sudden:
#
# - Bietti et al. (2023) train two-layer models on text that is bigrams of the language and bigrams of the context,
#   much as ours is, and find the first learned fast and the second late.
# - Reddy (2024) traces the suddenness to a chain of steps in which each is learned only once the one before it is
#   there, and shows that in-context learning then *competes* with learning into the weights; which of them wins
#   depends on the data.
# - Singh et al. (2024) hold parts of the computation fixed during training. They find three subcircuits that must come
#   together, and that there are usually *several* induction heads, whose effects add up, fed by previous-token heads
#   many to many. Our model has seven heads that add up, but a single head that feeds them.
#
# **"Induction heads are the mechanism of in-context learning in large models."** Here Olsson et al. are careful: for
# large models they call their own evidence correlational, and the claim a hypothesis. It has become more disputed
# since:
#
# - The word has two meanings. Olsson et al. mean the *loss that falls along a text*. Others mean *few-shot learning*: a
#   task understood from examples in the prompt. A result on one need not hold for the other.
# - Yin and Steinhardt (2025) ablate heads in 12 language models. Few-shot performance depends mostly on other heads,
#   those whose output carries the task (*function vectors*, Todd et al. 2024), and the more so the larger the model.
#   But many of these heads had been induction heads earlier in training. So induction may be the step through which
#   models come to something else.
# - In large models a head is seldom one thing. A score on random words finds heads that *can* copy there; what they
#   do on ordinary text is a question of its own.
#
# And what our own evidence does not show: that larger models do it this way, with this much redundancy and with so
# few parts. The language was made so that two things help. Nature does not take out the other thousand.
#
# ## What you can do now
#
# - You can run a model with a cache or with hooks, and change what it computes, without leaving traces.
# - You can define a score for a kind of head, test it on patterns whose score you know, and say what it misses.
# - You can take a logit apart into what each head wrote, and know why a head with no direct contribution can be the one
#   that everything hangs on.
# - You can ablate one head or many, by zero and by mean, and have seen why a small effect of one head proves little.
# - You can read a circuit off weights: what a head copies, where it looks, and through which head it reads.
# - You can say which claim about induction heads each kind of evidence supports.
#
# Two of your three proofs used a text on which *only* copying helps, and the third no text at all. On real sentences
# several mechanisms overlap, and one must find out which part does what for one behaviour. Chapter 4 does that, by
# exchanging activations between two texts. Before that, chapter 3 asks what a direction in the residual stream means at
# all.
#
# ## Bonus problems
#
# 1. **How much context?** Feed the model three, five, ten copies of the same random words, of different lengths. How
#    many words must repeat until it is sure? Does it matter that the copies are far apart?
# 2. **Two candidates.** Write a text in which one word occurs twice with *different* successors. Which of them do the
#    seven heads look at, the later, the earlier, both? Do all seven agree?
# 3. **A real training.** Pythia (Biderman et al. 2023) ships 154 checkpoints of each model. Write a `load` for
#    `pythia-70m`, and give it to `scores_along_training`. At which step is its phase change? Do all heads form then?
# 4. **Ablate what the head reads.** Leave the heads as they are, and take only L0H2's output out of the *keys* of layer
#    1 (subtract its share in a hook on `blocks.1.attn.hook_k`), not out of queries and values. What is left of copying?
#    Chapter 4 calls this path patching.
# 5. **Self-repair.** Ablate L1H0 and attribute the logit anew. Do the other six write more than before? How much of it
#    is LayerNorm's scale alone? (McGrath et al. 2023 found heads that step in for ablated ones in large models.)
# 6. **No second layer.** Train a model of this recipe with one layer (`utils/models/recipes.py`). How low does the
#    loss on the second half get, and what does it do instead of induction? Then let its keys see the word before, as
#    Olsson et al. did, and watch.
#
# ## Reading
#
# **The circuit.** Elhage et al. 2021, *A Mathematical Framework for Transformer Circuits*: all of it now. Olsson et al.
# 2022, *In-context Learning and Induction Heads*.
#
# **Reading the stream.** nostalgebraist 2020, *interpreting GPT: the logit lens*. Belrose et al. 2023, *Eliciting
# Latent Predictions from Transformers with the Tuned Lens*. McGrath et al. 2023, *The Hydra Effect: Emergent
# Self-repair in Language Model Computations*.
#
# **How it forms.** Chan et al. 2022, *Data Distributional Properties Drive Emergent In-Context Learning in
# Transformers*. Bietti et al. 2023, *Birth of a Transformer: A Memory Viewpoint*. Reddy 2024, *The Mechanistic Basis
# of Data Dependence and Abrupt Learning in an In-Context Classification Task*. Singh et al. 2024, *What Needs to Go
# Right for an Induction Head?* Biderman et al. 2023, *Pythia: A Suite for Analyzing Large Language Models Across
# Training and Scaling*.
#
# **In large models.** Todd et al. 2024, *Function Vectors in Large Language Models*. Yin and Steinhardt 2025, *Which
# Attention Heads Matter for In-Context Learning?*
