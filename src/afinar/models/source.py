"""Where a model's weights come from, and loading them so that whatever goes wrong is one clear line."""

from __future__ import annotations

import contextlib
import logging
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel
from transformers.utils import logging as hf_logging

from afinar.errors import ConfigError
from afinar.network import hub_is_reachable

Weights = Literal["pretrained", "random"]

_WITHOUT_NETWORK = "without network give model.name=FOLDER, a folder with config.json and weights, or use model=tiny"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A hub name or folder, its revision, and whether its weights are used or only its config.

    Attributes:
        name: a name on the Hugging Face hub, or a folder.
        revision: branch, tag or commit on the hub; None for its default branch. Means nothing for a folder.
        weights: ``"pretrained"``, or ``"random"`` for freshly drawn ones (then no weight file is needed).
    """

    name: str
    revision: str | None = None
    weights: Weights = "pretrained"

    def __post_init__(self) -> None:
        if self.weights not in ("pretrained", "random"):
            raise ConfigError(f"model.weights={self.weights!r} is unknown: use 'pretrained' or 'random'.")

    @property
    def is_folder(self) -> bool:
        return Path(self.name).expanduser().is_dir()

    @property
    def location(self) -> str:
        """What `from_pretrained` is given: the folder with `~` expanded, or the hub name."""
        return str(Path(self.name).expanduser()) if self.is_folder else self.name

    def config(self) -> PretrainedConfig:
        """Load the config.

        Raises:
            ConfigError: no such folder, no config.json in it, hub not reachable, unknown architecture.
        """
        self._check_path()
        with self._explained("its config cannot be loaded"):
            config: PretrainedConfig = AutoConfig.from_pretrained(self.location, trust_remote_code=False, **self._hub_options())
        return config

    def load(self, auto_class: Any, config: PretrainedConfig, attention: str | None = None) -> tuple[PreTrainedModel, Missing]:
        """Build `auto_class` from this source in float32, whatever precision the checkpoint has.

        Weights of another shape than the config asks for are drawn anew and reported, as missing ones are.
        New weights come from torch's global generator, which the caller seeds.

        Args:
            auto_class: one of transformers' `AutoModel...` classes.
            config: the config to build from; not changed.
            attention: transformers' `attn_implementation`; None for its default.

        Raises:
            ConfigError: no weights, damaged weights, or no such class for this architecture.
        """
        if type(config) not in auto_class._model_mapping:
            raise ConfigError(f"model.name={self.name}: transformers has no {auto_class.__name__} for model type {config.model_type!r}.")
        options: dict[str, Any] = {"dtype": torch.float32, "trust_remote_code": False}
        if attention is not None:
            options["attn_implementation"] = attention
        with self._explained(f"{auto_class.__name__} cannot be built"), quiet_transformers(progress=not self.is_folder):
            if self.weights == "random":
                return auto_class.from_config(config, **options), Missing()
            model, info = auto_class.from_pretrained(
                self.location,
                config=config,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
                # With peft installed transformers looks for an adapter as well, and would do so on the hub.
                adapter_kwargs={"local_files_only": self._hub_options()["local_files_only"]},
                **self._hub_options(),
            )
        missing = Missing(frozenset(info["missing_keys"]), frozenset(key for key, *_ in info["mismatched_keys"]))
        if missing.drawn:
            _log.info("%s: drawn anew, not in the weights of %s: %s", type(model).__name__, self.name, ", ".join(sorted(missing.drawn)))
        return model, missing

    def commit(self) -> str | None:
        """The commit of the hub model in the local cache, which loading it has just read; None for a folder."""
        from huggingface_hub import try_to_load_from_cache

        if self.is_folder:
            return None
        cached = try_to_load_from_cache(self.name, "config.json", revision=self._branch)
        return Path(cached).parent.name if isinstance(cached, str) else None

    @property
    def _branch(self) -> str:
        return self.revision or "main"

    def _check_path(self) -> None:
        path = Path(self.name).expanduser()
        if path.is_file():
            raise ConfigError(f"model.name={self.name} is a file: give the folder that holds config.json and the weights.")
        if path.is_dir() and not (path / "config.json").is_file():
            raise ConfigError(
                f"model.name={self.name}: the folder holds no config.json. Give one that save_pretrained or `afinar export` wrote."
            )
        is_path = path.is_absolute() or self.name.startswith((".", "~")) or self.name.count("/") > 1
        if not path.exists() and is_path:
            raise ConfigError(f"model.name={self.name}: there is no such folder. Give model.name=FOLDER, a hub name, or use model=tiny.")

    def _hub_options(self) -> dict[str, Any]:
        if self.is_folder:
            return {"local_files_only": True}
        return {"revision": self._branch, "local_files_only": not hub_is_reachable()}

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        # Whatever is wrong in files that others wrote: transformers has no error class of its own for it.
        except Exception as error:
            if self.is_folder:
                remedy = "Check the folder's files; model.weights=random needs config.json alone."
            else:
                revision = f" at revision {self.revision!r}" if self.revision else ""
                what = f"neither a folder here nor loaded from the Hugging Face hub{revision}: {what}"
                remedy = f"Check the name and the network; {_WITHOUT_NETWORK}."
            raise ConfigError(f"model.name={self.name}: {what} ({_brief(error)}). {remedy}") from error


@dataclass(frozen=True)
class Missing:
    """Parameters that the checkpoint did not give: absent from it, or of another shape there."""

    absent: frozenset[str] = frozenset()
    reshaped: frozenset[str] = frozenset()

    @property
    def drawn(self) -> frozenset[str]:
        return self.absent | self.reshaped


@contextlib.contextmanager
def quiet_transformers(progress: bool = False) -> Iterator[None]:
    """Silence transformers' load report, which calls every head it does not load a problem; ours checks what matters."""
    verbosity, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if not progress:
        hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hf_logging.set_verbosity(verbosity)
        if bars and not progress:
            hf_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _brief(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}" if len(str(error)) < 20 else str(error)
    return textwrap.shorten(text, 160, placeholder=" ...").rstrip(".: ")
