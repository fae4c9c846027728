"""The root of the tree of errors, and what can go wrong with a catalogue.

`covis_dask.errors` grows the rest of the tree, and draws all of it.
"""

from typing import ClassVar

from catalog.redaction import redact
from catalog.vocabulary import Kind, RunState

__all__ = [
    "BadName",
    "CatalogError",
    "CatalogUnavailable",
    "CovisError",
    "DocumentError",
    "ListingError",
    "SelectionError",
    "UnreadableDocument",
]


class CovisError(Exception):
    """Anything that goes wrong in a way this program knows. Its sentence holds no secret, whoever wrote it.

    Attributes
    ----------
    kind : Kind
        Stable word for catalogue, manifest and report.
    state : RunState
        The state a run ends in when this error ends it.
    """

    kind: ClassVar[str] = Kind.ERROR
    state: ClassVar[str] = RunState.FAILED

    def __init__(self, *args: object) -> None:
        super().__init__(*(redact(value) if isinstance(value, str) else value for value in args))


class CatalogError(CovisError):
    """The catalogue cannot be opened, reached or written; the message says which one and what to do."""

    kind = Kind.CATALOG_ERROR
    state = RunState.NOT_RUN


class CatalogUnavailable(CatalogError):
    """The catalogue does not answer, or is busy, just now; the same call may do well later."""

    kind = Kind.CATALOG_UNAVAILABLE


class DocumentError(CovisError, ValueError):
    """A document has not the form it should; the message says which, where in it, and what is wrong."""

    kind = Kind.BAD_DOCUMENT


class UnreadableDocument(DocumentError):
    """The document of a run in the catalogue cannot be read; the message names it, and what to do."""

    kind = Kind.UNREADABLE


class SelectionError(CovisError, ValueError):
    """The selection makes no sense; the message says which word, and what would."""

    kind = Kind.BAD_SELECTION
    state = RunState.NOT_RUN


class ListingError(CovisError, ValueError):
    """The listing or store as a whole cannot be read; the message says why."""

    kind = Kind.BAD_LISTING
    state = RunState.NOT_RUN


class BadName(CovisError, ValueError):
    """The text is no basename of either era, not even a faulty one."""

    kind = Kind.BAD_NAME
