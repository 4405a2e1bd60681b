"""The models: one set of weights behind every way to run it, sentences for names that cannot be had, and training."""

import copy
import json
import socket
import time
from dataclasses import replace

import pytest
import torch

from utils import model_list
from utils.data import token_windows
from utils.data.invented import invented_windows
from utils.data.tokenizer import vocabulary
from utils.models import attention_only, hub, measure
from utils.models.attention_only import AttentionOnlyConfig
from utils.models.config import TransformerConfig
from utils.models.course_transformer import CourseTransformer
from utils.models.figures import organism as organism_figures
from utils.models.figures.common import rounded
from utils.models.gpt2_names import chapter1_from_gpt2
from utils.models.loading import (
    ModelUnavailable,
    checkpoint_steps,
    load_folder,
    load_model,
    load_tokenizer,
    load_weights,
)
from utils.models.recipes import AttentionOnlyRecipe, OrganismRecipe, recipes
from utils.models.training import Training, main, next_token_loss, train
from utils.paths import WEIGHTS

CFG = TransformerConfig(d_model=24, d_vocab=31, n_ctx=13, n_layers=3, n_heads=4, d_head=6, d_mlp=52)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(30)


@pytest.fixture(scope="module")
def organism():
    return CourseTransformer.from_name("organism")


@pytest.fixture(scope="module")
def bridge():
    return load_model("organism")


@pytest.fixture(scope="module")
def tokens():
    return token_windows(6, 40, generator=torch.Generator().manual_seed(31))


@pytest.fixture
def small(generator):
    return CourseTransformer.random(CFG, generator)


@pytest.fixture
def small_tokens(generator):
    return torch.randint(0, CFG.d_vocab, (5, 11), generator=generator)


# One set of weights, four ways to run it


