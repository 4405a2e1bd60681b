"""This file knows how to check chapter 1: transformers from scratch."""

import copy
import itertools
import json
import math
from dataclasses import replace
from functools import lru_cache

import einops
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from utils.checking import complain, expect_close, expect_equal, expect_shape
from utils.models.config import TransformerConfig
from utils.models.course_transformer import MLP as CourseMLP
from utils.models.course_transformer import CourseTransformer

# no two axes of the same size, none of size 1; fewer tokens than d_model and n_ctx, so that a look-up on the wrong axis
# runs and is recognised
SMALL = TransformerConfig(
    d_model=12, d_vocab=8, n_ctx=10, n_layers=2, n_heads=3, d_head=4, d_mlp=17, eps=1e-3, init_range=0.3
)

DEEP = replace(SMALL, n_layers=3)  # three blocks: leaving out the last is not the same as stopping after the first
STREAM = "batch pos d_model"
LOGITS = "batch pos d_vocab"


def laid_out(result, shape, axes, *, rule, look_at, causes=()):
    """The result, once it is known to be a tensor of this shape; ``causes`` says where to look for shapes that a slip gives."""
    seen = tuple(result.shape) if isinstance(result, Tensor) else None
    expect_shape(result, shape, axes=axes, rule=rule, look_at=dict(causes).get(seen, look_at))
    return result


def random_model(draw, cfg=SMALL):
    """A whole model with transformers' GPT-2 inside, no weight of which is at its default."""
    model = CourseTransformer.random(cfg, draw.generator())
    with torch.no_grad():
        model.unembed.b_U.copy_(draw.normal(cfg.d_vocab))
    return model.to(draw.device)


def weights_in(module):
    """Copies of a course module's weights by name."""
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


def stream(draw, *, batch=2, pos=5, d_model=SMALL.d_model):
    """Vectors as in a residual stream: other lengths and other means at every position."""
    lengths = draw.uniform(batch, pos, 1, low=0.3, high=3.0)
    return draw.normal(batch, pos, d_model) * lengths + draw.normal(batch, pos, 1)


def expect_start(module, expected, *, init_range=None):
    """The parameters have these names and shapes, and these values before training; None stands for normal noise."""
    start = module.parameters()
    shapes = {name: value if isinstance(value, tuple) else tuple(value.shape) for name, value in expected.items()}
    module.load({name: torch.zeros(shape) for name, shape in shapes.items()})  # complains about names and shapes
    for name, value in expected.items():
        if isinstance(value, tuple):
            spread, middle = start[name].std().item(), start[name].mean().item()
            if not 0.8 * init_range < spread < 1.2 * init_range or abs(middle) > 0.2 * init_range:
                complain(
                    f"{name} starts with mean {middle:.3f} and standard deviation {spread:.3f}",
                    rule=f"matrices start as normal noise of mean 0 and standard deviation cfg.init_range, here {init_range}",
                    look_at=f"the line of __init__ that makes {name}",
                )
        else:
            expect_close(
                start[name],
                value,
                rule=f"{name} starts as {'ones' if value.any() else 'zeros'}",
                look_at="__init__",
                what=name,
            )


def expect_same_gradients(module, course_module, x, upstream):
    """The learner's module sends back the same gradients as the course's, to its input and to every parameter."""
    leaf = x.clone().requires_grad_()
    named = dict(course_module.named_parameters())
    wanted = torch.autograd.grad(course_module(leaf), [leaf, *named.values()], grad_outputs=upstream, allow_unused=True)
    got = module.backward(x, upstream=upstream)
    rule = "gradients flow back through every step, to the input and to all parameters"
    look_at = "detach(), .data, torch.no_grad(), or a tensor that is no nn.Parameter"
    expect_close(got, wanted[0], rule=rule, look_at=look_at, what="the gradient of the input", atol=4e-4, rtol=1e-3)
    grads = module.grads()
    for name, gradient in zip(named, wanted[1:]):
        if gradient is None:
            continue
        if name not in grads:
            complain(f"no gradient reaches {name}", rule=rule, look_at=look_at)
        expect_close(
            grads[name], gradient, rule=rule, look_at=look_at, what=f"the gradient of {name}", atol=4e-4, rtol=1e-3
        )


# 1.1 LayerNorm


def test_w_starts_as_ones_and_b_as_zeros(LayerNorm, device):
    d_model = SMALL.d_model
    expect_start(LayerNorm(SMALL), {"w": torch.ones(d_model, device=device), "b": torch.zeros(d_model, device=device)})


def normalised(layer, x, axes=STREAM):
    """What the learner's LayerNorm makes of x, of which we know that it has the shape of x."""
    return laid_out(
        layer(x),
        x.shape,
        axes,
        rule="every vector comes out with as many numbers as it came in with, at the same place",
        look_at="keepdim=True in mean and variance, and what you return",
    )


def plain_layer_norm(LayerNorm, device, cfg=SMALL):
    d_model = cfg.d_model
    return LayerNorm(cfg).load({"w": torch.ones(d_model, device=device), "b": torch.zeros(d_model, device=device)})


def test_every_vector_comes_out_with_mean_0(LayerNorm, draw, device):
    x = stream(draw) + 2
    out = normalised(plain_layer_norm(LayerNorm, device), x)
    means = out.mean(dim=-1)
    worst = means.abs().argmax().item()
    if not means.abs().max() < 1e-4:
        batch, pos = divmod(worst, x.shape[1])
        complain(
            f"with w = 1 and b = 0, the vector at batch {batch}, pos {pos} comes out with mean {means[batch, pos]:.3g}",
            rule="every vector has its own mean subtracted, over d_model",
            look_at="x - mean: is it there, and is the mean taken over the last axis with keepdim=True?",
            picture=(means, torch.zeros_like(means)),
            picture_axes=("batch", "pos"),
        )


def test_every_vector_comes_out_with_variance_1(LayerNorm, draw, device):
    x = 30 * stream(draw)  # so long that eps does not matter
    out = normalised(plain_layer_norm(LayerNorm, device), x)
    variances = out.var(dim=-1, unbiased=False)
    worst = (variances - 1).abs().argmax().item()
    if not (variances - 1).abs().max() < 1e-3:
        batch, pos = divmod(worst, x.shape[1])
        complain(
            f"with w = 1 and b = 0, the vector at batch {batch}, pos {pos} comes out with variance {variances[batch, pos]:.4g}",
            rule="every vector is divided by its own standard deviation: the root of the mean squared distance from its mean",
            look_at="what x - mean is divided by: variance or root, over which axis, and divided by d_model or d_model - 1",
            picture=(variances, torch.ones_like(variances)),
            picture_axes=("batch", "pos"),
        )


def test_a_vector_is_normalised_by_itself_whatever_stands_beside_it(LayerNorm, draw, device):
    x = stream(draw)
    other = stream(draw)
    other[1, 2] = x[1, 2]
    layer = plain_layer_norm(LayerNorm, device)
    here, there = normalised(layer, x), normalised(layer, other)
    if not torch.allclose(here[1, 2], there[1, 2], atol=1e-5):
        complain(
            "the vector at batch 1, pos 2 comes out otherwise when only other vectors change",
            rule="mean and variance of a vector are taken over its own d_model components",
            look_at="the axis of mean and var: the last one, dim=-1",
        )


def test_vectors_of_almost_no_length_are_damped_by_eps(LayerNorm, draw, device):
    lengths = torch.tensor([0.0, 1e-3, 1e-2, 0.03, 0.1], device=device)[:, None]
    x = draw.normal(2, 5, SMALL.d_model) * lengths + draw.normal(2, 5, 1, std=0.3)
    expect_close(
        normalised(plain_layer_norm(LayerNorm, device), x),
        F.layer_norm(x, (SMALL.d_model,), eps=SMALL.eps),
        rule="divide by the root of (variance + eps)",
        look_at="where eps is added: to the variance, before the root; and whether it is cfg.eps",
        axes="batch pos d_model",
        atol=1e-4,
    )


def test_w_scales_and_b_shifts_what_has_been_normalised(LayerNorm, draw):
    x, w, b = stream(draw), draw.normal(SMALL.d_model), draw.normal(SMALL.d_model)
    expect_close(
        normalised(LayerNorm(SMALL).load({"w": w, "b": b}), x),
        F.layer_norm(x, (SMALL.d_model,), w, b, SMALL.eps),
        rule="the normalised vector, times w, plus b",
        look_at="the last step of forward: are both w and b used, in this order?",
        axes="batch pos d_model",
    )


def test_any_number_of_leading_axes_gives_what_pytorch_gives(LayerNorm, draw):
    w, b = draw.normal(SMALL.d_model, mean=1.0), draw.normal(SMALL.d_model)
    layer = LayerNorm(SMALL).load({"w": w, "b": b})
    for shape, axes in (((7,), "row d_model"), ((2, 5), "batch pos d_model"), ((2, 5, 3), "batch pos head d_model")):
        x = draw.normal(*shape, SMALL.d_model, std=2.0, mean=0.5)
        expect_close(
            normalised(layer, x, axes),
            F.layer_norm(x, (SMALL.d_model,), w, b, SMALL.eps),
            rule="the same as torch.nn.functional.layer_norm over the last axis, however many axes come before it",
            look_at="axes counted from the front: count from the end, dim=-1",
            axes=axes,
        )


def test_layer_norm_sends_gradients_to_its_input_and_to_w_and_b(LayerNorm, draw, device):
    course = random_model(draw).ln_final
    x = stream(draw)
    expect_same_gradients(LayerNorm(SMALL).load(weights_in(course)), course, x, draw.normal(*x.shape))


# 1.2 Embed


def embedded(embed, tokens):
    """What the learner's Embed makes of the tokens, of which we know that it is a vector for each."""
    return laid_out(
        embed(tokens),
        (*tokens.shape, SMALL.d_model),
        STREAM,
        rule="one vector of d_model numbers for every token",
        look_at="which axis of W_E you index: tokens number its first axis, the rows",
    )


def test_every_token_gets_its_own_row_of_the_embedding(Embed, draw, device):
    W_E = draw.normal(SMALL.d_vocab, SMALL.d_model)
    embed = Embed(SMALL).load({"W_E": W_E})
    tokens = torch.arange(SMALL.d_vocab, device=device).reshape(2, 4)
    out = embedded(embed, tokens)
    for batch, pos in ((0, 0), (0, 3), (1, 1)):
        token = tokens[batch, pos].item()
        expect_close(
            out[batch, pos],
            W_E[token],
            rule=f"token {token} becomes row {token} of W_E",
            look_at="which axis of W_E you index, and anything done to the row afterwards",
            what=f"the vector of token {token}",
        )


def test_the_same_token_has_the_same_vector_everywhere(Embed, draw):
    W_E = draw.normal(SMALL.d_vocab, SMALL.d_model, mean=0.3)
    tokens = draw.integers(0, SMALL.d_vocab, (3, 7))
    expect_close(
        embedded(Embed(SMALL).load({"W_E": W_E}), tokens),
        F.embedding(tokens, W_E),
        rule="a look-up and nothing else: the same token has the same vector everywhere, as it stands in W_E",
        look_at="anything done to the rows after they are looked up",
        axes="batch pos d_model",
    )


def test_only_the_rows_that_were_read_get_a_gradient(Embed, draw, device):
    course = random_model(draw).embed
    tokens = torch.tensor([[3, 1, 3, 6, 0], [6, 6, 5, 1, 3]], device=device)
    upstream = draw.normal(2, 5, SMALL.d_model)
    embed = Embed(SMALL).load(weights_in(course))
    embed.backward(tokens, upstream=upstream)
    wanted = torch.autograd.grad(course(tokens), course.W_E, grad_outputs=upstream)[0]
    expect_close(
        embed.grads().get("W_E"),
        wanted,
        rule="a row's gradient is the sum of the gradients at all places where its token stands",
        look_at="detach(), .data, or a W_E that is no nn.Parameter",
        axes="d_vocab d_model",
        what="the gradient of W_E",
    )


# 1.3 PosEmbed


def placed(pos_embed, tokens):
    """What the learner's PosEmbed gives for the tokens, of which we know that it is a vector for each of every text."""
    (batch, pos), d_model, n_ctx = tokens.shape, SMALL.d_model, SMALL.n_ctx
    once = (
        "the batch: the rows are there once, and must come once for every text (repeat or expand them over the batch)"
    )
    all_rows = "how many rows of W_pos you take: as many as a text has tokens, W_pos[:pos]"
    return laid_out(
        pos_embed(tokens),
        (batch, pos, d_model),
        STREAM,
        rule="one vector for every token of every text",
        look_at="how many rows of W_pos you take, and whether they are repeated over the batch",
        causes=[
            ((n_ctx, d_model), all_rows),
            ((1, n_ctx, d_model), all_rows),
            ((batch, n_ctx, d_model), all_rows),
            ((pos, d_model), once),
            ((1, pos, d_model), once),
        ],
    )


def test_position_i_gets_row_i(PosEmbed, draw, device):
    W_pos = draw.normal(SMALL.n_ctx, SMALL.d_model)
    tokens = torch.tensor([[0, 5, 2, 7, 2, 1], [4, 4, 6, 0, 3, 1]], device=device)
    out = placed(PosEmbed(SMALL).load({"W_pos": W_pos}), tokens)
    expect_close(
        out[0],
        W_pos[:6],
        rule="position i gets row i of W_pos, counted from 0",
        look_at="which rows of W_pos you take",
        axes="pos d_model",
        what="the first text's result",
    )


def test_token_ids_do_not_matter_to_positions(PosEmbed, draw):
    pos_embed = PosEmbed(SMALL).load({"W_pos": draw.normal(SMALL.n_ctx, SMALL.d_model)})
    one = placed(pos_embed, draw.integers(0, SMALL.d_vocab, (3, 5)))
    two = placed(pos_embed, draw.integers(0, SMALL.d_vocab, (3, 5)))
    expect_close(
        two,
        one,
        rule="the vectors depend on positions only, so texts of the same length get the same",
        look_at="what you index W_pos with: token ids, or 0, 1, 2, …",
        axes="batch pos d_model",
        what="the result for other tokens",
    )


def test_every_text_of_the_batch_gets_the_same_positions(PosEmbed, draw, device):
    W_pos = draw.normal(SMALL.n_ctx, SMALL.d_model)
    tokens = draw.integers(0, SMALL.d_vocab, (4, SMALL.n_ctx))
    positions = torch.arange(SMALL.n_ctx, device=device).expand(4, -1)
    expect_close(
        placed(PosEmbed(SMALL).load({"W_pos": W_pos}), tokens),
        F.embedding(positions, W_pos),
        rule="rows 0 to pos - 1 of W_pos, for every text of the batch",
        look_at="how the rows are repeated over the batch",
        axes="batch pos d_model",
    )


def test_gradients_of_positions_are_summed_over_the_batch(PosEmbed, draw):
    course = random_model(draw).pos_embed
    tokens = draw.integers(0, SMALL.d_vocab, (3, 5))
    upstream = draw.normal(3, 5, SMALL.d_model)
    pos_embed = PosEmbed(SMALL).load(weights_in(course))
    pos_embed.backward(tokens, upstream=upstream)
    wanted = torch.zeros_like(course.W_pos)
    wanted[:5] = upstream.sum(dim=0)
    expect_close(
        pos_embed.grads().get("W_pos"),
        wanted,
        rule="each row gets the gradients of its position from every text",
        look_at="detach(), .data, or a W_pos that is no nn.Parameter",
        axes="n_ctx d_model",
        what="the gradient of W_pos",
    )


# 1.4 attention_pattern


def sdpa_pattern(q, k):
    """The pattern, read off PyTorch's attention: with one-hot values, what each query brings back is its row of shares."""
    batch, seq, head, _ = k.shape
    tags = torch.eye(seq, device=k.device, dtype=k.dtype).expand(batch, head, seq, seq)
    to_sdpa = "batch pos head d_head -> batch head pos d_head"
    return F.scaled_dot_product_attention(
        einops.rearrange(q, to_sdpa), einops.rearrange(k, to_sdpa), tags, is_causal=True
    )


def queries_and_keys(draw, batch=2, seq=7, head=3, d_head=5):
    return draw.normal(batch, seq, head, d_head, std=1.5), draw.normal(batch, seq, head, d_head, mean=0.3)


AXES = "batch head query key"


def pattern_of(attention_pattern, q, k):
    """The learner's pattern, of which we know that it has the right shape, and as exact a dtype as q."""
    batch, pos, head, _ = q.shape
    order = "the order of the axes after the arrow of einsum: batch head query key"
    names = (
        "the names in einsum: the head stands in both inputs and after the arrow, and the positions of q and k have two"
        " names, one for the query and one for the key"
    )
    pattern = laid_out(
        attention_pattern(q, k),
        (batch, head, pos, pos),
        AXES,
        rule="one matrix of query rows and key columns for every head of every text",
        look_at=order,
        causes=[
            ((batch, pos, head, head), f"which axes meet in the product: {PAIRED_HEADS}"),
            ((batch, head, pos), names),
            ((batch, pos, head), names),
            ((batch, pos, pos), names),
        ],
    )
    if not pattern.is_floating_point() or torch.finfo(pattern.dtype).eps > torch.finfo(q.dtype).eps:
        complain(
            f"the pattern has dtype {str(pattern.dtype)[6:]}, q and k have {str(q.dtype)[6:]}",
            rule="the result has the dtype of its inputs, and so their precision",
            look_at="tensors that you make yourself (give them dtype=q.dtype), and calls such as .half() or .float()",
        )
    return pattern


