"""What `model.name` may be besides a hub name or a folder: the project's own tiny model, the same without weights, a run to go on from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from afinar.conf import conf_folder
from afinar.data.cache import cache_root
from afinar.data.demo import generate
from afinar.data.vocabulary import save_tokenizer, train_wordpiece
from afinar.errors import ConfigError, UserError
from afinar.experiment import ForeignTargetError
from afinar.exporting import export
from afinar.run_folder import RunFolder, find_runs
from afinar.stored import load_run

TINY = "tiny"
BLANK = "blank/"
TINY_EXPERIMENT = "tiny_pretraining"

TINY_CONFIG = {
    "model_type": "bert",
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "initializer_range": 0.06,
}
TINY_VOCABULARY = 2000


def resolve_model(name: str) -> str:
    """Return the hub name or folder that `name` stands for.

    ``tiny`` is pre-trained on first use and kept in the cache; ``blank/N`` is the same network without weights, with a vocabulary of at
    most N pieces, to pre-train from (``model.weights=random``); a run folder stands for its best model, so that one can pre-train on one's
    own text and fine-tune from that run.

    Raises:
        ConfigError: ``blank/`` is followed by no number, or by too small a one.
    """
    if name == TINY:
        return str(tiny_folder())
    if name.startswith(BLANK):
        return str(blank_folder(name.removeprefix(BLANK)))
    run = RunFolder(Path(name).expanduser())
    return str(_model_of(run)) if run.exists else name


def _model_of(run: RunFolder) -> Path:
    """Return the exported model of a run, exported anew where its checkpoint is newer."""
    folder = run.path / "model"
    checkpoint = run.best if run.best.is_file() else run.last
    if not (folder / "config.json").is_file() or checkpoint.stat().st_mtime > folder.stat().st_mtime:
        try:
            stored = load_run(run, checkpoint="best" if checkpoint == run.best else "last")
        except ForeignTargetError as error:
            raise ConfigError(f"model.name={run}: {error}, to `afinar export run={run} to=FOLDER`, and set model.name=FOLDER") from error
        export(stored, folder)
    return folder


# The tiny model


def tiny_folder() -> Path:
    """Return the folder of the tiny model; build it where this version of the project has not done so yet.

    Several processes may ask at once: one builds while the others wait.

    Raises:
        UserError: if the pre-training fails.
    """
    return _kept(TINY, _build_tiny)


def blank_folder(size: str) -> Path:
    """Return the folder of the tiny model without weights, with a vocabulary of at most `size` pieces.

    Raises:
        ConfigError: `size` is no number, or too small for the alphabet.
    """
    if not size.isdecimal():
        raise ConfigError(f"model.name={BLANK}{size}: say how many pieces its vocabulary may have, as in {BLANK}{TINY_VOCABULARY}")
    return _kept(f"blank-{size}", partial(_build_blank, size=int(size)))


def _kept(name: str, build: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; build it where it is absent."""
    folder = cache_root() / "models" / f"{name}-{tiny_key()}"
    if (folder / "config.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "config.json").is_file():
            build(folder)
    return folder


def _build_blank(folder: Path, size: int) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".blank-") as temporary:
        write_blank(Path(temporary) / "model", size)
        shutil.move(Path(temporary) / "model", folder)


def tiny_key() -> str:
    """Return a key of all that decides the tiny model: its recipe, the text's grammar, the code that trains it, the libraries."""
    package = Path(__file__).parent
    sources = [conf_folder() / "experiment" / f"{TINY_EXPERIMENT}.yaml", package / "pretrained.py"]
    sources += sorted((package / "data" / "demo").glob("*.py"))
    sources += [package / "data" / f"{name}.py" for name in ("masked_lm", "masking", "packing", "vocabulary")]
    digest = hashlib.sha256()
    for file in sources:
        digest.update(file.name.encode() + file.read_bytes())
    for library in ("torch", "transformers", "tokenizers"):
        digest.update(version(library).encode())
    return digest.hexdigest()[:12]


def _build_tiny(folder: Path) -> None:
    """Pre-train in a process of its own: its seeds, loggers and Hydra's global state stay apart from the run that waits for it."""
    sys.stderr.write("The tiny model is not in the cache yet: pre-training it once, which takes about a minute or two.\n")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{TINY}-") as temporary:
        blank, output = Path(temporary) / "blank", Path(temporary) / "runs"
        write_blank(blank)
        command = [sys.executable, "-m", "afinar", "train", f"experiment={TINY_EXPERIMENT}", f"model.name={blank}", f"output={output}"]
        done = subprocess.run(command, check=False, env={**os.environ, "HYDRA_FULL_ERROR": "0"}, stdout=subprocess.DEVNULL)
        run = next(find_runs(output), None)
        if done.returncode or run is None:
            raise UserError("the tiny model could not be pre-trained (see above); name another one with model.name=FOLDER")
        model = Path(temporary) / "model"
        export(load_run(run, checkpoint="last"), model)
        _restore_dropout(model / "config.json")
        shutil.copy(run.path / "metrics.json", model / "pretraining_metrics.json")
        shutil.move(model, folder)


def _restore_dropout(file: Path) -> None:
    """Pre-training ran without dropout; fine-tuning starts from BERT's usual one."""
    config = {**json.loads(file.read_text(encoding="utf-8")), "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def write_blank(folder: Path, size: int = TINY_VOCABULARY) -> None:
    """Write the tiny model without weights: a network configuration, and a tokenizer of at most `size` pieces trained on the demo text."""
    documents = generate("text", "train", size=6000, seed=0)
    tokens = train_wordpiece((sentence for row in documents for sentence in row["sentences"]), size=size)
    save_tokenizer(tokens, folder, max_length=TINY_CONFIG["max_position_embeddings"])  # type: ignore[arg-type]
    (folder / "config.json").write_text(json.dumps({**TINY_CONFIG, "vocab_size": len(tokens)}, indent=2) + "\n", encoding="utf-8")
