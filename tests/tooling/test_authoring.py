"""These tests say what an author may rely on: what a source becomes, what is refused, and what a rebuild changes."""

import ast
import json

import jupytext
import nbformat
import pytest

from utils.authoring import build
from utils.authoring.cells import SourceError
from utils.authoring.notebooks import leaks, serialise, solution_notebook, student_notebook
from utils.authoring.outputs import clean
from utils.authoring.source import read_source, solution_source

CHAPTER = '''\
# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Chapter 7: Small sums
# Two is company.
#
# - a list

# %%
import math

# cat the parts together: a comment that jupytext would take for a shell command
# %pdb off

# %% [markdown]
# ## Adding

# %%
# [exercise]
# number = "7.1"
# title = "A \\"mean\\""
# difficulty = 2
# importance = 5
# minutes = 10
# points = 1
# why = "You will need it."
# hints = [
#     "What do you add?",
#     "The sum over the count.",
# ]
# [/exercise]
def mean(
    numbers: list[float],
) -> float:
    """The mean."""
    # BEGIN SOLUTION: the "sum" over the count
    total = sum(numbers)
    return total / len(numbers)
    # END SOLUTION


# %%
print(mean([1, 2, 6]))

# %%
# [exercise]
# number = "7.2a"
# title = "A running total"
# difficulty = 3
# importance = 4
# minutes = 15
# points = 2
# why = "State is where mistakes live."
# hints = ["What must be kept?", "One number."]
# [/exercise]
class Total:
    """A running total."""

    def __init__(self, start: float) -> None:
        # BEGIN SOLUTION: keep the start
        self.value = start
        self.count = 0
        # END SOLUTION

    def add(self, number: float) -> float:
        if number:
            # BEGIN SOLUTION: add, count and return
            self.value += number
            self.count += 1
            # END SOLUTION
        return self.value


def grand_total(numbers):
    """The total of all."""
    # BEGIN SOLUTION: run a Total over the numbers
    running = Total(0)
    return [running.add(number) for number in numbers][-1]
    # END SOLUTION


# %% tags=["hide-input"]
print(grand_total([1, 2]))

# %%
# [solution-only]
print("only in the solution")

# %%
# [student-only]
print("only for the student")

# %%
# [no-run]
raise RuntimeError("never run")
'''


@pytest.fixture
def root(tmp_path):
    for folder in ("solutions", "chapters"):
        (tmp_path / folder).mkdir()
    (tmp_path / "solutions" / "07_small_sums.py").write_text(CHAPTER, encoding="utf-8")
    return tmp_path


@pytest.fixture
def path(root):
    return root / "solutions" / "07_small_sums.py"


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


# what a source becomes


def test_a_stub_keeps_signature_and_docstring(path):
    stub = code(student_notebook(read_source(path)))[1]
    assert stub == (
        'def mean(\n    numbers: list[float],\n) -> float:\n    """The mean."""\n'
        '    raise NotImplementedError("7.1 mean: the \\"sum\\" over the count")'
    )


def test_every_stub_compiles_and_raises_its_sentence(path):
    cells = [cell for cell in student_notebook(read_source(path)).cells if "exercise" in cell.metadata]
    namespace = {}
    for cell in cells:
        exec(compile(cell.source, "cell", "exec"), namespace)
    with pytest.raises(NotImplementedError, match='^7.1 mean: the "sum" over the count$'):
        namespace["mean"]([1.0])
    with pytest.raises(NotImplementedError, match="^7.2a Total: keep the start$"):
        namespace["Total"](1.0)
    total = object.__new__(namespace["Total"])
    with pytest.raises(NotImplementedError, match="^7.2a Total: add, count and return$"):
        total.add(1.0)
    with pytest.raises(NotImplementedError, match="^7.2a grand_total: run a Total over the numbers$"):
        namespace["grand_total"]([1.0])


