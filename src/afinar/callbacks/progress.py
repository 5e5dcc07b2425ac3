"""Progress bars on a terminal, silence everywhere else."""

from __future__ import annotations

import logging
import os
import warnings

from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.callbacks.progress.rich_progress import RichProgressBarTheme

from afinar.console import err
from afinar.data.labels import UnseenLabelWarning

# Small data sets need no loader processes, short epochs no log line a step: what libraries warn of here are choices.
_CHOICES = (
    r".*does not have many workers.*",
    r".*is smaller than the logging interval.*",
    r".*Checkpoint directory .* exists.*",
    r".*treespec, LeafSpec.*",
    # Frozen layers, as the run's notes say.
    r".*module\(s\) in eval mode at the start of training.*",
    # What a search gave up may be trained to its end outside of it.
    r".*callbacks used to create the checkpoint need to be provided.*\['Pruning'\].*",
)


def on_terminal() -> bool:
    """Whether a person watches: what is said along the way goes to a terminal."""
    return err.file.isatty()


def progress_bar() -> Callback | None:
    """Return Lightning's rich progress bar on a terminal, None elsewhere."""
    if not on_terminal():
        return None
    return RichProgressBar(leave=False, theme=RichProgressBarTheme(metrics_format=".4f"))


def quiet_libraries() -> None:
    """Let libraries speak only of problems, and draw bars only on a terminal."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("WANDB_SILENT", "true")
    for name in ("pytorch_lightning", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Data modules say the same in their notes, which the commands print.
    warnings.filterwarnings("ignore", category=UnseenLabelWarning)
    for message in _CHOICES:
        warnings.filterwarnings("ignore", message=message)
    import datasets
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if not on_terminal():
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        datasets.disable_progress_bars()
