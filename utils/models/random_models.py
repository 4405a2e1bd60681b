"""This file knows how to make small models with random weights, under TransformerLens' names, for checkers to hand out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils.models.attention_only import AttentionOnlyConfig
from utils.models.config import TransformerConfig
from utils.models.loading import quietly

if TYPE_CHECKING:
    import torch
    from transformer_lens import TransformerBridge


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
