"""This file knows how a worker gives up, before it runs anything of a learner's, what it will not need."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
MiB = 1 << 20


def prctl(option: int, value: int) -> None:
    """Linux' prctl, which Python does not have."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def confine(memory: int, seconds: int, *, gpu: bool = False) -> None:
    """From here on this process has little memory, time and disk, starts no other, and cannot be looked into.

    Who runs as root becomes nobody first: root's processes are not counted, and may signal all others.
    """
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not gpu:  # CUDA reserves addresses without end, and starts threads
        _limit(resource.RLIMIT_AS, _pages_in_use() + memory)
        _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_DATA, _pages_in_use() + memory)
    _limit(resource.RLIMIT_CPU, seconds)
    _limit(resource.RLIMIT_FSIZE, 16 * MiB)
    _limit(resource.RLIMIT_NOFILE, 256)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_MEMLOCK, 0)
    _limit(resource.RLIMIT_MSGQUEUE, 0)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _pages_in_use() -> int:
    """Bytes of this process' address space."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
