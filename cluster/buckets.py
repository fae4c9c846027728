"""``python -m cluster.buckets NAME ...``: make buckets on the S3 server of the configured product store."""

import sys
from dataclasses import replace

from covis_dask.config import load_settings
from covis_dask.errors import CovisError
from covis_dask.storage import open_location, storage_errors

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Make those that are not there."""
    names = sys.argv[1:] if argv is None else argv
    try:
        products = load_settings().products
        for name in names:
            fs, root = open_location(replace(products, url=f"s3://{name}"))
            with storage_errors(f"making the bucket {name}"):
                if not fs.exists(root):
                    fs.mkdir(root)
            print(f"bucket {name} is there")  # noqa: T201
    except CovisError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
