"""The model ioi-by-hand: it answers its prompts, and `circuit()` is the truth about how, as interventions show."""

import pytest
import torch

from utils.data import world
from utils.models import by_hand
from utils.models.by_hand import Edge, Head, other_pair, possible_edges, possible_heads, three_names, tokens_of

CIRCUIT = by_hand.circuit()
DECOYS = [head for head in possible_heads() if head not in CIRCUIT.heads]
DUPLICATE, PREVIOUS, INDUCTION = Head(0, 0), Head(0, 1), Head(1, 0)
S_INHIBITION = [Head(2, 0), Head(2, 1)]
NAME_MOVERS = [Head(3, 0), Head(3, 1)]
NEGATIVE = Head(3, 2)

pytestmark = pytest.mark.usefixtures("no_grad")


@pytest.fixture(scope="module")
def no_grad():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def model():
    return by_hand.load()


@pytest.fixture(scope="module")
def prompts():
    return by_hand.sample(100, seed=40)


@pytest.fixture(scope="module")
def clean(model, prompts):
    """The logits and the cache of the unchanged model."""
    return model.run_with_cache(tokens_of(prompts))


def at(prompts, role):
    """One index into "batch pos": where this role stands in each prompt."""
    return torch.arange(len(prompts)), torch.tensor([prompt.positions[role] for prompt in prompts])


def mask(prompts, roles):
    chosen = torch.zeros(tokens_of(prompts).shape, dtype=torch.bool)
    for role in roles:
        chosen[at(prompts, role)] = True
    return chosen


def name_logits(logits, prompts):
    """At END, the logits of IO and of S."""
    ids = by_hand.vocabulary()
    names = torch.tensor([[ids[f" {prompt.io}"], ids[f" {prompt.s}"]] for prompt in prompts])
    return logits[at(prompts, "END")].gather(-1, names).unbind(-1)


def logit_diff(logits, prompts):
    io, s = name_logits(logits, prompts)
    return io - s


def accuracy(logits, prompts):
    ids = by_hand.vocabulary()
    answers = torch.tensor([ids[f" {prompt.io}"] for prompt in prompts])
    return (logits[at(prompts, "END")].argmax(-1) == answers).float().mean().item()


def attention(cache, head, prompts, query, key):
    rows, queries = at(prompts, query)
    return cache["pattern", head.layer][rows, head.head, queries, at(prompts, key)[1]]


def ablated(model, prompts, heads, *, chosen=None, mean=False):
    """A model's logits and cache with the output of some heads put to zero, or to its mean over prompts and positions.

    `chosen` says at which positions; without it, at all.
    """

    def hook_for(layer):
        def hook(z, hook):
            z = z.clone()
            for head in (head for head in heads if head.layer == layer):
                constant = z[:, :, head.head].mean((0, 1)) if mean else 0.0
                if chosen is None:
                    z[:, :, head.head] = constant
                else:
                    z[:, :, head.head][chosen] = constant
            return z

        return hook

    hooks = [(f"blocks.{layer}.attn.hook_z", hook_for(layer)) for layer in {head.layer for head in heads}]
    with model.hooks(fwd_hooks=hooks):
        return model.run_with_cache(tokens_of(prompts))


# The task


def test_every_prompt_is_answered_rightly():
    model = by_hand.build()
    everything = sorted(by_hand.prompts(), key=lambda prompt: prompt.positions["END"])
    assert len(everything) == 5 * 2 * 12 * 11 * 2 * 4 * 4
    lowest = float("inf")
    for start in range(0, len(everything), 250):
        part = everything[start : start + 250]
        logits = model(tokens_of(part))
        assert accuracy(logits, part) == 1.0
        assert torch.isfinite(logits).all() and logits.abs().max() < 50
        lowest = min(lowest, logit_diff(logits, part).min().item())
    assert lowest > 8


def test_prompts_differ_in_all_that_a_head_could_go_by():
    everything = list(by_hand.prompts())
    assert len({prompt.text for prompt in everything}) == len(everything)
    for role in ("IO", "S1", "S2", "END"):
        assert len({prompt.positions[role] for prompt in everything}) >= 3
    io_first = sum(prompt.positions["IO"] < prompt.positions["S1"] for prompt in everything)
    assert 2 * io_first == len(everything)
    assert {prompt.io for prompt in everything} == set(by_hand.NAMES) <= set(world.NAMES)
    assert max(len(by_hand.encode(prompt.text)) for prompt in everything) + 1 == by_hand.CFG.n_ctx


