"""This file knows how to show a report: as a small card in a notebook, and as lines in a terminal."""

from __future__ import annotations

from html import escape

from utils.checking.complaints import Complaint
from utils.checking.pictures import side_by_side
from utils.checking.report import Report

TICK, CROSS, NOT_REACHED = "✓", "✗", "·"

# JupyterLab's own colours where there are some, so that the card follows its theme
STYLE = """
.circuits-card { border: 1px solid var(--jp-border-color2, #ccc); border-left: 5px solid #8a8a8a; border-radius: 4px; padding: 10px 14px;
  margin: 4px 0; max-width: 760px; font: 14px/1.45 var(--jp-ui-font-family, sans-serif); color: var(--jp-ui-font-color1, #1f1f1f); }
.circuits-card[data-state=passed] { border-left-color: #2f8f4e; }
.circuits-card[data-state=failed] { border-left-color: #c2410c; }
.circuits-card h4 { margin: 0 0 6px; font-size: 15px; }
.circuits-card ul { list-style: none; margin: 4px 0; padding: 0; }
.circuits-card li[data-state=passed] .circuits-mark { color: #2f8f4e; }
.circuits-card li[data-state=failed] .circuits-mark { color: #c2410c; font-weight: bold; }
.circuits-card .circuits-mark { display: inline-block; width: 1.3em; }
.circuits-card dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 12px; margin: 8px 0; }
.circuits-card dl dt { float: none; width: auto; white-space: nowrap; font-weight: normal; color: var(--jp-ui-font-color2, #666); }
.circuits-card dl dd { float: none; width: auto; margin: 0; }
.circuits-mistake { background: var(--jp-warn-color3, #fff3e0); color: #1f1f1f; border-radius: 3px; padding: 6px 10px; margin: 8px 0; }
.circuits-pictures { display: flex; gap: 20px; flex-wrap: wrap; margin: 6px 0; }
.circuits-picture { margin: 0; }
.circuits-picture figcaption, .circuits-caption { color: var(--jp-ui-font-color2, #666); font-size: 12px; margin: 0 0 3px 18px; }
.circuits-card code, .circuits-card pre { font-family: var(--jp-code-font-family, monospace); font-size: 12.5px; background: none; }
.circuits-card pre { white-space: pre-wrap; margin: 4px 0; }
.circuits-bar { height: 5px; background: var(--jp-border-color2, #ddd); border-radius: 3px; margin-top: 8px; }
.circuits-bar div { height: 100%; background: #2f8f4e; border-radius: 3px; }
.circuits-foot { color: var(--jp-ui-font-color2, #666); font-size: 12px; margin-top: 3px; }
"""


def html(report: Report, *, progress: tuple[int, int] | None = None) -> str:
    """The card; ``progress`` is (exercises solved, exercises in all) of the chapter."""
    parts = [f"<h4>{escape(headline(report))}</h4>", _tests(report)]
    if report.complaint:
        parts.append(_failure(report, report.complaint))
    if progress:
        solved, total = progress
        share = 100 * solved / total if total else 0
        parts.append(
            f'<div class="circuits-bar"><div style="width:{share:.0f}%"></div></div>'
            f'<div class="circuits-foot">chapter {report.chapter.number}: {solved} of {total} exercises solved</div>'
        )
    about = f'data-state="{report.state}" data-exercise="{report.exercise.number}"'
    return f'<style>{STYLE}</style><div class="circuits-card" {about}>{"".join(parts)}</div>'


def text(report: Report) -> str:
    """The same in plain lines."""
    lines = [headline(report)]
    lines += [f"  {_mark(result)} {result.sentence}" for result in report.results]
    complaint = report.complaint
    if complaint:
        lines += ["", *(f"  {line}" for line in _lines(report, complaint))]
    return "\n".join(lines)


