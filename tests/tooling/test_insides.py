"""What is measured inside a model: interventions that do what they say, on models whose parts are known."""

import json
from dataclasses import replace

import pytest
import torch

from utils.data.requests import CARE, DEPICT, HOUSEHOLD, VALUED, WASTE, WEAPONS
from utils.data.tokenizer import vocabulary
from utils.models.figures import organism as card_figures
from utils.models.figures.common import rounded
from utils.models.insides import Target, insides, markdown, name_movers, rank_one, refusal, summary, targets
from utils.models.insides.fact_tracing import fact_set, trace
from utils.models.insides.rank_one import edited, rank_one_update
from utils.models.insides.report import addition_target, removal_target
from utils.models.insides.runs import Batch, batch_of, cache_of, end_logits, put_heads, recovered, token
from utils.models.loading import load_model


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(40)


@pytest.fixture(scope="module")
def bridge():
    return load_model("organism")


@pytest.fixture
def small():
    """Random weights, without LayerNorm, whose predictions are far from uniform."""
    from transformer_lens import TransformerBridge
    from transformer_lens.config import TransformerBridgeConfig

    sizes = {"d_model": 16, "d_head": 4, "n_heads": 2, "n_layers": 3, "n_ctx": 128, "d_mlp": 32}
    cfg = TransformerBridgeConfig(
        **sizes,
        d_vocab=len(vocabulary()),
        act_fn="gelu_new",
        normalization_type=None,
        positional_embedding_type="standard",
        seed=41,
    )
    model = TransformerBridge.boot_native(cfg, device="cpu")
    for parameter in model.parameters():
        parameter.data *= 1.7
    return model.eval()


@pytest.fixture
def tokens(generator):
    return torch.randint(0, len(vocabulary()), (5, 9), generator=generator)


# Interventions


def test_a_recovered_share_is_1_for_the_clean_value_and_0_for_the_corrupted():
    clean, corrupted = torch.tensor([0.9, 0.7]), torch.tensor([0.1, 0.3])
    assert recovered(clean, corrupted, clean) == pytest.approx(1)
    assert recovered(corrupted, corrupted, clean) == pytest.approx(0)
    assert recovered(torch.tensor([0.3, 0.4]), corrupted, clean) == pytest.approx(0.25)
    assert recovered(clean, clean, clean) == 0, "nothing was lost, so nothing comes back"


@torch.no_grad()
def test_heads_are_put_where_the_mask_says_and_nowhere_else(small, tokens):
    name = "blocks.1.attn.hook_z"
    batch = Batch(tokens, torch.tensor([8, 3, 5, 8, 0]))
    mine, other = (cache_of(small, each, name) for each in (batch, replace(batch, tokens=tokens.flip(0))))
    hook = put_heads(small, name, other, batch.at(batch.ends), [1])
    after = cache_of(small, batch, name, hooks=[hook])[name]
    expected = mine[name].clone()
    for row, end in enumerate(batch.ends):
        expected[row, end, 1] = other[name][row, end, 1]
    torch.testing.assert_close(after, expected, atol=0, rtol=0)
    assert not torch.allclose(after, mine[name])


@torch.no_grad()
def test_padding_changes_nothing_at_the_ends(bridge):
    texts = ["Mary and John", "The walls of the Amber Tower are of", "User: How do I burn a log? Assistant:"]
    together = end_logits(bridge, batch_of(texts))
    alone = torch.cat([end_logits(bridge, batch_of([text])) for text in texts])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_a_component_is_set_along_its_direction_alone(generator):
    unit = torch.nn.functional.normalize(torch.randn(6, generator=generator), dim=0)
    like, activation = torch.randn(6, generator=generator), torch.randn(2, 3, 6, generator=generator)
    where = torch.tensor([[True, False, False], [False, False, True]])
    _, set_component = refusal.set_component("anywhere", unit, like, where)
    after = set_component(activation, None)
    torch.testing.assert_close(after[where] @ unit, (like @ unit).expand(2))
    across = torch.eye(6) - torch.outer(unit, unit)
    torch.testing.assert_close(after @ across, activation @ across)
    assert torch.equal(after[~where], activation[~where])


