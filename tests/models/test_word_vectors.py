"""Embedding rows from word vectors: which rows, projected how, against recounts and scikit-learn."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from torch import nn

from afinar.errors import ConfigError, DataError
from afinar.models.backbone import Backbone
from afinar.models.word_vectors import WordVectors
from afinar.models.word_vectors.projection import RIDGE, Learned, Pca

Folders = Callable[..., Path]

WORDS = [
    f"{first}{second}" for first in ("ca", "ru", "fil", "li", "a", "co", "bo", "no") for second in ("sa", "me", "vro", "to", "ra", "da")
]
PARTS = [f"{word}{end}" for word in WORDS[::3] for end in ("s", "zinho", "mente")]
SENTENCES = [" ".join(WORDS[start::7]) for start in range(7)] + ["Casa Rua gatos mesas, livros! água coração não"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<pad>", "<unk>", "<mask>"]
FAMILIES = ("bert", "bert_cased", "roberta", "xlm_roberta", "deberta_v2")


@pytest.fixture(scope="session")
def families() -> dict[str, Any]:
    """A fast tokenizer of each family, in which most of `WORDS` are single pieces."""
    from transformers import BertTokenizerFast, DebertaV2TokenizerFast, RobertaTokenizerFast, XLMRobertaTokenizerFast

    trained = (BertTokenizerFast(), BertTokenizerFast(do_lower_case=False), RobertaTokenizerFast())
    # Training a unigram model on so few words would cut them all into pieces.
    letters = sorted(set("".join(SENTENCES)) - {" "})
    pieces = [("▁", -6.0), *((letter, -8.0) for letter in letters), *((f"▁{word}", -4.0) for word in WORDS), ("s", -5.0), ("mente", -5.0)]
    roberta = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    deberta = [(token, 0.0) for token in ("[PAD]", "[CLS]", "[SEP]", "[UNK]")]
    return {
        **{name: kind.train_new_from_iterator(SENTENCES * 20, 500) for name, kind in zip(FAMILIES, trained, strict=False)},
        "xlm_roberta": XLMRobertaTokenizerFast(vocab=[*roberta, *dict(pieces).items(), ("<mask>", 0.0)]),
        "deberta_v2": DebertaV2TokenizerFast(vocab=[*deberta, *dict(pieces).items(), ("[MASK]", 0.0)]),
    }


@pytest.fixture(params=FAMILIES)
def tokenizer(request: pytest.FixtureRequest, families: dict[str, Any]) -> Any:
    return families[request.param]


def network(rows: int, width: int, weights: str = "pretrained", padding: int | None = None) -> Any:
    """What is asked of a backbone, with random embeddings around 1."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        embeddings = nn.Embedding(rows, width, padding_idx=padding)
        with torch.no_grad():
            embeddings.weight.mul_(0.3).add_(1)
            if padding is not None:
                embeddings.weight[padding] = 0
    return SimpleNamespace(input_embeddings=embeddings, source=lambda: {"name": "net", "weights": weights})


def write(path: Path, words: Sequence[str], vectors: np.ndarray) -> str:
    lines = (f"{word} {' '.join(repr(float(value)) for value in vector)}\n" for word, vector in zip(words, vectors, strict=True))
    path.write_text(f"{len(words)} {vectors.shape[1]}\n{''.join(lines)}", encoding="utf-8")
    return str(path)


def rows_of(backbone: Any) -> np.ndarray:
    return np.array(backbone.input_embeddings.weight.detach().double())


def in_running_text(tokenizer: Any, word: str) -> list[int]:
    """The pieces of a word after another one."""
    before = tokenizer("ca", add_special_tokens=False)["input_ids"]
    both: list[int] = tokenizer(f"ca {word}", add_special_tokens=False)["input_ids"]
    assert both[: len(before)] == before
    return both[len(before) :]


# Which rows