PAIRED_HEADS = (
    "`q @ k.transpose(-1, -2)` multiplies heads with heads, since in q and k the head stands before d_head; "
    "name the axes with einsum, or bring head before pos in both first"
)


def test_no_head_depends_on_another(attention_pattern, draw):
    # as many heads as positions: a product that pairs heads with heads runs here too, and is recognised
    q, k = queries_and_keys(draw, seq=4, head=4)
    other = k.clone()
    other[:, :, 1] = draw.normal(*k[:, :, 1].shape)
    before, after = pattern_of(attention_pattern, q, k), pattern_of(attention_pattern, q, other)
    if not torch.allclose(before[:, 0], after[:, 0], atol=1e-5):
        complain(
            "with 4 heads and 4 positions, the pattern of head 0 changes when only the keys of head 1 change",
            rule="a head's pattern is made of its own queries and keys, and the axes come back as batch head query key",
            look_at=f"softmax, which must not run over heads; and which axes meet in the product: {PAIRED_HEADS}",
        )


def test_every_head_has_a_matrix_of_queries_and_keys(attention_pattern, draw):
    pattern_of(attention_pattern, *queries_and_keys(draw))


def test_shares_lie_between_0_and_1(attention_pattern, draw):
    q, k = queries_and_keys(draw)
    pattern = pattern_of(attention_pattern, q, k)
    outside = (~((pattern >= 0) & (pattern <= 1 + 1e-5))).nonzero()
    if len(outside):
        batch, head, query, key = outside[0].tolist()
        complain(
            f"query {query} puts {pattern[batch, head, query, key]:.3g} on key {key}",
            rule="a share is a number between 0 and 1",
            look_at="softmax: is it there, and is what it gives what you return?",
            picture=(pattern[batch, head], sdpa_pattern(q, k)[batch, head]),
            picture_axes=("query", "key"),
        )


def test_every_query_may_read_its_own_position(attention_pattern, draw):
    q, k = queries_and_keys(draw)
    pattern = pattern_of(attention_pattern, q, k)
    own = pattern.diagonal(dim1=-2, dim2=-1)
    blind = (~(own > 0)).nonzero()
    if len(blind):
        batch, head, query = blind[0].tolist()
        share = own[batch, head, query].item()
        seen = "has NaN on itself: all its scores are masked" if math.isnan(share) else f"puts {share:.3g} on itself"
        complain(
            f"query {query} {seen}",
            rule="a query may read its own position and all earlier ones; query 0 has only itself",
            look_at="whether the mask leaves the diagonal free",
            picture=(pattern[batch, head], sdpa_pattern(q, k)[batch, head]),
            picture_axes=("query", "key"),
        )


def test_no_query_reads_a_later_key(attention_pattern, draw):
    q, k = queries_and_keys(draw)
    pattern = pattern_of(attention_pattern, q, k)
    leaks = pattern.triu(diagonal=1).nonzero()
    if len(leaks):
        batch, head, query, key = leaks[0].tolist()
        complain(
            f"query {query} puts {pattern[batch, head, query, key]:.2g} on key {key}, which comes after it",
            rule="a key that comes after its query gets exactly 0",
            look_at="which triangle you mask, and what you put there before softmax",
            picture=(pattern[batch, head], sdpa_pattern(q, k)[batch, head]),
            picture_axes=("query", "key"),
        )


def test_the_shares_of_every_query_sum_to_1(attention_pattern, draw):
    q, k = queries_and_keys(draw)
    pattern = pattern_of(attention_pattern, q, k)
    sums = pattern.sum(dim=-1)
    wrong = (~((sums - 1).abs() < 1e-4)).nonzero()
    if len(wrong):
        batch, head, query = wrong[0].tolist()
        complain(
            f"the shares of query {query} sum to {sums[batch, head, query]:.3g}",
            rule="each query divides its attention: every row sums to 1, over keys",
            look_at="the axis of softmax, and whether anything is changed after it",
            picture=(pattern[batch, head], sdpa_pattern(q, k)[batch, head]),
            picture_axes=("query", "key"),
        )


def test_a_query_of_zeros_divides_itself_equally(attention_pattern, draw, device):
    q, k = queries_and_keys(draw)
    seq = q.shape[1]
    pattern = pattern_of(attention_pattern, torch.zeros_like(q), k)
    equal = torch.ones(seq, seq, device=device).tril() / torch.arange(1, seq + 1, device=device)[:, None]
    expect_close(
        pattern,
        equal.expand_as(pattern),
        rule="where all scores are equal, query i gives 1/(i+1) to each of the keys 0 to i",
        look_at="what masked scores are set to: only minus infinity leaves nothing after softmax",
        axes=AXES,
    )


def test_a_query_looks_where_a_key_fits_it(attention_pattern, device):
    seq, n_heads = 7, 3
    tags = torch.eye(seq, device=device)
    k = tags[None, :, None].expand(2, seq, n_heads, seq)
    back = [max(query - head, 0) for query in range(seq) for head in range(n_heads)]
    q = 60 * tags[back].reshape(1, seq, n_heads, seq).expand(2, -1, -1, -1)
    pattern = pattern_of(attention_pattern, q, k)
    for head in range(n_heads):
        for query in range(seq):
            wanted, found = max(query - head, 0), pattern[1, head, query].argmax().item()
            if found != wanted:
                complain(
                    f"in head {head}, the query at position {query} fits the key at position {wanted} only, but looks at {found}",
                    rule="row i of a head's pattern belongs to query i: the dot products of q[i] with every k[j] of that head",
                    look_at="the einsum: which letter goes with q, which with k, and whether the head stays in both",
                    picture=(pattern[1, head], tags[[max(i - head, 0) for i in range(seq)]]),
                    picture_axes=("query", "key"),
                )


def test_scores_are_divided_by_the_root_of_the_head_size(attention_pattern, draw):
    for d_head in (3, 13):
        q, k = queries_and_keys(draw, seq=2, d_head=d_head)
        gap = 2.0  # of the two dot products of query 1, before they are scaled
        k[:, 0] = k[:, 1] + gap * q[:, 1] / q[:, 1].square().sum(-1, keepdim=True)
        pattern = pattern_of(attention_pattern, q, k)
        low, high = pattern[..., 1, 1], pattern[..., 1, 0]
        scale = ((high / low).log() / gap).flatten()
        worst = scale[(scale - d_head**-0.5).abs().argmax()].item()
        if not abs(worst - d_head**-0.5) < 1e-2 * d_head**-0.5:
            complain(
                f"with d_head = {d_head}, scores are dot products times {worst:.3g}",
                rule=f"dot products are divided by the root of d_head: times 1/√{d_head} = {d_head**-0.5:.3g}",
                look_at="what you divide the scores by, and whether it happens before softmax",
            )


def test_heads_and_texts_do_not_mix(attention_pattern, draw):
    q, k = queries_and_keys(draw)
    before = pattern_of(attention_pattern, q, k)
    q2, k2 = queries_and_keys(draw)
    q2[1, :, 2], k2[1, :, 2] = q[1, :, 2], k[1, :, 2]
    after = pattern_of(attention_pattern, q2, k2)
    expect_close(
        after[1, 2],
        before[1, 2],
        rule="the pattern of text 1, head 2 is made of that head's own queries and keys",
        look_at="whether batch and head stand in both inputs and in the output of einsum",
        axes="query key",
        what="the pattern of text 1, head 2, after all others were changed,",
    )


def test_large_scores_do_not_overflow(attention_pattern, draw):
    q, k = queries_and_keys(draw)
    expect_close(
        pattern_of(attention_pattern, 10 * q, 10 * k),
        sdpa_pattern((10 * q).double(), (10 * k).double()).float(),
        rule="large scores are no harm: softmax subtracts the largest of a row first, so that exp cannot overflow",
        look_at="a softmax written as exp / sum: use .softmax(dim=-1), or subtract each row's maximum; mask with -inf",
        axes=AXES,
        atol=1e-3,
    )


def test_the_pattern_is_the_one_that_pytorch_attends_with(attention_pattern, draw):
    q, k = queries_and_keys(draw)
    expect_close(
        pattern_of(attention_pattern, q, k),
        sdpa_pattern(q, k),
        rule="softmax over keys of q·k / √d_head, with later keys masked",
        look_at="the first row that differs: what does query 1 see?",
        axes=AXES,
    )


def test_the_pattern_of_float64_queries_is_float64(attention_pattern, draw):
    q, k = (tensor.double() for tensor in queries_and_keys(draw))
    expect_close(
        pattern_of(attention_pattern, q, k),
        sdpa_pattern(q, k),
        dtype=torch.float64,
        rule="the result has the dtype of its inputs, and its precision",
        look_at="tensors that you make yourself, and calls such as .float()",
        axes=AXES,
        atol=1e-9,
        rtol=1e-6,
    )


# 1.5 Attention


def written(
    layer, x, *, rule="the layer writes one vector of d_model numbers for every vector that it reads", causes=()
):
    """What the learner's layer writes when it reads x, of which we know that it has the shape of x."""
    look_at = "the axes after the arrow of the last einsum: batch pos d_model"
    return laid_out(layer(x), x.shape, STREAM, rule=rule, look_at=look_at, causes=causes)


def attended(attn, x, cfg=SMALL):
    """What the learner's attention layer writes when it reads x, of which we know that it has the shape of x."""
    (batch, pos, d_model), head, d_head = x.shape, cfg.n_heads, cfg.d_head
    heads_left = "the last einsum: heads are summed, so the head axis does not come back after the arrow"
    pattern = "what you return: this is the shape of the pattern; values and W_O are still to come"
    z = "what you return: this is the shape of z; the product with W_O is still to come"
    return written(
        attn,
        x,
        causes=[
            ((batch, pos, head, d_model), heads_left),
            ((batch, head, pos, d_model), heads_left),
            ((batch, pos, head * d_model), heads_left),
            ((batch, head, pos, pos), pattern),
            ((batch, pos, head, d_head), z),
            ((batch, head, pos, d_head), z),
            ((batch, pos, head * d_head), z),
        ],
    )


def test_the_same_input_gives_the_same_result_twice(Attention, draw):
    attn = Attention(SMALL).load(weights_in(random_model(draw).blocks[0].attn))
    x = stream(draw)
    expect_close(
        attended(attn, x),
        attended(attn, x),
        rule="nothing in the layer is left to chance",
        look_at="dropout: there is none in this model",
        axes="batch pos d_model",
        what="the second result",
    )


def what_each_position_offers(x, weights):
    """For each head and position, what would reach the residual stream if that position alone were read."""
    v = einops.einsum(x, weights["W_V"], "b p m, h m d -> b h p d") + weights["b_V"][:, None]
    return einops.einsum(v, weights["W_O"], "b h p d, h d m -> b h p m")


def sdpa_attention(x, weights):
    """Multi-head attention by PyTorch, for any d_head."""
    q, k, v = (
        torch.stack(
            [x @ weights[f"W_{name}"][head] + weights[f"b_{name}"][head] for head in range(len(weights["W_Q"]))], dim=1
        )
        for name in "QKV"
    )
    z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return sum(z[:, head] @ weights["W_O"][head] for head in range(z.shape[1])) + weights["b_O"]


def test_the_output_bias_is_added_once(Attention, draw, device):
    weights = weights_in(random_model(draw).blocks[0].attn)
    weights["W_O"].zero_()
    x = stream(draw)
    expect_close(
        attended(Attention(SMALL).load(weights), x),
        weights["b_O"].expand_as(x),
        rule="with W_O = 0 the layer writes b_O at each position, once and not once per head, and nothing else",
        look_at="whether what you return has gone through W_O, whether b_O is added after the sum over heads, and whether"
        " x itself is added",
        axes="batch pos d_model",
    )


def test_the_first_position_brings_back_its_own_value(Attention, draw):
    weights = weights_in(random_model(draw).blocks[0].attn)
    x = stream(draw)
    out = attended(Attention(SMALL).load(weights), x)
    expect_close(
        out[:, 0],
        what_each_position_offers(x, weights).sum(dim=1)[:, 0] + weights["b_O"],
        rule="position 0 can only read itself: its result is (x W_V + b_V) W_O, summed over heads, plus b_O",
        look_at="how values are made and how they go out through W_O: no pattern matters here",
        axes="batch d_model",
        what="the result at position 0",
    )


def test_where_all_keys_are_alike_the_values_are_averaged(Attention, draw, device):
    weights = weights_in(random_model(draw).blocks[0].attn)
    weights["W_K"].zero_()
    x = stream(draw)
    offers = what_each_position_offers(x, weights).sum(dim=1)
    counts = torch.arange(1, x.shape[1] + 1, device=device)[:, None]
    expect_close(
        attended(Attention(SMALL).load(weights), x),
        offers.cumsum(dim=1) / counts + weights["b_O"],
        rule="with W_K = 0 no key stands out, so query i brings back the average of the values at positions 0 to i",
        look_at="whether values are mixed by the pattern, which axis of it meets the value's position, and that keys come"
        " from W_K, values from W_V",
        axes="batch pos d_model",
    )


def test_a_query_is_more_than_its_bias_and_its_bias_counts(Attention, draw):
    weights = weights_in(random_model(draw).blocks[0].attn)
    weights["W_Q"].zero_()
    weights["b_Q"] = draw.normal(*weights["b_Q"].shape, std=2.0)
    x = stream(draw)
    expect_close(
        attended(Attention(SMALL).load(weights), x),
        sdpa_attention(x, weights),
        rule="with W_Q = 0 every query is b_Q, which prefers some keys to others",
        look_at="whether b_Q is added to the queries, and whether queries come from W_Q",
        axes="batch pos d_model",
    )


def test_each_head_reads_and_writes_with_its_own_matrices(Attention, draw):
    weights = weights_in(random_model(draw).blocks[0].attn)
    x = stream(draw)
    for head in range(SMALL.n_heads):
        alone = dict(weights, W_O=torch.zeros_like(weights["W_O"]))
        alone["W_O"][head] = weights["W_O"][head]
        expect_close(
            attended(Attention(SMALL).load(alone), x),
            sdpa_attention(x, alone),
            rule="a head's queries, keys, values and output all use that head's own slices of the weights",
            look_at="reshapes that split or join (head d_head): does the head axis stay whole?",
            axes="batch pos d_model",
            what=f"the result with only head {head} writing",
            atol=1e-4,
        )


def test_a_change_at_the_end_leaves_everything_before_it(Attention, draw):
    attn = Attention(SMALL).load(weights_in(random_model(draw).blocks[0].attn))
    x = stream(draw)
    changed = x.clone()
    changed[:, -1] = draw.normal(*x[:, -1].shape)
    before, after = attended(attn, x), attended(attn, changed)
    expect_close(
        after[:, :-1],
        before[:, :-1],
        rule="a position reads itself and earlier positions only",
        look_at="the mask, and the axis of the pattern that values are summed over",
        axes="batch pos d_model",
        what="the result before the changed position",
    )


def test_the_layer_writes_what_the_attention_of_gpt2_writes(Attention, draw):
    course = random_model(draw).blocks[0].attn
    x = stream(draw, pos=6)
    expect_close(
        attended(Attention(SMALL).load(weights_in(course)), x),
        course(x),
        rule="the same as transformers' GPT-2 attention with the same weights",
        look_at="each step against the table above the exercise",
        axes="batch pos d_model",
        atol=1e-4,
    )


def test_heads_may_have_any_width(Attention, draw):
    cfg = TransformerConfig(d_model=7, d_vocab=8, n_ctx=10, n_layers=2, n_heads=3, d_head=5, d_mlp=17)
    shapes = {
        "W_Q": (3, 7, 5),
        "W_K": (3, 7, 5),
        "W_V": (3, 7, 5),
        "W_O": (3, 5, 7),
        "b_Q": (3, 5),
        "b_K": (3, 5),
        "b_V": (3, 5),
        "b_O": (7,),
    }
    weights = {name: draw.normal(*shape, std=0.6) for name, shape in shapes.items()}
    x = draw.normal(2, 6, 7)
    expect_close(
        attended(Attention(cfg).load(weights), x, cfg),
        sdpa_attention(x, weights),
        rule="d_head comes from the configuration; it need not be d_model / n_heads",
        look_at="sizes computed from d_model: use cfg.d_head, or let einsum find them",
        axes="batch pos d_model",
        atol=1e-4,
    )


def test_attention_sends_gradients_to_all_its_weights(Attention, draw):
    course = random_model(draw).blocks[0].attn
    x = stream(draw)
    # small, so that rounding does not hide that two ways to write one mistake give the same
    expect_same_gradients(Attention(SMALL).load(weights_in(course)), course, x, draw.normal(*x.shape, std=0.2))


# 1.6 MLP


def test_matrices_start_as_noise_and_biases_as_zeros(MLP, device):
    cfg = TransformerConfig(d_model=40, d_vocab=8, n_ctx=10, n_layers=2, n_heads=3, d_head=4, d_mlp=70, init_range=0.3)
    zeros = {"b_in": torch.zeros(70, device=device), "b_out": torch.zeros(40, device=device)}
    expect_start(MLP(cfg), {"W_in": (40, 70), **zeros, "W_out": (70, 40)}, init_range=cfg.init_range)


def worked(mlp, x):
    """What the learner's MLP writes when it reads x, of which we know that it has the shape of x."""
    neurons = "what you return: these are the neurons; the product with W_out brings them back to d_model"
    return written(mlp, x, causes=[((*x.shape[:2], SMALL.d_mlp), neurons)])