def test_the_solution_notebook_has_the_code_without_markers(path):
    solution = code(solution_notebook(read_source(path)))
    assert "SOLUTION" not in "".join(solution) and "NotImplementedError" not in "".join(solution)
    namespace = {}
    exec(solution[1], namespace)
    assert namespace["mean"]([1, 2, 6]) == 3


def test_the_exercise_stands_in_metadata_and_on_a_card_above(path):
    for notebook in map(lambda make: make(read_source(path)), (student_notebook, solution_notebook)):
        index = next(
            i for i, cell in enumerate(notebook.cells) if cell.metadata.get("exercise", {}).get("number") == "7.2a"
        )
        facts = notebook.cells[index].metadata.exercise
        assert facts["objects"] == ["Total", "grand_total"] and facts["points"] == 2
        assert "[exercise]" not in notebook.cells[index].source
        assert notebook.cells[index - 1].source == (
            "### 7.2a A running total\n\n"
            "difficulty ●●●○○ · importance ●●●●○ · about 15 minutes · 2 points\n\n"
            "> State is where mistakes live.\n\n"
            "Stuck? `hint(Total)` gives the first of 2 hints, and the next one each time you ask."
        )


def test_marked_cells_go_where_they_belong(path):
    student, solution = student_notebook(read_source(path)), solution_notebook(read_source(path))
    assert 'print("only for the student")' in code(student) and 'print("only in the solution")' not in code(student)
    assert 'print("only in the solution")' in code(solution) and 'print("only for the student")' not in code(solution)
    assert solution.cells[-1].metadata.tags == ["skip-execution"]
    assert not any(
        "[" in cell.source.split("\n")[0] and "-only]" in cell.source for cell in [*student.cells, *solution.cells]
    )


def test_comments_stay_comments_and_magics_become_magics(path):
    first = code(student_notebook(read_source(path)))[0]
    assert "\n# cat the parts together" in first and first.endswith("\n%pdb off")


def test_tags_of_a_cell_are_kept(path):
    assert any(cell.metadata.get("tags") == ["hide-input"] for cell in student_notebook(read_source(path)).cells)


def test_jupytext_reads_the_same_cells(path):
    edit(path, "# cat the parts together: a comment that jupytext would take for a shell command\n", "")
    ours = read_source(path).cells
    theirs = jupytext.read(path, fmt="py:percent").cells
    assert [cell.kind for cell in ours] == [cell.cell_type for cell in theirs]
    for our, their in zip(ours, theirs):
        assert their.source.strip().endswith(our.text)


def test_the_solution_text_of_an_exercise(root, path):
    text = solution_source("7.1", root=root)
    assert text.startswith("def mean(") and text.endswith("    return total / len(numbers)")
    assert solution_source("7.1", path=path) == text
    with pytest.raises(LookupError, match="has no exercise 7.9; it has 7.1, 7.2a"):
        solution_source("7.9", root=root)


def test_nothing_of_a_solution_is_in_the_student_notebook(path):
    text = serialise(student_notebook(read_source(path)))
    for line in ("total = sum(numbers)", "self.count += 1", "running = Total(0)", "only in the solution"):
        assert line not in text


def test_a_solution_shown_elsewhere_is_found(path):
    edit(path, 'print("only for the student")', "total = sum([1, 2])\n\ntotal = sum(numbers)  # so\nreturn_ = 1")
    assert not leaks(read_source(path), student_notebook(read_source(path)))
    edit(path, "return_ = 1", "\ndef f():\n    return total / len(numbers)")
    assert not leaks(read_source(path), student_notebook(read_source(path)))
    edit(path, "\ndef f():\n", "")
    edit(
        path, "total = sum(numbers)  # so\n    return", "if 1:\n  def f():\n    total = sum(numbers)  # so\n    return"
    )
    (problem,) = leaks(read_source(path), student_notebook(read_source(path)))
    assert "shows this solution of exercise 7.1" in str(problem)


# ids and bytes


def test_the_same_source_gives_the_same_bytes(path):
    for make in (student_notebook, solution_notebook):
        first = serialise(make(read_source(path)))
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        assert serialise(make(read_source(path))) == first
        assert first.endswith("}\n") and not first.endswith("\n\n")


