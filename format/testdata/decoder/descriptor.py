"""Descriptors and bundles (docs/format.md, sections 9 and 10)."""

import cbor
from errors import refuse
from shapes import array, data, integer, mapping, text, true, uint

FILE, FOLDER = 1, 2
LARGEST_DESCRIPTOR = 262_144  # docs/vectors.md, descriptor.json
LARGEST_BUNDLE = 64 * 1_048_576
MOST_ENTRIES = 262_144
LONGEST_COMPONENT = 255
MOST_COMPONENTS = 128  # of a path in a bundle
MOST_FOLDERS = 262_144  # above the entries of a bundle


def is_component(name):
    """Whether a text is one component of a path (section 9)."""
    return 1 <= len(name.encode("utf-8")) <= LONGEST_COMPONENT and name not in (".", "..") \
        and "/" not in name and "\0" not in name


def is_path(path):
    """Whether a text is a path: components joined by slashes (section 9)."""
    return all(is_component(name) for name in path.split("/"))


def is_media_type(value):
    """Whether a text is printable ASCII (section 9)."""
    return all(" " <= c <= "~" for c in value)


def _time_rule(time, nanoseconds):
    """Nanoseconds stand only beside a time (section 9)."""
    def rule(value):
        refuse(nanoseconds in value and time not in value, "encoding", "nanoseconds without a time")
    return rule


def _descriptor_rule(value):
    _time_rule(5, 6)(value)
    if value[2] == FILE:
        refuse(3 not in value, "encoding", "file without content")
    else:
        refuse(any(key in value for key in (3, 4, 7, 8, 9)), "encoding", "folder with keys of a file")


nanosecond = uint(1, 999_999_999)
content = mapping({1: data(16), 2: data(16), 3: data(32), 4: data(32), 5: data(32), 6: uint()})
version = mapping({1: content}, {2: integer(), 3: nanosecond}, _time_rule(2, 3))
descriptor = mapping(
    {1: text(1, 4096, is_path), 2: uint(FILE, FOLDER)},
    {3: content, 4: text(1, 128, is_media_type), 5: integer(), 6: nanosecond, 7: true,
     8: array(version, 1, 1024), 9: content},
    _descriptor_rule)


def _order_rule(entries):
    """Entries are sorted by the bytes of their paths, none twice, none below a file, and name few folders (section 10)."""
    paths = [entry[1].encode("utf-8") for entry in entries]
    refuse(any(a >= b for a, b in zip(paths, paths[1:])), "encoding", "not sorted, or a path twice")
    files = {path for path, entry in zip(paths, entries) if entry[2] == FILE}
    folders = set()
    for path in paths:
        parts = path.split(b"/")
        refuse(len(parts) > MOST_COMPONENTS, "encoding", "path too deep")
        parents = {b"/".join(parts[:i]) for i in range(1, len(parts))}
        refuse(not files.isdisjoint(parents), "encoding", "below a file")
        folders |= parents
        refuse(len(folders) > MOST_FOLDERS, "encoding", "too many folders")


bundle = mapping({1: array(descriptor, 1, MOST_ENTRIES)}, {2: text(1, 255, is_component)},
                 lambda value: _order_rule(value[1]))


def totals(value):
    """Number of files in a bundle and the sum of their true sizes, as a link record states them (section 11)."""
    sizes = [entry[3][6] for entry in value[1] if entry[2] == FILE]
    return len(sizes), sum(sizes)


def decode_descriptor(encoded):
    """The descriptor that bytes hold, without unknown keys."""
    return descriptor(cbor.decode(encoded, LARGEST_DESCRIPTOR))


def decode_bundle(encoded):
    """The bundle that bytes hold, without unknown keys."""
    return bundle(cbor.decode(encoded, LARGEST_BUNDLE))
