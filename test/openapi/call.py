"""Calls a running backend through the client that was generated from its OpenAPI document.

    call.py ENDPOINTS_JSON    the file that `scripts/demo --serve` writes
"""

import datetime
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "target/openapi/python"))

from nodesys_client import Client
from nodesys_client.api.commit import get_bundle_file, get_commit
from nodesys_client.api.license_ import get_license
from nodesys_client.api.project import get_network, get_project, list_projects
from nodesys_client.api.root import list_roots
from nodesys_client.models import Problem
from nodesys_client.types import File

endpoints = json.loads(pathlib.Path(sys.argv[1]).read_text())
with Client(base_url=endpoints["backend"], raise_on_unexpected_status=True) as client:
    network = get_network.sync(client=client)
    assert network.registry.lower() == endpoints["registry"].lower(), network

    (project,) = [p for p in list_projects.sync(client=client) if p.name == "acme"]
    assert project == get_project.sync("acme", client=client)

    roots = list_roots.sync("acme", client=client)
    assert roots, "the demo commits two days"
    newest = roots[-1]
    day = newest.day
    assert get_commit.sync("acme", day, client=client) == newest
    bundle = get_bundle_file.sync("acme", day, "bundle.json", client=client)
    assert isinstance(bundle, File) and b"nodesys-bundle" in bundle.payload.read()

    collection = next(iter(endpoints["collections"].values()))
    license_ = get_license.sync(collection, "1", client=client)
    assert license_.license_.token_id == "1", license_

    problem = get_project.sync("nobody", client=client)
    assert isinstance(problem, Problem) and problem.code == "unknown_project", problem
    problem = get_commit.sync("acme", str(datetime.date(1970, 1, 1)), client=client)
    assert isinstance(problem, Problem) and problem.status == 404, problem
print("the generated client reads the backend")