def test_positions_point_at_what_they_name(model, prompts):
    for prompt in prompts:
        tokens = model.to_str_tokens(prompt.text)
        named = {role: tokens[position] for role, position in prompt.positions.items()}
        assert (named["IO"], named["S1"], named["S2"]) == (f" {prompt.io}", f" {prompt.s}", f" {prompt.s}")
        assert prompt.positions["S1+1"] == prompt.positions["S1"] + 1
        assert prompt.positions["END"] == len(tokens) - 1 and named["END"] == " to"


def test_a_sample_comes_from_its_seed():
    assert by_hand.sample(5, seed=1) == by_hand.sample(5, seed=1) != by_hand.sample(5, seed=2)


def test_a_word_outside_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match="' Wendy' is not in the vocabulary of ioi-by-hand"):
        by_hand.encode("When Mary and Wendy went to the store,")


def test_the_answer_flips_where_the_other_name_repeats(model, prompts):
    flipped = tokens_of(prompts)
    flipped[at(prompts, "S2")] = flipped[at(prompts, "IO")]
    assert logit_diff(model(flipped), prompts).max() < -8


def test_another_pair_is_answered_by_its_own_names(model, prompts):
    others = [other_pair(prompt) for prompt in prompts]
    for prompt, other in zip(prompts, others):
        assert not {prompt.io, prompt.s} & {other.io, other.s} and prompt.positions == other.positions
    assert accuracy(model(tokens_of(others)), others) == 1.0


def test_of_three_names_none_is_inhibited(model, prompts):
    others = [three_names(prompt) for prompt in prompts]
    logits, cache = model.run_with_cache(tokens_of(others))
    io, s = name_logits(logits, others)
    assert (io - s).abs().max() < 0.02 and io.min() > 3.9
    for head in NAME_MOVERS:
        for role in ("IO", "S1", "S2"):
            torch.testing.assert_close(
                attention(cache, head, others, "END", role), torch.full((len(others),), 1 / 3), atol=1e-2, rtol=0
            )


# Heads


def test_heads_look_where_their_role_says(clean, prompts):
    _, cache = clean
    said = {
        DUPLICATE: ("S2", "S1"),
        PREVIOUS: ("S1+1", "S1"),
        INDUCTION: ("S2", "S1+1"),
        S_INHIBITION[0]: ("END", "S2"),
        S_INHIBITION[1]: ("END", "S2"),
    }
    for head, (query, key) in said.items():
        assert attention(cache, head, prompts, query, key).min() > 0.99, head
    for head in [*NAME_MOVERS, NEGATIVE]:
        assert attention(cache, head, prompts, "END", "IO").min() > 0.9
        for role in ("S1", "S2"):
            assert attention(cache, head, prompts, "END", role).max() < 0.05


def test_decoys_look_where_heads_of_the_circuit_look(clean, prompts):
    _, cache = clean
    for decoy, head in {Head(0, 2): PREVIOUS, Head(1, 1): DUPLICATE, Head(2, 2): S_INHIBITION[0]}.items():
        theirs = cache["pattern", head.layer][:, head.head]
        torch.testing.assert_close(cache["pattern", decoy.layer][:, decoy.head], theirs, atol=1e-6, rtol=0)
    assert attention(cache, Head(3, 3), prompts, "END", "IO").min() > 0.9


@pytest.mark.parametrize("mean", [False, True])
def test_without_all_decoys_nothing_changes_for_the_names(model, clean, prompts, mean):
    logits, _ = ablated(model, prompts, DECOYS, mean=mean)
    assert len(DECOYS) == 8
    assert accuracy(logits, prompts) == 1.0
    before = logit_diff(clean[0], prompts)
    assert ((logit_diff(logits, prompts) - before).abs() < 0.01 * before).all()


def test_decoys_are_not_idle(model, clean, prompts):
    _, cache = clean
    for head in DECOYS:
        assert cache["z", head.layer][:, :, head.head].abs().max() > 0.1, head
    logits, _ = ablated(model, prompts, DECOYS)
    assert (logits - clean[0]).abs().max() > 1, "those that tell of the place change its logit"


# The mean logit difference, of 11.3, that is left without all heads of a role
WITHOUT = {
    "duplicate-token head": 3.7,
    "previous-token head": 3.7,
    "induction head": 3.7,
    "S-inhibition head": -4.0,
    "name-mover head": -3.7,
    "negative name-mover head": 14.9,
}


