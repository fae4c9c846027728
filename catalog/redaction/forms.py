"""The forms in which a library may print a value: URLs, JSON, Python, HTML, shells, HTTP headers."""

import base64
import html
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

__all__ = ["forms_of", "pattern_of", "probe_of"]

_SHORTEST: Final = 4
_WORD: Final = 8
"""A shorter value is taken out where it stands alone only: other words may contain it."""


def forms_of(value: str) -> Iterator[str]:
    """Yield a value as it is, as URLs and HTML write it, in base64 and in hex."""
    yield value
    quoted = quote(value, safe="")
    written = {
        unquote(value), unquote_plus(value), quote(value), quoted, quote(quoted), quote_plus(value),
        html.escape(value), html.escape(value, quote=False),
    }  # fmt: skip
    yield from (form for form in written if len(form) >= _SHORTEST)
    if len(value) >= 6:
        data = value.encode("utf-8", "surrogateescape")
        yield data.hex()
        for shift in range(3):  # where it begins within what is encoded nobody knows
            first, last = -(-8 * shift // 6), 8 * (shift + len(data)) // 6
            coded = base64.b64encode(bytes(shift) + data)[first:last].decode()
            yield coded
            yield coded.replace("+", "-").replace("/", "_")


def pattern_of(form: str) -> str:
    """Return the expression for a form, however often it is quoted: JSON in JSON, the repr of a repr."""
    pattern = "".join(map(_escaped, form))
    if len(form) < _WORD and form.replace("_", "").isalnum():
        return rf"(?<![A-Za-z0-9_]){pattern}(?![A-Za-z0-9_])"
    return pattern


def _escaped(letter: str) -> str:
    if letter.isascii() and letter.isalnum():
        return letter
    if letter == "\\":
        return r"\\+"
    if letter in "\r\n\t":
        return r"(?:\s|\\+[rnt])"
    if letter.isascii():
        return rf"\\*{re.escape(letter)}"
    code = ord(letter)
    octets = "".join(rf"\\+x{octet:02x}" for octet in letter.encode("utf-8", "surrogateescape"))
    return rf"(?:{re.escape(letter)}|\\+u{code:04x}|\\+x{code:02x}|\\+U{code:08x}|{octets})"


def probe_of(form: str) -> str:
    """Return a part of a form, in lower case, that no way of quoting it changes."""
    return max(re.split(r"[^a-z0-9]+", form.lower(), flags=re.ASCII), key=len)
