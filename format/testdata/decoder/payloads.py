"""Payloads of signed envelopes (docs/format.md, section 8, and the rules for them in docs/vectors.md)."""

import ipaddress
import re

import cbor
from errors import refuse
from ids import key_id
from iso3166 import CODES
from shapes import array, data, mapping, row, text, true, uint
from signed import LARGEST, open_envelope

LARGEST_BLOB = 8_388_608
GRACE = 60  # seconds after a ticket's expiry
URL = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[(?P<address>[^\]]*)\])(?::(?P<port>[0-9]{1,5}))?"
                 r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?")


def is_base_url(value):
    """Whether a text is a base URL: http or https, no user, query or fragment."""
    match = URL.fullmatch(value)
    if match is None:
        return False
    if match["port"] is not None and not 1 <= int(match["port"]) <= 65_535:
        return False
    return match["address"] is None or _is_ipv6(match["address"])


def _is_ipv6(value):
    if "%" in value:
        return False
    try:
        ipaddress.IPv6Address(value)
    except ValueError:
        return False
    return True


def _different(values, what):
    refuse(len(set(values)) != len(values), "encoding", f"{what} twice")


def _range_rule(shape):
    """A row [blob name, offset, length] that lies within the largest blob."""
    def check(value):
        out = shape(value)
        refuse(out[1] + out[2] > LARGEST_BLOB, "encoding", "range beyond the largest blob")
        return out
    return check


base_url = text(1, 256, is_base_url)
jurisdiction = text(2, 2, CODES.__contains__)
blob_range = _range_rule(row(data(32), uint(), uint(1)))
node = mapping({1: data(16), 2: base_url})


def _chain(value):
    """The nodes of one chain, all different."""
    out = array(node, 2, 8)(value)
    _different([entry[1] for entry in out], "a node")
    return out


def _blobs(value):
    """The blobs of a receipt, all different."""
    out = array(row(data(32), uint(1, LARGEST_BLOB)), 1, 1024)(value)
    _different([name for name, _ in out], "a blob")
    return out


def _names(value):
    out = array(data(32), 1, 1024)(value)
    _different(out, "a blob")
    return out


def _order_rule(value):
    """Which keys an order's action takes, and the extents of a repack."""
    action = value[4]
    refuse((6 in value) != (action in (2, 3)), "encoding", "blob names")
    refuse((7 in value) != (action == 3), "encoding", "extents")
    if action != 3:
        return
    refuse(len(value[6]) != 1, "encoding", "repack of more than one blob")
    end = 0
    for name, offset, length in value[7]:
        refuse(name != value[6][0], "encoding", "extent of another blob")
        refuse(offset < end, "encoding", "extents overlap or are not sorted")
        end = offset + length


SHAPES = {
    "upload-ticket": mapping({1: data(16), 2: array(_chain, 1, 8), 3: uint(), 4: uint()}),
    "read-ticket": mapping({
        1: array(data(16), 1, 16),
        2: array(mapping({1: data(16), 2: array(blob_range, 1, 64)}), 1, 64),
        3: uint()}),
    "receipt": mapping({1: data(16), 2: data(16), 3: uint(), 4: _blobs}),
    "order": mapping({1: data(16), 2: uint(1), 3: uint(1), 4: uint(1, 3), 5: data(16), 8: uint()},
                     {6: _names, 7: array(blob_range, 1, 1024)}, _order_rule),
    "order-receipt": mapping({1: data(16), 2: uint(), 3: uint(), 4: uint(1, 2), 5: uint(), 6: uint(), 7: uint(),
                              8: data(32)}),
    "declaration": mapping({1: data(32), 2: text(1, 128), 3: jurisdiction, 4: base_url, 5: uint(), 6: uint()},
                           {7: text(1), 8: jurisdiction, 9: text(1)}),
    "heartbeat": mapping({1: data(16), 2: uint(), 3: uint(), 4: uint(), 5: uint(0, 1), 6: uint(), 7: uint(),
                          8: text(), 9: data(16)},
                         {65: true, 66: data(32)}),
}

# The key of the payload that names the node whose key signed it.
SIGNER = {"receipt": 2, "order-receipt": 1, "heartbeat": 1}


def decode_payload(kind, payload):
    """A payload as a value without unknown keys."""
    return SHAPES[kind](cbor.decode(payload, LARGEST))


def open_signed(kind, public_key, envelope):
    """The payload's bytes and value: opens the envelope, reads the payload, and checks whom it names."""
    payload = open_envelope(kind, public_key, envelope)
    value = decode_payload(kind, payload)
    if kind in SIGNER:
        refuse(value[SIGNER[kind]] != key_id(public_key), "envelope", "names another node than signed it")
    if kind == "declaration":
        refuse(value[1] != public_key, "envelope", "names another key than signed it")
    return payload, value


def allow_upload(ticket, now, node_id):
    """Refuses an upload that a ticket does not allow: `expired`, `other-node`."""
    refuse(now > ticket[4] + GRACE, "expired")
    refuse(not any(entry[1] == node_id for chain in ticket[2] for entry in chain), "other-node")


def allow_read(ticket, now, node_id, upload, blob, offset, length):
    """Refuses a read that a ticket does not allow: `expired`, `other-node`, `not-listed`."""
    refuse(now > ticket[3] + GRACE, "expired")
    refuse(node_id not in ticket[1], "other-node")
    ranges = [entry for listed in ticket[2] if listed[1] == upload for entry in listed[2]]
    inside = any(name == blob and start <= offset and offset + length <= start + size for name, start, size in ranges)
    refuse(length < 1 or not inside, "not-listed")
