"""This file knows how to check chapter 3: superposition and sparse autoencoders."""

import math
import re
import weakref

import torch
import torch.nn.functional as F
from torch import nn

from utils.checking import complain, expect_close, expect_equal, expect_shape
from utils.checking.complaints import Complaint
from utils.checking.stand_ins import CourseGatedSAE, CourseSAE, ToyModelsOfTheChecker
from utils.models.attention_only import AttentionOnlyConfig
from utils.models.config import TransformerConfig
from utils.models.random_models import borrow_bridge
from utils.saes import random_sae


def expect_no_graph(function, *args, rule, look_at, **kwargs):
    """Complain if what the function gives requires a gradient; what a handle gives is detached, so its `gradients` is asked."""
    try:
        function.gradients(*args, **kwargs)
    except Complaint as complaint:
        if complaint.seen.startswith("no gradient flows"):
            return
        if "backward pass" not in complaint.seen:
            raise
    except ValueError:  # torch has no argument that it could differentiate by
        pass
    complain(
        "what comes back requires a gradient, so the graph behind it is still in memory", rule=rule, look_at=look_at
    )


# ---------------------------------------------------------------- 3.1 coherence


def cosines_of_pairs(vectors):
    """The cosine of every pair of different vectors, in plain Python."""
    rows = vectors.double().tolist()
    lengths = [math.sqrt(sum(a * a for a in row)) for row in rows]
    return [
        sum(a * b for a, b in zip(rows[i], rows[j])) / (lengths[i] * lengths[j])
        for i in range(len(rows))
        for j in range(i)
    ]


def expect_coherence(value, expected, *, rule, look_at):
    value = value.item() if isinstance(value, torch.Tensor) and value.ndim == 0 else value
    if not isinstance(value, (int, float)):
        complain(
            f"coherence returned a {type(value).__name__}",
            rule="one number comes back, a float",
            look_at="the end of the function: .max().item()",
        )
    expect_close(value, expected, rule=rule, look_at=look_at, what="the coherence")


def test_coherence_is_the_largest_cosine_among_all_pairs(coherence, draw):
    for n_vectors, dim in ((7, 5), (3, 6), (11, 4)):
        vectors = draw.normal(n_vectors, dim)
        vectors = vectors / vectors.norm(dim=-1, keepdim=True)
        expect_coherence(
            coherence(vectors),
            max(abs(cosine) for cosine in cosines_of_pairs(vectors)),
            rule=f"the largest |cosine| between two of the {n_vectors} rows",
            look_at="that rows are paired with rows, that no row is paired with itself, and abs and max",
        )


def test_the_lengths_of_the_vectors_do_not_matter(coherence, draw):
    vectors = draw.normal(6, 4) * draw.uniform(6, 1, low=0.05, high=7.0)
    expect_coherence(
        coherence(vectors),
        max(abs(cosine) for cosine in cosines_of_pairs(vectors)),
        rule="a cosine is the dot product of two vectors of length 1: every row is divided by its own length",
        look_at="whether every row, dim=-1, is brought to length 1 before the dot products",
    )


def test_orthogonal_vectors_have_coherence_0(coherence, draw):
    vectors = torch.diag(torch.tensor([2.0, -0.5, 3.0, 1.0, 0.25]))[:4].to(draw.device)
    expect_coherence(
        coherence(vectors),
        0.0,
        rule="the cosine between orthogonal vectors is 0; a vector's cosine with itself, 1, does not count",
        look_at="the diagonal of the matrix of cosines",
    )


def test_opposite_directions_count_like_equal_ones(coherence, draw):
    vectors = torch.tensor([[1.0, 0.0, 0.0], [0.3, 0.9, 0.1], [-2.0, 0.1, 0.3], [0.0, 0.2, 0.8]], device=draw.device)
    expect_coherence(
        coherence(vectors),
        max(abs(cosine) for cosine in cosines_of_pairs(vectors)),
        rule="vectors 0 and 2 point almost opposite ways, and |cosine| is what counts",
        look_at="abs, and that it comes before max",
    )


def test_a_pair_on_one_line_has_coherence_1(coherence, draw):
    vectors = draw.normal(5, 7)
    vectors[4] = -0.3 * vectors[1]
    expect_coherence(
        coherence(vectors),
        1.0,
        rule="vectors 1 and 4 lie on one line, so their |cosine| is 1, whichever their lengths",
        look_at="which pairs you compare: all, not neighbours alone",
    )


# ---------------------------------------------------------------- 3.2 nearly_orthogonal


def expect_unit_vectors(vectors, n_vectors, dim):
    expect_shape(
        vectors,
        (n_vectors, dim),
        axes="vector dim",
        rule="one row for each vector",
        look_at="the order of n_vectors and dim in the shape that you draw",
        what="the tensor of vectors",
    )
    lengths = vectors.norm(dim=-1).cpu()
    expect_close(
        lengths,
        torch.ones(n_vectors),
        rule="the vectors that come back have length 1, and length is over dim, the last axis",
        look_at="the last line: F.normalize(vectors, dim=-1)",
        axes="vector",
        atol=1e-4,
        what="the length of each vector",
    )
    return vectors.cpu()


def worst_cosine(vectors):
    cosines = F.normalize(vectors.double(), dim=-1) @ F.normalize(vectors.double(), dim=-1).T
    return (cosines - torch.eye(len(vectors))).abs().max().item()


def expect_packed(nearly_orthogonal, n_vectors, dim, at_most, draw, *, rule, steps=100):
    generator = draw.generator()
    vectors = expect_unit_vectors(nearly_orthogonal(n_vectors, dim, steps, generator), n_vectors, dim)
    worst = worst_cosine(vectors)
    if worst > at_most:
        complain(
            f"after {steps} steps the coherence of {n_vectors} vectors in {dim} dimensions is {worst:.2f}",
            rule=f"{rule}; at most {at_most} is asked for",
            look_at="the loss (fourth powers of the cosines, without the diagonal), its sign, zero_grad, and the learning rate",
        )


def test_the_packed_vectors_have_length_1(nearly_orthogonal, draw):
    expect_unit_vectors(nearly_orthogonal(7, 4, 5, draw.generator()), 7, 4)
    expect_unit_vectors(nearly_orthogonal(3, 9, 0, draw.generator()), 3, 9)


def test_without_steps_the_directions_are_random(nearly_orthogonal, draw):
    vectors = expect_unit_vectors(nearly_orthogonal(400, 3, 0, draw.generator()), 400, 3)
    middle = vectors.double().mean(dim=0)
    if middle.abs().max() > 0.15:
        complain(
            f"of 400 starting vectors in 3 dimensions the mean is {[round(x, 2) for x in middle.tolist()]}",
            rule="every direction is equally likely, so the mean is near 0 (entries drawn from a normal distribution do that)",
            look_at="what you draw the start from: torch.randn",
        )
    shares = (vectors.double() ** 2).mean(dim=0)
    if (shares - 1 / 3).abs().max() > 0.08:
        complain(
            f"the mean squares of the three entries are {[round(x, 2) for x in shares.tolist()]}",
            rule="in random directions of length 1 all dimensions have the same share, here a third each",
            look_at="what you draw the start from, and the axis of the lengths: dim=-1",
        )
    round_start = expect_unit_vectors(nearly_orthogonal(120, 12, 0, draw.generator()), 120, 12)
    if (round_start.double() ** 4).sum(dim=-1).mean() < 0.182:  # 3/14 for every direction alike, about .15 in a cube
        complain(
            "of 120 starting vectors in 12 dimensions, too many point to the corners of a cube, and too few along the axes",
            rule="every direction is equally likely: a normal distribution is round, a uniform one fills a cube with corners",
            look_at="what you draw the start from: torch.randn",
        )
    if worst_cosine(expect_unit_vectors(nearly_orthogonal(8, 12, 0, draw.generator()), 8, 12)) < 0.15:
        complain(
            "with steps=0 the vectors are already pushed apart",
            rule="steps says how many steps of descent are made; with none, the random start comes back",
            look_at="range(steps)",
        )


def test_also_two_vectors_start_in_any_direction(nearly_orthogonal, draw):
    squares = expect_unit_vectors(nearly_orthogonal(2, 2000, 0, draw.generator()), 2, 2000).double() ** 2
    kurtosis = (squares.square().mean() / squares.mean() ** 2).item()
    if not 2.2 < kurtosis < 3.8:
        complain(
            f"in two starting vectors of 2000 entries too {'few' if kurtosis < 3 else 'many'} entries are far from 0: the mean"
            f" of their fourth powers is {kurtosis:.1f} times the square of their mean square, and 3 is right",
            rule="every direction is equally likely, whatever the number of vectors: each is divided by its own length alone",
            look_at="what the start is divided by: dim=-1",
        )


def test_the_vectors_hang_on_no_graph(nearly_orthogonal, draw):
    expect_no_graph(
        nearly_orthogonal,
        4,
        3,
        2,
        draw.generator(),
        rule="the descent is over, and the vectors that come back are plain numbers",
        look_at="vectors.detach() in the last line",
    )


def test_five_lines_share_the_half_circle(nearly_orthogonal, draw):
    expect_packed(
        nearly_orthogonal,
        5,
        2,
        0.93,
        draw,
        rule="five lines in the plane can lie 36° apart, which is a coherence of .81",
    )


def test_twice_as_many_vectors_as_dimensions_are_pushed_apart(nearly_orthogonal, draw):
    expect_packed(
        nearly_orthogonal,
        12,
        6,
        0.56,
        draw,
        rule="a random start has about .85 here, and descent on fourth powers reaches about .4",
        steps=50,
    )


def test_vectors_that_can_be_orthogonal_nearly_become_so(nearly_orthogonal, draw):
    expect_packed(nearly_orthogonal, 6, 8, 0.25, draw, rule="6 vectors in 8 dimensions can all be orthogonal", steps=50)


def test_the_generator_decides_where_the_vectors_start(nearly_orthogonal, draw):
    seed = int(draw.integers(1, 2**31))
    runs = []
    for seed_of_others, own in ((1, seed), (2, seed), (2, seed + 1)):
        torch.manual_seed(seed_of_others)
        runs.append(expect_unit_vectors(nearly_orthogonal(6, 5, 2, torch.Generator().manual_seed(own)), 6, 5))
    expect_close(
        runs[1],
        runs[0],
        rule="two generators in the same state give the same vectors, whatever state torch's global one is in",
        look_at="whether torch.randn is given generator=generator",
        axes="vector dim",
        what="the tensor of a second call",
    )
    if torch.allclose(runs[1], runs[2]):
        complain(
            "two generators of different seeds give the same vectors",
            rule="the start comes from the generator that is handed in",
            look_at="a seed of your own, or a start that is not random",
        )


# ---------------------------------------------------------------- 3.3 random_packing_bound


def largest_packing(dim, eps):
    """The largest N with N (N - 1) exp(-dim eps² / 2) < 1, by trying whole numbers, in ever smaller steps."""
    surely = lambda n: math.log(n) + math.log(n - 1) < dim * eps**2 / 2 if n > 1 else True  # noqa: E731
    step, n = 1, 1
    while surely(n + step):
        step *= 2
    while step:
        if surely(n + step):
            n += step
        else:
            step //= 2
    return n


def expect_bounds(random_packing_bound, pairs, *, rule, look_at):
    for dim, eps in pairs:
        bound = random_packing_bound(dim, eps)
        if isinstance(bound, torch.Tensor):
            bound = bound.item()
        if not isinstance(bound, int):
            complain(
                f"random_packing_bound({dim}, {eps}) is {bound!r}, a {type(bound).__name__}",
                rule="a number of vectors is a whole number, an int",
                look_at="math.floor, or int",
            )
        right = largest_packing(dim, eps)
        if bound != right:
            complain(
                f"random_packing_bound({dim}, {eps}) is {bound}, {right} is right",
                rule=rule,
                look_at=look_at,
            )


BOUND = "the largest N with N (N - 1) exp(-dim · eps² / 2) < 1"


def test_the_bound_is_the_largest_number_for_which_the_inequality_holds(random_packing_bound):
    expect_bounds(
        random_packing_bound,
        [(100, 0.3), (128, 0.3), (64, 0.5), (300, 0.25), (17, 0.9), (2000, 0.12)],
        rule=BOUND,
        look_at="the exponent, the number of pairs N (N - 1) / 2, the factor 2 of the bound for one pair, and the floor",
    )


def test_small_bounds_are_exact_too(random_packing_bound):
    expect_bounds(
        random_packing_bound,
        [(2, 0.5), (6, 0.8), (24, 0.3), (30, 0.4), (20, 0.55), (45, 0.35), (50, 0.4), (2, 0.8), (4, 0.942), (2, 0.84)],
        rule=f"{BOUND}; of one vector there is no pair, so it is at least 1",
        look_at="N (N - 1), not N², and rounding: the floor of the positive solution of N² - N - E = 0",
    )


def test_more_dimensions_or_a_larger_eps_have_room_for_more(random_packing_bound):
    expect_bounds(
        random_packing_bound,
        [(128, 0.6), (256, 0.4), (512, 0.32), (1024, 0.2)],
        rule=f"{BOUND}: it grows exponentially with dim · eps²",
        look_at="the sign of the exponent, and which parts of it are squared",
    )


# ---------------------------------------------------------------- 3.4 generate_batch

BATCH_AXES = "batch instance feature"


def batch_of(generate_batch, batch, n_features, probability, draw, *, seed=None):
    generator = draw.generator() if seed is None else torch.Generator().manual_seed(seed)
    x = generate_batch(batch, n_features, probability, generator)
    expect_shape(
        x,
        (batch, len(probability), n_features),
        axes=BATCH_AXES,
        rule="for every example, instance and feature one number",
        look_at="the shape that you draw: batch, len(feature_probability), n_features",
        what="the batch",
    )
    return x


def probabilities_of(*values, draw):
    return torch.tensor(values, device=draw.device)


def test_there_is_a_number_for_every_example_instance_and_feature(generate_batch, draw):
    batch_of(generate_batch, 6, 5, probabilities_of(0.2, 0.5, 0.9, draw=draw), draw)
    batch_of(generate_batch, 3, 2, probabilities_of(0.5, 0.4, 0.3, 0.2, draw=draw), draw)


def test_with_probability_0_nothing_is_there_and_with_1_everything(generate_batch, draw):
    x = batch_of(generate_batch, 50, 4, probabilities_of(0.0, 1.0, 0.0, draw=draw), draw)
    there = (x != 0).double().mean(dim=(0, 2)).tolist()
    if there[0] > 0 or there[2] > 0 or there[1] < 0.98:
        complain(
            f"with the probabilities 0, 1, 0 the shares of features that are there are {[round(s, 2) for s in there]}",
            rule="a feature is there with its instance's probability; if it is not, it is 0",
            look_at="the comparison (chance < probability), and along which axis the probabilities stand",
        )


def test_the_strengths_are_spread_evenly_from_0_to_1(generate_batch, draw):
    x = batch_of(generate_batch, 1500, 7, probabilities_of(1.0, 0.15, 0.5, draw=draw), draw)
    for instance, p in enumerate((1.0, 0.15, 0.5)):
        strengths = x[:, instance][x[:, instance] != 0].double()
        if not len(strengths):
            complain(f"with probability {p} no feature is ever there", rule="a feature is there with probability p")
        low, high = strengths.min().item(), strengths.max().item()
        quarters = [((strengths > i / 4) & (strengths <= (i + 1) / 4)).double().mean().item() for i in range(4)]
        if low < 0 or high > 1 or max(abs(share - 0.25) for share in quarters) > 0.07:
            complain(
                f"with probability {p} the features that are there lie between {low:.2f} and {high:.2f}, with the shares "
                f"{[round(share, 2) for share in quarters]} in the four quarters from 0 to 1",
                rule="a feature that is there has a strength uniform in [0, 1], whatever p is: a quarter in each quarter",
                look_at="what you draw the strengths from, and whether this draw also decides what is there",
            )


def test_features_are_there_as_often_as_their_instance_says(generate_batch, draw):
    p = (0.9, 0.05, 0.4, 0.25)
    x = batch_of(generate_batch, 2000, 6, probabilities_of(*p, draw=draw), draw)
    there = (x != 0).double().mean(dim=0)
    for instance, right in enumerate(p):
        for feature in range(6):
            share = there[instance, feature].item()
            if abs(share - right) > 0.07:
                complain(
                    f"feature {feature} of instance {instance} is there in {100 * share:.0f} % of the examples, "
                    f"{100 * right:.0f} % are right",
                    rule="each feature is there with the probability of its instance",
                    look_at="the comparison (chance < probability), and that the probabilities stand along the instance axis",
                )


def test_features_instances_and_examples_are_drawn_by_themselves(generate_batch, draw):
    x = batch_of(generate_batch, 1500, 4, probabilities_of(0.5, 0.5, 0.5, draw=draw), draw)
    there = (x != 0).double()
    pairs = {
        "two features of one example": (there[..., 0], there[..., 1]),
        "the same feature of two instances": (there[:, 0], there[:, 1]),
        "the same feature of two examples": (there[:-1], there[1:]),
    }
    for name, (one, other) in pairs.items():
        both = (one * other).mean().item()
        if abs(both - 0.25) > 0.07:
            complain(
                f"with probability .5, {name} are both there in {100 * both:.0f} % of cases; 25 % are right",
                rule="whether a feature is there is drawn for every example, instance and feature by itself",
                look_at="the shape of the draw that decides what is there",
            )


def test_the_strengths_of_two_features_have_nothing_to_do_with_each_other(generate_batch, draw):
    x = batch_of(generate_batch, 1500, 3, probabilities_of(1.0, 1.0, draw=draw), draw).double()
    if not 0.05 < x.var().item() < 0.12:
        complain(
            f"where all features are there, the variance of their strengths is {x.var().item():.2f}",
            rule="strengths are uniform in [0, 1], whose variance is 1/12 = .083",
            look_at="what you draw the strengths from",
        )
    pairs = {
        "two features of one example": (x[..., 0], x[..., 1]),
        "the same feature of two instances": (x[:, 0], x[:, 1]),
        "the same feature of two examples": (x[:-1], x[1:]),
    }
    for name, (one, other) in pairs.items():
        correlation = ((one - 0.5) * (other - 0.5)).mean().item() * 12
        if abs(correlation) > 0.2:
            complain(
                f"the strengths of {name} have a correlation of {correlation:.2f}",
                rule="every strength is drawn by itself",
                look_at="the shape of the draw of strengths",
            )


def test_the_generator_decides_which_features_are_there(generate_batch, draw):
    seed, p = int(draw.integers(1, 2**31)), probabilities_of(0.5, 0.3, draw=draw)
    runs = []
    for seed_of_others, own in ((1, seed), (2, seed), (2, seed + 1)):
        torch.manual_seed(seed_of_others)
        runs.append(batch_of(generate_batch, 20, 5, p, draw, seed=own))
    expect_close(
        runs[1],
        runs[0],
        rule="two generators in the same state give the same batch, whatever state torch's global one is in",
        look_at="whether both draws are given generator=generator",
        axes=BATCH_AXES,
        what="the batch of a second call",
    )
    if torch.equal(runs[1], runs[2]):
        complain(
            "two generators of different seeds give the same batch",
            rule="the features come from the generator that is handed in",
            look_at="a seed of your own",
        )
    generator = torch.Generator().manual_seed(seed)
    if torch.equal(generate_batch(20, 5, p, generator), generate_batch(20, 5, p, generator)):
        complain(
            "two calls with the same generator, one after the other, give the same batch",
            rule="every call draws anew: training needs new examples at every step",
            look_at="whether you reset or copy the generator",
        )


def test_the_batch_has_the_dtype_and_device_of_the_probabilities(generate_batch, draw):
    for dtype in (torch.float32, torch.float64):
        x = batch_of(generate_batch, 3, 4, probabilities_of(1.0, 0.5, draw=draw).to(dtype), draw)
        if x.dtype != dtype or x.device.type != draw.device.type:
            complain(
                f"probabilities of {dtype} on {draw.device.type} give a batch of {x.dtype} on {x.device.type}",
                rule="the result has the device and dtype of feature_probability",
                look_at=".to(feature_probability)",
            )


# ---------------------------------------------------------------- 3.5 ToyModel


def toy_weights(draw, *, instances=3, hidden=2, features=5):
    """Weights none of which is at its default, biases of both signs."""
    return {
        "W": draw.normal(instances, hidden, features, std=0.8),
        "b": draw.normal(instances, features, std=0.4) + 0.1,
    }


def toy_model(ToyModel, draw, weights):
    instances, hidden, features = weights["W"].shape
    return ToyModel(instances, features, hidden, draw.generator()).load(weights)


def toy_forward(x, W, b):
    """ReLU(Wᵀ W x + b), instance after instance, with matrices."""
    outs = [(x[:, i] @ W[i].T @ W[i] + b[i]).clamp(min=0) for i in range(len(W))]
    return torch.stack(outs, dim=1)


TOY_RULE = "ReLU(Wᵀ W x + b), with each instance's own W and b"


def expect_toy_output(x_hat, expected, *, rule=TOY_RULE, look_at, **more):
    expect_shape(
        x_hat,
        expected.shape,
        axes=BATCH_AXES,
        rule="as many features come out as went in, for every example and instance",
        look_at="the axes on the right of your einsums' arrows",
        what="the output",
    )
    expect_close(x_hat, expected, rule=rule, look_at=look_at, axes=BATCH_AXES, what="the output", **more)


def test_a_toy_model_gives_back_relu_of_what_it_reads(ToyModel, draw):
    for instances, hidden, features in ((3, 2, 5), (2, 4, 7), (4, 3, 2)):
        weights = toy_weights(draw, instances=instances, hidden=hidden, features=features)
        x = draw.uniform(6, instances, features)
        expect_toy_output(
            toy_model(ToyModel, draw, weights)(x),
            toy_forward(x, **weights),
            look_at="the two products, where the bias is added, and ReLU after it",
        )


def test_what_an_empty_example_gives_is_the_bias(ToyModel, draw):
    weights = toy_weights(draw)
    expect_toy_output(
        toy_model(ToyModel, draw, weights)(torch.zeros(2, 3, 5, device=draw.device)),
        weights["b"].clamp(min=0).expand(2, 3, 5),
        rule="where x is 0, Wᵀ W x is 0, and ReLU(b) is left: each instance's own b, and 0 where it is negative",
        look_at="whether self.b is added, and before ReLU",
    )


def test_each_instance_has_weights_of_its_own(ToyModel, draw):
    weights = toy_weights(draw)
    weights["W"][1] = 0.0
    weights["b"][1] = torch.tensor([0.5, 0.1, 0.7, 0.2, 0.4])
    x = draw.uniform(4, 3, 5)
    expect_toy_output(
        toy_model(ToyModel, draw, weights)(x),
        toy_forward(x, **weights),
        rule="instance 1 has W = 0 here, and answers with its bias; the other two have other weights",
        look_at="that `instance` stands in both inputs and in the output of each einsum",
    )


def test_inputs_of_both_signs_are_handled_by_the_same_formula(ToyModel, draw):
    weights = toy_weights(draw)
    x = draw.normal(7, 3, 5, std=2.0)
    expect_toy_output(
        toy_model(ToyModel, draw, weights)(x),
        toy_forward(x, **weights),
        look_at="whether there is a nonlinearity anywhere but at the very end, after the bias",
    )


def test_a_toy_model_in_float64_stays_in_float64(ToyModel, draw):
    weights = toy_weights(draw)
    x = draw.uniform(4, 3, 5).double()
    expect_toy_output(
        toy_model(ToyModel, draw, weights).double()(x),
        toy_forward(x, **{name: value.double() for name, value in weights.items()}),
        dtype=torch.float64,
        look_at=".float(), or tensors that you make yourself",
        atol=1e-9,
        rtol=1e-7,
    )


