"""Which crate depends on which: cargo's word against the table of ARCHITECTURE.md, "Dependencies".

The table has a row for each crate of the workspace: its folder, the crates it depends on, those that
only its tests depend on. A crate depends on crates of rows above its own, and none on one below test/.
"""

import pathlib
import re

HEADER = "| crate | depends on | in tests also on |"
Table = dict[str, tuple[set[str], set[str]]]


def of_document(text: str) -> Table:
    """The rows of the table, in their order."""
    lines = iter(text.splitlines())
    if not any(line.startswith(HEADER) for line in lines):
        raise ValueError(f"ARCHITECTURE.md has no table that begins with `{HEADER}`")
    table: Table = {}
    for line in lines:
        if not line.startswith("|"):
            break
        cells = [set(re.findall(r"`([^`]+)`", cell)) for cell in line.split("|")[1:4]]
        if cells[0]:
            (crate,) = cells[0]
            table[crate] = (cells[1], cells[2])
    return table


def of_cargo(metadata: dict) -> Table:
    """The same from `cargo metadata --no-deps`; a crate is called by its folder, without `crates/`."""
    root = pathlib.Path(metadata["workspace_root"])

    def called(folder: str) -> str:
        return str(pathlib.Path(folder).relative_to(root)).removeprefix("crates/")

    table: Table = {}
    for package in metadata["packages"]:
        within = [one for one in package["dependencies"] if one.get("path")]
        always = {called(one["path"]) for one in within if one["kind"] != "dev"}
        tests = {called(one["path"]) for one in within if one["kind"] == "dev"} - always
        table[called(str(pathlib.Path(package["manifest_path"]).parent))] = (always, tests)
    return table


def faults(wanted: Table, found: Table) -> list[str]:
    """What is wrong, as sentences."""
    said = [f"the crate {crate} has no row" for crate in sorted(found.keys() - wanted.keys())]
    said += [f"there is no crate {crate}" for crate in sorted(wanted.keys() - found.keys())]
    above: set[str] = set()
    for crate, columns in wanted.items():
        for column, what in enumerate(("depends on", "depends in its tests on")):
            has = found.get(crate, columns)[column]
            said += [f"{crate} {what} {one}, against its row" for one in sorted(has - columns[column])]
            said += [f"{crate} no longer {what} {one}" for one in sorted(columns[column] - has)]
            for one in sorted(columns[column]):
                if one.startswith("test/"):
                    said.append(f"{crate} {what} {one}: nothing may depend on test/")
                elif one not in above:
                    said.append(f"{crate} {what} {one}, which has no row above it")
        above.add(crate)
    return said
