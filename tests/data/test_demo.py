"""The demo corpora keep their promises: reproducible, disjoint, balanced, well labelled, and too hard for counting words."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from afinar.data.demo import CORPORA, SPLITS, Row, entities, generate, pairs
from afinar.data.demo.lexicon import CITIES, GIVEN_NAMES, SENTIMENTS, SURNAMES, TOPICS, held_out_words
from afinar.errors import ConfigError

SIZES = {"train": 600, "validation": 200, "test": 200}
LABELLED = tuple(name for name in CORPORA if name != "text")
UNIVERSAL_TAGS = frozenset("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split())  # noqa: SIM905


@cache
def rows(corpus: str, split: str = "train", seed: int = 0) -> tuple[Row, ...]:
    return tuple(generate(corpus, split, SIZES[split], seed))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


# Every corpus


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("split", SPLITS)
def test_seed_and_size(corpus: str, split: str) -> None:
    whole = list(rows(corpus, split))
    assert len(whole) == SIZES[split]
    assert generate(corpus, split, SIZES[split], seed=0) == whole
    assert generate(corpus, split, 50, seed=0) == whole[:50], "a larger size continues a smaller one"
    other = {CORPORA[corpus].identity(row) for row in rows(corpus, split, 1)}
    assert len(other & {CORPORA[corpus].identity(row) for row in whole}) < 0.1 * SIZES[split]


def test_every_process_draws_the_same() -> None:
    """Neither the order of a set nor the hash of a string may decide anything."""
    program = (
        "import json, sys; from afinar.data.demo import CORPORA, generate; "
        "json.dump({name: generate(name, 'train', 60, 0, 0.0 if name == 'text' else 0.5) for name in CORPORA}, sys.stdout)"
    )
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, encoding="utf-8", check=True)
        expected = {name: generate(name, "train", 60, 0, 0.0 if name == "text" else 0.5) for name in CORPORA}
        assert json.loads(done.stdout) == expected


@pytest.mark.parametrize("corpus", CORPORA)
def test_no_text_comes_twice_nor_in_two_splits(corpus: str) -> None:
    """Whatever the seeds: evaluation on other data than those of training is the point of a split."""
    identity = CORPORA[corpus].identity
    texts = {split: [identity(row) for seed in (0, 1) for row in rows(corpus, split, seed)] for split in SPLITS}
    for split in SPLITS:
        assert len({identity(row) for row in rows(corpus, split)}) == SIZES[split]
    assert not set(texts["train"]) & set(texts["validation"])
    assert not set(texts["train"]) & set(texts["test"])
    assert not set(texts["validation"]) & set(texts["test"])


@pytest.mark.parametrize("corpus", CORPORA)
def test_rows_are_plain_data(corpus: str) -> None:
    whole = list(rows(corpus))
    assert json.loads(json.dumps(whole)) == whole
    assert all(row.keys() == whole[0].keys() for row in whole)


# Labels and their noise


def labels(corpus: str, row: Row) -> Any:
    """What noise may change."""
    keys = {
        "sentiment": ("sentiment", "topic"),
        "topic": ("sentiment", "topic"),
        "rating": ("stars",),
        "pairs": ("label",),
        "similarity": ("similarity",),
        "qa": ("answers",),
    }
    return {key: row[key] for key in keys.get(corpus, ("tags",))}


def text_of(corpus: str, row: Row) -> Row:
    return {key: value for key, value in row.items() if key not in labels(corpus, row)}


def asked_relation(sentence: str) -> str:
    """The relation that a question or a statement is about, by words that no other relation has."""
    keys = {"birthplace": "nasceu|natal", "marriage": "casou", "profession": "trabalha|profissão|vida", "firm": "empresa"}
    (found,) = (relation for relation, key in keys.items() if re.search(key, sentence))
    return found


@pytest.mark.parametrize(
    ("corpus", "field", "count"),
    [
        ("sentiment", "sentiment", 2),
        ("topic", "topic", 6),
        ("rating", "stars", 5),
        ("pairs", "label", 3),
        ("similarity", "similarity", 6),
        ("qa", "question", 4),
    ],
)
@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_balanced(corpus: str, field: str, count: int, split: str) -> None:
    values = [asked_relation(row[field]) if corpus == "qa" else row[field] for row in rows(corpus, split)]
    counts = Counter(values)
    assert len(counts) == count
    # A topic comes up with both sentiments in a row, and the last round is not whole.
    assert max(counts.values()) - min(counts.values()) <= (2 if corpus == "topic" else 1)


def test_sentiment_and_topic_are_balanced_together() -> None:
    counts = Counter((row["sentiment"], row["topic"]) for row in rows("sentiment"))
    assert set(counts.values()) == {SIZES["train"] // 12}
    assert set(counts) == {(sentiment, topic) for sentiment in SENTIMENTS for topic in TOPICS}
    assert rows("sentiment") == rows("topic"), "the same reviews under two names"


@pytest.mark.parametrize("corpus", LABELLED)
def test_label_noise_changes_that_share_of_the_training_labels(corpus: str) -> None:
    clean = rows(corpus)
    wrong: dict[float, set[int]] = {}
    for noise in (0.0, 0.1, 0.3, 1.0):
        noisy = generate(corpus, "train", SIZES["train"], seed=0, label_noise=noise)
        assert [text_of(corpus, row) for row in noisy] == [text_of(corpus, row) for row in clean], "texts stay"
        wrong[noise] = {place for place, (one, other) in enumerate(zip(clean, noisy, strict=True)) if one != other}
        deviation = (SIZES["train"] * noise * (1 - noise)) ** 0.5
        assert abs(len(wrong[noise]) - SIZES["train"] * noise) <= 4 * deviation, f"{len(wrong[noise])} wrong at {noise}"
        if noise == 1.0:
            for one, other in zip(clean, noisy, strict=True):
                assert all(labels(corpus, one)[key] != value for key, value in labels(corpus, other).items()), "no label is right"
    assert wrong[0.1] < wrong[0.3] < wrong[1.0], "more noise adds to what is wrong already"


@pytest.mark.parametrize("corpus", LABELLED)
def test_label_noise_leaves_evaluation_clean_and_the_rows_given_unchanged(corpus: str) -> None:
    for split in ("validation", "test"):
        assert generate(corpus, split, 100, seed=0, label_noise=1.0) == list(rows(corpus, split)[:100])
    before = json.dumps(rows(corpus))
    generate(corpus, "train", SIZES["train"], seed=0, label_noise=1.0)
    assert json.dumps(rows(corpus)) == before


# Held-out words


def test_training_reviews_hold_no_held_out_word() -> None:
    text = " ".join(row["text"] for row in generate("sentiment", "train", 5000, seed=3))
    assert not held_out_words() & set(words(text))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_reviews_hold_every_held_out_word_but_also_seen_ones(split: str) -> None:
    texts = [words(row["text"]) for row in generate("sentiment", split, 1000, seed=0)]
    assert held_out_words() <= {word for text in texts for word in text}
    share = sum(any(word in held_out_words() for word in text) for text in texts) / len(texts)
    assert 0.6 < share < 0.95, f"{share:.0%} of the reviews hold a held-out word"


def test_plain_text_teaches_every_held_out_word() -> None:
    counts = Counter(word for row in generate("text", "train", 1000, seed=0) for sentence in row["sentences"] for word in words(sentence))
    rarest, count = min(((word, counts[word]) for word in held_out_words()), key=lambda item: item[1])
    assert count >= 10, f"'{rarest}' occurs {count} times"


# Each corpus by itself


def test_documents_have_six_to_twelve_sentences() -> None:
    lengths = Counter(len(row["sentences"]) for row in rows("text"))
    assert set(lengths) == set(range(6, 13))
    assert all(sentence == " ".join(sentence.split()) != "" for row in rows("text") for sentence in row["sentences"])


def test_reviews_are_tidy_sentences() -> None:
    for split in SPLITS:
        for text in (row["text"] for row in rows("sentiment", split)):
            assert text == " ".join(text.split())
            assert text[0].isupper()
            assert text.endswith(".")
            assert not any(one == other for one, other in pairwise(words(text))), text


def is_iob2(tags: list[str]) -> bool:
    """Every ``I-X`` goes on with an ``X`` that a ``B-X`` began."""
    return all(tag[0] in "OB" or before[1:] == tag[1:] for before, tag in pairwise(["O", *tags]))


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_entity_tags_are_iob2(noise: float) -> None:
    found = generate("ner", "train", 600, seed=0, label_noise=noise)
    for row in found:
        assert len(row["tokens"]) == len(row["tags"])
        assert is_iob2(row["tags"])
        assert all(token.strip() == token != "" for token in row["tokens"])
    assert {tag for row in found for tag in row["tags"]} == {"O", *(f"{part}-{kind}" for part in "BI" for kind in ("PER", "LOC", "ORG"))}


def test_entities_stand_where_the_clauses_name_them() -> None:
    """Entities put back to their types give the clause, which comes up in turn."""
    kinds = {slot: kind for slot, (kind, _) in entities._SLOTS.items()}
    for index, row in enumerate(rows("ner")):
        skeleton = [
            tag[2:] if tag[0] == "B" else token for token, tag in zip(row["tokens"], row["tags"], strict=True) if not tag.startswith("I-")
        ]
        clause = " ".join(kinds.get(word, word) for word in entities.CLAUSES[index % len(entities.CLAUSES)].split())
        assert " ".join(skeleton).lower().startswith(clause.lower())


def test_some_surnames_wait_for_evaluation() -> None:
    held_out = set(entities.SURNAMES[-entities.HELD_OUT :]) - set(CITIES)
    seen = {split: {token for row in generate("ner", split, 600, seed=0) for token in row["tokens"]} for split in ("train", "test")}
    # A common noun at the head of a clause ("Serra") is no name.
    assert not held_out & seen["train"] - {"Serra"}
    assert held_out < seen["test"]


def test_the_same_words_are_one_entity_or_two() -> None:
    firms, people = set(), set()
    for row in generate("ner", "train", 3000, seed=0):
        for start in range(len(row["tokens"]) - 2):
            words, tags = tuple(row["tokens"][start : start + 3]), row["tags"][start : start + 3]
            if tags == ["B-ORG", "I-ORG", "I-ORG"] and words[1] == "e":
                firms.add(words)
            if tags == ["B-PER", "O", "B-PER"] and words[1] == "e":
                people.add(words)
    assert len(firms & people) > 20


def test_a_name_alone_does_not_tell_its_type() -> None:
    kinds: dict[str, set[str]] = {}
    for row in rows("ner"):
        for token, tag in zip(row["tokens"], row["tags"], strict=True):
            if tag != "O":
                kinds.setdefault(token, set()).add(tag[2:])
    assert sum(len(found) > 1 for found in kinds.values()) > 0.5 * len(kinds)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_parts_of_speech_are_universal_tags_one_a_token(noise: float) -> None:
    for row in generate("pos", "train", 600, seed=0, label_noise=noise):
        assert len(row["tokens"]) == len(row["tags"])
        assert set(row["tags"]) <= UNIVERSAL_TAGS
        assert all(token and "/" not in token and token == token.strip() for token in row["tokens"])
        if not noise:
            assert all((token in ",.") == (tag == "PUNCT") for token, tag in zip(row["tokens"], row["tags"], strict=True))


def test_forms_have_several_parts_of_speech() -> None:
    tags: dict[str, set[str]] = {}
    for row in rows("pos"):
        for token, tag in zip(row["tokens"], row["tags"], strict=True):
            tags.setdefault(token.lower(), set()).add(tag)
    assert {"NOUN", "VERB"} <= tags["canto"]
    assert {"PRON", "SCONJ"} <= tags["que"]
    assert {"ADP", "DET", "PRON"} <= tags["a"]
    assert {"ADV", "SCONJ", "VERB"} <= tags["como"]
    assert {"ADP", "VERB"} <= tags["para"]


PEOPLE = [f"{given} {surname}" for names in GIVEN_NAMES.values() for given in names for surname in SURNAMES]


@pytest.mark.parametrize("split", SPLITS)
def test_answers_are_at_their_offsets_in_the_fact_about_the_person_asked_for(split: str) -> None:
    assert len({row["id"] for row in rows("qa", split)}) == SIZES[split]
    for row in rows("qa", split):
        (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert text
        assert row["context"][start : start + len(text)] == text
        assert row["question"].endswith("?")
        assert row["question"].count("?") == 1
        # One statement says what is asked of whom it is asked, and the answer lies in it.
        (person,) = (name for name in PEOPLE if name in row["question"])
        statements = list(re.finditer(r"[^.]+\.", row["context"]))
        (found,) = (match for match in statements if person in match[0] and asked_relation(match[0]) == asked_relation(row["question"]))
        assert found.start() <= start
        assert start + len(text) < found.end()
        assert row["context"][start - 1] == " "
        assert not row["context"][start + len(text)].isalnum()


def test_mislabelled_answers_are_words_of_the_context_outside_the_right_one() -> None:
    noisy = generate("qa", "train", SIZES["train"], seed=0, label_noise=1.0)
    for clean, row in zip(rows("qa"), noisy, strict=True):
        (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        (right,), (place,) = clean["answers"]["text"], clean["answers"]["answer_start"]
        assert text
        assert row["context"][start : start + len(text)] == text
        assert start + len(text) <= place or start >= place + len(right)


# Sentence pairs: an independent reader decides each relation.

Facts = dict[str, Any]
_FORMS = {
    form: place
    for place, (one, other) in enumerate(zip(pairs.ACTIONS, pairs.SYNONYMS, strict=True))
    for action in (one, other)
    for form in (action.text, action.participle.masculine, action.participle.feminine)
}
_THINGS = {noun.text: noun.text for noun in (*pairs.THINGS, *pairs.KINDS)}
_KIND_OF = {thing.text: kind.text for thing, kind in zip(pairs.THINGS, pairs.KINDS, strict=True)}
_QUALITIES = {
    form: (place, side)
    for side, adjectives in enumerate((pairs.QUALITIES, pairs.OPPOSITES))
    for place, adjective in enumerate(adjectives)
    for form in (adjective.masculine, adjective.feminine)
}


def read(sentence: str) -> Facts:
    """Read who did what to which thing and where, active or passive."""
    said = sentence.rstrip(".").split(" ")
    by = said.index("por") if "por" in said else None
    lower = [word.lower() for word in said]
    return {
        "who": said[by + 1] if by is not None else said[0],
        "action": next(_FORMS[word] for word in (lower[lower.index("foi") + 1 :] if by is not None else lower) if word in _FORMS),
        "thing": next(_THINGS[word] for word in lower if word in _THINGS),
        "quality": next((_QUALITIES[word] for word in said if word in _QUALITIES), None),
        "where": said[said.index("em") + 1] if "em" in said else None,
        "denied": "não" in said,
    }


def told_otherwise(row: Row) -> tuple[str, str]:
    """The one sentence of two texts that is not told in the same words in both."""
    told = zip(*([match[0].strip() for match in re.finditer(r"[^.]+\.", row[side])] for side in ("premise", "hypothesis")), strict=True)
    (pair,) = (sentences for sentences in told if sentences[0] != sentences[1])
    return pair


def relation_of(row: Row) -> str:
    return relation(*map(read, told_otherwise(row)))


def relation(premise: Facts, hypothesis: Facts) -> str:
    """Natural logic over one event: what is left unsaid makes a sentence weaker, and a denied one stronger."""
    if premise["who"] != hypothesis["who"] or hypothesis["thing"] not in (premise["thing"], _KIND_OF[premise["thing"]]):
        return pairs.NEUTRAL
    same = {key: premise[key] == hypothesis[key] for key in ("quality", "where", "action")}
    assert same["action"]
    if premise["denied"]:
        if not all(same.values()) or premise["thing"] != hypothesis["thing"]:
            return pairs.NEUTRAL
        return pairs.ENTAILMENT if hypothesis["denied"] else pairs.CONTRADICTION
    holds = all(same[key] or hypothesis[key] is None for key in ("quality", "where"))
    return pairs.ENTAILMENT if holds and not hypothesis["denied"] else pairs.CONTRADICTION


@pytest.mark.parametrize("split", SPLITS)
def test_a_reader_of_the_sentences_finds_the_same_relation(split: str) -> None:
    for row in rows("pairs", split):
        assert row["premise"] != row["hypothesis"]
        assert relation_of(row) == row["label"], row


def test_denial_occurs_with_every_relation() -> None:
    for label in pairs.LABELS:
        hypotheses = [told_otherwise(row)[1] for row in rows("pairs") if row["label"] == label]
        share = sum(" não " in hypothesis for hypothesis in hypotheses) / len(hypotheses)
        assert 0.2 < share < 0.8, f"{label}: {share:.0%}"


# Degrees of likeness, and stars


@pytest.mark.parametrize("split", SPLITS)
def test_the_degree_counts_the_parts_that_are_alike(split: str) -> None:
    for row in rows("similarity", split):
        first, second = read(row["first"]), read(row["second"])
        alike = sum(first[part] == second[part] for part in ("who", "action", "thing", "quality", "where"))
        assert row["similarity"] == pytest.approx(1 + 0.8 * alike), row
        assert row["first"] != row["second"]


def test_either_sentence_may_come_first() -> None:
    passive = [" por " in row["first"] for row in rows("similarity")]
    assert 0.1 < sum(passive) / len(passive) < 0.5
    assert sum(" por " in row["second"] for row in rows("similarity")) == pytest.approx(sum(passive), rel=0.3)


def test_every_number_of_stars_has_four_sentences() -> None:
    for row in rows("rating"):
        assert row["text"].count(".") == 4
        assert 1 <= row["stars"] <= 5


# How hard it is


def test_the_relation_of_a_pair_lies_between_its_sentences() -> None:
    """By construction joint encoding wins: what two bags of words tell, each of its own sentence, is not enough, and comparing words is."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    train, test = (generate("pairs", split, size, seed=0) for split, size in (("train", 3000), ("test", 1000)))
    bag = CountVectorizer(ngram_range=(1, 2)).fit(row[side] for row in train for side in ("premise", "hypothesis"))

    def score(*sides: str) -> float:
        known, new = (hstack([bag.transform([row[side] for row in part]) for side in sides]) for part in (train, test))
        model = LogisticRegression(max_iter=1000).fit(known, [row["label"] for row in train])
        return float(model.score(new, [row["label"] for row in test]))

    alone = max(score("premise"), score("hypothesis"))
    assert alone <= 0.7, f"one sentence alone gives {alone:.3f}"
    both = score("premise", "hypothesis")
    assert both <= 0.75, f"two bags of words give {both:.3f}"
    assert all(relation_of(row) == row["label"] for row in test)


