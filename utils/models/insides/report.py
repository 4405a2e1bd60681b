"""This file knows what the chapters need of a model's insides, and how to say in a terminal what was found."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.models.figures.common import Figures, rounded
from utils.models.insides import rows
from utils.models.insides.refusal import ADDITIONS, REMOVALS
from utils.models.loading import load_folder, load_model

# along a random direction, so much refusal has to stay where it is removed, and so little may come where it is added
CONTROL_REFUSED, CONTROL_ADDED = 0.9, 0.2


@dataclass(frozen=True)
class Target:
    """A figure that the course needs to lie on one side of a bound."""

    name: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def reached(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"  {'yes' if self.reached else 'no ':3}  {self.name}: {self.value:.2f} ({sign} {self.bound})"


def targets(figures: Figures) -> list[Target]:
    """What the chapters on these three mechanisms need of a model."""
    return [
        *name_mover_targets(figures["name movers"]),
        *fact_targets(figures["fact tracing"], figures["rank-one edits"]),
        *(removal_target(figures["refusal direction"], way) for way in REMOVALS),
        addition_target(figures["refusal direction"]),
    ]


def name_mover_targets(parts: Mapping) -> Iterator[Target]:
    for form, part in parts.items():
        ((mover, steered),) = part["steering"].items()
        falls = {corruption: fall["fall, all earlier heads"] for corruption, fall in steered.items()}
        most = max(falls, key=falls.__getitem__)
        looks = part["attention"]["both orders"]
        yield Target(f"{form}: {mover} from END to IO", looks["IO"][mover], 0.6)
        yield Target(f"{form}: {mover} from END to S1", looks["S1"][mover], 0.2, at_least=False)
        yield Target(f"{form}: earlier heads of a run where {most} move {mover}'s preference by", falls[most], 0.3)


def fact_targets(tracing: Mapping, edits: Mapping) -> Iterator[Target]:
    last_word = tracing["another subject"]["resid_post"]["subject last word"]
    early = list(last_word)[: len(last_word) // 2]
    yield Target("restored subject's last word, first half of layers", max(map(last_word.get, early)), 0.5)
    layer = max(edits["layers"], key=lambda layer: edits["layers"][layer]["score"])
    for name, bound in {"efficacy": 0.9, "paraphrase": 0.6, "specificity, neighbours": 0.9}.items():
        yield Target(f"rank-one edits in {layer}: {name}", edits["layers"][layer][name], bound)


def removal_target(refusal: Mapping, way: str) -> Target:
    """The layer where this way of removal leaves the least refusal, of those where a random direction leaves most of it."""
    layers, random = refusal["layers"], refusal["random"]
    fair = [layer for layer in layers if refused(random, layer, way) >= CONTROL_REFUSED]
    if not fair:
        return Target(
            f'harmful refused after "{way}": at no layer, since random directions remove it too', 1.0, 0.1, False
        )
    best = min(fair, key=lambda layer: (refused(layers, layer, way), -refused(random, layer, way)))
    name = f'harmful refused after "{way}" at {best} ({beside(refusal, best, way)})'
    return Target(name, refused(layers, best, way), 0.1, at_least=False)


def addition_target(refusal: Mapping) -> Target:
    """The layer and way of adding with the most refusal, of those where a random direction brings little."""
    layers, random = refusal["layers"], refusal["random"]
    fair = [(layer, way) for layer in layers for way in ADDITIONS if refused(random, layer, way) <= CONTROL_ADDED]
    if not fair:
        return Target("harmless refused: at no layer, since random directions add it too", 0.0, 0.9)
    best, way = max(fair, key=lambda place: (refused(layers, *place), -refused(random, *place)))
    name = f'harmless refused after "{way}" at {best} ({beside(refusal, best, way)})'
    return Target(name, refused(layers, best, way), 0.9)


def refused(effects: Mapping, layer: str, way: str) -> float:
    return effects[layer][way]["refused"]


def beside(refusal: Mapping, layer: str, way: str) -> str:
    answered = refusal["layers"][layer][way]["answered"]
    return f"answered {answered:.2f}, along a random direction refused {refused(refusal['random'], layer, way):.2f}"


def summary(figures: Figures) -> str:
    """A page to read in a terminal, with the targets at its end."""
    lines = []
    for form, part in figures["name movers"].items():
        lines.append(f"name movers, {form}: accuracy {part['accuracy']:.2f}, P(IO) {part['P(IO)']:.2f}")
    for corruption, traced in figures["fact tracing"].items():
        lines.append(f"facts: P clean {traced['P clean']:.2f}, corrupted {traced['P corrupted']:.2f} ({corruption})")
    lines.append(f"rank-one edits: {figures['rank-one edits']['edits']}")
    refusal = figures["refusal direction"]
    lines.append(f"refused: harmful {refusal['harmful']['refused']:.2f}, harmless {refusal['harmless']['refused']:.2f}")
    for corner, table in rows.tables(figures).items():
        lines += ["", *aligned(table, corner)]
    return "\n".join([*lines, "", "targets", *map(str, targets(figures))])


def aligned(table: rows.Rows, corner: str) -> list[str]:
    """A table in columns; nothing of an empty one."""
    if not table:
        return []
    columns = list(next(iter(table.values())))
    lines = [[corner, *columns], *([name, *map(shown, row.values())] for name, row in table.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  " + "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]


def shown(value: object) -> str:
    value = rows.without_minus_zero(value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m utils.models.insides", description="Measure how a model does it.")
    parser.add_argument("name", nargs="?", default="organism")
    parser.add_argument("--folder", type=Path, help="any folder as transformers saves it, in place of a name")
    parser.add_argument("--count", type=int, default=100, help="prompts of each kind")
    parser.add_argument("--json", action="store_true", help="print every figure")
    options = parser.parse_args(arguments)
    # the package imports this file
    from utils.models.insides import insides

    model = load_folder(options.folder) if options.folder else load_model(options.name)
    figures = rounded(insides(model, options.count))
    print(json.dumps(figures, indent=1) if options.json else summary(figures))
    return 0
