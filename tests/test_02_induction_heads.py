"""This file knows how to check chapter 2: induction heads."""

import hashlib
import math
from dataclasses import replace
from functools import wraps

import einops
import pytest
import torch
import torch.nn.functional as F
from transformer_lens import ActivationCache, FactoredMatrix

from utils.checking import complain, expect_close, expect_equal, expect_shape
from utils.checking.complaints import Complaint
from utils.models.attention_only import AttentionOnlyConfig
from utils.models.config import TransformerConfig
from utils.models.random_models import borrow_bridge

# no two axes of the same size, none of size 1
SMALL = AttentionOnlyConfig(d_model=12, d_vocab=11, n_ctx=17, n_layers=2, n_heads=3, d_head=4)
WITH_MLPS = TransformerConfig(d_model=12, d_vocab=11, n_ctx=17, n_layers=2, n_heads=3, d_head=4, d_mlp=19)


@pytest.fixture(autouse=True)
def gradients_are_off_as_in_the_notebook(border):
    """The notebook's first cell turns gradients off, so what is checked here runs as it does there."""
    border.gradients = False


def tiny_model(draw, cfg=SMALL):
    """A model under TransformerLens' names with random weights and biases, none at its default; in compatibility mode."""
    return borrow_bridge(cfg, draw.generator(), draw.device)


def remembered(oracle):
    """What the oracle says of this model (first argument) and the rest, computed once: to name a mistake, tests run often.

    Ask it before the learner's code meets the model, which may change more than the weights that are looked at here.
    """
    answers = {}

    @wraps(oracle)
    def answer(model, *rest):
        digest = hashlib.sha256()
        for value in (*model.parameters(), *rest):
            is_tensor = isinstance(value, torch.Tensor)
            digest.update(repr((value.dtype, value.shape, value.device) if is_tensor else value).encode())
            digest.update(value.detach().cpu().numpy().tobytes() if is_tensor else b"")
        if digest.digest() not in answers:
            answers[digest.digest()] = oracle(model, *rest)
        return answers[digest.digest()]

    return answer


def random_tokens(draw, *, batch=2, pos=7, d_vocab=SMALL.d_vocab):
    """BOS, then random tokens."""
    tokens = draw.integers(1, d_vocab, (batch, pos))
    tokens[:, 0] = 0
    return tokens


