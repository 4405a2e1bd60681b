"""The audit makes the mutants that it should, judges them as a learner would be told, and keeps what it found."""

import ast
import json
from collections import Counter

import pytest
import torch

from utils.audit import command, figures, judging, stability, workers
from utils.audit.contents import mark_of
from utils.audit.equivalents import entry_for, equivalents_file, read_equivalents
from utils.audit.judging import Judge, Suspect, Verdict
from utils.audit.mutants import Mutant, mutants_of, mutants_of_cell
from utils.audit.operators import OPERATORS
from utils.audit.readme import BEGIN, END, says_the_same, sentence
from utils.audit.trees import dump
from utils.audit.verdicts import Verdicts, verdicts_file
from utils.authoring.cells import Block, Cell
from utils.checking import compare, expect_close
from utils.checking.mistakes import load_mistakes, load_right_answers
from utils.refusal import CannotDo

FUNCTION = '''
def f(q: Tensor, k: Tensor, cfg) -> Tensor:
    """What comes back."""
    # BEGIN SOLUTION: write it
    {}
    # END SOLUTION
    return q
'''


def mutants_from(code: str) -> list[Mutant]:
    text = FUNCTION.format(code.replace("\n", "\n    ")).strip("\n")
    lines = text.split("\n")
    begin, end = (next(i for i, line in enumerate(lines) if word in line) for word in ("BEGIN", "END"))
    block = Block(begin, end, "    ", "write it", "f")
    return list(mutants_of_cell(Cell("code", text, 1, exercise={"number": "1.1"}, blocks=(block,))))


def changed(code: str, operator: str) -> set[str]:
    """What one operator makes of this line."""
    return {mutant.change.partition(" → ")[2] for mutant in mutants_from(code) if mutant.operator == operator}


@pytest.mark.parametrize(
    ("operator", "code", "becomes"),
    [
        ("arithmetic", "x = q + 1", {"x = q - 1"}),
        ("arithmetic", "q /= 2", {"q *= 2"}),
        ("arithmetic", "x = -q", {"x = q"}),
        ("term", "x = (q - k) * 2", {"x = (q - k)", "x = 2", "x = q * 2", "x = k * 2"}),
        ("comparison", "x = q >= k", {"x = q > k", "x = q <= k"}),
        ("comparison", "x = q is None", {"x = q is not None"}),
        ("boolean", "x = q and not k", {"x = (q or not k)", "x = q and k"}),
        ("boolean", "x = q & ~k", {"x = (q | ~k)", "x = q & k"}),
        ("constant", "x = q.triu(diagonal=1)", {"x = q.triu(diagonal=2)", "x = q.triu(diagonal=0)"}),
        ("constant", "x = q * 0.5 + torch.inf", {"x = q * 1.0 + torch.inf", "x = q * 0.5 + 0.0"}),
        ("text", "x = cfg['q'], cfg['k']", {"x = cfg['k'], cfg['k']", "x = cfg['q'], cfg['q']"}),
        ("name", "x = g(q)", {"x = g(k)"}),
        ("name", "x = cfg.a + cfg.b", {"x = cfg.b + cfg.b", "x = cfg.a + cfg.a"}),
        ("function", "x = q.mean() / torch.zeros(2)", {"x = q.sum() / torch.zeros(2)", "x = q.mean() / torch.ones(2)"}),
        ("argument", "x = g(q, k, dim=0)", {"x = g(k, q, dim=0)", "x = g(q, dim=0)", "x = g(q, k)"}),
        ("argument", "x = torch.ones(2, device=q.device)", set()),  # on one device it shows nothing
        ("argument", "x = min(q, k)", {"x = min(q)"}),
        ("flag", "x = q.sum(keepdim=True)", {"x = q.sum(keepdim=False)"}),
        ("statement", "q = q + 1", {"pass"}),
        ("statement", "x = q + 1", set()),  # x would not exist: a NameError whatever the checker does
        ("call", "x = q.abs().item()", {"x = q.item()"}),
        ("call", "x = math.sqrt(k)", {"x = k"}),
        ("axis", "x = q.sum(-1)", {"x = q.sum(-2)", "x = q.sum(0)"}),
        ("axis", "x = q.sum((0, 2))", {f"x = q.sum({a})" for a in ("(1, 2)", "(-1, 2)", "(0, 1)", "(0, 0)", "0", "2")}),
        ("pattern", 'x = einsum(q, "a b, b -> a b")', {f'x = einsum(q, "{p}")' for p in ("b a, b -> a b", "a b, b -> b a")}),
        ("slice", "x = q[1:]", {"x = q[2:]", "x = q[0:]", "x = q[:]"}),
        ("slice", "x = q[:, -1]", {"x = q[:, 0]", "x = q[:, -2]"}),
        ("slice", "x = q[:n]", {"x = q[:n + 1]", "x = q[:n - 1]", "x = q[:]"}),
        ("transpose", "x = q @ k", {"x = (k @ q)", "x = q @ k.mT"}),
        ("transpose", "x = q.T.triu()", {"x = q.triu()", "x = q.T.tril()"}),
        ("dtype", "x = q.to(torch.float32)", {"x = q.to(torch.float64)", "x = q"}),
        ("graph", "x = q.detach()", {"x = q"}),
        ("graph", "with torch.no_grad():\n    q += 1", {"if True:"}),
    ],
)  # fmt: skip
def test_an_operator_makes_its_class_of_mistakes(operator, code, becomes):
    assert changed(code, operator) == becomes