@pytest.mark.parametrize("subwords", [False, True])
def test_rows_against_a_recount(tokenizer: Any, subwords: bool, tmp_path: Path) -> None:
    words = [*SPECIAL, *WORDS[::2], *PARTS, "ca[MASK]sa", "!", ",", "日本"]
    vectors = np.random.default_rng(0).normal(size=(len(words), 6)).astype(np.float32)
    backbone = network(len(tokenizer) + 3, 6, padding=tokenizer.pad_token_id)
    before = rows_of(backbone)
    line = WordVectors(write(tmp_path / "v.txt", words, vectors), subwords=subwords)(backbone, tokenizer)

    expected = before.copy()
    special = set(tokenizer.all_special_ids)
    pieces = {word: in_running_text(tokenizer, word) for word in words}
    own = {ids[0]: word for word, ids in pieces.items() if len(ids) == 1 and ids[0] not in special}
    meant = 0
    for piece in range(len(tokenizer)):
        holders = [row for row, word in enumerate(words) if piece in pieces[word]]
        if piece in own:
            expected[piece] = vectors[words.index(own[piece])]
        elif subwords and holders and piece not in special:
            expected[piece] = vectors[holders].astype(np.float64).mean(0)
            meant += 1
    assert len(own) >= 10
    assert not subwords or meant >= 10
    np.testing.assert_allclose(rows_of(backbone), expected, rtol=1e-6, atol=1e-7)
    assert np.array_equal(rows_of(backbone)[sorted(special)], before[sorted(special)])
    assert not backbone.input_embeddings.weight[tokenizer.pad_token_id].any()
    assert f"{len(words)} words of {tmp_path / 'v.txt'} (text with a header): {len(own) + meant} of the vocabulary's " in line
    assert f" {len(tokenizer) - len(special)} pieces start from it: {len(own)} whole words of " in line
    assert (f", and {meant} other pieces from the mean of the words that hold them; " in line) == subwords


def test_whole_words_are_counted_by_each_familys_marks(families: dict[str, Any], tmp_path: Path) -> None:
    """All pieces that are whole words are in the file: then each of them starts from it."""
    marks: dict[str, Callable[[str], str]] = {
        "bert_cased": lambda token: "" if token.startswith("##") else token,
        "roberta": lambda token: token[1:] if token.startswith("Ġ") else "",
        "xlm_roberta": lambda token: token[1:] if token.startswith("▁") else "",
    }
    for family, word_of in marks.items():
        tokenizer = families[family]
        spelled = {word_of(token): number for token, number in tokenizer.get_vocab().items() if number not in tokenizer.all_special_ids}
        words = sorted(word for word in spelled if word.isascii() and word.isalpha())
        backbone = network(len(tokenizer), 2)
        before = rows_of(backbone)
        line = WordVectors(write(tmp_path / family, words, np.full((len(words), 2), 9.0)))(backbone, tokenizer)
        changed = np.flatnonzero((rows_of(backbone) != before).any(1)).tolist()
        assert set(changed) <= {spelled[word] for word in words}
        assert len(changed) >= 40
        assert f"{len(changed)} whole words of " in line


