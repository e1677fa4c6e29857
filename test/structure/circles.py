"""Circles of imports in a program or library.

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


def fault(circle: Circle) -> str:
    """The circle in words, with one way around it."""
    around = "".join(f"\n    {step.words}" for step in way_around(circle, sorted(circle.members)))
    return f"a circle of imports among {' '.join(sorted(circle.members))}; one way around it:{around}"
