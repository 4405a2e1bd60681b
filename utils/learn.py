"""This file knows how to give the learner a copy of a chapter, and to open JupyterLab on it."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import time
from pathlib import Path

from utils import course, paths
from utils.atomic_write import write_atomically
from utils.refusal import CannotDo


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="circuits learn",
        description="Opens your copy of a chapter in JupyterLab, making it first where there is none.",
        epilog="Other options (--no-browser, --port=8890 ...) go on to JupyterLab.",
    )
    parser.add_argument("chapter", nargs="?", default="1", help="number or name; without it, chapter 1")
    parser.add_argument("--no-launch", action="store_true", help="make the copy, but do not start JupyterLab")
    arguments, for_jupyter = parser.parse_known_args(argv)

    chapter = course.chapter(arguments.chapter)
    notebook = own_copy(chapter)
    if note := newer_chapter_note(chapter):
        print(note)
    if arguments.no_launch:
        print(notebook)
        return 0
    return open_jupyterlab(notebook, for_jupyter)


def own_copy(chapter: course.Chapter) -> Path:
    """The learner's notebook of this chapter; what is there already is never written to."""
    notebook = paths.WORK / f"{chapter.name}.ipynb"
    if not notebook.exists():
        _copy(chapter, notebook)
        print(f"Chapter {chapter.number} is copied to {notebook}: that copy is yours.")
    return notebook


def fresh_copy(chapter: course.Chapter) -> Path | None:
    """Makes the learner's copy anew and returns where the old one lies now (None where there was none)."""
    notebook = paths.WORK / f"{chapter.name}.ipynb"
    kept = None
    if notebook.exists():
        kept = _free_name(notebook)
        notebook.rename(kept)
    _copy(chapter, notebook)
    return kept


def newer_chapter_note(chapter: course.Chapter) -> str | None:
    """What to tell a learner whose chapter has changed in the course since it was copied."""
    copied = _copied().get(chapter.name)
    if not copied or copied["sha256"] == _digest(chapter.student_notebook):
        return None
    return (
        f"Chapter {chapter.number} has changed in the course since you copied it ({copied['when'][:10]}). Yours "
        f"stays as it is; `circuits reset {chapter.number}` gives you the new one and keeps yours beside it."
    )


def open_jupyterlab(notebook: Path, options: list[str]) -> int:
    """Turns this process into JupyterLab, showing the notebook."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise CannotDo("JupyterLab is not installed here; run `bash setup.sh`")
    if os.name == "posix" and os.geteuid() == 0 and "--allow-root" not in options:
        options = ["--allow-root", *options]  # in a container everybody is root, and JupyterLab would refuse
    command = [sys.executable, "-m", "jupyterlab", str(notebook), *options]
    # so that `!circuits progress` in a notebook finds the command also where the environment is not activated
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    sys.stdout.flush()
    os.execve(sys.executable, command, {**os.environ, "PATH": path})


def _copy(chapter: course.Chapter, notebook: Path) -> None:
    paths.WORK.mkdir(parents=True, exist_ok=True)
    # An exclusive open: should the file have appeared meanwhile, it is somebody's work.
    with open(chapter.student_notebook, "rb") as shipped, open(notebook, "xb") as copy:
        shutil.copyfileobj(shipped, copy)
    copied = _copied()
    copied[chapter.name] = {"sha256": _digest(notebook), "when": time.strftime("%Y-%m-%dT%H:%M:%S")}
    write_atomically(paths.WORK / "copied.json", json.dumps(copied, indent=2) + "\n")


def _copied() -> dict[str, dict[str, str]]:
    """Which version of each chapter was copied when; empty where that is not known."""
    try:
        copied = json.loads((paths.WORK / "copied.json").read_text(encoding="utf-8"))
        return {name: {"sha256": fact["sha256"], "when": fact["when"]} for name, fact in copied.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _free_name(notebook: Path) -> Path:
    stem = f"{notebook.stem}.{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    names = [stem, *(f"{stem}_{count}" for count in range(2, 1000))]
    return next(path for name in names if not (path := notebook.with_name(f"{name}.ipynb")).exists())
