"""This file knows how to build, save and load transformers of attention alone, as TransformerLens has them itself.

They have no MLPs and no tied weights: `attn-only-2l`, which is trained, and `ioi-by-hand`, which is not.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from utils.models.hub import shipped_names
from utils.paths import WEIGHTS

if TYPE_CHECKING:
    import torch
    from transformer_lens import TransformerBridge
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources.native import NativeModel

ARCHITECTURE = "attention-only"


@dataclass(frozen=True)
class AttentionOnlyConfig:
    """The sizes of a transformer without MLPs, under TransformerLens' names."""

    d_model: int
    d_vocab: int
    n_ctx: int
    n_layers: int
    n_heads: int
    d_head: int
    # "LN", or None for a model whose parts simply add up
    normalization_type: str | None = "LN"

    def to_bridge(self) -> TransformerBridgeConfig:
        from transformer_lens.config import TransformerBridgeConfig

        return TransformerBridgeConfig(
            **asdict(self),
            attn_only=True,
            act_fn="gelu_new",  # asked for, and of no use without MLPs
            positional_embedding_type="standard",
            init_weights=False,
        )


def new_model(cfg: AttentionOnlyConfig, seed: int) -> NativeModel:
    """A model with random weights: N(0, 0.64 / d_model), output projections smaller by sqrt(2 * n_layers)."""
    import torch
    from transformer_lens.model_bridge.sources.native import NativeModel, initialize_native_model

    sizes = cfg.to_bridge()
    # torch draws weights of its own before ours replace them
    with torch.random.fork_rng(devices=[]):
        model = NativeModel(sizes)
    initialize_native_model(model, sizes, seed=seed)
    return model


def save_model(model: NativeModel, cfg: AttentionOnlyConfig, folder: Path) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architecture": ARCHITECTURE, **asdict(cfg)}, indent=1) + "\n")
    save_file(weights_of(model), folder / "model.safetensors")


def weights_of(model: NativeModel) -> dict[str, torch.Tensor]:
    """The parameters, without the masks that the model keeps beside them."""
    return {name: weight.detach().contiguous() for name, weight in model.named_parameters()}


def read_config(folder: Path) -> AttentionOnlyConfig | None:
    """The sizes of the model in this folder, or None where it is of another architecture."""
    entries = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if entries.pop("architecture", None) != ARCHITECTURE:
        return None
    return AttentionOnlyConfig(**entries)


def load_model(folder: Path, weights: Path | None = None) -> TransformerBridge:
    """The model in this folder, with other weights of the same shapes if `weights` names their file."""
    from safetensors.torch import load_file
    from transformer_lens import TransformerBridge
    from transformers import AutoTokenizer

    cfg = read_config(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = TransformerBridge.boot_native(cfg.to_bridge(), tokenizer=tokenizer, device="cpu", model_name=folder.name)
    stored = {name: weight.float() for name, weight in load_file(weights or folder / "model.safetensors").items()}
    # strict loading would ask for a bias of the unembedding, which TransformerLens adds and which stays zero
    result = model.load_state_dict(stored, strict=False)
    if result.unexpected_keys or not all(key.startswith("head.") for key in result.missing_keys):
        raise ValueError(f"the weights in {folder} are of another model: {result}")
    return model


# Checkpoints along training: half precision, for looking at how heads form


def checkpoint_file(folder: Path, step: int) -> Path:
    return folder / "checkpoints" / f"step_{step:05d}.safetensors"


def save_checkpoint(model: NativeModel, folder: Path, step: int) -> None:
    from safetensors.torch import save_file

    path = checkpoint_file(folder, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    save_file({name: weight.half() for name, weight in weights_of(model).items()}, unfinished)
    unfinished.replace(path)


def checkpoint_steps(name: str = "attn-only-2l") -> list[int]:
    """The training steps after which a checkpoint of this model ships; empty for a model without any.

    Raises `ValueError` where no model of this name ships with the course.
    """
    if name not in shipped_names():
        raise ValueError(f'"{name}" does not ship with the course: only {", ".join(shipped_names())} do')
    files = (WEIGHTS / name / "checkpoints").glob("step_*.safetensors")
    return sorted(int(path.stem.removeprefix("step_")) for path in files)