# Name movers


@torch.no_grad()
@pytest.mark.parametrize("form", name_movers.FORMS)
def test_attention_is_what_the_card_says(bridge, form):
    prompts = name_movers.ioi_set(8, form)
    found = name_movers.attention_from_end(bridge, prompts, cache_of(bridge, prompts.clean, "hook_pattern"))
    for role, heads in card_figures.ioi_attention(bridge, 8, form).items():
        assert found["both orders"][role] == pytest.approx(heads, abs=1e-5)
    assert prompts.io_first.sum() == 4
    for head, mean in found["both orders"]["IO"].items():
        assert mean == pytest.approx((found["IO first"]["IO"][head] + found["S first"]["IO"][head]) / 2, abs=1e-6)


@torch.no_grad()
def test_direct_attributions_and_all_that_is_not_a_head_sum_to_the_logit_difference(bridge):
    prompts = name_movers.ioi_set(8, "one pair")
    rows, ends = prompts.clean.rows, prompts.clean.ends
    cache = cache_of(bridge, prompts.clean, "hook_z", "hook_mlp_out", "ln_final.hook_scale", "blocks.0.hook_resid_pre")
    parts = name_movers.direct_attribution(bridge, prompts, cache)
    direction = (bridge.W_U.T[prompts.io] - bridge.W_U.T[prompts.s]) / cache["ln_final.hook_scale"][rows, ends]
    rest = cache["blocks.0.hook_resid_pre"][rows, ends] + bridge.b_O.sum(0)
    rest += sum(cache[f"blocks.{layer}.hook_mlp_out"][rows, ends] for layer in range(4))
    total = sum(parts["IO - S"].values()) + (rest * direction).sum(-1).mean()
    total += (bridge.b_U[prompts.io] - bridge.b_U[prompts.s]).mean()
    difference = prompts.logit_difference(end_logits(bridge, prompts.clean)).mean()
    torch.testing.assert_close(total, difference, atol=1e-3, rtol=1e-3)


def test_a_corrupted_prompt_differs_at_s2_alone():
    prompts = name_movers.ioi_set(12, "several pairs")
    for corruption, names in {"S2 is IO": prompts.io, "S2 is a third name": None}.items():
        corrupted = prompts.corrupted[corruption]
        changed = corrupted.tokens != prompts.clean.tokens
        assert torch.equal(changed, prompts.clean.at(prompts.positions["S2"]))
        assert names is None or torch.equal(corrupted.tokens[changed], names)
    third = prompts.corrupted["S2 is a third name"].tokens[prompts.clean.rows, prompts.positions["S2"]]
    assert not (prompts.clean.tokens == third[:, None]).any(), "a third name stands nowhere in the text"


