use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The example of docs/releases.md.
const EXAMPLE: &str = include_str!("../../schema/release.example.json");

fn example() -> Value {
    serde_json::from_str(EXAMPLE).unwrap()
}

fn parse(value: &Value) -> Result<Release, ReleaseError> {
    Release::parse(value.to_string().as_bytes())
}

/// The example with one field changed; `null` takes it away.
fn changed(pointer: &str, to: Value) -> Value {
    let mut value = example();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap();
    match (parent, to) {
        (Value::Object(map), Value::Null) => drop(map.remove(field).unwrap()),
        (Value::Object(map), to) => drop(map.insert(field.to_owned(), to)),
        (Value::Array(list), to) => match field.parse::<usize>() {
            Ok(i) => list[i] = to,
            Err(_) => list.push(to),
        },
        _ => panic!("no such place: {pointer}"),
    }
    value
}

fn problems(value: &Value) -> Vec<FieldProblem> {
    match parse(value) {
        Err(ReleaseError::Fields(problems)) => problems,
        other => panic!("expected refused fields of {value}, found {other:?}"),
    }
}

#[test]
fn the_example_is_read_and_comes_back() {
    let release = Release::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!((release.workload().as_str(), release.version().get()), ("render", 3));
    assert_eq!(release.user_id(), 65_532);
    assert_eq!(release.update().gate_secs, 60);
    assert_eq!(release.containers().len(), 1);

    let canonical = release.canonical();
    assert_eq!(Release::from_announced(&canonical, release.hash()), Ok(release.clone()));
    assert_eq!(keccak256(&canonical), release.hash());
    assert!(parse(&changed("/containers/0/env/NODESYS_MASTER", json!("x"))).is_ok());
    // Defaults that are written out and left out are the same release.
    let spelled = changed("/user_id", json!(65_532));
    assert_eq!(parse(&spelled).unwrap().hash(), release.hash());
}

/// Computed in JavaScript (`JSON.stringify` over sorted keys, which RFC 8785 is made from) and with
/// `cast keccak`.
#[test]
fn the_examples_hash_is_what_others_compute() {
    let expected = "0x868ae3fc02e2f88d77c691f33799a5d29b6e6ba717941a157be1e08bcb2f0cd2";
    let release = Release::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(release.hash().to_string(), expected);
}

