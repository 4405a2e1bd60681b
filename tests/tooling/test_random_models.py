"""Random models that are lent to one borrower after the other."""

import pytest
import torch

from utils.models import random_models
from utils.models.attention_only import AttentionOnlyConfig
from utils.models.random_models import borrow_bridge, random_bridge

CFG = AttentionOnlyConfig(d_model=12, d_vocab=11, n_ctx=17, n_layers=2, n_heads=3, d_head=4)
TOKENS = torch.randint(0, 11, (2, 7), generator=torch.Generator().manual_seed(4))


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(random_models, "_kept", {})


def zero(z, hook):
    return torch.zeros_like(z)


def zero_all_weights(model):
    for weight in model.parameters():
        weight.detach().zero_()


# what a learner's function may do to a model, and whether that can be put back without building another one
DEEDS = {
    "leaves a hook": (lambda model: model.add_hook("blocks.0.attn.hook_z", zero), True),
    "leaves a permanent hook": (lambda model: model.add_perma_hook("blocks.0.attn.hook_z", zero), True),
    "puts a hook on a hook point": (lambda model: model.blocks[1].attn.hook_z.add_hook(zero), True),
    "sets every weight to 0": (zero_all_weights, True),
    "goes to float64": (lambda model: model.double(), True),
    "leaves gradients": (lambda model: model(TOKENS).sum().backward(), True),
    "freezes the weights": (lambda model: model.requires_grad_(False), True),
    "trains": (lambda model: model.train(), False),
    "changes the configuration": (lambda model: setattr(model.cfg, "n_heads", 7), False),
    "replaces a method": (lambda model: setattr(model, "run_with_cache", None), False),
    "hangs torch's own hook on a layer": (lambda model: model.blocks[0].register_forward_hook(lambda *_: 0), False),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_the_next_borrower_finds_the_model_as_it_was_built_after_one_who(deed):
    do, mendable = DEEDS[deed]
    built = random_bridge(CFG, seeded())
    borrowed = borrow_bridge(CFG, seeded())
    do(borrowed)
    again = borrow_bridge(CFG, seeded())
    assert (again is borrowed) == mendable
    assert vars(again.cfg) == vars(built.cfg)
    assert not any(point.fwd_hooks or point.bwd_hooks for point in again.hook_dict.values())
    for (name, weight), (_, expected) in zip(again.named_parameters(), built.named_parameters(), strict=True):
        torch.testing.assert_close(weight, expected, atol=0, rtol=0, msg=name)
        assert weight.grad is None and weight.requires_grad == expected.requires_grad and again.training is False
    with torch.no_grad():
        logits, cache = again.run_with_cache(TOKENS)
        torch.testing.assert_close(logits, built(TOKENS), atol=0, rtol=0)
    assert cache["z", 0].any()


def test_generators_in_other_states_and_other_sizes_give_other_models():
    model = borrow_bridge(CFG, seeded())
    generator = seeded()
    assert borrow_bridge(CFG, generator) is model
    later = borrow_bridge(CFG, generator)
    assert later is not model and not torch.equal(later.W_E, model.W_E)
    assert borrow_bridge(CFG, seeded(5)) is not model
    assert borrow_bridge(AttentionOnlyConfig(**vars(CFG) | {"d_vocab": 13}), seeded()).W_E.shape[0] == 13
    assert borrow_bridge(CFG, seeded()) is model


def test_a_generator_goes_on_as_if_the_model_had_been_drawn_from_it():
    drawn_from = seeded()
    random_bridge(CFG, drawn_from)
    for _ in range(2):
        generator = seeded()
        borrow_bridge(CFG, generator)
        assert torch.equal(generator.get_state(), drawn_from.get_state())


def test_only_the_last_few_models_are_kept(monkeypatch):
    monkeypatch.setattr(random_models, "MOST_KEPT", 2)
    first, second = borrow_bridge(CFG, seeded(1)), borrow_bridge(CFG, seeded(2))
    assert borrow_bridge(CFG, seeded(1)) is first
    borrow_bridge(CFG, seeded(3))
    assert borrow_bridge(CFG, seeded(1)) is first
    assert borrow_bridge(CFG, seeded(2)) is not second
