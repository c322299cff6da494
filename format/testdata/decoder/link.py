"""Links, their keys, and link records (docs/format.md, section 11)."""

import functools

import argon2.low_level

import cbor
import records
from descriptor import FILE, content, descriptor, is_component
from errors import refuse
from ids import decode_base64url, encode_base64url, hkdf, label, labelled_hash
from password import prepare
from shapes import data, mapping, text, uint

VERSION = 1
PASSWORD_FLAG = 1
FRAGMENT_LENGTH = 51
LARGEST_RECORD = 65_536
ONE_FILE, BUNDLE, OF_FOLDER = 1, 2, 3
MOST_EPOCHS = 4_096
_FOLDER_KEYS = set(range(6, 14))


def _checksum(handle, flags, secret):
    return labelled_hash("link-checksum", handle + bytes([VERSION, flags]) + secret)[:4]


def encode_fragment(handle, flags, secret):
    """What stands after # in a link."""
    return encode_base64url(bytes([VERSION, flags]) + secret + _checksum(handle, flags, secret))


def decode_fragment(handle, fragment):
    """Flags and secret of a link: `cut`, `unknown`, `checksum`, in that order."""
    refuse(len(fragment) != FRAGMENT_LENGTH, "cut", "length")
    data = decode_base64url(fragment, "cut")
    version, flags, secret = data[0], data[1], data[2:34]
    refuse(version != VERSION or flags & ~PASSWORD_FLAG, "unknown", "version or flag")
    refuse(data[34:] != _checksum(handle, flags, secret), "checksum")
    return flags, secret


def url(base, handle, fragment):
    """The whole link; base is the server's URL, https://HOST."""
    return f"{base}/s/{encode_base64url(handle)}#{fragment}"


@functools.lru_cache(maxsize=64)
def password_key(prepared, handle):
    """Argon2id of the prepared password's bytes."""
    salt = labelled_hash("link-pw", handle)[:16]
    return argon2.low_level.hash_secret_raw(
        prepared, salt, time_cost=3, memory_cost=65_536, parallelism=1, hash_len=32, type=argon2.low_level.Type.ID)


def final_key(handle, secret, password=None):
    """The final key of a link; the password, if there is one, is taken as typed."""
    ikm = secret if password is None else secret + password_key(prepare(password).encode("utf-8"), handle)
    return hkdf(ikm, b"", label("link-final") + handle)


def auth(key, handle):
    """What the reader shows to the server, derived from the final key."""
    return hkdf(key, b"", label("link-auth") + handle)


def record_key(key, handle):
    """The purpose key of the link record, derived from the final key."""
    return hkdf(key, b"", label("link-record") + handle)


def auth_hash(value):
    """What the server stores of auth."""
    return labelled_hash("link-auth-hash", value)


def manage_hash(handle, secret):
    """What the server stores of the management secret."""
    return labelled_hash("manage-hash", handle + secret)


def _record_rule(value):
    """Which keys each kind of link record has, and the path of a single file."""
    if value[1] == ONE_FILE:
        refuse(set(value) != {1, 2}, "encoding", "keys of a link to one file")
        refuse(value[2][2] != FILE or not is_component(value[2][1]), "encoding", "not one file with one name")
    elif value[1] == OF_FOLDER:
        refuse(set(value) != {1} | _FOLDER_KEYS, "encoding", "keys of a link to a folder")
    else:
        refuse(set(value) != {1, 3, 4, 5}, "encoding", "keys of a link to a bundle")


record_shape = mapping({1: uint(ONE_FILE, OF_FOLDER)}, {
    2: descriptor, 3: content, 4: uint(), 5: uint(),
    6: data(16), 7: uint(1, MOST_EPOCHS), 8: data(32), 9: data(32), 10: data(32), 11: text(1, 255, is_component),
    12: uint(1), 13: data(32)}, _record_rule)


def open_link_record(purpose_key, handle, record):
    """Plaintext and value of a link record."""
    plaintext = records.open_record(purpose_key, "link", handle, record, LARGEST_RECORD)
    return plaintext, record_shape(cbor.decode(plaintext, LARGEST_RECORD))
