"""Padding, content streams and how they are cut (docs/format.md, sections 3, 4 and 5)."""

import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from blake3 import blake3
from errors import FormatError, refuse
from ids import hkdf, label

HEADER = 40
VERSION = 0x28
TAG = 16
SEGMENT = 262_144
FIRST_PLAIN = SEGMENT - HEADER - TAG  # 262,088
OTHER_PLAIN = SEGMENT - TAG  # 262,128
PIECE = 8_388_608
PACK = 1_048_576
LARGEST_STREAM = 2**43  # 2^20 extents of 8 MiB (section 5)


def padme(length):
    """The Padmé length of section 3."""
    e = length.bit_length() - 1
    z = e - e.bit_length()  # S = floor(log2 E) + 1 is the bit length of E
    mask = (1 << z) - 1
    return (length + mask) & ~mask


def padded_length(true_size):
    """Bytes of a plaintext after padding (section 3)."""
    return padme(max(true_size, 1024))


def segment_count(padded):
    """Number of segments for a padded plaintext (section 4)."""
    if padded <= FIRST_PLAIN:
        return 1
    return 1 - (FIRST_PLAIN - padded) // OTHER_PLAIN  # 1 + ceil(…)


def stream_length(padded):
    """Bytes of the stream for a padded plaintext (section 4)."""
    return HEADER + padded + TAG * segment_count(padded)


def expected_length(true_size):
    """The length that a stream must have by the descriptor's true size; `length` if no stream is large enough."""
    refuse(true_size >= 2**53, "length", "true size")
    length = stream_length(padded_length(true_size))
    refuse(length > LARGEST_STREAM, "length", "no stream is so large")
    return length


def check_stream_length(length):
    """Refuses a length that no padded plaintext has (section 4); returns the padded plaintext's length."""
    segments = -(-length // SEGMENT)
    padded = length - HEADER - TAG * segments
    refuse(padded < 1024 or length > LARGEST_STREAM, "length", "outside the valid lengths")
    refuse(padme(padded) != padded or stream_length(padded) != length, "length", "no length of a padded plaintext")
    return padded


def piece_lengths(length):
    """Lengths of the pieces of 8 MiB of a stream (section 4, root)."""
    whole, rest = divmod(length, PIECE)
    return [PIECE] * whole + ([rest] if rest else [])


def pieces(stream):
    """Hashes of the pieces of a stream (section 4); above 1 MiB they are the names of its blobs (section 5)."""
    return [blake3(stream[i:i + PIECE]) for i in range(0, len(stream), PIECE)]


def root(hashes):
    """The root over the hashes of the pieces (section 4)."""
    return blake3(b"".join(hashes))


def check_name(data, name):
    """Refuses bytes that do not hash to the blob's name (section 5)."""
    refuse(blake3(data) != name, "name", "hash")


@dataclass(frozen=True)
class Revision:
    """What a stream is sealed under: file id, revision id, file key K and release key R (section 4)."""

    file_id: bytes
    revision_id: bytes
    k: bytes
    r: bytes

    @property
    def content_key(self):
        return hkdf(self.k, self.r, label("content-key") + self.revision_id)

    @property
    def aad(self):
        return label("content") + self.file_id + self.revision_id

    def segment_key(self, salt):
        return hkdf(self.content_key, salt, self.aad)

    def commitment(self, salt):
        return hkdf(self.content_key, salt, label("commit") + self.aad)


def _nonce(prefix, number, last):
    return prefix + number.to_bytes(4, "big") + (b"\1" if last else b"\0")


def segment_ranges(length):
    """Where the segments of a stream lie in it, as (from, to), segment 0 without its header (section 4)."""
    return [(max(i, HEADER), min(i + SEGMENT, length)) for i in range(0, length, SEGMENT)]


def seal(revision, salt, prefix, plaintext):
    """The stream of a plaintext, which is padded here."""
    padded = plaintext.ljust(padded_length(len(plaintext)), b"\0")
    cipher = AESGCM(revision.segment_key(salt))
    out, at = [bytes([VERSION]), salt, prefix], 0
    count = segment_count(len(padded))
    for i in range(count):
        size = FIRST_PLAIN if i == 0 else OTHER_PLAIN
        out.append(cipher.encrypt(_nonce(prefix, i, i == count - 1), padded[at:at + size], None))
        at += size
    return b"".join(out)


def _open_segments(revision, stream):
    """All padded plaintext; `segment` if a tag does not verify."""
    salt, prefix = stream[1:33], stream[33:HEADER]
    cipher = AESGCM(revision.segment_key(salt))
    ranges = segment_ranges(len(stream))
    out = []
    for i, (start, end) in enumerate(ranges):
        try:
            out.append(cipher.decrypt(_nonce(prefix, i, i == len(ranges) - 1), stream[start:end], None))
        except InvalidTag:
            raise FormatError("segment", f"segment {i}") from None
    return b"".join(out)


def open_stream(revision, commitment, wanted_root, true_size, stream):
    """The plaintext of a stream, after all the checks of section 4 in their order."""
    refuse(stream[:1] not in (b"", bytes([VERSION])), "version", "first byte")
    refuse(len(stream) != expected_length(true_size), "length", "not as the true size says")
    salt = stream[1:33]
    refuse(not hmac.compare_digest(revision.commitment(salt), commitment), "commitment", "C")
    padded = _open_segments(revision, stream)
    refuse(root(pieces(stream)) != wanted_root, "root", "root")
    refuse(any(padded[true_size:]), "padding", "not zero")
    return padded[:true_size]


def bytes_needed(offset, length, total):
    """The range (from, to) of a stream of `total` bytes that holds a range of its padded plaintext (section 4)."""
    ranges = segment_ranges(total)
    number = lambda at: 0 if at < FIRST_PLAIN else 1 + (at - FIRST_PLAIN) // OTHER_PLAIN
    return ranges[number(offset)][0], ranges[number(offset + length - 1)][1]
