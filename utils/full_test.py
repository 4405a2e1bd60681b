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
from dataclasses import dataclass
from pathlib import Path

from utils.model_list import shipped
from utils.paths import REPO, SOLUTIONS

CELL_SECONDS = 300


@dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)


def main(argv: list[str] | None = None) -> int:
    """Runs the parts one after the other; status 1 when anything failed."""
    parser = argparse.ArgumentParser(prog="bash setup.sh test", description="Runs every test of the course.")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part, to run it alone; may be repeated")
    chosen = parser.parse_args(argv).only or list(PARTS)

    outcomes = {}
    with tempfile.TemporaryDirectory(prefix="circuits-test-") as folder:
        for name in chosen:
            print(f"\n── {name} " + "─" * (100 - len(name)), flush=True)
            start = time.monotonic()
            outcomes[name] = PARTS[name](Path(folder))
            outcomes[name].seconds = time.monotonic() - start
    print("\n" + summary(outcomes))
    return int(any(outcome.failed for outcome in outcomes.values()))


def run_tests(folder: Path) -> Outcome:
    return pytest(folder, "-rs")


def check_build(folder: Path) -> Outcome:
    status = subprocess.call([sys.executable, "-m", "utils.cli", "build", "--check"], cwd=REPO, env=environment(folder))
    return Outcome(failed=1) if status else Outcome(passed=1)


def run_solution_notebooks(folder: Path) -> Outcome:
    notebooks = sorted(str(path.relative_to(REPO)) for path in SOLUTIONS.glob("*.ipynb"))
    if not notebooks:
        print("there is no solution notebook: run `circuits build`")
        return Outcome(failed=1)
    return pytest(folder, "--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_SECONDS}", *notebooks)


def measure_models(folder: Path) -> Outcome:
    """Every model and sparse autoencoder that ships can do what its card says."""
    outcome = Outcome()
    for command in [*(["utils.cli", "models", "measure", name] for name in shipped()), ["utils.saes.measure"]]:
        status = subprocess.call([sys.executable, "-m", *command], cwd=REPO, env=environment(folder))
        outcome += Outcome(failed=1) if status else Outcome(passed=1)
    return outcome


PARTS: dict[str, Callable[[Path], Outcome]] = {
    "tests": run_tests,
    "notebooks as built": check_build,
    "solution notebooks": run_solution_notebooks,
    "cards of the models": measure_models,
}


def pytest(folder: Path, *options: str) -> Outcome:
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *options]
    status = subprocess.call(command, cwd=REPO, env=environment(folder))
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


def environment(folder: Path) -> dict[str, str]:
    """No network, and nobody's own notebooks and progress."""
    return os.environ | {"HF_HUB_OFFLINE": "1", "CIRCUITS_WORK": str(folder / "work")}


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
