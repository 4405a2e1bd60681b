"""This file knows how to compare the models that ship with what their cards say, and to write the cards anew.

`circuits models measure NAME` measures and compares, and ends with an error where the card says otherwise;
`python -m utils.models.measure NAME --write` writes the card.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from types import ModuleType

from safetensors.torch import load_file

from utils.atomic_write import write_atomically
from utils.models.figures.common import Figures, rounded
from utils.models.loading import load_model
from utils.paths import WEIGHTS
from utils.refusal import CannotDo

# what is measured of each model: a module with `measure(model, count)`, `summary(figures)` and `markdown(card)`
FIGURES = {
    "organism": "utils.models.figures.organism",
    "organism-seed-1": "utils.models.figures.organism",
    "attn-only-2l": "utils.models.figures.attn_only",
    "ioi-by-hand": "utils.models.figures.by_hand",
}
# Two figures of the same weights may differ by this much between machines; those of few cases, by more.
TOLERANCE = 0.02
TOLERANCES = {"insides": 0.06}
COUNT = 300


def figures_of(name: str) -> ModuleType:
    if name not in FIGURES:
        raise CannotDo(f'"{name}" has no card: those that ship with one are {", ".join(FIGURES)}.')
    return import_module(FIGURES[name])


def differences(measured: object, stated: object, path: str = "", tolerance: float = TOLERANCE) -> list[str]:
    """A sentence for every figure in which a measurement and a card differ by more than `tolerance`."""
    if isinstance(measured, dict) and isinstance(stated, dict):
        names = [*measured, *(name for name in stated if name not in measured)]
        return [
            sentence
            for name in names
            for sentence in differences(
                measured.get(name),
                stated.get(name),
                f"{path} > {name}" if path else name,
                TOLERANCES.get(name, tolerance),
            )
        ]
    if measured is None or stated is None:
        return [f"{path}: measured {measured}, and the card says {stated}"]
    # logit differences and losses are not shares, so what counts is how large they are
    allowed = tolerance * max(1.0, abs(stated))
    if abs(measured - stated) <= allowed:
        return []
    return [f"{path}: measured {measured:.4f}, and the card says {stated:.4f}"]


def read_card(name: str) -> Figures:
    return json.loads((WEIGHTS / name / "card.json").read_text(encoding="utf-8"))


def write_card(name: str) -> Figures:
    """Measure a shipped model and write what was found into its folder, for programs and for readers."""
    folder = WEIGHTS / name
    figures = rounded(figures_of(name).measure(load_model(name), COUNT))
    card: Figures = {
        "name": name,
        "summary": figures_of(name).summary(figures),
        # as stored: where the embedding serves as the unembedding too, it counts once
        "parameters": sum(weight.numel() for weight in load_file(folder / "model.safetensors").values()),
    }
    if (folder / "training.json").exists():
        training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        card["training"] = {key: value for key, value in training.items() if key != "losses"}
    card["figures"] = figures
    write_atomically(folder / "card.json", json.dumps(card, indent=1) + "\n")
    write_atomically(folder / "MODEL_CARD.md", figures_of(name).markdown(card))
    return card


def compare_with_card(name: str) -> list[str]:
    """Measure a shipped model again; a sentence for every figure of its card that does not come out."""
    measure = figures_of(name).measure
    return differences(rounded(measure(load_model(name), COUNT)), read_card(name)["figures"])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.models.measure", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(FIGURES))
    parser.add_argument("--write", action="store_true", help="write the card anew")
    options = parser.parse_args(arguments)
    if options.write:
        write_card(options.name)
        return 0
    return report(options.name)


def report(name: str) -> int:
    wrong = compare_with_card(name)
    print("\n".join(wrong) or f"{name}: every figure is as its card says")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