def test_gradients_reach_both_uses_of_the_weights(ToyModel, draw):
    weights = toy_weights(draw)
    x, upstream = draw.uniform(6, 3, 5), draw.normal(6, 3, 5)
    model = toy_model(ToyModel, draw, weights)
    at_x = model.backward(x, upstream=upstream)
    leaves = [tensor.clone().requires_grad_() for tensor in (x, weights["W"], weights["b"])]
    expected = torch.autograd.grad(toy_forward(*leaves), leaves, grad_outputs=upstream)
    for name, grad, right in zip(("x", "W", "b"), (at_x, model.grads()["W"], model.grads()["b"]), expected):
        expect_close(
            grad,
            right,
            rule="W is used twice, on the way in and on the way out, and its gradient is the sum of both",
            look_at="detach(), .data or torch.no_grad()",
            what=f"the gradient of {name}",
            atol=1e-4,
        )


def test_a_new_toy_model_has_small_random_weights_and_no_bias(ToyModel, draw):
    models = [ToyModel(3, 40, 20, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    new = [model.parameters() for model in models]
    for name, shape in (("W", (3, 20, 40)), ("b", (3, 40))):
        if name not in new[0]:
            complain(f"ToyModel has no parameter `{name}`", rule="its parameters are W and b", look_at="__init__")
        expect_shape(
            new[0][name], shape, rule="W is instance d_hidden feature, b is instance feature", look_at="__init__"
        )
    W = new[0]["W"].cpu().double()
    if W.std() < 1e-3 or W.mean().abs() > 0.2 * W.std() or torch.allclose(W[0], W[1]):
        complain(
            f"the entries of W start with mean {W.mean():.3f} and standard deviation {W.std():.3f}, instance by instance "
            f"{'the same' if torch.allclose(W[0], W[1]) else 'others'}",
            rule="W starts random around 0, every instance with its own: from W = 0 no gradient leads away",
            look_at="__init__, which was given",
        )
    expect_close(
        new[0]["b"],
        torch.zeros_like(new[0]["b"]),
        rule="b starts at 0",
        look_at="__init__, which was given",
        what="the bias at the start",
    )
    expect_close(
        new[1]["W"],
        new[0]["W"],
        rule="generators in the same state give the same W",
        look_at="__init__, which was given",
        what="the W of a second model",
    )
    if torch.equal(new[0]["W"], new[2]["W"]):
        complain(
            "generators of different seeds give the same W",
            rule="W comes from the generator that is handed in",
            look_at="__init__, which was given",
        )
    x = draw.uniform(2, 3, 40)
    expect_toy_output(models[0](x), toy_forward(x, **new[0]), look_at="the tests above")


# ---------------------------------------------------------------- 3.6 importance_weighted_loss


def weighted_loss_in_loops(x_hat, x, importance):
    batch, instances, features = x.shape
    sums = [
        sum(
            importance[i, f].item() * (x[b, i, f].item() - x_hat[b, i, f].item()) ** 2
            for b in range(batch)
            for f in range(features)
        )
        for i in range(instances)
    ]
    return torch.tensor([total / (batch * features) for total in sums], device=x.device)


def expect_losses_of_instances(loss, expected, *, rule, look_at, **more):
    expect_shape(
        loss,
        expected.shape,
        axes="instance",
        rule="one loss for each instance: batch and features are averaged away, instances stay apart",
        look_at="the axes of the mean: dim=(0, 2)",
        what="the loss",
    )
    expect_close(loss, expected, rule=rule, look_at=look_at, axes="instance", what="the loss", **more)


LOSS_RULE = "the mean over batch and features of importance · (x - x_hat)², for each instance"


def test_the_loss_is_the_mean_of_importance_times_squared_error(importance_weighted_loss, draw):
    for batch, instances, features in ((6, 3, 4), (2, 4, 5), (5, 2, 3)):
        x, x_hat = draw.uniform(batch, instances, features), draw.normal(batch, instances, features, std=1.3)
        importance = draw.uniform(instances, features, low=0.1, high=2.5)
        expect_losses_of_instances(
            importance_weighted_loss(x_hat, x, importance),
            weighted_loss_in_loops(x_hat, x, importance),
            rule=LOSS_RULE,
            look_at="what is squared, what is multiplied, and over which axes the mean runs",
        )


def test_an_error_counts_as_often_as_its_importance_says(importance_weighted_loss, draw):
    x = torch.zeros(4, 3, 5, device=draw.device)
    x_hat = x.clone()
    x_hat[1, 2, 3] = -2.0
    importance = torch.ones(3, 5, device=draw.device)
    importance[2, 3] = 3.0
    expect_losses_of_instances(
        importance_weighted_loss(x_hat, x, importance),
        torch.tensor([0.0, 0.0, 3.0 * 4.0 / 20], device=draw.device),
        rule="a single error of -2, importance 3, among 4 examples of 5 features: 3 · 2² / 20 for its instance, 0 for the others",
        look_at="whether the importance is squared too, and by what you divide: 4 · 5, batch times features",
    )


def test_the_loss_in_float64_has_its_precision(importance_weighted_loss, draw):
    x, x_hat = draw.uniform(5, 2, 3).double(), draw.uniform(5, 2, 3).double()
    importance = draw.uniform(2, 3, low=0.1, high=1e-3).double()
    expect_losses_of_instances(
        importance_weighted_loss(x_hat, x, importance),
        ((x - x_hat).square() * importance).sum(dim=2).sum(dim=0) / 15,
        dtype=torch.float64,
        rule="float64 in, float64 out",
        look_at=".float(), or tensors that you make yourself",
        atol=1e-12,
        rtol=1e-8,
    )


def test_the_gradient_of_the_loss_reaches_the_output(importance_weighted_loss, draw):
    x, x_hat = draw.uniform(6, 3, 4), draw.normal(6, 3, 4)
    importance, upstream = draw.uniform(3, 4, low=0.1, high=2.0), draw.normal(3)
    grad = importance_weighted_loss.gradients(x_hat, x, importance, upstream=upstream)[0]
    expect_close(
        grad,
        upstream[:, None] * 2 * importance * (x_hat - x) / 24,
        rule="the gradient of importance · (x - x_hat)² / 24 in x_hat is 2 · importance · (x_hat - x) / 24",
        look_at="detach(), .item() or torch.no_grad()",
        axes=BATCH_AXES,
        what="the gradient of x_hat",
    )


# ---------------------------------------------------------------- 3.7 train_toy_models


class BatchesInTurn:
    """Gives out prepared batches, one a call, and counts the calls."""

    def __init__(self, batches):
        self.batches, self.calls = batches, 0

    def __call__(self):
        self.calls += 1
        return self.batches[(self.calls - 1) % len(self.batches)].clone()


def toy_batches(draw, n, *, batch=6, instances=3, features=5):
    shape = (batch, instances, features)
    return [(draw.uniform(*shape) < 0.6) * draw.uniform(*shape, high=1.5) for _ in range(n)]


def toy_importance(draw, *, instances=3, features=5):
    return draw.uniform(instances, features, low=0.3, high=2.0)


def trained_alone(weights, batches, importance, rate, instance):
    """Losses and final weights of one instance, trained by itself with plain gradient descent."""
    W, b = weights["W"][instance].clone(), weights["b"][instance].clone()
    losses = []
    for batch in batches:
        x = batch[:, instance]
        W, b = W.detach().requires_grad_(), b.detach().requires_grad_()
        error = x - (x @ W.T @ W + b).clamp(min=0)
        loss = (error * error * importance[instance]).mean()
        at_W, at_b = torch.autograd.grad(loss, (W, b))
        W, b = W - rate * at_W, b - rate * at_b
        losses.append(loss.item())
    return losses, W.detach(), b.detach()


def expect_toy_training(train_toy_models, draw, *, steps, rate, rule, look_at, first=None):
    """Complain unless the losses are those of instances trained alone; the model, and theirs, come back."""
    weights, importance, batches = toy_weights(draw), toy_importance(draw), toy_batches(draw, steps)
    model, source = ToyModelsOfTheChecker(**weights), BatchesInTurn(batches)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses = train_toy_models(model, source, importance, steps, optimizer)
    expect_shape(
        losses,
        (steps, 3),
        axes="step instance",
        rule="for every step the loss of every instance",
        look_at="what you collect in each step, and torch.stack after the loop",
        what="the tensor of losses",
    )
    alone = [trained_alone(weights, batches, importance, rate, instance) for instance in range(3)]
    expected = torch.tensor([own[0] for own in alone], device=draw.device).T
    expect_close(
        losses[:first],
        expected[:first],
        rule=rule,
        look_at=look_at,
        axes="step instance",
        what="the tensor of losses",
        atol=1e-4,
        rtol=1e-3,
    )
    return model, alone, source


def test_with_a_rate_of_0_the_losses_are_the_models_on_each_batch(train_toy_models, draw):
    expect_toy_training(
        train_toy_models,
        draw,
        steps=4,
        rate=0.0,
        rule="row i is the importance-weighted loss of each instance on the batch of step i, against that same batch",
        look_at="how often make_batch is called, and what importance_weighted_loss is given",
    )


def test_every_instance_learns_as_it_would_alone(train_toy_models, draw):
    expect_toy_training(
        train_toy_models,
        draw,
        steps=3,
        rate=0.3,
        first=2,
        rule="after one step of SGD, each instance's loss is what it would be if it were trained by itself",
        look_at="what you call backward on: the sum of the instances' losses, not their mean",
    )


def test_each_step_uses_the_gradient_of_its_own_batch(train_toy_models, draw):
    expect_toy_training(
        train_toy_models,
        draw,
        steps=6,
        rate=0.2,
        rule="the losses of six steps of SGD, instance by instance; the gradient of an earlier batch plays no part",
        look_at="optimizer.zero_grad(), once per step, before backward; and that a loss is taken before its step",
    )


def test_all_steps_change_the_model_that_was_given(train_toy_models, draw):
    model, alone, source = expect_toy_training(
        train_toy_models, draw, steps=4, rate=0.25, rule="as in the tests above", look_at="the tests above"
    )
    for name, place in (("W", 1), ("b", 2)):
        expect_close(
            getattr(model, name).detach(),
            torch.stack([own[place] for own in alone]),
            rule="one step for each batch, the last one included, on the model itself",
            look_at="whether the last batch gets its step",
            what=f"the parameter {name} after the training",
            atol=1e-4,
            rtol=1e-3,
        )
    if source.calls != 4:
        complain(
            f"4 steps called make_batch {source.calls} times",
            rule="make_batch is called once per step",
            look_at="how often make_batch() stands in the loop, or before it",
        )


def test_the_optimizer_that_is_handed_in_is_the_one_used(train_toy_models, draw):
    weights, importance, batches = toy_weights(draw), toy_importance(draw), toy_batches(draw, 5)
    model, twin = ToyModelsOfTheChecker(**weights), ToyModelsOfTheChecker(**weights)
    own, theirs = (torch.optim.Adam(m.parameters(), lr=0.1, betas=(0.5, 0.7)) for m in (twin, model))
    expected = []
    for x in batches:
        losses = (importance * (x - twin(x)).square()).mean(dim=2).mean(dim=0)
        grads = torch.autograd.grad(losses.sum(), list(twin.parameters()))
        for parameter, grad in zip(twin.parameters(), grads):
            parameter.grad = grad
        own.step()
        expected.append(losses.detach())
    expect_close(
        train_toy_models(model, BatchesInTurn(batches), importance, 5, theirs),
        torch.stack(expected),
        rule="every step is made by the optimizer that is handed in, here Adam with settings of its own",
        look_at="whether you make another optimizer inside",
        axes="step instance",
        what="the tensor of losses",
        atol=1e-3,
        rtol=1e-2,
    )


def test_the_losses_hang_on_no_graph(train_toy_models, draw):
    model = ToyModelsOfTheChecker(**toy_weights(draw))
    expect_no_graph(
        train_toy_models,
        model,
        BatchesInTurn(toy_batches(draw, 3)),
        importance=toy_importance(draw),
        steps=3,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        rule="a loss that is kept for later is kept without its graph, of which there would be one for each step",
        look_at="what you append: loss.detach()",
    )


# 3.8 feature_dimensionality


def arrows_of_a_polygon(corners, dim=2, device="cpu"):
    """The corners of a regular polygon, in the first two of `dim` dimensions, as columns."""
    angles = 2 * math.pi * torch.arange(corners, dtype=torch.float64) / corners
    columns = torch.zeros(dim, corners, dtype=torch.float64)
    columns[0], columns[1] = angles.cos(), angles.sin()
    return columns.to(device)


TETRAHEDRON = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64).T / math.sqrt(3)


def turned_arrows(columns, draw):
    """The same arrows, after a random rotation."""
    rotation, _ = torch.linalg.qr(draw.normal(len(columns), len(columns)).double())
    return rotation @ columns


def feature_vectors(draw, *, instance=3, d_hidden=4, feature=7):
    """Features of many lengths and directions; some close to each other."""
    W = draw.normal(instance, d_hidden, feature).double() * draw.uniform(instance, 1, feature, low=0.3, high=1.6)
    W[:, :, 1] = 0.8 * W[:, :, 0] + 0.1 * W[:, :, 1]
    return W


def feature_columns(W):
    """The feature vectors of each instance, as lists of numbers."""
    return W.detach().double().cpu().mT.tolist()


def dot_of_lists(a, b):
    return sum(x * y for x, y in zip(a, b))


def dimensionality_in_loops(W):
    rows = []
    for vectors in feature_columns(W):
        shares = []
        for own in vectors:
            length = math.sqrt(dot_of_lists(own, own))
            room = sum((dot_of_lists(own, other) / length) ** 2 for other in vectors) if length else 1.0
            shares.append(length**2 / room)
        rows.append(shares)
    return torch.tensor(rows, dtype=W.dtype, device=W.device)


DIMENSIONALITY = (
    "‖W_i‖² divided by the sum, over all features j and i itself, of (Ŵ_i · W_j)², where only Ŵ_i has length 1"
)
AT_DIMENSIONALITY = "which of the two vectors is normalised, over which axis, and which terms the sum has"


def expect_dimensionality(actual, expected, **more):
    expect_shape(
        actual,
        expected.shape,
        axes="instance feature",
        rule="one number for each feature of each instance",
        look_at="the axes of your einsum, and the axis that is summed: j, the last one",
        what="the dimensionality",
    )
    more = {"rule": DIMENSIONALITY, "look_at": AT_DIMENSIONALITY, "what": "the dimensionality"} | more
    expect_close(actual, expected.to(actual.dtype), axes="instance feature", **more)


def test_regular_arrangements_have_the_dimensionality_of_the_table(feature_dimensionality, draw):
    for corners, share in ((3, 2 / 3), (4, 1 / 2), (5, 2 / 5), (7, 2 / 7)):
        W = torch.stack(
            [turned_arrows(arrows_of_a_polygon(corners, device=draw.device), draw) for _ in range(2)]
        ).float()
        expect_dimensionality(
            feature_dimensionality(W),
            torch.full((2, corners), share, device=draw.device),
            what=f"the dimensionality in a regular polygon of {corners} corners",
        )
    W = torch.stack([turned_arrows(TETRAHEDRON.to(draw.device), draw) for _ in range(2)]).float()
    expect_dimensionality(
        feature_dimensionality(W),
        torch.full((2, 4), 0.75, device=draw.device),
        what="the dimensionality in a tetrahedron",
    )


def test_a_feature_that_is_orthogonal_to_all_others_has_dimensionality_1(feature_dimensionality, draw):
    lengths = torch.tensor([0.6, 1.0, 1.7], dtype=torch.float64, device=draw.device)
    W = torch.stack([turned_arrows(torch.diag(lengths), draw) for _ in range(2)]).float()
    expect_dimensionality(
        feature_dimensionality(W),
        torch.ones(2, 3, device=draw.device),
        rule="a feature that nothing else lies along has a whole dimension, however long its vector is",
        what="the dimensionality of three orthogonal features of different length",
    )


def test_a_feature_whose_vector_is_0_has_dimensionality_0(feature_dimensionality, draw):
    W = feature_vectors(draw, instance=2, feature=5).float()
    W[0, :, 3] = 0
    W[1, :, 0] = 0
    expect_dimensionality(
        feature_dimensionality(W),
        dimensionality_in_loops(W),
        rule="a vector of 0 is not represented: its dimensionality is 0, and 0/0 must not come up",
        look_at="what you divide by where a length is 0, and what comes out there",
        what="the dimensionality, where one vector is 0,",
    )


def test_the_dimensionality_is_the_ratio_of_its_definition(feature_dimensionality, draw):
    for sizes in (dict(), dict(instance=2, d_hidden=5, feature=3), dict(instance=4, d_hidden=2, feature=9)):
        W = feature_vectors(draw, **sizes).float()
        expect_dimensionality(feature_dimensionality(W), dimensionality_in_loops(W))


def test_the_dimensionality_does_not_depend_on_the_scale_of_all_features(feature_dimensionality, draw):
    W = feature_vectors(draw).float()
    for scale in (0.2, 5.0):
        expect_dimensionality(
            feature_dimensionality(scale * W),
            dimensionality_in_loops(W),
            rule="when all vectors grow by the same factor, numerator and denominator grow by its square",
            look_at="a length where its square belongs, or the other way round",
            what=f"the dimensionality after all vectors were multiplied by {scale}",
            rtol=1e-3,
        )


def test_the_dimensionality_of_float64_weights_is_exact(feature_dimensionality, draw):
    W = feature_vectors(draw, instance=2, d_hidden=3, feature=5)
    expect_dimensionality(
        feature_dimensionality(W),
        dimensionality_in_loops(W),
        dtype=torch.float64,
        rule="the result has the dtype of W, and its precision",
        look_at="tensors that you make yourself, and calls such as .float()",
        atol=1e-8,
        rtol=1e-6,
    )


# 3.9 expected_interference


def feature_moment(p, same):
    """E[x_j x_k] of features that are there with probability p and then uniform."""
    return p / 3 if same else (p / 2) ** 2


def interference_in_loops(W, probability):
    """The mean square, multiplied out into all pairs of other features."""
    rows = []
    for vectors, p in zip(feature_columns(W), probability.double().tolist()):
        row = []
        for i, own in enumerate(vectors):
            others = [dot_of_lists(own, other) for j, other in enumerate(vectors) if j != i]
            row.append(
                sum(a * b * feature_moment(p, j == k) for j, a in enumerate(others) for k, b in enumerate(others))
            )
        rows.append(row)
    return torch.tensor(rows, dtype=W.dtype, device=W.device)


def spread_probabilities(draw, instance, *, low=0.1, high=0.9):
    """Different ones, spread over the range, in a random order."""
    spread = torch.linspace(low, high, instance, dtype=torch.float64, device=draw.device)
    return spread[draw.permutation(instance)]


INTERFERENCE = "(p/3 - p²/4) · Σ a_j² + (p/2 · Σ a_j)², over all j except i, with a_j = W_i · W_j"
AT_INTERFERENCE = "the diagonal of WᵀW, which is no interference; the two sums; and p, one for each instance"


def expect_interference(actual, expected, **more):
    expect_shape(
        actual,
        expected.shape,
        axes="instance feature",
        rule="one number for each feature of each instance",
        look_at="how p, one for each instance, meets the features: probability[:, None]",
        what="the interference",
    )
    more = {"rule": INTERFERENCE, "look_at": AT_INTERFERENCE, "what": "the interference"} | more
    expect_close(actual, expected.to(actual.dtype), axes="instance feature", **more)


def test_a_feature_without_company_has_no_interference(expected_interference, draw):
    lengths = torch.tensor([0.5, 1.2, 0.8], dtype=torch.float64, device=draw.device)
    W = torch.stack([turned_arrows(torch.diag(lengths), draw) for _ in range(2)]).float()
    expect_interference(
        expected_interference(W, spread_probabilities(draw, 2).float()),
        torch.zeros(2, 3, device=draw.device),
        rule="orthogonal features do not disturb each other, and what a feature does to its own output is no interference",
        look_at="the diagonal of WᵀW: it has to go",
    )


def test_an_antipodal_pair_disturbs_itself_by_the_mean_square_of_one_feature(expected_interference, draw):
    p = torch.tensor([0.9, 0.3, 0.06], device=draw.device)
    W = torch.tensor([[[0.7, -1.4]]], device=draw.device).expand(3, 1, 2).clone()
    expect_interference(
        expected_interference(W, p),
        ((0.7 * 1.4) ** 2 * p / 3)[:, None].expand(3, 2),
        rule="with one other feature, the interference is a² times E[x²] = a² p/3, with a = W_0 · W_1 as the vectors are",
        look_at="the variance p/3 - p²/4, the mean p/2, and whether the vectors keep their lengths",
    )


def test_two_neighbours_on_either_side_cancel_in_the_mean_only(expected_interference, draw):
    p = torch.tensor([0.8, 0.4], device=draw.device)
    same = torch.tensor([[1.0, 0.5, 0.5], [0.0, 0.0, 0.0]], device=draw.device)
    opposite = torch.tensor([[1.0, 0.5, -0.5], [0.0, 0.0, 0.0]], device=draw.device)
    found = expected_interference(torch.stack([same, opposite]), p)
    expect_interference(
        found,
        interference_in_loops(torch.stack([same, opposite]), p),
        rule="the means of the others add up, with their signs, before they are squared",
        look_at="the second part: (p/2 · Σ a_j)², where the sum is inside the square",
    )


def test_the_interference_is_the_mean_over_all_pairs_of_others(expected_interference, draw):
    for sizes in (dict(), dict(instance=2, d_hidden=5, feature=4), dict(instance=4, d_hidden=2, feature=6)):
        W = feature_vectors(draw, **sizes).float()
        p = spread_probabilities(draw, len(W)).float()
        expect_interference(expected_interference(W, p), interference_in_loops(W, p))


def test_the_interference_is_what_random_inputs_show(expected_interference, draw):
    W, p = feature_vectors(draw, instance=2, d_hidden=3, feature=5).float(), spread_probabilities(draw, 2).float()
    samples = 20_000
    there = draw.uniform(samples, 2, 5) < p[:, None]
    x = draw.uniform(samples, 2, 5) * there
    overlaps = W.mT @ W
    overlaps = overlaps - torch.diag_embed(overlaps.diagonal(dim1=1, dim2=2))
    squares = torch.einsum("iof,bif->bio", overlaps, x).square()
    mean, deviation = squares.mean(0), squares.std(0) / math.sqrt(samples)
    found = expected_interference(W, p)
    expect_shape(found, (2, 5), axes="instance feature", look_at="one number for each feature", what="the interference")
    far = (found - mean).abs() > 7 * deviation + 1e-5
    if far.any():
        instance, feature = far.nonzero()[0].tolist()
        complain(
            f"instance {instance}, feature {feature}: {found[instance, feature]:.4g} by your formula,"
            f" but {mean[instance, feature]:.4g} ± {deviation[instance, feature]:.1g} over {samples} random inputs",
            rule=INTERFERENCE,
            look_at=AT_INTERFERENCE,
            picture=(found, mean),
            picture_axes=("instance", "feature"),
        )


def test_the_interference_of_float64_weights_is_exact(expected_interference, draw):
    W, p = feature_vectors(draw, instance=2, d_hidden=3, feature=5), spread_probabilities(draw, 2)
    expect_interference(
        expected_interference(W, p),
        interference_in_loops(W, p),
        dtype=torch.float64,
        rule="the result has the dtype of W, and its precision",
        look_at="tensors that you make yourself, and calls such as .float()",
        atol=1e-9,
        rtol=1e-7,
    )


# 3.10 phase


def weights_of_phases(draw, d_hidden=3):
    """Instances whose feature 1 is, in turn, alone, absent, in company, and absent although it lies along another."""
    e, f, g = torch.linalg.qr(draw.normal(d_hidden, d_hidden))[0].mT[:3]
    nothing = 0 * e
    cases = [
        ([e, f, g, nothing], 1),  # all orthogonal
        ([e, 0.1 * f, g, -0.9 * e], 0),  # short
        ([-e, 0.9 * e, f, g], 2),  # one opposite
        ([e, 0.3 * e, -e, f], 0),  # short, and along others
        ([0.5 * e, 1.3 * f, 0.8 * g, -0.6 * e], 1),  # others share, this one does not
        ([0.5 * e + 0.8 * f, e, 0.4 * e - g, g], 2),  # neither of two others is enough, both together are
        ([0.1 * e, e, 0.2 * e, -0.1 * e], 1),  # company, but hardly represented
        ([2.0 * g + 0.55 * e, 0.7 * e, f, nothing], 2),  # seen along a unit direction, it is company
    ]
    W = torch.stack([torch.stack(columns, dim=-1) for columns, _ in cases])
    return W, torch.tensor([kind for _, kind in cases], device=draw.device)


def phases_in_loops(W, feature, min_norm, max_overlap):
    kinds = []
    for vectors in feature_columns(W):
        own = vectors[feature]
        length = math.sqrt(dot_of_lists(own, own))
        company = sum((dot_of_lists(own, other) / length) ** 2 for j, other in enumerate(vectors) if j != feature)
        kinds.append(0 if length < min_norm else 2 if company > max_overlap else 1)
    return torch.tensor(kinds, device=W.device)


PHASE_NAMES = ("not represented", "a dimension of its own", "superposition")


def expect_phases(found, expected, W, feature, **more):
    expect_shape(
        found,
        expected.shape,
        axes="instance",
        rule="one whole number for each instance",
        look_at="what you index and sum: the feature axis goes, the instance axis stays",
        what="the phases",
    )
    if found.is_floating_point() or found.dtype == torch.bool:
        raise Complaint(
            f"the phases have dtype {str(found.dtype).removeprefix('torch.')}",
            rule="0, 1 or 2, as whole numbers",
            look_at="the values that torch.where chooses between",
            kind="type",
        )
    wrong = (found != expected).nonzero()
    if len(wrong):
        at = wrong[0].item()
        own = W[at, :, feature].double()
        norm = own.norm().item()
        company = ((own / norm) @ W[at].double()).square().sum().item() - norm**2
        complain(
            f"instance {at} gets {found[at].item()}, {expected[at].item()} ({PHASE_NAMES[expected[at].item()]}) is right:"
            f" the feature's length is {norm:.2f}, and others put {company:.2f} along its direction",
            **more,
        )


PHASES = "shorter than min_norm: 0; else more than max_overlap of others along its unit direction: 2; else 1"
AT_PHASES = "the order of the two questions, which vector is normalised, and whether the feature itself is in the sum"


def expect_one_phase(phase, cases, kind, device, **more):
    """`cases` are lists of feature vectors; feature 1 of each is asked for."""
    W = torch.stack([torch.stack(columns, dim=-1) for columns in cases])
    expect_phases(phase(W, 1), torch.full((len(cases),), kind, device=device), W, 1, **more)


def test_a_short_feature_is_not_represented_whatever_lies_along_it(phase, draw):
    e, f, g = torch.linalg.qr(draw.normal(3, 3))[0].mT
    expect_one_phase(
        phase,
        [[e, 0.1 * f, g, -e], [f, 0.4 * e, 1.2 * e, -e]],
        0,
        draw.device,
        rule="a feature shorter than min_norm is 0, before anything else is asked",
        look_at="the norm of the one column of each instance, its comparison with min_norm, and what stands for yes",
    )


def test_a_feature_at_right_angles_to_all_others_is_alone_however_long(phase, draw):
    e, f, g = torch.linalg.qr(draw.normal(3, 3))[0].mT
    expect_one_phase(
        phase,
        [
            [e, 0.6 * f, g, -e],
            [2 * g, f, -0.3 * e, e],
            [g, 2.5 * e, f, 3 * f],
            [e, -1.4 * g, f, e],
            [f, -0.7 * e, g, 0 * e],
        ],
        1,
        draw.device,
        rule="the feature itself is no company: with nothing else along its direction it is alone, and 1",
        look_at="what is taken off the sum for the feature itself: its unit direction times its vector is its length, squared",
    )


def test_several_others_are_company_in_either_direction(phase, draw):
    e, f, g = torch.linalg.qr(draw.normal(3, 3))[0].mT
    expect_one_phase(
        phase,
        [
            [-e, 0.9 * e, f, g],
            [0.4 * e + g, 1.6 * e, f, -0.4 * e],
            [0.45 * g, 0.7 * g, -0.45 * g, 2 * f],
            [0.84 * f, 0.6 * f, e, g],
            [g, -1.2 * g, e, f],
        ],
        2,
        draw.device,
        rule="what all others put along the direction is squared and added up: more than max_overlap is 2",
        look_at="squares before the sum, the sum over all others, and what stands for yes",
    )


def test_each_of_eight_arrangements_is_told_by_its_number(phase, draw):
    W, kinds = weights_of_phases(draw)
    expect_phases(phase(W, 1), kinds, W, 1, rule=PHASES, look_at=AT_PHASES)
    # the same for a feature in another place
    W = W[:, :, [3, 2, 0, 1]]
    expect_phases(phase(W, 3), kinds, W, 3, rule=PHASES, look_at=AT_PHASES + "; and which feature is asked for")


def test_one_dimension_with_two_features_has_three_phases(phase, device):
    W = torch.tensor([[1.0, 0.05], [0.02, 0.97], [0.9, -1.1], [-0.9, 0.8], [0.0, -1.0]], device=device)[:, None]
    for feature, kinds in ((1, [0, 1, 2, 2, 1]), (0, [1, 0, 2, 2, 0])):
        expect_phases(phase(W, feature), torch.tensor(kinds, device=device), W, feature, rule=PHASES, look_at=AT_PHASES)


def test_the_thresholds_are_those_that_are_handed_in(phase, draw):
    W = feature_vectors(draw, instance=40, d_hidden=3, feature=5).float()
    for feature, min_norm, max_overlap in ((4, 0.3, 1.5), (0, 0.5, 0.25), (2, 1.2, 0.6), (2, 2.0, 0.1)):
        length = W[:, :, feature].double().norm(dim=-1)
        company = torch.einsum("ih,ihf->if", W[:, :, feature].double() / length[:, None], W.double()).square().sum(-1)
        company = company - length**2
        # what lies on a threshold may fall on either side
        clear = ((length - min_norm).abs() > 1e-3) & ((company - max_overlap).abs() > 1e-3)
        W_clear = W[clear]
        found = phase(W_clear, feature, min_norm=min_norm, max_overlap=max_overlap)
        expect_phases(
            found,
            phases_in_loops(W_clear, feature, min_norm, max_overlap),
            W_clear,
            feature,
            rule=f"{PHASES}; here min_norm = {min_norm} and max_overlap = {max_overlap}",
            look_at="whether you use the two arguments, and compare a length with min_norm and a sum of squares with max_overlap",
        )


def test_what_lies_just_on_a_threshold_is_neither_shorter_nor_more(phase, device):
    W = torch.tensor([[0.5, 0.0], [2.0, 2.0]], device=device)[:, None]  # exact, whichever way it is computed
    for instance, min_norm, max_overlap, what in ((0, 0.5, 0.25, "min_norm"), (1, 0.5, 4.0, "max_overlap")):
        expect_phases(
            phase(W[instance : instance + 1], 0, min_norm=min_norm, max_overlap=max_overlap),
            torch.tensor([1], device=device),
            W[instance : instance + 1],
            0,
            rule=f"0 is for lengths below min_norm and 2 for company of more than max_overlap; here there is just {what}",
            look_at="< against <=, and > against >=",
        )


def test_the_default_thresholds_are_a_half_and_a_quarter(phase, device):
    W = torch.tensor([[0.7, 0.46], [0.7, 0.54], [0.46, 0.8], [0.54, 0.8]], device=device)[:, None]
    expect_phases(
        phase(W, 1),
        torch.tensor([0, 2, 1, 2], device=device),
        W,
        1,
        rule="without further arguments, min_norm is 0.5 and max_overlap 0.25",
        look_at="the line that begins with `def`",
    )


# 3.11 solution_losses


def losses_by_quadrature(probability, importance, *, cuts=60):
    """The three losses, with inputs on a fine grid of [0, 1]² for each of the four cases of who is there."""
    u = (torch.arange(cuts, dtype=torch.float64) + 0.5) / cuts
    x0, x1 = torch.meshgrid(u, u, indexing="ij")
    p, weight = probability.double().cpu().flatten(), importance.double().cpu().flatten()
    mean = p / 2
    total = torch.zeros(3, len(p), dtype=torch.float64)
    for first, second in ((0, 0), (0, 1), (1, 0), (1, 1)):
        likely = (p if first else 1 - p) * (p if second else 1 - p)
        a, b = (first * x0).flatten()[:, None], (second * x1).flatten()[:, None]
        outputs = (
            (a + 0 * mean, mean + 0 * b),
            (mean + 0 * a, b + 0 * mean),
            ((a - b).relu() + 0 * mean, (b - a).relu() + 0 * mean),
        )
        for row, (y0, y1) in enumerate(outputs):
            total[row] += likely * ((y0 - a) ** 2 + weight * (y1 - b) ** 2).mean(0) / 2
    return total.view(3, *probability.shape).to(probability.device)


SOLUTION_NAMES = ("the second not represented", "the first not represented", "antipodal pair")
SOLUTION_LOSSES = (
    "I · Var / 2, Var / 2 and (1 + I) · p²/6 / 2, where Var = p/3 - p²/4 and I is the importance of the second"
)
AT_SOLUTION_LOSSES = (
    "what a constant output leaves; when an antipodal pair errs, and by how much; and the mean over two features"
)


def expect_solution_losses(found, expected, *, which=(0, 1, 2), **more):
    expect_shape(
        found,
        expected.shape,
        axes="solution *grid",
        rule="the three solutions come first, then the axes of the arguments as they are",
        look_at="torch.stack, which puts its new axis first",
        what="the losses",
    )
    for row in which:
        expect_close(
            found[row],
            expected[row].to(found.dtype),
            what=f"the loss of solution {row} ({SOLUTION_NAMES[row]})",
            **({"rule": SOLUTION_LOSSES, "look_at": AT_SOLUTION_LOSSES, "atol": 1e-6} | more),
        )


def test_three_losses_come_back_for_every_place_of_the_grid(solution_losses, draw):
    for shape in ((4,), (2, 5), (3, 2, 4)):
        p, importance = draw.uniform(*shape, low=0.1, high=0.9), draw.uniform(*shape, low=0.2, high=3.0)
        found = solution_losses(p, importance)
        expect_solution_losses(found, torch.zeros(3, *shape, device=draw.device), which=())


def test_a_feature_that_is_not_represented_costs_its_variance(solution_losses, draw):
    p = torch.tensor([1.0, 0.6, 0.3, 0.05], device=draw.device)
    importance = torch.tensor([0.3, 4.0, 1.7, 0.8], device=draw.device)
    variance = torch.tensor([1 / 12, 0.11, 0.0775, 0.05 / 3 - 0.000625], device=draw.device)
    expect_solution_losses(
        solution_losses(p, importance),
        torch.stack([importance * variance / 2, variance / 2, variance]),
        which=(0, 1),
        rule="the best constant is the mean, and what it leaves is the variance p/3 - p²/4, times importance, over two features",
        look_at="the variance of a feature that is there with probability p; which of the two is left out; and the half",
    )


def test_an_antipodal_pair_errs_only_when_both_are_there(solution_losses, draw):
    p, importance = torch.tensor([1.0, 0.5, 0.2], device=draw.device), torch.tensor([1.0, 5.0, 0.4], device=draw.device)
    clash = torch.tensor([1 / 6, 1 / 24, 1 / 150], device=draw.device)
    expect_solution_losses(
        solution_losses(p, importance),
        torch.stack([clash, clash, (1 + importance) * clash / 2]),
        which=(2,),
        rule="when both are there (p²), both outputs are off by the smaller of the two numbers; its mean square is 1/6",
        look_at="what ReLU makes of x_0 - x_1 and x_1 - x_0, and the importance of both errors",
    )


def test_the_losses_are_those_of_inputs_on_a_fine_grid(solution_losses, draw):
    p = spread_probabilities(draw, 6, low=0.02, high=1.0).float().view(2, 3)
    importance = draw.uniform(2, 3, low=0.1, high=5.0)
    expect_solution_losses(solution_losses(p, importance), losses_by_quadrature(p, importance), atol=2e-4, rtol=3e-3)


def test_the_losses_of_float64_arguments_are_exact(solution_losses, draw):
    p, importance = spread_probabilities(draw, 5), draw.uniform(5, low=0.2, high=3.0).double()
    variance = p * (4 - 3 * p) / 12
    expect_solution_losses(
        solution_losses(p, importance),
        torch.stack([importance * variance / 2, variance / 2, (importance + 1) * p * p / 12]),
        dtype=torch.float64,
        rule="the result has the dtype of its arguments, and its precision",
        look_at="tensors that you make yourself, and calls such as .float()",
        atol=1e-12,
        rtol=1e-9,
    )


# 3.12, 3.13: batches of pairs


def batch_of_pairs(make, batch, n_pairs, probability, *, seed, others_seed=0, name):
    """What a fresh generator of this seed gives, while the global one has a seed of its own; its shape and kind are right."""
    torch.manual_seed(others_seed)
    x = make(batch, n_pairs, probability, torch.Generator().manual_seed(seed))
    expect_shape(
        x,
        (batch, len(probability), 2 * n_pairs),
        axes="batch instance feature",
        rule="two features for each pair, side by side on the last axis",
        look_at="how the axis of the two members is joined to the axis of pairs: .flatten(-2), or reshape",
        what="the batch",
    )
    if x.dtype != probability.dtype or x.device.type != probability.device.type:
        complain(
            f"the batch is {str(x.dtype).removeprefix('torch.')} on {x.device.type}, the probabilities are"
            f" {str(probability.dtype).removeprefix('torch.')} on {probability.device.type}",
            rule=f"what {name} returns lives where `probability` does, and has its dtype",
            look_at="what you draw: on the generator's device, then .to(probability)",
        )
    outside = x[(x < 0) | (x > 1)]
    if len(outside):
        complain(
            f"a feature has the value {outside[0].item():.3g}",
            rule="a feature is 0, or between 0 and 1",
            look_at="torch.rand is uniform in [0, 1]; torch.randn is normal",
        )
    return x


def pair_seed(draw):
    return int(draw.integers(1, 2**31))


PAIR_INPUTS = 3000  # inputs of a statistical test
PAIR_DEVIATIONS = 7  # standard deviations: chance stays far below


def expect_pair_share(seen, right, samples, *, of, rule, look_at):
    """Complain if a share, counted over so many independent samples, is not the right one."""
    allowed = PAIR_DEVIATIONS * math.sqrt(max(right * (1 - right), 1e-4) / samples) + 2e-3
    if abs(seen - right) > allowed:
        complain(f"{of} in {100 * seen:.1f} % of cases, {100 * right:.1f} % are right", rule=rule, look_at=look_at)


def expect_each_feature_to_be_there(x, probability, *, look_at):
    shares = (x > 0).double().mean(0)
    for instance, p in enumerate(probability.tolist()):
        for feature, seen in enumerate(shares[instance].tolist()):
            expect_pair_share(
                seen,
                p,
                len(x),
                of=f"with a probability of {p:.2g}, feature {feature} of instance {instance} is there",
                rule="each feature is there with the probability of its instance",
                look_at=look_at,
            )


def expect_independent_features(x, probability, pairs_of_features, *, rule, look_at):
    """Each (instance, feature) of the one, with the other: both there as often as independence says."""
    there = x > 0
    for (one, this), (other, that) in pairs_of_features:
        right = probability[one].item() * probability[other].item()
        seen = (there[:, one, this] & there[:, other, that]).double().mean().item()
        expect_pair_share(
            seen,
            right,
            len(x),
            of=f"feature {this} of instance {one} and feature {that} of instance {other} are there together",
            rule=rule,
            look_at=look_at,
        )


def expect_pair_strengths(x, *, look_at):
    """Of the features that are there: mean 1/2 and mean square 1/3."""
    present = x[x > 0].double()
    for power, right in ((1, 1 / 2), (2, 1 / 3), (4, 1 / 5)):
        values = present**power
        seen, allowed = values.mean().item(), PAIR_DEVIATIONS * 0.36 / math.sqrt(max(len(present), 1)) + 1e-3
        if len(present) == 0 or abs(seen - right) > allowed:
            complain(
                f"of the features that are there, the mean of x{'' if power == 1 else f'^{power}'} is {seen:.3f},"
                f" {right:.3f} is right",
                rule="a feature that is there has a strength uniform in [0, 1]",
                look_at=look_at,
            )


def expect_inputs_of_their_own(x, probability, *, look_at):
    """A feature in one input says nothing about it in the next."""
    there = x > 0
    for instance, p in enumerate(probability.tolist()):
        seen = (there[1:, instance] & there[:-1, instance]).double().mean().item()
        expect_pair_share(
            seen,
            p**2,
            len(x) - 1,
            of=f"in instance {instance}, a feature is there in one input and in the next as well",
            rule="every input is drawn by itself",
            look_at=look_at,
        )


def expect_the_generator_to_decide(make, draw, name):
    probability, seed = torch.tensor([0.4, 0.2], device=draw.device), pair_seed(draw)
    once = batch_of_pairs(make, 5, 3, probability, seed=seed, others_seed=1, name=name)
    again = batch_of_pairs(make, 5, 3, probability, seed=seed, others_seed=2, name=name)
    expect_equal(
        again,
        once,
        rule="two generators in the same state give the same batch, whatever state torch's global one is in",
        look_at="whether every draw is given the generator: chances and strengths",
        what="the second batch",
    )
    other = batch_of_pairs(make, 5, 3, probability, seed=seed + 1, others_seed=2, name=name)
    if torch.equal(once, other):
        complain(
            "two generators of different seeds give the same batch",
            rule="the batch comes from the generator that is handed in",
            look_at="a seed that you set yourself",
        )


AT_PAIR_CHANCES = "the shape of the chances: batch, instance, pair; and their comparison with probability[:, None]"
AT_PAIR_STRENGTHS = "the strengths: torch.rand of the shape batch, instance, pair, 2"
OF_OTHER_PAIRS = [((0, 0), (0, 2)), ((1, 1), (1, 4)), ((2, 3), (2, 5)), ((1, 0), (1, 3))]
OF_OTHER_INSTANCES = [((0, 0), (1, 0)), ((1, 2), (2, 2)), ((0, 5), (2, 5)), ((2, 1), (0, 1))]


def test_both_of_a_pair_are_there_or_neither(correlated_batch, draw):
    probability = torch.tensor([0.3, 0.7, 0.5, 0.15], device=draw.device)
    x = batch_of_pairs(correlated_batch, 400, 3, probability, seed=pair_seed(draw), name="correlated_batch")
    there = x > 0
    torn = (there[..., 0::2] != there[..., 1::2]).double().mean().item()
    if torn > 1e-3:  # a strength may come out as exactly 0
        complain(
            f"in {100 * torn:.1f} % of pairs, one of the two is there without the other",
            rule="features 0 and 1 are there together or not at all; so are 2 and 3, 4 and 5",
            look_at="whether both of a pair share one chance, and whether they are neighbours on the last axis",
            picture=(there[0].double(), there[0].double().unflatten(-1, (3, 2)).amax(-1).repeat_interleave(2, -1)),
            picture_axes=("instance", "feature"),
        )


def test_each_feature_of_a_pair_has_the_probability_of_its_instance(correlated_batch, draw):
    probability = torch.tensor([0.1, 0.45, 0.8], device=draw.device)
    x = batch_of_pairs(correlated_batch, PAIR_INPUTS, 2, probability, seed=pair_seed(draw), name="correlated_batch")
    expect_each_feature_to_be_there(x, probability, look_at=AT_PAIR_CHANCES)


def test_an_instance_of_probability_1_always_has_its_pairs_and_one_of_0_never(correlated_batch, draw):
    probability = torch.tensor([1.0, 0.0], device=draw.device)
    x = batch_of_pairs(correlated_batch, 200, 3, probability, seed=pair_seed(draw), name="correlated_batch")
    expect_each_feature_to_be_there(x, probability, look_at=AT_PAIR_CHANCES)


def test_correlated_features_have_uniform_strengths_each_its_own(correlated_batch, draw):
    probability = torch.tensor([0.9, 0.6], device=draw.device)
    x = batch_of_pairs(correlated_batch, PAIR_INPUTS, 2, probability, seed=pair_seed(draw), name="correlated_batch")
    expect_pair_strengths(x, look_at=AT_PAIR_STRENGTHS)
    first, second = x[..., 0::2], x[..., 1::2]
    both = (first > 0) & (second > 0)
    product = (first[both].double() * second[both].double()).mean().item()
    if abs(product - 1 / 4) > PAIR_DEVIATIONS * 0.22 / math.sqrt(int(both.sum())) + 1e-3:
        complain(
            f"the mean product of the two strengths of a pair is {product:.3f}, 0.250 is right",
            rule="both of a pair are there together, but each has a strength of its own, independent of the other's",
            look_at=AT_PAIR_STRENGTHS,
        )


def test_pairs_instances_and_inputs_are_independent_of_each_other(correlated_batch, draw):
    probability = torch.tensor([0.5, 0.3, 0.6], device=draw.device)
    x = batch_of_pairs(correlated_batch, PAIR_INPUTS, 3, probability, seed=pair_seed(draw), name="correlated_batch")
    expect_independent_features(
        x,
        probability,
        OF_OTHER_PAIRS,
        rule="different pairs have nothing to do with each other",
        look_at=AT_PAIR_CHANCES,
    )
    expect_independent_features(
        x, probability, OF_OTHER_INSTANCES, rule="different instances have inputs of their own", look_at=AT_PAIR_CHANCES
    )
    expect_inputs_of_their_own(x, probability, look_at=AT_PAIR_CHANCES)


def test_the_generator_decides_the_correlated_batch(correlated_batch, draw):
    expect_the_generator_to_decide(correlated_batch, draw, "correlated_batch")


def test_a_float64_probability_gives_a_float64_correlated_batch(correlated_batch, draw):
    probability = torch.tensor([0.5, 0.3], dtype=torch.float64, device=draw.device)
    batch_of_pairs(correlated_batch, 4, 3, probability, seed=pair_seed(draw), name="correlated_batch")


def test_at_most_one_of_a_pair_is_there(anticorrelated_batch, draw):
    probability = torch.tensor([0.3, 0.5, 0.15, 0.45], device=draw.device)
    x = batch_of_pairs(anticorrelated_batch, 400, 3, probability, seed=pair_seed(draw), name="anticorrelated_batch")
    both = ((x[..., 0::2] > 0) & (x[..., 1::2] > 0)).double().mean().item()
    if both > 0:
        complain(
            f"in {100 * both:.1f} % of pairs, both are there",
            rule="features 0 and 1 are never there together; nor are 2 and 3, 4 and 5",
            look_at="the two masks: no chance may be in both; and whether a pair's features are neighbours on the last axis",
        )


def test_each_feature_of_an_excluding_pair_has_the_probability_of_its_instance(anticorrelated_batch, draw):
    probability = torch.tensor([0.1, 0.3, 0.45], device=draw.device)
    x = batch_of_pairs(
        anticorrelated_batch, PAIR_INPUTS, 2, probability, seed=pair_seed(draw), name="anticorrelated_batch"
    )
    expect_each_feature_to_be_there(
        x,
        probability,
        look_at="the two masks: each has the width p, so that one of the two is there with probability 2p",
    )


def test_a_probability_of_one_half_leaves_no_pair_empty(anticorrelated_batch, draw):
    probability = torch.tensor([0.5, 0.25], device=draw.device)
    try:
        x = batch_of_pairs(anticorrelated_batch, 300, 3, probability, seed=pair_seed(draw), name="anticorrelated_batch")
    except Complaint as complaint:
        if complaint.kind == "raised" and "ValueError" in complaint.seen:
            complain(
                f"with a probability of 0.5, {complaint.seen}",
                rule="0.5 is possible: one of the two is there every time",
                look_at="the comparison: > 0.5, not >= 0.5",
            )
        raise
    empty = ((x[:, 0, 0::2] == 0) & (x[:, 0, 1::2] == 0)).double().mean().item()
    if empty > 5e-3:
        complain(
            f"with a probability of 0.5, none of a pair is there in {100 * empty:.1f} % of cases",
            rule="with 0.5 for each, one of the two is always there",
            look_at="the two masks: below p, and from p to 2p",
        )


def test_excluding_features_have_uniform_strengths(anticorrelated_batch, draw):
    probability = torch.tensor([0.5, 0.4], device=draw.device)
    x = batch_of_pairs(
        anticorrelated_batch, PAIR_INPUTS, 2, probability, seed=pair_seed(draw), name="anticorrelated_batch"
    )
    expect_pair_strengths(x, look_at=AT_PAIR_STRENGTHS)
    for member in (0, 1):
        expect_pair_strengths(x[..., member::2], look_at=AT_PAIR_STRENGTHS + "; not the chances themselves")


def test_excluding_pairs_instances_and_inputs_are_independent_of_each_other(anticorrelated_batch, draw):
    probability = torch.tensor([0.5, 0.3, 0.4], device=draw.device)
    x = batch_of_pairs(
        anticorrelated_batch, PAIR_INPUTS, 3, probability, seed=pair_seed(draw), name="anticorrelated_batch"
    )
    expect_independent_features(
        x,
        probability,
        OF_OTHER_PAIRS,
        rule="different pairs have nothing to do with each other",
        look_at=AT_PAIR_CHANCES,
    )
    expect_independent_features(
        x, probability, OF_OTHER_INSTANCES, rule="different instances have inputs of their own", look_at=AT_PAIR_CHANCES
    )
    expect_inputs_of_their_own(x, probability, look_at=AT_PAIR_CHANCES)


def test_the_generator_decides_the_anticorrelated_batch(anticorrelated_batch, draw):
    expect_the_generator_to_decide(anticorrelated_batch, draw, "anticorrelated_batch")


def test_a_float64_probability_gives_a_float64_anticorrelated_batch(anticorrelated_batch, draw):
    probability = torch.tensor([0.5, 0.3], dtype=torch.float64, device=draw.device)
    batch_of_pairs(anticorrelated_batch, 4, 3, probability, seed=pair_seed(draw), name="anticorrelated_batch")


def test_a_probability_above_one_half_is_refused_by_its_value(anticorrelated_batch, draw):
    rule = (
        "two features that exclude each other cannot both have more than 0.5: a ValueError that names the probability"
    )
    for values in ((0.75,), (0.125, 0.625), (0.875, 0.25, 0.125)):
        probability = torch.tensor(values, device=draw.device)
        try:
            anticorrelated_batch(4, 3, probability, draw.generator())
        except Complaint as complaint:
            if complaint.kind != "raised":
                raise
            text = complaint.seen.partition("ValueError")[2]
            if any(abs(float(number) - max(values)) < 0.01 for number in re.findall(r"\d+\.\d+", text)):
                continue
            complain(
                f"with a probability of {max(values)}, {complaint.seen}",
                rule=rule,
                look_at="what you raise, and whether the value itself is in its text",
            )
        complain(
            f"with the probabilities {', '.join(map(str, values))}, a batch came back",
            rule=rule,
            look_at="the check before you draw: (probability > 0.5).any()",
        )


# 3.14 ToyNeuronModel


def neuron_weights(draw, *, instance=3, d_hidden=4, feature=6):
    """Weights and biases of both signs, none at its default."""
    return {"W": draw.normal(instance, d_hidden, feature, std=0.8), "b": draw.normal(instance, feature, std=0.5)}


def neuron_model(ToyNeuronModel, weights):
    instance, d_hidden, feature = weights["W"].shape
    return ToyNeuronModel(instance, feature, d_hidden, torch.Generator().manual_seed(5)).load(weights)


def neuron_model_in_loops(weights, x):
    """Each instance by itself: two linear layers, with a ReLU behind each."""
    outputs = []
    for W, b, own in zip(weights["W"], weights["b"], x.unbind(1)):
        neurons = torch.clamp(F.linear(own, W), min=0)
        outputs.append(torch.clamp(F.linear(neurons, W.T, b), min=0))
    return torch.stack(outputs, dim=1)


NEURONS = "x̂ = ReLU(Wᵀ ReLU(W x) + b), in each instance with its own W and b"
AT_NEURONS = "the two einsums, a ReLU behind each, and b in front of the second"


def expect_neuron_output(x_hat, expected, **more):
    expect_shape(
        x_hat,
        expected.shape,
        axes="batch instance feature",
        rule="what comes out has the shape of what goes in",
        look_at="the output axes of the second einsum",
        what="the reconstruction",
    )
    more = {"rule": NEURONS, "look_at": AT_NEURONS, "what": "the reconstruction"} | more
    expect_close(x_hat, expected, axes="batch instance feature", **more)


def test_a_toy_model_with_neurons_is_two_layers_with_a_relu_behind_each(ToyNeuronModel, draw):
    for sizes in (dict(), dict(instance=2, d_hidden=5, feature=3), dict(instance=4, d_hidden=2, feature=7)):
        weights = neuron_weights(draw, **sizes)
        x = draw.uniform(5, len(weights["W"]), weights["W"].shape[-1], low=-0.5, high=1.5)
        expect_neuron_output(neuron_model(ToyNeuronModel, weights)(x), neuron_model_in_loops(weights, x))


def test_a_neuron_below_0_says_nothing(ToyNeuronModel, draw):
    W = torch.zeros(2, 3, 4, device=draw.device)
    W[0, 1, 2], W[1, 2, 0] = 1.5, -0.8  # one neuron in each instance reads one feature: positively, negatively
    b = draw.uniform(2, 4, low=0.1, high=0.4)
    x = draw.uniform(6, 2, 4, low=0.2, high=1.0)
    expected = b.expand(6, 2, 4).clone()
    expected[:, 0, 2] += 1.5**2 * x[:, 0, 2]
    expect_neuron_output(
        neuron_model(ToyNeuronModel, {"W": W, "b": b})(x),
        expected,
        rule="a neuron passes on what is above 0 and nothing else: the second instance's neuron stays silent",
        look_at="the ReLU between the two products",
    )


def test_without_input_the_output_is_the_bias_above_0(ToyNeuronModel, draw):
    weights = neuron_weights(draw)
    x = torch.zeros(2, 3, 6, device=draw.device)
    expect_neuron_output(
        neuron_model(ToyNeuronModel, weights)(x),
        weights["b"].clamp(min=0).expand(2, 3, 6),
        rule="where no neuron speaks, the output is ReLU(b)",
        look_at="whether b is added, at the output and before the last ReLU",
    )


def test_gradients_flow_back_through_both_relus(ToyNeuronModel, draw):
    weights = neuron_weights(draw)
    x, upstream = draw.uniform(4, 3, 6), draw.normal(4, 3, 6)
    model = neuron_model(ToyNeuronModel, weights)
    dx = model.backward(x, upstream=upstream)
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    own = x.clone().requires_grad_()
    neuron_model_in_loops(leaves, own).backward(upstream)
    for name, found, right in [("x", dx, own.grad), *((k, model.grads()[k], leaves[k].grad) for k in leaves)]:
        expect_close(
            found,
            right,
            rule="gradients reach x, W (by both of its uses) and b",
            look_at="detach(), .data or torch.no_grad() in forward, and a W that is used only once",
            what=f"the gradient of {name}",
            atol=1e-4,
        )


def test_a_toy_model_with_neurons_is_exact_in_float64(ToyNeuronModel, draw):
    weights = {name: value.double() for name, value in neuron_weights(draw).items()}
    instance, d_hidden, feature = weights["W"].shape
    model = ToyNeuronModel(instance, feature, d_hidden, torch.Generator().manual_seed(5)).double().load(weights)
    x = draw.uniform(4, 3, 6).double()
    expect_neuron_output(
        model(x),
        neuron_model_in_loops(weights, x),
        dtype=torch.float64,
        rule="a model in float64 computes in float64",
        look_at="tensors that you make in forward, and calls such as .float()",
        atol=1e-10,
        rtol=1e-8,
    )


def test_a_new_model_with_neurons_starts_at_random_weights_and_no_bias(ToyNeuronModel, draw):
    models = [ToyNeuronModel(3, 30, 20, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    x = draw.uniform(2, 3, 30)
    models[0](x)
    first, again, other = (model.parameters() for model in models)
    for name, shape in (("W", (3, 20, 30)), ("b", (3, 30))):
        if name not in first:
            complain(f"ToyNeuronModel has no parameter `{name}`", rule="its parameters are W and b", look_at="__init__")
        expect_shape(first[name], shape, look_at="__init__: W is instance d_hidden feature, b is instance feature")
    W = first["W"].cpu().double()
    if W.std() < 1e-3 or W.mean().abs() > 0.2 * W.std() or torch.allclose(W[0], W[1]):
        complain(
            f"the entries of W start with mean {W.mean():.3f} and standard deviation {W.std():.3f}"
            + (", the same in two instances" if torch.allclose(W[0], W[1]) else ""),
            rule="W starts random around 0, in every instance by itself: no gradient leads away from W = 0",
            look_at="__init__, which was given",
        )
    expect_close(
        first["b"], torch.zeros_like(first["b"]), rule="b starts at 0", look_at="__init__, which was given", what="b"
    )
    if not torch.equal(first["W"], again["W"]) or torch.equal(first["W"], other["W"]):
        complain(
            "W does not depend on the generator alone",
            rule="generators in the same state give the same W, and others another one",
            look_at="__init__, which was given",
        )


# 3.15 to 3.26: sparse autoencoders. No two axes of the same size, none of size 1; no weight at its start, rows of any length
D_IN, D_SAE, BATCH = 5, 7, 11


def sae_weights(draw, d_in=D_IN, d_sae=D_SAE):
    """Weights of an SAE: biases far from 0, rows of W_dec of very different lengths, W_enc no transpose of W_dec."""
    return {
        "W_enc": draw.normal(d_in, d_sae),
        "b_enc": draw.normal(d_sae, std=0.7),
        "W_dec": draw.normal(d_sae, d_in) * draw.uniform(d_sae, 1, low=0.4, high=2.5),
        "b_dec": draw.normal(d_in, mean=0.5),
    }


def gated_weights(draw, d_in=D_IN, d_sae=D_SAE):
    return {
        "W_gate": draw.normal(d_in, d_sae),
        "b_gate": draw.normal(d_sae, std=0.7),
        "r_mag": draw.normal(d_sae, std=0.5),
        "b_mag": draw.normal(d_sae, std=0.7),
        "W_dec": draw.normal(d_sae, d_in) * draw.uniform(d_sae, 1, low=0.4, high=2.5),
        "b_dec": draw.normal(d_in, mean=0.5),
    }


def doubled(weights):
    return {name: value.double() for name, value in weights.items()}


def expect_unchanged(sae, before, names, *, rule, look_at):
    """Complain unless these parameters of the SAE are what they were."""
    parameters = dict(sae.named_parameters())
    for name in names:
        if not torch.equal(parameters[name].detach(), before[name]):
            complain(f"{name} has changed", rule=rule, look_at=look_at)


# 3.15 SAE


def own_sae(SAE, draw, weights=None):
    """The learner's SAE, with these weights."""
    weights = weights or sae_weights(draw)
    d_in, d_sae = weights["W_enc"].shape
    return SAE(d_in, d_sae, torch.Generator().manual_seed(0)).load(weights), weights


def activations_by_hand(x, weights):
    """The features of x, one number at a time (x has one axis in front)."""
    x, W_enc, b_enc = x.double(), weights["W_enc"].double(), weights["b_enc"].double()
    rows = [[max(0.0, float((row * W_enc[:, i]).sum() + b_enc[i])) for i in range(len(b_enc))] for row in x]
    return torch.tensor(rows, dtype=torch.float64, device=x.device).float()


def test_features_are_never_negative_and_some_are_0(SAE, draw):
    sae, weights = own_sae(SAE, draw)
    f = sae.encode(draw.normal(BATCH, D_IN, std=2.0))
    expect_shape(f, (BATCH, D_SAE), axes="batch d_sae", rule="one number for each feature", look_at="encode")
    if (f < 0).any():
        complain(
            f"encode gives {f.min():.3g}",
            rule="a feature is there, more or less strongly, or it is not: no activation is below 0",
            look_at="ReLU, at the end of encode",
        )
    if not (f == 0).any():
        complain(
            "no feature is exactly 0 on any example",
            rule="ReLU cuts off what is negative: that is what makes features silent",
            look_at="ReLU, at the end of encode, after the bias",
        )


def test_where_there_is_no_input_the_encoder_answers_with_its_bias(SAE, draw):
    sae, weights = own_sae(SAE, draw)
    expect_close(
        sae.encode(torch.zeros(3, D_IN, device=draw.device)),
        weights["b_enc"].clamp(min=0).expand(3, -1),
        rule="for an input of zeros the pre-activations are b_enc, and the features its ReLU",
        look_at="b_enc in encode: is it added, before the ReLU? And is x used as it is?",
        axes="batch d_sae",
        what="the features of an input of zeros",
    )


def test_each_feature_reads_with_its_own_column_of_the_encoder(SAE, draw):
    sae, weights = own_sae(SAE, draw)
    x = draw.normal(BATCH, D_IN, std=2.0)
    expect_close(
        sae.encode(x),
        activations_by_hand(x, weights),
        rule="feature i is ReLU(x · column i of W_enc + b_enc[i])",
        look_at="encode: which matrix, the bias, the ReLU, and their order",
        axes="batch d_sae",
        what="the features",
    )


def test_of_no_features_the_decoder_makes_its_bias_and_of_one_its_row(SAE, draw):
    sae, weights = own_sae(SAE, draw)
    expect_close(
        sae.decode(torch.zeros(2, D_SAE, device=draw.device)),
        weights["b_dec"].expand(2, -1),
        rule="without features, the reconstruction is b_dec, negative components and all",
        look_at="b_dec in decode, and anything that is done after it",
        axes="batch d_in",
        what="the reconstruction from no features",
    )
    expect_close(
        sae.decode(2 * torch.eye(D_SAE, device=draw.device)),
        2 * weights["W_dec"] + weights["b_dec"],
        rule="a feature of strength 2 adds 2 times its row of W_dec, as it stands there",
        look_at="decode: which matrix, and whether its rows are used as they are",
        axes="feature d_in",
        what="the reconstruction from one feature",
    )


def test_the_pair_is_the_reconstruction_and_the_features(SAE, draw):
    sae, weights = own_sae(SAE, draw)
    x = draw.normal(BATCH, D_IN, std=2.0)
    pair = sae(x)
    if len(pair) != 2:
        complain(f"forward gives {len(pair)} things", rule="forward returns the pair (x_hat, f)", look_at="forward")
    f = activations_by_hand(x, weights)
    expect_close(
        pair[0],
        torch.stack([sum(f[n, i] * weights["W_dec"][i] for i in range(D_SAE)) for n in range(BATCH)])
        + weights["b_dec"],
        rule="first the reconstruction: the sum of the rows of W_dec, each as strong as its feature, plus b_dec",
        look_at="forward: what goes into decode, and the order of the two results",
        axes="batch d_in",
        what="the reconstruction",
        atol=1e-4,
    )
    expect_close(
        pair[1],
        f,
        rule="second the features that the reconstruction was made of",
        look_at="the second result of forward",
        axes="batch d_sae",
        what="the second result",
    )


def test_an_sae_takes_any_number_of_axes_in_front(SAE, draw):
    weights = sae_weights(draw, d_in=4, d_sae=9)
    sae, _ = own_sae(SAE, draw, weights)
    course = CourseSAE(weights)
    for shape in ((), (3,), (2, 5), (2, 3, 6)):
        x = draw.normal(*shape, 4, std=2.0)
        with torch.no_grad():
            x_hat, f = course(x)
        for got, right, name in zip(sae(x), (x_hat, f), ("reconstruction", "features")):
            expect_close(
                got,
                right,
                rule="examples may stand in any axes; only the last one changes, from d_in to d_sae and back",
                look_at="axes counted from the front, and .T of a tensor that is no matrix",
                what=f"the {name} of x {list(x.shape)}",
                atol=1e-4,
            )


def test_gradients_reach_all_four_parameters_and_the_input(SAE, draw):
    weights = sae_weights(draw)
    x, to_x_hat, to_f = draw.normal(BATCH, D_IN), draw.normal(BATCH, D_IN), draw.normal(BATCH, D_SAE)
    course, leaf = CourseSAE(weights), x.clone().requires_grad_()
    x_hat, f = course(leaf)
    ((x_hat * to_x_hat).sum() + (f * to_f).sum()).backward()
    sae, _ = own_sae(SAE, draw, weights)
    rule, look_at = (
        "gradients flow back from both results",
        "detach(), .data or torch.no_grad() in encode, decode, forward",
    )
    got = sae.backward(x, upstream=(to_x_hat, to_f))
    expect_close(got, leaf.grad, rule=rule, look_at=look_at, what="the gradient of x", atol=1e-4, rtol=1e-3)
    grads = sae.grads()
    for name, parameter in course.named_parameters():
        expect_close(
            grads[name],
            parameter.grad,
            rule=rule,
            look_at=look_at,
            what=f"the gradient of {name}",
            atol=1e-4,
            rtol=1e-3,
        )


# 3.16 sae_loss


def loss_by_hand(x, x_hat, f, l1):
    """The loss, one number at a time."""
    d_in, d_sae = x.shape[-1], f.shape[-1]
    examples = zip(x.double().reshape(-1, d_in), x_hat.double().reshape(-1, d_in), f.double().reshape(-1, d_sae))
    each = [
        sum((float(a) - float(b)) ** 2 for a, b in zip(one, other)) + l1 * sum(abs(float(value)) for value in features)
        for one, other, features in examples
    ]
    return torch.tensor(sum(each) / len(each), dtype=torch.float64, device=x.device)


def some_of_each(draw, *shape, d_in=D_IN, d_sae=D_SAE):
    """Inputs, reconstructions, and features that are mostly 0."""
    f = draw.normal(*shape, d_sae).clamp(min=0) * (draw.uniform(*shape, d_sae) < 0.6)
    return draw.normal(*shape, d_in), draw.normal(*shape, d_in), f


LOSS = "for each example Σ (x - x_hat)² + l1 · Σ |f|, both sums over the last axis; then the mean over examples"


def test_a_perfect_reconstruction_from_nothing_costs_nothing(sae_loss, draw):
    x = draw.normal(BATCH, D_IN)
    expect_close(
        sae_loss(x, x, torch.zeros(BATCH, D_SAE, device=draw.device), 0.5),
        torch.zeros((), device=draw.device),
        rule="with x_hat equal to x and no feature on, both terms are 0",
        look_at="what is subtracted from what, and any constant",
        what="the loss",
    )


def test_without_a_penalty_the_loss_is_the_squared_distance(sae_loss, device):
    x = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 2.0]], device=device)
    x_hat = torch.tensor([[1.5, 1.0, 0.0], [0.0, 3.0, 0.0]], device=device)
    f = torch.tensor([[0.0, 3.0, 0.0, 1.0], [2.0, 0.0, 0.0, 0.0]], device=device)
    expect_close(
        sae_loss(x, x_hat, f, 0.0),
        torch.tensor((1.25 + 13) / 2, device=device),
        rule="two examples at squared distances 1.25 and 13: the loss is their mean, 7.125",
        look_at="squares, the sum over d_in, the mean over examples",
        what="the loss with l1 = 0",
    )


