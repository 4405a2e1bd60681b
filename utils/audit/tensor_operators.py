"""This file knows how what a solution does with tensors can go wrong: axes, patterns, slices, transposes, dtypes, graphs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from utils.audit import places
from utils.audit.operators import operator
from utils.audit.places import Around, bracketed, int_of, integer

DTYPES = {
    "float32": "float64",
    "float64": "float32",
    "double": "float",
    "float": "double",
    "bool": "float32",
    "long": "int32",
    "int64": "int32",
}


@operator("axis", "an axis number exchanged for another, or one of several left out")
def axis(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    value = int_of(node)
    if value is not None and not isinstance(around[-1], cst.UnaryOperation) and places.names_an_axis(around):
        for other in {-1: (-2, 0), 0: (1, -1), 1: (0, 2), -2: (-1, 0), 2: (1, 0)}.get(value, (value + 1, value - 1)):
            yield integer(other)
    elif isinstance(node, cst.Tuple) and len(node.elements) > 1 and places.names_an_axis(around):
        for element in node.elements:
            yield element.value


@operator("pattern", "two axes of an einops pattern exchanged, in what goes in or in what comes out")
def pattern(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if not isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        return
    if isinstance(around[-1], cst.ConcatenatedString):
        return
    text = node.evaluated_value
    if not isinstance(text, str) or "->" not in text:
        return
    parts = re.split(r"(,|->)", text)
    for place in range(0, len(parts), 2):
        names = list(re.finditer(r"[A-Za-z_]\w*", parts[place]))
        for i, first in enumerate(names):
            for second in names[i + 1 :]:
                part = parts[place]
                changed = (
                    part[: first.start()] + second[0] + part[first.end() : second.start()] + first[0]
                    + part[second.end() :]
                )  # fmt: skip
                yield cst.SimpleString(f'"{"".join([*parts[:place], changed, *parts[place + 1 :]])}"')


@operator("slice", "a slice that begins or ends one off or has a bound less, an index one off")
def slice_(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Slice):
        for bound in ("lower", "upper", "step"):
            value = getattr(node, bound)
            if value is None:
                continue
            for other in _one_off(value):
                yield node.with_changes(**{bound: other})
            left = {"step": None, "second_colon": cst.MaybeSentinel.DEFAULT} if bound == "step" else {bound: None}
            yield node.with_changes(**left)
    elif isinstance(node, cst.Index) and int_of(node.value) is not None:
        for other in (integer(int_of(node.value) + 1), integer(int_of(node.value) - 1)):
            yield node.with_changes(value=other)


@operator(
    "transpose", "a transpose left out or put in, matrices multiplied in the other order, triu and tril exchanged"
)
def transpose(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Attribute) and node.attr.value in ("T", "mT"):
        yield node.value
    elif isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.MatrixMultiply):
        yield bracketed(node.with_changes(left=bracketed(node.right), right=bracketed(node.left)))
        if not (isinstance(node.right, cst.Attribute) and node.right.attr.value in ("T", "mT")):
            yield node.with_changes(right=cst.Attribute(bracketed(node.right), cst.Name("mT")))
    elif isinstance(node, cst.Attribute) and node.attr.value in ("triu", "tril"):
        yield node.with_changes(attr=cst.Name("tril" if node.attr.value == "triu" else "triu"))


@operator("dtype", "another dtype, or a conversion left out")
def dtype(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name) and node.value.value == "torch":
        if node.attr.value in DTYPES:
            yield node.with_changes(attr=cst.Name(DTYPES[node.attr.value]))
    elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        method, code = node.func.attr.value, places.code(node)
        if method in ("float", "double") and not places.is_library(node.func.value):
            yield node.with_changes(func=node.func.with_changes(attr=cst.Name(DTYPES[method])))
            yield node.func.value
        elif method == "to" and "device" not in code.rpartition(".to(")[2]:
            yield node.func.value


@operator("graph", "detach, clone, or no_grad left out")
def graph(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and node.func.attr.value in ("detach", "clone")
    ):
        yield node.func.value
    elif isinstance(node, cst.With) and "no_grad" in places.code(node.items[0]):
        yield cst.If(test=cst.Name("True"), body=node.body)


def _one_off(value: cst.BaseExpression) -> list[cst.BaseExpression]:
    number = int_of(value)
    if number is not None:
        return [integer(number + 1), integer(number - 1)]
    one = cst.Integer("1")
    return [
        cst.BinaryOperation(value, cst.Add(), one),
        cst.BinaryOperation(value, cst.Subtract(), one),
    ]
