"""Ids, names and keys, their text, hashes with labels, and HKDF (docs/format.md, sections 1 and 2)."""

import base64
import hashlib
import re

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from errors import refuse

ALPHABET = re.compile(r"[A-Za-z0-9_-]*")
SIZES = {"id": 16, "name": 32}


def encode_base64url(data):
    """base64url without padding (section 1)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text, error):
    """The bytes of a text in base64url: no padding, no white space, trailing bits zero, else FormatError(error)."""
    refuse(not ALPHABET.fullmatch(text) or len(text) % 4 == 1, error, "not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    refuse(encode_base64url(data) != text, error, "trailing bits are not zero")
    return data


def decode_text(kind, text):
    """An id (kind "id", 16 bytes) or a name (kind "name", 32 bytes) from its one text form (section 1)."""
    if kind not in SIZES:
        raise ValueError("no such kind")
    data = decode_base64url(text, "id")
    refuse(len(data) != SIZES[kind], "id", "length")
    return data


def label(name):
    """The label of a derivation or hash: "holdfast/v1/<name>" and a zero byte (section 2)."""
    return b"holdfast/v1/" + name.encode("utf-8") + b"\0"


def labelled_hash(name, data):
    """SHA-256 of label and data."""
    return hashlib.sha256(label(name) + data).digest()


def key_id(public_key):
    """The id of an Ed25519 public key (section 1)."""
    return labelled_hash("key-id", public_key)[:16]


def hkdf(ikm, salt, info, length=32):
    """HKDF with SHA-256 (section 2); an empty salt is none."""
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt or None, info=info).derive(ikm)