def test_the_penalty_is_l1_times_the_sum_of_the_activations(sae_loss, device):
    x = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.0, 2.0]], device=device)
    f = torch.tensor([[0.0, 3.0, 0.0, 1.0], [2.0, 0.0, 0.0, 0.0]], device=device)
    for l1 in (1.0, 0.1, 4.0):
        expect_close(
            sae_loss(x, x.clone(), f, l1),
            torch.tensor(l1 * (4 + 2) / 2, device=device),
            rule="activations that sum to 4 and to 2 cost l1 · 4 and l1 · 2: their mean is 3 · l1",
            look_at="the sum over d_sae, without squares, times l1; the mean over examples",
            what=f"the loss of a perfect reconstruction, with l1 = {l1},",
        )


def test_the_loss_is_a_mean_over_all_leading_axes(sae_loss, draw):
    for shape in ((3,), (2, 4), (3, 2, 4)):
        x, x_hat, f = some_of_each(draw, *shape)
        expect_close(
            sae_loss(x, x_hat, f, 0.3),
            loss_by_hand(x, x_hat, f, 0.3).float(),
            rule=LOSS,
            look_at="which axes are summed and which averaged",
            what=f"the loss of x {list(x.shape)}",
        )


def test_the_loss_of_float64_is_exact(sae_loss, draw):
    x, x_hat, f = (value.double() for value in some_of_each(draw, 4, 3, d_in=6, d_sae=13))
    expect_close(
        sae_loss(x, x_hat, f, 0.07),
        loss_by_hand(x, x_hat, f, 0.07),
        rule=LOSS,
        look_at="tensors that you make yourself, and calls such as .float()",
        what="the loss",
        dtype=torch.float64,
        atol=1e-10,
        rtol=1e-8,
    )


