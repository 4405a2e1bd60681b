"""This file knows how a worker gives up, before it runs anything of a learner's, what it will not need."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import struct
import tempfile
from functools import lru_cache

NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
CLONE_NEWUSER = 0x10000000
MiB = 1 << 20

# What no exercise needs: the network, other programs, other processes, memory that is nobody's, and the kernel's corners
FORBIDDEN = """
    socket execve execveat ptrace process_vm_readv process_vm_writev process_madvise pidfd_open pidfd_getfd pidfd_send_signal
    rt_sigqueueinfo rt_tgsigqueueinfo kcmp memfd_create memfd_secret shmget shmat semget msgget mq_open
    unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen fsmount fsconfig fspick mount_setattr
    bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key
    open_by_handle_at name_to_handle_at personality init_module finit_module delete_module kexec_load kexec_file_load
    reboot swapon swapoff acct quotactl syslog settimeofday clock_settime adjtimex sethostname setdomainname iopl ioperm
    kill tkill tgkill chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat
    fanotify_init lookup_dcookie vhangup migrate_pages move_pages mbind set_mempolicy
""".split()


def prctl(option: int, value: int, more: int = 0) -> None:
    """Linux' prctl, which Python does not have."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(more), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def become_nobody() -> None:
    """Give up root's rights, where this process has them."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def confine(memory: int, seconds: int, *, gpu: bool = False) -> None:
    """From here on this process has little memory, time and disk, starts no other, and cannot be looked into.

    Who runs as root becomes nobody first: root's processes are not counted, and may signal all others.
    """
    become_nobody()
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
    if not gpu:
        filter_system_calls()


@lru_cache
def filter_program() -> bytes:
    """A filter that refuses what no exercise needs, for the kernel; empty where libseccomp, which makes it, is missing.

    It takes a while to make, so a zygote makes it once for all of its workers.
    """
    try:
        import pyseccomp as seccomp
    except (ImportError, OSError, RuntimeError):  # it looks for the C library when it is imported
        return b""
    refused = seccomp.ERRNO(errno.EPERM)
    rules = seccomp.SyscallFilter(defaction=seccomp.ALLOW)
    for name in FORBIDDEN:
        with contextlib.suppress(ValueError, OSError, RuntimeError):  # not every kernel and machine has every call
            rules.add_rule(refused, name)
    rules.add_rule(refused, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER))
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")  # its flags cannot be seen; the C library falls back on clone
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def filter_system_calls() -> None:
    """From here on the filter holds, for this process and all that it may start."""
    program = ctypes.create_string_buffer(filter_program())
    length = (len(program) - 1) // 8  # instructions of 8 bytes; ctypes adds a null byte
    if length:
        described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", length, ctypes.addressof(program)))
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(described))


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _pages_in_use() -> int:
    """Bytes of this process' address space."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