def test_a_neuron_bends_what_it_reads_as_the_neurons_of_gpt2_do(MLP, device):
    d_model, d_mlp = SMALL.d_model, SMALL.d_mlp
    straight = {
        "W_in": torch.eye(d_model, d_mlp, device=device),
        "b_in": torch.zeros(d_mlp, device=device),
        "W_out": torch.eye(d_mlp, d_model, device=device),
        "b_out": torch.zeros(d_model, device=device),
    }
    x = torch.linspace(-4.3, 3.9, 2 * 5 * d_model, device=device).reshape(2, 5, d_model)
    out = worked(MLP(SMALL).load(straight), x)
    expected = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    gap = (out - expected).abs()
    if not gap.max() < 2e-5:
        worst = gap.flatten().nan_to_num(nan=1e9).argmax()
        visible = bool(gap.max() > 0.1)  # two curves that lie on each other show nothing
        complain(
            f"with weights that pass numbers straight through, {x.flatten()[worst]:.3f} comes out as"
            f" {out.flatten()[worst]:.4f}, gelu_new of it is {expected.flatten()[worst]:.4f}",
            rule="between the two matrices stands gelu_new, GELU by its tanh approximation",
            look_at="the activation: F.gelu(x, approximate='tanh')",
            picture=(out.flatten(), expected.flatten()) if visible else None,
            picture_axes=("numbers from -4.3 to 3.9",),
        )


def test_one_bias_comes_before_the_activation_and_one_after(MLP, draw, device):
    weights = weights_in(random_model(draw).blocks[0].mlp)
    weights["W_in"].zero_()
    x = stream(draw)
    at_rest = F.gelu(weights["b_in"], approximate="tanh") @ weights["W_out"] + weights["b_out"]
    expect_close(
        worked(MLP(SMALL).load(weights), x),
        at_rest.expand_as(x),
        rule="with W_in = 0 each position gets gelu_new(b_in) W_out + b_out",
        look_at="whether both biases are used, each on its side of the activation, and whether x itself is added",
        axes="batch pos d_model",
    )


def test_the_layer_writes_what_an_mlp_of_gpt2_writes(MLP, draw):
    course = random_model(draw).blocks[0].mlp
    x = stream(draw, pos=6)
    expect_close(
        worked(MLP(SMALL).load(weights_in(course)), x),
        course(x),
        rule="the same as transformers' GPT-2 MLP with the same weights",
        look_at="each step against the formula above the exercise",
        axes="batch pos d_model",
        atol=2e-5,
        rtol=2e-5,
    )


def test_the_mlp_sends_gradients_to_all_its_weights(MLP, draw):
    course = random_model(draw).blocks[0].mlp
    x = stream(draw)
    expect_same_gradients(MLP(SMALL).load(weights_in(course)), course, x, draw.normal(*x.shape))


# 1.7 TransformerBlock


def silenced(weights, *names):
    """The same weights, with these at zero."""
    return {name: torch.zeros_like(value) if name in names else value for name, value in weights.items()}


ATTENTION_WRITES, MLP_WRITES = ("attn.W_O", "attn.b_O"), ("mlp.W_out", "mlp.b_out")


def passed_on(block, x):
    """The stream after the learner's block, of which we know that it has the shape of x."""
    return laid_out(
        block(x),
        x.shape,
        STREAM,
        rule="a stream goes into a block, and a stream of the same shape comes out",
        look_at="the `return` of forward: is it the whole stream?",
    )


def test_a_block_that_writes_nothing_leaves_the_stream_as_it_is(TransformerBlock, draw):
    weights = weights_in(random_model(draw).blocks[0])
    x = stream(draw)
    expect_close(
        passed_on(TransformerBlock(SMALL).load(silenced(weights, *ATTENTION_WRITES, *MLP_WRITES)), x),
        x,
        rule="where attention and MLP write zeros, the stream comes out as it came in",
        look_at="both additions: is the stream itself, not its normalised copy, on the left of the plus?",
        axes="batch pos d_model",
    )


def test_attention_reads_through_the_first_norm_and_adds_to_the_stream(TransformerBlock, draw):
    course = random_model(draw).blocks[0]
    x = stream(draw)
    expect_close(
        passed_on(TransformerBlock(SMALL).load(silenced(weights_in(course), *MLP_WRITES)), x),
        x + course.attn(course.ln1(x)),
        rule="where the MLP writes zeros, a block gives x + attn(ln1(x))",
        look_at="the first addition: what attention reads, and what its result is added to",
        axes="batch pos d_model",
        atol=1e-4,
    )


def test_the_mlp_reads_through_the_second_norm_and_adds_to_the_stream(TransformerBlock, draw):
    course = random_model(draw).blocks[0]
    x = stream(draw)
    expect_close(
        passed_on(TransformerBlock(SMALL).load(silenced(weights_in(course), *ATTENTION_WRITES)), x),
        x + course.mlp(course.ln2(x)),
        rule="where attention writes zeros, a block gives x + mlp(ln2(x))",
        look_at="the second addition: which LayerNorm the MLP reads through, and what its result is added to",
        axes="batch pos d_model",
        atol=1e-4,
    )


def test_the_mlp_reads_what_attention_has_written(TransformerBlock, draw):
    course = random_model(draw).blocks[0]
    weights = weights_in(course)
    weights["attn.b_O"] = draw.normal(SMALL.d_model, std=2.0)
    weights["attn.W_O"].zero_()
    x = stream(draw)
    resid_mid = x + weights["attn.b_O"]
    expect_close(
        passed_on(TransformerBlock(SMALL).load(weights), x),
        resid_mid + course.mlp(course.ln2(resid_mid)),
        rule="the MLP reads the stream after attention has written to it (resid_mid), not the block's input",
        look_at="what you give to ln2",
        axes="batch pos d_model",
        atol=1e-4,
    )


def test_the_stream_comes_out_as_out_of_a_block_of_gpt2(TransformerBlock, draw):
    course = random_model(draw).blocks[1]
    x = stream(draw, pos=6)
    expect_close(
        passed_on(TransformerBlock(SMALL).load(weights_in(course)), x),
        gpt2_block(course)(x),
        rule="the same as transformers' GPT-2 block with the same weights",
        look_at="each step against the table above the exercise",
        axes="batch pos d_model",
        atol=1e-4,
    )


def gpt2_block(course):
    """transformers' own GPT-2 block, with the weights of one of the course's."""
    from transformers.models.gpt2.modeling_gpt2 import GPT2Block

    block = GPT2Block(SMALL.to_gpt2(attn_implementation="sdpa"), layer_idx=0).eval()
    attn, mlp = course.attn, course.mlp
    joined = "head d_model d_head -> d_model (head d_head)"
    weights = {
        "ln_1.weight": course.ln1.w,
        "ln_1.bias": course.ln1.b,
        "ln_2.weight": course.ln2.w,
        "ln_2.bias": course.ln2.b,
        "attn.c_attn.weight": torch.cat([einops.rearrange(W, joined) for W in (attn.W_Q, attn.W_K, attn.W_V)], dim=1),
        "attn.c_attn.bias": torch.cat([b.flatten() for b in (attn.b_Q, attn.b_K, attn.b_V)]),
        "attn.c_proj.weight": einops.rearrange(attn.W_O, "head d_head d_model -> (head d_head) d_model"),
        "attn.c_proj.bias": attn.b_O,
        "mlp.c_fc.weight": mlp.W_in,
        "mlp.c_fc.bias": mlp.b_in,
        "mlp.c_proj.weight": mlp.W_out,
        "mlp.c_proj.bias": mlp.b_out,
    }
    block.load_state_dict(weights)
    return block.to(attn.W_Q.device)


def test_gradients_reach_everything_in_the_block(TransformerBlock, draw):
    course = random_model(draw).blocks[0]
    x = stream(draw)
    expect_same_gradients(TransformerBlock(SMALL).load(weights_in(course)), course, x, draw.normal(*x.shape))


# 1.8 Unembed


def scored(module, x, d_vocab=SMALL.d_vocab):
    """The logits that the learner's module gives, of which we know that there is one per token at every position."""
    batch, pos = x.shape[:2]
    last = (
        "whether forward takes one position only, as `[:, -1]` does: every position has its own next token to predict"
    )
    ids = "argmax: what comes back are the scores themselves, not the best token's number"
    still_stream = "what you return: these are vectors of the stream; the product with W_U is still to come"
    return laid_out(
        module(x),
        (batch, pos, d_vocab),
        LOGITS,
        rule="one logit per token of the vocabulary, at every position of every text",
        look_at="the last product: d_model is summed away, d_vocab comes in its place, batch and pos stay",
        causes=[
            ((batch, d_vocab), last),
            ((batch, 1, d_vocab), last),
            ((batch, pos), ids),
            ((batch,), ids),
            ((batch, pos, SMALL.d_model), still_stream),
        ],
    )


def test_where_nothing_else_speaks_the_logits_are_the_bias(Unembed, draw, device):
    b_U = draw.normal(SMALL.d_vocab, mean=0.5)
    weights = {"W_U": torch.zeros(SMALL.d_model, SMALL.d_vocab, device=device), "b_U": b_U}
    expect_close(
        scored(Unembed(SMALL).load(weights), stream(draw)),
        b_U.expand(2, 5, -1),
        rule="where W_U is zero, every position's logits are b_U as it stands",
        look_at="whether b_U is added, and whether anything is done to the logits afterwards",
        axes="batch pos d_vocab",
    )


def test_logits_are_scores_and_not_probabilities(Unembed, draw, device):
    weights = {"W_U": draw.normal(SMALL.d_model, SMALL.d_vocab), "b_U": draw.normal(SMALL.d_vocab)}
    x = stream(draw)
    logits = scored(Unembed(SMALL).load(weights), x)
    normalised = "probabilities" if torch.allclose(logits.sum(-1), torch.ones(2, 5, device=device), atol=1e-3) else ""
    normalised = normalised or (
        "log-probabilities" if torch.allclose(logits.logsumexp(-1), torch.zeros(2, 5, device=device), atol=1e-3) else ""
    )
    if normalised:
        complain(
            f"the results are {normalised}",
            rule="the unembedding returns logits; softmax is left to whoever needs it",
            look_at="softmax or log_softmax in forward",
            picture=(logits[0], F.linear(x, weights["W_U"].T, weights["b_U"])[0]),
            picture_axes=("pos", "token"),
        )


def test_every_logit_is_a_dot_product_plus_a_bias(Unembed, draw):
    weights = {"W_U": draw.normal(SMALL.d_model, SMALL.d_vocab), "b_U": draw.normal(SMALL.d_vocab)}
    x = stream(draw)
    expect_close(
        scored(Unembed(SMALL).load(weights), x),
        F.linear(x, weights["W_U"].T, weights["b_U"]),
        rule="the logit of token t is the dot product of the stream with column t of W_U, plus b_U[t]",
        look_at="anything done to the stream before, or to the logits after",
        axes="batch pos d_vocab",
        atol=1e-4,
    )


def test_gradients_reach_both_the_matrix_and_the_bias(Unembed, draw):
    course = random_model(draw).unembed
    x = stream(draw)
    expect_same_gradients(Unembed(SMALL).load(weights_in(course)), course, x, draw.normal(2, 5, SMALL.d_vocab))


# 1.9 Transformer


@lru_cache(maxsize=4)
def shipped_course_model(device):
    return CourseTransformer.from_name("organism").to(device)


@lru_cache(maxsize=4)
def shipped_through_transformer_lens(device):
    from utils.models.loading import load_model

    return load_model("organism", device=device)


def tokens_for(draw, cfg=SMALL, batch=3, pos=7):
    return draw.integers(0, cfg.d_vocab, (batch, pos))


def without_blocks(course):
    """The model's weights with all writes of its blocks at zero: only embeddings, final LayerNorm and unembedding are left."""
    weights = weights_in(course)
    writes = [f"blocks.{i}.{name}" for i in range(course.cfg.n_layers) for name in (*ATTENTION_WRITES, *MLP_WRITES)]
    return silenced(weights, *writes)


def test_trained_weights_find_parameters_of_their_names(Transformer, draw):
    Transformer(DEEP).load(weights_in(random_model(draw, DEEP)))


def test_the_same_token_at_other_positions_gets_other_logits(Transformer, draw, device):
    model = Transformer(DEEP).load(weights_in(random_model(draw, DEEP)))
    tokens = torch.full((2, 6), 5, device=device)
    logits = scored(model, tokens)
    if torch.allclose(logits, logits[:, :1].expand_as(logits), atol=1e-4):
        complain(
            "a text that repeats one token gets the same logits at every position",
            rule="the stream starts as the token's embedding plus the position's",
            look_at="the first line of forward: is pos_embed(tokens) added?",
        )


def test_without_its_blocks_the_model_embeds_normalises_and_unembeds(Transformer, draw):
    course = random_model(draw, DEEP)
    weights = without_blocks(course)
    tokens = tokens_for(draw)
    resid = F.embedding(tokens, weights["embed.W_E"]) + weights["pos_embed.W_pos"][: tokens.shape[1]]
    read = F.layer_norm(resid, (SMALL.d_model,), weights["ln_final.w"], weights["ln_final.b"], SMALL.eps)
    expect_close(
        scored(Transformer(DEEP).load(weights), tokens),
        F.linear(read, weights["unembed.W_U"].T, weights["unembed.b_U"]),
        rule="where the blocks write zeros, the logits are unembed(ln_final(embed(tokens) + pos_embed(tokens)))",
        look_at="what stands before the loop over the blocks, and what stands after it",
        axes="batch pos d_vocab",
        atol=1e-4,
    )


def test_every_block_is_run_and_its_result_is_used(Transformer, draw):
    course = random_model(draw, DEEP)
    tokens = tokens_for(draw)
    for layer in range(DEEP.n_layers):
        others = [i for i in range(DEEP.n_layers) if i != layer]
        weights = silenced(
            weights_in(course), *(f"blocks.{i}.{n}" for i in others for n in (*ATTENTION_WRITES, *MLP_WRITES))
        )
        block = course.blocks[layer]
        expect_close(
            scored(Transformer(DEEP).load(weights), tokens),
            course.unembed(course.ln_final(block(course.embed(tokens) + course.pos_embed(tokens)))),
            rule="each block of self.blocks takes the stream and returns the stream for the next one",
            look_at="the loop: is what the block returns put back into the stream, is it each block in turn, and does"
            " `return` stand after the loop, not in it?",
            axes="batch pos d_vocab",
            what=f"the result with only block {layer} writing",
            atol=1e-4,
        )


def test_the_logits_are_those_of_gpt2_with_the_same_weights(Transformer, draw):
    course = random_model(draw, DEEP)
    tokens = tokens_for(draw, pos=DEEP.n_ctx)
    expect_close(
        scored(Transformer(DEEP).load(weights_in(course)), tokens),
        course(tokens),
        rule="the same logits as transformers' GPT-2 with the same weights",
        look_at="the order of the blocks: first to last",
        axes="batch pos d_vocab",
        atol=2e-4,
    )


def test_a_later_token_changes_no_earlier_logits(Transformer, draw):
    model = Transformer(DEEP).load(weights_in(random_model(draw, DEEP)))
    tokens = tokens_for(draw)
    changed = tokens.clone()
    changed[:, -1] = (tokens[:, -1] + 3) % SMALL.d_vocab
    expect_close(
        scored(model, changed)[:, :-1],
        scored(model, tokens)[:, :-1],
        rule="logits at a position depend on its own token and on earlier ones only",
        look_at="anything that mixes positions outside of attention",
        axes="batch pos d_vocab",
        what="the logits before the changed token",
        atol=1e-4,
    )


def test_gradients_reach_every_parameter_of_the_model(Transformer, draw):
    course = random_model(draw, DEEP)
    model = Transformer(DEEP).load(weights_in(course))
    tokens = tokens_for(draw)
    upstream = draw.normal(3, 7, SMALL.d_vocab)
    model.backward(tokens, upstream=upstream)
    grads = model.grads()
    named = dict(course.named_parameters())
    wanted = torch.autograd.grad(course(tokens), list(named.values()), grad_outputs=upstream)
    for name, gradient in zip(named, wanted):
        expect_close(
            grads.get(name),
            gradient,
            rule="training moves every parameter, so a gradient must reach each",
            look_at="detach(), .data, torch.no_grad(), or blocks kept in a plain list",
            what=f"the gradient of {name}",
            atol=1e-3,
            rtol=1e-2,
        )


def test_with_trained_weights_the_logits_are_those_of_the_trained_model(Transformer, draw, device):
    course = shipped_course_model(device)
    tokens = torch.cat(
        [torch.zeros(2, 1, dtype=torch.long, device=device), draw.integers(2, course.cfg.d_vocab, (2, 23))], dim=1
    )
    with torch.no_grad():
        logits = course(tokens)
        lens = shipped_through_transformer_lens(device)(tokens).log_softmax(dim=-1)
    mine = scored(Transformer(course.cfg).load(weights_in(course)), tokens, course.cfg.d_vocab)
    look_at = "the checks above: if they pass, a number you have fixed, such as eps or a size, that belongs to cfg"
    expect_close(
        mine,
        logits,
        rule="with the organism's weights, the logits of transformers' GPT-2 within 1e-3",
        look_at=look_at,
        axes="batch pos d_vocab",
        atol=1e-3,
    )
    expect_close(
        mine.log_softmax(dim=-1),
        lens,
        rule="with the organism's weights, the log-probabilities of TransformerLens within 1e-3",
        look_at=look_at,
        axes="batch pos d_vocab",
        atol=1e-3,
    )


# ---------------------------------------------------------------- 1.10 next_token_loss


