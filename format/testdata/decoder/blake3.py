"""BLAKE3 in pure Python, fast enough for some megabytes.

Many chunks are hashed at once: each 32-bit word of the compression function is a Python integer that holds that word
of all chunks, one in each 64 bits ("lanes"). Additions and rotations leave their carries in the upper half of a
lane, where a mask removes them. Pages of the specification: https://github.com/BLAKE3-team/BLAKE3-specs.
"""

import sys
from array import array

CHUNK = 1024
LANES = 256  # chunks hashed at once

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8

assert array("I").itemsize == 4


def _schedules():
    """The order of the message words in each of the seven rounds."""
    order, rounds = tuple(range(16)), []
    for _ in range(7):
        rounds.append(order)
        order = tuple(order[p] for p in PERMUTATION)
    return rounds


SCHEDULES = _schedules()
MIXED = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def _compress(cv, words, counter, length, flags, ones):
    """One compression in every lane; `ones` has a 1 in each, counter, length and words are lanes, flags is a number."""
    mask = ones * 0xFFFFFFFF
    low = counter & mask
    high = (counter >> 32) & mask
    v = [*cv, *(ones * iv for iv in IV[:4]), low, high, length, ones * flags]
    for order in SCHEDULES:
        for i, (a, b, c, d) in enumerate(MIXED):
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = (va + vb + words[order[2 * i]]) & mask
            vd ^= va
            vd = (vd >> 16 | vd << 16) & mask
            vc = (vc + vd) & mask
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & mask
            va = (va + vb + words[order[2 * i + 1]]) & mask
            vd ^= va
            vd = (vd >> 8 | vd << 24) & mask
            vc = (vc + vd) & mask
            vb ^= vc
            v[a], v[b], v[c], v[d] = va, (vb >> 7 | vb << 25) & mask, vc, vd
    return [v[i] ^ v[i + 8] for i in range(8)]


def _words(data):
    """Bytes as an array of 32-bit little-endian words."""
    words = array("I", data)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _to_lanes(words):
    """An array of 32-bit words as one integer, a word in each lane."""
    wide = array("I", bytes(8 * len(words)))
    wide[::2] = words
    if sys.byteorder == "big":
        wide.byteswap()
    return int.from_bytes(wide.tobytes(), "little")


def _from_lanes(columns, n):
    """Eight integers of n lanes as one array: the eight words of lane 0, those of lane 1, and so on."""
    out = array("I", bytes(32 * n))
    for i, column in enumerate(columns):
        out[i::8] = _words(column.to_bytes(8 * n, "little"))[::2]
    return out


def _ones(n):
    return int.from_bytes(b"\1\0\0\0\0\0\0\0" * n, "little")


def _whole_chunks(data, first):
    """Chaining values of whole chunks, hashed side by side; none of them is the root."""
    n = len(data) // CHUNK
    words, ones = _words(data), _ones(n)
    counter = int.from_bytes(b"".join((first + i).to_bytes(8, "little") for i in range(n)), "little")
    cv = [ones * iv for iv in IV]
    for block in range(16):
        flags = (CHUNK_START if block == 0 else 0) | (CHUNK_END if block == 15 else 0)
        message = [_to_lanes(words[block * 16 + i::256]) for i in range(16)]
        cv = _compress(cv, message, counter, ones * 64, flags, ones)
    return _from_lanes(cv, n)


def _one_chunk(data, number, root):
    """Chaining value of one chunk of any length up to 1024, block by block."""
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    cv = list(IV)
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        flags = (CHUNK_START if i == 0 else 0) | ((CHUNK_END | (ROOT if root else 0)) if last else 0)
        cv = _compress(cv, _words(block.ljust(64, b"\0")), number, len(block), flags, 1)
    return array("I", cv)


def _chunks(data, first, root):
    """Chaining values of all chunks of data, joined; first is the number of the first chunk."""
    whole = len(data) // CHUNK
    if root and len(data) <= CHUNK:
        return _one_chunk(data, first, True)
    out = array("I")
    for at in range(0, whole, LANES):
        out += _whole_chunks(data[at * CHUNK:min(at + LANES, whole) * CHUNK], first + at)
    if len(data) % CHUNK or not data:
        out += _one_chunk(data[whole * CHUNK:], first + whole, False)
    return out


def _parents(level, root):
    """Chaining values of the parents of neighbours; an odd one at the end moves up as it is."""
    n = len(level) // 16
    ones = _ones(n)
    message = [_to_lanes(level[i:n * 16:16]) for i in range(16)]
    flags = PARENT | (ROOT if root else 0)
    cv = _compress([ones * iv for iv in IV], message, 0, ones * 64, flags, ones)
    return _from_lanes(cv, n) + level[n * 16:]


def _bytes(words):
    if sys.byteorder == "big":
        words = words[:]
        words.byteswap()
    return words.tobytes()


def levels(data, first=0, root=True):
    """All levels of the tree over data, from the chunks to the top, each the joined chaining values (32 bytes each).

    A subtree of 2^k chunks (or the shorter one at the end) that begins at chunk c is entry c >> k of level k.
    """
    level = _chunks(data, first, root)
    out = [_bytes(level)]
    while len(level) > 8:
        level = _parents(level, root and len(level) == 16)
        out.append(_bytes(level))
    return out


def subtree(data, first, root):
    """Chaining value of the subtree over data, whose first chunk has the number given."""
    return levels(data, first, root)[-1]


def parent(left, right, root):
    """Chaining value of the parent of two subtrees."""
    return _bytes(_parents(_words(left + right), root))


def blake3(data):
    """The hash of 32 bytes."""
    return subtree(data, 0, True)
