"""This file knows how to start a chapter again without losing what was there."""

from __future__ import annotations

import argparse

from utils import course, paths
from utils.learn import fresh_copy


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="circuits reset",
        description="Gives you a fresh copy of a chapter. Your old one is kept beside it, and so is your progress.",
    )
    parser.add_argument("chapter", help="number or name")
    chapter = course.chapter(parser.parse_args(argv).chapter)
    kept = fresh_copy(chapter)
    print(f"{paths.WORK / chapter.name}.ipynb is a fresh copy of chapter {chapter.number}.")
    if kept:
        print(f"Your old one is {kept}. If JupyterLab still shows it, choose File > Reload Notebook from Disk.")
    return 0
