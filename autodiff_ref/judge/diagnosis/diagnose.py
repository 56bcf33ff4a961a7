"""What a refuted line did: the one small change that would put it right, and where in the source it belongs.

A suggestion, not a verdict: several mistakes can look alike. What it says is so: with that change, the line equals the right
one to 30 digits at every input tried, of two shapes where there are two.
"""

from collections.abc import Sequence
from itertools import islice

import jax

from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.comparing import compare, evaluator
from autodiff_ref.judge.counterexample import leaf_names
from autodiff_ref.judge.diagnosis.calls import within_calls
from autodiff_ref.judge.diagnosis.occurrences import Repair
from autodiff_ref.judge.diagnosis.source_places import file_of
from autodiff_ref.judge.diagnosis.suspect import Diagnosis
from autodiff_ref.judge.diagnosis.trying import Budget, Exhausted, Scene, Search, certified, without_doubles
from autodiff_ref.judge.diagnosis.variant import program_of
from autodiff_ref.judge.diagnosis.whole import readings, single
from autodiff_ref.judge.inputs import dimension_names
from autodiff_ref.judge.lines.trace import ShapeKey, claims_to_hold, label_flags, shape_key
from autodiff_ref.trees import Arguments, PyTree
from manual_grad.derivation import Line

WORK = 3e8
"""how many numbers are computed for a line, some two seconds' worth; after that, nothing is said"""

INPUTS = 4
"""at so many inputs of each shape candidates are filtered, and the likeliest certified"""

TELLING = 3
"""at so many of these the lines are to differ, where they seldom do"""

PLACES = 3
"""at most so many are named"""

TRIED = 3
"""how many of the likeliest are decided in balls"""


def diagnose(bench: Bench, line: Line, right: Line | None, *, work: float = WORK) -> Diagnosis | None:
    """What a refuted line did; None where no single small change puts it right.

    Args:
        bench: the inputs, and the lines traced at them.
        line: the wrong line.
        right: the right line it was judged against; None for the reference.
        work: after so much of it, in numbers computed, nothing is said.
    """
    try:
        return _diagnose(bench, line, right, Budget(work))
    except Exhausted:
        return None


def _diagnose(bench: Bench, line: Line, right: Line | None, budget: Budget) -> Diagnosis | None:
    scenes = [scene for scene in _scenes(bench, line, right) if scene is not None]
    if not scenes or any(scene.wrong.signature != scenes[0].wrong.signature for scene in scenes):
        return None
    if any(scene.right.signature != scenes[0].right.signature for scene in scenes):
        return None
    again = scenes[1].wrong if len(scenes) > 1 else None
    searches = [Search(scene, budget, again) for scene in scenes]
    if not all(search.differs for search in searches):
        return None
    flags = label_flags(bench.derivation.domain)
    plans = [bench.traced(right, scene.inputs[0]).plan for scene in scenes]
    first = scenes[0]

    def of_labels() -> list[Repair]:
        return searches[0].survive(readings(bench.derivation.domain, first.wrong.inputs, first.names))

    cut = list[Repair]()

    def whole() -> list[Repair]:
        found = searches[0].others()
        cut.extend(repair for repair in found if "…" in repair.sentence)
        return [repair for repair in found if repair not in cut]

    for candidates in (searches[0].simple, of_labels, whole, searches[0].at_one_use, lambda: cut):
        kept = candidates()
        for search in searches[1:]:
            kept = search.survive(kept)
        kept = without_doubles(kept)
        for repair in kept[:TRIED]:
            equal = [certified(scene, repair, plan, flags, INPUTS) for scene, plan in zip(scenes, plans, strict=True)]
            if all(equal):
                return _said(searches[0], repair, [other for other in kept if other is not repair])
        if candidates == searches[0].simple:
            found = _of_one_example(bench, line, right, first)
            if found is not None:
                return found
    return None


