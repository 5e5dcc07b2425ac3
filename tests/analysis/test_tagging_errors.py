"""The error report: each entity is judged once, and the Markdown shows the words as they are."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from seqeval.metrics.sequence_labeling import get_entities

from afinar.analysis.entity_errors import EntityErrors, Outcome
from afinar.analysis.tagged import CONFUSIONS, ROWS, WORST
from afinar.analysis.tagging_errors import tagging_errors
from afinar.analysis.word_errors import WordErrors
from afinar.errors import DataError
from afinar.tagging.schemes import Scheme
from afinar.tagging.spans import Span, to_tags

Record = dict[str, Any]
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-a-b")


def record(gold: list[str], predicted: list[str], row: int = 0, words: list[str] | None = None, probabilities: Any = None) -> Record:
    return {
        "row": row,
        "tokens": words or [f"w{place}" for place in range(len(gold))],
        "tags": gold,
        "prediction": predicted,
        "probabilities": probabilities or [0.9] * len(gold),
    }


def entities(records: list[Record], scheme: Scheme = Scheme.IOB2) -> EntityErrors:
    found = tagging_errors(records, scheme)
    assert isinstance(found, EntityErrors)
    return found


def words(records: list[Record]) -> WordErrors:
    found = tagging_errors(records, None)
    assert isinstance(found, WordErrors)
    return found


@st.composite
def records(draw: st.DrawFn, tags: tuple[str, ...] = TAGS) -> list[Record]:
    tag = st.sampled_from(tags)
    pair = tag.map(lambda one: (one, one)) | st.tuples(tag, tag)
    sentences = draw(st.lists(st.lists(st.tuples(pair, st.none() | st.floats(0, 1)), max_size=12), max_size=5))
    return [
        record([one for (one, _), _ in sentence], [other for (_, other), _ in sentence], row, None, [p for _, p in sentence])
        for row, sentence in enumerate(sentences)
    ]


@settings(max_examples=500, deadline=None)
@given(records())
def test_each_entity_is_judged_exactly_once(given_records: list[Record]) -> None:
    report = entities(given_records)
    gold, predicted = ([get_entities(sentence[side]) for sentence in given_records] for side in ("tags", "prediction"))
    for found, there, ours in zip(report.findings, gold, predicted, strict=True):
        assert sorted((*f.gold[:2], f.gold.end - 1) for f in found if f.gold) == sorted(there)
        assert sorted((*f.predicted[:2], f.predicted.end - 1) for f in found if f.predicted) == sorted(ours)
    counts = report.counts
    assert sum(counts.values()) - counts[Outcome.INVENTED] == report.gold == sum(map(len, gold))
    assert sum(counts.values()) - counts[Outcome.MISSED] == report.predicted == sum(map(len, predicted))
    hits = sum(len(set(there) & set(ours)) for there, ours in zip(gold, predicted, strict=True))
    assert counts[Outcome.RIGHT] == hits  # what the lenient scores count
    for side, every in ((0, gold), (1, predicted)):
        types = Counter(kind for sentence in every for kind, *_ in sentence)
        marginal: Counter[str] = Counter()
        for pair, count in report.confusion.items():
            if (kind := pair[side]) is not None:
                marginal[kind] += count
        assert marginal == types


@settings(max_examples=300, deadline=None)
@given(records())
def test_outcomes_mean_what_they_say(given_records: list[Record]) -> None:
    for found in entities(given_records).findings:
        for finding in found:
            gold, predicted = finding.gold, finding.predicted
            if gold and predicted:
                assert set(range(gold.start, gold.end)) & set(range(predicted.start, predicted.end))
                expected = {
                    (True, True): Outcome.RIGHT,
                    (False, True): Outcome.WRONG_TYPE,
                    (True, False): Outcome.WRONG_BOUNDS,
                    (False, False): Outcome.WRONG_BOTH,
                }
                assert finding.outcome is expected[gold.type == predicted.type, (gold.start, gold.end) == (predicted.start, predicted.end)]
        missed = [finding.gold for finding in found if finding.outcome is Outcome.MISSED]
        invented = [finding.predicted for finding in found if finding.outcome is Outcome.INVENTED]
        # Whoever is left alone overlaps nobody else who is.
        assert not any(one and other and one.start < other.end and other.start < one.end for one in missed for other in invented)


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ([("A", 0, 2)], [("B", 0, 2)], ["wrong type"]),
        ([("A", 0, 4)], [("A", 0, 3)], ["wrong bounds"]),
        ([("A", 0, 4)], [("B", 1, 4)], ["wrong type and bounds"]),
        # Most shared words, then the same type, then the further left; the other one is alone.
        ([("A", 0, 5)], [("B", 0, 3), ("A", 3, 5)], ["wrong type and bounds", "invented"]),
        ([("A", 0, 4)], [("B", 0, 2), ("A", 2, 4)], ["wrong bounds", "invented"]),
        ([("A", 0, 2), ("A", 2, 4)], [("A", 1, 3)], ["wrong bounds", "missed"]),
        ([("A", 0, 2), ("B", 2, 5)], [("B", 0, 5)], ["missed", "wrong bounds"]),
        # One long prediction beside a gold entity that another one matches.
        ([("A", 0, 1), ("A", 1, 4)], [("A", 0, 1), ("B", 1, 3)], ["right", "wrong type and bounds"]),
        ([], [("A", 0, 1)], ["invented"]),
        ([("A", 0, 1)], [], ["missed"]),
    ],
)
def test_overlaps_are_paired(gold: list[tuple[str, int, int]], predicted: list[tuple[str, int, int]], expected: list[str]) -> None:
    one, other = (to_tags([Span(*span) for span in side], 6, Scheme.IOB2) for side in (gold, predicted))
    assert [str(finding.outcome) for finding in entities([record(one, other)]).findings[0]] == expected


def test_illegal_predictions_are_counted_and_their_entities_seen() -> None:
    report = entities([record(["B-PER", "I-PER"], ["I-PER", "I-PER"]), record(["O"], ["O"], 1), record(["O", "O"], ["I-LOC", "I-PER"], 2)])
    assert report.counts[Outcome.RIGHT] == 1
    assert report.illegal == (2, 3)
    assert "2 predicted sequences are not legal IOB2: 3 tags stand" in report.to_markdown("Errors")
    assert "1 wrong, 0 right" not in report.to_markdown("Errors")
    assert "2 wrong, 0 right, not legal IOB2" in report.to_markdown("Errors")


def test_the_worst_sentences_have_most_errors_and_are_least_probable() -> None:
    sure, unsure = [0.9, 0.9, 0.9], [0.9, 0.2, 0.9]
    given_records = [
        record(["B-PER", "O", "O"], ["O", "O", "O"], 0, None, sure),
        record(["B-PER", "O", "O"], ["O", "O", "O"], 1, None, unsure),
        record(["B-PER", "O", "B-PER"], ["O", "O", "O"], 2, None, sure),
        record(["B-PER", "O", "O"], ["B-PER", "O", "O"], 3, None, unsure),
        record(["B-PER", "O", "O"], ["O", "O", "O"], 4, None, [None, None, None]),
    ]
    assert [found[0].sentence.row for found in entities(given_records).worst()] == [2, 1, 0, 4]
    assert [sentence.row for sentence, _ in words(given_records).worst()] == [2, 1, 0, 4]
    many = entities([record(["B-PER"], ["O"], row) for row in range(WORST + 5)])
    assert [found[0].sentence.row for found in many.worst()] == list(range(WORST))


def test_errors_that_recur_are_counted_by_words_and_types() -> None:
    lisboa = [record(["B-LOC", "I-LOC"], ["B-PER", "I-PER"], row, ["Nova", "Lisboa"]) for row in range(3)]
    other = [record(["B-LOC"], ["B-PER"], 7, ["Lisboa"]), record(["O"], ["B-PER"], 8, ["Lisboa"])]
    report = entities([*other, *lisboa])
    assert [(finding.texts, count) for finding, count in report.commonest(2)] == [
        (("Nova Lisboa", "Nova Lisboa"), 3),
        (("Lisboa", "Lisboa"), 1),
    ]
    assert "| 3 | wrong type | Nova Lisboa (LOC) | Nova Lisboa (PER) |" in report.to_markdown("Errors")
    assert "No error is made twice" in entities(other).to_markdown("Errors")


def test_the_table_has_one_row_an_error() -> None:
    given_records = [
        record(["B-PER", "I-PER", "O", "O"], ["B-PER", "O", "B-LOC", "I-LOC"], 5, ["Ana", "Lima", "viu", "Roma"], [0.9, 0.4, 0.8, 0.7]),
        record(["B-PER"], ["O"], 6, ["Rui"], [None]),
        record(["B-PER"], ["B-PER"], 7),
    ]
    columns, rows = entities(given_records).table()
    assert [dict(zip(columns, row, strict=True)) for row in rows] == [
        {
            "row": 5,
            "error": "wrong bounds",
            "gold_type": "PER",
            "predicted_type": "PER",
            "gold_start": 0,
            "gold_end": 2,
            "predicted_start": 0,
            "predicted_end": 1,
            "probability": 0.9,
            "gold": "Ana Lima",
            "predicted": "Ana",
            "sentence": "Ana Lima viu Roma",
        },
        {
            "row": 5,
            "error": "invented",
            "gold_type": None,
            "predicted_type": "LOC",
            "gold_start": None,
            "gold_end": None,
            "predicted_start": 2,
            "predicted_end": 4,
            "probability": 0.7,
            "gold": None,
            "predicted": "viu Roma",
            "sentence": "Ana Lima viu Roma",
        },
        {
            "row": 6,
            "error": "missed",
            "gold_type": "PER",
            "predicted_type": None,
            "gold_start": 0,
            "gold_end": 1,
            "predicted_start": None,
            "predicted_end": None,
            "probability": None,
            "gold": "Rui",
            "predicted": None,
            "sentence": "Rui",
        },
    ]
    for report in (entities(given_records), words(given_records)):
        columns, rows = report.table(texts=False)
        assert {len(row) for row in rows} == {len(columns)}
        assert not {"Ana", "Ana Lima", "viu Roma", "Rui", "Ana Lima viu Roma"} & {cell for row in rows for cell in row}


@settings(max_examples=200, deadline=None)
@given(records(("NOUN", "VERB", "ADJ", "O")))
def test_without_a_scheme_every_wrong_word_is_an_error(given_records: list[Record]) -> None:
    report = words(given_records)
    pairs = [
        (sentence["tokens"][place], *pair)
        for sentence in given_records
        for place, pair in enumerate(zip(sentence["tags"], sentence["prediction"], strict=True))
    ]
    wrong = [pair for pair in pairs if pair[1] != pair[2]]
    assert report.counts == (len(pairs) - len(wrong), len(wrong))
    assert report.confusion == Counter((gold, predicted) for _, gold, predicted in wrong)
    assert list(report.confusion.values()) == sorted(report.confusion.values(), reverse=True)
    assert dict(report.commonest(1000)) == Counter(wrong)
    columns, rows = report.table()
    assert [tuple(row[columns.index(name)] for name in ("word", "gold_tag", "predicted_tag")) for row in rows] == wrong


def test_many_tags_and_types_are_listed_not_drawn() -> None:
    names = [f"T{number:02}" for number in range(CONFUSIONS + 10)]
    of_words = words([record([name] * 2, [f"x{name}", name]) for name in names]).to_markdown("Errors")
    assert f"The {CONFUSIONS} most frequent of {len(names)} confusions." in of_words
    assert of_words.count("50.0% |") == CONFUSIONS
    pairs = [record([f"B-{name}"], ["B-T00"], row) for row, name in enumerate(names)] + [
        record(["B-T07"], ["O"], 50 + row) for row in range(2)
    ]
    of_entities = entities(pairs).to_markdown("Errors")
    assert "| gold | predicted | times |\n| --- | --- | ---: |\n| T07 | *missed* | 2 |\n| T01 | T00 | 1 |" in of_entities


def cells(markdown: str) -> list[list[str]]:
    """Return the rows of all tables, and every quoted paragraph as a row of its own, as a reader of the rendered page sees them."""
    rows: list[list[str]] = []
    quoted = False
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type in ("tr_open", "blockquote_open"):
            rows.append([])
        quoted = token.type == "blockquote_open" or (quoted and token.type != "blockquote_close")
        if token.type == "inline" and (quoted or token.level >= 3):
            children = token.children or []
            assert {child.type for child in children} <= {"text", "text_special", "strong_open", "strong_close", "em_open", "em_close"}
            rows[-1].append("".join(child.content for child in children))
    return rows


def visible(text: str) -> str:
    shown = (character if character.isprintable() or character.isspace() else f"U+{ord(character):04X}" for character in text)
    return " ".join("".join(shown).split())


MARKS = st.text(st.sampled_from("|`*_\\[]()<>#!~-+=.1&;a \n\r\t\u2028$^:\"'"), min_size=1, max_size=8)


@settings(max_examples=300, deadline=None)
@given(st.lists(MARKS | st.text(min_size=1, max_size=5), min_size=1, max_size=4).filter(lambda texts: visible(" ".join(texts)) != ""))
def test_whatever_the_words_the_page_shows_them(texts: list[str]) -> None:
    gold = ["B-PER", *["I-PER"] * (len(texts) - 1)]
    whole = visible(" ".join(texts))
    found = cells(entities([record(gold, ["O"] * len(texts), 0, texts)]).to_markdown("Errors"))
    assert found[-3:] == [[whole], ["outcome", "gold", "predicted", "probability"], ["missed", f"{whole} (PER)".strip(), "–", "0.90"]]
    of_words = cells(words([record(["NOUN"] * len(texts), ["VERB"] * len(texts), 0, texts)]).to_markdown("Errors"))
    assert of_words[-len(texts) :] == [[visible(text), "NOUN", "VERB", "0.90"] for text in texts]


def test_shares_are_of_gold_entities_and_invented_ones_of_predicted_ones() -> None:
    gold = ["B-PER", "O", "B-PER", "O", "B-PER", "O", "B-PER"]
    report = entities([record(gold, ["B-PER", "B-PER", "O", "O", "O", "O", "O"])])
    rows = {row[0]: row[1:3] for row in cells(report.to_markdown("Errors")) if len(row) == 4 and "%" in row[2]}
    assert rows["right"] == ["1", "25.0% of gold"]
    assert rows["missed"] == ["3", "75.0% of gold"]
    assert rows["invented"] == ["1", "50.0% of predicted"]


def test_entity_references_are_words_like_others() -> None:
    shown = ["&amp;", "&#65;", "AT&T", "&"]
    found = cells(words([record(["X"] * 4, ["Y"] * 4, 0, shown)]).to_markdown("Errors"))
    assert [row[0] for row in found[-4:]] == shown


def test_markdown_in_titles_types_and_tags_is_shown_as_it_is() -> None:
    report = entities([record(["B-a|b", "O"], ["B-*c*", "B-_"])]).to_markdown("a\n# b `c`")
    assert report.startswith("# a \\# b \\`c\\`\n")
    assert ["gold", "*c*", "_", "a|b", "missed"] in cells(report)
    assert ["NN|S", "*X*", "1", "100.0%", "100.0%"] in cells(words([record(["NN|S"], ["*X*"])]).to_markdown("Errors"))


def test_a_long_sentence_is_cut_to_the_surroundings_of_its_errors() -> None:
    texts = [f"w{place}" for place in range(100)]
    gold = ["O"] * 100
    report = entities([record(gold, [*["O"] * 40, "B-PER", *["O"] * 58, "B-LOC"], 0, texts)]).to_markdown("Errors")
    around = ["…", *texts[34:47], "…", *texts[93:]]
    assert [" ".join(around)] in cells(report)
    at_start = words([record(gold, ["X", *["O"] * 99], 0, texts)])
    assert [" ".join([*texts[:7], "…"])] in cells(at_start.to_markdown("Errors"))
    everything = cells(words([record(gold, ["X"] * 100, 0, texts)]).to_markdown("Errors"))
    assert [" ".join(texts)] in everything
    assert everything[-1] == [texts[ROWS - 1], "O", "X", "0.90"]
    long_entity = cells(entities([record(["B-PER", *["I-PER"] * 99], gold, 0, texts)]).to_markdown("Errors"))
    assert long_entity[-1][1] == " ".join([*texts[:6], "…", *texts[-6:], "(PER)"])


def test_of_a_crowded_sentence_the_errors_are_shown() -> None:
    gold = ["B-PER"] * (ROWS + 3)
    report = entities([record(gold, [*gold[:-2], "O", "B-LOC"])]).to_markdown("Errors")
    rows = cells(report)[-ROWS:]
    assert [row[0] for row in rows] == ["right"] * (ROWS - 2) + ["missed", "wrong type"]
    assert "… and 3 more." in report


@pytest.mark.parametrize("scheme", [Scheme.IOB2, None])
@pytest.mark.parametrize("given_records", [[], [record([], [])], [record(["O", "B-PER"], ["O", "B-PER"])]])
def test_a_report_without_errors_says_so(scheme: Scheme | None, given_records: list[Record]) -> None:
    report = tagging_errors(given_records, scheme)
    assert "No sentence has an error." in report.to_markdown("Errors")
    assert report.table()[1] == []


@pytest.mark.parametrize("scheme", list(Scheme))
def test_tables_are_plain_data(scheme: Scheme) -> None:
    gold = to_tags([Span("PER", 0, 2), Span("LOC", 3, 4)], 5, scheme)
    columns, rows = entities([record(gold, gold[::-1])], scheme).table()
    assert json.loads(json.dumps(rows)) == rows
    assert {len(row) for row in rows} == {len(columns)}
    assert all(type(cell) in (str, int, float, type(None)) for row in rows for cell in row)


def test_records_that_cannot_be_judged_are_refused() -> None:
    with pytest.raises(DataError, match="row 3 has 2 tokens, but 1 prediction"):
        tagging_errors([{**record(["O", "O"], ["O"]), "row": 3}], Scheme.IOB2)
    unlabelled = {name: value for name, value in record(["O"], ["O"]).items() if name != "tags"}
    with pytest.raises(DataError, match="row 0 has no gold tags"):
        tagging_errors([unlabelled], None)
