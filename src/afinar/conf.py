"""Where the shipped configuration groups lie."""

from __future__ import annotations

from pathlib import Path

from afinar.errors import ConfigError

ABLATIONS = "ablation"
"""The folder there that holds no group but the ablations."""


def conf_folder() -> Path:
    """Return the folder of configuration groups: inside an installed package, or at the root of a checkout.

    Raises:
        ConfigError: if neither is there.
    """
    package = Path(__file__).parent
    for folder in (package / "conf", package.parent.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(f"the configuration groups are missing beside {package}: install afinar again")
