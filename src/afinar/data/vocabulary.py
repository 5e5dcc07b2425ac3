"""A WordPiece vocabulary trained on given texts, saved as a tokenizer folder that transformers loads."""

from __future__ import annotations

import string
from collections.abc import Iterable
from pathlib import Path

from afinar.errors import ConfigError, DataError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = string.ascii_lowercase + "áàâãäéèêëíìîïóòôõöúùûüçñªº"
UNSPLIT = "€£°"
"""Symbols that BERT does not count as punctuation: they stay in one word with what they touch."""
SYMBOLS = string.digits + string.punctuation + "§–—“”‘’«»…·•" + UNSPLIT


def train_wordpiece(texts: Iterable[str], size: int, min_frequency: int = 2) -> list[str]:
    """Return the tokens of a WordPiece vocabulary in the order of their ids, the special tokens first.

    Texts are lower-cased and keep their accents. Every letter and symbol that Portuguese uses is in the vocabulary, at the start of a
    word and inside it, so that words of other texts fall into known pieces and not into ``[UNK]``.

    Args:
        texts: what the pieces are learned from.
        size: the most tokens that the vocabulary may have; at least `smallest_size()`.
        min_frequency: how often a pair of pieces must occur to become one piece.

    Raises:
        ConfigError: `size` is below `smallest_size()`.
        DataError: `texts` hold no word.

    The trainer is that of the library tokenizers; pieces grow as in BPE.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    if size < smallest_size():
        raise ConfigError(f"a WordPiece vocabulary of {size} tokens cannot hold the alphabet: set at least {smallest_size()}")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # The trainer numbers letters in the order of a hash map that differs from run to run, and breaks ties by number.
    # Named as special tokens they are numbered first, in this order, which makes the training deterministic.
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        show_progress=False,
        special_tokens=[*SPECIAL_TOKENS, *_alphabet()],
        limit_alphabet=len(_alphabet()),
        initial_alphabet=list(LETTERS + SYMBOLS),
        continuing_subword_prefix="##",
    )
    known = set(LETTERS + SYMBOLS)
    lower = tokenizer.normalizer
    words = [
        word for text in texts for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(lower.normalize_str(text)) if known.issuperset(word)
    ]
    if not words:
        raise DataError("the texts for the vocabulary hold no word: give texts in a Latin script")
    tokenizer.train_from_iterator([" ".join(words)], trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=lambda token: ids[token])


def _alphabet() -> list[str]:
    return [*LETTERS, *SYMBOLS, *(f"##{letter}" for letter in LETTERS + string.digits + UNSPLIT)]


def smallest_size() -> int:
    """The special tokens and the alphabet: what every vocabulary holds."""
    return len(SPECIAL_TOKENS) + len(_alphabet())


def save_tokenizer(tokens: list[str], folder: str | Path, max_length: int = 512) -> None:
    """Write a tokenizer folder (BERT's: ``[CLS] a [SEP] b [SEP]``) that ``AutoTokenizer.from_pretrained(folder)`` loads.

    Args:
        tokens: the vocabulary, as `train_wordpiece` returns it.
        folder: made where absent.
        max_length: the longest input that the model takes (``model_max_length``).
    """
    from transformers import BertTokenizer

    tokenizer = BertTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        do_lower_case=True,
        strip_accents=False,
        tokenize_chinese_chars=True,
        model_max_length=max_length,
    )
    tokenizer.save_pretrained(str(folder))
