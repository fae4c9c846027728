"""``python -m cluster.health URL``: ends with 0 when the address answers; for containers without curl."""

import sys
import urllib.request
from contextlib import closing

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Ask once."""
    (url,) = sys.argv[1:] if argv is None else argv
    try:
        with closing(urllib.request.urlopen(url, timeout=5)) as answer:  # noqa: S310 (our own services)
            return 0 if answer.status == 200 else 1
    except OSError as error:
        print(f"{url}: {error}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
