"""This file knows how the plain Python of a solution can go wrong: each operator makes one class of mistakes in one place.

An operator gets a node of the solution with the nodes around it, outermost first, and yields what may stand in the
node's place. What concerns tensors (axes, patterns, slices, transposes, dtypes) is in `tensor_operators.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import libcst as cst

from utils.audit import places
from utils.audit.places import Around, bracketed, int_of, integer, is_text, with_spaces

Change = Callable[[cst.CSTNode, Around], Iterator[cst.CSTNode]]


@dataclass(frozen=True)
class Operator:
    """A class of mistakes: its name in the tables, what it does in a few words, and how."""

    name: str
    does: str
    change: Change


OPERATORS: list[Operator] = []


def operator(name: str, does: str) -> Callable[[Change], Change]:
    """Make this function an operator of the audit."""

    def register(change: Change) -> Change:
        OPERATORS.append(Operator(name, does, change))
        return change

    return register


ARITHMETIC = {
    cst.Add: cst.Subtract,
    cst.Subtract: cst.Add,
    cst.Multiply: cst.Divide,
    cst.Divide: cst.Multiply,
    cst.FloorDivide: cst.Modulo,
    cst.Modulo: cst.FloorDivide,
    cst.Power: cst.Multiply,
}
IN_PLACE = {
    cst.AddAssign: cst.SubtractAssign,
    cst.SubtractAssign: cst.AddAssign,
    cst.MultiplyAssign: cst.DivideAssign,
    cst.DivideAssign: cst.MultiplyAssign,
}
COMPARISONS = {
    cst.LessThan: (cst.LessThanEqual, cst.GreaterThan),
    cst.LessThanEqual: (cst.LessThan, cst.GreaterThanEqual),
    cst.GreaterThan: (cst.GreaterThanEqual, cst.LessThan),
    cst.GreaterThanEqual: (cst.GreaterThan, cst.LessThanEqual),
    cst.Equal: (cst.NotEqual,),
    cst.NotEqual: (cst.Equal,),
    cst.Is: (cst.IsNot,),
    cst.IsNot: (cst.Is,),
    cst.In: (cst.NotIn,),
    cst.NotIn: (cst.In,),
}
SIBLINGS = [
    *(("mean", "sum"), ("max", "min"), ("amax", "amin"), ("argmax", "argmin"), ("any", "all"), ("sin", "cos")),
    *(("zeros", "ones"), ("zeros_like", "ones_like"), ("rand", "randn"), ("floor", "ceil"), ("softmax", "log_softmax")),
    *(("exp", "log"), ("sqrt", "square"), ("stack", "cat"), ("append", "extend"), ("resid_pre", "resid_post")),
]
LAST_AXIS_BY_DEFAULT = ("topk", "sort", "argsort", "diff")
# calls that have operators of their own; and a number may come back as a tensor, so nothing is wrong without .item()
LEFT_TO_OTHERS = ("detach", "clone", "to", "float", "double", "item")
OF_EVERY_TENSOR = ("shape", "device", "dtype", "ndim", "T", "mT", "grad")
SIBLING = {a: b for pair in SIBLINGS for a, b in (pair, pair[::-1])}


@operator("arithmetic", "+ and -, * and /, // and % exchanged, ** made *, a sign dropped")
def arithmetic(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.BinaryOperation) and type(node.operator) in ARITHMETIC:
        other = ARITHMETIC[type(node.operator)]
        yield node.with_changes(operator=with_spaces(other, node.operator))
    elif isinstance(node, cst.AugAssign) and type(node.operator) in IN_PLACE:
        yield node.with_changes(operator=IN_PLACE[type(node.operator)]())
    elif isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus) and int_of(node) is None:
        yield bracketed(node.expression)


@operator("term", "one side of an operation dropped")
def term(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, (cst.BinaryOperation, cst.BooleanOperation)):
        yield bracketed(node.left)
        yield bracketed(node.right)


@operator("comparison", "< made <= or >, == made !=, is made is not, in made not in")
def comparison(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.ComparisonTarget):
        for other in COMPARISONS[type(node.operator)]:
            yield node.with_changes(operator=other())


@operator("boolean", "and and or, & and | exchanged, not and ~ dropped, a condition always or never true")
def boolean(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.BooleanOperation):
        other = cst.Or if isinstance(node.operator, cst.And) else cst.And
        yield bracketed(node.with_changes(operator=other(cst.SimpleWhitespace(" "), cst.SimpleWhitespace(" "))))
    elif isinstance(node, cst.BinaryOperation) and isinstance(node.operator, (cst.BitAnd, cst.BitOr)):
        other = cst.BitOr if isinstance(node.operator, cst.BitAnd) else cst.BitAnd
        yield bracketed(node.with_changes(operator=with_spaces(other, node.operator)))
    elif isinstance(node, cst.UnaryOperation) and isinstance(node.operator, (cst.Not, cst.BitInvert)):
        yield bracketed(node.expression)
    elif isinstance(node, cst.If):
        yield node.with_changes(test=cst.Name("True"), whitespace_before_test=cst.SimpleWhitespace(" "))
        yield node.with_changes(test=cst.Name("False"), whitespace_before_test=cst.SimpleWhitespace(" "))
    elif isinstance(node, cst.IfExp):
        yield bracketed(node.body)
        yield bracketed(node.orelse)
    elif isinstance(node, cst.CompIf):
        yield node.with_changes(test=cst.Name("True"), whitespace_before_test=cst.SimpleWhitespace(" "))


@operator("constant", "a whole number one more or less, another number doubled, infinity made 0")
def constant(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    value = int_of(node)
    if (
        value is not None
        and not isinstance(around[-1], cst.UnaryOperation)
        and not places.is_index(around)
        and not places.names_an_axis(around)
    ):
        yield integer(value + 1)
        yield integer(value - 1)
    elif isinstance(node, cst.Float):
        yield cst.Float(repr(2.0 * node.evaluated_value or 1.0))
    elif isinstance(node, cst.Attribute) and node.attr.value == "inf":
        yield cst.Float("0.0")
    elif isinstance(node, cst.SimpleString) and node.evaluated_value in ("inf", "-inf"):
        yield cst.SimpleString('"0"')


@operator("text", "a text exchanged for another of the same function")
def text(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if not isinstance(node, cst.SimpleString) or "->" in node.value or "inf" in node.value:
        return
    texts = [other.value for other in places.within(around, cst.SimpleString) if "->" not in other.value]
    for value in places.neighbours(texts, node.value):
        yield node.with_changes(value=value)


@operator("name", "a name exchanged for one of the same kind: another argument, another attribute of the same object")
def name(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Name) and not isinstance(around[-1], (cst.Attribute, cst.Param)):
        inside = places.function_around(around)
        kinds = places.parameters(inside) if inside is not None and places.is_read(node, around) else {}
        alike = [other for other, kind in kinds.items() if kind and kind == kinds.get(node.value)]
        for other in places.neighbours(alike, node.value):
            yield node.with_changes(value=other)
    elif isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name) and places.is_read(node, around):
        called = [outer.func for outer in places.within(around, cst.Call)]
        others = [
            other.attr.value
            for other in places.within(around, cst.Attribute)
            if isinstance(other.value, cst.Name)
            and other.value.value == node.value.value
            and other.attr.value not in OF_EVERY_TENSOR
            and not any(other is function for function in called)
        ]
        for other in places.neighbours(others, node.attr.value) if not places.is_library(node.value) else []:
            yield node.with_changes(attr=cst.Name(other))


@operator("function", "a function exchanged for its sibling: mean and sum, max and min, zeros and ones")
def function(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Name) and node.value in SIBLING and places.is_called(node, around):
        if not (node.value == "sqrt" and places.code(around[-1]) == "math.sqrt"):  # math has no square
            yield cst.Name(SIBLING[node.value])


@operator("argument", "two arguments exchanged, or one left out")
def argument(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if not isinstance(node, cst.Call):
        return
    args = node.args
    plain = [i for i, arg in enumerate(args) if arg.keyword is None and not arg.star]
    plain = [i for i in plain if not is_text(args[i].value)]  # a pattern has its own operator
    is_method = isinstance(node.func, cst.Attribute) and not places.is_library(node.func.value)
    either_way = isinstance(node.func, cst.Name) and node.func.value in ("min", "max")
    for i, j in zip(plain, plain[1:]) if not either_way else []:
        exchanged = list(args)
        exchanged[i] = args[i].with_changes(value=args[j].value)
        exchanged[j] = args[j].with_changes(value=args[i].value)
        yield node.with_changes(args=exchanged)
    for i, arg in enumerate(args):
        if arg.keyword is None and not (i in plain[-1:] and (len(plain) > 1 or is_method)):
            continue  # of those without a keyword only the last can be left out, and a function needs its first
        if arg.keyword is not None and arg.keyword.value == "device":
            continue  # shows on another device only
        if places.code(arg).startswith("dim=-1") and places.is_attribute(node.func, LAST_AXIS_BY_DEFAULT):
            continue
        left = [other for j, other in enumerate(args) if j != i]
        left[-1:] = [left[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)] if left else []
        yield node.with_changes(args=left)


@operator("flag", "True and False exchanged")
def flag(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Name) and node.value in ("True", "False"):
        yield cst.Name("False" if node.value == "True" else "True")


@operator("statement", "a statement left out")
def statement(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.SimpleStatementLine):
        inner = node.body[0]
        if isinstance(inner, (cst.Pass, cst.Raise)) or isinstance(inner, cst.Expr) and is_text(inner.value):
            return
        if not _leaves_unbound(inner, around):
            yield node.with_changes(body=[cst.Pass()])
        if isinstance(inner, cst.Break):
            yield node.with_changes(body=[cst.Continue()])
    elif isinstance(node, (cst.If, cst.For, cst.While, cst.With)) and isinstance(around[-1], cst.IndentedBlock):
        yield cst.SimpleStatementLine([cst.Pass()])
        if isinstance(node, cst.If) and node.orelse is not None:
            yield node.with_changes(orelse=None)


@operator("call", "a call around a value left out")
def call(node: cst.CSTNode, around: Around) -> Iterator[cst.CSTNode]:
    if not isinstance(node, cst.Call) or isinstance(around[-1], cst.Expr):
        return
    if isinstance(node.func, cst.Attribute) and not places.is_library(node.func.value):
        if not places.is_attribute(node.func, LEFT_TO_OTHERS):
            yield bracketed(node.func.value)
    elif node.args and not node.args[0].star and node.args[0].keyword is None and not is_text(node.args[0].value):
        if "device" not in places.code(node.args[0].value):
            yield bracketed(node.args[0].value)


def _leaves_unbound(inner: cst.CSTNode, around: Around) -> bool:
    """True if without this statement a name would not exist: that is a NameError whatever the checker does."""
    if not isinstance(inner, (cst.Assign, cst.AnnAssign)):
        return isinstance(inner, (cst.Import, cst.ImportFrom, cst.Nonlocal, cst.Global))
    bound = _bound_by(inner)
    elsewhere = set()
    for outer in around:
        elsewhere |= set(places.parameters(outer)) if isinstance(outer, cst.FunctionDef) else set()
    for other in places.within(around, cst.Assign):
        if other is not inner:
            elsewhere |= _bound_by(other)
    return not bound <= elsewhere


def _bound_by(inner: cst.Assign | cst.AnnAssign) -> set[str]:
    targets = [target.target for target in inner.targets] if isinstance(inner, cst.Assign) else [inner.target]
    names = set()
    while targets:
        target = targets.pop()
        if isinstance(target, cst.Name):
            names.add(target.value)
        elif isinstance(target, (cst.Tuple, cst.List)):
            targets += [element.value for element in target.elements]
    return names
