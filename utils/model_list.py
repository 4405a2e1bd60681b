"""This file knows how to list the models of the course, without loading any."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from utils.doctor import OK, gpt2, megabytes
from utils.paths import WEIGHTS


def main(argv: list[str]) -> int:
    argparse.ArgumentParser(prog="circuits models", description="Lists the models of the course.").parse_args(argv)
    for folder in sorted(path.parent for path in WEIGHTS.glob("*/config.json")):
        print(f'load_model("{folder.name}")')
        print(f"    {shape(folder)}; ships with the course ({megabytes(folder)})")
        if card := next((folder / name for name in ("README.md", "card.md") if (folder / name).exists()), None):
            print(f"    what it can do: {card}")
    (finding,) = gpt2()
    print('load_model("gpt2")')
    print(f"    GPT-2 small: 12 layers of 12 heads, d_model 768; {finding.says}")
    if finding.state != OK:
        print("    downloaded once where it is first used (about 550 MB)")
    return 0


def shape(folder: Path) -> str:
    """The size of a model in GPT-2's terms, from its configuration."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = "attention only, " if config.get("attn_only") else ""
    return f"{kind}{config['n_layer']} layers of {config['n_head']} heads, d_model {config['n_embd']}"
