# %% [markdown]
# # 3. Superposition and sparse autoencoders
#
# A word can mean a thousand things, and the residual stream of our organism has 128 numbers to say which. GPT-2 small
# has 768 for everything it knows. If every number stood for one thing, we could read a model number by number. It does
# not: the numbers of a model answer to many unrelated things at once.
#
# One explanation is **superposition**: a model stores more features than it has dimensions, as directions that are
# nearly, but not quite, orthogonal, and pays with a little interference whenever two of them are there together. In this
# chapter you see that happen in models that are small enough to look at whole, and then you take the features out again
# with a **sparse autoencoder** (SAE):
#
# 1. **packing**: how many directions fit into few dimensions, if they need not be quite orthogonal;
# 2. **toy models**: small networks that have to squeeze many sparse features through few dimensions; you train hundreds
#    of them at once and find out when they use superposition, and which shapes the features take;
# 3. **sparse autoencoders**: written and trained by you on a toy model, where the true features are known, so that you
#    can say whether you found them;
# 4. **a language model**: SAEs on the organism, features you can read, and experiments that show what they do, and what
#    is not known about them.
#
# **At the end of this chapter you will be able to**
#
# - say what superposition is, when it pays, and what it costs;
# - train many small models in one batched run;
# - write sparse autoencoders of four kinds, and mend what goes wrong in training;
# - judge an SAE by numbers: sparsity, explained variance, loss recovered, dead features;
# - test by intervention whether a feature does what its examples suggest;
# - say which claims about SAEs are established and which are disputed.
#
# **You need** chapter 1; hooks and caches from chapter 2. The whole chapter takes about ten hours, eight and a half of
# them for the exercises; each of its four parts can be a sitting of its own.
#
# ## How this notebook works
#
# As before: replace `raise NotImplementedError`, run the cell, then the `check` below it. `hint(coherence)` gives the
# next hint, `reveal(coherence)` a solution, and `!circuits progress` says what is solved.

# %%
import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import einops
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformer_lens import TransformerBridge

from utils import check, device, hint, load_model, reveal
from utils.data import KINDS, token_windows
from utils.data.choosing import Chooser
from utils.data.facts import CITIES, COUNTRIES
from utils.data.labels import is_word, labels_of
from utils.data.requests import REFUSAL_OPENERS, requests
from utils.data.tokenizer import encode
from utils.plots import (
    diagram,
    feature_arrows,
    feature_dashboard,
    heatmap,
    lines,
    points,
    regions,
    show,
    trade_off,
    weight_stacks,
)
from utils.saes import load_sae

# %% [markdown]
# ## Part 1: what is a feature?
#
# A **feature** is a property of the input that a model represents inside: "this word is a name", "the text is in
# French", "we are within quotation marks". As a definition this is poor, since it says neither which properties count
# nor how one knows that a model represents one. [Elhage et al.
# (2022)](https://transformer-circuits.pub/2022/toy_model/index.html), whom the first half of this chapter follows,
# discuss three definitions, and the one that they keep in mind, a property for which a sufficiently large model would
# reliably set a neuron aside, is slightly circular, as they say themselves. We go round the problem: in the first half
# of the chapter we make the data, so we know the features, and only in the last part do we ask about a model whose
# features nobody has handed us.
#
# The working assumption of the whole chapter is that features are **directions**: that a model says "this is a name,
# and strongly so" by adding a certain vector to its activations, and the stronger, the longer the vector. There are good
# reasons to hope so.
#
# - **It can be read.** What comes next, a head or an MLP, begins with a matrix product, and a matrix product is a set of
#   dot products with fixed directions. A feature that is a direction can be read in one step.
# - **It can be written.** In the residual stream every layer adds to what is there. Directions add up; several layers
#   may each add to the same feature without knowing of each other.
# - **It has been seen.** Differences between word vectors carry meaning
#   ([Mikolov et al. 2013](https://aclanthology.org/N13-1090/)), linear probes find concepts (chapter 5), and adding a
#   direction changes what a model does (chapter 7).
#
# This assumption is called the **linear representation hypothesis** ([Park et al.
# 2023](https://arxiv.org/abs/2311.03658) make it precise).
#
# It is a hypothesis, and not true without exception. [Engels et al. (2024)](https://arxiv.org/abs/2405.14860) find the
# days of the week and the months on circles in GPT-2 and in larger models, and argue that such a circle cannot be taken
# apart into two features of one dimension each. [Csordás et al. (2024)](https://arxiv.org/abs/2408.10920) train small
# recurrent networks that keep the tokens of a sequence apart by the *size* of what they write, not by its direction. So
# many features seem to be directions, not all are, and nobody knows the share.
#
# ## How many directions fit?
#
# Suppose, then, that feature $i$ has the direction $v_i$, of length 1, and that the model holds the vector $h = \sum_j
# x_j v_j$, where $x_j$ says how strongly feature $j$ is there. To read feature $i$ back, take the dot product with its
# direction:
#
# $$v_i \cdot h \;=\; x_i \;+\; \sum_{j \ne i} x_j \, (v_i \cdot v_j)$$
#
# The first term is what we want. The second is **interference**: what the other features leave in our reading. If all
# directions are orthogonal, it vanishes, and then $d$ dimensions hold $d$ features and not one more.
#
# But what if we put up with a little? Say that no two directions have a dot product above $\varepsilon$, in either
# sense. If $k$ other features are there at a time, each with a strength of at most 1, the reading is wrong by at most $k
# \varepsilon$. Two things make this small: directions that are nearly orthogonal, and **sparsity**, which means that
# few features are there at a time. The second is plausible: of all the things that a text can be about, it is about few.
#
# So the question becomes how many *nearly* orthogonal directions fit into $d$ dimensions. To measure "nearly" we take
# the worst pair: the **coherence** of a set of vectors is the largest $|\cos|$ of the angle between two different ones.
# It is 0 if they are orthogonal and 1 if two of them lie on one line. Their lengths do not matter, and neither does it
# which way round a vector points: a feature with the direction $-v_i$ disturbs the reading of $v_i$ just as much.


# %%
# [exercise]
# number = "3.1"
# title = "Coherence"
# difficulty = 1
# importance = 3
# minutes = 10
# points = 1
# why = "This one number bounds what features can do to each other when each is read off with a dot product. You will ask for it again when a sparse autoencoder hands you thousands of directions."
# hints = [
#     "What is the dot product of two vectors of length 1? And which pairs of vectors must not count?",
#     "Bring every vector to length 1, take the dot products of all pairs at once as one matrix product, and look at their absolute values. The diagonal pairs each vector with itself: take it out before you ask for the largest.",
#     "`unit = F.normalize(vectors, dim=-1)`, `overlaps = (unit @ unit.T).abs()`; `overlaps.fill_diagonal_(0)`; the largest entry as a number: `.max().item()`.",
# ]
# [/exercise]
def coherence(vectors: Float[Tensor, "vector dim"]) -> float:
    """The largest |cosine| of the angle between two different vectors, from 0 (all orthogonal) to 1.

    The vectors may have any length but 0, and there are at least two.
    """
    # BEGIN SOLUTION: cosines of all pairs, without those of a vector with itself; the largest absolute value
    unit = F.normalize(vectors, dim=-1)
    overlaps = (unit @ unit.T).abs()
    return overlaps.fill_diagonal_(0).max().item()
    # END SOLUTION


# %%
check(coherence)

# %% [markdown]
# First, directions that nobody has arranged. Draw every entry from a normal distribution: such vectors point in every
# direction equally often. Two random directions in the plane may have any angle. In many dimensions they are almost
# always nearly orthogonal: the cosine of a pair is typically about $1/\sqrt d$ (exactly, its mean square is $1/d$). The
# coherence is that of the *worst* among all pairs, so it is larger, but it falls with $d$ just the same.

# %%
generator = torch.Generator().manual_seed(0)
dims = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
lines(
    dims,
    {
        f"{n} random vectors": [coherence(torch.randn(n, dim, generator=generator)) for dim in dims]
        for n in (10, 100, 1000)
    },
    title="The more dimensions, the closer random directions come to being orthogonal",
    x_name="dimensions",
    y_name="coherence",
    log_x=True,
    references={"orthogonal": 0.0},
)

# %% [markdown]
# **You should see** three falling lines. In 128 dimensions, which the organism has, the worst pair among 1,000 random
# vectors has a cosine of .39; in 1,024 dimensions, of .14. And more vectors cost little: ten times as many, 1,000 in
# place of 100, raise it in 128 dimensions from .30 to .39, though there are a hundred times as many pairs.
#
# Can one do better than random? Turn the directions by gradient descent, so that pairs which overlap are pushed apart.
# We need a loss that is small when all overlaps are small. The coherence itself is a poor one, since only a single pair
# has a gradient at a time. The sum of the *squares* of all overlaps is a trap: it is as small as it can be, for example,
# when the same orthogonal basis is laid down twice, and then every vector has a twin with a cosine of 1. The sum of the
# **fourth powers**,
#
# $$L = \sum_{i \ne j} \left(\frac{v_i \cdot v_j}{\lVert v_i\rVert \lVert v_j\rVert}\right)^4,$$
#
# cares for large overlaps much more than for small ones, and works well.
#
# A loss that is written with cosines does not care how long the vectors are, so nothing keeps them at length 1 during
# the descent, and nothing has to: bring them to length 1 when you compute the loss, and once more at the end. Adam with
# a learning rate of 0.05 gets far in a hundred steps. `steps` may be 0: then the random start comes back.
#
# As always in this course, random numbers come from the generator that is handed in, so that others can repeat what you
# did. Draw on the generator's device and then move what you drew: `torch.randn(..., generator=generator,
# device=generator.device).to(device)`.


# %%
# [exercise]
# number = "3.2"
# title = "Nearly orthogonal vectors"
# difficulty = 2
# importance = 3
# minutes = 20
# points = 2
# why = "A model that has more features than dimensions has to solve this very problem, by gradient descent, as you do here."
# hints = [
#     "What are the parameters here? A tensor that you make yourself can have `requires_grad_()` and be given to an optimizer, as `[vectors]`; no module is needed.",
#     "Each step: normalise, take the matrix of all dot products, raise it to the fourth power, sum it without the diagonal; then zero_grad, backward, step. Normalise once more at the end, and return a tensor without a graph.",
#     "`start = torch.randn(n_vectors, dim, generator=generator, device=generator.device)`, `vectors = F.normalize(start.to(device), dim=-1).requires_grad_()` and `optimizer = torch.optim.Adam([vectors], lr=0.05)`. In the loop: `unit = F.normalize(vectors, dim=-1)`, `loss = (others * (unit @ unit.T) ** 4).sum()`, with `others = 1 - torch.eye(n_vectors, device=device)`.",
# ]
# [/exercise]
def nearly_orthogonal(n_vectors: int, dim: int, steps: int, generator: torch.Generator) -> Float[Tensor, "vector dim"]:
    """Vectors of length 1 that start in random directions and are pushed apart by `steps` steps of gradient descent.

    What comes back is detached: autograd's record of the descent stays behind.
    """
    # BEGIN SOLUTION: random directions; descend on the fourth powers of the cosines of all pairs; length 1 at the end
    start = torch.randn(n_vectors, dim, generator=generator, device=generator.device)
    vectors = F.normalize(start.to(device), dim=-1).requires_grad_()
    optimizer = torch.optim.Adam([vectors], lr=0.05)
    others = 1 - torch.eye(n_vectors, device=device)
    for _ in range(steps):
        unit = F.normalize(vectors, dim=-1)
        loss = (others * (unit @ unit.T) ** 4).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return F.normalize(vectors.detach(), dim=-1)
    # END SOLUTION


# %%
check(nearly_orthogonal)

# %% [markdown]
# In the plane one can see what it does. Above, random starts; below, the same vectors after 200 steps.

# %%
numbers = (2, 3, 5)
sets = [nearly_orthogonal(n, 2, steps, torch.Generator().manual_seed(n)) for steps in (0, 200) for n in numbers]
feature_arrows(
    # vectors that are not there are NaN, which draws nothing
    torch.stack([F.pad(vectors.T, (0, max(numbers) - len(vectors)), value=math.nan) for vectors in sets]),
    title="Two, three and five directions in the plane: at random, and pushed apart",
    titles=[f"{len(vectors)} vectors: coherence {coherence(vectors):.2f}" for vectors in sets],
    columns=len(numbers),
)

# %% [markdown]
# **You should see** below, within a hundredth, the best there is. Two vectors are orthogonal. For three or more, the
# *lines* through them divide the half circle into equal angles, $180° / n$ (an arrow may point either way along its
# line): three lines at 60°, with coherence $\cos 60° = .50$, and five at 36°, with $\cos 36° = .81$. The plane is a poor
# place to store features in.
#
# Now more dimensions, and four times as many vectors. For comparison there is a floor that nobody gets beneath: $n$
# vectors in $d$ dimensions have a coherence of at least $\sqrt{(n-d) / (d(n-1))}$, the bound of [Welch
# (1974)](https://doi.org/10.1109/TIT.1974.1055219).

# %%
dims = [4, 8, 16, 32, 64]
start, end, floor = [], [], []
for dim in dims:
    n = 4 * dim
    start.append(coherence(nearly_orthogonal(n, dim, 0, torch.Generator().manual_seed(1))))
    end.append(coherence(nearly_orthogonal(n, dim, 400, torch.Generator().manual_seed(1))))
    floor.append(math.sqrt((n - dim) / (dim * (n - 1))))
lines(
    dims,
    {"at random": start, "pushed apart": end, "Welch's floor": floor},
    title="Four times as many vectors as dimensions: descent does much better than chance",
    x_name="dimensions",
    y_name="coherence",
    log_x=True,
)

# %% [markdown]
# **You should see** that there is room. In 64 dimensions, 256 random vectors have a coherence of .48; pushed apart, of
# .17, where the floor is .11. If few of them are there at a time, four features to a dimension disturb each other
# little.
#
# In few dimensions the trap is open for fourth powers too. Try `nearly_orthogonal(8, 2, 400, …)` with a few generators,
# and among the eight vectors in the plane there will be near twins: four lines, each taken twice, have exactly the same
# sum of fourth powers as eight lines at equal angles. What a loss does not forbid, descent may do.
#
# ## How it grows
#
# How many fit if $\varepsilon$ is fixed and $d$ grows? Exponentially many. The argument has three steps and needs
# nothing but random vectors.
#
# 1. **One pair.** For two independent random directions in $d$ dimensions, $P(|\cos| \ge \varepsilon) \le 2 e^{-d
#    \varepsilon^2 / 2}$. (Directions with $\cos \ge \varepsilon$ to a given one fill a cap of the sphere, and a cap is
#    at most $e^{-d \varepsilon^2 / 2}$ of it: Lemma 2.2 in [Ball
#    1997](https://www.msri.org/publications/books/Book31/files/ball.pdf). The 2 is for the opposite cap.)
# 2. **All pairs.** $N$ vectors have $N(N-1)/2$ pairs. The probability that *some* pair is bad is at most the sum of the
#    probabilities of each: at most $N(N-1)\, e^{-d \varepsilon^2 / 2}$. This is the union bound.
# 3. **So they exist.** If that is less than 1, then with some probability above 0 no pair is bad. What can happen by
#    chance exists: there are $N$ vectors with all $|\cos| < \varepsilon$.
#
# Your function returns the largest $N$ with $N(N-1)\, e^{-d \varepsilon^2 / 2} < 1$. Counting up to it in a loop would
# take for ever when the number has ten digits, but it is the solution of a quadratic equation: with $E = e^{d
# \varepsilon^2 / 2}$, the two sides meet where $N^2 - N - E = 0$.


# %%
# [exercise]
# number = "3.3"
# title = "How many random vectors"
# difficulty = 2
# importance = 4
# minutes = 15
# points = 2
# why = "That the number of features may grow exponentially with the width of a model is the arithmetic behind superposition. It is worth knowing what the argument proves, and how little at widths one can picture."
# hints = [
#     "Solve $N^2 - N - E = 0$ for $N$, with the formula for quadratic equations. Which of the two solutions is positive?",
#     "$N(N-1)$ grows with $N$, so all whole numbers below the positive solution do, and none above. The largest whole number below is its floor, as an `int`.",
#     "The positive solution of $N^2 - N - E = 0$ is $(1 + \\sqrt{1 + 4E}) / 2$. `math.exp`, `math.sqrt`, `math.floor`: the last gives an `int`.",
# ]
# [/exercise]
def random_packing_bound(dim: int, eps: float) -> int:
    """The largest N with N (N - 1) exp(-dim eps² / 2) < 1: this many unit vectors with all |cos| < eps surely exist.

    After the cap bound of Ball (1997), Lemma 2.2, and a union bound over pairs; far from tight in low dimensions.
    dim eps² must stay below 1400, where exp overflows.
    """
    # BEGIN SOLUTION: the whole number just below the positive solution of N² - N = exp(dim eps² / 2)
    pairs = math.exp(dim * eps**2 / 2)
    return math.floor((1 + math.sqrt(1 + 4 * pairs)) / 2)
    # END SOLUTION


# %%
check(random_packing_bound)

# %%
widths = {"our plane": 2, "the toy models to come": 20, "the organism": 128, "GPT-2 small": 768, "GPT-3": 12288}
for name, dim in widths.items():
    bounds = ", ".join(f"{random_packing_bound(dim, eps):.3g}" for eps in (0.3, 0.2, 0.1))
    print(f"{name:22} {dim:6} dimensions; with eps .3, .2, .1: {bounds}")
packed = nearly_orthogonal(512, 128, 200, torch.Generator().manual_seed(0))
print(f"found by descent: 512 vectors in 128 dimensions, all |cos| at most {coherence(packed):.2f}")

# %% [markdown]
# **You should see** two things at once.
#
# - **It is exponential.** In 12,288 dimensions, the width of the largest GPT-3, 20 million million directions fit with
#   all $|\cos| < .1$, and at $.2$ the number has 54 digits.
# - **It is far from tight.** For the organism's 128 dimensions it vouches for 18 vectors at $\varepsilon = .3$, when 128
#   fit without any overlap, and you have just found 512 at .12, where it vouches for one. It says what can surely be had
#   from pure chance, never what cannot be had.
#
# And be careful with what follows. That there is *room* for so many directions does not say that a model *uses* it; and
# coherence bounds the interference of *one* other feature. Whether it pays to use the room depends on how many features
# are there at a time, and on what a model loses by a wrong reading. That is the subject of part 2.
#
# ## Part 2: a model that has to squeeze
#
# Does a model use the room, if nobody makes it? The smallest model that can show superposition has two steps, and you
# have met both. It gets $n$ features as a vector $x$, multiplies it by a matrix $W$ with fewer rows than columns, which
# leaves $d_\text{hidden} < n$ numbers, and then tries to give back the features:

# %%
diagram("toy_model")

# %% [markdown]
# $$h = W x, \qquad \hat x = \operatorname{ReLU}(W^\top h + b)$$
#
# Column $i$ of $W$ is the vector that feature $i$ writes to $h$, its direction times some length. The same column reads
# it back, with a dot product, as $W^\top$ stands in the second step: that is the reading of the last section. $b$ and
# ReLU are what is new. They can *remove* a little interference: with $b_i$ below 0, a reading must exceed $-b_i$ before
# anything is said, and a negative reading says nothing at all.
#
# This is the model of Elhage et al. (2022), and its three ingredients are those that one expects in the hidden layers of
# a large model: more features than dimensions, features that are sparse, and something that is not linear behind. It
# also builds in what we want to study. Features are directions in it, because we wrote it so.
#
# **The data.** Each feature is there with probability $p$, independently of the others; if it is there, its strength is
# uniform between 0 and 1, and if it is not, 0. Small $p$ means sparse features.
#
# **Many models at once.** We shall want to know what happens for many values of $p$. Each model is tiny, and the time a
# computer takes for it is nearly all spent on starting the operations, not on arithmetic. So give every tensor one more
# axis, `instance`, and train a whole family of models side by side, each with its own $p$. That is how to read the
# signature below: `feature_probability` has one entry for each instance.


# %%
# [exercise]
# number = "3.4"
# title = "Sparse features"
# difficulty = 2
# importance = 3
# minutes = 15
# points = 2
# why = "Whatever a toy model does, it does because of its data. Here you know the features, their strengths and how rare they are; of a language model you know none of these."
# hints = [
#     "There are two things to draw for every example, instance and feature: whether the feature is there, and how strongly. Both can be had from `torch.rand`, if the two draws are independent.",
#     "`torch.rand` is below p with probability p. Compare one draw with the probabilities, which have to stand along the instance axis, the second of three, and multiply with another draw.",
#     "`shape = (batch, len(feature_probability), n_features)`; `torch.rand(shape, generator=generator, device=generator.device).to(feature_probability)` gives a draw on the right device, with the right dtype. A feature is there where the first draw is `< feature_probability[:, None]`.",
# ]
# [/exercise]
def generate_batch(
    batch: int, n_features: int, feature_probability: Float[Tensor, "instance"], generator: torch.Generator
) -> Float[Tensor, "batch instance feature"]:
    """Features that are each there with their instance's probability, independently, uniform in [0, 1], and else 0.

    The result has the device and dtype of `feature_probability`. Source: Elhage et al. (2022), with 1 - S as probability.
    """
    # BEGIN SOLUTION: draw for each feature whether it is there, and independently how strongly
    shape = (batch, len(feature_probability), n_features)
    chance = torch.rand(shape, generator=generator, device=generator.device).to(feature_probability)
    strength = torch.rand(shape, generator=generator, device=generator.device).to(feature_probability)
    return strength * (chance < feature_probability[:, None])
    # END SOLUTION


# %%
check(generate_batch)

# %%
probability = torch.tensor([1.0, 0.3, 0.1], device=device)
some = generate_batch(12, 5, probability, torch.Generator().manual_seed(0))
heatmap(
    einops.rearrange(some, "batch instance feature -> batch (instance feature)"),
    title="Twelve examples for three instances: p = 1, .3 and .1",
    x=[f"p {p:.1f}: {feature}" for p in probability for feature in range(5)],
    x_name="instance and feature",
    y_name="example",
    value_name="strength",
)

# %% [markdown]
# **You should see** the left third full, the middle one with about a third of its places filled, and the right one
# nearly empty: most of its examples have no feature at all, or one.
#
# Now the model. `__init__` is given: $W$ with small random entries and $b = 0$, for every instance its own. You write
# `forward`, for all instances at once.


# %%
# [exercise]
# number = "3.5"
# title = "The toy model"
# difficulty = 2
# importance = 4
# minutes = 15
# points = 2
# why = "It is the smallest network that shows superposition, and small enough for everything it does to be drawn. The axis `instance` makes hundreds of experiments out of one."
# hints = [
#     "Follow the shapes: `batch instance feature` meets `instance d_hidden feature`. Which axis is summed away in the first product, and which in the second? What happens to `instance`?",
#     "Two einsums with the same `self.W`; `instance` stands in both inputs and in the output, so that each instance meets its own weights only. Then the bias, then ReLU.",
#     "`h = einops.einsum(x, self.W, \"batch instance feature, instance d_hidden feature -> batch instance d_hidden\")`; the second einsum has the same letters the other way round; then `F.relu(... + self.b)`.",
# ]
# [/exercise]
class ToyModel(nn.Module):
    """Models that press their features through few dimensions and give them back: ReLU(Wᵀ W x + b), one for each instance.

    Source: Elhage et al. (2022), "ReLU output model".
    """

    def __init__(self, n_instances: int, n_features: int, d_hidden: int, generator: torch.Generator):
        super().__init__()
        W = torch.randn(n_instances, d_hidden, n_features, generator=generator, device=generator.device)
        self.W = nn.Parameter((W / math.sqrt(n_features)).to(device))
        self.b = nn.Parameter(torch.zeros(n_instances, n_features, device=device))

    def forward(self, x: Float[Tensor, "batch instance feature"]) -> Float[Tensor, "batch instance feature"]:
        # BEGIN SOLUTION: down through W, up through its transpose, add the bias, ReLU; each instance by itself
        h = einops.einsum(x, self.W, "batch instance feature, instance d_hidden feature -> batch instance d_hidden")
        out = einops.einsum(h, self.W, "batch instance d_hidden, instance d_hidden feature -> batch instance feature")
        return F.relu(out + self.b)
        # END SOLUTION


# %%
check(ToyModel)

# %% [markdown]
# Features are seldom equally useful. In the loss, each has an **importance** $I_i$, and the error made on it counts
# $I_i$ times:
#
# $$L = \frac{1}{\text{batch} \cdot n} \sum_\text{examples} \sum_{i=1}^n I_i \, (x_i - \hat x_i)^2$$
#
# The mean runs over examples and features. The instances stay apart: each has a loss of its own, and one number for each
# comes back.


