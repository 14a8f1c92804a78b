"""The HTTP service: inspections, boards, dispositions, figures, models and references, for machines of any maker."""
