"""Thesauri of users in each format, and those that the project ships."""

from __future__ import annotations

import gzip
import pickle
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.augmentation.formats import FORMATS, read_mythes, read_tsv, read_wordnet, recognize
from afinar.augmentation.lexicon import LANGUAGES, Lexicon, shipped_words
from afinar.errors import ConfigError, DataError

WORDNET = (
    "# Name\tpor\thttps://x\tlicence\n1-a\tpor:lemma\tbom\n1-a\tpor:lemma\tótimo\n1-a\tpor:def\t0\to que agrada\n"
    "2-a\tpor:lemma\tbom\n2-a\tpor:lemma\tmuito_bom\n2-a\tpor:lemma\tbondoso\n"
)
TSV = "# comment\nbom\tótimo\tbondoso\n\nBom\tmuito bom\n"
MYTHES = "UTF-8\nbom|2\n(adj)|ótimo|mau (antonym)\n(adj)|bondoso|qualidade (generic term)|muito bom\n"
RICH = {"wordnet": WORDNET, "tsv": TSV, "mythes": MYTHES}

WORD = st.text(st.characters(codec="utf-8", categories=["Ll"]), min_size=1, max_size=6)
ENTRIES = st.dictionaries(WORD, st.lists(WORD, min_size=1, max_size=4, unique=True), min_size=1, max_size=6)


def written(tmp_path: Path, content: str | bytes) -> str:
    path = tmp_path / "lexicon.dat"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "change", [lambda text: text, lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text], ids=["", "crlf", "bom"]
)
@pytest.mark.parametrize("told", [True, False])
def test_a_word_in_every_format(tmp_path: Path, name: str, change, told: bool) -> None:
    lexicon = Lexicon("pt", written(tmp_path, change(RICH[name])), name if told else None)
    assert lexicon.synonyms("bom") == lexicon.synonyms("BOM") == ("ótimo", "bondoso")
    assert lexicon.synonyms("mau") == lexicon.synonyms("muito") == ()
    assert lexicon.synonyms("ótimo") == (("bom",) if name == "wordnet" else ())
    assert pickle.loads(pickle.dumps(lexicon)) == lexicon


@given(entries=ENTRIES)
def test_formats_give_back_what_was_written(entries: dict[str, list[str]]) -> None:
    path = Path("x")
    tsv = "".join("\t".join([head, *synonyms]) + "\n" for head, synonyms in entries.items()).encode()
    assert recognize(path, tsv) == "tsv"
    assert read_tsv(path, tsv) == list(entries.items())
    mythes = "UTF-8\n" + "".join(
        f"{head}|{len(synonyms)}\n" + "".join(f"-|{one}\n" for one in synonyms) for head, synonyms in entries.items()
    )
    assert recognize(path, mythes.encode()) == "mythes"
    assert read_mythes(path, mythes.encode()) == [(head, [one]) for head, synonyms in entries.items() for one in synonyms]
    synsets = list(enumerate([head, *synonyms] for head, synonyms in entries.items()))
    for prefix in ("", "por:"):
        wordnet = "".join(f"{number:08}-n\t{prefix}lemma\t{word}\n" for number, words in synsets for word in words).encode()
        assert recognize(path, wordnet) == "wordnet"
        expected = [(word, [other for other in words if other != word]) for _, words in synsets for word in words]
        assert read_wordnet(path, wordnet) == expected


def test_encodings_and_archives(tmp_path: Path) -> None:
    for encoding in ("ISO8859-1", "utf-8"):
        content = MYTHES.replace("UTF-8", encoding).encode(encoding)
        assert Lexicon("pt", written(tmp_path, content)).synonyms("bom") == ("ótimo", "bondoso")
        assert Lexicon("pt", written(tmp_path, gzip.compress(content))).synonyms("bom") == ("ótimo", "bondoso")