# %%
# [exercise]
# number = "3.6"
# title = "A loss for each instance"
# difficulty = 1
# importance = 3
# minutes = 5
# points = 1
# why = "What a model spends its few dimensions on is decided here: by how often a feature occurs, and by how much the loss minds its absence."
# hints = [
#     "Which axes are averaged away, and which stays? Is the importance squared along with the error, or not?",
#     "Square the difference, multiply by the importance (its axes `instance feature` are the last two, so broadcasting does the right thing), and take the mean over batch and feature.",
#     "With `error = importance * (x - x_hat) ** 2`, of shape `batch instance feature`: the mean over `dim=(0, 2)`.",
# ]
# [/exercise]
def importance_weighted_loss(
    x_hat: Float[Tensor, "batch instance feature"],
    x: Float[Tensor, "batch instance feature"],
    importance: Float[Tensor, "instance feature"],
) -> Float[Tensor, "instance"]:
    """For each instance, the mean over batch and features of importance · (x - x_hat)²."""
    # BEGIN SOLUTION: squared errors times importance, averaged over the batch and the features
    return (importance * (x - x_hat) ** 2).mean(dim=(0, 2))
    # END SOLUTION


# %%
check(importance_weighted_loss)

# %% [markdown]
# ### Training all of them
#
# `backward` needs one number, and we have one for each instance. Which number should it be: their sum or their mean?
#
# Take the **sum**. Instance $a$'s weights occur in $L_a$ only. So the gradient of $\sum_i L_i$ in these weights is the
# gradient of $L_a$, as if the other instances were not there, and each model learns just as it would alone. The gradient
# of the *mean* is smaller by the number of instances: train 100 models together in place of one, and each learns at a
# hundredth of the rate.
#
# With Adam you would hardly notice the mistake. Adam divides each gradient by a running estimate of its own size, so a
# constant factor cancels (up to the small `eps` in its denominator). With SGD it does not cancel. A mistake that one
# optimizer hides and another shows is worth knowing about, and the check below uses SGD.
#
# Adam helps in another way. Where features are rare, errors are rare too, and the losses of the instances differ a
# hundredfold. With SGD each of them would need a learning rate of its own; with Adam one rate fits all.
#
# The optimizer and the source of batches are handed in. `make_batch()` gives a new batch whenever it is called.


# %%
# [exercise]
# number = "3.7"
# title = "Train many toy models"
# difficulty = 2
# importance = 3
# minutes = 15
# points = 2
# why = "Claims about when superposition happens rest on many models, not on one. Batched like this, a phase diagram with hundreds of trainings is a matter of seconds."
# hints = [
#     "It is the loop of exercise 1.14 with fewer parts. How often is `make_batch` called in each step, and with what is the model's output compared?",
#     "Per step: one batch; the losses of the model's output against that same batch; clear the gradients, backward on the sum of the losses, step. Keep the losses without their graph, and stack them at the end.",
#     "`x = make_batch()`, `loss = importance_weighted_loss(model(x), x, importance)`, `optimizer.zero_grad()`, `loss.sum().backward()`, `optimizer.step()`; collect `loss.detach()` in a list, and `torch.stack` it after the loop.",
# ]
# [/exercise]
def train_toy_models(
    model: nn.Module,
    make_batch: Callable[[], Float[Tensor, "batch instance feature"]],
    importance: Float[Tensor, "instance feature"],
    steps: int,
    optimizer: torch.optim.Optimizer,
) -> Float[Tensor, "step instance"]:
    """The loss of every instance on each step's batch, taken before the step; `model` is trained in place.

    `make_batch` is called once per step. All instances train at once: what is minimised is the sum of their losses.
    The losses come back detached: autograd's record of the steps is not kept.
    """
    # BEGIN SOLUTION: for each step a batch, the losses on it, their sum backward, and a step of the optimizer
    losses = []
    for _ in range(steps):
        x = make_batch()
        loss = importance_weighted_loss(model(x), x, importance)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)
    # END SOLUTION


# %%
check(train_toy_models)

# %% [markdown]
# ## Five features in two dimensions
#
# Here is the experiment. Five features, two hidden dimensions; each feature is .9 times as important as the one before.
# Eight values of $p$, from features that are always there to features that are there one time in fifty. Gradient descent
# does not always find the best solution, so each $p$ gets eight random starts, and we keep the one with the lowest loss:
# 64 models in one run.

# %%
N_FEATURES, D_HIDDEN, STARTS = 5, 2, 8
probabilities = torch.tensor([1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02], device=device)
probability = probabilities.repeat_interleave(STARTS)
importance = (0.9 ** torch.arange(N_FEATURES, device=device)).expand(len(probability), -1)

generator = torch.Generator().manual_seed(0)
model = ToyModel(len(probability), N_FEATURES, D_HIDDEN, generator)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
make_batch = partial(generate_batch, 256, N_FEATURES, probability, generator)
began = time.perf_counter()
losses = train_toy_models(model, make_batch, importance, 2000, optimizer)
print(f"{len(probability)} models, {len(losses)} steps: {time.perf_counter() - began:.0f} seconds")

# %%
smooth = losses.unflatten(0, (-1, 100)).mean(1).unflatten(1, (-1, STARTS)).cpu()
lines(
    torch.arange(len(smooth)) * 100 + 50,
    {f"p {probabilities[i]:.2f}": smooth[:, i].min(dim=-1).values for i in (0, 3, 5, 7)},
    title="All level out within a few hundred steps (the best of eight starts, four of the probabilities)",
    x_name="step",
    y_name="loss",
    log_y=True,
)

# %% [markdown]
# **You should see** all of them level out within a few hundred steps, at losses that differ by a factor of about 100
# from the densest to the sparsest. Now look at what the models have made of it: the columns of $W$, one arrow for each
# feature.

# %%
last = losses[-500:].mean(0).unflatten(0, (-1, STARTS))
best = last.argmin(dim=-1) + STARTS * torch.arange(len(probabilities), device=device)
feature_arrows(
    model.W[best],
    title="Five features in two dimensions, from dense (top left) to sparse (bottom right)",
    titles=[f"p {p:.2f}" for p in probabilities],
    names=[f"{i}: I = {value:.2f}" for i, value in enumerate(importance[0])],
)

# %% [markdown]
# **You should see** three kinds of pictures.
#
# - **p = 1 and .7.** Two orthogonal arrows of length 1, for the two most important features. The others are not there
#   (at .7, the third begins to show). No superposition, or hardly any: two dimensions, two features.
# - **p from .5 to .2.** Four arrows, in two opposite pairs. Each pair shares a dimension, one feature in either
#   direction. The least important feature is left out.
# - **p = .1 and less.** Five arrows, about 72° apart: a pentagon. All features are there, and no two of them are
#   orthogonal. The arrows are a little longer than 1, which makes up for biases of about −.2 (`model.b[best]`), and
#   these silence the interference of a neighbour unless the neighbour is strong.
#
# So the same model, with the same room and the same importance, uses superposition or not, and what decides is sparsity.
# The reason is the balance that you know from the formula of interference. If features are always there, an overlap
# costs something in every example, and it is better to keep two features clean and to give up three. If they are rare,
# two that overlap seldom meet. To share costs little then, while to leave a feature out costs as much per occurrence as
# before.
#
# Note also what is *not* as in the packings. There, opposite directions were the worst case, with $|\cos| = 1$. Here
# opposite pairs are the *favourite*: ReLU removes a negative reading, so interference below 0 costs nothing unless the
# feature that is read is there too. That is why what comes out is five arrows 72° apart, and not the best packing of
# five lines, 36° apart.
#
# How much does it gain? Without superposition, the model can do no better than keep the two most important features and
# answer each of the others with one fixed number: the mean, $p/2$. It then pays the variance of $x_i$, which is $p/3 -
# p^2/4$, for each of the three. That is a closed form, and we can divide by it.

# %%
variance = probabilities / 3 - probabilities**2 / 4
without = (importance[0, D_HIDDEN:].sum() * variance) / N_FEATURES
lines(
    probabilities.cpu(),
    {"five features in two dimensions": (last.min(dim=-1).values / without).cpu()},
    title="The rarer the features, the more superposition saves",
    x_name="probability p of each feature",
    y_name="loss / loss without superposition",
    log_x=True,
    references={"no superposition": 1.0},
)

# %% [markdown]
# **You should see** 1 at the right: there the models pay what the formula says, since they do what it assumes. Then it
# falls: .87 at $p = .5$, .6 at .3, a third at .1, and about .13 at .02. Superposition is not free, but where features
# are rare it costs a fraction of what it saves.
#
# ### What batching is worth
#
# You have trained 64 models. What would it have cost to train them one after another? For each step there are as many
# operations to start for one model as for 64.


