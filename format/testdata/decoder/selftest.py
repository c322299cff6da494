"""Proof that the runner can fail: copies of the cases with one thing changed in memory, none of which may pass.

In good cases every field is changed in turn, so that no input and no stated output can go unchecked. In failing cases
the name of the error is changed. Every case also gets a field that is not known.
"""

import vectors

UNKNOWN_FIELD, ERROR_NAME = "an unknown field", "the error's name"
DATA_FIELDS = {"plaintext", "stream", "record", "aad", "bytes", "payload", "envelope", "data", "blob", "slice"}


def tasks(files):
    """All tasks (file, case, what is changed)."""
    out = []
    for file_name, file in files.items():
        for case_name, case in file.cases.items():
            out.append((file_name, case_name, UNKNOWN_FIELD))
            changed = [ERROR_NAME] if "fail" in case else [field for field in case if field != "name"]
            out += [(file_name, case_name, what) for what in changed]
    return out


def mutate(file, case_name, what):
    """A copy of a case with one thing changed."""
    fields = dict(file.cases[case_name])
    if what == UNKNOWN_FIELD:
        fields["unknownField"] = 0
    elif what == ERROR_NAME:
        fields["fail"] = "padding" if fields["fail"] != "padding" else "root"
    elif what in DATA_FIELDS and not isinstance(fields[what], bool):
        fields[what] = _flip(file.data(fields, what)).hex()
    elif what in SPECIAL:
        fields[what] = SPECIAL[what](fields)
    else:
        fields[what] = _change(fields[what])
    return vectors.Case(file, fields)


def _flip(data):
    """Bytes with one bit of the byte in the middle flipped, or one byte if there is none."""
    middle = len(data) // 2
    if not data:
        return b"\1"
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]


def _change(value):
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("1" if value.endswith("0") else "0")
    if isinstance(value, list):
        return [_change(value[0]), *value[1:]] if value else [0]
    first = next(iter(value))
    return {**value, first: _change(value[first])}


def _other_answer(fields):
    """The first request under a ticket with another answer."""
    first, *others = fields["allows"]
    other = {key: entry for key, entry in first.items() if key != "fail"}
    return [other if "fail" in first else {**other, "fail": "expired"}, *others]


def _other_range(fields):
    first, *others = fields["ranges"]
    return [{**first, "to": first["to"] + 1}, *others]


# Fields whose next value could be as right as the one stated.
SPECIAL = {
    "allows": _other_answer,
    "ranges": _other_range,
    "kind": lambda fields: "name" if fields["kind"] == "id" else "id",
    "max": lambda fields: 1,
    "trueSize": lambda fields: 2 * fields["trueSize"] + 2000,
    "offset": lambda fields: fields["size"],
    "length": lambda fields: fields["size"] + 1,
}
