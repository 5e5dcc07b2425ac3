"""What the launchers of other packages raise, in one line."""

from __future__ import annotations

import re

from afinar.commands.extras import install
from afinar.errors import first_line

LAUNCHERS = ("joblib", "submitit", "ray")
"""The packages that run jobs; each is an extra of its own name."""


def explain_launcher(error: Exception) -> str | None:
    """Return what is wrong with a launcher, or with a process of its; None where the error is about something else."""
    if found := re.search(rf"Unknown plugin class : 'hydra_plugins\.hydra_({'|'.join(LAUNCHERS)})_launcher\.", str(error)):
        return f"this launcher needs a package that is not installed: {install(found[1])}"
    if 'Could not detect "srun"' in str(error):
        return "hydra/launcher=submitit_slurm: there is no srun here; start this on a machine of the SLURM cluster"
    if type(error).__module__.partition(".")[0] in LAUNCHERS:
        return f"a process ended before its job did ({first_line(error)}): start the same command again, what is done stays done"
    return None