def random_pattern(draw, *, batch=2, head=3, pos=6):
    """Attention patterns as a softmax under a causal mask gives them."""
    scores = draw.normal(batch, head, pos, pos)
    mask = torch.ones(pos, pos, dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(mask, -torch.inf).softmax(-1)


def hooks_on(model):
    """How many hook functions are on the model."""
    return sum(len(point.fwd_hooks) + len(point.bwd_hooks) for point in model.hook_dict.values())


def expect_no_hooks(model, *, look_at="how you add the hook"):
    if hooks_on(model):
        complain(
            f"{hooks_on(model)} hooks are still on the model",
            rule="what is run later must not meet these hooks: they are gone when the function returns",
            look_at=look_at,
        )


FIVE_HEADS = AttentionOnlyConfig(d_model=10, d_vocab=13, n_ctx=19, n_layers=3, n_heads=5, d_head=2)
NO_LAYER_NORM = AttentionOnlyConfig(
    d_model=12, d_vocab=11, n_ctx=17, n_layers=2, n_heads=3, d_head=4, normalization_type=None
)
PATTERN_AXES = "batch head query key"


# 2.1 pattern_from_cache


def pattern_by_sdpa(q, k):
    """The pattern, read off PyTorch's attention: with one-hot values, what each query brings back is its row of shares."""
    batch, pos, head, _ = k.shape
    tags = torch.eye(pos, device=k.device, dtype=k.dtype).expand(batch, head, pos, pos)
    to_sdpa = "batch pos head d_head -> batch head pos d_head"
    return F.scaled_dot_product_attention(
        einops.rearrange(q, to_sdpa), einops.rearrange(k, to_sdpa), tags, is_causal=True
    )


def cache_of(draw, cfg=SMALL, *, batch=2, pos=7):
    """What a model of random weights keeps of a run."""
    model = tiny_model(draw, cfg)
    tokens = random_tokens(draw, batch=batch, pos=pos, d_vocab=cfg.d_vocab)
    with torch.no_grad():
        return model, model.run_with_cache(tokens)[1]


def cache_with(draw, layers, *, dtype=torch.float32):
    """A cache whose queries and keys are these, layer by layer; all other entries have nothing to do with them."""
    model, cache = cache_of(draw)
    entries = dict(cache.items())
    for layer, (q, k) in enumerate(layers):
        for letter, value in (("q", q), ("k", k), ("v", draw.normal(*k.shape))):
            for name in (f"hook_{letter}", f"{letter}.hook_out"):
                entries[f"blocks.{layer}.attn.{name}"] = value.to(dtype)
    return ActivationCache(entries, model)


def queries_and_keys_of(draw, *, batch=2, pos=6, head=3, d_head=5, std=1.5):
    return draw.normal(batch, pos, head, d_head, std=std), draw.normal(batch, pos, head, d_head, mean=0.3)


def expect_pattern_shape(pattern, q):
    batch, pos, head, _ = q.shape
    expect_shape(
        pattern,
        (batch, head, pos, pos),
        axes=PATTERN_AXES,
        rule="one matrix of query rows and key columns for every head of every text",
        look_at="the einsum: in q and k the head is the third axis, in the pattern the second; positions need two names",
    )
    return pattern


def test_every_head_of_the_layer_has_a_matrix_of_queries_and_keys(pattern_from_cache, draw):
    _, cache = cache_of(draw)
    expect_pattern_shape(pattern_from_cache(cache, 1), cache["q", 1])


def test_no_query_of_the_cache_reads_a_later_key(pattern_from_cache, draw):
    _, cache = cache_of(draw)
    pattern = expect_pattern_shape(pattern_from_cache(cache, 0), cache["q", 0])
    leaks = pattern.triu(diagonal=1).nonzero()
    if len(leaks):
        text, head, query, key = leaks[0].tolist()
        complain(
            f"query {query} puts {pattern[text, head, query, key]:.2g} on key {key}, which comes after it",
            rule="a key that comes after its query gets exactly 0",
            look_at="the mask: which triangle, minus infinity or something else, and whether it comes before softmax",
            picture=(pattern[text, head], cache["pattern", 0][text, head]),
            picture_axes=("query", "key"),
        )


def test_the_shares_of_every_cached_query_sum_to_1(pattern_from_cache, draw):
    _, cache = cache_of(draw)
    pattern = expect_pattern_shape(pattern_from_cache(cache, 1), cache["q", 1])
    sums = pattern.sum(dim=-1)
    expect_close(
        sums,
        torch.ones_like(sums),
        rule="each query divides its attention: every row sums to 1, over keys",
        look_at="the axis of softmax, and whether anything is changed after it",
        axes="batch head query",
        what="the sum of each row",
    )


def test_the_pattern_is_the_one_that_the_model_attends_with(pattern_from_cache, draw):
    for cfg, layer in ((SMALL, 0), (SMALL, 1), (WITH_MLPS, 1), (FIVE_HEADS, 2)):
        _, cache = cache_of(draw, cfg)
        expect_close(
            expect_pattern_shape(pattern_from_cache(cache, layer), cache["q", layer]),
            cache["pattern", layer],
            rule="softmax over keys of q·k / √d_head, with later keys masked, of the layer asked for",
            look_at="the scale, the mask, the axis of softmax, and which layer's q and k you take",
            axes=PATTERN_AXES,
            what=f"the pattern of layer {layer} of {cfg.n_layers}",
        )


def test_the_pattern_is_made_of_the_cached_queries_and_keys(pattern_from_cache, draw):
    layers = [queries_and_keys_of(draw, pos=7, d_head=7) for _ in range(2)]
    cache = cache_with(draw, layers)
    for layer in (0, 1):
        expect_close(
            expect_pattern_shape(pattern_from_cache(cache, layer), layers[layer][0]),
            pattern_by_sdpa(*layers[layer]),
            rule="the pattern is computed from q and k of the cache; here they were replaced, and all else is of another run",
            look_at="what you read from the cache, and where d_head comes from: the last axis of q",
            axes=PATTERN_AXES,
            what=f"the pattern of layer {layer}, where q and k have size 7,",
        )


def test_large_cached_scores_do_not_overflow(pattern_from_cache, draw):
    q, k = queries_and_keys_of(draw, std=15.0)
    expect_close(
        pattern_from_cache(cache_with(draw, [(q, 10 * k)]), 0),
        pattern_by_sdpa(q.double(), 10 * k.double()).float(),
        rule="large scores are no harm: softmax subtracts the largest of a row first, so that exp cannot overflow",
        look_at="a softmax written as exp / sum: use .softmax(dim=-1); and what masked scores are set to",
        axes=PATTERN_AXES,
        atol=1e-3,
    )


def test_float64_queries_give_a_float64_pattern(pattern_from_cache, draw):
    q, k = queries_and_keys_of(draw, head=5, d_head=3)
    cache = cache_with(draw, [(q, k)], dtype=torch.float64)
    expect_close(
        pattern_from_cache(cache, 0),
        pattern_by_sdpa(q.double(), k.double()),
        dtype=torch.float64,
        rule="the result has the dtype of its inputs, and its precision",
        look_at="tensors that you make yourself, and calls such as .float()",
        axes=PATTERN_AXES,
        atol=1e-9,
        rtol=1e-6,
    )


# 2.2, 2.3, 2.4: scores of a pattern


def looking_at(keys, n_heads, *, batch=1, device="cpu"):
    """A pattern in which every query of every head puts everything on one key: keys[head][query]."""
    pos = len(keys[0])
    pattern = torch.eye(pos, device=device)[torch.tensor(keys, device=device)]
    return pattern[None].expand(batch, n_heads, pos, pos).clone()


def heads_by_hand(pos, device, *, batch=1):
    """Five heads: at itself, at the one before, at the first, at the middle one in reach, and two before (or the first)."""
    keys = [
        list(range(pos)),
        [max(query - 1, 0) for query in range(pos)],
        [0] * pos,
        [query // 2 for query in range(pos)],
        [max(query - 2, 0) for query in range(pos)],
    ]
    return looking_at(keys, 5, batch=batch, device=device)


def mean_in_loops(pattern, key_of):
    """For each head the mean of pattern[text, head, query, key_of(query)], over the queries for which there is one."""
    listed = pattern.double().tolist()
    n_heads, pos = pattern.shape[1], pattern.shape[2]
    entries = [
        [text[head][query][key_of(query)] for text in listed for query in range(pos) if key_of(query) is not None]
        for head in range(n_heads)
    ]
    return torch.tensor([sum(found) / len(found) for found in entries], dtype=torch.float64, device=pattern.device)


def expect_score(score, expected, *, rule, look_at, what, **more):
    expect_shape(
        score,
        expected.shape,
        axes="head",
        rule="one number for each head: the mean over texts and queries",
        look_at="the axes over which you average: batch and queries; the head axis stays",
        what=what,
    )
    expect_close(score, expected.to(score.dtype), rule=rule, look_at=look_at, axes="head", what=what, **more)


def uniform_pattern(pos, n_heads, device):
    """Every query divides itself equally over all keys in its reach."""
    rows = torch.ones(pos, pos, device=device).tril() / torch.arange(1, pos + 1, device=device)[:, None]
    return rows.expand(2, n_heads, pos, pos).clone()


CURRENT = "the entries (1, 1), (2, 2), … of each head's matrix, averaged over texts and queries; query 0 does not count"
PREVIOUS = "the entries (1, 0), (2, 1), … of each head's matrix, averaged over texts and queries"
FIRST = "the entries (1, 0), (2, 0), … of each head's matrix, averaged over texts and queries; query 0 does not count"
AT_CURRENT = "the diagonal: which offset, of which two axes, without its first entry; then a mean, not a sum"
AT_PREVIOUS = "the diagonal: below the main one, so a negative offset, of the last two axes; then a mean, not a sum"
AT_FIRST = "the index: all queries but the first, key 0; then a mean, not a sum"


def test_a_head_that_looks_at_itself_has_current_token_score_1_and_others_0(current_token_score, device):
    for pos in (4, 9):
        expect_score(
            current_token_score(heads_by_hand(pos, device, batch=3)),
            torch.tensor([1.0, 0, 0, 0, 0], device=device),
            rule=CURRENT,
            look_at=AT_CURRENT,
            what=f"the score of five heads (looking at itself, one back, first, halfway, two back) over {pos} positions",
        )


def test_a_head_that_divides_itself_equally_has_the_current_token_score_of_that(current_token_score, device):
    for pos in (3, 8):
        expected = sum(1 / (query + 1) for query in range(1, pos)) / (pos - 1)
        expect_score(
            current_token_score(uniform_pattern(pos, 4, device)),
            torch.full((4,), expected, device=device),
            rule="query i gives 1/(i+1) to itself, and the score is the mean of that over queries 1, 2, …",
            look_at="whether query 0 is left out, and whether you average",
            what=f"the score of a head that divides itself equally over {pos} positions",
        )


def test_the_current_token_score_is_the_mean_over_texts_and_queries(current_token_score, draw):
    for batch, head, pos in ((2, 3, 6), (5, 4, 9), (3, 7, 5)):
        pattern = random_pattern(draw, batch=batch, head=head, pos=pos)
        expect_score(
            current_token_score(pattern),
            mean_in_loops(pattern, lambda query: query or None),
            rule=CURRENT,
            look_at=AT_CURRENT,
            what="the current-token score",
        )


def test_the_current_token_score_of_a_float64_pattern_is_exact(current_token_score, draw):
    pattern = random_pattern(draw).double()
    pattern = pattern / pattern.sum(-1, keepdim=True)
    expect_score(
        current_token_score(pattern),
        mean_in_loops(pattern, lambda query: query or None),
        rule="the result has the dtype of the pattern, and its precision",
        look_at="tensors that you make yourself, and calls such as .float()",
        what="the current-token score",
        dtype=torch.float64,
        atol=1e-9,
        rtol=1e-7,
    )


def key_before(query):
    return query - 1 if query else None


def test_a_head_that_looks_one_back_has_previous_token_score_1(previous_token_score, device):
    for pos in (6, 9):
        halfway = 1 / (pos - 1)  # query 1 looks at key 0, and query 2 at key 1
        expect_score(
            previous_token_score(heads_by_hand(pos, device, batch=3)),
            torch.tensor([0, 1.0, halfway, 2 * halfway, halfway], device=device),
            rule=PREVIOUS,
            look_at=AT_PREVIOUS,
            what=f"the score of five heads (looking at itself, one back, first, halfway, two back) over {pos} positions",
        )


def test_a_head_that_divides_itself_equally_has_the_previous_token_score_of_that(previous_token_score, device):
    for pos in (3, 8):
        expected = sum(1 / (query + 1) for query in range(1, pos)) / (pos - 1)
        expect_score(
            previous_token_score(uniform_pattern(pos, 4, device)),
            torch.full((4,), expected, device=device),
            rule="query i gives 1/(i+1) to the one before, and the score is the mean of that over queries 1, 2, …",
            look_at="over how many queries you average: query 0 has no previous token and does not count",
            what=f"the score of a head that divides itself equally over {pos} positions",
        )


def test_the_previous_token_score_is_the_mean_over_texts_and_queries(previous_token_score, draw):
    for batch, head, pos in ((2, 3, 6), (5, 4, 9), (3, 7, 5)):
        pattern = random_pattern(draw, batch=batch, head=head, pos=pos)
        expect_score(
            previous_token_score(pattern),
            mean_in_loops(pattern, key_before),
            rule=PREVIOUS,
            look_at=AT_PREVIOUS,
            what="the previous-token score",
        )


def test_the_previous_token_score_of_a_float64_pattern_is_exact(previous_token_score, draw):
    pattern = random_pattern(draw).double()
    pattern = pattern / pattern.sum(-1, keepdim=True)
    expect_score(
        previous_token_score(pattern),
        mean_in_loops(pattern, key_before),
        rule="the result has the dtype of the pattern, and its precision",
        look_at="tensors that you make yourself, and calls such as .float()",
        what="the previous-token score",
        dtype=torch.float64,
        atol=1e-9,
        rtol=1e-7,
    )


def key_first(query):
    return 0 if query else None


def test_a_head_that_looks_at_the_first_token_has_first_token_score_1(first_token_score, device):
    for pos in (6, 9):
        one = 1 / (pos - 1)
        expect_score(
            first_token_score(heads_by_hand(pos, device, batch=3)),
            torch.tensor([0, one, 1.0, one, 2 * one], device=device),
            rule=FIRST,
            look_at=AT_FIRST,
            what=f"the score of five heads (looking at itself, one back, first, halfway, two back) over {pos} positions",
        )


def test_a_head_that_divides_itself_equally_has_the_first_token_score_of_that(first_token_score, device):
    for pos in (3, 8):
        expected = sum(1 / (query + 1) for query in range(1, pos)) / (pos - 1)
        expect_score(
            first_token_score(uniform_pattern(pos, 4, device)),
            torch.full((4,), expected, device=device),
            rule="query i gives 1/(i+1) to the first token, and the score is the mean of that over queries 1, 2, …",
            look_at="whether query 0 is left out: it has no other key to look at",
            what=f"the score of a head that divides itself equally over {pos} positions",
        )


def test_the_first_token_score_is_the_mean_over_texts_and_queries(first_token_score, draw):
    for batch, head, pos in ((2, 3, 6), (5, 4, 9), (3, 7, 5)):
        pattern = random_pattern(draw, batch=batch, head=head, pos=pos)
        expect_score(
            first_token_score(pattern),
            mean_in_loops(pattern, key_first),
            rule=FIRST,
            look_at=AT_FIRST,
            what="the first-token score",
        )


def test_the_first_token_score_of_a_float64_pattern_is_exact(first_token_score, draw):
    pattern = random_pattern(draw).double()
    pattern = pattern / pattern.sum(-1, keepdim=True)
    expect_score(
        first_token_score(pattern),
        mean_in_loops(pattern, key_first),
        rule="the result has the dtype of the pattern, and its precision",
        look_at="tensors that you make yourself, and calls such as .float()",
        what="the first-token score",
        dtype=torch.float64,
        atol=1e-9,
        rtol=1e-7,
    )


# 2.5 repeated_tokens


def repeated_by(repeated_tokens, d_vocab, batch, length, bos, *, seed, others_seed=0):
    """The tokens that a fresh generator of this seed gives, while the global one has a seed of its own."""
    torch.manual_seed(others_seed)
    tokens = repeated_tokens(d_vocab, batch, length, bos, torch.Generator().manual_seed(seed))
    expect_shape(
        tokens,
        (batch, 1 + 2 * length),
        axes="batch pos",
        rule="BOS once, then `length` tokens, then the same `length` tokens again: 1 + 2 * length positions",
        look_at="the pieces that you put side by side: how many, how long, and along which axis",
        what="the tokens",
    )
    if tokens.dtype != torch.long:
        complain(
            f"the tokens have dtype {str(tokens.dtype).removeprefix('torch.')}",
            rule="token ids are whole numbers, int64: they are used to index",
            look_at="the tensors that you make yourself, and what torch.cat makes of mixed kinds",
        )
    return tokens


def seed_from(draw):
    return int(draw.integers(1, 2**31))


# the id of BOS at the start, in the middle and at the end of the vocabulary
VOCABULARIES = ((11, 0), (23, 8), (9, 8))


def test_a_text_is_bos_and_twice_length_tokens(repeated_tokens, draw):
    repeated_by(repeated_tokens, 11, 3, 5, 0, seed=seed_from(draw))
    repeated_by(repeated_tokens, 7, 2, 20, 3, seed=seed_from(draw))


def test_every_text_begins_with_bos(repeated_tokens, draw):
    for d_vocab, bos in VOCABULARIES:
        tokens = repeated_by(repeated_tokens, d_vocab, 4, 6, bos, seed=seed_from(draw))
        expect_equal(
            tokens[:, 0].cpu(),
            torch.full((4,), bos),
            rule=f"position 0 of every text holds BOS, here {bos}",
            look_at="the column in front: its value is the argument bos, whatever that is",
            what="the first column",
        )


def test_the_second_half_is_the_first_once_more(repeated_tokens, draw):
    for d_vocab, bos in VOCABULARIES:
        tokens = repeated_by(repeated_tokens, d_vocab, 4, 6, bos, seed=seed_from(draw))
        expect_equal(
            tokens[:, 7:],
            tokens[:, 1:7],
            rule="positions length + 1 and later hold the same tokens, in the same order, as positions 1 to length",
            look_at="whether the segment is drawn once, and put there twice as a whole",
            what="the second half",
        )


def test_bos_stands_nowhere_but_in_front(repeated_tokens, draw):
    for d_vocab, bos in VOCABULARIES:
        tokens = repeated_by(repeated_tokens, d_vocab, 30, 20, bos, seed=seed_from(draw))
        inside = (tokens[:, 1:] == bos).nonzero()
        if len(inside):
            text, place = inside[0].tolist()
            complain(
                f"with {d_vocab} tokens and bos = {bos}, position {place + 1} of text {text} is BOS too",
                rule="the random tokens are never BOS, whichever id it has",
                look_at="the range you draw from, and what you do about bos in its middle",
            )


def test_all_other_tokens_are_equally_likely(repeated_tokens, draw):
    for d_vocab, bos in VOCABULARIES:
        batch, length = 300, 40
        tokens = repeated_by(repeated_tokens, d_vocab, batch, length, bos, seed=seed_from(draw))
        inside = tokens[:, 1 : length + 1].cpu()
        outside = inside[(inside < 0) | (inside >= d_vocab)]
        if len(outside):
            complain(
                f"with {d_vocab} tokens, the token {outside[0].item()} came up",
                rule=f"token ids lie between 0 and d_vocab - 1 = {d_vocab - 1}",
                look_at="the upper end of randint, which is excluded, and what you add afterwards",
            )
        counts = torch.bincount(inside.flatten(), minlength=d_vocab).double()
        share = 1 / (d_vocab - 1)
        expected = torch.full((d_vocab,), batch * length * share, dtype=torch.float64)
        expected[bos] = 0
        allowed = 7 * math.sqrt(batch * length * share * (1 - share))
        worst = (counts - expected).abs().argmax().item()
        if abs(counts[worst] - expected[worst]) > allowed:
            complain(
                f"with {d_vocab} tokens and bos = {bos}, token {worst} came up {counts[worst]:.0f} times in"
                f" {batch * length}, where about {expected[worst]:.0f} are right",
                rule="all tokens but BOS are equally likely",
                look_at="the ends of the range you draw from, and what becomes of a BOS that was drawn",
                picture=(counts, expected),
                picture_axes=("token",),
            )


def test_places_and_texts_are_drawn_by_themselves(repeated_tokens, draw):
    tokens = repeated_by(repeated_tokens, 11, 60, 30, 0, seed=seed_from(draw)).cpu()
    half = tokens[:, 1:31]
    for pair, name in (
        ((half[1:], half[:-1]), "a text and the next"),
        ((half[:, 1:], half[:, :-1]), "a place and the next"),
    ):
        same = (pair[0] == pair[1]).double().mean().item()
        if abs(same - 0.1) > 0.06:
            complain(
                f"with 10 tokens to draw from, {name} hold the same token in {100 * same:.0f} % of cases; 10 % are right",
                rule="every place of every text is drawn by itself, and a token may come up more than once",
                look_at="the shape that you draw, batch length, and whether you draw with replacement",
            )


def test_the_generator_decides_what_is_drawn(repeated_tokens, draw):
    seed = seed_from(draw)
    once = repeated_by(repeated_tokens, 40, 3, 12, 0, seed=seed, others_seed=1)
    again = repeated_by(repeated_tokens, 40, 3, 12, 0, seed=seed, others_seed=2)
    expect_equal(
        again,
        once,
        rule="two generators in the same state give the same tokens, whatever state torch's global one is in",
        look_at="whether every draw is given generator=generator",
        what="the second draw",
    )
    other = repeated_by(repeated_tokens, 40, 3, 12, 0, seed=seed + 1, others_seed=2)
    if torch.equal(once, other):
        complain(
            "two generators of different seeds give the same tokens",
            rule="the tokens come from the generator that is handed in",
            look_at="a seed that you set yourself",
        )


# 2.6 per_token_log_probs


def random_logits(draw, *, batch=3, pos=6, d_vocab=11, std=2.0):
    return draw.normal(batch, pos, d_vocab, std=std) + draw.normal(batch, pos, 1), draw.integers(
        0, d_vocab, (batch, pos)
    )


LOG_PROB_AXES = "batch pos-1"
LOG_PROB_RULE = "entry i is the log-probability that the logits at position i give to the token at position i + 1"
AT_LOG_PROBS = "the shift (logits[:, :-1] go with tokens[:, 1:]), the axis of log_softmax, and the gather"


def expect_log_probs_of_shape(result, shape):
    expect_shape(
        result,
        shape,
        axes=LOG_PROB_AXES,
        rule="a text of pos tokens has pos - 1 predictions that come true or not",
        look_at="what you drop: the logits of the last position and the first token; and the last axis after gather"
        " (squeeze(-1), since squeeze() drops every axis of size 1)",
    )


def expect_log_probs(result, expected, *, rule=LOG_PROB_RULE, look_at=AT_LOG_PROBS, **more):
    expect_log_probs_of_shape(result, expected.shape)
    expect_close(result, expected, rule=rule, look_at=look_at, axes=LOG_PROB_AXES, **more)


def test_there_is_one_log_probability_less_than_tokens(per_token_log_probs, draw):
    # a batch of one text, and texts of two tokens, have axes of size 1 that must stay
    for batch, pos in ((3, 6), (1, 6), (4, 2)):
        logits, tokens = random_logits(draw, batch=batch, pos=pos)
        expect_log_probs_of_shape(per_token_log_probs(logits, tokens), (batch, pos - 1))


def test_equal_logits_give_every_token_the_same_share(per_token_log_probs, draw, device):
    for d_vocab in (5, 11):
        tokens = draw.integers(0, d_vocab, (2, 7))
        logits = torch.zeros(2, 7, d_vocab, device=device) + draw.normal(2, 7, 1)
        expect_log_probs(
            per_token_log_probs(logits, tokens),
            torch.full((2, 6), -math.log(d_vocab), device=device),
            rule="where all logits of a position are equal, every token has the log-probability -ln(d_vocab), in nats",
            look_at="log_softmax over the vocabulary, the last axis, and the sign",
        )


def test_logits_that_know_the_next_token_give_log_probability_0(per_token_log_probs, draw, device):
    tokens = draw.integers(0, 11, (2, 7))
    logits = torch.zeros(2, 7, 11, device=device)
    logits[:, :-1] = 60 * F.one_hot(tokens[:, 1:], 11).float()
    expect_log_probs(
        per_token_log_probs(logits, tokens),
        torch.zeros(2, 6, device=device),
        rule="a model that is sure of every next token, and right, has log-probability 0 everywhere",
        look_at="which position's logits you hold against which token: position i is about token i + 1",
        atol=1e-4,
    )


def test_the_log_probabilities_are_those_of_cross_entropy(per_token_log_probs, draw):
    for sizes in (dict(), dict(batch=2, pos=9, d_vocab=5), dict(batch=5, pos=3, d_vocab=17)):
        logits, tokens = random_logits(draw, **sizes)
        loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
        expect_log_probs(per_token_log_probs(logits, tokens), -loss)


def test_an_unlikely_token_has_a_finite_log_probability(per_token_log_probs, draw):
    logits, tokens = random_logits(draw, std=150.0)
    loss = F.cross_entropy(logits[:, :-1].double().transpose(1, 2), tokens[:, 1:], reduction="none")
    expect_log_probs(
        per_token_log_probs(logits, tokens),
        -loss.float(),
        rule="log-probabilities stay finite where the probability itself is too small for float32",
        look_at="log_softmax in place of the log of a softmax, and nothing that keeps away from 0",
        atol=1e-3,
    )


def test_the_log_probabilities_of_float64_logits_are_exact(per_token_log_probs, draw):
    logits, tokens = random_logits(draw)
    logits = logits.double()
    loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    expect_log_probs(
        per_token_log_probs(logits, tokens),
        -loss,
        rule="the result has the dtype of the logits, and its precision",
        look_at="calls such as .float()",
        dtype=torch.float64,
        atol=1e-9,
        rtol=1e-7,
    )


# 2.7 induction_score


INDUCTION = (
    "the mean over texts and over the queries length + 1 to 2 * length of the attention to the key length - 1 before"
)
AT_INDUCTION = "the offset of the diagonal, 1 - length, and which part of it: the last `length` entries"


def second_half(length, back):
    """For the queries of the second half the key `back` before; None for others."""
    return lambda query: query - back if query > length else None


def repeating_heads(length, device, *, batch=2):
    """Heads on BOS and two halves: after the first occurrence, at the first occurrence, two after it; all else at BOS.

    The fourth looks to the right place from the first half only, where nothing has repeated yet.
    """
    pos = 2 * length + 1
    keys = [
        [query - back if query > length else 0 for query in range(pos)] for back in (length - 1, length, length - 2)
    ]
    keys.append([query - length + 1 if length - 1 <= query <= length else 0 for query in range(pos)])
    return looking_at(keys, 4, batch=batch, device=device)


def test_a_head_that_looks_after_the_first_occurrence_has_score_1_and_others_0(induction_score, device):
    for length in (4, 7):
        expect_score(
            induction_score(repeating_heads(length, device), length),
            torch.tensor([1.0, 0, 0, 0], device=device),
            rule=INDUCTION,
            look_at=AT_INDUCTION,
            what="the score of four heads (after the first occurrence, at it, two after it, only in the first half)"
            f" with length {length}",
        )


def test_every_query_of_the_second_half_counts_the_same(induction_score, device):
    length = 5
    pos = 2 * length + 1
    # head i looks to the right place from the last i + 1 queries only
    keys = [[query - length + 1 if query >= pos - 1 - head else 0 for query in range(pos)] for head in range(length)]
    expect_score(
        induction_score(looking_at(keys, length, batch=2, device=device), length),
        torch.arange(1, length + 1, device=device) / length,
        rule="the score is the share of the second half's `length` queries, all counted equally",
        look_at="which queries you take, the first and the last of them, and that you average",
        what="the score of heads that look to the right place from 1, 2, … of the last queries",
    )


def test_the_induction_score_is_the_mean_over_texts_and_the_second_half(induction_score, draw):
    for batch, head, length in ((2, 3, 4), (5, 4, 6), (3, 7, 3)):
        pattern = random_pattern(draw, batch=batch, head=head, pos=2 * length + 1)
        expect_score(
            induction_score(pattern, length),
            mean_in_loops(pattern, second_half(length, length - 1)),
            rule=INDUCTION,
            look_at=AT_INDUCTION,
            what=f"the induction score with length {length}",
        )


def test_the_induction_score_of_a_float64_pattern_is_exact(induction_score, draw):
    pattern = random_pattern(draw, pos=11).double()
    pattern = pattern / pattern.sum(-1, keepdim=True)
    expect_score(
        induction_score(pattern, 5),
        mean_in_loops(pattern, second_half(5, 4)),
        rule="the result has the dtype of the pattern, and its precision",
        look_at="tensors that you make yourself, and calls such as .float()",
        what="the induction score",
        dtype=torch.float64,
        atol=1e-9,
        rtol=1e-7,
    )


# 2.8 induction_scores


def said_twice(draw, cfg, *, batch=3, length=4):
    """BOS, random tokens, and the same again."""
    segment = draw.integers(1, cfg.d_vocab, (batch, length))
    return torch.cat([torch.zeros_like(segment[:, :1]), segment, segment], dim=1)


@remembered
def scores_in_loops(model, tokens, length):
    """The induction scores of a model's cached patterns, entry by entry."""
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens)
    return torch.stack(
        [mean_in_loops(cache["pattern", layer], second_half(length, length - 1)) for layer in range(model.cfg.n_layers)]
    ).float()


AT_HOOKS = "the hook: which hook point, which row of the scores it fills, and how it knows its layer"


def expect_scores(induction_scores, draw, cfg, *, batch=3, length=4):
    model, tokens = tiny_model(draw, cfg), said_twice(draw, cfg, batch=batch, length=length)
    expected = scores_in_loops(model, tokens, length)
    scores = induction_scores(model, tokens, length)
    expect_shape(
        scores,
        expected.shape,
        axes="layer head",
        rule="one number for every head of every layer",
        look_at="the tensor that the hooks fill: n_layers rows of n_heads numbers",
        what="the scores",
    )
    expect_close(
        scores,
        expected,
        rule="row l holds the induction scores of the heads of layer l, from one run of the model on all the texts",
        look_at=AT_HOOKS,
        axes="layer head",
        what=f"the scores of a model of {cfg.n_layers} layers",
    )
    return model


def test_the_hooks_give_every_head_its_induction_score(induction_scores, draw):
    expect_scores(induction_scores, draw, SMALL)
    expect_scores(induction_scores, draw, FIVE_HEADS, batch=2, length=6)


def test_a_model_with_mlps_and_one_without_layer_norm_are_scored_as_well(induction_scores, draw):
    expect_scores(induction_scores, draw, WITH_MLPS, length=5)
    expect_scores(induction_scores, draw, NO_LAYER_NORM)


def test_no_hook_is_left_on_the_model(induction_scores, draw):
    model = tiny_model(draw)
    induction_scores(model, said_twice(draw, SMALL), 4)
    expect_no_hooks(
        model, look_at="run_with_hooks takes its hooks off again; after add_hook you must call reset_hooks yourself"
    )


def test_reading_does_not_change_what_the_model_says(induction_scores, draw):
    model, tokens = tiny_model(draw), said_twice(draw, SMALL)
    with torch.no_grad():
        said = model(tokens)
    induction_scores(model, tokens, 4)
    with torch.no_grad():
        says = model(tokens)
    expect_close(
        says,
        said,
        rule="a function that reads leaves the model as it was",
        look_at="hooks that stay on the model, and hooks that change the pattern in place",
        axes="batch pos d_vocab",
        what="the model's logits after your function has run",
    )


def test_a_second_model_is_scored_by_itself(induction_scores, draw):
    expect_scores(induction_scores, draw, SMALL)
    model = expect_scores(induction_scores, draw, SMALL)
    expect_no_hooks(model)


# other numbers of layers, heads and dimensions than SMALL
TWO_HEADS = replace(SMALL, n_heads=2, d_head=6)
THREE_LAYERS = replace(TWO_HEADS, n_layers=3)
THREE_LAYERS_WITH_MLPS = replace(WITH_MLPS, n_layers=3, n_heads=2, d_head=6)
WITHOUT_LAYERNORM = replace(SMALL, normalization_type=None)
LENS_AXES = "layer batch pos d_vocab"
PARTS_AXES = "component batch pos"


def writing_weights(model, layer):
    """The weights and biases with which a layer writes to the residual stream."""
    names = (f"layers.{layer}.", (".o.", ".fc_out."))
    return [
        weight for name, weight in model.named_parameters() if names[0] in name and any(n in name for n in names[1])
    ]


def words_that_repeat(draw, *, batch=3, length=5, d_vocab=SMALL.d_vocab):
    """BOS, random words, and the same again."""
    words = draw.integers(1, d_vocab, (batch, length))
    return torch.cat([torch.zeros_like(words[:, :1]), words, words], dim=1)


def losses_on(logits, tokens):
    """The loss of every token but the first."""
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")


@remembered
def without_head(model, tokens, layer, head, how):
    """The logits when the head's weights are taken away, and its mean is written by the bias instead."""
    with torch.no_grad():
        attn = model.blocks[layer].attn
        W_O, b_O = attn.W_O[head], attn.b_O  # views: what is written here is in the model
        kept = W_O.clone(), b_O.clone()
        if how == "mean":
            _, cache = model.run_with_cache(tokens)
            b_O += cache["z", layer][:, :, head].flatten(0, 1).mean(dim=0) @ W_O
        W_O.zero_()
        logits = model(tokens)
        W_O.copy_(kept[0])
        b_O.copy_(kept[1])
    return logits


def expect_model_as_before(model, tokens, before, *, look_at):
    """No hook is left on the model, and it gives the logits that it gave before."""
    expect_no_hooks(model, look_at=look_at)
    with torch.no_grad():
        after = model(tokens)
    if not torch.allclose(after, before, atol=1e-5):
        complain(
            "the model gives other logits than it gave before",
            rule="an experiment leaves the model as it found it",
            look_at="whether you write into a weight of the model",
        )


# 2.9 logit_lens


def test_the_lens_has_a_row_before_each_layer_and_one_at_the_end(logit_lens, draw):
    model, tokens = tiny_model(draw, THREE_LAYERS), random_tokens(draw)
    expect_shape(
        logit_lens(model, tokens),
        (4, 2, 7, SMALL.d_vocab),
        axes=LENS_AXES,
        rule="a model with 3 layers has 4 streams to read: before each layer, and after the last",
        look_at="the list of streams, and the axis on which they are stacked",
    )


def test_the_last_row_is_the_models_own_logits(logit_lens, draw):
    for cfg in (THREE_LAYERS, WITH_MLPS, WITHOUT_LAYERNORM):
        model, tokens = tiny_model(draw, cfg), random_tokens(draw, pos=6)
        result = logit_lens(model, tokens)
        with torch.no_grad():
            logits = model(tokens)
        expect_shape(result, (cfg.n_layers + 1, *logits.shape), axes=LENS_AXES, look_at="which streams are read")
        expect_close(
            result[-1],
            logits,
            rule="at the end of the stream the lens sees what the model says",
            look_at="the last stream, and whether it goes through ln_final and then unembed",
            axes="batch pos d_vocab",
            what="the last row",
            atol=1e-4,
        )


def test_each_row_is_what_the_model_says_when_later_layers_write_nothing(logit_lens, draw):
    for cfg in (SMALL, THREE_LAYERS_WITH_MLPS):
        model, tokens = tiny_model(draw, cfg), random_tokens(draw)
        result = logit_lens(model, tokens)
        expect_shape(result, (cfg.n_layers + 1, 2, 7, cfg.d_vocab), axes=LENS_AXES, look_at="which streams are read")
        for layer in reversed(range(cfg.n_layers)):
            with torch.no_grad():
                for weight in writing_weights(model, layer):
                    weight.zero_()
                logits = model(tokens)
            expect_close(
                result[layer],
                logits,
                rule=f"row {layer} reads the stream before layer {layer}: as if layers from {layer} on wrote nothing",
                look_at="which stream each row takes, and that each goes through ln_final with its own scale",
                axes="batch pos d_vocab",
                what=f"row {layer}",
                atol=1e-4,
            )


def test_the_first_row_knows_nothing_of_earlier_tokens(logit_lens, draw):
    model, tokens = tiny_model(draw), random_tokens(draw)
    others = random_tokens(draw)
    others[:, -1] = tokens[:, -1]
    rows = [logit_lens(model, each) for each in (tokens, others)]
    for row in rows:
        expect_shape(row, (3, 2, 7, SMALL.d_vocab), axes=LENS_AXES, look_at="which streams are read")
    expect_close(
        rows[1][0, :, -1],
        rows[0][0, :, -1],
        rule="before layer 0 no position has read another: the last logits depend on the last token and its position",
        look_at="the first stream in your list",
        axes="batch d_vocab",
        what="the first row at the last position",
    )


def test_the_lens_leaves_the_model_as_it_was(logit_lens, draw):
    model, tokens = tiny_model(draw), random_tokens(draw)
    with torch.no_grad():
        before = model(tokens)
    logit_lens(model, tokens)
    expect_model_as_before(model, tokens, before, look_at="how you get at the streams: run_with_cache leaves nothing")


# 2.10 logit_attribution


def attributed(logit_attribution, draw, cfg, *, batch=2, pos=7):
    """What the learner makes of a random run in float64, of known shape, with the cache and the tokens of that run."""
    model = tiny_model(draw, cfg).double()
    tokens = random_tokens(draw, batch=batch, pos=pos)
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens)
    parts = logit_attribution(model, cache, tokens)
    each = cfg.n_heads + 1 + hasattr(cfg, "d_mlp")
    expect_shape(
        parts,
        (2 + cfg.n_layers * each + 1, batch, pos - 1),
        axes=PARTS_AXES,
        rule=f"embed and pos_embed, then in each of {cfg.n_layers} layers {cfg.n_heads} heads, b_O"
        f"{' and the MLP' if hasattr(cfg, 'd_mlp') else ''}, last b_U; one number for every token but the first",
        look_at="component_labels(model), and which positions have a next token",
    )
    return parts, model, cache, logits, tokens


