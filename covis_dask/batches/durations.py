"""Lengths of time as a person writes them."""

__all__ = ["duration"]


def duration(seconds: float | None) -> str:
    """Write a length of time the way a person would: 48 s, 3 min 20 s, 2 h 05 min."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
