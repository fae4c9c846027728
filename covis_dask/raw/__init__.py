"""Raw archives to arrays: what the instrument wrote, checked, one ping at a time (docs/method.md#raw-data).

`archive` opens what holds a run, `record` decodes a ping, `ping` has the values a run is made of, and `sweep`
puts them together. The package itself imports none of them: settings need `archive.Limits`, and not NumPy.
"""

__all__ = ["archive", "ping", "record", "source", "sweep"]