def _of_one_example(bench: Bench, line: Line, right: Line | None, scene: Scene) -> Diagnosis | None:
    """Whether the line is what the right one is at a single example."""
    left: list[str] | None = None
    for args in scene.inputs[:INPUTS]:
        ours = bench.traced(line, args)
        equal: list[str] = []
        for sentence, cut in single(bench.derivation, args):
            if left is not None and sentence not in left:
                continue
            theirs = bench.traced(right, cut)
            if ours.plan is None or theirs.plan is None or _shapes(ours.shapes) != _shapes(theirs.shapes):
                continue
            compared = compare(evaluator(ours.plan, args), evaluator(theirs.plan, cut))
            if compared.outcome == "equal" and not compared.vanishes:
                equal.append(sentence)
        left = equal
        if not left:
            return None
    if not left:
        return None
    frame = scene.wrong.frame(scene.wrong.outputs[0])
    return Diagnosis("sum", left[0], (frame.place,) if frame else ())


def _shapes(shapes: PyTree) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape) for leaf in jax.tree.leaves(shapes)]


def _said(search: Search, repair: Repair, others: Sequence[Repair]) -> Diagnosis:
    program = search.scene.wrong

    def place(repair: Repair) -> str:
        frame = search.calls.frame(repair.slot)
        return frame.place if frame is not None else ""

    alike = [other for other in others if other.sentence == repair.sentence and other.cost < repair.cost + 0.1]
    found = [place(each) for each in (repair, *alike)]
    if repair.slot in program.inputs:  # where it is used
        users = [node for node in program.nodes if repair.slot in node.sources and not node.origin.is_nabla]
        found = [frame.place for node in users if (frame := program.frame(node.targets[0])) is not None]
    places = tuple(dict.fromkeys(filter(None, found)))[:PLACES]
    return Diagnosis(repair.kind, repair.sentence + repair.where, places)


def _scenes(bench: Bench, line: Line, right: Line | None) -> list[Scene | None]:
    """The two lines at the ordinary inputs of each of two shapes."""
    by_shape: dict[ShapeKey, list[Arguments]] = {}
    for given in bench.inputs:
        if given.stratum == "ordinary" and all(claims_to_hold(each, bench.derivation, given.args) for each in (line, right)):
            by_shape.setdefault(shape_key(given.args), []).append(given.args)
    largest = sorted(by_shape.values(), key=len, reverse=True)[:2]
    sizes = [bench.sizes(inputs[0]) for inputs in largest]
    return [_scene(bench, line, right, _telling(bench, line, right, inputs), sizes) for inputs in largest]


def _telling(bench: Bench, line: Line, right: Line | None, ordinary: Sequence[Arguments]) -> Sequence[Arguments]:
    """Some ordinary inputs of one shape; where the lines are equal at all of these, others at which they differ as well."""
    chosen = ordinary[: INPUTS + 1]
    if any(bench.differ(line, right, args) for args in chosen):
        return chosen
    alike = (each.args for each in bench.inputs if each.exact and shape_key(each.args) == shape_key(chosen[0]))
    return [*islice((args for args in alike if bench.differ(line, right, args)), TELLING), *chosen][: INPUTS + 1]


def _scene(
    bench: Bench, line: Line, right: Line | None, inputs: Sequence[Arguments], sizes: Sequence[dict[str, int]]
) -> Scene | None:
    ours, theirs = bench.traced(line, inputs[0]), bench.traced(right, inputs[0])
    if ours.plan is None or theirs.plan is None:
        return None
    outputs = len(jax.tree.leaves(ours.shapes))
    file = file_of(line)
    dims = jax.tree.leaves(bench.derivation.domain)
    fixed = frozenset(dim for leaf in dims for dim in leaf.dims if isinstance(dim, int))
    named = dimension_names(bench.derivation.domain)
    own = bench.sizes(inputs[0])
    correct = program_of(theirs.closed, file if right is None else file_of(right), outputs)
    of = bench.traces.of(inputs[0])
    differentiated = program_of(of.closed, file_of(bench.derivation.of), len(jax.tree.leaves(of.shapes)))
    return Scene(
        program_of(ours.closed, file, outputs),
        correct,
        inputs,
        leaf_names(inputs[0], bench.argument_names),
        label_flags(bench.derivation.domain),
        {name: own[name] for name in named if name in own},
        fixed,
        frozenset(within_calls(correct) | within_calls(differentiated)),
    )
