"""This file knows how to load a model, its weights alone, or its tokenizer, by name.

`"organism"`, `"organism-seed-1"`, `"attn-only-2l"` and `"ioi-by-hand"` ship with the course; `"gpt2"` and every other
name that TransformerLens knows come from the hub. Heavy libraries are imported when first needed, which keeps this import cheap.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from utils.models import attention_only
from utils.models.attention_only import checkpoint_steps
from utils.models.config import TransformerConfig
from utils.models.hub import ModelUnavailable, model_folder, shipped_names

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformer_lens import TransformerBridge
    from transformers import PreTrainedTokenizerFast

__all__ = ["ModelUnavailable", "checkpoint_steps", "load_model", "load_tokenizer", "load_weights"]


def load_model(
    name: str = "organism",
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    step: int | None = None,
) -> TransformerBridge:
    """A model under TransformerLens' names, with attention patterns in its cache.

    It is in compatibility mode: LayerNorm's weights are folded into what follows them, and weights that write to the
    residual stream are centred, which leaves every log-probability as it was (`ioi-by-hand`, which has no LayerNorm,
    keeps its weights as they are). `device` is the CPU and `dtype`
    float32 unless said otherwise. `step` asks for the weights after that many steps of training, of those that
    `checkpoint_steps(name)` lists; without it, those at the end.

    Raises `ModelUnavailable`, with what to do, where the model cannot be had, and `ValueError` for a step without
    a checkpoint.
    """
    if step is None:
        return load_folder(model_folder(name), device, dtype)
    steps = checkpoint_steps(name) if name in shipped_names() else []
    if not steps:
        raise ValueError(f'"{name}" has no checkpoints along its training, so there is no step {step}')
    if step not in steps:
        raise ValueError(
            f'"{name}" has no checkpoint at step {step}; the nearest is at {min(steps, key=lambda s: abs(s - step))}, '
            f"and all are at {', '.join(map(str, steps))}"
        )
    folder = model_folder(name)
    return load_folder(folder, device, dtype, weights=attention_only.checkpoint_file(folder, step))


def load_folder(
    folder: Path,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    weights: Path | None = None,
) -> TransformerBridge:
    """The model of `load_model`, from a folder as training saves it; `weights` may name another file of weights."""
    import torch

    # libraries draw weights before ours replace them, which must not move the user's random state
    with quietly(), torch.random.fork_rng(devices=[]):
        cfg = attention_only.read_config(folder)
        model = attention_only.load_model(folder, weights) if cfg else load_transformers(folder)
        # without LayerNorm there is nothing to fold, and the weights stay as they were set
        model.enable_compatibility_mode(disable_warnings=True, no_processing=bool(cfg) and not cfg.normalization_type)
        # folded in float32 and on the CPU first, so that the weights are the same everywhere
        model.to(device or "cpu", dtype or torch.float32)
        model.eval()
    return model


def load_transformers(folder: Path) -> TransformerBridge:
    """A model of any architecture that transformers and TransformerLens both know."""
    import torch
    from transformer_lens import TransformerBridge
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # only eager attention hands out its patterns
    inner = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    inner.config.pad_token_id = None  # BOS has the same id, and transformers would warn of padding at every text
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return TransformerBridge.boot_transformers(str(folder), hf_model=inner, tokenizer=tokenizer, device="cpu")


def load_weights(name: str = "organism") -> tuple[TransformerConfig, dict[str, Tensor]]:
    """A GPT-2's sizes, and its weights as they were trained, in float32 under chapter 1's names."""
    folder = model_folder(name)
    with quietly():
        from transformers import GPT2Config, GPT2LMHeadModel

        from utils.models.gpt2_names import chapter1_from_gpt2

        if attention_only.read_config(folder):
            raise ValueError(f'load_weights knows the architecture of GPT-2 only, but "{name}" has no MLPs')
        config = GPT2Config.from_pretrained(folder, local_files_only=True)
        if config.model_type != "gpt2":
            raise ValueError(
                f'load_weights knows the architecture of GPT-2 only, but "{name}" is a {config.model_type}'
            )
        model = GPT2LMHeadModel.from_pretrained(folder, local_files_only=True)
    cfg = TransformerConfig.from_gpt2(config)
    return cfg, chapter1_from_gpt2(model.state_dict(), cfg)


def load_tokenizer(name: str = "organism") -> PreTrainedTokenizerFast:
    """The model's tokenizer; token 0 of the organism's, <|endoftext|>, begins every document."""
    folder = model_folder(name)
    with quietly():
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, local_files_only=True)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Hold back the warnings and progress bars of transformers and TransformerLens while loading."""
    import transformers

    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        # TransformerLens prints when a model moves
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()
