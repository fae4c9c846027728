"""The archive-file service of Ocean Networks Canada (Oceans 3.0 API) as a file system: host DMAS.

``GET <endpoint>/api/archivefile/download?filename=NAME&token=TOKEN``. The token is part of every address
this service is asked by, so no address may get into a message: errors here name the file only.
"""

import io
import json
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException, HTTPResponse
from typing import Any

from fsspec.spec import AbstractFileSystem

from catalog.answers import AccessRefused, NotOfProtocol, NotThere

__all__ = ["OncFileSystem"]

_TIMEOUT = 60.0
_RESUMES = 3
_NO_ARCHIVES = frozenset({"text/html", "application/xhtml+xml", "application/json"})


class OncFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """Raw archives by name; there are no folders to list.

    Parameters
    ----------
    endpoint : str
        Address of the service, such as ``https://data.oceannetworks.ca``.
    token : str
        Of the user's Oceans 3.0 account.
    timeout : float
        Longest silence, s.
    """

    protocol = "onc"
    cachable = False  # a cached instance would keep the token beyond its use

    def __init__(self, endpoint: str, token: str, timeout: float = _TIMEOUT) -> None:
        super().__init__()
        self._download = f"{endpoint.rstrip('/')}/api/archivefile/download"
        self._token = token
        self._timeout = timeout

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(path).removeprefix("onc://").strip("/")

    def request(self, path: str, span: str | None = None) -> HTTPResponse:
        """Ask for a file.

        Parameters
        ----------
        path : str
            Its name; the service knows no folders.
        span : str, optional
            Value of the ``Range`` header.

        Raises
        ------
        FileNotFoundError, PermissionError, OSError
            As a local disk would; `AccessRefused` when the token is not good, `NotOfProtocol` when what
            answers is not this service.
        """
        name = path.rpartition("/")[2]
        query = urllib.parse.urlencode({"filename": name, "token": self._token})
        headers = {"Range": span} if span else {}
        request = urllib.request.Request(f"{self._download}?{query}", headers=headers)  # noqa: S310
        try:
            answer: HTTPResponse = urllib.request.urlopen(request, timeout=self._timeout)  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(name, error.code, error.read(2000)) from None
        except (HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise OSError(f"the archive service does not answer: {reason}") from None
        kind = answer.headers.get_content_type()
        if answer.status not in (200, 206) or kind in _NO_ARCHIVES:
            with answer:
                begins = " ".join(answer.read(40).decode("utf-8", "replace").split())
            raise NotOfProtocol(
                f"in place of {name} it sends {kind} that begins {begins!r} (HTTP {answer.status})"
            )
        return answer

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return name and size (None when the service does not say it), by asking for the first byte."""
        with self.request(path, "bytes=0-0") as answer:
            span, length = answer.headers.get("Content-Range"), answer.headers.get("Content-Length")
            ranged = answer.status == 206 and span is not None
            size = span.rpartition("/")[2] if ranged and span is not None else length
            known = size is not None and size.isdecimal()
            return {
                "name": path, "type": "file", "size": int(size) if known and size else None, "ranges": ranged
            }  # fmt: skip

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.RawIOBase:
        if mode != "rb":
            raise PermissionError("the archive of Ocean Networks Canada is read-only")
        return _OncFile(self, path)

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Say whether a file is there; the root, which cannot be requested for, is."""
        return not self._strip_protocol(path) or bool(super().exists(path, **kwargs))

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Refuse: the service has no folders."""
        raise NotImplementedError(
            "the archive of Ocean Networks Canada cannot be walked: import its JSON list of file names"
        )


def _refusal(name: str, code: int, body: bytes) -> OSError:
    """Choose the error for an HTTP status.

    A wrong name or token comes as 400 with a JSON list of errors, each with a code, a message and the
    parameter it is about. Absence is only what the service itself calls so: any web server can answer 404.
    """
    errors = _errors_in(body)
    said = "; ".join(
        f"{message.rstrip('.')}{f': {parameter}' if parameter else ''}" for message, parameter in errors
    )
    words = f"{said}; HTTP {code}" if said else f"HTTP {code}"
    of_token = any("token" in (parameter or message).lower() for message, parameter in errors)
    if code == 401 or (code in (400, 403) and of_token):
        return AccessRefused(f"the archive service refuses the token ({words}); see DMAS_API_KEY")
    if code == 403:
        return PermissionError(f"the archive service refuses {name} ({words})")
    if code >= 500 or code in (408, 429):
        return OSError(f"the archive service cannot just now send {name} ({words})")
    of_name = any("filename" in f"{message} {parameter}".lower() for message, parameter in errors)
    if (code in (404, 410) and errors) or (code == 400 and of_name):
        return NotThere(f"the archive service has no file {name} ({words})")
    if errors:
        return PermissionError(f"the archive service refuses to send {name} ({words})")
    begins = " ".join(body[:40].decode("utf-8", "replace").split())
    return NotOfProtocol(f"this is not the archive service's answer: HTTP {code}, {begins!r}; see the url")


def _errors_in(body: bytes) -> list[tuple[str, str]]:
    """Return message and parameter of each error that the service names."""
    try:
        named = json.loads(body)["errors"]
        return [(str(one.get("errorMessage") or ""), str(one.get("parameter") or "")) for one in named]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []


class _OncFile(io.RawIOBase):
    """One download; it goes on after a break, and can seek, if the service honours ranges."""

    def __init__(self, fs: OncFileSystem, path: str) -> None:
        self._fs = fs
        self._path = path
        self._at = 0
        info = fs.info(path)
        self._size: int | None = info["size"]
        self._ranges: bool = info["ranges"]
        self._answer: HTTPResponse | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._ranges and self._size is not None

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if not self.seekable():
            raise io.UnsupportedOperation("the archive service only sends files from start to end")
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size or 0}[whence]
        target = max(0, base + offset)
        if target != self._at:
            self._hang_up()
            self._at = target
        return target

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if self._size is not None and self._at >= self._size:
            return 0
        for attempt in range(1 + _RESUMES):
            try:
                done = self._read_some(view)
            except (HTTPException, OSError) as error:
                self._hang_up()
                if attempt == _RESUMES or (self._at and not self._ranges):
                    raise OSError(f"the archive service broke off: {error or type(error).__name__}") from None
            else:
                self._at += done
                return done
        raise AssertionError  # the last attempt returns or raises

    def _read_some(self, view: memoryview) -> int:
        done = self._stream().readinto(view)
        if done == 0 and view.nbytes and self._size is not None:
            raise OSError(f"it ends after {self._at} of {self._size} bytes")
        return done

    def _stream(self) -> HTTPResponse:
        if self._answer is None:
            self._answer = self._fs.request(self._path, f"bytes={self._at}-" if self._at else None)
            if self._at and self._answer.status != 206:
                self._hang_up()
                raise OSError("it no longer honours ranges")
        return self._answer

    def _hang_up(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def close(self) -> None:
        self._hang_up()
        super().close()
