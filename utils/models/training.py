"""This file knows how to train the models that ship, and to go on where a killed training stopped.

`python -m utils.models.training organism` trains into work/training/organism; with `--ship` it then replaces the
weights in the repository and measures them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from utils.models.attention_only import save_checkpoint
from utils.models.recipes import Recipe, recipes
from utils.paths import WEIGHTS, WORK


class Training:
    """A model on its way: weights, optimiser, step and random state, which a checkpoint holds together."""

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.model = recipe.new_model()
        self.optimizer = adamw(self.model, recipe)
        self.step = 0
        self.seconds = 0.0
        self.losses: list[tuple[int, float]] = []

    def advance(self) -> float:
        """Take one step; the loss before it."""
        start = time.perf_counter()
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(self.step)
        tokens = recipe.windows(self.step, self.generator)
        loss = next_token_loss(recipe.logits(self.model, tokens), tokens)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimizer.step()

        self.losses.append((self.step, loss.item()))
        self.step += 1
        self.seconds += time.perf_counter() - start
        return loss.item()

    def save(self, path: Path) -> None:
        """Write a checkpoint whole or not at all: a kill while writing leaves the one before."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "generator": self.generator.get_state(),
                "step": self.step,
                "seconds": self.seconds,
                "losses": self.losses,
                "recipe": repr(self.recipe),
            },
            unfinished,
        )
        os.replace(unfinished, path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint; raises where it comes from another recipe."""
        checkpoint = torch.load(path, weights_only=True)
        if checkpoint["recipe"] != repr(self.recipe):
            raise ValueError(
                f"the checkpoint {path} is of another recipe ({checkpoint['recipe']}): delete it to begin anew"
            )
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.generator.set_state(checkpoint["generator"])
        self.step, self.seconds = checkpoint["step"], checkpoint["seconds"]
        self.losses = [tuple(entry) for entry in checkpoint["losses"]]


def adamw(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays matrices only: a bias or a LayerNorm weight has no reason to be small."""
    matrices = [weight for weight in model.parameters() if weight.ndim >= 2]
    vectors = [weight for weight in model.parameters() if weight.ndim < 2]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas)


def next_token_loss(logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, ""]:
    """Mean cross-entropy of every token after the first, in nats."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())


def train(recipe: Recipe, folder: Path, *, save_every: int = 100, quiet: bool = False) -> Training:
    """Train to the last step, from the checkpoint in `folder` where there is one, and save the model there."""
    checkpoint = folder / "checkpoint.pt"
    training = Training(recipe)
    if checkpoint.exists():
        training.restore(checkpoint)
    kept = set(recipe.kept_steps)
    tokens_per_step = recipe.batch * recipe.cfg.n_ctx
    bar = tqdm(total=recipe.steps, initial=training.step, unit="step", disable=quiet, mininterval=2.0)
    with bar:
        while training.step < recipe.steps:
            # also after a resumption, which writes the same file again
            if training.step in kept:
                save_checkpoint(training.model, folder / "model", training.step)
            training.advance()
            recent = [loss for _, loss in training.losses[-50:]]
            bar.set_postfix(
                {
                    "loss": f"{sum(recent) / len(recent):.3f}",
                    "tokens/s": f"{training.step * tokens_per_step / training.seconds:,.0f}",
                },
                refresh=False,
            )
            bar.update()
            if training.step % save_every == 0 or training.step == recipe.steps:
                training.save(checkpoint)
    if training.step in kept:
        save_checkpoint(training.model, folder / "model", training.step)
    save_model(training, folder / "model")
    return training


def save_model(training: Training, folder: Path) -> None:
    """The weights, the tokenizer, and how they came about, as `load_model` reads them."""
    training.recipe.save_model(training.model, folder)
    record = {
        "recipe": repr(training.recipe),
        "steps": training.step,
        "tokens": training.step * training.recipe.batch * training.recipe.cfg.n_ctx,
        "seconds": round(training.seconds),
        "losses": [(step, round(loss, 4)) for step, loss in training.losses if step % 20 == 0],
    }
    (folder / "training.json").write_text(json.dumps(record) + "\n")


def ship(folder: Path, name: str) -> None:
    """Put a trained model where `load_model(name)` finds it, and measure what its card says."""
    from utils.models.measure import write_card

    shipped = WEIGHTS / name
    shutil.copytree(folder, shipped, dirs_exist_ok=True)
    write_card(name)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m utils.models.training", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(recipes()))
    parser.add_argument("--steps", type=int, help="how many steps, in place of the recipe's")
    parser.add_argument("--threads", type=int, default=2, help="how many cores to use")
    parser.add_argument("--seed", type=int, help="another seed than the recipe's")
    parser.add_argument("--folder", type=Path, help="where checkpoint and model go; work/training/NAME by default")
    parser.add_argument("--ship", action="store_true", help="replace the weights in the repository at the end")
    options = parser.parse_args(arguments)

    torch.set_num_threads(options.threads)
    recipe = recipes()[options.name]
    if options.steps is not None:
        recipe = replace(recipe, steps=options.steps)
    if options.seed is not None:
        recipe = replace(recipe, seed=options.seed)
    folder = options.folder or WORK / "training" / options.name
    training = train(recipe, folder)
    print(f"trained {training.step} steps in {training.seconds:.0f} s: {folder / 'model'}")
    if options.ship:
        ship(folder / "model", options.name)


if __name__ == "__main__":
    main()
