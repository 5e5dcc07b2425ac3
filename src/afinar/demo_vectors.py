"""What `model.word_vectors=demo` stands for: vectors of the words of the project's own plain text, made once from what stands together."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from afinar.data.cache import cache_root
from afinar.data.demo import generate
from afinar.run_folder import write_text

DEMO = "demo"
DOCUMENTS, WIDTH, WINDOW, RAREST, SMOOTHING = 6000, 200, 4, 5, 0.75

Numbers = NDArray[np.float64]


def resolve_word_vectors(name: str | None) -> str | None:
    """Return the file that `name` stands for: ``demo`` is made on first use and kept in the cache."""
    return str(demo_vectors_file()) if name == DEMO else name


def demo_vectors_file() -> Path:
    """Return the file of the demo text's word vectors (word2vec, text); make it where this version of the project has not done so yet.

    Several processes may ask at once: one makes it while the others wait.
    """
    file = cache_root() / "vectors" / f"{DEMO}-{_key()}.vec"
    if file.is_file():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        if not file.is_file():
            texts = (sentence for row in generate("text", "train", size=DOCUMENTS, seed=0) for sentence in row["sentences"])
            words, counts = count_together([re.findall(r"\w+", text.lower()) for text in texts], WINDOW, RAREST)
            write_text(file, _as_text(words, factored(positive_information(counts, SMOOTHING), WIDTH)))
    return file


def count_together(sentences: Iterable[Sequence[str]], window: int, rarest: int) -> tuple[list[str], Numbers]:
    """Count how often words stand within some words of each other in a sentence.

    Args:
        sentences: each a list of words.
        window: the greatest distance.
        rarest: words that occur less often are left out.

    Returns:
        The words V, most frequent first, equally frequent ones by the alphabet; and [V, V], symmetric, the counts.
    """
    known = [list(sentence) for sentence in sentences]
    frequency = Counter(word for sentence in known for word in sentence)
    words = sorted((word for word, count in frequency.items() if count >= rarest), key=lambda word: (-frequency[word], word))
    index = {word: place for place, word in enumerate(words)}
    pairs = Counter(
        (index[word], index[other])
        for sentence in known
        for place, word in enumerate(sentence)
        for other in islice(sentence, place + 1, place + 1 + window)
        if word in index and other in index
    )
    counts = np.zeros((len(words), len(words)))
    for (one, other), count in pairs.items():
        counts[one, other] += count
        counts[other, one] += count
    return words, counts


def positive_information(counts: Numbers, smoothing: float) -> Numbers:
    """Return max(0, log P(w, c) / (P(w) P'(c))) for each word w and context c, with P'(c) in proportion to count(c) ** `smoothing`.

    Source: Levy, Goldberg and Dagan 2015, TACL 3, sections 2 and 3.
    """
    rows = counts.sum(1)
    contexts = rows**smoothing
    expected = np.outer(rows, contexts / contexts.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(counts > 0, np.log(counts / expected), 0.0)
    return np.maximum(found, 0.0)


def factored(information: Numbers, width: int) -> Numbers:
    """Return [V, width]: the left singular vectors of the largest singular values, each times the root of its value.

    Each column has its largest coordinate positive, so that libraries agree. It is what word2vec factors without saying so (Levy and
    Goldberg 2014); the root is that of Levy, Goldberg and Dagan 2015, section 3.
    """
    left, values, _ = np.linalg.svd(information)
    left = left[:, :width]
    largest = np.abs(left).argmax(0)
    return np.asarray(left * np.sign(left[largest, np.arange(left.shape[1])]) * np.sqrt(values[:width]))


def _as_text(words: Sequence[str], vectors: Numbers) -> str:
    lines = [f"{len(words)} {vectors.shape[1]}"]
    lines += [f"{word} {' '.join(f'{value:.5g}' for value in vector)}" for word, vector in zip(words, vectors, strict=True)]
    return "\n".join(lines) + "\n"


def _key() -> str:
    """Return a key of all that decides the vectors: the text's grammar, this file, the library that factors."""
    digest = hashlib.sha256(version("numpy").encode())
    for file in (*sorted((Path(__file__).parent / "data" / "demo").glob("*.py")), Path(__file__)):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]
