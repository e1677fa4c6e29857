"""Whether what documents point at is there: links to files, and paths of this repository in backticks."""

import pathlib
import re

LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#[^)]*)?\)")
QUOTED = re.compile(r"`((?:\.github|contracts|crates|docs|migrations|scripts|test)/[\w./*-]+)`")


def faults(documents: list[pathlib.Path], root: pathlib.Path) -> list[str]:
    """A line for each link and path that leads nowhere; `*` stands for any name."""
    said = []
    for document in documents:
        name = document.relative_to(root)
        for number, line in enumerate(document.read_text().splitlines(), 1):
            for link in LINK.findall(line):
                if not (document.parent / link).exists():
                    said.append(f"{name}:{number}: the link {link} leads nowhere")
            for path in QUOTED.findall(line):
                if not any(root.glob(path.rstrip("/"))):
                    said.append(f"{name}:{number}: there is no {path}")
    return said
