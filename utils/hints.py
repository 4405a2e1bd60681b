"""This file knows how to give the hints of an exercise one at a time."""

from __future__ import annotations

import argparse

from utils import course
from utils.progress import load, record_hint


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="circuits hint", description="Shows the next hint for an exercise, after those already seen."
    )
    parser.add_argument("exercise", help="its number, such as 1.4, or the name of what you write in it")
    wanted = parser.parse_args(argv).exercise
    exercise = course.exercise(wanted) if wanted[:1].isdigit() else course.exercise_of(wanted)
    seen = next_hints(exercise)
    print(f"{exercise.number} {exercise.title}")
    for count, hint in enumerate(seen, start=1):
        print(f"  hint {count} of {len(exercise.hints)}: {hint}")
    if not exercise.hints:
        print("  This exercise has no hints.")
    return 0


def next_hints(exercise: course.Exercise) -> list[str]:
    """The hints seen so far and one more, which from now on counts as seen."""
    shown = min(load().get(exercise.number, {}).get("hints", 0) + 1, len(exercise.hints))
    record_hint(exercise.number, shown)
    return exercise.hints[:shown]
