"""``python -m tests.faces``: make the snapshots anew; what has changed in them is for the same commit."""

import shutil
import tempfile
from pathlib import Path

from tests.faces._documents import batch_documents
from tests.faces._helps import helps
from tests.faces._products import CASES, made, product
from tests.faces._snapshot import FOLDER, write
from tests.faces._tables import tables

if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    for words, text in helps().items():
        write(f"help/{words}.txt", text)
    for name, table in tables().items():
        write(name, table)
    with tempfile.TemporaryDirectory(prefix="covis-faces-") as folder:
        for name, document in batch_documents(Path(folder) / "batch").items():
            write(f"documents/{name}", document)
        for mode, profile in CASES:
            write(f"products/{mode}-{profile}.json", product(made(mode, profile, Path(folder))))
