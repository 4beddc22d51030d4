"""Every benchmark is in docs/benchmarks.md, and ends with what can be compared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPTS = [
    path for path in sorted((HERE / "benchmarks").glob("[!_]*.py")) if '__name__ == "__main__"' in path.read_text()
]
PAGE = (HERE.parent / "docs" / "benchmarks.md").read_text()


def test_there_are_some():
    assert {"loop", "page_latency"} <= {path.stem for path in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_is_documented_and_prints_its_figures(script):
    assert f"`{script.stem}`" in PAGE
    text = script.read_text()
    assert f'"benchmark": "{script.stem}"' in text
    assert '"figures"' in text
    assert '"conditions"' in text


@pytest.mark.process
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_finds_what_it_imports(script):
    """As a script: beside `queue.py`, which Python's own libraries must not take for theirs."""
    start = f"import runpy, sys; sys.path[0] = {str(script.parent)!r}; runpy.run_path({str(script)!r})"
    done = subprocess.run(
        [sys.executable, "-c", start],
        cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
