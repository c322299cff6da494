"""Reading of vector files (docs/vectors.md, conventions). Whatever is not as written there raises VectorError."""

import functools
import json
import pathlib
import re

DIRECTORY = pathlib.Path(__file__).resolve().parent.parent / "vectors"
HEX = re.compile(r"(?:[0-9a-f]{2})*")
CYCLE = 65_536  # the pattern repeats: both terms do modulo 256


class VectorError(Exception):
    """A vector that is not written as docs/vectors.md says, or a stated output that differs."""


def require(condition, what):
    """Raises VectorError unless condition holds."""
    if not condition:
        raise VectorError(what)


def same(found, stated, what):
    """Compares an output with the one stated."""
    require(type(found) is type(stated) and found == stated, f"{what} differs")


def _object(pairs):
    out = dict(pairs)
    require(len(out) == len(pairs), "a key twice in an object")
    return out


def parse_hex(value):
    """Bytes from lower-case hexadecimal."""
    require(isinstance(value, str) and HEX.fullmatch(value), "not lower-case hexadecimal")
    return bytes.fromhex(value)


def parse_number(value):
    """A JSON integer from 0 to 2^53-1."""
    require(type(value) is int and 0 <= value < 2**53, "not a number")
    return value


@functools.lru_cache(maxsize=4)
def pattern(n):
    """The bytes of {"pattern": n}."""
    one = bytes((i * 7 + (i >> 8) * 13 + 5) % 256 for i in range(CYCLE))
    return (one * (n // CYCLE + 1))[:n]


class VectorFile:
    """One JSON file and its cases by name."""

    def __init__(self, path, text=None):
        self.name = path.name
        self.files_used = set()
        document = json.loads(text if text is not None else path.read_text("utf-8"), object_pairs_hook=_object)
        require(set(document) == {"about", "cases"}, "keys of the file")
        require(isinstance(document["about"], str) and document["cases"], "no text or no cases")
        self.cases = {}
        for case in document["cases"]:
            require(isinstance(case.get("name"), str) and case["name"] not in self.cases, "case without a unique name")
            self.cases[case["name"]] = case

    def data(self, case, field):
        """The bytes of a field that holds data."""
        value = case[field]
        if isinstance(value, str):
            return parse_hex(value)
        require(isinstance(value, dict), "not data")
        if set(value) == {"pattern"}:
            return pattern(parse_number(value["pattern"]))
        if set(value) == {"file"}:
            return self._file(value["file"])
        require("of" in value and set(value) <= {"of", "edits"}, "unknown form of data")
        source = self._source(value["of"], field)
        require(not (isinstance(source[field], dict) and "of" in source[field]), "an edit of an edit")
        out = self.data(source, field)
        for edit in value.get("edits", []):
            out = self._edit(out, edit, field)
        return out

    def _source(self, name, field):
        require(name in self.cases and field in self.cases[name], "no such case, or not with that field")
        return self.cases[name]

    def _file(self, name):
        require(re.fullmatch(r"[A-Za-z0-9._-]+", name), "name of a file")
        self.files_used.add(name)
        return (DIRECTORY / name).read_bytes()

    def _edit(self, old, edit, field):
        keys = set(edit)
        if keys == {"append"}:
            return old + parse_hex(edit["append"])
        if keys == {"take"}:
            return b"".join(_range(old, part) for part in edit["take"])
        at = parse_number(edit.get("at", 0))
        if keys - {"at"} == {"xor"}:
            change = parse_hex(edit["xor"])
            require(at + len(change) <= len(old), "edit beyond the end")
            new = bytes(a ^ b for a, b in zip(old[at:at + len(change)], change))
        else:
            require(keys - {"at"} == {"from", "range"}, "unknown edit")
            new = _range(self.data(self._source(edit["from"], field), field), edit["range"])
            require(at + len(new) <= len(old), "edit beyond the end")
        return old[:at] + new + old[at + len(new):]


def _range(data, ends):
    require(isinstance(ends, list) and len(ends) == 2, "not a range")
    start, end = map(parse_number, ends)
    require(start <= end <= len(data), "range beyond the end")
    return data[start:end]


class Case:
    """One case; remembers which of its fields were read."""

    def __init__(self, file, fields):
        self.file, self.fields = file, fields
        self.read = {"name", "fail"}

    def __contains__(self, field):
        return field in self.fields

    def __getitem__(self, field):
        self.read.add(field)
        require(field in self.fields, f"field {field} is missing")
        return self.fields[field]

    @property
    def fail(self):
        return self.fields.get("fail")

    def data(self, field):
        """A field that holds data."""
        self[field]
        return self.file.data(self.fields, field)

    def fixed(self, field, size):
        """A field that holds a byte string of fixed length."""
        out = parse_hex(self[field])
        require(len(out) == size, f"length of {field}")
        return out

    def number(self, field):
        return parse_number(self[field])

    def text(self, field):
        require(isinstance(self[field], str), f"{field} is not a text")
        return self[field]

    def flag(self, field):
        require(type(self[field]) is bool, f"{field} is not a boolean")
        return self[field]

    def same(self, field, found):
        """Compares a stated output with the value found; bytes are stated as hexadecimal."""
        same(found.hex() if isinstance(found, bytes) else found, self[field], field)


def to_json(value):
    """A decoded value as `value` fields state it: keys in decimal, byte strings in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [to_json(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): to_json(entry) for key, entry in value.items()}
    return value


def same_value(value, stated):
    """Compares a decoded value with a `value` field; 1 is not true."""
    text = lambda tree: json.dumps(tree, sort_keys=True)
    require(text(to_json(value)) == text(stated), "value differs")
