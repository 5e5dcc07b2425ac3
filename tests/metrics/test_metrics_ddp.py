"""Two processes with unequal shares, one of them empty at times, answer what one process answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing
from torchmetrics import Metric

from afinar.metrics.classification import ClassificationMetrics
from afinar.metrics.masked_lm import MaskedLMMetrics
from afinar.metrics.multi_label import MultiLabelMetrics
from afinar.metrics.question_answering import AnswerMetrics
from afinar.metrics.regression import RegressionMetrics
from afinar.types import Answers, LabelSpace, Targets

PROBABILITIES = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.5, 0.2, 0.3], [0.2, 0.6, 0.2]])
TARGETS = torch.tensor([0, 2, 2, 3, 1])
LABELS = LabelSpace(("a", "b", "c"))
VALUES = torch.tensor([[0.5, 3.0], [1.5, 1.0], [2.0, 2.0], [0.0, 4.0], [3.0, 3.5]])
ANSWERS = [("the cat", 0.5, ["cat"]), ("dog", 2.0, []), ("a b", 0.25, ["b c", "b"]), ("", float("inf"), []), ("bird", -1.0, ["cat"])]

Answer = dict[str, object]


class Examples(Metric):
    """Counts examples: a sum tells what an average hides, rows that are gathered twice."""

    full_state_update = False
    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, _probabilities: torch.Tensor, targets: torch.Tensor) -> None:
        self.count += len(targets)

    def compute(self) -> torch.Tensor:
        return self.count


def score(rows: list[int]) -> Answer:
    """Return what each metric answers, having seen `rows` in this process."""
    single = ClassificationMetrics(LABELS, {"examples": Examples()})
    multi = MultiLabelMetrics(LabelSpace(LABELS.names, multi_label=True))
    masked = MaskedLMMetrics()
    numbers = RegressionMetrics(Targets.unscaled(["form", "sense"]), {"examples": Examples()})
    answered = AnswerMetrics(Answers(unanswerable=True))
    for row in rows:
        one = slice(row, row + 1)
        single.update(PROBABILITIES[one], TARGETS[one])
        multi.update(PROBABILITIES[one], torch.nn.functional.one_hot(TARGETS[one], 4))
        masked.update(PROBABILITIES[one].log(), TARGETS[one].remainder(3))
        numbers.update(VALUES[one], VALUES[one].flip(1).square())
        text, margin, gold = ANSWERS[row]
        answered.update([(text, margin)], [gold])
    early = single.confusion_matrix().tolist()
    answers = {
        "single": single.compute(),
        "multi": multi.compute(torch.tensor([0.3, 0.3, 0.2])),
        "masked": masked.compute(),
        "numbers": numbers.compute(),
        "answered": answered.compute(torch.tensor(1.0)),
    }
    return {
        "numbers": {f"{kind} {name}": value.item() for kind, values in answers.items() for name, value in values.items()},
        "confusion": [early, single.confusion_matrix().tolist()],
        "rows": [sorted(zip(*(column.tolist() for column in kind.gathered()), strict=True)) for kind in (single, numbers, answered)],
    }


def worker(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    answers = [score(([3, 0, 4], [1, 2])[rank]), score(([0, 1, 2, 3, 4], [])[rank])]
    torch.save(answers, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_answer_as_one(tmp_path: Path) -> None:
    multiprocessing.spawn(worker, args=(str(tmp_path),), nprocs=2)
    alone = score([0, 1, 2, 3, 4])
    for rank in range(2):
        for answer in torch.load(tmp_path / f"{rank}.pt", weights_only=True):
            assert answer["numbers"] == pytest.approx(alone["numbers"], abs=1e-6)
            assert answer["confusion"] == alone["confusion"]
            assert answer["rows"] == alone["rows"]
