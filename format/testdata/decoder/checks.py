"""What each vector file holds and how its cases are checked (docs/vectors.md).

A check opens the input of a case. It raises FormatError if the format refuses it, and VectorError if a stated output
differs. Outputs are compared only in good cases, that is, in those without `fail`.
"""

import cbor
import checks_links
import checks_signed
import descriptor
import ids
import records
import slices
import stream
from blake3 import blake3
from shapes import array, data, integer, mapping, row, text, true, uint
from vectors import require, same, same_value


def check_ids(case):
    kind = case.text("kind")
    require(kind in ids.SIZES, "kind")
    value = ids.decode_text(kind, case.text("text"))
    if not case.fail:
        case.same("bytes", value)
        case.same("text", ids.encode_base64url(value))


def check_pad(case):
    if case.fail:
        stream.check_stream_length(case.number("streamLength"))
        return
    padded = stream.padded_length(case.number("trueSize"))
    length = stream.stream_length(padded)
    case.same("padded", padded)
    case.same("segments", stream.segment_count(padded))
    case.same("streamLength", length)
    case.same("pieces", len(stream.piece_lengths(length)))
    same(stream.check_stream_length(length), padded, "padded length from the stream's")
    same(stream.expected_length(case.number("trueSize")), length, "expected length")


def _revision(case):
    return stream.Revision(case.fixed("fileId", 16), case.fixed("revisionId", 16), case.fixed("k", 32),
                           case.fixed("r", 32))


def check_content(case):
    revision = _revision(case)
    sealed = None
    if not case.fail:
        salt, prefix = case.fixed("salt", 32), case.fixed("prefix", 7)
        sealed = stream.seal(revision, salt, prefix, case.data("plaintext"))
    got = case.data("stream") if case.fail or "stream" in case else sealed
    plaintext = stream.open_stream(revision, case.fixed("commitment", 32), case.fixed("root", 32),
                                   case.number("trueSize"), got)
    if case.fail:
        return
    same(sealed, got, "stream")
    same(plaintext, case.data("plaintext"), "plaintext")
    same(len(plaintext), case.number("trueSize"), "true size")
    case.same("contentKey", revision.content_key)
    case.same("aad", revision.aad)
    case.same("segmentKey", revision.segment_key(salt))
    case.same("streamLength", len(got))
    case.same("segments", len(stream.segment_ranges(len(got))))
    case.same("pieces", [piece.hex() for piece in stream.pieces(got)])
    for entry in case["ranges"] if "ranges" in case else ():
        require(set(entry) == {"offset", "length", "from", "to"}, "fields of a range")
        found = stream.bytes_needed(entry["offset"], entry["length"], len(got))
        same(found, (entry["from"], entry["to"]), "range")


def check_records(case):
    purpose_key, kind, aad = case.fixed("purposeKey", 32), case.text("type"), case.data("aad")
    plaintext = records.open_record(purpose_key, kind, aad, case.data("record"), case.number("max"))
    if case.fail:
        return
    salt = case.fixed("salt", 32)
    key, commitment = records.derive(purpose_key, kind, aad, salt)
    case.same("key", key)
    case.same("commitment", commitment)
    same(plaintext, case.data("plaintext"), "plaintext")
    same(records.seal(purpose_key, kind, aad, salt, plaintext), case.data("record"), "record")


def sample(value):
    """The shape of cbor.json."""
    return _SAMPLE(value)


_SAMPLE = mapping(
    {1: uint(), 2: data(), 4: data(16)},
    {3: text(1, 4096), 5: mapping({1: integer()}, {2: true}), 6: array(row(data(), integer())), 7: sample})


def check_encoded(case, value, encoded):
    """Compares a decoded value with `value` and `again`."""
    same_value(value, case["value"])
    same(cbor.encode(value) == encoded, case.flag("again"), "encoding again")


def check_cbor(case):
    encoded = case.data("bytes")
    value = sample(cbor.decode(encoded, case.number("max")))
    if not case.fail:
        check_encoded(case, value, encoded)


def check_blobs(case):
    if "data" in case:
        stream.check_name(case.data("data"), case.fixed("name32", 32))
    elif "names" in case:
        names = [bytes.fromhex(name) for name in case["names"]]
        require(all(len(name) == 32 for name in names), "length of a name")
        case.same("root", stream.root(names))
    else:
        case.same("cuts", stream.piece_lengths(case.number("streamLength")))


