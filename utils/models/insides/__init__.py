"""This package knows how to measure by which parts the organism does what it does: its name movers, facts and refusal.

`python -m utils.models.insides organism` (or `--folder F`) prints a summary with the targets of the course.
All prompts, names, noise and edits come from fixed seeds. `runs` holds the tools; `name_movers`, `fact_tracing`,
`rank_one` and `refusal` each measure one thing; `rows`, `report` and `page` say what was found, and which targets it
reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils.models.figures.common import Figures
from utils.models.insides import fact_tracing, name_movers, rank_one, refusal
from utils.models.insides.page import markdown
from utils.models.insides.report import Target, summary, targets

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

__all__ = ["Target", "insides", "markdown", "summary", "targets"]


def insides(model: TransformerBridge, count: int = 100) -> Figures:
    """Every figure of this package, on about `count` prompts of each kind."""
    copying = name_movers.copying_scores(model)
    return {
        "prompts": count,
        "copying score": copying,
        "name movers": {form: name_movers.name_movers(model, count, form, copying) for form in name_movers.FORMS},
        "fact tracing": fact_tracing.fact_tracing(model, count),
        "rank-one edits": rank_one.rank_one_edits(model, max(2, round(0.4 * count))),
        "refusal direction": refusal.refusal_direction(model, count),
    }
