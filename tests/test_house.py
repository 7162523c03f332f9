"""The house style, as tests: `pytest` alone says whether everything is in order."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("arguments", ["ruff check --no-cache", "ruff format --check --no-cache", "mypy"])
def test_the_house_is_in_order(arguments):
    done = subprocess.run([sys.executable, "-m", *arguments.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