def test_an_inserted_cell_changes_only_itself(path):
    before = student_notebook(read_source(path)).cells
    edit(path, "# %% [markdown]\n# ## Adding\n", "# %%\n1 + 1\n\n# %% [markdown]\n# ## Adding\n")
    after = student_notebook(read_source(path)).cells
    assert [cell for cell in after if cell.source != "1 + 1"] == before


def test_a_changed_solution_changes_no_id_and_no_student_notebook(path):
    ids = [cell.id for cell in solution_notebook(read_source(path)).cells]
    before = serialise(student_notebook(read_source(path)))
    edit(path, "total = sum(numbers)", "total = math.fsum(numbers)")
    assert [cell.id for cell in solution_notebook(read_source(path)).cells] == ids
    assert serialise(student_notebook(read_source(path))) == before


def test_equal_cells_have_different_ids(path):
    with path.open("a", encoding="utf-8") as file:
        file.write("\n# %%\n2 + 2\n\n# %%\n2 + 2\n")
    first, second = student_notebook(read_source(path)).cells[-2:]
    assert second.id == f"{first.id}-2"


# what is refused


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ("# difficulty = 2", "# difficulty = 7", 26, "difficulty must be a whole number from 1 to 5, but it is 7"),
        (
            "# difficulty = 2",
            "# difficulty = true",
            26,
            "difficulty must be a whole number from 1 to 5, but it is True",
        ),
        ("# minutes = 10\n", "", 23, "the exercise has no minutes; it must be a whole number above 0"),
        ('# number = "7.1"\n', "", 23, "the exercise has no number; it must be a text like"),
        ("# minutes = 10", "# minutes = 10\n# minuets = 3", 23, "unknown field minuets; did you mean minutes?"),
        (
            '#     "The sum over the count.",\n',
            "",
            31,
            "hints must be a list of at least two texts, but it is ['What do you add?']",
        ),
        ('# number = "7.1"', '# number = "8.1"', 36, "exercise 8.1 is in chapter 7: its number must start with 7."),
        ('# number = "7.1"', '# number = "7.2a"', 60, "exercise 7.2a is there twice: also on line 36"),
        ('# number = "7.1"', '# number = "7.10"', 60, "exercise 7.2a comes after 7.10; numbers must rise"),
        ('# number = "7.1"', "# number = 7.1", 24, 'number must be a text like "1.4" or "1.15b", but it is 7.1'),
        ("# points = 1", "# points = ", 29, "the exercise block is not valid TOML: Invalid value"),
        (
            "# points = 1",
            "points = 1",
            29,
            "a line of the exercise block starts with `# `, but this one is 'points = 1'",
        ),
        ('    # BEGIN SOLUTION: the "sum" over the count\n', "", 42, "END SOLUTION without a BEGIN SOLUTION before it"),
        ('SOLUTION: the "sum" over the count', "SOLUTION", 40, "BEGIN SOLUTION needs a sentence"),
        ("len(numbers)\n    # END SOLUTION", "len(numbers)", 40, "BEGIN SOLUTION without an END SOLUTION after it"),
        ("len(numbers)\n    # END SOLUTION", "len(numbers)\n    #END SOLUTION", 43, "not '#END SOLUTION'"),
        (
            "len(numbers)\n    # END SOLUTION",
            "len(numbers)\n  # END SOLUTION",
            43,
            "END SOLUTION must be indented like",
        ),
        ("    total = sum(numbers)", "    # BEGIN SOLUTION: again", 41, "inside the solution that began on line 40"),
        ("print(mean([1, 2, 6]))", "print(mean([1, 2, 6])", 47, "not valid Python: '(' was never closed"),
        (
            "print(mean([1, 2, 6]))",
            "def f():\n    # BEGIN SOLUTION: x\n    pass\n    # END SOLUTION",
            48,
            "no `# [exercise]` block",
        ),
        ("# [no-run]", "# [norun]", 98, "unknown mark [norun]; did you mean [no-run]?"),
        ("# - a list", "a list", 11, "a markdown line starts with `# `, but this one is 'a list'"),
        ("# # Chapter 7: Small sums", "# Small sums", 1, "the chapter has no title"),
        (
            "# %% [markdown]\n# # Chapter",
            "import os\n\n# %% [markdown]\n# # Chapter",
            7,
            "text before the first `# %%` cell: 'import os'",
        ),
        ('# %% tags=["hide-input"]', "# %% tag=3", 86, "but it says 'tag=3'"),
        (
            "    def __init__(self, start: float) -> None:\n        # BEGIN SOLUTION: keep the start",
            "    # BEGIN SOLUTION: keep the start\n    def __init__(self, start: float) -> None:",
            67,
            "END SOLUTION must be indented like its BEGIN SOLUTION",
        ),
    ],
)
def test_a_broken_rule_is_named_with_its_line_and_value(path, old, new, line, rule):
    edit(path, old, new)
    with pytest.raises(SourceError) as caught:
        read_source(path)
    said = [str(problem) for problem in caught.value.problems]
    assert any(text.startswith(f"solutions/07_small_sums.py:{line}: ") and rule in text for text in said), said


