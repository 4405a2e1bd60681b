"""This file knows how to compare what a learner's object returned with what the rule gives, one sentence per kind of difference."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from utils.checking.complaints import Complaint, Picture

# Told of every comparison of numbers, while `circuits audit --stability` measures: the largest difference as a share of
# what was allowed, and whether that was left to chance.
watch: Callable[[float, bool], None] | None = None

PICTURE_LIMIT = 24  # rows and columns: more cannot be read in a card
# what ends the words up to a noun: "the squared norms | of the rows"
PHRASE_ENDS = re.compile(
    r",| (?:after|along|and|as|at|before|behind|between|by|for|from|if|in|into|of|on|onto|over|per|that|through|to|under|"
    r"when|where|whose|with|without)\b"
)


def expect_close(
    actual: Any,
    expected: Any,
    *,
    rule: str = "",
    look_at: str = "",
    axes: str = "",
    atol: float = 1e-5,
    rtol: float = 1e-4,
    dtype: torch.dtype | None = None,
    picture: bool | Callable[[Tensor, Tensor], Picture] = True,
    what: str = "the result",
    chance: bool = False,
) -> None:
    """Fail with a sentence unless ``actual`` equals ``expected`` up to ``atol + rtol * |expected|``.

    The order is: kind, shape, dtype, device, NaN, infinity, values; nothing is broadcast. Any floating dtype is
    welcome unless ``dtype`` names one. ``axes`` names the axes ("batch head query key") for the messages. ``chance`` says
    that right answers differ by what they drew, which `circuits audit --stability` allows for.
    """
    expected = torch.as_tensor(expected)
    if isinstance(actual, (int, float)) and not isinstance(actual, bool) and expected.ndim == 0:
        actual = torch.tensor(float(actual), dtype=torch.float64, device=expected.device)
    expect_tensor(actual, rule=rule, look_at=look_at, what=what)
    expect_shape(actual, expected.shape, axes=axes, rule=rule, look_at=look_at, what=what)
    _expect_dtype(actual, expected, dtype, look_at, what)
    if actual.device.type != expected.device.type:
        raise Complaint(
            f"{what} {_is(what)} on {actual.device}, the inputs are on {expected.device}",
            rule="a result lives where its inputs live",
            look_at="tensors that you create yourself: give them device=x.device",
            kind="type",
        )
    actual, expected = actual.detach(), expected.detach()
    wide = torch.promote_types(actual.dtype, expected.dtype)
    if not wide.is_floating_point and not wide.is_complex:
        wide = torch.float64
    yours, rules = actual.to(wide), expected.to(wide)
    names = axes.split()
    if watch is not None:
        watch(_share_of_allowed(yours, rules, atol, rtol), chance)
    bad = ~torch.isclose(yours, rules, atol=atol, rtol=rtol, equal_nan=True)
    if not bad.any():
        return
    shown = picture(actual, expected) if callable(picture) else _picture(yours, rules, bad, names) if picture else None
    seen, kind = _difference(yours, rules, bad, names, what)
    raise Complaint(seen, rule=rule, look_at=look_at, picture=shown, kind=kind)


def expect_equal(actual: Any, expected: Any, *, rule: str = "", look_at: str = "", what: str = "the result") -> None:
    """Fail with a sentence unless ``actual`` is exactly ``expected``: numbers, strings, lists, dictionaries, tensors of ids or booleans."""
    if isinstance(expected, Tensor):
        expect_tensor(actual, rule=rule, look_at=look_at, what=what)
        expect_shape(actual, expected.shape, rule=rule, look_at=look_at, what=what)
        wrong = (actual.detach().to(expected.device) != expected).nonzero()
        if len(wrong):
            where = tuple(wrong[0].tolist())
            place = f" at {list(where)}" if where else ""
            raise Complaint(
                f"{what} {_is(what)} {_plain(actual[where])}{place} where {_plain(expected[where])} is right"
                f" ({len(wrong)} of {expected.numel()} differ)",
                rule=rule,
                look_at=look_at,
                kind="differs",
            )
        return
    if isinstance(actual, Tensor) and actual.ndim == 0 and not isinstance(expected, (list, tuple, dict, str)):
        actual = actual.item()
    if isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)):
        if len(actual) != len(expected):
            raise Complaint(
                f"{what} {_have(what)} {len(actual)} entries, {len(expected)} are right", rule=rule, look_at=look_at
            )
        for position, (yours, right) in enumerate(zip(actual, expected)):
            if not _same(yours, right):
                raise Complaint(
                    f"entry {position} of {what} is {_plain(yours)}, {_plain(right)} is right",
                    rule=rule,
                    look_at=look_at,
                    kind="differs",
                )
        return
    if actual is None and expected is not None:
        raise Complaint(_returned_nothing(what), rule=rule, look_at="is there a `return`?", kind="type")
    if not _same(actual, expected):
        seen = f"{what} {_is(what)} {_plain(actual)}, {_plain(expected)} is right"
        raise Complaint(seen, rule=rule, look_at=look_at, kind="differs")


def expect_tensor(actual: Any, *, rule: str = "", look_at: str = "", what: str = "the result") -> None:
    """Fail with a sentence unless ``actual`` is a tensor."""
    if isinstance(actual, Tensor):
        return
    if actual is None:
        raise Complaint(_returned_nothing(what), rule=rule, look_at="is there a `return`?", kind="type")
    kind = type(actual).__name__
    raise Complaint(
        f"{what} {_is(what)} a {kind}, not a tensor",
        rule=rule or "a torch.Tensor comes back",
        look_at=look_at,
        kind="type",
    )


def expect_shape(
    actual: Any, shape: Any, *, axes: str = "", rule: str = "", look_at: str = "", what: str = "the result"
) -> None:
    """Fail with a sentence unless ``actual`` is a tensor of just this shape."""
    expect_tensor(actual, rule=rule, look_at=look_at, what=what)
    if tuple(actual.shape) == tuple(shape):
        return
    names = f" [{axes}]" if axes else ""
    hint = ""
    if sorted(actual.shape) == sorted(shape) and len(shape) > 1:
        hint = ": the same axes in another order"
    elif actual.ndim != len(shape):
        hint = f": {actual.ndim} {'axis' if actual.ndim == 1 else 'axes'} in place of {len(shape)}"
    raise Complaint(
        f"{what} {_have(what)} shape {list(actual.shape)}, {list(shape)}{names} is right{hint}",
        rule=rule,
        look_at=look_at,
        kind="type",
    )


def _expect_dtype(actual: Tensor, expected: Tensor, dtype: torch.dtype | None, look_at: str, what: str) -> None:
    if dtype is not None and actual.dtype != dtype:
        raise Complaint(
            f"{what} {_have(what)} dtype {_dtype(actual)}, {str(dtype).removeprefix('torch.')} is right",
            look_at=look_at,
            kind="type",
        )
    if expected.is_floating_point() and not actual.is_floating_point():
        raise Complaint(
            f"{what} {_have(what)} dtype {_dtype(actual)}, a floating-point dtype is right",
            rule="numbers that are not whole need a floating-point dtype",
            look_at=look_at,
            kind="type",
        )


def _difference(yours: Tensor, rules: Tensor, bad: Tensor, names: list[str], what: str) -> tuple[str, str]:
    """The sentence, and the kind of the complaint: ``related`` if the sentence says how the values differ everywhere."""
    nan = torch.isnan(yours) & ~torch.isnan(rules)
    if nan.any():
        cause = " (0/0, inf - inf, or a row with everything masked gives that)"
        return f"{what} {_is(what)} NaN in {_share(nan)}{_at(nan.nonzero()[0], names)}{cause}", "nan"
    infinite = (torch.isinf(rules) | torch.isinf(yours)) & bad
    if infinite.any():
        where = infinite.nonzero()[0]
        a, b = _numbers(yours[tuple(where)], rules[tuple(where)])
        return f"{what} {_is(what)} {a}{_at(where, names)}, {b} is right ({_share(bad)} differ)", "differs"
    gap = torch.where(bad, (yours - rules).abs(), torch.zeros_like(rules.abs()))
    where = torch.unravel_index(gap.argmax(), gap.shape) if gap.ndim else ()
    a, b = _numbers(yours[where], rules[where])
    relation = _relation(yours, rules)
    kind = "related" if relation else "differs"
    if not yours.ndim:
        return f"{what} {_is(what)} {a}, {b} is right{relation}", kind
    at = _at(torch.tensor([int(i) for i in where]), names)
    return f"{what} {_is(what)} {a}{at}, {b} is right ({_share(bad)} differ){relation}", kind


def _share_of_allowed(yours: Tensor, rules: Tensor, atol: float, rtol: float) -> float:
    """The largest difference, as a share of the one that is still allowed at its place."""
    gap = torch.where(yours == rules, 0.0, (yours - rules).abs())  # infinity less infinity is no number
    allowed = atol + rtol * rules.abs()
    share = torch.where(gap == 0, 0.0, gap / allowed).nan_to_num(nan=0.0)
    return float(share.max()) if share.numel() else 0.0


def _relation(yours: Tensor, rules: Tensor) -> str:
    """A plain relation between the two that holds everywhere, if there is one: it often gives the cause away."""
    if yours.numel() < 2 or not (torch.isfinite(yours).all() and torch.isfinite(rules).all()):
        return ""

    def same(a: Tensor, b: Tensor) -> bool:
        return torch.allclose(a, b, atol=1e-5, rtol=1e-3)

    if same(yours, torch.zeros_like(yours)):
        return "; yours is 0 everywhere"
    if same(yours, -rules):
        return "; yours is the right answer with the sign turned round"
    if yours.ndim >= 2 and yours.shape[-1] == yours.shape[-2] and same(yours.mT, rules):
        return "; yours is the right answer with its last two axes swapped"
    large = rules.abs() > 1e-3
    if large.sum() > 1:
        ratios = yours[large] / rules[large]
        ratio = ratios.median()
        if (ratio - 1).abs() > 0.02 and same(ratios, ratio.expand_as(ratios)) and same(yours, rules * ratio):
            return f"; yours is {_number(ratio)} times the right answer everywhere"
    offset = (yours - rules).mean()
    if offset.abs() > 1e-3 and same(yours - offset, rules):
        return f"; yours is the right answer {'plus' if offset > 0 else 'minus'} {_number(offset.abs())} everywhere"
    if yours.ndim >= 2 and same(yours[..., :-1, :], rules[..., :-1, :]):
        return "; only the last row differs"
    return ""


def _picture(yours: Tensor, rules: Tensor, bad: Tensor, names: list[str]) -> Picture | None:
    if yours.ndim == 0 or yours.numel() < 2:
        return None
    caption = ""
    if yours.ndim > 2:
        first = bad.flatten(0, -3).any(-1).any(-1).nonzero()[0].item()
        index = tuple(int(i) for i in torch.unravel_index(torch.tensor(first), yours.shape[:-2]))
        labels = names[: len(index)] if len(names) == yours.ndim else [f"axis {i}" for i in range(len(index))]
        caption = ", ".join(f"{label} {i}" for label, i in zip(labels, index))
        yours, rules = yours[index], rules[index]
    last = tuple(names[-yours.ndim :]) if len(names) >= yours.ndim else ()
    cut = tuple(slice(0, PICTURE_LIMIT) for _ in range(yours.ndim))
    if any(size > PICTURE_LIMIT for size in yours.shape):
        caption += f"{', ' if caption else ''}the first {PICTURE_LIMIT} of {max(yours.shape)}"
    return Picture(yours[cut].detach().cpu(), rules[cut].detach().cpu(), last, caption)


def _at(where: Tensor, names: list[str]) -> str:
    index = where.tolist()
    if not index:
        return ""
    if len(names) == len(index):
        return " at " + ", ".join(f"{name} {i}" for name, i in zip(names, index))
    return f" at {index}"


def _share(mask: Tensor) -> str:
    return f"{int(mask.sum())} of {mask.numel()} places"


def _number(value: Any) -> str:
    value = float(value)
    if math.isnan(value) or math.isinf(value):
        return str(value)
    return f"{value:.4g}"


def _numbers(a: Any, b: Any) -> tuple[str, str]:
    """Two numbers that differ, with as many digits as it takes to see it."""
    a, b = float(a), float(b)
    for digits in (4, 6, 8, 12):
        shown = f"{a:.{digits}g}", f"{b:.{digits}g}"
        if shown[0] != shown[1]:
            break
    return shown


def _is(what: str) -> str:
    """The verb for what is compared: "the new keys of layer 0 are", "the loss at each step is"."""
    words = PHRASE_ENDS.split(what)[0].split()
    noun = next((word for word in reversed(words) if word[0].isalpha()), "") if what.startswith("the ") else words[0]
    return "are" if re.search(r"[^aiu' s]s$", noun) else "is"


def _have(what: str) -> str:
    return "have" if _is(what) == "are" else "has"


def _plain(value: Any) -> str:
    if isinstance(value, Tensor):
        value = value.item() if value.ndim == 0 else value.tolist()
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b))
    try:
        return bool(a == b)
    except Exception:  # a learner's object may compare in any way it likes
        return False


def _returned_nothing(what: str) -> str:
    return f"{what} {_is(what)} None: nothing was returned"
