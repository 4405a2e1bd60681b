"""This file knows how to grade one submission in this process, and what of that to keep."""

from __future__ import annotations

import atexit
import math
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from utils.grading.grader import Grader
from utils.grading.records import Key, Record, TestOutcome
from utils.grading.tasks import Task
from utils.grading.text import one_line, plain
from utils.grading.version import checker_version

LARGEST_PICTURE = 10_000  # numbers on each side; what a checker draws has far fewer


class OtherVersion(RuntimeError):
    """This machine has other checkers than the one that asked."""


def grade_task(task: Task) -> list[Record]:
    """A record for each exercise of the task. The grader that this needs is started once a process, and then kept."""
    if checker_version(task.chapter) != task.conditions.checker:
        raise OtherVersion("the course on this machine has other checkers than the one that asked; update one of them")
    with _one_at_a_time:
        grader = _grader_for(task)
        try:
            return _graded(grader, task)
        except BaseException:
            close_grader()  # whatever it stumbled over, the next submission gets a fresh one
            raise


def close_grader() -> None:
    global _grader, _made_for
    grader, _grader, _made_for = _grader, None, None
    if grader is not None:
        grader.__exit__(None, None, None)


_one_at_a_time = threading.Lock()  # a Dask worker may have several threads; pytest and PyTorch's settings are one
_grader: Grader | None = None
_made_for: tuple[Any, ...] | None = None
atexit.register(close_grader)


def _grader_for(task: Task) -> Grader:
    global _grader, _made_for
    conditions = task.conditions
    settings = conditions.device, conditions.seed, conditions.timeout, conditions.memory
    wanted = (*settings, task.require_sandbox, task.modules)
    if _grader is None or _made_for != wanted:
        close_grader()
        grader = Grader(
            device=conditions.device,
            seed=conditions.seed,
            timeout=conditions.timeout,
            memory=conditions.memory,
            require_sandbox=task.require_sandbox,
            modules=task.modules,
        )
        _grader, _made_for = grader.__enter__(), wanted
    return _grader


def _graded(grader: Grader, task: Task) -> list[Record]:
    if task.unreadable:
        outcome = TestOutcome("test_the_file_can_be_read", [], False, kind="unreadable", seen=plain(task.unreadable))
        return [
            Record(task.key(exercise), task.file, "unreadable", [outcome], grader.level, graded=_now())
            for exercise in task.exercises
        ]
    with tempfile.TemporaryDirectory(prefix="circuits-grade-") as folder:
        path = Path(folder) / _file_name(task.file)
        path.write_bytes(task.content)
        reports = grader.grade(path, task.chapter, task.exercises)
        return [
            record_of(report, task.key(exercise), task.file, grader.level)
            for exercise, report in zip(task.exercises, reports, strict=True)
        ]


def record_of(report: Any, key: Key, file: str, level: str) -> Record:
    """What a report says, as plain data: no text longer than a page, no picture larger than one can see."""
    complaint = report.complaint
    mistake = report.mistake
    return Record(
        key,
        file,
        state="unreadable" if complaint is not None and complaint.kind == "unreadable" else report.state,
        tests=[_outcome(result) for result in report.results],
        sandbox=plain(level),
        mistake={"name": plain(mistake.name), "sentence": plain(mistake.sentence)} if mistake else None,
        broken_below=[plain(name) for name in report.broken_below],
        picture=_picture(complaint.picture) if complaint is not None and complaint.picture is not None else None,
        printed=plain(report.printed),
        seconds=round(sum(result.seconds for result in report.results), 4),
        graded=_now(),
    )


def _outcome(result: Any) -> TestOutcome:
    complaint = result.complaint
    told: dict[str, Any] = {}
    if complaint is not None:
        frames = [
            {
                "place": plain(f.place),
                "line": int(f.line),
                "function": plain(f.function),
                "source": plain(f.source, 300),
            }
            for f in complaint.frames[-10:]
        ]
        told = {"kind": complaint.kind, "seen": plain(complaint.seen), "rule": plain(complaint.rule)}
        told |= {"look_at": plain(complaint.look_at), "frames": frames}
    seconds = round(result.seconds, 4)
    return TestOutcome(result.test, list(result.objects), result.passed, seconds, plain(result.skipped), **told)


def _picture(picture: Any) -> dict[str, Any] | None:
    """Both sides as lists of numbers, to four figures; None where there is nothing that could be drawn."""
    import torch

    sides = {}
    for name in ("yours", "rule"):
        values = torch.as_tensor(getattr(picture, name)).detach().float().cpu()
        if values.ndim not in (1, 2) or not 0 < values.numel() <= LARGEST_PICTURE:
            return None
        sides[name] = _numbers(values.tolist())
    return sides | {"axes": [plain(axis) for axis in picture.axes], "caption": plain(picture.caption)}


def _numbers(values: Any) -> Any:
    if isinstance(values, list):
        return [_numbers(value) for value in values]
    return (
        float(f"{values:.4g}") if math.isfinite(values) else str(values)
    )  # "nan", "inf": JSON has no numbers for these


def _file_name(name: str) -> str:
    """As handed in, so that the learner knows the places that a report names; fit for any file system."""
    stem, dot, suffix = name.rpartition(".")
    stem = one_line(stem).replace("/", "_").encode()[:150].decode(errors="ignore")
    return f"{stem or 'submission'}{dot}{suffix}"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
