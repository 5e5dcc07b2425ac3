"""How an ablation was run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Course:
    """How an ablation was run.

    Attributes:
        command: what a person typed.
        when: it ended, in ISO form.
        overrides: what was changed of the ablation, beyond the number of seeds.
        seeds: of each arm.
        seconds: that this start took.
        runs: the name of the folder of its runs, beside that of its report.
        trainings: how many there are, of arms and of models that arms start from.
        prepared: how many of them are of models that arms start from.
        anew: how many of them this start ran itself, from their beginning; the others were there, whole or in part.
        resumed: how many of them it went on with.
        failed: what failed, a line each.
        unfinished: how many trainings are neither done nor failed.
    """

    command: str
    when: str
    overrides: tuple[str, ...]
    seeds: int
    seconds: float
    runs: str
    trainings: int
    prepared: int
    anew: int
    resumed: int
    failed: tuple[str, ...]
    unfinished: int

    @property
    def is_whole(self) -> bool:
        """Whether this start ran every training from its beginning to its end: only then do its seconds say what the ablation takes."""
        return self.anew == self.trainings and not self.failed and not self.unfinished
