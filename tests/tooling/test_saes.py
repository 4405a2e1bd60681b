"""The sparse autoencoders: what they compute, how they are trained and stored, and that those that ship do what their card says."""

from dataclasses import replace

import pytest
import torch

from utils.data import token_windows
from utils.models.loading import load_model
from utils.saes import TopKSAE, load_sae, measure, random_sae, sae_names, training
from utils.saes.loading import SHIPPED, about, fingerprint, load_file, save_sae
from utils.saes.recipes import RECIPES, TEXT, SAERecipe
from utils.saes.topk import strongest


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(40)


@pytest.fixture(scope="module")
def tokens():
    return token_windows(24, 64, generator=torch.Generator().manual_seed(41), kinds=TEXT)


@pytest.fixture(scope="module")
def organism():
    return load_model("organism")


@pytest.fixture(scope="module")
def activations(organism, tokens):
    return training.activations_of(organism, tokens, RECIPES["organism-512"].hook_name)


# What an autoencoder computes


def test_the_strongest_features_are_kept_with_their_values_and_the_others_are_0():
    pre = torch.tensor([[3.0, -1.0, 2.0, 0.5], [-1.0, -2.0, -3.0, 1.0]])
    assert strongest(pre, 2).tolist() == [[3.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


def test_an_autoencoder_encodes_and_decodes_by_its_formula(generator):
    sae = random_sae(5, 13, 4, generator)
    x = torch.randn(3, 7, 5, generator=generator)
    x_hat, f = sae(x)
    pre = torch.stack([example @ sae.W_enc + sae.b_enc for example in x.flatten(0, 1)]).reshape(3, 7, 13)
    assert f.shape == (3, 7, 13) and (f > 0).sum(-1).max() <= 4
    torch.testing.assert_close(f[f > 0], pre[f > 0])
    torch.testing.assert_close(x_hat, torch.einsum("bps,sd->bpd", f, sae.W_dec) + sae.b_dec)
    torch.testing.assert_close(sae.decode(sae.encode(x)), x_hat)


def test_a_random_autoencoder_has_nothing_at_its_default(generator):
    sae = random_sae(6, 17, 3, generator)
    lengths = sae.W_dec.norm(dim=-1)
    assert lengths.max() > 1.3 * lengths.min() and not torch.allclose(sae.W_enc, sae.W_dec.T, atol=0.05)
    assert all(bias.abs().min() > 0 for bias in (sae.b_enc, sae.b_dec))
    assert not any(parameter.requires_grad for parameter in sae.parameters())


def test_a_new_autoencoder_comes_from_its_generator():
    first, again, other = (TopKSAE(4, 9, 2, torch.Generator().manual_seed(seed)).W_dec for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_more_active_features_than_there_are_is_refused_with_both_numbers(generator):
    with pytest.raises(ValueError, match="k is 9 and d_sae 8"):
        TopKSAE(4, 8, 9, generator)


# Training


SMALL = SAERecipe(
    d_sae=24, k=2, texts=4, length=16, steps=400, batch=128, learning_rate=1e-2, warm_up=10, dead_after=20
)


def sparse_data(generator, n=2000, d_in=8, n_features=16):
    """Sums of two of sixteen directions, away from 0 and of any scale."""
    directions = torch.nn.functional.normalize(torch.randn(n_features, d_in, generator=generator), dim=-1)
    active = torch.rand(n, n_features, generator=generator).topk(2).indices
    strengths = 0.5 + torch.rand(n, 2, generator=generator)
    return 30 * torch.einsum("nk,nkd->nd", strengths, directions[active]) + 50 * torch.randn(d_in, generator=generator)


def test_training_explains_sparse_data_and_keeps_directions_at_length_1(generator):
    x = sparse_data(generator)
    sae = training.train(SMALL, x, quiet=True)
    assert measure.explained_variance(x, sae(x)[0]) > 0.85
    torch.testing.assert_close(sae.W_dec.norm(dim=-1), torch.ones(24))


def test_training_is_decided_by_its_seed(generator):
    x = sparse_data(generator)
    first, again = (training.train(replace(SMALL, steps=30), x, quiet=True) for _ in range(2))
    other = training.train(replace(SMALL, steps=30, seed=1), x, quiet=True)
    assert torch.equal(first.W_dec, again.W_dec) and not torch.equal(first.W_dec, other.W_dec)


def test_folding_moves_centre_and_scale_into_the_weights(generator):
    sae = random_sae(5, 13, 4, generator)
    x, centre, scale = (
        40 * torch.randn(20, 5, generator=generator) + 30,
        torch.randn(5, generator=generator),
        torch.tensor(0.07),
    )
    x_hat, f = sae((x - centre) * scale)
    raw_x_hat, raw_f = training.folded(sae, centre, scale)(x)
    torch.testing.assert_close(raw_f, f / scale, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(raw_x_hat, x_hat / scale + centre, atol=1e-3, rtol=1e-4)


def test_dead_features_come_back(generator, monkeypatch):
    x = sparse_data(generator)

    def born_dead(*args, **options):
        sae = TopKSAE(*args, **options)
        with torch.no_grad():
            sae.W_enc[:, :12] *= 0.02  # too weak to be among the strongest
        return sae

    monkeypatch.setattr(training, "TopKSAE", born_dead)

    def dead(auxiliary):
        sae = training.train(replace(SMALL, auxiliary=auxiliary), x, quiet=True)
        return int((sae.encode(x) == 0).all(dim=0).sum())

    assert dead(auxiliary=SMALL.auxiliary) <= 4 < 10 <= dead(auxiliary=0.0)


def test_the_gradient_of_the_decoder_has_no_part_along_its_rows(generator):
    sae = TopKSAE(5, 11, 3, generator)
    sae.W_dec.grad = torch.randn(11, 5, generator=generator)
    before = sae.W_dec.grad.clone()
    training.remove_parallel_gradient(sae)
    assert (sae.W_dec.grad * sae.W_dec).sum(-1).abs().max() < 1e-6
    taken = before - sae.W_dec.grad
    torch.testing.assert_close(taken, (taken * sae.W_dec).sum(-1, keepdim=True) * sae.W_dec)


def test_the_learning_rate_rises_and_falls_to_0():
    recipe = SAERecipe(d_sae=8, steps=1000, warm_up=100, cool_down=0.2, learning_rate=1.0)
    assert [recipe.learning_rate_at(step) for step in (0, 49, 99, 500, 900, 999)] == pytest.approx(
        [0.01, 0.5, 1.0, 1.0, 0.5, 0.005]
    )


def test_the_one_command_trains_what_loads(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(RECIPES, "organism-256", replace(SMALL, d_sae=256, dead_after=2))
    training.main(["organism-256", "--steps", "3", "--threads", "1", "--folder", str(tmp_path)])
    assert "trained" in capsys.readouterr().out
    sae = load_file(tmp_path / "organism-256.safetensors")
    assert sae.W_dec.shape == (256, 128) and sae.hook_name == SMALL.hook_name and sae.k == 2


# Storing and loading


def test_an_autoencoder_is_stored_in_half_precision_with_its_recipe(generator, tmp_path):
    sae, recipe = random_sae(6, 17, 3, generator), SAERecipe(d_sae=17, k=3, hook_name="blocks.2.hook_resid_pre")
    save_sae(sae, tmp_path / "small.safetensors", recipe)
    again = load_file(tmp_path / "small.safetensors")
    for name, weight in sae.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight, atol=1e-3, rtol=1e-3, msg=name)
    assert (again.k, again.hook_name) == (3, "blocks.2.hook_resid_pre")
    assert about(tmp_path / "small.safetensors")["fingerprint"] == fingerprint("organism")
    assert (tmp_path / "small.safetensors").stat().st_size < 2 * 2 * (2 * 6 * 17 + 23) + 2000


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(
        ValueError, match='no autoencoder is called "organism-300": there are organism-256, organism-512'
    ):
        load_sae("organism-300")


def test_loading_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_sae()
    assert torch.equal(torch.rand(3), expected)


# Those that ship


def test_one_ships_for_each_recipe_and_they_are_small():
    assert sae_names() == list(RECIPES) == ["organism-256", "organism-512", "organism-1024"]
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 1_200_000


@pytest.mark.parametrize("name", RECIPES)
def test_those_that_ship_are_of_the_organism_that_ships(name):
    recipe = about(SHIPPED / f"{name}.safetensors")
    assert recipe["fingerprint"] == fingerprint("organism"), (
        "the organism's weights have changed: train its autoencoders again, python -m utils.saes.training --ship"
    )
    stated = RECIPES[name]
    assert all(recipe[key] == getattr(stated, key) for key in recipe if key != "fingerprint")


@pytest.mark.parametrize("name", RECIPES)
def test_those_that_ship_explain_the_stream_with_few_features(name, activations):
    sae, x = load_sae(name), activations[:, 1:]
    x_hat, f = sae(x)
    assert measure.explained_variance(x, x_hat) > 0.8
    assert 0.5 * sae.k < (f > 0).sum(-1).float().mean() <= sae.k
    torch.testing.assert_close(sae.W_dec.norm(dim=-1), torch.ones(sae.d_sae), atol=2e-3, rtol=0)


def test_the_model_hardly_notices_that_the_stream_is_replaced(organism, tokens):
    losses = measure.spliced_losses(organism, load_sae("organism-1024"), tokens)
    assert losses["as it is"] <= losses["spliced in"] < losses["as it is"] + 0.3 < losses["mean-ablated"] - 1


def test_wider_ones_explain_more(activations):
    x = activations[:, 1:]
    explained = [measure.explained_variance(x, load_sae(name)(x)[0]) for name in sae_names()]
    assert explained == sorted(explained)


# The card


def test_f1_is_that_of_precision_and_recall():
    said = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    truth = torch.tensor([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]]).T
    torch.testing.assert_close(measure.f1(said, truth), torch.tensor([[2 / 3, 1 / 2], [0.0, 0.0]]))


def test_the_best_feature_is_found_at_its_best_threshold():
    truth = torch.tensor([1, 1, 0, 0, 0], dtype=torch.bool)
    f = torch.tensor([[0.0, 9.0], [1.0, 8.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    assert measure.best_features(f, {"label": truth}) == {"label": {"F1": 1.0, "feature": 1, "threshold": 0.2}}


def test_the_page_is_written_from_the_card():
    assert (SHIPPED / "SAE_CARD.md").read_text(encoding="utf-8") == measure.markdown(measure.card())


def test_the_card_states_what_a_new_measurement_finds(organism):
    # the rest of it takes a minute: `python -m utils.saes.measure`
    found = measure.rounded(measure.reconstruction(organism, load_sae("organism-256"), measure.fresh_text()))
    stated = {name: value for name, value in measure.card()["organism-256"].items() if name in found}
    assert measure.differences(found, stated) == []


def test_a_card_that_says_otherwise_ends_with_an_error(monkeypatch, capsys):
    stated = {"organism-256": {"loss recovered": 0.5}}
    monkeypatch.setattr(measure, "card", lambda: stated)
    monkeypatch.setattr(measure, "measure", lambda: {"organism-256": {"loss recovered": 0.9}})
    assert measure.main([]) == 1
    assert capsys.readouterr().out == "organism-256 > loss recovered: measured 0.9000, and the card says 0.5000\n"
