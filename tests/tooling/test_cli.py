"""The command `circuits`: dispatch, refusals in one line, and the learner's copies of the notebooks."""

import json
import os
import subprocess
import sys
import time

import pytest

from utils import cli, course, doctor, full_test, learn, paths, progress
from utils.refusal import CannotDo

NOTEBOOK = "01_small.ipynb"


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "WORK", tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A course of one chapter, whose student notebook may be written to."""
    exercise = course.Exercise("1.1", "First", ["first"], 1, 1, 5, 2, ["look", "look again"], "because")
    chapter = course.Chapter(1, "01_small", "A small chapter", [exercise], root=tmp_path)
    chapter.student_notebook.parent.mkdir()
    chapter.student_notebook.write_text("as shipped")
    monkeypatch.setattr(course, "chapters", lambda *, root=None: [chapter])
    return chapter


def circuits(*arguments, **variables):
    command = [sys.executable, "-m", "utils.cli", *arguments]
    environment = os.environ | variables
    return subprocess.run(command, cwd=paths.REPO, capture_output=True, text=True, timeout=60, env=environment)


# ── The command itself ────────────────────────────────────────────────────────────────────────────────────────────


def test_help_lists_every_command_without_importing_torch():
    script = "import atexit, sys; from utils import cli; atexit.register(lambda: print('torch' in sys.modules)); "
    script += "cli.main(['--help'])"
    done = subprocess.run([sys.executable, "-c", script], cwd=paths.REPO, capture_output=True, text=True)
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in cli.COMMANDS)
    assert done.stdout.endswith("False\n")


def test_without_a_command_it_says_what_there_is():
    done = circuits()
    assert done.returncode == 0 and "commands:" in done.stdout


def test_an_unknown_command_is_refused():
    done = circuits("lern")
    assert done.returncode == 2 and "'lern'" in done.stderr and "Traceback" not in done.stderr


def test_a_chapter_that_is_not_there_is_one_line_and_status_2(work, chapter, capsys):
    assert cli.main(["learn", "7", "--no-launch"]) == 2
    said = capsys.readouterr()
    assert (
        said.out == "" and said.err.startswith("circuits learn: there is no chapter '7'") and said.err.count("\n") == 1
    )


def test_a_package_that_is_not_installed_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.delitem(sys.modules, "rich", raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)
    assert cli.main(["progress"]) == 2
    assert "is not installed here; run `bash setup.sh`" in capsys.readouterr().err


def test_a_reader_that_leaves_early_gets_no_traceback():
    command = f"{sys.executable} -m utils.cli doctor | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=paths.REPO, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


# ── learn and reset ───────────────────────────────────────────────────────────────────────────────────────────────


def test_learn_copies_a_chapter_once(work, chapter, capsys):
    assert cli.main(["learn", "1", "--no-launch"]) == 0
    (work / NOTEBOOK).write_text("my own words")
    assert cli.main(["learn", "1", "--no-launch"]) == 0
    assert (work / NOTEBOOK).read_text() == "my own words"
    assert capsys.readouterr().out.count("is copied to") == 1


def test_learn_opens_jupyterlab_on_the_copy(work, chapter, monkeypatch):
    started = []
    monkeypatch.setattr(learn.os, "execve", lambda program, command, environment: started.append(command))
    cli.main(["learn", "--no-browser", "--port=8890"])
    (command,) = started
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert str(work / NOTEBOOK) in command and command[-2:] == ["--no-browser", "--port=8890"]


def test_learn_says_when_the_chapter_has_changed_and_leaves_the_copy_alone(work, chapter, capsys):
    cli.main(["learn", "--no-launch"])
    cli.main(["learn", "--no-launch"])
    assert "has changed" not in capsys.readouterr().out
    chapter.student_notebook.write_text("as shipped later")
    cli.main(["learn", "--no-launch"])
    said = capsys.readouterr().out
    assert "has changed in the course" in said and "circuits reset 1" in said
    assert (work / NOTEBOOK).read_text() == "as shipped"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"01_small": 3}'])
def test_a_damaged_note_of_what_was_copied_only_silences_the_reminder(work, chapter, capsys, text):
    cli.main(["learn", "--no-launch"])
    (work / "copied.json").write_text(text)
    chapter.student_notebook.write_text("as shipped later")
    assert cli.main(["learn", "--no-launch"]) == 0


def test_reset_gives_a_fresh_copy_and_keeps_every_old_one(work, chapter, capsys):
    cli.main(["learn", "--no-launch"])
    for words in ("first try", "second try", "third try"):
        (work / NOTEBOOK).write_text(words)
        assert cli.main(["reset", "1"]) == 0
        assert (work / NOTEBOOK).read_text() == "as shipped"
    kept = sorted(path.read_text() for path in work.glob("01_small.*.ipynb"))
    assert kept == ["first try", "second try", "third try"]
    assert str(work) in capsys.readouterr().out


def test_reset_ends_the_reminder_and_keeps_the_progress(work, chapter, capsys):
    cli.main(["learn", "--no-launch"])
    progress.record("1.1", passed=True, tests_passed=1, tests_total=1, points=2)
    chapter.student_notebook.write_text("as shipped later")
    cli.main(["reset", "1"])
    cli.main(["learn", "--no-launch"])
    assert "has changed" not in capsys.readouterr().out
    assert "solved" in progress.load()["1.1"]


def test_a_copy_never_overwrites_a_file_that_appeared_meanwhile(work, chapter):
    work.mkdir()
    (work / NOTEBOOK).write_text("somebody's work")
    with pytest.raises(FileExistsError):
        learn._copy(chapter, work / NOTEBOOK)
    assert (work / NOTEBOOK).read_text() == "somebody's work"


def test_without_jupyterlab_it_says_what_to_do(work, chapter, monkeypatch):
    monkeypatch.setattr(learn.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CannotDo, match="bash setup.sh"):
        learn.open_jupyterlab(work / NOTEBOOK, [])


# ── hint, doctor, full test ───────────────────────────────────────────────────────────────────────────────────────


def test_hints_come_one_at_a_time_and_are_remembered(work, chapter, capsys):
    said = []
    for wanted in ("1.1", "first", "1.1"):
        assert cli.main(["hint", wanted]) == 0
        said.append(capsys.readouterr().out)
    assert "look again" not in said[0] and "hint 1 of 2: look" in said[0]
    assert "hint 2 of 2: look again" in said[1]
    assert said[2] == said[1]
    assert progress.load()["1.1"]["hints"] == 2


def test_doctor_names_what_is_there(capsys):
    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert all(what in said for what in ("Python", "packages", "device", "JupyterLab", "sandbox", "Chromium", "disk"))
    assert said.rstrip().endswith("The course can run here.")


def test_doctor_fails_only_for_what_the_course_needs(monkeypatch, capsys):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert cli.main(["doctor"]) == 0
    assert "bubblewrap is not installed" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "installed_version", lambda name: None if name == "jupyterlab" else "1")
    assert cli.main(["doctor"]) == 1
    assert "missing   JupyterLab" in capsys.readouterr().out


def test_doctor_tells_a_build_from_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "pinned", lambda path: {"a": "1.0", "b": "2.0", "c": "3.0"})
    monkeypatch.setattr(doctor, "installed_version", {"a": "1.0+cpu", "b": "2.1", "c": None}.get)
    found = {finding.what: finding.state for finding in doctor.packages()}
    assert found == {"packages": doctor.MISSING, "b": doctor.NOTE, "c": doctor.MISSING}


def test_pins_are_read_for_this_python(tmp_path):
    (tmp_path / "pins").write_text('# words\na==1.0\nb==2 ; python_version < "3"\nb==3 ; python_version >= "3"\n')
    assert doctor.pinned(tmp_path / "pins") == {"a": "1.0", "b": "3"}


def test_the_full_test_adds_up_and_ends_with_the_counts():
    outcomes = {"one": full_test.Outcome(3, 0, 1, 2.0), "another": full_test.Outcome(4, 2, 0, 1.0)}
    assert full_test.summary(outcomes).splitlines()[-1] == "7 passed, 2 failed, 1 skipped"


def test_the_full_test_fails_when_one_part_does(monkeypatch, capsys):
    parts = {"good": lambda room: full_test.Outcome(passed=2), "bad": lambda room: full_test.Outcome(failed=1)}
    monkeypatch.setattr(full_test, "PARTS", parts)
    assert full_test.main([]) == 1
    assert capsys.readouterr().out.endswith("2 passed, 1 failed, 0 skipped\n")
    assert full_test.main(["--only", "good"]) == 0


def test_parts_side_by_side_are_each_shown_whole(monkeypatch, capsys):
    def part(word):
        def run(room):
            for _ in range(3):
                room.say(word)
                time.sleep(0.05)
            return full_test.Outcome(passed=1)

        return run

    monkeypatch.setattr(full_test, "PARTS", {"a": part("left"), "b": part("right")})
    assert full_test.main(["--at-once", "2"]) == 0
    shown = capsys.readouterr().out
    assert "left\nleft\nleft\n" in shown and "right\nright\nright\n" in shown


def test_every_test_file_is_in_one_part_of_the_full_test(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(full_test, "pytest", lambda room, *options: asked.append(options) or full_test.Outcome(1))
    room = full_test.Room(tmp_path)
    full_test.run_tooling(room)
    full_test.prove_checkers(room)
    named = [option.removeprefix("--ignore=") for options in asked for option in options if option != "-rs"]
    for path in paths.REPO.glob("tests/**/test_*.py"):
        assert any(path == paths.REPO / name or paths.REPO / name in path.parents for name in named), path


def test_pytest_that_could_not_start_counts_as_a_failure(tmp_path):
    outcome = full_test.pytest(full_test.Room(tmp_path), "no_such_file.py")
    assert outcome.failed == 1 and outcome.passed == 0


def test_a_report_is_counted(tmp_path):
    attributes = 'tests="9" failures="1" errors="2" skipped="3"'
    (tmp_path / "report.xml").write_text(f"<testsuites><testsuite {attributes}/></testsuites>")
    outcome = full_test.counted(tmp_path / "report.xml")
    assert (outcome.passed, outcome.failed, outcome.skipped) == (3, 3, 3)


def test_the_full_test_leaves_the_learners_work_alone(tmp_path):
    environment = full_test.Room(tmp_path).environment
    assert environment["CIRCUITS_WORK"].startswith(str(tmp_path)) and environment["HF_HUB_OFFLINE"] == "1"


def test_what_is_copied_is_noted_in_plain_json(work, chapter):
    cli.main(["learn", "--no-launch"])
    assert list(json.loads((work / "copied.json").read_text())) == ["01_small"]


def test_doctor_explains_a_device_that_cannot_be_used():
    done = circuits("doctor", CIRCUITS_DEVICE="cuda:99")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "missing   device" in done.stdout and "unset CIRCUITS_DEVICE" in done.stdout


def test_models_are_listed_with_where_they_lie():
    done = circuits("models")
    assert done.returncode == 0
    assert 'load_model("organism")' in done.stdout and "ships with the course" in done.stdout


def test_bench_refuses_a_chapter_without_exercises(monkeypatch, capsys):
    empty = course.Chapter(1, "01_small", "A small chapter", [])
    monkeypatch.setattr(course, "chapters", lambda *, root=None: [empty])
    assert cli.main(["bench"]) == 2
    assert "no exercises" in capsys.readouterr().err
