"""Renders each chart with the values of its ci/ folder, checks the result, and tries values that the
schema must refuse."""

import copy
import pathlib
import re

import kubernetes_validate
import yaml
from helm_python import Chart, HelmError
from helm_python.chart import lint

CHARTS = pathlib.Path("deploy/helm")
# The newest that the library knows; objects of these groups have no schema in it.
VERSIONS = ["1.30", "1.37"]
FOREIGN = {"monitoring.coreos.com/v1", "postgresql.cnpg.io/v1"}
HELPS = {
    "nodesys-backend": ["crates/backend/src/snapshots/nodesys_backend__config__tests__help.snap"],
    "nodesys-master": ["crates/master/src/snapshots/nodesys_master__cli__tests__help-serve.snap"],
}


def objects(chart, values):
    rendered = chart.render(values, name="net", namespace="nodesys")
    for path, text in rendered.items():
        if path.endswith(".yaml"):
            yield from filter(None, yaml.safe_load_all(text))


def changed(values, path, value):
    """The values with one of them replaced; None takes it away."""
    values = copy.deepcopy(values)
    *folders, last = path.split(".")
    inner = values
    for folder in folders:
        inner = inner.setdefault(folder, {})
    if value is None:
        inner.pop(last, None)
    else:
        inner[last] = value
    return values


