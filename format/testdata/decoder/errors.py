"""The one error type of the decoder."""


class FormatError(Exception):
    """An object that the format refuses.

    `name` is one of the back-quoted names of docs/format.md and docs/vectors.md; `detail` says more to people.
    """

    def __init__(self, name, detail=""):
        super().__init__(f"{name}: {detail}" if detail else name)
        self.name = name
        self.detail = detail


def refuse(condition, name, detail=""):
    """Raises FormatError(name) if condition holds."""
    if condition:
        raise FormatError(name, detail)
