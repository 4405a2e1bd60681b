"""Grading many submissions in processes of this machine: what becomes of each, whatever happens to a process."""

import concurrent.futures
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from utils import course
from utils.grading import batch, version
from utils.grading.batch import Outcome, drain, grade_here
from utils.grading.imports import imported_modules
from utils.grading.records import Conditions
from utils.grading.tasks import Task
from utils.grading.version import checker_version
from utils.paths import REPO
from utils.refusal import CannotDo


@pytest.fixture(scope="module")
def grade_one():
    """Imported here, because the processes of these tests import this file and most of them need no PyTorch."""
    from utils.grading import grade_one

    yield grade_one
    grade_one.close_grader()


def tasks_of(chapter, files, **facts):
    """One task for each (learner, text of a .py file)."""
    conditions = Conditions(checker_version(chapter))
    for learner, text in files.items():
        content = text.encode()
        name = f"{learner}.py"
        yield Task(learner, chapter, chapter.exercises, name, f"hash of {learner}", content, conditions, **facts)


def solution(chapter):
    return chapter.source.read_text()


def stub(chapter):
    return "import torch\ndef centre(x):\n    raise NotImplementedError('1.1 centre: take each row\\'s mean away')\n"


def wrong(chapter):
    return solution(chapter).replace("return x - loss", "print('adding')\n    return x + loss")