def check_slices(case):
    size, name = case.number("size"), case.fixed("name32", 32)
    offset, length, proof = case.number("offset"), case.number("length"), case.data("slice")
    found = slices.verify(proof, size, name, offset, length)
    if case.fail:
        return
    blob = case.data("blob")
    same(len(blob), size, "size")
    same(blake3(blob), name, "name")
    same(slices.extract(blob, offset, length), proof, "slice")
    same(found, blob[offset:offset + length], "bytes of the range")


def check_descriptor(case):
    encoded = case.data("bytes")
    value = descriptor.decode_descriptor(encoded)
    if not case.fail:
        check_encoded(case, value, encoded)


def check_bundle(case):
    encoded = case.data("bytes")
    value = descriptor.decode_bundle(encoded)
    if not case.fail:
        check_encoded(case, value, encoded)
        same(descriptor.totals(value), (case.number("files"), case.number("total")), "totals")


class Kind:
    """The check of a file, and the fields of its cases: rows of alternatives, optional fields with a question mark."""

    def __init__(self, check, good, failing):
        self.check = check
        self.good = [_fields(alternative) for alternative in good.split("|")]
        self.failing = [_fields(alternative) for alternative in failing.split("|")]

    def check_fields(self, case):
        """Refuses a case with a field that is not known, or without one that it needs."""
        present = set(case.fields) - {"name", "fail"}
        allowed = self.failing if "fail" in case.fields else self.good
        fits = any(needed <= present <= needed | optional for needed, optional in allowed)
        require(fits, f"fields of the case: {', '.join(sorted(present))}")

    def run(self, case):
        """Checks a case; every field must have been read."""
        self.check_fields(case)
        self.check(case)
        left = sorted(set(case.fields) - case.read)
        require(case.fail or not left, f"fields not checked: {', '.join(left)}")


def _fields(row_text):
    words = row_text.split()
    return {w for w in words if not w.endswith("?")}, {w[:-1] for w in words if w.endswith("?")}


_CONTENT = "fileId revisionId k r commitment root trueSize "
_SIGNED = Kind(checks_signed.check_payload, "type publicKey seed envelope digest again value? text? allows?",
               "type publicKey envelope")
_LINK = ("handle fragment flags secret base url finalKey auth recordKey authHash manageSecret manageHash "
         "password? passwordKey?")

_LINK_RECORD = ("handle secret password? record recordKey salt plaintext? value again", "handle secret password? record")

KINDS = {
    "ids.json": Kind(check_ids, "kind text bytes", "kind text"),
    "pad.json": Kind(check_pad, "trueSize padded segments streamLength pieces", "streamLength"),
    "content.json": Kind(check_content, _CONTENT + "salt prefix plaintext contentKey aad segmentKey streamLength "
                         "segments stream? pieces ranges?", _CONTENT + "stream"),
    "records.json": Kind(check_records, "purposeKey type aad max salt key commitment plaintext record",
                         "purposeKey type aad max record"),
    "cbor.json": Kind(check_cbor, "bytes max value again", "bytes max"),
    "envelope.json": Kind(checks_signed.check_envelope, "type publicKey seed keyId again payload envelope",
                          "type publicKey envelope"),
    "blobs.json": Kind(check_blobs, "data name32 | names root | streamLength cuts", "data name32"),
    "slices.json": Kind(check_slices, "blob size name32 offset length slice", "size name32 offset length slice"),
    "descriptor.json": Kind(check_descriptor, "bytes value again", "bytes"),
    "bundle.json": Kind(check_bundle, "bytes value again files total", "bytes"),
    "password.json": Kind(checks_links.check_password, "password prepared bytes | password prepared bytes handle key",
                          "password"),
    "accountname.json": Kind(checks_links.check_name, "typed prepared", "typed"),
    "link.json": Kind(checks_links.check_link, _LINK, "handle fragment"),
    "linkrecord.json": Kind(checks_links.check_record, *_LINK_RECORD),
    "linkfolder.json": Kind(checks_links.check_record, *_LINK_RECORD),
    "ticket-upload.json": _SIGNED, "ticket-read.json": _SIGNED, "receipt.json": _SIGNED, "order.json": _SIGNED,
    "orderreceipt.json": _SIGNED, "declaration.json": _SIGNED, "heartbeat.json": _SIGNED,
    "declaration-jurisdictions.json": Kind(checks_signed.check_jurisdictions, "codes", "codes"),
}
