"""This file knows how to read the one source of a chapter, solutions/NN_name.py, and to say what is wrong with it.

The format is jupytext's py:percent. It is read here and not by jupytext for three reasons: errors can name the line,
a comment such as `# cat the two streams` stays a comment (jupytext takes it for a shell command), and `reveal` in a
notebook does not wait for an import of over a second. A test holds this reader and jupytext to the same cells.
"""

import ast
import difflib
import hashlib
import json
import re
import sys
from pathlib import Path

from utils.authoring.cells import Block, Cell, Problem, Source, SourceError, short
from utils.course import CHAPTER_NAME, EXERCISE_NUMBER, NotInCourse, sort_key
from utils.paths import REPO

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CELL_START = re.compile(r"# %%(?:\s+(.*))?")
MARK = re.compile(r"\[([a-z_ -]+)\]")
MARKS = ("solution-only", "student-only", "no-run")
MAGIC = re.compile(r"^(\s*)# (%{1,2}[a-zA-Z]{2,})")

LOOKS_LIKE_MARKER = re.compile(r"\s*#\s*(begin|end)[ _-]*solution", re.IGNORECASE)
BEGIN = re.compile(r"(\s*)# BEGIN SOLUTION(?::\s*(.*\S))?\s*")
END = re.compile(r"(\s*)# END SOLUTION\s*")

RATING = "a whole number from 1 to 5"
FIELDS = {  # name: (what it must be, whether a value is that)
    "number": ('a text like "1.4" or "1.15b"', lambda v: isinstance(v, str) and EXERCISE_NUMBER.fullmatch(v)),
    "title": ("a text", lambda v: isinstance(v, str) and v.strip()),
    "difficulty": (RATING, lambda v: type(v) is int and 1 <= v <= 5),
    "importance": (RATING, lambda v: type(v) is int and 1 <= v <= 5),
    "minutes": ("a whole number above 0", lambda v: type(v) is int and v > 0),
    "points": ("a whole number above 0", lambda v: type(v) is int and v > 0),
    "why": ("a text", lambda v: isinstance(v, str) and v.strip()),
    "hints": (
        "a list of at least two texts",
        lambda v: isinstance(v, list) and len(v) >= 2 and all(isinstance(hint, str) and hint.strip() for hint in v),
    ),
}


_cache: dict[Path, tuple[str, Source]] = {}


def read_source(path: Path) -> Source:
    """The chapter that this file describes; raises SourceError with everything that is wrong in it."""
    text = Path(path).read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    if path not in _cache or _cache[path][0] != digest:
        _cache[path] = digest, _Reader(Path(path), text).source()
    return _cache[path][1]


def solution_source(number: str, *, root: Path = REPO, path: Path | None = None) -> str:
    """The solution cell of an exercise, without its TOML block and its BEGIN and END lines."""
    if path is None:
        prefix = f"{sort_key(number)[0]:02d}_"
        found = sorted((root / "solutions").glob(f"{prefix}*.py"))
        if not found:
            raise NotInCourse(f"exercise {number} has no source: there is no solutions/{prefix}*.py")
        path = found[0]
    exercises = read_source(path).exercises
    if number not in exercises:
        raise NotInCourse(f"{short(path)} has no exercise {number}; it has {', '.join(exercises)}")
    return exercises[number].solution