def projected(writes, model, cache, tokens):
    """Writes through TransformerLens' own frozen LayerNorm, on the direction of the next token."""
    with torch.no_grad():
        normalised = cache.apply_ln_to_stack(writes, layer=-1)
        directions = F.embedding(tokens[:, 1:], model.W_U.T.contiguous())
        return (normalised[:, :, :-1] * directions).sum(dim=-1)


def rows_of(cfg, kind):
    """The places of the heads, of b_O or of the MLPs among the components."""
    each = cfg.n_heads + 1 + hasattr(cfg, "d_mlp")
    starts = [2 + layer * each for layer in range(cfg.n_layers)]
    places = {"head": range(cfg.n_heads), "b_O": [cfg.n_heads], "mlp": [cfg.n_heads + 1]}[kind]
    return [start + place for start in starts for place in places]


def expect_parts_are(parts, expected, *, what, rule, look_at):
    expect_close(parts, expected, what=what, rule=rule, look_at=look_at, axes=PARTS_AXES, atol=1e-4)


def test_the_parts_sum_to_the_logit_of_the_next_token(logit_attribution, draw):
    for cfg, pos in ((THREE_LAYERS, 6), (WITH_MLPS, 7), (SMALL, 9)):
        parts, _, _, logits, tokens = attributed(logit_attribution, draw, cfg, batch=3, pos=pos)
        index = tokens[:, 1:, None]
        expect_close(
            parts.sum(dim=0),
            logits[:, :-1].gather(-1, index)[..., 0],
            rule="position p predicts the token at p + 1, and that token's logit is the sum over all components",
            look_at="that every write is in it once, all divided by the run's own scale, and which token and position go together",
            axes="batch pos",
            what="the sum over components",
            atol=1e-4,
        )


