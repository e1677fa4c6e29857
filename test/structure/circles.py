"""Circles of imports in a program or library, and the list of those that are still allowed.

There are two kinds of members: files (`crates/cli/src/pair/node.rs`), and modules right below a crate's root
with all that is in them (`crates/cli/src/pair`). A circle is a largest set in which each member reaches
each other; so no member is in two circles.
"""

import dataclasses
import pathlib

import imports


@dataclasses.dataclass(frozen=True)
class Step:
    """One member imports another, by these words."""

    source: str
    target: str
    words: str


@dataclasses.dataclass(frozen=True)
class Circle:
    """The members, and the imports among them."""

    members: frozenset[str]
    steps: list[Step]


def of_program(first: pathlib.Path, root: pathlib.Path) -> list[Circle]:
    """The circles among what the file `first` begins; members are named from the folder `root` on."""
    folder = first.parent.relative_to(root)
    files, modules = [], []
    for one in imports.of_root(first):
        source, target = one.source.relative_to(root), one.target.relative_to(root)
        words = f"{source}:{one.line} names {one.path}, of {target}"
        files.append(Step(str(source), str(target), words))
        if first not in (one.source, one.target):
            within = [file.relative_to(folder).parts[0].removesuffix(".rs") for file in (source, target)]
            if within[0] != within[1]:
                modules.append(Step(str(folder / within[0]), str(folder / within[1]), words))
    return circles(files) + circles(modules)


def circles(steps: list[Step]) -> list[Circle]:
    """The strongly connected components with two members and more."""
    targets: dict[str, set[str]] = {}
    for step in steps:
        targets.setdefault(step.source, set()).add(step.target)

    def reached(start: str) -> set[str]:
        found, waiting = set(), [start]
        while waiting:
            for member in targets.get(waiting.pop(), set()) - found:
                found.add(member)
                waiting.append(member)
        return found

    reach = {member: reached(member) for member in targets}
    left, found = {member for member in targets if member in reach[member]}, []
    while left:
        members = {other for other in left if other in reach[min(left)] and min(left) in reach[other]}
        inside = {(one.source, one.target): one for one in reversed(steps) if members >= {one.source, one.target}}
        found.append(Circle(frozenset(members), list(inside.values())))
        left -= members
    return found


def way_around(circle: Circle, starts: list[str]) -> list[Step]:
    """The shortest way from one of `starts` through others back to itself."""
    best: list[Step] = []
    for start in starts:
        seen, ways = {start}, [[step] for step in circle.steps if step.source == start]
        while ways and (not best or len(ways[0]) < len(best)):
            way = ways.pop(0)
            if way[-1].target == start:
                best = way
            elif way[-1].target not in seen:
                seen.add(way[-1].target)
                ways += [[*way, step] for step in circle.steps if step.source == way[-1].target]
    return best


def allowed(text: str) -> list[frozenset[str]]:
    """The circles of a list: a member a line, an empty line between two circles, `#` before comments."""
    lines = [line.strip() for line in text.splitlines() if not line.startswith("#")]
    blocks = "\n".join(lines).split("\n\n")
    return [frozenset(block.split()) for block in blocks if block.split()]


def faults(listed: list[frozenset[str]], found: list[Circle]) -> list[str]:
    """Circles that are not allowed, and members on the list that need not be there."""
    said = []
    for circle in found:
        if any(circle.members <= one for one in listed):
            continue
        new = sorted(circle.members.difference(*listed))
        way = way_around(circle, new or sorted(circle.members))
        around = "".join(f"\n    {step.words}" for step in way)
        which = f"new in it: {' '.join(new)}" if new else "it joins circles that were apart"
        said.append(f"a circle of imports among {len(circle.members)}, {which}; one way around it:{around}")
    needed = set().union(*(circle.members for circle in found))
    for member in sorted(set().union(*listed) - needed):
        said.append(f"{member} is in no circle any more: take it off the list of allowed ones")
    return said


def shrunk(text: str, found: list[Circle]) -> str:
    """The list with what is still needed of it, and nothing else."""
    head = [line for line in text.splitlines() if line.startswith("#")]
    left = {frozenset(one & circle.members) for one in allowed(text) for circle in found}
    blocks = sorted("\n".join(sorted(members)) for members in left if members)
    return "\n\n".join(["\n".join(head), *blocks]) + "\n"