@pytest.mark.parametrize("role", WITHOUT)
def test_every_role_matters_at_its_positions_and_nowhere_else(model, clean, prompts, role):
    heads = CIRCUIT.by_role()[role]
    there = mask(prompts, heads[0].positions)
    everywhere, _ = ablated(model, prompts, heads)
    assert logit_diff(everywhere, prompts).mean().item() == pytest.approx(WITHOUT[role], abs=0.3)
    at_positions, _ = ablated(model, prompts, heads, chosen=there)
    torch.testing.assert_close(logit_diff(at_positions, prompts), logit_diff(everywhere, prompts), atol=0.02, rtol=0)
    elsewhere, _ = ablated(model, prompts, heads, chosen=~there)
    torch.testing.assert_close(logit_diff(elsewhere, prompts), logit_diff(clean[0], prompts), atol=0.02, rtol=0)


def test_each_position_of_a_head_is_one_of_its_prompt(prompts):
    for part in (*CIRCUIT.heads, *CIRCUIT.edges):
        assert part.positions and set(part.positions) <= set(prompts[0].positions)


def test_the_roles_are_those_of_the_circuit():
    assert set(WITHOUT) == set(CIRCUIT.by_role())


@pytest.mark.parametrize("pair", [S_INHIBITION, NAME_MOVERS])
def test_of_two_heads_of_one_role_each_alone_still_answers(model, clean, prompts, pair):
    before = logit_diff(clean[0], prompts).mean()
    for head in pair:
        logits, _ = ablated(model, prompts, [head])
        assert accuracy(logits, prompts) == 1.0
        assert logit_diff(logits, prompts).mean() < 0.8 * before


def test_s_inhibition_keeps_the_name_movers_from_s(model, clean, prompts):
    _, cache = ablated(model, prompts, S_INHIBITION)
    for head in NAME_MOVERS:
        for role in ("IO", "S1", "S2"):
            assert attention(cache, head, prompts, "END", role).mean().item() == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("signal", ["inhibited name", "inhibited position"])
def test_token_signal_and_position_signal_each_contribute(model, clean, prompts, signal):
    def forget(resid, hook):
        resid = resid.clone()
        resid[:, :, by_hand.subspace(signal)] = 0
        return resid

    logits = model.run_with_hooks(tokens_of(prompts), fwd_hooks=[("blocks.3.hook_resid_pre", forget)])
    share = logit_diff(logits, prompts).mean() / logit_diff(clean[0], prompts).mean()
    assert 0.5 < share < 0.9


# Edges


class EdgewiseModel:
    """The same model, computed one part at a time, in which any edge can carry something else than it does."""

    def __init__(self, model):
        self.cfg = model.cfg
        names = ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U", "b_Q")
        self.weights = {name: getattr(model, name) for name in names}

    def outputs(self, tokens, cut=(), instead=None, chosen=None, known=None):
        """What every sender writes, and the logits, while the edges in `cut` carry what `instead` has, or nothing.

        `chosen` says at which positions they are cut. `known` has outputs that no cut can change.
        """
        w, cut = self.weights, set(cut)
        first = {"embed": w["W_E"][tokens], "pos_embed": w["W_pos"][: tokens.shape[1]].expand(len(tokens), -1, -1)}
        written = dict(known or first)

        def read(receiver, way=None):
            total = torch.zeros_like(written["embed"])
            for sender, output in written.items():
                if Edge(sender, receiver, way) in cut:
                    replacement = instead[sender] if instead else torch.zeros_like(output)
                    cut_here = replacement if chosen is None else torch.where(chosen[..., None], replacement, output)
                    total = total + cut_here
                else:
                    total = total + output
            return total

        for layer in range(self.cfg.n_layers):
            heads = [Head(layer, head) for head in range(self.cfg.n_heads)]
            written |= {head: self.head(head, read) for head in heads if head not in written}
        return written, read("logits") @ w["W_U"]

    def head(self, head, read):
        at, w = (head.layer, head.head), self.weights
        q = read(head, "q") @ w["W_Q"][at] + w["b_Q"][at]
        k, v = (read(head, way) @ w[f"W_{way.upper()}"][at] for way in ("k", "v"))
        later = torch.ones(q.shape[1], q.shape[1], dtype=torch.bool).triu(1)
        scores = (q @ k.mT / self.cfg.d_head**0.5).masked_fill(later, -torch.inf)
        return scores.softmax(-1) @ v @ w["W_O"][at]


@pytest.fixture(scope="module")
def edgewise(model):
    return EdgewiseModel(model)


@pytest.fixture(scope="module")
def few(prompts):
    return prompts[:24]


