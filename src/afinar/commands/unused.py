"""Settings that would change nothing: better refused than thought to have been compared."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from omegaconf import DictConfig, OmegaConf

from afinar.conf import conf_folder
from afinar.errors import ConfigError

SHARED = ("pairing", "pooling", "loss", "decoding", "alignment", "sampling", "augmentation", "lexicon", "mixing", "weighting")
"""Groups that others refer to: a head its pairing, pooling, loss and decoding, the data their pairing, alignment, sampling, augmentation
and mixing, an augmentation its lexicon, and several tasks their weighting."""


def check_used(config: DictConfig, overrides: Sequence[str], swept: Collection[str] = ()) -> None:
    """Refuse an override of a group that nothing in the configuration refers to.

    Where a sweep goes over the options of a group, what it sets for all of its jobs need not be used by each: ``augmentation=none,eda
    lexicon=en``.

    Args:
        config: as composed, references unresolved.
        overrides: the words of one job.
        swept: the keys that a sweep varies.

    Raises:
        ConfigError: naming the group.
    """
    over_options = any((conf_folder() / key.partition("@")[0]).is_dir() for key in swept)
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        group = key.partition(".")[0]
        if over_options and key not in swept:
            continue
        if group == "word_vectors" and config.model.get(group) is None:
            raise ConfigError(f"{override} has no effect without a file of word vectors: add model.word_vectors=FILE, or leave it out")
        if group in SHARED and not _is_referred_to(group, config):
            raise ConfigError(f"{override} has no effect: neither the head nor the data of this task use the {group}; leave it out")


def _is_referred_to(group: str, config: DictConfig) -> bool:
    others = OmegaConf.to_yaml(OmegaConf.masked_copy(config, [str(key) for key in config if key != group]), resolve=False)
    return any(f"${{{group}{end}" in others for end in "}.")
