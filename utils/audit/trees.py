"""This file knows how to write down what Python's parser makes of code, in the same words whatever the Python."""

from __future__ import annotations

import ast
from typing import Any


def dump(tree: Any) -> str:
    """As `ast.dump` of Python 3.11: hashes are made of it, and others leave empty lists out or have fields of their own."""
    if isinstance(tree, list):
        return f"[{', '.join(map(dump, tree))}]"
    if not isinstance(tree, ast.AST):
        return repr(tree)
    fields = (f"{name}={dump(value)}" for name, value in ast.iter_fields(tree) if _is_told(tree, name, value))
    return f"{type(tree).__name__}({', '.join(fields)})"


def _is_told(tree: ast.AST, name: str, value: Any) -> bool:
    if name == "type_params":  # from Python 3.12 on: the T of `def f[T](x)`
        return bool(value)
    return value is not None or (isinstance(tree, ast.Constant) and name == "value")
