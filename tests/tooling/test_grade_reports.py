"""What is made of a run's records: pages, JUnit, gradebooks. Names and outputs in them are anybody's."""

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from utils.course import Chapter, Exercise
from utils.grading.points import points_of, shown
from utils.grading.records import Conditions, Key, Record, TestOutcome
from utils.grading.reports import gradebooks, gradescope, junit, pages
from utils.grading.reports.page_names import page_names
from utils.grading.reports.results import ChapterScope, ClassResults, LearnerResults, Piece, mark_of
from utils.refusal import CannotDo

LEVEL = "bubblewrap 0.11: no network"
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>]]>&amp;"


def exercise(number, points=2):
    return Exercise(number, f"Title of {number}", [f"object_{number[-1]}"], 1, 1, 5, points, [], "")


ONE = Chapter(1, "01_first_things", "First things", [exercise("1.1"), exercise("1.2", 3), exercise("1.3")])
TWO = Chapter(2, "02_second_thoughts", "Second thoughts", [exercise("2.1", 5)])
PICTURE = {"yours": [[1.0, "nan"]], "rule": [[1.0, 2.0]], "axes": ["row", "column"], "caption": ""}
MISTAKE = {"name": "mean added", "sentence": "the `mean` is added: subtract it"}


def record(learner, number, state="passed", **facts):
    chapter = ONE if number.startswith("1") else TWO
    key = Key(learner, chapter.name, number, "ab" * 32, Conditions("c0ffee", 7))
    told = {} if state == "passed" else {"kind": state if state in ("unwritten", "unreadable") else "wrong"}
    tests = [
        TestOutcome("test_rows_stay_rows", ["object_1"], True, 0.25),
        TestOutcome("test_two_is_two", ["object_1"], state == "passed", 0.5, seen=f"seen by {learner}", **told),
    ]
    return Record(key, f"{learner}.ipynb", state, tests, LEVEL, seconds=0.75, **facts)


def results_of(*records, learners=(), left_out=()):
    """The results of a class from its records; a learner without any has handed in nothing."""
    by_key = {each.key: each for each in records}
    people = {each.key.learner: None for each in records} | dict.fromkeys(learners)
    pages_of = page_names(people)
    made = {name: LearnerResults(name, pages_of[name]) for name in people}
    for each in records:
        chapter = ONE if each.key.chapter == ONE.name else TWO
        pieces = made[each.key.learner].pieces
        piece = pieces.setdefault(chapter.number, Piece(chapter, each.file, {}, {}))
        piece.keys[each.key.exercise], piece.marks[each.key.exercise] = each.key, mark_of(each)
    for name, line in left_out:
        made[name].left_out.append(line)
    scopes = [ChapterScope(ONE, ONE.exercises), ChapterScope(TWO, TWO.exercises)]
    levels = Counter(each.sandbox for each in records)
    worth = points_of([ONE, TWO])
    return ClassResults(scopes, list(made.values()), worth, by_key.__getitem__, [Conditions("c0ffee", 7)], levels)


@pytest.fixture
def results():
    return results_of(
        record("ada", "1.1"),
        record("ada", "1.2", "failed", mistake=MISTAKE, picture=PICTURE),
        record("ada", "1.3", "failed", broken_below=["object_2 (1.2)"]),
        record("ada", "2.1"),
        record("ben", "1.1"),
        record("ben", "1.2", "failed", mistake=MISTAKE),
        record("ben", "1.3", "unwritten"),
        record("cho", "1.1", "failed"),
        record("cho", "1.2"),
        learners=["dan"],
        left_out=[("dan", "no notebook or Python file; there is report.pdf")],
    )  # fmt: skip


