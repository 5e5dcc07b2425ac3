"""``afinar COMMAND ...``: dispatches to one file a command."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from afinar import __version__
from afinar.errors import UserError, nearest

COMMANDS = {
    "train": "fine-tune (or pre-train) a model; -m runs a sweep",
    "evaluate": "score a run on a split or on a file",
    "predict": "label new texts with a run",
    "export": "write a run as a folder that plain transformers loads",
    "compare": "put runs side by side",
    "ablate": "test a claim of the documents, and say whether it holds",
    "augment": "show training examples and their augmented copies",
    "sweep-config": "write a sweep as W&B's agents run it",
}

HELP = f"""afinar {__version__}: fine-tune masked language models, and find out which way of fine-tuning works.

usage: afinar COMMAND [group=option] [key=value] ...

{{commands}}

Start here:
  afinar train                                        fine-tune the tiny model on the demo reviews
  afinar train -m optimizer.lr=1e-3,5e-4 seed=0,1     four runs and a comparison
  afinar train data=csv data.train=my.csv model=bertimbau_base
  afinar evaluate run=outputs/.../RUN split=test
  afinar predict run=outputs/.../RUN input=new.csv predictions=labels.jsonl
  afinar export run=outputs/.../RUN to=my_model

`afinar COMMAND --help` tells more about each."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 failed, 2 not understood, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP.format(commands="\n".join(f"  {name:12} {what}" for name, what in COMMANDS.items())))
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"afinar {__version__}")
        return 0
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        _fail(f"there is no command '{command}'.{nearest(command, COMMANDS)} Commands: {', '.join(COMMANDS)}")
        return 2
    try:
        return int(importlib.import_module(f"afinar.commands.{command.replace('-', '_')}").main(rest))
    except UserError as error:
        _fail(str(error))
        return 1
    except KeyboardInterrupt:
        _fail("interrupted")
        return 130
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}; check the path, its permissions and the space left")
        return 1


def _fail(message: str) -> None:
    sys.stderr.write(f"afinar: error: {' '.join(message.split())}\n")


if __name__ == "__main__":
    sys.exit(main())