@pytest.fixture(scope="module")
def effect(edgewise, few):
    """The function that says by which share the logit difference changes when one edge is cut."""
    tokens = tokens_of(few)
    written, logits = edgewise.outputs(tokens)
    before = logit_diff(logits, few).mean().item()

    def of(edge, instead=None, chosen=None):
        layer = edge.receiver.layer if isinstance(edge.receiver, Head) else edgewise.cfg.n_layers
        known = {part: out for part, out in written.items() if isinstance(part, str) or part.layer < layer}
        _, logits = edgewise.outputs(tokens, [edge], instead, chosen, known)
        return logit_diff(logits, few).mean().item() / before - 1

    return of


@pytest.fixture(scope="module")
def corrupted(edgewise, few):
    """What every sender writes on the same prompts with three names."""
    written, _ = edgewise.outputs(tokens_of([three_names(prompt) for prompt in few]))
    return written


def test_the_parts_add_up_to_the_model(edgewise, clean, prompts):
    written, logits = edgewise.outputs(tokens_of(prompts))
    torch.testing.assert_close(logits, clean[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(sum(written.values()), clean[1]["resid_post", 3], atol=1e-5, rtol=0)


def test_every_edge_of_the_circuit_matters(effect):
    effects = {edge: effect(edge) for edge in CIRCUIT.edges}
    assert len(effects) == 41
    assert min(abs(share) for share in effects.values()) > 0.02, effects


def test_no_other_edge_matters(effect, corrupted):
    others = set(possible_edges()) - set(CIRCUIT.edges)
    assert len(others) == 402 - 41
    for edge in others:
        assert abs(effect(edge)) < 0.001, edge
        assert abs(effect(edge, corrupted)) < 0.001, edge


def test_patching_shows_every_edge_but_those_that_no_text_changes(effect, corrupted):
    for edge in CIRCUIT.edges:
        share = abs(effect(edge, corrupted))
        assert share == 0 if edge.fixed else share > 0.05, edge


def test_every_edge_matters_at_its_positions_and_nowhere_else(effect, few):
    for edge in CIRCUIT.edges:
        there = mask(few, edge.positions)
        assert abs(effect(edge, chosen=there)) > 0.02, edge
        assert abs(effect(edge, chosen=~there)) < 0.005, edge


@pytest.mark.parametrize("source", ["nothing", "three names", "another pair"])
def test_the_edges_of_the_circuit_alone_answer_as_the_model_does(edgewise, few, corrupted, source):
    twins = edgewise.outputs(tokens_of([other_pair(prompt) for prompt in few]))[0]
    instead = {"nothing": None, "three names": corrupted, "another pair": twins}[source]
    others = set(possible_edges()) - set(CIRCUIT.edges)
    before = logit_diff(edgewise.outputs(tokens_of(few))[1], few)
    after = logit_diff(edgewise.outputs(tokens_of(few), others, instead)[1], few)
    torch.testing.assert_close(after, before, atol=0, rtol=0.01)


def test_edges_name_only_heads_of_the_circuit():
    ends = {end for edge in CIRCUIT.edges for end in (edge.sender, edge.receiver)}
    assert ends == {*CIRCUIT.heads, "embed", "pos_embed", "logits"}
    assert len(set(CIRCUIT.edges)) == len(CIRCUIT.edges) and set(CIRCUIT.edges) <= set(possible_edges())


def test_heads_and_edges_print_as_the_field_writes_them():
    assert str(Head(2, 1)) == "L2H1" and repr([Head(0, 0)]) == "[L0H0]"
    assert str(Edge(Head(2, 1), Head(3, 0), "q")) == "L2H1 → L3H0.q"
    assert str(Edge(Head(3, 0), "logits")) == "L3H0 → logits"


def test_a_head_found_by_a_search_equals_that_of_the_circuit():
    assert Head(0, 1) in CIRCUIT.heads and Head(0, 2) not in CIRCUIT.heads
    assert Edge("embed", Head(0, 1), "v") in CIRCUIT.edges


# The files


def test_the_shipped_files_are_what_the_script_writes(tmp_path):
    by_hand.save(tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= written
    for name in written:
        assert (tmp_path / name).read_bytes() == (by_hand.FOLDER / name).read_bytes(), name
    assert sum((tmp_path / name).stat().st_size for name in written) < 700_000


def test_the_loaded_model_is_the_script_s(model, clean, prompts):
    assert torch.equal(by_hand.build()(tokens_of(prompts)), clean[0])
    assert torch.equal(model.W_E, by_hand.embedding().float()) and not model.training
    assert model.to_tokens([prompt.text for prompt in prompts[:1]]).tolist()[0] == [
        0,
        *by_hand.encode(prompts[0].text),
    ]


def test_what_comes_later_changes_nothing(model, prompts):
    rows = tokens_of(prompts)
    torch.testing.assert_close(model(rows[:, :9]), model(rows)[:, :9], atol=1e-5, rtol=0)