def test_the_embeddings_come_first_each_with_its_own_entry(logit_attribution, draw):
    parts, model, cache, _, tokens = attributed(logit_attribution, draw, SMALL)
    with torch.no_grad():
        positions = model.W_pos[: tokens.shape[1]].expand(2, -1, -1)
        writes = torch.stack([F.embedding(tokens, model.W_E), positions])
        expected = projected(writes, model, cache, tokens)
    expect_parts_are(
        parts[:2],
        expected,
        what="the entry of an embedding",
        rule="row 0 is the token's embedding and row 1 the position's, over the scale of the final stream",
        look_at='cache["embed"] and cache["pos_embed"], and ln_final.hook_scale',
    )


def test_each_head_has_its_own_entry_in_the_order_of_the_labels(logit_attribution, draw):
    for cfg in (THREE_LAYERS, WITH_MLPS):
        parts, model, cache, _, tokens = attributed(logit_attribution, draw, cfg)
        with torch.no_grad():
            expected = projected(cache.stack_head_results(layer=-1), model, cache, tokens)
        expect_parts_are(
            parts[rows_of(cfg, "head")],
            expected,
            what="the entries of the heads",
            rule="a head writes its z times its own W_O, without a bias; layer by layer, in each layer head by head",
            look_at="which W_O meets which z, the scale, and the order on the first axis",
        )


