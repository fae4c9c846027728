"""The COVIS page, and the parts of it that a notebook shows too."""

__all__: list[str] = []
