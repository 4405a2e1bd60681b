"""This file knows how to take just the definitions that an object needs out of a notebook, by following names.

Imports, functions, classes and the assignments that these need are run; training loops, plots and prints never are.
Where a name is defined twice, the later definition wins, as it does when the notebook runs from top to bottom.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import symtable
from collections.abc import Iterable, Iterator
from typing import Any

from utils.checking.cells import Cell
from utils.checking.complaints import Complaint
from utils.checking.exceptions import explain_exception

Statement = tuple[Cell, ast.stmt]
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)
ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign)


def namespace_of(cells: list[Cell], names: Iterable[str], *, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """A namespace in which ``names`` are defined, made by running only the statements they need.

    Raises a Complaint where a name is not there or a needed statement fails.
    """
    names = list(names)
    namespace: dict[str, Any] = {"__name__": "submission", "__builtins__": builtins, **(given or {})}
    for cell, statement in needed_statements(cells, names):
        _remember_source(cell)
        code = compile(ast.Module([statement], []), cell.filename, "exec", dont_inherit=True)
        try:
            exec(code, namespace)
        except (Exception, SystemExit) as error:
            what = ", ".join(sorted(bound_names(statement))) or "an import"
            raise explain_exception(f"the definition of {what}", error) from None
    for name in names:
        if name not in namespace:
            raise Complaint(_absent(cells, name), kind="missing")
    return namespace


def needed_statements(cells: list[Cell], names: Iterable[str]) -> list[Statement]:
    """The statements, in the notebook's order, that defining ``names`` needs."""
    statements = [(cell, statement) for cell in cells if cell.tree for statement in cell.tree.body]
    binders: dict[str, list[int]] = {}
    stars: list[int] = []
    for index, (_, statement) in enumerate(statements):
        for name in bound_names(statement):
            if isinstance(statement, (*DEFINITIONS, *IMPORTS)):
                binders[name] = [index]  # a definition replaces whatever had the name
            else:
                binders.setdefault(name, []).append(index)
        if isinstance(statement, ast.ImportFrom) and (
            statement.module == "__future__" or any(a.name == "*" for a in statement.names)
        ):
            stars.append(index)
    chosen, waiting = set(stars), list(names)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for index in binders.get(name, []):
            if index not in chosen:
                chosen.add(index)
                waiting.extend(used_names(statements[index][1]))
    return [statements[index] for index in sorted(chosen)]


def bound_names(statement: ast.stmt) -> set[str]:
    """The top-level names that a statement defines; nothing for loops, withs and expressions, which are never run."""
    if isinstance(statement, DEFINITIONS):
        return {statement.name}
    if isinstance(statement, IMPORTS):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names if alias.name != "*"}
    if isinstance(statement, ASSIGNMENTS):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {name for target in targets for name in _target_names(target)}
    if isinstance(statement, (ast.If, ast.Try)):
        return {name for inner in _blocks(statement) for name in bound_names(inner)}
    return set()


def used_names(statement: ast.stmt) -> set[str]:
    """The global names that a statement reads, also inside the functions it defines; locals of those are not followed."""
    return set(_global_reads(symtable.symtable(ast.unparse(statement), "statement", "exec")))


def _global_reads(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _global_reads(inner)


def _target_names(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            yield from _target_names(element)
    elif isinstance(target, (ast.Attribute, ast.Starred)):
        yield from _target_names(target.value)
    # a subscript (cache["x"] = ...) changes an object but defines nothing


def _blocks(statement: ast.If | ast.Try) -> Iterator[ast.stmt]:
    yield from statement.body
    yield from statement.orelse
    for handler in getattr(statement, "handlers", []):
        yield from handler.body
    yield from getattr(statement, "finalbody", [])


def _remember_source(cell: Cell) -> None:
    """So that a traceback can show the learner's own line."""
    linecache.cache[cell.filename] = (len(cell.source), None, cell.source.splitlines(keepends=True), cell.filename)


def _absent(cells: list[Cell], name: str) -> str:
    for cell in cells:
        if cell.error and name in cell.source:
            return f"{name} cannot be read: {cell.error}"
    return not_defined(name)


def not_defined(name: str) -> str:
    """What is said of a name that no statement of a submission binds."""
    return f"{name} is not defined at the top level of the submission"