def test_the_bias_of_each_attention_layer_stands_alone(logit_attribution, draw):
    for cfg in (THREE_LAYERS, WITH_MLPS):
        parts, model, cache, _, tokens = attributed(logit_attribution, draw, cfg)
        with torch.no_grad():
            writes = torch.stack([model.b_O[layer].expand(2, 7, -1) for layer in range(cfg.n_layers)])
            expected = projected(writes, model, cache, tokens)
        expect_parts_are(
            parts[rows_of(cfg, "b_O")],
            expected,
            what="the entries of b_O",
            rule="b_O belongs to no head; it is the same write at every position, over that position's scale",
            look_at="model.b_O, and where in the order it stands: after the heads of its layer",
        )


def test_mlps_are_there_where_the_model_has_them(logit_attribution, draw):
    cfg = THREE_LAYERS_WITH_MLPS
    parts, model, cache, _, tokens = attributed(logit_attribution, draw, cfg)
    with torch.no_grad():
        writes = torch.stack([cache[f"blocks.{layer}.hook_mlp_out"] for layer in range(cfg.n_layers)])
        expected = projected(writes, model, cache, tokens)
    expect_parts_are(
        parts[rows_of(cfg, "mlp")],
        expected,
        what="the entries of the MLPs",
        rule="what the MLP of a layer writes comes after that layer's b_O",
        look_at='cache["mlp_out", layer], and model.cfg.attn_only',
    )


def test_the_bias_of_the_unembedding_comes_last(logit_attribution, draw):
    parts, model, _, _, tokens = attributed(logit_attribution, draw, SMALL)
    with torch.no_grad():
        expected = F.embedding(tokens[:, 1:], model.b_U[:, None])[..., 0]
    expect_parts_are(
        parts[-1:],
        expected[None],
        what="the last entry",
        rule="b_U of the next token is added after LayerNorm, as it is",
        look_at="model.b_U, at which tokens, and that no scale divides it",
    )


# 2.11 ablate_head


def every_head(cfg):
    return [(layer, head) for layer in range(cfg.n_layers) for head in range(cfg.n_heads)]


def expect_ablated(ablate_head, draw, cfg, how, heads, *, batch=2, pos=7):
    """These heads of a model, ablated by the learner and by hand."""
    model, tokens = tiny_model(draw, cfg), random_tokens(draw, batch=batch, pos=pos)
    expected = {place: without_head(model, tokens, *place, how) for place in heads}
    value = "0" if how == "zero" else "its mean over batch and positions, a vector of d_head numbers"
    for layer, head in heads:
        expect_close(
            ablate_head(model, tokens, layer, head, how),
            expected[layer, head],
            rule=f"z of head {head} in layer {layer} is {value}, and every other head writes what it reads",
            look_at="the hook's name, the axis of z that counts heads, and what the hook returns",
            axes="batch pos d_vocab",
            what=f"the logits without L{layer}H{head}",
            atol=1e-4,
        )


def test_zero_ablation_is_a_run_without_that_heads_weights(ablate_head, draw):
    expect_ablated(ablate_head, draw, SMALL, "zero", every_head(SMALL))


def test_mean_ablation_writes_the_heads_mean_at_every_position_of_every_text(ablate_head, draw):
    expect_ablated(ablate_head, draw, SMALL, "mean", every_head(SMALL), batch=3, pos=5)


def test_ablation_works_in_models_with_mlps_and_other_numbers_of_heads(ablate_head, draw):
    for cfg, heads in ((WITH_MLPS, [(0, 2), (1, 0)]), (THREE_LAYERS, [(2, 1)])):
        for how in ("zero", "mean"):
            expect_ablated(ablate_head, draw, cfg, how, heads, batch=4, pos=6)


def test_without_how_the_head_is_set_to_zero(ablate_head, draw):
    model, tokens = tiny_model(draw), random_tokens(draw)
    expected = without_head(model, tokens, 1, 2, "zero")
    expect_close(
        ablate_head(model, tokens, 1, 2),
        expected,
        rule='how="zero" is the default',
        look_at="the line that begins with `def`",
        axes="batch pos d_vocab",
        what="the logits without L1H2",
        atol=1e-4,
    )


def test_any_other_how_is_refused_by_name(ablate_head, draw):
    model, tokens = tiny_model(draw), random_tokens(draw)
    rule = 'anything but "zero" and "mean" raises ValueError, whose text says what `how` was'
    look_at = "the first lines: what happens to a word that you do not know?"
    try:
        ablate_head(model, tokens, 0, 1, "median")
    except Complaint as complaint:
        if complaint.kind != "raised" or "ValueError" not in complaint.seen:
            raise
        if "median" not in complaint.seen:
            complain(f'with how="median", {complaint.seen}', rule=rule, look_at=look_at)
        return
    complain('with how="median", ablate_head returned logits', rule=rule, look_at=look_at)


def test_the_model_is_as_before_after_an_ablation(ablate_head, draw):
    for how in ("zero", "mean"):
        model, tokens = tiny_model(draw), random_tokens(draw)
        with torch.no_grad():
            before = model(tokens)
        ablate_head(model, tokens, 0, 2, how)
        look_at = "run_with_hooks, or `with model.hooks(...)`, which take away what they put on"
        expect_model_as_before(model, tokens, before, look_at=look_at)


# 2.12 ablation_scores


@remembered
def rises(model, tokens, length, how):
    """How much the loss on the second half rises without each head's weights."""
    with torch.no_grad():
        whole = losses_on(model(tokens), tokens)
    scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, device=tokens.device)
    for place in every_head(model.cfg):
        rise = losses_on(without_head(model, tokens, *place, how), tokens) - whole
        scores[place] = rise[:, -(length - 1) :].mean()
    return scores


def expect_ablation_scores(ablation_scores, draw, cfg, how, *, batch, length):
    model, tokens = tiny_model(draw, cfg), words_that_repeat(draw, batch=batch, length=length)
    expected = rises(model, tokens, length, how)
    expect_close(
        ablation_scores(model, tokens, length, how),
        expected,
        rule="loss with the head ablated minus loss of the whole model, per token, on the second half from its second word on",
        look_at="the slice of losses, the order of the difference, and that `how` reaches ablate_head",
        axes="layer head",
        what="the scores",
        atol=1e-4,
        rtol=1e-3,
    )


def test_scores_are_the_rise_of_the_loss_on_the_second_half(ablation_scores, draw):
    expect_ablation_scores(ablation_scores, draw, TWO_HEADS, "zero", batch=3, length=5)


def test_scores_hold_for_other_lengths_and_numbers_of_heads(ablation_scores, draw):
    expect_ablation_scores(ablation_scores, draw, THREE_LAYERS, "zero", batch=2, length=7)


def test_scores_by_mean_ablation(ablation_scores, draw):
    expect_ablation_scores(ablation_scores, draw, TWO_HEADS, "mean", batch=3, length=6)


def test_without_how_scores_are_by_zero_ablation_and_mlps_do_no_harm(ablation_scores, draw):
    model, tokens = tiny_model(draw, WITH_MLPS), words_that_repeat(draw, batch=2, length=4)
    by_name, by_default = ablation_scores(model, tokens, 4, "zero"), ablation_scores(model, tokens, 4)
    expect_shape(by_default, (2, 3), axes="layer head", look_at="the tensor that you fill")
    expect_close(
        by_default,
        by_name,
        rule='how="zero" is the default',
        look_at="the line that begins with `def`",
        axes="layer head",
    )


def test_a_head_that_writes_nothing_scores_0(ablation_scores, draw):
    model, tokens = tiny_model(draw), words_that_repeat(draw, length=6)
    with torch.no_grad():
        model.blocks[0].attn.W_O[1] = 0
    scores = ablation_scores(model, tokens, 6)
    expect_shape(scores, (2, 3), axes="layer head", look_at="the tensor that you fill")
    expect_close(
        scores[0, 1],
        torch.zeros((), device=tokens.device),
        rule="without a head that writes nothing, nothing changes",
        look_at="that the loss of the whole model is subtracted, and that each head is ablated alone",
        what="the score of such a head",
    )


def test_the_model_is_as_before_after_scoring(ablation_scores, draw):
    model, tokens = tiny_model(draw, TWO_HEADS), words_that_repeat(draw)
    with torch.no_grad():
        before = model(tokens)
    ablation_scores(model, tokens, 5, "mean")
    expect_model_as_before(model, tokens, before, look_at="ablate_head, which takes its hooks away again")


# more words than d_model, as every real model has, so that the thin factors are thinner than the product
MANY_WORDS = replace(SMALL, d_vocab=29)
DEEPER = replace(SMALL, n_layers=3)
DEEPER_WITH_MLPS = replace(WITH_MLPS, n_layers=3)


def doubled(*tensors):
    return [tensor.detach().double() for tensor in tensors]


# 2.13 ov_circuit


def product_of(circuit):
    """The product of what ov_circuit returned, once it is known to be a factored matrix of two plain axes."""
    if not isinstance(circuit, FactoredMatrix):
        raise Complaint(
            f"ov_circuit returned a {type(circuit).__name__}",
            rule="a FactoredMatrix comes back: two factors that stand for their product",
            look_at="the return line: FactoredMatrix(left, right), without .AB",
            kind="type",
        )
    return circuit.AB


def expect_ov_circuit(ov_circuit, model, layer, head):
    W_E, W_V, W_O, W_U = doubled(model.W_E, model.W_V[layer, head], model.W_O[layer, head], model.W_U)
    expect_close(
        product_of(ov_circuit(model, layer, head)),
        einops.einsum(W_E, W_V, W_O, W_U, "source a, a b, b c, c out -> source out"),
        rule="row s, column o is what looking at word s adds to the logit of word o: W_E W_V W_O W_U",
        look_at="the order of the four matrices, and which of them have layer and head",
        axes="source out",
        atol=1e-4,
        what=f"the product of the factors for L{layer}H{head}",
    )


def with_other_heads_changed(draw, model, layer, head):
    """The same model, in which every head but this one has become another."""
    with torch.no_grad():
        for block, attn in enumerate(block.attn for block in model.blocks):
            for weights in (attn.W_Q, attn.W_K, attn.W_V, attn.W_O):
                for other in range(len(weights)):
                    if (block, other) != (layer, head):
                        weights[other] = draw.normal(*weights[other].shape)
    return model


def test_the_circuit_is_made_of_this_heads_weights_alone(ov_circuit, draw):
    model = tiny_model(draw, MANY_WORDS)
    for layer, head in [(0, 2), (1, 0)]:
        before = product_of(ov_circuit(model, layer, head)).clone()
        with_other_heads_changed(draw, model, layer, head)
        expect_close(
            product_of(ov_circuit(model, layer, head)),
            before,
            rule=f"the circuit of L{layer}H{head} stays what it is when other heads change",
            look_at="the indices of W_V and W_O: [layer, head] in both",
            axes="source out",
            atol=1e-4,
            what=f"the product of the factors for L{layer}H{head}",
        )


