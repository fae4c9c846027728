"""Errors and log records without secrets, whoever raised or wrote them."""

import logging
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

from catalog.redaction.text import redact, redact_values

__all__ = ["redact_error", "watch_errors", "watch_logs"]

E = TypeVar("E", bound=BaseException)

_TEXTS = (str, dict, list)


def redact_error(error: E) -> E:
    """Take the secrets out of an error and of all that led to it; returns the same error.

    A cause that goes on showing one, because it makes its text of something else than its arguments, is
    replaced by its redacted text.
    """
    _redact_chain(error, set())
    return error


def _redact_chain(error: BaseException, seen: set[int]) -> None:
    if id(error) in seen:
        return
    seen.add(id(error))
    _redact_one(error)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _redact_chain(inner, seen)
    if error.__cause__ is not None:
        silent = error.__suppress_context__
        error.__cause__ = _sound(error.__cause__, seen)
        error.__suppress_context__ = silent
    if error.__context__ is not None:
        error.__context__ = _sound(error.__context__, seen)


def _sound(error: BaseException, seen: set[int]) -> BaseException:
    _redact_chain(error, seen)
    text = _text(error)
    if redact(text) == text:
        return error
    return RuntimeError(f"{type(error).__name__}: {redact(text)}").with_traceback(error.__traceback__)


def _redact_one(error: BaseException) -> None:
    with suppress(Exception):  # an odd class may refuse; its text is looked at below
        clean = tuple(redact_values(value) if isinstance(value, _TEXTS) else value for value in error.args)
        if clean != error.args:
            error.args = clean
    notes = getattr(error, "__notes__", None)
    if notes:
        error.__notes__ = [redact(note) for note in notes]
    for name in (*vars(error), "filename", "filename2", "strerror", "object", "reason"):
        value = getattr(error, name, None)
        if isinstance(value, _TEXTS) and name != "__notes__":
            with suppress(Exception):
                clean_value = redact_values(value)
                if clean_value != value:
                    setattr(error, name, clean_value)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # its own __str__ failed; there is nothing to show
        return ""


def watch_logs() -> None:
    """Redact every record that any logger of this process makes from now on; safe to call twice."""
    factory = logging.getLogRecordFactory()
    if not hasattr(factory, "redacts"):
        logging.setLogRecordFactory(_redacting(factory))


def _redacting(factory: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        try:
            message = record.getMessage()
        except Exception:  # the logger's caller has made a mistake; logging itself says so
            return record
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, ()
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            redact_error(record.exc_info[1])
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return record

    make.redacts = True  # type: ignore[attr-defined]
    return make


def watch_errors() -> None:
    """Redact warnings, and errors that nobody catches, before Python shows them; for commands."""
    if hasattr(sys.excepthook, "redacts"):
        return
    main, of_thread, of_garbage = sys.excepthook, threading.excepthook, sys.unraisablehook

    def shown(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        main(kind, redact_error(error), trace)

    def shown_of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            redact_error(args.exc_value)
        of_thread(args)

    def shown_of_garbage(args: Any) -> None:
        if args.exc_value is not None:
            redact_error(args.exc_value)
        of_garbage(args)

    as_text = warnings.formatwarning

    def warned(message: Warning | str, *args: Any, **kwargs: Any) -> str:
        return redact(as_text(message, *args, **kwargs))

    shown.redacts = True  # type: ignore[attr-defined]
    warnings.formatwarning = warned
    sys.excepthook, threading.excepthook, sys.unraisablehook = shown, shown_of_thread, shown_of_garbage
