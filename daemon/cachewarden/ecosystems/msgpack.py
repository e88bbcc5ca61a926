"""Just enough MessagePack to read the head of a cached response without loading its body.

pip <= 23.2 keeps the whole wheel *inside* the structure, in front of the headers that name it, so a decoder must be
able to step over it; the usual library reads it into memory first. Format: the MessagePack specification.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

Fetch = Callable[[int, int], bytes]
"""``(offset, size) -> bytes``, shorter at the end of the file."""

_WINDOW = 8192
_LONGEST = 65_536
_DEEPEST = 8
_MOST_ITEMS = 10_000
_MOST_LOADED = 1 << 22
_SIZED = {
    0xC4: ("bin", ">B"), 0xC5: ("bin", ">H"), 0xC6: ("bin", ">I"),
    0xD9: ("str", ">B"), 0xDA: ("str", ">H"), 0xDB: ("str", ">I"),
    0xDC: ("array", ">H"), 0xDD: ("array", ">I"),
    0xDE: ("map", ">H"), 0xDF: ("map", ">I"),
}  # fmt: skip
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


class NotMessagePackError(ValueError):
    """The bytes are not what they should be; a hostile or damaged file."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A string too long to load: where it stands in the file."""

    offset: int
    size: int


def unpack(fetch: Fetch, offset: int) -> object:
    """The value that starts at ``offset``: dict, list, str, bytes, number, bool, None, or ``Blob``.

    Raises NotMessagePackError for anything malformed, too deep, too long or with too many items.
    """
    return _Reader(fetch, offset).value(0)


class _Reader:
    def __init__(self, fetch: Fetch, offset: int) -> None:
        self._fetch = fetch
        self._offset = offset
        self._window = b""
        self._start = offset
        self._items = 0
        self._loaded = 0

    def value(self, depth: int) -> object:
        self._items += 1
        if depth > _DEEPEST or self._items > _MOST_ITEMS:
            raise NotMessagePackError("too deep or too many items")
        code = self._take(1)[0]
        if code <= 0x7F:
            return code
        if code >= 0xE0:
            return code - 0x100
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code in _NUMBERS:
            return struct.unpack(_NUMBERS[code], self._take(struct.calcsize(_NUMBERS[code])))[0]
        kind, size = self._sized(code)
        return self._container(kind, size, depth) if kind in {"map", "array"} else self._string(kind, size)

    def _sized(self, code: int) -> tuple[str, int]:
        if code <= 0x8F:
            return "map", code & 0x0F
        if code <= 0x9F:
            return "array", code & 0x0F
        if code <= 0xBF:
            return "str", code & 0x1F
        if code not in _SIZED:
            raise NotMessagePackError(f"unexpected type byte {code:#x}")
        kind, form = _SIZED[code]
        return kind, int(struct.unpack(form, self._take(struct.calcsize(form)))[0])

    def _container(self, kind: str, size: int, depth: int) -> object:
        if kind == "array":
            return [self.value(depth + 1) for _ in range(min(size, _MOST_ITEMS + 1))]
        found: dict[object, object] = {}
        for _ in range(min(size, _MOST_ITEMS + 1)):
            key = self.value(depth + 1)
            if not isinstance(key, str | bytes | int):
                raise NotMessagePackError("a key that is no name")
            found[key] = self.value(depth + 1)
        return found

    def _string(self, kind: str, size: int) -> object:
        if size > _LONGEST:
            blob = Blob(self._offset, size)
            self._offset += size
            return blob
        self._loaded += size
        if self._loaded > _MOST_LOADED:
            raise NotMessagePackError("too long in all")
        data = self._take(size)
        return data if kind == "bin" else data.decode("utf-8", "replace")

    def _take(self, size: int) -> bytes:
        begin = self._offset - self._start
        if begin < 0 or begin + size > len(self._window):
            self._window = self._fetch(self._offset, max(size, _WINDOW))
            self._start, begin = self._offset, 0
            if len(self._window) < size:
                raise NotMessagePackError("ends too early")
        self._offset += size
        return self._window[begin : begin + size]