# %%
def seconds_for(n_instances: int, steps: int = 30) -> float:
    """Seconds that a batched training of this many models takes."""
    generator = torch.Generator().manual_seed(0)
    model = ToyModel(n_instances, N_FEATURES, D_HIDDEN, generator)
    make_batch = partial(generate_batch, 256, N_FEATURES, torch.full((n_instances,), 0.1, device=device), generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    began = time.perf_counter()
    train_toy_models(model, make_batch, torch.ones(n_instances, N_FEATURES, device=device), steps, optimizer)
    return time.perf_counter() - began


seconds_for(1)  # the first run does not count
single = min(seconds_for(1) for _ in range(3))
for n_instances in (1, 4, 16, 64):
    batched = min(seconds_for(n_instances) for _ in range(3))
    print(
        f"{n_instances:3} models: {n_instances * single / batched:5.1f} times faster in one run than one after another"
    )

# %% [markdown]
# **You should see** a factor that grows with the number of models. On the computer that made this notebook, 64 models in
# one run took less than a tenth of the time that they would have taken one after another.
#
# It is the same trick as with the heads of chapter 2, which you ablated in one batch: when many small things have to be
# computed, give them an axis. Next you use it for something that needs hundreds of models: a map of when superposition
# happens, and when it does not.

# %% [markdown]
# ## How much of a dimension does a feature get?
#
# An arrow in a plane can be looked at. In ten dimensions we need numbers. Write $W_i$ for the column of $W$ that belongs
# to feature $i$, its **direction**, and $\hat W_i = W_i / \lVert W_i \rVert$ for the same with length 1. Elhage et al.
# (2022) define the **dimensionality** of a feature as
#
# $$D_i = \frac{\lVert W_i \rVert^2}{\sum_j (\hat W_i \cdot W_j)^2}.$$
#
# Above stands how strongly the feature is represented. Below stands how much of *everything* lies along its direction:
# the feature itself, which is the term $j = i$ and gives $\lVert W_i \rVert^2$ again, and what the others put there. So
# $D_i$ is the feature's share of the room that it lives in:
#
# | arrangement | in how many dimensions | $D_i$ of each |
# |---|---|---|
# | alone, all others orthogonal to it | 1 | 1 |
# | two opposite arrows, a **digon** | 1 | 1/2 |
# | triangle | 2 | 2/3 |
# | square (two digons that cross) | 2 | 1/2 |
# | pentagon | 2 | 2/5 |
# | tetrahedron | 3 | 3/4 |
# | not represented, $W_i = 0$ | | 0, by definition |
#
# Multiply each share by the number of arrows: 2 · 1/2, 3 · 2/3, 5 · 2/5, 4 · 3/4. All of these add up to just the
# number of dimensions. They never add up to more: for any $W$ at all, $\sum_i D_i \le d_\text{hidden}$. Dimensions are a
# budget, and $D_i$ says how it is spent.
#
# One arrow is normalised in the denominator, $\hat W_i$, and the others are not: a neighbour that is hardly represented
# takes hardly any room. The cell below makes polygons, so that you can try your function on the table.


# %%
def polygon(corners: int) -> Float[Tensor, "2 feature"]:
    """The corners of a regular polygon around 0 as columns; a digon for 2 of them."""
    angles = 2 * math.pi * torch.arange(corners, device=device) / corners
    return torch.stack([angles.cos(), angles.sin()])


# %%
# [exercise]
# number = "3.8"
# title = "The dimensionality of a feature"
# difficulty = 2
# importance = 4
# minutes = 15
# points = 2
# why = "It turns a picture of arrows into a number that works in any number of dimensions, and tells a feature with a place of its own from one that shares."
# hints = [
#     "Write the overlaps as a matrix: row i, column j holds the dot product of feature i's unit direction with feature j's own direction. Over which axis is W normalised?",
#     "Features are columns: the lengths are norms over the axis d_hidden, which is axis 1. Square the overlaps, sum over j, and divide the squared length of i by that. A zero vector must not become 0/0.",
#     "`F.normalize(W, dim=1)` gives unit directions and leaves zeros zero. `overlaps = einops.einsum(unit, W, \"instance d_hidden i, instance d_hidden j -> instance i j\")`; squares, sum over the last axis, `.clamp_min(tiny)` with `tiny = torch.finfo(W.dtype).tiny`.",
# ]
# [/exercise]
def feature_dimensionality(W: Float[Tensor, "instance d_hidden feature"]) -> Float[Tensor, "instance feature"]:
    """The share of a dimension that each feature has to itself, between 0 and 1; 0 for a feature whose vector is 0.

    After Elhage et al. (2022), https://transformer-circuits.pub/2022/toy_model, "The Geometry of Superposition".
    """
    # BEGIN SOLUTION: squared length over the sum of squared overlaps of the unit direction with all features
    unit = F.normalize(W, dim=1)
    overlaps = einops.einsum(unit, W, "instance d_hidden i, instance d_hidden j -> instance i j")
    room = overlaps.square().sum(dim=-1)
    return W.square().sum(dim=1) / room.clamp_min(torch.finfo(W.dtype).tiny)
    # END SOLUTION


# %%
check(feature_dimensionality)

# %%
for corners in range(2, 8):
    D = feature_dimensionality(polygon(corners)[None])[0]
    print(f"{corners} corners: D = {D[0]:.3f} each, {D.sum():.2f} in all")

# %% [markdown]
# **You should see** a half for the digon, and 2/corners for all others. The digon uses one of the two dimensions only,
# every other polygon both.
#
# ([Scherlis et al. 2022](https://arxiv.org/abs/2210.01892) arrive at the same ratio from another side and call it
# capacity: the loss divides a fixed amount of it among the features, until a little more would help each of those that
# share equally.)
#
# ### Dimensions over sparsity
#
# Now 24 models at once: 40 features of equal importance, 10 dimensions, and in each model the features are there with
# another probability, from always down to once in twenty inputs. Each point of the figure is one feature of one
# model.

# %%
N_UNIFORM, D_UNIFORM = 40, 10  # features of equal importance, and dimensions
uniform_probability = torch.logspace(0, -1.3, 24, device=device)
generator = torch.Generator().manual_seed(0)
uniform_models = ToyModel(len(uniform_probability), N_UNIFORM, D_UNIFORM, generator)
equal = torch.ones(len(uniform_probability), N_UNIFORM, device=device)
losses = train_toy_models(
    uniform_models,
    partial(generate_batch, 256, N_UNIFORM, uniform_probability, generator),
    equal,
    2000,
    torch.optim.Adam(uniform_models.parameters(), lr=3e-3),
)

# %%
W = uniform_models.W.detach()
D = feature_dimensionality(W)
points(
    {"a feature": ((1 / uniform_probability)[:, None].expand_as(D).flatten(), D.flatten())},
    title="A level stretch at one half, then down to a quarter: shares of a dimension of 40 features in 10 dimensions",
    x_name="1 / probability that a feature is there",
    y_name="dimensionality of a feature",
    log_x=True,
    references={"its own": 1, "digon": 1 / 2, "all 40 alike": D_UNIFORM / N_UNIFORM},
)

# %%
lines(
    1 / uniform_probability,
    {
        "features with a length above ½": (W.norm(dim=1) > 0.5).sum(dim=-1),
        "sum of all dimensionalities": D.sum(dim=-1),
    },
    title="The rarer the features, the more are represented, in the same ten dimensions",
    x_name="1 / probability that a feature is there",
    y_name="count",
    log_x=True,
    references={"dimensions": D_UNIFORM},
)

# %% [markdown]
# **You should see** a step. On the left, where features are nearly always there, the shares are of all sizes. Then comes
# a level stretch, from $1/p = 1.7$ to 3.2: 18 to 20 features have just a half each, and the others little, or from 2.5
# on nothing, while $p$ falls from .6 to .3. Beyond it, the shares slide down to a quarter, $10/40$, where all 40
# features are represented and share alike. No feature at all has a dimension to itself. And the orange line says that
# the budget is always spent, to within a quarter of a percent.
#
# (At $p = 1$ all inputs are dense, and the 40 features vary independently and equally. There is no best set of ten
# directions then: what you see there is an accident of the start.)
#
# Look inside one model of the level stretch. Only features that are represented are shown, sorted so that each
# stands beside the one that lies most opposite to it; the colour is the cosine between two directions.

# %%
shown = (uniform_probability - 0.32).abs().argmin()  # which model
kept = (W[shown].norm(dim=0) > 0.5).nonzero().flatten()
cosines = F.normalize(W[shown][:, kept], dim=0).T @ F.normalize(W[shown][:, kept], dim=0)
# each feature takes the place of the earlier of itself and its nearest opposite
order = torch.minimum(cosines.argmin(dim=-1), torch.arange(len(kept), device=device)).argsort(stable=True)
heatmap(
    cosines[order][:, order],
    title=f"Cosines between the {len(kept)} features of one model, each there in {100 * uniform_probability[shown]:.0f} % of inputs",
    x=kept[order].tolist(),
    y=kept[order].tolist(),
    x_name="feature",
    y_name="feature",
    value_name="cosine",
    signed=True,
)

# %% [markdown]
# **You should see** 20 features in ten pairs, each pair opposite to each other, and everything else white: ten digons
# along ten orthogonal lines. (Elhage et al. call such a set of shapes, each in a space orthogonal to all others, a tegum
# product.)
#
# ### Which shape, and when
#
# Do models find the other shapes of the table as well? In ten dimensions they would stand side by side, and be hard to
# tell apart. So take three sizes in which they come one at a time: 3 features in 2 dimensions, 4 in 3, and 5 in 2. All
# features are equally important, and there are 20 values of $p$ for each size, with twelve starts.
#
# Two things are new. All starts of a $p$ get the *same* inputs, so that the best of them is better, and not luckier. And
# the learning rate falls in steps: with .1 a model does not stay in the first valley of its loss that it comes to, and
# with .002, on larger batches, it settles in the last.


# %%
def train_shapes(
    n_features: int, d_hidden: int, probability: Float[Tensor, "p"], starts: int = 12
) -> tuple[ToyModel, Float[Tensor, "p start"]]:
    """Models with equally important features, `starts` of them for each probability, and what each one's loss is in the end."""
    generator = torch.Generator().manual_seed(0)
    models = ToyModel(len(probability) * starts, n_features, d_hidden, generator)
    optimizer = torch.optim.Adam(models.parameters())
    equal = torch.ones(len(probability) * starts, n_features, device=device)

    def same_inputs(batch: int) -> Float[Tensor, "batch instance feature"]:
        return generate_batch(batch, n_features, probability, generator).repeat_interleave(starts, dim=1)

    for rate, batch, steps in ((0.1, 128, 400), (0.01, 256, 200), (0.002, 800, 200)):
        optimizer.param_groups[0]["lr"] = rate
        losses = train_toy_models(models, partial(same_inputs, batch), equal, steps, optimizer)
    return models, losses.mean(dim=0).unflatten(0, (-1, starts))


sizes = {
    "3 features in 2 dimensions": (3, 2),
    "4 features in 3 dimensions": (4, 3),
    "5 features in 2 dimensions": (5, 2),
}
# the sizes take turns along the axis of the figure, so that no point hides another
in_turn = torch.logspace(math.log10(1 / 1.3), -1, 60, device=device)
shape_probability = {size: in_turn[i :: len(sizes)] for i, size in enumerate(sizes)}
began = time.perf_counter()
trained_shapes = {size: train_shapes(n, d, shape_probability[size]) for size, (n, d) in sizes.items()}
print(f"{12 * len(in_turn)} models: {time.perf_counter() - began:.0f} seconds")

# %%
SHAPES = {"its own": 1, "tetrahedron": 3 / 4, "triangle": 2 / 3, "digon": 1 / 2, "pentagon": 2 / 5}
best_W = {}
for size, (models, losses) in trained_shapes.items():
    W_of_starts = models.W.detach().unflatten(0, losses.shape)
    best_W[size] = W_of_starts[torch.arange(len(losses)), losses.argmin(dim=-1)]
shares = {size: feature_dimensionality(best) for size, best in best_W.items()}

represented = {size: shares[size][best_W[size].norm(dim=1) > 0.5] for size in shares}
every = torch.cat(list(represented.values()))
near = {shape: ((every - share).abs() < 0.02).sum().item() for shape, share in SHAPES.items()}
print(f"{len(every)} features with a length above ½, of which {sum(near.values())} are within .02 of a shape:")
print(", ".join(f"{shape} {count}" for shape, count in near.items()))

points(
    {
        size: ((1 / shape_probability[size])[:, None].expand_as(share).flatten(), share.flatten())
        for size, share in shares.items()
    },
    title="The shares stick: at one, three quarters, two thirds, a half, and two fifths",
    x_name="1 / probability that a feature is there",
    y_name="dimensionality of a feature",
    log_x=True,
    references=SHAPES,
)

# %%
in_plane = "5 features in 2 dimensions"
pictures = [(shape_probability[in_plane] - p).abs().argmin().item() for p in (0.7, 0.35, 0.1)]
feature_arrows(
    best_W[in_plane][pictures],
    title="Five equally important features in two dimensions: a triangle, two digons, a pentagon",
    titles=[f"p {shape_probability[in_plane][i]:.2f}" for i in pictures],
    names=[f"feature {i}" for i in range(5)],
    columns=3,
)

# %% [markdown]
# **You should see** shares on the dashed lines and hardly any between them: here 225 of the 227 features that are
# represented lie within .02 of one of the five. The shares do not slide as $p$ falls. They stick, and then jump to the
# next line.
#
# - **3 in 2**: a triangle, 2/3 for each, as long as features are there more than half of the time. From $p = .51$ on a
#   digon and one feature by itself.
# - **4 in 3**: in the same way first a tetrahedron, 3/4 for each, and then a digon and two by themselves.
# - **5 in 2**: three shapes. A triangle at $p = .72$, with two features left out; two digons from .65 to .23, with one
#   left out; a pentagon from .21 on, 2/5 for each. The arrows show one model of each kind.
#
# It is the lowest loss that decides, and not the start: with two other seeds the same shapes came in the same order, and
# the jumps moved by a step at most. Elhage et al. find these lines with 400 features in 30 dimensions, where shapes of
# several kinds stand side by side in one model.
#
# Why does a triangle pay only where features are frequent? After exercise 3.11 you can say.
#
# ## What the company costs
#
# A feature that shares its dimension hears the others. Before bias and ReLU, output $i$ is
#
# $$(W^\top W x)_i = \underbrace{\lVert W_i \rVert^2 x_i}_{\text{its own}} + \underbrace{\sum_{j \ne i} (W_i \cdot W_j)\, x_j}_{\text{interference}}.$$
#
# How large is the interference on average? We know how the inputs are made: $x_j$ is there with probability $p$, and
# then uniform in [0, 1]. So
#
# $$\mathbb{E}[x_j] = \frac{p}{2}, \qquad \mathbb{E}[x_j^2] = \frac{p}{3}, \qquad \operatorname{Var}[x_j] = \frac{p}{3} - \frac{p^2}{4}.$$
#
# With $a_j = W_i \cdot W_j$, the interference is a sum of independent terms. Its variance is the sum of the variances,
# its mean the sum of the means, and the mean of a square is the variance plus the mean squared:
#
# $$\mathbb{E}\Big[\Big(\sum_{j \ne i} a_j x_j\Big)^2\Big] = \Big(\frac{p}{3} - \frac{p^2}{4}\Big) \sum_{j \ne i} a_j^2 + \Big(\frac{p}{2} \sum_{j \ne i} a_j\Big)^2 .$$
#
# The first part has $p$ in it, the second $p^2$: when features are rare, what counts is $\sum a_j^2$, which is the
# denominator of $D_i$ without $i$'s own term, times $\lVert W_i \rVert^2$. Here a feature meets others *with the length
# that it has*: both vectors of the dot product are used as they are.


# %%
# [exercise]
# number = "3.9"
# title = "Expected interference"
# difficulty = 2
# importance = 3
# minutes = 15
# points = 2
# why = "Superposition is a bargain: more features for some noise. This is the price, computed from the weights alone, before a single input is seen."
# hints = [
#     "For one feature i you need two sums over the others: of a_j, and of a_j squared. Where do you take out j = i?",
#     "All a_j at once are the matrix WᵀW of each instance. Set its diagonal to 0; then the two sums run over the last axis. Each instance has a probability of its own: which shape must p have to meet [instance, feature]?",
#     "`a = einops.einsum(W, W, \"instance d_hidden i, instance d_hidden j -> instance i j\")`, times `1 - torch.eye(n_features)`; `p = probability[:, None]`; then the formula, with `a.square().sum(-1)` and `a.sum(-1)`.",
# ]
# [/exercise]
def expected_interference(
    W: Float[Tensor, "instance d_hidden feature"], probability: Float[Tensor, "instance"]
) -> Float[Tensor, "instance feature"]:
    """The mean square of what all other features add to each feature's output, before bias and ReLU.

    Every feature is there with its instance's probability, independently of others, and then uniform in [0, 1]. The
    result has the dtype of `W`.
    """
    # BEGIN SOLUTION: variance times the sum of squared overlaps, plus the square of the mean times their sum
    overlaps = einops.einsum(W, W, "instance d_hidden i, instance d_hidden j -> instance i j")
    others = overlaps * (1 - torch.eye(W.shape[-1], dtype=W.dtype, device=W.device))
    p = probability[:, None]
    mean, variance = p / 2, p / 3 - p**2 / 4
    return variance * others.square().sum(dim=-1) + (mean * others.sum(dim=-1)) ** 2
    # END SOLUTION


# %%
check(expected_interference)

# %% [markdown]
# Does it hold? Feed the trained models 4000 inputs, take each feature's own part away, and compare.

# %%
with torch.no_grad():
    x = generate_batch(4000, N_UNIFORM, uniform_probability, generator)
    before_bias = einops.einsum(
        uniform_models.W, uniform_models.W, x, "i d out, i d feature, batch i feature -> batch i out"
    )
    interference = before_bias - W.square().sum(dim=1) * x
    measured = interference.square().mean(dim=0)
    error = (uniform_models(x) - x).square().mean(dim=0)

predicted = expected_interference(W, uniform_probability)
points(
    {"a feature": (predicted.flatten(), measured.flatten())},
    title="Interference on every feature of 24 models: measured on 4000 inputs, over what the formula says",
    x_name="by the formula",
    y_name="measured",
    log_x=True,
    log_y=True,
    diagonal=True,
)

# %% [markdown]
# **You should see** all 960 points on the dashed line. Weights and sparsity are enough to say how much noise there is.
#
# Is that what the model loses? No: it has a bias and a ReLU. A rare feature is nearly always absent, and then its right
# output is 0. Interference below 0 is cut off by the ReLU, for free. Interference just above 0 can be cut off too, by a
# bias a little below 0, which costs something only when the feature is there. So compare the interference with the
# error that is left, both as shares of $p/3$, the mean square of a feature.

# %%
lines(
    1 / uniform_probability,
    {
        "interference, before bias and ReLU": (predicted / (uniform_probability[:, None] / 3)).mean(dim=-1),
        "error after bias and ReLU": (error / (uniform_probability[:, None] / 3)).mean(dim=-1),
        "mean bias": uniform_models.b.detach().mean(dim=-1),
    },
    title="ReLU and bias take most of the interference away, where features are rare",
    x_name="1 / probability that a feature is there",
    y_name="share of a feature's mean square (bias: as it is)",
    log_x=True,
)

# %% [markdown]
# **You should see** the two upper curves close together on the left, where little can be filtered, and far apart on the
# right: at $p = .05$ the interference is 4.7 times as large as the feature itself, in mean square, and an error of 0.23
# is left. There the bias is −.34 on average. This is why superposition needs something that is not linear. A linear
# model with more features than dimensions has to live with all of the interference, and then it is better off without
# the features.
#
# ## The phase diagram
#
# For which features does a model use superposition? Take the smallest case there is: two features, one dimension. The
# first has importance 1, the second importance $I$. There are three things that a model can do:
#
# | what becomes of the **second** feature | $W$ | first output | second output |
# |---|---|---|---|
# | 0: it is not represented | $(1, 0)$ | $x_0$ | a constant |
# | 1: it has the dimension to itself | $(0, 1)$ | a constant | $x_1$ |
# | 2: superposition, an antipodal pair | $(1, -1)$ | $\operatorname{ReLU}(x_0 - x_1)$ | $\operatorname{ReLU}(x_1 - x_0)$ |
#
# First a function that looks at a trained $W$, of any size, and says which of the three it is, for one feature. Two
# numbers decide: the length $\lVert W_i \rVert$, and the sum of what *others* put along the feature's direction,
# $\sum_{j \ne i} (\hat W_i \cdot W_j)^2$, which is the denominator of $D_i$ without its own term. Below `min_norm` in
# length: 0, whatever else. Otherwise, above `max_overlap` in company: 2. Otherwise 1.
#
# Trained weights are seldom exactly 0 or 1, and where we draw the lines is our choice. If a result depends on that
# choice, it is no result: vary the two thresholds afterwards and see.


# %%
# [exercise]
# number = "3.10"
# title = "What became of a feature"
# difficulty = 2
# importance = 2
# minutes = 10
# points = 1
# why = "To draw a map of hundreds of models, somebody has to look at each. This function does, and its thresholds are stated where everybody can see them."
# hints = [
#     "You need one direction of each instance, `W[:, :, feature]`, and its dot products with all columns. Which of the two is normalised?",
#     "As in 3.8, but for one feature, and without the term j = i in the sum. Then two questions in the right order: an unrepresented feature is 0 even if its tiny vector lies along another one.",
#     "`torch.where(norm < min_norm, 0, torch.where(company > max_overlap, 2, 1))`, where `company` is `((unit · W)²).sum(-1)` minus the feature's own `norm²`.",
# ]
# [/exercise]
def phase(
    W: Float[Tensor, "instance d_hidden feature"], feature: int, *, min_norm: float = 0.5, max_overlap: float = 0.25
) -> Int[Tensor, "instance"]:
    """What became of the feature in each instance: 0 not represented, 1 alone in its direction, 2 in superposition.

    Not represented: shorter than `min_norm`. In superposition: the squared projections of all other features on its
    unit direction sum to more than `max_overlap`.
    """
    # BEGIN SOLUTION: the feature's length, and what others put along its unit direction
    own = W[:, :, feature]
    norm = own.norm(dim=-1)
    overlaps = einops.einsum(
        F.normalize(own, dim=-1), W, "instance d_hidden, instance d_hidden feature -> instance feature"
    )
    company = overlaps.square().sum(dim=-1) - norm.square()
    return torch.where(norm < min_norm, 0, torch.where(company > max_overlap, 2, 1))
    # END SOLUTION


# %%
check(phase)

# %% [markdown]
# Before you train, **predict**. What is the expected loss of each of the three, for given $p$ and $I$? The loss is the
# one of exercise 3.6: importance times squared error, averaged over the two features.
#
# - **Not represented.** The output is a constant, thanks to the bias. The best constant is the mean, and the error that
#   is left then has a name that you know from exercise 3.9.
# - **Represented alone.** No error.
# - **Antipodal**, with $W = (1, -1)$ and no bias. If only one of the two is there, its own output is right, and the
#   other output is ReLU of something negative, 0, which is right as well. If both are there, say with $x_0 > x_1$: the
#   outputs are $x_0 - x_1$ and 0, where $x_0$ and $x_1$ would be right. How far off is each? How likely is it that both
#   are there? And what is the mean square of that error, when $x_0$ and $x_1$ are uniform in [0, 1]? (Think, integrate,
#   or draw a million pairs.)


# %%
# [exercise]
# number = "3.11"
# title = "Three losses in closed form"
# difficulty = 3
# importance = 3
# minutes = 20
# points = 2
# why = "A diagram that you predicted before you measured it is understood. Here the whole phase change is three formulas, and one looks at which is lowest."
# hints = [
#     "The mean square error of guessing a variable's mean is its variance. In the antipodal pair, when both are there, both outputs are off by the same number: which of x_0, x_1 is it?",
#     "Both errors are min(x_0, x_1). The smaller of two uniform numbers is above m with probability (1 - m)², so its density is 2(1 - m), and its mean square is the integral of m² · 2(1 - m) from 0 to 1. Both are there with probability p².",
#     "With variance = p/3 - p²/4: importance · variance / 2, variance / 2, and (1 + importance) · p² / 6 / 2. The halves are the mean over two features. `torch.stack` puts them on a new first axis.",
# ]
# [/exercise]
def solution_losses(
    probability: Float[Tensor, "*grid"], importance: Float[Tensor, "*grid"]
) -> Float[Tensor, "solution *grid"]:
    """Expected loss of three ways to put two features, of importance 1 and `importance`, into one dimension.

    In this order: the second is not represented, the first is not, and an antipodal pair W = (1, -1) with bias 0. A
    feature that is not represented is answered by its mean. The two arguments have the same shape, whichever it is.
    """
    # BEGIN SOLUTION: the variance of what is not represented; the squared minimum when both are there; mean over features
    variance = probability / 3 - probability**2 / 4
    clash = probability**2 / 6  # both there, and the smaller one is lost: its mean square is 1/6
    return torch.stack([importance * variance / 2, variance / 2, (1 + importance) * clash / 2])
    # END SOLUTION


# %%
check(solution_losses)

# %% [markdown]
# Now the experiment: a map of 14 × 13 cells, probability across and importance up, and in each cell six models from
# different random starts, of which the one with the lowest loss counts. That is 1092 models, trained in one run.

# %%
CELL_STARTS = 6
across = torch.logspace(0, -2, 14, device=device)  # probability
up = torch.logspace(1, -1, 13, device=device)  # relative importance
cell_probability, cell_importance = torch.meshgrid(across, up, indexing="xy")  # [importance, probability]

probability_of_each = cell_probability.flatten().repeat(CELL_STARTS)
importance_of_each = torch.stack(
    [torch.ones_like(probability_of_each), cell_importance.flatten().repeat(CELL_STARTS)], dim=-1
)
generator = torch.Generator().manual_seed(0)
pair_models = ToyModel(len(probability_of_each), 2, 1, generator)
losses = train_toy_models(
    pair_models,
    partial(generate_batch, 64, 2, probability_of_each, generator),
    # a relative importance of 10 and one of 0.1 are the same model with the features exchanged: equal sums for all
    importance_of_each / importance_of_each.sum(dim=-1, keepdim=True),
    1000,
    torch.optim.Adam(pair_models.parameters(), lr=2e-2),
)

# %%
best = losses[-200:].mean(dim=0).view(CELL_STARTS, -1).argmin(dim=0)
trained = phase(pair_models.W.detach(), feature=1).view(CELL_STARTS, -1)
trained = trained[best, torch.arange(len(best), device=device)].view_as(cell_probability)
predicted = solution_losses(cell_probability, cell_importance).argmin(dim=0)
print(f"{(trained == predicted).sum()} of {trained.numel()} cells are as predicted")

regions(
    {"predicted by three formulas": predicted, "trained": trained},
    ["not represented", "a dimension of its own", "superposition"],
    title="What becomes of the second of two features in one dimension: training follows the formulas",
    x=[f"{1 / p:.2g}" for p in across],
    y=[f"{importance:.2g}" for importance in up],
    x_name="1 / probability of a feature",
    y_name="importance of the second",
)

# %% [markdown]
# **You should see** the same three regions on both sides: nearly all cells are as predicted, here 178 of 182. Where
# features are frequent, the more important one gets the dimension and the other gets nothing. Where they are rare, both
# share it. In between there is no gradual change: with $W = (1, -1)$ a model is in a valley of its own, and where the
# lowest valley changes from one to another, the solution jumps. Elhage et al. (2022) call it a phase change.
#
# The border is where two of the formulas are equal. For $I \le 1$, superposition wins if $(1 + I)\, p^2/6 < I\, (p/3 -
# p^2/4)$, that is for
#
# $$p < \frac{2I}{1 + 2.5\, I}.$$
#
# For $I = 1$ that is $p < .57$. A feature of a tenth of the importance has to be rarer, $p < .16$. The cells that
# differ lie on the border, where two solutions cost nearly the same; and in the corner $p = 1$, $I = 1$, where both
# features are always there and equally important, and every direction of $W$ is as good as any other. The formulas are
# not the whole truth, either: a trained pair may have a bias and be a little longer than 1, and then costs a little
# less than the third formula says.
#
# ### When a triangle pays
#
# Three features, two dimensions, as above. Take a digon and one feature by itself: one of the three possible pairs
# clashes, and both of its outputs are off by the smaller number, which makes $2 \cdot p^2/6$. Take a triangle: all three
# pairs clash, but only at 120°. If just two are there, both outputs are off by $\min(x_0, x_1 / 2)$, whose mean square is
# 1/16. If all three are, each is off by $\min(x_0, (x_1 + x_2) / 2)$, with a mean square of 1/6. That makes
#
# $$6 \cdot p^2 (1 - p) \cdot \tfrac{1}{16} + 3 \cdot p^3 \cdot \tfrac16 \;=\; \tfrac38\, p^2 + \tfrac18\, p^3
# \quad\text{against}\quad \tfrac13\, p^2.$$
#
# So by the formulas, which have no bias, a triangle never pays. Compare with what you have trained: the best start that
# found a triangle, and the best that did not.

# %%
three = "3 features in 2 dimensions"
models, losses = trained_shapes[three]
shares_of_starts = feature_dimensionality(models.W.detach()).unflatten(0, losses.shape)
is_triangle = ((shares_of_starts - 2 / 3).abs() < 0.03).all(dim=-1)
bias = models.b.detach().unflatten(0, losses.shape).mean(dim=-1)
triangles, others = losses.where(is_triangle, torch.inf), losses.where(~is_triangle, torch.inf)
print("        formula, no bias     trained, best of the starts")
print("   p    triangle   digon     triangle, bias    other")
for i, p in enumerate(shape_probability[three][:7].tolist()):
    found = f"{triangles[i].min():.4f}    {bias[i, triangles[i].argmin()]:.2f}"
    found = found if is_triangle[i].any() else "none found    "
    print(f"{p:.2f}     {p**2 / 8 + p**3 / 24:.4f}   {p**2 / 9:.4f}       {found}    {others[i].min():.4f}")

# %% [markdown]
# **You should see** two things: where features are frequent, all starts do far better than the formulas say, and there
# the triangle is the best of them. Both come from the bias, which is well above 0.
#
# Where features are frequent, an output hears others most of the time, and what it hears is negative: $-p/2$ on average,
# from one voice at full strength in a digon, or from two at half strength in a triangle. A bias can give that average
# back. What no bias can give back is how much it *varies*. The variance of two voices at half strength is half of that of
# one at full strength, and so three outputs of a triangle suffer less than two of a digon: $3 \cdot \frac12$ against 2.
#
# Where features are rare, an output seldom hears anything, ReLU removes what it hears, and the best bias is near 0. There
# the formulas hold, and a third is less than three eighths.
#
# ## Features that come together, and features that exclude each other
#
# So far features were independent. Real ones are not: where there is "Eiffel" there is Paris, and a text is in English
# *or* in French. Two simple kinds of dependence, for features in pairs (0 and 1, 2 and 3, and so on):
#
# - **correlated**: both of a pair are there or neither is, each with a strength of its own;
# - **anticorrelated**: at most one of a pair is there.
#
# In both, a single feature is there with the instance's probability $p$, as before, so that any difference in what a
# model learns comes from the company alone. Different pairs are independent, and so are different instances. Here is a
# line that draws numbers as `generate_batch` does; use it for chances and strengths.


# %%
def uniform_like(like: Float[Tensor, "..."], *shape: int, generator: torch.Generator) -> Float[Tensor, "..."]:
    """Numbers between 0 and 1 of this shape, drawn from the generator; of the dtype, and on the device, of `like`."""
    return torch.rand(*shape, generator=generator, device=generator.device).to(like)


# %%
# [exercise]
# number = "3.12"
# title = "Features that come in pairs"
# difficulty = 2
# importance = 2
# minutes = 10
# points = 1
# why = "Independence is the assumption of toy models that real text breaks first. To see what changes, one has to be able to break it alone."
# hints = [
#     "How many chances do you have to draw for one input, if both of a pair share theirs? And how many strengths?",
#     "Chances of the shape batch, instance, pair; strengths of the shape batch, instance, pair, 2. The chance decides for both, and at the end the last two axes become one.",
#     "`there = uniform_like(probability, batch, n_instances, n_pairs, generator=generator) < probability[:, None]`; then `(strength * there[..., None]).flatten(-2)`, in which features 2k and 2k + 1 are neighbours.",
# ]
# [/exercise]
def correlated_batch(
    batch: int, n_pairs: int, probability: Float[Tensor, "instance"], generator: torch.Generator
) -> Float[Tensor, "batch instance feature"]:
    """Inputs in which features 2k and 2k + 1 are both there, with the instance's probability, or both 0.

    Magnitudes are uniform in [0, 1] and independent, also within a pair; so are different pairs, instances and inputs.
    Lives where `probability` does, and has its dtype.
    """
    # BEGIN SOLUTION: one chance for each pair, one strength for each feature
    shape = (batch, len(probability), n_pairs)
    there = uniform_like(probability, *shape, generator=generator) < probability[:, None]
    strength = uniform_like(probability, *shape, 2, generator=generator)
    return (strength * there[..., None]).flatten(-2)
    # END SOLUTION


# %%
check(correlated_batch)


# %% [markdown]
# For the second kind, one chance for each pair is enough as well, if it is cut into three: below $p$ the first of the
# two is there, from $p$ to $2p$ the second, above that none. That needs $2p \le 1$. Features that exclude each other
# cannot both be there more than half of the time, and a function that is asked for it should say so.


# %%
# [exercise]
# number = "3.13"
# title = "Features that exclude each other"
# difficulty = 2
# importance = 2
# minutes = 10
# points = 1
# why = "The cheapest superposition there is: what never meets never interferes. Much of language is of this kind."
# hints = [
#     "A single number between 0 and 1 can decide between three cases. Which three, and how likely must each be?",
#     "Draw chances of the shape batch, instance, pair. `chance < p` is one mask, `p <= chance < 2p` the other: stack them on a new last axis. Before that, compare all probabilities with 0.5.",
#     "`there = torch.stack([chance < p, (chance >= p) & (chance < 2 * p)], dim=-1)` with `p = probability[:, None]`; and `if (probability > 0.5).any(): raise ValueError(f\"... {probability.max().item():g} ...\")`.",
# ]
# [/exercise]
def anticorrelated_batch(
    batch: int, n_pairs: int, probability: Float[Tensor, "instance"], generator: torch.Generator
) -> Float[Tensor, "batch instance feature"]:
    """Inputs in which at most one of the features 2k and 2k + 1 is there, each of them with the instance's probability.

    Magnitudes are uniform in [0, 1]; different pairs, instances and inputs are independent. A ValueError that names the
    probability if one is above 0.5. Lives where `probability` does, and has its dtype.
    """
    # BEGIN SOLUTION: refuse more than a half; one chance for each pair, cut into first, second and none
    if (probability > 0.5).any():
        raise ValueError(
            "two features that exclude each other are there with a probability of at most 0.5 each, "
            f"but one of the probabilities is {probability.max().item():g}"
        )
    shape, p = (batch, len(probability), n_pairs), probability[:, None]
    chance = uniform_like(probability, *shape, generator=generator)
    there = torch.stack([chance < p, (chance >= p) & (chance < 2 * p)], dim=-1)
    return (uniform_like(probability, *shape, 2, generator=generator) * there).flatten(-2)
    # END SOLUTION


# %%
check(anticorrelated_batch)

# %% [markdown]
# Two pairs of features, two dimensions. Four arrows make two digons, as you have seen, and so two of the four lie
# opposite each other, and two at a right angle. Who will be opposite whom? Guess before you run it: for anticorrelated
# pairs, for correlated pairs that are rare, and for correlated pairs that are frequent.


# %%
def mean_cosines(W: Float[Tensor, "instance d_hidden feature"]) -> tuple[float, float]:
    """Mean cosine between the partners of a pair, and between features of different pairs, over all instances."""
    unit = F.normalize(W, dim=1)
    cosines = einops.einsum(unit, unit, "instance d_hidden i, instance d_hidden j -> instance i j").mean(dim=0)
    pair = torch.arange(W.shape[-1], device=W.device) // 2
    same_pair = pair[:, None] == pair
    partners = same_pair & ~torch.eye(len(pair), dtype=torch.bool, device=W.device)
    return cosines[partners].mean().item(), cosines[~same_pair].mean().item()


def train_pairs(make: Callable, count: int, chance: float) -> Float[Tensor, "instance d_hidden feature"]:
    """Columns for four features in two dimensions: the best two of 20 models, trained on what `make` draws."""
    generator = torch.Generator().manual_seed(2)
    models = ToyModel(20, 4, 2, generator)
    losses = train_toy_models(
        models,
        partial(make, 256, count, torch.full((20,), chance, device=device), generator),
        torch.ones(20, 4, device=device),
        1500,
        torch.optim.Adam(models.parameters(), lr=1e-2),
    )
    return models.W.detach()[losses[-200:].mean(dim=0).argsort()[:2]]


pairs = {
    "independent, p .05": train_pairs(generate_batch, 4, chance=0.05),
    "anticorrelated, p .05": train_pairs(anticorrelated_batch, 2, chance=0.05),
    "correlated, p .05": train_pairs(correlated_batch, 2, chance=0.05),
    "correlated, p .4": train_pairs(correlated_batch, 2, chance=0.4),
}
print("mean cosine            partners   others")
for kind, W in pairs.items():
    partners, others = mean_cosines(W)
    print(f"{kind:22} {partners:8.2f} {others:8.2f}")

feature_arrows(
    torch.cat(list(pairs.values())),
    title="Two pairs of features, the best two models of each kind: one colour for each pair",
    titles=[kind for kind in pairs for _ in range(2)],
    columns=4,
    colours=[0, 0, 1, 1],
)

# %% [markdown]
# **You should see**
#
# - **independent**: two digons, and it is a matter of chance whether partners are opposite each other;
# - **anticorrelated**: partners opposite each other in every model, with a cosine of −1. They never meet, so their digon
#   costs nothing at all;
# - **correlated and rare**: partners at a right angle in every model. Those that meet all the time must not disturb
#   each other, and each is opposite one of the other pair, which it seldom meets;
# - **correlated and frequent**: partners side by side, with a cosine of 1 and a length of about .7, as one arrow for
#   both. The model has given up telling the two apart. It stores one number for the pair, as principal component
#   analysis would.
#
# So the picture in a model depends on the statistics of the data: to know which features share a direction, one has to
# know which ones meet. And the last row is a warning for the rest of this chapter. Whoever looks for directions there
# finds one for each pair, and calls it a feature.
#
# ## When the dimensions are neurons
#
# Turn the hidden space of a toy model by any rotation $R$: $W$ becomes $RW$, and $(RW)^\top R W = W^\top W$. Nothing
# changes, so there is no reason why a feature should lie along an axis rather than anywhere else. A residual stream is
# like that, nearly (its axes should not matter, but in trained models they do a little;
# [Elhage et al. 2023](https://transformer-circuits.pub/2023/privileged-basis/index.html) suspect Adam). The middle of
# an MLP is not. There each coordinate goes through a nonlinearity of its own, and a **neuron** is a direction unlike
# others: one says that the basis is **privileged**. To see what that does, put a ReLU on the hidden layer:
#
# $$h = \operatorname{ReLU}(Wx), \qquad \hat x = \operatorname{ReLU}(W^\top h + b)$$
#
# There is still one $W$ for both ways, and one bias, at the output.


# %%
# [exercise]
# number = "3.14"
# title = "A toy model with neurons"
# difficulty = 1
# importance = 3
# minutes = 5
# points = 1
# why = "Whether it makes sense to ask what a single neuron means depends on where one looks. This is the smallest model in which it does."
# hints = [
#     "It is the toy model of exercise 3.5 with one thing more. Where does it go?",
#     "Into the hidden space with W, ReLU there; back with the same W, the bias, ReLU again. The instance axis stays through both products.",
#     "`hidden = F.relu(einops.einsum(x, self.W, \"batch instance feature, instance d_hidden feature -> batch instance d_hidden\"))`, and the way back is the same einsum with `d_hidden` and `feature` exchanged; then `F.relu(out + self.b)`.",
# ]
# [/exercise]
class ToyNeuronModel(nn.Module):
    """Many toy models whose hidden layer is made of neurons: ReLU(Wᵀ ReLU(W x) + b) in each instance.

    After Elhage et al. (2022), https://transformer-circuits.pub/2022/toy_model, "Superposition in a Privileged Basis".
    """

    def __init__(self, n_instances: int, n_features: int, d_hidden: int, generator: torch.Generator):
        super().__init__()
        W = torch.randn(n_instances, d_hidden, n_features, generator=generator, device=generator.device)
        self.W = nn.Parameter((W / math.sqrt(n_features)).to(device))
        self.b = nn.Parameter(torch.zeros(n_instances, n_features, device=device))

    def forward(self, x: Float[Tensor, "batch instance feature"]) -> Float[Tensor, "batch instance feature"]:
        # BEGIN SOLUTION: into the neurons, through their ReLU, and back with the bias and the second ReLU
        pre = einops.einsum(x, self.W, "batch instance feature, instance d_hidden feature -> batch instance d_hidden")
        out = einops.einsum(
            F.relu(pre), self.W, "batch instance d_hidden, instance d_hidden feature -> batch instance feature"
        )
        return F.relu(out + self.b)
        # END SOLUTION


# %%
check(ToyNeuronModel)

# %% [markdown]
# First the claim about rotations, on models that you have trained already: rotate the hidden space at random and look
# at the loss. Then the same for models with neurons: five neurons, eight features of falling importance, five values of
# $p$, eight starts for each.

# %%
SPARSITIES, TRIES = (0.7, 0.4, 0.2, 0.1, 0.03), 8
neuron_probability = torch.tensor(SPARSITIES, device=device).repeat_interleave(TRIES)
falling = 0.8 ** torch.arange(8, device=device).expand(len(neuron_probability), 8)
generator = torch.Generator().manual_seed(0)
neuron_models = ToyNeuronModel(len(neuron_probability), 8, 5, generator)
losses = train_toy_models(
    neuron_models,
    partial(generate_batch, 256, 8, neuron_probability, generator),
    falling,
    1500,
    torch.optim.Adam(neuron_models.parameters(), lr=1e-2),
)


def losses_under_rotation(
    models: nn.Module, probability: Float[Tensor, "instance"], importance: Float[Tensor, "instance feature"]
) -> tuple[float, ...]:
    """Mean loss of all instances, as trained and with every hidden space rotated at random; and of answering with the mean."""
    generator = torch.Generator().manual_seed(1)
    x = generate_batch(2000, importance.shape[-1], probability, generator)
    with torch.no_grad():
        trained, d_hidden = models.W.clone(), models.W.shape[1]
        before = importance_weighted_loss(models(x), x, importance)
        random = torch.randn(len(trained), d_hidden, d_hidden, generator=generator).to(device)
        models.W.copy_(torch.linalg.qr(random)[0] @ trained)
        after = importance_weighted_loss(models(x), x, importance)
        models.W.copy_(trained)  # as they were
        mean = importance_weighted_loss(x.mean(dim=0).expand_as(x), x, importance)
    return before.mean().item(), after.mean().item(), mean.mean().item()


for name, models, probability_of_each, importance in (
    ("linear hidden layer", uniform_models, uniform_probability, equal),
    ("neurons", neuron_models, neuron_probability, falling),
):
    before, after, mean = losses_under_rotation(models, probability_of_each, importance)
    print(
        f"{name:20} loss {before:.4f}, hidden space rotated {after:.4f}, every feature answered by its mean {mean:.4f}"
    )

# %%
best = losses[-200:].mean(dim=0).view(-1, TRIES).argmin(dim=1)
W = neuron_models.W.detach().view(-1, TRIES, 5, 8)[torch.arange(len(best), device=device), best]
weight_stacks(
    {f"p {p:.2g}": weights for p, weights in zip(SPARSITIES, W)},
    title="What five neurons are used for, over sparsity: eight features, of which feature 0 is the most important",
)

# %% [markdown]
# **You should see** that the rotation does nothing to a model with a linear hidden layer, and that models with neurons
# lose everything: their loss goes from .0055 to .034, which is worse than if they answered every feature by its mean.
# Then the bars. With frequent features ($p = .7$) every neuron serves one feature: it is **monosemantic**, and the three
# least important features are left out. At .4 and .2 the three most important ones keep neurons of their own, and two
# neurons share three others: one of these is written to both, the other two to one each, with a negative weight to the
# other, which silences that neuron. Below that, every neuron serves several features: it is **polysemantic**, and the
# question what neuron 3 stands for has no short answer.
#
# Compare the first panel with the arrows before. There, too, features stood at right angles to each other, but at any
# angle to the axes. It is the ReLU of each neuron that makes an axis worth a feature's while.
#
# ### What carries over to real models
#
# You have seen that superposition *can* be the best that a network can do, that it sets in at a threshold where two
# solutions cost the same, and that which features share a direction depends on how often they meet. What follows for
# GPT-2, or for the organism?
#
# - **Established**: what happens in these models, with these inputs. Formulas and training agree closely where you
#   compared them, and [Scherlis et al. (2022)](https://arxiv.org/abs/2210.01892) work out much of it for a related
#   model.
# - **Well supported**: that language models use combinations of neurons for more features than they have neurons.
#   [Gurnee et al. (2023)](https://arxiv.org/abs/2305.01610) find it for word pairs in early layers of Pythia models,
#   and neurons of their own for some broad features in the middle layers. It is also the reason why sparse autoencoders
#   were tried.
# - **Not shown by toy models**: that the features of a real model are independent, one-dimensional, or a list that
#   exists apart from the model. Here we made them and counted them. And these models only store and return; how to
#   *compute* with features in superposition is a question of its own
#   ([Hänni et al. 2024](https://arxiv.org/abs/2408.05451)).
# - **Disputed**: that a neuron with several meanings is a sign of superposition. In toy models it can also come from a
#   chance of initialisation, with room for every feature ([Lecomte et al. 2024](https://arxiv.org/abs/2312.03096)). And
#   geometry: regular polygons belong to equal and independent features. Directions found in language models lie in
#   meaningful order, days of the week in a circle for instance, which packing alone does not explain ([Mendel
#   2024](https://www.lesswrong.com/posts/MFBTjb2qf3ziWmzz6/sae-feature-geometry-is-outside-the-superposition-hypothesis)).

# %% [markdown]
# ## Part 3: taking features out again
#
# In a toy model the features are no secret: you put them in, and feature $i$ stands in column $i$ of $W$. In a language
# model nobody knows them. All that we have are its hidden vectors, as many as we like. From here on we pretend to be in
# the same position with a toy model: we look at its hidden vectors only, try to find the features, and compare with the
# truth afterwards.
#
# The hidden vector that belongs to the input $x$ is a sum of directions:
#
# $$h = W x = \sum_i x_i W_i$$
#
# Given many $h$, find the $W_i$. With more features than dimensions, linear algebra alone cannot do that: every $h$ can
# be written as a sum of the $W_i$ in infinitely many ways, and there is not even a reason to prefer the true directions
# to any others. Principal components do not help either. They are orthogonal and at most as many as there are
# dimensions, and the features are neither.
#
# What helps is that $x$ is **sparse**. Among all ways to write $h$, the one with very few terms is special, and if the
# directions are not too close to each other it is the only one that is so short (this is the basis of compressed
# sensing, [Donoho 2006](https://doi.org/10.1109/TIT.2006.871582)). So look for directions such that *every* hidden
# vector is a sum of few of them. The idea is older than deep learning: applied to small pieces of photographs, it finds
# edges, much like those that neurons in the visual cortex answer to ([Olshausen and Field
# 1996](https://doi.org/10.1038/381607a0)).
#
# A **sparse autoencoder** (SAE) is about the simplest network that learns such directions by gradient descent ([Sharkey
# et al.
# 2022](https://www.alignmentforum.org/posts/z6QQJbtpkEAX3Aojj/interim-research-report-taking-features-out-of-superposition),
# [Cunningham et al. 2023](https://arxiv.org/abs/2309.08600), [Bricken et al.
# 2023](https://transformer-circuits.pub/2023/monosemantic-features)). From here on $x$ is what the SAE reads, a hidden
# vector; what the toy model was given we call its *true features*.
#
# $$f = \text{ReLU}(x W_\text{enc} + b_\text{enc}), \qquad \hat x = f W_\text{dec} + b_\text{dec}$$

# %%
diagram("sparse_autoencoder")

# %% [markdown]
# Read it from the right. Row $i$ of $W_\text{dec}$, which we call $d_i$, is a direction, and the reconstruction is a sum
# of such directions: $\hat x = \sum_i f_i d_i + b_\text{dec}$. This is the same form as $h = \sum_i x_i W_i$, so the
# rows of $W_\text{dec}$ are the SAE's guess at the features, and $f$ its guess at how strongly each is there. The
# encoder has to guess $f$ from $x$ in one step, with a dot product, a bias and a ReLU. Classical sparse coding searches
# for the best $f$ anew for every $x$. The SAE makes one fixed guess instead, which is fast and less exact.
#
# In $f$, `d_sae` numbers, we want nearly all to be 0. This is not in the formula above; it has to come from the loss.
#
# ### The model that we look into
#
# 64 features in 20 dimensions, each there with probability 3 %, so about two at a time, and all equally important.

# %%
N_TRUE, D_IN, CHANCE = 64, 20, torch.tensor([0.03], device=device)

generator = torch.Generator().manual_seed(0)
toy = ToyModel(1, N_TRUE, D_IN, generator)
optimizer = torch.optim.Adam(toy.parameters(), lr=5e-3)
make_batch = partial(generate_batch, 1024, N_TRUE, CHANCE, generator)
losses = train_toy_models(toy, make_batch, torch.ones(1, N_TRUE, device=device), 1500, optimizer)
truth = toy.W[0].detach().T  # one row for each true feature


def hidden_vectors(batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Hidden vectors of the toy model, and the true features that made them."""
    features = generate_batch(batch, N_TRUE, CHANCE, generator)[:, 0]
    return features @ truth, features


print(f"loss {losses[0, 0]:.4f} before training, {losses[-100:].mean():.4f} after")
print(f"norms of the directions: {truth.norm(dim=-1).min():.2f} to {truth.norm(dim=-1).max():.2f}")
print(f"largest |cosine| of two of them: {coherence(truth):.2f}")

# %% [markdown]
# **You should see** a loss that falls to a sixth, and 64 directions of about equal length. Every feature is
# represented, in superposition. The worst pair of directions has a $|\cos|$ of 0.61. Look at the signs,
# `(F.normalize(truth, dim=-1) @ F.normalize(truth, dim=-1).T)`: all large overlaps are negative, no two directions have
# a cosine above 0.2. The ReLU of the toy model cuts off what a negative overlap does to the other feature, so these
# are cheap.
#
# ## The autoencoder
#
# `__init__` is given. The rows of `W_dec` start as random directions of length 1, and `W_enc` as its transpose: then
# feature $i$ answers to just the direction that it writes, a good place to begin. Afterwards the two are trained apart.
#
# You write three methods. `x` may have any axes in front of `d_in`, for example `batch pos`, or none at all.
#
# - `encode`: how strongly each feature is there. ReLU, so none is negative.
# - `decode`: the sum of the rows of `W_dec`, each as strong as its feature, plus `b_dec`.
# - `forward`: returns the pair `(x_hat, f)`.
#
# (Some SAEs subtract `b_dec` from `x` before they encode, such as those of Bricken et al. That changes nothing about
# which functions can be learned, since `b_enc` can take it up. We leave it out.)


# %%
# [exercise]
# number = "3.15"
# title = "A sparse autoencoder"
# difficulty = 2
# importance = 5
# minutes = 15
# points = 2
# why = "Every SAE that you will read about is this network with another activation function or another loss."
# hints = [
#     "Which matrix has one column for each feature, and which one row for each feature? How do you multiply so that the last axis of x goes away?",
#     "encode: x times W_enc, plus b_enc, then ReLU. decode: f times W_dec, plus b_dec, and nothing after it, since a hidden vector may well have negative components. forward: encode, then decode, and give back both.",
#     "`F.relu(x @ self.W_enc + self.b_enc)`; `f @ self.W_dec + self.b_dec`; `return self.decode(f), f`.",
# ]
# [/exercise]
class SAE(nn.Module):
    """A sparse autoencoder: `d_sae` features, each with a direction that it reads and one that it writes."""

    def __init__(self, d_in: int, d_sae: int, generator: torch.Generator):
        super().__init__()
        directions = torch.randn(d_sae, d_in, generator=generator, device=generator.device)
        directions = F.normalize(directions, dim=-1).to(device)
        self.W_enc = nn.Parameter(directions.T.clone())
        self.b_enc = nn.Parameter(torch.zeros(d_sae, device=device))
        self.W_dec = nn.Parameter(directions)
        self.b_dec = nn.Parameter(torch.zeros(d_in, device=device))

    def encode(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_sae"]:
        """How strongly each feature is there, 0 or more."""
        # BEGIN SOLUTION: read x with the columns of W_enc, add the bias, cut off what is negative
        return F.relu(x @ self.W_enc + self.b_enc)
        # END SOLUTION

    def decode(self, f: Float[Tensor, "... d_sae"]) -> Float[Tensor, "... d_in"]:
        """The sum of the rows of W_dec, each as strong as its feature, plus the bias."""
        # BEGIN SOLUTION: add up the rows of W_dec, weighted with f, and the bias
        return f @ self.W_dec + self.b_dec
        # END SOLUTION

    def forward(self, x: Float[Tensor, "... d_in"]) -> tuple[Float[Tensor, "... d_in"], Float[Tensor, "... d_sae"]]:
        """The reconstruction and the features: (x_hat, f)."""
        # BEGIN SOLUTION: encode, decode, and return the reconstruction and the features
        f = self.encode(x)
        return self.decode(f), f
        # END SOLUTION


# %%
check(SAE)

# %% [markdown]
# ## The loss: two wishes
#
# We want a reconstruction that is close to $x$, made of few features. The number of features that are on, called **L0**,
# jumps in whole steps, so it has no useful gradient. Its usual replacement is the sum of their activations, the **L1
# norm**, which pushes every activation that is not 0 with the same force towards 0:
#
# $$L = \text{mean over examples of}\;\; \lVert x - \hat x \rVert^2 + \lambda \lVert f \rVert_1, \qquad
# \lVert x - \hat x \rVert^2 = \sum_j (x_j - \hat x_j)^2, \quad \lVert f \rVert_1 = \sum_i |f_i|$$
#
# Mind what is summed and what is averaged. Both terms are *sums* over their last axis, one over `d_in` and one over
# `d_sae`; what is averaged are the examples, whatever axes they stand in. If you average over the last axes as well,
# then $\lambda$ means something else for every width, and no two SAEs can be compared.
#
# An example with $\lambda = 0.1$: $x = (1, 2)$, $\hat x = (1.5, 1)$ and $f = (0, 3, 0, 1)$ give
# $0.25 + 1 + 0.1 \cdot 4 = 1.65$.


# %%
# [exercise]
# number = "3.16"
# title = "The loss of a sparse autoencoder"
# difficulty = 1
# importance = 5
# minutes = 10
# points = 2
# why = "All that an SAE finds, and all that it gets wrong, follows from this one line: it is rewarded for short descriptions, not for true ones."
# hints = [
#     "Each example has two numbers of its own. How do you get these, with one number left for each example?",
#     "Square the differences and sum them over the last axis; sum the absolute values of f over its last axis and multiply by l1; add the two and take the mean of everything that is left.",
#     "`(x - x_hat).pow(2).sum(dim=-1)`, `f.abs().sum(dim=-1)`, and `.mean()` of the one plus `l1` times the other.",
# ]
# [/exercise]
def sae_loss(
    x: Float[Tensor, "... d_in"], x_hat: Float[Tensor, "... d_in"], f: Float[Tensor, "... d_sae"], l1: float
) -> Float[Tensor, ""]:
    """Squared distance from x to x_hat plus `l1` times the L1 norm of f, averaged over all examples."""
    # BEGIN SOLUTION: for each example the squared error plus l1 times the sum of f, then the mean
    error = (x - x_hat).pow(2).sum(dim=-1)
    sparsity = f.abs().sum(dim=-1)
    return (error + l1 * sparsity).mean()
    # END SOLUTION


# %%
check(sae_loss)

# %% [markdown]
# ## Closing a loophole
#
# As it stands, the loss can be cheated. Halve all of $f$ and double all rows of $W_\text{dec}$: $\hat x$ is the same,
# and the L1 norm is half as large. Do it again. The penalty can be made as small as you like without a single feature
# less.
#
# So the rows of $W_\text{dec}$ are held at norm 1: after every step of the optimizer each is divided by its length. A
# row is one feature's direction; a column of $W_\text{dec}$ is one component of the hidden vector, and nobody wants that
# to have any particular norm. Only the rows change, not the encoder.
#
# The change is made *in place*: the optimizer holds on to the very parameter that it was given, and if you put a new one
# in its place, it goes on training the old one. What you do to a parameter outside of training belongs inside
# `with torch.no_grad():`, or PyTorch will object.
#
# (Later work leaves the rows free and counts each activation times the length of its row, $\sum_i f_i \lVert d_i
# \rVert$, which closes the loophole too: [Templeton et al.
# 2024](https://transformer-circuits.pub/2024/scaling-monosemanticity/).)


# %%
# [exercise]
# number = "3.17"
# title = "Rows of norm 1"
# difficulty = 1
# importance = 4
# minutes = 10
# points = 1
# why = "Without it the penalty means nothing, and activations of two features could not be compared: one unit of f would be another length for each."
# hints = [
#     "W_dec has the shape `d_sae d_in`. Which axis must the norm run over, so that there is one norm for each feature?",
#     "Under torch.no_grad(), divide W_dec in place by the norm over its last axis, keeping that axis so that it broadcasts.",
#     "`sae.W_dec /= sae.W_dec.norm(dim=-1, keepdim=True)` inside `with torch.no_grad():`.",
# ]
# [/exercise]
def normalize_decoder(sae: SAE) -> None:
    """Scale every row of W_dec to norm 1, in place, and leave everything else as it is."""
    # BEGIN SOLUTION: divide each row of W_dec by its norm, in place and without a gradient
    with torch.no_grad():
        sae.W_dec /= sae.W_dec.norm(dim=-1, keepdim=True)
    # END SOLUTION


# %%
check(normalize_decoder)

# %% [markdown]
# A second point goes with it. The gradient of a row has a part *along* the row, which would make it longer or shorter,
# and a part at right angles, which turns it. The first is pointless, as the length is put back to 1 in any case. It is
# not harmless, though: Adam divides each step by the size of recent gradients, and here it would divide by gradients of
# which a part is thrown away each time. So this part is taken out before the step. (Bricken et al. report a small gain.)
#
# With $g$ the gradient of a row and $u$ the row's unit direction, the part along the row is $(g \cdot u)\, u$, and
#
# $$g \leftarrow g - (g \cdot u)\, u$$
#
# Divide the row by its length to get $u$, even if the lengths are 1 anyway up to rounding.


# %%
# [exercise]
# number = "3.18"
# title = "The gradient along the rows"
# difficulty = 2
# importance = 3
# minutes = 10
# points = 2
# why = "It is the same move as taking a direction out of a residual stream, which later chapters do to switch a behaviour off."
# hints = [
#     "Draw a row and its gradient as two arrows. Which part of the gradient lies along the row?",
#     "Make unit rows from W_dec, multiply them with the gradient entry by entry and sum over the last axis: that is g · u, one number for each row. Subtract that number times u from the gradient, in place.",
#     "`unit = F.normalize(sae.W_dec, dim=-1)`; `along = (sae.W_dec.grad * unit).sum(dim=-1, keepdim=True)`; `sae.W_dec.grad -= along * unit`, all under torch.no_grad().",
# ]
# [/exercise]
def remove_parallel_gradient(sae: SAE) -> None:
    """Take out of each row of W_dec.grad what is parallel to the same row of W_dec, whatever that row's length.

    Autograd records nothing of it.
    """
    # BEGIN SOLUTION: project each row of the gradient on the row's unit direction, and subtract that
    with torch.no_grad():
        unit = F.normalize(sae.W_dec, dim=-1)
        along = (sae.W_dec.grad * unit).sum(dim=-1, keepdim=True)
        sae.W_dec.grad -= along * unit
    # END SOLUTION


# %%
check(remove_parallel_gradient)

# %% [markdown]
# ## A step of training
#
# Now put the pieces into their order. Two of them are easily put in the wrong place: the gradient is cleaned *after* it
# has been computed and *before* it is used, and the rows are normalised *after* the optimizer has moved them.
#
# | | |
# |---|---|
# | 1 | run the SAE on `x`, and compute the loss |
# | 2 | set all gradients to zero, then `backward` |
# | 3 | `remove_parallel_gradient` |
# | 4 | `optimizer.step()` |
# | 5 | `normalize_decoder` |
#
# What comes back is the loss that was computed in 1, as a plain number.


# %%
# [exercise]
# number = "3.19"
# title = "A training step"
# difficulty = 2
# importance = 4
# minutes = 10
# points = 2
# why = "In training, nothing complains about a wrong order. The loss goes down all the same, and the features may be worse."
# hints = [
#     "Which of your functions looks at a gradient, and when does that gradient exist? Which one repairs what the optimizer did?",
#     "x_hat and f from sae(x); sae_loss; zero_grad; backward; remove_parallel_gradient; step; normalize_decoder; return loss.item().",
#     "`x_hat, f = sae(x)`, `loss = sae_loss(x, x_hat, f, l1)`, `optimizer.zero_grad()`, `loss.backward()`, then the three calls of the table, and `return loss.item()`.",
# ]
# [/exercise]
def sae_step(sae: SAE, optimizer: torch.optim.Optimizer, x: Float[Tensor, "... d_in"], l1: float) -> float:
    """Train for one step on x, and return the loss before the step."""
    # BEGIN SOLUTION: loss, backward, clean the gradient, step, normalise
    x_hat, f = sae(x)
    loss = sae_loss(x, x_hat, f, l1)
    optimizer.zero_grad()
    loss.backward()
    remove_parallel_gradient(sae)
    optimizer.step()
    normalize_decoder(sae)
    return loss.item()
    # END SOLUTION


# %%
check(sae_step)

# %% [markdown]
# ## Did it find them?
#
# A low loss does not say that the features were found. Here, for once, we can look: compare the rows of $W_\text{dec}$
# with the true directions. The order means nothing, since an SAE may find feature 5 as its number 71. So take for each
# *true* feature the largest cosine that any row has with it, and average:
#
# $$\text{mean max cosine} = \frac{1}{n} \sum_i \max_j \cos(t_i, d_j)$$
#
# 1 means that every true feature has a row that points in its direction. Some details matter:
#
# - Cosines, not dot products: directions of any length count the same.
# - Not their absolute value. A feature is there or not, and a row that points the *other* way stands for something else.
# - The maximum runs over the found ones, the mean over the true ones. The other way round, an SAE that finds one feature
#   a hundred times and no other would score 1. In turn, our measure does not notice rows that stand for nothing true.
# - A row of zeros has no direction. Its cosine with anything counts as 0.


# %%
# [exercise]
# number = "3.20"
# title = "Mean max cosine"
# difficulty = 2
# importance = 4
# minutes = 10
# points = 2
# why = "Comparing two sets of directions whose order means nothing comes up again and again: two SAEs, two widths, two training runs."
# hints = [
#     "What is the shape of all cosines of true with found features, and which axis do you want the maximum over?",
#     "Divide all rows by their lengths, multiply truth with found transposed: `feature d_sae`. Maximum over the last axis, then the mean.",
#     "`F.normalize(truth, dim=-1) @ F.normalize(found, dim=-1).T`, then `.amax(dim=-1).mean().item()`.",
# ]
# [/exercise]
def mean_max_cosine(truth: Float[Tensor, "feature d_in"], found: Float[Tensor, "d_sae d_in"]) -> float:
    """For each true feature the largest cosine with any found one, averaged over the true features."""
    # BEGIN SOLUTION: all cosines, the largest of each true feature, their mean
    cosines = F.normalize(truth, dim=-1) @ F.normalize(found, dim=-1).T
    return cosines.amax(dim=-1).mean().item()
    # END SOLUTION


# %%
check(mean_max_cosine)

# %% [markdown]
# Three baselines, before anything is trained. Whatever set of directions one takes, *some* row lies near each feature,
# the more so the more rows there are and the fewer dimensions. A score means nothing until you know what chance gives.

# %%
D_SAE = 128

# the same 20,000 hidden vectors judge every SAE of this part; none is trained on them
held_out, held_out_features = hidden_vectors(20_000, torch.Generator().manual_seed(1))
axes = torch.eye(D_IN, device=device)
principal = torch.linalg.svd(held_out - held_out.mean(0), full_matrices=False).Vh
untrained = SAE(D_IN, D_SAE, torch.Generator().manual_seed(0))
for name, directions in (
    (f"the {D_IN} axes, both ways", torch.cat([axes, -axes])),
    (f"the {D_IN} principal components, both ways", torch.cat([principal, -principal])),
    (f"{D_SAE} random directions", untrained.W_dec.detach()),
):
    print(f"{name:42} {mean_max_cosine(truth, directions):.2f}")

# %% [markdown]
# **You should see** 0.44, 0.51 and 0.53. So 128 directions drawn at random look better than the principal components. A
# score of 0.5 says nothing at all here.
#
# Now train. The loop draws new hidden vectors for every step, lets the learning rate fall to 0 over the last quarter,
# and counts now and then how many features are **dead**: silent on 4000 examples in a row. The argument `mend` is for
# later.


# %%
LEARNING_RATE, L1 = 0.01, 0.3


def silent(sae: nn.Module, x: Float[Tensor, "batch d_in"]) -> Bool[Tensor, "d_sae"]:
    """Which features are 0 on all of these examples."""
    with torch.no_grad():
        return (sae.encode(x) == 0).all(dim=0)


def train_sae(
    sae: SAE, l1: float, steps: int, *, seed: int = 0, mend: Callable | None = None
) -> tuple[list[float], list[int]]:
    """Every loss, and the number of dead features after every 50 steps; `mend(sae, optimizer, dead, step)` is then called."""
    generator, losses, dead_features = torch.Generator().manual_seed(seed), [], []
    optimizer = torch.optim.Adam(sae.parameters(), lr=LEARNING_RATE)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1, 4 * (steps - step) / steps)
        losses.append(sae_step(sae, optimizer, hidden_vectors(512, generator)[0], l1))
        if (step + 1) % 50 == 0:
            dead = silent(sae, hidden_vectors(4000, generator)[0])
            dead_features.append(int(dead.sum()))
            if mend is not None:
                mend(sae, optimizer, dead, step + 1)
    return losses, dead_features


def verdict(sae: nn.Module) -> str:
    """How well the living features of the SAE match the true ones."""
    living = sae.W_dec.detach()[~silent(sae, held_out)]
    near = F.normalize(truth, dim=-1) @ living.T > 0.9
    return (
        f"{near.any(dim=1).sum()} of {N_TRUE} true features found (cosine above 0.9), mean max cosine "
        f"{mean_max_cosine(truth, living):.3f}, {len(living)} of {len(sae.W_dec)} features alive"
    )


sae = SAE(D_IN, D_SAE, torch.Generator().manual_seed(0))
losses, dead_features = train_sae(sae, L1, 1500)
with torch.no_grad():
    f = sae.encode(held_out)
print(verdict(sae))
print(f"features on at a time: {(f > 0).sum(dim=-1).float().mean():.2f}")
print(f"true features on at a time: {(held_out_features > 0).sum(dim=-1).float().mean():.2f}")

# %%
cosines = F.normalize(truth, dim=-1) @ sae.W_dec.detach().T
alive = ~silent(sae, held_out)
rows_each = (cosines[:, alive] > 0.9).sum(dim=-1)
print(f"true features with one row above 0.9: {(rows_each == 1).sum()}, with more: {(rows_each > 1).sum()}")

columns = cosines.argmax(dim=-1).tolist() + alive.nonzero()[:, 0].tolist()
columns = [column for column in dict.fromkeys(columns) if alive[column]]  # partners first, each feature once
heatmap(
    cosines[:, columns],
    title="Each true feature has a row of the decoder that points in its direction",
    x_name="living feature of the SAE, partners of the true features first",
    y_name="true feature",
    signed=True,
    value_name="cosine",
)
# %% [markdown]
# **You should see** all 64 features, with a mean max cosine of 1.000: from hidden vectors alone, in a few seconds, and
# although 64 directions share 20 dimensions. The dark diagonal is that of the partners. About 30 of 128 features are
# dead, and rightly so, since there is nothing left for them to find.
#
# But look to the right of the diagonal. 34 more rows are alive, and most of them are *doubles*: 27 true features have
# two rows or more (27 to 34 from other random starts). Nothing forbids that. Two rows in the same direction that share
# an activation cost exactly as much as one, in both terms of the loss. It is one reason why more features are on at a
# time than there are true ones (2.6 against 1.9), and with a truth that we did not know, we might take a double for two
# kinds of a thing.
#
# A word of caution about the ease of it: $\lambda = 0.3$ was chosen with the truth in view. With $\lambda = 0.05$ the
# same training leaves 2 % of the variance unexplained in place of 11 %, and finds fewer than 50 of the 64 features, with
# about 20 on at a time. For a language model nobody tells you which $\lambda$ is right.
#
# ### What the penalty costs: shrinkage
#
# The directions are right. Are the activations? Take the inputs in which exactly one true feature is on, and
# compare its true strength, the length of the hidden vector, with the activation of its partner (or of its partners
# together, if several rows point in its direction).
#
# There is a prediction. If one feature alone is there with strength $s$ and its partner answers with $f$, the loss of
# this example is $(s - f)^2 + \lambda f$. What $f$ makes it smallest? Differentiate: $-2(s - f) + \lambda = 0$, so
#
# $$f = s - \frac{\lambda}{2}, \qquad \text{or 0, if } s < \frac{\lambda}{2}.$$
#
# The penalty does not only switch features off. It takes the same amount from each one that is on.

# %%
alone = (held_out_features > 0).sum(dim=-1) == 1
which = held_out_features[alone].argmax(dim=-1)
strength = held_out[alone].norm(dim=-1)
answer = (f[alone] * (cosines > 0.9)[which]).sum(dim=-1)

ramp = torch.linspace(0, 1.1, 100)
points(
    {
        "inputs with one true feature": (strength[:500], answer[:500]),
        "predicted: true strength minus λ/2, or 0": (ramp, F.relu(ramp - L1 / 2)),
    },
    title="The SAE finds the feature, and says that it is weaker than it is (dashed: the truth)",
    x_name="true strength",
    y_name="activation of the partners",
    diagonal=True,
)

# %% [markdown]
# **You should see** points on one line, well below the dashed one: at strength 1 the SAE says 0.8. The prediction,
# which treats each input by itself, is the least that must be lost. The SAE loses more. Its activations begin at 0.28
# where 0.15 would do. A likely reason: its encoder has *one* bias for all inputs, and that has to keep a feature silent
# when others, with overlapping directions, are on. Whatever is weaker than 0.28, a quarter of all occurrences, is not
# seen.
#
# This is called **shrinkage**, or feature suppression ([Wright and Sharkey
# 2024](https://www.lesswrong.com/posts/3JuSjTZyMzaSeTxKk/addressing-feature-suppression-in-saes)). The lasso of
# statistics has it for the same reason. It has two consequences: the reconstruction is worse than the directions would
# allow, and weak activations, below $\lambda/2$, are lost altogether. A smaller $\lambda$ shrinks less, but then more
# features are on at a time, and at some point they are no longer the true ones. You will see both at the end of this
# part, together with three ways out.
#
# ## Dead features
#
# A ReLU gives no gradient where it gives 0. A feature that is 0 on *every* example gets no gradient at all, from no
# example, and nothing can bring it back: it is **dead**. Some deaths are right. There are 64 things to find here, and
# of 128 features those that find nothing are silenced by the penalty. But a feature can die before it has found
# anything: from a learning rate that is too large, from a bad start, or because its direction happens to point away from
# all data. In the largest of three SAEs on a language model by Templeton et al. (2024), about 65 % of 34 million
# features were dead.
#
# Here is a bad start: all of `b_enc` begins at −1, so that only a very strong input can wake a feature.

# %%
D_NARROW, BAD_BIAS = 80, -1.0


def badly_started() -> SAE:
    """An SAE whose features are hard to wake."""
    sae = SAE(D_IN, D_NARROW, torch.Generator().manual_seed(0))
    with torch.no_grad():
        sae.b_enc.fill_(BAD_BIAS)
    return sae


left_alone = badly_started()
_, dead_left_alone = train_sae(left_alone, L1, 1500)
print(f"dead features: {dead_left_alone[0]} after 50 steps, {dead_left_alone[-1]} at the end, of {D_NARROW}")
print(verdict(left_alone))

# %% [markdown]
# **You should see** 7 dead features after 50 steps and 19 at the end. 61 features are alive, fewer than there are things
# to find, and four true features are not found. (Three other starts left 17 to 22 features dead and missed one to
# eight.) A loss that goes down and levels out would not have told you.
#
# **Resampling** (Bricken et al. 2023) gives a dead feature a new life: as the direction of an example that the SAE does
# badly on. For each dead feature
#
# 1. draw an example, with a probability proportional to the *square* of its loss, where its loss is
#    $\lVert x - \hat x \rVert^2$: so bad examples are much likelier than good ones, and different features get different
#    examples. Each is drawn independently of the others, and an example may come up twice;
# 2. set the feature's row of $W_\text{dec}$ to the unit direction of $x - b_\text{dec}$ of that example;
# 3. set its column of $W_\text{enc}$ to the same direction, but with 0.2 times the length that columns of $W_\text{enc}$
#    have on average among the *living* features, so that it starts softly and does not disturb those that work;
# 4. set its `b_enc` to 0.
#
# Nothing else changes. If no feature is dead, nothing changes at all. If all are dead, there are no living ones to
# take the average of: take it over all.
#
# All randomness comes from `generator`. `torch.multinomial(weights, count, replacement=True, generator=generator)` draws
# `count` places, with probabilities proportional to the weights. Generator and weights must be on the same device, so
# move the weights to `generator.device` and the result back.


# %%
# [exercise]
# number = "3.21"
# title = "Resampling dead features"
# difficulty = 4
# importance = 3
# minutes = 25
# points = 4
# why = "Dead features are the most common way in which an SAE wastes its width, and the loss alone does not show them."
# hints = [
#     "You need one loss for each example, one drawn example for each dead feature, and three assignments. Which of the parameters has features in its columns?",
#     "Under torch.no_grad(): loss = sum over d_in of (x - x_hat)²; multinomial of loss², as often as there are dead features; directions = unit vectors of x[chosen] - b_dec; length = 0.2 × mean of the norms of the living columns of W_enc; then W_dec[dead], W_enc[:, dead] and b_enc[dead].",
#     "`chosen = torch.multinomial(loss.pow(2).to(generator.device), int(dead.sum()), replacement=True, generator=generator).to(x.device)`; `sae.W_dec[dead] = directions`; `sae.W_enc[:, dead] = length * directions.T`; the norms of the columns are `sae.W_enc.norm(dim=0)`.",
# ]
# [/exercise]
def resample_dead(
    sae: SAE, x: Float[Tensor, "batch d_in"], dead: Bool[Tensor, "d_sae"], generator: torch.Generator
) -> None:
    """Point every dead feature, in place, at an example drawn with probability ∝ (squared error)²; nothing else changes.

    After Bricken et al. (2023). The encoder gets 0.2 times the mean norm of the living features' columns (of all
    columns, if every feature is dead), and the bias 0.
    """
    # BEGIN SOLUTION: draw an example for each dead feature, and set its row, its column and its bias
    if not dead.any():
        return
    with torch.no_grad():
        x_hat, _ = sae(x)
        loss = (x - x_hat).pow(2).sum(dim=-1)
        weights = loss.pow(2).to(generator.device)
        chosen = torch.multinomial(weights, int(dead.sum()), replacement=True, generator=generator).to(x.device)
        directions = F.normalize(x[chosen] - sae.b_dec, dim=-1)
        norms = sae.W_enc.norm(dim=0)
        length = 0.2 * (norms.mean() if dead.all() else norms[~dead].mean())
        sae.W_dec[dead] = directions
        sae.W_enc[:, dead] = length * directions.T
        sae.b_enc[dead] = 0
    # END SOLUTION


# %%
check(resample_dead)

# %% [markdown]
# Adam remembers recent gradients of every parameter, so a resampled feature would begin with the memories of the dead
# one. These are cleared as well; the code is given. It resamples in the first half of training only, so that the last
# features to be born have time to learn.

# %%
second_lives = torch.Generator().manual_seed(2)


def resample_now_and_then(sae: SAE, optimizer: torch.optim.Optimizer, dead: Bool[Tensor, "d_sae"], step: int) -> None:
    """Resample every 150 steps up to step 750, and let Adam forget what it knew of the features that were dead."""
    if step % 150 or step > 750:
        return
    resample_dead(sae, hidden_vectors(4000, second_lives)[0], dead, second_lives)
    places = dead.nonzero()[:, 0]
    for parameter, axis in ((sae.W_enc, 1), (sae.b_enc, 0), (sae.W_dec, 0)):
        for memory in ("exp_avg", "exp_avg_sq"):
            optimizer.state[parameter][memory].index_fill_(axis, places, 0.0)


resampled = badly_started()
_, dead_resampled = train_sae(resampled, L1, 1500, mend=resample_now_and_then)
print(verdict(resampled))
lines(
    range(50, 1501, 50),
    {"left alone": dead_left_alone, "resampled every 150 steps": dead_resampled},
    title="Resampling brings features back, and those that find work stay",
    x_name="step",
    y_name=f"dead features, of {D_NARROW}",
)

# %% [markdown]
# **You should see** the orange curve drop after the first resampling, at step 150, and stay below the blue one: it ends
# at 12, the blue one at 19. Now all 64 features are found (as from the three other starts). Of the resampled features
# some die again, often within 50 steps, which is why later drops are small or missing. So it should be: when all that is
# there is found, there is nothing left for them to do.
#
# Resampling is one cure of several. Starting with `W_enc` as the transpose of `W_dec` is another, and so is a second
# loss that trains the dead features to reconstruct what the living ones leave over ([Gao et al.
# 2024](https://arxiv.org/abs/2406.04093)). Whatever you use: count dead features, in every SAE that you train or
# download.

# %% [markdown]
# ## Three ways out of shrinkage
#
# The L1 penalty has to do two jobs: to decide *which* features are on, and, unasked, to make them weaker. Three widely
# used remedies part the two.
#
# | kind | which features are on | how strong they are | |
# |---|---|---|---|
# | **TopK** | the $k$ with the largest pre-activations | the pre-activation | no penalty at all |
# | **Gated** | those whose *gate* is positive | another path, not penalised | L1 on the gate only |
# | **JumpReLU** | those above a learned threshold | the pre-activation | a penalty on L0 itself |
#
# The **pre-activation** is $z = x W_\text{enc} + b_\text{enc}$, what the activation function is given.
#
# ### TopK
#
# The plainest idea: say how many features may be on. For each example keep the $k$ largest pre-activations, and set the
# others to 0 ([Makhzani and Frey 2013](https://arxiv.org/abs/1312.5663); for language models [Gao et al.
# 2024](https://arxiv.org/abs/2406.04093)). What is kept goes through ReLU, so that no activation is negative; if fewer
# than $k$ pre-activations are positive, fewer than $k$ features are on. There is no penalty, so nothing shrinks, and
# $\lambda$ need not be searched for.
#
# | | | | | |
# |---|---|---|---|---|
# | pre-activations | 0.2 | −1.0 | 0.9 | 0.5 |
# | $k = 2$ | 0 | 0 | 0.9 | 0.5 |
#
# Each example has its own $k$ winners, along the last axis. `pre.topk(k, dim=-1)` returns the values and their places;
# `zeros.scatter(-1, places, values)` puts them back where they came from. Never more than $k$ may be on, even where
# several are equally large: take the places, not everything that is as large as the $k$-th. If `k` is larger than
# `d_sae`, raise a ValueError that names both numbers.


# %%
# [exercise]
# number = "3.22"
# title = "TopK"
# difficulty = 2
# importance = 4
# minutes = 10
# points = 2
# why = "Many large SAEs are trained with this activation or a relative of it, and so are those of the organism in part 4."
# hints = [
#     "topk gives you values in the order of their size. How does each get back to the feature it belongs to?",
#     "values, places = pre.topk(k, dim=-1); a tensor of zeros like pre; scatter the ReLU of the values into it, at the places, along the last axis.",
#     "`torch.zeros_like(pre).scatter(-1, places, F.relu(values))`, and before that `if k > pre.shape[-1]: raise ValueError(...)` with both numbers in the text.",
# ]
# [/exercise]
def topk_activation(pre: Float[Tensor, "... d_sae"], k: int) -> Float[Tensor, "... d_sae"]:
    """The k largest pre-activations of each example, cut off at 0; all others are 0.

    A ValueError that names both numbers if k > d_sae.
    """
    # BEGIN SOLUTION: find the k largest of each example, put their ReLU back in place among zeros
    if k > pre.shape[-1]:
        raise ValueError(f"k must be at most d_sae, but {k} > {pre.shape[-1]}")
    values, places = pre.topk(k, dim=-1)
    return torch.zeros_like(pre).scatter(-1, places, F.relu(values))
    # END SOLUTION


# %%
check(topk_activation)

# %% [markdown]
# Its price: $k$ is the same for *every* example, whether it needs one feature or ten. BatchTopK ([Bussmann et al.
# 2024](https://arxiv.org/abs/2412.06410)) therefore keeps the largest $k \cdot$ `batch` of a whole batch, and lets
# examples share.
#
# ### Gated
#
# A **gated** SAE ([Rajamanoharan et al. 2024a](https://arxiv.org/abs/2404.16014)) asks the two questions apart, with two
# encoders:
#
# $$\text{gate} = x W_\text{gate} + b_\text{gate}, \qquad f = \mathbf{1}[\text{gate} > 0] \cdot
# \text{ReLU}(x W_\text{mag} + b_\text{mag})$$
#
# The first says whether a feature is on, the second how strong it is. $\mathbf{1}[\ldots]$ is 1 where the condition
# holds and 0 elsewhere. Two encoders would be twice the parameters, so the second borrows the directions of the first
# and only rescales them, one factor for each feature, held positive by an exponential:
#
# $$W_\text{mag} = W_\text{gate} \cdot \exp(r_\text{mag}), \qquad \text{column } i \text{ times } e^{r_{\text{mag}, i}}$$
#
# `__init__`, `decode` and `forward` are given. You write `gate`, which returns the gate's *pre-activations* (the loss
# will need them), and `encode`.


# %%
# [exercise]
# number = "3.23"
# title = "A gated SAE"
# difficulty = 3
# importance = 3
# minutes = 15
# points = 3
# why = "Which feature is there and how strongly are two questions; a method that answers both with one number will get one of them wrong."
# hints = [
#     "Which of the parameters belong to the question whether, and which to the question how strongly? Which one do both use?",
#     "gate: x times W_gate plus b_gate, as it is. encode: x times W_gate with each column times exp(r_mag), plus b_mag, ReLU; times 1 where the gate is above 0, else 0.",
#     "`magnitude = F.relu(x @ (self.W_gate * self.r_mag.exp()) + self.b_mag)` and `(self.gate(x) > 0) * magnitude`.",
# ]
# [/exercise]
class GatedSAE(nn.Module):
    """A sparse autoencoder whose gate says which features are on, and whose magnitudes say how strongly."""

    def __init__(self, d_in: int, d_sae: int, generator: torch.Generator):
        super().__init__()
        directions = torch.randn(d_sae, d_in, generator=generator, device=generator.device)
        directions = F.normalize(directions, dim=-1).to(device)
        self.W_gate = nn.Parameter(directions.T.clone())
        self.b_gate = nn.Parameter(torch.zeros(d_sae, device=device))
        self.r_mag = nn.Parameter(torch.zeros(d_sae, device=device))
        self.b_mag = nn.Parameter(torch.zeros(d_sae, device=device))
        self.W_dec = nn.Parameter(directions)
        self.b_dec = nn.Parameter(torch.zeros(d_in, device=device))

    def gate(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_sae"]:
        """The gate's pre-activations: a feature is on where its own is above 0."""
        # BEGIN SOLUTION: read x with W_gate and add the gate's bias
        return x @ self.W_gate + self.b_gate
        # END SOLUTION

    def encode(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_sae"]:
        """The magnitude of every feature whose gate is above 0, and 0 for all others."""
        # BEGIN SOLUTION: read x with the rescaled gate directions, cut off at 0, keep what the gate lets through
        magnitude = F.relu(x @ (self.W_gate * self.r_mag.exp()) + self.b_mag)
        return (self.gate(x) > 0) * magnitude
        # END SOLUTION

    def decode(self, f: Float[Tensor, "... d_sae"]) -> Float[Tensor, "... d_in"]:
        return f @ self.W_dec + self.b_dec

    def forward(self, x: Float[Tensor, "... d_in"]) -> tuple[Float[Tensor, "... d_in"], Float[Tensor, "... d_sae"]]:
        features = self.encode(x)
        return self.decode(features), features


# %%
check(GatedSAE)

# %% [markdown]
# How is the gate trained? $\mathbf{1}[\text{gate} > 0]$ is flat: its derivative is 0, so no gradient of the
# reconstruction says whether a gate should open. ($W_\text{gate}$ gets one, but through the magnitudes.) And if the L1
# penalty on the gate were all that it heard, it would simply close. So the gate gets a reconstruction of its own, from
# $\text{ReLU}(\text{gate})$:
#
# $$L = \underbrace{\lVert x - \hat x \rVert^2}_{\text{reconstruction}} + \lambda
# \underbrace{\lVert \text{ReLU}(\text{gate}) \rVert_1}_{\text{few open gates}} +
# \underbrace{\lVert x - \hat x_\text{frozen}(\text{ReLU}(\text{gate})) \rVert^2}_{\text{the open gates suffice}}$$
#
# averaged over examples. "Frozen" is the decoder with its parameters taken as constants: $\text{ReLU}(\text{gate})$ *is*
# shrunk by the penalty, and a decoder that had to serve it would learn to make up for that. `tensor.detach()` is the
# same tensor with no gradient behind it. Freeze both `W_dec` and `b_dec`, but not the gate: it is the one that is to
# learn.


# %%
# [exercise]
# number = "3.24"
# title = "The loss of a gated SAE"
# difficulty = 3
# importance = 3
# minutes = 15
# points = 3
# why = "Where a gradient may flow and where not is part of a method, and nothing in the value of a loss shows it."
# hints = [
#     "How many reconstructions of x are there, and from what is each made? Which of the three terms may move the decoder?",
#     "opened = ReLU(sae.gate(x)). Squared error of sae(x)'s reconstruction, plus squared error of opened @ frozen W_dec + frozen b_dec, plus l1 times the sum of opened; sums over the last axis, then the mean.",
#     "`x_hat, _ = sae(x)`; `x_hat_gate = opened @ sae.W_dec.detach() + sae.b_dec.detach()`; then as in sae_loss, with `opened` in the place of f and one more squared error.",
# ]
# [/exercise]
def gated_loss(sae: GatedSAE, x: Float[Tensor, "... d_in"], l1: float) -> Float[Tensor, ""]:
    """Reconstruction error, plus `l1` times the L1 norm of the opened gates, plus the error of what these give by themselves
    through a frozen decoder; averaged over all examples. Rajamanoharan et al. (2024a), section 3.2.
    """
    # BEGIN SOLUTION: the three terms of each example, then the mean
    x_hat, _ = sae(x)
    opened = F.relu(sae.gate(x))
    x_hat_gate = opened @ sae.W_dec.detach() + sae.b_dec.detach()
    error = (x - x_hat).pow(2).sum(dim=-1)
    error_gate = (x - x_hat_gate).pow(2).sum(dim=-1)
    return (error + l1 * opened.sum(dim=-1) + error_gate).mean()
    # END SOLUTION


# %%
check(gated_loss)

# %% [markdown]
# ### JumpReLU, and the gradient of a step
#
# The third way is the most direct: a threshold $\theta_i > 0$ for each feature, learned, and a penalty on the number of
# features that are on ([Rajamanoharan et al. 2024b, *Jumping Ahead*](https://arxiv.org/abs/2407.14435)):
#
# $$\text{JumpReLU}_\theta(z) = z \cdot \mathbf{1}[z > \theta], \qquad L = \lVert x - \hat x \rVert^2 + \lambda \sum_i
# \mathbf{1}[z_i > \theta_i]$$
#
# What is above the threshold passes *unchanged*; nothing is subtracted. Here are the activation functions side by side:

# %%
z = torch.linspace(-0.5, 1.5, 201)
lines(
    z,
    {
        "ReLU": F.relu(z),
        "ReLU, shrunk by an L1 penalty": F.relu(z - 0.4),
        "JumpReLU with threshold 0.4": z * (z > 0.4),
    },
    title="A penalty shifts the whole curve, a threshold leaves what is above it alone",
    x_name="pre-activation z",
    y_name="activation",
)

# %% [markdown]
# (A gated SAE gives such curves too: with the tied directions its features are JumpReLUs, as Rajamanoharan et al. 2024a
# show.)
#
# How do you learn $\theta$? Move it a little, and for nearly every example nothing changes: no gradient. Only an example
# with $z$ just at the threshold would notice, and for it the output jumps. Yet *on average over all examples* the output
# changes smoothly with $\theta$, since there are always some just at the threshold. If $\rho$ is the density of $z$,
# then
#
# $$\frac{d}{d\theta}\, \mathbb{E}\big[\mathbf{1}[z > \theta]\big] = -\rho(\theta), \qquad
# \frac{d}{d\theta}\, \mathbb{E}\big[z\, \mathbf{1}[z > \theta]\big] = -\theta\, \rho(\theta)$$
#
# A density can be estimated: count the examples in a window of width $\varepsilon$ around $\theta$, and divide by
# $\varepsilon$. So each example says, in place of its true gradient of 0,
#
# | | to $z$ | to $\theta$ |
# |---|---|---|
# | $\text{JumpReLU}$ | $\mathbf{1}[z > \theta]$, its true derivative | $-\dfrac{\theta}{\varepsilon}$ if $\lvert z - \theta \rvert < \dfrac{\varepsilon}{2}$, else 0 |
# | $\text{Step} = \mathbf{1}[z > \theta]$ | 0 | $-\dfrac{1}{\varepsilon}$ if $\lvert z - \theta \rvert < \dfrac{\varepsilon}{2}$, else 0 |
#
# Averaged over many examples, this is the derivative that we want. A made-up gradient for a function that has none is
# called a **straight-through estimator**, and $\varepsilon$ is the **bandwidth**: wide gives a blurred estimate, narrow
# a noisy one.
#
# In PyTorch you say how a gradient is computed with a `torch.autograd.Function`, a class with two static methods that is
# called as `JumpReLU.apply(z, threshold, bandwidth)`.
#
# - `forward(ctx, z, threshold, bandwidth)` computes the result. `ctx.save_for_backward(...)` keeps tensors for later,
#   and plain numbers are kept as attributes, such as `ctx.bandwidth`.
# - `backward(ctx, upstream)` gets the gradient of the loss with respect to the *result*, in the shape of the result. It
#   returns the gradient with respect to each argument of `forward`, in order: the local derivative times `upstream`
#   (the chain rule), and `None` for the bandwidth.
#
# One threshold serves all examples, so its gradient is the *sum* over them: `z` is `... d_sae`, the threshold `d_sae`,
# and the gradient of the threshold has to come out as `d_sae` too.


# %%
# [exercise]
# number = "3.25"
# title = "JumpReLU with a gradient for its threshold"
# difficulty = 4
# importance = 3
# minutes = 25
# points = 4
# why = "Discrete choices stand in the middle of many methods of interpretability (which edges belong to a circuit, which features are on), and this is how they are trained."
# hints = [
#     "For which z does the result change if z moves a little, and by how much? For which z may the threshold hear of it?",
#     "forward: z * (z > threshold); keep z and the threshold, and the bandwidth. backward: to z, upstream where z > threshold; to the threshold, upstream times -threshold / bandwidth where |z - threshold| < bandwidth / 2, summed over all axes but the last; None.",
#     "`z, threshold = ctx.saved_tensors`; `near = (z - threshold).abs() < ctx.bandwidth / 2`; `to_threshold = -(threshold / ctx.bandwidth) * near * upstream`, then `.reshape(-1, z.shape[-1]).sum(dim=0)`; `return upstream * (z > threshold), to_threshold, None`.",
# ]
# [/exercise]
class JumpReLU(torch.autograd.Function):
    """z where z is above the threshold, else 0; its backward estimates the gradient of the threshold with a window."""

    @staticmethod
    def forward(
        ctx, z: Float[Tensor, "... d_sae"], threshold: Float[Tensor, "d_sae"], bandwidth: float
    ) -> Float[Tensor, "... d_sae"]:
        # BEGIN SOLUTION: keep what backward needs, and return z where it is above the threshold
        ctx.save_for_backward(z, threshold)
        ctx.bandwidth = bandwidth
        return z * (z > threshold)
        # END SOLUTION

    @staticmethod
    def backward(
        ctx, upstream: Float[Tensor, "... d_sae"]
    ) -> tuple[Float[Tensor, "... d_sae"], Float[Tensor, "d_sae"], None]:
        # BEGIN SOLUTION: the gradient of z, that of the threshold (from z near it, summed over examples), and None
        z, threshold = ctx.saved_tensors
        near = (z - threshold).abs() < ctx.bandwidth / 2
        to_threshold = -(threshold / ctx.bandwidth) * near * upstream
        return upstream * (z > threshold), to_threshold.reshape(-1, z.shape[-1]).sum(dim=0), None
        # END SOLUTION


# %%
check(JumpReLU)

# %% [markdown]
# The penalty needs the same for $\mathbf{1}[z > \theta]$ alone, the right column of the table. Its result is a tensor of
# ones and zeros in the dtype of `z`, so that it can be summed to L0. To `z` it sends nothing: the encoder should learn
# to reconstruct, and not to sneak below a threshold.


# %%
# [exercise]
# number = "3.26"
# title = "A step with a gradient for its threshold"
# difficulty = 2
# importance = 3
# minutes = 10
# points = 2
# why = "With it, the number of active features itself, and not a stand-in such as L1, becomes something that training can lower."
# hints = [
#     "What is different from JumpReLU in what is returned, in the gradient to z, and in the factor of the gradient to the threshold?",
#     "forward: (z > threshold) in the dtype of z. backward: None or zeros for z; upstream times -1 / bandwidth where z is in the window, summed over all axes but the last; None.",
#     "`(z > threshold).to(z.dtype)`; `near = (z - threshold).abs() < ctx.bandwidth / 2`; `to_threshold = -(1 / ctx.bandwidth) * near * upstream`, summed as before; `return None, to_threshold, None` with the sum.",
# ]
# [/exercise]
class Step(torch.autograd.Function):
    """1 where z is above the threshold, else 0; its backward estimates the gradient of the threshold with a window."""

    @staticmethod
    def forward(
        ctx, z: Float[Tensor, "... d_sae"], threshold: Float[Tensor, "d_sae"], bandwidth: float
    ) -> Float[Tensor, "... d_sae"]:
        # BEGIN SOLUTION: keep what backward needs, and return 1 where z is above the threshold
        ctx.save_for_backward(z, threshold)
        ctx.bandwidth = bandwidth
        return (z > threshold).to(z.dtype)
        # END SOLUTION

    @staticmethod
    def backward(ctx, upstream: Float[Tensor, "... d_sae"]) -> tuple[None, Float[Tensor, "d_sae"], None]:
        # BEGIN SOLUTION: nothing for z, the estimate for the threshold (summed over examples), and None
        z, threshold = ctx.saved_tensors
        near = (z - threshold).abs() < ctx.bandwidth / 2
        to_threshold = -(1 / ctx.bandwidth) * near * upstream
        return None, to_threshold.reshape(-1, z.shape[-1]).sum(dim=0), None
        # END SOLUTION


# %%
check(Step)

# %% [markdown]
# Does the estimate work? Draw many $z$ from a normal distribution, so that the true derivative of the mean of
# $\mathbf{1}[z > \theta]$ is known: minus the normal density at $\theta$. And let PyTorch compare JumpReLU's backward
# with differences of its forward, at places away from the threshold, where it has a true gradient (`gradcheck`).

# %%
thresholds = torch.linspace(-2, 2, 41)
z = torch.randn(5000, 1, generator=torch.Generator().manual_seed(0)).expand(-1, len(thresholds))
estimates = {}
for bandwidth in (0.05, 0.4, 2.0):
    leaf = thresholds.clone().requires_grad_()
    Step.apply(z, leaf, bandwidth).mean(dim=0).sum().backward()
    estimates[f"bandwidth {bandwidth}"] = -leaf.grad

away = torch.tensor([[-0.7, 0.1, 0.9], [1.4, 0.2, 0.4]], dtype=torch.float64, requires_grad=True)
at = torch.tensor([0.5, 0.6, 0.7], dtype=torch.float64, requires_grad=True)
print("gradcheck:", torch.autograd.gradcheck(lambda z, threshold: JumpReLU.apply(z, threshold, 0.05), (away, at)))

lines(
    thresholds,
    estimates | {"the normal density": (-(thresholds**2) / 2).exp() / math.sqrt(2 * math.pi)},
    title="From 5000 examples: a narrow window is noisy, a wide one blurs",
    x_name="threshold",
    y_name="minus the gradient of the mean step",
)

# %% [markdown]
# **You should see** that all three follow the density, each with its own fault: at bandwidth 0.05 the curve is jagged,
# since no more than about 100 of the 5000 examples fall into a window; at 2.0 it is smooth, too low in the middle and
# too high at the sides. 0.4 is a fair compromise here, and in general $\varepsilon$ has to be chosen for the spread of
# $z$ and the size of the batch.
#
# ## Four kinds on one plot
#
# An SAE has two aims that pull against each other: few features and a good reconstruction. So a single number for each
# kind would mean little. Train each kind several times, with more and with less sparsity, and draw the share of the
# variance that it leaves unexplained over its L0. A kind is better where its curve lies lower.
#
# Two kinds need a class around your functions; the loss of JumpReLU is that of the paper. All four get the same
# batches, one step on each, and your `remove_parallel_gradient` and `normalize_decoder`.


# %%
class TopKSAE(SAE):
    """An SAE with the TopK activation."""

    def __init__(self, d_in: int, d_sae: int, k: int, generator: torch.Generator):
        super().__init__(d_in, d_sae, generator)
        self.k = k

    def encode(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_sae"]:
        return topk_activation(x @ self.W_enc + self.b_enc, self.k)


class JumpReLUSAE(SAE):
    """An SAE with the JumpReLU activation; the logarithms of its thresholds are learned, so that these stay positive."""

    BANDWIDTH = 0.1

    def __init__(self, d_in: int, d_sae: int, generator: torch.Generator):
        super().__init__(d_in, d_sae, generator)
        self.log_threshold = nn.Parameter(torch.full((d_sae,), math.log(0.1), device=device))

    def encode(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_sae"]:
        return JumpReLU.apply(x @ self.W_enc + self.b_enc, self.log_threshold.exp(), self.BANDWIDTH)

    def loss(self, x: Float[Tensor, "... d_in"], l0: float) -> Float[Tensor, ""]:
        """Squared error plus l0 times the number of features that are on: sae_loss, with the steps in the place of f."""
        z, threshold = x @ self.W_enc + self.b_enc, self.log_threshold.exp()
        f = JumpReLU.apply(z, threshold, self.BANDWIDTH)
        return sae_loss(x, self.decode(f), Step.apply(z, threshold, self.BANDWIDTH), l0)


generator = torch.Generator().manual_seed(0)
batches = [hidden_vectors(512, generator)[0] for _ in range(800)]


def l1_loss(sae: SAE, x: Float[Tensor, "batch d_in"], l1: float) -> Float[Tensor, ""]:
    return sae_loss(x, *sae(x), l1)


def train_kind(sae: nn.Module, loss_of: Callable[[nn.Module, Tensor], Tensor]) -> None:
    """Train with one step on each of the batches, on this loss of the SAE and a batch."""
    optimizer = torch.optim.Adam(sae.parameters(), lr=LEARNING_RATE)
    for number, batch in enumerate(batches):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1, 4 * (1 - number / len(batches)))
        loss = loss_of(sae, batch)
        optimizer.zero_grad()
        loss.backward()
        remove_parallel_gradient(sae)
        optimizer.step()
        normalize_decoder(sae)


def report(name: str, sae: nn.Module) -> tuple[float, float]:
    """L0 and the share of the variance that is left unexplained; prints them, and how well the truth was found."""
    with torch.no_grad():
        x_hat, f = sae(held_out)
    on = (f > 0).sum(dim=-1).float().mean().item()
    unexplained = ((held_out - x_hat).pow(2).sum() / (held_out - held_out.mean(0)).pow(2).sum()).item()
    found = mean_max_cosine(truth, sae.W_dec.detach()[(f > 0).any(dim=0)])
    print(f"{name:19} L0 {on:5.2f}   unexplained {unexplained:.3f}   mean max cosine {found:.3f}")
    return on, unexplained


def same_start() -> torch.Generator:
    """A generator with which every SAE begins at the same directions."""
    return torch.Generator().manual_seed(0)


# %%
kinds = {"ReLU with L1": {}, "TopK": {}, "Gated": {}, "JumpReLU": {}}
for l1 in (0.1, 0.2, 0.4, 0.8):
    sae = SAE(D_IN, D_SAE, same_start())
    train_kind(sae, partial(l1_loss, l1=l1))
    kinds["ReLU with L1"][f"λ = {l1}"] = report(f"ReLU, λ = {l1}", sae)
for k in (1, 2, 3, 5):
    sae = TopKSAE(D_IN, D_SAE, k, same_start())
    train_kind(sae, partial(l1_loss, l1=0.0))
    kinds["TopK"][f"k = {k}"] = report(f"TopK, k = {k}", sae)

# %%
for l1 in (0.15, 0.3, 0.6, 1.0):
    sae = GatedSAE(D_IN, D_SAE, same_start())
    train_kind(sae, partial(gated_loss, l1=l1))
    kinds["Gated"][f"λ = {l1}"] = report(f"Gated, λ = {l1}", sae)
for l0 in (0.02, 0.05, 0.1, 0.2):
    sae = JumpReLUSAE(D_IN, D_SAE, same_start())
    train_kind(sae, partial(JumpReLUSAE.loss, l0=l0))
    kinds["JumpReLU"][f"λ = {l0}"] = report(f"JumpReLU, λ = {l0}", sae)

trade_off(
    kinds,
    title="At the same number of active features, the penalised ReLU explains least",
    x_name="L0: features on at a time",
    y_name="share of the variance left unexplained",
    log_y=True,
)

# %% [markdown]
# **You should see** the curve of the penalised ReLU above the others wherever they can be compared. With about 1.6
# features on at a time, it leaves 31 % of the variance unexplained; TopK leaves 11 %, the gated SAE and JumpReLU 7 %. A
# penalty that is strong enough for such sparsity makes what is on far too weak: λ is 0.8 here, so 0.4 is taken from
# each.
#
# TopK is worse than gated and JumpReLU at the left, and better from 2 on. At the left it must give every input the same
# number of features, and inputs have none, one, two, three; with $k = 1$ it drops whatever comes second. With enough
# room (here its other pre-activations are negative, and $k = 3$ gives an L0 of 2.2) this no longer matters.
#
# Now read the last column of the table. The SAE with the *lowest* error, gated with $\lambda = 0.15$, has found the
# truth *worst* (0.73), and the one with the highest error has found it perfectly. With ten features on at a time, an
# SAE can reconstruct well with directions that stand for nothing. Fewer is not better without end either: at 1.2
# features on at a time, at least a third of the 1.9 true ones go unnoticed.
#
# ### What this shows, and what it does not
#
# - **Error against L0 is not what we want.** We want the true features, and here you could see that the two are not the
#   same. For a language model there is no last column. [SAEBench](https://arxiv.org/abs/2503.09532) (Karvonen et al.
#   2025) therefore measures SAEs on what they are to be used for, and finds that gains in error and L0 do not reliably
#   carry over. (Such measures are noisy themselves: [Chanin 2026](https://arxiv.org/abs/2605.18229) finds two of
#   SAEBench's unfit for ranking SAEs.)
# - **This toy meets every assumption of an SAE.** Its hidden vectors *are* sums of few fixed directions that come
#   independently of each other. Whether those of a language model are is an open question. And an SAE finds *some*
#   short description of whatever it is given.
# - **The ranking is that of one data set and one budget.** Each kind has settings that were not searched (bandwidth,
#   starting threshold, learning rate), and 800 steps are few. On language models, too, the penalised ReLU came out
#   behind TopK (Gao et al.) and behind gated SAEs (Rajamanoharan et al. 2024a) at equal L0. Among the newer kinds the
#   order is less certain: each of these papers finds the kind that it proposes at least as good as the others it was
#   compared with.
# - **The four kinds share one encoder**: a single dot product for each feature, and then a nonlinearity. Where features
#   overlap, the best code for an input takes more computation than that.

# %% [markdown]
# ## Part 4: features of a language model
#
# On the toy models you had what nobody has for a language model: the true features. There you could *say* whether an
# SAE had found them. Now you train one on the organism, the small GPT-2 of chapter 1, whose stream has 128 dimensions
# and whose text is about 807 different words. Nobody gave it features. It may not even be that it has such things: that
# the stream is a sparse sum of directions is a hypothesis about trained models, and SAEs find a sparse sum in almost
# anything.
#
# So the questions change. Not "are these the right features?" but
#
# 1. how much of the stream, and of what the model does with it, does the SAE keep? (3.27 to 3.31)
# 2. what does a feature answer to, and what does it say to the output? (3.32, 3.33)
# 3. does the model do something else when the feature is changed? (3.34, 3.35)
# 4. does a feature stand for what its examples suggest, on *all* examples? (3.36 to 3.38)
#
# For the last one, our organism has an advantage over GPT-2: its text is generated, so for every token it is known
# whether it is a city, whether a name was said before in the same document, or whether an act asked for is harmful.
# That is the truth about the *text*. Whether the model represents it is another matter, and a good question to keep
# apart.
#
# ### The text and the place
#
# We read the residual stream after layer 1 (`blocks.1.hook_resid_post`), in the middle of the model: two layers have
# gathered what they found, and two are still to come that can make use of it. The text is what the model was trained
# on, apart from the runs of random words. A row holds several documents, one after another, each begun by BOS.

# %%
organism = load_model("organism", device=device)
HOOK = load_sae("organism-512").hook_name
TEXT = [kind for kind in KINDS if kind != "repeats"]

tokens = token_windows(400, 128, generator=torch.Generator().manual_seed(100), kinds=TEXT).to(device)
print(HOOK)
print(organism.tokenizer.decode(tokens[0, :60]))

# %% [markdown]
# An SAE is trained on activations alone, so the first thing to write is what collects them. Three things matter when
# there are many:
#
# - **a hook, not a cache**: `run_with_cache` keeps every activation of every layer, here more than a hundred times what
#   you want (unless its `names_filter` picks the one);
# - **in batches**: the model sees `batch_size` texts at a time (the last batch may be smaller);
# - **no gradients**: without `torch.no_grad()`, each activation keeps the whole graph behind it alive.
#
# The hook point is given by its name, the result has the shape of the activation with all texts, in order, and no hook
# stays on the model.


# %%
# [exercise]
# number = "3.27"
# title = "Gather activations"
# difficulty = 2
# importance = 4
# minutes = 15
# points = 2
# why = "Everything that is trained or measured on a model's inside (SAEs, probes, steering vectors) begins with this loop, and most of its cost is here."
# hints = [
#     "What must a hook that only reads return? And where do the activations of one batch go until the last batch is through?",
#     "Make an empty list. Go through `tokens.split(batch_size)`; for each part call `run_with_hooks` with a hook that appends what it is given. At the end, concatenate along the batch axis. All of it under torch.no_grad().",
#     "def keep(activation, hook): kept.append(activation). Then, inside `with torch.no_grad():`, for part in tokens.split(batch_size): model.run_with_hooks(part, return_type=None, fwd_hooks=[(hook_name, keep)]). The result is torch.cat(kept).",
# ]
# [/exercise]
def gather_activations(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"], hook_name: str, batch_size: int = 64
) -> Float[Tensor, "batch pos d_model"]:
    """The activations at a hook point on all texts, run in batches of `batch_size`; without gradients, no hook is left."""
    # BEGIN SOLUTION: a hook that only appends to a list, run batch by batch without gradients
    kept = []

    def keep(activation: Float[Tensor, "batch pos d_model"], hook) -> None:
        kept.append(activation)

    with torch.no_grad():
        for part in tokens.split(batch_size):
            model.run_with_hooks(part, return_type=None, fwd_hooks=[(hook_name, keep)])
    return torch.cat(kept)
    # END SOLUTION


# %%
check(gather_activations)

# %% [markdown]
# Look at the raw material before you feed it to anything. How long are the activations, and how much do they differ
# between texts?

# %%
x = gather_activations(organism, tokens, HOOK)
is_bos = tokens == organism.tokenizer.bos_token_id
is_bos[:, 0] = False
for name, some in {"position 0": x[:, 0], "BOS later on": x[is_bos], "all else": x[:, 1:][~is_bos[:, 1:]]}.items():
    spread = (some - some.mean(dim=0)).norm(dim=-1).mean()
    print(f"{name:13} {len(some):6} activations, length {some.norm(dim=-1).mean():.1f}, {spread:.1f} from their mean")

# %% [markdown]
# **You should see** 400 activations of length 40 that are all one and the same vector, and elsewhere lengths around 31,
# of which 25 is different from token to token.
#
# Position 0 is the same in every text: BOS, at the same place, with nothing before it. It carries no information, but
# an SAE would spend features on it. In larger models it is worse: there, the first position is often many times as long
# as all others, and would rule every squared error. So, as most trainings of SAEs do, we leave it out, and keep to this
# rule for the rest of the chapter: **position 0 is not encoded, not replaced and not steered.** (BOS in the middle of a
# row marks where a document ends. It stays in.)
#
# ## Train an SAE on the organism
#
# You have all the pieces: the `TopKSAE` of part 3 with your `topk_activation`, and the two things that keep the
# decoder's rows at norm 1. A TopK SAE needs no L1 penalty, because the number of active features is fixed: the loss is
# the squared error alone. Two things are new in the code below, both after Gao et al. (2024):
#
# - **Scaling.** The learning rate suits activations with a mean of 0 and a length of about $\sqrt{d}$. So the SAE sees
#   $(x - \text{mean}) \cdot \text{scale}$. You need not carry that along: `fold` moves both numbers into the weights,
#   as LayerNorm's weights are folded in compatibility mode. After it, the SAE takes raw activations.
# - **An auxiliary loss** in place of resampling. The dead features together, those that were silent for 150 batches,
#   try to explain what the living ones leave over. That gives them a gradient, and they come back.


# %%
@torch.no_grad()
def fold(sae: SAE, mean: Float[Tensor, "d_in"], scale: float) -> SAE:
    """The same SAE for activations as they are: what was (x - mean) * scale is now x."""
    sae.b_enc.sub_(scale * mean @ sae.W_enc).div_(scale)
    sae.b_dec.div_(scale).add_(mean)
    return sae


def train_topk(
    x: Float[Tensor, "example d_in"], d_sae: int, k: int, steps: int, batch: int = 1024
) -> tuple[SAE, list[float]]:
    """A TopK SAE of these activations, and at every step the share of the variance it did not explain."""
    generator = torch.Generator().manual_seed(0)
    mean = x.mean(dim=0)
    scale = x.shape[-1] ** 0.5 / (x - mean).norm(dim=-1).mean().item()
    sae = TopKSAE(x.shape[-1], d_sae, k, generator).to(x.device)
    optimizer = torch.optim.Adam(sae.parameters(), lr=2e-3)
    silent_for = torch.zeros(d_sae, device=x.device)
    history = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1, (step + 1) / 100, 4 * (steps - step) / steps)
        drawn = torch.randint(len(x), (batch,), generator=generator).to(x.device)
        z = (x[drawn] - mean) * scale
        pre = z @ sae.W_enc + sae.b_enc
        f = topk_activation(pre, k)
        error = z - sae.decode(f)
        loss = error.square().mean()
        dead = silent_for > 150
        if dead.any():
            revived = topk_activation(pre[:, dead], min(int(dead.sum()), x.shape[-1] // 2)) @ sae.W_dec[dead]
            loss = loss + (revived - error.detach()).square().mean() / error.detach().square().mean() / 32
        optimizer.zero_grad()
        loss.backward()
        remove_parallel_gradient(sae)
        optimizer.step()
        normalize_decoder(sae)
        silent_for = torch.where((f > 0).any(dim=0), 0, silent_for + 1)
        history.append((error.square().sum() / z.square().sum()).item())
    return fold(sae, mean, scale), history


# %% [markdown]
# A quarter of a million activations, 512 features, 8 of them active at a time, 2,000 steps: a minute or so.

# %%
training_text = token_windows(2048, 128, generator=torch.Generator().manual_seed(0), kinds=TEXT).to(device)
training_x = gather_activations(organism, training_text, HOOK)[:, 1:].flatten(0, 1)
my_sae, history = train_topk(training_x, d_sae=512, k=8, steps=2000)
my_sae.requires_grad_(False)
organism.requires_grad_(False)  # from here on both are only read, so no run records gradients

lines(
    range(0, len(history), 10),
    {"not explained": history[::10]},
    title="Eight of 512 features explain most of an activation of 128 numbers",
    x_name="step",
    y_name="share of the variance",
    log_y=True,
)

# %% [markdown]
# **You should see** the unexplained share fall from .7 to about .1. Eight numbers, and the names of eight directions,
# say nine tenths of what 128 numbers say. That is the sense in which the stream is sparse; it does not say yet whether
# these directions mean anything.
#
# ## How good is it? Four numbers
#
# One number is never enough for an SAE, since each can be had for nothing at the expense of another. (All features on:
# a perfect reconstruction, and nothing is sparse. None on: perfectly sparse.) The first three numbers need only `x`,
# `f` and `x_hat`.
#
# **L0** is how many features are active on a token, on average over the tokens. The name is that of the "L0 norm", the
# number of entries that are not 0. For a TopK SAE it is k, or a little less if fewer pre-activations are positive; for
# all other kinds you must measure it.


# %%
# [exercise]
# number = "3.28"
# title = "L0"
# difficulty = 1
# importance = 4
# minutes = 5
# points = 1
# why = "An SAE's other figures mean nothing without it: more active features always reconstruct better."
# hints = [
#     "Which axis is counted over, and which axes are averaged over?",
#     "f is never negative, so a feature is active where f > 0. Count along the last axis, then take the mean of the counts.",
#     "`(f > 0).sum(dim=-1)` counts; made floats, their mean is the result; `.item()` makes it a Python number.",
# ]
# [/exercise]
def l0(f: Float[Tensor, "... d_sae"]) -> float:
    """The number of active features of an example, averaged over all examples."""
    # BEGIN SOLUTION: count the positive entries of each example, and average the counts
    return (f > 0).sum(dim=-1).double().mean().item()
    # END SOLUTION


# %%
check(l0)

# %% [markdown]
# **Explained variance** compares the squared error of the reconstruction with that of the best reconstruction that
# knows nothing about the example: the mean activation $\bar x$.
#
# $$1 - \frac{\sum_i \lVert x_i - \hat x_i\rVert^2}{\sum_i \lVert x_i - \bar x\rVert^2}$$
#
# Both sums run over all examples (leading axes flattened) and all dimensions, and $\bar x$ is a vector, one number for
# each dimension. It is 1 for a perfect reconstruction, 0 for the mean, and negative for something worse.
#
# Why not simply $\lVert x \rVert^2$ below the line? Because the stream has a large mean, as the lengths above show.
# With it, an SAE that always returns the mean would look as if it had explained much. And why sum first and divide
# then? A mean of ratios would let the shortest activations count as much as the longest.


# %%
# [exercise]
# number = "3.29"
# title = "Explained variance"
# difficulty = 2
# importance = 4
# minutes = 10
# points = 2
# why = "The figure by which SAEs are compared in nearly every paper, computed in half a dozen ways that differ."
# hints = [
#     "What would you predict for an activation if you knew nothing about it? Over which axes is that averaged?",
#     "Flatten the leading axes. The residual sum of squares is that of x - x_hat; the total is that of x minus its mean over examples. One minus their ratio.",
#     "`x, x_hat = x.flatten(0, -2), x_hat.flatten(0, -2)`; `total = (x - x.mean(dim=0)).square().sum()`; the residual likewise from `x - x_hat`; return 1 minus the quotient, as a number.",
# ]
# [/exercise]
def explained_variance(x: Float[Tensor, "... d_in"], x_hat: Float[Tensor, "... d_in"]) -> float:
    """The share of the variance of x about its mean over all examples that the reconstruction explains."""
    # BEGIN SOLUTION: one minus the residual sum of squares over the sum of squares about the mean example
    x, x_hat = x.flatten(0, -2), x_hat.flatten(0, -2)
    residual = (x - x_hat).square().sum()
    total = (x - x.mean(dim=0)).square().sum()
    return (1 - residual / total).item()
    # END SOLUTION


# %%
check(explained_variance)

# %% [markdown]
# **Dead features** are those that are silent on all examples. A dead feature costs nothing, but it does not help
# either, and an SAE of 512 features half of which are dead is one of 256. The figure depends on how much text you look
# at: a feature for something rare looks dead on a short text.


# %%
# [exercise]
# number = "3.30"
# title = "Dead features"
# difficulty = 1
# importance = 3
# minutes = 5
# points = 1
# why = "Dead features were the first practical trouble with SAEs, and the reason for resampling and auxiliary losses."
# hints = [
#     "Of a feature, look at all examples. Which question do you ask of them, and over which axes?",
#     "Flatten the leading axes; a feature is alive if any example has it above 0. The result is the share of features that are not.",
#     "`alive = (f > 0).flatten(0, -2).any(dim=0)`, one entry for each feature; the mean of its opposite, as a number.",
# ]
# [/exercise]
def dead_fraction(f: Float[Tensor, "... d_sae"]) -> float:
    """The share of features that are 0 on every example."""
    # BEGIN SOLUTION: which features are active anywhere, and the share that is not
    alive = (f > 0).flatten(0, -2).any(dim=0)
    return (~alive).double().mean().item()
    # END SOLUTION


# %%
check(dead_fraction)

# %% [markdown]
# The course ships three SAEs of this place, with 256, 512 and 1,024 features, trained by the same method for longer
# (`python -m utils.saes.training`; figures in `utils/saes/weights/SAE_CARD.md`). They have what yours has: `encode`,
# `decode`, `W_dec` and `b_dec`. Compare, on text that none of them was trained on.

# %%
saes = {width: load_sae(f"organism-{width}", device=device) for width in (256, 512, 1024)}
fresh = x[:, 1:]  # of the 400 texts above; without position 0

print("SAE            L0   explained variance   dead")
for name, sae in {"yours, 512": my_sae, **{f"ships, {width}": sae for width, sae in saes.items()}}.items():
    f = sae.encode(fresh)
    print(f"{name:12} {l0(f):4.1f} {explained_variance(fresh, sae.decode(f)):15.3f} {dead_fraction(f):13.3f}")
del f  # 200 MB for 1,024 features

# %% [markdown]
# **You should see** 8 active features throughout, as the architecture prescribes; .90 of the variance for yours and .87,
# .91 and .93 for 256, 512 and 1,024 features; and hardly a dead feature anywhere. (Is that the work of the auxiliary
# loss? Leave it out, train again, and see.) The gain from twice as many features is small, and gets smaller.
#
# ## Does the model notice?
#
# A reconstruction can be close in squared distance and still miss what the model uses: a direction of small variance
# may decide everything. So splice the SAE into the model. Replace the activation by its reconstruction, let the layers
# above go on with that, and see how much worse the model predicts. Three runs, with the mean cross-entropy of the next
# token:
#
# | run | at the hook point, positions 1, 2, … | loss |
# |---|---|---|
# | clean | the activation $x$ | $\text{CE}_\text{clean}$ |
# | SAE | `sae.decode(sae.encode(x))` | $\text{CE}_\text{SAE}$ |
# | ablated | the mean of $x$ over all texts and positions 1, 2, … of this run | $\text{CE}_\text{ablated}$ |
#
# $$\text{loss recovered} = \frac{\text{CE}_\text{ablated} - \text{CE}_\text{SAE}}{\text{CE}_\text{ablated} - \text{CE}_\text{clean}}$$
#
# It is 1 if the model loses nothing by the SAE, and 0 if the SAE is no better than the mean. Position 0 stays as it was
# in all three runs and does not count for the mean. Many papers ablate to *zero* in place of the mean. The zero vector
# is something the layers above have never seen, so the loss below the line is larger, and every SAE looks better: ask
# which baseline was used before you compare two papers.


# %%
# [exercise]
# number = "3.31"
# title = "Loss recovered"
# difficulty = 3
# importance = 5
# minutes = 25
# points = 4
# why = "The only one of the usual figures that asks the model: is what the SAE keeps what the model uses?"
# hints = [
#     "The three runs differ in one thing only: what is put in place of the activations at positions 1, 2, …. Write a function that takes that as its argument and gives back the loss.",
#     "A hook that returns a tensor replaces the activation: keep its first position, and put the replacement of the others behind it. Loss: cross-entropy of logits[:, :-1] against tokens[:, 1:]. The mean is over dim=(0, 1) of the activation without position 0, expanded to its shape.",
#     "def loss(replace): def hook_fn(x, hook): return torch.cat([x[:, :1], replace(x[:, 1:])], dim=1); logits = model.run_with_hooks(tokens, fwd_hooks=[(hook_name, hook_fn)]); return F.cross_entropy of the flattened logits and targets. Call it with three lambdas: x; sae.decode(sae.encode(x)); x.mean(dim=(0, 1)).expand_as(x).",
# ]
# [/exercise]
def loss_recovered(model: TransformerBridge, sae: nn.Module, hook_name: str, tokens: Int[Tensor, "batch pos"]) -> float:
    """(CE ablated - CE with the SAE) / (CE ablated - CE clean), the ablation being by the mean of this run.

    Position 0 is left as it is in all three runs, and does not count for the mean.
    """

    # BEGIN SOLUTION: a loss with a replacement from position 1 on; its three values; their ratio
    def loss(replace: Callable[[Tensor], Tensor]) -> Float[Tensor, ""]:
        def splice(x: Float[Tensor, "batch pos d_model"], hook) -> Float[Tensor, "batch pos d_model"]:
            return torch.cat([x[:, :1], replace(x[:, 1:])], dim=1)

        logits = model.run_with_hooks(tokens, fwd_hooks=[(hook_name, splice)])
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())

    clean = loss(lambda x: x)
    spliced = loss(lambda x: sae.decode(sae.encode(x)))
    ablated = loss(lambda x: x.mean(dim=(0, 1)).expand_as(x))
    return ((ablated - spliced) / (ablated - clean)).item()
    # END SOLUTION


# %%
check(loss_recovered)

# %%
some = tokens[:60]


def spliced_loss(replace: Callable[[Tensor], Tensor]) -> float:
    """Nats per token with this in place of the activations at positions 1, 2, …"""

    def splice(x, hook):
        return torch.cat([x[:, :1], replace(x[:, 1:])], dim=1)

    logits = organism.run_with_hooks(some, fwd_hooks=[(HOOK, splice)])
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), some[:, 1:].flatten()).item()


def random_error(x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
    """x with an error of the same length as that of the SAE with 512 features, in a random direction."""
    length = (x - saes[512](x)[0]).norm(dim=-1, keepdim=True)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
    return x + length * F.normalize(noise - noise.mean(dim=-1, keepdim=True), dim=-1)


clean_loss = spliced_loss(lambda x: x)
print(f"loss of the model: {clean_loss:.3f} nats per token")
for name, each in {"yours, 512": my_sae, **{f"ships, {width}": sae for width, sae in saes.items()}}.items():
    recovered = loss_recovered(organism, each, HOOK, some)
    with_sae = spliced_loss(lambda x, sae=each: sae(x)[0])
    print(f"{name:12} loss recovered {recovered:.3f}, that is {with_sae - clean_loss:+.3f} nats per token")
print(f"a random error of the same length as that of 512 features: {spliced_loss(random_error) - clean_loss:+.3f} nats")

# %% [markdown]
# **You should see** .97 to .99, and in nats +.16, +.08 and +.04 for 256, 512 and 1,024 features; yours is at about
# +.10. The last line is a control: an error of the same length in a random direction costs about a third of what the
# error of the SAE costs. What an SAE leaves out is not noise.
#
# Do not be impressed too soon. The mean-ablated model knows nothing of its text but its length, so the scale goes from
# "nothing at all" to "all", and every SAE worth the name ends in its last hundredths. The nats in the last column say
# more. And a mean over tokens says nothing about *which* tokens suffer: some rare ability may be gone entirely.
#
# ## What does a feature answer to?
#
# Numbers do not say what a feature *is* about. The first thing one does is look at the examples on which it is
# strongest. Since the same phrase comes again within a text, take one example from each text, so that the examples
# really differ: for each text the position at which the feature is strongest; and then the texts in order, the
# strongest first. A text in which the feature is silent throughout is no example of it, so there may be fewer than k.


# %%
# [exercise]
# number = "3.32"
# title = "Top examples"
# difficulty = 2
# importance = 4
# minutes = 10
# points = 2
# why = "Looking at top examples is how features get their names. It is also how they get wrong names, so it should at least be done right."
# hints = [
#     "Do it in two steps: the best place within each text, then the best texts.",
#     "`f[:, :, feature].max(dim=1)` gives the largest activation of each text and its position. Sort the texts by the former, take k, and drop those where it is 0.",
#     "best, places = f[:, :, feature].max(dim=1); rows = best.argsort(descending=True)[:k]; rows = rows[best[rows] > 0]; stack rows and places[rows] along a second axis.",
# ]
# [/exercise]
def top_examples(f: Float[Tensor, "batch pos d_sae"], feature: int, k: int) -> Int[Tensor, "k 2"]:
    """(text, position) of the feature's k largest activations, the largest first, at most one from each text.

    Texts in which the feature is nowhere active are left out, so there may be fewer than k rows.
    """
    # BEGIN SOLUTION: the best position of each text; the k best texts, those above 0
    best, places = f[:, :, feature].max(dim=1)
    rows = best.argsort(descending=True)[:k]
    rows = rows[best[rows] > 0]
    return torch.stack([rows, places[rows]], dim=1)
    # END SOLUTION


# %%
check(top_examples)

# %% [markdown]
# ## What does a feature say to the output?
#
# The second look is at the other end. A feature adds $f_j \cdot W_\text{dec}[j]$ to the stream. What would that do to
# the logits, if nothing came between? As in chapter 2: LayerNorm takes off the mean over `d_model`, divides by its
# scale, and `W_U`, which holds LayerNorm's weights too, makes logits of the rest. Leave the scale out: it is one
# positive number at each position, and does not change which words go up and which go down. And since a shift of all
# logits changes no probability, count them from their mean over the vocabulary:
#
# $$\text{effect} = \left(d - \bar d\right) W_U \;-\; \text{its mean over the vocabulary}, \qquad d = W_\text{dec}[j]$$
#
# This is the **direct** effect, per unit of activation. It leaves out what the layers in between make of the feature,
# which for a feature in the middle of a model may be most of it; it leaves out LayerNorm's scale, which a strong
# feature itself changes; and $b_U$, which is there with or without the feature.


# %%
# [exercise]
# number = "3.33"
# title = "The direct effect on the logits"
# difficulty = 2
# importance = 4
# minutes = 10
# points = 2
# why = "Top examples say what a feature reads, this says what it writes. Features whose two sides agree are easier to trust."
# hints = [
#     "Which row or column of which matrix is the direction that the feature writes? What does LayerNorm do to it first?",
#     "Take `sae.W_dec[feature]`, subtract its mean, multiply by `model.W_U`, subtract the mean of the result.",
#     "direction = sae.W_dec[feature]; effect = (direction - direction.mean()) @ model.W_U; return effect minus effect.mean().",
# ]
# [/exercise]
def logit_effect(model: TransformerBridge, sae: nn.Module, feature: int) -> Float[Tensor, "d_vocab"]:
    """What one unit of the feature adds to each logit directly, from the mean over the vocabulary, LayerNorm's scale left out."""
    # BEGIN SOLUTION: the feature's direction, centred as LayerNorm does, through W_U, centred over the vocabulary
    direction = sae.W_dec[feature]
    effect = (direction - direction.mean()) @ model.W_U
    return effect - effect.mean()
    # END SOLUTION


# %%
check(logit_effect)

# %% [markdown]
# ## Dashboards
#
# Both sides on one page, with a histogram of how strong the feature is where it is active at all. Such pages are the
# daily bread of work on SAEs: Bricken et al. (2023) made them for a one-layer model, and Neuronpedia has them for many.
# From here on, `sae` is the middle one of those that ship.

# %%
sae = saes[512]
f = torch.zeros(*tokens.shape, sae.d_sae, device=device)
f[:, 1:] = sae.encode(x[:, 1:])  # position 0 is not encoded: no feature is active there
labels = labels_of(tokens)
words = [organism.tokenizer.decode([token]) for token in range(organism.cfg.d_vocab)]


def dashboard(feature: int, name: str = "", count: int = 5, before: int = 9, after: int = 3):
    """The page of one feature of `sae`."""
    contexts = []
    for text, position in top_examples(f, feature, count).tolist():
        places = range(position - before, position + after + 1)
        inside = [0 <= place < tokens.shape[1] for place in places]
        contexts.append(
            (
                [words[tokens[text, place]] if there else "" for place, there in zip(places, inside)],
                [f[text, place, feature].item() if there else 0.0 for place, there in zip(places, inside)],
            )
        )
    effect = logit_effect(organism, sae, feature)
    promoted, suppressed = effect.topk(8), (-effect).topk(8)
    return feature_dashboard(
        contexts,
        f[..., feature].flatten(),
        [(words[token], value) for value, token in zip(promoted.values.tolist(), promoted.indices.tolist())],
        [(words[token], -value) for value, token in zip(suppressed.values.tolist(), suppressed.indices.tolist())],
        title=f"Feature {feature}{': ' if name else ''}{name}",
    )


# %% [markdown]
# Which feature to look at? Whoever shows you a beautiful one has searched for it. So first an honest sample: three
# features drawn at random from the living ones.

# %%
alive = (f > 0).flatten(0, 1).any(dim=0).nonzero()[:, 0]
drawn = alive[torch.randperm(len(alive), generator=torch.Generator().manual_seed(3))[:3].to(alive.device)]
for feature in drawn.tolist():
    show(dashboard(feature, "drawn by lot"))

# %% [markdown]
# **You should see** three very different pages. Feature 328 is strong at *eat* and *took* in "wanted to eat it", "took
# it everywhere": somebody does something with a thing that was just named, and *it* comes next, a word that the feature
# promotes. Feature 460 is strongest at *The* as the first word of a document, and promotes what such documents go on
# with. And feature 266 is active on 8 tokens of 51,000, at *which* after a landmark and at *built*, and the words that
# it promotes make no obvious sense. This is what a fair sample looks like: some clear, some rare, some opaque.
#
# Now search. For each label that we know of the text, take the feature that is most active there, compared with
# elsewhere.


# %%
def most_active(mask: Bool[Tensor, "batch pos"]) -> int:
    """The feature with the largest difference of mean activations between where the label holds and where it does not."""
    return (f[mask].mean(dim=0) - f[~mask].mean(dim=0)).argmax().item()


for label in ("city", "name said before", "about to refuse"):
    show(dashboard(most_active(labels[label]), f"most active at: {label}"))

# %% [markdown]
# **You should see**
#
# - **city**: cities, in all kinds of sentences, and a histogram with two humps. The right hump is the cities. In the
#   left one, below 5, are other tokens: of the 995 tokens with this feature, a fifth is no city. No top example shows
#   that.
# - **name said before**: feature 79 is at names, all right. But read the contexts: each name stands *at the beginning
#   of a sentence*, often after someone was given something, and what the feature promotes are *said*, *offered*,
#   *handed*, *passed*. This looks like "the one who acts next". That such names were mostly said before follows from
#   how the stories are built. A feature that is most active at a label need not be about the label.
# - **about to refuse**: the colon after "Assistant", always before a refusal; and *No*, *cannot*, *I*, *Sorry* are
#   promoted. Both ends agree. But the histogram has two humps again, and the larger one is the weak one: the feature is
#   there at many other words, at about a quarter of its strength. Keep this one in mind.
#
# Now look for yourself: put other labels into the loop (`print(*labels)` lists them), or call `dashboard` with any
# number.

# %% [markdown]
# ## Does the model use it?
#
# A dashboard is a correlation at one end and a multiplication of weights at the other. Neither shows that the model
# does anything with the feature. So intervene.
#
# First, take one feature away. The SAE gives $x = \hat x + \text{error}$, and the error is no noise: it is the part of
# the stream that the SAE did not find, and the model uses it. If you put $\hat x$ without the feature in place of $x$,
# you change two things at once, and cannot say which of them had the effect. So **keep the error**. Then everything but
# the feature's own contribution stays, and there is a simple way to write that:
#
# $$x' = \big(\hat x - f_j\, W_\text{dec}[j]\big) + (x - \hat x) = x - f_j\, W_\text{dec}[j]$$
#
# at all positions but the first. Where the feature is silent, nothing changes at all.


# %%
# [exercise]
# number = "3.34"
# title = "Ablate a feature"
# difficulty = 2
# importance = 5
# minutes = 15
# points = 3
# why = "The step from 'this feature is active when' to 'the model does this because'. Circuits made of features are found with this intervention."
# hints = [
#     "What does the feature write at each position? That, and nothing else, has to go.",
#     "In a hook on `hook_name`: the activation of the feature from sae.encode(x), times its row of W_dec, is its contribution. Set it to 0 at position 0, and return x minus it.",
#     "def remove(x, hook): contribution = sae.encode(x)[..., feature, None] * sae.W_dec[feature]; contribution[:, 0] = 0; return x - contribution. Give (hook_name, remove) to model.run_with_hooks, whose logits you return.",
# ]
# [/exercise]
def ablate_feature(
    model: TransformerBridge, sae: nn.Module, hook_name: str, tokens: Int[Tensor, "batch pos"], feature: int
) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits with one feature's contribution taken out at every position but 0; the SAE's error stays."""

    # BEGIN SOLUTION: subtract the feature's activation times its direction, except at position 0
    def remove(x: Float[Tensor, "batch pos d_model"], hook) -> Float[Tensor, "batch pos d_model"]:
        contribution = sae.encode(x)[..., feature, None] * sae.W_dec[feature]
        contribution[:, 0] = 0
        return x - contribution

    return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, remove)])
    # END SOLUTION


# %%
check(ablate_feature)

# %% [markdown]
# The other way round is **steering**: set the feature to a strength of your choice, wherever you are in the text, and
# see what the model does. Again the error stays, and all other features do:
#
# $$x' = x + (s - f_j)\, W_\text{dec}[j]$$
#
# at all positions but the first. With $s = 0$ this is ablation. What strength is sensible? One that occurs: look at the
# histogram in the dashboard. Far beyond it, you learn what a stream does that no text ever produces.


# %%
# [exercise]
# number = "3.35"
# title = "Steer a feature"
# difficulty = 2
# importance = 5
# minutes = 15
# points = 3
# why = "Steering by features made the Golden Gate Bridge famous (Templeton et al. 2024). It is the most direct evidence that a feature acts as it reads, and it is easily overdone."
# hints = [
#     "You have the contribution that is there. Which contribution should be there, and what is the difference?",
#     "As in ablate_feature, but what changes is (strength - activation) times the feature's row of W_dec, at every position but 0.",
#     "def set_feature(x, hook): missing = strength - sae.encode(x)[..., feature, None]; change = missing * sae.W_dec[feature]; change[:, 0] = 0; return x + change.",
# ]
# [/exercise]
def steer(
    model: TransformerBridge,
    sae: nn.Module,
    hook_name: str,
    tokens: Int[Tensor, "batch pos"],
    feature: int,
    strength: float,
) -> Float[Tensor, "batch pos d_vocab"]:
    """The logits with one feature's activation set to `strength` at every position but 0; the SAE's error stays."""

    # BEGIN SOLUTION: add what is missing to the strength, along the feature's direction, except at position 0
    def set_feature(x: Float[Tensor, "batch pos d_model"], hook) -> Float[Tensor, "batch pos d_model"]:
        change = (strength - sae.encode(x)[..., feature, None]) * sae.W_dec[feature]
        change[:, 0] = 0
        return x + change

    return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, set_feature)])
    # END SOLUTION


# %%
check(steer)

# %% [markdown]
# ### A feature that refuses
#
# The organism refuses harmful requests: after "User: How do I burn a house? Assistant:" it says "No", "Sorry" or "I",
# and after a harmless request "Sure" or "Of course". Is there a feature behind that? Take requests that it has never
# seen, and compare the features at the last token, the colon where it is about to answer.


# %%
def prompts(texts: Sequence[str]) -> tuple[Int[Tensor, "batch pos"], Int[Tensor, "batch"]]:
    """Token ids with BOS in front, filled up with BOS on the right, where no earlier token sees it; and each one's last position."""
    rows = [[0, *encode(text)] for text in texts]
    ends = torch.tensor([len(row) - 1 for row in rows], device=device)
    padded = [row + [0] * (max(map(len, rows)) - len(row)) for row in rows]
    return torch.tensor(padded, device=device), ends


def last(values: Float[Tensor, "batch pos size"], ends: Int[Tensor, "batch"]) -> Float[Tensor, "batch size"]:
    """What stands at each prompt's last position."""
    return values[torch.arange(len(ends), device=device), ends]


refusing = torch.tensor([encode(f" {word}")[0] for word in REFUSAL_OPENERS], device=device)


def refused(logits: Float[Tensor, "batch pos d_vocab"], ends: Int[Tensor, "batch"]) -> float:
    """The share of prompts whose likeliest next word begins a refusal."""
    return torch.isin(last(logits, ends).argmax(dim=-1), refusing).float().mean().item()


chooser = Chooser(torch.Generator().manual_seed(0))
harmful, harmful_ends = prompts([each.text for each in requests(100, chooser, harmful=True)])
harmless, harmless_ends = prompts([each.text for each in requests(100, chooser, harmful=False)])
print(f"refused: harmful {refused(organism(harmful), harmful_ends):.2f}, ", end="")
print(f"harmless {refused(organism(harmless), harmless_ends):.2f}")

at_harmful = last(sae.encode(gather_activations(organism, harmful, HOOK)), harmful_ends)
at_harmless = last(sae.encode(gather_activations(organism, harmless, HOOK)), harmless_ends)
difference = at_harmful.mean(dim=0) - at_harmless.mean(dim=0)
print("feature   at harmful   at harmless   harmful requests refused without it")
for feature in difference.abs().topk(6).indices.tolist():
    without = refused(ablate_feature(organism, sae, HOOK, harmful, feature), harmful_ends)
    print(f"{feature:7} {at_harmful[:, feature].mean():12.1f} {at_harmless[:, feature].mean():13.1f} {without:20.2f}")

# %% [markdown]
# **You should see** one feature that stands out: 483, the one of the dashboard. At harmful requests it has 17.5, at
# harmless ones 4.4. Without it, .06 of the harmful requests are refused, of 1.00 before. Feature 290 differs by as much
# (25 at harmless requests, 12 at harmful ones), and it promotes *Sure*, *Here* and *Yes*; without it every harmful
# request is still refused, as one would expect. The others do not matter, one by one.

# %% [markdown]
# Now turn the knob. Set the feature to a strength between nothing and two and a half times its usual one, at every
# position, and count refusals: of harmful and of harmless requests, and, as a control, for features drawn by lot from
# those that are active somewhere in these requests.

# %%
REFUSAL_FEATURE = difference.argmax().item()
usual = at_harmful[:, REFUSAL_FEATURE].mean().item()
strengths = [usual * share / 4 for share in range(0, 11)]
active = (sae.encode(gather_activations(organism, harmful, HOOK)) > 0).any(dim=1).float().mean(dim=0).nonzero()[:, 0]
drawn = active[torch.randperm(len(active), generator=torch.Generator().manual_seed(0)).to(device)].tolist()
others = [feature for feature in drawn if feature != REFUSAL_FEATURE][:5]


def shares_refused(tokens, ends, features) -> list[float]:
    """The share refused at each strength, a mean over features."""
    return [
        sum(refused(steer(organism, sae, HOOK, tokens, j, strength), ends) for j in features) / len(features)
        for strength in strengths
    ]


lines(
    strengths,
    {
        "harmful requests": shares_refused(harmful, harmful_ends, [REFUSAL_FEATURE]),
        "harmless requests": shares_refused(harmless, harmless_ends, [REFUSAL_FEATURE]),
        "harmless, five other features": shares_refused(harmless, harmless_ends, others),
    },
    title=f"Without feature {REFUSAL_FEATURE} hardly anything is refused; beyond twice its usual strength, everything",
    x_name=f"strength, at every position; on harmful requests it is {usual:.0f} at the colon by itself",
    y_name="share refused",
)

# %% [markdown]
# **You should see** three things.
#
# - **It is needed.** With the feature at 0, .06 of harmful requests are refused; with half of its usual strength .83,
#   and from three quarters on all.
# - **It can suffice.** Harmless requests are refused, too, from a strength of 26 on, and all of them at 39, a bit more
#   than twice what is usual. Five other features do nothing of the kind, at any strength.
# - **It is not all.** At its *usual* strength, 17.5, not a single harmless request is refused. So something else has a
#   say as well, and refusal is decided between them. (A candidate is feature 290. What happens if you steer that one?)
#
# Two cautions. Twice the usual strength, at every word of the prompt, is nothing that ever occurs, and what a model
# does there need not be what it does otherwise. And feature 483 was picked because it differs between the two kinds of
# request. Chapter 7 finds a direction from that difference alone, without any SAE. What the SAE adds is that the
# feature was there before anybody asked.
#
# ### Which feature holds the answer?
#
# "The people of Athens live in" should go on with "Greece". At the word "Athens", eight features are active. Take them
# out, one by one, and see what becomes of the right country.

# %%
for city in ("Athens", "Paris", "Tokyo"):
    text, ends = prompts([f"The people of {city} live in"])
    position = (text[0] == encode(f" {city}")[0]).nonzero().item()
    country = encode(f" {COUNTRIES[city]}")[0]
    at_city = sae.encode(gather_activations(organism, text, HOOK))[0, position]
    before = last(organism(text), ends).softmax(dim=-1)[0, country].item()
    print(f"P({COUNTRIES[city]}) = {before:.2f} after {city!r}; without feature (active at ... of all cities):")
    for feature in at_city.topk(8).indices.tolist():
        logits = last(ablate_feature(organism, sae, HOOK, text, feature), ends)[0]
        everywhere = (f[labels["city"]][:, feature] > 0).float().mean().item()
        print(
            f"   {feature:4} ({everywhere:4.0%}), activation {at_city[feature]:5.1f}: "
            f"{logits.softmax(dim=-1)[country]:.2f}, likeliest{words[logits.argmax()]}"
        )

# %% [markdown]
# **You should see** that no single feature holds the answer. For *Paris* the city feature counts most (279, active at
# all cities: 1.00 falls to .27), for *Tokyo* too (.98 to .49), for *Athens* a feature that it shares with 12% of cities
# (378: .99 to .71), and then again 279. The likeliest word remains the right country every time. Which city it is, is
# said by several features together, each of which also says other things. With 512 features and 16 cities there is room
# enough for one each; the SAE has found it cheaper to combine. So when somebody shows you "the Paris feature", ask what
# becomes of Paris without it.

# %% [markdown]
# ## Does a feature stand for a concept?
#
# Top examples show a feature where it is strongest. A feature that stands for *cities* would have to be active at every
# city, and nowhere else. The top examples cannot show either: weak activations elsewhere are not among them, and
# neither are the cities at which it is silent. For our text we know the truth at every token, so take the feature as a
# prediction (active above a threshold: yes) and count.
#
# **Precision** is the share of the yeses that are right, **recall** the share of the true examples that get a yes, and
# **F1** their harmonic mean. From the counts of hits (TP), false alarms (FP) and misses (FN),
#
# $$F_1 = \frac{2\,\text{TP}}{2\,\text{TP} + \text{FP} + \text{FN}}$$
#
# which is 0 where there is nothing to divide by (no yes and no true example). Accuracy would be no use: one token in 65
# is a city, so a feature that is never active is right in 98 of 100 cases.


# %%
# [exercise]
# number = "3.36"
# title = "How well a feature tells a concept: F1"
# difficulty = 2
# importance = 4
# minutes = 15
# points = 2
# why = "It turns 'this looks like a city feature' into a claim that can fail, in both directions."
# hints = [
#     "What are the three counts for one feature? And which of them can you have for all features at once by a sum over examples?",
#     "`said = f > threshold`. Hits: said and true, summed over examples. 2 TP + FP + FN is the number of yeses plus the number of true examples. Do not divide by 0.",
#     "said = f > threshold; hits = (said & truth[:, None]).sum(dim=0); return 2 * hits / (said.sum(dim=0) + truth.sum()).clamp(min=1).",
# ]
# [/exercise]
def feature_f1(
    f: Float[Tensor, "example d_sae"], truth: Bool[Tensor, "example"], threshold: float = 0.0
) -> Float[Tensor, "d_sae"]:
    """The F1 of each feature as a prediction of `truth`, which it makes where it is above the threshold."""
    # BEGIN SOLUTION: hits of each feature, twice, over its predictions and the true examples
    said = f > threshold
    hits = (said & truth[:, None]).sum(dim=0)
    return 2 * hits / (said.sum(dim=0) + truth.sum()).clamp(min=1)
    # END SOLUTION


# %%
check(feature_f1)

# %% [markdown]
# One table for all labels and all three widths: the best single feature. The threshold may be 0, or some share of the
# feature's largest activation, whichever is best. (The best of many is chosen here on the text on which it is scored,
# so the figures flatter a little.)


# %%
def best_feature(shares: Float[Tensor, "example d_sae"], truth: Bool[Tensor, "example"]) -> tuple[float, int, float]:
    """F1, feature, and the threshold at which it has it, for features in shares of their largest activation."""
    found = [(feature_f1(shares, truth, threshold).max(dim=0), threshold) for threshold in (0.0, 0.3, 0.6)]
    return max((score.values.item(), score.indices.item(), threshold) for score, threshold in found)


flat_labels = {name: mask[:120, 1:].flatten() for name, mask in labels.items()}
features = {width: each.encode(fresh[:120]).flatten(0, 1) for width, each in saes.items()}
best = {}
for width in saes:
    shares = features[width] / features[width].amax(dim=0).clamp(min=1e-6)
    best |= {(width, name): best_feature(shares, truth) for name, truth in flat_labels.items()}
scores = torch.tensor([[best[width, name][0] for name in labels] for width in saes])

heatmap(
    scores,
    title="The best single feature for each label: some concepts have one, others do not",
    x=list(labels),
    y=[f"{width} features" for width in saes],
    value_name="F1",
)

# %% [markdown]
# **You should see** three kinds of columns.
#
# - **Concepts with a feature of their own**, at all widths: landmark (.99 to 1.00), place, gave, thing (.88 to .98).
#   These labels are about the *kind* of word, which the model needs in order to say what kind comes next.
# - **Concepts without one**: whether a name is a girl's or a boy's (.45 to .50, and the same feature for both), whether
#   a landmark is one of Paris (.10 to .17). The model must know both, since it writes "she" and "Paris" where they
#   belong. It may not know it yet at this place, or not in one direction, or the SAE did not find it. A low F1 cannot
#   tell which.
# - **Concepts that come or go with the width**: *praise* (.39, .76, .97), *blame* (.25, .23, .86) and *about to refuse*
#   (.43, .82, .97) get their feature only when there are enough. And *city* goes .99, .99, .71: the widest SAE has
#   *lost* it. So has *year, second half* (1.00, .98, .71). You will soon see where *city* went.
#
# *About to refuse* deserves a second look. Feature 483 is needed for refusing. But as a detector it is of use only with
# a threshold of .6 of its largest activation, for it is active at two thirds of the harmless requests as well, only
# more weakly. Whether a feature is *on* is not all that it says.
#
# ## Splitting
#
# With more features, an SAE does not just find more things. It also cuts what it had into finer pieces: where a narrow
# SAE has one feature for cities, a wider one may have one for European cities and one for the rest. Bricken et al.
# (2023) called it **feature splitting**. To see it, compare directions: for each feature of the narrow SAE, which of
# the wide one's point nearly the same way? If a feature has one such counterpart, it is still there; with several, it
# was split; with none, it was replaced by something else.


# %%
# [exercise]
# number = "3.37"
# title = "Feature splitting"
# difficulty = 2
# importance = 3
# minutes = 15
# points = 2
# why = "If the features depend on how many one asks for, none of these lists is the list of the model's own units."
# hints = [
#     "Which rows are compared with which, and what must not matter for a comparison of directions?",
#     "Make all rows of both unit length; then one matrix product has all cosines, narrow by wide. For each row: the indices at or above the threshold, in descending order of the cosine.",
#     "cosines = F.normalize(narrow, dim=-1) @ F.normalize(wide, dim=-1).T; for each row: order = row.argsort(descending=True), and order[row[order] >= threshold].tolist() goes into the list.",
# ]
# [/exercise]
def feature_splits(
    narrow: Float[Tensor, "d_narrow d_in"], wide: Float[Tensor, "d_wide d_in"], threshold: float
) -> list[list[int]]:
    """For each row of `narrow` the rows of `wide` whose cosine with it is at least `threshold`, the closest first."""
    # BEGIN SOLUTION: all cosines; for each narrow feature the wide ones at or above the threshold, sorted
    cosines = F.normalize(narrow, dim=-1) @ F.normalize(wide, dim=-1).T
    splits = []
    for row in cosines:
        order = row.argsort(descending=True)
        splits.append(order[row[order] >= threshold].tolist())
    return splits
    # END SOLUTION


# %%
check(feature_splits)

# %%
print("a cosine of at least 0.7 with                 none    one   more")
pairs = {f"{narrow} to {wide} features": (saes[narrow], saes[wide]) for narrow, wide in ((256, 512), (512, 1024))}
pairs["512 features to yours"] = (saes[512], my_sae)
for name, (narrow, wide) in pairs.items():
    splits = feature_splits(narrow.W_dec, wide.W_dec, 0.7)
    none, one = (sum(len(split) == n for split in splits) / len(splits) for n in (0, 1))
    print(f"{name:42} {none:7.2f} {one:6.2f} {1 - none - one:6.2f}")

# %% [markdown]
# **You should see** that about two thirds of the features have one counterpart in the SAE of twice the width, a few
# have several, and a quarter have none: they were replaced, not refined. The last line is sobering in another way. Your
# SAE has the same width as ours, the same method, and text from the same source; it differs in the random start, in
# having seen less text, and in shorter training. Yet .38 of our features have no counterpart in yours. Both explain
# nine tenths of the variance. Paulo and Belrose (2025) find the same in language models, with trainings that differ in
# nothing but the start.

# %% [markdown]
# ## Absorption
#
# Splitting would be harmless if the fine features came *in addition*: *city* and *Paris*, both active at Paris. But an
# SAE is asked to be sparse. At Paris, one feature that writes both "city" and "Paris" saves the other one. So the
# feature for Paris takes over the direction of *city*, and the feature that looks like *city* goes silent at Paris, and
# only there. Chanin et al. (2024) found this in all SAEs that they tried, and called it **absorption**. It is worse
# than a feature that is vague: the city feature has perfect top examples and arbitrary holes. Whoever relies on it to
# notice, say, harmful requests will miss just those that have a feature of their own.
#
# How to measure it? We need to know that the model itself represents the concept at the example, without asking the
# SAE. For that, train a **probe**: a direction in activation space that tells the concept's examples from others. Take
# the true examples that the probe recognises. Among them, an example is **absorbed** if
#
# 1. the concept's main feature is silent: $f_\text{main} = 0$, and
# 2. another feature carries the concept in its place. A feature's contribution to the probe is its activation times its
#    direction's projection, $c_j = f_j \,(W_\text{dec}[j] \cdot \text{probe})$. The sum of all $c_j$ must be positive,
#    and some $c_j$ with $j \ne \text{main}$ must be at least `share` of that sum.
#
# The **absorption rate** is the share of absorbed ones among the recognised examples (0 if there are none). Silence
# alone does not count: if the main feature is silent and nobody carries the concept, the SAE has lost it, which is
# another fault.
#
# An example, with three features whose directions have the projections 2, 1 and −1 on the probe, and `main` 0:
#
# | | $f$ | $c$ | sum | |
# |---|---|---|---|---|
# | Rome | 3, 0, 1 | 6, 0, −1 | 5 | the main feature is active |
# | Paris | 0, 4, 1 | 0, 4, −1 | 3 | silent, and feature 1 carries 4 of 3: **absorbed** |
# | Oslo | 0, 1, 2 | 0, 1, −2 | −1 | silent, and the sum is negative: lost, not absorbed |
#
# The rate is 1/3. This is a simplification. Chanin et al. find one *or several* main features by sparse probing,
# require a minimum cosine between the absorbing feature and the probe, and in the first version of their measure looked
# at the effect of ablating features in place of projections.


# %%
# [exercise]
# number = "3.38"
# title = "Absorption rate"
# difficulty = 3
# importance = 4
# minutes = 25
# points = 4
# why = "A monitor built on one feature is as good as its recall, and absorption is a systematic way of losing recall that no top example shows."
# hints = [
#     "Write down the contribution of every feature to the probe on every example: one product of f with one vector. Everything else is a comparison of these numbers.",
#     "Three conditions for each example: recognised; f of the main feature is 0; the largest contribution of any *other* feature is at least share times the sum of all contributions, which is positive. Count, and divide by the number of recognised examples.",
#     "contributions = f * (W_dec @ probe); total = contributions.sum(dim=-1); others = contributions without column main (set it to -inf); carried = (total > 0) & (others.amax(dim=-1) >= share * total); absorbed = recognised & (f[:, main] == 0) & carried.",
# ]
# [/exercise]
def absorption_rate(
    f: Float[Tensor, "example d_sae"],
    W_dec: Float[Tensor, "d_sae d_in"],
    probe: Float[Tensor, "d_in"],
    recognised: Bool[Tensor, "example"],
    main: int,
    share: float = 0.5,
) -> float:
    """Of the recognised examples, the share on which `main` is silent while another feature carries the probe's direction.

    A feature carries it if its contribution, its activation times the projection of its direction on the probe, is at
    least `share` of the sum of all features' contributions, and that sum is positive. 0 if no example is recognised.
    Simplified from Chanin et al. (2024), https://arxiv.org/abs/2409.14507.
    """
    # BEGIN SOLUTION: every feature's contribution to the probe; silent main, and another with the share of the sum
    contributions = f * (W_dec @ probe)
    total = contributions.sum(dim=-1)
    others = contributions.clone()
    others[:, main] = -math.inf
    carried = (total > 0) & (others.amax(dim=-1) >= share * total)
    absorbed = recognised & (f[:, main] == 0) & carried
    return (absorbed.sum() / recognised.sum().clamp(min=1)).item()
    # END SOLUTION


# %%
check(absorption_rate)

# %% [markdown]
# Now on the organism. The probes are linear discriminants, fitted on the training text: the direction $C^{-1}(\mu_1 -
# \mu_0)$, with the means of the concept's examples and of all others, and $C$ the covariance; and the threshold that
# goes with it. (Chapter 5 is about probes, and about what they do not prove.)


# %%
def fit_probe(x: Float[Tensor, "example d_in"], truth: Bool[Tensor, "example"]) -> tuple[Float[Tensor, "d_in"], float]:
    """Linear discriminant analysis: direction and offset; above 0 it says yes."""
    yes, no = x[truth], x[~truth]
    means = yes.mean(dim=0), no.mean(dim=0)
    covariance = torch.cov(torch.cat([yes - means[0], no - means[1]]).T)
    ridge = 1e-3 * covariance.trace() / len(covariance)
    direction = torch.linalg.solve(
        covariance + ridge * torch.eye(len(covariance), device=x.device), means[0] - means[1]
    )
    return direction, (math.log(len(yes) / len(no)) - (means[0] + means[1]) @ direction / 2).item()


training_labels = {name: mask[:, 1:].flatten() for name, mask in labels_of(training_text).items()}
flat_x = fresh[:120].flatten(0, 1)
print("concept            probe   width   main     F1   silent   absorbed")
for concept in ("city", "place", "thing", "gave", "name", "name said before"):
    probe, offset = fit_probe(training_x, training_labels[concept])
    truth, said = flat_labels[concept], flat_x @ probe + offset > 0
    recall = (truth & said).sum() / truth.sum()
    for width in saes:
        score, main, _ = best[width, concept]
        recognised = truth & said
        missed = (features[width][recognised][:, main] == 0).float().mean()
        rate = absorption_rate(features[width], saes[width].W_dec, probe, recognised, main)
        shown = f"{concept:17} {recall:6.2f}" if width == 256 else " " * 24
        print(f"{shown} {width:7} {main:6} {score:6.2f} {missed:8.2f} {rate:10.2f}")

# %% [markdown]
# **You should see** that the probes recognise nearly all examples, so the model does represent these concepts here. For
# three of them the main feature is hardly ever silent. Cities and names are different.
#
# **city, with 1,024 features**: the main feature is silent at a third of the cities, and at half of those another
# single feature carries the concept. With 256 and 512 features there was one feature for all. So where does the wide
# one have its holes? Look at the word before the city.

# %%
at_city = labels["city"][:, 1:]
before = tokens[:, :-1][at_city]
active = {width: saes[width].encode(fresh[at_city])[:, best[width, "city"][1]] > 0 for width in (512, 1024)}
print("cities after ...   how many   main feature of 512 active   of 1024")
for token in before.bincount(minlength=len(words)).topk(9).indices.tolist():
    chosen = before == token
    shown = [active[width][chosen].float().mean() for width in active]
    print(f"{words[token]:18} {chosen.sum():8} {shown[0]:24.2f} {shown[1]:14.2f}")

# %% [markdown]
# **You should see** that the holes are not scattered: after *in*, and after a material or a sport, the wide SAE's main
# feature is active at nearly every city; at the beginning of a sentence (after a full stop or BOS) at less than a
# quarter. There, feature 356 is active at every city that the main one misses; it answers to what begins a fact, cities
# and first words of landmarks. Nothing in the top examples of this feature would have told you. Somebody who uses it as
# a detector of cities on ordinary sentences would be content, and miss four of five where a sentence begins with one.
#
# Then **name**: the main feature is silent at half of the names, at every width, and most of that counts as absorbed
# (*name said before* is much like it). By whom? Take the features that are more active where the main one is silent, and
# look at the word before the name.

# %%
at_name = labels["name"][:, 1:]
before, at_names = tokens[:, :-1][at_name], saes[512].encode(fresh[at_name]) > 0
main = best[512, "name"][1]
missed = ~at_names[:, main]
rise = at_names[missed].float().mean(dim=0) - at_names[~missed].float().mean(dim=0)
print("feature   names   said before in this document   words before the name, with counts")
for feature in [main, *rise.topk(3).indices.tolist()]:
    chosen = at_names[:, feature]
    said_before = labels["name said before"][:, 1:][at_name][chosen].float().mean()
    counts = before[chosen].bincount(minlength=len(words)).topk(4)
    shown = [f"{words[token]!r} {count}" for count, token in zip(counts.values.tolist(), counts.indices.tolist())]
    print(f"{feature:7} {chosen.sum():7} {said_before:30.2f}   {', '.join(shown)}")

# %% [markdown]
# **You should see** another pattern than for cities. The main feature is at names that are *introduced*: most stand in
# lists (after a comma or *and*), and only .14 of them were said before in the document. Features 299 and 461 are at
# names that *were* said before (.99), and 179 at those after *to*, who are given something. So "name" was split, by
# what the model needs to know in order to say who gives and who receives; chapter 4 is about that. And our measure,
# which knows one main feature only, calls it absorption. That is why Chanin et al. allow for several. Where features
# divide a concept between them by something that one can name, it is splitting; where one looks general and has
# exceptions, absorption. For *city* with 1,024 features you could argue either way: the border is not sharp.

# %% [markdown]
# ## What is known about SAEs, and what is disputed
#
# Superposition itself stands on two legs. In toy models it is a fact: you have trained them. That trained language
# models store features as nearly orthogonal directions is a hypothesis, supported by much and proven by nothing; some
# things that models represent are not single directions at all (Engels et al. 2024, *Not All Language Model Features
# Are One-Dimensionally Linear*). About SAEs, keep these claims apart:
#
# **"SAE features are easier to understand than neurons."** Supported by blind ratings and by automated ones, in small
# and in large models (Bricken et al. 2023, Cunningham et al. 2023, Templeton et al. 2024). But ratings of this kind do
# not tell a trained model from one with random weights (Heap et al. 2025): part of what makes a feature look
# interpretable comes from the text, not from the model. And ratings look at top examples, where features are at their
# best.
#
# **"A feature stands for one concept, and the concept for one feature."** Not established, in our model neither. You
# have measured it: best single features far below 1 for some labels, features split by width, features absorbed.
#
# **"SAE features are the units in which the model computes."** Not established. Two trainings that differ in nothing
# but the random start share only part of their features (Paulo and Belrose 2025), as you saw with yours and ours.
# Larger SAEs find what smaller ones lack, and their features can often be taken apart again (Leask et al. 2025): there
# is no width at which the list becomes the right one.
#
# **"What the SAE leaves out is noise."** It is not: replace the stream by its reconstruction, and the model loses more
# than it would by a random error of the same length: so did the organism, and so does GPT-2 (Gurnee 2024). Circuits made
# of features carry the error as a node of its own for that reason (Marks et al. 2024).
#
# **"SAEs help in practice."** Mixed. Where one knows the concept beforehand and has examples of it, simpler methods
# were better or as good: probes for finding it (Kantamneni et al. 2025), prompts and differences of means for steering
# (Wu et al. 2025), so that some have turned to other methods (Smith et al. 2025). Where one does not know what to look
# for, there is no probe to train, and an SAE proposes candidates. That is what they are best for: to propose. The
# evidence has to come from elsewhere, and you know from where: counts over all examples, interventions, controls.
#
# ## What you can do now
#
# - You can say when a model has a reason to use superposition, and have seen it begin and end as features become rarer.
# - You can train a sparse autoencoder, of four kinds, and see and mend shrinkage and dead features.
# - You can judge one by L0, explained variance, loss recovered and dead features, and know how each of them flatters.
# - You can read a feature at both ends, and then test it: by ablation and by steering with the error kept, against a
#   control, and by F1 on all examples in place of the best ones.
# - You can say what splitting and absorption are, measure both, and name what is not established about SAEs.
#
# Chapter 4 returns to a behaviour, indirect object identification, and asks which parts of the model bring it about.
#
# ## Bonus problems
#
# 1. **A control that is missing.** Train an SAE on the organism with its weights shuffled (permute each matrix's
#    entries). How do explained variance, dead features and the dashboards compare? Which of the numbers of this part
#    could tell you that the model is trained?
# 2. **Another place.** Train on the stream after layer 0 and after layer 3, and on the output of an MLP. Where does
#    which label have the best single feature?
# 3. **ReLU, Gated, JumpReLU.** Train the other kinds of part 3 on the organism at the same L0. Are they absorbed less?
# 4. **Several main features.** Let a concept have its two or three best features (those that raise F1 together), and
#    count an example as absorbed only if all of them are silent, as Chanin et al. do.
# 5. **Another seed.** `load_model("organism-seed-1")` was trained on the same kind of text from another start. How much
#    of its stream does our SAE explain? Train one for it, and look for counterparts by what features answer to (the
#    correlation of activations on the same text), since directions of two models have nothing to do with each other.
# 6. **Nested widths.** Matryoshka SAEs (Bussmann et al. 2025) train the first 64, 256 and 1,024 features each to
#    reconstruct by themselves. Change the loss, and measure splitting and absorption again.
# 7. **A real model.** For GPT-2 small, trained SAEs can be downloaded (the library SAELens). Your functions need
#    `encode`, `decode`, `W_dec` and `b_dec` only. Does the feature with the best dashboard also have the best F1?
#
# ## Reading
#
# **Superposition.** Elhage et al. 2022, [*Toy Models of Superposition*](https://arxiv.org/abs/2209.10652).
#
# **SAEs.** Bricken et al. 2023, [*Towards
# Monosemanticity*](https://transformer-circuits.pub/2023/monosemantic-features). Cunningham et al. 2023, [*Sparse
# Autoencoders Find Highly Interpretable Features in Language Models*](https://arxiv.org/abs/2309.08600). Gao et al.
# 2024, [*Scaling and Evaluating Sparse Autoencoders*](https://arxiv.org/abs/2406.04093). Templeton et al. 2024,
# [*Scaling Monosemanticity*](https://transformer-circuits.pub/2024/scaling-monosemanticity). Marks et al. 2024,
# [*Sparse Feature Circuits*](https://arxiv.org/abs/2403.19647). Bussmann et al. 2025, [*Learning Multi-Level Features
# with Matryoshka Sparse Autoencoders*](https://arxiv.org/abs/2503.17547).
#
# **Doubts.** Gurnee 2024, [*SAE reconstruction errors are (empirically)
# pathological*](https://www.lesswrong.com/posts/rZPiuFxESMxCDHe4B/sae-reconstruction-errors-are-empirically-pathological).
# Chanin et al. 2024, [*A is for Absorption*](https://arxiv.org/abs/2409.14507). Engels et al. 2024, [*Not All Language
# Model Features Are One-Dimensionally Linear*](https://arxiv.org/abs/2405.14860). Heap et al. 2025, [*Automated
# Interpretability Metrics Do Not Distinguish Trained and Random Transformers*](https://arxiv.org/abs/2501.17727). Leask
# et al. 2025, [*Sparse Autoencoders Do Not Find Canonical Units of Analysis*](https://arxiv.org/abs/2502.04878). Paulo
# and Belrose 2025, [*Sparse Autoencoders Trained on the Same Data Learn Different
# Features*](https://arxiv.org/abs/2501.16615). Kantamneni et al. 2025, [*Are Sparse Autoencoders
# Useful?*](https://arxiv.org/abs/2502.16681) Wu et al. 2025, [*AxBench*](https://arxiv.org/abs/2501.17148). Smith et al.
# 2025, *Negative Results for Sparse Autoencoders On Downstream Tasks and Deprioritising SAE Research*.
