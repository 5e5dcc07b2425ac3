"""The vocabulary that the project trains: the same on every run, complete in its alphabet, and a tokenizer that transformers loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from afinar.data.demo import generate
from afinar.data.vocabulary import LETTERS, SPECIAL_TOKENS, SYMBOLS, save_tokenizer, smallest_size, train_wordpiece
from afinar.errors import ConfigError, DataError

SIZE = 600
SMALL = smallest_size()
DIGITS = "0123456789"


def sentences() -> list[str]:
    return [sentence for row in generate("text", "train", size=150, seed=0) for sentence in row["sentences"]]


@pytest.fixture(scope="module")
def tokens() -> list[str]:
    return train_wordpiece(sentences(), SIZE)


@pytest.fixture(scope="module")
def folder(tokens: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary") / "new" / "tokenizer"
    save_tokenizer(tokens, folder, max_length=77)
    return folder


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def pieces(word: str, tokens: set[str]) -> list[str]:
    """Longest match first, from the left: what WordPiece is."""
    found: list[str] = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        end = next((end for end in range(len(word), start, -1) if prefix + word[start:end] in tokens), None)
        if end is None:
            return ["[UNK]"]
        found.append(prefix + word[start:end])
        start = end
    return found


def test_special_tokens_first_then_the_alphabet_and_no_token_twice(tokens: list[str]) -> None:
    assert tuple(tokens[:5]) == SPECIAL_TOKENS
    assert len(tokens) == len(set(tokens)) == SIZE
    assert set(tokens[:SMALL]) >= {*LETTERS, *SYMBOLS, *(f"##{letter}" for letter in LETTERS + DIGITS)}


def test_the_smallest_vocabulary_is_the_alphabet_alone(tokens: list[str]) -> None:
    assert train_wordpiece(sentences(), SMALL) == tokens[:SMALL]
    with pytest.raises(ConfigError, match=rf"of {SMALL - 1} tokens cannot hold the alphabet: set at least {SMALL}"):
        train_wordpiece(sentences(), SMALL - 1)


def test_the_texts_decide_what_is_learned() -> None:
    texts = ["filme filme filme", "Filme som"]
    learned = train_wordpiece(texts, SIZE)[SMALL:]
    assert "filme" in learned, "upper case counts with lower case"
    assert "som" not in learned, "what occurs once makes no piece"
    assert "som" in train_wordpiece(texts, SIZE, min_frequency=1)[SMALL:]
    assert not any("r" in token for token in learned)


def test_the_same_texts_give_the_same_vocabulary_in_any_process(tokens: list[str]) -> None:
    assert train_wordpiece(iter(sentences()), SIZE) == tokens
    program = (
        "import json, sys; from afinar.data.vocabulary import train_wordpiece; "
        f"json.dump(train_wordpiece(json.load(sys.stdin), {SIZE}), sys.stdout)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=json.dumps(sentences()), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == tokens


def test_texts_without_a_word_are_an_error() -> None:
    for texts in ([], ["", "  "], ["漢字"]):
        with pytest.raises(DataError, match="hold no word"):
            train_wordpiece(texts, SIZE)


def test_foreign_scripts_do_not_displace_the_alphabet() -> None:
    learned = train_wordpiece(["漢字漢字 filme filme λόγος λόγος"], SIZE)
    assert "filme" in learned
    assert not any(character in token for token in learned for character in "漢字λό")


def test_autotokenizer_loads_the_same_ids(loaded: Any, tokens: list[str]) -> None:
    assert loaded.is_fast
    assert loaded.model_max_length == 77
    assert loaded.get_vocab() == {token: index for index, token in enumerate(tokens)}
    roles = (loaded.pad_token, loaded.unk_token, loaded.cls_token, loaded.sep_token, loaded.mask_token)
    assert roles == SPECIAL_TOKENS


def test_texts_and_pairs_are_framed_as_berts(loaded: Any) -> None:
    encoded = loaded("bom", "ruim")
    text, other = pieces("bom", set(loaded.get_vocab())), pieces("ruim", set(loaded.get_vocab()))
    assert loaded.convert_ids_to_tokens(encoded["input_ids"]) == ["[CLS]", *text, "[SEP]", *other, "[SEP]"]
    assert encoded["token_type_ids"] == [0] * (len(text) + 2) + [1] * (len(other) + 1)
    assert loaded.convert_ids_to_tokens(loaded("bom")["input_ids"]) == ["[CLS]", *text, "[SEP]"]


def test_words_fall_into_pieces_by_longest_match(loaded: Any, tokens: list[str]) -> None:
    words = "a Ótimo RESTAURANTE inconstitucionalíssimo ÇÃO crème 1999 mp3 3º 2ª jalapeño ubuntu kW".split()  # noqa: SIM905
    for word in (*words, *(sentence.split()[0] for sentence in sentences()[:50])):
        word = word.strip(",:.")
        assert loaded.tokenize(word) == pieces(word.lower(), set(tokens)), word


def test_accents_stay_and_case_goes(loaded: Any) -> None:
    assert loaded.tokenize("É") == loaded.tokenize("é") == ["é"]
    assert loaded.tokenize("e") == ["e"]


def test_nothing_that_portuguese_writes_is_unknown(loaded: Any) -> None:
    text = 'Às 7h30, o "Ubá-Açu" (R$ 1.299,90)… custou – pasmem! — 50% + 2/3 & [mais] {isto}; não?! d’água ‘x’ “y” «z» 1º 2ª § · • € £ °'
    assert "[UNK]" not in loaded.tokenize(text)
    for letter in LETTERS + DIGITS:
        for word in (letter, f"{letter}{letter}", f"x{letter}x"):
            assert "[UNK]" not in loaded.tokenize(word), word
    for symbol in SYMBOLS:
        assert loaded.tokenize(symbol) == [symbol]


@pytest.mark.parametrize("word", ["10€", "5£", "30°C"])
def test_symbols_after_a_letter_or_digit_are_known(loaded: Any, word: str) -> None:
    assert "[UNK]" not in loaded.tokenize(word)