def test_the_circuit_leads_from_the_word_looked_at_to_the_words_written(ov_circuit, draw):
    model = tiny_model(draw, MANY_WORDS)
    for layer, head in [(0, 0), (0, 2), (1, 0), (1, 1)]:
        expect_ov_circuit(ov_circuit, model, layer, head)


def test_the_circuit_is_that_of_the_head_in_a_model_with_mlps_too(ov_circuit, draw):
    model = tiny_model(draw, replace(DEEPER_WITH_MLPS, d_vocab=23))
    for layer, head in [(2, 0), (1, 2)]:
        expect_ov_circuit(ov_circuit, model, layer, head)


def test_the_factors_are_thin(ov_circuit, draw):
    circuit = ov_circuit(tiny_model(draw, MANY_WORDS), 1, 2)
    product_of(circuit)
    if circuit.mdim > MANY_WORDS.d_model:
        complain(
            f"the factors are {list(circuit.A.shape)} and {list(circuit.B.shape)}",
            rule="the product of d_vocab by d_vocab is never formed: between the factors lie d_head numbers (or d_model)",
            look_at="whether all four matrices are multiplied before FactoredMatrix gets them",
        )


# 2.14 copying_score


def circuit_with_ranks(draw, *, words=23):
    """A circuit of words by words, some of which copy, and its product in plain lists."""
    dense = draw.normal(words, words) * draw.uniform(words, 1, low=0.3, high=3.0)
    # from clearly the highest to clearly the lowest of its row
    boost = draw.uniform(words, low=-4.0, high=6.0) * dense.abs().max(dim=-1).values / 2.5
    dense = (dense + torch.diag(boost)).double()
    return FactoredMatrix(dense, torch.eye(words, dtype=dense.dtype, device=dense.device)), dense.tolist()


def test_a_head_that_lowers_the_word_it_looks_at_scores_0(copying_score, draw):
    left = F.normalize(draw.normal(19, 4), dim=-1)
    for k in (1, 5):
        expect_close(
            copying_score(FactoredMatrix(left, -left.T), k),
            0.0,
            rule="in every row the own logit is the lowest of 19: no word counts",
            look_at="which way you compare, with which sign, and what the count starts from",
            what=f"the score of -A Aᵀ for k = {k}",
        )


def test_a_head_that_raises_the_word_it_looks_at_most_scores_1(copying_score, draw):
    left = F.normalize(draw.normal(19, 4), dim=-1)
    expect_close(
        copying_score(FactoredMatrix(left, left.T), 1),
        1.0,
        rule="in every row the own logit is the highest: every word counts, and all of them are a share of 1",
        look_at="how many higher logits may be there for k = 1, what is added up, and what it is divided by",
        what="the score of A Aᵀ for k = 1",
    )


def test_a_word_counts_if_its_own_logit_is_among_the_k_highest_of_its_row(copying_score, draw):
    circuit, rows = circuit_with_ranks(draw)
    for k in (1, 3, 8):
        ranks = [sorted(row, reverse=True).index(row[word]) for word, row in enumerate(rows)]
        expect_close(
            copying_score(circuit, k),
            sum(rank < k for rank in ranks) / len(rows),
            rule=f"the share of the {len(rows)} rows in which fewer than k logits are higher than the row's own",
            look_at="the axis along which you compare, and how k enters",
            what=f"the score for k = {k}",
        )


def test_only_the_highest_counts_when_k_is_not_given(copying_score, draw):
    circuit, rows = circuit_with_ranks(draw, words=17)
    highest = [max(range(len(row)), key=row.__getitem__) for row in rows]
    expect_close(
        copying_score(circuit),
        sum(word == top for word, top in enumerate(highest)) / len(rows),
        rule="k is 1 by default: a word counts if its own logit is the highest of its row",
        look_at="the signature's default, and whether k = 1 lets the second place count",
        what="the score without k",
    )


def test_the_table_in_the_text_comes_out(copying_score, device):
    table = [[2.0, 0.1, -3.0, 0.4], [0.3, 0.5, 0.9, 0.1], [1.1, 0.2, -4.0, 0.0], [0.0, 0.7, 0.6, 0.1]]
    table = torch.tensor(table, device=device)
    circuit = FactoredMatrix(table, torch.eye(4, device=device))
    for k, share in [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]:
        expect_close(
            copying_score(circuit, k),
            share,
            rule="own logits rank 1st, 2nd, 4th and 3rd in their rows",
            look_at="whether rows are compared, not columns, and signed logits, not their sizes",
            what=f"the score of the table for k = {k}",
        )


def test_factors_of_a_model_are_multiplied(copying_score, draw):
    left, right = draw.normal(37, 5), draw.normal(5, 37)
    rows = (left.double() @ right.double()).tolist()
    for k in (2, 9):
        copied = sum(sum(logit > row[word] for logit in row) < k for word, row in enumerate(rows))
        expect_close(
            copying_score(FactoredMatrix(left, right), k),
            copied / 37,
            rule="the matrix is the product of the circuit's two factors",
            look_at="circuit.A @ circuit.B, or circuit.AB",
            what=f"the score for k = {k}",
        )


# 2.15 eigenvalue_copying_score


def test_a_circuit_twice_as_large_has_the_same_score(eigenvalue_copying_score, draw):
    left, right = draw.normal(11, 4).double(), draw.normal(4, 11).double()
    right = right + 0.3 * left.T
    once, twice = (float(eigenvalue_copying_score(FactoredMatrix(size * left, right))) for size in (1, 2))
    expect_close(
        twice,
        once,
        rule="the score is a share: above and below the line everything is twice as large, so nothing changes",
        look_at="what you divide by: the sum of the absolute values of the eigenvalues",
        what="the score of twice the circuit",
        atol=1e-4,
    )


def test_the_score_is_that_of_the_whole_products_eigenvalues(eigenvalue_copying_score, draw):
    for words, inner in [(13, 5), (19, 7), (11, 4)]:
        left, right = draw.normal(words, inner).double(), draw.normal(inner, words).double()
        right = right + 0.4 * left.T
        eigenvalues = torch.linalg.eigvals((left @ right).cpu())
        expect_close(
            eigenvalue_copying_score(FactoredMatrix(left, right)),
            (eigenvalues.real.sum() / eigenvalues.abs().sum()).item(),
            rule="the sum of eigenvalues over the sum of their absolute values",
            look_at="what stands on top and what below; complex numbers have .real and .abs()",
            what=f"the score of a product of rank {inner}",
            atol=1e-4,
        )


def test_the_sign_says_whether_words_raise_or_lower_themselves(eigenvalue_copying_score, draw):
    left = draw.normal(9, 4)
    for sign in (1.0, -1.0):
        expect_close(
            eigenvalue_copying_score(FactoredMatrix(left, sign * left.T)),
            sign,
            rule="A Aᵀ has no negative eigenvalue, and -A Aᵀ no positive one",
            look_at="an abs() around the whole sum",
            what=f"the score of {'-' if sign < 0 else ''}A Aᵀ",
            atol=1e-4,
        )


def test_a_rotation_scores_the_cosine_of_its_angle(eigenvalue_copying_score, draw):
    plane, _ = torch.linalg.qr(draw.normal(8, 2).cpu())
    plane = plane.to(draw.device)
    for degrees in (60, 120, 75):
        angle = math.radians(degrees)
        turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        expect_close(
            eigenvalue_copying_score(FactoredMatrix(plane @ (2.5 * turn.to(draw.device)), plane.T)),
            math.cos(angle),
            rule="both eigenvalues are 2.5 (cos ± i sin), each of length 2.5",
            look_at="what stands below: lengths of complex numbers, not of their real parts",
            what=f"the score of a rotation by {degrees}°",
            atol=1e-4,
        )


# 2.16 previous_token_circuit


@remembered
def position_pattern(model, layer, head, ln_scale=1.0):
    """Position by position, with loops: the pattern of W_pos alone."""
    W_pos, W_Q, W_K = doubled(model.W_pos, model.W_Q[layer, head], model.W_K[layer, head])
    n_ctx, d_head = W_pos.shape[0], W_Q.shape[1]
    pattern = torch.zeros(n_ctx, n_ctx, dtype=W_pos.dtype, device=W_pos.device)
    for query in range(n_ctx):
        seen = W_pos[: query + 1] @ W_K @ (W_Q.T @ W_pos[query])
        pattern[query, : query + 1] = F.softmax(seen / ln_scale**2 / d_head**0.5, dim=0)
    return pattern


def test_the_pattern_is_that_of_position_embeddings_alone(previous_token_circuit, draw):
    model = tiny_model(draw)
    expected = {place: position_pattern(model, *place) for place in [(0, 1), (1, 0), (0, 2)]}
    for (layer, head), pattern in expected.items():
        expect_close(
            previous_token_circuit(model, layer, head),
            pattern,
            rule="softmax over earlier keys of W_pos W_Q (W_pos W_K)ᵀ over the root of d_head",
            look_at="scale, mask and softmax, and that no words and no biases are in it",
            axes="query key",
            what=f"the pattern of L{layer}H{head}",
        )


def test_the_scale_divides_queries_and_keys(previous_token_circuit, draw):
    model = tiny_model(draw, replace(DEEPER_WITH_MLPS, n_ctx=13, d_head=5))
    expected = {ln_scale: position_pattern(model, 2, 0, ln_scale) for ln_scale in (0.6, 1.7)}
    for ln_scale, pattern in expected.items():
        expect_close(
            previous_token_circuit(model, 2, 0, ln_scale),
            pattern,
            rule="W_pos is divided by ln_scale on both sides",
            look_at="where ln_scale enters: for queries and for keys",
            axes="query key",
            what=f"the pattern for ln_scale = {ln_scale}",
        )


def test_a_head_made_to_look_one_position_back_does(previous_token_circuit, draw):
    model = tiny_model(draw, replace(SMALL, d_model=18, d_head=17, n_heads=2))
    with torch.no_grad():
        model.W_pos.copy_(8 * torch.eye(17, 18))
        attn = model.blocks[0].attn  # model.W_Q is a copy
        attn.W_K[1] = torch.eye(18, 17)
        attn.W_Q[1] = torch.eye(18, 17).roll(-1, dims=1)  # position p asks for position p - 1
        attn.W_Q[1, 0] = 0
    pattern = previous_token_circuit(model, 0, 1)
    expect_shape(pattern, (17, 17), axes="query key")
    share = pattern.diagonal(-1)
    if not (share > 0.9).all():
        complain(
            f"query {share.argmin().item() + 1} gives {share.min():.2f} to the position before it",
            rule="this head's W_Q turns position p into p - 1: each query looks one position back",
            look_at="which matrix makes queries, which keys, and which axis is the query's",
            picture=(pattern, torch.eye(17).roll(1, dims=0).tril()),
            picture_axes=("query", "key"),
        )


# 2.17 decompose_resid


