"""What a store's error means: it refuses, has no such thing, or is away; in the service's own words.

File systems put one exception in place of another on the way up, and lose the code the service gave: a web
host that is down becomes "file not found", an expired token an invalid argument. So the whole chain of causes
is looked through, first for an HTTP status, and the error as raised counts only where there is none.
"""

import errno
import ftplib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

__all__ = ["Answer", "Sense", "answer_of"]


class Sense(StrEnum):
    """The three things a store's error can mean."""

    REFUSED = "refused"
    """It answered, and the answer was no; asking again will not help."""
    ABSENT = "absent"
    """It answered, and there is no such object, folder or bucket."""
    AWAY = "away"
    """It did not answer, broke off, or says that it cannot just now."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a store said.

    Parameters
    ----------
    sense : Sense
    text : str
        The service's own words, with code and HTTP status where it gave them.
    service : bool
        Whether it came over HTTP with a status.
    """

    sense: Sense
    text: str
    service: bool = False

    @property
    def sentence(self) -> str:
        """Say it with "the store" as the subject, without the subject."""
        if self.sense is Sense.REFUSED:
            return f"refuses ({self.text})"
        if self.sense is Sense.ABSENT:
            return f"has no such bucket, folder or file ({self.text})"
        return f"cannot just now ({self.text})" if self.service else f"does not answer ({self.text})"


_LIBRARIES = frozenset({"aiohttp", "aiobotocore", "botocore", "paramiko", "urllib3"})
_REFUSALS = frozenset({
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR,
    errno.EEXIST,
})  # fmt: skip
_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"})
_ABSENT = frozenset({404, 410})
_PASSING = frozenset({408, 409, 412, 416, 425, 429})
_PASSING_CODES = frozenset({"RequestTimeout", "SlowDown", "IncompleteBody", "BadDigest"})
_FULL = frozenset({501, 507})  # "not implemented" and "insufficient storage" do not pass by themselves


def answer_of(error: BaseException) -> Answer | None:
    """Find out what an error of a file system means.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    Answer or None
        None when it is no error of a store.
    """
    chain = list(_chain(error))
    for one in chain:
        if (http_answer := _of_http(one)) is not None:
            return http_answer
    judged = [answer for answer in map(_of_kind, chain) if answer is not None]
    # A refusal is meant; but a library's own "no answer" beats an absence that was made of it on the way up.
    refused = (answer for answer in judged if answer.sense is Sense.REFUSED)
    return next(itertools.chain(refused, reversed(judged)), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _of_http(error: BaseException) -> Answer | None:
    """Read the status of an S3 or web server's answer, if the error has one."""
    code, message = "", ""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore's ClientError
        said = response.get("Error", {})
        code, message = str(said.get("Code") or ""), str(said.get("Message") or "")
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        status = int(code) if status is None and code.isdecimal() else status
    else:  # aiohttp's ClientResponseError
        status = getattr(error, "status", None)
        message = str(getattr(error, "message", ""))
    if not isinstance(status, int):
        return None
    return Answer(_sense(status, code), _words(status, code, message), service=True)


def _sense(status: int, code: str) -> Sense:
    if status in _ABSENT:
        return Sense.ABSENT
    if status in _PASSING or code in _PASSING_CODES or (status >= 500 and status not in _FULL):
        return Sense.AWAY
    return Sense.REFUSED


def _words(status: int, code: str, message: str) -> str:
    name = "" if code.isdecimal() else code
    if not message and status in list(HTTPStatus):
        message = HTTPStatus(status).phrase
    return "; ".join(filter(None, (message.strip().rstrip("."), name, f"HTTP {status}")))


def _of_kind(error: BaseException) -> Answer | None:
    """Judge an error by its class, or its number."""
    message = str(error) or type(error).__name__
    if isinstance(error, ftplib.error_perm):
        return Answer(Sense.ABSENT if message.startswith("550") else Sense.REFUSED, message)
    if isinstance(error, (ftplib.Error, EOFError)):
        return Answer(Sense.AWAY, message)
    if type(error).__name__ in _NO_CREDENTIALS:
        return Answer(Sense.REFUSED, message)
    # Libraries that share no base class.
    if type(error).__module__.split(".")[0] in _LIBRARIES:
        return Answer(Sense.AWAY, message)
    if isinstance(error, FileNotFoundError):
        return Answer(Sense.ABSENT, message)
    if isinstance(error, OSError):
        refused = isinstance(error, PermissionError) or error.errno in _REFUSALS
        return Answer(Sense.REFUSED, error.strerror or message) if refused else Answer(Sense.AWAY, message)
    return None