class _Reader:
    """Reads one source, and gathers every problem before it complains."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.split("\n")
        self.problems: list[Problem] = []

    def complain(self, line: int, rule: str) -> None:
        self.problems.append(Problem(self.path, line, rule))

    def source(self) -> Source:
        name = CHAPTER_NAME.fullmatch(self.path.stem)
        if name is None:
            self.complain(1, f"the file must be named like 01_transformers_from_scratch.py, but it is {self.path.name}")
        number = int(name[1]) if name else 0
        cells = [cell for start, end in self.spans() if (cell := self.cell(start, end))]
        if name is not None:
            self.check_numbers(cells, number)
        title = self.title(cells)
        if self.problems:
            raise SourceError(sorted(self.problems, key=lambda problem: problem.line))
        return Source(self.path, number, self.path.stem, title, tuple(cells))

    def spans(self) -> list[tuple[int, int]]:
        """Index of each cell's `# %%` line and of the line after its last."""
        starts = [index for index, line in enumerate(self.lines) if CELL_START.fullmatch(line)]
        if not starts:
            self.complain(1, "there is no cell: a cell starts with `# %%` or `# %% [markdown]`")
            return []
        before = self.lines[: starts[0]]
        header = before and before[0] == "# ---" and "# ---" in before[1:]
        rest = before[before.index("# ---", 1) + 1 :] if header else before
        for line in rest:
            if line.strip():
                self.complain(self.lines.index(line) + 1, f"text before the first `# %%` cell: {line.strip()!r}")
                break
        return list(zip(starts, [*starts[1:], len(self.lines)]))

    def cell(self, start: int, end: int) -> Cell | None:
        kind, metadata = self.options(start)
        first = start + 1
        while first < end and not self.lines[first].strip():
            first += 1
        while end > first and not self.lines[end - 1].strip():
            end -= 1
        lines = self.lines[first:end]
        if not lines:
            self.complain(start + 1, "the cell is empty")
            return None
        lines = self.uncommented(lines, first) if kind != "code" else [MAGIC.sub(r"\1\2", line) for line in lines]

        marks = set()
        comment = "# " if kind == "code" else ""
        while lines and (mark := MARK.fullmatch(lines[0].removeprefix(comment))) and mark[1] != "exercise":
            if not lines[0].startswith(comment):
                break
            if mark[1] not in MARKS:
                close = difflib.get_close_matches(mark[1], [*MARKS, "exercise"], n=1)
                meant = f"; did you mean [{close[0]}]?" if close else f"; the marks are {', '.join(MARKS)}"
                self.complain(first + 1, f"unknown mark [{mark[1]}]{meant}")
            marks.add(mark[1])
            lines, first = lines[1:], first + 1

        exercise = None
        if kind == "code" and lines and lines[0] == "# [exercise]":
            exercise, length = self.exercise(lines, first)
            lines, first = lines[length:], first + length
            if marks & {"solution-only", "student-only"}:
                self.complain(first + 1, "an exercise is in both notebooks: it cannot be solution-only or student-only")
        while lines and not lines[0].strip():
            lines, first = lines[1:], first + 1
        for index, line in enumerate(lines):
            if kind == "code" and line.strip() in ("# [exercise]", "# [/exercise]"):
                self.complain(first + index + 1, f"`{line.strip()}` must be at the head of a cell, before any code")

        blocks = self.blocks(lines, first, exercise) if kind == "code" else []
        text = "\n".join(lines)
        if exercise is not None:
            exercise["objects"] = list(dict.fromkeys(block.owner for block in blocks))
        cell = Cell(kind, text, first + 1, frozenset(marks), metadata, exercise, tuple(blocks))
        if kind == "code":
            self.check_compiles(cell)
        return cell

    def options(self, start: int) -> tuple[str, dict]:
        text = (CELL_START.fullmatch(self.lines[start])[1] or "").strip()
        kind = "code"
        if match := re.search(r"\[(markdown|md|raw)\]", text):
            kind = "raw" if match[1] == "raw" else "markdown"
            text = (text[: match.start()] + text[match.end() :]).strip()
        metadata = {}
        if match := re.search(r"\btags=(\[.*?\])", text):
            try:
                metadata["tags"] = json.loads(match[1])
            except json.JSONDecodeError:
                self.complain(start + 1, f'tags must look like tags=["a", "b"], but they are {match[1]}')
            text = (text[: match.start()] + text[match.end() :]).strip()
        if text:
            self.complain(start + 1, f"a cell line may say [markdown], [raw] or tags=[...], but it says {text!r}")
        return kind, metadata

    def uncommented(self, lines: list[str], first: int) -> list[str]:
        quoted = re.fullmatch(r'r?"""(.*)', lines[0])
        if quoted and lines[-1].rstrip().endswith('"""') and len(lines) > 1:
            return "\n".join([quoted[1], *lines[1:-1], lines[-1].rstrip()[:-3]]).strip("\n").split("\n")
        for index, line in enumerate(lines):
            if line.strip() and not re.match(r"#(\s|$)", line):
                self.complain(first + index + 1, f"a markdown line starts with `# `, but this one is {line.strip()!r}")
        return [re.sub(r"^# ?", "", line).rstrip("\n") for line in lines]

    def exercise(self, lines: list[str], first: int) -> tuple[dict, int]:
        """The facts in the TOML block, and how many lines it takes."""
        if "# [/exercise]" not in lines:
            self.complain(first + 1, "`# [exercise]` has no `# [/exercise]`")
            return {"number": "", "hints": []}, 1
        end = lines.index("# [/exercise]")
        block = lines[1:end]
        for index, line in enumerate(block):
            if line.strip() and not line.startswith("#"):
                self.complain(
                    first + index + 2, f"a line of the exercise block starts with `# `, but this one is {line!r}"
                )
        try:
            facts = tomllib.loads("\n".join(re.sub(r"^# ?", "", line) for line in block))
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"at line (\d+)", str(error))
            line = first + 1 + (int(where[1]) if where else 0)
            self.complain(line, f"the exercise block is not valid TOML: {error}")
            return {"number": "", "hints": []}, end + 1
        for name, (rule, holds) in FIELDS.items():
            if name not in facts:
                self.complain(first + 1, f"the exercise has no {name}; it must be {rule}")
            elif not holds(facts[name]):
                line = next((i for i, text in enumerate(block) if re.match(rf"#\s*{name}\s*=", text)), -1)
                self.complain(first + line + 2, f"{name} must be {rule}, but it is {facts[name]!r}")
        for name in sorted(facts.keys() - FIELDS.keys()):
            close = difflib.get_close_matches(name, FIELDS, n=1)
            meant = f"; did you mean {close[0]}?" if close else f"; the fields are {', '.join(FIELDS)}"
            self.complain(first + 1, f"the exercise has an unknown field {name}{meant}")
        return facts, end + 1

    def blocks(self, lines: list[str], first: int, exercise: dict | None) -> list[Block]:
        blocks, begin, owners = [], None, self.owners(lines)
        for index, line in enumerate(lines):
            if not LOOKS_LIKE_MARKER.match(line):
                continue
            here = first + index + 1
            if match := BEGIN.fullmatch(line):
                if begin is not None:
                    self.complain(here, f"BEGIN SOLUTION inside the solution that began on line {first + begin[0] + 1}")
                    continue
                begin = index, match[1], match[2] or ""
                if not match[2]:
                    self.complain(
                        here, "BEGIN SOLUTION needs a sentence for the stub: `# BEGIN SOLUTION: what to write`"
                    )
                if exercise is None:
                    self.complain(here, "a solution stands in a cell that has no `# [exercise]` block")
            elif match := END.fullmatch(line):
                if begin is None:
                    self.complain(here, "END SOLUTION without a BEGIN SOLUTION before it in the cell")
                    continue
                if match[1] != begin[1]:
                    self.complain(here, "END SOLUTION must be indented like its BEGIN SOLUTION")
                owner = owners.get(begin[0]) if owners is not None else ""
                if owner is None:
                    self.complain(first + begin[0] + 1, "a solution must lie inside a top-level function or class")
                elif owner and owner != owners.get(index):
                    self.complain(here, f"the solution begins in {owner} and ends outside of it")
                blocks.append(Block(begin[0], index, begin[1], begin[2], owner or ""))
                begin = None
            else:
                self.complain(here, f"write `# BEGIN SOLUTION: sentence` or `# END SOLUTION`, not {line.strip()!r}")
        if begin is not None:
            self.complain(first + begin[0] + 1, "BEGIN SOLUTION without an END SOLUTION after it in the cell")
        elif exercise is not None and not blocks:
            self.complain(
                first + 1, f"exercise {exercise.get('number')} has no solution: mark it with BEGIN and END SOLUTION"
            )
        return blocks

    def owners(self, lines: list[str]) -> dict[int, str] | None:
        """For every indented line's index, the top-level function or class that it belongs to; None without syntax."""
        try:
            body = ast.parse(without_magics("\n".join(lines))).body
        except SyntaxError:
            return None
        owners: dict[int, str] = {}
        for node, after in zip(body, [*body[1:], None]):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                end = _first_line(after) - 1 if after else len(lines)
                indented = (i for i in range(node.lineno, end) if re.match(r"\s+\S", lines[i]))
                owners.update({index: node.name for index in indented})
        return owners

    def check_compiles(self, cell: Cell) -> None:
        try:
            ast.parse(without_magics(cell.text))
        except SyntaxError as error:
            self.complain(cell.line - 1 + (error.lineno or 1), f"not valid Python: {error.msg}")
            return
        if self.problems or cell.exercise is None:
            return
        try:
            stub = ast.parse(without_magics(cell.stub))
        except SyntaxError as error:
            self.complain(cell.line, f"with its solutions taken out, the cell is not valid Python: {error.msg}")
            return
        functions = [node for node in ast.walk(stub) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        shorter = 0
        for block in cell.blocks:
            line = block.begin + 1 - shorter
            if not any(node.lineno < line <= node.end_lineno for node in functions):
                self.complain(
                    cell.line + block.begin,
                    "a solution must lie inside a function: here its stub would raise as soon as the class is defined",
                )
            shorter += block.end - block.begin

    def check_numbers(self, cells: list[Cell], chapter: int) -> None:
        seen: dict[str, int] = {}
        objects: dict[str, str] = {}
        before = None
        for cell in cells:
            if cell.exercise is None:
                continue
            number = cell.exercise.get("number")
            if not isinstance(number, str) or not EXERCISE_NUMBER.fullmatch(number):
                continue
            if number in seen:
                free = f"; {number}b would come after it" if number[-1].isdigit() else ""
                self.complain(cell.line, f"exercise {number} is there twice: also on line {seen[number]}{free}")
            elif before and sort_key(number) < sort_key(before):
                self.complain(cell.line, f"exercise {number} comes after {before}; numbers must rise")
            if sort_key(number)[0] != chapter:
                self.complain(
                    cell.line, f"exercise {number} is in chapter {chapter}: its number must start with {chapter}."
                )
            for name in cell.exercise["objects"]:
                if name in objects and number not in seen:
                    self.complain(cell.line, f"{name} is already written in exercise {objects[name]}")
                objects[name] = number
            seen[number], before = cell.line, number

    def title(self, cells: list[Cell]) -> str:
        """The first heading, without a leading "Chapter 1:" or "1."."""
        for cell in cells:
            if cell.kind == "markdown" and (match := re.search(r"^# +(.+)$", cell.text, re.MULTILINE)):
                return re.sub(r"^(chapter\s+)?\d+\s*[.:)–—-]*\s+", "", match[1].strip(), flags=re.IGNORECASE)
        self.complain(1, "the chapter has no title: a markdown cell with a line `# Title` near the top")
        return ""


def without_magics(text: str) -> str:
    """The code with IPython's own lines made harmless, so that Python's parser can read it."""
    return "\n".join(re.sub(r"^(\s*)[%!]\S.*$", r"\1pass", line) for line in text.split("\n"))


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])