@torch.no_grad()
def test_the_course_transformer_computes_what_transformers_computes(organism, tokens):
    from transformers import GPT2LMHeadModel

    gpt2 = GPT2LMHeadModel.from_pretrained(WEIGHTS / "organism", dtype=torch.float32).eval()
    torch.testing.assert_close(organism(tokens), gpt2(tokens).logits, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_course_transformer_computes_what_the_bridge_computes(organism, bridge, tokens):
    # the bridge centres the unembedding, which moves all logits of a place together
    ours, theirs = organism(tokens).log_softmax(-1), bridge(tokens).log_softmax(-1)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_random_course_transformer_computes_what_transformers_computes(small, small_tokens):
    from transformers import GPT2LMHeadModel

    gpt2 = GPT2LMHeadModel(CFG.to_gpt2(tie_word_embeddings=False)).eval()
    weights = small.state_dict_chapter1()
    # the translation back is the inverse of the one under test
    gpt2.load_state_dict(gpt2_from_chapter1(weights), strict=True)
    torch.testing.assert_close(small(small_tokens), gpt2(small_tokens).logits, atol=1e-5, rtol=1e-5)
    for name, weight in chapter1_from_gpt2(gpt2.state_dict(), CFG).items():
        torch.testing.assert_close(weight, weights[name], atol=0, rtol=0, msg=name)


def gpt2_from_chapter1(weights):
    """Chapter 1's weights under GPT-2's names, one head at a time."""
    gpt2 = {
        "transformer.wte.weight": weights["embed.W_E"],
        "transformer.wpe.weight": weights["pos_embed.W_pos"],
        "transformer.ln_f.weight": weights["ln_final.w"],
        "transformer.ln_f.bias": weights["ln_final.b"],
        "lm_head.weight": weights["unembed.W_U"].T,
    }
    for layer in range(CFG.n_layers):
        ours, theirs = f"blocks.{layer}", f"transformer.h.{layer}"
        for index in "12":
            gpt2[f"{theirs}.ln_{index}.weight"] = weights[f"{ours}.ln{index}.w"]
            gpt2[f"{theirs}.ln_{index}.bias"] = weights[f"{ours}.ln{index}.b"]
        for kind in ("W", "b"):
            heads = [head for name in "QKV" for head in weights[f"{ours}.attn.{kind}_{name}"]]
            gpt2[f"{theirs}.attn.c_attn.{'weight' if kind == 'W' else 'bias'}"] = torch.cat(heads, dim=-1)
        gpt2[f"{theirs}.attn.c_proj.weight"] = torch.cat(list(weights[f"{ours}.attn.W_O"]), dim=0)
        gpt2[f"{theirs}.attn.c_proj.bias"] = weights[f"{ours}.attn.b_O"]
        for name, conv in (("in", "c_fc"), ("out", "c_proj")):
            gpt2[f"{theirs}.mlp.{conv}.weight"] = weights[f"{ours}.mlp.W_{name}"]
            gpt2[f"{theirs}.mlp.{conv}.bias"] = weights[f"{ours}.mlp.b_{name}"]
    return gpt2


def test_loaded_weights_make_the_same_model_again(organism, tokens):
    cfg, weights = load_weights("organism")
    again = CourseTransformer(cfg)
    again.load_state_dict(weights)
    torch.testing.assert_close(again(tokens), organism(tokens), atol=0, rtol=0)
    assert all(weight.dtype == torch.float32 and weight.is_contiguous() for weight in weights.values())
    assert weights["blocks.0.attn.W_Q"].shape == (cfg.n_heads, cfg.d_model, cfg.d_head)
    assert weights["unembed.W_U"].shape == (cfg.d_model, cfg.d_vocab)


# What chapter 1 and its checkers rely on


def test_parameters_have_chapter_1s_names_and_shapes(small):
    shapes = {name: tuple(weight.shape) for name, weight in small.named_parameters()}
    assert len(shapes) == 6 + 16 * CFG.n_layers
    assert shapes["embed.W_E"] == (31, 24) and shapes["pos_embed.W_pos"] == (13, 24)
    assert shapes["blocks.2.attn.W_K"] == (4, 24, 6) and shapes["blocks.2.attn.W_O"] == (4, 6, 24)
    assert shapes["blocks.1.attn.b_V"] == (4, 6) and shapes["blocks.1.attn.b_O"] == (24,)
    assert shapes["blocks.0.mlp.W_in"] == (24, 52) and shapes["blocks.0.mlp.b_in"] == (52,)
    assert shapes["unembed.W_U"] == (24, 31) and shapes["unembed.b_U"] == (31,)
    assert {*shapes} == {*small.state_dict()} == {*small.state_dict_chapter1()}


@torch.no_grad()
def test_the_parts_compose_to_the_whole(small, small_tokens):
    resid = small.embed(small_tokens) + small.pos_embed(small_tokens)
    for block in small.blocks:
        resid = resid + block.attn(block.ln1(resid))
        resid = resid + block.mlp(block.ln2(resid))
    torch.testing.assert_close(small.unembed(small.ln_final(resid)), small(small_tokens))


def test_a_random_model_has_no_parameter_at_its_default(small):
    for name, weight in small.named_parameters():
        if name == "unembed.b_U":
            assert not weight.any()
        else:
            assert weight.std() > 0.05 and not (weight == 0).any() and not (weight == 1).any(), name


def test_random_models_come_from_their_generator():
    first, again, other = (
        CourseTransformer.random(CFG, torch.Generator().manual_seed(seed)).embed.W_E for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_every_parameter_gets_a_gradient_and_training_lowers_the_loss(small, small_tokens):
    optimizer = torch.optim.AdamW(small.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        loss = torch.nn.functional.cross_entropy(
            small(small_tokens)[:, :-1].flatten(0, 1), small_tokens[:, 1:].flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        assert all(weight.grad is not None and weight.grad.any() for weight in small.parameters() if weight.ndim > 2)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5


@torch.no_grad()
def test_a_changed_parameter_changes_the_next_call_and_nothing_else_is_kept(small, small_tokens):
    before = small(small_tokens)
    torch.testing.assert_close(small(small_tokens), before, atol=0, rtol=0)
    twin = copy.deepcopy(small)
    small.blocks[1].attn.W_V.mul_(2)
    assert not torch.allclose(small(small_tokens), before)
    torch.testing.assert_close(twin(small_tokens), before, atol=0, rtol=0)
    small.train()
    assert torch.equal(small(small_tokens), small(small_tokens)), "there is no dropout, in train mode neither"


@torch.no_grad()
def test_no_place_sees_what_comes_later(small, small_tokens):
    torch.testing.assert_close(small(small_tokens)[:, :4], small(small_tokens[:, :4]), atol=1e-5, rtol=1e-5)


def test_sizes_that_gpt2_cannot_have_are_refused_with_the_rule():
    with pytest.raises(ValueError, match=r"d_model must equal n_heads \* d_head .* 24 != 4 \* 5"):
        CourseTransformer(replace(CFG, d_head=5))


# Loading


def test_the_bridge_has_attention_patterns_and_is_folded(bridge, tokens):
    _, cache = bridge.run_with_cache(tokens)
    pattern = cache["pattern", 1]
    assert pattern.shape == (6, bridge.cfg.n_heads, 40, 40)
    torch.testing.assert_close(pattern.sum(-1), torch.ones(6, bridge.cfg.n_heads, 40))
    # centred: nothing writes along the direction that LayerNorm removes
    assert cache["resid_post", 2].mean(-1).abs().max() < 1e-3


def test_bos_comes_first_and_names_are_one_token(bridge):
    assert bridge.to_tokens("Mary and John")[0, 0] == load_tokenizer("organism").bos_token_id == 0
    assert bridge.to_string(bridge.to_single_token(" Mary")) == " Mary"


def test_a_model_moves_to_the_type_asked_for(tokens):
    assert load_model("organism", dtype=torch.float64)(tokens).dtype == torch.float64


def test_loading_says_nothing(capfd):
    for name in hub.shipped_names():
        load_model(name), load_tokenizer(name)
    load_weights("organism")
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_loading_leaves_the_random_state_alone():
    for name in hub.shipped_names():
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        load_model(name)
        assert torch.equal(torch.rand(3), expected), name


def test_a_step_of_a_model_without_checkpoints_is_refused():
    for name in ("organism", "ioi-by-hand", "gpt2"):
        with pytest.raises(ValueError, match=f'"{name}" has no checkpoints .* step 1250'):
            load_model(name, step=1250)


def test_a_step_without_a_checkpoint_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="no checkpoint at step 1250; the nearest is at 1200, and all are at 0, 100, "):
        load_model("attn-only-2l", step=1250)


def test_every_checkpoint_loads_and_the_last_one_is_the_model_that_ships():
    steps = checkpoint_steps("attn-only-2l")
    tokens = invented_windows(2, 96, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        losses = [next_token_loss(load_model("attn-only-2l", step=step)(tokens), tokens).item() for step in steps]
        final = next_token_loss(load_model("attn-only-2l")(tokens), tokens).item()
    assert len(set(losses)) == len(steps) and losses[0] > 5
    assert losses[-1] == pytest.approx(final, abs=1e-2) and losses[-1] == pytest.approx(min(losses), abs=0.05)


def test_a_model_of_attention_alone_has_no_weights_for_chapter_1():
    with pytest.raises(ValueError, match='GPT-2 only, but "attn-only-2l" has no MLPs'):
        load_weights("attn-only-2l")


def test_words_of_the_invented_language_are_one_token_each():
    model = load_model("attn-only-2l")
    assert model.to_str_tokens(model.to_tokens(" don tu")[0]) == ["<|endoftext|>", " don", " tu"]


# Names that cannot be had


def test_an_unknown_name_gets_a_sentence(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelUnavailable, match='no model is called "gtp2": .* load_model\\("organism"\\)'):
        load_model("gtp2")


def test_an_offline_download_gets_a_sentence(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(hub, "cached_folder", lambda repository: None)
    for load in (load_model, load_weights, load_tokenizer):
        with pytest.raises(ModelUnavailable, match="HF_HUB_OFFLINE forbids .* unset HF_HUB_OFFLINE"):
            load("gpt2")


def test_a_server_that_never_answers_gets_a_sentence_within_five_seconds(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        forget_the_hub(monkeypatch, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.perf_counter()
        with pytest.raises(ModelUnavailable, match="does not answer: connect to the internet"):
            load_model("gpt2")
        assert time.perf_counter() - start < 5


def test_a_name_server_that_hangs_gets_a_sentence_within_five_seconds(monkeypatch):
    forget_the_hub(monkeypatch, endpoint="https://hub.invalid")
    monkeypatch.setattr(hub.urllib.request, "urlopen", lambda *args, **kwargs: time.sleep(20))
    start = time.perf_counter()
    with pytest.raises(ModelUnavailable, match="does not answer: connect to the internet"):
        load_model("gpt2")
    assert time.perf_counter() - start < 5


def forget_the_hub(monkeypatch, *, endpoint):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setattr(hub, "cached_folder", lambda repository: None)


# Training


RECIPES = {
    "organism": OrganismRecipe(
        cfg=TransformerConfig(
            d_model=16, d_vocab=len(vocabulary()), n_ctx=24, n_layers=1, n_heads=2, d_head=8, d_mlp=32
        ),
        steps=6,
        batch=3,
        learning_rate=1e-2,
        warm_up=2,
    ),
    "attn-only-2l": AttentionOnlyRecipe(
        cfg=AttentionOnlyConfig(d_model=16, d_vocab=256, n_ctx=40, n_layers=2, n_heads=2, d_head=8),
        steps=6,
        batch=3,
        learning_rate=1e-2,
        warm_up=2,
        kept_steps=(0, 4, 6),
    ),
}


@pytest.fixture(params=RECIPES)
def recipe(request):
    return RECIPES[request.param]


def test_the_learning_rate_warms_up_and_then_falls_along_a_cosine(recipe):
    recipe = replace(recipe, steps=102)
    rates = [recipe.learning_rate_at(step) / recipe.learning_rate for step in (0, 1, 2, 52, 102)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.51, 0.02])


def test_in_a_second_round_the_learning_rate_rises_and_falls_again(recipe):
    rate = recipe.learning_rate
    recipe = replace(recipe, steps=154, second_round=102, second_learning_rate=rate / 4)
    rates = [recipe.learning_rate_at(step) / rate for step in (0, 1, 52, 101, 102, 103, 129, 154)]
    assert rates == pytest.approx([0.5, 1.0, 0.51, 0.02, 0.125, 0.25, 0.1275, 0.005], abs=0.001)


def test_the_second_round_of_the_organism_names_more_distractors():
    recipe = replace(RECIPES["organism"], batch=300, second_round=5, second_learning_rate=1e-3)
    vocabulary = {id: token for token, id in load_model("organism").tokenizer.get_vocab().items()}

    def share_of_distractors(step):
        tokens = recipe.windows(step, torch.Generator().manual_seed(3))
        text = "".join(vocabulary[token] for token in tokens.flatten().tolist())
        return text.count(", a friend of") / text.count(" gave")

    assert share_of_distractors(5) > 1.5 * share_of_distractors(4)


def test_a_training_that_was_killed_ends_in_the_same_weights(recipe, tmp_path, monkeypatch):
    whole = train(recipe, tmp_path / "whole", quiet=True)

    advance = Training.advance

    def killed_at_step_4(self):
        if self.step == 4:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(Training, "advance", killed_at_step_4)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "killed", save_every=3, quiet=True)
    monkeypatch.setattr(Training, "advance", advance)
    # what a kill while writing would leave behind
    (tmp_path / "killed" / "checkpoint.unfinished").write_bytes(b"half a file")
    resumed = train(recipe, tmp_path / "killed", quiet=True)

    assert resumed.losses == whole.losses and resumed.step == whole.step == 6
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name
    for file in (tmp_path / "whole" / "model").rglob("*.safetensors"):
        again = tmp_path / "killed" / file.relative_to(tmp_path / "whole")
        assert again.read_bytes() == file.read_bytes(), file.name


def test_a_checkpoint_of_another_recipe_is_refused(recipe, tmp_path):
    train(replace(recipe, steps=1), tmp_path, quiet=True)
    with pytest.raises(ValueError, match="is of another recipe"):
        train(recipe, tmp_path, quiet=True)


def test_training_lowers_the_loss(recipe, tmp_path):
    losses = [loss for _, loss in train(replace(recipe, steps=60), tmp_path, quiet=True).losses]
    # a batch of little else than random runs is hard at any time
    assert sum(losses[-10:]) < sum(losses[:10]) - 5


@pytest.mark.parametrize("name", recipes())
def test_the_one_command_trains_a_model_that_loads(name, tmp_path, capsys):
    main([name, "--steps", "1", "--threads", "1", "--folder", str(tmp_path)])
    assert "trained 1 steps" in capsys.readouterr().out
    model = load_folder(tmp_path / "model")
    assert model.cfg.d_vocab == recipes()[name].cfg.d_vocab
    assert json.loads((tmp_path / "model" / "training.json").read_text())["steps"] == 1


def test_a_model_of_attention_alone_loads_as_it_was_trained(tmp_path):
    recipe = RECIPES["attn-only-2l"]
    training = train(recipe, tmp_path, quiet=True)
    tokens = recipe.windows(0, torch.Generator().manual_seed(7))
    with torch.no_grad():
        expected = training.model(tokens).log_softmax(-1)
        bridge = load_folder(tmp_path / "model")
        torch.testing.assert_close(bridge(tokens).log_softmax(-1), expected, atol=1e-5, rtol=1e-5)
        _, cache = bridge.run_with_cache(tokens)
        assert cache["pattern", 1].shape == (3, 2, 40, 40)
        # the last checkpoint is the model itself in half precision
        halved = load_folder(
            tmp_path / "model", weights=attention_only.checkpoint_file(tmp_path / "model", recipe.steps)
        )
        torch.testing.assert_close(halved(tokens).log_softmax(-1), expected, atol=2e-2, rtol=2e-2)


# The card


def test_a_card_and_a_measurement_that_differ_are_told_apart():
    stated = {"ioi": {"accuracy": 0.99, "logit difference": 8.0}, "loss": {"stories": 1.0}}
    close = {"ioi": {"accuracy": 0.98, "logit difference": 8.1}, "loss": {"stories": 1.01}}
    worse = {"ioi": {"accuracy": 0.90, "logit difference": 8.1}, "loss": {}}
    assert measure.differences(close, stated) == []
    assert measure.differences(worse, stated) == [
        "ioi > accuracy: measured 0.9000, and the card says 0.9900",
        "loss > stories: measured None, and the card says 1.0",
    ]


@pytest.mark.parametrize("name", measure.FIGURES)
def test_the_page_of_a_model_is_written_from_its_card(name):
    page = (WEIGHTS / name / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert page == measure.figures_of(name).markdown(measure.read_card(name))


def test_the_organisms_card_states_what_a_new_measurement_finds(bridge):
    figures = measure.read_card("organism")["figures"]
    with torch.no_grad():
        found = rounded(organism_figures.ioi(bridge, figures["prompts"]))
    assert measure.differences(found, figures["ioi"]["unseen pairs"]) == []


def test_a_measurement_that_contradicts_the_card_ends_with_an_error(monkeypatch, capsys):
    stated = measure.read_card("ioi-by-hand")
    stated["figures"]["every prompt"]["accuracy"] = 0.9
    monkeypatch.setattr(measure, "read_card", lambda name: stated)
    assert model_list.main(["measure", "ioi-by-hand"]) == 1
    assert capsys.readouterr().out == "every prompt > accuracy: measured 1.0000, and the card says 0.9000\n"


def test_attn_only_2l_shows_what_chapter_2_needs():
    found = measure.read_card("attn-only-2l")["figures"]
    repeats, checkpoints = found["repeats"], list(found["along training"].values())
    assert repeats["accuracy, second half"] >= 0.9
    induction = [score for head, score in repeats["induction score"].items() if head.startswith("L1")]
    assert max(induction) >= 0.7 and min(induction) < 0.1
    assert max(repeats["previous-token score"].values()) >= 0.6
    # a phase change: from hardly any to most of it within a quarter of the checkpoints
    scores = [row["highest induction score"] for row in checkpoints]
    early = max(index for index, score in enumerate(scores) if score < 0.1)
    late = min(index for index, score in enumerate(scores) if score > 0.6)
    assert len(checkpoints) >= 15 and late - early <= len(checkpoints) / 4


def test_the_models_that_ship_are_small():
    sizes = {
        name: sum(path.stat().st_size for path in (WEIGHTS / name).rglob("*") if path.is_file())
        for name in measure.FIGURES
    }
    assert measure.read_card("organism")["parameters"] <= 3_000_000
    assert sizes["organism"] <= 12_000_000 and sizes["attn-only-2l"] < 10_000_000 and sizes["ioi-by-hand"] < 1_000_000