@remembered
def parts_by_ablation(model, tokens, layer):
    """What each component writes, from runs in which others are silenced: no W_O is used."""

    def attention_with(kept, of_layer):
        """What the layer's attention writes when only these heads have a z, everything before as it was."""

        def silence(z, hook):
            mask = torch.zeros(z.shape[2], 1, device=z.device)
            mask[kept] = 1
            return z * mask

        _, cache = ran_with(model, tokens, [(f"blocks.{of_layer}.attn.hook_z", silence)])
        return cache["attn_out", of_layer]

    _, cache = ran_with(model, tokens, [])
    parts = [F.embedding(tokens, model.W_E), model.W_pos[: tokens.shape[1]].expand(len(tokens), -1, -1)]
    for earlier in range(layer):
        bias = attention_with([], earlier)
        parts += [attention_with([head], earlier) - bias for head in range(model.cfg.n_heads)] + [bias]
        if not model.cfg.attn_only:
            parts.append(cache["resid_post", earlier] - cache["resid_mid", earlier])
    return torch.stack(parts)


def ran_with(model, tokens, hooks):
    with torch.no_grad(), model.hooks(fwd_hooks=hooks):
        return model.run_with_cache(tokens)


def expect_parts_of_stream(decompose_resid, model, tokens, layer):
    expected = parts_by_ablation(model, tokens, layer)
    _, cache = ran_with(model, tokens, [])
    expect_close(
        decompose_resid(cache, layer),
        expected,
        rule="embed, pos_embed, then per earlier layer: each head's z W_O, b_O once, the MLP's write if there is an MLP",
        look_at="the number and order of parts, and whether each is what the component wrote into the stream",
        axes="component batch pos d_model",
        atol=1e-4,
        what=f"the parts that layer {layer} reads",
    )
    expect_no_hooks(model)


def test_layer_0_reads_words_and_positions(decompose_resid, draw):
    expect_parts_of_stream(decompose_resid, tiny_model(draw), random_tokens(draw), 0)


def test_every_earlier_head_and_bias_has_its_own_part(decompose_resid, draw):
    expect_parts_of_stream(decompose_resid, tiny_model(draw), random_tokens(draw, batch=3, pos=5), 1)
    expect_parts_of_stream(decompose_resid, tiny_model(draw, DEEPER), random_tokens(draw), 2)


def test_earlier_mlps_have_their_own_parts(decompose_resid, draw):
    model = tiny_model(draw, replace(DEEPER_WITH_MLPS, n_heads=2, d_head=5))
    expect_parts_of_stream(decompose_resid, model, random_tokens(draw), 2)


def test_the_parts_add_up_to_what_the_layer_reads(decompose_resid, draw):
    for cfg in (DEEPER, DEEPER_WITH_MLPS):
        model, tokens = tiny_model(draw, cfg), random_tokens(draw, batch=2, pos=9)
        _, cache = ran_with(model, tokens, [])
        for layer in range(3):
            parts = decompose_resid(cache, layer)
            expect_close(
                parts.sum(0),
                cache["resid_pre", layer],
                rule="nothing in the stream is overwritten: the parts sum to what goes into ln1 of the layer",
                look_at="what is missing, counted twice, or changed on the way",
                axes="batch pos d_model",
                atol=1e-4,
                what=f"the sum of the parts that layer {layer} reads",
            )


# 2.18 attention_scores_by_input


@remembered
def shares_by_pair(model, tokens, layer, head):
    """The shares pair by pair, from parts found by ablation; LayerNorm's scale from the variance of the stream."""
    parts = parts_by_ablation(model, tokens, layer).double()
    stream = parts.sum(0)
    spread = ((stream - stream.mean(-1, keepdim=True)).pow(2).mean(-1, keepdim=True) + model.cfg.eps).sqrt()
    W_Q, W_K, b_Q, b_K = doubled(*(w[layer, head] for w in (model.W_Q, model.W_K, model.b_Q, model.b_K)))
    queries = [F.linear(part / spread, W_Q.T) for part in parts] + [b_Q.expand(*tokens.shape, -1)]
    keys = [F.linear(part / spread, W_K.T) for part in parts] + [b_K.expand(*tokens.shape, -1)]
    rows = [torch.stack([q @ k.mT for k in keys]) for q in queries]
    return torch.stack(rows) / W_Q.shape[1] ** 0.5


def expect_shares(attention_scores_by_input, model, tokens, layer, head):
    expected = shares_by_pair(model, tokens, layer, head)
    _, cache = ran_with(model, tokens, [])
    expect_close(
        attention_scores_by_input(model, cache, layer, head),
        expected,
        rule="part i over the scale times W_Q, dot part j over the scale times W_K, over the root of d_head; biases last",
        look_at="the scale, the biases' own component, and which axis belongs to queries",
        axes="query_component key_component batch query key",
        atol=1e-4,
        what=f"the shares in the scores of L{layer}H{head}",
    )
    expect_no_hooks(model)


def test_each_pair_of_parts_has_its_share(attention_scores_by_input, draw):
    model = tiny_model(draw)
    expect_shares(attention_scores_by_input, model, random_tokens(draw, batch=2, pos=5), 1, 2)
    expect_shares(attention_scores_by_input, model, random_tokens(draw, batch=3, pos=4), 0, 1)


def test_mlps_are_parts_too(attention_scores_by_input, draw):
    model = tiny_model(draw, replace(DEEPER_WITH_MLPS, n_heads=2, d_head=5))
    expect_shares(attention_scores_by_input, model, random_tokens(draw, batch=3, pos=5), 2, 0)


def test_the_shares_add_up_to_the_models_scores(attention_scores_by_input, draw):
    for cfg, layer, head in [(SMALL, 1, 0), (DEEPER, 2, 1), (WITH_MLPS, 1, 2)]:
        model, tokens = tiny_model(draw, cfg), random_tokens(draw, batch=2, pos=6)
        _, cache = ran_with(model, tokens, [])
        q, k = cache["q", layer][:, :, head], cache["k", layer][:, :, head]
        expect_close(
            attention_scores_by_input(model, cache, layer, head).sum((0, 1)),
            q @ k.mT / model.cfg.d_head**0.5,
            rule="summed over both components, the shares are the model's own scores before the mask",
            look_at="what is missing or counted twice: biases, the division by LayerNorm's scale, the root of d_head",
            axes="batch query key",
            atol=1e-4,
            what=f"the sum of the shares in L{layer}H{head}",
        )


# 2.19 composition_score


def frobenius(matrix):
    return math.sqrt(sum(entry * entry for row in matrix.tolist() for entry in row))


def test_what_the_one_loses_and_the_other_gains_changes_nothing(composition_score, draw):
    W_A, W_B = draw.normal(7, 7).double(), draw.normal(7, 7, std=2.0).double()
    before, after = composition_score(W_A, W_B), composition_score(3 * W_A, W_B / 3)
    expect_close(
        after,
        float(before),
        rule="3 W_A and W_B / 3 have the same product as W_A and W_B, and the same product of norms",
        look_at="whether both matrices are in the product, and both norms below",
        what="the score of 3 W_A and W_B / 3",
    )


def test_the_score_is_the_norm_of_the_product_over_the_product_of_norms(composition_score, draw):
    for size in (5, 8):
        W_A, W_B = draw.normal(size, size).double(), draw.normal(size, size, std=3.0).double()
        expect_close(
            composition_score(W_A, W_B),
            frobenius(W_A @ W_B) / (frobenius(W_A) * frobenius(W_B)),
            rule="the Frobenius norm of W_A W_B over the product of the Frobenius norms of W_A and W_B",
            look_at="which norm, of what, and what is divided",
            what="the score of two random matrices",
        )


def test_a_matrix_that_reads_nothing_of_what_is_written_scores_0(composition_score, draw):
    W_A, W_B = draw.normal(7, 7), draw.normal(7, 7)
    W_A[:, 3:] = 0  # writes the first three directions
    W_B[:3] = 0  # reads the others
    expect_close(
        composition_score(W_A, W_B),
        0.0,
        rule="W_A writes along its columns, W_B reads along its rows: here they have none in common",
        look_at="the order of the product: rows are what goes in, so W_A stands on the left",
        what="the score",
    )


def test_rescaling_changes_nothing(composition_score, draw):
    W_A, W_B = draw.normal(6, 6), draw.normal(6, 6)
    direction, other = draw.normal(6, 1), draw.normal(6, 1)
    expect_close(
        composition_score(40 * W_A, W_B / 9),
        frobenius(W_A @ W_B) / (frobenius(W_A) * frobenius(W_B)),
        rule="the score does not depend on how large the matrices are",
        look_at="the division by both norms",
        what="the score of 40 W_A and W_B / 9",
    )
    expect_close(
        composition_score(other @ direction.T, direction @ other.T),
        1.0,
        rule="of rank 1, and the direction written is the one that is read: 1, the largest score there is",
        look_at="the Frobenius norm, and no square left over",
        what="the score of two matrices of rank 1 that fit",
        atol=1e-4,
    )


# 2.20 composition_scores

COMPOSITION_RULE = {
    "Q": "Q-composition: W_OV of the earlier head, then W_QK = W_Q W_Kᵀ of the later",
    "K": "K-composition: W_OV of the earlier head, then the transpose of the later head's W_QK",
    "V": "V-composition: W_OV of the earlier head, then W_OV of the later",
}


def expect_composition(composition_scores, model, kind):
    expect_close(
        composition_scores(model, kind),
        model.all_composition_scores(kind)[0, :, 1, :],  # TransformerLens' own
        rule=f"{COMPOSITION_RULE[kind]}; rows are heads of layer 0, columns heads of layer 1",
        look_at="which matrix belongs to the kind, its transpose, the layers, and what is a row",
        axes="earlier later",
        what=f'the scores of kind "{kind}"',
    )


def test_q_composition_is_as_transformer_lens_has_it(composition_scores, draw):
    expect_composition(composition_scores, tiny_model(draw), "Q")


def test_k_composition_is_as_transformer_lens_has_it(composition_scores, draw):
    expect_composition(composition_scores, tiny_model(draw), "K")


def test_v_composition_is_as_transformer_lens_has_it(composition_scores, draw):
    expect_composition(composition_scores, tiny_model(draw), "V")


def test_layers_0_and_1_are_compared_in_a_deeper_model(composition_scores, draw):
    model = tiny_model(draw, replace(DEEPER_WITH_MLPS, n_heads=2, d_head=5))
    for kind in ("K", "V", "Q"):
        expect_composition(composition_scores, model, kind)


def test_another_kind_is_refused_by_name(composition_scores, draw):
    model = tiny_model(draw)
    for kind in ("O", "k"):
        try:
            composition_scores(model, kind)
        except Complaint as complaint:
            if complaint.kind != "raised":
                raise
            if "ValueError" in complaint.seen and kind in complaint.seen.partition("ValueError")[2]:
                continue
            complain(
                complaint.seen,
                rule="a ValueError whose text names the kind",
                look_at="what you raise, and whether the kind is in its text",
            )
        complain(
            f'composition_scores(model, "{kind}") returned something',
            rule='kinds are "Q", "K" and "V"; a ValueError that names it for anything else',
            look_at="an else that lets any other kind through",
        )


# 2.21 skip_trigrams


