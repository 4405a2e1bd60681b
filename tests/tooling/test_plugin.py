"""Plain pytest as a checker: `pytest tests/test_NN_name.py --submission PATH`."""

import subprocess
import sys

import pytest

from utils import course
from utils.paths import REPO

WRONG = """
import torch

def attention_pattern(q, k):
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    past = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril(-1)
    return scores.masked_fill(past, -torch.inf).softmax(-1)

loss = 1 / 0  # never run
"""


def run_pytest(*options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(course.chapter(1).checker), *options]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True)


def test_a_wrong_submission_is_told_in_words_and_its_mistake_is_named(tmp_path):
    (tmp_path / "hers.py").write_text(WRONG)
    outcome = run_pytest("--submission", str(tmp_path / "hers.py"), "-k", "later_key")
    assert outcome.returncode == 1
    assert "the rule: " in outcome.stdout and "look at: " in outcome.stdout
    assert "hers.py: attention_pattern: mask transposed" in outcome.stdout
    assert "Traceback" not in outcome.stdout and "site-packages" not in outcome.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--submission", "nowhere.ipynb"], "there is no file nowhere.ipynb"),
        (["--device", "quantum"], "device 'quantum' cannot be used here"),
    ],
)
def test_what_cannot_be_checked_is_a_usage_error_in_one_line(options, words):
    outcome = run_pytest(*options)
    assert outcome.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in outcome.stderr and "Traceback" not in outcome.stderr
