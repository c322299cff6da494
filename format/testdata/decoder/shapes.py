"""Shapes of values: what docs/format.md, sections 7 to 11, writes as {1: uint, 2?: text, …}.

A shape is a function from a decoded value to the same value without unknown keys; it raises `encoding`.
"""

from cbor import LARGEST_INTEGER
from errors import refuse

FIRST_IGNORED_KEY = 64
LONGEST_TEXT = 256  # section 8


def integer(least=-LARGEST_INTEGER, greatest=LARGEST_INTEGER):
    """An integer in a range."""
    def shape(value):
        refuse(type(value) is not int, "encoding", "not an integer")
        refuse(not least <= value <= greatest, "encoding", "integer out of range")
        return value
    return shape


def uint(least=0, greatest=LARGEST_INTEGER):
    """A non-negative integer."""
    return integer(least, greatest)


def data(size=None):
    """A byte string, of exactly `size` bytes if that is given."""
    def shape(value):
        refuse(type(value) is not bytes, "encoding", "not a byte string")
        refuse(size is not None and len(value) != size, "encoding", "byte string of another length")
        return value
    return shape


def text(least=0, greatest=LONGEST_TEXT, rule=None):
    """A text of a length in bytes, for which the rule holds."""
    def shape(value):
        refuse(type(value) is not str, "encoding", "not a text")
        refuse(not least <= len(value.encode("utf-8")) <= greatest, "encoding", "length of a text")
        refuse(rule is not None and not rule(value), "encoding", "rule of a text")
        return value
    return shape


def true(value):
    """A boolean that is `true` or left out."""
    refuse(value is not True, "encoding", "not true")
    return value


def array(item, least=1, greatest=None):
    """An array of values of one shape."""
    def shape(value):
        refuse(type(value) is not list, "encoding", "not an array")
        refuse(len(value) < least, "encoding", "too few entries")
        refuse(greatest is not None and len(value) > greatest, "encoding", "too many entries")
        return [item(entry) for entry in value]
    return shape


def row(*items):
    """An array with a shape for each of its places."""
    def shape(value):
        refuse(type(value) is not list or len(value) != len(items), "encoding", "not an array of that length")
        return [item(entry) for item, entry in zip(items, value)]
    return shape


def mapping(required, optional=None, rule=None):
    """A map with named keys; unknown keys from 64 on are dropped, other unknown keys refused (section 7)."""
    known = {**required, **(optional or {})}

    def shape(value):
        refuse(type(value) is not dict, "encoding", "not a map")
        for key in value:
            refuse(key not in known and key < FIRST_IGNORED_KEY, "encoding", f"unknown key {key}")
        for key in required:
            refuse(key not in value, "encoding", f"key {key} is missing")
        out = {key: known[key](entry) for key, entry in value.items() if key in known}
        if rule is not None:
            rule(out)
        return out
    return shape
