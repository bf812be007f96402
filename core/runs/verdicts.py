"""What a difference between replicates comes to, in a word and in a plain sentence."""

from collections.abc import Sequence

from core import formats, statistics
from core.runs.replicates import Measured
from core.statistics import Difference
from core.texts import t


def outcome(difference: Difference, direction: str | None) -> str:
    """What a difference (first minus second) comes to, in a word.

    Returns:
        ``first`` or ``second`` (that one is better; higher where no direction is known),
        ``unclear``, ``corrected`` (clear alone, not among so many), ``equal``, ``constant``
        (apart without any variation) or ``refused``.
    """
    if difference.test == "none":
        return {"equal": "equal", "constant": "constant"}.get(difference.why, "refused")
    if difference.clear:
        ahead = (difference.value or 0.0) > 0
        return "second" if ahead is (direction == "lower") else "first"
    alone = difference.p is not None and difference.p < statistics.ALPHA
    return "corrected" if alone else "unclear"


def sentence(
    difference: Difference, first: str, second: str, direction: str | None, family: int = 1
) -> str:
    """The verdict on a difference (first minus second) in a plain sentence; plain text.

    Args:
        difference: of the two.
        first: what the first is called; outside text.
        second: what the second is called.
        direction: "lower" or "higher" is better; None where nobody knows.
        family: how many comparisons p was corrected for.
    """
    said = outcome(difference, direction)
    a, b = (first, second) if said != "second" else (second, first)
    counts = difference.n if said != "second" else difference.n[::-1]
    if said == "refused":
        return t("statistics.verdict.refused", a=a, b=b, n=min(counts), m=max(counts))
    if said == "equal":
        return t("statistics.verdict.equal", a=a, b=b)
    value, low, high = difference.value or 0.0, difference.low or 0.0, difference.high or 0.0
    if said == "constant":
        return t("statistics.verdict.constant", a=a, b=b, by=formats.number(abs(value)))
    if said in ("first", "second") and value < 0:
        value, low, high = -value, -high, -low
    by, lower, upper = formats.alike(value, low, high)
    key = said if said in ("unclear", "corrected") else "better" if direction else "higher"
    pairs = "_pairs" if difference.test == "paired" else ""
    against = t(f"statistics.verdict.against{pairs}", n=counts[0], m=counts[1])
    fields = {"a": a, "b": b, "by": by, "low": lower, "high": upper, "against": against}
    return t(f"statistics.verdict.{key}", **fields, family=formats.count(family))


def cautions(measured: Sequence[Measured], difference: Difference) -> list[str]:
    """What to keep in mind about a difference, as sentences of plain text."""
    said = []
    few = min(difference.n)
    if 2 <= few < statistics.FEW and difference.p is not None:
        said.append(t("statistics.caution.few", n=few, few=statistics.FEW))
    for one in measured:
        if one.sample.n >= 2 and not statistics.varies(one.sample.values):
            said.append(t("statistics.caution.constant", name=one.group.label, n=one.sample.n))
        if one.repeated:
            said.append(t("statistics.caution.repeated", name=one.group.label, n=one.repeated))
        left = [
            t(f"statistics.left.{kind}", n=n)
            for kind in ("nan", "infinite", "missing")
            if (n := getattr(one.sample, kind))
        ]
        if left:
            named = {"name": one.group.label, "what": ", ".join(left)}
            said.append(t("statistics.caution.left", **named))
    return said
