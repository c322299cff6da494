"""Signed envelopes (docs/format.md, section 8). What their payloads hold is in payloads.py."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import cbor
from errors import FormatError, refuse
from ids import decode_base64url, encode_base64url, key_id, label
from shapes import data, mapping, text

LARGEST = 65_536
TYPE, KEY_ID, PAYLOAD, SIGNATURE = 1, 2, 3, 4

shape = mapping({TYPE: text(), KEY_ID: data(16), PAYLOAD: data(), SIGNATURE: data(64)})


def signed_bytes(kind, payload):
    """What the signature is over."""
    return label(kind) + payload


def sign(seed, public_key, kind, payload):
    """An envelope; seed is the private key of RFC 8032."""
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(signed_bytes(kind, payload))
    return cbor.encode({TYPE: kind, KEY_ID: key_id(public_key), PAYLOAD: payload, SIGNATURE: signature})


def open_envelope(kind, public_key, envelope):
    """The payload, if the envelope is of this type and signed with this key; `encoding`, `envelope`, `signature`."""
    value = shape(cbor.decode(envelope, LARGEST))
    refuse(value[TYPE] != kind or value[KEY_ID] != key_id(public_key), "envelope", "another type or key")
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(value[SIGNATURE], signed_bytes(kind, value[PAYLOAD]))
    except InvalidSignature:
        raise FormatError("signature") from None
    return value[PAYLOAD]


def to_text(envelope):
    """An envelope in JSON, headers and URLs."""
    return encode_base64url(envelope)


def from_text(value):
    """The bytes of an envelope from its text; a text that is not base64url is `encoding`."""
    return decode_base64url(value, "encoding")