def check(name, ci, chart, values):
    found = {}
    for thing in objects(chart, values):
        if thing["apiVersion"] not in FOREIGN:
            for version in VERSIONS:
                kubernetes_validate.validate(thing, version, strict=True)
        key = (thing["kind"], thing["metadata"]["name"])
        assert key not in found, f"{key} twice"
        found[key] = thing
    pods = [t for t in found.values() if t["kind"] in ("Deployment", "StatefulSet", "Job")]
    for thing in pods:
        pod = thing["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert "limits" in container["resources"] and "requests" in container["resources"]
        # A secret is a file that the pod's group may read, and no variable.
        group = pod["securityContext"]["fsGroup"]
        assert group == pod["securityContext"]["runAsGroup"] != 0
        for volume in pod["volumes"]:
            mode = (volume.get("projected") or volume.get("secret") or {}).get("defaultMode")
            assert mode in (None, 0o440) and (mode or volume["name"] not in ("secrets",)), volume
        for variable in container["env"]:
            assert isinstance(variable.get("value"), str), variable
            assert "e+" not in variable["value"], f"a number became a float: {variable}"
        known = "".join(pathlib.Path(path).read_text() for path in HELPS[name])
        unknown = {v["name"] for v in container["env"]} - set(re.findall(r"\[env: (\w+)", known)) - {"NODESYS_LOG"}
        assert not unknown, f"no variable of {name}: {unknown}"
        for argument in (a for a in container["args"] if a.startswith("--")):
            assert argument in known, argument
    (main,) = [t for t in pods if t["kind"] != "Job"]
    (job,) = [t for t in pods if t["kind"] == "Job"]
    pod = main["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= 50
    probes = {p: pod["containers"][0][p]["httpGet"] for p in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert probes["readinessProbe"] == {"path": "/readyz", "port": "admin"}
    assert {p["path"] for k, p in probes.items() if k != "readinessProbe"} == {"/healthz"}
    hook = job["metadata"]["annotations"]
    assert hook["helm.sh/hook-delete-policy"] == "before-hook-creation"
    # Its pods are no endpoints of the service.
    selector = main["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= job["spec"]["template"]["metadata"]["labels"].items()
    assert selector.items() <= main["spec"]["template"]["metadata"]["labels"].items()
    secrets = str([source for source in pod["volumes"] if source["name"] == "secrets"])
    owner = job["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"]
    if "cloudnativepg" in ci:
        cluster = found["Cluster", "net-postgres"]
        assert cluster["spec"]["postgresql"]["synchronous"]["dataDurability"] == "required"
        assert cluster["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert owner == "net-postgres-app" and owner in secrets
        assert hook["helm.sh/hook"] == "post-install,pre-upgrade"
    else:
        assert owner == values["database"]["ownerUrl"]["name"] and owner not in secrets.replace(f"{owner}-", "")
        assert hook["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert ("Ingress", "net") in found and ("ServiceMonitor", "net") in found
    assert ("ScheduledBackup", "net-postgres") in found or values["database"].get("cloudnativepg", {}).get("backup") is None
    policy = found["NetworkPolicy", "net"]["spec"]
    admin = [rule for rule in policy["ingress"] if rule["ports"] == [{"port": 8081}]]
    assert len(admin) == 1 and admin[0]["from"], "metrics are open to everybody"
    if name == "nodesys-backend":
        assert main["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert len(pod["topologySpreadConstraints"]) == 2
        assert found["PodDisruptionBudget", "net"]["apiVersion"] == "policy/v1"
        assert pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == 5
    return found


BAD = {
    "nodesys-backend": [
        ("network.chainId", None, "chainId"),
        ("network.chainId", 11155111, "string"),
        ("network.registry", "0x5fbdb2315678afecb367f032d93f642f64180aa", "registry"),
        ("secrets.receiptKey.name", None, "receiptKey"),
        ("secrets.receiptKey", {"value": "aa" * 32}, "receiptKey"),
        ("secrets.rpc.name", "Not_A_Name", "rpc"),
        ("database.url.name", "", "url"),
        ("database.conections", 3, "conections"),
        ("database.connections", 1, "connections"),
        ("replicas", 0, "replicas"),
        ("replica", 3, "replica"),
        ("image.tag", "latest", "tag"),
        ("image.digest", "sha256:abc", "digest"),
        ("image.repository", "registry.example.org/nodesys@sha256:0", "repository"),
        ("ingress", {"enabled": True, "host": "backend.example.org"}, "ingress"),
        ("terminationGracePeriodSeconds", 30, "terminationGracePeriodSeconds"),
        ("trustedProxies", ["everybody"], "trustedProxies"),
        ("database.cloudnativepg", {"enabled": True}, "maxLength"),
        ("database.cloudnativepg.instances", 2, "instances"),
        ("database.cloudnativepg.parameters", {"synchronous_commit": "off"}, "parameters"),
        ("database.cloudnativepg.backup", {"enabled": True}, "backup"),
    ],
    "nodesys-master": [
        ("project", None, "project"),
        ("project", "Acme", "project"),
        ("terms", {"rule": {}}, "day_reward"),
        ("terms.day_reward", 1000000000000000000000, "day_reward"),
        ("terms.excluded", [1], "excluded"),
        ("publicUrl", "master.example.org", "publicUrl"),
        ("network.backend", "https://backend.example.org/v1", "backend"),
        ("secrets.signerPassword.name", "", "signerPassword"),
        ("storage.size", "10 GB", "size"),
        ("replicas", 2, "replicas"),
    ],
}

counts = [0, 0]
for folder in sorted(CHARTS.iterdir()):
    with Chart.load(folder) as chart:
        name = chart.name
        try:
            chart.validate_schema({})
        except HelmError:
            pass
        else:
            raise AssertionError(f"{name} can be installed without a value")
        readme = (folder / "README.md").read_text()
        for value in chart.values:
            assert f"`{value}" in readme, f"{name}: README.md does not name {value}"
        for ci in sorted((folder / "ci").iterdir()):
            values = yaml.safe_load(ci.read_text())
            report = lint(folder, values, strict=True)
            assert not report["errors"], report
            check(name, ci.name, chart, values)
            counts[0] += 1
        values = yaml.safe_load((folder / "ci/external.yaml").read_text())
        for path, value, says in BAD[name]:
            try:
                chart.validate_schema(changed(values, path, value))
            except HelmError as error:
                words = str(error)
                assert says.lower() in words.lower(), f"{path}={value!r}: {words}"
            else:
                raise AssertionError(f"{name} takes {path}={value!r}")
            counts[1] += 1
print(f"charts: ok, {counts[0]} sets of values rendered, {counts[1]} refused")
