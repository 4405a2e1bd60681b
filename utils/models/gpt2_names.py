"""This file knows how to translate GPT-2's weights between transformers' names and chapter 1's."""

from __future__ import annotations

import einops
import torch
from jaxtyping import Float
from torch import Tensor

from utils.models.config import TransformerConfig

LAYER_NORMS = {"ln1": "ln_1", "ln2": "ln_2"}


def split_heads(c_attn: Float[Tensor, "... three_d_model"], cfg: TransformerConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values out of the one matrix (or bias) in which GPT-2 stores all three."""
    return einops.rearrange(
        c_attn,
        "... (qkv head d_head) -> qkv head ... d_head",
        qkv=3,
        head=cfg.n_heads,
    ).unbind(0)


def join_heads(*qkv: Float[Tensor, "head ... d_head"]) -> Float[Tensor, "... three_d_model"]:
    """The inverse of `split_heads`."""
    return einops.rearrange(torch.stack(qkv), "qkv head ... d_head -> ... (qkv head d_head)")


def chapter1_from_gpt2(weights: dict[str, Tensor], cfg: TransformerConfig) -> dict[str, Tensor]:
    """A GPT-2 state dict of transformers, in float32 under chapter 1's names; b_U, which GPT-2 lacks, is zero."""
    gpt2 = {name.removeprefix("transformer."): weight.float() for name, weight in weights.items()}
    chapter1 = {
        "embed.W_E": gpt2["wte.weight"],
        "pos_embed.W_pos": gpt2["wpe.weight"],
        "ln_final.w": gpt2["ln_f.weight"],
        "ln_final.b": gpt2["ln_f.bias"],
        # tied models store the embedding only
        "unembed.W_U": gpt2.get("lm_head.weight", gpt2["wte.weight"]).T,
        "unembed.b_U": torch.zeros(cfg.d_vocab),
    }
    for layer in range(cfg.n_layers):
        block, h = f"blocks.{layer}", f"h.{layer}"
        for ours, theirs in LAYER_NORMS.items():
            chapter1[f"{block}.{ours}.w"] = gpt2[f"{h}.{theirs}.weight"]
            chapter1[f"{block}.{ours}.b"] = gpt2[f"{h}.{theirs}.bias"]

        W_Q, W_K, W_V = split_heads(gpt2[f"{h}.attn.c_attn.weight"], cfg)
        b_Q, b_K, b_V = split_heads(gpt2[f"{h}.attn.c_attn.bias"], cfg)
        W_O = einops.rearrange(
            gpt2[f"{h}.attn.c_proj.weight"], "(head d_head) d_model -> head d_head d_model", head=cfg.n_heads
        )
        b_O = gpt2[f"{h}.attn.c_proj.bias"]
        attention = {"W_Q": W_Q, "W_K": W_K, "W_V": W_V, "W_O": W_O, "b_Q": b_Q, "b_K": b_K, "b_V": b_V, "b_O": b_O}
        chapter1 |= {f"{block}.attn.{name}": weight for name, weight in attention.items()}

        for ours, theirs in {"in": "c_fc", "out": "c_proj"}.items():
            chapter1[f"{block}.mlp.W_{ours}"] = gpt2[f"{h}.mlp.{theirs}.weight"]
            chapter1[f"{block}.mlp.b_{ours}"] = gpt2[f"{h}.mlp.{theirs}.bias"]
    # own memory for each, so that changing one weight in place changes no other
    return {name: weight.clone(memory_format=torch.contiguous_format) for name, weight in chapter1.items()}
