"""This file knows how to tell what stands where in a solution's code, and how to write what may stand there instead."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache

import libcst as cst

Around = tuple[cst.CSTNode, ...]  # the nodes around one, outermost first

LIBRARIES = ("torch", "math", "F", "nn", "einops")
AXIS_KEYWORDS = ("dim", "dims", "axis", "dim0", "dim1", "dim2")
# methods and functions whose whole numbers without a keyword name axes
OF_AXES = {
    *(
        "all",
        "amax",
        "amin",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "cat",
        "chunk",
        "cummax",
        "cumsum",
        "diff",
        "flatten",
    ),
    *("gather", "log_softmax", "logsumexp", "max", "mean", "min", "movedim", "norm", "normalize", "permute", "scatter"),
    *("scatter_add", "select", "softmax", "sort", "squeeze", "stack", "std", "sum", "swapaxes", "transpose"),
    *("unbind", "unflatten", "unsqueeze", "var", "flip", "index_select", "take_along_dim", "size"),
}


def names_an_axis(around: Around) -> bool:
    """True for what is an argument that names an axis, alone or in a tuple, by its keyword or by what is called."""
    outer = list(around)
    while outer and isinstance(outer[-1], (cst.Element, cst.Tuple, cst.UnaryOperation)):
        outer.pop()
    if len(outer) < 2 or not isinstance(outer[-1], cst.Arg) or not isinstance(outer[-2], cst.Call):
        return False
    arg, called = outer[-1], outer[-2].func
    if arg.keyword is not None:
        return arg.keyword.value in AXIS_KEYWORDS
    return isinstance(called, cst.Attribute) and called.attr.value in OF_AXES


def is_index(around: Around) -> bool:
    """True for what is an index or the bound of a slice."""
    outer = next((outer for outer in reversed(around) if not isinstance(outer, cst.UnaryOperation)), None)
    return isinstance(outer, (cst.Index, cst.Slice))


def is_called(node: cst.Name, around: Around) -> bool:
    """True for the name of a function or method that is called here."""
    outer = around[-1]
    if isinstance(outer, cst.Attribute) and len(around) > 1:
        return outer.attr is node and isinstance(around[-2], cst.Call) and around[-2].func is outer
    return isinstance(outer, cst.Call) and outer.func is node


def is_read(node: cst.CSTNode, around: Around) -> bool:
    """False for what an assignment writes to, a definition names, or a keyword of a call is."""
    outer = around[-1]
    if isinstance(outer, (cst.AssignTarget, cst.AnnAssign, cst.AugAssign)):
        return getattr(outer, "target", None) is not node
    if isinstance(outer, cst.Arg):
        return outer.keyword is not node
    if isinstance(outer, cst.Element) and any(isinstance(far, (cst.AssignTarget, cst.CompFor)) for far in around[-3:]):
        return False
    return not isinstance(outer, (cst.FunctionDef, cst.CompFor, cst.For)) or getattr(outer, "target", node) is not node


def is_library(node: cst.CSTNode) -> bool:
    """True for `torch`, `F` and the like, of which a function is called, not a method."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name) and node.value in LIBRARIES


def is_attribute(node: cst.CSTNode, names: tuple[str, ...]) -> bool:
    return isinstance(node, cst.Attribute) and node.attr.value in names


def is_text(node: cst.CSTNode) -> bool:
    return isinstance(node, (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString))


def function_around(around: Around) -> cst.FunctionDef | None:
    """The innermost function that this is in."""
    return next((outer for outer in reversed(around) if isinstance(outer, cst.FunctionDef)), None)


def parameters(function: cst.FunctionDef) -> dict[str, str]:
    """Its parameters by name, each with its annotation."""
    params = [*function.params.params, *function.params.kwonly_params]
    return {param.name.value: code(param.annotation.annotation) if param.annotation else "" for param in params}


def within(around: Around, kind: type[cst.CSTNode]) -> tuple[cst.CSTNode, ...]:
    """All nodes of a kind in the body of the outermost function, in order; docstrings and error messages left out."""
    function = next((outer for outer in around if isinstance(outer, cst.FunctionDef)), None)
    return tuple(node for node in _all_within(function.body) if isinstance(node, kind)) if function else ()


@lru_cache(maxsize=16)
def _all_within(body: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
    found, waiting = [], [body]
    while waiting:
        node = waiting.pop(0)
        if not is_no_code(node):
            found.append(node)
            waiting = [*node.children, *waiting]
    return tuple(found)


def is_no_code(node: cst.CSTNode) -> bool:
    """True for what no checker can judge: docstrings, error messages, annotations, and blanks."""
    blanks = (cst.BaseParenthesizableWhitespace, cst.TrailingWhitespace, cst.EmptyLine)
    return isinstance(node, (cst.Raise, cst.Annotation, *blanks)) or isinstance(node, cst.Expr) and is_text(node.value)


def neighbours(values: list[str], value: str) -> list[str]:
    """The values before and after this one, in a ring, without itself."""
    values = list(dict.fromkeys(values))
    if value not in values:
        return []
    place = values.index(value)
    ring = [values[(place + 1) % len(values)], values[place - 1]]
    return [other for other in dict.fromkeys(ring) if other != value]


def int_of(node: cst.CSTNode) -> int | None:
    """The value of a whole number that is written out, with or without a sign."""
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        value = int_of(node.expression)
        return None if value is None else -value
    return node.evaluated_value if isinstance(node, cst.Integer) else None


def integer(value: int) -> cst.BaseExpression:
    return cst.UnaryOperation(cst.Minus(), cst.Integer(str(-value))) if value < 0 else cst.Integer(str(value))


def bracketed(node: cst.BaseExpression) -> cst.BaseExpression:
    """The expression in brackets where it could otherwise bind to its new neighbours."""
    simple = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Integer, cst.Float, cst.SimpleString)
    if isinstance(node, simple) or node.lpar:
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def with_spaces(kind: type[cst.BaseBinaryOp], like: cst.BaseBinaryOp) -> cst.BaseBinaryOp:
    return kind(whitespace_before=like.whitespace_before, whitespace_after=like.whitespace_after)


def code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


def replaced(node: cst.CSTNode, other: cst.CSTNode, around: Around) -> cst.CSTNode:
    """The outermost of ``around`` with ``other`` in the place of ``node``."""
    for outer in reversed(around):
        changed = {}
        for name in (field.name for field in fields(outer)):
            value = getattr(outer, name)
            if value is node:
                changed[name] = other
            elif isinstance(value, (list, tuple)) and any(item is node for item in value):
                changed[name] = [other if item is node else item for item in value]
        node, other = outer, outer.with_changes(**changed)
    return other
