"""This file knows how to hold what a chapter's source consists of: cells, exercises, solutions, and what is wrong in them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent


@dataclass(frozen=True)
class Problem:
    path: Path
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{short(self.path)}:{self.line}: {self.rule}"


class SourceError(ValueError):
    """A chapter's source breaks rules; every one that was found is in `problems`."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


@dataclass(frozen=True)
class Block:
    """What lies between BEGIN SOLUTION and END SOLUTION; both are indices into the cell's lines."""

    begin: int
    end: int
    indent: str
    sentence: str
    owner: str  # the top-level function or class it is in


@dataclass(frozen=True)
class Cell:
    kind: str  # "markdown", "code" or "raw"
    text: str  # without marks and TOML block, with BEGIN and END lines
    line: int  # where `text` starts in the source
    marks: frozenset[str] = frozenset()
    metadata: dict = field(default_factory=dict)
    exercise: dict | None = None
    blocks: tuple[Block, ...] = ()

    @property
    def solution(self) -> str:
        """The cell with its solutions, without the lines that mark them."""
        markers = {index for block in self.blocks for index in (block.begin, block.end)}
        return "\n".join(line for index, line in enumerate(self.text.split("\n")) if index not in markers)

    @property
    def stub(self) -> str:
        """The cell as the learner gets it: every solution replaced by one `raise NotImplementedError`."""
        lines, position = [], 0
        text = self.text.split("\n")
        for block in self.blocks:
            message = json.dumps(f"{self.exercise['number']} {block.owner}: {block.sentence}", ensure_ascii=False)
            lines += text[position : block.begin] + [f"{block.indent}raise NotImplementedError({message})"]
            position = block.end + 1
        return "\n".join(lines + text[position:])

    def block_text(self, block: Block) -> str:
        return dedent("\n".join(self.text.split("\n")[block.begin + 1 : block.end]))


@dataclass(frozen=True)
class Source:
    path: Path
    number: int
    name: str
    title: str
    cells: tuple[Cell, ...]

    @property
    def exercises(self) -> dict[str, Cell]:
        return {cell.exercise["number"]: cell for cell in self.cells if cell.exercise}


def short(path: Path) -> str:
    """The path as it is told: its folder and its name."""
    return "/".join(path.parts[-2:])