def test_knowing_nothing_costs_the_log_of_the_vocabulary(next_token_loss, draw):
    level = draw.normal(3, 6, 1, std=4.0)  # equal logits are the uniform distribution, whatever their height
    loss = next_token_loss(level.expand(3, 6, 11).clone(), draw.integers(0, 11, (3, 6)))
    expect_close(
        loss,
        torch.tensor(math.log(11), device=level.device),
        rule="where all 11 tokens have equal logits, every surprise is ln 11, and so is the mean",
        look_at="mean or sum, softmax over the last axis, natural logarithm",
        what="the loss of equal logits",
    )


def test_being_sure_of_the_next_token_and_right_costs_nothing(next_token_loss, draw):
    tokens = torch.stack([draw.permutation(9)[:7] for _ in range(3)])
    logits = draw.normal(3, 7, 9)
    logits[:, :-1] += 40.0 * F.one_hot(tokens[:, 1:], 9)
    expect_close(
        next_token_loss(logits, tokens),
        torch.tensor(0.0, device=logits.device),
        rule="logits at position p are a guess about the token at p + 1; here all of these guesses are right and sure",
        look_at="which position of the logits meets which position of the tokens",
        what="the loss of a model that always knows the next token",
    )


def test_the_last_guess_has_no_answer_and_does_not_count(next_token_loss, draw):
    logits, tokens = draw.normal(3, 5, 8, std=2.0), draw.integers(0, 8, (3, 5))
    other = logits.clone()
    other[:, -1] = draw.normal(3, 8, mean=1.0, std=5.0)
    before, after = next_token_loss(logits, tokens), next_token_loss(other, tokens)
    expect_close(
        after,
        before,
        rule="the token after the last position is not in the window, so the last logits cannot be marked",
        look_at="logits[:, :-1]",
        what="the loss, after only the last position's logits changed,",
    )


def test_the_first_token_is_never_guessed(next_token_loss, draw):
    logits, tokens = draw.normal(4, 5, 8, std=2.0), draw.integers(0, 8, (4, 5))
    other = tokens.clone()
    other[:, 0] = (other[:, 0] + 3) % 8
    before, after = next_token_loss(logits, tokens), next_token_loss(logits, other)
    expect_close(
        after,
        before,
        rule="no logits come before the first token, so it is nobody's answer",
        look_at="tokens[:, 1:]",
        what="the loss, after only the first tokens changed,",
    )


def test_the_loss_is_the_mean_surprise(next_token_loss, device):
    # two windows with two guesses each: the right tokens get 1/2, 1/4, 1/8 and 1/8
    probs = [[[1, 2, 1], [1, 1, 2], [1, 5, 2]], [[6, 1, 1], [1, 5, 2], [3, 3, 2]]]
    probs = torch.tensor(probs, device=device, dtype=torch.float32)
    probs = probs / probs.sum(-1, keepdim=True)
    tokens = torch.tensor([[2, 1, 0], [0, 1, 0]], device=device)
    heights = torch.tensor([[[0.3], [-2.0], [1.0]], [[5.0], [-1.0], [0.2]]], device=device)
    expect_close(
        next_token_loss(probs.log() + heights, tokens),
        torch.tensor((math.log(2) + math.log(4) + 2 * math.log(8)) / 4, device=device),
        rule="the four right tokens have probability 1/2, 1/4, 1/8, 1/8; the loss is the mean of ln 2, ln 4, ln 8, ln 8",
        look_at="the order of logarithm and mean, and what you divide by",
    )


def test_the_loss_is_pytorchs_cross_entropy(next_token_loss, draw):
    logits, tokens = draw.normal(3, 7, 13, mean=-1.0, std=3.0), draw.integers(0, 13, (3, 7))
    expect_close(
        next_token_loss(logits, tokens),
        F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:]),
        rule="the same as F.cross_entropy between the guesses at 0 … n-2 and the tokens at 1 … n-1",
        look_at="that batch and position are flattened in the same order in logits and tokens",
    )


def test_hopeless_guesses_cost_much_but_not_infinity(next_token_loss, draw):
    logits, tokens = draw.normal(2, 5, 7, std=400.0), draw.integers(0, 7, (2, 5))
    expect_close(
        next_token_loss(logits, tokens),
        F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:]),
        rule="a logit far below the others has a log-probability of about the difference, a finite number",
        look_at="log_softmax or F.cross_entropy: softmax rounds to 0 first, and the log of 0 is -inf",
        what="the loss of very unequal logits",
    )


def test_a_gradient_flows_back_to_the_logits(next_token_loss, draw):
    logits, tokens = draw.normal(3, 5, 6, std=2.0), draw.integers(0, 6, (3, 5))
    (grad,) = next_token_loss.gradients(logits, tokens)
    expected = torch.zeros_like(logits)
    expected[:, :-1] = (logits[:, :-1].softmax(-1) - F.one_hot(tokens[:, 1:], 6)) / (3 * 4)
    expect_close(
        grad,
        expected,
        rule="the gradient of the loss is (probability - 1 if it is the answer) / number of guesses",
        axes="batch pos d_vocab",
        what="the gradient of the loss in the logits",
    )


# ---------------------------------------------------------------- models for 1.11 to 1.14


def small_model(draw, device):
    """A course model in which every axis has a size of its own and no parameter is at its default."""
    cfg = TransformerConfig(d_model=12, d_vocab=17, n_ctx=9, n_layers=3, n_heads=3, d_head=4, d_mlp=20)
    model = CourseTransformer.random(cfg, draw.generator())
    with torch.no_grad():
        model.unembed.b_U.copy_(draw.normal(17))
    return model.to(device)


def copy_of(model):
    twin = CourseTransformer(model.cfg).to(model.embed.W_E.device)
    twin.load_state_dict(model.state_dict())
    return twin


@torch.no_grad()
def silence(model, layer, component):
    """A copy of the model in which one attention ("attn") or MLP ("mlp") writes nothing but zeros."""
    twin = copy_of(model)
    for parameter in {
        "attn": (twin.blocks[layer].attn.W_O, twin.blocks[layer].attn.b_O),
        "mlp": (twin.blocks[layer].mlp.W_out, twin.blocks[layer].mlp.b_out),
    }[component]:
        parameter.zero_()
    return twin


@torch.no_grad()
def resid_pre(model, layer, tokens):
    """The stream as the given layer finds it; layer n_layers means what ln_final finds."""
    resid = model.embed(tokens) + model.pos_embed(tokens)
    for block in model.blocks[:layer]:
        resid = block(resid)
    return resid


# ---------------------------------------------------------------- 1.11 residual_contributions


def expect_parts(parts, n_layers):
    if not isinstance(parts, dict):
        complain(
            f"residual_contributions returned a {type(parts).__name__}"
            if parts is not None
            else "nothing was returned",
            rule="a dict from the component's name to what it writes",
            look_at="the return line",
        )
    names = ["embed", "pos_embed"] + [f"L{layer}.{part}" for layer in range(n_layers) for part in ("attn", "mlp")]
    missing = [name for name in names if name not in parts]
    extra = [name for name in parts if name not in names]
    if missing or extra:
        complain(
            "the dict "
            + " and ".join(
                ([f"lacks {', '.join(missing)}"] if missing else [])
                + ([f"has {', '.join(map(str, extra))}"] if extra else [])
            ),
            rule=f"a model with {n_layers} layers has just these components: {', '.join(names)}",
            look_at="the keys, and that nothing that writes to the stream is forgotten",
        )
    return parts


def test_every_component_has_one_entry(residual_contributions, draw, device):
    model, tokens = small_model(draw, device), draw.integers(0, 17, (2, 5))
    expect_parts(residual_contributions(model, tokens), 3)


def test_every_entry_has_a_vector_for_each_batch_and_position(residual_contributions, draw, device):
    model, tokens = small_model(draw, device), draw.integers(0, 17, (2, 5))
    for name, part in expect_parts(residual_contributions(model, tokens), 3).items():
        expect_shape(
            part,
            (2, 5, 12),
            axes="batch pos d_model",
            what=f'the entry "{name}"',
            look_at=f'what is stored as "{name}"',
        )


def test_embed_and_pos_embed_are_rows_of_their_tables(residual_contributions, draw, device):
    model, tokens = small_model(draw, device), draw.integers(0, 17, (2, 5))
    parts = expect_parts(residual_contributions(model, tokens), 3)
    expected = {
        "embed": F.embedding(tokens, model.embed.W_E),
        "pos_embed": model.pos_embed.W_pos[:5].expand(2, 5, 12),
    }
    for name, rows in expected.items():
        expect_close(
            parts[name],
            rows,
            rule=f'"{name}" is what model.{name} writes, and nothing else, as it goes into the stream',
            look_at="whether a later += changes what is stored, whether a LayerNorm got in, and that each component has its own entry",
            axes="batch pos d_model",
            what=f'the entry "{name}"',
        )


def test_biases_belong_to_the_component_that_adds_them(residual_contributions, draw, device):
    model, tokens = small_model(draw, device), draw.integers(0, 17, (2, 5))
    with torch.no_grad():
        for block in model.blocks:  # now these write their biases, whatever they read
            block.attn.W_O.zero_()
            block.mlp.W_out.zero_()
    parts = expect_parts(residual_contributions(model, tokens), 3)
    for layer, block in enumerate(model.blocks):
        for name, bias in [(f"L{layer}.attn", block.attn.b_O), (f"L{layer}.mlp", block.mlp.b_out)]:
            expect_close(
                parts[name],
                bias.expand(2, 5, 12),
                rule="with W_O and W_out at zero, attention writes b_O and the MLP b_out at every position",
                look_at="whether a component's bias is in its entry, and whether entries are writes and not running totals",
                axes="batch pos d_model",
                what=f'the entry "{name}"',
            )


def test_the_first_attention_reads_embeddings_and_positions(residual_contributions, draw, device):
    model, tokens = small_model(draw, device), draw.integers(0, 17, (2, 5))
    parts = expect_parts(residual_contributions(model, tokens), 3)
    before = F.embedding(tokens, model.embed.W_E) + model.pos_embed.W_pos[:5]
    expect_close(
        parts["L0.attn"],
        silence(model, 0, "mlp").blocks[0](before) - before,
        rule="the first attention reads ln1 of the sum of both embeddings, to which nothing else has been added yet",
        look_at="what the running total starts with",
        axes="batch pos d_model",
        what='the entry "L0.attn"',
    )


def test_attention_writes_what_its_block_adds_while_the_mlp_is_silent(residual_contributions, draw, device):
    model, tokens = small_model(draw, device), draw.integers(0, 17, (2, 5))
    parts = expect_parts(residual_contributions(model, tokens), 3)
    for layer in range(3):
        before = resid_pre(model, layer, tokens)
        expect_close(
            parts[f"L{layer}.attn"],
            silence(model, layer, "mlp").blocks[layer](before) - before,
            rule="attention reads ln1 of everything written before it, embeddings and positions included",
            look_at="what block.attn is given, and that the running total grows with every write",
            axes="batch pos d_model",
            what=f'the entry "L{layer}.attn"',
        )


def test_the_mlp_writes_what_its_block_adds_beyond_attention(residual_contributions, draw, device):
    model, tokens = small_model(draw, device), draw.integers(0, 17, (2, 5))
    parts = expect_parts(residual_contributions(model, tokens), 3)
    for layer in range(3):
        before = resid_pre(model, layer, tokens)
        expect_close(
            parts[f"L{layer}.mlp"],
            model.blocks[layer](before) - silence(model, layer, "mlp").blocks[layer](before),
            rule="the MLP reads ln2 of the stream after this layer's attention has written",
            look_at="what block.mlp is given: which LayerNorm, and the total before or after attention",
            axes="batch pos d_model",
            what=f'the entry "L{layer}.mlp"',
        )


def test_the_parts_up_to_a_layer_add_up_to_the_stream_after_it(residual_contributions, draw, device):
    model, tokens = small_model(draw, device), draw.integers(0, 17, (4, 6))
    parts = expect_parts(residual_contributions(model, tokens), 3)
    for layer in range(3):
        names = ["embed", "pos_embed"] + [f"L{i}.{part}" for i in range(layer + 1) for part in ("attn", "mlp")]
        expect_close(
            sum(parts[name] for name in names),
            resid_pre(model, layer + 1, tokens),
            rule="nothing is overwritten: the stream is the sum of all writes so far",
            axes="batch pos d_model",
            atol=1e-4,
            what=f"the sum of the entries up to L{layer}.mlp",
        )


def test_all_parts_together_give_the_models_logits(residual_contributions, draw, device):
    model, tokens = small_model(draw, device), draw.integers(0, 17, (2, 7))
    parts = expect_parts(residual_contributions(model, tokens), 3)
    with torch.no_grad():
        expect_close(
            model.unembed(model.ln_final(sum(parts.values()))),
            model(tokens),
            rule="unembed(ln_final(sum of the parts)) are the model's logits",
            axes="batch pos d_vocab",
            atol=1e-4,
            what="the logits of the summed parts",
        )


# ---------------------------------------------------------------- 1.12a top_tokens_promoted


def expect_pair(result, first, second):
    """Complain unless the result is a pair of tensors, (first, second)."""
    if not (isinstance(result, (tuple, list)) and len(result) == 2):
        seen = "nothing was returned" if result is None else f"the result is a {type(result).__name__}, not a pair"
        complain(seen, rule=f"two tensors come back: {first}, then {second}", look_at="the return line")
    return tuple(result)


def expect_top(picked, scores, all_scores, k, *, rule, look_at, thing):
    """Complain unless `picked` are k different entries of the flat `all_scores`, the highest, in order, with their `scores`."""
    expected = all_scores.sort(descending=True).values[:k]
    expect_close(
        scores,
        expected,
        rule=rule,
        look_at=look_at,
        axes="k",
        what="the list of scores" if thing == "token" else "the list of activations",
    )
    expect_close(
        all_scores[picked],
        expected,
        rule=f"the first {thing} named is the one with the highest number, and so on down",
        look_at=f"that the numbers and the {thing}s come from the same topk, in the same order",
        axes="k",
        what=f"what the {thing}s named really score, in order,",
    )
    if len(set(picked.tolist())) < k:
        complain(f"a {thing} is named twice", rule=f"k different {thing}s", look_at="how you pick them")


def promoted(top_tokens_promoted, model, layer, neuron, k):
    """The learner's answer, after its kinds and shapes have been looked at."""
    ids, scores = expect_pair(top_tokens_promoted(model, layer, neuron, k), "token ids [k]", "their scores [k]")
    expect_shape(ids, (k,), axes="k", what="the tensor of token ids", look_at="the first thing returned")
    expect_shape(scores, (k,), axes="k", what="the tensor of scores", look_at="the second thing returned")
    if ids.is_floating_point():
        complain(
            "the first thing returned is not whole numbers",
            rule="token ids first, then scores; topk returns them the other way round",
            look_at="topk(k).indices and topk(k).values",
        )
    if not bool(((ids >= 0) & (ids < model.cfg.d_vocab)).all()):
        complain(
            f"token id {int(ids.max())} is outside the vocabulary of {model.cfg.d_vocab}",
            look_at="the axis that topk runs over",
        )
    return ids, scores


def test_ids_come_first_and_scores_second(top_tokens_promoted, draw, device):
    promoted(top_tokens_promoted, small_model(draw, device), 1, 7, 5)


def test_a_value_that_points_at_one_token_promotes_it(top_tokens_promoted, draw, device):
    model = small_model(draw, device)
    value = torch.tensor([0.5, -9.0, 3.0, -1.0, 2.0, -4.0, 0.25, 7.0, -0.5, 1.0, -6.0, 5.0], device=device)
    with torch.no_grad():  # token i reads direction i of the stream, and tokens 12 to 16 read nothing
        model.unembed.W_U.zero_()
        model.unembed.W_U[:, :12] = torch.eye(12, device=device)
        model.blocks[2].mlp.W_out[6] = value
    ids, scores = promoted(top_tokens_promoted, model, 2, 6, 4)
    expect_top(
        ids,
        scores,
        torch.cat([value, torch.zeros(5, device=device)]),
        4,
        rule="here token i reads direction i of the stream, so its score is entry i of the neuron's value: 7, 5, 3, 2 are the highest",
        look_at="W_out, whose row is what the neuron writes; W_U; and that the highest come first, not the largest in size",
        thing="token",
    )


def test_scores_are_what_one_unit_of_activation_does_to_the_logits(top_tokens_promoted, draw, device):
    model, stream = small_model(draw, device), draw.normal(12, std=2.0)
    for layer, neuron, k in [(1, 19, 6), (0, 3, 4), (2, 0, 17)]:
        ids, scores = promoted(top_tokens_promoted, model, layer, neuron, k)
        with torch.no_grad():
            rise = model.unembed(stream + model.blocks[layer].mlp.W_out[neuron]) - model.unembed(stream)
        expect_top(
            ids,
            scores,
            rise,
            k,
            rule="a score is the rise of the token's logit when the neuron's row of W_out is added to what unembed reads",
            look_at="mlp.W_out[neuron] @ unembed.W_U, and which block's mlp it is: model.blocks[layer]",
            thing="token",
        )


# ---------------------------------------------------------------- 1.12b top_inputs


@torch.no_grad()
def activations(model, layer, neuron, tokens):
    """A neuron's activation at every batch and position, measured in a run of the course's model."""
    block, seen = model.blocks[layer], {}
    watch = block.mlp.register_forward_hook(lambda module, args, output: seen.update(read=args[0]))
    try:
        model(tokens)
    finally:
        watch.remove()
    probe = CourseMLP(model.cfg).to(
        tokens.device
    )  # the same keys, but this neuron's value is direction 0 and the others' is nothing
    probe.W_in.copy_(block.mlp.W_in)
    probe.b_in.copy_(block.mlp.b_in)
    probe.W_out[neuron, 0] = 1.0
    return probe(seen["read"])[..., 0]


