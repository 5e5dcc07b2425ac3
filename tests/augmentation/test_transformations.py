"""What every transformation changes, and how much of it."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from augmentations import CHANCES, KINDS, TOKENS, all_of
from hypothesis import given, settings
from hypothesis import strategies as st

from afinar.augmentation.characters import NEIGHBOURS, SLIPS, CharacterNoise
from afinar.augmentation.composition import BackOff, Eda, OneOf, Sequential
from afinar.augmentation.insertion import IntensifierInsertion, SynonymInsertion
from afinar.augmentation.lexicon import LANGUAGES, Lexicon, shipped_words
from afinar.augmentation.order import RandomDeletion, RandomSwap
from afinar.augmentation.replacement import SynonymReplacement
from afinar.augmentation.transformation import Transformation
from afinar.augmentation.words import Word, in_case_of
from afinar.errors import ConfigError

STRENGTHS = st.floats(0.01, 1)


@st.composite
def sequences(draw: st.DrawFn) -> list[Word]:
    """Words with marks between them, some in runs."""
    words: list[Word] = []
    for run in range(draw(st.integers(0, 8))):
        texts = draw(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=3))
        inside = draw(st.integers(0, 3)) == 0
        words += [Word(text, len(words) + place, run=run if inside else None) for place, text in enumerate(texts)]
    return words


def proper(words: list[Word]) -> list[Word]:
    return [word for word in words if not word.is_mark]


def wanted(strength: float, words: list[Word]) -> int:
    return max(1, round(strength * len(proper(words))))


@pytest.mark.parametrize("kind", KINDS)
@given(words=sequences(), strength=STRENGTHS, seed=st.integers(0, 999))
@settings(max_examples=40)
def test_runs_marks_and_seeds(kind: str, lexicon: Lexicon, words: list[Word], strength: float, seed: int) -> None:
    transformation = all_of(lexicon, strength)[kind]
    given_words = list(words)
    changed = transformation(words, random.Random(seed))
    assert words == given_words
    assert changed == transformation(words, random.Random(seed))
    for run in {word.run for word in words} - {None}:
        places = [place for place, word in enumerate(changed) if word.run == run]
        assert [changed[place] for place in places] == [word for word in words if word.run == run]
        assert places == list(range(places[0], places[0] + len(places)))
    assert [word for word in changed if word.is_mark] == [word for word in words if word.is_mark]
    assert len(proper(changed)) >= min(1, len(proper(words)))
    origins = [word.origin for word in changed if word.origin is not None]
    assert len(set(origins)) == len(origins)
    if not transformation.rearranges:
        assert origins == [word.origin for word in words]
    assert all(word.text == word.text.strip() and word.text for word in changed if not word.is_mark)


@given(words=sequences(), strength=STRENGTHS, chance=CHANCES)
def test_as_many_words_are_replaced_as_strength_says(lexicon: Lexicon, words: list[Word], strength: float, chance: random.Random) -> None:
    changed = SynonymReplacement(lexicon, strength)(words, chance)
    able = [word for word in words if word.run is None and word.text.lower() in ("bom", "caro", "água", "filme")]
    different = [(one, other) for one, other in zip(words, changed, strict=True) if one.text != other.text]
    assert len(different) == min(len(able), wanted(strength, words))
    for one, other in different:
        assert other.text in [in_case_of(synonym, one.text) for synonym in lexicon.synonyms(one.text)]
        assert (other.origin, other.run) == (one.origin, one.run)


@given(words=sequences(), strength=STRENGTHS, chance=CHANCES)
def test_as_many_words_are_put_in_as_strength_says(lexicon: Lexicon, words: list[Word], strength: float, chance: random.Random) -> None:
    able = {word.origin for word in words if word.run is None and lexicon.synonyms(word.text)}
    state = chance.getstate()
    changed = SynonymInsertion(lexicon, strength)(words, chance)
    new = [word for word in changed if word.origin is None]
    assert [word for word in changed if word.origin is not None] == words
    assert len(new) == (wanted(strength, words) if able else 0)
    assert all(word.like in able and word.run is None for word in new)
    assert all(word.text.lower() in lexicon.synonyms(words[word.like or 0].text) for word in new)
    chance.setstate(state)
    strong = IntensifierInsertion("pt", ["muito", "bem"], strength)(words, chance)
    assert [word for word in strong if word.origin is not None] == words
    assert Counter(word.text for word in strong if word.origin is None).total() == (wanted(strength, words) if proper(words) else 0)
    assert all(word.text in ("muito", "bem") and word.like is None for word in strong if word.origin is None)


def test_words_are_put_in_everywhere_but_inside_runs_and_between_marks() -> None:
    words = [Word(text, place, run=1 if text in "bc" else None) for place, text in enumerate("(abc),.d")]
    made = {"".join(word.text for word in IntensifierInsertion("pt", ["X"])(words, random.Random(seed))) for seed in range(200)}
    assert made == {"(Xabc),.d", "(aXbc),.d", "(abcX),.d", "(abc),.Xd", "(abc),.dX"}


def test_a_synonym_of_a_word_put_in_is_like_the_same_word(lexicon: Lexicon) -> None:
    changed = SynonymInsertion(lexicon)([Word("bom", None, like=7), Word("a", 0)], random.Random(0))
    assert {word.like for word in changed if word.text.startswith("syn")} == {7}


@given(words=sequences(), chance=CHANCES)
def test_one_swap_lets_two_units_change_places(words: list[Word], chance: random.Random) -> None:
    changed = RandomSwap(0.01)(words, chance)
    assert sorted(word.origin or 0 for word in changed) == list(range(len(words)))
    units = [word.run if word.run is not None else -1 - (word.origin or 0) for word in words if not word.is_mark]
    before = list(dict.fromkeys(units))
    after = list(dict.fromkeys(word.run if word.run is not None else -1 - (word.origin or 0) for word in changed if not word.is_mark))
    moved = [place for place, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    assert len(moved) == (2 if len(before) > 1 else 0)
    if moved:
        assert (before[moved[0]], before[moved[1]]) == (after[moved[1]], after[moved[0]])


def test_swaps_are_as_many_as_strength_says() -> None:
    words = [Word(f"w{place}", place) for place in range(1000)]
    changed = RandomSwap(0.05)(words, random.Random(0))
    moved = sum(one != other for one, other in zip(words, changed, strict=True))
    assert 90 <= moved <= 100  # 50 swaps; a few words are drawn twice


@given(words=sequences(), strength=STRENGTHS, chance=CHANCES)
def test_as_many_words_are_left_out_as_strength_says(words: list[Word], strength: float, chance: random.Random) -> None:
    changed = RandomDeletion(strength)(words, chance)
    free = sum(word.is_free for word in words)
    others = len(proper(words)) - free
    assert len(words) - len(changed) == max(0, min(wanted(strength, words), free if others else free - 1))
    assert [word for word in words if word in changed] == changed


@given(words=sequences(), strength=STRENGTHS, chance=CHANCES)
def test_as_many_words_have_a_slip_as_strength_says(words: list[Word], strength: float, chance: random.Random) -> None:
    changed = CharacterNoise(strength)(words, chance)
    able = [word for word in words if word.run is None and sum(map(str.isalpha, word.text)) > 1]
    different = [(one.text, other.text) for one, other in zip(words, changed, strict=True) if one != other]
    assert len(different) == min(len(able), wanted(strength, words))
    assert all(is_one_slip(one, other) for one, other in different)


def is_one_slip(one: str, other: str) -> bool:
    """Enumerate everything that one slip can make of a word."""
    lower, end = one.lower(), len(one)
    made = {lower[:place] + lower[place + 1 :] for place in range(end)}
    made |= {lower[: place + 1] + lower[place:] for place in range(end)}
    made |= {lower[:place] + lower[place + 1] + lower[place] + lower[place + 2 :] for place in range(end - 1)}
    made |= {lower[:place] + near + lower[place + 1 :] for place in range(end) for near in NEIGHBOURS.get(lower[place], "")}
    return other.lower() in made and any(map(str.isalpha, other))


@pytest.mark.parametrize(
    ("slip", "text", "made"),
    [
        ("swap", "Bom", {"Obm", "Bmo"}),
        ("swap", "aab", {"aba"}),
        ("swap", "aa", {"aa"}),
        ("drop", "bom", {"om", "bm", "bo"}),
        ("repeat", "oi", {"ooi", "oii"}),
        ("key", "pQ1", {"oQ1", "lQ1", "çQ1", "pW1", "pA1"}),
        ("key", "é", {"é"}),
    ],
)
def test_slips(slip: str, text: str, made: set[str]) -> None:
    letters = [place for place, character in enumerate(text) if character.isalpha()]
    assert {SLIPS[slip](text, letters, random.Random(seed)) for seed in range(200)} == made


def test_neighbours_of_keys_are_mutual() -> None:
    assert set(NEIGHBOURS["g"]) == set("fhtyvb")
    assert all(one in NEIGHBOURS[other] for one, near in NEIGHBOURS.items() for other in near)


def test_a_slip_that_is_impossible_gives_way_to_another() -> None:
    noise = CharacterNoise(1, ["swap", "key"])
    assert {noise([Word("aa", 0)], random.Random(seed))[0].text[:2] != "aa" for seed in range(50)} == {True}
    assert CharacterNoise(1, ["swap"])([Word("aa", 0)], random.Random(0)) == [Word("aa", 0)]


def test_letters_keep_their_accents_in_decomposed_words() -> None:
    word = Word("cafe\u0301s", 0)
    made = {CharacterNoise(1, ["drop"])([word], random.Random(seed))[0].text for seed in range(100)}
    assert made == {"afe\u0301s", "cfe\u0301s", "cae\u0301s", "cafe\u0301"}


class Marking(Transformation):
    """Appends its own sign to words until the sign is there."""

    def __init__(self, sign: str, works: bool = True) -> None:
        self.sign = sign
        self.works = works

    def __call__(self, words: list[Word], chance: random.Random) -> list[Word]:  # type: ignore[override]
        return [word.written(word.text + self.sign) if self.works else word for word in words]


WORDS = [Word("a", 0), Word("b", 1)]


@pytest.mark.parametrize(
    ("works", "expected"),
    [((True, True), ["a1", "b1"]), ((False, True), ["a2", "b2"]), ((False, False), ["a", "b"])],
)
def test_back_off_takes_the_first_that_changes_anything(works: tuple[bool, bool], expected: list[str]) -> None:
    backing_off = BackOff([Marking("1", works[0]), Marking("2", works[1])])
    assert [word.text for word in backing_off(WORDS, random.Random(0))] == expected


def test_sequences_go_on_with_what_came_before() -> None:
    assert [word.text for word in Sequential([Marking("1"), Marking("2")])(WORDS, random.Random(0))] == ["a12", "b12"]


def test_one_of_takes_each_as_often() -> None:
    one_of = OneOf([Marking("1"), Marking("2"), Marking("3")])
    chance = random.Random(0)
    counts = Counter(one_of(WORDS, chance)[0].text for _ in range(3000))
    assert set(counts) == {"a1", "a2", "a3"}
    assert min(counts.values()) > 900


def test_eda_is_one_of_four(lexicon: Lexicon) -> None:
    words = [Word(text, place) for place, text in enumerate(["bom", "caro", "filme", "a", "b", "c", "d", "e"])]
    chance = random.Random(0)

    def operation(changed: list[Word]) -> str:
        origins = [word.origin for word in changed]
        if None in origins:
            return "insertion"
        if len(origins) < len(words):
            return "deletion"
        return "swap" if origins != sorted(origins, key=lambda origin: origin or 0) else "replacement"

    eda = Eda(lexicon)
    counts = Counter(operation(eda(words, chance)) for _ in range(2000))
    assert {name: 400 < count < 600 for name, count in counts.items()} == dict.fromkeys(
        ["replacement", "insertion", "swap", "deletion"], True
    )
    for name in counts:
        strengths = {**dict.fromkeys(["replacement", "insertion", "swap", "deletion"], 0.0), name: 0.5}
        alone = Eda(lexicon, **strengths)
        assert {operation(alone(words, chance)) for _ in range(20)} == {name}
        assert alone.rearranges == (name in ("swap", "deletion"))
        assert not alone.needs_scheme


def test_compositions_are_what_their_parts_are(lexicon: Lexicon) -> None:
    swap, synonyms, strong = RandomSwap(), SynonymReplacement(lexicon), IntensifierInsertion("en")
    nested = Sequential([synonyms, BackOff([strong, swap])])
    assert list(nested.parts()) == [synonyms, strong, swap]
    assert (nested.rearranges, nested.needs_scheme, nested.needs_mentions) == (True, True, False)
    assert (synonyms.rearranges, strong.rearranges, swap.rearranges, RandomDeletion().rearranges) == (False, False, True, True)
    assert not BackOff([synonyms]).rearranges


def test_numbers_and_grammar_stay(tmp_path) -> None:
    path = tmp_path / "all.tsv"
    path.write_text("2018\tdois\nde\tdesde\ndois\tpar\n,\tvírgula\nbom\tótimo\n", encoding="utf-8")
    words = [Word(text, place) for place, text in enumerate(["2018", "de", "dois", ",", "bom"])]
    changed = SynonymReplacement(Lexicon("pt", str(path)), 1)(words, random.Random(0))
    assert [word.text for word in changed] == ["2018", "de", "dois", ",", "ótimo"]


@pytest.mark.parametrize("strength", [0, -0.1, 1.1, float("nan")])
def test_strengths_out_of_range(lexicon: Lexicon, strength: float) -> None:
    builds = [
        lambda: SynonymReplacement(lexicon, strength),
        lambda: SynonymInsertion(lexicon, strength),
        lambda: IntensifierInsertion("pt", strength=strength),
        lambda: RandomSwap(strength),
        lambda: RandomDeletion(strength),
        lambda: CharacterNoise(strength),
    ]
    for build in builds:
        with pytest.raises(ConfigError, match=r"^augmentation: strength=\S+ must be above 0 and at most 1"):
            build()
    if strength != 0:
        with pytest.raises(ConfigError, match=r"^augmentation: swap=\S+ must be from 0"):
            Eda(lexicon, swap=strength)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CharacterNoise(0.1, ["swp"]), r"slips has 'swp', which is unknown: choose of .*Did you mean 'swap'\?"),
        (lambda: CharacterNoise(0.1, []), "slips=\\[\\] has none"),
        (lambda: IntensifierInsertion("de"), "language=de is not one that afinar has words of \\(en, pt\\); name the intensifiers"),
        (lambda: IntensifierInsertion("pt", []), "intensifiers=\\[\\] has no words"),
        (lambda: BackOff([]), "BackOff has no transformations"),
        (lambda: Eda(Lexicon("pt"), 0, 0, 0, 0), "Eda has no transformations"),
    ],
)
def test_wrong_arguments(build, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^augmentation: {message}") as error:
        build()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("language", LANGUAGES)
def test_intensifiers_of_a_language(language: str) -> None:
    assert IntensifierInsertion(language).intensifiers == shipped_words(language, "intensifiers")
