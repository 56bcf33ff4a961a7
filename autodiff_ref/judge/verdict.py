"""From what was found of a line to its verdict: one table. docs/verdicts.md says the same in words."""

from typing import Literal

from autodiff_ref.judge.bench import Relation

Verdict = Literal["proved", "agrees", "within", "partial", "refuted", "undecided"]

RIGHT = ("proved", "agrees", "within")
"""verdicts of a line that is right"""


def verdict_of(found: Relation, *, wanted: int) -> tuple[Verdict, str]:
    """The verdict on a line, and the reason where there is something to say.

    Args:
        found: what all inputs say of the line and the one it is judged against.
        wanted: how many inputs with information are promised.
    """
    if found.differences:
        return "refuted", ""
    if found.no_rule:
        return "undecided", found.no_rule
    if not found.equal and found.lacking and not found.silent["kink"] and not found.silent["unclear"]:
        return "undecided", (
            f"the line has no value (NaN or ∞) at any of the {found.lacking} inputs tried at which the gradient exists, "
            f"as at {found.shortest_lacking}"
        )
    if not found.equal:
        return "undecided", _too_few(found, wanted)
    if found.lacking:
        count, where = found.lacking, found.first_lacking
        return "partial", f"has no value (NaN or ∞) at {count} inputs at which the gradient exists, as at {where}"
    if found.silent["unclear"]:
        return "undecided", f"balls could not tell at {found.silent['unclear']} of {found.tried} inputs{found.why_unclear}"
    if found.informative < wanted:
        return "undecided", _too_few(found, wanted)
    rounded = f"at {found.rounded} inputs, which are in their domain up to rounding, that rounding explains the difference"
    return ("within" if found.ulps else "agrees"), (rounded if found.rounded else "")


def _too_few(found: Relation, wanted: int) -> str:
    counts = {
        "on a kink": found.silent["kink"],
        "where neither has a value": found.silent["undefined"],
        "where the line has no value": found.lacking,
        "where balls could not tell": found.silent["unclear"],
        "where both vanish": found.vanishing,
        "equal at a size of 1": found.equal.total() - found.vanishing - found.informative_at_main,
        "equal": found.informative_at_main,
    }
    counted = ", ".join(f"{count} {why}" for why, count in counts.items() if count > 0)
    counted += found.why_unclear
    why = counted or "none fulfils what the lines claim to need"
    return f"too few inputs with information, {wanted} are wanted: {why}"
