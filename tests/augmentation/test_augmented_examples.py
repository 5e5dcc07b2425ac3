"""Texts, tagged sentences and passages augmented, with their labels."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from augmentations import CHANCES, KINDS, TEXTS, TOKENS, all_of, named, sentences, texts_with_answers
from hypothesis import given, settings
from hypothesis import strategies as st

from afinar.augmentation.chance import chance_of
from afinar.augmentation.composition import BackOff, Sequential
from afinar.augmentation.examples import (
    augment_passage,
    augment_text,
    augment_words,
    refuse_mentions,
    refuse_rearranging,
    refuse_without_scheme,
)
from afinar.augmentation.insertion import IntensifierInsertion, SynonymInsertion
from afinar.augmentation.lexicon import Lexicon
from afinar.augmentation.mentions import MentionReplacement, Mentions
from afinar.augmentation.order import RandomDeletion, RandomSwap
from afinar.augmentation.replacement import SynonymReplacement
from afinar.augmentation.transformation import Transformation
from afinar.augmentation.words import Word
from afinar.errors import ConfigError
from afinar.tagging.schemes import Scheme, illegal_words
from afinar.tagging.spans import spans, to_tags

STRENGTHS = st.sampled_from([0.1, 0.5, 1.0])
SCHEMES = st.sampled_from(list(Scheme))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bom, mas CARO (água).", "Syn-bom, mas SYN-CARO (syn-água)."),
        ("  o bom\n\nfilme ...", "  o syn-bom\n\nsyn-filme ..."),
        ("nada 12", "nada 12"),
        (" \t", " \t"),
        ("", ""),
    ],
)
def test_texts_keep_their_spaces_marks_and_capitals(lexicon: Lexicon, text: str, expected: str) -> None:
    assert augment_text(SynonymReplacement(lexicon, 1), text, random.Random(5)).replace("2", "").replace("nada 1", "nada 12") == expected


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS, strength=STRENGTHS, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_texts(kind: str, lexicon: Lexicon, text: str, strength: float, seed: int) -> None:
    transformation = all_of(lexicon, strength)[kind]
    augmented = augment_text(transformation, text, random.Random(seed))
    assert augmented == augment_text(transformation, text, random.Random(seed))
    assert bool(augmented.strip()) == bool(text.strip())
    if kind in ("swap", "synonyms"):
        marks = "".join(character for character in text if not character.isalnum())
        moved = "".join(character for character in augmented if not character.isalnum())
        assert len(marks) == len(moved) or kind == "synonyms"
    if kind == "swap":
        assert sorted(augmented) == sorted(text)


def test_a_swap_of_the_documents_example() -> None:
    # sequences, "Troca de Palavras"
    text = "O filme foi muito bom."
    made = {augment_text(RandomSwap(0.1), text, random.Random(seed)) for seed in range(100)}
    assert "O bom foi muito filme." in made
    assert len(made) == 10  # pairs of five words
    assert all(sorted(other.rstrip(".").split()) == sorted(text.rstrip(".").split()) and other.endswith(".") for other in made)


def test_an_intensifier_of_the_documents_example() -> None:
    # sequences, "Inserção de Ruído"
    made = {augment_text(IntensifierInsertion("pt", ["realmente"]), "O filme foi muito bom.", random.Random(seed)) for seed in range(60)}
    words = ["O", "filme", "foi", "muito", "bom"]
    assert made == {" ".join([*words[:place], "realmente", *words[place:]]) + "." for place in range(6)}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), scheme=SCHEMES, strength=STRENGTHS, chance=CHANCES)
@settings(max_examples=40)
def test_entities_stay_whole(
    kind: str, lexicon: Lexicon, data: st.DataObject, scheme: Scheme, strength: float, chance: random.Random
) -> None:
    words, tags = data.draw(sentences(scheme))
    before = (list(words), list(tags))
    changed, new = augment_words(all_of(lexicon, strength)[kind], words, tags, scheme, chance)
    assert (words, tags) == before
    assert len(changed) == len(new)
    assert illegal_words(new, scheme) == []
    assert named(changed, new) == named(words, tags)
    assert sum(tag == "O" for tag in new) == len(changed) - sum(end - start for _, start, end in spans(tags))
    if changed == words:
        assert new == tags


@pytest.mark.parametrize("scheme", list(Scheme))
def test_entities_that_come_to_touch(scheme: Scheme) -> None:
    words, tags = ["Ana", "e", "Rui"], to_tags([*spans(["S-PER", "O", "S-PER"])], 3, scheme)
    changed, new = augment_words(RandomDeletion(0.3), words, tags, scheme, random.Random(0))
    if scheme is Scheme.IO:  # which would make them one
        assert (changed, new) == (words, tags)
    else:
        assert changed == ["Ana", "Rui"]
        assert new == {Scheme.IOB1: ["I-PER", "B-PER"], Scheme.IOB2: ["B-PER"] * 2, Scheme.IOBES: ["S-PER"] * 2}[scheme]


def test_what_is_put_in_is_outside_and_never_within_an_entity(lexicon: Lexicon) -> None:
    words, tags = ["bom", "São", "Paulo", "filme"], ["O", "B-LOC", "I-LOC", "O"]
    made = {tuple(augment_words(SynonymInsertion(lexicon, 0.1), words, tags, Scheme.IOB2, random.Random(seed))[1]) for seed in range(100)}
    assert made == {("O", "O", "B-LOC", "I-LOC", "O"), ("O", "B-LOC", "I-LOC", "O", "O")}


@given(
    words=st.lists(st.sampled_from(TOKENS), max_size=12),
    kind=st.sampled_from(["synonyms", "synonym insertion", "swap", "deletion", "noise", "eda", "sequence"]),
    strength=STRENGTHS,
    chance=CHANCES,
)
def test_plain_tags_go_with_their_words(lexicon: Lexicon, words: list[str], kind: str, strength: float, chance: random.Random) -> None:
    # Tags that name their words.
    tags = [f"tag-{word}" for word in words]
    changed, new = augment_words(all_of(lexicon, strength)[kind], words, tags, None, chance)
    assert len(changed) == len(new)
    assert set(new) <= set(tags)
    if kind in ("synonyms", "synonym insertion", "swap", "noise"):
        assert len(changed) >= len(words)
    if kind not in ("noise", "sequence"):
        for word, tag in zip(changed, new, strict=True):
            assert word.lower().replace("syn-", "").rstrip("2") == tag.lower().removeprefix("tag-").rstrip("2")


def test_tags_stay_where_the_words_read_the_same() -> None:
    # The same word twice, with two tags: a swap changes nothing that can be read.
    assert augment_words(RandomSwap(), ["que", "que"], ["PRON", "SCONJ"], None, random.Random(0)) == (["que", "que"], ["PRON", "SCONJ"])
    words, tags = ["Ana", "Ana"], ["B-PER", "O"]
    assert augment_words(RandomSwap(), words, tags, Scheme.IOB2, random.Random(0)) == (words, tags)


@pytest.mark.parametrize("kind", KINDS)
@given(drawn=texts_with_answers(), strength=STRENGTHS, chance=CHANCES)
@settings(max_examples=40)
def test_answers_are_found_where_they_are_said_to_be(
    kind: str, lexicon: Lexicon, drawn: tuple[str, list[tuple[int, int]]], strength: float, chance: random.Random
) -> None:
    text, answers = drawn
    found = augment_passage(all_of(lexicon, strength)[kind], text, answers, chance)
    if found is not None:
        changed, places = found
        assert [changed[start:end] for start, end in places] == [text[start:end] for start, end in answers]


def test_answers_are_moved_and_told_from_others_like_them(lexicon: Lexicon) -> None:
    text = "bom bom bom 5 caro"
    for seed in range(50):
        found = augment_passage(SynonymInsertion(lexicon, 0.5), text, [(4, 7)], random.Random(seed))
        assert found is not None
        changed, ((start, end),) = found
        assert changed[start:end] == "bom"
        # As many words of the text before it, and after it, as there were.
        assert [word for word in changed[:start].split() if "-" not in word] == ["bom"]
        assert [word for word in changed[end:].split() if "-" not in word] == ["bom", "5", "caro"]


@pytest.mark.parametrize("answers", [[(0, 0)], [(3, 2)], [(0, 99)], [(-1, 2)]])
def test_answers_outside_the_text(lexicon: Lexicon, answers: list[tuple[int, int]]) -> None:
    assert augment_passage(SynonymReplacement(lexicon, 1), "bom filme", answers, random.Random(0)) is None


@pytest.mark.parametrize("breaks", [lambda words: words[:-1], lambda words: [word.written("x") for word in words]])
def test_a_transformation_that_breaks_an_answer_is_not_used(breaks: Callable[[list[Word]], list[Word]]) -> None:
    class Breaking(Transformation):
        def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
            return breaks([word for word in words if not word.is_mark])

    assert augment_passage(Breaking(), "bom dia", [(4, 7)], random.Random(0)) is None


def test_passages_that_stay_as_they_are(lexicon: Lexicon) -> None:
    synonyms = SynonymReplacement(lexicon, 1)
    assert augment_passage(synonyms, "bom dia", [(0, 3)], random.Random(0)) is None
    assert augment_passage(synonyms, "bom dia", [], random.Random(0)) is not None
    assert augment_passage(synonyms, "nada", [], random.Random(0)) is None


@given(data=st.data(), scheme=SCHEMES, strength=STRENGTHS, chance=CHANCES)
def test_mentions_are_replaced_within_their_type(data: st.DataObject, scheme: Scheme, strength: float, chance: random.Random) -> None:
    corpus = [data.draw(sentences(scheme)) for _ in range(3)]
    replacement = MentionReplacement(strength).fitted(Mentions.fit(corpus))
    seen = {mention for words, tags in corpus for mention in named(words, tags)}
    words, tags = corpus[0]
    changed, new = augment_words(replacement, words, tags, scheme, chance)
    before, after = spans(tags), spans(new)
    assert len(changed) == len(new)
    assert illegal_words(new, scheme) == []
    assert [span.type for span in after] == [span.type for span in before]
    assert set(named(changed, new)) <= seen
    outside = [word for word, tag in zip(words, tags, strict=True) if tag == "O"]
    assert [word for word, tag in zip(changed, new, strict=True) if tag == "O"] == outside
    different = sum(words[one.start : one.end] != changed[other.start : other.end] for one, other in zip(before, after, strict=True))
    wanted = max(1, round(strength * len(before)))
    able = sum(any(kind == span.type and list(text) != words[span.start : span.end] for kind, text in seen) for span in before)
    assert different <= wanted
    if strength == 1:
        assert different == able


@pytest.mark.parametrize("scheme", list(Scheme))
def test_a_longer_mention_in_each_scheme(scheme: Scheme) -> None:
    mentions = Mentions.fit([(["Rio", "de", "Janeiro"], ["B-LOC", "I-LOC", "I-LOC"]), (["Ana"], ["B-PER"])])
    assert mentions == Mentions({"LOC": (("Rio", "de", "Janeiro"),), "PER": (("Ana",),)})
    tags = to_tags(spans(["O", "S-LOC", "S-PER"]), 3, scheme)
    found = augment_words(MentionReplacement(1, mentions), ["em", "Lima", "Ana"], tags, scheme, random.Random(0))
    expected = {Scheme.IO: "I I I I", Scheme.IOB1: "I I I I", Scheme.IOB2: "B I I B", Scheme.IOBES: "B I E S"}[scheme].split()
    kinds = ["LOC", "LOC", "LOC", "PER"]
    assert found == (["em", "Rio", "de", "Janeiro", "Ana"], ["O", *(f"{one}-{kind}" for one, kind in zip(expected, kinds, strict=True))])


def test_mentions_must_be_given_first(lexicon: Lexicon) -> None:
    composed = BackOff([MentionReplacement(1), Sequential([SynonymReplacement(lexicon)])])
    assert composed.needs_mentions
    with pytest.raises(ValueError, match="call fitted"):
        augment_words(composed, ["Ana"], ["B-PER"], Scheme.IOB2, random.Random(0))
    fitted = composed.fitted(Mentions({"PER": (("Rui", "Sá"),)}))
    assert augment_words(fitted, ["Ana"], ["B-PER"], Scheme.IOB2, random.Random(0)) == (["Rui", "Sá"], ["B-PER", "I-PER"])


def test_refusals(lexicon: Lexicon) -> None:
    safe = BackOff([SynonymReplacement(lexicon), SynonymInsertion(lexicon)])
    for refuse in (refuse_without_scheme, refuse_mentions, lambda transformation: refuse_rearranging(transformation, "no")):
        refuse(safe)
    cases = [
        (
            lambda: refuse_rearranging(Sequential([safe, RandomSwap()]), "a CRF reads them in order"),
            "RandomSwap moves .*: a CRF reads them in order",
        ),
        (lambda: refuse_without_scheme(BackOff([IntensifierInsertion()])), "IntensifierInsertion needs tags of entities"),
        (lambda: refuse_without_scheme(MentionReplacement()), "MentionReplacement needs tags of entities"),
        (lambda: refuse_mentions(MentionReplacement()), "MentionReplacement replaces entities"),
        (lambda: augment_words(IntensifierInsertion(), ["a"], ["X"], None, random.Random(0)), "IntensifierInsertion needs tags"),
    ]
    for call, message in cases:
        with pytest.raises(ConfigError, match=f"^augmentation: {message}") as error:
            call()
        assert "\n" not in str(error.value)


def test_chance_is_of_one_copy_of_one_row() -> None:
    keys = [(seed, epoch, copy, row) for seed in range(3) for epoch in range(3) for copy in range(3) for row in range(3)]
    drawn = {key: chance_of(*key).random() for key in keys}
    assert len(set(drawn.values())) == len(keys)
    assert {key: chance_of(*key).random() for key in reversed(keys)} == drawn
