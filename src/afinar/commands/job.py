"""One training run, from a composed configuration to a finished run folder."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from afinar.analysis.reports import write_reports
from afinar.callbacks.wandb import WandbTracker
from afinar.checkpoints import read_checkpoint
from afinar.commands.symmetry import look_again, write_symmetry
from afinar.console import err, say, table
from afinar.demo_vectors import resolve_word_vectors
from afinar.errors import ConfigError, nearest
from afinar.experiment import Experiment, build
from afinar.metrics.names import is_overall
from afinar.pretrained import resolve_model
from afinar.run_folder import RunFolder, write_jsonl


def train(config: DictConfig, run: RunFolder) -> None:
    """Train, score the best checkpoint on validation and (once) on test, and write everything to the run folder.

    A trial that is given up is not scored: its status says after how much.

    Raises:
        UserError: whatever a person can put right.
    """
    config.model.name = resolve_model(str(config.model.name))
    config.model.word_vectors = resolve_word_vectors(config.model.word_vectors)
    experiment = build(config, run)
    exit_code = 1
    try:
        with _interruptible(experiment.trainer):
            _announce(experiment, config, run)
            _fit(experiment, config, run)
            if experiment.pruning and (reason := experiment.pruning.reason):
                run.update_status(pruned=reason)
            else:
                _score(experiment, config, run)
        exit_code = 0
    finally:
        for logger in experiment.trainer.loggers:
            if isinstance(logger, WandbTracker):
                logger.close(exit_code)


@contextmanager
def _interruptible(trainer: pl.Trainer) -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt: Lightning makes it a SystemExit, and has any later one ignored."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as leaving:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from leaving


def _announce(experiment: Experiment, config: DictConfig, run: RunFolder) -> None:
    """Record what is about to run, and say it."""
    module, datamodule = experiment.module, experiment.datamodule
    run.write_specs(datamodule.specs)
    module.backbone.config.save_pretrained(run.backbone)
    datamodule.tokenizer.save_pretrained(run.backbone)
    run.update_status(
        device=str(experiment.trainer.strategy.root_device), backbone=module.backbone.source(), examples=datamodule.sizes().get("train")
    )
    say(f"run: {run}")
    for note in experiment.notes:
        say(f"  {note}")
    if findings := [finding for split in datamodule.sizes() for finding in datamodule.findings(split)]:
        write_jsonl(run.findings, findings)
        say(f"  what was wrong with gold answers is listed in {run.findings}")
    for logger in experiment.trainer.loggers:
        if isinstance(logger, WandbTracker):
            say(f"  {logger.privacy()}")
        # What leaves the machine is said before it does.
        logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    if experiment.plan is not None:
        trained, frozen = module.parameter_counts()
        weights = ("parameters", f"{trained + frozen:,}: {trained:,} train, {frozen:,} are frozen")
        table(None, ("planned", ""), [*experiment.plan.table(), weights], console=err)


def _fit(experiment: Experiment, config: DictConfig, run: RunFolder) -> None:
    trainer, module, plan = experiment.trainer, experiment.module, experiment.plan
    resume = run.last if config.resume and run.last.is_file() else None
    run.update_status(resumed=resume is not None)
    if resume:
        module.check_fits(read_checkpoint(resume))
        say(f"  resuming from {resume}")
    elif config.resume and not config.sweep:
        say("  there is no last checkpoint to resume from: starting anew")
    try:
        trainer.fit(module, datamodule=experiment.datamodule, ckpt_path=resume, weights_only=True)
    except MisconfigurationException as error:
        raise ConfigError(_misconfigured(error, config, trainer.callback_metrics)) from error
    if report := trainer.profiler.summary():  # type: ignore[attr-defined]  # Lightning sets it from afar
        say(report.strip())
    trained, frozen = module.parameter_counts()
    train: dict[str, Any] = {
        **experiment.throughput.summary(),
        "steps": trainer.global_step,
        "planned_steps": plan.total_steps if plan else None,
        "parameters": trained + frozen,
        "trainable_parameters": trained,
        "frozen_parameters": frozen,
    }
    if experiment.throughput.went_on or "train" not in run.metrics:  # a run that was only left to be scored has its figures
        run.update_metrics(train=train)
    if plan and (line := plan.check(trainer.global_step, trainer.current_epoch, stopped_early=trainer.should_stop)):
        say(f"  {line}")


def _misconfigured(error: Exception, config: DictConfig, measured: Iterable[str]) -> str:
    """Return what Lightning found wrong; where it misses a metric, with the nearest name."""
    names = [name.removeprefix("validation/") for name in measured if name.startswith("validation/")]
    if names and config.monitor not in names:
        return f"monitor={config.monitor}: validation has no such metric.{nearest(config.monitor, names)} There are: {', '.join(names)}"
    return str(error)


def _score(experiment: Experiment, config: DictConfig, run: RunFolder) -> None:
    """Selection is on validation; the test set is scored once, with the model that was selected."""
    trainer, module, datamodule = experiment.trainer, experiment.module, experiment.datamodule
    best = run.best if run.best.is_file() and not config.trainer.fast_dev_run else None
    with _unlogged(trainer):
        results = {"validation": trainer.validate(module, datamodule=datamodule, ckpt_path=best, verbose=False, weights_only=True)}
    symmetry = {"validation": _track(experiment, "validation", run)}
    if datamodule.has_split("test"):
        results["test"] = trainer.test(module, datamodule=datamodule, ckpt_path=best, verbose=False, weights_only=True)
        symmetry["test"] = _track(experiment, "test", run)
    for note in datamodule.notes():
        if note not in experiment.notes:
            say(f"  {note}")
    sections = {split: {**_without_prefix(found[0], split), **symmetry[split]} for split, found in results.items()}
    run.update_metrics(**sections)
    for logger in trainer.loggers:
        if isinstance(logger, WandbTracker):
            for section, figures in {**sections, "train": run.metrics["train"]}.items():
                logger.log_summary(section, figures)
    _show(sections, experiment, run)


@contextmanager
def _unlogged(trainer: pl.Trainer) -> Iterator[None]:
    """Keep the selected model's scores, logged in its epoch, from being logged again as those of an epoch after the last."""
    loggers, trainer.loggers = trainer.loggers, []
    try:
        yield
    finally:
        trainer.loggers = loggers


