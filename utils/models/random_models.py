"""This file knows how to make small models with random weights, under TransformerLens' names, for checkers to hand out."""

from __future__ import annotations

import operator
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from utils.models.attention_only import AttentionOnlyConfig
from utils.models.config import TransformerConfig
from utils.models.loading import quietly

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformer_lens import TransformerBridge

MOST_KEPT = 48  # models for `borrow_bridge`, of half a megabyte each: more than any one exercise asks for
# attributes that `Restorable.put_back` sees to itself, and one in which a bridge keeps what it has looked up
PUT_BACK = {"_buffers", "bwd_hooks", "ctx", "fwd_hooks", "_block_alias_cache"}


def random_bridge(
    cfg: AttentionOnlyConfig | TransformerConfig,
    generator: torch.Generator,
    device: torch.device | None = None,
) -> TransformerBridge:
    """A model of these sizes whose every weight and bias is random, LayerNorm's too, in compatibility mode.

    With MLPs if `cfg` has a d_mlp. Attention is sharp enough to differ between positions, and parts differ in size.
    """
    import torch
    from transformer_lens import TransformerBridge
    from transformer_lens.config import TransformerBridgeConfig

    d_mlp = getattr(cfg, "d_mlp", None)
    sizes = TransformerBridgeConfig(
        d_model=cfg.d_model,
        d_head=cfg.d_head,
        n_heads=cfg.n_heads,
        n_layers=cfg.n_layers,
        n_ctx=cfg.n_ctx,
        d_vocab=cfg.d_vocab,
        d_mlp=d_mlp,
        attn_only=d_mlp is None,
        act_fn="gelu_new",
        normalization_type=getattr(cfg, "normalization_type", "LN"),
        positional_embedding_type="standard",
        init_weights=False,
    )
    with quietly(), torch.random.fork_rng(devices=[]):
        model = TransformerBridge.boot_native(sizes, device="cpu")
        with torch.no_grad():
            for name, weight in model.named_parameters():
                noise = torch.randn(weight.shape, generator=generator).to(weight)
                if weight.ndim == 2:
                    weight.copy_(noise * 1.2 / cfg.d_model**0.5)
                else:
                    weight.copy_(0.3 * noise + ("ln" in name and name.endswith("weight")))
        model.enable_compatibility_mode(disable_warnings=True)
        model.to(device or "cpu")
        model.eval()
    return model


def borrow_bridge(
    cfg: AttentionOnlyConfig | TransformerConfig,
    generator: torch.Generator,
    device: torch.device | None = None,
) -> TransformerBridge:
    """What `random_bridge` makes, for one borrower after the other: the last few models are kept, as building takes long.

    Each borrower finds the model as it was built, without hooks and with its own weights, whatever the one before did
    to it. Who asks again with a generator in the same state gets the same object, so the borrower before must be done.
    """
    key = (cfg, str(device or "cpu"), generator.get_state().numpy().tobytes())
    kept, generator_state = _kept.pop(key, (None, None))
    if kept is None or not kept.put_back():
        kept = Restorable(random_bridge(cfg, generator, device))
        generator_state = generator.get_state()
    _kept[key] = kept, generator_state
    while len(_kept) > MOST_KEPT:
        del _kept[next(iter(_kept))]  # the one that was asked for longest ago
    generator.set_state(generator_state)
    return kept.model


class Restorable:
    """A model, and what is needed to see whether it is still as it was built and to put back what can be put back."""

    def __init__(self, model: TransformerBridge):
        import torch

        self.model = model
        with torch.no_grad():
            model.run_with_cache(torch.zeros(1, 1, dtype=torch.long, device=model.W_E.device))  # wires hooks of its own
        self.tensors = [(tensor.detach().clone(), tensor.requires_grad) for tensor in _tensors(model)]
        self.attributes = _attributes(model)

    def put_back(self) -> bool:
        """Take hooks and gradients off and restore all weights; False if something else was changed."""
        self.model.reset_hooks(including_permanent=True)
        tensors = _tensors(self.model)
        if len(tensors) != len(self.tensors) or not _same(self.attributes, _attributes(self.model)):
            return False
        for tensor, (value, requires_grad) in zip(tensors, self.tensors):
            tensor.grad = None
            tensor.requires_grad_(requires_grad)
            if tensor.dtype == value.dtype and tensor.shape == value.shape:
                tensor.detach().copy_(value)
            else:
                tensor.data = value.clone()
        return True


def _tensors(model: TransformerBridge) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _attributes(model: TransformerBridge) -> list[Any]:
    """What every module and the configuration hold, dictionaries entry by entry; it is to be compared by identity."""
    found: list[Any] = []
    for owner in (model.cfg, *model.modules()):
        for name, value in vars(owner).items():
            if name not in PUT_BACK:
                found.append(name)
                found += [*value, *value.values()] if type(value) in (dict, OrderedDict) else [value]
    return found


def _same(before: list[Any], now: list[Any]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


_kept: dict[tuple, tuple[Restorable, torch.Tensor]] = {}
