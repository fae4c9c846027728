"""Locations as fsspec file systems, and what their errors mean."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import fsspec

from catalog.answers import Sense, answer_of
from catalog.redaction import redact_error, register_options, register_url, watch_logs
from covis_dask.config import Location, expand, expand_options, web_address
from covis_dask.errors import ConfigurationError, CovisError, StorageRefused, StorageUnavailable

__all__ = ["open_location", "path_on", "sent_instead", "storage_errors"]

_TIMEOUTS = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 4, "mode": "standard"}}


def open_location(location: Location) -> tuple[Any, str]:
    """Open the file system of a location.

    Returns
    -------
    tuple
        fsspec file system, and the root path on it.

    Raises
    ------
    ConfigurationError
        When the URL has an unknown protocol, or a secret is not in the environment; `StorageRefused` when
        an SSH or FTP server is not the one it should be, or refuses the account.
    StorageUnavailable
        When an SSH or FTP server does not answer. Other stores are not asked yet.
    """
    options = expand_options(location.options)
    url = expand(location.url)
    scheme, _, rest = url.partition("://")
    said = {
        word: expand(value)
        for word, value in (
            ("endpoint", location.endpoint),
            ("key", location.key),
            ("secret", location.secret),
        )
        if value
    }
    watch_logs()
    register_url(url)
    register_options(
        {**options, **{f"{word}_secret": said[word] for word in ("key", "secret") if word in said}}
    )
    if "endpoint" in said:
        said["endpoint"] = web_address(said["endpoint"])
    _check_endpoint(said.get("endpoint"), location)
    try:
        if scheme == "onc":
            return _open_onc(rest, said, options), ""
        if scheme in ("sftp", "ssh"):
            return _open_sftp(url, said, options)
        if scheme in ("s3", "s3a"):
            options.setdefault("config_kwargs", _TIMEOUTS)
            options.setdefault("use_listings_cache", False)  # other workers write to the same store
            options |= {_S3_WORDS[word]: value for word, value in said.items()}
        elif scheme in ("http", "https"):
            options["client_kwargs"] = {"timeout": _web_timeout(), **options.get("client_kwargs", {})}
        elif scheme == "ftp":
            options |= {_FTP_WORDS[word]: value for word, value in said.items() if word in _FTP_WORDS}
        with storage_errors(f"connecting to {location.url}"):  # an FTP host is called at once
            fs, root = fsspec.core.url_to_fs(url, **options)
    except (ImportError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{location.url} cannot be opened: {error}") from redact_error(error)
    return fs, str(root).rstrip("/")


def _check_endpoint(endpoint: str | None, location: Location) -> None:
    """Refuse what is no web address once its references are looked up; libraries would quote all of it."""
    if endpoint is None:
        return
    try:
        parts = urlsplit(endpoint)
        sound = bool(parts.hostname) and (parts.port or 1) > 0 and "@" not in parts.path + parts.query
    except ValueError:
        sound = False
    if not sound:
        raise ConfigurationError(
            f"the endpoint {location.endpoint} is no web address; in a password write %2F for / and %40 for @"
        )


_S3_WORDS = {"endpoint": "endpoint_url", "key": "key", "secret": "secret"}
_FTP_WORDS = {"key": "username", "secret": "password"}
_HEAD = 512


def path_on(fs: Any, root: str, name: str) -> str:
    """Return the path of a file below a root, every character of its name meaning itself.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    root : str
        As `open_location` gives it.
    name : str
        As the catalogue has it.
    """
    if _speaks(fs, "http"):
        name = quote(name, safe="/")  # in a web address ``#``, ``?`` and ``%`` mean something else
    return f"{root}/{name}" if root else name


def _speaks(fs: Any, *wanted: str) -> bool:
    protocols = getattr(fs, "protocol", ())
    return bool({protocols} & set(wanted) if isinstance(protocols, str) else {*protocols} & set(wanted))


def sent_instead(fs: Any, path: str, *, size: int | None = None, etag: str | None = None) -> str | None:
    """Say what a service across the network sends in place of an archive; None if nothing speaks against it.

    Login pages, proxies and routers answer with HTTP 200. What such a one sends is text, and no store vouches
    for it. Files on disks and SSH servers are what they are.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    path : str
    size, etag : optional
        What the service said of it before.
    """
    if not _speaks(fs, "http", "s3", "onc"):
        return None
    info = fs.info(path)
    now = str(info.get("ETag") or "").strip('"') or None
    if etag is not None and now != etag:
        return "another object is there now than was read"
    if size is not None and info.get("size") not in (None, size):
        return f"it sends {info.get('size')} bytes now, before {size}"
    if _speaks(fs, "s3") and now is not None:
        return None
    with fs.open(path, "rb") as file:
        head = file.read(_HEAD)
    if not head and _speaks(fs, "http") and info.get("size") is None:
        return "it sends nothing, and does not say that this is all"
    if not _is_text(head):
        return None
    kind = info.get("mimetype") or info.get("ContentType")
    return f"it sends {kind or 'text'} that begins {' '.join(head[:40].decode('utf-8', 'replace').split())!r}"


def _is_text(head: bytes) -> bool:
    """Say whether bytes are what people read: no archive begins so."""
    try:
        text = head[:-4].decode() if len(head) == _HEAD else head.decode()
    except UnicodeDecodeError:
        return False
    return len(text.strip()) > 1 and all(
        letter.isprintable() or letter.isspace() for letter in text.lstrip("\ufeff")
    )


def _web_timeout() -> Any:
    """Give up on a web server that is silent, not on a file that takes long."""
    import aiohttp

    return aiohttp.ClientTimeout(total=None, connect=10, sock_connect=10, sock_read=60)


def _open_onc(host: str, said: Mapping[str, str], options: Mapping[str, Any]) -> Any:
    from covis_dask.storage.onc import OncFileSystem

    if "key" not in said:
        raise ConfigurationError("the archive of Ocean Networks Canada needs a token: key: ${DMAS_API_KEY}")
    return OncFileSystem(said.get("endpoint") or f"https://{host}", said["key"], **options)


def _open_sftp(url: str, said: Mapping[str, str], options: dict[str, Any]) -> tuple[Any, str]:
    from covis_dask.storage.sftp import VerifiedSftp  # paramiko is an optional package

    where = {**VerifiedSftp._get_kwargs_from_urls(url), **options}
    where |= {{"key": "username", "secret": "password"}[word]: value for word, value in said.items()}
    with storage_errors(f"connecting to sftp://{where.get('host')}"):
        return VerifiedSftp(**where), str(VerifiedSftp._strip_protocol(url)).rstrip("/")


@contextmanager
def storage_errors(what: str, *, missing: type[Exception] | None = None) -> Iterator[None]:
    """Turn a store's errors into ours: refused (stop the batch) or unavailable (try again).

    Parameters
    ----------
    what : str
        What was being done to which place, for the sentence.
    missing : type, optional
        Error for a file that is not there; without it that is a refusal (no such bucket or folder).

    Raises
    ------
    StorageRefused, StorageUnavailable
    """
    try:
        yield
    except CovisError:
        raise
    except Exception as error:
        redact_error(error)
        answer = answer_of(error)
        if answer is None:
            raise
        if answer.sense is Sense.AWAY:
            raise StorageUnavailable(f"{what}: the store {answer.sentence}") from error
        if answer.sense is Sense.REFUSED:
            raise StorageRefused(
                f"{what}: the store {answer.sentence}; check its permissions, credentials and free space"
            ) from error
        if missing is not None:
            raise missing(f"{what}: not there" + (f" ({answer.text})" if answer.service else "")) from error
        raise StorageRefused(
            f"{what}: the store has no such bucket or folder ({answer.text}); create it, or correct the url"
        ) from error