def test_every_operator_is_tried_above_and_says_what_it_does():
    tried = {mark.args[1][i][0] for mark in test_an_operator_makes_its_class_of_mistakes.pytestmark for i in range(33)}
    assert tried == {operator.name for operator in OPERATORS}
    assert all(operator.does for operator in OPERATORS)


def test_what_no_checker_can_judge_is_left_alone():
    assert mutants_from('raise ValueError(f"{q + 1} must be {k - 1}")') == []
    made = mutants_from('def g(x: Float[Tensor, "a b"]):\n    "A text, q + 1."\n    return x')
    assert {mutant.operator for mutant in made} == {"statement"}  # the return


def test_a_hash_is_of_what_the_code_does_and_not_of_how_it_looks():
    plain = [mutant.hash for mutant in mutants_from("x = q + k\ny = q - k")]
    assert len(plain) == len(set(plain))
    assert [mutant.hash for mutant in mutants_from("x = (q  +  k)  # the sum\n\ny = q - k")] == plain
    assert not set(plain) & {mutant.hash for mutant in mutants_from("x = q + k\ny = q * k")}


def test_code_is_written_down_in_the_same_words_whatever_the_python():
    tree = ast.parse("def f(x, *, y: T = None): return g() or -1.5")
    x, y = "arg(arg='x')", "arg(arg='y', annotation=Name(id='T', ctx=Load()))"
    arguments = (
        f"arguments(posonlyargs=[], args=[{x}], kwonlyargs=[{y}], kw_defaults=[Constant(value=None)], defaults=[])"
    )
    number = "UnaryOp(op=USub(), operand=Constant(value=1.5))"
    value = f"BoolOp(op=Or(), values=[Call(func=Name(id='g', ctx=Load()), args=[], keywords=[]), {number}])"
    function = f"FunctionDef(name='f', args={arguments}, body=[Return(value={value})], decorator_list=[])"
    assert dump(tree) == f"Module(body=[{function}], type_ignores=[])"


def test_a_mutant_is_shown_as_a_diff_and_its_cell_is_the_whole_cell(tiny):
    mutant = next(mutant for mutant in mutants_of(tiny) if mutant.change == "return x - loss → return x + loss")
    assert mutant.diff.split("\n")[1:3] == ["-    return x - loss", "+    return x + loss"]
    assert "def centre" in mutant.cell and "x + loss" in mutant.cell and "x - loss" not in mutant.cell
    assert tiny.source.read_text().split("\n")[mutant.line - 1] == "    return x - loss"


def suspect_of(mutant: Mutant) -> Suspect:
    return Suspect(mutant.hash, mutant.exercise, mutant.object, mutant.cell)


