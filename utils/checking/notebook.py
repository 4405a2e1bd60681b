"""This file knows what a learner calls in a notebook: ``check``, ``hint`` and ``reveal``."""

from __future__ import annotations

import html as markup
import inspect
import sys
from collections.abc import Mapping
from typing import Any

from utils import course, progress
from utils.course import Exercise, NotInCourse


def check(*objects: Any, device: str = "auto") -> None:
    """Check what you wrote: ``check(LayerNorm)``. Shows a card; your objects and random state stay as they are."""
    if not objects:
        return _say("check what? Give it the function or class that you wrote, as in check(LayerNorm)")
    from utils.checking.card import html, text  # brings pytest and torch: only when a check is asked for
    from utils.checking.report import check_exercise
    from utils.checking.run import Submission

    namespace = _namespace()
    for value in objects:
        name, exercise = _find(value, namespace)
        if exercise is None:
            continue
        chapter = course.chapter(exercise.chapter)
        mine = {other: namespace[other] for other in _all_objects() if other in namespace}
        if not isinstance(value, str):
            mine[name] = value
        report = check_exercise(chapter, exercise, Submission("yours", mine), device=device)
        solved, total, *_ = progress.chapter_summary(exercise.chapter)
        _show(html(report, progress=(solved, total)), text(report))


def hint(value: Any = None) -> None:
    """The next hint for what you are writing, after those you have seen: ``hint(LayerNorm)``."""
    if value is None:
        return _say("a hint for what? Give it what you are writing, as in hint(LayerNorm)")
    name, exercise = _find(value, _namespace())
    if exercise is None:
        return
    from utils.checking.card import code, note
    from utils.hints import next_hints

    seen, total = next_hints(exercise), len(exercise.hints)
    title = f"{exercise.number} {name}: hint {len(seen)} of {total}"
    after = (
        f"{total - len(seen)} more: `hint({name})`"
        if len(seen) < total
        else f"that was the last one; `reveal({name})` shows a solution"
    )
    listed = "".join(f"<li>{code(line)}</li>" for line in seen)
    _show(note(title, f'<ol class="circuits-hints">{listed}</ol>', after), "\n  ".join([title, *seen, f"({after})"]))


def reveal(value: Any = None) -> None:
    """A solution of an exercise: ``reveal(LayerNorm)``. Try the hints first; your own cell stays as it is."""
    if value is None:
        return _say("the solution of what? Give it what you are writing, as in reveal(LayerNorm)")
    name, exercise = _find(value, _namespace())
    if exercise is None:
        return
    from utils.authoring.source import solution_source
    from utils.checking.card import note

    source = solution_source(exercise.number)
    progress.record_reveal(exercise.number)
    after = "one way to write it; your own may differ and be as right"
    _show(
        note(f"{exercise.number} {name}: a solution", f"<pre><code>{markup.escape(source)}</code></pre>", after),
        f"{exercise.number} {name}: a solution\n\n{source}\n",
    )


def _find(value: Any, namespace: Mapping[str, Any]) -> tuple[str, Exercise | None]:
    """The name under which the course knows ``value``, and its exercise; says so where there is none."""
    name = _name(value, namespace)
    try:
        return name, course.exercise_of(name)
    except NotInCourse as error:
        kind = type(value).__name__
        if not isinstance(value, str) and not inspect.isclass(value) and kind in _all_objects():
            _say(f"this is an object made from {kind}: give the class itself, as in check({kind})")
        elif not isinstance(value, str) and not callable(value):
            _say(
                f"give the function or class that you wrote, as in check(LayerNorm); this is {' '.join(repr(value).split())[:60]}"
            )
        else:
            _say(str(error))
        return name, None


def _name(value: Any, namespace: Mapping[str, Any]) -> str:
    if isinstance(value, str):
        return value
    name = getattr(value, "__name__", None)
    if name in _all_objects():
        return name
    # a lambda or a wrapped function goes by the name that the notebook gave it
    given = [key for key, other in namespace.items() if other is value and key in _all_objects()]
    return given[0] if given else name or ""


def _all_objects() -> set[str]:
    return {name for chapter in course.chapters() for exercise in chapter.exercises for name in exercise.objects}


def _namespace() -> Mapping[str, Any]:
    """The notebook's names, or those of the program that called."""
    if "IPython" in sys.modules:
        from IPython import get_ipython

        shell = get_ipython()
        if shell is not None:
            return shell.user_ns
    return vars(sys.modules["__main__"])


def _show(as_html: str, as_text: str) -> None:
    """A card in a notebook, plain text elsewhere."""
    if "IPython" in sys.modules:
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython() is not None:
            display({"text/html": as_html, "text/plain": as_text}, raw=True)
            return
    print(as_text)


def _say(line: str) -> None:
    from utils.checking.card import note

    _show(note(line), line)
