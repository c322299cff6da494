"""Checks of envelopes and payloads: envelope.json and the files of section 8 (docs/vectors.md)."""

import hashlib

import cbor
import payloads
import signed
from errors import FormatError
from ids import key_id
from vectors import VectorError, parse_hex, parse_number, require, same, same_value


def check_envelope(case):
    kind, public_key, envelope = case.text("type"), case.fixed("publicKey", 32), case.data("envelope")
    payload = signed.open_envelope(kind, public_key, envelope)
    if case.fail:
        return
    same(payload, case.data("payload"), "payload")
    case.same("keyId", key_id(public_key))
    _check_again(case, kind, public_key, payload, envelope)


def _check_again(case, kind, public_key, payload, envelope):
    again = signed.sign(case.fixed("seed", 32), public_key, kind, payload)
    same(again == envelope, case.flag("again"), "signing again")
    if not case.flag("again"):
        value = signed.shape(cbor.decode(envelope, signed.LARGEST))
        same(cbor.encode(value), again, "envelope without unknown keys")


def check_payload(case):
    kind, public_key, envelope = case.text("type"), case.fixed("publicKey", 32), case.data("envelope")
    require(kind in payloads.SHAPES, "type")
    payload, value = payloads.open_signed(kind, public_key, envelope)
    if case.fail:
        return
    case.same("digest", hashlib.sha256(payload).digest())
    if "value" in case:
        same_value(value, case["value"])
    encoded = cbor.encode(value)
    again = signed.sign(case.fixed("seed", 32), public_key, kind, encoded)
    same(again == envelope, case.flag("again"), "signing again")
    _check_seed(case.fixed("seed", 32), public_key, kind, payload, envelope)
    if "text" in case:
        case.same("text", signed.to_text(envelope))
        same(signed.from_text(case["text"]), envelope, "envelope from text")
    for request in case["allows"] if "allows" in case else ():
        _check_request(kind, value, request)


def _check_seed(seed, public_key, kind, payload, envelope):
    """The seed belongs to the public key: signing the payload as transmitted gives the same signature."""
    wanted = signed.shape(cbor.decode(envelope, signed.LARGEST))[signed.SIGNATURE]
    again = cbor.decode(signed.sign(seed, public_key, kind, payload), signed.LARGEST + 64)
    same(again[signed.SIGNATURE], wanted, "signature")


REQUESTS = {"upload-ticket": {"now", "node"}, "read-ticket": {"now", "node", "upload", "blob", "offset", "length"}}


def _ask(kind, ticket, request):
    now, node = parse_number(request["now"]), parse_hex(request["node"])
    if kind == "upload-ticket":
        payloads.allow_upload(ticket, now, node)
    else:
        payloads.allow_read(ticket, now, node, parse_hex(request["upload"]), parse_hex(request["blob"]),
                            parse_number(request["offset"]), parse_number(request["length"]))


def _check_request(kind, ticket, request):
    """A request under a ticket: allowed, or refused with the error named."""
    require(kind in REQUESTS and set(request) - {"fail"} == REQUESTS[kind], "fields of a request")
    found = None
    try:
        _ask(kind, ticket, request)
    except FormatError as error:
        found = error.name
    require(found == request.get("fail"), f"request: {found} instead of {request.get('fail')}")


def check_jurisdictions(case):
    """Good: all codes are taken as keys 3 and 8 of a declaration. Failing: none is, and the last refusal is raised."""
    codes = case["codes"]
    require(isinstance(codes, list) and codes, "codes")
    refusal = None
    for code in codes:
        for key in (3, 8):
            value = {1: bytes(32), 2: "x", 3: "NZ", 4: "https://node.example", 5: 0, 6: 0, key: code}
            try:
                payloads.decode_payload("declaration", cbor.encode(value))
            except FormatError as error:
                refusal = error
                if case.fail and error.name == case.fail:
                    continue
                raise
            if case.fail:
                raise VectorError(f"{code!r} is taken as key {key}")
    if refusal is not None:
        raise refusal
    require(len(codes) == len(set(codes)) == len(payloads.CODES), "the codes are not all, or one is there twice")
