"""What can go wrong with a catalogue."""

__all__ = ["CatalogError", "CatalogUnavailable"]


class CatalogError(Exception):
    """The catalogue cannot be opened, reached or written; the message says which one and what to do."""


class CatalogUnavailable(CatalogError):
    """The catalogue does not answer, or is busy, just now; the same call may do well later."""
