"""`circuits grade` from end to end, on a tiny chapter and, where it is killed, on the first exercise of chapter 1."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from utils import cli, course, paths
from utils.grading.records import FILE

LEARNERS = ("ada", "ben", "cho", "dan")


@pytest.fixture(scope="module")
def submissions(tiny_of_module, tmp_path_factory):
    """A folder with right code, a mistake, a syntax error and something that is no notebook."""
    folder = tmp_path_factory.mktemp("submissions")
    source = tiny_of_module.source.read_text()
    (folder / "ada").mkdir()
    (folder / "ada" / "01_tiny.py").write_text(source)
    (folder / "ben_01_tiny.py").write_text(source.replace("return x - loss", "return x + loss"))
    (folder / "cho").mkdir()
    (folder / "cho" / "chapter1.ipynb").write_text('{"cells": [')
    (folder / "dan").mkdir()
    (folder / "dan" / "report.pdf").write_text("no code")
    return folder


@pytest.fixture(autouse=True)
def course_of_one(tiny_of_module, monkeypatch):
    monkeypatch.setattr(course, "chapters", lambda *, root=None: [tiny_of_module])


@pytest.fixture(scope="module")
def graded(tiny_of_module, submissions, tmp_path_factory):
    """The folder that one run wrote, and its exit status."""
    out = tmp_path_factory.mktemp("grades")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "chapters", lambda *, root=None: [tiny_of_module])
        formats = "html,csv,junit,nbgrader,gradescope"
        return out, cli.main(["grade", str(submissions), "--out", str(out), "--jobs", "1", "--format", formats])


def lines(out):
    return [json.loads(line) for line in (out / FILE).read_text().splitlines()]


def test_a_class_is_graded_and_what_its_members_did_wrong_is_no_failure_of_the_run(graded):
    out, status = graded
    assert status == 0
    states = {(one["key"]["learner"], one["key"]["exercise"]): one["state"] for one in lines(out)}
    assert states == {
        ("ada", "1.1"): "passed",
        ("ada", "1.2"): "passed",
        ("ben", "1.1"): "failed",
        ("ben", "1.2"): "failed",
        ("cho", "1.1"): "unreadable",
        ("cho", "1.2"): "unreadable",
    }


def test_everything_asked_for_is_written_and_nothing_half_done_is_left(graded):
    out, _ = graded
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == {
        FILE,
        "class.html",
        "grades.csv",
        "junit.xml",
        "nbgrader.csv",
        *(f"learners/{name}.html" for name in LEARNERS),
        *(f"gradescope/{name}.json" for name in LEARNERS),
    }
    assert "the mean is added: subtract it" in (out / "learners" / "ben.html").read_text()
    assert "is not a Jupyter notebook" in (out / "learners" / "cho.html").read_text()


def test_a_run_that_resumes_grades_nothing_again_and_writes_other_formats(graded, submissions, tmp_path, capsys):
    out, _ = graded
    before = (out / FILE).read_bytes()
    (tmp_path / "weights").write_text("1.1 = 10\n")
    again = ["grade", str(submissions), "--out", str(out), "--resume", "--format", "csv"]
    assert cli.main([*again, "--weights", str(tmp_path / "weights")]) == 0
    assert (out / FILE).read_bytes() == before
    rows = {row[0]: row for row in csv.reader((out / "grades.csv").read_text().splitlines())}
    assert rows["ada"][-1] == rows["points possible"][-1] == "12" and rows["cho"][-1] == "0"
    said = capsys.readouterr()
    assert "ada" in said.out and "2 of 2" in said.out and "seed" in said.out and "sandbox: " in said.out
    assert "dan: not graded: no notebook or Python file; there is report.pdf" in said.out


def test_without_resume_an_earlier_run_is_never_overwritten(graded, submissions, capsys):
    out, _ = graded
    before = (out / FILE).read_bytes()
    assert cli.main(["grade", str(submissions), "--out", str(out)]) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert (out / FILE).read_bytes() == before


def test_a_run_in_which_something_could_not_be_graded_ends_with_status_1(graded, submissions, tmp_path, monkeypatch):
    from utils.grading import batch

    monkeypatch.setattr(
        batch, "grade_here", lambda tasks, jobs, device: (batch.Outcome(task, [], "the process died") for task in tasks)
    )
    assert cli.main(["grade", str(submissions), "--out", str(tmp_path / "out")]) == 1
    assert "not graded: the process died" in (tmp_path / "out" / "learners" / "ada.html").read_text()
    assert (tmp_path / "out" / FILE).read_text() == ""


def test_one_exercise_alone_may_be_asked_for(submissions, tmp_path, monkeypatch):
    from utils.grading import batch

    asked = []
    monkeypatch.setattr(batch, "grade_here", lambda tasks, jobs, device: asked.extend(tasks) or [])
    assert cli.main(["grade", str(submissions), "--out", str(tmp_path), "--exercise", "1.2", "--seed", "5"]) == 0
    assert [[one.number for one in task.exercises] for task in asked] == [["1.2"]] * 3
    assert {task.conditions.seed for task in asked} == {5}


def test_a_seed_is_drawn_where_none_is_given_and_kept_when_a_run_resumes(submissions, tmp_path, monkeypatch):
    from test_grade_records import record

    from utils.grading import batch
    from utils.grading.records import RecordFile

    seeds = set()
    monkeypatch.setattr(
        batch, "grade_here", lambda tasks, jobs, device: seeds.update(task.conditions.seed for task in tasks) or []
    )
    for name in ("a", "b", "c"):
        cli.main(["grade", str(submissions), "--out", str(tmp_path / name)])
    assert len(seeds) == 3
    with RecordFile(tmp_path / "d") as file:
        file.append([record()])  # made with seed 7
    seeds.clear()
    cli.main(["grade", str(submissions), "--out", str(tmp_path / "d"), "--resume"])
    assert seeds == {7}


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--format", "pdf"], "there is no format 'pdf'"),
        (["--format", "canvas"], "--format canvas=FILE needs the gradebook"),
        (["--format", "canvas=nowhere.csv"], "there is no gradebook nowhere.csv"),
        (["--format", "html=x"], "takes no file"),
        (["--column", "one=A"], "give a chapter and the head of its column"),
        (["--column", "8=A"], "there is no chapter '8'"),
        (["--column", "1=A"], "needs --format canvas=FILE"),
        (["--chapter", "8"], "there is no chapter '8'"),
        (["--exercise", "1.9"], "there is no exercise '1.9'"),
        (["--weights", "nowhere"], "the weights in nowhere cannot be read"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line_before_anything_is_graded(
    submissions, tmp_path, capsys, arguments, says
):
    assert cli.main(["grade", str(submissions), "--out", str(tmp_path / "out"), *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("circuits grade: ") and says in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_gradebook_that_does_not_fit_is_refused_before_anything_is_graded(submissions, tmp_path, capsys):
    (tmp_path / "export.csv").write_text("Student,ID,Homework\nAda,1,\n")
    command = ["grade", str(submissions), "--out", str(tmp_path / "out")]
    for name in ("canvas", "nbgrader"):
        assert cli.main([*command, "--format", f"{name}={tmp_path / 'export.csv'}"]) == 2
    said = capsys.readouterr().err
    assert (
        "no column for chapter 1; --column 1=HEAD names one of 'Homework'" in said and "no export of nbgrader" in said
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["--timeout", "0"], ["--memory", "nan"], ["--jobs", "0"], ["--jobs", "two"], []])
def test_numbers_that_make_no_sense_are_refused(submissions, arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["grade", *([str(submissions)] if arguments else []), *arguments])
    assert ended.value.code == 2
    assert not arguments or f"{arguments[1]!r} is no" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_refused_once_for_the_whole_class(submissions, tmp_path, capsys):
    asked = ["grade", str(submissions), "--out", str(tmp_path / "out"), "--device", "gpu", "--jobs", "1"]
    assert cli.main(asked) == 2
    assert capsys.readouterr().err.count("--device gpu: device 'gpu' cannot be used here") == 1


def test_a_folder_without_submissions_is_refused(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ada.txt").write_text("{}")
    assert cli.main(["grade", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "nothing here is a submission of chapter 1" in said
    assert not (tmp_path / "out").exists()


def test_where_a_sandbox_is_required_and_missing_nothing_is_graded(tmp_path):
    path = tmp_path / "ada_chapter1.py"
    path.write_text("def embed(): pass\n")
    command = [sys.executable, "-m", "utils.cli", "grade", str(path), "--out", str(tmp_path / "out")]
    command += ["--exercise", "1.2", "--require-sandbox"]
    environment = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=paths.REPO, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "there is no sandbox here: bubblewrap is" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "out" / FILE).read_text() == ""


# ── Killed ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_goes_on_where_it_was_with_nothing_twice_and_nothing_lost(tmp_path, number):
    (tmp_path / "in").mkdir()
    learners = [f"learner{index:02}" for index in range(9)]
    source = (paths.SOLUTIONS / "01_transformers_from_scratch.py").read_text()
    for name in learners:
        (tmp_path / "in" / f"{name}_chapter1.py").write_text(source)
    command = [sys.executable, "-m", "utils.cli", "grade", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    command += ["--exercise", "1.2", "--jobs", "1", "--format", "csv"]
    written = tmp_path / "out" / FILE
    options = {"cwd": paths.REPO, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    # tests that a shell has put in the background ignore Ctrl-C, and so would what they start
    running = subprocess.Popen(command, **options, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    deadline = time.monotonic() + 400
    while not written.exists() or written.read_bytes().count(b"\n") < 3:
        assert running.poll() is None and time.monotonic() < deadline, running.communicate()
        time.sleep(0.01)
    os.killpg(running.pid, number)  # as a terminal does; of its processes only the sandbox is in another group
    said = running.communicate(timeout=120)[1]
    assert running.returncode != 0
    if number == signal.SIGINT:
        assert "with --resume the same command goes on" in said and "Traceback" not in said
    else:
        with open(written, "ab") as file:
            file.write(b'{"key":{"learner":"learner08"')  # killed in the middle of a line
    before = written.read_bytes().splitlines()[:3]
    done = subprocess.run([*command, "--resume"], cwd=paths.REPO, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    kept = lines(tmp_path / "out")
    assert sorted(one["key"]["learner"] for one in kept) == learners
    assert written.read_bytes().splitlines()[:3] == before
    assert {one["state"] for one in kept} == {"passed"} and len({one["key"]["conditions"]["seed"] for one in kept}) == 1
    assert os.listdir(tmp_path / "out") and not list((tmp_path / "out").glob(".*.new"))