def test_the_loss_pushes_reconstructions_and_every_active_feature(sae_loss, draw):
    x, x_hat, f = some_of_each(draw, BATCH)
    f = f + 0.1 * (f > 0)
    _, to_x_hat, to_f = sae_loss.gradients(x, x_hat, f + 0.01, 0.4, upstream=torch.ones((), device=draw.device))
    expect_close(
        to_x_hat,
        2 * (x_hat - x) / BATCH,
        rule="the gradient of the squared distance is 2 (x_hat - x), divided by the number of examples",
        look_at="detach, and what is summed and averaged",
        axes="batch d_in",
        what="the gradient of x_hat",
    )
    expect_close(
        to_f,
        torch.full_like(f, 0.4 / BATCH),
        rule="each activation that is on is pushed down with the same force: l1, divided by the number of examples",
        look_at="detach, squares, and what is summed and averaged",
        axes="batch d_sae",
        what="the gradient of f",
    )


# 3.17 normalize_decoder


def rows_after(normalize_decoder, border, weights):
    """The SAE after the call; its W_dec is written down for the naming of mistakes, also where nothing has changed."""
    sae = CourseSAE(weights)
    normalize_decoder(sae)
    border.transcript.note("W_dec", sae.W_dec)
    return sae


def test_every_row_of_the_decoder_has_norm_1_afterwards(normalize_decoder, border, draw):
    for d_in, d_sae in ((5, 7), (9, 4)):
        weights = sae_weights(draw, d_in, d_sae)
        weights["W_dec"][1] *= 0.4 / weights["W_dec"][1].norm()  # surely a row shorter than 1, and one longer
        weights["W_dec"][2] *= 3.0 / weights["W_dec"][2].norm()
        sae = rows_after(normalize_decoder, border, weights)
        expect_close(
            sae.W_dec.detach().square().sum(dim=-1),
            torch.ones(d_sae, device=draw.device),
            rule="each row of W_dec, the direction of one feature, has norm 1 afterwards",
            look_at="whether W_dec changes at all, and over which axis the norm runs",
            axes="d_sae",
            what="the squared norms of the rows",
        )


