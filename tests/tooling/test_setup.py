"""setup.sh with a Python that only pretends: which steps it takes, and what it says when one fails."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from utils.paths import REPO

TOOLS = "awk bash cat cksum cp cut dirname grep head mkdir rm sed tail uname wc".split()

# Answers what setup.sh asks of a Python, and writes down what it would have installed.
PYTHON = """#!/bin/bash
version=$(cat "$FAKE/version")
case "$*" in
    *sys.exit*version_info*) case $version in 3.1[0-4].*) exit 0 ;; *) exit 1 ;; esac ;;
    *print*version_info*) echo "$version" ;;
    *base_executable*) echo "$FAKE/bin/python3" ;;
    "-m venv "*)
        if [ -f "$FAKE/venv_says" ]; then cat "$FAKE/venv_says"; exit 1; fi
        mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip "*)
        echo "$*" >>"$FAKE/pip_calls"
        if [ -f "$FAKE/pip_fails" ] && grep -q -f "$FAKE/pip_fails" <<<"$*"; then cat "$FAKE/pip_says"; exit 1; fi ;;
    *importlib.metadata*) exit 1 ;;
    "-m utils."*) echo "started: $*" ;;
esac
"""

PIP_WITHOUT_NETWORK = """\
WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3>: \
Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/einops/
ERROR: Could not find a version that satisfies the requirement einops==0.8.2 (from versions: none)
ERROR: No matching distribution found for einops==0.8.2
"""


class Clone:
    """A folder with setup.sh in it, on a computer that has only what the test gives it."""

    def __init__(self, folder: Path):
        self.fake = folder / "fake"
        self.repo = folder / "a clone"  # a folder's name may have a space
        self.bin = self.fake / "bin"
        self.bin.mkdir(parents=True)
        self.repo.mkdir()
        for name in ("setup.sh", "requirements.txt", "requirements-cluster.txt", "pyproject.toml"):
            shutil.copy(REPO / name, self.repo)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.computer_has("df", "echo header; echo disk 99999999 0 $(cat $FAKE/free_kilobytes) 1% /")
        self.python("3.11.7")
        self.free_gigabytes(50)

    def computer_has(self, name: str, script: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(script if script.startswith("#!") else f"#!/bin/bash\n{script}\n")
        (self.bin / name).chmod(0o755)

    def python(self, version: str) -> None:
        (self.fake / "version").write_text(version)
        self.computer_has("python3", PYTHON)

    def free_gigabytes(self, free: int) -> None:
        (self.fake / "free_kilobytes").write_text(str(free * 1024 * 1024))

    def pip_fails(self, *calls: str, says: str) -> None:
        (self.fake / "pip_fails").write_text("\n".join(calls))
        (self.fake / "pip_says").write_text(says)

    def pip_works(self) -> None:
        (self.fake / "pip_fails").unlink()

    def pip_calls(self) -> list[str]:
        """What pip was asked since the last look."""
        calls = self.fake / "pip_calls"
        said = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return said

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        environment = {"PATH": str(self.bin), "FAKE": str(self.fake), "HOME": str(self.fake)} | variables
        command = [str(self.bin / "bash"), str(self.repo / "setup.sh"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)

    def refusal(self, *arguments: str, **variables: str) -> str:
        """The one line of a run that gives up."""
        done = self.run(*arguments, **variables)
        assert done.returncode == 1, done
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("setup.sh: stopped at "), done.stderr
        assert "To do: " in lines[0]
        return lines[0]


@pytest.fixture
def clone(tmp_path):
    if sys.platform == "win32":
        pytest.skip("setup.sh needs bash")
    return Clone(tmp_path)


def test_a_first_run_installs_the_cpu_build_then_the_pins_then_the_course(clone):
    done = clone.run("--no-launch")
    assert done.returncode == 0, done
    probe, torch, pins, course = clone.pip_calls()
    assert "download --no-deps" in probe and "einops" in probe
    assert torch.endswith("+cpu")
    assert pins.endswith("-r requirements.txt")
    assert course.endswith("--no-deps --no-build-isolation -e .")
    assert "started:" not in done.stdout


def test_a_second_run_asks_pip_for_nothing_and_needs_no_network(clone):
    clone.run("--no-launch")
    clone.pip_calls()
    clone.pip_fails("pip", says=PIP_WITHOUT_NETWORK)
    done = clone.run("--no-launch")
    assert done.returncode == 0 and "is installed" in done.stdout
    assert clone.pip_calls() == []


def test_a_changed_pin_is_installed_into_the_same_environment(clone):
    clone.run("--no-launch")
    clone.pip_calls()
    (clone.repo / ".venv" / "own").touch()
    with open(clone.repo / "requirements.txt", "a") as requirements:
        requirements.write("another==1.0\n")
    assert clone.run("--no-launch").returncode == 0
    assert any(call.endswith("-r requirements.txt") for call in clone.pip_calls())
    assert (clone.repo / ".venv" / "own").exists()


def test_an_update_of_the_course_alone_needs_no_network(clone):
    clone.run("--no-launch")
    clone.pip_calls()
    with open(clone.repo / "pyproject.toml", "a") as project:
        project.write("# another option\n")
    clone.pip_fails("download", "-r requirements", says=PIP_WITHOUT_NETWORK)
    assert clone.run("--no-launch").returncode == 0
    (course,) = clone.pip_calls()
    assert course.endswith("-e .")


def test_changed_pins_without_a_network_leave_what_is_installed(clone):
    clone.run("--no-launch")
    with open(clone.repo / "requirements.txt", "a") as requirements:
        requirements.write("another==1.0\n")
    clone.pip_fails("download", says=PIP_WITHOUT_NETWORK)
    line = clone.refusal()
    assert "the network is away" in line and ".venv/bin/circuits learn" in line
    assert (clone.repo / ".venv" / "bin" / "python").exists()


def test_a_folder_that_was_moved_gets_a_new_environment(clone):
    clone.run("--no-launch")
    (clone.repo / ".venv" / "own").touch()
    clone.repo = clone.repo.rename(clone.repo.with_name("elsewhere"))
    assert clone.run("--no-launch").returncode == 0
    assert not (clone.repo / ".venv" / "own").exists()


def test_without_a_cpu_build_it_asks_pytorch_org_and_then_takes_the_standard_one(clone):
    clone.pip_fails("+cpu", says="ERROR: No matching distribution found for torch")
    done = clone.run("--no-launch")
    assert done.returncode == 0, done
    torch = [call for call in clone.pip_calls() if "torch==" in call]
    assert ["--index-url" in call for call in torch] == [False, True, False]
    assert "+cpu" not in torch[-1]


def test_with_an_nvidia_card_it_takes_the_standard_pytorch(clone):
    clone.computer_has("nvidia-smi", "echo 'GPU 0: NVIDIA'")
    assert clone.run("--no-launch").returncode == 0
    assert not any("+cpu" in call for call in clone.pip_calls())


def test_learn_is_the_default_and_passes_options_on(clone):
    assert "started: -m utils.cli learn\n" in clone.run().stdout
    assert "started: -m utils.cli learn 2 --no-browser\n" in clone.run("learn", "2", "--no-browser").stdout
    assert "started: -m utils.full_test\n" in clone.run("test").stdout


def test_before_the_tests_dask_is_installed_once_and_never_for_learners(clone):
    clone.run("--no-launch")
    assert not any("requirements-cluster.txt" in call for call in clone.pip_calls())
    clone.run("test")
    (dask,) = clone.pip_calls()
    assert dask.endswith("-r requirements-cluster.txt")
    clone.run("test")
    assert clone.pip_calls() == []


def test_without_a_network_the_tests_start_without_dask(clone):
    clone.run("--no-launch")
    clone.pip_fails("requirements-cluster", says=PIP_WITHOUT_NETWORK)
    done = clone.run("test")
    assert done.returncode == 0 and "skipped" in done.stdout and "started: -m utils.full_test" in done.stdout


def test_a_python_too_old_is_named_with_its_version(clone):
    clone.python("3.8.18")
    line = clone.refusal()
    assert "needs Python 3.10 to 3.14" in line and "python3 is 3.8.18" in line


def test_no_python_at_all_is_said(clone):
    (clone.bin / "python3").unlink()
    assert "there is none here" in clone.refusal()


def test_a_python_asked_for_by_name_is_not_replaced_by_another(clone):
    assert "PYTHON=/no/such/python is not a Python that runs" in clone.refusal(PYTHON="/no/such/python")


def test_a_newer_python_beside_an_old_one_is_found(clone):
    clone.computer_has("python3", "exit 1")
    clone.computer_has("python3.12", PYTHON)
    assert clone.run("--no-launch").returncode == 0


def test_a_disk_too_full_is_said_before_anything_is_made(clone):
    clone.free_gigabytes(2)
    line = clone.refusal()
    assert "2 GB are free" in line and "about 3 GB" in line
    assert not (clone.repo / ".venv").exists()


def test_cuda_needs_a_larger_disk(clone):
    clone.free_gigabytes(5)
    clone.computer_has("nvidia-smi", "echo 'GPU 0: NVIDIA'")
    assert "about 9 GB" in clone.refusal()


def test_a_network_that_is_away_is_said_and_the_next_run_goes_on(clone):
    clone.pip_fails("download", says=PIP_WITHOUT_NETWORK)
    assert "the network is away" in clone.refusal()
    assert len(clone.pip_calls()) == 1  # the one small package, and no long wait for large ones
    clone.pip_works()
    assert clone.run("--no-launch").returncode == 0


def test_the_network_lost_half_way_does_not_count_as_installed(clone):
    clone.pip_fails("-r requirements", says="ERROR: Exception: ReadTimeoutError: HTTPSConnectionPool: Read timed out.")
    assert "the network is away" in clone.refusal()
    assert not (clone.repo / ".venv" / "installed").exists()


@pytest.mark.parametrize(
    "says, expected",
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))", "certificate is not trusted"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no build for this computer"),
        ("something new\nERROR: the moon is in the way", "the moon is in the way"),
    ],
)
def test_a_failing_step_says_why(clone, says, expected):
    clone.pip_fails("-r requirements", says=says)
    line = clone.refusal()
    assert "installing the other packages" in line and expected in line


def test_a_python_without_venv_says_what_to_install(clone):
    (clone.fake / "venv_says").write_text("The virtual environment was not created because ensurepip is not available.")
    assert "apt install python3-venv" in clone.refusal()


def test_an_unknown_word_is_not_taken_for_a_chapter(clone):
    assert "there is no `tets`" in clone.refusal("tets")


def test_every_direct_dependency_is_pinned():
    from packaging.requirements import Requirement

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (REPO / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["author"]]
    for requirement in map(Requirement, wanted):
        versions = [next(iter(pin.specifier)).version for pin in pins if pin.name == requirement.name]
        assert versions, f"requirements.txt has no pin for {requirement.name}"
        assert all(version in requirement.specifier for version in versions), requirement


def test_setup_leaves_the_users_own_python_packages_out(clone):
    clone.computer_has(
        "python3", PYTHON.replace('case "$*" in', 'echo "[$PYTHONPATH]" >>"$FAKE/paths"\ncase "$*" in', 1)
    )
    clone.run("--no-launch", PYTHONPATH="/somewhere")
    assert set((clone.fake / "paths").read_text().split()) == {"[]"}


def test_what_setup_makes_is_ignored_by_git():
    if not (REPO / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git clone")
    made = [".venv/bin/python", "work/progress.json", "circuits_from_scratch.egg-info/PKG-INFO"]
    ignored = subprocess.run(["git", "check-ignore", *made], cwd=REPO, capture_output=True, text=True, env=os.environ)
    assert ignored.stdout.split() == made
