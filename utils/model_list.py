"""This file knows how to list the models of the course, without loading any, and how to have one measured."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from utils.doctor import OK, gpt2, megabytes
from utils.paths import WEIGHTS


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    if options.action == "measure":
        return measure(options.names or shipped())
    return list_models()


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="circuits models", description="Lists the models of the course.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="their sizes, what they can do and where they lie (also without an ACTION)")
    again = actions.add_parser("measure", help="measure models again, and compare them with their cards")
    again.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(shipped())}; all of them without one")
    return parser


def shipped() -> list[str]:
    return sorted(path.parent.name for path in WEIGHTS.glob("*/card.json"))


def measure(names: list[str]) -> int:
    """Status 1 where a card says otherwise than a new measurement."""
    from utils.models.measure import figures_of, report

    for name in names:
        figures_of(name)  # refuses a wrong name before the first minute of measuring
    return max([report(name) for name in names])


def list_models() -> int:
    for folder in sorted(path.parent for path in WEIGHTS.glob("*/config.json")):
        print(f'load_model("{folder.name}")')
        print(f"    {shape(folder)}; ships with the course ({megabytes(folder)})")
        if (folder / "card.json").exists():
            print(f"    {json.loads((folder / 'card.json').read_text(encoding='utf-8'))['summary']}")
            print(f"    all measured figures: {folder / 'MODEL_CARD.md'}")
    (finding,) = gpt2()
    print('load_model("gpt2")')
    print(f"    GPT-2 small: 12 layers of 12 heads, d_model 768; {finding.says}")
    if finding.state != OK:
        print("    downloaded once where it is first used (about 550 MB)")
    return 0


def shape(folder: Path) -> str:
    """The size of a model, from its configuration."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("architecture") == "attention-only":
        layers, heads, d_model = config["n_layers"], config["n_heads"], config["d_model"]
        kind = "attention only, "
    else:
        layers, heads, d_model = config["n_layer"], config["n_head"], config["n_embd"]
        kind = "architecture of GPT-2, "
    return f"{kind}{layers} layers of {heads} heads, d_model {d_model}"
