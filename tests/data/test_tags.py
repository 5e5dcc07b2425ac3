"""Gold tags: what is read, repaired and converted, and every broken table against its one clear line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.data.conll import ConllReader, ConlluReader
from afinar.data.readers import JsonlReader, ParquetReader, Reader
from afinar.data.table import Table
from afinar.data.tags import follow_scheme, read_tags, read_words, settle_scheme, unseen_note
from afinar.errors import ConfigError, DataError
from afinar.tagging.schemes import Scheme, illegal_words
from afinar.tagging.spans import Span, spans, to_tags


def message(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text, "an error is one line"
    return text


def table_of(rows: Sequence[Any], column: str = "tags", classes: tuple[str, ...] = ()) -> Table:
    return Table("t.jsonl", {column: rows}, lambda row: f"t.jsonl:{row + 1}", {column: classes} if classes else {})


def conll(sentences: str) -> tuple[list[list[str]], Table]:
    """Return tags and a table whose places are lines: one word a line, an empty line after each sentence."""
    tags = [sentence.split() for sentence in sentences.split("|")]
    starts = [1 + sum(len(before) + 1 for before in tags[:row]) for row in range(len(tags))]
    places = (lambda row: f"a.conll:{starts[row]}", {}, lambda row, word: f"a.conll:{starts[row] + word}")
    return tags, Table("a.conll", {"tags": tags}, *places)


# Words


def test_words_may_be_anything_and_sentences_may_have_none() -> None:
    rows = [["NA", "\u200b", " ", "a b"], (), np.array(["x"])]
    assert read_words(table_of(rows, "tokens"), "tokens") == [["NA", "\u200b", " ", "a b"], [], ["x"]]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (["a", ""], "t.jsonl:2, word 2: the word is empty in 'tokens'; give the word or remove it together with its tag"),
        (["a", 7], "t.jsonl:2, word 2: the word is 7 in 'tokens', not a text; write every word as a string"),
        ([None], "t.jsonl:2, word 1: the word is None in 'tokens', not a text; write every word as a string"),
        (
            ["\ud83d", "\ude00"],
            "t.jsonl:2, word 1: a word in 'tokens' holds half a surrogate pair, which is no character; repair its \\u escapes",
        ),
        (None, "t.jsonl:2: 'tokens' is missing; give every row a list of words"),
        (3, "t.jsonl:2: 'tokens' is 3, not a list of words"),
    ],
)
def test_broken_words(cell: Any, expected: str) -> None:
    with pytest.raises(DataError) as error:
        read_words(table_of([["a"], cell], "tokens"), "tokens")
    assert message(error) == expected


def test_a_text_is_no_list_of_words() -> None:
    with pytest.raises(DataError) as error:
        read_words(table_of(["Maria chega"], "tokens"), "tokens")
    assert message(error).startswith("t.jsonl:1: 'tokens' is a text, not a list of words ('Maria chega')")


def test_tables_without_words_or_without_the_column() -> None:
    with pytest.raises(DataError, match="no sentence has a word"):
        read_words(table_of([[], []], "tokens"), "tokens")
    with pytest.raises(DataError, match=r"no column 'words' \(data.tokens_column\); it has 'tokens'"):
        read_words(table_of([["a"]], "tokens"), "words")


# Tags


def test_integers_are_named_by_the_classes_of_the_table() -> None:
    words = [["a", "b"], ["c"]]
    classes = ("O", "B-PER")
    assert read_tags(table_of([[1, 0], np.array([1])], classes=classes), "tags", words) == [["B-PER", "O"], ["B-PER"]]
    assert read_tags(table_of([[1, 0], [2]]), "tags", words) == [["1", "0"], ["2"]]


def test_classes_that_parquet_stores(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, List, Value

    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-PER", "I-PER"]))})
    Dataset.from_dict({"tokens": [["Maria", "Silva"], []], "ner_tags": [[1, 2], []]}, features=features).to_parquet(tmp_path / "a.parquet")
    table = ParquetReader().read(str(tmp_path / "a.parquet"), "train")
    words = read_words(table, "tokens")
    assert (words, read_tags(table, "ner_tags", words)) == ([["Maria", "Silva"], []], [["B-PER", "I-PER"], []])


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (["O"], "t.jsonl:1: 2 words, but 1 tag in 'tags'; give every word one tag"),
        (["O", "O", "O"], "t.jsonl:1: 2 words, but 3 tags in 'tags'; give every word one tag"),
        (["O", ""], "t.jsonl:1, word 2: the tag in 'tags' is empty; give every word one tag, 'O' where it belongs to no entity"),
        (["O", " "], "t.jsonl:1, word 2: the tag in 'tags' is empty; give every word one tag, 'O' where it belongs to no entity"),
        ([None, "O"], "t.jsonl:1, word 1: the tag in 'tags' is missing; give every word one tag"),
        (["O", ["B-PER"]], "t.jsonl:1, word 2: the tag in 'tags' is ['B-PER'], not a name or a whole number"),
        (None, "t.jsonl:1: 'tags' is missing; give every row a list of tags"),
    ],
)
def test_broken_tags(cell: Any, expected: str) -> None:
    with pytest.raises(DataError) as error:
        read_tags(table_of([cell]), "tags", [["a", "b"]])
    assert message(error) == expected


def test_a_text_is_no_list_of_tags() -> None:
    with pytest.raises(DataError) as error:
        read_tags(table_of(["O,B-PER,O"]), "tags", [["a", "b", "c"]])
    assert message(error).startswith("t.jsonl:1: 'tags' is a text, not a list of tags ('O,B-PER,O')")


@pytest.mark.parametrize("number", [-1, 2])
def test_integers_outside_the_classes(number: int) -> None:
    with pytest.raises(DataError) as error:
        read_tags(table_of([[0, number]], classes=("O", "B-PER")), "tags", [["a", "b"]])
    assert message(error).startswith(f"t.jsonl:1, word 2: the tag in 'tags' is {number}, which is none of its 2 classes")


# The scheme of training data


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        ("B-PER I-PER O B-LOC|O", Scheme.IOB2),
        ("I-PER I-PER O I-LOC B-LOC|I-PER", Scheme.IOB1),
        ("I-PER O I-LOC I-LOC", Scheme.IO),
        ("B-PER E-PER O S-LOC", Scheme.IOBES),
        ("NOUN VERB I X", None),
    ],
)
def test_schemes_are_recognized_and_legal_tags_stay(sentences: str, scheme: Scheme | None) -> None:
    tags, table = conll(sentences)
    assert settle_scheme(tags, table) == (tags, scheme, [])


@pytest.mark.parametrize(("name", "scheme"), [("iob2", Scheme.IOB2), ("BIO", Scheme.IOB2), ("bioes", Scheme.IOBES), ("none", None)])
def test_declared_schemes(name: str, scheme: Scheme | None) -> None:
    tags, table = conll("S-PER" if scheme is Scheme.IOBES else "B-PER I-PER")
    assert settle_scheme(tags, table, scheme=name) == (tags, scheme, [])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scheme": "iob3"}, "data.scheme=iob3 is unknown: choose one of io, iob1, iob2, iobes. Did you mean 'iob2'?"),
        ({"convert_to": "iobs"}, "data.convert_to=iobs is unknown: choose one of io, iob1, iob2, iobes. Did you mean 'iobes'?"),
        ({"illegal": "repare"}, "data.illegal=repare is unknown: choose one of repair, refuse. Did you mean 'repair'?"),
    ],
)
def test_unknown_choices(options: dict[str, str], expected: str) -> None:
    tags, table = conll("B-PER")
    for check in (settle_scheme, partial(follow_scheme, trained=Scheme.IOB2)):
        with pytest.raises(ConfigError) as error:
            check(tags, table, **options)
        assert message(error) in (expected, expected.replace("'iob2'?", "'iob1'?"))


def test_illegal_tags_are_repaired_and_the_first_is_named() -> None:
    tags, table = conll("B-PER O|B-LOC|O I-PER I-PER|I-LOC B-LOC" + "|B-PER" * 18)
    report = settle_scheme(tags, table)
    assert report.scheme is Scheme.IOB2
    assert report.tags[:4] == [["B-PER", "O"], ["B-LOC"], ["O", "B-PER", "I-PER"], ["B-LOC", "B-LOC"]]
    assert report.notes == ["2 illegal tags in a.conll (first: a.conll:7, I-PER after O): repaired as conlleval reads them"]
    with pytest.raises(DataError) as error:
        settle_scheme(tags, table, illegal="refuse")
    assert message(error).startswith(
        "2 illegal tags in a.conll (first: a.conll:7, I-PER after O): correct them, or say data.illegal=repair"
    )


@pytest.mark.parametrize(
    ("sentences", "scheme", "position"),
    [
        ("I-PER B-PER", "iob2", "a.conll:1, I-PER at the start of the sentence"),
        ("B-PER I-LOC B-LOC", "iob2", "a.conll:2, I-LOC after B-PER"),
        ("S-PER|O B-PER", "iobes", "a.conll:4, B-PER at the end of the sentence"),
        ("B-PER O", "iobes", "a.conll:2, O after B-PER"),
        ("I-PER O B-PER", "iob1", "a.conll:3, B-PER after O"),
    ],
)
def test_where_a_tag_is_illegal(sentences: str, scheme: str, position: str) -> None:
    tags, table = conll(sentences)
    report = settle_scheme(tags, table, scheme=scheme)
    assert report.notes == [f"1 illegal tag in a.conll (first: {position}): repaired as conlleval reads them"]
    assert not any(illegal_words(sentence, Scheme(scheme)) for sentence in report.tags)


def test_mixed_schemes_need_a_word() -> None:
    tags, table = conll("B-PER I-PER|I-PER|I-LOC|B-LOC")
    with pytest.raises(DataError) as error:
        settle_scheme(tags, table)
    assert message(error).startswith("a.conll mixes tag schemes: 2 entities open with B- as in IOB2, and 2 with I- as in IOB1; ")
    assert "data.scheme=iob2" in message(error)
    assert settle_scheme(tags, table, scheme="iob2").tags == [["B-PER", "I-PER"], ["B-PER"], ["B-LOC"], ["B-LOC"]]
    with pytest.raises(DataError, match="mixes tag schemes: the prefixes L, U are of none"):
        settle_scheme(*conll("B-PER I-PER L-PER O U-LOC"))


def test_a_type_that_never_begins() -> None:
    tags, table = conll("B-PER O" + "|B-PER" * 12 + "|O I-LOC")
    for scheme in (None, "iob2"):
        with pytest.raises(DataError) as error:
            settle_scheme(tags, table, scheme=scheme)
        assert message(error).startswith("a.conll:29: there is 'I-LOC' but nowhere 'B-LOC', with which every entity of it starts in iob2; ")
    assert settle_scheme(*conll("I-PER O"), scheme="io").scheme is Scheme.IO


@pytest.mark.parametrize("tag", ["B-PER,B-LOC", "O,B-PER", "B-PER|I-ORG", "B-PER, B-LOC"])
def test_joined_tags(tag: str) -> None:
    tags, table = [["O"], ["B-PER", tag]], conll("O|B-PER O")[1]
    for check in (settle_scheme, partial(follow_scheme, trained=Scheme.IOB2)):
        with pytest.raises(DataError) as error:
            check(tags, table)
        expected = f"a.conll:4: '{tag}' joins several tags: nested entities are not supported; keep one tag a word, e.g. 'B-PER'"
        assert message(error) == expected


def test_features_with_bars_and_commas_are_plain_labels() -> None:
    tags = [["Gender=Fem|Number=Plur", ",", "B,C"]]
    assert settle_scheme(tags, table_of(tags)).scheme is None
    assert settle_scheme([["B-A,B-C"]], table_of(tags), scheme="none").scheme is None


@pytest.mark.parametrize("tag", ["E-PER", "0", "b-PER", "O-PER", "-PER", "PER"])
def test_tags_that_the_declared_scheme_does_not_have(tag: str) -> None:
    tags, table = conll(f"B-PER O|{tag}")
    with pytest.raises(DataError) as error:
        settle_scheme(tags, table, scheme="iob2")
    assert message(error) == f"a.conll:4: '{tag}' is no tag of iob2, which has O, B-, I-; correct it, or declare another data.scheme"


def test_a_misspelt_tag_does_not_turn_entities_into_plain_labels() -> None:
    tags, table = conll("B-PER I-PER O|" * 9 + "B-PER 0")
    with pytest.raises(DataError) as error:
        settle_scheme(tags, table)
    assert message(error).startswith("a.conll:38: '0' is no tag of an entity, as others here are (e.g. 'B-PER')")
    assert settle_scheme(tags, table, scheme="none").scheme is None


def test_spellings_without_a_type_are_one() -> None:
    tags, table = conll("B- I-_ O B")
    assert settle_scheme(tags, table).tags == [["B", "I", "O", "B"]]


def test_training_data_without_entities() -> None:
    with pytest.raises(DataError, match="every word has the tag 'O'"):
        settle_scheme(*conll("O O|O"))


def test_conversion() -> None:
    tags, table = conll("I-PER I-PER B-PER O|I-LOC")
    assert settle_scheme(tags, table, convert_to="iobes") == ([["B-PER", "E-PER", "S-PER", "O"], ["S-LOC"]], Scheme.IOBES, [])
    tags, scheme, notes = settle_scheme(tags, table, convert_to="io")
    assert (tags, scheme) == ([["I-PER", "I-PER", "I-PER", "O"], ["I-LOC"]], Scheme.IO)
    assert notes == ["1 of 3 entities of a.conll touch the one before, of the same type: io makes them one"]
    with pytest.raises(ConfigError) as error:
        settle_scheme(*conll("NOUN VERB"), convert_to="iob2")
    assert "follow no scheme (e.g. 'NOUN')" in message(error)


SENTENCE = st.lists(st.tuples(st.sampled_from(["", "PER", "LOC"]), st.integers(1, 3)), min_size=1, max_size=6)


def entities_of(parts: list[tuple[str, int]]) -> tuple[list[Span], int]:
    found, start = [], 0
    for kind, length in parts:
        if kind:
            found.append(Span(kind, start, start + length))
        start += length
    return found, start


@given(st.lists(SENTENCE, min_size=1, max_size=4), st.sampled_from(list(Scheme)[1:]), st.sampled_from(list(Scheme)[1:]))
def test_conversion_keeps_every_entity(sentences: list[list[tuple[str, int]]], declared: Scheme, wanted: Scheme) -> None:
    known = [entities_of([("PER", 1), ("LOC", 1)]), *map(entities_of, sentences)]
    tags = [to_tags(entities, length, declared) for entities, length in known]
    report = settle_scheme(tags, table_of(tags), scheme=declared.value, convert_to=wanted.value)
    assert [spans(sentence, wanted) for sentence in report.tags] == [entities for entities, _ in known]
    assert report.notes == []
    assert follow_scheme(tags, table_of(tags), wanted, scheme=declared.value).tags == report.tags


# Other files against the scheme of training


@pytest.mark.parametrize(
    ("sentences", "trained"),
    [
        ("O O", Scheme.IOBES),
        ("I-PER O", Scheme.IOB1),
        ("S-PER", Scheme.IOBES),
        ("B-PER B-NEW", Scheme.IOB2),
        ("NOUN VERB", None),
        ("B-PER O", None),
    ],
)
def test_files_that_fit(sentences: str, trained: Scheme | None) -> None:
    tags, table = conll(sentences)
    assert follow_scheme(tags, table, trained) == (tags, trained, [])


@pytest.mark.parametrize(
    ("sentences", "own", "trained"),
    [
        ("I-PER O I-LOC B-LOC", "iob1", "iob2"),
        ("I-PER O", "io", "iob2"),
        ("B-PER I-PER", "iob2", "iobes"),
        ("B-PER E-PER", "iobes", "iob1"),
        ("B-PER I-PER", "iob2", "io"),
    ],
)
def test_a_file_in_another_scheme(sentences: str, own: str, trained: str) -> None:
    tags, table = conll(sentences)
    with pytest.raises(DataError) as error:
        follow_scheme(tags, table, Scheme(trained))
    expected = f"a.conll follows {own}, but the training data follow {trained}; data.convert_to={trained} converts it"
    assert message(error).startswith(expected)
    for options in ({"convert_to": trained}, {"scheme": own}):
        report = follow_scheme(tags, table, Scheme(trained), **options)
        assert report.scheme == trained
        assert [spans(sentence, Scheme(trained)) for sentence in report.tags] == [spans(sentence) for sentence in tags]


def test_slips_of_other_files_are_repaired_or_refused() -> None:
    tags, table = conll("B-PER|" * 10 + "O I-PER")
    report = follow_scheme(tags, table, Scheme.IOB2)
    assert report.tags[-1] == ["O", "B-PER"]
    assert report.notes == ["1 illegal tag in a.conll (first: a.conll:22, I-PER after O): repaired as conlleval reads them"]
    with pytest.raises(DataError, match=r"illegal tag in a\.conll"):
        follow_scheme(tags, table, Scheme.IOB2, illegal="refuse")
    with pytest.raises(DataError, match="'NOUN' is no tag of iob2"):
        follow_scheme(*conll("NOUN VERB"), Scheme.IOB2)


def test_tags_that_training_never_saw() -> None:
    tags, table = conll("O B-PER|B-PESON I-X B-PESON")
    names = ("O", "B-PER", "I-PER", "B-PERSON")
    assert unseen_note(tags, names, table) == (
        "3 of 5 words of a.conll carry a tag that training never saw (first: a.conll:4, 'B-PESON'): "
        "every prediction for them counts as wrong. Did you mean 'B-PERSON'?"
    )
    assert unseen_note([["O", "B-PER"]], names, table) is None


# The real files


@pytest.mark.real
def test_the_real_corpora_need_no_repair(shared_data: Path) -> None:
    files: dict[str, tuple[Reader, str, Scheme | None]] = {
        "lener_br/dev.conll": (ConllReader(), "tags", Scheme.IOB2),
        "bosque_pos/pt_bosque-ud-dev.conllu": (ConlluReader(), "tags", None),
        "snips/validation.jsonl": (JsonlReader(), "slots", Scheme.IOB2),
        "broken/conll2003.txt": (ConllReader(), "tags", Scheme.IO),  # no two entities touch: IOB1 cannot be told
    }
    for file, (reader, column, scheme) in files.items():
        table = reader.read(str(shared_data / file), "train")
        words = read_words(table, "tokens")
        tags = read_tags(table, column, words)
        assert [len(sentence) for sentence in tags] == [len(sentence) for sentence in words]
        assert settle_scheme(tags, table) == (tags, scheme, [])


def test_many_illegal_tags_raise_a_doubt_about_the_scheme() -> None:
    report = settle_scheme(*conll("|".join(["B-PER"] * 12)), scheme="iobes")
    assert report.notes[0].endswith("repaired as conlleval reads them; so many that they may follow another scheme than iobes")
