//! Compares rendered objects, field by field, with `tests/sandbox.table`.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    ConfigMap, LimitRange, Namespace, PersistentVolumeClaim, ResourceQuota, Secret, Service,
    ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use nodesys_core::license::LicenseId;
use nodesys_core::release::{Release, Version};
use nodesys_core::{Address, U256};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::manager::{ManagerParts, manager_objects};
use super::sandbox::Sandbox;
use super::workload::{Placed, TokenKey};
use super::*;

const TABLE: &str = include_str!("../tests/sandbox.table");
const EXAMPLE: &[u8] = include_bytes!("../../core/schema/release.example.json");

fn example() -> Release {
    Release::parse(EXAMPLE).unwrap()
}

fn placed() -> Placed {
    Placed {
        registry: Address::repeat_byte(0x5f),
        project: Address::repeat_byte(0x9a),
        workload: "render".parse().unwrap(),
        license: LicenseId {
            chain_id: 8453,
            collection: Address::repeat_byte(0xc0),
            token_id: U256::from(7),
        },
        node_key: Address::repeat_byte(0x0d),
        manager_url: "http://10.43.0.77:7070".to_owned(),
    }
}

fn token_key() -> TokenKey {
    TokenKey::new(Zeroizing::new([3; 32]))
}

/// Everything that is rendered for the example: the operator's objects, then the manager's.
fn objects(release: &Release) -> Vec<Object> {
    let placed = placed();
    let grant = Grant::of(release);
    let local = ["2a01:4f8:1:2::/64".parse().unwrap()];
    let sandbox = Sandbox {
        project: placed.project,
        workload: &placed.workload,
        grant: &grant,
        local_ranges: &local,
    };
    let mut objects = sandbox.objects();
    objects.push(placed.token_secret(&token_key(), &[release.version()]));
    objects.extend(placed.claims(release));
    objects.push(placed.deployment(release));
    objects
}

/// Every value in a manifest, by its pointer.
fn flat(value: &Value, pointer: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                flat(value, &format!("{pointer}/{name}"), into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (i, value) in items.iter().enumerate() {
                flat(value, &format!("{pointer}/{i}"), into);
            }
        }
        leaf => drop(into.insert(pointer.to_owned(), leaf.to_string())),
    }
}

/// The table's rows: object, field, value, and reason.
fn table() -> Vec<[&'static str; 4]> {
    let rows = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| {
        let row: Vec<&str> = line.split(" | ").collect();
        row.try_into().unwrap_or_else(|row| panic!("not four columns: {row:?}"))
    })
    .collect()
}

