"""Whether the address of a location is one that can be opened: scheme, bucket, endpoint, options."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from fsspec import get_filesystem_class
from fsspec.registry import known_implementations, registry

from covis_dask.config.reading import Fault
from covis_dask.config.sections import LocationSection

__all__ = ["address_faults"]

_OWN = ("onc", "ssh")
_S3 = ("s3", "s3a")
_WITHOUT_ACCOUNT = ("", "file", "local", "memory", "http", "https")


def address_faults(read: LocationSection, where: str) -> Iterator[Fault]:
    """Find what cannot work in an entry whose types are right.

    Parameters
    ----------
    read : LocationSection
    where : str
        Its dotted name.
    """
    scheme = read.url.partition("://")[0].lower() if "://" in read.url else ""
    if "::" in read.url or "$" in scheme:
        return  # fsspec's chains have a grammar of their own, and of a reference nothing is known yet
    yield from _scheme_faults(scheme, where)
    yield from _endpoint_faults(read.endpoint, where)
    if scheme in _S3 and not read.url.partition("://")[2].strip("/"):
        yield Fault(f"{where}.url", f"{where}.url: name the bucket, as in s3://raw")
    if scheme in _S3 and (read.key is None) != (read.secret is None):
        lacks = "key" if read.key is None else "secret"
        yield Fault(where, f"{where}: an S3 account has a key and a secret; the {lacks} is missing")
    if scheme in _WITHOUT_ACCOUNT:
        for word in ("endpoint", "key", "secret"):
            if getattr(read, word) is not None:
                what = f"{scheme}://" if scheme else "a folder"
                yield Fault(f"{where}.{word}", f"{where}.{word}: {what} has no use for it; take it away")
    yield from _option_faults(scheme, read.options, where)


def _scheme_faults(scheme: str, where: str) -> Iterator[Fault]:
    known = {*known_implementations, *registry, *_OWN}
    if scheme and scheme not in known:
        near = difflib.get_close_matches(scheme, sorted(known), 1, 0.5)
        hint = f"did you mean {near[0]}://?" if near else "such as s3, sftp, http, ftp, onc, or a folder"
        yield Fault(f"{where}.url", f"{where}.url: unknown kind of store {scheme}://; {hint}")


def _endpoint_faults(endpoint: str | None, where: str) -> Iterator[Fault]:
    if endpoint is None or endpoint.startswith("${"):
        return
    key = f"{where}.endpoint"
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is no number
        sound = False
    if not sound or any(letter.isspace() for letter in endpoint):
        yield Fault(key, f"{key}: write http://HOST:PORT or https://HOST")


_FURTHER: Mapping[str, tuple[str, ...]] = {
    # Classes that hand on what they do not know themselves.
    "s3": ("aiobotocore.session", "AioSession"),
    "sftp": ("paramiko", "SSHClient"),
}
_FOR_ALL = frozenset({"use_listings_cache", "listings_expiry_time", "max_paths", "skip_instance_cache",
                      "asynchronous", "loop", "batch_size"})  # fmt: skip
_ONC = frozenset({"timeout"})


def _option_faults(scheme: str, options: Mapping[str, Any], where: str) -> Iterator[Fault]:
    """Find options that the file system does not take; only asked where there are any, for it is loaded."""
    known = _options_of(scheme) if options else None
    for name in options if known is not None else ():
        if str(name) not in (known or ()):
            key = f"{where}.options.{name}"
            near = difflib.get_close_matches(str(name), known or (), 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known or ()))}"
            yield Fault(key, f"{key}: {scheme or 'a folder'} has no such option; {hint}")


def _options_of(scheme: str) -> frozenset[str] | None:
    """Return the options of a file system; None where they are not known."""
    family = {"s3a": "s3", "ssh": "sftp", "https": "http", "": "file", "local": "file"}.get(scheme, scheme)
    if family == "onc":
        return _ONC
    if family not in ("s3", "sftp", "http", "ftp", "file"):
        return None
    try:
        names = {*_FOR_ALL, *_arguments(get_filesystem_class(family).__init__)}
        if family in _FURTHER:
            module, further = _FURTHER[family]
            kind = getattr(importlib.import_module(module), further)
            names |= _arguments(kind.connect if family == "sftp" else kind.__init__)
    except ImportError:
        return None  # said where it is opened
    if family == "sftp":
        names.add("known_hosts")
    return frozenset(names - {"self", "kwargs"})


def _arguments(call: Callable[..., Any]) -> set[str]:
    takers = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {one.name for one in inspect.signature(call).parameters.values() if one.kind in takers}
