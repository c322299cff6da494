"""Names of accounts: UsernameCaseMapped of RFC 8265 without the Bidi Rule, word by word (docs/format.md, section 14)."""

import unicodedata

from errors import refuse
from password import check_marks, is_allowed

MOST_CHARACTERS = 64
LONGEST_TYPED = 1024  # bytes
FINAL_SIGMA, SIGMA = "\u03c2", "\u03c3"


def _ordinary(char):
    """The ordinary form of a full-width or half-width character."""
    kind, *codes = unicodedata.decomposition(char).split() or [""]
    return chr(int(codes[0], 16)) if kind in ("<wide>", "<narrow>") else char


def _prepare_word(word):
    refuse(word == "", "account-name", "empty word")
    refuse(any(unicodedata.category(char) == "Cn" for char in word), "account-name", "not assigned")
    mapped = "".join(_ordinary(char).lower() for char in word)
    text = unicodedata.normalize("NFC", mapped)
    refuse(not all(is_allowed(text, i, identifier=True) for i in range(len(text))), "account-name", "character")
    return text.replace(FINAL_SIGMA, SIGMA)


def prepare(typed):
    """The name as it is hashed, or `account-name`."""
    refuse(len(typed.encode("utf-8")) > LONGEST_TYPED, "account-name", "too long")
    check_marks(typed, "account-name")
    name = " ".join(_prepare_word(word) for word in typed.split(" "))
    refuse(len(name) > MOST_CHARACTERS, "account-name", "too long")
    return name