class Elements(HTMLParser):
    """Every element of a page, with its attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = Counter(), [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


# ── Adding up ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_points_are_those_of_the_exercises_that_pass(results):
    points = {one.name: one.points(results.exercises, results.worth) for one in results.learners}
    assert points == {"ada": 7, "ben": 2, "cho": 3, "dan": 0}
    assert results.worth_of(results.exercises) == 12


def test_the_room_is_stuck_where_most_have_it_wrong_not_where_something_below_is_broken(results):
    assert [one.number for one in results.stuck()] == ["1.2", "1.1"]
    assert results.counts["1.3"] == {
        "built on what does not pass": 1,
        "not written": 1,
        "not graded": 1,
        "nothing handed in": 1,
    }
    assert results.furthest == {"1.2": 2, "1.1": 1}


def test_what_nobody_defined_is_nothing_that_somebody_has_wrong(tmp_path):
    failure = record("ada", "1.1", "failed").first_failure
    gone = replace(failure, kind="missing", seen="object_1 is not defined at the top level of the submission")
    garbled = replace(gone, seen="object_1 cannot be read: syntax error in cell 3")
    results = results_of(
        replace(record("ada", "1.1", "failed"), tests=[gone]),
        replace(record("ada", "1.2", "failed"), tests=[replace(gone, objects=["object_1", "object_2"])]),
        replace(record("ben", "1.1", "failed"), tests=[garbled]),
    )
    ada, ben = results.learners
    states = [ada.state(one) for one in ONE.exercises[:2]] + [ben.state(ONE.exercises[0])]
    assert states == ["not defined", "built on what does not pass", "failed"]
    assert [one.number for one in results.stuck()] == ["1.1"] and results.counts["1.1"]["failed"] == 1
    page = Elements(pages.write_learner_page(results, ada, tmp_path).read_text())
    assert gone.seen in page.text and page.text.count(gone.sentence) == 1  # the tests of 1.2, not those of 1.1


def test_a_file_that_cannot_be_read_is_told_once_on_the_page(tmp_path):
    results = results_of(record("cho", "1.1", "unreadable"), record("cho", "1.2", "unreadable"))
    page = Elements(pages.write_learner_page(results, results.learners[0], tmp_path).read_text())
    assert page.text.count("seen by cho") == 1


def test_the_commonest_mistake_comes_first_with_who_made_it(results):
    ((name, sentence, who),) = results.mistakes(ONE.exercises[1])
    assert (name, sentence) == (MISTAKE["name"], MISTAKE["sentence"])
    assert [one.name for one in who] == ["ada", "ben"]


# ── Weights ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_of_weights_replaces_the_points_that_it_names(tmp_path):
    (tmp_path / "weights").write_text("\ufeff# ours\n1.1 = 4\n1.3: 0.5  # a bonus\n\n")
    assert points_of([ONE, TWO], tmp_path / "weights") == {"1.1": 4, "1.2": 3, "1.3": 0.5, "2.1": 5}


@pytest.mark.parametrize(
    "line, says",
    [
        ("1.2", "is not an exercise and its points"),
        ("1.2 = many", "'many' is no number of points"),
        ("1.2 = -1", "'-1' is no number of points"),
        ("1.2 = nan", "'nan' is no number of points"),
        ("9.9 = 1", "there is no exercise '9.9'"),
        ("1.1 = 2", "exercise 1.1 has its points already"),
    ],
)
def test_a_bad_line_of_weights_is_named(tmp_path, line, says):
    (tmp_path / "weights").write_text(f"1.1 = 4\n# a comment\n{line}\n")
    with pytest.raises(CannotDo, match="weights, line 3: ") as refused:
        points_of([ONE, TWO], tmp_path / "weights")
    assert says in str(refused.value)


def test_weights_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "weights").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CannotDo, match="cannot be read"):
        points_of([ONE], tmp_path / "weights")


def test_points_are_written_as_people_write_them():
    assert [shown(points) for points in (3.0, 2.5, 0.0, 10.0, 1 / 3)] == ["3", "2.5", "0", "10", "0.3333"]


# ── Pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_learners_page_tells_what_failed_and_why_with_the_picture(results, tmp_path):
    page = Elements(pages.write_learner_page(results, results.learners[0], tmp_path).read_text())
    for words in (
        "mean added",
        "is added: subtract it",
        "seen by ada",
        "two is two",
        "2 of 4 exercises, 7 of 12 points",
    ):
        assert words in page.text
    assert "This is built on your object_2 (1.2), which does not pass by itself" in page.text
    assert LEVEL in page.text and "seed 7" in page.text and "ab" * 32 in page.text
    assert page.tags["svg"] == 2 and page.tags["rect"] > 4
    assert ("id", "e1.2") in page.attributes


def test_what_failed_is_open_and_what_passed_is_folded(results, tmp_path):
    text = pages.write_learner_page(results, results.learners[0], tmp_path).read_text()
    assert 'data-state="passed" id="e1.1">' in text
    assert 'data-state="failed" id="e1.2" open>' in text


def test_who_handed_in_nothing_gets_a_page_that_says_so(results, tmp_path):
    page = Elements(pages.write_learner_page(results, results.learners[3], tmp_path).read_text())
    assert "Not graded: no notebook or Python file; there is report.pdf." in page.text
    assert "Nothing was handed in." in page.text


def test_the_class_page_has_every_learner_and_exercise(results, tmp_path):
    page = Elements(pages.write_class_page(results, tmp_path).read_text())
    links = {value for name, value in page.attributes if name == "href"}
    assert {f"learners/{name}.html" for name in ("ada", "ben", "cho", "dan")} <= links
    assert "learners/ada.html#e1.2" in links
    assert "1.2 Title of 1.2: 2 of the 3 who wrote it have it wrong, most often mean added (2)" in " ".join(
        page.text.split()
    )
    assert all(one.title in page.text for one in results.exercises)
    assert LEVEL in page.text and "dan: no notebook or Python file" in page.text
    assert ("title", "1.2 failed: mean added") in page.attributes


def test_nothing_that_a_learner_wrote_becomes_markup(tmp_path):
    hostile = record(
        HOSTILE,
        "1.1",
        "failed",
        mistake={"name": HOSTILE, "sentence": f"`{HOSTILE}`"},
        broken_below=[HOSTILE],
        printed=HOSTILE,
    )
    hostile.tests[1].frames.append({"place": HOSTILE, "line": 1, "function": HOSTILE, "source": HOSTILE})
    results = results_of(hostile, left_out=[(HOSTILE, HOSTILE)])
    results.sandboxes[HOSTILE] = 1
    for path in (
        pages.write_learner_page(results, results.learners[0], tmp_path),
        pages.write_class_page(results, tmp_path),
    ):
        page = Elements(path.read_text())
        assert not page.tags["script"] and not page.tags["img"] and not page.tags["link"]
        assert not any(name.startswith("on") for name, _ in page.attributes)
        assert HOSTILE in page.text
        assert path.resolve().is_relative_to(tmp_path.resolve())


def test_a_page_loads_nothing_from_anywhere(results, tmp_path):
    for path in (
        pages.write_learner_page(results, results.learners[0], tmp_path),
        pages.write_class_page(results, tmp_path),
    ):
        page = Elements(path.read_text())
        assert not {"src", "srcset", "action"} & {name for name, _ in page.attributes}
        assert "default-src 'none'" in path.read_text()
        assert "prefers-color-scheme: dark" in path.read_text() and "width=device-width" in path.read_text()


def test_pages_have_names_that_every_file_system_takes_and_no_two_the_same():
    learners = ["ada", "Ada", "Åda", "con", "../../etc/passwd", "..", "💥", "x" * 500, "A/ada", "B/ada", "ada lovelace"]
    names = page_names(learners)
    assert names["Ada"] == "ada" and names["ada lovelace"] == "ada-lovelace"
    assert len({name.casefold() for name in names.values()}) == len(learners)
    assert all(name.isascii() and len(name) < 60 and not set(name) & set("/\\.:* ") for name in names.values())
    assert "con" not in names.values()


# ── JUnit and Gradescope ──────────────────────────────────────────────────────────────────────────────────────────


def test_junit_has_a_suite_for_each_file_and_a_case_for_each_test(results, tmp_path):
    junit.write(results, tmp_path / "junit.xml")
    suites = {suite.get("name"): suite for suite in ElementTree.parse(tmp_path / "junit.xml").getroot()}
    assert set(suites) == {f"{who}: 01_first_things" for who in ("ada", "ben", "cho")} | {"ada: 02_second_thoughts"}
    ada = suites["ada: 01_first_things"]
    assert {name: ada.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6",
        "failures": "2",
        "errors": "0",
        "skipped": "0",
    }
    failure = ada.find("testcase[@classname='ada.1.2']/failure")
    assert failure.get("message") == "seen by ada" and "mean added: the `mean` is added" in failure.text
    assert {each.get("name"): each.get("value") for each in ada.iter("property")}["sandbox"] == LEVEL


def test_what_was_not_graded_is_an_error_in_junit(results, tmp_path):
    results.learners[2].pieces[1] = Piece(ONE, "cho.ipynb", {}, {}, "the grader's own process died on it")
    junit.write(results, tmp_path / "junit.xml")
    errors = ElementTree.parse(tmp_path / "junit.xml").getroot().findall(".//testcase/error")
    assert [error.get("message") for error in errors] == ["the grader's own process died on it"] * 3


def test_gradescope_gets_points_and_plain_text(results, tmp_path):
    paths = gradescope.write(results, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths][:2] == [
        "gradescope/ada.json",
        "gradescope/ben.json",
    ]
    told = json.loads(paths[0].read_text())
    assert told["score"] == 7 and told["output_format"] == "text" and LEVEL in told["output"]
    second = told["tests"][1]
    assert (second["score"], second["max_score"], second["status"]) == (0, 3, "failed")
    assert "a known mistake, mean added" in second["output"] and second["output_format"] == "text"


def test_one_learner_alone_is_written_where_gradescope_looks(tmp_path):
    (path,) = gradescope.write(results_of(record("ada", "1.1")), tmp_path)
    assert path == tmp_path / "results.json"


# ── Gradebooks ────────────────────────────────────────────────────────────────────────────────────────────────────

CANVAS = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Chapter 1: First things (88),Essay (89),Final Score (read only)\r\n"
    "    Points Possible,,,,,7,10,\r\n"
    '"Lovelace, ""Ada""",11,s11,ada@school.edu,A,,8.5,=1+1\r\n'
    '"Ali, Ben",12,s12,bali,A,1,,\r\n'
    '"Li, Cho",13,s13,cli,A,2,3,\r\n'
    '"Student, Test",14,,,A,,,\r\n'
)


