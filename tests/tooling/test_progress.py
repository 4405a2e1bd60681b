"""The learner's progress: what is kept, what survives, and how it is shown."""

import json
import os
import stat
import subprocess
import sys

import pytest

from utils import course, paths, progress

SOLVED = {"passed": True, "tests_passed": 6, "tests_total": 6, "points": 3}
FAILED = {"passed": False, "tests_passed": 2, "tests_total": 6, "points": 1}


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "WORK", tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def small_course(monkeypatch):
    def exercise(number, points):
        return course.Exercise(number, f"Title of {number}", ["f"], 2, 4, 10, points, ["a hint"], "because")

    chapter = course.Chapter(1, "01_small", "A small chapter", [exercise("1.1", 3), exercise("1.2", 4)])
    monkeypatch.setattr(course, "chapters", lambda *, root=None: [chapter])


def test_nothing_is_known_before_the_first_check(work):
    assert progress.load() == {}
    assert not work.exists()


def test_a_check_is_kept_where_the_learner_can_read_it(work):
    progress.record("1.4", **FAILED)
    kept = json.loads((work / "progress.json").read_text(encoding="utf-8"))["exercises"]["1.4"]
    assert kept["tests_passed"] == 2 and kept["tests_total"] == 6 and kept["points"] == 1
    assert "solved" not in kept
    assert (work / "progress.json").read_text(encoding="utf-8").count("\n") > 5


def test_what_was_solved_stays_solved_with_its_points(work):
    progress.record("1.4", **SOLVED)
    when = progress.load()["1.4"]["solved"]
    progress.record("1.4", **FAILED)
    entry = progress.load()["1.4"]
    assert entry["solved"] == when and entry["points"] == 3
    assert entry["tests_passed"] == 2 and entry["checks"] == 2


def test_hints_and_reveals_are_kept_beside_the_checks(work):
    progress.record_hint("1.4", 2)
    progress.record_hint("1.4", 1)
    progress.record_reveal("1.4")
    progress.record("1.4", **SOLVED)
    entry = progress.load()["1.4"]
    assert entry["hints"] == 2 and entry["revealed"] and entry["solved"]


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"exercises": 3}', '{"exercises": {"1.4": 3}}', "null", b"\xff\xfe"]
)
def test_a_damaged_file_is_kept_aside_and_said(work, capsys, damage):
    work.mkdir()
    damage = damage if isinstance(damage, bytes) else damage.encode()
    (work / "progress.json").write_bytes(damage)
    progress.record("1.4", **SOLVED)
    assert (work / "progress.json.damaged").read_bytes() == damage
    assert "progress.json.damaged" in capsys.readouterr().err
    assert list(progress.load()) == ["1.4"]
    assert capsys.readouterr().err == ""


def test_a_second_damaged_file_does_not_replace_the_first(work):
    work.mkdir()
    for text in ("first", "second"):
        (work / "progress.json").write_text(text)
        progress.load()
    kept = sorted(path.read_text() for path in work.glob("progress.json.damaged*"))
    assert kept == ["first", "second"]


def test_facts_of_a_later_version_survive(work):
    work.mkdir()
    (work / "progress.json").write_text('{"exercises": {"1.4": {"stars": 5}}}')
    progress.record("1.4", **SOLVED)
    assert progress.load()["1.4"]["stars"] == 5


def test_a_crash_while_writing_leaves_the_old_file(work, monkeypatch):
    progress.record("1.4", **SOLVED)
    before = (work / "progress.json").read_text()

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        progress.record("1.5", **SOLVED)
    assert (work / "progress.json").read_text() == before
    assert not list(work.glob(".progress.json*"))


def test_a_folder_that_cannot_be_written_is_said_and_does_not_stop_the_check(work, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(progress, "write_atomically", full)
    progress.record("1.4", **SOLVED)
    assert "No space left on device" in capsys.readouterr().err


def test_the_file_may_be_read_by_others(work):
    progress.record("1.4", **SOLVED)
    assert stat.S_IMODE((work / "progress.json").stat().st_mode) == 0o644


def test_two_notebooks_at_once_lose_nothing(work):
    script = (
        "import sys; from utils.progress import record\n"
        "for i in range(20): record(f'{sys.argv[1]}.{i}', passed=True, tests_passed=1, tests_total=1, points=1)"
    )
    environment = os.environ | {"CIRCUITS_WORK": str(work)}
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(n)], env=environment, cwd=paths.REPO) for n in (1, 2, 3)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert len(progress.load()) == 60


def test_a_chapter_is_summed_up(work, small_course):
    progress.record("1.1", **SOLVED)
    progress.record("1.2", **FAILED)
    assert progress.chapter_summary(1) == (1, 2, 4, 7)


def test_the_table_shows_every_exercise(work, small_course):
    from rich.console import Console

    progress.record("1.1", **SOLVED)
    progress.record_reveal("1.2")
    console = Console(width=100, record=True, file=open(os.devnull, "w"))
    console.print(progress.table())
    shown = console.export_text()
    assert "1 of 2 exercises, 3 of 7 points" in shown
    lines = {line.split()[1]: line for line in shown.splitlines() if "Title of" in line}
    assert lines["1.1"].startswith("✓") and "6/6" in lines["1.1"] and "3/3" in lines["1.1"]
    assert lines["1.2"].startswith("·") and "solution" in lines["1.2"]


@pytest.mark.parametrize(
    "done, total, expected",
    [(0, 4, "░░░░"), (1, 400, "█░░░"), (2, 4, "██░░"), (399, 400, "███░"), (4, 4, "████"), (0, 0, "░░░░")],
)
def test_a_bar_is_full_only_when_all_is_done(done, total, expected):
    assert progress.bar(done, total, width=4) == expected
