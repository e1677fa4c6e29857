"""Which source files of a crate import each other, read from the Rust text itself.

A file imports another when a path in it names something that is defined there: `use crate::a::B`,
`super::a::b()`, `a::b()` of a module declared here or brought in by a `use`, in macros and attributes
too. Re-exports are followed to the definition and are no import themselves; neither are `mod a;` and the
modules that a path only passes through. Code for tests (`#[cfg(test)]`) and comments do not count.
"""

import dataclasses
import pathlib
import re

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>(?:b|c)?r(?P<hashes>\#*)".*?"(?P=hashes))
    | (?P<string>(?:b|c)?"(?:\\.|[^"\\])*")
    | (?P<char>b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^\\'\n])')
    | (?P<lifetime>'\w+)
    | (?P<word>(?:r\#)?[^\W\d]\w*)
    | (?P<sign>::|.)""",
    re.VERBOSE | re.DOTALL,
)
# A path inside a string, as in `#[serde(with = "crate::hex")]`.
QUOTED = re.compile(r'"((?:crate|self|super)(?:::\w+)+)"')
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
NAME = re.compile(r"[^\W\d]")
DEFINING = {"const", "enum", "fn", "static", "struct", "trait", "type", "union"}
ITEMS = DEFINING | {"async", "extern", "impl", "macro_rules", "mod", "pub", "unsafe", "use"}


@dataclasses.dataclass(frozen=True)
class Token:
    """One token, and the line it is on. A string is kept with its quotes."""

    text: str
    line: int


@dataclasses.dataclass(frozen=True)
class Import:
    """`source` names something in `target`, with these words at this line."""

    source: pathlib.Path
    target: pathlib.Path
    line: int
    path: str


class Module:
    """A module: its file, its children, what it defines, what its `use`s bring in, and the paths in it."""

    def __init__(self, file: pathlib.Path, folder: pathlib.Path, parent: "Module | None"):
        self.file, self.folder, self.parent = file, folder, parent
        self.children: dict[str, Module] = {}
        self.items: set[str] = set()
        self.names: dict[str, list[str]] = {}
        self.globs: list[list[str]] = []
        self.paths: list[tuple[list[str], int]] = []


def lex(text: str) -> list[Token]:
    """The tokens of a source file, without space and comments."""
    tokens, at, line = [], 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        end = match.end()
        if match.lastgroup == "block":
            depth = 1
            while depth:
                edge = re.compile(r"/\*|\*/").search(text, end)
                depth += 1 if edge.group() == "/*" else -1
                end = edge.end()
        elif match.group("space") is None:
            tokens.append(Token(match.group().removeprefix("r#"), line))
        line += text.count("\n", at, end)
        at = end
    return tokens


def closing(tokens: list[Token], at: int) -> int:
    """The index of the bracket that closes the one at `at`."""
    depth = 0
    for index in range(at, len(tokens)):
        depth += (tokens[index].text in OPEN) - (tokens[index].text in CLOSE)
        if depth == 0:
            return index
    raise ValueError(f"line {tokens[at].line}: a bracket that nothing closes")


def is_test(attribute: list[str]) -> bool:
    """Whether an attribute (without its brackets) leaves an item to test builds: `cfg(test)`, `cfg(all(test, ..))`."""
    return attribute[:3] == ["cfg", "(", "test"] or (
        attribute[:4] == ["cfg", "(", "all", "("] and "test" in attribute and "not" not in attribute
    )


def after_item(tokens: list[Token], at: int) -> int:
    """The index after the item, field or arm that begins at `at`."""
    while tokens[at].text == "#":
        at = closing(tokens, at + 1) + 1
    item = tokens[at].text
    while at < len(tokens):
        text = tokens[at].text
        if text == ";" or (text == "," and item not in ITEMS):
            return at + 1
        if text in CLOSE:
            return at
        if text in OPEN:
            at = closing(tokens, at)
            if text == "{" and item != "use":
                return at + 1
        at += 1
    return at


def use_tree(tokens: list[Token], at: int, prefix: list[str]) -> list[tuple[list[str], str, int]]:
    """What a `use` from `at` on brings in: the path, the name it gets, the line. A glob's name is `*`."""
    path, line = list(prefix), tokens[at].line
    while tokens[at].text not in (",", ";", "}"):
        text = tokens[at].text
        if text == "{":
            found, end = [], closing(tokens, at)
            at += 1
            while at < end:
                found += use_tree(tokens, at, path)
                while tokens[at].text != "," and at < end:
                    at = closing(tokens, at) + 1 if tokens[at].text == "{" else at + 1
                at += 1
            return found
        if text == "as":
            return [(path, tokens[at + 1].text, line)]
        if text == "*":
            return [(path, "*", line)]
        if text != "::" and not (text == "self" and path):
            path.append(text)
        at += 1
    return [(path, path[-1], line)]


def read(module: Module, tokens: list[Token]) -> None:
    """Fills `module` from its tokens, and its children from theirs."""
    at = 0
    while at < len(tokens):
        text, line = tokens[at].text, tokens[at].line
        following = tokens[at + 1].text if at + 1 < len(tokens) else ""
        if text == "#" and (following == "[" or (following == "!" and tokens[at + 2].text == "[")):
            first = at + (1 if following == "[" else 2)
            end = closing(tokens, first)
            attribute = [token.text for token in tokens[first + 1 : end]]
            if is_test(attribute):
                if following == "!":
                    return
                at = after_item(tokens, end + 1)
                continue
            if attribute[:2] == ["path", "="]:
                raise ValueError(f"{module.file}:{line}: a module in a place of its own cannot be followed")
            at = first + 1  # What is named in an attribute is named.
            continue
        exported = text == "pub"
        if exported:
            scoped = following == "(" and (tokens[at + 2].text == "in" or tokens[at + 3].text == ")")
            at = closing(tokens, at + 1) + 1 if scoped else at + 1
            text, following = tokens[at].text, tokens[at + 1].text
        if text == "mod" and NAME.match(following):
            at = declare(module, tokens, at + 1)
            continue
        if text == "use" and following != "<":
            for path, name, where in use_tree(tokens, at + 1, []):
                if name == "*":
                    module.globs.append(path)
                else:
                    module.names[name] = path
                if not exported:
                    module.paths.append((path, where))
            at = next(index for index in range(at, len(tokens)) if tokens[index].text == ";")
            continue
        if text in DEFINING and NAME.match(following):
            module.items.add(following)
        if quoted := QUOTED.fullmatch(text):
            module.paths.append((quoted.group(1).split("::"), line))
        elif following == "::" and NAME.match(text):
            path = [text]
            while at + 2 < len(tokens) and tokens[at + 1].text == "::" and NAME.match(tokens[at + 2].text):
                path.append(tokens[at + 2].text)
                at += 2
            module.paths.append((path, line))
        at += 1


def declare(module: Module, tokens: list[Token], at: int) -> int:
    """Reads the module named at `at`, here or in its file; the index after it."""
    name = tokens[at].text
    if tokens[at + 1].text == "{":
        end = closing(tokens, at + 1)
        child = Module(module.file, module.folder / name, module)
        read(child, tokens[at + 2 : end])
    else:
        end = at + 1
        files = [module.folder / f"{name}.rs", module.folder / name / "mod.rs"]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise ValueError(f"{module.file}:{tokens[at].line}: the module {name} has no file")
        child = Module(file, module.folder / name, module)
        read(child, lex(file.read_text()))
    module.children[name] = child
    return end + 1


def resolve(module: Module, path: list[str], seen: frozenset = frozenset()) -> tuple[Module | None, list[str]]:
    """The module where what `path` names, as written in `module`, is defined, and its name there.

    A name that a `use` brought in is followed to where it comes from; no module: it is another crate's.
    """
    rest, current, first = list(path), module, True
    if rest[0] == "crate":
        while current.parent is not None:
            current = current.parent
        rest, first = rest[1:], False
    while rest and rest[0] in ("self", "super"):
        current = current.parent if rest[0] == "super" else current
        rest, first = rest[1:], False
        if current is None:
            raise ValueError(f"{module.file}: {'::'.join(path)} leads out of the crate")
    while rest:
        name = rest[0]
        if name in current.children:
            current, rest = current.children[name], rest[1:]
        elif name in current.names and (current, name) not in seen:
            seen |= {(current, name)}
            found, inner = resolve(current, current.names[name], seen)
            if found is None:
                break
            current, rest = found, inner + rest[1:]
        elif (found := from_globs(current, name, seen)) is not None:
            current = found
        else:
            break
        first = False
    return (None if first else current), rest


def from_globs(module: Module, name: str, seen: frozenset) -> Module | None:
    """The module that a `use ...::*` in `module` takes `name` from, if one does."""
    if name in module.items:
        return None
    for glob in module.globs:
        if (module, tuple(glob)) not in seen:
            found, rest = resolve(module, glob, seen | {(module, tuple(glob))})
            if found is not None and not rest and name in found.items | found.names.keys() | found.children.keys():
                return found
    return None


def of_root(root: pathlib.Path) -> list[Import]:
    """The imports between the files of one library or program, from its first file on."""
    crate = Module(root, root.parent, None)
    read(crate, lex(root.read_text()))
    imports: list[Import] = []

    def visit(module: Module) -> None:
        for path, line in module.paths:
            target, _ = resolve(module, path)
            if target is not None and target.file != module.file:
                imports.append(Import(module.file, target.file, line, "::".join(path)))
        for child in module.children.values():
            visit(child)

    visit(crate)
    return imports
