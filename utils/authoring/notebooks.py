"""This file knows how to make a chapter's two notebooks from its source, before anything is executed."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from utils.authoring.cells import Cell, Problem, Source
from utils.course import dots

NEW_CELL = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}

NOT_RUN = "skip-execution"  # the tag that nbclient skips by

KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    # without the interpreter's version, which would differ from one author to the next
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


def student_notebook(source: Source) -> nbformat.NotebookNode:
    """The notebook that a learner starts from: stubs, no outputs."""
    return _notebook(source, "student", left_out="solution-only")


def solution_notebook(source: Source) -> nbformat.NotebookNode:
    """The same notebook with its solutions, not executed yet."""
    return _notebook(source, "solution", left_out="student-only")


def serialise(notebook: nbformat.NotebookNode) -> str:
    """The notebook's text as it stands in its file; the same notebook always gives the same text."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def card(exercise: dict) -> str:
    """What stands above an exercise: what it is, how hard, why, and how to get help."""
    minutes, points, hints = exercise["minutes"], exercise["points"], len(exercise["hints"])
    return "\n".join(
        [
            f"### {exercise['number']} {exercise['title']}",
            "",
            f"difficulty {dots(exercise['difficulty'])} · importance {dots(exercise['importance'])}"
            f" · about {_count(minutes, 'minute')} · {_count(points, 'point')}",
            "",
            f"> {' '.join(exercise['why'].split())}",
            "",
            f"Stuck? `hint({exercise['objects'][0]})` gives the first of {hints} hints, and the next one each time you ask.",
        ]
    )


def leaks(source: Source, notebook: nbformat.NotebookNode) -> list[Problem]:
    """Where a student notebook gives a solution away.

    A solution counts from two lines, or one long line: a short one, such as `return x + self.b`, says nothing.
    """
    problems = []
    shown = [_squeezed(cell.source) for cell in notebook.cells]
    for number, cell in source.exercises.items():
        hints = _squeezed("\n".join(cell.exercise["hints"]))
        for block in cell.blocks:
            solution = _squeezed(cell.block_text(block))
            line = cell.line + block.begin
            if "\n" not in solution and len(solution) < 60:
                continue
            if solution in hints:
                problems.append(Problem(source.path, line, f"a hint of exercise {number} is this whole solution"))
            if any(solution in text for text in shown):
                problems.append(
                    Problem(source.path, line, f"the student notebook shows this solution of exercise {number}")
                )
    for cell in notebook.cells:
        if re.search(r"# (BEGIN|END) SOLUTION", cell.source):
            problems.append(Problem(source.path, 1, f"cell {cell.id} of the student notebook has a solution marker"))
    return problems


def lines_in_source(source: Source) -> dict[str, int]:
    """For every cell id, the line of the source that the cell comes from."""
    return {cell_id: cell.line for cell, *cell_ids in _with_ids(source) for cell_id in cell_ids}


def _with_ids(source: Source) -> Iterator[tuple[Cell, str, str]]:
    """Each cell with its card's id and its own: made from content, so that inserting a cell changes no other."""
    seen: Counter[str] = Counter()

    def unique(kind: str, text: str) -> str:
        digest = hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()[:12]
        seen[digest] += 1
        return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"

    for cell in source.cells:
        # the stub names the cell in both notebooks, so a changed solution changes no id
        yield cell, unique("markdown", card(cell.exercise)) if cell.exercise else "", unique(cell.kind, cell.stub)


def _notebook(source: Source, edition: str, *, left_out: str) -> nbformat.NotebookNode:
    cells = []
    for cell, card_id, cell_id in _with_ids(source):
        if left_out in cell.marks:
            continue
        if cell.exercise:
            cells.append(new_markdown_cell(card(cell.exercise), id=card_id))
        text = cell.stub if edition == "student" else cell.solution
        cells.append(NEW_CELL[cell.kind](text, id=cell_id, metadata=_metadata(cell)))
    about = {"chapter": source.number, "edition": edition, "name": source.name, "title": source.title}
    return new_notebook(cells=cells, metadata={**KERNEL, "circuits": about})


def _metadata(cell: Cell) -> dict:
    metadata = dict(cell.metadata)
    if "no-run" in cell.marks:
        metadata["tags"] = [*metadata.get("tags", []), NOT_RUN]
    if cell.exercise:
        metadata["exercise"] = cell.exercise
    return metadata


def _squeezed(text: str) -> str:
    """The text without comments, blank lines and indentation, to compare code by."""
    lines = (re.sub(r"(^|\s+)#.*$", "", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
