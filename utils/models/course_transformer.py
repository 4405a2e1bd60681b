"""This file knows how to run chapter 1's transformer without a learner's code: with transformers' GPT-2 inside.

Checkers hand a `CourseTransformer` to learner functions that need a whole model, and compare a learner's model with
it. The parameters carry chapter 1's names and shapes; each module arranges them as GPT-2 stores them and lets GPT-2's
own module compute. Nothing is kept between calls.
"""

from __future__ import annotations

from functools import lru_cache

import einops
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from transformers.models.gpt2 import modeling_gpt2 as gpt2

from utils.models.config import TransformerConfig
from utils.models.gpt2_names import join_heads


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(*shape))


class LayerNorm(nn.Module):
    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.cfg = cfg
        self.w = parameter(cfg.d_model)
        self.b = parameter(cfg.d_model)

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        return F.layer_norm(x, (self.cfg.d_model,), self.w, self.b, self.cfg.eps)


class Embed(nn.Module):
    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.W_E = parameter(cfg.d_vocab, cfg.d_model)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        return F.embedding(tokens, self.W_E)


class PosEmbed(nn.Module):
    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.W_pos = parameter(cfg.n_ctx, cfg.d_model)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        positions = torch.arange(tokens.shape[-1], device=tokens.device).expand_as(tokens)
        return F.embedding(positions, self.W_pos)


class Attention(nn.Module):
    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        for name in ("Q", "K", "V"):
            self.register_parameter(f"W_{name}", parameter(cfg.n_heads, cfg.d_model, cfg.d_head))
            self.register_parameter(f"b_{name}", parameter(cfg.n_heads, cfg.d_head))
        self.W_O = parameter(cfg.n_heads, cfg.d_head, cfg.d_model)
        self.b_O = parameter(cfg.d_model)
        self.cfg = cfg
        attention_shell(cfg)  # refuses sizes that GPT-2 cannot have

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        weights = {
            "c_attn.weight": join_heads(self.W_Q, self.W_K, self.W_V),
            "c_attn.bias": join_heads(self.b_Q, self.b_K, self.b_V),
            "c_proj.weight": einops.rearrange(self.W_O, "head d_head d_model -> (head d_head) d_model"),
            "c_proj.bias": self.b_O,
        }
        attn_out, _ = functional_call(attention_shell(self.cfg), weights, x)
        return attn_out


class MLP(nn.Module):
    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.W_in = parameter(cfg.d_model, cfg.d_mlp)
        self.b_in = parameter(cfg.d_mlp)
        self.W_out = parameter(cfg.d_mlp, cfg.d_model)
        self.b_out = parameter(cfg.d_model)
        self.cfg = cfg

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        weights = {
            "c_fc.weight": self.W_in,
            "c_fc.bias": self.b_in,
            "c_proj.weight": self.W_out,
            "c_proj.bias": self.b_out,
        }
        return functional_call(mlp_shell(self.cfg), weights, x)


class TransformerBlock(nn.Module):
    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.ln1 = LayerNorm(cfg)
        self.attn = Attention(cfg)
        self.ln2 = LayerNorm(cfg)
        self.mlp = MLP(cfg)

    def forward(self, resid_pre: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        resid_mid = resid_pre + self.attn(self.ln1(resid_pre))
        return resid_mid + self.mlp(self.ln2(resid_mid))


class Unembed(nn.Module):
    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.W_U = parameter(cfg.d_model, cfg.d_vocab)
        self.b_U = parameter(cfg.d_vocab)

    def forward(self, resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_vocab"]:
        return F.linear(resid, self.W_U.T, self.b_U)


class CourseTransformer(nn.Module):
    """Chapter 1's transformer with GPT-2's own modules inside; in eval mode, with all weights zero until set."""

    def __init__(self, cfg: TransformerConfig):
        super().__init__()
        self.cfg = cfg
        self.embed = Embed(cfg)
        self.pos_embed = PosEmbed(cfg)
        self.blocks = nn.ModuleList(TransformerBlock(cfg) for _ in range(cfg.n_layers))
        self.ln_final = LayerNorm(cfg)
        self.unembed = Unembed(cfg)
        self.eval()

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        resid = self.embed(tokens) + self.pos_embed(tokens)
        for block in self.blocks:
            resid = block(resid)
        return self.unembed(self.ln_final(resid))

    @classmethod
    def random(cls, cfg: TransformerConfig, generator: torch.Generator | None = None) -> CourseTransformer:
        """A model in which no parameter has its default, except b_U, which GPT-2 lacks and which stays zero.

        Matrices are scaled to keep activations near 1, so that attention is neither uniform nor one-hot.
        """
        model = cls(cfg)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name == "unembed.b_U":
                    continue
                noise = torch.randn(weight.shape, generator=generator)
                weight.copy_(random_scale(name, cfg) * noise + (1.0 if name.endswith(".w") else 0.0))
        return model

    @classmethod
    def from_name(cls, name: str = "organism") -> CourseTransformer:
        """A trained model: the shipped organism, or a GPT-2 (raises `ModelUnavailable` where it cannot be had)."""
        from utils.models.loading import load_weights

        cfg, weights = load_weights(name)
        model = cls(cfg)
        model.load_state_dict(weights)
        return model

    def state_dict_chapter1(self) -> dict[str, Tensor]:
        """A copy of every parameter under chapter 1's name."""
        return {name: weight.detach().clone() for name, weight in self.named_parameters()}


def random_scale(name: str, cfg: TransformerConfig) -> float:
    """The standard deviation with which `CourseTransformer.random` draws a parameter."""
    fan_in = {
        "W_E": 1,
        "W_pos": 4,
        "W_Q": cfg.d_model / 2,
        "W_K": cfg.d_model / 2,
        "W_V": cfg.d_model,
        "W_O": cfg.d_model,
        "W_in": cfg.d_model,
        "W_out": cfg.d_mlp,
        "W_U": cfg.d_model,
    }
    kind = name.rsplit(".", 1)[-1]
    return fan_in[kind] ** -0.5 if kind in fan_in else 0.3


# transformers' modules without memory for weights, which are handed over at each call; so one of a kind is enough
@lru_cache
def attention_shell(cfg: TransformerConfig) -> nn.Module:
    with torch.device("meta"):
        # sdpa masks the future by itself; a bare module with eager attention would wait for a mask from GPT2Model
        return gpt2.GPT2Attention(cfg.to_gpt2(attn_implementation="sdpa"), layer_idx=0).eval()


@lru_cache
def mlp_shell(cfg: TransformerConfig) -> nn.Module:
    with torch.device("meta"):
        return gpt2.GPT2MLP(cfg.d_mlp, cfg.to_gpt2()).eval()
