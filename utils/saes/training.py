"""This file knows how to train the sparse autoencoders that ship.

`python -m utils.saes.training` trains all of them into work/training/saes; with `--ship` they then replace those in the
repository, and their card is measured anew. That is what to do after the organism's own weights have changed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from utils.data import token_windows
from utils.models.loading import load_model
from utils.paths import WORK
from utils.saes.loading import SHIPPED, save_sae
from utils.saes.recipes import RECIPES, TEXT, SAERecipe
from utils.saes.topk import TopKSAE, strongest

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


@torch.no_grad()
def activations_of(
    model: TransformerBridge, tokens: Int[Tensor, "batch pos"], hook_name: str, batch: int = 64
) -> Float[Tensor, "batch pos d_in"]:
    kept: list[Tensor] = []
    for part in tokens.split(batch):
        model.run_with_hooks(
            part, return_type=None, fwd_hooks=[(hook_name, lambda activation, hook: kept.append(activation))]
        )
    return torch.cat(kept)


def examples(recipe: SAERecipe, model: TransformerBridge) -> Float[Tensor, "example d_in"]:
    """What to learn from: the activations at every position but the first, where BOS is unlike all else."""
    generator = torch.Generator().manual_seed(recipe.seed)
    tokens = token_windows(recipe.texts, recipe.length, generator=generator, kinds=TEXT)
    return activations_of(model, tokens, recipe.hook_name)[:, 1:].flatten(0, 1)


def train(recipe: SAERecipe, x: Float[Tensor, "example d_in"], *, quiet: bool = False) -> TopKSAE:
    """An autoencoder of these activations, which takes them as they are.

    It is trained on activations that are centred and scaled to a mean length of √d_in, as its settings suppose; both are
    then folded into its weights.
    """
    d_in = x.shape[-1]
    centre = x.mean(dim=0)
    scale = d_in**0.5 / (x - centre).norm(dim=-1).mean()
    # each width begins elsewhere, so that what they have in common comes from the model
    generator = torch.Generator().manual_seed(1000 * recipe.seed + recipe.d_sae)
    sae = TopKSAE(d_in, recipe.d_sae, recipe.k, generator, hook_name=recipe.hook_name)
    optimizer = torch.optim.Adam(sae.parameters(), lr=recipe.learning_rate)
    silent_for = torch.zeros(recipe.d_sae)
    start = time.perf_counter()
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(step)
        z = (x[torch.randint(len(x), (recipe.batch,), generator=generator)] - centre) * scale
        pre = sae.pre_activations(z)
        f = strongest(pre, recipe.k)
        error = z - sae.decode(f)
        loss = error.square().mean()
        dead = silent_for > recipe.dead_after
        if dead.any():
            loss = loss + recipe.auxiliary * auxiliary_loss(sae, pre, error.detach(), dead)
        optimizer.zero_grad()
        loss.backward()
        remove_parallel_gradient(sae)
        optimizer.step()
        normalize_decoder(sae)
        silent_for = torch.where((f > 0).any(dim=0), torch.zeros_like(silent_for), silent_for + 1)
        if not quiet and (step % 500 == 0 or step == recipe.steps - 1):
            left, seconds = error.square().mean().item(), time.perf_counter() - start
            print(f"  step {step:5}  unexplained {left:.4f}  dead {int(dead.sum())}  {seconds:.0f} s", flush=True)
    return folded(sae, centre, scale)


def auxiliary_loss(
    sae: TopKSAE,
    pre: Float[Tensor, "batch d_sae"],
    error: Float[Tensor, "batch d_in"],
    dead: Float[Tensor, "d_sae"],
) -> Float[Tensor, ""]:
    """How badly dead features explain what living ones leave over, in shares of it (Gao et al. 2024, appendix A.2)."""
    strongest_dead = strongest(pre[:, dead], min(int(dead.sum()), error.shape[-1] // 2))
    return (strongest_dead @ sae.W_dec[dead] - error).square().mean() / error.square().mean()


@torch.no_grad()
def remove_parallel_gradient(sae: TopKSAE) -> None:
    """Take out of the decoder's gradient what would only change the length of a row."""
    along = (sae.W_dec.grad * sae.W_dec).sum(dim=-1, keepdim=True)
    sae.W_dec.grad -= along * sae.W_dec


@torch.no_grad()
def normalize_decoder(sae: TopKSAE) -> None:
    sae.W_dec.copy_(F.normalize(sae.W_dec, dim=-1))


@torch.no_grad()
def folded(sae: TopKSAE, centre: Float[Tensor, "d_in"], scale: Float[Tensor, ""]) -> TopKSAE:
    """The same autoencoder for activations that are neither centred nor scaled; features are in units of these, too."""
    sae.b_enc.sub_(centre @ sae.W_enc * scale).div_(scale)
    sae.b_dec.div_(scale).add_(centre)
    return sae


def train_all(names: Sequence[str], folder: Path, *, steps: int | None = None, quiet: bool = False) -> None:
    seen: dict[tuple, Tensor] = {}
    for name in names:
        recipe = RECIPES[name] if steps is None else replace(RECIPES[name], steps=steps)
        # the widths are trained on the same activations
        source = (recipe.model, recipe.hook_name, recipe.texts, recipe.length, recipe.seed)
        if source not in seen:
            seen[source] = examples(recipe, load_model(recipe.model))
        if not quiet:
            print(name, flush=True)
        save_sae(train(recipe, seen[source], quiet=quiet), folder / f"{name}.safetensors", recipe)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m utils.saes.training", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; all of them without one")
    parser.add_argument("--steps", type=int, help="how many steps, in place of the recipe's")
    parser.add_argument("--threads", type=int, default=2, help="how many cores to use")
    parser.add_argument("--folder", type=Path, default=WORK / "training" / "saes", help="where they go")
    parser.add_argument("--ship", action="store_true", help="replace those in the repository, and measure their card")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in RECIPES]
    if unknown:
        parser.error(f"no autoencoder is called {', '.join(unknown)}: there are {', '.join(RECIPES)}")

    torch.set_num_threads(options.threads)
    folder = SHIPPED if options.ship else options.folder
    train_all(options.names or list(RECIPES), folder, steps=options.steps)
    print(f"trained: {folder}")
    if options.ship:
        from utils.saes.measure import write_card

        write_card()


if __name__ == "__main__":
    main()