def driven(top_inputs, model, layer, neuron, tokens, k):
    """The learner's answer, after its kinds and shapes have been looked at."""
    places, values = expect_pair(top_inputs(model, layer, neuron, tokens, k), "places [k 2]", "activations [k]")
    expect_shape(places, (k, 2), axes="k (batch,pos)", what="the tensor of places", look_at="the first thing returned")
    expect_shape(values, (k,), axes="k", what="the tensor of activations", look_at="the second thing returned")
    if places.is_floating_point():
        complain("the places are not whole numbers", rule="places are indices", look_at="the first thing returned")
    for column, axis in enumerate(("batch", "pos")):
        highest, size = int(places[:, column].max()), tokens.shape[column]
        if highest >= size or int(places[:, column].min()) < 0:
            complain(
                f"a place has {axis} {highest}, but the tokens have {size} along {axis}",
                rule="a place is (batch, pos): first which row of tokens, then which position in it",
                look_at="how you turn a flat index back into two: flat = batch * n_pos + pos",
            )
    return places, values


def expect_driven(top_inputs, model, layer, neuron, tokens, k, *, rule, look_at):
    places, values = driven(top_inputs, model, layer, neuron, tokens, k)
    expected = activations(model, layer, neuron, tokens)
    flat = places[:, 0] * tokens.shape[1] + places[:, 1]
    expect_top(flat.long(), values, expected.flatten(), k, rule=rule, look_at=look_at, thing="place")


def test_places_are_pairs_of_batch_and_position(top_inputs, draw, device):
    model = small_model(draw, device)
    driven(top_inputs, model, 0, 4, draw.integers(0, 17, (3, 8)), 20)


def test_the_activation_is_the_gelu_of_the_match_with_the_key(top_inputs, draw, device):
    model = silence(small_model(draw, device), 0, "attn")
    expect_driven(
        top_inputs,
        model,
        0,
        4,
        draw.integers(0, 17, (5, 7)),
        6,
        rule="the activation is gelu(ln2(stream) · key + bias), the key being the neuron's column of W_in (attention writes nothing here)",
        look_at="ln2, W_in[:, neuron], b_in[neuron], the tanh form of gelu",
    )


def test_the_key_reads_the_stream_after_this_layers_attention(top_inputs, draw, device):
    expect_driven(
        top_inputs,
        small_model(draw, device),
        0,
        11,
        draw.integers(0, 17, (5, 7)),
        6,
        rule="the MLP of a block reads what attention of the same block has already written to",
        look_at="resid_mid = resid_pre + attn(ln1(resid_pre)), before ln2",
    )


def test_the_layers_below_run_first(top_inputs, draw, device):
    model = small_model(draw, device)
    for layer, neuron in [(1, 17), (2, 2)]:
        expect_driven(
            top_inputs,
            model,
            layer,
            neuron,
            draw.integers(0, 17, (4, 7)),
            5,
            rule=f"a neuron of layer {layer} reads a stream to which layers 0 to {layer - 1} have written, all of each block",
            look_at="how many blocks run before this one, and whose MLP you read",
        )


def test_all_places_can_be_asked_for(top_inputs, draw, device):
    expect_driven(
        top_inputs,
        small_model(draw, device),
        1,
        8,
        draw.integers(0, 17, (2, 6)),
        12,
        rule="k = batch * pos lists every place, highest activation first, negative ones last",
        look_at="that no place is left out and that the order is by activation",
    )


# ---------------------------------------------------------------- 1.13 learning_rate


def rates_of_torch(*, peak, warmup, total, floor):
    """The rate at each of `total` steps, from PyTorch's schedulers (warmup of 2 or more, and less than total)."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak)
    up = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
    down = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total - warmup, eta_min=floor)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [up, down], milestones=[warmup - 1])
    rates = []
    for _ in range(total):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


def expect_rate(rate, expected, *, step, rule, look_at):
    if rate is not None and not isinstance(rate, (int, float)):
        complain(
            f"the rate at step {step} is a {type(rate).__name__}",
            rule="a rate is a plain float, which every optimizer and every plot takes",
            look_at="math.cos and math.pi in place of torch's, or float(...) around the result",
        )
    expect_close(
        rate,
        torch.tensor(expected, dtype=torch.float64),
        rule=rule,
        look_at=look_at,
        atol=1e-9,
        rtol=1e-6,
        what=f"the rate at step {step}",
    )


def test_the_first_step_is_one_part_of_the_warm_up(learning_rate):
    for peak, warmup in [(0.6, 4), (2.0, 10)]:
        expect_rate(
            learning_rate(0, peak=peak, warmup=warmup, total=25, floor=0.1),
            peak / warmup,
            step=0,
            rule=f"warm-up takes {warmup} equal increments to {peak}, and step 0 already has the first: {peak} / {warmup}",
            look_at="step or step + 1",
        )


def test_the_warm_up_is_a_straight_line(learning_rate):
    for step in range(5):
        expect_rate(
            learning_rate(step, peak=0.8, warmup=5, total=12, floor=0.05),
            0.8 * (step + 1) / 5,
            step=step,
            rule="while step < warmup the rate is peak * (step + 1) / warmup, so step warmup - 1 has the peak; the floor plays no part",
            look_at="the fraction before the peak, and where warm-up ends",
        )


def test_the_last_step_has_the_floor(learning_rate):
    for warmup, total, floor in [(4, 11, 0.25), (2, 30, 0.0)]:
        expect_rate(
            learning_rate(total - 1, peak=1.5, warmup=warmup, total=total, floor=floor),
            floor,
            step=total - 1,
            rule=f"steps count from 0, so step {total - 1} is the last of {total}, and there t = 1",
            look_at="the fraction t, which is 1 at step total - 1, and the cosine there: cos(pi) = -1 leaves the floor alone",
        )


def test_after_the_last_step_the_floor_stays(learning_rate):
    for step in (9, 12, 16, 40):
        expect_rate(
            learning_rate(step, peak=0.7, warmup=2, total=9, floor=0.1),
            0.1,
            step=step,
            rule="from step total on the rate is the floor; a cosine left to itself would climb again",
            look_at="step >= total",
        )


def test_the_first_step_after_the_warm_up_is_already_below_the_peak(learning_rate):
    expect_rate(
        learning_rate(5, peak=0.8, warmup=5, total=9, floor=0.2),
        0.2 + 0.6 * (1 + math.cos(math.pi / 4)) / 2,
        step=5,
        rule="the peak is at step 4; of the 4 steps of decay, step 5 is the first, so t = 1/4",
        look_at="whether warm-up ends in time (step < warmup, not <=); then t = (step + 1 - warmup) / (total - warmup)",
    )


def test_half_way_down_the_rate_is_half_way_between_peak_and_floor(learning_rate):
    expect_rate(
        learning_rate(8, peak=1.0, warmup=3, total=15, floor=0.3),
        0.65,
        step=8,
        rule="at t = 1/2 the cosine is 0, which leaves the middle between peak and floor",
        look_at="how floor enters: floor + (peak - floor) * (1 + cos(pi t)) / 2",
    )


def test_without_warm_up_the_cosine_starts_at_once(learning_rate):
    for step in (0, 3, 7):
        expect_rate(
            learning_rate(step, peak=0.9, warmup=0, total=8, floor=0.1),
            0.1 + 0.8 * (1 + math.cos(math.pi * (step + 1) / 8)) / 2,
            step=step,
            rule="with warmup=0 every step is one of decay, t = (step + 1) / total",
            look_at="division by warmup, and step < warmup against step <= warmup",
        )


def test_nothing_but_warm_up_ends_at_the_peak(learning_rate):
    for step in range(6):
        expect_rate(
            learning_rate(step, peak=0.3, warmup=6, total=6, floor=0.01),
            0.3 * (step + 1) / 6,
            step=step,
            rule="with warmup == total every step is one of warm-up",
            look_at="which case is tested first, and division by total - warmup",
        )


def test_the_whole_schedule_is_that_of_pytorchs_linear_and_cosine(learning_rate):
    shape = dict(peak=0.02, warmup=6, total=33, floor=0.002)
    rates = [learning_rate(step, **shape) for step in range(33)]
    for step, (rate, expected) in enumerate(zip(rates, rates_of_torch(**shape))):
        expect_rate(
            rate,
            expected,
            step=step,
            rule="LinearLR for the first warmup steps, then CosineAnnealingLR over total - warmup",
            look_at="half a period of the cosine: pi * t",
        )


# ---------------------------------------------------------------- 1.14 train


def pair_model(draw, device):
    """A model that sees the current token only: enough to be trained, and all of its parameters have gradients."""
    model = nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 7)).to(device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(draw.normal(*parameter.shape))
    return model


def batches_of(draw, n, vocabulary, *, length=6):
    """Batches with gradients of very different lengths, as some hold few different tokens."""
    return [draw.integers(0, max(2, vocabulary - 2 * (i % 3)), (4, length)) for i in range(n)]


def reference(model, batches, *, peak, warmup, floor=0.0, max_norm=1.0, weight_decay=0.01):
    """Losses and the trained copy from the same training, written with PyTorch's parts alone."""
    twin = copy.deepcopy(model) if not isinstance(model, CourseTransformer) else copy_of(model)
    parameters = list(twin.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=peak, betas=(0.9, 0.98), weight_decay=weight_decay)
    losses = []
    for tokens, rate in zip(batches, rates_of_torch(peak=peak, warmup=warmup, total=len(batches), floor=floor)):
        loss = F.cross_entropy(twin(tokens)[:, :-1].transpose(1, 2), tokens[:, 1:])
        grads = torch.autograd.grad(loss, parameters)
        length = torch.cat([grad.flatten() for grad in grads]).norm().item()
        for parameter, grad in zip(parameters, grads):
            parameter.grad = grad * min(1.0, max_norm / (length + 1e-6))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        losses.append(loss.item())
    return losses, twin


def expect_losses(losses, n):
    if not isinstance(losses, (list, tuple)):
        complain(
            "train returned nothing" if losses is None else f"train returned a {type(losses).__name__}",
            rule="a list with the loss on each batch comes back",
            look_at="the last line",
        )
    if len(losses) != n:
        complain(f"{n} batches gave {len(losses)} losses", rule="one loss for each batch", look_at="where you append")
    for loss in losses:
        if not isinstance(loss, (int, float)):
            complain(
                f"the list of losses holds a {type(loss).__name__}",
                rule="the losses are a list of plain numbers",
                look_at="loss.item(), or float(loss)",
            )
    return torch.tensor(losses, dtype=torch.float64)


def expect_training(train, model, batches, *, rule, look_at, first=None, atol=2e-4, rtol=1e-3, **options):
    """Complain unless the (first few) losses are the reference's; what comes back is the reference's trained model."""
    expected, twin = reference(model, batches, **options)
    losses = expect_losses(train(model, [batch.clone() for batch in batches], **options), len(batches))
    expect_close(
        losses[:first],
        torch.tensor(expected, dtype=torch.float64)[:first],
        rule=rule,
        look_at=look_at,
        axes="step",
        atol=atol,
        rtol=rtol,
        what="the list of losses",
    )
    return twin


def test_there_is_one_number_for_every_batch(train, draw, device):
    model, batches = pair_model(draw, device), batches_of(draw, 5, 7)
    expect_losses(train(model, batches, peak=0.01, warmup=2), 5)


def test_each_loss_is_the_models_on_that_batch(train, draw, device):
    expect_training(
        train,
        pair_model(draw, device),
        batches_of(draw, 5, 7),
        peak=1e-10,
        warmup=2,
        rule="(with a rate so small that the model stands still) the next-token loss on each batch, in order",
        look_at="what next_token_loss is given",
    )


def test_the_first_step_has_the_first_rate(train, draw, device):
    expect_training(
        train,
        pair_model(draw, device),
        batches_of(draw, 4, 7),
        first=2,
        peak=1.0,
        warmup=2,
        floor=0.3,
        max_norm=1e6,
        rule="the second batch meets a model that has made one step, with the rate of step 0",
        look_at="that the rate is set before the step and with this step's number; the order zero_grad, backward, step",
    )


def test_gradients_of_earlier_batches_are_gone(train, draw, device):
    expect_training(
        train,
        pair_model(draw, device),
        batches_of(draw, 6, 7),
        peak=0.4,
        warmup=5,
        floor=0.4,
        max_norm=1e6,
        rule="each step uses the gradient of its own batch only; backward adds to what is in .grad",
        look_at="optimizer.zero_grad(), once per step, before backward; and that the optimizer stays the same, and"
        " gradients shorter than max_norm as they are",
    )


def test_the_rate_follows_the_schedule(train, draw, device):
    expect_training(
        train,
        pair_model(draw, device),
        batches_of(draw, 9, 7),
        peak=0.5,
        warmup=3,
        floor=0.05,
        max_norm=1e6,
        rule="step i of n has learning_rate(i, total=n), warm-up and cosine down to the floor",
        look_at='group["lr"] for group in optimizer.param_groups, total and floor',
    )


def test_long_gradients_are_cut_to_max_norm(train, draw, device):
    expect_training(
        train,
        pair_model(draw, device),
        batches_of(draw, 8, 7),
        peak=0.5,
        warmup=2,
        floor=0.2,
        max_norm=0.4,
        rule="between backward and step, a gradient whose length over all parameters exceeds max_norm is scaled down to it",
        look_at="nn.utils.clip_grad_norm_(model.parameters(), max_norm), and its place",
    )


def test_the_model_that_was_given_is_the_one_trained(train, draw, device):
    model, batches = pair_model(draw, device), batches_of(draw, 4, 7)
    twin = expect_training(
        train, model, batches, peak=0.3, warmup=2, floor=0.3, rule="as the tests above", look_at="the tests above"
    )
    with torch.no_grad():
        expect_close(
            F.cross_entropy(model(batches[0]).flatten(0, 1), batches[1].flatten()),
            F.cross_entropy(twin(batches[0]).flatten(0, 1), batches[1].flatten()),
            rule="one step for each batch, the last one included, on the model itself and not on a copy",
            look_at="whether the last batch gets its step",
            atol=2e-4,
            rtol=1e-3,
            what="a measure of the model after training",
        )


# each of these shows in the losses, so that a training with another fault in it is not taken for one of on_step
TELLING = dict(peak=0.5, warmup=3, floor=0.05, max_norm=0.4)


def test_on_step_hears_every_step_and_its_loss(train, draw, device):
    heard = []
    losses = train(
        pair_model(draw, device),
        batches_of(draw, 8, 7),
        on_step=lambda step, loss: heard.append((step, loss)),
        **TELLING,
    )
    expect_losses(losses, 8)
    if not heard:
        complain(
            "on_step was never called",
            rule="on_step(step, loss) is called after each step, if it is given",
            look_at="the end of the loop: `if on_step is not None`",
        )
    expect_equal(
        [step for step, _ in heard],
        list(range(8)),
        rule="on_step(step, loss) is called once per batch, and the first step is step 0",
        look_at="the first argument of on_step, and whether it is called in every round",
        what="the list of steps that on_step heard",
    )
    expect_equal(
        [float(loss) for _, loss in heard],
        losses,
        rule="on_step hears the same losses that train returns",
        look_at="the second argument of on_step",
        what="the list of losses that on_step heard",
    )


def test_on_step_is_called_after_the_step(train, draw, device):
    model, seen = pair_model(draw, device), []
    before = [parameter.detach().clone() for parameter in model.parameters()]
    train(
        model,
        batches_of(draw, 8, 7),
        on_step=lambda step, loss: seen.append([parameter.detach().clone() for parameter in model.parameters()]),
        **TELLING,
    )
    if seen and all(torch.equal(now, then) for now, then in zip(seen[0], before)):
        complain(
            "when on_step hears of step 0, the model has not changed yet",
            rule="on_step is called after the step, so that whoever looks at the model then sees what the step made of it",
            look_at="whether optimizer.step() stands before the call of on_step",
        )


def test_a_transformer_trains_as_it_should(train, draw, device):
    model = small_model(draw, device)
    batches = [draw.integers(0, 17, (3, 8)) for _ in range(5)]
    expect_training(
        train,
        model,
        batches,
        peak=0.02,
        warmup=3,
        floor=0.001,
        max_norm=0.7,
        weight_decay=0.1,
        rule="the same losses as a reference loop on the same batches",
        look_at="the tests above",
        atol=2e-3,
        rtol=2e-3,
    )


# ---------------------------------------------------------------- what several of these tests need

WRITER = TransformerConfig(d_model=15, d_vocab=11, n_ctx=9, n_layers=2, n_heads=3, d_head=5, d_mlp=20)
SMALL_WRITER = TransformerConfig(d_model=12, d_vocab=5, n_ctx=6, n_layers=2, n_heads=3, d_head=4, d_mlp=16)


def a_writer(cfg: TransformerConfig, draw, device, sharpness: float = 1.0) -> CourseTransformer:
    """A model with random weights, none at its default; ``sharpness`` scales the logits."""
    model = CourseTransformer.random(cfg, draw.generator())
    with torch.no_grad():
        model.unembed.W_U.mul_(sharpness)
        model.unembed.b_U.copy_(draw.normal(cfg.d_vocab, std=0.3 * sharpness))
    return model.to(device)


@torch.no_grad()
def logits_of(model, tokens: Tensor) -> Tensor:
    return model(tokens)


def next_logits(model, text: Tensor) -> Tensor:
    """The logits for the token after the text, read through the model's window."""
    return logits_of(model, text[:, -model.cfg.n_ctx :])[:, -1]


def seeded(draw, device) -> torch.Generator:
    return torch.Generator(device).manual_seed(int(draw.integers(0, 2**31)))


