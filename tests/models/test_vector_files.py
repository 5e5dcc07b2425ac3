"""Files of word vectors: every format reads the same, and what is wrong with one is said in a line."""

from __future__ import annotations

import gzip
import struct
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from afinar.errors import DataError
from afinar.models.word_vectors.files import recognize
from afinar.models.word_vectors.words import DistinctWords, Matrix

WORDS = ["a", "casa", "água", "coração", "2010", "</s>", "日本", "!"]
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)


def text(words: list[str], vectors: Matrix, header: bool, end: str = "\n") -> bytes:
    lines = [f"{len(words)} {vectors.shape[1]}"] if header else []
    lines += [" ".join([word, *(repr(float(value)) for value in vector)]) for word, vector in zip(words, vectors, strict=True)]
    return "".join(line + end for line in lines).encode()


def binary(words: list[str], vectors: Matrix, end: bytes = b"") -> bytes:
    records = (word.encode() + b" " + struct.pack(f"<{len(vector)}f", *vector) for word, vector in zip(words, vectors, strict=True))
    return f"{len(words)} {vectors.shape[1]}\n".encode() + b"".join(record + end for record in records)


FORMATS: dict[str, Callable[[list[str], Matrix], bytes]] = {
    "word2vec text": lambda words, vectors: text(words, vectors, header=True),
    "GloVe": lambda words, vectors: text(words, vectors, header=False),
    "fastText": lambda words, vectors: text(words, vectors, header=True, end=" \n"),
    "Windows": lambda words, vectors: text(words, vectors, header=True, end="\r\n"),
    "byte-order mark": lambda words, vectors: b"\xef\xbb\xbf" + text(words, vectors, header=True),
    "byte-order mark, no header": lambda words, vectors: b"\xef\xbb\xbf" + text(words, vectors, header=False),
    "tabs": lambda words, vectors: text(words, vectors, header=False).replace(b" ", b"\t"),
    "blank lines": lambda words, vectors: b"\n" + text(words, vectors, header=True, end="\n \n\n"),
    "no last line break": lambda words, vectors: text(words, vectors, header=False).rstrip(),
    "word2vec binary": binary,
    "word2vec binary with line breaks": lambda words, vectors: binary(words, vectors, b"\n"),
}


def read(path: Path) -> tuple[list[str], Matrix]:
    records = list(recognize(str(path)).records())
    return [word.decode() for word, _ in records], np.stack([vector for _, vector in records])


def fails(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(recognize(str(path)).records())
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message.replace(str(path), "FILE")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_reads_the_same_whatever_the_name(form: str, compressed: bool, tmp_path: Path) -> None:
    content = FORMATS[form](WORDS, VECTORS)
    path = tmp_path / "vectors.bin"
    path.write_bytes(gzip.compress(content) if compressed else content)
    words, vectors = read(path)
    assert words == WORDS
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, VECTORS)
    assert ("binary" in recognize(str(path)).name) == ("binary" in form)


SPELLINGS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=6)


@st.composite
def tables(draw: st.DrawFn, least_width: int) -> tuple[list[str], Matrix]:
    words = draw(st.lists(SPELLINGS, min_size=1, max_size=8))
    shape = (len(words), draw(st.integers(least_width, 6)))
    return words, draw(arrays(np.float32, shape, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))


