"""What a check of ``covis doctor`` found."""

from dataclasses import dataclass

from catalog.redaction import redact

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    name : str
        What was checked.
    state : {"ok", "warn", "RED"}
    text : str
        What was found.
    advice : str
        What to do, unless all is well.
    """

    name: str
    state: str
    text: str
    advice: str = ""

    def __post_init__(self) -> None:
        # Addresses, and what servers and workers answered.
        for word in ("name", "text", "advice"):
            object.__setattr__(self, word, redact(getattr(self, word)))

    def __str__(self) -> str:
        return f"{self.state:<5} {self.name:<22} {self.text}" + (f" -> {self.advice}" if self.advice else "")
