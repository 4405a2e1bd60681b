"""This file knows how to look at a computer and say what of the course works on it."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from utils.paths import REPO, WEIGHTS, WORK

OK, MISSING, OPTIONAL, NOTE = "ok", "missing", "optional", "note"
SET_UP = "run `bash setup.sh --no-launch`"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Finding:
    what: str
    state: str  # OK; MISSING: the course does not work without it; OPTIONAL: some part does not; NOTE: worth knowing
    says: str
    do: str = ""


def main(argv: list[str]) -> int:
    argparse.ArgumentParser(
        prog="circuits doctor",
        description="Says what is installed, and what to do about what is missing.",
        epilog="Ends with status 1 when the course cannot run here.",
    ).parse_args(argv)
    findings = examine()
    show(findings)
    return int(any(finding.state == MISSING for finding in findings))


def examine() -> list[Finding]:
    looks = (python, packages, device, jupyterlab, shipped_models, gpt2, own_work, disk, sandbox, browser)
    return [finding for look in looks for finding in look()]


def show(findings: list[Finding]) -> None:
    width = max(len(finding.what) for finding in findings)
    for one in findings:
        print(f"{one.state:<8}  {one.what:<{width}}  {one.says}")
        if one.do:
            print(f"{'':<8}  {'':<{width}}  → {one.do}")
    missing = sum(finding.state == MISSING for finding in findings)
    print(f"\n{missing} missing: the course does not work yet." if missing else "\nThe course can run here.")


# ── What the course needs ─────────────────────────────────────────────────────────────────────────────────────────


def python() -> list[Finding]:
    return [Finding("Python", OK, f"{platform.python_version()} in {sys.prefix}, on {platform.platform(terse=True)}")]


def packages() -> list[Finding]:
    """One finding for the set, and one for each package that is missing or another version than was tested."""
    pins = pinned(REPO / "requirements.txt")
    found = {name: installed_version(name) for name in pins}
    missing = [name for name in pins if found[name] is None]
    # 2.13.0+cpu is a build of 2.13.0.
    other = [name for name in pins if found[name] and found[name].split("+")[0] != pins[name]]
    right = len(pins) - len(missing) - len(other)
    findings = [Finding("packages", MISSING if missing else OK, f"{right} of {len(pins)} as tested")]
    findings += [Finding(name, MISSING, f"is not installed (tested: {pins[name]})", SET_UP) for name in missing]
    findings += [Finding(name, NOTE, f"is {found[name]}; the course was tested with {pins[name]}") for name in other]
    return findings


def pinned(requirements: Path) -> dict[str, str]:
    """The versions in a requirements file that are meant for this Python."""
    pins = {}
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)(?: *; *(.*))?$", line):
            name, version, marker = match.groups()
            if applies(marker):
                pins[name] = version
    return pins


def applies(marker: str | None) -> bool:
    if not marker:
        return True
    if importlib.util.find_spec("packaging") is None:
        return False  # hardly anything is installed, which the other lines say loudly enough
    from packaging.markers import Marker

    return Marker(marker).evaluate()


def installed_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def device() -> list[Finding]:
    if importlib.util.find_spec("torch") is None:
        return [Finding("device", MISSING, "PyTorch is not installed", SET_UP)]
    try:
        import torch
    except Exception as error:  # a broken build fails in many ways, all of them worth showing
        return [Finding("device", MISSING, f"PyTorch does not start: {error}", f"remove .venv and {SET_UP}")]
    cores = f"{os.cpu_count()} CPU cores, {torch.get_num_threads()} used"
    try:
        from utils.models.device import device as chosen
    except ValueError as error:
        return [Finding("device", MISSING, str(error), "unset CIRCUITS_DEVICE, which asks for it")]
    if chosen.type == "cuda":
        return [Finding("device", OK, f"{chosen}: {torch.cuda.get_device_name(chosen)}; {cores}")]
    findings = [Finding("device", OK, f"{chosen}: {cores}; chapter 1 needs no more")]
    if torch.backends.mps.is_available() and chosen.type == "cpu":
        findings.append(Finding("GPU", NOTE, "Apple's is used where asked for: CIRCUITS_DEVICE=mps"))
    if nvidia_card():
        do = "remove .venv and run `bash setup.sh` again with the driver working, or leave it: chapter 1 needs no GPU"
        findings.append(Finding("GPU", NOTE, f"{nvidia_card()} is there, but this PyTorch cannot use it", do))
    return findings


def nvidia_card() -> str:
    listed = output_of("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return listed.splitlines()[0] if listed else ""


def jupyterlab() -> list[Finding]:
    version = installed_version("jupyterlab")
    if version is None:
        return [Finding("JupyterLab", MISSING, "is not installed", SET_UP)]
    return [Finding("JupyterLab", OK, version)]


def shipped_models() -> list[Finding]:
    folders = sorted(path.parent for path in WEIGHTS.glob("*/config.json"))
    if not folders:
        do = "the clone is not complete: `git status` in the course's folder shows what is gone"
        return [Finding("models", MISSING, f"none in {WEIGHTS}", do)]
    return [Finding(f"model {folder.name}", OK, f"ships with the course, {megabytes(folder)}") for folder in folders]


def megabytes(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.1f} MB"


def own_work() -> list[Finding]:
    folder = WORK if WORK.exists() else WORK.parent
    if not os.access(folder, os.W_OK):
        return [Finding("your work", MISSING, f"{folder} cannot be written", "set CIRCUITS_WORK to a folder of yours")]
    return [Finding("your work", OK, str(WORK) + ("" if WORK.exists() else " (made by `circuits learn`)"))]


def disk() -> list[Finding]:
    free = shutil.disk_usage(REPO).free / 1e9
    if free < 0.1:
        return [Finding("disk", MISSING, f"{free * 1000:.0f} MB free", "make room: notebooks cannot be saved soon")]
    return [Finding("disk", OK if free > 1 else NOTE, f"{free:.1f} GB free")]


# ── What single parts of it need ──────────────────────────────────────────────────────────────────────────────────


def gpt2() -> list[Finding]:
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    folders = [path for name in ("openai-community--gpt2", "gpt2") for path in [hub / f"models--{name}"]]
    weights = [path for folder in folders for path in folder.glob("snapshots/*/*.safetensors")]
    if weights:
        return [Finding("model gpt2", OK, f"downloaded to {hub}")]
    do = 'for a larger model, set MODEL = "gpt2" in a notebook; it is downloaded once (about 550 MB)'
    return [Finding("model gpt2", OPTIONAL, "not downloaded; no default path needs it", do)]


def sandbox() -> list[Finding]:
    """What would stand between a submission that nobody trusts and this computer."""
    if platform.system() != "Linux":
        do = "grade in a Linux container or virtual machine"
        return [Finding("sandbox", OPTIONAL, f"{platform.system()} has none that a grader could use", do)]
    from utils.grading.limits import filter_program
    from utils.grading.sandbox import no_bubblewrap

    why = no_bubblewrap()
    if why:
        do = "graders: install bubblewrap (`sudo apt install bubblewrap`); where it is, allow unprivileged user namespaces"
        return [Finding("sandbox", OPTIONAL, why, do)]
    lacks = "; without libseccomp (`sudo apt install libseccomp2`) system calls are not filtered"
    calls = "" if filter_program() else lacks
    return [Finding("sandbox", OK, f"{output_of('bwrap', '--version')} works: no network, read-only files{calls}")]


def browser() -> list[Finding]:
    """What the test that drives the real page needs."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        return [Finding("Chromium", OPTIONAL, "not found", "authors: `sudo apt install chromium` for the browser test")]
    if importlib.util.find_spec("playwright") is None:
        return [Finding("Chromium", OPTIONAL, f"{path}, but playwright is not installed", f"authors: {SET_UP}")]
    return [Finding("Chromium", OK, path)]


def output_of(*command: str) -> str:
    """What a command prints, or nothing where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
