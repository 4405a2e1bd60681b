"""This file knows how to show the course's drawings of a transformer."""

from __future__ import annotations

import re
from pathlib import Path

DRAWINGS = Path(__file__).parent / "drawings"


def diagram(name: str) -> Diagram:
    """The drawing of that name, of those in `drawings/`: residual_stream, where_heads_look and others."""
    path = DRAWINGS / f"{name}.svg"
    if not path.is_file():
        raise ValueError(
            f"there is no drawing {name!r}; there are {', '.join(sorted(p.stem for p in DRAWINGS.glob('*.svg')))}"
        )
    return Diagram(path.read_text(encoding="utf-8"))


class Diagram:
    """A drawing that shows itself in a notebook, with its own description for readers that show no pictures."""

    def __init__(self, svg: str):
        self.svg = svg

    @property
    def description(self) -> str:
        """What the drawing shows, in words: its <desc> element."""
        found = re.search(r"<desc>(.*?)</desc>", self.svg, re.DOTALL)
        return " ".join(found.group(1).split()) if found else "a drawing without a description"

    def __repr__(self) -> str:
        return f"Diagram: {self.description}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}
