"""The deterministic CBOR of docs/format.md, section 7: bytes to values and back, whatever their shape.

Values are int, bytes, str, list, dict with integer keys, True and False.
"""

from errors import FormatError, refuse

LARGEST_INTEGER = 2**53 - 1
DEEPEST = 16
MOST_MEMBERS = 2**20  # of an array or a map
UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
SIMPLE_VALUES = {0xF4: False, 0xF5: True}


def _error(detail):
    return FormatError("encoding", detail)


class _Reader:
    """Reads one value after the other from bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        refuse(n > len(self.data) - self.at, "encoding", "cut")
        part = self.data[self.at:self.at + n]
        self.at += n
        return part

    def head(self):
        """Major type and argument of the next value, the argument in its shortest form."""
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if major == SIMPLE:
            refuse(first not in SIMPLE_VALUES, "encoding", "simple value or float")
            return major, first
        if info < 24:
            return major, info
        refuse(info > 27, "encoding", "reserved or indefinite length")
        size = 1 << info - 24
        argument = int.from_bytes(self.take(size), "big")
        refuse(argument < (24 if size == 1 else 1 << 4 * size), "encoding", "longer form than needed")
        return major, argument

    def value(self, depth):
        """The next value; depth is the number of arrays and maps that it lies in."""
        major, argument = self.head()
        if major == SIMPLE:
            return SIMPLE_VALUES[argument]
        if major in (UINT, NEGATIVE):
            return self.integer(major, argument)
        if major == BYTES:
            return self.take(argument)
        if major == TEXT:
            return self.text(argument)
        refuse(major == TAG, "encoding", "tag")
        refuse(depth >= DEEPEST, "encoding", "nested too deep")
        refuse(argument > MOST_MEMBERS, "encoding", "too many members")
        refuse(argument > len(self.data) - self.at, "encoding", "cut")  # every entry takes a byte at least
        if major == ARRAY:
            return [self.value(depth + 1) for _ in range(argument)]
        return self.map(argument, depth + 1)

    def integer(self, major, argument):
        number = argument if major == UINT else -1 - argument
        refuse(abs(number) > LARGEST_INTEGER, "encoding", "integer too large")
        return number

    def text(self, length):
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise _error("not UTF-8") from None

    def map(self, count, depth):
        """A map; its keys are integers, in the order of their encodings."""
        out, before = {}, b""
        for _ in range(count):
            start = self.at
            major, argument = self.head()
            refuse(major not in (UINT, NEGATIVE), "encoding", "key is no integer")
            key, encoded = self.integer(major, argument), self.data[start:self.at]
            refuse(encoded <= before, "encoding", "keys not sorted, or twice")
            before = encoded
            out[key] = self.value(depth)
        return out


def decode(data, largest):
    """The one value that data holds; data may have up to `largest` bytes."""
    refuse(len(data) > largest, "encoding", "too large")
    reader = _Reader(data)
    value = reader.value(0)
    refuse(reader.at != len(data), "encoding", "bytes left over")
    return value


def _head(major, argument):
    if argument < 24:
        return bytes([major << 5 | argument])
    for i, size in enumerate((1, 2, 4, 8)):
        if argument < 1 << 8 * size:
            return bytes([major << 5 | 24 + i]) + argument.to_bytes(size, "big")
    raise ValueError("integer too large")


def encode(value):
    """The deterministic encoding of a value."""
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(UINT, value) if value >= 0 else _head(NEGATIVE, -1 - value)
    if isinstance(value, bytes):
        return _head(BYTES, len(value)) + value
    if isinstance(value, str):
        data = value.encode("utf-8")
        return _head(TEXT, len(data)) + data
    if isinstance(value, list):
        return _head(ARRAY, len(value)) + b"".join(map(encode, value))
    entries = sorted((encode(key), encode(entry)) for key, entry in value.items())
    return _head(MAP, len(entries)) + b"".join(key + entry for key, entry in entries)
