"""Passwords: the OpaqueString profile of RFC 8265 (docs/format.md, section 11).

Its characters are those of the FreeformClass (RFC 8264), with the contextual rules of RFC 5892, appendix A.
Characters are judged after spaces are mapped and the text is in NFC.
"""

import unicodedata

from errors import refuse
from unicode_tables import (ALSO_TRANSPARENT, DEFAULT_IGNORABLE, GREEK, HEBREW, JAPANESE, JOINS_BEFORE, JOINS_NEXT,
                            NOT_TRANSPARENT, OLD_HANGUL_JAMO)

LONGEST = 1024  # bytes
MOST_MARKS = 30  # in a row
NON_JOINER, JOINER = 0x200C, 0x200D
VIRAMA = 9  # canonical combining class

# RFC 5892, section 2.6.
EXCEPTIONS_ALLOWED = frozenset((0x00DF, 0x03C2, 0x06FD, 0x06FE, 0x0F0B, 0x3007))
EXCEPTIONS_REFUSED = frozenset((0x0640, 0x07FA, 0x302E, 0x302F, 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x303B))
ARABIC_DIGITS = frozenset(range(0x0660, 0x066A))
EXTENDED_ARABIC_DIGITS = frozenset(range(0x06F0, 0x06FA))

# General categories of LetterDigits; with OtherLetterDigits, Spaces, Symbols and Punctuation (RFC 8264, section 9).
IDENTIFIER_CATEGORIES = frozenset("Ll Lu Lo Nd Lm Mn Mc".split())
FREEFORM_CATEGORIES = frozenset(
    "Ll Lu Lo Nd Lm Mn Mc Lt Nl No Me Zs Sm Sc Sk So Pc Pd Ps Pe Pi Pf Po".split())


def _is_noncharacter(code):
    return 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE


def _is_transparent(char):
    """Joining_Type T."""
    code = ord(char)
    if code in ALSO_TRANSPARENT:
        return True
    return unicodedata.category(char) in ("Mn", "Me", "Cf") and code not in NOT_TRANSPARENT


def _after_virama(text, i):
    return i > 0 and unicodedata.combining(text[i - 1]) == VIRAMA


def _joins(text, i):
    """RFC 5892, A.1: a non-joiner between letters that would join."""
    left = i - 1
    while left >= 0 and _is_transparent(text[left]):
        left -= 1
    right = i + 1
    while right < len(text) and _is_transparent(text[right]):
        right += 1
    return left >= 0 and right < len(text) and ord(text[left]) in JOINS_NEXT and ord(text[right]) in JOINS_BEFORE


def _before_is(text, i, code_set):
    return i > 0 and ord(text[i - 1]) in code_set


def _after_is(text, i, code_set):
    return i + 1 < len(text) and ord(text[i + 1]) in code_set


def _none_of(text, codes):
    return not any(ord(char) in codes for char in text)


# RFC 5892, appendix A: what must hold around these characters.
CONTEXT = {
    NON_JOINER: lambda text, i: _after_virama(text, i) or _joins(text, i),
    JOINER: _after_virama,
    0x00B7: lambda text, i: 0 < i < len(text) - 1 and text[i - 1] == "l" == text[i + 1],
    0x0375: lambda text, i: _after_is(text, i, GREEK),
    0x05F3: lambda text, i: _before_is(text, i, HEBREW),
    0x05F4: lambda text, i: _before_is(text, i, HEBREW),
    0x30FB: lambda text, i: any(ord(char) in JAPANESE for char in text),
    **{code: lambda text, i: _none_of(text, EXTENDED_ARABIC_DIGITS) for code in ARABIC_DIGITS},
    **{code: lambda text, i: _none_of(text, ARABIC_DIGITS) for code in EXTENDED_ARABIC_DIGITS},
}


def is_allowed(text, i, identifier=False):
    """The derived property of RFC 8264, section 8, for FreeformClass or IdentifierClass: whether a character may stand
    where it is."""
    char, code = text[i], ord(text[i])
    if code in EXCEPTIONS_ALLOWED:
        return True
    if code in EXCEPTIONS_REFUSED:
        return False
    if code in CONTEXT:
        return CONTEXT[code](text, i)
    category = unicodedata.category(char)
    if category == "Cn" or _is_noncharacter(code):
        return False
    if 0x21 <= code <= 0x7E:
        return True
    if code in OLD_HANGUL_JAMO or code in DEFAULT_IGNORABLE or category == "Cc":
        return False
    has_compatible = unicodedata.normalize("NFKC", char) != char
    if identifier:
        return not has_compatible and category in IDENTIFIER_CATEGORIES
    return has_compatible or category in FREEFORM_CATEGORIES


def check_marks(text, error):
    """Refuses more than 30 characters of category M in a row, counted in NFD."""
    run = 0
    for char in unicodedata.normalize("NFD", text):
        run = run + 1 if unicodedata.category(char).startswith("M") else 0
        refuse(run > MOST_MARKS, error, "too many marks in a row")


def prepare(password):
    """The password after the OpaqueString profile, or `password`."""
    refuse(password == "", "password", "empty")
    check_marks(password, "password")
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in password)
    text = unicodedata.normalize("NFC", spaced)
    refuse(not all(is_allowed(text, i) for i in range(len(text))), "password", "character that is not allowed")
    refuse(len(text.encode("utf-8")) > LONGEST, "password", "too long")
    return text