def test_no_row_turns(normalize_decoder, border, draw):
    weights = sae_weights(draw)
    sae = rows_after(normalize_decoder, border, weights)
    norms = [math.sqrt(sum(float(value) ** 2 for value in row)) for row in weights["W_dec"]]
    expect_close(
        sae.W_dec.detach(),
        torch.stack([row / norm for row, norm in zip(weights["W_dec"], norms)]),
        rule="each row is divided by its own norm, so it keeps its direction",
        look_at="what the rows are divided by: one number for each row",
        axes="d_sae d_in",
        what="W_dec",
    )


def test_nothing_but_the_decoder_is_normalised(normalize_decoder, border, draw):
    weights = sae_weights(draw)
    sae = rows_after(normalize_decoder, border, weights)
    expect_unchanged(
        sae,
        weights,
        ("W_enc", "b_enc", "b_dec"),
        rule="only W_dec changes",
        look_at="what else you assign",
    )


def test_it_is_the_same_parameter_and_can_still_be_trained(normalize_decoder, draw):
    sae = CourseSAE(sae_weights(draw))
    before = sae.W_dec
    normalize_decoder(sae)
    if sae.W_dec is not before:
        complain(
            "sae.W_dec is another tensor than before",
            rule="the change is made in place: the optimiser trains the parameter that it was given, not its successor",
            look_at="an assignment of a new nn.Parameter; use /=, copy_ or .data",
        )
    if not sae.W_dec.requires_grad or not sae.W_dec.is_leaf:
        complain(
            "sae.W_dec can no longer be trained",
            rule="W_dec stays a parameter with a gradient of its own; only its values change",
            look_at="with torch.no_grad() around the change",
        )


# 3.18 remove_parallel_gradient


def gradient_left(remove_parallel_gradient, border, weights, gradient):
    """An SAE whose W_dec.grad was this before the call; what it is afterwards is written down for the naming of mistakes."""
    sae = CourseSAE(weights)
    for parameter in sae.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    sae.W_dec.grad = gradient.clone()
    remove_parallel_gradient(sae)
    if sae.W_dec.grad is None:
        complain(
            "W_dec has no gradient any more", rule="a part of the gradient stays", look_at="what you assign to .grad"
        )
    border.transcript.note("W_dec.grad", sae.W_dec.grad)
    border.transcript.note("the other gradients", [sae.W_enc.grad, sae.b_enc.grad, sae.b_dec.grad])
    return sae


def projected_by_hand(gradient, W_dec):
    """Row by row, without what is parallel to the row."""
    rows = []
    for g, row in zip(gradient.double(), W_dec.double()):
        rows.append(g - (g @ row) / (row @ row) * row)
    return torch.stack(rows).to(gradient.dtype)


def test_what_is_left_is_at_right_angles_to_each_row(remove_parallel_gradient, border, draw):
    weights, gradient = sae_weights(draw), draw.normal(D_SAE, D_IN, mean=0.5)
    sae = gradient_left(remove_parallel_gradient, border, weights, gradient)
    along = (sae.W_dec.grad * weights["W_dec"]).sum(dim=-1)
    expect_close(
        along,
        torch.zeros_like(along),
        rule="nothing of the gradient of a row is left along that row: their dot product is 0",
        look_at="the projection: on unit rows, with one dot product for each row, subtracted, in place",
        axes="d_sae",
        what="the dot products of rows and their gradients",
        atol=1e-4,
    )


def test_what_is_at_right_angles_stays_as_it_is(remove_parallel_gradient, border, draw):
    weights = sae_weights(draw)
    gradient = projected_by_hand(draw.normal(D_SAE, D_IN), weights["W_dec"])
    sae = gradient_left(remove_parallel_gradient, border, weights, gradient)
    expect_close(
        sae.W_dec.grad,
        gradient,
        rule="a gradient that is at right angles to its row already does not change",
        look_at="what is subtracted: only the part along the row",
        axes="d_sae d_in",
        what="W_dec.grad",
        atol=1e-4,
    )


def test_only_the_part_along_the_row_is_taken_out(remove_parallel_gradient, border, draw):
    for d_in, d_sae in ((5, 7), (8, 3)):
        weights, gradient = sae_weights(draw, d_in, d_sae), draw.normal(d_sae, d_in, mean=0.3)
        sae = gradient_left(remove_parallel_gradient, border, weights, gradient)
        expect_close(
            sae.W_dec.grad,
            projected_by_hand(gradient, weights["W_dec"]),
            rule="g - (g · u) u for each row, u being the row of W_dec divided by its length",
            look_at="which way the axes run, and whether u has length 1 (here the rows of W_dec do not)",
            axes="d_sae d_in",
            what="W_dec.grad",
            atol=1e-4,
        )


def test_no_weight_and_no_other_gradient_is_touched(remove_parallel_gradient, border, draw):
    weights = sae_weights(draw)
    sae = gradient_left(remove_parallel_gradient, border, weights, draw.normal(D_SAE, D_IN))
    expect_unchanged(
        sae,
        weights,
        weights,
        rule="the gradient changes, the weights do not",
        look_at="whether you subtract from W_dec or from W_dec.grad",
    )
    for name in ("W_enc", "b_enc", "b_dec"):
        gradient = dict(sae.named_parameters())[name].grad
        if gradient is None or not bool((gradient == 0.5).all()):
            complain(f"the gradient of {name} has changed", rule="only W_dec.grad changes", look_at="what you assign")


def test_the_gradient_that_is_left_has_no_graph(remove_parallel_gradient, border, draw):
    sae = gradient_left(remove_parallel_gradient, border, sae_weights(draw), draw.normal(D_SAE, D_IN))
    if sae.W_dec.grad.requires_grad:
        complain(
            "W_dec.grad requires a gradient itself",
            rule="the projection is no part of the loss: a gradient is changed as plain numbers, without a graph",
            look_at="`with torch.no_grad():` around the change",
        )


# 3.19 sae_step


def step_by_hand(weights, x, l1, rate, decay=0.0):
    """Loss and new weights (float64) after a step of gradient descent, with gradients worked out on paper."""
    w = {name: value.double() for name, value in weights.items()}
    x = x.double().reshape(-1, x.shape[-1])
    n = len(x)
    f = (x @ w["W_enc"] + w["b_enc"]).clamp(min=0)
    error = f @ w["W_dec"] + w["b_dec"] - x
    loss = (error.square().sum() + l1 * f.sum()) / n
    to_f = (2 * error @ w["W_dec"].T + l1) / n * (f > 0)
    gradients = {
        "W_enc": x.T @ to_f,
        "b_enc": to_f.sum(0),
        "W_dec": projected_by_hand(2 * f.T @ error / n, w["W_dec"]),
        "b_dec": 2 * error.sum(0) / n,
    }
    stepped = {name: w[name] - rate * (gradients[name] + decay * w[name]) for name in w}
    stepped["W_dec"] = stepped["W_dec"] / stepped["W_dec"].square().sum(-1, keepdim=True).sqrt()
    return loss, stepped


def unit_rows(weights):
    rows = weights["W_dec"]
    return weights | {"W_dec": rows / rows.square().sum(-1, keepdim=True).sqrt()}


def expect_steps(sae_step, weights, batches, l1, rate, *, rule, look_at, decay=0.0):
    """Complain unless losses and weights are those of gradient descent, after one step for each batch."""
    sae = CourseSAE(doubled(weights))
    optimizer = torch.optim.SGD(sae.parameters(), lr=rate, weight_decay=decay)
    made = []  # all steps are made before any is judged, so that mistakes have room to differ
    for x in batches:
        loss = sae_step(sae, optimizer, x.double(), l1)
        made.append((loss, {name: value.detach().clone() for name, value in sae.named_parameters()}))
    for number, (x, (loss, after)) in enumerate(zip(batches, made)):
        expected, weights = step_by_hand(weights, x, l1, rate, decay)
        expect_close(
            loss,
            expected,
            rule="it returns the loss on x, as the SAE was before the step",
            look_at="which loss is returned, and from before which step",
            what=f"the loss of step {number}",
            atol=1e-8,
            rtol=1e-6,
        )
        for name, value in after.items():
            expect_close(
                value,
                weights[name],
                rule=rule,
                look_at=look_at,
                what=f"{name} after step {number}",
                atol=1e-8,
                rtol=1e-6,
            )


def test_a_step_returns_the_loss_before_it(sae_step, draw):
    weights, x = unit_rows(sae_weights(draw)), draw.normal(BATCH, D_IN)
    expected, _ = step_by_hand(weights, x, 0.2, 0.3)
    sae = CourseSAE(weights)
    expect_close(
        sae_step(sae, torch.optim.SGD(sae.parameters(), lr=0.3), x, 0.2),
        expected.float(),
        rule="the loss of x with this l1, computed before anything was changed",
        look_at="what goes into sae_loss, and which loss is returned",
        what="the loss",
    )


def test_rows_have_norm_1_after_a_step(sae_step, draw):
    weights, x = unit_rows(sae_weights(draw)), draw.normal(BATCH, D_IN, std=2.0)
    sae = CourseSAE(weights)
    sae_step(sae, torch.optim.SGD(sae.parameters(), lr=0.3), x, 0.2)
    expect_close(
        sae.W_dec.detach().square().sum(dim=-1),
        torch.ones(D_SAE, device=draw.device),
        rule="the step ends with rows of norm 1",
        look_at="normalize_decoder, after optimizer.step()",
        axes="d_sae",
        what="the squared norms of the rows",
    )


def test_a_step_moves_the_weights_as_gradient_descent_does(sae_step, draw):
    expect_steps(
        sae_step,
        unit_rows(sae_weights(draw)),
        [draw.normal(BATCH, D_IN)],
        0.2,
        0.3,
        rule="one step of the optimiser along the gradient of the loss, without its part along the rows of W_dec; "
        "then the rows are normalised",
        look_at="the order: backward, remove_parallel_gradient, step, normalize_decoder",
    )


def test_gradients_of_earlier_batches_do_not_add_up_in_the_sae(sae_step, draw):
    expect_steps(
        sae_step,
        unit_rows(sae_weights(draw)),
        [draw.normal(BATCH, D_IN), draw.normal(3, D_IN), draw.normal(BATCH, D_IN)],
        0.1,
        0.2,
        rule="gradients of earlier batches are gone: backward adds to what is in .grad",
        look_at="optimizer.zero_grad(), before backward",
    )


def test_the_penalty_and_the_optimiser_are_those_handed_in(sae_step, draw):
    for l1, rate in ((0.0, 0.05), (1.5, 0.4)):
        expect_steps(
            sae_step,
            unit_rows(sae_weights(draw)),
            [draw.normal(2, 4, D_IN)],
            l1,
            rate,
            decay=0.1,
            rule="l1 goes into the loss, and the step is made by the optimiser that was handed in",
            look_at="l1 in sae_loss; an optimiser that you make yourself",
        )


# 3.20 mean_max_cosine


def mean_max_by_hand(truth, found):
    """In loops."""
    best = []
    for t in truth.double().tolist():
        cosines = []
        for d in found.double().tolist():
            lengths = math.sqrt(sum(value**2 for value in t)) * math.sqrt(sum(value**2 for value in d))
            cosines.append(sum(a * b for a, b in zip(t, d)) / lengths if lengths else 0.0)
        best.append(max(cosines))
    return sum(best) / len(best)


MEAN_MAX = "for each true feature the largest cosine with any found one; then the mean over the true features"


def test_the_same_directions_in_any_order_and_of_any_length_score_1(mean_max_cosine, draw):
    truth = draw.normal(6, D_IN)
    found = truth[draw.permutation(6)] * draw.uniform(6, 1, low=0.2, high=5.0)
    more = torch.cat([draw.normal(3, D_IN, std=4.0), found])
    for name, directions in (("the true directions, mixed and rescaled", found), ("these and three others", more)):
        expect_close(
            mean_max_cosine(truth, directions),
            torch.tensor(1.0, device=draw.device),
            rule="order and length do not matter, and rows that stand for nothing true do not either",
            look_at="whether both are divided by their lengths, and over which axis you take the maximum",
            what=f"the score of {name}",
        )


def test_one_feature_found_many_times_is_one_feature(mean_max_cosine, device):
    truth = 3 * torch.eye(4, device=device)[:3]
    found = torch.tensor(
        [[2.0, 0, 0, 0], [0.5, 0, 0, 0], [7.0, 0, 0, 0], [1.0, 0, 0, 0], [9.0, 0, 0, 0]], device=device
    )
    expect_close(
        mean_max_cosine(truth, found),
        torch.tensor(1 / 3, device=device),
        rule="five rows point at the first of three features, none at the others: cosines 1, 0 and 0, their mean 1/3",
        look_at="the maximum runs over the found, the mean over the true features",
        what="the score",
    )


def test_a_row_that_points_the_other_way_is_no_find(mean_max_cosine, device):
    truth = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]], device=device)
    found = torch.tensor([[-3.0, 0.0, 0.0], [0.0, 0.5, 0.0], [-1.0, 0.0, -1.0], [-0.8, 0.0, 0.6]], device=device)
    expect_close(
        mean_max_cosine(truth, found),
        torch.tensor(0.5, device=device),
        rule="a cosine of -1 is not 1: the opposite direction stands for something else",
        look_at="abs or squares of the cosines",
        what="the score",
    )


def test_a_row_of_zeros_has_no_direction(mean_max_cosine, device):
    truth = torch.tensor([[1.0, 0.0, 0.0], [0.0, -2.0, 0.0]], device=device)
    found = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 1.0, 0.0]], device=device)
    expect_close(
        mean_max_cosine(truth, found),
        torch.tensor(0.5, device=device),
        rule="the cosine with a row of zeros counts as 0",
        look_at="a division by a length of 0: F.normalize, or clamp the lengths",
        what="the score, with a row of zeros among the found,",
    )


def test_what_points_away_counts_with_its_negative_cosine(mean_max_cosine, device):
    truth = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], device=device)
    found = torch.tensor([[-1.0, 0.0, 0.0], [-0.6, -0.8, 0.0]], device=device)
    for more, expected, what in (
        ([], -0.3, "where all that was found points away"),
        ([[0.0, 0.0, 0.0]], 0.0, "where all that was found points away, but for a row of zeros"),
    ):
        rows = torch.cat([found, torch.tensor(more, device=device).reshape(-1, 3)])
        expect_close(
            mean_max_cosine(truth, rows),
            torch.tensor(expected, device=device),
            rule="the largest cosine of a true feature may be below 0, and counts as it is; that with a row of zeros is 0",
            look_at="whether anything is cut off at 0, and whether every row of found takes part in the maximum",
            what=f"the score, {what},",
        )


def test_the_score_is_the_mean_of_the_largest_cosines(mean_max_cosine, draw):
    for n, d_sae, d_in in ((6, 9, 4), (8, 3, 5), (2, 11, 7)):
        truth, found = draw.normal(n, d_in), draw.normal(d_sae, d_in, std=2.0)
        expect_close(
            mean_max_cosine(truth, found),
            torch.tensor(mean_max_by_hand(truth, found), device=draw.device),
            rule=MEAN_MAX,
            look_at="lengths, the axis of the maximum, and the mean",
            what=f"the score of {d_sae} found for {n} true features",
        )


# 3.21 resample_dead


def mask_of(places, size, device):
    mask = torch.zeros(size, dtype=torch.bool, device=device)
    mask[list(places)] = True
    return mask


def after_resampling(resample_dead, weights, x, dead, seed=0):
    sae = CourseSAE(weights)
    resample_dead(sae, x, dead, torch.Generator().manual_seed(seed))
    return sae


def one_bad_example(draw, d_in=D_IN, d_sae=D_SAE, dead=()):
    """An SAE and a batch in which example 2 alone is not reconstructed exactly, so that only it can be drawn.

    One living feature answers to it; on all others the features are silent, and the reconstruction is b_dec.
    """
    weights = sae_weights(draw, d_in, d_sae)
    x = weights["b_dec"].repeat(6, 1)
    x[2] += draw.normal(d_in, std=2.0)
    weights["b_enc"] = -1 - (x[0] @ weights["W_enc"])
    awake = next(i for i in range(d_sae) if i not in dead)
    column = x[2] - x[0]
    weights["W_enc"][:, awake] = column * 3 / (column @ column)
    weights["b_enc"][awake] = -1 - x[0] @ weights["W_enc"][:, awake]
    return weights, x


DEAD = (1, 4, 6)
LIVING = (0, 2, 3, 5)


def test_without_dead_features_nothing_changes(resample_dead, draw):
    weights, x = sae_weights(draw), draw.normal(BATCH, D_IN)
    sae = after_resampling(resample_dead, weights, x, mask_of((), D_SAE, draw.device))
    expect_unchanged(
        sae, weights, weights, rule="no feature is dead, so nothing changes", look_at="which features you assign to"
    )


def test_living_features_and_the_decoder_bias_stay_as_they_are(resample_dead, draw):
    weights, x = sae_weights(draw), draw.normal(BATCH, D_IN)
    sae = after_resampling(resample_dead, weights, x, mask_of(DEAD, D_SAE, draw.device))
    living = list(LIVING)
    for name, now, before in (
        ("W_dec", sae.W_dec[living], weights["W_dec"][living]),
        ("W_enc", sae.W_enc[:, living], weights["W_enc"][:, living]),
        ("b_enc", sae.b_enc[living], weights["b_enc"][living]),
        ("b_dec", sae.b_dec, weights["b_dec"]),
    ):
        if not torch.equal(now.detach(), before):
            complain(
                f"{name} of a living feature has changed" if name != "b_dec" else "b_dec has changed",
                rule="only the dead features get new weights: rows of W_dec, columns of W_enc, entries of b_enc",
                look_at="the mask in your assignments, and which axis it is on",
            )


def test_the_row_is_the_direction_from_the_decoder_bias_to_the_example(resample_dead, draw):
    weights, x = one_bad_example(draw, dead=DEAD)
    sae = after_resampling(resample_dead, weights, x, mask_of(DEAD, D_SAE, draw.device))
    direction = x[2] - weights["b_dec"]
    direction = direction / direction.square().sum().sqrt()
    expect_close(
        sae.W_dec[list(DEAD)],
        direction.expand(len(DEAD), -1),
        rule="only example 2 has a loss, so it is drawn for every dead feature; their rows are the unit vector of x - b_dec",
        look_at="what is normalised: x - b_dec of the drawn example; and how likely each example is",
        axes="dead d_in",
        what="the new rows of W_dec",
        atol=1e-4,
    )


def test_the_encoder_gets_a_fifth_of_the_living_length(resample_dead, draw):
    weights, x = one_bad_example(draw, dead=DEAD)
    weights["W_enc"][:, list(DEAD)] *= 6  # the dead must not count
    weights["b_enc"][list(DEAD)] = -1 - x[0] @ weights["W_enc"][:, list(DEAD)]
    sae = after_resampling(resample_dead, weights, x, mask_of(DEAD, D_SAE, draw.device))
    direction = x[2] - weights["b_dec"]
    direction = direction / direction.square().sum().sqrt()
    lengths = [math.sqrt(float(weights["W_enc"][:, i].square().sum())) for i in LIVING]
    expect_close(
        sae.W_enc[:, list(DEAD)],
        (0.2 * sum(lengths) / len(lengths) * direction)[:, None].expand(-1, len(DEAD)),
        rule="columns of W_enc: the same direction, 0.2 times as long as the columns of the living are on average",
        look_at="the norms: of columns, of the living only, their mean, times 0.2",
        axes="d_in dead",
        what="the new columns of W_enc",
        atol=1e-4,
    )
    expect_close(
        sae.b_enc[list(DEAD)],
        torch.zeros(len(DEAD), device=draw.device),
        rule="the bias of a resampled feature is 0",
        look_at="b_enc[dead]",
        what="b_enc of the resampled features",
    )


def test_where_all_are_dead_the_length_is_that_of_all(resample_dead, draw):
    weights, x = sae_weights(draw), draw.normal(1, D_IN).repeat(4, 1)
    sae = after_resampling(resample_dead, weights, x, mask_of(range(D_SAE), D_SAE, draw.device))
    lengths = weights["W_enc"].square().sum(dim=0).sqrt()
    expect_close(
        sae.W_enc.detach().square().sum(dim=0).sqrt(),
        (0.2 * lengths.mean()).expand(D_SAE),
        rule="if no feature lives, the mean runs over the norms of all columns of W_enc, as they were before",
        look_at="the mean of nothing is NaN: what if all are dead?",
        axes="d_sae",
        what="the lengths of the columns of W_enc",
    )


def test_examples_are_drawn_by_the_square_of_their_loss(resample_dead, draw):
    d_in, d_sae = 3, 4000
    weights = sae_weights(draw, d_in, d_sae)
    weights["W_enc"][:, 0] = 0
    weights["b_enc"] = torch.full((d_sae,), -50.0, device=draw.device)
    lengths = torch.tensor([1.0, 1.3, 1.6, 0.5], device=draw.device)
    directions = torch.tensor([[0.6, 0.8, 0], [-0.8, 0.6, 0], [0, 0, 1.0], [-0.6, -0.8, 0]], device=draw.device)
    x = weights["b_dec"] + lengths[:, None] * directions
    sae = after_resampling(resample_dead, weights, x, mask_of(range(1, d_sae), d_sae, draw.device))
    nearest = (sae.W_dec.detach()[1:] @ directions.T).argmax(dim=-1)
    shares = torch.bincount(nearest, minlength=4).float() / (d_sae - 1)
    right = lengths**4 / (lengths**4).sum()
    expect_close(
        shares,
        right,
        rule="each dead feature draws for itself, with probabilities proportional to the squared loss: (‖x - x_hat‖²)²",
        look_at="the weights of the draw (one square for the distance, one more for the loss), and one draw for each feature",
        axes="example",
        what="the share of features that got each example",
        atol=0.06,  # nearly 8 standard errors
        rtol=0.0,
        chance=True,
    )


def test_all_chance_comes_from_the_generator(resample_dead, draw):
    weights, x = sae_weights(draw, D_IN, 12), draw.normal(40, D_IN)
    dead = mask_of(range(2, 12), 12, draw.device)
    rows = []
    for seed, other in ((3, 0), (3, 1), (4, 0)):
        torch.manual_seed(other)
        rows.append(after_resampling(resample_dead, weights, x, dead, seed).W_dec.detach().clone())
    if not torch.equal(rows[0], rows[1]):
        complain(
            "with a generator in the same state, other examples were drawn",
            rule="all randomness comes from the generator that is handed in, so that a training can be repeated",
            look_at="generator=generator in the draw",
        )
    if torch.equal(rows[0], rows[2]):
        complain(
            "with another generator, the same examples were drawn",
            rule="all randomness comes from the generator that is handed in",
            look_at="a fixed seed, or the worst examples taken in place of a draw",
        )


def test_the_parameters_stay_the_same_objects(resample_dead, draw):
    sae, x = CourseSAE(sae_weights(draw)), draw.normal(BATCH, D_IN)
    before = dict(sae.named_parameters())
    resample_dead(sae, x, mask_of(DEAD, D_SAE, draw.device), torch.Generator().manual_seed(1))
    for name, parameter in sae.named_parameters():
        if parameter is not before[name] or not parameter.requires_grad:
            complain(
                f"sae.{name} is no longer the parameter that it was",
                rule="weights change in place: the optimiser goes on training the parameters that it was given",
                look_at="assignments of new tensors or parameters to the SAE",
            )


# 3.22 topk_activation


def topk_by_hand(pre, k):
    """One example at a time, in plain Python; of equals the first."""
    rows = []
    for row in pre.reshape(-1, pre.shape[-1]).tolist():
        places = sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]
        rows.append([max(row[i], 0.0) if i in places else 0.0 for i in range(len(row))])
    return torch.tensor(rows, dtype=pre.dtype, device=pre.device).reshape(pre.shape)


