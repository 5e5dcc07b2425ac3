"""The model card of an exported folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from afinar.metrics.names import split_name
from afinar.run_folder import NOT_IDENTITY
from afinar.stored import StoredRun
from afinar.types import TaskSpec


def model_card(stored: StoredRun, loader: str, to: Path, tensors: Mapping[str, Sequence[int]], whole: bool) -> str:
    """Return Markdown with what the model is, how to load it, its scores and its whole configuration.

    Args:
        loader: what loads the folder.
        to: the folder, as the user named it.
        tensors: by name, the shapes of the head's weights that lie beside the model.
        whole: whether one of transformers' own classes holds the model with its head.
    """
    run, config = stored.run, stored.config
    specs = stored.datamodule.specs
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
        lines += _predicted(head, spec, stored.module.objective(head).head)
        if spec.answers and whole:
            lines += [
                "Transformers has no pipeline for questions any more. `afinar.load` saves these lines:",
                "",
                *_without_afinar(to, stored.module.objective(head).head),
                "",
            ]
    lines += ["## Scores", ""]
    scores = {split: _scores(run.metrics[split], run.specs, specs) for split in ("validation", "test") if split in run.metrics}
    if scores:
        names = sorted({name for found in scores.values() for name in found})
        lines += ["| metric | " + " | ".join(scores) + " |", "|---|" + "---|" * len(scores)]
        for name in names:
            values = [found.get(name) for found in scores.values()]
            lines.append(f"| {name} | " + " | ".join("" if value is None else f"{value:.4f}" for value in values) + " |")
    lines += ["", "## Configuration", "", "```yaml", OmegaConf.to_yaml(OmegaConf.masked_copy(config, _shown(config))).rstrip(), "```", ""]
    versions = run.status.get("versions", {})
    lines += ["## Versions", "", ", ".join(f"{name} {version}" for name, version in versions.items()), ""]
    return "\n".join(lines)


def _scores(metrics: Mapping[str, Any], trained: Collection[str], shown: Collection[str]) -> dict[str, Any]:
    """Return the scores of the heads that are shown, of those that were trained, by their own names where it is but one."""
    if len(shown) == len(trained):
        return dict(metrics)
    found = {name: (split_name(name, trained), value) for name, value in metrics.items()}
    single = len(shown) == 1
    return {score if single else name: value for name, ((head, score), value) in found.items() if head in shown}


def _predicted(name: str, spec: TaskSpec, head: Any) -> list[str]:
    """Say what a head predicts, and of what."""
    read = {
        "pair_classification": "two texts",
        "pair_regression": "two texts",
    }.get(spec.kind, "a text")
    apart = " They are encoded apart from each other." if spec.sides > 1 else ""
    if spec.labels:
        kind = (
            f"several labels for {read}" if spec.labels.multi_label else "one label a word" if spec.alignment else f"one label for {read}"
        )
        names = ", ".join(f"`{name}`" for name in spec.labels.names)
        return [
            f"## Labels of `{name}`",
            "",
            f"{kind.capitalize()}: {names}.{apart}",
            "",
            *(_on_words(spec, head) if spec.alignment else []),
        ]
    if spec.targets:
        names = ", ".join(f"`{name}`" for name in spec.targets.names)
        return [f"## Numbers of `{name}`", "", f"For {read}, in the units of the data: {names}.{apart}", ""]
    if spec.answers:
        none = "or nothing where the text does not answer it" if spec.answers.unanswerable else "always one"
        return [f"## Answers of `{name}`", "", f"The part of a text that answers a question; {none}.", ""]
    return []


def _on_words(spec: TaskSpec, head: Any) -> list[str]:
    """Say how words are labelled: plain transformers gives scores of pieces alone."""
    decoding = type(head.decoding).__name__.lower()
    scheme = f"The tags spell entities by the scheme {spec.scheme}. " if spec.scheme else ""
    return [
        f"{scheme}A word's label is read at its first piece. `afinar.load` does that for a text or for a list of words, reads long texts "
        f"in windows, and decides on whole sentences (decoding: {decoding}); transformers' own class gives the scores of every piece.",
        "",
    ]


def _without_afinar(folder: Path, head: Any) -> list[str]:
    """Return Python that answers a question as a head does (`BestSpans`), where question and context fit into one input."""
    rule = head.rule()
    nothing = _NOTHING.format(threshold=float(rule["null_threshold"])) if rule else ""
    return _ANSWER.format(folder=folder, longest=head.decoding.max_answer_length, nothing=nothing).splitlines()


_ANSWER = """\
```python
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{folder}")
model = AutoModelForQuestionAnswering.from_pretrained("{folder}")


def answer(question: str, context: str, longest: int = {longest}) -> str:
    inputs = tokenizer(question, context, truncation="only_second", return_offsets_mapping=True, return_tensors="pt")
    offsets = inputs.pop("offset_mapping")[0]
    with torch.no_grad():
        output = model(**inputs)
    scores = output.start_logits[0][:, None] + output.end_logits[0]
    inside = torch.tensor([owner == 1 for owner in inputs.sequence_ids(0)])
    spans = (inside[:, None] & inside).triu().tril(longest - 1)
    start, end = divmod(int(scores.masked_fill(~spans, float("-inf")).argmax()), len(inside))
{nothing}    return context[offsets[start][0] : offsets[end][1]].strip()
```"""
_NOTHING = """\
    if scores[0, 0] - scores[start, end] > {threshold}:  # [CLS], the first piece, stands for no answer
        return ""
"""


def _shown(config: object) -> list[str]:
    return [str(key) for key in config if str(key) not in NOT_IDENTITY]  # type: ignore[attr-defined]
