"""Texts without secrets."""

import re
from collections.abc import Mapping
from typing import Any, Final

from catalog.redaction.known import hide_known
from catalog.redaction.names import SECRET_NAME, is_harmless_parameter, is_secret_name

__all__ = ["HIDDEN", "holds_secret", "redact", "redact_values"]

HIDDEN: Final = "***"
"""What stands in the place of a secret."""

_REFERENCES: Final = re.compile(r"(?:\$\{\w+\})*")
_NOTHING_SECRET: Final = re.compile(r"(?:\$\{\w+\}|\$\w+|\*{3}|[:,;]|None|null|true|false|)*", re.IGNORECASE)
"""References, and what has been hidden already."""

_USERINFO: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)([^\s\"'<>`]*)@")
_PARAMETER: Final = re.compile(r"(?<=[?&#])(?:amp;)?([\w.~%\[\]-]+)=([^\s\"'<>&#)]*)")
_HEADER: Final = re.compile(
    r"((?:proxy-)?authorization|(?:set-)?cookie)([\"']?\s*[:=]\s*b?)(\"[^\"]*\"|'[^']*'|[^\r\n\"',]+)",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(
    rf"(?<![\w.$-])({SECRET_NAME}|--{SECRET_NAME})([\"']?\s*(?:[:=]|=>)\s*b?)"
    r"(\$\{\w+\}|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[^\s,;&)}\]\"'<>]+)",
    re.IGNORECASE,
)
_FLAG: Final = re.compile(rf"((?<!\S)--?{SECRET_NAME}\s+)([^\s-]\S*)", re.IGNORECASE)
_WORD: Final = re.compile(r"[A-Za-z]+|[a-z0-9+]+://")
_PROSE: Final = re.compile(r" [a-z]+\b")
_PORT: Final = re.compile(r"(\bport\b[^'\"\n]{0,40}['\"])([^'\"\n]*\D[^'\"\n]*)(?=['\"])", re.IGNORECASE)
"""What a parser takes for a port that is none: the rest of a password behind a colon."""

_QUOTED_KEY: Final = re.compile(r"([\"']key[\"']\s*:\s*)(\"[^\"]*\"|'[^']*')")
_SHAPES: Final = re.compile(
    r"(?P<bearer>\b(?:Bearer|Token)\s+)[\w.~+/=-]{12,}"
    r"|(?P<basic>\bBasic\s+)(?=[A-Za-z0-9+/]*[0-9A-Z=])[A-Za-z0-9+/]{8,}={0,2}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|\bgh[pousr]_\w{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----END)[\s\S])*(?:-----END [A-Z ]*-----)?"
)


def redact(text: str) -> str:
    """Return a text without secrets; references such as ``${NAME}`` stay.

    Parameters
    ----------
    text : str
        Of any origin: a message, a log line, a traceback.
    """
    text = hide_known(text, HIDDEN)
    text = _USERINFO.sub(_without_account, text)
    text = _PARAMETER.sub(_without_value, text)
    text = _SHAPES.sub(_without_shape, text)
    text = _HEADER.sub(_without_quoted, text)
    text = _NAMED.sub(_without_named, text)
    text = _FLAG.sub(lambda match: match[1] + _hidden(match[2]), text)
    text = _PORT.sub(lambda match: match[1] + _hidden(match[2]), text)
    return _QUOTED_KEY.sub(lambda match: match[1] + _hidden(match[2]), text)


def redact_values(value: Any) -> Any:
    """Return plain values (mappings, lists, texts) with every text redacted, keys included."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact_values(name): redact_values(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(inner) for inner in value]
    return value


def holds_secret(url: str) -> bool:
    """Tell that a URL holds more than references where a password or a token belongs."""
    rest = url.partition("://")[2]
    userinfo, _, address = rest.rpartition("@")
    account, _, password = userinfo.partition(":")
    if "/" not in account and not _REFERENCES.fullmatch(password):
        return True
    words = (part.partition("=") for part in re.split(r"[&;#]", address.partition("?")[2]))
    return any(is_secret_name(name) and not _REFERENCES.fullmatch(value) for name, _, value in words)


def _without_account(match: re.Match[str]) -> str:
    scheme, userinfo = match[1], match[2]
    account, colon, password = userinfo.partition(":")
    if HIDDEN not in userinfo and _NOTHING_SECRET.fullmatch(password if colon else account):
        return match[0]  # references
    if not colon and (
        scheme.lower() in ("sftp://", "ssh://") or ("/" in userinfo and not scheme.startswith("http"))
    ):
        return match[0]  # a name to log in with; an @ in a path
    return f"{scheme}{HIDDEN}@"


def _without_value(match: re.Match[str]) -> str:
    if is_harmless_parameter(match[1]) or _NOTHING_SECRET.fullmatch(match[2]):
        return match[0]
    return f"{match[1]}={HIDDEN}"


def _without_shape(match: re.Match[str]) -> str:
    return (match["bearer"] or match["basic"] or "") + HIDDEN


def _without_quoted(match: re.Match[str]) -> str:
    return match[1] + match[2] + _hidden(match[3])


def _without_named(match: re.Match[str]) -> str:
    if match[1].lower() == "token" and match[3].isdigit():  # a fencing token is a counter
        return match[0]
    if match[2] == ": " and _WORD.fullmatch(match[3]) and _PROSE.match(match.string, match.end()):
        return match[0]  # "hosts.NAS.secret: expected str"
    return match[1] + match[2] + _hidden(match[3])


def _hidden(value: str) -> str:
    """Hide a value within its quotation marks."""
    mark = value[0] if value[:1] in ("'", '"') and value[:1] == value[-1:] else ""
    inner = value[1:-1] if mark else value
    return value if _NOTHING_SECRET.fullmatch(inner) else f"{mark}{HIDDEN}{mark}"
