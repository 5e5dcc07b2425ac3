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
        anew: how many of the trainings it ran itself; the others were there.
        trainings: how many there are.
        failed: what failed, a line each.
        unfinished: how many trainings are neither done nor failed.
    """

    command: str
    when: str
    overrides: tuple[str, ...]
    seeds: int
    seconds: float
    anew: int
    trainings: int
    failed: tuple[str, ...]
    unfinished: int

    @property
    def is_whole(self) -> bool:
        """Whether this start ran every training to its end: only then do its seconds say what the ablation takes."""
        return self.anew == self.trainings and not self.failed and not self.unfinished