#[test]
fn only_the_announced_bytes_are_taken() {
    let release = Release::parse(EXAMPLE.as_bytes()).unwrap();
    let canonical = release.canonical();
    let mut other = canonical.clone();
    let at = other.iter().position(|b| *b == b'3').unwrap();
    other[at] = b'4';
    let refused = Release::from_announced(&other, release.hash());
    assert!(matches!(refused, Err(ReleaseError::OtherHash { .. })), "{refused:?}");
    // Announced by somebody who hashed another spelling.
    let spaced = [&canonical[..], b"\n"].concat();
    let refused = Release::from_announced(&spaced, keccak256(&spaced));
    assert_eq!(refused, Err(ReleaseError::NotCanonical));
    let large = vec![b' '; MAX_BYTES + 1];
    assert_eq!(
        Release::from_announced(&large, keccak256(&large)),
        Err(ReleaseError::TooLarge(MAX_BYTES + 1))
    );
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    let twice = EXAMPLE.replacen('{', r#"{"version":"4","#, 1);
    let Err(ReleaseError::NotJson(words)) = Release::parse(twice.as_bytes()) else { panic!() };
    assert!(words.contains("\"version\" appears twice"), "{words}");
    for text in ["", "{", "[]x", "nul"] {
        let refused = Release::parse(text.as_bytes());
        assert!(matches!(refused, Err(ReleaseError::NotJson(_))), "{text}: {refused:?}");
    }
}

/// Each row: which field is changed to what, which field is named, and what the words say.
#[test]
fn what_a_release_may_not_ask_for() {
    let no_digest = json!("registry.example.org/acme/render:3");
    let both = json!("registry.example.org/acme/render:3@sha256:".to_owned() + &"ab".repeat(32));
    let short = json!("registry.example.org/acme/render@sha256:abcd");
    let no_host = json!("render@sha256:".to_owned() + &"ab".repeat(32));
    let table = [
        // More than the sandbox gives.
        ("/volumes/0/hostPath", json!({"path": "/"}), "", "never sees the host's files"),
        ("/hostNetwork", json!(true), "", "never uses the host's network"),
        ("/host_network", json!(true), "", "never uses the host's network"),
        ("/hostPID", json!(true), "", "never sees the host's processes"),
        ("/hostIPC", json!(true), "", "never shares memory"),
        ("/serviceAccountName", json!("admin"), "", "no access to the cluster"),
        ("/containers/0/privileged", json!(true), "", "never has privileges"),
        ("/containers/0/securityContext", json!({}), "", "sets the security context"),
        ("/containers/0/capabilities", json!(["NET_ADMIN"]), "", "has no capabilities"),
        ("/containers/0/ports/0/hostPort", json!(8080), "", "never listens on the host"),
        ("/user_id", json!(0), "", "from 1000 to 65534"),
        // No digest.
        ("/containers/0/image", no_digest, "", "must be pinned by its digest"),
        ("/containers/0/image", both, "", "must not have a tag"),
        ("/containers/0/image", short, "", "64 lower-case hex digits"),
        ("/containers/0/image", no_host, "", "must name its registry"),
        // No limits.
        ("/containers/0/resources", json!(null), "", "is missing"),
        ("/containers/0/resources/limits", json!(null), "", "is missing"),
        ("/containers/0/resources/requests", json!(null), "", "is missing"),
        ("/containers/0/resources/limits/memory_mib", json!(null), "", "is missing"),
        ("/containers/0/resources/limits/cpu_millis", json!(0), "", "from 1 to 256000"),
        ("/containers/0/resources/limits/cpu_millis", json!(1.5), "", "a whole number"),
        ("/containers/0/resources/requests/memory_mib", json!(4096), "", "above its limit 512"),
        // Not of this format.
        ("/format", json!("nodesys.release.v2"), "", "expected nodesys.release.v1"),
        ("/colour", json!("red"), "", "unknown field"),
        ("/containers/0/lifecycle", json!({}), "", "unknown field"),
        ("/name", json!(" x"), "", "without space at its ends"),
        ("/name", json!("a\u{0}"), "", "control characters"),
        ("/workload", json!("Render"), "", "only a-z"),
        ("/version", json!(3), "", "expected text"),
        ("/version", json!("0"), "", "from 1"),
        ("/version", json!("03"), "", "from 1"),
        ("/containers", json!([]), "", "expected 1 to 8"),
        ("/containers", json!({}), "", "expected a list"),
        ("/containers/0/name", json!("Main"), "", "expected 1 to 15"),
        ("/containers/0/env/NODESYS_MANAGER", json!("x"), "", "the node sets it"),
        ("/containers/0/env/A-B", json!("x"), "", "its name is not"),
        ("/containers/0/ports/0/port", json!(80), "", "from 1024 to 65535"),
        ("/containers/0/ports/0/protocol", json!("sctp"), "", "expected tcp or udp"),
        ("/containers/0/mounts/0/path", json!("/"), "", "must have parts"),
        ("/containers/0/mounts/0/path", json!("/data/../etc"), "", "begins with a dot"),
        ("/containers/0/mounts/0/path", json!("/proc/1"), "", "node or the kernel fills"),
        ("/containers/0/mounts/0/path", json!("/run/nodesys"), "", "node or the kernel fills"),
        ("/containers/0/mounts/0/volume", json!("other"), "", "none of the volumes"),
        ("/containers/0/mounts", json!(null), "/volumes/0", "no container mounts it"),
        ("/containers/0/readiness/port", json!("other"), "", "is no TCP port"),
        ("/containers/0/readiness/path", json!("ready"), "", "begins with /"),
        ("/containers/0/readiness", json!(null), "/health", "no container has a readiness"),
        ("/volumes/0/size_mib", json!(0), "", "from 1 to"),
        ("/volumes/0/kind", json!("host"), "", "expected ephemeral or persistent"),
        ("/egress/internet", json!(false), "/egress/ports", "internet is false"),
        ("/egress/ports/0/port", json!(0), "", "from 1 to 65535"),
        ("/health/by", json!("hope"), "", "expected token or readiness"),
        ("/update/strategy", json!("surge"), "/update", "surge would let two pods"),
        ("/update/deadline_secs", json!(60), "/update", "must be above gate_secs"),
    ];
    for (field, to, named, words) in table {
        // Mostly the changed field itself is named.
        let named = if named.is_empty() { field } else { named };
        let found = problems(&changed(field, to.clone()));
        assert!(
            found.iter().any(|it| it.pointer == named && it.problem.contains(words)),
            "{field} = {to}: expected {named}: …{words}…, found {found:?}"
        );
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let mut value = changed("/containers/0/image", json!("x"));
    value["hostNetwork"] = json!(true);
    value["containers"][0]["env"]["a/b~c"] = json!("");
    let found = problems(&value);
    let pointers: Vec<&str> = found.iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!(pointers, ["/hostNetwork", "/containers/0/image", "/containers/0/env/a~1b~0c"]);
    let words = ReleaseError::Fields(found).to_string();
    assert!(words.contains("/hostNetwork: a workload never uses the host's network; "), "{words}");
}

#[test]
fn names_are_different() {
    let mut value = example();
    let container = value["containers"][0].clone();
    value["containers"].as_array_mut().unwrap().push(container);
    let port = json!({"name": "web", "port": 8080});
    value["containers"][0]["ports"].as_array_mut().unwrap().push(port);
    let found = problems(&value);
    let say = |pointer: &str, words: &str| {
        let holds = |it: &FieldProblem| it.pointer == pointer && it.problem.contains(words);
        assert!(found.iter().any(holds), "{pointer} {words}: {found:?}");
    };
    say("/containers/1", "main is listed twice");
    say("/containers/0/ports/1", "8080/tcp is listed twice");
}

#[test]
fn egress_covers_what_is_within() {
    let ports = |ports: &[u16]| Egress {
        internet: true,
        ports: ports.iter().map(|&port| EgressPort { port, protocol: Protocol::Tcp }).collect(),
    };
    let (none, all, https, both) =
        (Egress::default(), ports(&[]), ports(&[443]), ports(&[80, 443]));
    for (granted, asked, covers) in [
        (&none, &none, true),
        (&none, &https, false),
        (&https, &none, true),
        (&https, &https, true),
        (&https, &both, false),
        (&https, &all, false),
        (&both, &https, true),
        (&all, &both, true),
    ] {
        assert_eq!(granted.covers(asked), covers, "{granted:?} {asked:?}");
    }
}

#[test]
fn the_committed_schema_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/release.schema.json");
    let fresh = format!("{:#}\n", json_schema());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == fresh,
        "crates/core/schema/release.schema.json is not fresh: run the test with UPDATE_SNAPSHOTS=1"
    );
}