def test_each_example_keeps_its_k_largest(topk_activation, draw):
    for shape, k in (((BATCH, D_SAE), 3), ((2, 4, 9), 2), ((8,), 5), ((6, 3), 1)):
        pre = draw.normal(*shape, mean=2.0)
        expect_close(
            topk_activation(pre, k),
            topk_by_hand(pre, k),
            rule="of each example (along the last axis) the k largest stay, with their values and in their places; "
            "the others are 0",
            look_at="the axis of topk, and where the values are put back",
            what=f"the result for pre-activations {list(shape)} and k = {k}",
        )


def test_no_activation_is_negative_even_if_k_are_not_positive(topk_activation, device):
    pre = torch.tensor([[-3.0, 0.5, -1.0, 2.0, -0.2], [-4.0, -1.0, -2.0, -5.0, -6.0], [1, 2, 3, 0, -9]], device=device)
    expect_close(
        topk_activation(pre, 3),
        torch.tensor([[0.0, 0.5, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0], [1, 2, 3, 0, 0]], device=device),
        rule="what is kept goes through ReLU; and largest means largest, not largest in absolute value",
        look_at="ReLU of the kept values; abs",
        axes="batch d_sae",
    )


def test_never_more_than_k_are_on_even_of_equals(topk_activation, device):
    pre = torch.tensor([[1.0, 1.0, 1.0, 0.5, 1.0], [2.0, 0.7, 0.7, 0.7, 0.1]], device=device)
    f = topk_activation(pre, 2)
    expect_shape(f, pre.shape, axes="batch d_sae", rule="one activation for each feature", look_at="what comes back")
    if (f > 0).sum(dim=-1).tolist() != [2, 2]:
        complain(
            f"of {pre[0].tolist()} and {pre[1].tolist()}, {(f > 0).sum(dim=-1).tolist()} stay on with k = 2",
            rule="exactly k stay, also where several pre-activations are equal",
            look_at="a comparison with the k-th largest value: take the places from topk",
        )
    expect_close(
        f.sum(dim=-1),
        torch.tensor([2.0, 2.7], device=device),
        rule="the k largest keep their values",
        look_at="which values are kept",
        what="the sums of what is kept",
    )


def test_k_may_be_all_of_them(topk_activation, draw):
    pre = draw.uniform(9, D_SAE, low=0.1, high=2.0)
    expect_close(
        topk_activation(pre, D_SAE),
        pre,
        rule="with k = d_sae all are kept (here all are positive)",
        look_at="k, and the check of it",
        axes="batch d_sae",
    )


def test_a_k_larger_than_the_sae_is_refused_with_both_numbers(topk_activation, draw):
    rule = "k > d_sae raises a ValueError whose text names both numbers"
    look_at = "the first lines: `if k > pre.shape[-1]: raise ValueError(...)`"
    try:
        topk_activation(draw.normal(29, 13), 17)
    except Complaint as complaint:
        if complaint.kind != "raised":
            raise
        text = complaint.seen.partition("ValueError")[2]
        if "17" not in text or "13" not in text:
            complain(f"with k = 17 and d_sae = 13, {complaint.seen}", rule=rule, look_at=look_at)
        return
    complain("with k = 17 and d_sae = 13, activations came back", rule=rule, look_at=look_at)


def test_gradients_go_to_what_is_kept_and_nowhere_else(topk_activation, draw):
    pre, upstream = draw.normal(BATCH, D_SAE, mean=0.5).double(), draw.normal(BATCH, D_SAE).double()
    (got,) = topk_activation.gradients(pre, 3, upstream=upstream)
    expect_close(
        got,
        upstream * (topk_by_hand(pre, 3) > 0),
        rule="each activation that is on sends its gradient to its own pre-activation; the others send nothing",
        look_at="detach, or values that are copied as plain numbers",
        axes="batch d_sae",
        what="the gradient of the pre-activations",
        dtype=torch.float64,
    )


# 3.23 GatedSAE


def own_gated(GatedSAE, draw, weights=None):
    weights = weights or gated_weights(draw)
    d_in, d_sae = weights["W_gate"].shape
    return GatedSAE(d_in, d_sae, torch.Generator().manual_seed(0)).load(weights), weights


def gated_by_hand(x, weights):
    """Gate pre-activations and features, one number at a time."""
    x, w = x.double(), doubled(weights)
    gates, features = [], []
    for row in x:
        reads = [float((row * w["W_gate"][:, i]).sum()) for i in range(len(w["b_gate"]))]
        gates.append([reads[i] + float(w["b_gate"][i]) for i in range(len(reads))])
        sizes = [reads[i] * math.exp(float(w["r_mag"][i])) + float(w["b_mag"][i]) for i in range(len(reads))]
        features.append([max(size, 0.0) if gate > 0 else 0.0 for gate, size in zip(gates[-1], sizes)])
    return tuple(torch.tensor(values, dtype=torch.float32, device=x.device) for values in (gates, features))


def test_the_gate_is_the_pre_activation_of_its_own_encoder(GatedSAE, draw):
    sae, weights = own_gated(GatedSAE, draw)
    x = draw.normal(BATCH, D_IN)
    expect_close(
        sae.gate(x),
        gated_by_hand(x, weights)[0],
        rule="x · column i of W_gate + b_gate[i], negative values and all",
        look_at="gate: which bias, and nothing after it",
        axes="batch d_sae",
        what="the gate",
    )


def test_a_feature_is_on_only_where_its_gate_is_above_0(GatedSAE, draw):
    sae, weights = own_gated(GatedSAE, draw)
    weights["b_mag"] = torch.full_like(weights["b_mag"], 20.0)  # every magnitude is positive
    x = draw.normal(BATCH, D_IN)
    f = sae.load(weights).encode(x)
    expect_shape(f, (BATCH, D_SAE), axes="batch d_sae", rule="one number for each feature", look_at="encode")
    is_open = gated_by_hand(x, weights)[0] > 0
    expect_equal(
        f > 0,
        is_open,
        rule="where all magnitudes are positive, the gate alone says which features are on: those above 0",
        look_at="1[gate > 0] in encode, with the gate's own bias",
        what="the places where features are on",
    )


def test_an_open_gate_lets_the_magnitude_through_as_it_is(GatedSAE, draw):
    weights = gated_weights(draw)
    weights["b_gate"] = draw.uniform(D_SAE, low=30.0, high=50.0)  # every gate is open
    sae, _ = own_gated(GatedSAE, draw, weights)
    x = draw.normal(BATCH, D_IN)
    expect_close(
        sae.encode(x),
        gated_by_hand(x, weights)[1],
        rule="where all gates are open, f is ReLU(x · column i of W_gate · exp(r_mag[i]) + b_mag[i])",
        look_at="the magnitude: exp, which bias, ReLU; and how much of the gate gets into it",
        axes="batch d_sae",
        what="the features with all gates open",
    )


def test_features_are_magnitudes_behind_gates(GatedSAE, draw):
    for d_in, d_sae in ((D_IN, D_SAE), (8, 3)):
        sae, weights = own_gated(GatedSAE, draw, gated_weights(draw, d_in, d_sae))
        x = draw.normal(BATCH, d_in)
        expect_close(
            sae.encode(x),
            gated_by_hand(x, weights)[1],
            rule="f = 1[gate > 0] · ReLU(x W_mag + b_mag), with W_mag = W_gate · exp(r_mag)",
            look_at="encode: gate and magnitude, each with its own bias",
            axes="batch d_sae",
            what="the features",
        )


def test_a_gate_at_0_is_closed(GatedSAE, draw):
    weights = gated_weights(draw)
    weights["b_gate"], weights["b_mag"] = torch.zeros_like(weights["b_gate"]), weights["b_mag"].abs() + 0.5
    sae, _ = own_gated(GatedSAE, draw, weights)
    expect_close(
        sae.encode(torch.zeros(3, D_IN, device=draw.device)),
        torch.zeros(3, D_SAE, device=draw.device),
        rule="a feature is on where its gate is above 0; here all gates are 0, so none is on",
        look_at="the comparison of the gate: > 0",
        axes="batch d_sae",
        what="the features, with all gates at 0,",
    )


def test_a_gated_sae_takes_any_number_of_axes_in_front(GatedSAE, draw):
    sae, weights = own_gated(GatedSAE, draw)
    course = CourseGatedSAE(weights)
    for shape in ((), (4,), (2, 3, 4)):
        x = draw.normal(*shape, D_IN)
        with torch.no_grad():
            right = course.gate(x), course.encode(x)
        for got, expected, name in zip((sae.gate(x), sae.encode(x)), right, ("gate", "features")):
            expect_close(
                got,
                expected,
                rule="examples may stand in any axes; only the last one changes",
                look_at="axes counted from the front",
                what=f"the {name} of x {list(x.shape)}",
            )


def test_gradients_reach_the_magnitude_and_not_the_bias_of_the_gate(GatedSAE, draw):
    weights = gated_weights(draw)
    x, to_x_hat, to_f = draw.normal(BATCH, D_IN), draw.normal(BATCH, D_IN), draw.normal(BATCH, D_SAE)
    course = CourseGatedSAE(weights)
    x_hat, f = course(x)
    ((x_hat * to_x_hat).sum() + (f * to_f).sum()).backward()
    sae, _ = own_gated(GatedSAE, draw, weights)
    sae.backward(x, upstream=(to_x_hat, to_f))
    grads = sae.grads()
    for name, parameter in course.named_parameters():
        expect_close(
            grads[name],
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad,
            rule="the step of the gate is flat, so gradients of the features reach W_gate, r_mag and b_mag through the "
            "magnitude, and b_gate not at all",
            look_at="a soft gate; detach or torch.no_grad() in the magnitude",
            what=f"the gradient of {name}",
            atol=1e-4,
            rtol=1e-3,
        )


# 3.24 gated_loss


def gated_terms(weights, x):
    """The three terms, without l1, each a mean over examples, and the features behind them; float64."""
    w, x = doubled(weights), x.double().reshape(-1, x.shape[-1])
    reads = x @ w["W_gate"]
    gate = reads + w["b_gate"]
    f = torch.where(gate > 0, (reads * w["r_mag"].exp() + w["b_mag"]).clamp(min=0), 0.0)
    opened = gate.clamp(min=0)
    errors = [(given @ w["W_dec"] + w["b_dec"] - x) for given in (f, opened)]
    return [errors[0].square().sum(-1).mean(), opened.sum(-1).mean(), errors[1].square().sum(-1).mean()], f, errors[0]


GATED_LOSS = "mean over examples of ‖x - x_hat‖² + l1 · Σ ReLU(gate) + ‖x - frozen decoder of ReLU(gate)‖²"


def test_where_there_is_nothing_to_reconstruct_the_gated_loss_is_0(gated_loss, draw):
    weights = gated_weights(draw)
    weights["b_gate"] = torch.full_like(weights["b_gate"], -60.0)
    expect_close(
        gated_loss(CourseGatedSAE(weights), weights["b_dec"].repeat(BATCH, 1), 0.7),
        torch.zeros((), device=draw.device),
        rule="every gate is closed, and x is what both reconstructions then are, b_dec: nothing is wrong and nothing is penalised",
        look_at="what is subtracted from what, ReLU of the gate, and what l1 multiplies",
        what="the loss",
    )


def expect_one_error(gated_loss, draw, *, of_features, rule, look_at):
    """The SAE does not look at x; opened gates, or features, reconstruct it, so that the loss is the error of the other."""
    weights = gated_weights(draw)
    weights["W_gate"] = torch.zeros_like(weights["W_gate"])
    weights["b_gate"][:2] = torch.tensor([0.9, -0.8], device=draw.device)  # at least one gate is open and one closed
    weights["b_mag"] = draw.uniform(D_SAE, low=0.2, high=0.8)
    features = weights["b_mag"] * (weights["b_gate"] > 0)
    f, opened = (given @ weights["W_dec"] + weights["b_dec"] for given in (features, weights["b_gate"].clamp(min=0)))
    hit, missed = (opened, f) if of_features else (f, opened)
    expect_close(
        gated_loss(CourseGatedSAE(weights), hit.repeat(BATCH, 1), 0.0),
        (hit - missed).square().sum(),
        rule=rule,
        look_at=look_at,
        what="the loss with l1 = 0",
        atol=1e-4,
    )


def test_the_first_error_is_that_of_the_features(gated_loss, draw):
    expect_one_error(
        gated_loss,
        draw,
        of_features=True,
        rule="‖x - x_hat‖² of each example; without a penalty it is all that is left where ReLU(gate) reconstructs x",
        look_at="the first term: squares, their sum over d_in, the mean over examples; and whether the third term is 0 here",
    )


def test_the_second_error_is_that_of_the_opened_gates(gated_loss, draw):
    expect_one_error(
        gated_loss,
        draw,
        of_features=False,
        rule="‖x - decoder of ReLU(gate)‖² of each example; without a penalty it is all that is left where x_hat is x",
        look_at="the third term: what the opened gates give with W_dec and b_dec; squares, their sum over d_in, the mean over examples",
    )


def test_where_every_gate_is_closed_only_two_reconstructions_from_nothing_count(gated_loss, draw):
    weights = gated_weights(draw)
    weights["b_gate"] = torch.full_like(weights["b_gate"], -60.0)
    x = draw.normal(BATCH, D_IN)
    expect_close(
        gated_loss(CourseGatedSAE(weights), x, 0.7),
        2 * (x - weights["b_dec"]).square().sum(-1).mean(),
        rule="with all gates closed both reconstructions are b_dec and the penalty is 0: twice the distance to b_dec",
        look_at="ReLU of the gate, in the penalty and in the second reconstruction",
        what="the loss",
    )


def test_l1_multiplies_the_opened_gates_and_nothing_else(gated_loss, draw):
    weights, x = gated_weights(draw), draw.normal(BATCH, D_IN)
    sae = CourseGatedSAE(doubled(weights))
    terms, _, _ = gated_terms(weights, x)
    expect_close(
        gated_loss(sae, x.double(), 0.9) - gated_loss(sae, x.double(), 0.4),
        0.5 * terms[1],
        rule="a larger l1 costs that much more for every unit of ReLU(gate), summed over features",
        look_at="what l1 multiplies: ReLU of the gate, not f, not an error",
        what="the difference between the losses with l1 = 0.9 and 0.4",
        atol=1e-8,
    )


def test_the_gated_loss_is_the_sum_of_its_three_terms(gated_loss, draw):
    for shape in ((BATCH,), (2, 3), ()):
        weights, x = gated_weights(draw), draw.normal(*shape, D_IN)
        terms, _, _ = gated_terms(weights, x)
        expect_close(
            gated_loss(CourseGatedSAE(doubled(weights)), x.double(), 0.3),
            terms[0] + 0.3 * terms[1] + terms[2],
            rule=GATED_LOSS,
            look_at="the three terms; sums over the last axis, mean over examples",
            what=f"the loss of x {list(x.shape)}",
            atol=1e-8,
            rtol=1e-6,
        )


def test_only_the_first_reconstruction_trains_the_decoder(gated_loss, draw):
    weights, x = gated_weights(draw), draw.normal(BATCH, D_IN).double()
    _, f, error = gated_terms(weights, x)
    grads = gated_loss.parameter_gradients(CourseGatedSAE(doubled(weights)), x, 0.3)
    for name, right in (("W_dec", 2 * f.T @ error / BATCH), ("b_dec", 2 * error.sum(0) / BATCH)):
        expect_close(
            grads[name],
            right,
            rule="the decoder hears of the reconstruction from f only; in the second reconstruction it is frozen",
            look_at="W_dec.detach() and b_dec.detach() in the second reconstruction, and only there",
            what=f"the gradient of {name}",
            atol=1e-8,
        )


def test_the_gate_learns_from_the_penalty_and_from_its_own_reconstruction(gated_loss, draw):
    weights, x = gated_weights(draw), draw.normal(BATCH, D_IN).double()
    w = doubled(weights)
    gate = x @ w["W_gate"] + w["b_gate"]
    error = gate.clamp(min=0) @ w["W_dec"] + w["b_dec"] - x
    to_gate = (2 * error @ w["W_dec"].T + 0.3) * (gate > 0) / BATCH
    expect_close(
        gated_loss.parameter_gradients(CourseGatedSAE(w), x, 0.3)["b_gate"],
        to_gate.sum(0),
        rule="gradients reach the gate's bias from the penalty and from the second reconstruction",
        look_at="what is detached: the decoder's parameters, not the gate",
        axes="d_sae",
        what="the gradient of b_gate",
        atol=1e-8,
    )


# 3.25 JumpReLU and 3.26 Step


def jumps(draw, *shape, d_sae=D_SAE):
    """Pre-activations on both sides of thresholds, some of them near, and the thresholds; float64."""
    threshold = draw.uniform(d_sae, low=0.3, high=1.5).double()
    z = threshold + draw.normal(*shape, d_sae, std=0.4).double()
    return z, threshold


def in_window(z, threshold, bandwidth):
    """1 where z is less than half a bandwidth from the threshold, else 0: in loops."""
    rows = [
        [1.0 if -bandwidth / 2 < float(value) - float(at) < bandwidth / 2 else 0.0 for value, at in zip(row, threshold)]
        for row in z.reshape(-1, z.shape[-1])
    ]
    return torch.tensor(rows, dtype=z.dtype, device=z.device).reshape(z.shape)


def summed_over_examples(values):
    return values.reshape(-1, values.shape[-1]).sum(dim=0)


def gradients_of_examples(function, z, threshold, bandwidth, upstream):
    """The gradients of z and of the threshold; if backward fails on one example alone, the complaint says what is special there."""
    try:
        return function.gradients(z, threshold, bandwidth, upstream=upstream)
    except Complaint as complaint:
        if z.ndim > 1 or complaint.kind != "raised":
            raise
        raise Complaint(
            f"for one example alone, z {list(z.shape)}, {complaint.seen}",
            rule="z is `... d_sae`, maybe without axes in front; there is nothing to sum then",
            look_at="the sum over examples: `.reshape(-1, z.shape[-1]).sum(dim=0)` takes any number of axes; sum(dim=()) sums over all",
            kind="raised",
            frames=complaint.frames,
        ) from None


def slopes(function, z, threshold, bandwidth, upstream, step=1e-6):
    """Gradients of (function · upstream).sum() to z and to the threshold by differences of the forward, one entry at a time."""
    found = []
    for index, given in enumerate((z, threshold)):
        slope = torch.zeros_like(given)
        for place in range(given.numel()):
            ends = []
            for sign in (1, -1):
                moved = [z.clone(), threshold.clone()]
                moved[index].view(-1)[place] += sign * step
                ends.append((function(*moved, bandwidth) * upstream).sum())
            slope.view(-1)[place] = (ends[0] - ends[1]) / (2 * step)
        found.append(slope)
    return found


def test_what_is_above_its_threshold_passes_unchanged_and_the_rest_is_0(JumpReLU, draw):
    for shape in ((BATCH,), (2, 3), ()):
        z, threshold = jumps(draw, *shape)
        expect_close(
            JumpReLU(z, threshold, 0.1),
            torch.where(z > threshold, z, torch.zeros_like(z)),
            rule="z where it is above its feature's threshold, and 0 where it is not",
            look_at="forward: z > threshold, and what passes is z itself",
            what=f"the result for z {list(z.shape)}",
            dtype=torch.float64,
        )


def test_just_at_the_threshold_a_feature_is_off(JumpReLU, device):
    z = torch.tensor([[0.5, 2.0, 0.25], [0.75, 1.0, -1.0]], device=device)
    threshold = torch.tensor([0.5, 1.0, 0.25], device=device)
    expect_close(
        JumpReLU(z, threshold, 0.25),
        torch.tensor([[0.0, 2.0, 0.0], [0.75, 0.0, 0.0]], device=device),
        rule="above means larger than: z equal to the threshold gives 0",
        look_at="> against >=",
        axes="batch d_sae",
    )


def test_away_from_the_threshold_gradients_are_the_slopes_of_the_forward(JumpReLU, draw):
    z, threshold = jumps(draw, 4, d_sae=3)
    z = z + 0.2 * torch.where(z > threshold, 1.0, -1.0)  # nothing is nearer than 0.2
    upstream = draw.normal(4, 3).double()
    got = JumpReLU.gradients(z, threshold, 0.1, upstream=upstream)
    right = slopes(JumpReLU, z, threshold, 0.1, upstream)
    for gradient, slope, name in zip(got, right, ("z", "the threshold")):
        expect_close(
            gradient,
            slope,
            rule="away from every threshold the function has a true gradient, which differences of its forward show: to z 1 "
            "where it passes, else 0; to the threshold 0; times upstream",
            look_at="backward: the gradient of z, and the window",
            what=f"the gradient of {name}",
        )


def test_the_threshold_hears_from_what_lies_in_the_window(JumpReLU, draw):
    for shape, bandwidth in (((BATCH,), 0.5), ((3, 4), 0.2), ((BATCH,), 1.4), ((), 0.9)):
        z, threshold = jumps(draw, *shape)
        upstream = draw.normal(*z.shape).double()
        to_z, to_threshold = gradients_of_examples(JumpReLU, z, threshold, bandwidth, upstream)
        expect_close(
            to_threshold,
            summed_over_examples(-threshold / bandwidth * in_window(z, threshold, bandwidth) * upstream),
            rule="-threshold / bandwidth · upstream where |z - threshold| < bandwidth / 2, summed over examples",
            look_at="the factor, the window, upstream, the sum over all axes but the last",
            axes="d_sae",
            what=f"the gradient of the threshold at bandwidth {bandwidth}",
            atol=1e-8,
        )
        expect_close(
            to_z,
            torch.where(z > threshold, upstream, torch.zeros_like(upstream)),
            rule="upstream where z is above the threshold, 0 where it is not, whether near or far",
            look_at="the first thing that backward returns",
            what="the gradient of z",
            atol=1e-8,
        )


def on_edges(draw):
    """Pre-activations at the threshold, just half a bandwidth from it, and a little nearer; all exact in float32."""
    threshold = torch.tensor([0.5, 1.0, 2.0], device=draw.device)
    z = threshold + torch.tensor([0.0, 0.125, -0.125, 0.0625, -0.09375], device=draw.device)[:, None]
    return z, threshold, 0.25, torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0], device=draw.device)[:, None].expand(-1, 3)


def test_half_a_bandwidth_away_is_not_near_and_z_at_the_threshold_gets_no_gradient(JumpReLU, draw):
    z, threshold, bandwidth, upstream = on_edges(draw)
    to_z, to_threshold = JumpReLU.gradients(z, threshold, bandwidth, upstream=upstream)
    expect_close(
        to_threshold,
        -threshold / bandwidth * (1 + 8 + 16),
        rule="near means |z - threshold| < bandwidth / 2: what is at the threshold is near, what is just half a bandwidth away is not",
        look_at="< against <= in the window",
        axes="d_sae",
        what="the gradient of the threshold",
    )
    expect_close(
        to_z,
        upstream * (z > threshold),
        rule="1[z > threshold], as in the forward pass: z equal to the threshold gives 0 and gets no gradient",
        look_at="> against >= in the first thing that backward returns",
        axes="batch d_sae",
        what="the gradient of z",
    )


def test_on_average_it_is_the_slope_of_the_mean(JumpReLU, device):
    z = (torch.arange(2000, device=device, dtype=torch.float64) + 0.5)[:, None] / 1000  # even on 0 to 2: density 1/2
    z, threshold = z.expand(-1, 3).clone(), torch.tensor([0.4, 0.9, 1.5], device=device, dtype=torch.float64)
    upstream = torch.full_like(z, 1 / len(z))
    _, to_threshold = JumpReLU.gradients(z, threshold, 0.2, upstream=upstream)
    expect_close(
        to_threshold,
        -threshold / 2,
        rule="for z spread evenly over 0 to 2 the mean of z · 1[z > θ] is (4 - θ²) / 4, with the slope -θ / 2",
        look_at="sign, threshold and bandwidth in the gradient of the threshold",
        axes="d_sae",
        what="the gradient of the mean with respect to the thresholds",
        atol=5e-3,
    )


