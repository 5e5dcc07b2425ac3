"""``afinar augment``: training examples and their augmented copies, as a run would train on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from afinar.commands.composition import compose
from afinar.commands.options import own_options, wants_help
from afinar.console import out, say
from afinar.errors import ConfigError, UserError

HELP = """Show training examples and their augmented copies, as `afinar train` would train on them with the same words.

usage: afinar augment augmentation=OPTION [group=option] [key=value] ... [n=5]

  n=5                   how many examples to show
  --config-dir FOLDER   options of your own, as for `afinar train`

    afinar augment data=csv data.train=train.csv augmentation=eda augmentation.copies=3 lexicon=en"""


def main(words: Sequence[str]) -> int:
    """Print some examples, each followed by its copies."""
    if wants_help(words):
        print(HELP)
        return 0
    options, others = own_options(words, {"n": "5"})
    examples = str(options["n"])
    if not (examples.isdigit() and int(examples)):
        raise UserError(f"n={examples}: give the number of examples to show, from 1")
    config = compose(others)
    # Heavy libraries load here, so that the help page and a mistyped key answer at once.
    from afinar.experiment import create
    from afinar.pretrained import resolve_model

    config.model.name = resolve_model(str(config.model.name))
    datamodule: Any = create(config.data, "data")
    if getattr(datamodule, "augmentation", None) is None:
        raise ConfigError("there is nothing to show: add augmentation=OPTION, e.g. augmentation=eda (pre-training has none)")
    datamodule.prepare_data()
    datamodule.examples("train")
    for note in datamodule.notes():
        say(f"  {note}")
    for line in lines(datamodule, int(examples)):
        out.print(line, markup=False)
    return 0


def lines(datamodule: Any, examples: int) -> Iterator[str]:
    """Yield the first examples of the training split, each with its copies below it; of a copy, what differs alone."""
    copies: dict[int, list[int]] = {}
    for row, origin in enumerate(datamodule.origins.tolist()):
        copies.setdefault(origin, []).append(row)
    for own, *others in list(copies.values())[:examples]:
        original = _fields(datamodule.example("train", own))
        yield from (f"  {name}: {text}" for name, text in original.items())
        for row in others:
            changed = {name: text for name, text in _fields(datamodule.example("train", row)).items() if text != original.get(name)}
            yield from (f"+ {name}: {text}" for name, text in changed.items())
        yield ""


def _fields(example: Mapping[str, Any]) -> dict[str, str]:
    """Return what an example says, as text; words together with their tags."""
    if "tags" in example:
        return {"words": " ".join(f"{word}/{tag}" for word, tag in zip(example["tokens"], example["tags"], strict=True))}
    return {name: ", ".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in example.items()}
