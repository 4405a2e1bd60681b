"""This file knows how to grade many submissions at once: in processes of this machine, or on a Dask cluster.

Each process, here or there, keeps one grader. A process that has graded many makes room for another. One that dies is
replaced and its submission tried once more, so that a submission which kills the grader itself costs nothing but its own
marks. Only as many submissions are held in memory as are being graded, and results are handed on as they come.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from utils.grading.records import Record
from utils.grading.tasks import Task, grade
from utils.refusal import CannotDo

TRIES = 2  # of a submission whose process died
CONNECT = 30  # seconds to wait for a scheduler
LIFE = 100  # submissions after which a process makes room for another: the memory that they share dwindles as they work
START = 400  # seconds that a process may take for its imports and its sandbox


@dataclass(frozen=True)
class Outcome:
    """What became of one task: its records, or why it could not be graded."""

    task: Task
    records: list[Record]
    error: str = ""


Submit = Callable[[Task], Any]
Wait = Callable[[Iterable[Any]], Iterable[Any]]


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def grade_here(tasks: Iterable[Task], jobs: int, device: str = "auto") -> Iterator[Outcome]:
    """Grade with this many processes of this machine."""
    from pebble import ProcessPool

    with _stopped_at_once(ProcessPool(max_workers=jobs, max_tasks=LIFE, context=_processes(device))) as pool:
        yield from drain(
            lambda task: pool.schedule(grade, args=[task], timeout=_deadline(task)),
            lambda waiting: concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED).done,
            tasks,
            ahead=lambda: 2 * jobs,
        )


def grade_on_cluster(tasks: Iterable[Task], address: str) -> Iterator[Outcome]:
    """Grade on a running Dask cluster: ``address`` is its scheduler's, or the path of its scheduler file."""
    try:
        import distributed
    except ModuleNotFoundError:
        raise CannotDo("--scheduler needs Dask: `pip install -r requirements-cluster.txt`") from None
    where = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
    try:
        client = distributed.Client(**where, timeout=CONNECT)
    except (OSError, ValueError) as error:
        raise CannotDo(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        count = itertools.count()
        yield from drain(
            # a key of its own for each: Dask would take two tasks of one key for the same
            lambda task: client.submit(grade, task, key=f"grade-{os.getpid()}-{next(count)}", pure=False),
            lambda waiting: distributed.wait(list(waiting), return_when="FIRST_COMPLETED").done,
            tasks,
            ahead=lambda: max(4, 2 * sum(client.nthreads().values())),  # workers may join as it goes
        )


def drain(submit: Submit, wait: Wait, tasks: Iterable[Task], ahead: Callable[[], int]) -> Iterator[Outcome]:
    """Keep ``ahead()`` tasks submitted, and yield what becomes of each."""
    waiting: dict[Any, tuple[Task, int]] = {}

    def finished() -> Iterator[Outcome]:
        for future in list(wait(waiting)):
            task, tries = waiting.pop(future)
            error = future.exception()
            if error is None:
                yield Outcome(task, future.result())
            elif isinstance(error, CannotDo):
                raise error  # no submission will fare better
            elif tries < TRIES and _died(error):
                waiting[submit(task)] = task, tries + 1
            else:
                yield Outcome(task, [], _told(error))

    for task in tasks:
        waiting[submit(task)] = task, 1
        while len(waiting) >= ahead():
            yield from finished()
    while waiting:
        yield from finished()


def _processes(device: str) -> BaseContext:
    """Processes that are forked from one in which PyTorch is imported, so that they start at once and share its memory."""
    # the processes share the cores already; and where threads are running, forking is not safe
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")  # pyarrow's; TransformerLens imports it
    if device not in ("auto", "cpu"):
        return multiprocessing.get_context("spawn")  # a GPU cannot be used across a fork
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["utils.grading.preload"])
    return processes


@contextmanager
def _stopped_at_once(pool: Any) -> Iterator[Any]:
    """A pool that is done when its block is left: after an error or Ctrl-C nothing that is still waiting gets graded."""
    try:
        yield pool
        pool.close()
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.join()


def _deadline(task: Task) -> float:
    """Seconds after which even the grader's own time limits must have failed."""
    return START + len(task.exercises) * (3 * task.conditions.timeout + 60)


def _died(error: BaseException) -> bool:
    """Whether the process died, or was killed for taking too long, instead of saying what it cannot do."""
    return type(error).__name__ in ("ProcessExpired", "TimeoutError", "KilledWorker")


def _told(error: BaseException) -> str:
    if type(error).__name__ in ("ProcessExpired", "KilledWorker"):
        return "the grader's own process died on it"
    if isinstance(error, (TimeoutError, concurrent.futures.TimeoutError)):
        return "the grader's own process did not answer in time"
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
