"""Scoring the model of a finished run."""

from __future__ import annotations

from collections.abc import Sequence

from afinar.analysis.symmetry import Symmetry
from afinar.callbacks.predictions import PredictionWriter
from afinar.commands.symmetry import look_again
from afinar.errors import UserError
from afinar.experiment import build_evaluator
from afinar.run_folder import RunFolder, State
from afinar.stored import StoredRun, load_run


def score(stored: StoredRun, split: str, writer: PredictionWriter) -> tuple[dict[str, float], Symmetry | None]:
    """Score a model on a split and return its metrics, and, of pairs whose relation has no direction, how they fare turned round.

    Args:
        split: ``"validation"`` or ``"test"``.
        writer: gets the predictions.

    Raises:
        UserError: the run has no such data.
    """
    datamodule = stored.datamodule
    trainer = build_evaluator(stored.config, stored.run, [writer])
    datamodule.prepare_data()
    datamodule.setup("validate" if split == "validation" else "test")
    if not datamodule.has_split(split):
        raise UserError(f"the run has no {split} data: name some with data.{split}=FILE")
    method = trainer.validate if split == "validation" else trainer.test
    found = method(stored.module, datamodule=datamodule, verbose=False)[0]
    metrics = {name.removeprefix(f"{split}/"): float(value) for name, value in found.items()}
    symmetry = look_again(trainer, datamodule, stored.module, split, writer.rows[split])
    return metrics | (symmetry.scores() if symmetry else {}), symmetry


def evaluate_anew(run: RunFolder, overrides: Sequence[str]) -> RunFolder:
    """Score a finished run's model under other settings, on the splits that it was scored on, and return where the results lie.

    The run's own results stay as they are. What was done with the same training is not done again.

    Raises:
        UserError: for an override that the run cannot take, or a checkpoint that is not there.
    """
    target, trained = run.evaluation(overrides), run.status.get("finished")
    if target.state == State.DONE and target.status.get("of") == trained:
        return target
    stored = load_run(run, overrides)
    for split in ("validation", "test"):  # as after training: what is tuned on validation is used on test
        if split in run.metrics:
            metrics, _ = score(stored, split, PredictionWriter(target, [split]))
            target.update_metrics(**{split: metrics})
    target.write_specs(run.specs)
    facts = {key: run.status[key] for key in ("seed", "versions", "device") if key in run.status}
    target.update_status(**facts, status=State.DONE, of=trained, overrides=list(overrides))
    return target
