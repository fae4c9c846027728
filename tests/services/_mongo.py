"""A server that speaks the MongoDB protocol, as a process of its own on loopback."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import PyMongoError

LENT = "COVIS_TEST_MONGODB_URL"
"""Environment variable that names a server for the tests to use."""

_PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class MongoServer:
    """The test server on a folder of its own; stopped and killed by its process id.

    Parameters
    ----------
    folder : Path
        Data and log; a server started there again finds its data.
    """

    def __init__(self, folder: Path) -> None:
        found = shutil.which("secantusd-py", path=str(Path(sys.executable).parent)) or shutil.which(
            "secantusd-py"
        )
        if found is None:
            pytest.skip("no server that speaks the MongoDB protocol is installed (secantusdb)")
        self._program = found
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"mongodb://127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [
            *(
                self._program,
                "--standalone",
                "--sync-on-commit",
                "--host",
                "127.0.0.1",
                "--port",
                str(self._port),
            ),
            *("--storage-path", str(self._folder / "data")),
        ]
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, cwd=self._folder
            )
        end = time.monotonic() + _PATIENCE
        while not _answers(self.url):
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                pytest.fail(f"the server did not come up:\n{log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in peace; safe to call twice."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(20)
            self._process = None


def drop(client: "pymongo.MongoClient[dict[str, Any]]", database: str) -> None:
    """Leave a server that was lent to us as it was; our own goes away with all its data, and drops slowly."""
    if os.environ.get(LENT):
        client.drop_database(database)


def _answers(url: str) -> bool:
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(url, serverSelectionTimeoutMS=500)
    with client, contextlib.suppress(PyMongoError):
        client.admin.command("ping")
        return True
    return False