proptest! {
    #[test]
    fn images_follow_their_pattern(
        text in "([a-z0-9.:/_-]{0,24}|[a-z]{1,4}\\.io/[a-z]{1,3}([._-]{0,2}[a-z0-9/]{1,3}){0,2})(@sha256:[0-9a-f]{64})?"
    ) {
        let pattern = regex_lite::Regex::new(values::IMAGE_PATTERN).unwrap();
        let port_holds = || text.split(['/', '@']).next().and_then(|host| host.split_once(':'))
            .is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
        prop_assert_eq!(text.parse::<Image>().is_ok(), pattern.is_match(&text) && port_holds());
    }

    #[test]
    fn labels_and_paths_follow_their_patterns(label in "[a-z0-9-]{0,17}", path in "[a-z/._]{0,12}") {
        let pattern = regex_lite::Regex::new(values::LABEL_PATTERN).unwrap();
        let holds = pattern.is_match(&label) && !label.contains("--");
        prop_assert_eq!(label.parse::<Label>().is_ok(), holds);
        let pattern = regex_lite::Regex::new(values::PATH_PATTERN).unwrap();
        let taken = ["/proc", "/sys", "/dev"].iter().any(|folder| path.starts_with(folder));
        prop_assume!(!taken);
        prop_assert_eq!(path.parse::<MountPath>().is_ok(), pattern.is_match(&path));
    }
}
