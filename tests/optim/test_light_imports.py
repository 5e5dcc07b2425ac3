from __future__ import annotations

import subprocess
import sys


def test_planning_steps_does_not_import_torch() -> None:
    """A plan or a metric's direction is asked for before anything is trained, and by commands that never train."""
    code = "import sys, afinar.optim.steps, afinar.metrics.direction; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
