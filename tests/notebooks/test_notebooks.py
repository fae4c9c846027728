"""Every notebook runs from a clean kernel on the demonstration's data, and is stored without outputs."""

import os
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="no nbclient here (pip install nbclient ipykernel)")
nbformat = pytest.importorskip("nbformat")

_NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
_KEPT = os.environ.get("COVIS_NOTEBOOKS_OUT")


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder in which all notebooks work: the first makes the archive, the others find it."""
    return tmp_path_factory.mktemp("desk")


@pytest.mark.timeout(280)
@pytest.mark.filterwarnings("default")  # what the kernel's own machinery warns of is not ours
@pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells of the notebook run, from the first to the last, in a kernel of its own."""
    monkeypatch.setenv("DASK_CONFIG", str(desk / "config"))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(desk)}}
    ).execute()
    if _KEPT:
        Path(_KEPT).mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, Path(_KEPT) / path.name)


@pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_clean(path: Path) -> None:
    """No outputs, no counters: a change of a notebook shows what changed."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