def _without_prefix(metrics: Mapping[str, float], split: str) -> dict[str, float]:
    return {name.removeprefix(f"{split}/"): float(value) for name, value in metrics.items() if name.startswith(f"{split}/")}


def _track(experiment: Experiment, split: str, run: RunFolder) -> dict[str, float]:
    """Write the reports on a split, send them, the confusion matrices and the predictions to W&B, and return the scores of symmetry."""
    datamodule, module = experiment.datamodule, experiment.module
    records = experiment.predictions.rows.get(split, [])
    reports = write_reports(run, datamodule.specs, split, records)
    symmetry = look_again(experiment.trainer, datamodule, module, split, records) if records else None
    for logger in experiment.trainer.loggers:
        if not isinstance(logger, WandbTracker):
            continue
        logger.log_predictions(split, records, texts=datamodule.text_columns)
        for head in module.objectives:
            section = split if len(module.objectives) == 1 else f"{split}/{head}"
            if head in reports:
                logger.log_errors(section, *reports[head].table(texts=logger.shows_text))
            if (confusion := module.objective(head).confusion()) is not None:
                logger.log_confusion(section, *confusion)
    if symmetry is None:
        return {}
    write_symmetry(run, split, symmetry)
    return symmetry.scores()


def _show(sections: dict[str, dict[str, float]], experiment: Experiment, run: RunFolder) -> None:
    names = [name for name in sections["validation"] if is_overall(name, experiment.datamodule.specs)]
    rows = [(name, *(f"{metrics[name]:.4f}" if name in metrics else "" for metrics in sections.values())) for name in names]
    table(None, ("metric", *sections), rows)
    summary = experiment.throughput.summary()
    say(f"  {summary['seconds']:.1f} s of training, {summary['samples_per_second']:.0f} examples/s, {summary['pad_waste']:.1%} padding")
    say(f"  {run}")
