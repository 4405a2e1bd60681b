"""The lines that a run keeps: nothing lost, nothing twice, whatever stops the process that writes them."""

import json
from dataclasses import replace

import pytest

from utils.grading.records import FILE, Conditions, Key, Record, RecordFile, TestOutcome
from utils.refusal import CannotDo


def record(learner="ada", exercise="1.1", *, state="passed", **facts):
    key = Key(learner, "01_tiny", exercise, "ab" * 32, Conditions("c0ffee", 7))
    failure = {} if state == "passed" else {"kind": "wrong", "seen": "2 is 3\nand more", "rule": "2 is 2"}
    tests = [TestOutcome("test_two_is_two", ["two"], state == "passed", **failure)]
    return Record(key, f"{learner}.ipynb", state, tests, "bubblewrap: everything", **facts)


def keep(folder, records, **options):
    with RecordFile(folder, **options) as file:
        file.append(records)


def test_a_record_comes_back_as_it_was_written():
    told = record(
        state="failed",
        mistake={"name": "mean added", "sentence": "ä ☃ \u2028"},
        broken_below=["centre (1.1)"],
        picture={"yours": [[1.5, "nan"]], "rule": [[1.5, 2.0]], "axes": ["row", "column"], "caption": ""},
    )
    assert Record.from_line(told.line()) == told
    assert told.line().isascii() and "\n" not in told.line()


@pytest.mark.parametrize("line", ["", "{}", "[]", "null", '{"key": 3}', "[" * 100_000, '{"key": {"learner": "ada"}}'])
def test_what_is_no_record_is_said_to_be_none(line):
    with pytest.raises(ValueError):
        Record.from_line(line)


def test_a_second_run_into_the_same_folder_is_refused_unless_it_resumes(tmp_path):
    keep(tmp_path, [record()])
    with pytest.raises(CannotDo, match="--resume goes on with it"):
        keep(tmp_path, [])
    with RecordFile(tmp_path, resume=True) as file:
        assert record().key in file and file.read(record().key) == record()
        assert file.last.conditions.seed == 7


def test_two_runs_at_once_into_the_same_folder_are_refused(tmp_path):
    with RecordFile(tmp_path), pytest.raises(CannotDo, match="another run is writing"):
        RecordFile(tmp_path, resume=True).__enter__()


def test_nothing_is_kept_twice(tmp_path):
    keep(tmp_path, [record(), record()])
    keep(tmp_path, [record(), record("ben")], resume=True)
    assert len((tmp_path / FILE).read_text().splitlines()) == 2


def test_other_conditions_make_another_result(tmp_path):
    other = replace(record(), key=replace(record().key, conditions=Conditions("c0ffee", 8)))
    keep(tmp_path, [record(), other])
    assert len((tmp_path / FILE).read_text().splitlines()) == 2


def test_wherever_the_last_line_was_torn_the_lines_before_it_stay_and_it_can_be_written_again(tmp_path):
    whole = [record("ada"), record("ben", state="failed"), record("cho")]
    keep(tmp_path, whole)
    written = (tmp_path / FILE).read_bytes()
    start = written.index(b"\n", written.index(b"\n") + 1) + 1
    for end in [*range(start, len(written), 37), len(written) - 1]:
        (tmp_path / FILE).write_bytes(written[:end])
        with RecordFile(tmp_path, resume=True) as file:
            assert len(file) == 2 and whole[2].key not in file
            assert file.dropped == (end > start)
            file.append(whole)
            assert [file.read(each.key) for each in whole] == whole
        assert (tmp_path / FILE).read_bytes() == written


def test_lines_damaged_in_the_middle_are_dropped_and_the_rest_is_kept(tmp_path):
    keep(tmp_path, [record("ada"), record("ben"), record("cho")])
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(lines[0] + b"\x00" * 40 + b"\n" + lines[1][:50] + lines[2] + lines[1])
    with RecordFile(tmp_path, resume=True) as file:
        assert file.dropped == 2
        assert record("ada").key in file and file.read(record("ben").key) == record("ben")
        file.append([record("cho")])
    assert [json.loads(line)["key"]["learner"] for line in (tmp_path / FILE).read_text().splitlines()] == [
        "ada",
        "ben",
        "cho",
    ]


def test_records_that_are_taken_away_can_be_made_again(tmp_path):
    weak = replace(record("ben"), sandbox="limits only: no bubblewrap")
    with RecordFile(tmp_path) as file:
        file.append([record("ada"), weak, record("cho")])
        file.remove([weak.key])
        assert weak.key not in file and file.read(record("cho").key) == record("cho")
        file.append([record("ben")])
        assert file.read(weak.key).sandboxed
    assert len((tmp_path / FILE).read_text().splitlines()) == 3


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotDo, match="results cannot be written"):
        RecordFile(tmp_path / "file").__enter__()