def test_the_spelling_of_the_piece_comes_before_the_order_of_the_file(families: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = families["bert"]
    backbone = network(len(tokenizer), 2)
    before = rows_of(backbone)
    words = ["CASA", "Casa", "casa", "casa", "RUME", "Rume", "água"]
    file = write(tmp_path / "v", words, np.arange(14.0).reshape(7, 2))
    line = WordVectors(file)(backbone, tokenizer)
    row = {word: rows_of(backbone)[tokenizer.convert_tokens_to_ids(word)].tolist() for word in ("casa", "rume", "agua")}
    assert row == {"casa": [4, 5], "rume": [8, 9], "agua": [12, 13]}
    assert (rows_of(backbone) != before).any(1).sum() == 3
    assert line.startswith(f"7 words (1 repeated: the first counts) of {file} (text with a header): 3 of ")

    cased = families["bert_cased"]
    backbone = network(len(cased), 2)
    WordVectors(file)(backbone, cased)
    assert rows_of(backbone)[cased.convert_tokens_to_ids("Casa")].tolist() == [2, 3]
    assert rows_of(backbone)[cased.convert_tokens_to_ids("casa")].tolist() == [4, 5]


def test_words_that_are_not_utf8_are_left_out_and_said(families: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = families["bert"]
    backbone = network(len(tokenizer), 2)
    (tmp_path / "v").write_bytes(b"rume 1 2\ncasa\xe1 3 4\nnome 5 6\n")
    line = WordVectors(str(tmp_path / "v"), subwords=True)(backbone, tokenizer)
    assert line.startswith(f"3 words (1 left out: not UTF-8) of {tmp_path / 'v'} (text without a header): 2 of ")
    assert tokenizer.tokenize("rume nome") == ["rume", "nome"]


def test_the_limit(families: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = families["bert"]
    backbone = network(len(tokenizer), 2)
    before = rows_of(backbone)
    file = write(tmp_path / "v", ["casa", "rume", "nome"], np.full((3, 2), 9.0))
    assert WordVectors(file, limit=2)(backbone, tokenizer).startswith("2 words of ")
    assert tokenizer.convert_ids_to_tokens(np.flatnonzero((rows_of(backbone) != before).any(1)).tolist()) == sorted(
        ["casa", "rume"], key=tokenizer.convert_tokens_to_ids
    )


# Every architecture


@pytest.mark.parametrize("projection", ["pca", "learned"])
def test_every_architecture(architecture: str, projection: str, folder_of: Folders, families: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = families["bert"]
    width = {"pca": 40, "learned": 8}[projection]
    words = [*WORDS, *SPECIAL]
    file = write(tmp_path / "v", words, np.random.default_rng(1).normal(size=(len(words), width)))
    folder = str(folder_of(architecture, vocab_size=len(tokenizer)))
    results = []
    for _ in range(2):
        backbone = Backbone(folder)
        before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
        weight = backbone.input_embeddings.weight
        line = WordVectors(file, projection, subwords=True)(backbone, tokenizer)
        after = backbone.state_dict()
        changed = [name for name in before if not torch.equal(before[name], after[name])]
        assert len(changed) == 1
        assert after[changed[0]].data_ptr() == weight.data_ptr() == backbone.input_embeddings.weight.data_ptr()
        closed = {*tokenizer.all_special_ids, backbone.input_embeddings.padding_idx} - {None}
        assert torch.equal(weight[sorted(closed)], before[changed[0]][sorted(closed)])
        assert weight.requires_grad
        assert weight.grad_fn is None
        assert f"from width {width} to {backbone.input_embeddings.embedding_dim} by" in line
        results.append((line, weight.detach()))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1]), "the same files must give the same rows, bit by bit"


def test_a_row_of_padding_that_the_tokenizer_does_not_know_of_stays(families: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = families["bert"]
    padding = tokenizer.convert_tokens_to_ids("casa")
    backbone = network(len(tokenizer), 2, padding=padding)
    WordVectors(write(tmp_path / "v", ["casa", "rume"], np.full((2, 2), 9.0)), subwords=True)(backbone, tokenizer)
    assert not backbone.input_embeddings.weight[padding].any()


def test_a_file_that_turns_out_damaged_leaves_the_rows_alone(families: dict[str, Any], tmp_path: Path) -> None:
    backbone = network(len(families["bert"]), 2)
    before = rows_of(backbone)
    (tmp_path / "v").write_text("casa 1 2\nrume 3 4\nnome 5\n")
    with pytest.raises(DataError, match=r"v:3: 1 numbers"):
        WordVectors(str(tmp_path / "v"))(backbone, families["bert"])
    assert np.array_equal(rows_of(backbone), before)


# The projections


@pytest.fixture
def shared() -> tuple[np.ndarray, np.ndarray]:
    """Vectors [90, 12] and rows [90, 5] that partly follow from them."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(90, 12)) @ generator.normal(size=(12, 12)) + generator.normal(size=12)
    return vectors, 0.1 * (vectors @ generator.normal(size=(12, 5)) + 3 * generator.normal(size=(90, 5))) + 2


def test_pca_is_scikit_learns_moved_and_scaled(shared: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, rows = map(torch.from_numpy, shared)
    fitted = Pca().fit(vectors, rows)
    projected = fitted(vectors).numpy()
    oracle = PCA(5, svd_solver="full").fit(shared[0])
    expected = oracle.transform(shared[0])
    deviations = projected - projected.mean(0)
    signs = np.sign((deviations * expected).sum(0))
    np.testing.assert_allclose(deviations / deviations.std(), signs * expected / expected.std(), atol=1e-9)
    np.testing.assert_allclose(projected.mean(0), shared[1].mean(0))
    np.testing.assert_allclose(deviations.std(), (shared[1] - shared[1].mean(0)).std())
    directions = fitted.matrix.numpy().T
    assert all(direction[np.abs(direction).argmax()] > 0 for direction in directions)
    assert fitted.note == f"projected from width 12 to 5 by PCA, which keeps {oracle.explained_variance_ratio_.sum():.1%} of their variance"


def test_the_signs_of_pca_do_not_depend_on_the_signs_of_the_vectors(shared: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, rows = map(torch.from_numpy, shared)
    torch.testing.assert_close(Pca().fit(-vectors, rows).matrix, Pca().fit(vectors, rows).matrix)


def test_the_learned_map_is_ridge_regression(shared: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, rows = map(torch.from_numpy, shared)
    fitted = Learned().fit(vectors, rows)
    penalty = RIDGE * len(vectors) * shared[0].var(0).mean()
    oracle = Ridge(alpha=penalty).fit(*shared)
    np.testing.assert_allclose(fitted.matrix.numpy().T, oracle.coef_, rtol=1e-8)
    np.testing.assert_allclose(fitted.bias.numpy(), oracle.intercept_, rtol=1e-8)
    fit = r2_score(shared[1], oracle.predict(shared[0]), multioutput="variance_weighted")
    assert 0.3 < fit < 0.99
    assert fitted.note == f"projected from width 12 to 5 by a map learned from 90 words (R2 {fit:.2f} on these)"


@given(seed=st.integers(0, 99), width=st.integers(1, 6))
def test_the_learned_map_finds_a_map_that_is_there(seed: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(60, width))
    rows = vectors @ generator.normal(size=(width, 4)) + generator.normal(size=4)
    with_one = np.column_stack([vectors, np.ones(60)])
    solved = np.linalg.lstsq(with_one, rows, rcond=None)[0]
    fitted = Learned().fit(torch.from_numpy(vectors), torch.from_numpy(rows))
    np.testing.assert_allclose(fitted(torch.from_numpy(vectors)).numpy(), with_one @ solved, atol=0.05)
    assert "(R2 1.00 on these)" in fitted.note


def test_means_are_projected_as_their_words_are(shared: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, rows = map(torch.from_numpy, shared)
    for fitted in (Pca().fit(vectors, rows), Learned().fit(vectors, rows)):
        torch.testing.assert_close(fitted(vectors[:7].mean(0, keepdim=True)), fitted(vectors[:7]).mean(0, keepdim=True))


def test_equal_width_needs_no_projection_and_the_line_says_so(families: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = families["bert"]
    backbone = network(len(tokenizer), 2, weights="random")
    numbers = [tokenizer.convert_tokens_to_ids(word) for word in ("casa", "rume")]
    spread = rows_of(backbone)[numbers].std(0)
    line = WordVectors(write(tmp_path / "v", ["casa", "rume"], np.array([[1.0, 7], [3, 9]])))(backbone, tokenizer)
    assert rows_of(backbone)[numbers].tolist() == [[1, 7], [3, 9]]
    replaced = f"{np.sqrt((spread**2).mean()):.2g}"
    assert line.endswith(
        f"; the vectors have the model's width of 2 and are not projected (standard deviation 1, that of the rows they replace {replaced})"
    )


def test_a_map_is_learned_at_equal_width_too(families: dict[str, Any], tmp_path: Path) -> None:
    backbone = network(len(families["bert"]), 2)
    file = write(tmp_path / "v", WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 2)))
    assert "projected from width 2 to 2 by a map learned from" in WordVectors(file, "learned")(backbone, families["bert"])


def test_a_compressed_file_gives_the_same_rows(families: dict[str, Any], tmp_path: Path) -> None:
    file = write(tmp_path / "v", WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 3)))
    (tmp_path / "v.gz").write_bytes(gzip.compress((tmp_path / "v").read_bytes()))
    first, second = (network(len(families["bert"]), 3) for _ in range(2))
    WordVectors(file)(first, families["bert"])
    WordVectors(f"{file}.gz")(second, families["bert"])
    assert np.array_equal(rows_of(first), rows_of(second))


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"projection": "PCA"}, r"^word_vectors\.projection=PCA is unknown: use one of pca, learned\."),
        ({"projection": "learnt"}, r"^word_vectors\.projection=learnt is unknown: .* Did you mean 'learned'\?$"),
        ({"limit": 0}, r"^word_vectors\.limit=0: give the number of words to read, from 1, or null for all\.$"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WordVectors("file", **options)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], np.ndarray, str]] = {
    "narrow": (
        {},
        {"width": 9},
        np.eye(48, 8),
        r"pca: the file's vectors have width 8, .* use word_vectors\.projection=learned",
    ),
    "few": ({"limit": 5}, {"width": 6}, np.random.default_rng(0).normal(size=(48, 8)), r"share.* span 4 directions, .* width of 6;"),
    "alike": ({}, {"width": 6}, np.ones((48, 8)), r"span 0 directions"),
    "flat": ({}, {"width": 3}, np.arange(384.0).reshape(48, 8), r"span 1 directions"),
    "random": ({"projection": "learned"}, {"width": 9, "weights": "random"}, np.eye(48, 8), r"model\.weights=random has just drawn them"),
    "little": (
        {"projection": "learned", "limit": 15},
        {"width": 9},
        np.eye(48, 8),
        r"shares 15 words .* width 8 needs 16 of them; .* words$",
    ),
    "same": ({"projection": "learned"}, {"width": 9}, np.ones((48, 8)), r"the 48 words .* one and the same vector$"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_projections_that_cannot_work(case: str, families: dict[str, Any], tmp_path: Path) -> None:
    options, network_options, vectors, message = REFUSED[case]
    backbone = network(len(families["bert"]), **network_options)
    before = rows_of(backbone)
    with pytest.raises(ConfigError, match=rf"^word_vectors\.projection=.*{message}") as caught:
        WordVectors(write(tmp_path / "v", WORDS, vectors), **options)(backbone, families["bert"])
    assert "\n" not in str(caught.value)
    assert np.array_equal(rows_of(backbone), before)


def test_a_wrong_header_is_blamed_before_the_projection(families: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "v").write_text("2 2\ncasa 1 2 3\nrume 1 2 3\n")
    with pytest.raises(DataError, match=r"v:2: 3 numbers, but the header \(line 1\) says 2"):
        WordVectors(str(tmp_path / "v"))(network(len(families["bert"]), 3), families["bert"])


def test_a_file_of_another_language(families: dict[str, Any], tmp_path: Path) -> None:
    file = write(tmp_path / "v", ["日本", "[MASK]", "東京"], np.ones((3, 2)))
    with pytest.raises(DataError, match=r"v: none of its 3 words is a piece of the model's vocabulary; is it of the model's language\?$"):
        WordVectors(file)(network(len(families["bert"]), 2), families["bert"])


def test_a_tokenizer_of_another_model(families: dict[str, Any], tmp_path: Path) -> None:
    file = write(tmp_path / "v", ["casa"], np.ones((1, 2)))
    rows = len(families["bert"]) - 1
    with pytest.raises(ConfigError, match=rf"has pieces up to number {rows}, but the model has {rows} rows of embeddings"):
        WordVectors(file)(network(rows, 2), families["bert"])
