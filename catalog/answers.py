"""What a store's error means: it refuses, has no such thing, or is away; in the service's own words.

File systems put one exception in place of another on the way up, and lose the code the service gave: a web
host that is down becomes "file not found", an expired token an invalid argument. So the whole chain of causes
is looked through, first for an HTTP status, and the error as raised counts only where there is none.
"""

import errno
import ftplib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

__all__ = ["AccessRefused", "Answer", "NotOfProtocol", "NotThere", "Sense", "answer_of", "look_into"]


class Sense(StrEnum):
    """The three things a store's error can mean."""

    REFUSED = "refused"
    """It answered, and the answer was no; asking again will not help."""
    ABSENT = "absent"
    """It answered, and there is no such object, folder or bucket."""
    AWAY = "away"
    """It did not answer, broke off, or says that it cannot just now."""


class AccessRefused(PermissionError):
    """A service refuses us as a whole: the account, the token, the key; not one file."""


class NotThere(FileNotFoundError):
    """A service says in words of its own that it has no such file."""


class NotOfProtocol(OSError):
    """What answered is not the service: a login page, a proxy, another program at that address."""


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
    whole : bool
        Whether it holds for all that is asked there (a wrong key, a bucket that is not there).
    """

    sense: Sense
    text: str
    service: bool = False
    whole: bool = False

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
_PASSING = frozenset({307, 408, 409, 412, 416, 425, 429})
_PASSING_CODES = frozenset({
    "BadDigest", "ClientDisconnected", "IncompleteBody", "RequestLimitExceeded", "RequestTimeout",
    "RequestTimeoutException", "RequestThrottled", "SlowDown", "TemporaryRedirect", "ThrottledException",
    "Throttling", "ThrottlingException", "TooManyRequestsException", "XMinioServerNotInitialized",
})  # fmt: skip
_FULL = frozenset({501, 507})  # "not implemented" and "insufficient storage" do not pass by themselves
_WHOLE = frozenset({401, 407})
_WHOLE_CODES = frozenset({
    "AccountProblem", "AllAccessDisabled", "AuthFailure", "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError", "CredentialsNotSupported", "ExpiredToken", "ExpiredTokenException",
    "IllegalLocationConstraintException", "IncorrectEndpoint", "InvalidAccessKeyId", "InvalidBucketName",
    "InvalidClientTokenId", "InvalidPayer", "InvalidRegion", "InvalidSecurity", "InvalidToken",
    "MissingAuthenticationToken", "MissingSecurityElement", "MissingSecurityHeader", "NoSuchBucket",
    "NotSignedUp", "OptInRequired", "PermanentRedirect", "RequestExpired", "RequestTimeTooSkewed",
    "SignatureDoesNotMatch", "TokenRefreshRequired", "UnauthorizedAccess", "UnrecognizedClientException",
    "UserSuspended",
})  # fmt: skip
"""What an S3 service says of account, clock, region or bucket; its other refusals are of an object."""
_FTP_LOGIN = re.compile(r"(?:33[0-9]|430|53[0-9])\b")
_FTP_ABSENT = re.compile(r"550\b(?!.*(?:denied|permission|not allowed|refused))", re.IGNORECASE | re.DOTALL)
_LONGEST = 300


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


def look_into(fs: Any, root: str) -> None:
    """Ask for as little as shows that a folder or bucket is there and opens to us.

    Raises
    ------
    Exception
        Whatever the file system has for it; `NotOfProtocol` when what answers is no S3 service: a web page
        looks like an empty bucket to its client.
    """
    if not hasattr(fs, "call_s3"):
        fs.info(root)
        return
    bucket, _, prefix = root.partition("/")
    listed = fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
    if "Name" not in listed and "IsTruncated" not in listed:
        raise NotOfProtocol("what answers is no S3 service; a login page, perhaps, or a web server")


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
    whole = status in _WHOLE or code in _WHOLE_CODES or status in range(300, 307) or status == 308
    return Answer(_sense(status, code), _words(status, code, message), service=True, whole=whole)


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
    said = " ".join(message.split())[:_LONGEST].rstrip(".")
    return "; ".join(filter(None, (said, name, f"HTTP {status}")))


def _of_kind(error: BaseException) -> Answer | None:
    """Judge an error by its class, or its number."""
    message = " ".join((str(error) or type(error).__name__).split())[:_LONGEST]
    if isinstance(error, ftplib.error_perm):
        sense = Sense.ABSENT if _FTP_ABSENT.match(message) else Sense.REFUSED
        return Answer(sense, message, whole=bool(_FTP_LOGIN.match(message)))
    if isinstance(error, AccessRefused):
        return Answer(Sense.REFUSED, message, whole=True)
    if isinstance(error, NotThere):
        return Answer(Sense.ABSENT, message, service=True)
    if isinstance(error, NotOfProtocol):
        return Answer(Sense.AWAY, message)
    if isinstance(error, (ftplib.Error, EOFError)):
        return Answer(Sense.AWAY, message)
    if type(error).__name__ in _NO_CREDENTIALS:
        advice = "give key and secret, or options: {anon: true} for a bucket that is open to all"
        return Answer(Sense.REFUSED, f"{message.rstrip('.')}; {advice}", whole=True)
    if isinstance(error, RecursionError):  # botocore goes round in circles where a redirect names no region
        return Answer(Sense.REFUSED, "it redirects without end: correct endpoint or region", whole=True)
    # Libraries that share no base class.
    if type(error).__module__.split(".")[0] in _LIBRARIES:
        return Answer(Sense.AWAY, message)
    if isinstance(error, FileNotFoundError):
        return Answer(Sense.ABSENT, message)
    if isinstance(error, OSError):
        refused = isinstance(error, PermissionError) or error.errno in _REFUSALS
        return Answer(Sense.REFUSED, error.strerror or message) if refused else Answer(Sense.AWAY, message)
    return None
