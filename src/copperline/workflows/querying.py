"""SQL on the warehouse, with the model as the function PREDICT."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from copperline.inspection import Detector, predict_function
from copperline.settings import Settings
from copperline.warehouse import Predict, Result, run_sql


def query_warehouse(
    settings: Settings,
    query: str,
    parameters: Mapping[str, Any],
    *,
    model: str = "champion",
    write: bool = False,
    limit: int | None = None,
) -> Result:
    """As `run_sql`; the model is loaded when PREDICT is first called, so a query without it needs none."""

    @cache
    def predict() -> Predict:
        return predict_function(Detector.load(model, settings=settings))

    return run_sql(
        settings.warehouse,
        query,
        parameters,
        predict=lambda image, reference: predict()(image, reference),
        write=write,
        limit=limit,
    )
