"""This file knows how to store a sparse autoencoder, and how to load one that ships, by name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from utils.paths import WEIGHTS
from utils.saes.random_saes import frozen
from utils.saes.topk import TopKSAE

if TYPE_CHECKING:
    from utils.saes.recipes import SAERecipe

SHIPPED = Path(__file__).parent / "weights"


def sae_names() -> list[str]:
    """Those that ship, from narrow to wide."""
    names = [path.stem for path in SHIPPED.glob("*.safetensors")]
    return sorted(names, key=lambda name: int(name.rsplit("-", 1)[-1]))


def load_sae(name: str = "organism-512", device: str | torch.device | None = None) -> TopKSAE:
    """A trained autoencoder of the residual stream, which takes activations as the model has them.

    `sae.hook_name` says where they are read. `device` is the CPU unless said otherwise. Raises `ValueError`, which
    lists the names there are, for any other.
    """
    if name not in sae_names():
        raise ValueError(f'no autoencoder is called "{name}": there are {", ".join(sae_names())}')
    return load_file(SHIPPED / f"{name}.safetensors").to(device or "cpu")


def load_file(path: Path) -> TopKSAE:
    recipe = about(path)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    d_sae, d_in = weights["W_dec"].shape
    sae = TopKSAE(d_in, d_sae, recipe["k"], torch.Generator(), hook_name=recipe["hook_name"])
    sae.load_state_dict(weights)
    return frozen(sae)


def save_sae(sae: TopKSAE, path: Path, recipe: SAERecipe) -> None:
    """In half precision, with its recipe and the fingerprint of the model that it is about."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().half().contiguous() for name, weight in sae.state_dict().items()}
    save_file(weights, path, {"recipe": json.dumps(asdict(recipe)), "fingerprint": fingerprint(recipe.model)})


def about(path: Path) -> dict:
    """The recipe that a stored autoencoder was trained by, and the fingerprint of its model."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    return {**json.loads(metadata["recipe"]), "fingerprint": metadata["fingerprint"]}


def fingerprint(model: str) -> str:
    """What tells the weights of a shipped model from others: an autoencoder of one is of no use for another."""
    return hashlib.sha256((WEIGHTS / model / "model.safetensors").read_bytes()).hexdigest()[:16]