def expect_continued(text, tokens: Tensor, n_new: int, d_vocab: int) -> None:
    """The text has the right shape, begins with the prompt and holds token ids."""
    rows, prompt = tokens.shape
    expect_shape(
        text,
        (rows, prompt + n_new),
        axes="batch pos",
        rule="the whole text comes back: the prompt, then n_new more tokens",
        look_at="what you return, and how often the loop runs",
    )
    if text.is_floating_point():
        complain(
            f"the text has dtype {str(text.dtype).removeprefix('torch.')}, token ids are whole numbers",
            rule="token ids go in and token ids come out",
            look_at="what you join to the tokens",
        )
    expect_equal(
        text[:, :prompt],
        tokens,
        rule="the prompt stays in front as it was",
        look_at="the order in torch.cat",
        what="the prompt's part",
    )
    if text.min() < 0 or text.max() >= d_vocab:
        complain(
            f"the text holds {int(text.max())}, and the vocabulary ends at {d_vocab - 1}",
            rule="a new token is an index into the last axis of the logits",
            look_at="which axis you choose along",
        )


def expect_most_likely(model, text: Tensor, prompt: int, *, rule: str, look_at: str) -> None:
    """Every token after the prompt has the largest logit given those before it (or one within rounding of it)."""
    for position in range(prompt, text.shape[1]):
        logits = next_logits(model, text[:, :position])
        chosen = logits.gather(-1, text[:, position : position + 1])[:, 0]
        short = logits.max(dim=-1).values - chosen
        if (short > 1e-3).any():
            row = int(short.argmax())
            complain(
                f"row {row} writes token {int(text[row, position])} at position {position}, where token "
                f"{int(logits[row].argmax())}"
                f" has the largest logit ({logits[row].max():.2f} against {chosen[row]:.2f})",
                rule=rule,
                look_at=look_at,
            )


def expect_drawn_from(drawn: Tensor, probabilities: Tensor, *, rule: str, look_at: str) -> None:
    """The tokens look like draws from the distribution: none that is impossible, and a chi-square that chance does not reach."""
    probs = probabilities.double().cpu()
    counts = torch.bincount(drawn.cpu(), minlength=len(probs)).double()
    n = counts.sum()
    shares = (counts / n).float(), probs.float()
    impossible = (counts > 0) & (probs == 0)
    if impossible.any():
        token = int((counts * impossible).argmax())
        complain(
            f"token {token} was drawn {int(counts[token])} times in {int(n)}, and its probability is 0 here",
            rule=rule,
            look_at=look_at,
            picture=shares,
            picture_axes=("token",),
        )
    rare = probs * n < 10  # cells that are too small for the chi-square are taken together
    expected = torch.cat([probs[~rare] * n, (probs[rare] * n).sum()[None]])
    seen = torch.cat([counts[~rare], counts[rare].sum()[None]])
    seen, expected = (x[expected >= 10] for x in (seen, expected))
    statistic = float(((seen - expected) ** 2 / expected).sum())
    freedom = max(len(expected) - 1, 1)
    # Wilson and Hilferty 1931: chance passes this less than once in a thousand million
    limit = freedom * (1 - 2 / (9 * freedom) + 6.5 * math.sqrt(2 / (9 * freedom))) ** 3
    if statistic > limit:
        token = int(((counts - probs * n) ** 2 / (probs * n).clamp(min=10)).argmax())
        complain(
            f"token {token} was drawn {100 * counts[token] / n:.1f}% of the time in {int(n)} draws,"
            f" {100 * probs[token]:.1f}% is right"
            f" (chi-square {statistic:.0f}; chance alone stays below {limit:.0f})",
            rule=rule,
            look_at=look_at,
            picture=shares,
            picture_axes=("token",),
        )


# ---------------------------------------------------------------- 1.15a greedy


def test_a_greedy_text_is_the_prompt_and_n_new_more_tokens(greedy, draw, device):
    tokens = draw.integers(0, WRITER.d_vocab, (4, 3))
    expect_continued(greedy(a_writer(WRITER, draw, device), tokens, 5), tokens, 5, WRITER.d_vocab)


def test_the_new_token_is_the_most_likely_in_its_own_row(greedy, draw, device):
    model = a_writer(WRITER, draw, device)
    tokens = draw.integers(0, WRITER.d_vocab, (8, 4))
    text = greedy(model, tokens, 1)
    expect_continued(text, tokens, 1, WRITER.d_vocab)
    expect_most_likely(
        model,
        text,
        4,
        rule="the new token has the largest logit at the last position of its own row",
        look_at="which position's logits you take, and the axis of the argmax",
    )


def test_every_new_token_is_read_before_the_next_is_chosen(greedy, draw, device):
    model = a_writer(WRITER, draw, device)
    tokens = draw.integers(0, WRITER.d_vocab, (5, 3))
    text = greedy(model, tokens, 6)
    expect_continued(text, tokens, 6, WRITER.d_vocab)
    expect_most_likely(
        model,
        text,
        3,
        rule="the model is run again on the text with the new token in it",
        look_at="what you hand to the model in the second round",
    )


def test_the_text_goes_on_after_token_0(greedy, draw, device):
    model = a_writer(WRITER, draw, device)
    with torch.no_grad():
        model.unembed.b_U[0] += 100.0  # token 0, <|endoftext|>, is always the most likely
    tokens = draw.integers(1, WRITER.d_vocab, (3, 2))
    text = greedy(model, tokens, 4)
    if isinstance(text, Tensor) and text.ndim == 2 and text.shape[1] < 6:
        complain(
            f"where <|endoftext|> is the best token, {text.shape[1] - 2} new tokens came back in place of 4",
            rule="greedy writes n_new tokens; to cut a text at <|endoftext|> is for whoever shows it",
            look_at="what ends your loop",
        )
    expect_continued(text, tokens, 4, WRITER.d_vocab)
    expect_equal(
        text[:, 2:],
        torch.zeros_like(text[:, 2:]),
        rule="here token 0 has the largest logit everywhere",
        look_at="whether token 0 is treated differently from others",
        what="the new tokens",
    )


def test_greedy_reads_the_last_n_ctx_tokens_of_a_long_text(greedy, draw, device):
    model = a_writer(WRITER, draw, device)
    for prompt in (WRITER.n_ctx - 2, WRITER.n_ctx + 4):
        tokens = draw.integers(0, WRITER.d_vocab, (5, prompt))
        text = greedy(model, tokens, 6)
        expect_continued(text, tokens, 6, WRITER.d_vocab)
        expect_most_likely(
            model,
            text,
            prompt,
            rule=f"a text longer than n_ctx = {WRITER.n_ctx} is read from its last n_ctx tokens",
            look_at="which end of the text you crop, and to how many tokens: tokens[:, -n_ctx:]",
        )


# ---------------------------------------------------------------- 1.15b temperature


def test_temperature_1_changes_nothing(apply_temperature, draw):
    logits = draw.normal(3, 7, mean=0.7, std=2.0)
    expect_close(
        apply_temperature(logits, 1.0),
        logits,
        rule="at temperature 1 the logits stay as they are",
        look_at="whether you return logits or probabilities",
        axes="batch d_vocab",
    )


def test_logits_are_divided_by_the_temperature(apply_temperature, draw, device):
    logits = draw.normal(3, 7, mean=-0.4, std=2.0)
    tokens = torch.zeros(3, 1, dtype=torch.long, device=device)
    for temperature in (0.4, 2.5):
        expect_close(
            apply_temperature(logits, temperature),
            TemperatureLogitsWarper(temperature)(tokens, logits),
            rule=f"every logit is divided by the temperature, here {temperature}",
            look_at="what is divided by what: a low temperature makes differences larger",
            axes="batch d_vocab",
        )


# ---------------------------------------------------------------- 1.15c top-k


def test_the_k_largest_logits_stay_and_the_rest_are_minus_infinity(top_k_filter, device):
    logits = torch.tensor([[-1.5, 2.0, 0.5, -3.0, 1.0, -0.5], [0.2, -0.7, -4.0, 3.0, -0.1, -2.0]], device=device)
    gone = -math.inf
    expected = torch.tensor([[gone, 2.0, 0.5, gone, 1.0, gone], [0.2, gone, gone, 3.0, -0.1, gone]], device=device)
    expect_close(
        top_k_filter(logits, 3),
        expected,
        rule="the 3 largest logits of a row keep their value, all others become -inf",
        look_at="which logits you compare with which",
        axes="batch d_vocab",
    )


def test_tokens_that_tie_with_the_kth_stay(top_k_filter, device):
    logits = torch.tensor([[1.0, 3.0, 0.0, 1.0, 1.0], [2.0, 2.0, -1.0, 2.0, 4.0]], device=device)
    gone = -math.inf
    expected = torch.tensor([[1.0, 3.0, gone, 1.0, 1.0], [2.0, 2.0, gone, 2.0, 4.0]], device=device)
    expect_close(
        top_k_filter(logits, 2),
        expected,
        rule="a token goes only if its logit is strictly below the 2nd largest",
        look_at="< or <=, or a selection by index, which drops some of the equal ones",
        axes="batch d_vocab",
    )


def test_a_k_beyond_the_vocabulary_removes_nothing(top_k_filter, draw):
    logits = draw.normal(3, 7, std=2.0)
    for k in (7, 40):
        expect_close(
            top_k_filter(logits, k),
            logits,
            rule=f"k = {k} of 7 tokens keeps them all",
            look_at="min(k, d_vocab)",
            axes="batch d_vocab",
        )


def test_top_k_treats_every_row_by_itself(top_k_filter, draw, device):
    logits = draw.normal(5, 13, std=2.0) + draw.normal(5, 1, std=6.0)
    tokens = torch.zeros(5, 1, dtype=torch.long, device=device)
    for k in (1, 4, 9):
        expect_close(
            top_k_filter(logits, k),
            TopKLogitsWarper(k)(tokens, logits),
            rule=f"every row keeps its own {k} largest logits",
            look_at="the axis along which you look for the k-th largest",
            axes="batch d_vocab",
        )


# ---------------------------------------------------------------- 1.15d top-p


def nucleus_example(device) -> Tensor:
    """The table of the text in two orders; the logits are log-probabilities plus a constant that the softmax does not see."""
    probs = torch.tensor([[0.10, 0.50, 0.05, 0.15, 0.20], [0.15, 0.05, 0.20, 0.10, 0.50]], device=device)
    return probs.log() + torch.tensor([[1.3], [-0.8]], device=device)


def test_the_token_that_crosses_p_stays(top_p_filter, device):
    logits = nucleus_example(device)
    stays = torch.tensor([[False, True, False, True, True], [True, False, True, False, True]], device=device)
    expect_close(
        top_p_filter(logits, 0.75),
        logits.masked_fill(~stays, -math.inf),
        rule="of probabilities 0.50 0.20 0.15 0.10 0.05 with p = 0.75 the first three stay: two of them make only 0.70",
        look_at="whether you compare p with the total before a token or with the total that includes it",
        axes="batch d_vocab",
    )


def test_the_most_likely_token_always_stays(top_p_filter, device):
    logits = nucleus_example(device)
    expect_close(
        top_p_filter(logits, 0.2),
        logits.masked_fill(logits < logits.max(dim=-1, keepdim=True).values, -math.inf),
        rule="with p = 0.2 and a first token of probability 0.5 just that token stays",
        look_at="the first token in sorted order: the total before it is 0",
        axes="batch d_vocab",
    )


def test_p_of_1_removes_nothing(top_p_filter, device):
    logits = nucleus_example(device)
    expect_close(
        top_p_filter(logits, 1.0), logits, rule="with p = 1 every token stays", look_at="< or <=", axes="batch d_vocab"
    )


def test_of_tied_tokens_only_as_many_stay_as_are_needed(top_p_filter, device):
    logits = torch.tensor([[0.2, 0.4, 0.2, 0.2], [0.4, 0.2, 0.2, 0.2]], device=device).log() + 0.6
    kept = top_p_filter(logits, 0.5)
    expect_shape(
        kept, logits.shape, axes="batch d_vocab", rule="a logit for every token comes back", look_at="what you return"
    )
    counts = torch.isfinite(kept).sum(dim=-1)
    expect_equal(
        counts,
        torch.full_like(counts, 2),
        rule="of probabilities 0.4 0.2 0.2 0.2 with p = 0.5, the first and any one of the others stay",
        look_at="whether you cut by place in the sorted row or by a value",
        what="the number of tokens that stay",
    )


def test_a_total_of_exactly_p_is_enough(top_p_filter, device):
    kept = top_p_filter(torch.full((2, 4), 0.7, device=device), 0.5)
    expect_shape(
        kept, (2, 4), axes="batch d_vocab", rule="a logit for every token comes back", look_at="what you return"
    )
    counts = torch.isfinite(kept).sum(dim=-1)
    expect_equal(
        counts,
        torch.full_like(counts, 2),
        rule="of four tokens with probability 0.25 each, any two have 0.5 together, and p = 0.5 asks for at least that",
        look_at="the total before the third token is 0.5: it goes at >= p",
        what="the number of tokens that stay",
    )


def test_tokens_removed_earlier_stay_removed(top_p_filter, device):
    logits = nucleus_example(device)
    logits[0, 1] = logits[1, 2] = -math.inf
    # what is left sums to 0.5 and 0.8: three quarters of that are reached by the first three, and by the first two
    stays = torch.tensor([[True, False, False, True, True], [True, False, False, False, True]], device=device)
    expect_close(
        top_p_filter(logits, 0.75),
        logits.masked_fill(~stays, -math.inf),
        rule="a logit of -inf has probability 0, and the probabilities of the others sum to 1",
        look_at="that your probabilities come from a softmax over the logits that were given",
        axes="batch d_vocab",
    )


def test_every_row_has_its_own_nucleus(top_p_filter, draw, device):
    logits = draw.normal(5, 13) * draw.uniform(5, 1, low=0.4, high=4.0) + draw.normal(5, 1, std=5.0)
    tokens = torch.zeros(5, 1, dtype=torch.long, device=device)
    for p in (0.3, 0.6, 0.92):
        expect_close(
            top_p_filter(logits, p),
            TopPLogitsWarper(p)(tokens, logits),
            rule=f"every row keeps its smallest set of most likely tokens with total probability {p} or more",
            look_at="how the decision gets from the sorted row back to the vocabulary's order",
            axes="batch d_vocab",
        )


# ---------------------------------------------------------------- 1.15e frequency penalty


def test_without_a_penalty_the_logits_stay_as_they_are(apply_frequency_penalty, draw):
    logits = draw.normal(3, 7, std=2.0)
    expect_close(
        apply_frequency_penalty(logits, draw.integers(0, 7, (3, 5)), 0.0),
        logits,
        rule="a penalty of 0 changes nothing",
        look_at="whether you return logits or probabilities",
        axes="batch d_vocab",
    )


def test_a_token_loses_the_penalty_once_for_every_time_it_was_written(apply_frequency_penalty, device):
    logits = torch.tensor([[1.0, -2.0, 0.5, 3.0, -1.0], [0.3, 1.2, -0.4, 2.0, 0.9]], device=device)
    tokens = torch.tensor([[1, 3, 1, 1], [4, 0, 0, 2]], device=device)
    expected = torch.tensor([[1.0, -4.1, 0.5, 2.3, -1.0], [-1.1, 1.2, -1.1, 2.0, 0.2]], device=device)
    expect_close(
        apply_frequency_penalty(logits, tokens, 0.7),
        expected,
        rule="with a penalty of 0.7, a token that stands in its row three times loses 2.1, one that does not "
        "stand there loses nothing",
        look_at="how repeats are counted, and in which row",
        axes="batch d_vocab",
    )


def test_every_row_is_penalised_for_its_own_text(apply_frequency_penalty, draw):
    logits = draw.normal(3, 7, std=2.0)
    tokens = draw.integers(0, 7, (3, 12))
    for penalty in (1.3, -0.6):
        expected = logits.clone()
        for row, text in enumerate(tokens.tolist()):
            for token in text:
                expected[row, token] -= penalty
        expect_close(
            apply_frequency_penalty(logits, tokens, penalty),
            expected,
            rule=f"logit - penalty * count, with the counts of the same row and a penalty of {penalty}",
            look_at="the axis along which you count",
            axes="batch d_vocab",
        )


# ---------------------------------------------------------------- 1.15f sample

N_DRAWS = 3000


def draws(sample, model, prompt: list[int], draw, device, **knobs) -> Tensor:
    """The one token that sample writes in each of many rows with the same prompt."""
    tokens = torch.tensor(prompt, device=device).repeat(N_DRAWS, 1)
    text = sample(model, tokens, 1, generator=seeded(draw, device), **knobs)
    expect_continued(text, tokens, 1, model.cfg.d_vocab)
    return text[:, -1]


def shaped(model, prompt: list[int], device, *, penalty=0.0, temperature=1.0, top_k=None, top_p=None) -> Tensor:
    """The right distribution over the next token, by transformers' own processors."""
    tokens = torch.tensor([prompt], device=device)
    logits = next_logits(model, tokens)
    for token in prompt:
        logits[0, token] -= penalty
    logits = TemperatureLogitsWarper(temperature)(tokens, logits)
    if top_k is not None:
        logits = TopKLogitsWarper(top_k)(tokens, logits)
    if top_p is not None:
        logits = TopPLogitsWarper(top_p)(tokens, logits)
    return logits.softmax(dim=-1)[0]


def test_a_sampled_text_is_the_prompt_and_n_new_more_tokens(sample, draw, device):
    tokens = draw.integers(0, WRITER.d_vocab, (4, 3))
    text = sample(a_writer(WRITER, draw, device), tokens, 5, generator=seeded(draw, device))
    expect_continued(text, tokens, 5, WRITER.d_vocab)


