"""Texts to word pieces, once: a tokenizer loaded by name and a cached map over a column of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from afinar.data.cache import cache_root, cached_map, fingerprint
from afinar.errors import ConfigError
from afinar.network import hub_is_reachable

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

VERSION = "1"
"""Raise it when `tokenize` changes what it returns: it is part of every cache key."""


def load_tokenizer(name: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Load a fast tokenizer from a folder or from the hub; code that a repository may carry is never run.

    Raises:
        ConfigError: there is none under that name, it cannot be reached, or it has no fast version or no padding token.
    """
    from transformers import AutoTokenizer

    folder = Path(name).expanduser()
    is_folder = folder.is_dir()
    offline = not is_folder and not hub_is_reachable()
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder) if is_folder else name, revision=revision or "main", use_fast=True, local_files_only=offline
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        if is_folder:
            reason = (
                f"the folder '{name}' holds no tokenizer that can be read; it needs tokenizer.json or the vocabulary files of its model"
            )
        elif offline:
            reason = (
                f"no connection to the Hugging Face hub, and the tokenizer '{name}' is neither a folder here nor in the local cache; "
                "name a folder with model.name=FOLDER, or use model=tiny"
            )
        else:
            reason = f"the tokenizer '{name}' cannot be loaded ({(str(error).splitlines() or ['no reason given'])[0]}); check model.name"
        raise ConfigError(reason) from error
    return check_tokenizer(tokenizer)


def check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return the tokenizer, or raise ConfigError where this package cannot use it."""
    if not tokenizer.is_fast:
        raise ConfigError(
            f"the tokenizer '{tokenizer.name_or_path}' has no fast version, which is needed here; save one with tokenizer.json"
        )
    if tokenizer.pad_token_id is None:
        raise ConfigError(f"the tokenizer '{tokenizer.name_or_path}' has no padding token: is it of a masked language model?")
    return tokenizer


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a digest of everything in the tokenizer that decides its pieces, wherever it was loaded from."""
    import tokenizers

    backend: Any = tokenizer.backend_tokenizer
    # Truncation and padding are left over from the last call; transformers sets them anew at every call.
    backend.no_truncation()
    backend.no_padding()
    return fingerprint(tokenizers.__version__, backend.to_str(), str(bool(tokenizer.split_special_tokens)))


def tokenize(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, cache_dir: str | None = None) -> Dataset:
    """Return a data set with one column, `input_ids` (int32): the pieces of each text, neither cut nor framed by special tokens.

    What was tokenized before, by the same tokenizer and in the same order, is read from the cache.

    Raises:
        ConfigError: the cache folder cannot be written.
    """
    import datasets
    from datasets import Dataset, Features, List, Value

    def pieces(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        return {"input_ids": _unframed(tokenizer, batch["text"])["input_ids"]}

    key = fingerprint("tokenize", VERSION, datasets.__version__.split(".")[0], tokenizer_fingerprint(tokenizer), texts)
    return cached_map(
        Dataset.from_dict({"text": list(texts)}, features=Features({"text": Value("large_string")})),
        pieces,
        key=key,
        features=Features({"input_ids": List(Value("int32"))}),
        folder=cache_root(cache_dir) / "tokenized",
        description="Tokenizing",
    )


def tokenize_words(sentences: Sequence[Sequence[str]], tokenizer: PreTrainedTokenizerBase, cache_dir: str | None = None) -> Dataset:
    """Return the pieces of each sentence, and where each of its words starts, through the same cache.

    The words are joined by spaces and tokenized as running text, so that every family of tokenizers treats them as it was trained to
    (byte-level ones mark a word by the space before it). A word may hold spaces itself.

    Returns:
        Two columns of int32 lists: `input_ids` [P], and `starts` [W], each word's first piece, or -1 where the tokenizer dropped the word
        (control characters, private use) or merged it whole into the word before.

    Raises:
        ConfigError: the cache folder cannot be written.
    """
    import datasets
    from datasets import Dataset, Features, List, Value

    def pieces(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encoded = _unframed(tokenizer, [" ".join(words) for words in batch["words"]], return_offsets_mapping=True)
        starts = []
        for words, offsets in zip(batch["words"], encoded["offset_mapping"], strict=True):
            found = np.full(len(words), -1, dtype=np.int32)
            if offsets:
                # A space belongs to the word after it: some families give it a piece of its own, or a share in that word's first.
                ends = np.cumsum([len(word) + 1 for word in words]) - 1
                owners = np.searchsorted(ends, np.array(offsets)[:, 0], side="right").clip(max=len(words) - 1)
                present, first = np.unique(owners, return_index=True)
                found[present] = first
            starts.append(found)
        return {"input_ids": encoded["input_ids"], "starts": starts}

    spelled = (part for words in sentences for part in (str(len(words)), *words))
    key = fingerprint("words", VERSION, datasets.__version__.split(".")[0], tokenizer_fingerprint(tokenizer), spelled)
    return cached_map(
        Dataset.from_dict({"words": [list(words) for words in sentences]}, features=Features({"words": List(Value("large_string"))})),
        pieces,
        key=key,
        features=Features({"input_ids": List(Value("int32")), "starts": List(Value("int32"))}),
        folder=cache_root(cache_dir) / "tokenized",
        description="Tokenizing",
    )


def tokenize_spans(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, cache_dir: str | None = None) -> Dataset:
    """Return the pieces of each text, and the characters of each piece, through the same cache.

    Returns:
        Three columns of int32 lists [P]: `input_ids`, and `starts` and `ends`, each piece's first character and the one after its last,
        without white space (see `piece_bounds`).

    Raises:
        ConfigError: the cache folder cannot be written.
    """
    import datasets
    from datasets import Dataset, Features, List, Value

    from afinar.data.characters import piece_bounds

    def pieces(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        encoded = _unframed(tokenizer, batch["text"], return_offsets_mapping=True)
        bounds = [piece_bounds(text, offsets) for text, offsets in zip(batch["text"], encoded["offset_mapping"], strict=True)]
        return {"input_ids": encoded["input_ids"], "starts": [starts for starts, _ in bounds], "ends": [ends for _, ends in bounds]}

    key = fingerprint("spans", VERSION, datasets.__version__.split(".")[0], tokenizer_fingerprint(tokenizer), texts)
    return cached_map(
        Dataset.from_dict({"text": list(texts)}, features=Features({"text": Value("large_string")})),
        pieces,
        key=key,
        features=Features({name: List(Value("int32")) for name in ("input_ids", "starts", "ends")}),
        folder=cache_root(cache_dir) / "tokenized",
        description="Tokenizing",
    )


def _unframed(tokenizer: PreTrainedTokenizerBase, texts: list[str], **options: bool) -> Any:
    """Return the tokenizer's own encoding of texts, neither cut nor framed by special tokens."""
    return tokenizer(
        texts,
        add_special_tokens=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,  # no warning about long texts: what becomes of them is decided later, and reported
        **options,
    )


def numbered(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the different ones of some texts, in the order in which they first occur, and int64 [N], which of them each is."""
    numbers: dict[str, int] = {}
    which = np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts), dtype=np.int64, count=len(texts))
    return list(numbers), which
