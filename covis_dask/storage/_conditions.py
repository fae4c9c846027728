"""Conditional writes to S3: the tag of what was read, and how a server says that a condition failed."""

from dataclasses import dataclass
from typing import Any

from fsspec.asyn import sync

__all__ = ["Tagged", "condition_failed", "get_object"]


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object's bytes, and the tag by which the store knows this version of it."""

    data: bytes
    tag: str


def get_object(fs: Any, path: str) -> Tagged:
    """Read an object and its ETag in one request.

    Parameters
    ----------
    fs : s3fs.S3FileSystem
    path : str
        Bucket and key.
    """
    read: Tagged = sync(fs.loop, _get_object, fs, path)
    return read


async def _get_object(fs: Any, path: str) -> Tagged:
    bucket, key, _ = fs.split_path(path)
    answer = await fs._call_s3("get_object", Bucket=bucket, Key=key)
    try:
        return Tagged(await answer["Body"].read(), answer["ETag"])
    finally:
        answer["Body"].close()


def condition_failed(error: BaseException | None, *, replacing: bool) -> bool:
    """Tell from a server's error that it was the condition that failed: another was first."""
    while error is not None:
        if isinstance(error, FileExistsError):
            return True
        response: Any = getattr(error, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            code = str(response.get("Error", {}).get("Code"))
            if status in (409, 412) or code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
                return True
            return replacing and code in ("NoSuchKey", "404")
        error = error.__cause__
    return False
