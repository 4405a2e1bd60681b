"""The measuring of checks, tried on a tiny chapter."""

import json

from utils import bench, cli, course


def test_every_exercise_is_timed_on_its_solution_and_on_a_mistake(tiny):
    times = dict(bench.warm_checks(tiny, repeats=2))
    numbers = {exercise.number for exercise in tiny.exercises}
    assert {label.split()[0] for label in times} == numbers
    assert {f"{number} solution" for number in numbers} < set(times)
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in times.values())


def test_the_figures_say_what_they_were_measured_on(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(course, "chapters", lambda *, root=None: [tiny])
    monkeypatch.setattr(bench, "first_check_seconds", lambda chapter: 1.5)
    assert cli.main(["bench", "1", "--repeats", "1", "--json", str(tmp_path / "figures.json")]) == 0
    said = capsys.readouterr().out
    assert "cores of" in said and "PyTorch" in said
    assert "first check of a session, imports included: 1.5 s" in said
    assert "later checks: median" in said
    assert set(json.loads((tmp_path / "figures.json").read_text())) == {
        "machine",
        "first_check_seconds",
        "check_seconds",
    }