def test_a_step_is_1_above_its_threshold_and_0_elsewhere(Step, draw):
    for shape in ((BATCH,), (2, 3), ()):
        z, threshold = jumps(draw, *shape)
        expect_close(
            Step(z, threshold, 0.1),
            torch.where(z > threshold, torch.ones_like(z), torch.zeros_like(z)),
            rule="1 where z is above its feature's threshold, 0 where it is not, in the dtype of z",
            look_at="forward",
            what=f"the result for z {list(z.shape)}",
            dtype=torch.float64,
        )


def test_just_at_the_threshold_a_step_is_0(Step, device):
    z = torch.tensor([[0.5, 2.0, 0.25], [0.75, 1.0, -1.0]], device=device)
    expect_close(
        Step(z, torch.tensor([0.5, 1.0, 0.25], device=device), 0.25),
        torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], device=device),
        rule="above means larger than: z equal to the threshold gives 0",
        look_at="> against >=",
        axes="batch d_sae",
    )


def test_a_step_sends_nothing_to_z(Step, draw):
    z, threshold = jumps(draw, BATCH)
    to_z, _ = Step.gradients(z, threshold, 0.6, upstream=draw.normal(BATCH, D_SAE).double())
    expect_close(
        to_z,
        torch.zeros_like(z),
        rule="the encoder does not hear of the penalty: the gradient of z is 0 (or None)",
        look_at="the first thing that backward returns",
        axes="batch d_sae",
        what="the gradient of z",
    )


def test_the_threshold_of_a_step_hears_from_what_lies_in_the_window(Step, draw):
    for shape, bandwidth in (((BATCH,), 0.5), ((3, 4), 0.2), ((BATCH,), 1.4), ((), 0.9)):
        z, threshold = jumps(draw, *shape)
        upstream = draw.normal(*z.shape).double()
        _, to_threshold = gradients_of_examples(Step, z, threshold, bandwidth, upstream)
        expect_close(
            to_threshold,
            summed_over_examples(-1 / bandwidth * in_window(z, threshold, bandwidth) * upstream),
            rule="-1 / bandwidth · upstream where |z - threshold| < bandwidth / 2, summed over examples",
            look_at="the factor, the window, upstream, the sum over all axes but the last",
            axes="d_sae",
            what=f"the gradient of the threshold at bandwidth {bandwidth}",
            atol=1e-8,
        )


def test_half_a_bandwidth_from_the_threshold_of_a_step_is_not_near(Step, draw):
    z, threshold, bandwidth, upstream = on_edges(draw)
    _, to_threshold = Step.gradients(z, threshold, bandwidth, upstream=upstream)
    expect_close(
        to_threshold,
        torch.full_like(threshold, -(1 + 8 + 16) / bandwidth),
        rule="near means |z - threshold| < bandwidth / 2: what is at the threshold is near, what is just half a bandwidth away is not",
        look_at="< against <= in the window",
        axes="d_sae",
        what="the gradient of the threshold",
    )


def test_on_average_it_is_minus_the_density(Step, device):
    z = (torch.arange(2000, device=device, dtype=torch.float64) + 0.5)[:, None] / 1000  # even on 0 to 2: density 1/2
    z, threshold = z.expand(-1, 3).clone(), torch.tensor([0.4, 0.9, 1.5], device=device, dtype=torch.float64)
    _, to_threshold = Step.gradients(z, threshold, 0.2, upstream=torch.full_like(z, 1 / len(z)))
    expect_close(
        to_threshold,
        torch.full_like(threshold, -0.5),
        rule="for z spread evenly over 0 to 2 the mean of 1[z > θ] is (2 - θ) / 2, with the slope -1/2",
        look_at="sign and bandwidth in the gradient of the threshold",
        axes="d_sae",
        what="the gradient of the mean with respect to the thresholds",
        atol=5e-3,
    )


# language models and their SAEs: no two axes of the same size, none of size 1
SMALL_LM = TransformerConfig(d_model=12, d_vocab=11, n_ctx=17, n_layers=2, n_heads=3, d_head=4, d_mlp=19)
# without LayerNorm, which would take away what is added to all dimensions alike
NO_LAYER_NORM_LM = AttentionOnlyConfig(
    d_model=12, d_vocab=11, n_ctx=17, n_layers=2, n_heads=3, d_head=4, normalization_type=None
)
DEEPER_LM = TransformerConfig(d_model=10, d_vocab=13, n_ctx=19, n_layers=3, n_heads=5, d_head=2, d_mlp=23)
LOGIT_AXES = "batch pos d_vocab"


def language_model(draw, cfg=SMALL_LM):
    """A model with random weights and biases, none at its default, in compatibility mode."""
    return borrow_bridge(cfg, draw.generator(), draw.device)


def sae_of(draw, cfg=SMALL_LM, *, d_sae=29, k=6):
    """A TopK SAE with random weights and biases, whose directions have different lengths."""
    return random_sae(cfg.d_model, d_sae, k, draw.generator(), draw.device)


def text_ids(draw, *, batch=3, pos=7, cfg=SMALL_LM):
    """BOS, then random tokens."""
    ids = draw.integers(1, cfg.d_vocab, (batch, pos))
    ids[:, 0] = 0
    return ids


@torch.no_grad()
def activation_at(model, tokens, hook_name):
    return model.run_with_cache(tokens)[1][hook_name]


@torch.no_grad()
def run_with_activation(model, tokens, hook_name, activation):
    """The logits when this stands at the hook point."""
    return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, lambda _, hook: activation)])


_remembered = {}


def remembered(work, model, *given):
    """What `work(model, *given)` gives. Naming a mistake asks for it again with every rival, and runs of a model take long.

    Models are told apart by their embeddings, SAEs by all of their weights.
    """
    key = (work.__name__, _mark(model.W_E), *map(_mark, given))
    if key not in _remembered:
        while len(_remembered) > 60:
            del _remembered[next(iter(_remembered))]
        _remembered[key] = work(model, *given)
    return _remembered[key]


def _mark(value):
    if isinstance(value, nn.Module):
        return tuple(_mark(weight) for weight in value.parameters())
    if isinstance(value, torch.Tensor):
        return str(value.device), tuple(value.shape), value.detach().cpu().numpy().tobytes()
    return value


def expect_same_sae(sae, weights):
    """`weights` are those that the SAE had before."""
    for name, before in weights.items():
        if not torch.equal(sae.state_dict()[name], before):
            complain(
                f"after the call {name} of the SAE is not what it was",
                rule="an intervention lasts for one run: whoever uses the SAE next finds it as it was",
                look_at="what is assigned to; a copy can be changed instead (clone), or the stream",
            )


def weights_of(sae):
    return {name: weight.clone() for name, weight in sae.state_dict().items()}


def hooks_left_on(model):
    return sum(len(point.fwd_hooks) + len(point.bwd_hooks) for point in model.hook_dict.values())


def expect_no_hook_left(model):
    left = hooks_left_on(model)
    if left:
        complain(
            f"{left} hook{'s are' if left > 1 else ' is'} still on the model",
            rule="what is run later must not meet these hooks: they are gone when the function returns",
            look_at="run_with_hooks, or `with model.hooks(...)`, which take away what they put on; add_hook does not",
        )


# 3.27 gather_activations


def expect_gathered(result, model, tokens, hook_name, **more):
    expect_close(
        result,
        activation_at(model, tokens, hook_name),
        rule=f"the activation at {hook_name} of every text, in order",
        look_at="the hook's name, and what becomes of the activations of each batch, the smaller last one too",
        axes="batch pos d_model",
        what="the activations",
        **more,
    )


def test_the_activations_are_those_that_a_cache_has(gather_activations, draw):
    for cfg, hook_name, batch in (
        (SMALL_LM, "blocks.0.hook_resid_post", 5),
        (SMALL_LM, "blocks.1.hook_resid_pre", 4),
        (DEEPER_LM, "blocks.1.hook_mlp_out", 5),
    ):
        model, tokens = language_model(draw, cfg), text_ids(draw, batch=batch, cfg=cfg)
        expect_gathered(gather_activations(model, tokens, hook_name, 2), model, tokens, hook_name)


def test_fewer_texts_than_batch_size_are_one_batch(gather_activations, draw):
    model, tokens = language_model(draw), text_ids(draw, batch=3, pos=8)
    hook_name = "blocks.1.hook_resid_post"
    expect_gathered(gather_activations(model, tokens, hook_name, 5), model, tokens, hook_name)
    expect_gathered(gather_activations(model, tokens, hook_name), model, tokens, hook_name)


def test_the_model_sees_batch_size_texts_at_a_time_and_each_text_once(gather_activations, border, draw):
    model, tokens = language_model(draw), text_ids(draw, batch=7, pos=5)
    look_at = "the loop over parts of `tokens`, and what the model is called on in it"
    for batch_size in (3, 2):
        sizes = []
        counter = model.blocks[0].register_forward_pre_hook(
            lambda module, args, sizes=sizes: sizes.append(len(args[0]))
        )
        try:
            gather_activations(model, tokens, "blocks.0.hook_resid_post", batch_size)
        finally:
            counter.remove()
        border.transcript.note("batches", sizes)  # the result does not tell them
        if max(sizes, default=0) > batch_size:
            complain(
                f"with batch_size {batch_size} the model was run on {max(sizes)} texts at once",
                rule="the model sees batch_size texts at a time, so that memory does not grow with their number",
                look_at=look_at,
            )
        expect_equal(
            sum(sizes),
            7,
            rule="the model reads every text once",
            look_at=look_at,
            what="the number of texts that the model was run on",
        )
        if len(sizes) > math.ceil(7 / batch_size):
            complain(
                f"with batch_size {batch_size} the model was run on batches of {', '.join(map(str, sizes))} of the 7 texts",
                rule="each batch has batch_size texts, but for the last, which has what is left: more batches take longer",
                look_at=look_at,
            )


class Saved:
    """Stands in a graph for a tensor that is kept for its backward pass, and goes when the graph goes."""

    def __init__(self, tensor):
        self.tensor = tensor.detach()  # with its own graph, an output kept for the backward pass would never go


def test_a_run_reads_only_the_place_asked_for(gather_activations, draw):
    model, tokens = language_model(draw), text_ids(draw, batch=3, pos=5)
    places = [0]
    watcher = model.blocks[0].register_forward_pre_hook(
        lambda module, args: places.append(sum(bool(point.fwd_hooks) for point in model.hook_dict.values()))
    )
    try:
        gather_activations(model, tokens, "blocks.0.hook_resid_post", 2)
    finally:
        watcher.remove()
    if max(places) > 2:
        complain(
            f"in a run {max(places)} places of the model are read; one was asked for",
            rule="a hook at the one place keeps what is wanted; a cache of all places keeps a hundred times as much",
            look_at="run_with_hooks in place of run_with_cache (or the names_filter of that)",
        )


def test_no_run_leaves_its_graph_to_the_next(gather_activations, draw):
    model, tokens = language_model(draw), text_ids(draw, batch=9, pos=5)
    graphs = [[]]  # for each run, what its graph holds, as long as it is there
    alive = [0]

    def save(tensor):
        saved = Saved(tensor)
        graphs[-1].append(weakref.ref(saved))
        return saved

    def begin(module, args):
        alive.append(sum(any(saved() is not None for saved in of_run) for of_run in graphs))
        graphs.append([])

    watcher = model.blocks[0].register_forward_pre_hook(begin)
    try:
        with torch.autograd.graph.saved_tensors_hooks(save, lambda saved: saved.tensor):
            gather_activations(model, tokens, "blocks.0.hook_resid_post", 2)
    finally:
        watcher.remove()
    if alive[-1] > 2:  # this run has begun a graph, and that of the run before may still be in some variable
        complain(
            f"when the last of {len(alive) - 1} batches begins, the graphs of earlier batches are still in memory",
            rule="activations are gathered without gradients; a detach() at the end comes too late to save memory",
            look_at="`with torch.no_grad():` around the runs",
        )


def test_the_activations_hold_no_graph(gather_activations, draw):
    model, tokens = language_model(draw), text_ids(draw, batch=3, pos=5)
    expect_no_graph(
        gather_activations,
        model,
        tokens,
        "blocks.0.hook_resid_post",
        2,
        rule="activations are gathered without gradients",
        look_at="`with torch.no_grad():` around the runs",
    )


def test_gathering_leaves_no_hook(gather_activations, draw):
    model, tokens = language_model(draw), text_ids(draw, batch=4)
    gather_activations(model, tokens, "blocks.1.hook_resid_post", 3)
    expect_no_hook_left(model)


# 3.28, 3.29, 3.30: figures of f, x and x_hat


def sparse_features(draw, *shape, active=0.3):
    """Features as an SAE gives them: most are 0, the others positive and of varied size, some very small."""
    strength = draw.uniform(*shape, low=-3, high=2).exp()
    return strength * (draw.uniform(*shape) < active)


def examples_of(f):
    """The examples of a tensor with any leading axes, one by one, as lists of numbers."""
    return f.reshape(-1, f.shape[-1]).tolist()


def test_l0_is_the_mean_number_of_active_features(l0, draw):
    for shape, active in (((9, 17), 0.3), ((4, 5, 13), 0.6), ((2, 3, 5, 7), 0.1)):
        f = sparse_features(draw, *shape, active=active)
        rows = examples_of(f)
        expected = sum(sum(value > 0 for value in row) for row in rows) / len(rows)
        expect_close(
            l0(f),
            expected,
            rule="count the features above 0 of each example, and average over all examples",
            look_at="the axis that is counted over (the last), and the axes that are averaged over (all others)",
            what="L0",
        )


def test_l0_does_not_depend_on_how_strong_features_are(l0, draw):
    f = sparse_features(draw, 6, 11)
    for factor in (1e-4, 1e3):
        expect_close(
            l0(factor * f),
            (f > 0).sum().item() / 6,
            rule="a feature is active or not: a weak one counts as much as a strong one",
            look_at="what you count or sum",
            what=f"L0 of the same features times {factor:g}",
        )


def test_l0_of_features_that_are_never_active_is_0(l0, draw):
    f = sparse_features(draw, 5, 3, 8)
    f[..., 2:] = 0
    expected = (f[..., :2] > 0).sum().item() / 15
    expect_close(l0(f), expected, rule="a feature at 0 is not active", look_at="the comparison: > or >=", what="L0")
    expect_close(l0(torch.zeros_like(f)), 0.0, rule="nothing is active", look_at="the comparison: > or >=", what="L0")


def stream_and_guess(draw, *shape, noise=0.6):
    """Activations with a mean far from 0 and dimensions of different spread, and a reconstruction that is off by more in some."""
    d_in = shape[-1]
    x = draw.normal(*shape) * draw.uniform(d_in, low=0.3, high=3) + draw.normal(d_in, std=2)
    return x, x + noise * draw.normal(*shape) * draw.uniform(d_in, low=0.2, high=1.5) + 0.3 * draw.normal(d_in)


def explained_in_loops(x, x_hat):
    rows, guesses = examples_of(x.double()), examples_of(x_hat.double())
    means = [sum(column) / len(rows) for column in zip(*rows)]
    residual = sum((a - b) ** 2 for row, guess in zip(rows, guesses) for a, b in zip(row, guess))
    total = sum((a - mean) ** 2 for row in rows for a, mean in zip(row, means))
    return 1 - residual / total


def expect_explained(result, expected, **more):
    more.setdefault("what", "the explained variance")
    expect_close(
        result,
        torch.tensor(expected, dtype=torch.float64),
        rule="1 minus the sum of (x - x_hat)² over the sum of (x - mean example)², both over all examples and dimensions",
        look_at="the mean (a vector, over all leading axes), and whether sums are divided or ratios averaged",
        **more,
    )


def test_a_perfect_reconstruction_explains_all(explained_variance, draw):
    x, _ = stream_and_guess(draw, 3, 7, 5)
    expect_close(
        explained_variance(x, x),
        torch.tensor(1.0, dtype=torch.float64),
        rule="where x_hat is x nothing is left to explain: the residual is 0, and the share 1, which is the most there can be",
        look_at="the residual, x - x_hat, and what is subtracted from 1",
        what="the explained variance of x itself",
    )


def test_the_mean_example_explains_nothing(explained_variance, draw):
    x, _ = stream_and_guess(draw, 3, 7, 5)
    expect_explained(
        explained_variance(x, x.mean(dim=(0, 1)).expand_as(x)), 0.0, what="the explained variance of the mean example"
    )


def test_explained_variance_is_one_minus_residual_over_total(explained_variance, draw):
    for shape in ((23, 7), (13, 5)):
        x, x_hat = stream_and_guess(draw, *shape)
        expect_explained(explained_variance(x, x_hat), explained_in_loops(x, x_hat))


def test_leading_axes_are_examples_alike(explained_variance, draw):
    for shape in ((4, 6, 5), (3, 2, 5, 7)):
        x, x_hat = stream_and_guess(draw, *shape)
        x = x + draw.normal(shape[-2], 1, std=1.5)  # positions differ, as they do in a stream
        x_hat = x_hat + 0.2
        expect_explained(explained_variance(x, x_hat), explained_in_loops(x, x_hat))


def test_a_reconstruction_worse_than_the_mean_explains_less_than_nothing(explained_variance, draw):
    x, _ = stream_and_guess(draw, 17, 6)
    shifted = x + 5 * x.std()
    expected = explained_in_loops(x, shifted)
    expect_explained(explained_variance(x, shifted), expected, what="the explained variance of x with a constant added")


def test_explained_variance_of_float64_is_exact(explained_variance, draw):
    x, x_hat = (tensor.double() for tensor in stream_and_guess(draw, 19, 5, noise=1e-4))
    x_hat = x + 1e-5 * (x_hat - x)
    expect_explained(explained_variance(x, x_hat), explained_in_loops(x, x_hat), atol=1e-13, rtol=0)


def features_with_dead(draw, *shape, dead):
    f = sparse_features(draw, *shape, active=0.25)
    f[..., list(dead)] = 0
    flat = f.reshape(-1, shape[-1])
    alive = [feature for feature in range(shape[-1]) if feature not in dead]
    flat[torch.arange(len(alive), device=f.device) % (len(flat) - 1), alive] = 0.003  # each is active somewhere
    flat[-1] = 0  # and one example has no feature at all
    return flat.reshape(shape)


def test_dead_features_are_those_that_are_silent_on_every_example(dead_fraction, draw):
    for shape, dead in (((11, 7), {2, 5}), ((4, 5, 13), {0, 4, 12}), ((2, 3, 4, 9), {8})):
        f = features_with_dead(draw, *shape, dead=dead)
        expect_close(
            dead_fraction(f),
            len(dead) / shape[-1],
            rule="the number of features that are 0 on all examples, over the number of features",
            look_at="over which axes `any` runs, and whether you count the dead or the living",
            what="the share of dead features",
        )


def test_a_feature_that_is_active_once_and_weakly_is_alive(dead_fraction, draw):
    f = torch.zeros(6, 400, 14, device=draw.device)
    f[:, :, [5, 6]] = 0.7
    f[2:, :, 4] = f[:5, :, 9] = 0.4
    for text, features, strength in ((0, [2, 7, 8, 13], 1e-4), (3, [1], 100.0), (5, [3, 11, 12], 1e-4)):
        f[text, 70, features] = strength  # once in 2400 examples
    expect_close(
        dead_fraction(f),
        2 / 14,
        rule="one example of 2400 is enough, however weak the feature is there",
        look_at="the comparison with 0, and whether anything is averaged or counted before it",
        what="the share of dead features",
    )


def test_all_features_can_be_alive_or_dead(dead_fraction, draw):
    f = sparse_features(draw, 7, 6) + 0.01
    for value, expected in ((f, 0.0), (0 * f, 1.0)):
        expect_close(
            dead_fraction(value),
            expected,
            rule="0 if every feature is active somewhere, 1 if none is",
            look_at="whether you count the dead or the living",
            what="the share of dead features",
        )


# 3.31 loss_recovered


def nats(logits, tokens):
    return nats_of_texts(logits, tokens).mean().item()


def nats_of_texts(logits, tokens):
    log_probs = logits[:, :-1].double().log_softmax(dim=-1)
    return -log_probs.gather(-1, tokens[:, 1:, None]).mean(dim=(1, 2))


def mean_from_position_1(x):
    """The mean activation, one vector, by a loop over texts and positions."""
    vectors = [vector for text in x for vector in text[1:]]
    return sum(vectors) / len(vectors)


def texts_for(model, hook_name, draw, *, batch=4, pos=7):
    """Of many batches of texts the one that loses most by its mean activation: what is recovered is a share of that loss."""
    return remembered(costliest, model, hook_name, text_ids(draw, batch=60 * batch, pos=pos, cfg=model.cfg), batch)


@torch.no_grad()
def costliest(model, hook_name, tokens, batch):
    x = activation_at(model, tokens, hook_name)
    of_batches = x.unflatten(0, (-1, batch))
    means = of_batches[:, :, 1:].mean(dim=(1, 2), keepdim=True).expand_as(of_batches).flatten(0, 1)
    ablated = torch.cat([x[:, :1], means[:, 1:]], dim=1)
    losses = nats_of_texts(run_with_activation(model, tokens, hook_name, ablated), tokens)
    rises = (losses - nats_of_texts(model(tokens), tokens)).unflatten(0, (-1, batch)).mean(dim=1)
    return tokens.unflatten(0, (-1, batch))[rises.argmax()]


def recovered_by_hand(model, sae, hook_name, tokens):
    """Three runs in which what stands at the hook point was worked out beforehand."""
    x = activation_at(model, tokens, hook_name)
    spliced, ablated = x.clone(), x.clone()
    spliced[:, 1:] = sae.decode(sae.encode(x[:, 1:]))
    ablated[:, 1:] = mean_from_position_1(x)
    clean, with_sae, with_mean = (
        nats(run_with_activation(model, tokens, hook_name, each), tokens) for each in (x, spliced, ablated)
    )
    return (with_mean - with_sae) / (with_mean - clean)


def expect_recovered(loss_recovered, draw, model, sae, hook_name, **sizes):
    tokens = texts_for(model, hook_name, draw, **sizes)
    expected = remembered(recovered_by_hand, model, sae, hook_name, tokens)
    expect_close(
        loss_recovered(model, sae, hook_name, tokens),
        expected,
        rule="(CE ablated - CE with the SAE) / (CE ablated - CE clean); position 0 stays, and is not in the mean",
        look_at="the three replacements, what happens at position 0, and the order of the differences",
        what="the loss recovered",
        atol=1e-3,  # a quotient of small differences
        rtol=1e-3,
    )


def perfect_sae(draw, cfg=SMALL_LM):
    """An SAE that reconstructs everything: a feature for each direction of each axis, half of which are active."""
    d = cfg.d_model
    sae = random_sae(d, 2 * d, d, draw.generator(), draw.device)
    unit = torch.eye(d, device=draw.device)
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat([unit, -unit], dim=1))
        sae.W_dec.copy_(torch.cat([unit, -unit]))
        sae.b_enc.zero_()
        sae.b_dec.zero_()
    return sae


def test_the_loss_recovered_is_that_of_three_runs_by_hand(loss_recovered, draw):
    model, sae = language_model(draw), sae_of(draw)
    expect_recovered(loss_recovered, draw, model, sae, "blocks.0.hook_resid_post")


