"""This file knows which sandbox this machine gives, and how to start the parent of all workers inside it."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from functools import lru_cache
from pathlib import Path

from utils.grading.limits import PR_SET_DUMPABLE, filter_program, prctl
from utils.paths import REPO
from utils.refusal import CannotDo

BUBBLEWRAP = "bubblewrap: no network, no file but the interpreter and the course without tests and solutions, to read"
LIMITS = "limits only, because {why}: learners' code can read, and perhaps write, files of this computer"
LIMITED = "limits on memory, time, processes and files"
UNREADABLE = (
    "you are root, so learners' code runs as nobody, who may not read {}: let others in (chmod o+x for a folder, "
    "o+r for a file), grade as another user, or have the course and its Python in folders that everybody may read"
)
HOME = "/run/learner"  # inside bubblewrap
START = 120  # seconds in which a zygote must be ready
MOST_BRIDGES = 6  # models of one configuration that are kept ready


class Zygote:
    """The warm parent of all workers, in the best sandbox that there is."""

    def __init__(self, *, memory: float, seconds: int, device: str, modules: list[str], require_sandbox: bool = False):
        if sys.platform != "linux":
            raise CannotDo(
                "grading needs Linux, which can confine a learner's code: use a container or a virtual machine"
            )
        why = no_bubblewrap()
        if why and require_sandbox:
            raise CannotDo(f"there is no sandbox here: {why}")
        self.sandboxed = not why
        self.why = why
        self.level = level(why, gpu=device != "cpu", filters=bool(filter_program()))
        self.options = {
            "memory": int(memory * 2**30),
            "seconds": seconds,
            "device": device,
            "modules": modules,
            "own_processes": self.sandboxed,
        }
        self.process: subprocess.Popen | None = None
        self.control: socket.socket | None = None
        self.prepared: dict[tuple[bytes, bool], int] = {}

    def worker(self) -> Worker:
        """A new worker; a zygote that has died, or been made to, is started again."""
        for _attempt in range(2):
            if self.process is None:
                self.start()
            ours, theirs = socket.socketpair()
            try:
                self.control.settimeout(START)
                socket.send_fds(self.control, [json.dumps({"ask": "fork"}).encode()], [theirs.fileno()])
                data, handles, *_ = socket.recv_fds(self.control, 4096, 1)
                if data and handles:
                    return Worker(self, ours, json.loads(data)["pid"], handles[0])
            except OSError:
                pass
            finally:
                theirs.close()
            ours.close()
            self.stop()
        raise CannotDo("no worker could be started")

    def start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.home = tempfile.TemporaryDirectory(prefix="circuits-worker-", ignore_cleanup_errors=True)
        os.chmod(self.home.name, 0o755)
        options = json.dumps(self.options)
        command = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-B", "-m", "utils.grading.zygote"]
        command += [str(theirs.fileno()), options]
        if self.sandboxed:
            command = [*bubblewrap(gpu=self.options["device"] != "cpu"), *command]
        else:
            prctl(PR_SET_DUMPABLE, 0)  # a worker of the same user must not look into the grader's memory
        home = HOME if self.sandboxed else self.home.name
        with theirs:
            self.process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=environment(home, self.options["memory"]),
                cwd="/" if self.sandboxed else self.home.name,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.control = ours
        ours.settimeout(START)
        with contextlib.suppress(OSError):
            said = ours.recv(1 << 16)
            ready = json.loads(said) if said else {}
            if ready.get("unreadable"):
                self.stop()
                raise CannotDo(UNREADABLE.format(ready["unreadable"]))
            if ready:
                self.level = level(self.why, gpu=self.options["device"] != "cpu", filters=ready["filters"])
                if self.prepared:
                    self.prepare({})
                return
        self.stop()
        raise CannotDo("the parent of the workers could not be started; run `circuits doctor`")

    def prepare(self, shown: dict[tuple[bytes, bool], int]) -> None:
        """Have models of these configurations ready in workers to come, as many of each as one test showed."""
        before = dict(self.prepared)
        for key, count in shown.items():
            self.prepared[key] = max(self.prepared.get(key, 0), min(count, MOST_BRIDGES))
        if self.prepared != before or not shown:
            bridges = [(base64.b64encode(key).decode(), flag, count) for (key, flag), count in self.prepared.items()]
            with contextlib.suppress(OSError):
                self.control.send(json.dumps({"ask": "prepare", "bridges": bridges}).encode())

    def sweep(self, pid: int) -> int | None:
        """After a worker was killed: how it had ended by then; whatever it left is ended too."""
        try:
            self.control.settimeout(START)  # it may be busy with models for workers to come
            self.control.send(json.dumps({"ask": "sweep", "pid": pid}).encode())
            return json.loads(self.control.recv(4096))["status"]
        except (OSError, ValueError, AttributeError):
            self.stop()
            return None

    def stop(self) -> None:
        if self.control is not None:
            self.control.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.home.cleanup()
        self.process = self.control = None


class Worker:
    """A process that runs one submission, and this end of the pipe to it."""

    def __init__(self, zygote: Zygote, end: socket.socket, pid: int, handle: int):
        self.zygote, self.end, self.pid, self.handle = zygote, end, pid, handle
        self.status: int | None = None
        self.stopped = False

    def was_shown(self, bridges: dict[tuple[bytes, bool], int]) -> None:
        """So many models of each configuration were asked for in one test: workers to come shall have them ready."""
        self.zygote.prepare(bridges)

    def stop(self) -> None:
        if self.stopped:
            return
        self.stopped = True
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        os.close(self.handle)
        self.end.close()
        self.status = self.zygote.sweep(self.pid)

    def cause_of_death(self) -> str:
        """What to say of a worker that went away by itself."""
        self.stop()
        if self.status is None:
            return "ended its process"
        if self.status >= 0:
            return f"left its process (exit status {self.status})"
        name = signal.Signals(-self.status).name if -self.status in set(signal.Signals) else f"signal {-self.status}"
        return CAUSES.get(name, f"was ended by {name}")


CAUSES = {
    "SIGSEGV": "crashed its process (segmentation fault)",
    "SIGBUS": "crashed its process (bus error)",
    "SIGABRT": "crashed its process (abort)",
    "SIGFPE": "crashed its process (arithmetic error)",
    "SIGXCPU": "used up its processor time",
    "SIGXFSZ": "wrote a file larger than it may",
    "SIGKILL": "was killed, or closed the pipe to the grader",
}


def level(why: str, *, gpu: bool, filters: bool) -> str:
    """One line that says what learners' code is kept from; ``why`` there is no bubblewrap, if there is none."""
    parts = [LIMITS.format(why=why) if why else BUBBLEWRAP, LIMITED]
    if gpu:
        parts[1] = "limits on processor time and files; for CUDA none on memory"
    elif filters:
        parts.append("system calls filtered")
    else:
        parts.append("system calls not filtered (libseccomp is missing)" + (", the network is open" if why else ""))
    return "; ".join(parts)