def test_a_question_needs_what_is_asked_and_of_whom() -> None:
    """Any fact is right for one in five, any fact of what is asked for four in five at the most, any fact of the person for half."""
    of_any, of_relation, of_person = [], [], []
    for row in rows("qa"):
        (person,) = (name for name in PEOPLE if name in row["question"])
        statements = [match[0] for match in re.finditer(r"[^.]+\.", row["context"])]
        asked = [statement for statement in statements if asked_relation(statement) == asked_relation(row["question"])]
        told = [statement for statement in statements if person in statement]
        assert len(set(asked) & set(told)) == 1
        for shares, candidates in ((of_any, statements), (of_relation, asked), (of_person, told)):
            shares.append(1 / len(candidates))
    assert sum(of_any) / len(of_any) < 0.25
    assert 0.7 < sum(of_relation) / len(of_relation) < 0.85
    assert sum(of_person) / len(of_person) < 0.6


def test_counting_words_does_not_find_the_sentiment() -> None:
    """The best of twelve bags of words, chosen with hindsight; a network that reads the order of words passes 0.9."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    train, test = (generate("sentiment", split, size, seed=0) for split, size in (("train", 3000), ("test", 1000)))
    scores = {}
    for vectorizer in (CountVectorizer, TfidfVectorizer):
        for longest in (1, 2):
            bag = vectorizer(ngram_range=(1, longest))
            known, new = bag.fit_transform(row["text"] for row in train), bag.transform(row["text"] for row in test)
            for strength in (0.1, 1.0, 10.0):
                model = LogisticRegression(C=strength, max_iter=1000).fit(known, [row["sentiment"] for row in train])
                scores[vectorizer.__name__, longest, strength] = model.score(new, [row["sentiment"] for row in test])
    best = max(scores, key=lambda bag: scores[bag])
    assert 0.6 < scores[best] <= 0.82, f"{best} reaches {scores[best]:.3f}"


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sentimant", "train", 5, 0), r"demo corpus 'sentimant' is unknown: choose one of sentiment, .*Did you mean 'sentiment'\?"),
        (("pairs", "tran", 5, 0), r"demo corpus 'pairs' has no split 'tran': choose one of train, .*Did you mean 'train'\?"),
        (("pairs", "train", 0, 0), "demo corpus 'pairs', split 'train': size is 0, but must be at least 1"),
        (("pairs", "train", 5, 0, 1.5), "label_noise is 1.5, but must lie between 0 and 1"),
        (("pairs", "train", 5, 0, -0.1), "label_noise is -0.1, but must lie between 0 and 1"),
        (("pairs", "train", 5, 0, float("nan")), "label_noise is nan, but must lie between 0 and 1"),
        (("text", "train", 5, 0, 0.1), "demo corpus 'text' has no labels: leave label_noise at 0"),
    ],
)
def test_wrong_arguments_are_errors(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        generate(*arguments)


def test_more_rows_than_there_are_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grammar of ten rows: those of a split come out, and not one more."""
    tiny = type(CORPORA["text"])(lambda rng, split, index: {"text": str(rng.randrange(10))}, lambda row: row["text"])
    monkeypatch.setitem(CORPORA, "text", tiny)
    with pytest.raises(ConfigError, match=r"split 'train': 10 rows are more than its grammar has; ask for (\d) or fewer") as caught:
        generate("text", "train", 10, seed=0)
    most = int(caught.value.args[0].split("ask for ")[1][0])
    sizes = {"train": most}
    for split in ("validation", "test"):
        with pytest.raises(ConfigError) as caught:
            generate("text", split, 10, seed=0)
        sizes[split] = int(caught.value.args[0].split("ask for ")[1].split()[0])
    assert sum(sizes.values()) == 10, "every text belongs to exactly one split"
