"""This file knows how to add up the verdicts on mutants: how many are refused, and how many in words that name the cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from utils.audit.judging import Verdict
from utils.audit.mutants import Mutant

KILLED_AIM = 0.97  # of those that are not equivalent
NAMED_AIM = 0.60  # of the killed that did not end in an error
FEW = 1 / 2  # a test isolates if it refuses at most this share of the exercise's mutants that give a wrong value

# Kinds of complaints that are the cause: the values are the rule's transposed or times 2, something else than a tensor
# of the right shape and dtype came back, an argument was changed.
TELLING = ("related", "type", "nan", "in_place", "signature", "missing")
STOPPED = ("time", "died")


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
        return sum(self.ways[one] for one in ("mistake", "telling", "isolated"))

    @property
    def all(self) -> int:
        return self.killed + self.survived + self.equivalent

    @property
    def killed_share(self) -> float:
        return self.killed / max(1, self.killed + self.survived)

    @property
    def named_share(self) -> float:
        """Of the killed without those that end in an error, whose line and meaning Python gives whatever the checker does."""
        return self.named / max(1, self.killed - self.ways["error"])


def way(verdict: Verdict, isolating: set[str]) -> str:
    """How a mutant was refused; the first three tell the learner the cause.

    - ``mistake``: the notebook names a mistake.
    - ``telling``: the complaint is of a kind in TELLING.
    - ``isolated``: the first test that refuses it, whose sentence the learner reads, looks at one property only.
    - ``differs``: the values are not the rule's, and that is all that is said.
    - ``error``: the code raised an exception; the learner reads which, on which line, and what it means.
    - ``time``: it had to be stopped.
    """
    if verdict.how == "mistake":
        return "mistake"
    if verdict.how in STOPPED:
        return "time"
    if verdict.how == "raised":
        return "error"
    if verdict.how in TELLING:
        return "telling"
    return "isolated" if verdict.tests[0] in isolating else "differs"


def isolating_tests(verdicts: Iterable[Verdict]) -> set[str]:
    """The tests of an exercise that look at one property: this is measured, by how few of the wrong values each refuses.

    What complains whatever is wrong says that something is wrong; what complains about few says what it is.
    """
    with_values = [verdict for verdict in verdicts if verdict.how in ("mistake", "wrong", "differs", "related")]
    refusals = Counter(test for verdict in with_values for test in verdict.tests)
    return {test for test, times in refusals.items() if times <= FEW * len(with_values)}


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
    ways = ["mistake", "telling", "isolated", "differs", "error", "time"]
    lines = [f"{first:<{width}}  " + "  ".join([*columns, *ways])]
    for name, tally in [*groups.items(), ("together", total)]:
        counts = [tally.all, tally.equivalent, tally.killed, tally.survived]
        shares = [
            percent(tally.killed_share),
            percent(tally.named_share) if tally.killed > tally.ways["error"] else "-",
        ]
        cells = [*map(str, counts), *shares, *(str(tally.ways[one]) for one in ways)]
        lines.append(f"{name:<{width}}  " + "  ".join(f"{cell:>{len(c)}}" for cell, c in zip(cells, [*columns, *ways])))
    return "\n".join(lines)


def percent(share: float) -> str:
    """With one digit, cut off rather than rounded, so that 96.96 % is not taken for 97 %."""
    return f"{int(share * 1000 + 1e-9) / 10:.1f}"
