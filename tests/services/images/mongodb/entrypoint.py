"""Starts the server as mongo's image does: makes the root user at first, then asks for passwords."""

import os
import subprocess
import time

from pymongo import MongoClient
from pymongo.errors import PyMongoError

_SERVER = ["/opt/mongo/bin/secantusd-py", "--standalone", "--sync-on-commit", "--storage-path", "/data/db/wt"]
_MARK = "/data/db/initialised"


def _make_user() -> None:
    """Make the root user, on a server that only we can reach."""
    server = subprocess.Popen([*_SERVER, "--host", "127.0.0.1", "--port", "27018"])
    try:
        for _ in range(100):
            try:
                client: MongoClient[dict[str, object]] = MongoClient(
                    "mongodb://127.0.0.1:27018/", serverSelectionTimeoutMS=500
                )
                client.admin.command(
                    "createUser",
                    os.environ["MONGO_INITDB_ROOT_USERNAME"],
                    pwd=os.environ["MONGO_INITDB_ROOT_PASSWORD"],
                    roles=["root"],
                )
                break
            except PyMongoError as error:
                print(error, flush=True)
                time.sleep(0.3)
        else:
            raise SystemExit("the root user could not be made")
    finally:
        server.terminate()
        server.wait()
    open(_MARK, "w").close()  # noqa: PTH123


if not os.path.exists(_MARK):  # noqa: PTH110
    _make_user()
os.execv(_SERVER[0], [*_SERVER, "--auth", "--host", "0.0.0.0", "--port", "27017"])
