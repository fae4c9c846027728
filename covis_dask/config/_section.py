"""What all sections of the configuration have in common."""

import msgspec

__all__ = ["Section"]


class Section(msgspec.Struct, frozen=True, rename=lambda name: name.replace("_", "-")):
    """Part of the configuration; its keys have dashes."""