def test_the_loss_recovered_is_measured_at_the_hook_point_asked_for(loss_recovered, draw):
    model, sae = language_model(draw, DEEPER_LM), sae_of(draw, DEEPER_LM, d_sae=21, k=8)
    for hook_name in ("blocks.1.hook_resid_post", "blocks.2.hook_mlp_out"):
        expect_recovered(loss_recovered, draw, model, sae, hook_name, batch=3, pos=9)


def test_a_perfect_sae_recovers_all_and_one_that_knows_only_the_mean_nothing(loss_recovered, draw):
    model, hook_name = language_model(draw), "blocks.1.hook_resid_pre"
    tokens = texts_for(model, hook_name, draw, batch=5, pos=6)
    constant = sae_of(draw, d_sae=17, k=3)
    with torch.no_grad():
        constant.W_dec.zero_()
        constant.b_dec.copy_(mean_from_position_1(remembered(activation_at, model, tokens, hook_name)))
    for sae, expected, what in (
        (perfect_sae(draw), 1.0, "the loss recovered by an SAE that reconstructs everything"),
        (constant, 0.0, "the loss recovered by an SAE that always returns the mean of positions 1, 2, …"),
    ):
        expect_close(
            loss_recovered(model, sae, hook_name, tokens),
            expected,
            rule="1 where the model loses nothing by the SAE, 0 where it loses as much as by the mean activation",
            look_at="the baseline, and the order of the differences",
            what=what,
            atol=1e-3,
        )


def test_the_model_is_as_before_after_measuring_the_loss(loss_recovered, draw):
    model, sae = language_model(draw), sae_of(draw)
    loss_recovered(model, sae, "blocks.0.hook_resid_post", text_ids(draw, batch=2, pos=6))
    expect_no_hook_left(model)


# 3.32 top_examples


def places_in_loops(f, feature, k):
    """(text, position) by comparing plain numbers."""
    best = []
    for text, positions in enumerate(f[..., feature].tolist()):
        strength, position = max((value, -place) for place, value in enumerate(positions))
        if strength > 0:
            best.append((-strength, text, -position))
    return [[text, position] for _, text, position in sorted(best)[:k]]


def expect_places(top_examples, f, feature, k):
    expected = torch.tensor(places_in_loops(f, feature, k), device=f.device).reshape(-1, 2)
    result = top_examples(f, feature, k)
    if len(expected) == 0 and isinstance(result, torch.Tensor) and result.numel() == 0:
        return  # torch.tensor([]) has no second axis, and is as empty
    expect_shape(
        result,
        expected.shape,
        axes="example, and text and position",
        rule="one row for each example: at most k, at most one from each text, none where the feature is silent",
        look_at="how the texts are chosen, and the axis along which you stack",
    )
    if result.is_floating_point():
        complain(
            f"the texts and positions that come back have dtype {str(result.dtype).removeprefix('torch.')}",
            rule="texts and positions are indices, so whole numbers",
            look_at="what the rows are made of: an index beside a strength becomes a float",
        )
    expect_equal(
        result,
        expected,
        rule="for each text the position where the feature is strongest; the texts in order, the strongest first",
        look_at="which axis the maximum runs over, the direction of sorting, and that positions follow their texts",
    )


def test_the_strongest_place_of_each_text_comes_back_strongest_first(top_examples, draw):
    for shape, feature, k in (((6, 9, 5), 3, 4), ((11, 4, 7), 0, 5)):
        expect_places(top_examples, sparse_features(draw, *shape, active=0.7), feature, k)


def test_a_text_gives_one_example_even_if_it_has_the_strongest_two(top_examples, draw):
    f = sparse_features(draw, 5, 6, 4, active=0.8)
    f[3, 1, 2], f[3, 4, 2], f[0, 5, 2] = 50.0, 40.0, 30.0
    expect_places(top_examples, f, 2, 3)


def test_texts_in_which_the_feature_is_silent_are_left_out(top_examples, draw):
    f = sparse_features(draw, 7, 5, 4, active=0.8)
    f[[0, 2, 3, 6], :, 1] = 0
    expect_places(top_examples, f, 1, 6)
    f[..., 3] = 0
    expect_places(top_examples, f, 3, 2)


def test_more_examples_than_texts_can_be_asked_for(top_examples, draw):
    expect_places(top_examples, sparse_features(draw, 3, 8, 5, active=0.9), 4, 6)


# 3.33 logit_effect


@torch.no_grad()
def effect_by_difference(model, direction):
    """How the logits of a stream change along a direction, through the model's own LayerNorm and unembedding.

    From a stream at right angles to the direction, a step either way gives LayerNorm the same scale, which is taken out.
    """
    along = direction - direction.mean()
    stream = torch.linspace(-1, 1, len(direction), device=direction.device).sin().roll(3)
    stream = stream - stream.mean()
    stream = stream - (stream @ along) / (along @ along) * along
    scale = ((stream + along).square().mean() + model.cfg.eps).sqrt()
    up, down = (model.unembed(model.ln_final((stream + sign * direction)[None, None]))[0, 0] for sign in (1, -1))
    effect = (up - down) * scale / 2
    return effect - effect.mean()


def expect_effect(logit_effect, model, sae, feature):
    expect_close(
        logit_effect(model, sae, feature),
        effect_by_difference(model, sae.W_dec[feature]),
        rule="the feature's row of W_dec, centred, through W_U, centred over the vocabulary; no scale, no bias",
        look_at="which matrix and which row, and the two means that are subtracted",
        axes="d_vocab",
        what="the effect on the logits",
        atol=1e-4,
        rtol=1e-3,
    )


def test_the_effect_is_what_the_features_direction_does_to_the_logits(logit_effect, draw):
    for cfg, d_sae in ((SMALL_LM, 29), (DEEPER_LM, 17)):
        model, sae = language_model(draw, cfg), sae_of(draw, cfg, d_sae=d_sae)
        for feature in (0, 13):
            expect_effect(logit_effect, model, sae, feature)


def test_both_means_are_subtracted_where_the_model_has_not_done_so(logit_effect, draw):
    model, sae = language_model(draw), sae_of(draw)
    with torch.no_grad():
        weight = next(model.unembed.parameters())  # d_vocab d_model
        weight.add_(draw.normal(SMALL_LM.d_vocab, 1) + draw.normal(1, SMALL_LM.d_model))
    expect_effect(logit_effect, model, sae, 7)


def test_a_longer_direction_has_a_larger_effect(logit_effect, draw):
    model, sae = language_model(draw), sae_of(draw)
    before = logit_effect(model, sae, 4)
    with torch.no_grad():
        sae.W_dec[4] *= 3
    expect_close(
        logit_effect(model, sae, 4),
        3 * before,
        rule="the effect of one unit of the feature is as large as its direction is long",
        look_at="whether the direction or the effect is normalised",
        axes="d_vocab",
        what="the effect of a direction of three times the length",
        atol=1e-4,
    )


# 3.34 ablate_feature, 3.35 steer


def with_feature_at(model, sae, hook_name, tokens, feature, strength):
    """The logits when one feature is set to a strength from position 1 on, worked out as reconstruction plus error."""
    x = activation_at(model, tokens, hook_name)
    f = sae.encode(x)
    error = x - sae.decode(f)
    f[..., feature] = strength
    changed = sae.decode(f) + error
    changed[:, 0] = x[:, 0]
    return run_with_activation(model, tokens, hook_name, changed)


def busiest(model, sae, hook_name, tokens):
    """The features that are active at most positions after the first, the busiest first."""
    f = sae.encode(activation_at(model, tokens, hook_name))
    return (f[:, 1:] > 0).sum(dim=(0, 1)).argsort(descending=True).tolist()


def bench_of(draw, cfg=SMALL_LM, *, batch=3, pos=7, hook_name="blocks.0.hook_resid_post", **sizes):
    """A model, an SAE, texts, and features in order of how often they are active."""
    model, sae = language_model(draw, cfg), sae_of(draw, cfg, **sizes)
    tokens = text_ids(draw, batch=batch, pos=pos, cfg=cfg)
    return model, sae, tokens, remembered(busiest, model, sae, hook_name, tokens)


def expect_without_feature(ablate_feature, model, sae, hook_name, tokens, feature):
    expected = remembered(with_feature_at, model, sae, hook_name, tokens, feature, 0.0)
    weights = weights_of(sae)
    result = ablate_feature(model, sae, hook_name, tokens, feature)
    expect_same_sae(sae, weights)
    expect_close(
        result,
        expected,
        rule="x minus the feature's activation times its row of W_dec, at every position but 0; nothing else changes",
        look_at="what is subtracted, whether the SAE's error stays, and position 0",
        axes=LOGIT_AXES,
        what=f"the logits without feature {feature}",
        atol=2e-4,
        rtol=1e-3,
    )


def test_only_the_features_own_contribution_is_taken_out(ablate_feature, draw):
    model, sae, tokens, order = bench_of(draw)
    for feature in order[:2]:
        expect_without_feature(ablate_feature, model, sae, "blocks.0.hook_resid_post", tokens, feature)


def test_a_feature_is_ablated_at_the_hook_point_asked_for(ablate_feature, draw):
    hook_name = "blocks.1.hook_mlp_out"
    model, sae, tokens, order = bench_of(draw, DEEPER_LM, batch=2, pos=8, hook_name=hook_name, d_sae=23, k=9)
    expect_without_feature(ablate_feature, model, sae, hook_name, tokens, order[0])


def test_ablating_a_silent_feature_changes_nothing(ablate_feature, draw):
    model, sae, tokens, order = bench_of(draw)
    with torch.no_grad():
        sae.b_enc[order[0]] = -1000.0  # silent from now on
        before = model(tokens)
    expect_close(
        ablate_feature(model, sae, "blocks.0.hook_resid_post", tokens, order[0]),
        before,
        rule="where a feature is silent there is nothing to take out: the stream stays as it was, the SAE's error too",
        look_at="whether the reconstruction takes the place of x",
        axes=LOGIT_AXES,
        atol=2e-4,
    )


def test_ablation_leaves_position_0_alone_and_no_hook_behind(ablate_feature, draw):
    model, sae, tokens, order = bench_of(draw, NO_LAYER_NORM_LM, batch=2, pos=6)
    with torch.no_grad():
        sae.b_enc[order[0]] = 5.0  # active at every position, 0 included
        before = model(tokens)
    result = ablate_feature(model, sae, "blocks.0.hook_resid_post", tokens, order[0])
    expect_shape(result, before.shape, axes=LOGIT_AXES, look_at="what run_with_hooks returns")
    expect_close(
        result[:, 0],
        before[:, 0],
        rule="position 0 stays as it is",
        look_at="the contribution at position 0",
        axes="batch d_vocab",
        what="the logits at position 0",
        atol=2e-4,
    )
    expect_no_hook_left(model)


def expect_steered(steer, model, sae, hook_name, tokens, feature, strength):
    expected = remembered(with_feature_at, model, sae, hook_name, tokens, feature, strength)
    weights = weights_of(sae)
    result = steer(model, sae, hook_name, tokens, feature, strength)
    expect_same_sae(sae, weights)
    expect_close(
        result,
        expected,
        rule="x plus (strength - activation) times the feature's row of W_dec, at every position but 0",
        look_at="what is added, whether the SAE's error stays, and position 0",
        axes=LOGIT_AXES,
        what=f"the logits with feature {feature} at {strength:g}",
        atol=2e-4,
        rtol=1e-3,
    )


def test_a_steered_feature_has_the_strength_asked_for_everywhere(steer, draw):
    model, sae, tokens, order = bench_of(draw)
    for feature, strength in ((order[0], 2.5), (order[1], 0.3)):
        expect_steered(steer, model, sae, "blocks.0.hook_resid_post", tokens, feature, strength)


def test_a_feature_is_steered_at_the_hook_point_asked_for(steer, draw):
    hook_name = "blocks.1.hook_mlp_out"
    model, sae, tokens, order = bench_of(draw, DEEPER_LM, batch=2, pos=8, hook_name=hook_name, d_sae=23, k=9)
    expect_steered(steer, model, sae, hook_name, tokens, order[0], 1.5)


def test_steering_to_0_is_ablation_and_works_on_silent_features(steer, draw):
    model, sae, tokens, order = bench_of(draw)
    expect_steered(steer, model, sae, "blocks.0.hook_resid_post", tokens, order[0], 0.0)
    expect_steered(steer, model, sae, "blocks.0.hook_resid_post", tokens, order[-1], 3.0)


def test_steering_leaves_position_0_alone_and_no_hook_behind(steer, draw):
    model, sae, tokens, order = bench_of(draw, NO_LAYER_NORM_LM, batch=2, pos=6)
    with torch.no_grad():
        before = model(tokens)
    result = steer(model, sae, "blocks.0.hook_resid_post", tokens, order[0], 4.0)
    expect_shape(result, before.shape, axes=LOGIT_AXES, look_at="what run_with_hooks returns")
    expect_close(
        result[:, 0],
        before[:, 0],
        rule="position 0 stays as it is",
        look_at="the change at position 0",
        axes="batch d_vocab",
        what="the logits at position 0",
        atol=2e-4,
    )
    expect_no_hook_left(model)


# 3.36 feature_f1


def f1_in_loops(f, truth, threshold):
    scores = []
    for column in zip(*f.tolist()):
        pairs = [(value > threshold, true) for value, true in zip(column, truth.tolist())]
        hits = sum(said and true for said, true in pairs)
        wrong = sum(said != true for said, true in pairs)
        scores.append(2 * hits / (2 * hits + wrong) if hits + wrong else 0.0)
    return torch.tensor(scores, device=f.device)


def expect_f1(feature_f1, f, truth, *threshold):
    expect_close(
        feature_f1(f, truth, *threshold),
        f1_in_loops(f, truth, *(threshold or (0.0,))),
        rule="2 TP / (2 TP + FP + FN), a feature saying yes where it is above the threshold; 0 where that is 0/0",
        look_at="the three counts, the comparison with the threshold, and features that never say yes",
        axes="feature",
        what="the F1 of each feature",
    )


def concept_and_features(draw, *, examples=41, d_sae=9):
    """Features that have more or less to do with a concept: some miss examples, some have false alarms, some are silent."""
    truth = draw.uniform(examples) < 0.4
    truth[:2] = torch.tensor([True, False], device=truth.device)
    follows = draw.uniform(examples, d_sae) < draw.uniform(d_sae, low=0.2, high=0.9)
    active = torch.where(follows, truth[:, None], draw.uniform(examples, d_sae) < 0.3)
    f = active * draw.uniform(examples, d_sae, low=0.1, high=2.0)
    f[:, 3] = 0
    return f, truth


def test_f1_is_that_of_hits_false_alarms_and_misses(feature_f1, draw):
    expect_f1(feature_f1, *concept_and_features(draw))
    expect_f1(feature_f1, *concept_and_features(draw, examples=27, d_sae=14))


def test_a_feature_says_yes_above_the_threshold_only(feature_f1, draw):
    f, truth = concept_and_features(draw, examples=33, d_sae=7)
    expect_f1(feature_f1, f, truth, 0.7)
    f = (2 * f).round() / 2  # many activations are just 0.5 or 1, which is not above
    for threshold in (0.5, 1.0):
        expect_f1(feature_f1, f, truth, threshold)


def test_a_perfect_feature_scores_1_and_its_opposite_0(feature_f1, draw):
    f, truth = concept_and_features(draw, d_sae=5)
    f[:, 1], f[:, 4] = 0.7 * truth, 0.7 * ~truth
    expect_f1(feature_f1, f, truth)


def test_without_a_true_example_every_f1_is_0(feature_f1, draw):
    f, truth = concept_and_features(draw, d_sae=6)
    expect_f1(feature_f1, f, torch.zeros_like(truth))


# 3.37 feature_splits


def splits_in_loops(narrow, wide, threshold):
    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b))
        return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    rows = []
    for a in narrow.double().tolist():
        cosines = [cosine(a, b) for b in wide.double().tolist()]
        rows.append(sorted((j for j, c in enumerate(cosines) if c >= threshold), key=lambda j: -cosines[j]))
    return rows


def expect_splits(feature_splits, narrow, wide, threshold):
    result = feature_splits(narrow, wide, threshold)
    expected = splits_in_loops(narrow, wide, threshold)
    expect_equal(
        len(result),
        len(expected),
        rule="one list for each feature of the narrow SAE",
        look_at="which of the two matrices you go through row by row",
        what="the number of lists",
    )
    for feature, (found, right) in enumerate(zip(result, expected)):
        if not isinstance(found, (list, tuple)):
            kind = type(found).__name__
            raise Complaint(
                f"what stands for narrow feature {feature} is {'an' if kind[0] in 'aeiou' else 'a'} {kind}, not a list",
                rule="for each narrow feature a list of whole numbers, which may be empty",
                look_at="what you append: .tolist() makes a list of a tensor of indices",
                kind="type",
            )
        expect_equal(
            [wide.item() if isinstance(wide, torch.Tensor) and wide.ndim == 0 else wide for wide in found],
            right,
            rule="the wide features whose cosine with it is at least the threshold, the closest first",
            look_at="lengths of rows, the sign of the cosine, and the direction of sorting",
            what=f"the list of narrow feature {feature}",
        )


def families(draw, *, n_narrow, d_in, most=4):
    """Directions of all lengths, and a wider set in which each comes again several times, more or less turned."""
    narrow = draw.normal(n_narrow, d_in) * draw.uniform(n_narrow, 1, low=0.2, high=4)
    wide = []
    for parent in narrow:
        for _ in range(int(draw.integers(0, most))):
            child = parent / parent.norm() + draw.uniform(1, low=0.1, high=0.9) * draw.normal(d_in) / d_in**0.5
            wide.append(child * draw.uniform(1, low=0.2, high=4))
    wide += [*draw.normal(3, d_in), -narrow[0]]
    wide = torch.stack(wide)
    return narrow, wide[draw.permutation(len(wide))]


def test_each_narrow_feature_has_the_wide_ones_that_point_its_way(feature_splits, draw):
    for n_narrow, d_in, threshold in ((7, 6, 0.55), (5, 9, 0.7)):
        narrow, wide = families(draw, n_narrow=n_narrow, d_in=d_in)
        expect_splits(feature_splits, narrow, wide, threshold)


def test_a_low_threshold_finds_many_and_a_high_one_hardly_any(feature_splits, draw):
    narrow, wide = families(draw, n_narrow=6, d_in=5)
    for threshold in (0.05, 0.995):
        expect_splits(feature_splits, narrow, wide, threshold)


def test_the_opposite_direction_is_no_counterpart(feature_splits, draw):
    narrow, _ = families(draw, n_narrow=4, d_in=7)
    expect_splits(feature_splits, narrow, torch.cat([-narrow, 2 * narrow[:3]]), 0.6)


def test_a_cosine_of_just_the_threshold_is_enough(feature_splits, device):
    narrow = torch.tensor([[2.0, 0, 0, 0], [0, -4, 0, 0]], device=device)
    wide = torch.tensor([[1.0, 1, -1, 1], [0, 8, 0, 0], [4, 0, 0, 0], [-1, 1, 1, -1]], device=device)
    for threshold in (0.5, 0.0, 1.0):  # among these rows all cosines are halves, without any rounding
        expect_splits(feature_splits, narrow, wide, threshold)


# 3.38 absorption_rate


def absorbed_in_loops(f, W_dec, probe, recognised, main, share):
    on_probe = [sum(a * b for a, b in zip(row, probe.double().tolist())) for row in W_dec.double().tolist()]
    count = absorbed = 0
    for activations, counts in zip(f.double().tolist(), recognised.tolist()):
        if counts:
            count += 1
            parts = [activation * projection for activation, projection in zip(activations, on_probe)]
            largest = max(part for feature, part in enumerate(parts) if feature != main)
            absorbed += activations[main] == 0 and sum(parts) > 0 and largest >= share * sum(parts)
    return absorbed / count if count else 0.0


def expect_absorption(absorption_rate, f, W_dec, probe, recognised, main, *share, **more):
    more.setdefault("what", "the absorption rate")
    expect_close(
        absorption_rate(f, W_dec, probe, recognised, main, *share),
        absorbed_in_loops(f, W_dec, probe, recognised, main, *(share or (0.5,))),
        rule="of the recognised examples, those with main silent, the sum of contributions positive, and one other at least share of it",
        look_at="the contributions, the three conditions, and what you divide by",
        **more,
    )


def absorbing(draw, *, examples=60, d_sae=11, d_in=7, main=4):
    """Features of which many share the probe's direction and some oppose it, a main one that is often silent; nothing has length 1."""
    f = draw.uniform(examples, d_sae, low=0.3, high=2) * (draw.uniform(examples, d_sae) < 0.5)
    f[:, main] *= draw.uniform(examples) < 0.3
    probe = draw.normal(d_in, std=1.7)
    along = draw.uniform(d_sae, 1, low=-0.9, high=1.3)
    W_dec = draw.uniform(d_sae, 1, low=0.3, high=2) * (along * probe / probe.norm() + 0.5 * draw.normal(d_sae, d_in))
    return f, W_dec, probe, draw.uniform(examples) < 0.7, main


def test_the_table_of_the_text_comes_out_as_a_third(absorption_rate, device):
    f = torch.tensor([[3.0, 0.0, 1.0], [0.0, 4.0, 1.0], [0.0, 1.0, 2.0]], device=device)
    W_dec = torch.tensor([[2.0, 5.0], [1.0, -3.0], [-1.0, 2.0]], device=device)
    everything = torch.ones(3, dtype=torch.bool, device=device)
    probe = torch.tensor([1.0, 0.0], device=device)
    expect_absorption(absorption_rate, f, W_dec, probe, everything, 0, what="the rate of the table, 1/3,")


def test_what_carries_just_the_share_is_enough_and_a_sum_of_0_is_not(absorption_rate, device):
    W_dec = torch.tensor([[1.0, 7.0], [2.0, 0.0], [1.0, 1.0], [-2.0, 3.0]], device=device)
    probe = torch.tensor([1.0, 0.0], device=device)
    rows = {
        "2 + 2, half each": [0.0, 1, 2, 0],
        "2 - 2, a sum of 0": [0.0, 1, 0, 1],
        "2 + 1 - 6, a negative sum": [0.0, 1, 1, 3],
        "6 - 2": [0.0, 3, 0, 1],
    }
    for what, row in rows.items():
        f, everything = torch.tensor([row], device=device), torch.tensor([True], device=device)
        expect_absorption(
            absorption_rate, f, W_dec, probe, everything, 0, what=f"the rate of one example with contributions {what},"
        )
    against = torch.tensor([[0.0, 3.0]], device=device), W_dec[[0, 3]], probe, torch.tensor([True], device=device), 0
    expect_absorption(
        absorption_rate, *against, what="the rate of one example on which all that is active points away,"
    )


def test_absorbed_are_recognised_examples_whose_main_feature_is_replaced_by_one_other(absorption_rate, draw):
    for sizes in ({}, {"examples": 83, "d_sae": 8, "d_in": 5, "main": 0}):
        expect_absorption(absorption_rate, *absorbing(draw, **sizes))


def test_the_share_says_how_much_one_feature_must_carry(absorption_rate, draw):
    given = absorbing(draw, examples=90, d_sae=13)
    for share in (0.2, 0.8, 1.1):
        expect_absorption(absorption_rate, *given, share, what=f"the absorption rate with share {share}")


def test_examples_that_the_probe_does_not_recognise_do_not_count(absorption_rate, draw):
    f, W_dec, probe, recognised, main = absorbing(draw)
    recognised[:] = False
    expect_absorption(absorption_rate, f, W_dec, probe, recognised, main, what="the rate where nothing is recognised")
    recognised[::7] = True
    expect_absorption(absorption_rate, f, W_dec, probe, recognised, main)


def test_a_main_feature_that_is_always_active_is_never_absorbed(absorption_rate, draw):
    f, W_dec, probe, recognised, main = absorbing(draw)
    f[:, main] = 0.01
    expect_absorption(absorption_rate, f, W_dec, probe, recognised, main)