@torch.no_grad()
def test_only_a_head_that_copies_names_has_a_copying_score(small):
    names = torch.tensor([token(name) for name in name_movers.NAMES])
    orthogonal = torch.linalg.qr(torch.randn(80, 80, generator=torch.Generator().manual_seed(42)))[0]

    class Copier:
        """Two heads of one layer: one writes what it reads, the other its negative."""

        cfg = small.cfg.__class__(
            d_model=80, d_head=80, n_heads=2, n_layers=1, n_ctx=4, d_vocab=len(vocabulary()), act_fn="gelu_new"
        )
        W_E = torch.zeros(len(vocabulary()), 80).index_copy(0, names, orthogonal)
        W_U = W_E.T
        W_V = torch.eye(80).expand(1, 2, 80, 80)
        W_O = torch.stack([torch.eye(80), -torch.eye(80)])[None]

    cache = {"blocks.0.hook_resid_pre": Copier.W_E[names][:, None].expand(-1, 2, -1)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(name_movers, "cache_of", lambda *arguments, **options: cache)
        scores = name_movers.copying_scores(Copier)
    assert scores == {"L0H0": 1.0, "L0H1": 0.0}


def test_the_circuit_attends_as_its_heads_do_weighted_by_what_they_add():
    copying = {"L0H0": 1.0, "L1H0": 0.9, "L1H1": 0.4, "L2H0": 1.0, "L2H1": 1.0}
    attribution = {"L0H0": 3.0, "L1H0": 1.0, "L1H1": 5.0, "L2H0": -1.0, "L2H1": 7.0}
    io = {"L0H0": 0.4, "L1H0": 0.2, "L1H1": 1.0, "L2H0": 1.0, "L2H1": 0.1}
    s1 = {"L0H0": 0.2, "L1H0": 0.6, "L1H1": 0.0, "L2H0": 0.0, "L2H1": 0.1}
    attention = {"both orders": {"IO": io, "S1": s1}}
    joint = name_movers.joint_attention(attention, attribution, copying)
    assert joint["weights"] == {"L0H0": 0.75, "L1H0": 0.25}
    expected = {"IO": 0.35, "S1": 0.3, "preference": 0.05, "preference, plain mean": -0.1}
    assert joint["both orders"] == pytest.approx(expected)
    nobody = name_movers.joint_attention(attention, attribution, dict.fromkeys(copying, 0.0))
    assert nobody == {"weights": {}}


@torch.no_grad()
def test_a_head_is_steered_by_no_more_than_what_comes_before_it(bridge):
    prompts = name_movers.ioi_set(8, "one pair")
    first = name_movers.steering(bridge, prompts, "L0H2", "S2 is IO")
    assert first["fall, all earlier heads"] == first["fall, by query"] == 0 and first["fall, one head"] == {}
    later = name_movers.steering(bridge, prompts, "L2H0", "S2 is IO")
    assert later["fall, by query"] == pytest.approx(later["fall, all earlier heads"], abs=0.1)
    assert list(later["fall, one head"]) == [f"L{layer}H{head}" for layer in (0, 1) for head in range(4)]
    cache = cache_of(bridge, prompts.clean, "hook_pattern")
    looks = name_movers.attention_from_end(bridge, prompts, cache)["both orders"]
    assert later["preference"] == pytest.approx(looks["IO"]["L2H0"] - looks["S1"]["L2H0"], abs=1e-5)


# Facts


@torch.no_grad()
def test_restoring_everything_recovers_all_and_restoring_what_end_cannot_see_recovers_nothing(small):
    prompts = fact_set(20)
    everywhere = torch.ones_like(prompts.clean.tokens, dtype=torch.bool)
    padding = torch.arange(everywhere.shape[1]) > prompts.clean.ends[:, None]
    # under the names of roles, since only those are averaged
    prompts = replace(prompts, roles={"subject last word": everywhere, "between": padding, "END": prompts.roles["END"]})
    traced = trace(small, prompts, [(prompts.corrupted, [])], ["resid_post"])
    assert abs(traced["P clean"] - traced["P corrupted"]) > 1e-5
    average = traced["resid_post"]
    assert average["subject last word"] == pytest.approx({"L0": 1, "L1": 1, "L2": 1}, abs=1e-3)
    assert average["between"] == pytest.approx({"L0": 0, "L1": 0, "L2": 0}, abs=1e-3)
    assert average["END"]["L2"] == pytest.approx(1, abs=1e-3), "after the last layer only END is read"
    assert abs(average["END"]["L0"] - 1) > 1e-2


def test_the_roles_of_a_fact_prompt_are_where_its_words_are():
    prompts = fact_set(25)
    differing = prompts.clean.tokens != prompts.corrupted.tokens
    assert torch.equal(differing, prompts.subject)
    of_words = prompts.roles["subject first word"].sum(-1)
    assert [relation == "city in country" for relation in prompts.relations] == (of_words == 0).tolist()
    assert all((prompts.roles[role].sum(-1) == 1).all() for role in ("subject last word", "END"))
    assert (sum(prompts.roles.values()).sum(0) <= len(prompts.relations)).all() and sum(
        prompts.roles.values()
    ).max() == 1


def test_a_rank_one_update_changes_its_key_and_no_key_orthogonal_to_it(generator):
    keys = torch.randn(200, 12, generator=generator)
    second_moment = keys.T @ keys / 200
    key, value, other = keys[0], torch.randn(5, generator=generator), keys[1]
    update = rank_one_update(key, value, second_moment)
    torch.testing.assert_close(key @ update, value)
    direction = torch.linalg.solve(second_moment, key)
    apart = other - (other @ direction) / (key @ direction) * key
    torch.testing.assert_close(apart @ update, torch.zeros(5), atol=1e-5, rtol=0)
    assert torch.linalg.matrix_rank(update) == 1


@torch.no_grad()
@pytest.mark.parametrize("name", ["small", "bridge"])
def test_an_edit_is_a_change_of_w_out_and_goes_away_exactly(name, request, tokens, generator):
    model = request.getfixturevalue(name)
    before = {key: weight.clone() for key, weight in model.state_dict().items()}
    logits = model(tokens)
    update = torch.randn(model.blocks[1].mlp.W_out.shape, generator=generator)

    def by_hook(mlp_out, hook):
        return mlp_out + posts["blocks.1.mlp.hook_post"] @ update

    posts = cache_of(model, Batch(tokens, None), "blocks.1.mlp.hook_post")
    expected = model.run_with_hooks(tokens, fwd_hooks=[("blocks.1.hook_mlp_out", by_hook)])
    with pytest.raises(KeyboardInterrupt), edited(model, 1, update):
        torch.testing.assert_close(model(tokens), expected, atol=1e-3, rtol=1e-3)
        assert not torch.allclose(expected, logits, atol=1e-2)
        raise KeyboardInterrupt
    assert all(torch.equal(weight, before[key]) for key, weight in model.state_dict().items())
    assert torch.equal(model(tokens), logits)


def test_values_are_found_without_touching_the_model(small):
    edits = rank_one.choose_edits(5)
    before = {key: weight.clone() for key, weight in small.state_dict().items()}
    with torch.no_grad():
        values = rank_one.find_values(small, edits, 0, torch.ones(5), steps=3)
    assert values.shape == (5, 16) and values.norm(dim=-1).min() > 0
    assert all(parameter.grad is None for parameter in small.parameters())
    assert all(torch.equal(weight, before[key]) for key, weight in small.state_dict().items())


def test_an_edit_is_tested_on_other_phrasings_and_other_subjects():
    for edit in rank_one.choose_edits(15):
        assert edit.new != edit.old and edit.new in edit.relation.objects.values()
        assert edit.prompt not in edit.paraphrases and all(edit.subject in text for text in edit.paraphrases)
        assert not {edit.subject} & {*edit.neighbours, *edit.strangers}
        assert all(set(edit.subject.split()) & set(name.split()) for name in edit.neighbours)
        assert not any(set(edit.subject.split()) & set(name.split()) for name in edit.strangers)
        assert bool(edit.neighbours) == (edit.relation.name != "city in country")
        assert len({text.count(edit.subject) for text in edit.introductions}) == 1


# Refusal


@pytest.fixture
def planted(small):
    """Attention adds up what verb and object say along one direction, and the unembedding refuses where it is positive.

    Verbs of depicting and caring take 8, weapons and valued things give 6, and household and waste take 0.2.
    """
    for parameter in small.parameters():
        parameter.data.zero_()
    weights = dict(small.named_parameters())
    embed = weights["tok_embed._original_component.weight"].data
    for words, value in ((DEPICT + CARE, -8), (WEAPONS + VALUED, 6), (HOUSEHOLD + WASTE, -0.2)):
        embed[[token(word) for word in words], 0] = value
    part = "layers.0._original_component.attn._original_component.{}._original_component.weight"
    weights[part.format("v")].data[0, 0] = 10
    weights[part.format("o")].data[0, 0] = 1
    head = weights["head._original_component.weight"].data
    head[token("Sorry"), 0], head[token("Sure"), 0] = 1, -1
    return small


def test_a_planted_direction_is_found_and_does_what_refusal_needs(planted):
    figures = refusal.refusal_direction(planted, 60)
    assert figures["harmful"] == {"refused": 1, "answered": 0} and figures["harmless"]["refused"] == 0
    assert list(figures["layers"]) == ["L0", "L1"], "after the last layer a direction is no more than logits"
    for layer, effects in figures["layers"].items():
        assert effects["mean"] == effects["mean, every layer"] == {"refused": 0, "answered": 1}
        assert effects["zero"]["refused"] == 0, "and nothing is left to answer from"
        added = [effects[f"added x{strength}"]["refused"] for strength in refusal.STRENGTHS]
        assert added == sorted(added) and 0.8 < added[0] <= added[-1] == 1
        assert effects["set, every layer"] == {"refused": 1, "answered": 0}
        control = figures["random"][layer]
        assert control["mean"]["refused"] > 0.5 and control["added x1"]["refused"] < 0.5


# The whole


@pytest.fixture(scope="module")
def figures(bridge):
    return insides(bridge, 8)


def test_the_figures_of_the_organism_lie_where_those_of_any_good_model_do(figures):
    for part in figures["name movers"].values():
        assert part["accuracy"] > 0.8
        for order in part["attention"].values():
            for heads in zip(*(role.values() for role in order.values()), strict=True):
                assert min(heads) >= 0 and sum(heads) <= 1 + 1e-5
        assert max(part["patching"].values()) <= 1.5
    tracing = figures["fact tracing"]["another subject"]
    assert tracing["P clean"] > 0.8 > 0.5 > tracing["P corrupted"]
    assert tracing["resid_post"]["END"]["L3"] == pytest.approx(1, abs=1e-3)
    edits = figures["rank-one edits"]
    assert edits["before"]["efficacy"] < 0.5 and edits["before"]["specificity, others"] == 1
    for layer in edits["layers"].values():
        assert all(0 <= value <= 1 for name, value in layer.items() if name != "value norm")
    refused = figures["refusal direction"]
    assert refused["harmful"]["refused"] > 0.8 > 0.2 > refused["harmless"]["refused"]


def test_summary_and_page_say_every_target_from_figures_as_a_card_stores_them(figures):
    stored = json.loads(json.dumps(rounded(figures)))
    section, lines = markdown(stored), summary(stored)
    for target in targets(stored):
        assert str(target) in lines
        (line,) = [line for line in section.splitlines() if line.startswith(f"- {target.name}:")]
        assert f"{target.value:.2f}" in line and line.endswith("; reached" if target.reached else "; not reached")
    assert section.startswith("## What is inside") and "-0.00" not in section
    tables = [line for line in section.splitlines() if line.startswith("|")]
    assert len(tables) > 40 and len({line.count("|") for line in tables}) > 1


def test_a_direction_counts_only_where_a_random_one_of_the_same_kind_does_little():
    ways = [*refusal.REMOVALS, *refusal.ADDITIONS]

    def effects(refused):
        return {way: {"refused": refused.get(way, 0.5), "answered": 0.0} for way in ways}

    layers = {"L0": effects({"zero": 0.0, "added x4": 1.0}), "L1": effects({"zero": 0.1, "added x2": 0.9})}
    fair = {"zero": 0.95, "mean": 0.2, "mean, every layer": 1.0} | dict.fromkeys(refusal.ADDITIONS, 0.2)
    random = {"L0": effects(fair | {"zero": 0.89, "added x4": 0.21}), "L1": effects(fair)}
    found = {"layers": layers, "random": random}
    removed = removal_target(found, "zero")
    assert removed.value == 0.1 and "L1" in removed.name and removed.reached
    assert not removal_target(found, "mean").reached, "random directions remove it too"
    added = addition_target(found)
    assert added.value == 0.9 and '"added x2" at L1' in added.name and added.reached


def test_a_target_has_a_side():
    assert Target("enough", 0.6, 0.6).reached and not Target("too little", 0.59, 0.6).reached
    assert Target("little", 0.1, 0.1, at_least=False).reached and not Target("much", 0.11, 0.1, at_least=False).reached
    assert str(Target("too little", 0.5, 0.6)) == "  no   too little: 0.50 (>= 0.6)"
