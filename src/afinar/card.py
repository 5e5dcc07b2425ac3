"""The model card of an exported folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from afinar.stored import StoredRun
from afinar.types import TaskSpec


def model_card(stored: StoredRun, loader: str, to: Path, tensors: Mapping[str, Sequence[int]]) -> str:
    """Return Markdown with what the model is, how to load it, its scores and its whole configuration.

    Args:
        loader: what loads the folder.
        to: the folder, as the user named it.
        tensors: by name, the shapes of the head's weights that lie beside the model.
    """
    run, config = stored.run, stored.config
    specs = run.specs
    source = run.status.get("backbone", {}).get("name", config.model.name)
    lines = [
        "---",
        "library_name: transformers",
        "tags: [afinar]",
        "---",
        "",
        f"# {to.name}",
        "",
        f"Fine-tuned with afinar from `{source}`.",
        "",
        "## Use",
        "",
        f"    {loader}",
        "",
    ]
    if tensors:
        lines += ["`heads.safetensors` holds what transformers' classes have no place for:", ""]
        lines += [f"- `{name}` {list(shape)}" for name, shape in tensors.items()]
        lines += [""]
    for head, spec in specs.items():
        if spec.labels:
            kind = "several labels a text" if spec.labels.multi_label else "one label a word" if spec.alignment else "one label a text"
            lines += [f"## Labels of `{head}`", "", f"{kind.capitalize()}: {', '.join(f'`{name}`' for name in spec.labels.names)}", ""]
            lines += _on_words(spec, config) if spec.alignment else []
    lines += ["## Scores", ""]
    splits = [split for split in ("validation", "test") if split in run.metrics]
    if splits:
        names = sorted({name for split in splits for name in run.metrics[split]})
        lines += ["| metric | " + " | ".join(splits) + " |", "|---|" + "---|" * len(splits)]
        for name in names:
            values = [run.metrics[split].get(name) for split in splits]
            lines.append(f"| {name} | " + " | ".join("" if value is None else f"{value:.4f}" for value in values) + " |")
    lines += ["", "## Configuration", "", "```yaml", OmegaConf.to_yaml(OmegaConf.masked_copy(config, _shown(config))).rstrip(), "```", ""]
    versions = run.status.get("versions", {})
    lines += ["## Versions", "", ", ".join(f"{name} {version}" for name, version in versions.items()), ""]
    return "\n".join(lines)


def _on_words(spec: TaskSpec, config: DictConfig) -> list[str]:
    """Say how words are labelled: plain transformers gives scores of pieces alone."""
    decoding = str(config.decoding.get("_target_", "")).rpartition(".")[2].lower()
    scheme = f"The tags spell entities by the scheme {spec.scheme}. " if spec.scheme else ""
    return [
        f"{scheme}A word's label is read at its first piece. `afinar.load` does that for a text or for a list of words, reads long texts "
        f"in windows, and decides on whole sentences (decoding: {decoding}); transformers' own class gives the scores of every piece.",
        "",
    ]


def _shown(config: object) -> list[str]:
    hidden = {"logger", "output", "resume", "sweep", "name"}
    return [str(key) for key in config if str(key) not in hidden]  # type: ignore[attr-defined]
