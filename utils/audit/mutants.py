"""This file knows how to make the mutants of a chapter: every solution with one thing wrong in it, once."""

from __future__ import annotations

import ast
import difflib
import hashlib
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from utils.audit import tensor_operators  # noqa: F401  (it registers its operators)
from utils.audit.operators import OPERATORS
from utils.audit.places import Around, code, is_no_code, replaced
from utils.audit.trees import dump
from utils.authoring.cells import Cell
from utils.authoring.source import read_source
from utils.course import Chapter

HASH_DIGITS = 12


@dataclass(frozen=True, eq=False)
class Mutant:
    """An exercise's cell with one thing changed in the solution of ``object``: ``node`` became ``other``."""

    exercise: str
    object: str
    operator: str
    line: int  # of the chapter's source
    hash: str  # of the solution and the change, as Python understands them: comments and layout do not count
    node: cst.CSTNode = field(repr=False)
    other: cst.CSTNode = field(repr=False)
    around: Around = field(repr=False)
    module: cst.Module = field(repr=False)

    @property
    def before(self) -> str:
        """The definition of the object as it is."""
        return _code_of(self.around[0])

    @cached_property
    def after(self) -> str:
        """The definition of the object as it became."""
        return _code_of(replaced(self.node, self.other, self.around))

    @property
    def cell(self) -> str:
        """The whole cell as it became."""
        pieces = [self.after if piece is self.around[0] else code(piece) for piece in self.module.body]
        return "\n\n".join(piece.strip("\n") for piece in pieces) + "\n"

    @property
    def diff(self) -> str:
        lines = difflib.unified_diff(self.before.split("\n"), self.after.split("\n"), lineterm="", n=1)
        return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))

    @property
    def change(self) -> str:
        """What changed, in one line: ``old → new``."""
        lines = self.diff.split("\n")
        old, new = ([line[1:].strip() for line in lines if line[:1] == sign] for sign in "-+")
        return f"{' '.join(old)} → {' '.join(new)}"


def mutants_of(chapter: Chapter) -> list[Mutant]:
    """All mutants of a chapter's solutions, in the order of the source, no two of which are the same."""
    made: dict[str, Mutant] = {}
    for cell in read_source(chapter.source).exercises.values():
        for mutant in mutants_of_cell(cell):
            made.setdefault(mutant.hash, mutant)
    return list(made.values())


def mutants_of_cell(cell: Cell) -> Iterator[Mutant]:
    wrapper = MetadataWrapper(cst.parse_module(cell.text), unsafe_skip_copy=True)
    positions = wrapper.resolve(PositionProvider)
    for definition in wrapper.module.body:
        if not isinstance(definition, (cst.FunctionDef, cst.ClassDef)):
            continue
        original = _meaning(_code_of(definition))
        statements: list[cst.CSTNode] = []
        for node, around in _nodes(definition, ()):
            if isinstance(node, cst.BaseStatement):
                statements.append(node)
            line = positions[node].start.line if node in positions else 0
            if not any(block.begin + 1 < line <= block.end for block in cell.blocks):
                continue
            place, inside = _statement_of(node, around)
            before = _meaning(code(statements[place := statements.index(place)]))
            for operator in OPERATORS:
                for other in operator.change(node, around):
                    after = _meaning(code(replaced(node, other, inside)))
                    if after in (None, before):
                        continue
                    digest = hashlib.sha256(f"{original} {place} {after}".encode()).hexdigest()
                    yield Mutant(
                        exercise=cell.exercise["number"],
                        object=definition.name.value,
                        operator=operator.name,
                        line=cell.line + line - 1,
                        hash=digest[:HASH_DIGITS],
                        node=node,
                        other=other,
                        around=around,
                        module=wrapper.module,
                    )


def _statement_of(node: cst.CSTNode, around: Around) -> tuple[cst.CSTNode, Around]:
    """The innermost statement that the node is or stands in, and what is around the node from there on."""
    if isinstance(node, cst.BaseStatement):
        return node, ()
    start = max(i for i, outer in enumerate(around) if isinstance(outer, cst.BaseStatement))
    return around[start], around[start:]


def _meaning(text: str) -> str | None:
    """The code as Python's parser sees it, without docstrings; None where it is no Python."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return dump(tree)


def _nodes(node: cst.CSTNode, around: Around) -> Iterator[tuple[cst.CSTNode, Around]]:
    """Every node that a checker can judge, with those around it."""
    if is_no_code(node):
        return
    yield node, around
    for child in node.children:
        yield from _nodes(child, (*around, node))


def _code_of(definition: cst.FunctionDef | cst.ClassDef) -> str:
    return code(definition.with_changes(leading_lines=[])).strip("\n")