def verdict_on(chapter, change: str) -> Verdict:
    return Judge(chapter).judge(
        next(suspect_of(mutant) for mutant in mutants_of(chapter) if mutant.change.endswith(change))
    )


def test_a_verdict_is_what_the_learner_would_be_told(tiny):
    assert verdict_on(tiny, "return x + loss") == Verdict("mistake", ("test_every_row_sums_to_zero",), "mean added")
    assert verdict_on(tiny, "return x - loss → pass").how == "type"
    assert verdict_on(tiny, "→ loss = x.mean(-1)").how == "raised"
    assert verdict_on(tiny, "return centre(x) / self.w").how == "differs"
    assert verdict_on(tiny, "return x").how == "wrong"


RIGHT = "return x - x.mean(-1, keepdim=True)"


def suspect(name: str, body: str) -> Suspect:
    return Suspect(name, "1.1", "centre", f"def centre(x):\n    {body}")


def test_an_endless_loop_is_stopped_and_the_process_goes_on(tiny, monkeypatch):
    monkeypatch.setattr(judging, "LEAST_PATIENCE", 0.3)
    judge = Judge(tiny)
    assert judge.judge(suspect("loops", "while True: pass")) == Verdict("time")
    assert judge.judge(suspect("right", RIGHT)) == Verdict("")
    assert judge.still_accepts_the_solution("1.1")


def test_who_sleeps_dies_or_spoils_the_process_is_refused_and_harms_no_other(tiny, monkeypatch):
    monkeypatch.setattr(workers, "BUSY", 1)
    monkeypatch.setattr(workers, "GRACE", 10.0)
    suspects = [
        suspect("sleeps", "import time; time.sleep(1000)"),
        suspect("dies", "import os; os._exit(3)"),
        suspect("spoils", f"Tensor.mean = Tensor.sum; {RIGHT}"),
        suspect("right", RIGHT),
    ]
    verdicts = {one.hash: verdict.how for one, verdict in workers.judge_all(tiny, suspects, jobs=1)}
    assert verdicts == {"sleeps": "time", "dies": "died", "spoils": "wrong", "right": ""}


README = f"# The course\n\n{BEGIN}\n{END}\n\nThe end.\n"


def run_audit(chapter, capsys, **options) -> tuple[int, str]:
    status = command.audit(chapter, jobs=0, **options)
    return status, capsys.readouterr().out


def test_only_what_changed_is_judged_again(tiny, capsys):
    (tiny.root / "README.md").write_text(README)
    n_mutants = len(mutants_of(tiny))
    _, said = run_audit(tiny, capsys)
    assert f"{n_mutants} mutants, {n_mutants} to judge" in said
    assert f"{n_mutants} mutants, 0 to judge" in run_audit(tiny, capsys)[1]

    tiny.checker.write_text("# a comment\n" + tiny.checker.read_text().replace("* w\n", "* w * 1.0\n"))
    of_scale = sum(mutant.object == "Scale" for mutant in mutants_of(tiny))
    why = f"({of_scale} of them again: what they depend on has changed)"
    assert f"{n_mutants} mutants, {of_scale} to judge {why}" in run_audit(tiny, capsys)[1]


def test_the_kept_verdicts_are_the_ones_that_were_found(tiny, capsys):
    (tiny.root / "README.md").write_text(README)
    run_audit(tiny, capsys)
    kept = Verdicts.read(tiny).known
    fresh = {mutant.hash: Judge(tiny).judge(suspect_of(mutant)) for mutant in mutants_of(tiny)}
    assert kept == fresh
    assert {verdict.how for verdict in kept.values()} >= {"mistake", "wrong", "type"}


