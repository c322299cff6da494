"""Small sealed records (docs/format.md, section 6)."""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from errors import FormatError, refuse
from ids import hkdf, label

VERSION = b"\x01"
SMALLEST = 1 + 32 + 32 + 16
LARGEST = 1_048_576
NONCE = bytes(12)


def derive(purpose_key, kind, aad, salt):
    """The key and the commitment C of a record of a type (`kind`, without "holdfast/v1/")."""
    both = hkdf(purpose_key, salt, label(kind) + aad, 64)
    return both[:32], both[32:]


def seal(purpose_key, kind, aad, salt, plaintext):
    """A record with the salt given."""
    key, commitment = derive(purpose_key, kind, aad, salt)
    return VERSION + salt + commitment + AESGCM(key).encrypt(NONCE, plaintext, None)


def open_record(purpose_key, kind, aad, record, largest=LARGEST):
    """The plaintext; checks in the order version byte, length, commitment, tag."""
    refuse(record[:1] not in (b"", VERSION), "version", "first byte")
    refuse(not SMALLEST <= len(record) <= largest, "record", "length")
    key, commitment = derive(purpose_key, kind, aad, record[1:33])
    refuse(not hmac.compare_digest(commitment, record[33:65]), "commitment", "C")
    try:
        return AESGCM(key).decrypt(NONCE, record[65:], None)
    except InvalidTag:
        raise FormatError("record", "tag") from None
