"""What a comparison of two models comes to, in words."""

from __future__ import annotations

from copperline.evaluation.paired import FALSE_CALLS, MAP50, PRECISION, RECALL, PairedComparison, PairedFigure

CHANCE = 0.05
# Below this, resampling the boards says little about boards that were not among them.
FEW_BOARDS = 30


def verdict(comparison: PairedComparison, first: str = "the champion", second: str = "the challenger") -> str:
    """One or two sentences: does the second model find more than the first, and does it raise more false calls?

    Args:
        comparison: of the two.
        first, second: what they are called inside a sentence.

    >>> from copperline.evaluation.paired import Discordance, PairedFigure
    >>> better = PairedFigure(first=0.95, second=0.958, difference=0.008, interval=(0.002, 0.014))
    >>> same = PairedFigure(first=0.98, second=0.98, difference=0.0, interval=(0.0, 0.0))
    >>> verdict(PairedComparison(
    ...     boards=99, labels=9, clean_boards=99, figures={"recall": better, "precision": same, "map50": same},
    ...     false_calls=Discordance.of(1, 2), missing_boards=Discordance.of(3, 1), resamples=1000))
    'The challenger finds more: +0.8 pp recall, interval +0.2 to +1.4; no more false calls than chance explains.'
    """
    recall = comparison.figures[RECALL]
    sentence = f"{second[:1].upper()}{second[1:]} {_finding(recall, first)}; {_false_calls(comparison, first)}."
    if not recall.excludes_zero:
        others = {"mAP50": comparison.figures[MAP50], "precision": comparison.figures[PRECISION]}
        apart = [f"{name} {_points(figure)}" for name, figure in others.items() if figure.excludes_zero]
        if apart:
            sentence += f" What differs beyond chance: {' and '.join(apart)}."
    if comparison.boards < FEW_BOARDS:
        sentence += f" Only {comparison.boards} boards: the intervals are rough, and no ground for a promotion."
    return sentence


def _finding(recall: PairedFigure, first: str) -> str:
    if recall.difference is None:
        return "cannot be compared: these boards have no labelled defect"
    if not recall.excludes_zero:
        return f"finds as much as {first} as far as these boards can tell: {_points(recall, 'recall')}"
    return f"finds {'more' if recall.difference > 0 else 'less'}: {_points(recall, 'recall')}"


def _false_calls(comparison: PairedComparison, first: str) -> str:
    calls = comparison.false_calls
    if calls is None:
        return "false calls are not measured"
    if calls.p_value >= CHANCE:
        if calls.only_second < calls.only_first:
            return "fewer false calls, but by no more than chance explains"
        return "no more false calls than chance explains"
    more = calls.only_second > calls.only_first
    rate = comparison.figures.get(FALSE_CALLS)
    told = f" ({_points(rate, 'of clean boards')})" if rate is not None and rate.difference is not None else ""
    return f"it raises {'more' if more else 'fewer'} false calls than {first}{told}"


def _points(figure: PairedFigure, what: str = "") -> str:
    """`+0.8 pp recall, interval +0.2 to +1.4`."""
    assert figure.difference is not None
    text = f"{100 * figure.difference:+.1f} pp{' ' + what if what else ''}"
    if figure.interval is None:
        return text
    low, high = figure.interval
    return f"{text}, interval {100 * low:+.1f} to {100 * high:+.1f}"