def test_an_exercise_without_a_solution_is_refused(path):
    text = path.read_text(encoding="utf-8")
    for marker in ('    # BEGIN SOLUTION: the "sum" over the count\n', "    # END SOLUTION\n\n\n# %%\nprint(mean"):
        text = text.replace(marker, "" if "BEGIN" in marker else "\n\n# %%\nprint(mean")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=":36: exercise 7.1 has no solution"):
        read_source(path)


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (
            "# BEGIN SOLUTION: all\ndef mean(numbers):\n    return 1\n# END SOLUTION",
            "inside a top-level function or class",
        ),
        (
            "class mean:\n    # BEGIN SOLUTION: all\n    def f(self):\n        return 1\n    # END SOLUTION",
            "as soon as the class is defined",
        ),
        ("if 1:\n    # BEGIN SOLUTION: all\n    x = 1\n    # END SOLUTION", "inside a top-level function or class"),
        (
            "def f():\n    # BEGIN SOLUTION: all\n    x = 1\ndef g():\n    y = 1\n    # END SOLUTION",
            "begins in f and ends outside of it",
        ),
    ],
)
def test_a_solution_lies_inside_a_function(path, body, rule):
    text = path.read_text(encoding="utf-8")
    start, end = text.index("def mean("), text.index("\n\n\n# %%\nprint(mean")
    path.write_text(text[:start] + body + text[end:], encoding="utf-8")
    with pytest.raises(SourceError, match=rule):
        read_source(path)


def test_every_problem_is_told_at_once(path):
    edit(path, "# difficulty = 2", "# difficulty = 9")
    edit(path, "# [no-run]", "# [norun]")
    with pytest.raises(SourceError) as caught:
        read_source(path)
    assert len(caught.value.problems) == 2


# outputs


def test_outputs_are_the_same_from_one_run_to_the_next():
    def run(first, second, address):
        html = (
            f'<div id="circuits-vis-{first}"></div><script>render("circuits-vis-{first}")</script><div id="{second}">'
        )
        cell = nbformat.v4.new_code_cell("x", id="abc", execution_count=7, metadata={"execution": {"started": first}})
        cell.outputs = [
            nbformat.v4.new_output("stream", name="stdout", text="one\n"),
            nbformat.v4.new_output("stream", name="stderr", text=f"\r10%|{first}\r100%|##\n"),
            nbformat.v4.new_output("stream", name="stdout", text="two\n"),
            nbformat.v4.new_output("display_data", data={"text/html": html, "text/plain": f"<F at {address}>"}),
            nbformat.v4.new_output(
                "display_data",
                data={"application/vnd.jupyter.widget-view+json": {"model_id": first}, "text/plain": "W()"},
            ),
            nbformat.v4.new_output("execute_result", data={"text/plain": "3"}, execution_count=7),
        ]
        notebook = nbformat.v4.new_notebook(cells=[cell])
        clean(notebook)
        return notebook

    once = run("1a2b3c4d-5e6f", "0d9c8b7a-1111-4222-8333-444455556666", "0x7f0123456789")
    again = run("99999999-8888", "aaaaaaaa-1111-4222-8333-bbbbbbbbbbbb", "0x7fabcdefabcd")
    assert once == again
    stdout, stderr, figure, widget, result = once.cells[0].outputs
    assert (stdout.text, stderr.text) == ("one\ntwo\n", "100%|##\n")
    assert figure.data["text/html"].count(figure.data["text/html"][22:35]) == 2
    assert list(widget.data) == ["text/markdown"]
    assert once.cells[0].execution_count == result.execution_count == 1
    assert "execution" not in once.cells[0].metadata