def test_with_every_knob_off_tokens_are_drawn_as_often_as_the_model_says(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    prompts = [[3, 7, 1, 4], [8, 2, 2, 10]]
    tokens = torch.tensor(prompts, device=device).repeat(N_DRAWS, 1)
    text = sample(model, tokens, 1, generator=seeded(draw, device))
    expect_continued(text, tokens, 1, WRITER.d_vocab)
    for row, prompt in enumerate(prompts):
        expect_drawn_from(
            text[row::2, -1],
            shaped(model, prompt, device),
            rule="each row draws for itself, from the softmax of the logits at its own last position",
            look_at="that there is one draw for each row, and what the probabilities are made from",
        )


def test_temperature_flattens_or_sharpens_the_draw(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    for temperature in (0.5, 3.0):
        expect_drawn_from(
            draws(sample, model, [5, 1, 9], draw, device, temperature=temperature),
            shaped(model, [5, 1, 9], device, temperature=temperature),
            rule=f"tokens are drawn from softmax(logits / {temperature})",
            look_at="whether temperature reaches the logits before the softmax",
        )


def test_top_k_limits_the_draw(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    expect_drawn_from(
        draws(sample, model, [5, 1, 9], draw, device, top_k=4),
        shaped(model, [5, 1, 9], device, top_k=4),
        rule="only the 4 most likely tokens are drawn, with their probabilities divided by their sum",
        look_at="whether the softmax comes after the filter",
    )


def test_top_p_limits_the_draw(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    expect_drawn_from(
        draws(sample, model, [5, 1, 9], draw, device, top_p=0.6),
        shaped(model, [5, 1, 9], device, top_p=0.6),
        rule="only tokens inside the nucleus are drawn, with their probabilities divided by their sum",
        look_at="whether the softmax comes after the filter",
    )


def test_the_frequency_penalty_lowers_tokens_of_the_prompt(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    prompt = [5, 1, 5, 9, 5, 1]
    expect_drawn_from(
        draws(sample, model, prompt, draw, device, frequency_penalty=0.8),
        shaped(model, prompt, device, penalty=0.8),
        rule="every token's logit is lowered by 0.8 for each time it stands in the text, prompt included",
        look_at="which tokens you hand to apply_frequency_penalty",
    )


def test_temperature_comes_before_top_p(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    expect_drawn_from(
        draws(sample, model, [6, 2, 0], draw, device, temperature=3.0, top_p=0.6),
        shaped(model, [6, 2, 0], device, temperature=3.0, top_p=0.6),
        rule="temperature first, then the nucleus of the flatter distribution",
        look_at="the order: penalty, temperature, top-k, top-p",
    )


def test_top_k_comes_before_top_p(sample, draw, device):
    model = a_writer(WRITER, draw, device, sharpness=0.4)
    expect_drawn_from(
        draws(sample, model, [6, 2, 0], draw, device, top_k=7, top_p=0.6),
        shaped(model, [6, 2, 0], device, top_k=7, top_p=0.6),
        rule="top-p looks at the probabilities of what top-k has left, which sum to 1",
        look_at="the order: penalty, temperature, top-k, top-p; and that top-p gets the filtered logits",
    )


def test_the_penalty_comes_before_temperature(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    prompt = [4, 4, 10, 7, 10, 0]
    expect_drawn_from(
        # a penalty below 0 favours what was written, so the order shows whichever tokens this model likes
        draws(sample, model, prompt, draw, device, temperature=2.0, frequency_penalty=-1.0),
        shaped(model, prompt, device, penalty=-1.0, temperature=2.0),
        rule="the penalty is taken from the model's own logits, and temperature then divides the result",
        look_at="the order: penalty, temperature, top-k, top-p",
    )


def test_a_drawn_token_is_read_before_the_next_draw(sample, draw, device):
    model = a_writer(WRITER, draw, device, sharpness=2.0)
    tokens = torch.tensor([3, 8], device=device).repeat(N_DRAWS, 1)
    text = sample(model, tokens, 2, generator=seeded(draw, device))
    expect_continued(text, tokens, 2, WRITER.d_vocab)
    first = int(torch.bincount(text[:, 2].cpu()).argmax())
    expect_drawn_from(
        text[text[:, 2] == first, 3],
        shaped(model, [3, 8, first], device),
        rule="the second token is drawn from the distribution that follows the prompt and the first drawn token",
        look_at="what you hand to the model in the second round",
    )


def test_the_penalty_counts_tokens_that_were_drawn(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    tokens = torch.tensor([3, 8], device=device).repeat(40, 1)
    text = sample(model, tokens, 6, frequency_penalty=60.0, generator=seeded(draw, device))
    expect_continued(text, tokens, 6, WRITER.d_vocab)
    expect_no_repeats(text, "the counts are taken anew for every draw, over prompt and drawn tokens")


def test_the_penalty_counts_the_whole_text_and_not_only_the_window(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    tokens = torch.tensor([3, 8, 0, 5], device=device).repeat(40, 1)
    text = sample(model, tokens, 7, frequency_penalty=60.0, generator=seeded(draw, device))
    expect_continued(text, tokens, 7, WRITER.d_vocab)
    expect_no_repeats(
        text, f"tokens count also when they have left the window of n_ctx = {WRITER.n_ctx} that the model reads"
    )


def expect_no_repeats(text: Tensor, rule: str) -> None:
    for row in text.tolist():
        repeated = [token for place, token in enumerate(row) if token in row[:place]]
        if repeated:
            complain(
                f"with a penalty of 60 token {repeated[0]} was written twice: {row}",
                rule=rule,
                look_at="which tokens you hand to apply_frequency_penalty",
            )


def test_sample_reads_the_last_n_ctx_tokens_of_a_long_text(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    tokens = draw.integers(0, WRITER.d_vocab, (5, WRITER.n_ctx + 3))
    text = sample(model, tokens, 4, top_k=1, generator=seeded(draw, device))
    expect_continued(text, tokens, 4, WRITER.d_vocab)
    expect_most_likely(
        model,
        text,
        tokens.shape[1],
        rule=f"a text longer than n_ctx = {WRITER.n_ctx} is read from its last n_ctx tokens (here top_k = 1 "
        "leaves no chance)",
        look_at="which end of the text you crop",
    )


def test_the_same_generator_gives_the_same_text(sample, draw, device):
    model = a_writer(WRITER, draw, device)
    tokens = draw.integers(0, WRITER.d_vocab, (20, 3))
    seed = int(draw.integers(0, 2**30))
    first, again, other = (
        sample(model, tokens, 6, generator=torch.Generator(device).manual_seed(s)) for s in (seed, seed, seed + 1)
    )
    expect_continued(first, tokens, 6, WRITER.d_vocab)
    expect_equal(
        again,
        first,
        rule="a generator in the same state gives the same text",
        look_at="whether the draw uses `generator`",
        what="the second text",
    )
    if torch.equal(first, other):
        complain(
            "two generators with different seeds gave the same 120 tokens",
            rule="the draw comes from the generator that is handed over",
            look_at="whether the draw uses `generator`, and as it is",
        )


# ---------------------------------------------------------------- 1.16a KVCache

CACHED = TransformerConfig(d_model=15, d_vocab=11, n_ctx=12, n_layers=3, n_heads=3, d_head=5, d_mlp=20)


def keys_and_values(draw, new: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    return draw.normal(batch, new, CACHED.n_heads, CACHED.d_head), draw.normal(
        batch, new, CACHED.n_heads, CACHED.d_head, mean=0.5
    )


def expect_stored(stored, keys: Tensor, values: Tensor, *, rule: str, look_at: str) -> None:
    if not isinstance(stored, (tuple, list)) or len(stored) != 2:
        complain(
            f"append returned {'nothing' if stored is None else type(stored).__name__}, a pair is right",
            rule="append returns all keys and all values of the layer",
            look_at="the return of append",
        )
    expect_close(stored[0], keys, rule=rule, look_at=look_at, axes="batch pos head d_head", what="the keys")
    expect_close(stored[1], values, rule=rule, look_at=look_at, axes="batch pos head d_head", what="the values")


def test_a_new_cache_holds_nothing(KVCache):
    expect_equal(
        KVCache(CACHED).attr("length"),
        0,
        rule="a new cache has length 0",
        look_at="length before any append",
        what="length",
    )


def test_what_is_appended_first_comes_back(KVCache, draw):
    keys, values = keys_and_values(draw, 4)
    expect_stored(
        KVCache(CACHED).append(1, keys, values),
        keys,
        values,
        rule="the first positions of a layer come back as they are, keys first",
        look_at="append with an empty store",
    )


def test_new_positions_stand_behind_the_old_ones(KVCache, draw):
    cache = KVCache(CACHED)
    pieces = [keys_and_values(draw, new) for new in (4, 1, 2)]
    for piece in pieces:
        stored = cache.append(2, *piece)
    expect_stored(
        stored,
        torch.cat([keys for keys, _ in pieces], dim=1),
        torch.cat([values for _, values in pieces], dim=1),
        rule="all positions come back, oldest first",
        look_at="the axis and the order of the torch.cat, and that its result is stored",
    )


def test_every_layer_has_a_store_of_its_own(KVCache, draw):
    cache = KVCache(CACHED)
    first = [keys_and_values(draw, 3) for _ in range(CACHED.n_layers)]
    second = [keys_and_values(draw, 2) for _ in range(CACHED.n_layers)]
    for layer, piece in enumerate(first):
        cache.append(layer, *piece)
    for layer, piece in enumerate(second):
        expect_stored(
            cache.append(layer, *piece),
            torch.cat([first[layer][0], piece[0]], dim=1),
            torch.cat([first[layer][1], piece[1]], dim=1),
            rule="a layer gets back its own keys and values only",
            look_at="where append uses `layer`",
        )


def test_length_counts_positions(KVCache, draw):
    cache = KVCache(CACHED)
    total = 0
    for new in (5, 1, 3):
        for layer in range(CACHED.n_layers):
            cache.append(layer, *keys_and_values(draw, new))
        total += new
        expect_equal(
            cache.attr("length"),
            total,
            rule="length is the number of positions, however many layers, rows and heads there are",
            look_at="which axis of the stored keys you measure, and how often you count",
            what="length",
        )


def test_a_position_counts_once_every_layer_holds_it(KVCache, draw):
    for held in (3, 0):
        cache = KVCache(CACHED)
        for layer in range(CACHED.n_layers if held else 0):
            cache.append(layer, *keys_and_values(draw, held))
        for layer in range(CACHED.n_layers):
            expect_equal(
                cache.attr("length"),
                held,
                rule="length is the number of positions that every layer holds: while a text runs through the layers,"
                " those above do not hold its new positions yet",
                look_at="which layer's store you measure",
                what="length",
            )
            cache.append(layer, *keys_and_values(draw, 2))


def test_two_caches_share_nothing(KVCache, draw):
    used, fresh = KVCache(CACHED), KVCache(CACHED)
    for layer in range(CACHED.n_layers):
        used.append(layer, *keys_and_values(draw, 3))
    keys, values = keys_and_values(draw, 2)
    rule = "a cache starts empty, also when another one was filled before"
    look_at = "whether the stores are made in __init__, on self"
    expect_equal(fresh.attr("length"), 0, rule=rule, look_at=look_at, what="length of the second cache")
    expect_stored(fresh.append(0, keys, values), keys, values, rule=rule, look_at=look_at)


# ---------------------------------------------------------------- 1.16b forward_cached


def expect_same_logits(actual, model, text: Tensor, start: int, stop: int, *, rule: str, look_at: str) -> None:
    """The cached logits at positions start to stop equal those of the whole model, run without a cache."""
    expect_close(
        actual,
        logits_of(model, text[:, :stop])[:, start:stop],
        rule=rule,
        look_at=look_at,
        axes="batch pos d_vocab",
        atol=1e-4,
        rtol=1e-3,
    )


def plain_writer(draw, device, *parts: str):
    """A model whose blocks write with the parts named, "attn" or "mlp", and with no others."""
    model = a_writer(CACHED, draw, device)
    with torch.no_grad():
        for block in model.blocks:
            if "attn" not in parts:
                block.attn.W_O.zero_()
                block.attn.b_O.zero_()
            if "mlp" not in parts:
                block.mlp.W_out.zero_()
                block.mlp.b_out.zero_()
    return model


def test_with_silent_blocks_the_embeddings_reach_the_logits(forward_cached, KVCache, draw, device):
    model = plain_writer(draw, device)
    text = draw.integers(0, CACHED.d_vocab, (3, 5))
    expect_same_logits(
        forward_cached(model, text, KVCache(CACHED)),
        model,
        text,
        0,
        5,
        rule="where no block writes anything, the logits are unembed(ln_final(token and position embeddings))",
        look_at="W_pos at the tokens' own positions, from cache.length on; ln_final before unembed",
    )


def test_with_silent_attention_each_mlp_reads_the_stream_through_ln2(forward_cached, KVCache, draw, device):
    model = plain_writer(draw, device, "mlp")
    text = draw.integers(0, CACHED.d_vocab, (3, 5))
    expect_same_logits(
        forward_cached(model, text, KVCache(CACHED)),
        model,
        text,
        0,
        5,
        rule="where attention writes nothing, each block adds mlp(ln2(stream)) to the stream",
        look_at="the MLP's line: block.ln2, and that its result is added to the stream",
    )


def test_a_single_token_reads_its_own_value_only(forward_cached, KVCache, draw, device):
    model = plain_writer(draw, device, "attn")
    text = draw.integers(0, CACHED.d_vocab, (4, 1))
    expect_same_logits(
        forward_cached(model, text, KVCache(CACHED)),
        model,
        text,
        0,
        1,
        rule="a lone token gives itself all its attention, so each head adds its own value through W_O, and then b_O comes",
        look_at="ln1 before the values, b_V, W_O and b_O; queries, keys and scores play no part here",
    )


def test_with_an_empty_cache_the_logits_are_the_models(forward_cached, KVCache, draw, device):
    model = a_writer(CACHED, draw, device)
    text = draw.integers(0, CACHED.d_vocab, (4, 7))
    expect_same_logits(
        forward_cached(model, text, KVCache(CACHED)),
        model,
        text,
        0,
        7,
        rule="with nothing in the cache this is the ordinary forward pass, causal mask and all",
        look_at="the scores, as the parts around them passed above: b_Q, the root of d_head, the mask, softmax over keys",
    )


def test_the_cache_grows_by_the_new_tokens(forward_cached, KVCache, draw, device):
    model = a_writer(CACHED, draw, device)
    cache, total = KVCache(CACHED), 0
    for new in (4, 1, 3):
        forward_cached(model, draw.integers(0, CACHED.d_vocab, (2, new)), cache)
        total += new
        expect_equal(
            cache.attr("length"),
            total,
            rule="the keys and values of the new tokens are appended once in every layer",
            look_at="where cache.append is called",
            what="the cache's length",
        )


def test_one_new_token_after_a_prompt(forward_cached, KVCache, draw, device):
    model = a_writer(CACHED, draw, device)
    text = draw.integers(0, CACHED.d_vocab, (4, 6))
    cache = KVCache(CACHED)
    forward_cached(model, text[:, :5], cache)
    expect_same_logits(
        forward_cached(model, text[:, 5:], cache),
        model,
        text,
        5,
        6,
        rule="the new token stands at position 5, and reads the five cached positions and itself",
        look_at="which rows of W_pos you add, and which keys and values you attend over",
    )


def test_several_new_tokens_after_a_prompt(forward_cached, KVCache, draw, device):
    model = a_writer(CACHED, draw, device)
    text = draw.integers(0, CACHED.d_vocab, (4, 9))
    cache = KVCache(CACHED)
    forward_cached(model, text[:, :5], cache)
    expect_same_logits(
        forward_cached(model, text[:, 5:], cache),
        model,
        text,
        5,
        9,
        rule="each new token reads all cached positions, the new ones before it and itself, and none after it",
        look_at="the mask: key position > query position, with real positions on both sides",
    )


def test_earlier_positions_are_read_from_the_cache_alone(forward_cached, KVCache, draw, device):
    model = a_writer(CACHED, draw, device)
    text = draw.integers(0, CACHED.d_vocab, (3, 8))
    cache = KVCache(CACHED)
    for layer, (keys, values) in enumerate(keys_and_values_of(model, text[:, :6])):
        cache.append(layer, keys, values)
    expect_same_logits(
        forward_cached(model, text[:, 6:], cache),
        model,
        text,
        6,
        8,
        rule="a cache that somebody else filled with the right keys and values is enough to go on",
        look_at="that new keys and values get their biases before append (b_K shows nowhere else), and that only the cache "
        "carries over from call to call",
    )


@torch.no_grad()
def keys_and_values_of(model: CourseTransformer, tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What every layer's attention would cache, from the parameters and the model's own blocks."""
    resid, kept = model.embed(tokens) + model.pos_embed(tokens), []
    for block in model.blocks:
        read, attn = (
            block.ln1(resid)[:, :, None, None, :],
            block.attn,
        )  # batch pos 1 1 d_model, to meet head d_model d_head
        keys = (read @ attn.W_K).squeeze(-2) + attn.b_K
        values = (read @ attn.W_V).squeeze(-2) + attn.b_V
        kept.append((keys, values))
        resid = block(resid)
    return kept


def test_token_by_token_and_in_pieces_the_logits_are_the_models(forward_cached, KVCache, draw, device):
    model = a_writer(CACHED, draw, device)
    text = draw.integers(0, CACHED.d_vocab, (2, CACHED.n_ctx))
    for pieces in ([1] * CACHED.n_ctx, [4, 1, 1, 3, 1, 2]):
        cache, start = KVCache(CACHED), 0
        for new in pieces:
            expect_same_logits(
                forward_cached(model, text[:, start : start + new], cache),
                model,
                text,
                start,
                start + new,
                rule=f"however the text is cut (here {pieces}), the logits are those of the whole",
                look_at="what differs between the first call and later ones: positions, mask, what is appended",
            )
            start += new


# ---------------------------------------------------------------- 1.17a merge_pair


def test_no_character_is_lost_or_written_twice(merge_pair):
    for symbols in (["n", "a", "n", "a", "s", "a", "n"], ["o", "w", "l"]):
        expect_equal(
            "".join(map(str, merge_pair(symbols, ("n", "a")))),
            "".join(symbols),
            rule="merging changes where symbols end, not what they spell",
            look_at="which symbols are copied, which joined, and by how much you step on",
            what=f"what comes back of {' '.join(symbols)}, put together,",
        )


def test_the_pair_becomes_one_symbol_wherever_it_occurs(merge_pair):
    expect_equal(
        merge_pair(["n", "a", "n", "a", "s", "a", "n"], ("n", "a")),
        ["na", "na", "s", "a", "n"],
        rule="every `n` `a` becomes `na`, and nothing else changes",
        look_at="whether the walk goes on after the first match, what it does with the last symbol, and that `a` `n` is"
        " another pair",
        what="n a n a s a n with n a merged",
    )


def test_a_row_of_equal_symbols_is_merged_from_the_left(merge_pair):
    for n, expected in ((3, ["aa", "a"]), (4, ["aa", "aa"]), (5, ["aa", "aa", "a"])):
        expect_equal(
            merge_pair(["a"] * n, ("a", "a")),
            expected,
            rule="from left to right, and a symbol that was used up is not used again",
            look_at="by how much you step on after a match",
            what=f"{' '.join('a' * n)} with a a merged",
        )


def test_only_these_two_symbols_are_merged(merge_pair):
    expect_equal(
        merge_pair(["ab", "c", "a", "bc", "b", "a", "c"], ("a", "bc")),
        ["ab", "c", "abc", "b", "a", "c"],
        rule="`ab` `c` spells the same as `a` `bc`, but is another pair",
        look_at="what you compare: symbols, not the strings they make together",
        what="ab c a bc b a c with a bc merged",
    )


def test_symbols_are_compared_whole_and_a_space_is_one_like_any_other(merge_pair):
    for symbols, expected in (
        (["t", "o", "wn", "a", "n", "an", "na", "n", "a"], ["t", "o", "wn", "a", "n", "an", "na", "na"]),
        ([" ", "n", "a", "n"], [" ", "na", "n"]),
    ):
        expect_equal(
            merge_pair(symbols, ("n", "a")),
            expected,
            rule="left and right are whole symbols (`wn` `a` and `n` `an` are other pairs), and a space can be one",
            look_at="a text that is joined, searched and split again has lost where its symbols begin and end",
            what=f"{symbols} with n a merged",
        )


# ---------------------------------------------------------------- 1.17b train_bpe


def trained_tokenizer(text: str, n_merges: int):
    """Hugging Face's tokenizers, trained on the text with this chapter's word pattern; and the merges it learned."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s?\w+|\s?[^\w\s]+|\s+"), "isolated")
    trainer = trainers.BpeTrainer(vocab_size=len(set(text)) + n_merges, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer, [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


FOREST = (
    "The fox ran through the forest, and the forest was full of foxes.\n"
    '"Where there is one fox there are others," said the owl; there were seven.\n'
    "Über den Wäldern rief die Eule: où est le café? Nowhere near here, the oldest of the foxes said.  The end."
)


def test_as_many_merges_come_back_as_are_asked_for(train_bpe):
    for n_merges in (1, 4):
        expect_equal(
            len(as_pairs(train_bpe("tabat batat atbat", n_merges))),
            n_merges,
            rule="while there are pairs left, every round adds one merge",
            look_at="how often the loop runs, when it ends, and what it appends",
            what="the number of merges",
        )


def test_the_most_frequent_pair_is_merged_first(train_bpe):
    expect_equal(
        as_pairs(train_bpe("tabat batat atbat", 1)),
        [("a", "t")],
        rule="`a` `t` occurs five times in `tabat batat atbat`, more than any other pair",
        look_at="how pairs are counted",
        what="the merges",
    )


def test_a_word_counts_as_often_as_it_occurs(train_bpe):
    expect_equal(
        as_pairs(train_bpe("ox ox ox ox ox pet pen peg", 1)),
        [("o", "x")],
        rule="the pair of a word that occurs five times counts five times",
        look_at="the count of the word when you add up its pairs",
        what="the merges",
    )


def test_no_pair_reaches_across_words(train_bpe):
    expect_equal(
        as_pairs(train_bpe("it at ot ut et it it", 2)),
        [("i", "t"), (" ", "it")],
        rule="pairs are counted within the words that split_words gives: `t` and the space after it are no pair",
        look_at="what you count pairs in",
        what="the merges",
    )


def test_pairs_are_counted_again_after_every_merge(train_bpe):
    expect_equal(
        as_pairs(train_bpe("abc abc abc abc dab", 3)),
        [("a", "b"), ("ab", "c"), (" ", "abc")],
        rule="after a merge, the pairs of its two symbols are fewer, and pairs with the new symbol exist",
        look_at="whether the words are rewritten before pairs are counted again",
        what="the merges",
    )


def test_of_tied_pairs_the_oldest_symbols_come_first(train_bpe):
    for text, expected, why in (
        (
            "zy ab zy ab",
            [(" ", "a")],
            "`z y`, `a b` and the space with `a` occur twice each, and the space is the smallest character",
        ),
        ("\u00fcn\u00fcn momo", [("m", "o")], "`m` is a smaller character than `ü`, though it comes later in the text"),
        ("bcbc bdbd", [("b", "c")], "the left symbols are equal, and `c` is smaller than `d`"),
    ):
        expect_equal(
            as_pairs(train_bpe(text, 1)),
            expected,
            rule=f"{TIES}; here {why}",
            look_at="how a tie is broken",
            what=f"the merges of {text!r}",
        )


TIES = "of the pairs that occur most often, the one with the oldest left symbol goes first, then the oldest right one"


def test_a_merged_symbol_is_younger_than_every_character(train_bpe):
    # after the first merge `ab` `c` and `x` `y` both occur twice
    expect_equal(
        as_pairs(train_bpe("abc abd\nabc xy\nxy", 3)),
        [("a", "b"), ("x", "y"), ("ab", "c")],
        rule=TIES + "; a symbol is as old as the merge that first made it, so `x` is older than `ab`",
        look_at="the rank that a new symbol gets",
        what="the merges",
    )


def test_overlapping_pairs_all_count(train_bpe):
    expect_equal(
        as_pairs(train_bpe("zzzz bc\nbc", 1)),
        [("z", "z")],
        rule="`zzzz` has the pair `z` `z` three times, which is more than `b` `c` has",
        look_at="how you go through neighbours",
        what="the merges",
    )


def test_training_ends_when_no_pair_is_left(train_bpe):
    expect_equal(
        as_pairs(train_bpe("go go", 50)),
        trained_tokenizer("go go", 50)[1],
        rule="when every word is one symbol there is nothing to merge, and fewer merges come back",
        look_at="the loop when there are no pairs",
        what="the merges",
    )


def test_the_merges_are_those_of_the_tokenizers_library(train_bpe):
    expect_equal(
        as_pairs(train_bpe(FOREST, 70)),
        trained_tokenizer(FOREST, 70)[1],
        rule="the same text gives the same merges as Hugging Face's tokenizers, in the same order",
        look_at="ties and counts in later rounds",
        what="the merges",
    )


def as_pairs(merges):
    """The merges as a list, after it has been seen that they are tuples of two."""
    if isinstance(merges, (list, tuple)) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in merges):
        return list(merges)
    if isinstance(merges, (list, tuple)):
        odd = next(pair for pair in merges if not (isinstance(pair, tuple) and len(pair) == 2))
        complain(
            f"one of the merges is {odd!r}, which is not a pair (left, right)",
            rule="every merge is a tuple of two symbols, since merge_pair and encode compare it with one",
            look_at="what you append to the merges",
        )
    complain(
        f"train_bpe returned {'nothing' if merges is None else type(merges).__name__}, a list of pairs is right",
        rule="the merges come back as a list of (left, right), in the order in which they were learned",
        look_at="what you return",
    )


# ---------------------------------------------------------------- 1.17c encode


def test_without_merges_every_character_is_a_symbol(encode):
    expect_equal(
        encode("an owl", []),
        list("an owl"),
        rule="a word starts as its single characters",
        look_at="where a word is taken apart",
        what="the encoding",
    )


def test_merges_are_applied_in_the_order_they_were_learned(encode):
    expect_equal(
        encode("abcd", [("a", "b"), ("b", "c"), ("c", "d"), ("ab", "cd")]),
        ["abcd"],
        rule="of `a b`, `b c`, `c d`, `ab cd`, the first takes the b, so the second finds none; the third and "
        "fourth follow",
        look_at="which merge goes first where two could",
        what="the encoding of abcd",
    )
    expect_equal(
        encode("abc", [("a", "b"), ("b", "c"), ("a", "bc")]),
        ["ab", "c"],
        rule="of `a b`, `b c`, `a bc`, the first takes the b, and the third never finds its `bc`",
        look_at="whether a symbol is made by merges, one after the other, or looked up as a whole",
        what="the encoding of abc",
    )
    expect_equal(
        encode("abcd", [("b", "c"), ("a", "b"), ("c", "d"), ("ab", "cd")]),
        ["a", "bc", "d"],
        rule="`b c` was learned first here, and leaves nothing for the others",
        look_at="which merge goes first where two could",
        what="the encoding of abcd",
    )


def test_a_merge_is_applied_wherever_it_fits(encode):
    expect_equal(
        encode("banana", [("a", "n"), ("an", "a")]),
        ["b", "an", "ana"],
        rule="`a n` is merged in both places; then `an a` fits at the end",
        look_at="whether a merge goes on after its first match",
        what="the encoding of banana",
    )


def test_no_symbol_reaches_across_words(encode):
    expect_equal(
        encode("to the top", [("o", " "), (" ", "t"), ("o", " t"), ("t", "o")]),
        ["to", " t", "h", "e", " t", "o", "p"],
        rule="every word of split_words is encoded by itself, its leading space included",
        look_at="whether the text is cut into words first",
        what="the encoding of 'to the top'",
    )


def test_new_text_is_read_as_the_tokenizers_library_reads_it(encode):
    tokenizer, merges = trained_tokenizer(FOREST, 70)
    for text in (
        "The other fox was there, nowhere else.",
        "foxes for the oldest forest\n\nand  there",
        "Where are the others?",
    ):
        known = "".join(character for character in text if character in FOREST)
        expect_equal(
            encode(known, merges),
            tokenizer.encode(known).tokens,
            rule="the same merges give the same symbols as Hugging Face's tokenizers",
            look_at="order, repeats and word borders",
            what=f"the encoding of {known!r}",
        )


def test_a_character_never_seen_stays_a_symbol(encode):
    expect_equal(
        encode("ab\u4eac!ab", [("a", "b")]),
        ["ab", "\u4eac", "!", "ab"],
        rule="what no merge knows stays as it is",
        look_at="characters outside the merges",
        what="the encoding",
    )


# ---------------------------------------------------------------- 1.17d beam search


def a_search(draw, device, prompt: int = 3):
    model = a_writer(SMALL_WRITER, draw, device, sharpness=2.0)
    return model, draw.integers(0, SMALL_WRITER.d_vocab, (prompt,))


def expect_beams(found, tokens: Tensor, n_new: int, n_beams: int) -> tuple[Tensor, Tensor]:
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        complain(
            f"beam_search returned {'nothing' if found is None else type(found).__name__}, a pair is right",
            rule="the texts come back with their log-probabilities",
            look_at="the return",
        )
    texts, scores = found
    expect_continued(texts, tokens.repeat(n_beams, 1), n_new, SMALL_WRITER.d_vocab)
    expect_shape(
        scores,
        (n_beams,),
        axes="beam",
        rule="one log-probability for each text",
        look_at="what you return",
        what="the scores",
    )
    return texts, scores


def true_scores(model, texts: Tensor, prompt: int) -> Tensor:
    """The log-probability of everything after the prompt, one step at a time through the window."""
    total = torch.zeros(len(texts), dtype=torch.float64, device=texts.device)
    for position in range(prompt, texts.shape[1]):
        log_probs = next_logits(model, texts[:, :position]).double().log_softmax(dim=-1)
        total += log_probs.gather(-1, texts[:, position : position + 1])[:, 0]
    return total


def plain_beams(model, tokens: Tensor, n_new: int, n_beams: int) -> list[float]:
    """Beam search over Python lists: the scores of the survivors, best first."""
    kept = [([], 0.0)]
    for _ in range(n_new):
        texts = torch.tensor([tokens.tolist() + added for added, _ in kept], device=tokens.device)
        log_probs = next_logits(model, texts).double().log_softmax(dim=-1).tolist()
        candidates = []
        for (added, score), row in zip(kept, log_probs):
            candidates += [(added + [token], score + value) for token, value in enumerate(row)]
        kept = sorted(candidates, key=lambda candidate: -candidate[1])[:n_beams]
    return [score for _, score in kept]


def test_one_beam_is_greedy_decoding(beam_search, draw, device):
    model, tokens = a_search(draw, device, prompt=2)
    texts, _ = expect_beams(beam_search(model, tokens, 4, 1), tokens, 4, 1)
    expect_most_likely(
        model,
        texts,
        2,
        rule="with one beam, every new token is the most likely one",
        look_at="what is kept in each step",
    )


def test_a_score_is_the_log_probability_of_all_that_was_added(beam_search, draw, device):
    model, tokens = a_search(draw, device)
    texts, scores = expect_beams(beam_search(model, tokens, 3, 4), tokens, 3, 4)
    expect_close(
        scores,
        true_scores(model, texts, 3).float(),
        rule="a text's score is the sum of the log-probabilities of its new tokens",
        look_at="what is added up over the steps, and that every score stays with its own text",
        axes="beam",
        atol=1e-3,
    )


def test_the_texts_are_different_and_the_best_comes_first(beam_search, draw, device):
    model, tokens = a_search(draw, device)
    texts, scores = expect_beams(beam_search(model, tokens, 3, 6), tokens, 3, 6)
    rows = [tuple(row) for row in texts.tolist()]
    if len(set(rows)) < len(rows):
        twice = next(row for row in rows if rows.count(row) > 1)
        complain(
            f"the text {list(twice)} came back {rows.count(twice)} times",
            rule="the survivors are different texts",
            look_at="the first step: one prompt, not n_beams copies of it",
        )
    if (scores[1:] > scores[:-1] + 1e-4).any():
        complain(
            f"the scores are {[round(score, 2) for score in scores.tolist()]}",
            rule="the most likely text comes first",
            look_at="the order in which the survivors are returned",
        )


def test_all_beams_compete_for_the_places(beam_search, draw, device):
    for _ in range(3):
        model, tokens = a_search(draw, device)
        _, scores = expect_beams(beam_search(model, tokens, 3, 3), tokens, 3, 3)
        expect_close(
            scores,
            torch.tensor(plain_beams(model, tokens, 3, 3), device=device),
            rule="in each step the 3 best of all extensions of all beams survive: one beam may have two of them, "
            "another none",
            look_at="what topk chooses among, and which beam a winner came from",
            axes="beam",
            atol=1e-3,
        )


def test_enough_beams_find_every_text(beam_search, draw, device):
    model, tokens = a_search(draw, device)
    n_texts = SMALL_WRITER.d_vocab**3
    _, scores = expect_beams(beam_search(model, tokens, 3, n_texts), tokens, 3, n_texts)
    every = torch.tensor(list(itertools.product(range(SMALL_WRITER.d_vocab), repeat=3)), device=device)
    texts = torch.cat([tokens.repeat(n_texts, 1), every], dim=1)
    expect_close(
        scores,
        true_scores(model, texts, 3).sort(descending=True).values.float(),
        rule=f"with {n_texts} beams the search finds all {n_texts} texts, and their probabilities sum to 1",
        look_at="how many survive the early steps, where there are fewer candidates than beams",
        axes="beam",
        atol=1e-3,
    )


def test_there_are_fewer_beams_where_there_are_fewer_texts(beam_search, draw, device):
    model, tokens = a_search(draw, device)
    texts, scores = expect_beams(beam_search(model, tokens, 1, 9), tokens, 1, SMALL_WRITER.d_vocab)
    expect_close(
        scores,
        next_logits(model, tokens[None])[0].log_softmax(dim=-1).sort(descending=True).values,
        rule="one new token from a vocabulary of 5 makes 5 texts, also with 9 beams",
        look_at="min(n_beams, number of candidates)",
        axes="beam",
        atol=1e-3,
    )


def test_beam_search_reads_the_last_n_ctx_tokens_of_a_long_text(beam_search, draw, device):
    model, tokens = a_search(draw, device, prompt=SMALL_WRITER.n_ctx + 1)
    _, scores = expect_beams(beam_search(model, tokens, 3, 3), tokens, 3, 3)
    expect_close(
        scores,
        torch.tensor(plain_beams(model, tokens, 3, 3), device=device),
        rule=f"a text longer than n_ctx = {SMALL_WRITER.n_ctx} is read from its last n_ctx tokens",
        look_at="which end of the text you crop",
        axes="beam",
        atol=1e-3,
    )
