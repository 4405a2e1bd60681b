"""Finding what learners handed in: whose it is, which chapter it belongs to, and what is left out."""

import json
import os
import unicodedata

import pytest

from utils.course import Chapter, Exercise
from utils.grading import submissions
from utils.grading.submissions import collect, content_of
from utils.grading.text import one_line, plain
from utils.refusal import CannotDo


def chapter(number, name, *objects):
    exercise = Exercise(f"{number}.1", "First", list(objects), 1, 1, 5, 1, [], "")
    return Chapter(number, f"{number:02}_{name}", name.replace("_", " ").capitalize(), [exercise])


CHAPTERS = [chapter(1, "first_things", "alpha", "Beta"), chapter(2, "second_thoughts", "gamma", "Delta")]


def notebook(source):
    return json.dumps({"cells": [{"cell_type": "code", "source": source.splitlines(keepends=True)}]})


@pytest.fixture
def hand_in(tmp_path):
    """Writes files below a folder, and says what is collected there, as (learner, chapter number, file)."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / "submissions" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return found(collect([tmp_path / "submissions"], CHAPTERS))

    return write


def found(collected):
    return [(one.learner, one.chapter.number, one.path.name) for one in collected.handins]


# ── Whose ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_file_of_a_folder_is_one_submission_named_without_the_chapter(hand_in):
    assert hand_in(
        {"01_first_things_ada.ipynb": "{}", "ben-chapter2.py": "", "Chen Li (01_first_things) (1).ipynb": "{}"}
    ) == [
        ("Chen Li", 1, "Chen Li (01_first_things) (1).ipynb"),
        ("ada", 1, "01_first_things_ada.ipynb"),
        ("ben", 2, "ben-chapter2.py"),
    ]


def test_each_folder_within_is_one_learner(hand_in):
    files = {"ada/01_first_things.ipynb": "{}", "ada/deep/er/02_second_thoughts.ipynb": "{}", "ben/chapter1.py": ""}
    assert hand_in(files) == [
        ("ada", 1, "01_first_things.ipynb"),
        ("ada", 2, "02_second_thoughts.ipynb"),
        ("ben", 1, "chapter1.py"),
    ]


def test_a_learners_own_folder_and_file_may_be_named_alone(tmp_path):
    (tmp_path / "ada").mkdir()
    path = tmp_path / "ada" / "01_first_things.ipynb"
    path.write_text("{}")
    assert found(collect([path], CHAPTERS)) == found(collect([path.parent], CHAPTERS)) == [("ada", 1, path.name)]


def test_downloads_from_canvas_and_moodle_keep_name_and_id(hand_in, tmp_path):
    hand_in(
        {
            "lovelaceada_LATE_1203_99871_01_first_things-1.ipynb": "{}",
            "Ben Ali_441_assignsubmission_file_/01_first_things.ipynb": "{}",
        }
    )
    collected = collect([tmp_path / "submissions"], CHAPTERS)
    assert [(one.learner, one.ids) for one in collected.handins] == [("Ben Ali", ("441",)), ("lovelaceada", ("1203",))]


def test_a_folder_of_a_group_holds_a_submission_for_each_name(hand_in):
    files = {"group A/ada_chapter1.ipynb": "{}", "group A/ben_chapter1.ipynb": "{}"}
    assert [learner for learner, *_ in hand_in(files)] == ["group A/ada", "group A/ben"]


def test_in_a_folder_of_a_group_a_file_of_another_kind_is_named(tmp_path):
    for name in ("ada_chapter1.ipynb", "ben_chapter1.ipynb", "cho_chapter1.pdf", "marks.csv"):
        (tmp_path / "A").mkdir(exist_ok=True)
        (tmp_path / "A" / name).write_text("{}")
    collected = collect([tmp_path], CHAPTERS)
    assert list(collected.learners) == ["A/cho", "A/ada", "A/ben"]
    assert collected.left_out == [("A/cho", "cho_chapter1.pdf: it is neither .ipynb nor .py")]


def test_people_of_one_name_in_two_folders_stay_two_people(tmp_path):
    for group in ("A", "B"):
        (tmp_path / group).mkdir()
        (tmp_path / group / "ada_chapter1.ipynb").write_text(group)
    collected = collect([tmp_path / "A", tmp_path / "B"], CHAPTERS)
    assert [one.learner for one in collected.handins] == ["A/ada", "B/ada"]
    (tmp_path / "B" / "ada_chapter1.ipynb").rename(tmp_path / "B" / "ada_chapter2.ipynb")
    collected = collect([tmp_path / "A", tmp_path / "B"], CHAPTERS)
    assert found(collected) == [("ada", 1, "ada_chapter1.ipynb"), ("ada", 2, "ada_chapter2.ipynb")]


def test_of_two_files_for_one_chapter_the_newer_counts_and_the_other_is_told(tmp_path):
    (tmp_path / "ada").mkdir()
    for age, name in ((20, "01_first_things (1).ipynb"), (10, "01_first_things.ipynb")):
        (tmp_path / "ada" / name).write_text("{}")
        os.utime(tmp_path / "ada" / name, (1_000_000 - age, 1_000_000 - age))
    collected = collect([tmp_path], CHAPTERS)
    assert found(collected) == [("ada", 1, "01_first_things.ipynb")]
    assert collected.left_out == [
        ("ada", "01_first_things (1).ipynb: 01_first_things.ipynb is for the same chapter and newer")
    ]


@pytest.mark.parametrize("name", ["ada\x1b[31m", "a\nb", "\u202eada", "ad\udcffa", "<b>ada"])
def test_names_that_would_disturb_a_terminal_or_a_page_become_plain(name):
    shown = one_line(name)
    assert shown.isprintable() and shown.encode()


def test_a_name_is_the_same_however_its_accents_are_stored():
    assert one_line(unicodedata.normalize("NFD", "Åsa")) == one_line(unicodedata.normalize("NFC", "Åsa"))


def test_long_text_is_cut_and_lines_stay_lines():
    assert len(plain("x" * 10_000)) == 2_000
    assert plain("a\r\nb\rc\td\x00") == "a\nb\nc\td\ufffd"


# ── Which chapter ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    [
        "02_second_thoughts.ipynb",
        "2-second-thoughts.ipynb",
        "Second Thoughts ada.ipynb",
        "ada_ch02.py",
        "Chapter 2 - ada.ipynb",
    ],
)
def test_a_chapter_is_known_by_its_name_however_it_is_written(hand_in, name):
    assert [number for _, number, _ in hand_in({name: "def alpha(): pass"})] == [2]


def test_a_number_in_a_name_is_no_chapter(hand_in, tmp_path):
    assert hand_in({"ada 2.ipynb": "{}", "ch21.ipynb": "{}", "match1.ipynb": "{}"}) == []


def test_a_folders_name_may_tell_the_chapter(hand_in):
    assert hand_in({"ada/chapter2/notebook.ipynb": "{}"}) == [("ada", 2, "notebook.ipynb")]


@pytest.mark.parametrize("cut", [0, 12])
def test_else_a_chapter_is_known_by_what_the_file_defines_even_where_it_is_cut_off(hand_in, cut):
    text = notebook("import torch\n\ndef gamma(x):\n    return x\n\nclass Delta:\n    pass\n")
    assert hand_in({"ada.ipynb": text[: len(text) - cut]}) == [("ada", 2, "ada.ipynb")]
    assert hand_in({"ada.ipynb": notebook("x = 1"), "ada.py": "class Beta:\n    pass\n"}) == [("ada", 1, "ada.py")]


def test_a_file_that_nothing_tells_about_is_left_out_with_its_reason_or_taken_for_the_one_chapter_asked_for(
    hand_in, tmp_path
):
    assert hand_in({"ada.ipynb": "not even JSON"}) == []
    collected = collect([tmp_path / "submissions"], CHAPTERS)
    assert collected.left_out[0][0] == "ada" and "which chapter it is" in collected.left_out[0][1]
    assert found(collect([tmp_path / "submissions"], CHAPTERS, CHAPTERS[:1])) == [("ada", 1, "ada.ipynb")]


def test_only_the_chapters_asked_for_are_collected(tmp_path, hand_in):
    hand_in({"ada/chapter1.py": "", "ada/chapter2.py": ""})
    assert found(collect([tmp_path / "submissions"], CHAPTERS, CHAPTERS[1:])) == [("ada", 2, "chapter2.py")]


# ── What must not be read ─────────────────────────────────────────────────────────────────────────────────────────


def test_links_are_not_followed_and_are_told(tmp_path):
    (tmp_path / "secret_chapter1.ipynb").write_text("{}")
    for folder in ("in/ada", "in/ben"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "in/ada/chapter1.ipynb").symlink_to(tmp_path / "secret_chapter1.ipynb")
    (tmp_path / "in/ben/all").symlink_to(tmp_path)
    (tmp_path / "in/cho_chapter1.ipynb").symlink_to(tmp_path / "secret_chapter1.ipynb")
    collected = collect([tmp_path / "in"], CHAPTERS)
    assert collected.handins == []
    assert {name for name, line in collected.left_out if "links are not followed" in line} == {"ada", "cho"}
    assert set(collected.learners) == {"ada", "ben", "cho"}


def test_a_pipe_in_place_of_a_file_stops_nothing(tmp_path):
    os.mkfifo(tmp_path / "ada_chapter1.ipynb")
    (handin,) = collect([tmp_path], CHAPTERS).handins
    assert handin.unreadable == "ada_chapter1.ipynb could not be read: it is no ordinary file"


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(submissions, "LARGEST", 2**20)
    (tmp_path / "ada_chapter1.ipynb").write_bytes(b"x" * (2**20 + 1))
    (handin,) = collect([tmp_path], CHAPTERS).handins
    assert "larger than 1 MB" in handin.unreadable
    (tmp_path / "ada_chapter1.ipynb").write_bytes(b"x" * 2**20)
    assert len(content_of(tmp_path / "ada_chapter1.ipynb")) == 2**20


def test_folders_in_folders_stop_nothing_however_deep(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    os.mkdir("ada", dir_fd=here)
    deep = here = os.open("ada", os.O_RDONLY, dir_fd=here)
    for _ in range(400):
        os.mkdir("d", dir_fd=deep)
        deep = os.open("d", os.O_RDONLY, dir_fd=deep)
    assert collect([tmp_path], CHAPTERS).left_out == [("ada", "no notebook or Python file")]


def test_what_tools_leave_behind_is_no_submission(hand_in):
    assert hand_in({"ada/.ipynb_checkpoints/chapter1.ipynb": "{}", "__MACOSX/ben_chapter1.ipynb": "{}"}) == []


def test_where_results_go_is_no_learner(tmp_path, hand_in):
    hand_in({"ada_chapter1.py": "", "grades/learners/ben_chapter1.py": ""})
    folder = tmp_path / "submissions"
    collected = collect([folder], CHAPTERS, apart=folder / "grades")
    assert found(collected) == [("ada", 1, "ada_chapter1.py")] and set(collected.learners) == {"ada"}


def test_what_lies_loose_and_is_no_notebook_is_told_but_not_the_teachers_own_tables(tmp_path):
    for name in ("ada_ch1.pdf", "ben.zip", "cho_01_first_things.ipynb.txt", "DAN.IPYNB", "export.csv", "points.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "eve").symlink_to(tmp_path.parent)
    told = dict(collect([tmp_path], CHAPTERS).left_out)
    assert told == {
        "ada": "ada_ch1.pdf: it is neither .ipynb nor .py",
        "ben": "ben.zip: it is neither .ipynb nor .py",
        "cho": "cho_01_first_things.ipynb.txt: it is neither .ipynb nor .py",
        "DAN": "DAN.IPYNB: it is neither .ipynb nor .py",
        "eve": "eve: a link, and links are not followed",
    }


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CannotDo, match="there is no file or folder"):
        collect([tmp_path / "nowhere"], CHAPTERS)
    (tmp_path / "report.pdf").write_text("")
    with pytest.raises(CannotDo, match="neither .ipynb nor .py"):
        collect([tmp_path / "report.pdf"], CHAPTERS)