def rows_of(path):
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


@pytest.fixture
def of_chapter_1(results):
    results.scopes.pop()
    return results


def test_a_canvas_gradebook_is_filled_and_everything_else_stays(of_chapter_1, tmp_path):
    (tmp_path / "export.csv").write_text(CANVAS, newline="")
    of_chapter_1.learners[1].name = "aliben"
    notes = gradebooks.fill_canvas(of_chapter_1, tmp_path / "export.csv", tmp_path / "canvas.csv")
    before = list(csv.reader(io.StringIO(CANVAS.removeprefix("\ufeff"), newline="")))
    after = rows_of(tmp_path / "canvas.csv")
    assert [row[5] for row in after] == [before[0][5], "7", "2", "2", "2", ""]
    assert [row[:5] + row[6:] for row in after] == [row[:5] + row[6:] for row in before]
    assert notes == ["cho: nobody of that name in export.csv"]
    assert (tmp_path / "canvas.csv").read_bytes().decode().startswith('\ufeff"Student","ID"')


def test_learners_are_found_by_canvas_own_ids_first(of_chapter_1, tmp_path):
    (tmp_path / "export.csv").write_text(CANVAS, newline="")
    of_chapter_1.learners[2].ids = ("13",)
    of_chapter_1.learners[0].ids = ("12",)  # called ada, but Canvas says otherwise
    notes = gradebooks.fill_canvas(of_chapter_1, tmp_path / "export.csv", tmp_path / "canvas.csv")
    assert [row[5] for row in rows_of(tmp_path / "canvas.csv")][2:] == ["", "2", "3", ""]
    assert notes == ["ben: nobody of that name in export.csv"]


