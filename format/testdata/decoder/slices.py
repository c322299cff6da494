"""Range proofs: slices of a blob in Bao's format with groups of 16 KiB (docs/format.md, section 5)."""

import blake3
from errors import refuse
from stream import PIECE

GROUP = 16_384


def _left_length(length):
    """The largest power of two below length."""
    return 1 << (length - 1).bit_length() - 1


def _chaining_value(levels, at, length):
    """Chaining value of the subtree over [at, at+length), from all levels of the tree of its blob."""
    chunks = -(-length // blake3.CHUNK)
    level = (chunks - 1).bit_length()
    entry = 32 * ((at // blake3.CHUNK) >> level)
    return levels[level][entry:entry + 32]


def check_range(size, offset, length):
    """Refuses a range that is empty or does not lie within the blob, and a size that no blob has (section 5)."""
    refuse(not 1 <= size <= PIECE, "slice", "size of the blob")
    refuse(length < 1 or offset < 0 or offset + length > size, "slice", "range")


def extract(blob, offset, length):
    """The slice that proves a range of a blob."""
    check_range(len(blob), offset, length)
    levels = blake3.levels(blob)
    out = [len(blob).to_bytes(8, "little")]

    def walk(at, size):
        if not (at < offset + length and offset < at + size):
            return
        if size <= GROUP:
            out.append(blob[at:at + size])
            return
        left = _left_length(size)
        out.append(_chaining_value(levels, at, left) + _chaining_value(levels, at + left, size - left))
        walk(at, left)
        walk(at + left, size - left)

    walk(0, len(blob))
    return b"".join(out)


class _Checker:
    """Walks a slice; take() hands out its bytes in order."""

    def __init__(self, data, offset, length):
        self.data, self.at = data, 0
        self.offset, self.end = offset, offset + length
        self.out = []

    def take(self, n):
        part = self.data[self.at:self.at + n]
        refuse(len(part) < n, "slice", "short")
        self.at += n
        return part

    def walk(self, at, size, expected, root):
        if not (at < self.end and self.offset < at + size):
            return
        if size <= GROUP:
            part = self.take(size)
            refuse(blake3.subtree(part, at // blake3.CHUNK, root) != expected, "slice", "group")
            self.out.append(part[max(self.offset - at, 0):self.end - at])
            return
        left, right = self.take(32), self.take(32)
        refuse(blake3.parent(left, right, root) != expected, "slice", "parent")
        half = _left_length(size)
        self.walk(at, half, left, False)
        self.walk(at + half, size - half, right, False)


def verify(data, size, name, offset, length):
    """The bytes of the range, if the slice proves them for the blob of this size and name; else `slice`."""
    check_range(size, offset, length)
    checker = _Checker(data, offset, length)
    refuse(checker.take(8) != size.to_bytes(8, "little"), "slice", "size word")
    checker.walk(0, size, name, True)
    refuse(checker.at != len(data), "slice", "bytes left over")
    return b"".join(checker.out)