def note(title: str, body: str = "", foot: str = "") -> str:
    """A card that only says something: a hint, a solution, or what cannot be done."""
    inside = f"<h4>{code(title)}</h4>{body}" if body else code(title)
    inside += f'<div class="circuits-foot">{code(foot)}</div>' if foot else ""
    return f'<style>{STYLE}</style><div class="circuits-card" data-state="said">{inside}</div>'


def headline(report: Report) -> str:
    names = ", ".join(report.exercise.objects)
    if report.state == "passed":
        return f"{TICK} {report.exercise.number} {names}: all {len(report.results)} checks pass"
    if report.state == "unwritten":
        return f"{report.exercise.number} {names}: not written yet"
    if not report.results:
        return f"{CROSS} {report.exercise.number} {names}: no test has an argument of this name"
    return f"{CROSS} {report.exercise.number} {names}: {report.n_passed} of {len(report.results)} checks pass"


def _lines(report: Report, complaint: Complaint) -> list[str]:
    lines = [_broken_below(report)] if report.broken_below else []
    lines.append(f"seen: {complaint.seen}")
    if report.mistake:
        lines.append(f"a known mistake, {report.mistake.name}: {_clause(report.mistake.sentence)}")
    if complaint.rule:
        lines.append(f"the rule: {complaint.rule}")
    if complaint.look_at:
        lines.append(f"look at: {complaint.look_at}")
    lines += [f"  {frame.place}, line {frame.line}, in {frame.function}: {frame.source}" for frame in complaint.frames]
    return lines


def _tests(report: Report) -> str:
    if report.state == "unwritten":
        return ""
    rows = "".join(
        f'<li data-state="{_state(result)}"><span class="circuits-mark">{_mark(result)}</span>{escape(result.sentence)}</li>'
        for result in report.results
    )
    return f"<ul>{rows}</ul>"


def _failure(report: Report, complaint: Complaint) -> str:
    parts = []
    if report.broken_below:
        parts.append(f'<div class="circuits-mistake">{escape(_broken_below(report))}.</div>')
    if report.mistake:
        told = f"{escape(report.mistake.name)}</b>: {escape(_clause(report.mistake.sentence))}"
        parts.append(f'<div class="circuits-mistake">A known mistake, <b>{told}</div>')
    rows = [("seen", complaint.seen), ("the rule", complaint.rule), ("look at", complaint.look_at)]
    listed = "".join(
        f'<dt>{name}</dt><dd class="circuits-{name.split()[0]}">{code(value)}</dd>' for name, value in rows if value
    )
    parts.append(f"<dl>{listed}</dl>")
    if complaint.picture is not None:
        parts.append(side_by_side(complaint.picture))
    if complaint.frames:
        frames = "\n".join(
            f"{frame.place}, line {frame.line}, in {frame.function}\n    {frame.source}" for frame in complaint.frames
        )
        parts.append(f"<details><summary>where in your code</summary><pre>{escape(frames)}</pre></details>")
    if report.printed.strip():
        parts.append(f"<details><summary>what your code printed</summary><pre>{escape(report.printed)}</pre></details>")
    name = report.exercise.objects[0]
    parts.append(f'<div class="circuits-foot">stuck? <code>hint({escape(name)})</code></div>')
    return "".join(parts)


def _broken_below(report: Report) -> str:
    verb, own = ("does", "itself") if len(report.broken_below) == 1 else ("do", "themselves")
    return f"this is built on your {' and '.join(report.broken_below)}, which {verb} not pass by {own}: mend that first"


def _state(result) -> str:
    return "passed" if result.passed else "skipped" if result.skipped else "failed"


def _mark(result) -> str:
    return TICK if result.passed else NOT_REACHED if result.skipped else CROSS


def _clause(sentence: str) -> str:
    return sentence if sentence.endswith(".") else sentence + "."


def code(value: str) -> str:
    """Text between backquotes as code."""
    pieces = escape(value).split("`")
    return "".join(piece if index % 2 == 0 else f"<code>{piece}</code>" for index, piece in enumerate(pieces))
