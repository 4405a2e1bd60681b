"""Which statements of a notebook run when one object is wanted, and what a broken notebook says."""

import json

import pytest

from utils.checking.cells import UnreadableSubmission, make_cell, percent_cells, read_cells
from utils.checking.complaints import Complaint
from utils.checking.slicing import namespace_of, needed_statements


def cells(*sources):
    return [make_cell(source, f"cell {number}") for number, source in enumerate(sources, start=1)]


def lines(sources, *names):
    import ast

    return [ast.unparse(statement).splitlines()[0] for _, statement in needed_statements(cells(*sources), names)]


def test_only_what_the_object_needs_is_taken():
    sources = [
        "import math\nimport os",
        "SCALE = 3\nother = 1 / 0",
        "def helper(x):\n    return math.pi * x * SCALE",
        "def wanted(x):\n    return helper(x)",
    ]
    assert lines(sources, "wanted") == ["import math", "SCALE = 3", "def helper(x):", "def wanted(x):"]


def test_loops_prints_and_training_never_run():
    sources = [
        "losses = []\nfor step in range(10):\n    losses.append(1 / 0)",
        "print(undefined)",
        "def wanted():\n    return 3",
    ]
    assert namespace_of(cells(*sources), ["wanted"])["wanted"]() == 3


def test_a_local_name_does_not_pull_in_a_global_of_that_name():
    sources = [
        "model = 1 / 0",
        "def wanted(x):\n    model = x\n    return [losses for losses in [model]][0]",
        "losses = 1 / 0",
    ]
    assert namespace_of(cells(*sources), ["wanted"])["wanted"](3) == 3


def test_a_global_that_is_really_read_is_taken():
    assert namespace_of(cells("scale = 2", "def wanted(x):\n    return x * scale"), ["wanted"])["wanted"](3) == 6


def test_the_later_definition_wins():
    assert namespace_of(cells("def wanted(): return 1", "def wanted(): return 2"), ["wanted"])["wanted"]() == 2


def test_classes_bring_their_bases_decorators_and_defaults():
    sources = [
        "def deco(f):\n    return f",
        "class Base: pass",
        "DEFAULT = 4",
        "class Wanted(Base):\n    @deco\n    def f(self, x=DEFAULT):\n        return x",
    ]
    assert namespace_of(cells(*sources), ["Wanted"])["Wanted"]().f() == 4


def test_a_method_put_on_a_class_later_is_taken():
    sources = ["class Wanted: pass", "def f(self):\n    return 5", "Wanted.f = f"]
    assert namespace_of(cells(*sources), ["Wanted"])["Wanted"]().f() == 5


def test_a_choice_at_the_top_level_is_taken():
    sources = [
        "try:\n    import nothing_of_this_name as fast\nexcept ImportError:\n    fast = None",
        "def wanted():\n    return fast",
    ]
    assert namespace_of(cells(*sources), ["wanted"])["wanted"]() is None


def test_magics_and_shell_lines_are_taken_out():
    sources = [
        "%matplotlib inline\n!pip install x\ndef wanted():\n    return 1",
        "%%time\ndef other():\n    return 2",
        "%%bash\nrm nothing",
    ]
    space = namespace_of(cells(*sources), ["wanted", "other"])
    assert (space["wanted"](), space["other"]()) == (1, 2)


def test_a_syntax_error_elsewhere_does_no_harm_and_one_in_the_object_is_shown():
    sources = ["def broken(:\n    pass", "def wanted():\n    return 1"]
    assert namespace_of(cells(*sources), ["wanted"])["wanted"]() == 1
    with pytest.raises(Complaint, match="broken cannot be read: syntax error in cell 1, line 1: def broken"):
        namespace_of(cells(*sources), ["broken"])


def test_a_missing_object_and_a_failing_definition_are_named():
    with pytest.raises(Complaint, match="wanted is not defined at the top level"):
        namespace_of(cells("x = 1"), ["wanted"])
    with pytest.raises(Complaint, match="the definition of scale raised ZeroDivisionError"):
        namespace_of(cells("scale = 1 / 0", "def wanted(x=scale): return x"), ["wanted"])


def test_lines_of_a_percent_file_are_the_files_own():
    made = percent_cells("# %% [markdown]\n# text\n# %%\nx = 1\n# %%\ndef f():\n    return 1 / 0\n", "file.py")
    space = namespace_of(made, ["f"])
    try:
        space["f"]()
    except ZeroDivisionError as error:
        frame = error.__traceback__.tb_next
        assert frame.tb_lineno == 7


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.ipynb", b"{", "is not a Jupyter notebook: it breaks off before its end"),
        ("a.ipynb", b'{"cells": [{"sour', "is not a Jupyter notebook: it breaks off before its end"),
        ("a.ipynb", b" \n", "is not a Jupyter notebook: it is empty"),
        ("a.ipynb", b"{\n'cells': 3}", "is not a Jupyter notebook: line 2 is no JSON"),
        ("a.ipynb", b"[1, 2]", "is not a Jupyter notebook"),
        ("a.ipynb", b'{"cells": 3}', "is not a Jupyter notebook"),
        ("a.ipynb", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("a.txt", b"x", "is neither .ipynb nor .py"),
    ],
)
def test_a_file_that_is_no_notebook_is_refused_in_one_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableSubmission) as caught:
        read_cells(tmp_path / name)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_notebook_without_metadata_and_an_old_one_are_read(tmp_path):
    new = {"cells": [{"cell_type": "code", "source": ["x = 1\n", "y = 2"]}, {"cell_type": "markdown", "source": "#"}]}
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1"}]}]}
    for notebook in (new, old):
        path = tmp_path / "a.ipynb"
        path.write_text(json.dumps(notebook))
        assert namespace_of(read_cells(path), ["x"])["x"] == 1