def no_bubblewrap() -> str:
    """Why there is no bubblewrap here; empty if there is."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    command = [*bubblewrap(gpu=False), sys.executable, "-c", "import utils.grading.sandbox"]
    try:
        ran = subprocess.run(command, env=environment(HOME, 0), capture_output=True, text=True, timeout=START, cwd="/")
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here ({type(error).__name__})"
    said = ran.stderr.strip().splitlines()
    return f"bubblewrap does not work here ({said[-1][:150] if said else ran.returncode})" if ran.returncode else ""


def bubblewrap(gpu: bool) -> list[str]:
    """The command that runs another one with a file system, processes and a network of its own."""
    command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    # as the first process of its world the zygote cannot be signalled from inside
    command += ["--as-pid-1", "--die-with-parent", "--new-session", "--hostname", "sandbox"]
    if os.getuid() == 0:  # so that workers can become nobody
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_KILL"]
    else:
        command += ["--unshare-user"]
        command += ["--disable-userns"] if "--disable-userns" in _help() else []
    # what is mounted later lies over what was mounted before; only the zygote's home can be written, and it sees to that
    command += ["--dev", "/dev", "--tmpfs", "/dev/shm", "--perms", "0755", "--tmpfs", "/tmp"]
    command += ["--perms", "0755", "--dir", "/run", *_size(16), "--perms", "0755", "--tmpfs", HOME]
    for folder in folders_above([*readable(), REPO / "utils"]):
        command += ["--perms", "0755", "--dir", str(folder)]
    for path in readable():
        if path.is_symlink():
            command += ["--symlink", os.readlink(path), str(path)]
        else:
            command += ["--ro-bind", str(path), str(path)]
    # whatever of the course the paths above held is out of sight again
    command += ["--perms", "0755", "--tmpfs", str(REPO)]
    for path in [path for path in readable() if REPO in path.parents] + [REPO / "utils"]:
        command += ["--ro-bind", str(path), str(path)]
    command += ["--remount-ro", str(REPO), "--proc", "/proc"]
    if gpu:
        for device in sorted(Path("/dev").glob("nvidia*")):
            command += ["--dev-bind-try", str(device), str(device)]
        command += ["--ro-bind-try", "/sys", "/sys"]
    for folder in ("/tmp", "/dev/shm", "/dev", "/"):
        command += ["--remount-ro", folder]
    return [*command, "--chdir", HOME, "--"]


def _size(mebibytes: int) -> list[str]:
    return ["--size", str(mebibytes << 20)] if "--size" in _help() else []


def folders_above(paths: list[Path]) -> list[Path]:
    """Every folder on the way to these, from the top down; bubblewrap would make them for their owner's eyes only."""
    above = {folder for path in paths for folder in path.parents if folder not in (Path("/"), Path("/tmp"))}
    return sorted(folder for folder in above if not any(folder == path or path in folder.parents for path in paths))


