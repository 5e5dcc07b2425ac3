"""TokenMetrics against seqeval, in both of its modes, and against scikit-learn."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2, IOBES
from sklearn.metrics import accuracy_score, confusion_matrix, matthews_corrcoef, precision_recall_fscore_support
from torch import distributed, multiprocessing
from torch.nn.utils.rnn import pad_sequence
from torchmetrics import Metric, SumMetric
from torchmetrics.classification import MulticlassAccuracy

from afinar.errors import ConfigError
from afinar.metrics.classification import UNSEEN
from afinar.metrics.token_classification import TokenMetrics
from afinar.tagging.schemes import Scheme, split_tag
from afinar.tagging.spans import spans
from afinar.tagging.table import closed
from afinar.types import IGNORE_INDEX, LabelSpace

Sentences = list[list[tuple[str, str]]]
"""Of each word of each sentence, its gold and its predicted tag."""

SCORES = ("precision", "recall", "f1")
TYPES = ("LOC", "PER", "a-b", "loss")
NEW = "NEW"


def space(scheme: Scheme) -> LabelSpace:
    return LabelSpace(tuple(closed([f"{scheme.prefixes[0]}-{kind}" for kind in TYPES], scheme)))


def scored(metrics: TokenMetrics, sentences: Sentences, batch: int = 2) -> dict[str, float]:
    """Return the scores; sentences come in batches of `batch`, what lies past their ends is noise."""
    for first in range(0, len(sentences), batch):
        part = sentences[first : first + batch]
        targets = [torch.tensor([metrics.table.index(gold) for gold, _ in words], dtype=torch.int64) for words in part]
        predictions = [torch.tensor([metrics.table.index(predicted) for _, predicted in words], dtype=torch.int64) for words in part]
        metrics.update(
            pad_sequence(predictions, batch_first=True, padding_value=1),
            pad_sequence(targets, batch_first=True, padding_value=IGNORE_INDEX),
        )
    return {name: value.item() for name, value in metrics.compute().items()}


@st.composite
def outputs(draw: st.DrawFn, scheme: Scheme, unseen: bool = True) -> Sentences:
    """Legal and illegal sequences; types absent from gold, from predictions or from both; empty sentences; types never seen."""
    kinds = st.lists(st.sampled_from(TYPES), unique=True)
    gold, predicted = (
        ["O", *(f"{prefix}-{kind}" for kind in [*draw(kinds), *more] for prefix in scheme.prefixes)]
        for more in ([NEW] if unseen and draw(st.booleans()) else [], [])
    )
    # Half of the words are hits, so that whole entities are hit at all.
    hits = st.sampled_from([tag for tag in gold if split_tag(tag)[1] != NEW]).map(lambda tag: (tag, tag))
    word = hits | st.tuples(st.sampled_from(gold), st.sampled_from(predicted))
    return draw(st.lists(st.lists(word, max_size=9), min_size=1, max_size=4))


def by_seqeval(sentences: Sentences, theirs: type | None) -> dict[str, float]:
    """Return the entity scores of one reading, by their names without it."""
    gold, predicted = ([[pair[side] for pair in words] for words in sentences] for side in (0, 1))
    mode = {"mode": "strict", "scheme": theirs} if theirs else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # seqeval averages nothing where no entity occurs
        report = classification_report(gold, predicted, output_dict=True, zero_division=0, **mode)
    empty = report["macro avg"]["support"] == 0 and len(report) == 3
    answer = {}
    for score, name in zip(SCORES, ("precision", "recall", "f1-score"), strict=True):
        answer[score] = float(report["micro avg"][name])
        answer[f"{score}_macro"] = 0.0 if empty else float(report["macro avg"][name])
        for kind in TYPES:
            answer[f"{score}/{kind}"] = float(report.get(kind, {}).get(name, 0.0))
    return answer


def of_words(sentences: Sentences) -> dict[str, float]:
    gold, predicted = ([pair[side] for words in sentences for pair in words] for side in (0, 1))
    entities = sorted({*gold, *predicted} - {"O"})
    answer = {"accuracy": accuracy_score(gold, predicted), **{f"token_{score}": 0.0 for score in SCORES}}
    if entities:
        values = precision_recall_fscore_support(gold, predicted, labels=entities, average="micro", zero_division=0)
        answer |= {f"token_{score}": value for score, value in zip(SCORES, values, strict=False)}
    return answer


SCHEMES = pytest.mark.parametrize(("scheme", "theirs"), [(Scheme.IOB2, IOB2), (Scheme.IOBES, IOBES)])


@SCHEMES
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_every_score_equals_seqeval(scheme: Scheme, theirs: type, data: st.DataObject) -> None:
    check_against_seqeval(scheme, theirs, data)


@pytest.mark.slow
@SCHEMES
@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_every_score_equals_seqeval_at_length(scheme: Scheme, theirs: type, data: st.DataObject) -> None:
    check_against_seqeval(scheme, theirs, data)


def check_against_seqeval(scheme: Scheme, theirs: type, data: st.DataObject) -> None:
    sentences = data.draw(outputs(scheme))
    found = scored(TokenMetrics(space(scheme), scheme), sentences)
    if not any(sentences):
        assert found == {}
        return
    expected = of_words(sentences)
    for reading, mode in (("strict", theirs), ("lenient", None)):
        for name, value in by_seqeval(sentences, mode).items():
            score, *rest = name.partition("_macro" if name.endswith("_macro") else "/")
            expected[f"entity_{score}_{reading}{''.join(rest)}"] = value
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("scheme", [Scheme.IOB1, Scheme.IO])
@settings(max_examples=100, deadline=None)
@given(st.data())
def test_other_schemes_are_read_by_their_own_grammar(scheme: Scheme, data: st.DataObject) -> None:
    sentences = data.draw(outputs(scheme))
    found = scored(TokenMetrics(space(scheme), scheme), sentences)
    if not any(sentences):
        return
    for reading, grammar in (("strict", scheme), ("lenient", None)):
        gold, predicted = (
            {(row, *span) for row, words in enumerate(sentences) for span in spans([pair[side] for pair in words], grammar)}
            for side in (0, 1)
        )
        assert found[f"entity_precision_{reading}"] == pytest.approx(len(gold & predicted) / max(1, len(predicted)))
        assert found[f"entity_recall_{reading}"] == pytest.approx(len(gold & predicted) / max(1, len(gold)))


def test_bare_prefixes_have_one_type() -> None:
    found = scored(TokenMetrics(LabelSpace(("O", "B", "I")), Scheme.IOB2), [[("B", "B"), ("I", "I"), ("O", "O"), ("B", "I")]])
    assert found["entity_f1_strict/_"] == found["entity_f1_strict"] == pytest.approx(2 / 3)


def test_no_entity_anywhere_scores_zero_not_nan() -> None:
    found = scored(TokenMetrics(space(Scheme.IOB2), Scheme.IOB2), [[("O", "O")]])
    assert found.pop("accuracy") == 1
    assert set(found.values()) == {0.0}


def test_an_unseen_type_is_missed_and_has_no_key() -> None:
    """Bounds of entities of unseen types are known: two of them are missed, and one known type stands where a third is."""
    sentences = [[("B-NEW", "O"), ("I-NEW", "O"), ("B-NEW", "O"), ("O", "O"), ("B-PER", "B-PER"), ("B-OTHER", "B-LOC")]]
    metrics = TokenMetrics(space(Scheme.IOB2), Scheme.IOB2)
    found = scored(metrics, sentences)
    assert found["entity_recall_strict"] == pytest.approx(1 / 4)
    assert found["entity_precision_strict"] == pytest.approx(1 / 2)
    assert found["entity_recall_strict_macro"] == pytest.approx((0 + 1 + 0) / 3)  # LOC, PER, and the unseen types as one
    assert found["accuracy"] == pytest.approx(2 / 6)
    assert not any(name.endswith(("NEW", "OTHER")) for name in found)
    counts, gold, predicted = metrics.confusion()
    assert (gold, predicted) == (["O", *TYPES, UNSEEN], ["O", *TYPES])
    assert counts[-1] == [3, 1, 0, 0, 0]


@settings(max_examples=100, deadline=None)
@given(outputs(Scheme.IOBES))
def test_confusion_under_a_scheme_is_by_type(sentences: Sentences) -> None:
    metrics = TokenMetrics(space(Scheme.IOBES), Scheme.IOBES)
    scored(metrics, sentences)
    counts, rows, columns = metrics.confusion()
    gold, predicted = ([split_tag(pair[side])[1] or "O" for words in sentences for pair in words] for side in (0, 1))
    assert columns == ["O", *TYPES]
    assert rows == [*columns, *[UNSEEN] * (NEW in gold)]
    if gold:
        full = confusion_matrix(gold, predicted, labels=["O", *TYPES, NEW])
        assert counts == full[: len(rows), : len(columns)].tolist()


TAGS = ("ADJ", "NOUN", "O", "VERB", "loss")


@st.composite
def parts_of_speech(draw: st.DrawFn) -> Sentences:
    word = st.tuples(st.sampled_from([*TAGS, *draw(st.sampled_from([[], [NEW]]))]), st.sampled_from(TAGS[: draw(st.integers(1, 5))]))
    return draw(st.lists(st.lists(word | st.sampled_from(TAGS).map(lambda tag: (tag, tag)), max_size=9), min_size=1, max_size=4))


@pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn, on cases that are meant to be degenerate
@settings(max_examples=200, deadline=None)
@given(parts_of_speech())
def test_tags_without_a_scheme_equal_scikit_learn(sentences: Sentences) -> None:
    metrics = TokenMetrics(LabelSpace(TAGS))
    found = scored(metrics, sentences)
    gold, predicted = ([pair[side] for words in sentences for pair in words] for side in (0, 1))
    if not gold:
        assert found == {}
        return
    expected = {"accuracy": accuracy_score(gold, predicted), "mcc": matthews_corrcoef(gold, predicted)}
    for average in ("macro", "micro", "weighted"):
        values = precision_recall_fscore_support(gold, predicted, average=average, zero_division=0)
        expected |= {f"{score}_{average}": value for score, value in zip(SCORES, values, strict=False)}
    by_tag = precision_recall_fscore_support(gold, predicted, labels=TAGS, zero_division=0)
    for score, values in zip(SCORES, by_tag, strict=False):
        expected |= {f"{score}/{tag}": value for tag, value in zip(TAGS, values, strict=True)}
    assert found == pytest.approx(expected, abs=1e-6)
    counts, rows, columns = metrics.confusion()
    assert (rows, columns) == ([*TAGS, *[UNSEEN] * (NEW in gold)], list(TAGS))
    assert counts == confusion_matrix(gold, predicted, labels=[*TAGS, NEW])[: len(rows), :-1].tolist()


@pytest.mark.parametrize("scheme", [Scheme.IOB2, None])
def test_how_sentences_are_batched_does_not_matter(scheme: Scheme | None) -> None:
    """Entities end with their sentence: the last word of one and the first of the next do not touch."""
    sentences = [[("B-PER", "B-PER")], [("I-PER", "I-PER")], [], [("O", "O"), ("B-PER", "B-PER"), ("I-PER", "O")]]
    answers = [scored(TokenMetrics(space(Scheme.IOB2), scheme), sentences, batch) for batch in (1, 2, 3, 4)]
    assert all(answer == answers[0] for answer in answers)
    if scheme:
        assert answers[0]["entity_recall_lenient"] == pytest.approx(2 / 3)  # B, I of another sentence, and the B I cut short


def test_extra_metrics_see_known_words_alone() -> None:
    class Words(SumMetric):
        def update(self, predictions: torch.Tensor, targets: torch.Tensor) -> None:  # type: ignore[override]
            assert (predictions.dtype, targets.dtype, predictions.dim()) == (torch.int64, torch.int64, 1)
            super().update(len(targets))

    labels = space(Scheme.IOB2)
    extra = {"words": Words(), "balanced": MulticlassAccuracy(len(labels), average="macro")}
    found = scored(TokenMetrics(labels, Scheme.IOB2, extra), [[("B-PER", "B-PER"), ("O", "B-PER"), ("B-NEW", "O")], []])
    assert found["words"] == 2
    assert found["balanced"] == pytest.approx(1 / 2)


def test_an_extra_metric_cannot_take_the_name_of_another() -> None:
    with pytest.raises(ConfigError, match="token_f1"):
        scored(TokenMetrics(space(Scheme.IOB2), Scheme.IOB2, {"token_f1": MulticlassAccuracy(9)}), [[("O", "O")]])


def test_confusion_follows_updates_and_resets() -> None:
    metrics = TokenMetrics(LabelSpace(("A", "B")))
    metrics.update(torch.tensor([[0]]), torch.tensor([[0]]))
    assert metrics.confusion_matrix().tolist() == [[1, 0], [0, 0]]  # without compute, too
    metrics.compute()
    metrics.update(torch.tensor([[0]]), torch.tensor([[1]]))
    assert metrics.confusion_matrix().tolist() == [[1, 0], [1, 0]]
    metrics.compute()
    metrics.reset()
    assert metrics.confusion_matrix().tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((3,), (3,)), ((1, 2, 3), (1, 2, 3))])
def test_wrong_shapes_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="must both be"):
        TokenMetrics(LabelSpace(("A", "B"))).update(*(torch.zeros(shape, dtype=torch.int64) for shape in shapes))


SHARED: Sentences = [
    [("B-PER", "B-PER"), ("I-PER", "I-PER")],
    [("I-LOC", "I-LOC"), ("O", "I-PER"), ("B-LOC", "O")],
    [("B-NEW", "B-PER")],
    [],
    [("O", "O"), ("B-LOC", "B-LOC"), ("B-LOC", "B-LOC")],
]


class Words(Metric):
    """Counts words: a sum tells what an average hides, rows that are gathered twice."""

    full_state_update = False
    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, _predictions: torch.Tensor, targets: torch.Tensor) -> None:
        self.count += len(targets)

    def compute(self) -> torch.Tensor:
        return self.count


def answer_of(rows: list[int]) -> dict[str, object]:
    """Return what a process answers that has seen these sentences."""
    answers: dict[str, object] = {}
    for scheme in (Scheme.IOB2, None):
        metrics = TokenMetrics(space(Scheme.IOB2), scheme, {"words": Words()})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # compute before update, in a process without sentences
            answers[f"{scheme} numbers"] = scored(metrics, [SHARED[row] for row in rows])
        answers[f"{scheme} confusion"] = metrics.confusion()[0]
        answers[f"{scheme} rows"] = sorted(zip(*(column.tolist() for column in metrics.gathered()), strict=True))
    return answers


def worker(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.save([answer_of(([4, 0, 3], [1, 2])[rank]), answer_of(([0, 1, 2, 3, 4], [])[rank])], f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_answer_as_one(tmp_path: Path) -> None:
    multiprocessing.spawn(worker, args=(str(tmp_path),), nprocs=2)
    alone = answer_of([0, 1, 2, 3, 4])
    for rank in range(2):
        for answer in torch.load(tmp_path / f"{rank}.pt", weights_only=True):
            assert answer == alone