def test_decomposed_text_and_files(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "ótimo\tádmirável\n")
    lexicon = Lexicon("pt", written(tmp_path, decomposed))
    assert lexicon.synonyms("ótimo") == lexicon.synonyms(unicodedata.normalize("NFD", "Ótimo")) == ("ádmirável",)


def test_what_is_left_out(tmp_path: Path) -> None:
    content = "de\tdesde\n2a\tb\na\tA\na\t\tx y\nç\tç\tÇ\td_e\t12\tc\n"
    lexicon = Lexicon("xx", written(tmp_path, content))
    assert lexicon.by_word == {"de": ("desde",), "ç": ("c",)}
    assert Lexicon("pt", written(tmp_path, content)).by_word == {"ç": ("c",)}


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("a,b\n", None, "FILE:1: 'a,b' is of no lexicon"),
        ("# x\n\na b\n", None, "FILE:3: 'a b' is of no lexicon"),
        ("a\tb\nc\n", None, "FILE:2: 'c' is not a word, a tab and its synonyms"),
        ("a\tb\n\tc\n", None, "FILE:2: '\tc' is not a word, a tab"),
        ("1-n\tlemma\ta\n1-n\tb\n", None, "FILE:2: 2 columns in '1-n\tb'; a WordNet line is"),
        ("1-n\tpor:lemma\ta\n\n1-n\teng:lemma\tb\n", None, "FILE:3: 'eng' after 'por': a lexicon is of one language"),
        ("UTF-8\na|1\n-|b\nc|2\n-|d\n", None, "FILE:4: the end of the file stands for a meaning of 'c' (line 4)"),
        ("UTF-8\na|2\n-|b\nc|1\n-|d\n", None, "FILE:4: 'c|1' stands for a meaning of 'a' (line 3)"),
        ("UTF-8\na|1\n-|b\n-|d\n", None, "FILE:4: '-|d' is not 'word|number of meanings'"),
        ("KOI-77\na|1\n-|b\n", "mythes", "FILE:1: 'KOI-77' is no text encoding"),
        ("hex\na|1\n-|b\n", "mythes", "FILE:1: 'hex' is no text encoding"),
        (b"a\tb\nc\t\xe9\n", None, "FILE:2: byte 0xe9 is not utf-8"),
        (b"UTF-8\na|1\n-|\xe9\n", None, "FILE:3: byte 0xe9 is not UTF-8"),
        ("a\tb c\n", None, "FILE has no word with a synonym of one word"),
        (" \n", None, "augmentation: the lexicon FILE is empty"),
        (gzip.compress(b"a\tb\n", mtime=0)[:-4], None, "FILE is a damaged gzip archive"),
    ],
)
def test_wrong_files(tmp_path: Path, content: str | bytes, name: str | None, message: str) -> None:
    file = written(tmp_path, content)
    lexicon = Lexicon("pt", file, name)
    with pytest.raises(DataError) as error:
        lexicon.synonyms("a")
    assert str(error.value).startswith(message.replace("FILE", file).replace("(line 3)", "(line 2)"))
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    written(tmp_path, TSV)
    with pytest.raises(DataError, match=r"there is no lexicon 'lexicon.da' in .*Did you mean 'lexicon.dat'\?"):
        Lexicon("pt", str(tmp_path / "lexicon.da")).synonyms("a")
    with pytest.raises(DataError, match="is a folder"):
        Lexicon("pt", str(tmp_path)).synonyms("a")
    with pytest.raises(DataError, match="there is no lexicon"):
        Lexicon("pt", str(tmp_path / "none" / "x")).synonyms("a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"language": "de"}, r"language=de is not one that afinar has words of \(en, pt\); name a file"),
        ({"file": "x", "format": "tvs"}, r"format=tvs of a lexicon is unknown: choose of wordnet, tsv, mythes. Did you mean 'tsv'\?"),
    ],
)
def test_wrong_options(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^augmentation: {message}"):
        Lexicon(**options)


def lines(language: str, name: str) -> list[str]:
    text = (Path(__file__).parents[2] / "src/afinar/augmentation/lexicons" / f"{language}{name}").read_text(encoding="utf-8")
    assert unicodedata.is_normalized("NFC", text)
    assert text.endswith("\n")
    return [line for line in text.splitlines() if not line.startswith("# ")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_shipped_synonyms(language: str) -> None:
    rows = [line.split("\t") for line in lines(language, ".tsv")]
    heads = [head for head, *_ in rows]
    assert len(heads) >= 250
    assert heads == sorted(set(heads))
    for head, *synonyms in rows:
        assert synonyms == sorted(set(synonyms) - {head})
        assert synonyms
        for word in (head, *synonyms):
            assert word == word.lower().strip()
            assert all(character.isalpha() or character in "-'" for character in word)
            assert word[0].isalpha()
    assert Lexicon(language).by_word == {head: tuple(synonyms) for head, *synonyms in rows}  # no head is a word of grammar


SAME_IN_BOTH_NUMBERS = {"apenas", "simples", "cortês", "propôs", "propus"}


def test_portuguese_synonyms_agree_in_number_and_gender() -> None:
    """Endings tell what can be told: a plural's synonyms are plurals, and those of a masculine in -o end in no -a, nor the reverse.

    What is not declined (adverbs) and verbs do not follow.
    """
    table = Lexicon("pt").by_word
    for head, synonyms in table.items():
        for synonym in synonyms:
            if not {head, synonym} & SAME_IN_BOTH_NUMBERS:
                assert head.endswith("s") == synonym.endswith("s"), (head, synonym)
            if head.endswith(("oso", "osa", "ado", "ada", "ico", "ica", "ivo", "iva")) and synonym.endswith(("oso", "osa", "ado", "ada")):
                assert head[-1] == synonym[-1], (head, synonym)
            if head.endswith(("ando", "endo", "indo", "ou", "aram", "eram", "iram")) and head != "lindo":
                verbal = ("ndo", "ou", "eu", "iu", "ram", "ôs", "ve")
                assert synonym.endswith(verbal), (head, synonym)


def test_english_synonyms_agree_in_form_and_with_the_article() -> None:
    def an(word: str) -> bool:
        vowel_in_sound = ("hour", "hono")
        vowel_in_writing = ("use", "usi", "usu", "uti", "uni", "eu", "one")
        return word.startswith(vowel_in_sound) or (word[0] in "aeiou" and not word.startswith(vowel_in_writing))

    for head, synonyms in Lexicon("en").by_word.items():
        for synonym in synonyms:
            assert an(head) == an(synonym), (head, synonym)
            if head.endswith("ly") and head not in ("lovely", "friendly", "ugly", "early", "costly", "cowardly", "unsightly", "silly"):
                adverbs = ("maybe", "perhaps", "hence", "thus", "often", "seldom")
                assert synonym.endswith("ly") or synonym in adverbs, (head, synonym)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["intensifiers", "stop_words"])
def test_shipped_lists(language: str, kind: str) -> None:
    words = lines(language, f".{kind}.txt")
    assert words == sorted(set(words))
    assert tuple(words) == shipped_words(language, kind)
    assert len(words) >= 20
    assert all(word == word.lower().strip() and " " not in word and word for word in words)


REAL = Path(__file__).parents[3] / "shared/data/synonyms"


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason=f"needs {REAL}")
@pytest.mark.parametrize(
    ("file", "language", "heads", "word", "synonym"),
    [("wn-data-por.3c1a31a.tab", "pt", 19_000, "carro", "automóvel"), ("ppdb-en-lexical.tsv.gz", "en", 40_000, "beautiful", "wonderful")],
)
def test_real_thesauri(file: str, language: str, heads: int, word: str, synonym: str) -> None:
    lexicon = Lexicon(language, str(REAL / file))
    assert len(lexicon.by_word) > heads
    assert synonym in lexicon.synonyms(word)
