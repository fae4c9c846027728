"""Gzip read from front to back: all its parts, and what may stand behind the last of them.

Transfers in text mode, mail programs and careless scripts leave line ends, text or padding behind a sound
file. `gzip` and `tar` pass over that, and so does this; but a file cut off before its end stays one.
"""

import gzip
import io
from typing import Any, BinaryIO, Final

from isal import igzip

__all__ = ["Gunzip", "gunzip"]

_CHUNK: Final = 1 << 19
_PAD: Final = b"\xff" * 10
_NO_PART: Final = "Not a gzipped file"
_NOTHING: Final = f"{_NO_PART} ({_PAD[:2]!r})"


class Gunzip(io.RawIOBase):
    """The unpacked bytes of a gzip file.

    Parameters
    ----------
    file : binary file
        Packed, at its start.

    Attributes
    ----------
    trailing : bool
        Once read to the end: something that is no gzip stands behind the last part, and was left out.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.trailing = False
        self._packed = _Padded(file)
        self._reader: Any = igzip._IGzipReader(self._packed, _CHUNK)  # type: ignore[arg-type]
        self._ended = False
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as possible.

        Raises
        ------
        EOFError
            When the file ends before its last part does.
        gzip.BadGzipFile, isal_zlib.error
            When it is damaged.
        """
        if self._ended:
            return 0
        try:
            count = int(self._reader.readinto(buffer))
        except EOFError:
            raise _cut_off() from None
        except Exception as error:
            # Only where another part would begin is its mark looked for: what came before is sound.
            if isinstance(error, gzip.BadGzipFile) and str(error).startswith(_NO_PART):
                self._ended = True
                self.trailing = not (self._packed.ended and str(error) == _NOTHING)
                count = int(self._reader.tell()) - self._at
            elif (
                self._packed.ended
            ):  # it stumbled over the padding: the file ended, and its last part did not
                raise _cut_off() from error
            else:
                raise
        self._at += count
        return count


def gunzip(file: BinaryIO) -> tuple[io.BufferedReader, Gunzip]:
    """Return the unpacked bytes as a file, and what knows of its end."""
    raw = Gunzip(file)
    return io.BufferedReader(raw), raw


def _cut_off() -> EOFError:
    return EOFError("the file ends before its end mark")


class _Padded(io.RawIOBase):
    """A file with a few bytes behind its end.

    The reader looks at ten bytes before it says that they begin no further part; of fewer it says that the
    file is cut off. So it gets ten. They are no sound end of anything: neither a block nor a checksum.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.ended = False
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = int(self._file.readinto(buffer))  # type: ignore[attr-defined]
        if count == 0 and not self.ended:
            self.ended = True
            count = len(_PAD)
            memoryview(buffer).cast("B")[:count] = _PAD
        return count