def test_the_parent_of_the_workers_ends_quietly_when_the_grader_is_gone_before_it_answers(tmp_path):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    options = {"own_processes": False, "memory": 2.0, "seconds": 100, "device": "cpu", "modules": []}
    command = [sys.executable, "-m", "utils.grading.zygote", str(theirs.fileno()), json.dumps(options)]
    surroundings = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(REPO)}
    parent = subprocess.Popen(
        command, pass_fds=[theirs.fileno()], env=surroundings, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    theirs.close()
    assert ours.recv(4096)
    end, _ = socket.socketpair()
    os.kill(parent.pid, signal.SIGSTOP)  # so that it answers when nobody listens any more
    socket.send_fds(ours, [b'{"ask": "fork"}'], [end.fileno()])
    ours.close()
    os.kill(parent.pid, signal.SIGCONT)
    assert parent.communicate(timeout=60)[1] == "" and parent.returncode == 0


# ── One submission ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def graded(tiny_of_module, grade_one):
    """The records of some submissions, by learner and exercise."""
    files = {"right": solution(tiny_of_module), "stub": stub(tiny_of_module), "wrong": wrong(tiny_of_module)}
    files |= {"broken": "def centre(x:\n", "empty": ""}
    tasks = tasks_of(tiny_of_module, files)
    return {(one.key.learner, one.key.exercise): one for task in tasks for one in grade_one.grade_task(task)}


def test_right_code_passes_and_a_stub_is_not_written(graded):
    assert [graded["right", number].state for number in ("1.1", "1.2")] == ["passed", "passed"]
    assert graded["stub", "1.1"].state == "unwritten" and graded["stub", "1.2"].state == "failed"
    assert all(test.passed and test.seconds > 0 for test in graded["right", "1.1"].tests)


def test_a_mistake_is_named_with_what_the_card_would_say(graded):
    record = graded["wrong", "1.1"]
    assert record.mistake == {"name": "mean added", "sentence": "the mean is added: subtract it"}
    assert [(test.test, test.passed) for test in record.tests] == [
        ("test_every_row_sums_to_zero", False),
        ("test_differences_within_a_row_stay", True),
    ]
    assert record.first_failure.rule == "every row sums to 0" and record.printed.startswith("adding\n")
    assert graded["wrong", "1.2"].broken_below == ["centre (1.1)"]


def test_a_file_that_defines_nothing_or_cannot_be_read_fails_with_its_reason(graded):
    assert "syntax error in broken.py, line 1" in graded["broken", "1.1"].first_failure.seen
    assert "not defined" in graded["empty", "1.2"].first_failure.seen
    assert {graded["empty", number].state for number in ("1.1", "1.2")} == {"failed"}


def test_every_record_says_under_which_level_and_conditions_it_was_made(graded):
    for (learner, number), record in graded.items():
        assert record.sandbox and record.graded.endswith("Z")
        assert (record.key.learner, record.key.exercise) == (learner, number)
        assert record.key.sha256 == f"hash of {learner}"


def test_an_exercise_takes_as_long_as_its_own_tests(graded):
    for record in graded.values():
        assert record.seconds == pytest.approx(sum(test.seconds for test in record.tests), abs=1e-3)


def test_a_notebook_that_is_none_is_unreadable(tiny_of_module, grade_one):
    conditions = Conditions(checker_version(tiny_of_module))
    for content in (b"{", b"\xff\xfe", b"[]", b"null"):
        task = Task("ada", tiny_of_module, tiny_of_module.exercises, "01_tiny.ipynb", "", content, conditions)
        records = grade_one.grade_task(task)
        assert [record.state for record in records] == ["unreadable", "unreadable"]
        assert "01_tiny.ipynb" in records[0].first_failure.seen


def test_other_checkers_on_the_machine_that_grades_are_refused(tiny_of_module, grade_one):
    task = Task("ada", tiny_of_module, tiny_of_module.exercises, "a.py", "", b"", Conditions("an older one"))
    with pytest.raises(grade_one.OtherVersion):
        grade_one.grade_task(task)


@pytest.mark.parametrize(
    "name", ["../../escape.py", "/etc/passwd.py", "a\x00b.py", "x" * 400 + ".py", ".py", "\udcff.py"]
)
def test_a_files_name_never_leaves_its_folder(tiny_of_module, grade_one, name):
    conditions = Conditions(checker_version(tiny_of_module))
    task = Task(
        "ada", tiny_of_module, tiny_of_module.exercises[:1], name, "", solution(tiny_of_module).encode(), conditions
    )
    (record,) = grade_one.grade_task(task)
    assert record.state == "passed"


def test_the_version_changes_with_the_checkers(tiny):
    before = checker_version(tiny)
    assert len(before) == 12
    tiny.checker.write_text(tiny.checker.read_text() + "\n# a comment\n")
    version._version.cache_clear()
    assert checker_version(tiny) != before


def test_what_a_run_needs_imported_is_what_its_chapters_import():
    first, second = (imported_modules([course.chapter(number)]) for number in (1, 2))
    assert {"torch", "einops", "utils.models.course_transformer"} <= set(first) & set(second)
    assert "transformer_lens" in second and not any(name.startswith("transformer_lens") for name in first)
    assert not any(name.startswith("utils.plots") for name in first + second)
    assert imported_modules(course.chapters()) == sorted({*imported_modules(course.chapters()[2:]), *first, *second})


def test_a_worker_finds_imported_what_its_run_needs(tiny_of_module, grade_one):
    text = solution(tiny_of_module).replace("import torch\n", "import sys\nimport torch\n", 1)
    text = text.replace(
        "    return x - loss", "    if 'wave' not in sys.modules:\n        return x\n    return x - loss"
    )
    states = {}
    for modules in ((), ("wave",)):
        (task,) = tasks_of(tiny_of_module, {"ada": text}, modules=modules)
        states[modules] = {record.state for record in grade_one.grade_task(task)}
    assert states[()] != {"passed"} and states["wave",] == {"passed"}


def test_the_process_that_hands_out_submissions_does_without_pytorch():
    script = "import sys, utils.grading.command; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


# ── Many ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("life", [100, 2])
def test_processes_grade_every_submission_once(tiny_of_module, monkeypatch, life):
    monkeypatch.setattr(batch, "LIFE", life)
    texts = [solution(tiny_of_module), wrong(tiny_of_module), stub(tiny_of_module)]
    files = {f"learner{number}": texts[number % 3] for number in range(9)}
    outcomes = list(grade_here(tasks_of(tiny_of_module, files), jobs=2))
    assert Counter(outcome.task.learner for outcome in outcomes) == Counter(list(files))
    assert not any(outcome.error for outcome in outcomes)
    states = {outcome.task.learner: [record.state for record in outcome.records] for outcome in outcomes}
    assert states["learner0"] == ["passed", "passed"] and states["learner1"] == ["failed", "failed"]


def dies(folder: str, learner: str) -> list:
    """Ends the process: always, or the first time that it is asked."""
    mark = Path(folder) / learner
    if learner.startswith("deadly") or learner.startswith("once") and not mark.exists():
        mark.touch()
        os._exit(9)
    if learner == "raises":
        raise ValueError("of no\nuse")
    if learner == "sleeps":
        time.sleep(60)
    return [learner]


def test_a_process_that_dies_costs_only_the_submission_that_killed_it_and_only_the_second_time(tiny, tmp_path):
    pebble = pytest.importorskip("pebble")
    names = ["ada", "deadly", "ben", "once", "raises", "sleeps", "cho"]
    spawn = multiprocessing.get_context("spawn")
    with pebble.ProcessPool(max_workers=2, context=spawn) as pool:
        outcomes = drain(
            lambda task: pool.schedule(
                dies, args=[str(tmp_path), task.learner], timeout=3 if task.learner == "sleeps" else 60
            ),
            lambda waiting: concurrent.futures.wait(waiting, return_when="FIRST_COMPLETED").done,
            tasks_of(tiny, dict.fromkeys(names, "")),
            ahead=lambda: 3,
        )
        became = {outcome.task.learner: outcome for outcome in outcomes}
    assert set(became) == set(names)
    assert {name: one.records for name, one in became.items() if not one.error} == {
        name: [name] for name in ("ada", "ben", "once", "cho")
    }
    assert became["deadly"].error == "the grader's own process died on it"
    assert became["sleeps"].error == "the grader's own process did not answer in time"
    assert became["raises"].error == "ValueError: of no use"


class Immediately:
    """Stands for a pool that does at once what it is given."""

    def __init__(self):
        self.given, self.most = 0, 0

    def submit(self, task):
        self.given += 1
        future = concurrent.futures.Future()
        future.set_result([task.learner])
        return future


def test_only_so_many_submissions_are_held_at_once(tiny):
    pool, taken = Immediately(), []

    def tasks():
        for task in tasks_of(tiny, {f"learner{number}": "" for number in range(20)}):
            taken.append(task.learner)
            yield task

    outcomes = drain(pool.submit, lambda waiting: list(waiting)[:1], tasks(), ahead=lambda: 4)
    for done, outcome in enumerate(outcomes, start=1):
        assert isinstance(outcome, Outcome) and len(taken) - done < 4
    assert pool.given == 20


def test_what_no_submission_could_change_stops_the_run(tiny):
    def refuses(task):
        future = concurrent.futures.Future()
        future.set_exception(CannotDo("bubblewrap is not installed"))
        return future

    with pytest.raises(CannotDo, match="bubblewrap"):
        list(drain(refuses, list, tasks_of(tiny, {"ada": ""}), ahead=lambda: 1))


def test_without_dask_a_cluster_is_refused_in_one_line(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(CannotDo, match="requirements-cluster.txt"):
        list(batch.grade_on_cluster(tasks_of(tiny, {"ada": ""}), "tcp://127.0.0.1:1"))
