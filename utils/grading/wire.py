"""This file knows how data crosses the pipe between a grader and a worker: a JSON header, then the raw bytes of tensors.

Nothing that is read is unpickled or evaluated, and nothing is believed: sizes, depth, counts, dtypes and names are
limited, and whatever does not fit is a `BadMessage`. A tensor that was read is a plain tensor.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from utils.checking.border import with_article
from utils.checking.transcript import COMMON_DTYPES, odd_kind

MAX_HEADER = 8 << 20  # bytes
MAX_PAYLOAD = 128 << 20  # bytes of all tensors of a message
MAX_DEPTH = 24
MAX_NODES = 200_000  # values in a message
MAX_TEXT = 1 << 20  # characters of one string
MAX_BITS = 4096  # of a whole number
MAX_TENSORS = 20_000
MAX_AXES = 16
ALIGNED = 16  # bytes; where a tensor may begin
PREFIX = struct.Struct("<IQ")  # bytes of the header, bytes of the payload

DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in COMMON_DTYPES}
WHOLE_NUMBER = re.compile(rf"-?0x[0-9a-f]{{1,{MAX_BITS // 4}}}")
NAMES = {dtype: name for name, dtype in DTYPES.items()}


class BadMessage(ValueError):
    """Bytes that are no message, said in one line."""


class CannotBeSent(ValueError):
    """A value that is no data, or too much of it, said in one line."""


class Writer:
    """Turns values into a header and the tensors that go with it. ``special`` writes what is no plain data, or returns None."""

    def __init__(self, special: Callable[[Any], dict | None] = lambda value: None):
        self.special = special
        self.table: list[list[Any]] = []
        self.buffers: list[Any] = []
        self.size = 0
        self.nodes = 0

    def tree(self, value: Any, depth: int = 0) -> Any:
        """The value as JSON data; tensors become numbers of rows in the table."""
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise CannotBeSent(
                "it is nested too deeply" if depth > MAX_DEPTH else f"it holds more than {MAX_NODES} values"
            )
        kind = type(value)
        if value is None or kind is bool:
            return value
        if issubclass(kind, (bool, int)):
            if int(value).bit_length() > MAX_BITS:
                raise CannotBeSent(f"it holds a whole number of more than {MAX_BITS} bits")
            return int(value) if int(value).bit_length() < 64 else {"int": hex(int(value))}
        if issubclass(kind, float):
            return float(value)
        if issubclass(kind, str):
            return self._text(str(value))
        special = self.special(value)
        if special is not None:
            return special
        if issubclass(kind, Tensor):
            return {"t": self._tensor(value)}
        if kind is torch.dtype:
            return {"dtype": str(value).removeprefix("torch.")}
        if kind is torch.device:
            return {"device": str(value)}
        if kind is slice:
            return {"slice": [self.tree(end, depth + 1) for end in (value.start, value.stop, value.step)]}
        if issubclass(kind, dict):
            return {"d": [[self.tree(key, depth + 1), self.tree(item, depth + 1)] for key, item in value.items()]}
        for tag, container in (("l", list), ("u", tuple), ("set", set), ("frozenset", frozenset)):
            if issubclass(kind, container):
                return {tag: [self.tree(item, depth + 1) for item in value]}
        raise CannotBeSent(f"it holds a {kind.__name__}")

    def _text(self, value: str) -> str:
        if len(value) > MAX_TEXT:
            raise CannotBeSent(f"it holds a text of more than {MAX_TEXT} characters")
        return well_formed(value)

    def _tensor(self, value: Tensor) -> int:
        with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
            if odd := odd_kind(value):
                raise CannotBeSent(f"it holds {with_article(odd)} tensor")
            bytes_needed = value.numel() * value.element_size()
            if self.size + bytes_needed > MAX_PAYLOAD or len(self.table) >= MAX_TENSORS or value.ndim > MAX_AXES:
                raise CannotBeSent(f"it holds more than {MAX_PAYLOAD >> 20} MiB of tensors, or too many")
            flat = value.detach().as_subclass(Tensor).resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
            if bytes_needed:
                self.buffers.append(flat.view(torch.uint8).numpy().data)
                self.buffers.append(bytes(-bytes_needed % ALIGNED))
            self.size += bytes_needed + -bytes_needed % ALIGNED
            self.table.append([NAMES[value.dtype], list(value.shape), value.device.type, bool(value.requires_grad)])
        return len(self.table) - 1

    def message(self, tree: Any) -> list[Any]:
        """The pieces to send, in order."""
        header = json.dumps({"v": tree, "t": self.table}, separators=(",", ":")).encode()
        if len(header) > MAX_HEADER:
            raise CannotBeSent(f"it takes more than {MAX_HEADER >> 20} MiB of text")
        return [PREFIX.pack(len(header), self.size) + header, *self.buffers]


class Reader:
    """Turns a message back into values. ``special`` reads the tags that are no plain data: (tag, content, read) -> value."""

    def __init__(
        self,
        header: bytes | bytearray,
        payload: bytearray,
        special: Callable[[str, Any, Callable], Any] | None = None,
        device: torch.device | None = None,
    ):
        self.special, self.device, self.nodes = special, device, 0
        try:
            parsed = json.loads(bytes(header), parse_int=_whole_number)
        except (ValueError, RecursionError) as error:
            raise BadMessage(f"the header is not JSON ({type(error).__name__})") from None
        if type(parsed) is not dict or parsed.keys() != {"v", "t"}:
            raise BadMessage("the header has other parts than v and t")
        self.root = parsed["v"]
        self.tensors = self._tensors(parsed["t"], payload)

    def _tensors(self, table: Any, payload: bytearray) -> list[Tensor]:
        if type(table) is not list or len(table) > MAX_TENSORS:
            raise BadMessage("the table of tensors is no list, or too long")
        tensors, start = [], 0
        for row in table:
            if type(row) is not list or len(row) != 4 or type(row[0]) is not str or row[0] not in DTYPES:
                raise BadMessage("a row of the table of tensors is not (dtype, shape, device, needs a gradient)")
            name, shape, device, needs_gradient = row
            if type(shape) is not list or len(shape) > MAX_AXES or type(needs_gradient) is not bool:
                raise BadMessage("a row of the table of tensors is not (dtype, shape, device, needs a gradient)")
            if any(type(size) is not int or not 0 <= size <= MAX_PAYLOAD for size in shape):
                raise BadMessage("the shape of a tensor holds something else than sizes")
            dtype, count = DTYPES[name], math.prod(shape)
            size = count * dtype.itemsize
            if start + size > len(payload):
                raise BadMessage("the tensors take more bytes than there are")
            if not count and math.prod(max(length, 1) for length in shape) > MAX_PAYLOAD:
                raise BadMessage("the shape of a tensor without numbers is out of measure")
            tensors.append(_tensor(payload, dtype, count, start).reshape(shape))
            start += size + -size % ALIGNED
            if self.device is not None and type(device) is str and device == self.device.type:
                tensors[-1] = tensors[-1].to(self.device)
            if needs_gradient and (dtype.is_floating_point or dtype.is_complex):
                tensors[-1].requires_grad_()
        if start != len(payload):
            raise BadMessage("the tensors take fewer bytes than there are")
        return tensors

    def value(self) -> Any:
        """The message's value."""
        return self.read(self.root)

    def read(self, tree: Any, depth: int = 0) -> Any:
        """The value behind a part of the header."""
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise BadMessage("it is nested too deeply, or holds too many values")
        if tree is None or type(tree) in (bool, int, float):
            return tree
        if type(tree) is str:
            if len(tree) > MAX_TEXT:
                raise BadMessage("a text is too long")
            return well_formed(tree)
        if type(tree) is not dict or len(tree) != 1:
            raise BadMessage("a value is neither a number, a text nor one tag with its content")
        ((tag, content),) = tree.items()
        if tag == "t":
            return self.tensors[place(content, len(self.tensors))]
        if tag == "dtype" and type(content) is str and content in DTYPES:
            return DTYPES[content]
        if tag == "device" and content in ("cpu", "mps", "cuda", "cuda:0"):
            return torch.device(content)
        if tag == "int" and type(content) is str and WHOLE_NUMBER.fullmatch(content):
            return int(content, 16)
        if tag in ("l", "u", "set", "frozenset", "slice", "d"):
            return self._container(tag, content, depth)
        if self.special is None:
            raise BadMessage(f"there is no tag {tag[:20]!r}")
        return self.special(tag, content, lambda part: self.read(part, depth + 1))

    def _container(self, tag: str, content: Any, depth: int) -> Any:
        if type(content) is not list:
            raise BadMessage(f"the content of {tag} is no list")
        try:
            if tag == "d":
                return {self.read(key, depth + 1): self.read(item, depth + 1) for key, item in pairs(content)}
            items = [self.read(item, depth + 1) for item in content]
            if tag == "slice":
                return slice(*items)
            return {"l": list, "u": tuple, "set": set, "frozenset": frozenset}[tag](items)
        except TypeError:
            raise BadMessage(f"what cannot be in a {tag} is in one") from None


