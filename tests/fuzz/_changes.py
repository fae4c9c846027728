"""What can be done to bytes, texts and documents."""

import copy
import random
from typing import Any

__all__ = ["changed_bytes", "changed_document", "changed_text", "odd_value"]

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 2**31, 2**63, -(2**70), 10**400, 0.5, 1e308, -1e308, 1e-320, float("nan"),
    float("inf"), "", " ", "0", "-1", "1e999", "1,5", "null", "nan", "\0", "x" * 5000, "../../etc/passwd",
    "/", "${HOME}", "s3://", "http://[", "\ud800", "é" * 40, "2014-13-45", "2014-03-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00", [], {}, [None], [[]], {"": None}, {"$date": {"$numberLong": "9" * 30}},
    {"a": {"b": {"c": []}}},
)  # fmt: skip


def odd_value(rng: random.Random) -> Any:
    """Return a value that nobody expects."""
    if rng.random() < 0.05:
        deep: Any = 0
        for _ in range(rng.choice((30, 300))):
            deep = [deep]
        return deep
    return copy.deepcopy(rng.choice(_VALUES))


def changed_document(rng: random.Random, document: Any, most: int = 4) -> Any:
    """Return a document with some of its values, keys or entries changed."""
    document = {"": copy.deepcopy(document)}
    for _ in range(rng.randint(1, most)):
        places = list(_places(document))
        holder, key = rng.choice(places)
        how = rng.randrange(5)
        if how == 0 and isinstance(holder, dict) and key:
            holder[rng.choice((str(key).upper(), f"{key} ", str(key)[::-1], ""))] = holder.pop(key)
        elif how == 1 and holder is not document:
            del holder[key]
        elif how == 2 and isinstance(holder, list):
            holder.insert(rng.randint(0, len(holder)), copy.deepcopy(holder[key]))
        elif how == 3 and isinstance(holder[key], str | int | float) and not isinstance(holder[key], bool):
            holder[key] = str(holder[key])[: rng.randint(0, 9)]
        else:
            holder[key] = odd_value(rng)
    return document[""]


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner) if not _is_deep(inner) else ()


def _is_deep(value: Any, most: int = 12) -> bool:
    while isinstance(value, list) and value and most:
        value, most = value[0], most - 1
    return not most


def changed_text(rng: random.Random, text: bytes) -> bytes:
    """Return a text with some of its lines, or all of it, changed."""
    lines = text.split(b"\n")
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        how = rng.randrange(8)
        if how == 0:
            del lines[at : at + rng.randint(1, 3)]
        elif how == 1:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif how == 2:
            lines[at] = changed_bytes(rng, lines[at])
        elif how == 3:
            cells = lines[at].split(b",")
            cells[rng.randrange(len(cells))] = str(odd_value(rng)).encode("utf-8", "replace")[:200]
            lines[at] = b",".join(cells)
        elif how == 4:
            lines[at] = lines[at].replace(b",", rng.choice((b";", b"\t", b" ", b",,", b'","')))
        elif how == 5:
            lines[at] = rng.choice(
                (b"", b'"', b"\xff\xfe", b"\0" * 512, b"<html>", b"[" * 2000, lines[at][::-1])
            )
        elif how == 6:
            rng.shuffle(lines)
        else:
            lines[at] += rng.choice((b"\r", b";;;", b'"', b"\x1a", b"\0"))
        lines = lines or [b""]
    whole = b"\n".join(lines)
    if rng.random() < 0.1:
        return whole.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-8-sig", "utf-16-be")))
    return whole.replace(b"\n", b"\r\n") if rng.random() < 0.1 else whole


def changed_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return bytes of which some are changed, gone, or new."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at, length = rng.randint(0, len(changed)), rng.choice((1, 1, 4, 60, 512, 4000))
        how = rng.randrange(6)
        if how == 0:
            del changed[at:]
        elif how == 1:
            changed[at : at + length] = rng.randbytes(length)
        elif how == 2:
            changed[at : at + length] = bytes([rng.choice((0, 255))]) * length
        elif how == 3:
            del changed[at : at + length]
        elif how == 4:
            changed[at:at] = (
                changed[: rng.randint(0, len(changed))] if rng.random() < 0.3 else rng.randbytes(length)
            )
        elif at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)
