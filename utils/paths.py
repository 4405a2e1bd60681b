"""This file knows how to find the folders of the repository."""

import os
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
CHAPTERS = REPO / "chapters"
SOLUTIONS = REPO / "solutions"
TESTS = REPO / "tests"
WEIGHTS = REPO / "utils" / "models" / "weights"

# The learner's own notebooks and progress: outside git, and movable, so that a build or a test does not touch them.
WORK = Path(os.environ.get("CIRCUITS_WORK") or REPO / "work").expanduser().resolve()
