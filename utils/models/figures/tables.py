"""This file knows how to set figures out as the tables of a card to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def page(sections: Iterable[str]) -> str:
    """The sections of a card one after another, empty ones left out."""
    return "\n\n".join(filter(None, sections)) + "\n"


def heading(title: str, explanation: str, note: str = "") -> str:
    return f"## {title}\n\n{explanation} {note}".rstrip()


def table(header: Sequence[str], rows: Iterable[Sequence]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def highest(scores: Mapping[str, float], count: int) -> list[str]:
    return sorted(scores, key=scores.__getitem__, reverse=True)[:count]


def repeat_rows(repeats: Mapping, count: int = 3) -> Iterable[list]:
    """The figures of `repeats`, with the `count` highest heads of each score."""
    for name, value in repeats.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{head} {value[head]:.2f}" for head in highest(value, count))
        yield [name, value]


def training_line(card: Mapping) -> str:
    training = card["training"]
    return (
        f"{card['parameters']:,} parameters; {training['steps']:,} steps, {training['tokens']:,} tokens, "
        f"{training['seconds'] / 60:.0f} minutes of a shared machine. Its recipe: `{training['recipe']}`."
    )
