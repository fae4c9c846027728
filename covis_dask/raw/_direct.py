"""Ranges of S3 objects by plain HTTP, straight into memory that is there already.

s3fs takes all bytes through one thread and copies them three times: on a fast network that halves the speed.
So s3fs signs the request, and a connection of our own, kept open, fills the buffer. Nothing is decided
here: what is not as it should be is left to s3fs, which asks again, and whose answer counts.
"""

import http.client
import os
import ssl
import time
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["Direct", "direct_way"]

_SIGNED_FOR: Final = 600
_TIMEOUT: Final = 60.0
_OF_CONNECTIONS: Final = frozenset({"verify", "use_ssl", "proxies", "proxies_config", "client_cert"})


def direct_way(fs: Any, path: str) -> "Direct | None":
    """Return the direct way to an object, None where s3fs has been told more than a signature can say."""
    protocols = getattr(fs, "protocol", ())
    if "s3" not in ((protocols,) if isinstance(protocols, str) else protocols) or fs.anon:
        return None
    of_connections = _OF_CONNECTIONS.intersection([*fs.client_kwargs, *fs.config_kwargs])
    return None if of_connections or fs.s3_additional_kwargs or fs.req_kw else Direct(fs, path)


class Direct:
    """Connections to the server of one object; threads may use it at once.

    Parameters
    ----------
    fs : s3fs.S3FileSystem
        Signs the requests.
    path : str
        The object.
    """

    def __init__(self, fs: Any, path: str) -> None:
        self._fs = fs
        self._path = path
        self._usable = True
        self._url: tuple[float, SplitResult] | None = None
        self._idle: list[http.client.HTTPConnection] = []

    def fill(self, start: int, view: memoryview) -> bool:
        """Fill a buffer with the bytes from `start` on; False when s3fs has to be asked.

        Parameters
        ----------
        start : int
            Of the range; it is as long as the buffer.
        view : memoryview
            Bytes; after a failure some of them may have been written.
        """
        if not self._usable:
            return False
        connection: http.client.HTTPConnection | None = None
        try:
            url = self._signed()
            if url.scheme in getproxies() and not proxy_bypass(url.hostname or ""):
                self._usable = False
                return False
            connection = self._idle.pop() if self._idle else self._connect(url.scheme, url.netloc)
            span = f"bytes={start}-{start + len(view) - 1}"
            connection.request("GET", f"{url.path}?{url.query}", headers={"Range": span})
            answer = connection.getresponse()
            if answer.status != http.client.PARTIAL_CONTENT or answer.length != len(view):
                # A signature of this kind, a region, a missing object: s3fs knows, or says what is wrong.
                self._usable = False
            elif _fill(answer, view):
                self._idle.append(connection)
                return True
        except (http.client.HTTPException, OSError) as error:
            # A line that broke may hold for the next range; a certificate that is not known here stays so.
            self._usable = not isinstance(error, ssl.SSLError)
        except Exception:  # what signing raises; s3fs asks again, and what it finds is told
            self._usable = False
        if connection is not None:
            connection.close()
        return False

    def _signed(self) -> SplitResult:
        """Return the object's address with a signature that holds for minutes."""
        if self._url is None or time.monotonic() - self._url[0] > _SIGNED_FOR / 2:
            self._url = time.monotonic(), urlsplit(self._fs.sign(self._path, expiration=_SIGNED_FOR))
        return self._url[1]

    def _connect(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        timeout = float(self._fs.config_kwargs.get("read_timeout", _TIMEOUT))
        if scheme != "https":
            return http.client.HTTPConnection(netloc, timeout=timeout)
        trusted = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
        return http.client.HTTPSConnection(netloc, timeout=timeout, context=trusted)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()


def _fill(answer: http.client.HTTPResponse, view: memoryview) -> bool:
    done = 0
    while done < len(view):
        got = answer.readinto(view[done:])
        if not got:
            return False
        done += got
    return True