def test_two_learners_never_share_a_row(of_chapter_1, tmp_path):
    (tmp_path / "export.csv").write_text(CANVAS, newline="")
    for learner in of_chapter_1.learners[:2]:
        learner.ids = ("12",)
    notes = gradebooks.fill_canvas(of_chapter_1, tmp_path / "export.csv", tmp_path / "canvas.csv")
    assert "ben: ada has that row of export.csv already" in notes


def test_a_column_that_no_name_tells_is_asked_for_and_can_be_given(of_chapter_1, tmp_path):
    (tmp_path / "export.csv").write_text(CANVAS.replace("Chapter 1: First things", "Homework"), newline="")
    with pytest.raises(CannotDo, match="no column for chapter 1; --column 1=HEAD names one of"):
        gradebooks.fill_canvas(of_chapter_1, tmp_path / "export.csv", tmp_path / "canvas.csv")
    for head in ("Homework", "Homework (88)"):
        gradebooks.fill_canvas(of_chapter_1, tmp_path / "export.csv", tmp_path / "canvas.csv", {1: head})
        assert rows_of(tmp_path / "canvas.csv")[2][5] == "2"


def test_other_points_in_canvas_are_told(of_chapter_1, tmp_path):
    (tmp_path / "export.csv").write_text(CANVAS.replace(",7,10,", ",100,10,"), newline="")
    notes = gradebooks.fill_canvas(of_chapter_1, tmp_path / "export.csv", tmp_path / "canvas.csv")
    assert "Chapter 1: First things (88): Canvas gives 100 points for it, and what was graded 7" in notes


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe", b'Student,ID\n"never closed'])
def test_what_is_no_gradebook_is_refused(of_chapter_1, tmp_path, content):
    (tmp_path / "export.csv").write_bytes(content)
    with pytest.raises(CannotDo, match="export.csv"):
        gradebooks.fill_canvas(of_chapter_1, tmp_path / "export.csv", tmp_path / "canvas.csv")


