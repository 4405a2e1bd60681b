"""This file knows how to describe the shape of a transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import GPT2Config


@dataclass(frozen=True)
class TransformerConfig:
    """The sizes of a GPT-2-like transformer, under TransformerLens' names."""

    d_model: int
    d_vocab: int
    n_ctx: int
    n_layers: int
    n_heads: int
    d_head: int
    d_mlp: int
    eps: float = 1e-5
    init_range: float = 0.02

    @classmethod
    def from_gpt2(cls, gpt2: GPT2Config) -> TransformerConfig:
        """The same sizes, read from transformers' configuration of a GPT-2."""
        return cls(
            d_model=gpt2.n_embd,
            d_vocab=gpt2.vocab_size,
            n_ctx=gpt2.n_positions,
            n_layers=gpt2.n_layer,
            n_heads=gpt2.n_head,
            d_head=gpt2.n_embd // gpt2.n_head,
            d_mlp=gpt2.n_inner or 4 * gpt2.n_embd,
            eps=gpt2.layer_norm_epsilon,
            init_range=gpt2.initializer_range,
        )

    def to_gpt2(self, **options) -> GPT2Config:
        """transformers' configuration of the same sizes, without dropout; `options` overrule its fields."""
        if self.d_model != self.n_heads * self.d_head:
            raise ValueError(
                f"d_model must equal n_heads * d_head for GPT-2, but {self.d_model} != {self.n_heads} * {self.d_head}"
            )
        from transformers import GPT2Config

        fields = {
            "n_embd": self.d_model,
            "vocab_size": self.d_vocab,
            "n_positions": self.n_ctx,
            "n_layer": self.n_layers,
            "n_head": self.n_heads,
            "n_inner": self.d_mlp,
            "layer_norm_epsilon": self.eps,
            "initializer_range": self.init_range,
            "activation_function": "gelu_new",
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "pad_token_id": 0,
        }
        return GPT2Config(**{**fields, **options})