# One word and one number: a file "2 0.5" would be a header that is none.
@given(table=tables(least_width=2), form=st.sampled_from(sorted(set(FORMATS) - {"word2vec binary", "word2vec binary with line breaks"})))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_text_comes_back(table: tuple[list[str], Matrix], form: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(FORMATS[form](*table))
    words, vectors = read(path)
    assert words == table[0]
    assert np.array_equal(vectors, table[1])


@given(table=tables(least_width=3), end=st.sampled_from([b"", b"\n"]))
@example(table=(["0"], np.array([[4.7017522e16, 0, 4.7017522e16]], dtype=np.float32)), end=b"")  # its numbers hold a line break
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_binary_comes_back_bit_by_bit(table: tuple[list[str], Matrix], end: bytes, tmp_path: Path) -> None:
    assume(not _is_printable(table[1].tobytes()))
    path = tmp_path / "vectors"
    path.write_bytes(binary(*table, end))
    words, vectors = read(path)
    assert words == table[0]
    assert vectors.tobytes() == table[1].tobytes()


def _is_printable(numbers: bytes) -> bool:
    """A few numbers all of whose bytes happen to be text are taken for a text; among many that does not occur."""
    try:
        return all(character.isspace() or unicodedata.category(character) != "Cc" for character in numbers.decode())
    except UnicodeDecodeError:
        return False


def test_records_across_the_blocks_in_which_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afinar.models.word_vectors.binary._CHUNK", 7)
    monkeypatch.setattr("afinar.models.word_vectors.words._BLOCK", 3)
    path = tmp_path / "vectors"
    path.write_bytes(binary(WORDS, VECTORS, b"\n"))
    blocks = list(DistinctWords(recognize(str(path))).blocks())
    assert [len(words) for words, _ in blocks] == [3, 3, 2]
    assert [word for words, _ in blocks for word in words] == WORDS
    assert np.array_equal(np.concatenate([vectors for _, vectors in blocks]), VECTORS)


def test_a_file_is_read_as_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(text(WORDS, VECTORS, header=False) * 3000 + b"damaged\n")
    records = recognize(str(path)).records()
    assert [next(records)[0].decode() for _ in WORDS] == WORDS


@pytest.mark.parametrize("header", [False, True])
def test_words_with_spaces(header: bool, tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    words = [". .", "at name@domain.com", "the", "in", "on", "de\u00a0 la", "1 a"]
    path.write_bytes(text(words, VECTORS[: len(words)], header))
    assert read(path)[0] == words


@pytest.mark.parametrize("header", [b"", b"6 2\n"])
def test_repeated_words_and_words_that_are_not_utf8(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(header + b"\xe1gua 7 8\ncasa 1 2\nrua 3 4\ncasa 5 6\n\xe1gua 7 8\nCasa 9 0\n")
    words = DistinctWords(recognize(str(path)))
    ((found, vectors),) = words.blocks()
    assert found == ["casa", "rua", "Casa"]
    assert vectors.tolist() == [[1, 2], [3, 4], [9, 0]]
    assert (words.read, words.repeated, words.undecodable) == (6, 1, 2)


@pytest.mark.parametrize("form", FORMATS)
def test_a_limit_counts_records(form: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(FORMATS[form](["a", "b", "a", "c", *WORDS[4:]], VECTORS))
    words = DistinctWords(recognize(str(path)), limit=3)
    assert [word for block, _ in words.blocks() for word in block] == ["a", "b"]
    assert (words.read, words.repeated) == (3, 1)


def test_a_limit_reads_nothing_past_it(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(b"2 2\na 1 2\nb x\n")
    assert len(list(DistinctWords(recognize(str(path)), limit=1).blocks())) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"3 2\na 1 2\nb 3 4\n", "FILE:1: the header says 3 words, but the file has 2; download it again if it was cut short, or "),
        (b"1 2\na 1 2\n\nb 3 4\n", "FILE:4: more words than the header (line 1) says (1); write the right count there, or delete"),
        (b"2 3\na 1 2\nb 3 4\n", "FILE:2: 2 numbers, but the header (line 1) says 3; correct or delete"),
        (b"\n2 1\na 1 2\nb 3 4\n", "FILE:3: 2 numbers, but the header (line 2) says 1; correct or delete"),
        (b"0 5\n", "FILE:1: a header of 0 words with 5 numbers each; write it again, or delete it"),
        (b"5 0\n", "FILE:1: a header of 5 words with 0 numbers each"),
        (b"5 99999999\na 1\n", "FILE:1: a header of 5 words with 99999999 numbers each"),
        (b"3 5\n", "FILE:1: the header says 3 words, but the file has 0"),
        (b"a 1 2 3\nb 1 2\nc 1 2 3\n", "FILE:2: 2 numbers, but the other lines have 3; correct or delete"),
        (b"a 1 2\nb 1 2\nc 1 2 3\n", "FILE:3: 3 numbers, but the other lines have 2; correct or delete"),
        (b"a 1 2\nb 1\n", "FILE:2: 1 numbers, but the other lines have 2"),
        (b"a 1 2\n 1 2\n", "FILE:2: 2 numbers and no word; delete the line"),
        (b"a 1 2\nb 1 dois\n", "FILE:2: 'dois' is not a number; a line is a word and 2 numbers such as -0.25"),
        (b"2 2\na 0,5 2\nb 3 4\n", "FILE:2: '0,5' is not a number"),
        (b"2 2\na 1 x\nb 3 4\n", "FILE:2: 'x' is not a number"),
        (b"a x 1\nb 1 2\n", "FILE:1: 'x' is not a number"),
        (b"a 1 2\nb 1 nan\n", "FILE:2: 'nan' is not a finite number in 32 bits; correct it, or delete the line"),
        (b"a 1 2\nb -inf 2\n", "FILE:2: '-inf' is not a finite number"),
        (b"a 1 2\nb 1e39 2\n", "FILE:2: '1e39' is not a finite number"),
        (b"a 1 2\nb 1 " + b"\xff\r" * 99 + b"9\n", "FILE:2: "),
        (b"", "model.word_vectors: FILE is empty; give a file of word vectors"),
        (b"\xef\xbb\xbf \n\n", "model.word_vectors: FILE is empty"),
        (gzip.compress(b"", mtime=0), "model.word_vectors: FILE is empty"),
        (b"O filme \xc3\xa9 bom.\nMas longo.\n", "FILE:1: no line of word vectors, which is a word and its numbers; give word vectors as "),
        (b"casa\nrua\n", "FILE:1: no line of word vectors"),
        (b"\x7fELF\0\0\0\0", "FILE:1: binary data without a header; give word vectors as"),
        (b"\x80\x04\x95\0\0", "model.word_vectors: FILE is a pickle, which is never loaded"),
        (b"\xba\x16\x4f\x2f\0\0", "model.word_vectors: FILE is a fastText model (.bin); give the .vec file"),
        ("a 1 2\n".encode("utf-16"), "model.word_vectors: FILE is text in UTF-16; save it as UTF-8"),
    ],
)
def test_what_is_wrong_with_a_text(content: bytes, message: str, tmp_path: Path) -> None:
    assert fails(tmp_path / "vectors.txt", content).startswith(message)


GOOD = binary(WORDS, VECTORS)
HEADED = GOOD.partition(b"\n")[2]
SAYS = "; the header (line 1) says 8 words of 5 numbers: download the file again, or correct the header"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[:-1], f"FILE: record 8: the file ends before this record does{SAYS}"),
        (GOOD[:-21], f"FILE: record 8: the file ends before this record does{SAYS}"),
        (GOOD[:-22], f"FILE: record 8: the file ends before this record does{SAYS}"),
        (b"9 5\n" + HEADED, "FILE: record 9: the file ends before this record does; the header (line 1) says 9 words"),
        (b"7 5\n" + HEADED, "FILE: record 8: more data; the header (line 1) says 7 words"),
        (b"8 5\n" + HEADED + b"x", f"FILE: record 9: more data{SAYS}"),
        (binary(["a", "b"], np.array([[1, 2], [3, np.inf]], dtype=np.float32)), "FILE: record 2: a value of 'b' is not a finite number;"),
        (binary(["a", "b"], np.array([[1, np.nan], [3, 4]], dtype=np.float32)), "FILE: record 1: a value of 'a' is not a finite number;"),
        (binary(["a", "b\0c"], np.ones((2, 2), dtype=np.float32)), "FILE: record 2: no word where one is due;"),
        (binary(["a", ""], np.ones((2, 2), dtype=np.float32)), "FILE: record 2: no word where one is due;"),
        (b"8 5\na" + b"\0" * (1 << 17), f"FILE: record 1: no word within 65536 bytes{SAYS}"),
    ],
)
def test_what_is_wrong_with_a_binary(content: bytes, message: str, tmp_path: Path) -> None:
    assert fails(tmp_path / "vectors.bin", content).startswith(message)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6, 7, 8, 50])
