"""The committed baseline: what CI holds every change to."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_extractive_answerer_passes_against_its_baseline():
    """`rag eval` as a person types it; a change that moves answers on purpose is blessed with a reason."""
    done = subprocess.run([sys.executable, "-m", "rag", "eval"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
