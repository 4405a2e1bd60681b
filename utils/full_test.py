"""This file knows how to run every test that the repository has, and to add up what they say."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from utils.model_list import shipped
from utils.paths import REPO, SOLUTIONS, TESTS

CELL_SECONDS = 300
CHECKERS_PROVEN = "tests/tooling/test_checkers.py"


@dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)


def main(argv: list[str] | None = None) -> int:
    """Runs the parts, two at once where there are two cores; status 1 when anything failed."""
    parser = argparse.ArgumentParser(prog="bash setup.sh test", description="Runs every test of the course.")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part, to run it alone; may be repeated")
    parser.add_argument(
        "--at-once", type=int, default=min(2, os.cpu_count() or 1), metavar="N", help="parts side by side"
    )
    options = parser.parse_args(argv)
    chosen = options.only or list(PARTS)
    at_once = max(1, min(options.at_once, len(chosen)))

    outcomes = {}
    with tempfile.TemporaryDirectory(prefix="circuits-test-") as folder, ThreadPoolExecutor(at_once) as lanes:
        started = [lanes.submit(run_part, name, Path(folder) / name.replace(" ", "_"), at_once) for name in chosen]
        for future in as_completed(started):
            name, outcomes[name] = future.result()
    print("\n" + summary({name: outcomes[name] for name in chosen}))
    return int(any(outcome.failed for outcome in outcomes.values()))


def run_part(name: str, folder: Path, at_once: int) -> tuple[str, Outcome]:
    """Runs one part in a folder of its own. Beside others it is quiet, and what it said is shown when it ends."""
    folder.mkdir()
    heading = f"\n── {name} " + "─" * (100 - len(name))
    start = time.monotonic()
    if at_once == 1:
        print(heading, flush=True)
        outcome = PARTS[name](Room(folder))
    else:
        print(f"{name} ...", flush=True)
        with open(folder / "said", "w+", encoding="utf-8") as said:
            threads = max(1, (os.cpu_count() or 1) // at_once)
            outcome = PARTS[name](Room(folder, said, {"OMP_NUM_THREADS": str(threads)}))
            said.seek(0)
            print(f"{heading}\n{said.read().rstrip()}", flush=True)
    outcome.seconds = time.monotonic() - start
    return name, outcome


@dataclass
class Room:
    """Where a part runs: a folder for what it leaves, a file for what it says (the screen if none), and its environment."""

    folder: Path
    said: TextIO | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def call(self, *command: str) -> int:
        """The exit status of a command of this Python."""
        return subprocess.call(
            [sys.executable, "-m", *command], cwd=REPO, env=self.environment, stdout=self.said, stderr=self.said
        )

    @property
    def environment(self) -> dict[str, str]:
        """No network, and nobody's own notebooks and progress."""
        own = {"HF_HUB_OFFLINE": "1", "CIRCUITS_WORK": str(self.folder / "work")}
        return self.extra | dict(os.environ) | own

    def say(self, text: str) -> None:
        print(text, file=self.said or sys.stdout, flush=True)


def run_tooling(room: Room) -> Outcome:
    return pytest(room, "-rs", "tests/tooling", "tests/browser", f"--ignore={CHECKERS_PROVEN}")


def prove_checkers(room: Room) -> Outcome:
    """Every checker against solutions, stubs, named mistakes and right answers."""
    checkers = sorted(str(path.relative_to(REPO)) for path in TESTS.glob("test_*.py"))
    return pytest(room, "-rs", *checkers, CHECKERS_PROVEN)


def check_build(room: Room) -> Outcome:
    return Outcome(failed=1) if room.call("utils.cli", "build", "--check") else Outcome(passed=1)


def run_solution_notebooks(room: Room) -> Outcome:
    notebooks = sorted(str(path.relative_to(REPO)) for path in SOLUTIONS.glob("*.ipynb"))
    if not notebooks:
        room.say("there is no solution notebook: run `circuits build`")
        return Outcome(failed=1)
    return pytest(room, "--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_SECONDS}", *notebooks)


def measure_models(room: Room) -> Outcome:
    """Every model and sparse autoencoder that ships can do what its card says."""
    outcome = Outcome()
    for command in [*(["utils.cli", "models", "measure", name] for name in shipped()), ["utils.saes.measure"]]:
        outcome += Outcome(failed=1) if room.call(*command) else Outcome(passed=1)
    return outcome


# the longest first, so that two lanes end at about the same time
PARTS: dict[str, Callable[[Room], Outcome]] = {
    "checkers": prove_checkers,
    "solution notebooks": run_solution_notebooks,
    "tests of utils": run_tooling,
    "cards of the models": measure_models,
    "notebooks as built": check_build,
}


def pytest(room: Room, *options: str) -> Outcome:
    report = room.folder / "report.xml"
    status = room.call("pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *options)
    outcome = counted(report)
    if status and not outcome.failed:
        outcome.failed = 1  # pytest itself could not go on: no tests found, or an error before the first
    return outcome


def counted(report: Path) -> Outcome:
    """What a JUnit report says; a report that is missing counts as nothing."""
    if not report.exists():
        return Outcome()
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    outcome = Outcome()
    for facts in (suite.attrib for suite in suites):
        failed, skipped = int(facts["failures"]) + int(facts["errors"]), int(facts["skipped"])
        outcome.failed += failed
        outcome.skipped += skipped
        outcome.passed += int(facts["tests"]) - failed - skipped
    return outcome


def summary(outcomes: dict[str, Outcome]) -> str:
    width = max(map(len, outcomes))
    lines = [f"{'':{width}}  passed  failed  skipped  seconds"]
    for name, one in outcomes.items():
        lines.append(f"{name:{width}}  {one.passed:6}  {one.failed:6}  {one.skipped:7}  {one.seconds:7.1f}")
    totals = {kind: sum(getattr(one, kind) for one in outcomes.values()) for kind in ("passed", "failed", "skipped")}
    lines.append(", ".join(f"{total} {kind}" for kind, total in totals.items()))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
