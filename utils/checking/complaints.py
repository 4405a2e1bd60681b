"""This file knows how to say what is wrong: what was seen, what the rule is, and where to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Picture:
    """Two small pictures side by side: what the learner's object gave, and what the rule gives."""

    yours: Tensor
    rule: Tensor
    axes: tuple[str, ...] = ()
    caption: str = ""


@dataclass(frozen=True)
class Frame:
    """One line of the learner's own code that an exception passed through."""

    place: str
    line: int
    function: str
    source: str


class Complaint(AssertionError):
    """A failed check in the learner's words. ``kind`` says who noticed: a test, or the guard around the learner's object.

    Kinds: ``wrong`` (a test's own sentence), ``differs`` (the values are not the rule's, and nothing says why), ``related``
    (they are the rule's times 2, transposed, or the like), ``unwritten`` (a stub), ``missing`` (no such object),
    ``signature``, ``raised``, ``type`` (the wrong kind of thing came back), ``nan``, ``in_place`` (an argument was changed),
    ``checker`` (the checker itself stumbled).
    """

    def __init__(
        self,
        seen: str,
        *,
        rule: str = "",
        look_at: str = "",
        picture: Picture | None = None,
        kind: str = "wrong",
        frames: tuple[Frame, ...] = (),
    ):
        super().__init__(seen)
        self.seen = seen
        self.rule = rule
        self.look_at = look_at
        self.picture = picture
        self.kind = kind
        self.frames = frames

    def __str__(self) -> str:
        lines = [self.seen]
        if self.rule:
            lines.append(f"the rule: {self.rule}")
        if self.look_at:
            lines.append(f"look at: {self.look_at}")
        lines += [f"  {frame.place}, line {frame.line}, in {frame.function}: {frame.source}" for frame in self.frames]
        return "\n".join(lines)


def complain(
    seen: str,
    *,
    rule: str = "",
    look_at: str = "",
    picture: tuple[Any, Any] | Picture | None = None,
    picture_axes: tuple[str, ...] = (),
) -> NoReturn:
    """Fail the running test with a sentence. ``picture`` is a pair (yours, the rule's) of vectors or matrices."""
    if isinstance(picture, tuple):
        picture = Picture(picture[0], picture[1], tuple(picture_axes))
    raise Complaint(seen, rule=rule, look_at=look_at, picture=picture)