def test_a_gradebook_with_semicolons_keeps_them(of_chapter_1, tmp_path):
    (tmp_path / "export.csv").write_text("Student;ID;Chapter 1 (5)\nAda;ada;\n")
    gradebooks.fill_canvas(of_chapter_1, tmp_path / "export.csv", tmp_path / "canvas.csv")
    assert '"Ada";"ada";"2"' in (tmp_path / "canvas.csv").read_text()


def test_nbgrader_gets_its_own_columns(results, tmp_path):
    gradebooks.write_nbgrader(results, tmp_path / "nbgrader.csv")
    heads, *rows = rows_of(tmp_path / "nbgrader.csv")
    assert heads == gradebooks.NBGRADER and len(rows) == 4
    first = dict(zip(heads, rows[0]))
    assert (first["assignment"], first["student_id"], first["score"], first["max_score"]) == (
        "01_first_things",
        "ada",
        "2",
        "7",
    )


def test_an_export_of_nbgrader_is_filled_less_its_penalties(results, tmp_path):
    heads = ",".join(gradebooks.NBGRADER)
    (tmp_path / "export.csv").write_text(
        f"{heads}\nchapter1,,,ada,Lovelace,Ada,a@b,0.0,0.5,0.0,7\nessay,,,ada,Lovelace,Ada,a@b,3,0,3,4\nchapter1,,,zoe,Z,Zoe,,1,0,1,7\n"
    )
    notes = gradebooks.fill_nbgrader(results, tmp_path / "export.csv", tmp_path / "nbgrader.csv")
    rows = rows_of(tmp_path / "nbgrader.csv")[1:]
    assert [row[7:] for row in rows] == [["2", "0.5", "1.5", "7"], ["3", "0", "3", "4"], ["1", "0", "1", "7"]]
    assert rows[0][4:7] == ["Lovelace", "Ada", "a@b"]
    assert "ben, chapter 1: not in export.csv" in notes and "ada, chapter 2: not in export.csv" in notes


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "'=1"])
def test_no_name_is_taken_for_a_formula(tmp_path, name):
    results = results_of(record(name, "1.1"))
    for write in (gradebooks.write_table, gradebooks.write_nbgrader):
        write(results, tmp_path / "table.csv")
        cells = [cell for row in rows_of(tmp_path / "table.csv") for cell in row]
        assert f"'{name}" in cells and name not in cells


def test_the_table_has_points_for_every_exercise_and_none_for_what_was_not_handed_in(results, tmp_path):
    gradebooks.write_table(results, tmp_path / "grades.csv")
    rows = rows_of(tmp_path / "grades.csv")
    assert rows[0] == ["learner", "1.1", "1.2", "1.3", "chapter 1", "2.1", "chapter 2", "points"]
    assert rows[1] == ["points possible", "2", "3", "2", "7", "5", "5", "12"]
    assert rows[2] == ["ada", "2", "0", "0", "2", "5", "5", "7"]
    assert rows[3] == ["ben", "2", "0", "0", "2", "", "", "2"]
