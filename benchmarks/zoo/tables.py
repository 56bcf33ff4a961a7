"""What was found, as tables in Markdown."""

import re
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def _counted(rows: Sequence[Row], which: str, said: str) -> int:
    return sum(row["which"] == which and row["said"] == said for row in rows)


def table(rows: Sequence[Row], absent: Sequence[str], checkers: Sequence[str]) -> str:
    """One line a checker."""
    heads = ["", "wrong found", "wrong passed", "undecided", "not expressible", "right refused", "named", "seconds"]
    lines = [f"| {' | '.join(heads)} |", "|---" + "|---:" * 7 + "|"]
    for checker in checkers:
        mine = [row for row in rows if row["checker"] == checker]
        if checker in absent:
            lines.append(f"| {checker} | not installed | | | | | | |")
        if not mine:
            continue
        wrong, right = (sum(row["which"] == which for row in mine) for which in ("shipped", "mended"))
        found, refused = _counted(mine, "shipped", "refused"), _counted(mine, "mended", "refused")
        named = sum(row["which"] == "shipped" and row["said"] == "refused" and bool(row["named"]) for row in mine)
        lines.append(
            f"| {checker} | {found} of {wrong} | {_counted(mine, 'shipped', 'passed')} "
            f"| {_counted(mine, 'shipped', 'undecided')} | {_counted(mine, 'shipped', 'not expressible')} "
            f"| {refused} of {right} | {named or '–'} | {sum(row['seconds'] for row in mine):.0f} |"
        )
    return "\n".join(lines)


def by_kind(rows: Sequence[Row], kinds: Sequence[str]) -> str:
    """Wrong ones found, one line a kind; of what was right and refused, how many were refused again."""
    checkers = list(dict.fromkeys(row["checker"] for row in rows))
    heads = [re.sub(r"([_.])", r"\1<wbr>", name) for name in checkers]  # a head may be broken there: the table is narrower
    lines = [f"| kind | specimens | {' | '.join(heads)} |", "|---" + "|---:" * (len(checkers) + 1) + "|"]
    for kind in kinds:
        which = "mended" if kind == "right but refused" else "shipped"
        mine = [row for row in rows if row["kind"] == kind and row["which"] == which]
        count = len({row["specimen"] for row in mine})
        found = [str(_counted([row for row in mine if row["checker"] == name], which, "refused")) for name in checkers]
        if count:
            lines.append(f"| {kind} | {count} | {' | '.join(found)} |")
    return "\n".join(lines)


def missed(rows: Sequence[Row]) -> str:
    """What ours did not find, or refused although it is right."""
    from zoo.checkers import OURS

    return "\n".join(
        f"{row['checker']}: {row['specimen']} ({row['kind']}, {row['which']}): {row['said']} {row['message'][:300]}"
        for row in rows
        if row["checker"] in OURS and (row["said"] != "refused") == (row["which"] == "shipped")
        and not (row["which"] == "mended" and row["said"] == "passed")
    )  # fmt: skip
