"""An independent decoder of the Holdfast format, version 1, written from docs/format.md and docs/vectors.md alone.

It shows that the specification suffices, and is not made for speed. It needs Python 3.11, python3-cryptography
(AES-GCM, HKDF, Ed25519) and python3-argon2; everything else is here. This module gathers what the others offer:

    ids         sections 1, 2    text of ids and names, key ids, HKDF
    stream      sections 3 to 5  padding, content streams, pieces and names
    slices      section 5        range proofs
    records     section 6        small sealed records
    cbor        section 7        deterministic CBOR
    shapes      section 7        maps with named keys
    signed      section 8        envelopes
    payloads    section 8        tickets, receipts, orders, declarations, heartbeats
    descriptor  sections 9, 10   descriptors and bundles
    password    section 11       passwords
    link        section 11       links and link records

Whatever is refused raises FormatError, whose `name` is one of the names in docs/vectors.md.
"""

import cbor
import descriptor
import ids
import link
import password
import payloads
import records
import shapes
import signed
import slices
import stream
from blake3 import blake3
from errors import FormatError

__all__ = ["FormatError", "blake3", "cbor", "descriptor", "ids", "link", "password", "payloads", "records", "shapes",
           "signed", "slices", "stream"]