def test_a_check_writes_nothing_and_notices_a_file_that_lies(tiny, capsys):
    (tiny.root / "README.md").write_text(README)
    run_audit(tiny, capsys)
    written = verdicts_file(tiny).read_text(), (tiny.root / "README.md").read_text()
    assert "README says something else" not in run_audit(tiny, capsys, check=True)[1]
    lie = json.loads(written[0])
    lie["1.1"]["verdicts"] = {"survived": " ".join(lie["1.1"]["verdicts"].values())}
    verdicts_file(tiny).write_text(json.dumps(lie))
    status, said = run_audit(tiny, capsys, check=True)
    assert status == 1
    assert "is not refused, but it is refused (mean added) by test_every_row_sums_to_zero" in said
    (tiny.root / "README.md").write_text(README)
    assert "the README says something else" in run_audit(tiny, capsys, check=True)[1]
    assert (tiny.root / "README.md").read_text() == README


def test_a_check_lets_the_arithmetic_of_another_machine_pass_and_no_more(tiny):
    line = sentence(tiny, figures.Tally(survived=1, ways=Counter(mistake=150, differs=49)))
    assert "of 200 wrong variants 99.5 % are refused, 75.3 %" in line
    assert says_the_same(line, line.replace("75.3", "75.0").replace("99.5", "100.0"))
    assert not says_the_same(line, line.replace("75.3", "74.7"))
    assert not says_the_same(line, line.replace("200", "201"))
    assert not says_the_same("", line)


def listed(*hashes: str) -> str:
    return f'[[equivalent]]\nexercise = "1.1"\nchange = "a → b"\nreason = "it is so"\nmutants = {json.dumps(hashes)}\n'


def test_a_listed_mutant_that_is_refused_or_is_not_there_is_an_error(tiny, capsys):
    (tiny.root / "README.md").write_text(README)
    tiny.checker.write_text(tiny.checker.read_text().replace("(3, 5, mean=2)", "(3, 5, mean=2)"))
    refused = next(mutant.hash for mutant in mutants_of(tiny) if "x + loss" in mutant.change)
    equivalents_file(tiny).write_text(listed(refused, "0123456789ab"))
    status, said = run_audit(tiny, capsys)
    assert status == 1
    assert f"{refused} of exercise 1.1 (a → b) is not equivalent: test_every_row_sums_to_zero refuses it" in said
    assert "0123456789ab of exercise 1.1 (a → b) does not exist any more" in said


def test_an_entry_without_a_reason_is_refused(tiny):
    equivalents_file(tiny).write_text(listed("0123456789ab").replace("it is so", " "))
    with pytest.raises(CannotDo, match="reason"):
        read_equivalents(tiny)


def test_a_survivor_counts_until_it_is_listed(tiny, capsys):
    (tiny.root / "README.md").write_text(README)
    tiny.checker.write_text(tiny.checker.read_text().replace("sums.abs().max() > 1e-5", "False"))
    _, said = run_audit(tiny, capsys, show_survivors=True)
    known = Verdicts.read(tiny).known
    survivors = [mutant for mutant in mutants_of(tiny) if not known[mutant.hash].killed]
    assert "return x + loss" in " ".join(survivor.change for survivor in survivors)
    assert all(survivor.diff in said and survivor.hash in said for survivor in survivors)

    status, said = run_audit(tiny, capsys, exercise="1.1", show_survivors=True)
    assert status == 1 and f"{len(survivors)} not refused: mend the checker, or list what is equivalent" in said
    assert f"Exercise 1.1: of {sum(mutant.exercise == '1.1' for mutant in mutants_of(tiny))} wrong variants" in said
    entries = "\n".join(entry_for(survivor) for survivor in survivors)
    assert all(line in said for line in entries.splitlines())
    equivalents_file(tiny).write_text(entries)
    with pytest.raises(CannotDo, match="none of them empty"):
        read_equivalents(tiny)
    equivalents_file(tiny).write_text(entries.replace('reason = ""', 'reason = "it is so"'))
    status, said = run_audit(tiny, capsys, exercise="1.1")
    assert (status, said.split("together")[1].split()[4]) == (0, "100.0")