@remembered
def all_trigrams(model, layer, head, ln_scale=1.0):
    """Every triple with its strength, the strongest first, with loops over all words."""
    W_E, W_U = doubled(model.W_E, model.W_U)
    W_Q, W_K, W_V, W_O = doubled(*(w[layer, head] for w in (model.W_Q, model.W_K, model.W_V, model.W_O)))
    words, found = range(len(W_E)), []
    for destination in words:
        query = W_E[destination] / ln_scale @ W_Q
        exponentials = [math.exp(query @ (W_E[source] / ln_scale @ W_K) / W_Q.shape[1] ** 0.5) for source in words]
        for source in words:
            share = exponentials[source] / sum(exponentials)
            writes = W_E[source] / ln_scale @ W_V @ W_O @ W_U
            found += [(source, destination, out, share * writes[out].item()) for out in words]
    return sorted(found, key=lambda triple: -triple[3])


def entries(given):
    """What skip_trigrams returned, once it is known that every entry has four parts."""
    for place, entry in enumerate(given):
        if not isinstance(entry, (tuple, list)) or len(entry) != 4:
            complain(
                f"entry {place} is {entry!r:.80}",
                rule="every entry is (source, destination, out, strength)",
                look_at="what you put into the list",
            )
    return given


def expect_trigrams(skip_trigrams, model, layer, head, k, **ln_scale):
    every = all_trigrams(model, layer, head, *ln_scale.values())
    right = every[:k]
    given = entries(skip_trigrams(model, layer, head, k, **ln_scale))
    if len(given) != len(right):
        complain(
            f"{len(given)} triples came back, {len(right)} are right",
            rule="the k strongest, or all where there are fewer",
            look_at="the topk at the end",
        )
    expect_close(
        torch.tensor([float(entry[3]) for entry in given]),
        torch.tensor([entry[3] for entry in right]),
        rule="strength: attention of destination to source (softmax over sources) times what the source writes to out",
        look_at="the axis of the softmax, the root of d_head, ln_scale, and what the strengths are sorted by",
        what="the strengths in order",
        axes="place",
    )
    # two strengths may be so close that rounding swaps them
    strengths = {entry[:3]: entry[3] for entry in every}
    for place, (entry, expected) in enumerate(zip(given, right)):
        triple = tuple(int(word) for word in entry[:3])
        if not math.isclose(strengths.get(triple, math.inf), expected[3], rel_tol=1e-4, abs_tol=1e-6):
            complain(
                f"entry {place} is {triple}, {expected[:3]} is right",
                rule="each entry is (source, destination, out, strength), in this order",
                look_at="the order inside the tuple, and how a flat place is turned into indices",
            )
    if len({tuple(int(word) for word in entry[:3]) for entry in given}) < len(given):
        complain(
            "a triple came back twice",
            rule="the k strongest triples are k different ones",
            look_at="how a flat place is turned into indices",
        )
    expect_no_hooks(model)


def test_the_triples_of_a_head_depend_on_no_other_head(skip_trigrams, draw):
    model = tiny_model(draw)
    for layer, head in ((0, 1), (1, 0)):
        before = [float(entry[3]) for entry in entries(skip_trigrams(model, layer, head, 7))]
        with_other_heads_changed(draw, model, layer, head)
        expect_close(
            torch.tensor([float(entry[3]) for entry in entries(skip_trigrams(model, layer, head, 7))]),
            torch.tensor(before),
            rule=f"the triples of L{layer}H{head} stay what they are when other heads change",
            look_at="the indices of W_Q, W_K, W_V and W_O: [layer, head] in all four",
            what="the strengths in order",
            axes="place",
        )


def test_the_strongest_triples_are_those_of_a_brute_force(skip_trigrams, draw):
    expect_trigrams(skip_trigrams, tiny_model(draw), 0, 1, 8)


def test_the_scale_divides_whatever_the_head_reads(skip_trigrams, draw):
    model = tiny_model(draw, replace(WITH_MLPS, d_vocab=13, d_head=5))
    expect_trigrams(skip_trigrams, model, 1, 2, 9, ln_scale=0.7)
    expect_trigrams(skip_trigrams, model, 0, 0, 5, ln_scale=1.9)


def test_more_triples_than_words_can_be_asked_for(skip_trigrams, draw):
    expect_trigrams(skip_trigrams, tiny_model(draw, replace(SMALL, d_vocab=7)), 1, 0, 60)


# 2.22 in_context_learning_score

SCORE_RULE = "mean loss at index late minus mean loss at index early"


def test_a_model_that_is_better_everywhere_has_the_same_score(in_context_learning_score, draw):
    losses = 3 + draw.uniform(4, 9, high=2.0).double()
    before, after = in_context_learning_score(losses, 2, 7), in_context_learning_score(losses - 1.5, 2, 7)
    expect_close(
        after,
        torch.tensor(float(before), dtype=torch.float64, device=draw.device),
        rule="the score is a difference: 1.5 nats less everywhere leave it as it was",
        look_at="whether both losses are there, one minus the other",
        what="the score",
    )


def test_the_score_is_the_mean_late_loss_minus_the_mean_early_loss(in_context_learning_score, device):
    losses = torch.tensor([[4.0, 3.0, 1.0], [6.0, 5.0, 3.0]], dtype=torch.float64, device=device)
    expect_close(
        in_context_learning_score(losses, 0, 2),
        torch.tensor(-3.0, device=device),
        rule=f"{SCORE_RULE}: (1 + 3) / 2 - (4 + 6) / 2 = -3",
        look_at="which columns are taken, and in which order they are subtracted",
        what="the score",
    )


def test_the_score_holds_for_any_losses_and_places(in_context_learning_score, draw):
    for batch, pos, early, late in ((3, 7, 1, 5), (5, 9, 2, 8), (4, 6, 3, 1)):
        losses = 2 + draw.normal(batch, pos).abs().double() * 3
        columns = losses.tolist()
        expected = sum(row[late] - row[early] for row in columns) / batch
        expect_close(
            in_context_learning_score(losses, early, late),
            torch.tensor(expected, dtype=torch.float64, device=draw.device),
            rule=f"{SCORE_RULE}, over the {batch} texts",
            look_at="which axis is the batch, and that indices count from 0",
            what=f"the score with early={early} and late={late}",
        )


def test_the_score_is_negative_when_context_helps_and_positive_when_it_hurts(in_context_learning_score, draw):
    falling = draw.uniform(3, 1) + torch.linspace(6, 1, 8, device=draw.device)
    for losses, sign, words in ((falling.flip(1), 1, "rise"), (falling, -1, "fall")):
        score = in_context_learning_score(losses, 1, 6)
        if not float(score) * sign > 0:
            complain(
                f"losses that {words} along the text give the score {float(score):.4g}",
                rule="negative when context helps, positive when it hurts",
                look_at="the order of the difference",
            )


# 2.23 scores_along_training

NAMES_ALONG = ("loss, first half", "loss, second half", "induction", "previous token")


@remembered
def measured(model, tokens, length):
    """The four numbers of one model, under their names."""
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens)
    losses = losses_on(logits, tokens)
    patterns = torch.stack([cache[f"blocks.{layer}.attn.hook_pattern"] for layer in range(model.cfg.n_layers)])
    patterns = patterns.mean(dim=1)
    second, every = range(length + 1, 2 * length + 1), range(1, 2 * length + 1)
    numbers = {"loss, first half": losses[:, 1:length].mean(), "loss, second half": losses[:, -(length - 1) :].mean()}
    for name, queries, back in (("induction", second, length - 1), ("previous token", every, 1)):
        attended = torch.stack([patterns[:, :, query, query - back] for query in queries])
        numbers[name] = attended.mean(dim=0).max()
    return numbers


def along(scores_along_training, draw, steps, *, cfg=SMALL, batch=3, length=5):
    """What the learner measures on random models, one for each step, and what is right; in the order of steps."""
    models = {step: tiny_model(draw, cfg).double() for step in steps}
    tokens = words_that_repeat(draw, batch=batch, length=length)
    numbers = [measured(models[step], tokens, length) for step in steps]
    expected = {name: torch.stack([each[name] for each in numbers]) for name in NAMES_ALONG}
    asked = []

    def load(step):
        asked.append(step)
        return models[step]

    result = scores_along_training(list(steps), load, tokens, length)
    return result, expected, asked, models


def expect_names(result, n_steps):
    if not isinstance(result, dict) or set(result) != set(NAMES_ALONG):
        seen = ", ".join(map(str, result)) if isinstance(result, dict) else f"a {type(result).__name__}"
        complain(
            f"the result has {seen}",
            rule=f"a dict with just these names: {', '.join(NAMES_ALONG)}",
            look_at="the keys of what you return",
        )
    for name in NAMES_ALONG:
        expect_shape(
            result[name],
            (n_steps,),
            axes="step",
            rule="one number for each step",
            look_at="torch.stack over the list of numbers",
            what=f'the entry "{name}"',
        )
    return result


def test_there_is_one_number_for_each_step_under_each_of_four_names(scores_along_training, draw):
    result, _, _, _ = along(scores_along_training, draw, (0, 100, 250))
    expect_names(result, 3)


def test_losses_are_means_over_each_half_from_its_second_word_on(scores_along_training, draw):
    for cfg, length in ((SMALL, 5), (WITH_MLPS, 7)):
        result, expected, _, _ = along(scores_along_training, draw, (0, 10), cfg=cfg, length=length)
        expect_names(result, 2)
        for name in NAMES_ALONG[:2]:
            expect_close(
                result[name],
                expected[name],
                rule="the first half counts losses 1 up to length - 1, the second length + 1 up to 2 * length - 1",
                look_at="the slices of losses, and the sign",
                axes="step",
                what=f'the entry "{name}"',
            )


def test_scores_are_the_highest_over_all_heads_of_all_layers(scores_along_training, draw):
    for cfg, length in ((SMALL, 6), (THREE_LAYERS, 4)):
        result, expected, _, _ = along(scores_along_training, draw, (0, 10), cfg=cfg, length=length)
        expect_names(result, 2)
        for name in NAMES_ALONG[2:]:
            expect_close(
                result[name],
                expected[name],
                rule="of all heads in all layers the highest score, at each step anew",
                look_at="over which layers and heads the maximum is taken, and which score goes under which name",
                axes="step",
                what=f'the entry "{name}"',
            )


def test_entries_are_in_the_order_of_the_steps_that_were_given(scores_along_training, draw):
    result, expected, _, _ = along(scores_along_training, draw, (300, 0, 40))
    expect_names(result, 3)
    for name in NAMES_ALONG:
        expect_close(
            result[name],
            expected[name],
            rule="entry i belongs to steps[i], whatever the order of the steps",
            look_at="the order in which you append",
            axes="step",
            what=f'the entry "{name}"',
        )


def test_each_checkpoint_is_loaded_and_left_without_hooks(scores_along_training, draw):
    steps = (5, 500)
    result, _, asked, models = along(scores_along_training, draw, steps)
    expect_names(result, 2)
    if set(asked) != set(steps):
        complain(
            f"with steps {list(steps)}, load was called with {asked}",
            rule="each step's own model is measured: load(step)",
            look_at="what you hand to load",
        )
    for model in models.values():
        expect_no_hooks(model, look_at="how you get at the patterns: run_with_cache leaves nothing")