@lru_cache
def _help() -> str:
    return subprocess.run(["bwrap", "--help"], capture_output=True, text=True).stdout


@lru_cache
def readable() -> list[Path]:
    """What a Python with its packages consists of: the system's libraries, the interpreter, where modules are found."""
    system = [
        Path(path)
        for path in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives")
    ]
    python = [Path(sys.base_prefix), Path(sys.prefix), Path(sys.executable).resolve().parent.parent]
    python += [Path(path) for path in sysconfig.get_paths().values()]
    # of sys.path only where packages are installed: it may also hold the folder of whatever script was started
    found = [Path(path).absolute() for path in sys.path if {"site-packages", "dist-packages"} & set(Path(path).parts)]
    candidates = [*system, *python, *found]
    chosen: list[Path] = []
    for path in candidates:
        inside = any(other == path or other in path.parents for other in chosen)
        holds_course = path == REPO or path in REPO.parents and path not in system and path not in python
        if path.exists() and not inside and not holds_course and path != Path("/"):
            chosen.append(path)
    return chosen


def environment(home: str, memory: int) -> dict[str, str]:
    """Nothing of the grader's own environment, which may hold secrets, but how libraries are found."""
    paths = [str(REPO), *(path for path in sys.path if path and os.path.isdir(path) and Path(path).absolute() != REPO)]
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "TZ") if name in os.environ}
    return kept | {
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "USER": "learner",
        "LOGNAME": "learner",
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",  # it would start threads, which a worker may not
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow, which TransformerLens imports, would start one too
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HOME": f"{home}/huggingface",
        "MPLCONFIGDIR": home,
        "CIRCUITS_WORK": f"{home}/work",
        "CIRCUITS_DEVICE": "cpu",
        "CIRCUITS_MEMORY": f"{memory / 2**30:g}",
    }


def time_limit(timeout: float, exercises: int) -> int:
    """Processor seconds of a worker, which may serve all of these exercises."""
    return math.ceil(timeout * (exercises + 2)) + 30