def test_a_binary_of_another_width_than_its_header_says(width: int, tmp_path: Path) -> None:
    assert f"says 8 words of {width} numbers" in fails(tmp_path / "vectors.bin", b"8 %d\n" % width + HEADED)


@pytest.mark.parametrize("form", FORMATS)
def test_compressed_data_cut_short_or_damaged(form: str, tmp_path: Path) -> None:
    content = gzip.compress(FORMATS[form](WORDS, VECTORS))
    for cut in (len(content) - 1, len(content) // 2, 12, 3):
        assert "the compressed data end too early; download the file again" in fails(tmp_path / "vectors.gz", content[:cut])
    wrong_sum = content[:-8] + b"\0\0\0\0" + content[-4:]
    assert "the compressed data are damaged (CRC check failed" in fails(tmp_path / "vectors.gz", wrong_sum)
    assert "the compressed data are damaged" in fails(tmp_path / "vectors.gz", content[:20] + b"\xff" * 20 + content[40:])


def test_the_line_at_which_compressed_data_end(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(20000, 5)).astype(np.float32)
    content = gzip.compress(text([f"w{row}" for row in range(20000)], rows, header=True))
    message = fails(tmp_path / "vectors.gz", content[: len(content) * 3 // 4])
    assert 14000 < int(message.split(":")[1]) < 16000


def test_lines_without_end(tmp_path: Path) -> None:
    assert "bytes without a line break" in fails(tmp_path / "vectors", b"1 " * (1 << 20))
    assert fails(tmp_path / "vectors", b"2 2\na 1 2\nb " + b"1 " * (1 << 20)).startswith("FILE:3: more than 1048576 bytes")


def test_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "glove.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("glove.txt", "a 1 2\n")
    assert "is a zip archive; unpack it and name the file inside" in fails(path, path.read_bytes())


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("a 1 2\n")
    with pytest.raises(DataError, match=r"^model\.word_vectors: there is no file 'glove\.tx' in .* Did you mean 'glove\.txt'\?$"):
        recognize(str(tmp_path / "glove.tx"))
    with pytest.raises(DataError, match=r"^model\.word_vectors: there is no folder '.*absent' to read 'glove\.txt' from$"):
        recognize(str(tmp_path / "absent" / "glove.txt"))
    with pytest.raises(DataError, match=r"^model\.word_vectors=.* is a folder; name a file in it$"):
        recognize(str(tmp_path))
