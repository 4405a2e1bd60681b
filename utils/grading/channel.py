"""This file knows how to send and receive whole messages over a socket, both ends alike."""

from __future__ import annotations

import socket
import time
from typing import Any

from utils.grading.wire import PREFIX, Reader, Writer, sizes


class Gone(Exception):
    """The other end has closed the pipe."""


class TooLate(Exception):
    """The deadline has passed."""


class Channel:
    """One end of the pipe. ``deadline`` is a time of `time.monotonic` after which neither sending nor receiving goes on."""

    def __init__(self, end: socket.socket):
        self.end = end
        self.deadline: float | None = None

    def send(self, writer: Writer, tree: Any) -> None:
        for piece in writer.message(tree):
            view = memoryview(piece).cast("B") if len(piece) else b""
            while len(view):
                view = view[self._once(self.end.send, view) :]

    def receive(self, **reading: Any) -> Reader:
        header, payload = sizes(self._bytes(PREFIX.size))
        return Reader(self._bytes(header), self._bytes(payload), **reading)

    def _bytes(self, count: int) -> bytearray:
        data = bytearray(count)
        view = memoryview(data)
        while len(view):
            got = self._once(self.end.recv_into, view)
            if not got:
                raise Gone
            view = view[got:]
        return data

    def _once(self, operation: Any, view: Any) -> int:
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TooLate
            self.end.settimeout(left)
        try:
            return operation(view)
        except TimeoutError:
            raise TooLate from None
        except OSError:
            raise Gone from None

    def close(self) -> None:
        self.end.close()