def test_the_readme_states_the_figures_between_its_marks(tiny, capsys):
    (tiny.root / "README.md").write_text(README)
    _, said = run_audit(tiny, capsys)
    readme = (tiny.root / "README.md").read_text()
    line = readme.split(BEGIN)[1].split(END)[0].strip()
    assert line.startswith("- Chapter 1, 2 exercises: ") and line.removeprefix("- ") in said
    counts = (
        f"{len(load_mistakes(tiny))} mistakes known by name, {len(load_right_answers(tiny))} further right answers; of "
    )
    assert counts in line
    assert readme.startswith("# The course\n") and readme.endswith("\nThe end.\n")


def test_what_is_counted_as_told_the_cause():
    verdicts = [
        Verdict("mistake", ("test_all", "test_one"), "a mistake"),
        Verdict("raised", ("test_all", "test_one")),
        Verdict("type", ("test_all", "test_one")),
        Verdict("differs", ("test_all",)),
        Verdict("related", ("test_all",)),
        Verdict("wrong", ("test_all", "test_one")),
        Verdict("differs", ("test_one",)),
        Verdict("time"),
    ]
    isolating = figures.isolating_tests([*verdicts, Verdict("differs", ("test_all",))])
    assert isolating == {"test_one"}  # of the 6 that gave a wrong value it refuses 3, and test_all 5
    ways = [figures.way(verdict, isolating) for verdict in verdicts]
    assert ways == ["mistake", "error", "telling", "differs", "telling", "differs", "isolated", "time"]
    tally = figures.Tally(survived=1, equivalent=2, ways=Counter(ways))
    assert (tally.all, tally.killed, tally.killed_share, tally.named_share) == (11, 8, 8 / 9, 4 / 7)


def test_shares_are_cut_off_and_never_rounded_up():
    assert figures.percent(0.96999) == "96.9"
    assert figures.percent(0.97) == "97.0"


def test_the_mark_changes_with_tests_solutions_mistakes_and_not_with_other_exercises(tiny):
    first, second = tiny.exercises
    before = mark_of(tiny, first), mark_of(tiny, second)
    tiny.mistakes.write_text(tiny.mistakes.read_text().replace("w is added:", "w is added now:"))
    assert mark_of(tiny, first) == before[0] and mark_of(tiny, second) != before[1]


def test_a_comparison_is_watched_only_while_somebody_watches(monkeypatch):
    seen = []
    rule = torch.tensor([1.0, 2.0, torch.inf])
    expect_close(rule, rule)
    monkeypatch.setattr(compare, "watch", lambda *told: seen.append(told))
    expect_close(rule + torch.tensor([0.0, 0.1, 0.0]), rule, atol=0.4, rtol=0.0)
    expect_close(rule, rule, chance=True)
    assert [share for share, _ in seen] == pytest.approx([0.25, 0.0])
    assert [chance for _, chance in seen] == [False, True]


def test_margins_are_found_over_seeds_and_threads(tiny, capsys):
    loose = tiny.checker.read_text().replace('axes="row column")\n\n\ndef', 'axes="row column")\n\n\ndef', 1)
    tiny.checker.write_text(
        loose.replace(
            "expect_close(centre(x).diff(dim=-1), x.diff(dim=-1),",
            "expect_close(centre(x).diff(dim=-1) + 0.3, x.diff(dim=-1), atol=0.5, rtol=0,",
        )
    )
    assert stability.stability(tiny, None, n_seeds=2, jobs=1) == 1
    said = capsys.readouterr().out
    assert "2 tests compare numbers" in said
    assert "0.6  test_differences_within_a_row_stay" in said
    assert "0 of 12 checks refused" in said and "1 of them above 0.1" in said


@pytest.mark.parametrize(("allowed", "status"), [(0.8, 0), (0.5, 1)])
def test_what_differs_by_chance_may_come_nearer_to_the_tolerance(tiny, capsys, allowed, status):
    tiny.checker.write_text(
        tiny.checker.read_text().replace(
            "expect_close(centre(x).diff(dim=-1), x.diff(dim=-1),",
            f"expect_close(centre(x).diff(dim=-1) + 0.3, x.diff(dim=-1), chance=True, atol={allowed}, rtol=0,",
        )
    )
    assert stability.stability(tiny, None, n_seeds=1, jobs=1) == status
    assert "by chance" in capsys.readouterr().out