def place(content: Any, count: int) -> int:
    """A number that counts something of which there are ``count``."""
    if type(content) is not int or not 0 <= content < count:
        raise BadMessage("a number points at nothing")
    return content


def pairs(content: list) -> list:
    if any(type(pair) is not list or len(pair) != 2 for pair in content):
        raise BadMessage("an entry is no pair")
    return content


def well_formed(text: str) -> str:
    """Half of a surrogate pair cannot be written to any file: a ? stands for it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def sizes(prefix: bytes | bytearray) -> tuple[int, int]:
    """How many bytes of header and of payload follow."""
    header, payload = PREFIX.unpack(prefix)
    if header > MAX_HEADER or payload > MAX_PAYLOAD + MAX_TENSORS * ALIGNED:
        raise BadMessage("it announces more than a message may hold")
    return header, payload


def _tensor(payload: bytearray, dtype: torch.dtype, count: int, start: int) -> Tensor:
    if not count:
        return torch.empty(0, dtype=dtype)
    if dtype == torch.bool:  # a byte that is neither 0 nor 1 would be a boolean that is neither true nor false
        return torch.frombuffer(payload, dtype=torch.uint8, count=count, offset=start) != 0
    return torch.frombuffer(payload, dtype=dtype, count=count, offset=start)


def _whole_number(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) >> 63:
        raise BadMessage("a whole number has more than 64 bits")
    return int(digits)
