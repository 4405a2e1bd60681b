"""This file knows how to be the warm parent of all workers: it has imported everything, and forks one when it is asked to.

It is executed, never forked from the grader, so that its memory holds no tests, no solutions and no other submission.
It runs nothing of a learner's itself. One thread only: a child of a process with several may hang.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

MESSAGE = 1 << 20  # bytes; a message of the grader's is never longer


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    options = json.loads(sys.argv[2])
    sys.path[:] = [path for path in sys.path if path and path != os.getcwd()]  # where workers may be able to write
    from utils.grading import limits
    from utils.grading.twins import Bridges

    limits.prctl(limits.PR_SET_CHILD_SUBREAPER, 1)
    limits.prctl(limits.PR_SET_DUMPABLE, 0)
    limits.prctl(limits.PR_SET_PDEATHSIG, signal.SIGKILL)
    _warm_up(options["modules"])
    ready = {"filters": bool(limits.filter_program()), "unreadable": unreadable()}
    close_home()
    zygote = Zygote(control, options, Bridges())
    try:
        _say(control, ready)
        zygote.serve()
    except ConnectionError:  # the grader was stopped while it waited for an answer
        zygote.sweep()


class Zygote:
    def __init__(self, control: socket.socket, options: dict, bridges: Any):
        self.control, self.options, self.bridges = control, options, bridges
        self.alone = options["own_processes"] and os.getpid() == 1  # then all other processes are workers

    def serve(self) -> None:
        """Do what the grader asks until it is gone."""
        while True:
            data, received, *_ = socket.recv_fds(self.control, MESSAGE, 1)
            if not data:
                self.sweep()
                return
            request = json.loads(data)
            if request["ask"] == "fork":
                self.fork(received[0])
            elif request["ask"] == "sweep":
                _say(self.control, {"status": self.reap(request["pid"])})
                self.sweep()
            elif request["ask"] == "prepare":
                for configuration, compatibility, count in request["bridges"]:
                    self.bridges.prepare(base64.b64decode(configuration), compatibility, count)
                gc.freeze()

    def fork(self, end: int) -> None:
        """A new worker at this end of a pipe; the grader is told its number and how to kill it."""
        pid = os.fork()
        if not pid:
            try:
                self.work(end)
            finally:
                os._exit(0)
        os.close(end)
        handle = os.pidfd_open(pid)
        socket.send_fds(self.control, [json.dumps({"pid": pid}).encode()], [handle])
        os.close(handle)

    def work(self, end: int) -> None:
        """In the new process: keep nothing but the pipe, give up all rights, then serve the grader."""
        from utils.grading import limits, worker

        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        os.dup2(end, 3)
        os.closerange(4, 4096)
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            os.chdir(os.environ["HOME"])
        device = self.options["device"]
        limits.confine(self.options["memory"], self.options["seconds"], gpu=device != "cpu")
        worker.serve(socket.socket(fileno=3), self.bridges, device)

    def reap(self, pid: int) -> int | None:
        """How a worker ended, as `os.waitstatus_to_exitcode` says it; None if nobody knows."""
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except (ChildProcessError, ValueError):
            return None

    def sweep(self) -> None:
        """End and remove whatever a worker has left behind."""
        self.end_processes()
        close_home()

    def end_processes(self) -> None:
        while True:
            if self.alone:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(-1, signal.SIGKILL)
            for child in _children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def unreadable() -> str:
    """What a worker may not read of that from which modules were imported here, with root's rights; empty if nothing."""
    from utils.grading import limits

    if os.getuid():
        return ""
    named = {Path(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    files = {file for file in named if file.is_file()}  # torch.ops says that it is from a file that is not there
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            limits.become_nobody()
            closed = (path for file in sorted(files) for path in [*reversed(file.parents), file] if not _is_open(path))
            os.write(writing, os.fsencode(next(closed, "")))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as answer:
        found = os.fsdecode(answer.read())
    os.waitpid(child, 0)
    return found


def _is_open(path: Path) -> bool:
    return os.access(path, os.X_OK if path.is_dir() else os.R_OK)


def close_home() -> None:
    """Empty the only folder that may be written, and let nobody write there: one worker must not meet another's files."""
    home = Path(os.environ["HOME"])
    for path in home.iterdir():
        home.chmod(0o755)
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    home.chmod(0o555)


def _children() -> list[int]:
    with contextlib.suppress(OSError):
        with open("/proc/thread-self/children") as file:
            return [int(pid) for pid in file.read().split()]
    return []


def _warm_up(modules: list[str]) -> None:
    """Import what learners' code needs, and use what is set up at first use."""
    import torch

    torch.set_num_threads(1)
    for name in ["utils.grading.worker", *modules]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    x = torch.randn(3, 3, requires_grad=True)
    torch.einsum("ab,bc->ac", x, x).softmax(-1).log().sum().backward()
    torch.linalg.svd(x.detach())
    gc.collect()
    gc.freeze()


def _say(control: socket.socket, message: dict) -> None:
    control.send(json.dumps(message).encode())


if __name__ == "__main__":
    main()
