"""This file knows how to say in one line what a learner's code raised, and at which of the learner's own lines."""

from __future__ import annotations

import inspect
import linecache
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from utils.checking.complaints import Complaint, Frame
from utils.checking.torch_errors import meaning
from utils.paths import REPO

STUB = re.compile(r"\d+\.\d+[a-z]? \w+: ")  # what a stub raises; PyTorch raises NotImplementedError for other reasons


def unwritten(error: BaseException) -> Complaint | None:
    """The complaint about a stub, if that is what raised."""
    if isinstance(error, NotImplementedError) and STUB.match(str(error)):
        return Complaint(str(error), kind="unwritten")
    return None


def explain_exception(label: str, error: BaseException, target: Any = None) -> Complaint:
    """The exception in one line, with the learner's own frames only; pointed at is the last one inside ``target``."""
    entries = [
        entry for entry in traceback.walk_tb(error.__traceback__) if is_learners_file(entry[0].f_code.co_filename)
    ]
    own = set(_codes_of(target))
    pointed_at = [entry for entry in entries if entry[0].f_code in own] or entries
    text = " ".join(str(error).split())[:300]
    look_at = ""
    if pointed_at:
        frame, number = pointed_at[-1]
        line = _source_line(frame, number)
        look_at = f"line {number} of {_place(frame.f_code.co_filename)}: `{line}`" + _forgotten_self(frame, line)
    return Complaint(
        f"{label} raised {type(error).__name__}: {text}" if text else f"{label} raised {type(error).__name__}",
        rule=meaning(text),
        look_at=look_at,
        kind="raised",
        frames=tuple(_frame(*entry) for entry in entries) if len(entries) > 1 else (),
    )


def learner_frames(error: BaseException) -> Iterator[Frame]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        if is_learners_file(frame.f_code.co_filename):
            yield _frame(frame, line)


def _frame(frame: FrameType, line: int) -> Frame:
    return Frame(_place(frame.f_code.co_filename), line, frame.f_code.co_name, _source_line(frame, line))


def _source_line(frame: FrameType, line: int) -> str:
    return linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()


def _codes_of(target: Any) -> Iterator[CodeType]:
    """The code of a function, or of all methods of a class or an instance's class, with the functions inside."""
    if target is None:
        return
    if not inspect.isfunction(target) and not inspect.isclass(target):
        target = getattr(target, "__func__", type(target))
    members = vars(target).values() if inspect.isclass(target) else [target]
    waiting = [member.__code__ for member in map(inspect.unwrap, filter(inspect.isfunction, members))]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _forgotten_self(frame: FrameType, line: str) -> str:
    """Notebook variables that this line of a method reads though the object has its own of that name: a forgotten ``self.``."""
    instance = frame.f_locals.get("self")
    words = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", line)) - set(frame.f_locals)
    names = sorted(
        word for word in words if word in frame.f_globals and instance is not None and hasattr(instance, word)
    )
    return "".join(f"; `{name}` is a variable of the notebook: did you mean `self.{name}`?" for name in names)


def is_learners_file(filename: str) -> bool:
    """True for notebook cells and sliced submissions, false for libraries and for this repository's own checkers."""
    if filename.startswith("<submission"):
        return True
    if filename.startswith("<") and "ipython-input" not in filename:
        return False
    path = Path(filename)
    if "ipython-input" in filename or "ipykernel_" in filename:
        return True
    return (
        path.suffix == ".py"
        and not any(part in ("site-packages", "lib", "lib64") for part in path.parts)
        and (REPO / "utils" not in path.parents and REPO / "tests" not in path.parents)
    )


def _place(filename: str) -> str:
    if filename.startswith("<submission"):
        return filename.removeprefix("<submission ").rpartition("#")[0]
    return "the cell" if "ipykernel_" in filename or "ipython-input" in filename else Path(filename).name
