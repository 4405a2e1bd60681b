"""This file knows how to add up the verdicts on mutants: how many are refused, and how many in words that name the cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from utils.audit.judging import Verdict
from utils.audit.mutants import Mutant

KILLED_AIM = 0.97  # of those that are not equivalent
NAMED_AIM = 0.60  # of the killed
FEW = 1 / 3  # a test isolates if it refuses at most this share of the mutants of its exercise that tests can refuse

# What the learner is told by these kinds of complaint is the cause: what the code raised and on which line, what kind of
# thing came back, which argument was changed.
GUARDS = ("raised", "type", "nan", "in_place", "signature", "missing")


@dataclass
class Tally:
    """Some mutants, counted."""

    survived: int = 0
    equivalent: int = 0
    ways: Counter = field(default_factory=Counter)  # of being refused: see `way`

    def add(self, mutant: Mutant, verdict: Verdict, equivalent: set[str], isolating: set[str]) -> None:
        if verdict.killed:
            self.ways[way(verdict, isolating)] += 1
        elif mutant.hash in equivalent:
            self.equivalent += 1
        else:
            self.survived += 1

    @property
    def killed(self) -> int:
        return sum(self.ways.values())

    @property
    def named(self) -> int:
        return sum(self.ways[one] for one in ("mistake", "guard", "isolated"))

    @property
    def all(self) -> int:
        return self.killed + self.survived + self.equivalent

    @property
    def killed_share(self) -> float:
        return self.killed / max(1, self.killed + self.survived)

    @property
    def named_share(self) -> float:
        return self.named / max(1, self.killed)


def way(verdict: Verdict, isolating: set[str]) -> str:
    """How a mutant was refused; the first three tell the learner the cause.

    - ``mistake``: the notebook names a mistake.
    - ``guard``: the complaint is of a kind in GUARDS.
    - ``isolated``: the first test that refuses it (the one whose sentence the card shows) looks at one property.
    - ``differs``: the values are not the rule's, and that is all that is said.
    - ``time``: it had to be stopped.
    """
    if verdict.how in ("time", "died"):
        return "time"
    if verdict.how == "mistake":
        return "mistake"
    if verdict.how in GUARDS:
        return "guard"
    return "isolated" if verdict.how == "wrong" or verdict.tests[0] in isolating else "differs"


def isolating_tests(verdicts: Iterable[Verdict]) -> set[str]:
    """The tests of an exercise that look at one property: each refuses few of the mutants that run and give a value.

    Where such a test complains, its sentence says what is wrong, and not only that something is.
    """
    judged = [verdict for verdict in verdicts if verdict.killed and verdict.how not in (*GUARDS, "time", "died")]
    refusals = Counter(test for verdict in judged for test in verdict.tests)
    return {test for test, times in refusals.items() if times <= FEW * len(judged)}


def tallies(
    mutants: list[Mutant], verdicts: dict[str, Verdict], equivalent: set[str], key: Callable[[Mutant], str]
) -> dict[str, Tally]:
    """The mutants counted in groups: by exercise, by operator, all in one."""
    isolating: dict[str, set[str]] = {}
    for exercise in dict.fromkeys(mutant.exercise for mutant in mutants):
        own = [verdicts[mutant.hash] for mutant in mutants if mutant.exercise == exercise]
        isolating[exercise] = isolating_tests(own)
    groups: dict[str, Tally] = {}
    for mutant in mutants:
        tally = groups.setdefault(key(mutant), Tally())
        tally.add(mutant, verdicts[mutant.hash], equivalent, isolating[mutant.exercise])
    return groups


def table(groups: dict[str, Tally], first: str) -> str:
    """One line for each group, and one for all together."""
    total = Tally()
    for tally in groups.values():
        total.survived += tally.survived
        total.equivalent += tally.equivalent
        total.ways += tally.ways
    width = max(len(first), *map(len, groups), len("together"))
    columns = ["mutants", "equivalent", "killed", "survived", "% killed", "% named"]
    ways = ["mistake", "guard", "isolated", "differs", "time"]
    lines = [f"{first:<{width}}  " + "  ".join([*columns, *ways])]
    for name, tally in [*groups.items(), ("together", total)]:
        counts = [tally.all, tally.equivalent, tally.killed, tally.survived]
        shares = [percent(tally.killed_share), percent(tally.named_share) if tally.killed else "-"]
        cells = [*map(str, counts), *shares, *(str(tally.ways[one]) for one in ways)]
        lines.append(f"{name:<{width}}  " + "  ".join(f"{cell:>{len(c)}}" for cell, c in zip(cells, [*columns, *ways])))
    return "\n".join(lines)


def percent(share: float) -> str:
    """With one digit, cut off rather than rounded, so that 96.96 % is not taken for 97 %."""
    return f"{int(share * 1000 + 1e-9) / 10:.1f}"