#[test]
fn every_field_of_the_sandbox_is_in_the_table() {
    let mut rendered = BTreeMap::new();
    for object in objects(&example()) {
        let mut fields = BTreeMap::new();
        flat(object.manifest(), "", &mut fields);
        let of = format!("{}/{}", object.kind(), object.name());
        rendered.extend(fields.into_iter().map(|(field, value)| ((of.clone(), field), value)));
    }
    let mut missing = Vec::new();
    let mut seen = 0;
    for [object, field, value, why] in table() {
        assert!(!why.trim().is_empty(), "{object} {field}: the table does not say why");
        match rendered.remove(&(object.to_owned(), field.to_owned())) {
            Some(found) if found == value => seen += 1,
            other => missing.push(format!("{object} {field}: {value} expected, {other:?} found")),
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    let rows: Vec<String> = rendered
        .iter()
        .map(|((object, field), value)| format!("{object} | {field} | {value} | "))
        .collect();
    assert!(rows.is_empty(), "rendered, but not in the table:\n{}", rows.join("\n"));
    assert!(seen > 200, "{seen} rows");
}

/// No field is misspelled: Kubernetes' own types know each of them.
#[test]
fn every_field_is_kubernetes_own() {
    fn same<T: Serialize + DeserializeOwned>(manifest: &Value) {
        let typed: T = serde_json::from_value(manifest.clone()).unwrap();
        let back = serde_json::to_value(typed).unwrap();
        let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
        flat(manifest, "", &mut left);
        flat(&back, "", &mut right);
        assert_eq!(left, right);
    }
    let parts_key = Zeroizing::new("07".repeat(32));
    let rpc = Zeroizing::new("https://rpc.example.org/key".to_owned());
    let parts = ManagerParts {
        image: "nodesys.local/manager@sha256:00",
        config_json: "{}",
        node_key_hex: &parts_key,
        rpc_urls: &rpc,
    };
    let mut all = objects(&example());
    all.push(placed().ledger(&BTreeMap::from([("ledger.json".to_owned(), "{}".to_owned())])));
    all.extend(manager_objects(&parts));
    for object in &all {
        let manifest = object.manifest();
        match object.kind() {
            "Namespace" => same::<Namespace>(manifest),
            "ServiceAccount" => same::<ServiceAccount>(manifest),
            "ResourceQuota" => same::<ResourceQuota>(manifest),
            "LimitRange" => same::<LimitRange>(manifest),
            "NetworkPolicy" => same::<NetworkPolicy>(manifest),
            "Role" => same::<Role>(manifest),
            "RoleBinding" => same::<RoleBinding>(manifest),
            "Secret" => same::<Secret>(manifest),
            "ConfigMap" => same::<ConfigMap>(manifest),
            "PersistentVolumeClaim" => same::<PersistentVolumeClaim>(manifest),
            "Service" => same::<Service>(manifest),
            "Deployment" => same::<Deployment>(manifest),
            other => panic!("{other} is not compared"),
        }
    }
    assert!(all.len() > 18);
}

/// The manager is locked down as its workloads are, and holds no right it does not use.
#[test]
fn the_manager_is_locked_down_too() {
    let key = Zeroizing::new("07".repeat(32));
    let rpc = Zeroizing::new(String::new());
    let parts = ManagerParts { image: "m", config_json: "{}", node_key_hex: &key, rpc_urls: &rpc };
    let objects = manager_objects(&parts);
    let find = |kind: &str| {
        objects.iter().find(|object| object.kind() == kind).unwrap().manifest().clone()
    };
    let pod = find("Deployment")["spec"]["template"]["spec"].clone();
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(container["readOnlyRootFilesystem"], true);
    assert_eq!(container["allowPrivilegeEscalation"], false);
    assert_eq!(container["capabilities"], json!({ "drop": ["ALL"] }));
    assert_eq!(
        find("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
    for kind in ["ClusterRole", "ClusterRoleBinding"] {
        assert!(objects.iter().all(|object| object.kind() != kind), "{kind}");
    }
    for object in objects.iter().filter(|object| object.kind() == "Role") {
        let rules = object.manifest()["rules"].as_array().unwrap();
        for rule in rules {
            assert!(!rule.to_string().contains('*'), "{rule}");
        }
    }
    // The secrets' texts are nowhere but in the secret.
    for object in objects.iter().filter(|object| object.kind() != "Secret") {
        assert!(!object.manifest().to_string().contains(key.as_str()), "{object}");
    }
}

#[test]
fn each_release_has_its_own_token() {
    let (key, placed) = (token_key(), placed());
    let version = |number| Version::new(number).unwrap();
    let token = key.token(placed.license, version(1));
    assert_eq!(token.len(), 64);
    assert_eq!(token, key.token(placed.license, version(1)));
    assert_ne!(token, key.token(placed.license, version(2)));
    let other = LicenseId { token_id: U256::from(8), ..placed.license };
    assert_ne!(token, key.token(other, version(1)));
    assert_ne!(token, TokenKey::new(Zeroizing::new([4; 32])).token(placed.license, version(1)));
    let secret = placed.token_secret(&key, &[version(1), version(2)]);
    assert_eq!(secret.manifest()["data"].as_object().unwrap().len(), 2);
    assert!(!format!("{secret:?}").contains("data"));
}

#[test]
fn a_surge_starts_the_new_pod_first() {
    let mut text: Value = serde_json::from_slice(EXAMPLE).unwrap();
    text["volumes"][0]["kind"] = "ephemeral".into();
    text["update"]["strategy"] = "surge".into();
    text["containers"][0]["readiness"] = json!({ "port": "http" });
    text["containers"][0]["command"] = json!(["/render"]);
    text["egress"] = json!({ "internet": false });
    let release = Release::parse(text.to_string().as_bytes()).unwrap();
    let placed = placed();
    let deployment = placed.deployment(&release);
    let spec = &deployment.manifest()["spec"];
    let rolling = json!({ "maxSurge": 1, "maxUnavailable": 0 });
    assert_eq!(spec["strategy"], json!({ "type": "RollingUpdate", "rollingUpdate": rolling }));
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["volumes"][1], json!({ "name": "data", "emptyDir": { "sizeLimit": "2Gi" } }));
    let probe = &pod["containers"][0]["readinessProbe"];
    assert_eq!(probe["tcpSocket"], json!({ "port": "http" }));
    assert_eq!(pod["containers"][0]["command"], json!(["/render"]));
    assert!(placed.claims(&release).is_empty());

    let grant = Grant::of(&release);
    let sandbox = Sandbox {
        project: placed.project,
        workload: &placed.workload,
        grant: &grant,
        local_ranges: &[],
    };
    let policy = sandbox.objects().into_iter().find(|it| it.kind() == "NetworkPolicy").unwrap();
    assert_eq!(policy.manifest()["spec"]["egress"].as_array().unwrap().len(), 2, "no internet");
}

#[test]
fn a_release_stays_within_what_was_granted() {
    let release = example();
    let grant = Grant::of(&release);
    assert_eq!(grant.covers(&release), Ok(()));
    let less = |change: fn(&mut Grant)| {
        let mut less = grant.clone();
        change(&mut less);
        less.covers(&release).unwrap_err().to_string()
    };
    for (words, change) in [
        ("limits memory_mib 512 (granted 511)", (|g| g.limits.memory_mib -= 1) as fn(&mut Grant)),
        ("requests cpu_millis 250 (granted 249)", |g| g.requests.cpu_millis -= 1),
        ("persistent volumes of 2048 MiB (granted 2047)", |g| g.persistent_mib -= 1),
        ("1 persistent volumes (granted 0)", |g| g.persistent_volumes -= 1),
        ("egress", |g| g.egress.internet = false),
        ("egress", |g| g.egress.tcp = vec![80]),
    ] {
        let told = less(change);
        assert!(told.contains(words) && told.contains("nodesys workload add"), "{told}");
    }
    let mut all_ports = grant.clone();
    all_ports.egress.tcp.clear();
    assert_eq!(all_ports.covers(&release), Ok(()));
    let asked = all_ports.egress;
    assert!(!grant.egress.covers(&asked), "all ports are more than one");
}

#[test]
fn namespaces_are_readable_and_different() {
    let name: Name = "render".parse().unwrap();
    let here = workload_namespace(Address::repeat_byte(1), &name);
    assert!(here.starts_with("nodesys-render-") && here.len() == 23, "{here}");
    assert_ne!(here, workload_namespace(Address::repeat_byte(2), &name));
    let longest: Name = "a".repeat(32).parse().unwrap();
    assert!(workload_namespace(Address::ZERO, &longest).len() <= 63);
}