# the command


def test_the_command_builds_keeps_and_checks(root, path, capsys):
    def circuits_build(*arguments):
        status = build.main(list(arguments), root=root)
        return status, capsys.readouterr().out

    student, solution = root / "chapters" / "07_small_sums.ipynb", root / "solutions" / "07_small_sums.ipynb"

    status, out = circuits_build("--check")
    assert status == 1 and "chapters/07_small_sums.ipynb: is not there" in out and "2 to mend" in out
    assert not student.exists()

    assert circuits_build("--student") == (0, "chapters/07_small_sums.ipynb: written\n")
    assert circuits_build("--student", "--check")[0] == 0 and not solution.exists()
    student.unlink()

    status, out = circuits_build()
    assert status == 0, out
    assert (
        "chapters/07_small_sums.ipynb: written" in out
        and "solutions/07_small_sums.ipynb: written, 6 cells run in" in out
    )
    notebook = nbformat.read(solution, as_version=4)
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in ran] == [1, 2, 3, 4, 5, 6, None]
    assert printed(ran[2]) == "3.0\n"
    assert sorted(notebook.metadata) == ["circuits", "kernelspec", "language_info"]
    assert "version" not in notebook.metadata.language_info
    assert circuits_build("--check") == (0, "1 chapter(s): the notebooks are as their sources say\n")

    # nothing to do: not a byte changes, nothing is run
    bytes_before = student.read_bytes(), solution.read_bytes()
    status, out = circuits_build("7")
    assert status == 0 and out.count("unchanged") == 2 and "running" not in out
    assert (student.read_bytes(), solution.read_bytes()) == bytes_before

    # executed again, the same bytes
    status, out = circuits_build("--execute")
    assert status == 0 and "running 6 cells (as asked)" in out and solution.read_bytes() == bytes_before[1]

    # new prose: outputs are kept
    edit(path, "# Two is company.", "# Two is company, three is a sum.")
    status, out = circuits_build("--check")
    assert status == 1 and "from the source" in out and "three is a sum" in out
    status, out = circuits_build()
    assert status == 0 and "running" not in out and out.count(": written") == 2
    assert printed([c for c in nbformat.read(solution, as_version=4).cells if c.cell_type == "code"][2]) == "3.0\n"

    # a hand edit of the student notebook
    good = student.read_text(encoding="utf-8")
    student.write_text(good.replace("the total of all", "x").replace("The total of all", "The sum"), encoding="utf-8")
    status, out = circuits_build("--check")
    assert status == 1 and "chapters/07_small_sums.ipynb: differs from its source" in out and "The sum" in out
    leaky = json.loads(good)
    leaky["cells"][-2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    leaky["cells"][-2]["source"] = "total = sum(numbers)\nreturn total / len(numbers)"
    student.write_text(json.dumps(leaky), encoding="utf-8")
    status, out = circuits_build("--check")
    assert status == 1 and "has outputs" in out and "gives a solution away" in out and "exercise 7.1" in out
    student.write_text(good, encoding="utf-8")

    # a hand edit of a solution cell, of its output, and of its metadata
    good = solution.read_text(encoding="utf-8")
    for old, new, said in [
        ("total / len(numbers)", "total / 3", "its code is not the code that was executed"),
        ('"3.0\\n"', '"3.5\\n"', "its outputs are not those of its last execution"),
        ('"minutes": 10', '"minutes": 11', "solutions/07_small_sums.ipynb: differs from its source"),
    ]:
        assert good.count(old) == 1, old
        solution.write_text(good.replace(old, new), encoding="utf-8")
        status, out = circuits_build("--check")
        assert status == 1 and said in out, out
    solution.write_text(good, encoding="utf-8")
    assert circuits_build("--check")[0] == 0

    # a stale source
    edit(path, "print(mean([1, 2, 6]))", "print(mean([1, 2, 9]))")
    status, out = circuits_build("--check")
    assert status == 1 and "its code is not the code that was executed" in out and "[1, 2, 9]" in out

    # a cell that fails is named, and the notebook that stood there stays
    edit(path, "print(mean([1, 2, 9]))", "print(mean([]))")
    status, out = circuits_build()
    assert status == 1 and "solutions/07_small_sums.py:47: ZeroDivisionError: division by zero" in out, out
    assert solution.read_text(encoding="utf-8") == good and "solutions/07_small_sums.ipynb: left as it was" in out

    # so is a check that the solution does not pass
    card = "type('Card', (), {'__repr__': lambda self: '✗ 7.1 mean: 0 of 3 checks pass'})()"
    edit(path, "print(mean([]))", card)
    status, out = circuits_build()
    assert status == 1 and "solutions/07_small_sums.py:47: ✗ 7.1 mean: 0 of 3 checks pass" in out, out

    # a cell that takes too long
    edit(path, card, "import time; time.sleep(60)")
    status, out = circuits_build("--timeout", "1")
    assert status == 1 and "solutions/07_small_sums.py:47: the cell ran for more than 1 s" in out, out


def test_the_build_runs_offline_and_away_from_the_authors_work(root, path, capsys, monkeypatch):
    monkeypatch.setenv("CIRCUITS_WORK", "the author's")
    names = ("HF_HUB_OFFLINE", "CIRCUITS_STATIC_FIGURES", "CIRCUITS_WORK")
    edit(path, "print(mean([1, 2, 6]))", f"import os\nprint([os.environ[n] for n in {names}], os.getcwd())")
    assert build.main([], root=root) == 0
    notebook = nbformat.read(root / "solutions" / "07_small_sums.ipynb", as_version=4)
    text = printed([cell for cell in notebook.cells if cell.cell_type == "code"][2])
    (offline, figures, work), folder = ast.literal_eval(text[: text.index("]") + 1]), text[text.index("]") + 2 : -1]
    assert (offline, figures, folder) == ("1", "1", str(root.resolve())) and "author" not in work


def test_the_command_names_what_it_cannot_build(root, path, capsys):
    assert build.main(["8"], root=root) == 1
    assert "there is no chapter '8'. The chapters there are: 07_small_sums" in capsys.readouterr().out
    edit(path, "# points = 1", "# points = 0")
    assert build.main([], root=root) == 1
    assert (
        "solutions/07_small_sums.py:29: points must be a whole number above 0, but it is 0" in capsys.readouterr().out
    )
    assert not list((root / "chapters").iterdir())


def test_a_notebook_without_a_source_and_one_that_is_too_large_are_found(root, path, capsys):
    edit(path, "# Two is company.", f"# {'x' * 2_000_000}")
    (root / "chapters" / "09_gone.ipynb").write_text("{}")
    (root / "chapters" / "07_small_sums.ipynb").write_text(
        serialise(student_notebook(read_source(path))), encoding="utf-8"
    )
    assert build.main(["--check"], root=root) == 1
    out = capsys.readouterr().out
    assert "chapters/09_gone.ipynb: has no source solutions/09_gone.py" in out
    assert "has 2.0 MB, and a notebook may have 2 MB; the largest cell is the one on line 8 of the source" in out
