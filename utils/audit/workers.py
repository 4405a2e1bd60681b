"""This file knows how to have mutants judged in warm processes that may hang or die: they are stopped and replaced."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from utils import course
from utils.audit.judging import Judge, Suspect, Verdict
from utils.course import Chapter

BATCH = 20  # mutants, after which the solution is tried again, so that none can spoil the verdicts on others for long
MEMORY = 6 * 2**30  # bytes that a worker may ask for beyond what it has when it is warm
STARTING = 3600.0  # seconds on the clock within which a worker is ready for an exercise: no mutant runs in this time
GRACE = 30.0  # seconds on the clock for what patience in processor time cannot see, such as a sleep
BUSY = 12  # how many times slower than alone a busy machine may be


@dataclass
class Worker:
    process: BaseProcess
    pipe: Connection
    batch: list[Suspect] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    at: Suspect | None = None  # the mutant on trial
    deadline: float = 0.0


class WorkerFailed(RuntimeError):
    """A worker itself went wrong, not a mutant; its traceback is the text."""


def judge_all(chapter: Chapter, suspects: list[Suspect], jobs: int) -> Iterator[tuple[Suspect, Verdict]]:
    """Each mutant with its verdict, as they come in."""
    batches = deque(_batches(suspects))
    workers: list[Worker] = []
    try:
        while batches or any(worker.batch for worker in workers):
            for worker in workers:
                if batches and not worker.batch:
                    _give(worker, batches.popleft())
            while batches and len(workers) < jobs:
                workers.append(_start(chapter))
                _give(workers[-1], batches.popleft())
            busy = [worker for worker in workers if worker.batch]
            ready = wait([worker.pipe for worker in busy], max(0.0, min(w.deadline for w in busy) - time.monotonic()))
            for worker in busy:
                done, again, lost = _heard(worker) if worker.pipe in ready else _overdue(worker)
                yield from done
                batches.extendleft(reversed(again))
                if lost:
                    workers.remove(worker)
    finally:
        for worker in workers:
            _stop(worker)


def _batches(suspects: list[Suspect]) -> Iterator[list[Suspect]]:
    """Mutants of one exercise at a time, since a worker keeps what the exercise's mistakes do."""
    for exercise in dict.fromkeys(suspect.exercise for suspect in suspects):
        own = [suspect for suspect in suspects if suspect.exercise == exercise]
        yield from (own[i : i + BATCH] for i in range(0, len(own), BATCH))


Outcome = tuple[list[tuple[Suspect, Verdict]], list[list[Suspect]], bool]  # done, to be done again, worker is lost


def _heard(worker: Worker) -> Outcome:
    try:
        kind, *rest = worker.pipe.recv()
    except (EOFError, OSError):
        return _died(worker, Verdict("died"))
    worker.deadline = time.monotonic() + STARTING
    if kind == "failed":
        raise WorkerFailed(rest[0])
    if kind == "trying":
        worker.at = next(suspect for suspect in worker.batch if suspect.hash == rest[0])
        worker.deadline = time.monotonic() + BUSY * rest[1] + GRACE
    elif kind == "verdict":
        worker.verdicts[worker.at.hash], worker.at = rest[0], None
    elif kind == "clean":
        batch, worker.batch = worker.batch, []
        done = [(suspect, worker.verdicts[suspect.hash]) for suspect in batch]
        if rest[0]:
            return done, [], False
        _stop(worker)  # one of them harmed the process: nothing that it said later counts
        half = len(batch) // 2
        return (done, [], True) if not half else ([], [batch[:half], batch[half:]], True)
    return [], [], False


def _overdue(worker: Worker) -> Outcome:
    if time.monotonic() < worker.deadline:
        return [], [], False
    _stop(worker)
    return _died(worker, Verdict("time"))


def _died(worker: Worker, verdict: Verdict) -> Outcome:
    """The process is gone, and with it what it knew: the one on trial is refused, the others are tried again."""
    _stop(worker)
    if worker.at is None:
        raise WorkerFailed(f"a worker ended with status {worker.process.exitcode} or hung while no mutant was tried")
    again = [suspect for suspect in worker.batch if suspect is not worker.at]
    done, worker.batch = [(worker.at, verdict)], []
    return done, [again] if again else [], True


def _give(worker: Worker, batch: list[Suspect]) -> None:
    worker.batch, worker.verdicts, worker.at = batch, {}, None
    worker.deadline = time.monotonic() + STARTING
    worker.pipe.send(batch)


def _start(chapter: Chapter) -> Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, chapter.name, str(chapter.root)), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours)


def _stop(worker: Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _work(pipe: Connection, chapter: str, root: str) -> None:
    """What a worker process does: judge one batch after another until the pipe is closed."""
    from pathlib import Path

    _silence()
    try:
        judge = Judge(course.chapter(chapter, root=Path(root)))
        first = True
        while True:
            batch = pipe.recv()
            for suspect in batch:
                patience = judge.prepare(suspect.exercise)
                if first:
                    _limit_memory()
                    first = False
                pipe.send(("trying", suspect.hash, patience))
                pipe.send(("verdict", judge.judge(suspect)))
            pipe.send(("clean", judge.still_accepts_the_solution(batch[0].exercise)))
    except (EOFError, BrokenPipeError):
        return
    except BaseException:
        with contextlib.suppress(OSError):
            pipe.send(("failed", traceback.format_exc()))


def _silence() -> None:
    """Warnings of libraries and prints of mutants are nobody's business here."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            os.dup2(nowhere, stream.fileno())


def _limit_memory() -> None:
    """Linux only: elsewhere there is no such limit, or it does not hold."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
