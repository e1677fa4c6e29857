//! Every example of docs/workload.md and docs/releases.md is run: posts, programs, releases, the
//! hash, the configuration.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use clap::Parser as _;
use nodesys_core::release::{NODE_ENV, Release, ReleaseError};
use nodesys_manager::config::Args;

use crate::support::{Node, TOKEN};

const WORKLOAD: &str = include_str!("../../../../docs/workload.md");
const RELEASES: &str = include_str!("../../../../docs/releases.md");

/// The code blocks whose fence has these words.
fn blocks(text: &'static str, opened_by: &str) -> Vec<&'static str> {
    let fence = format!("```{opened_by}\n");
    let found: Vec<&str> =
        text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!found.is_empty(), "no block {opened_by}");
    found
}

/// The cells of the first column of the table under a heading, without their backticks.
fn first_column(text: &'static str, under: &str) -> Vec<&'static str> {
    let part = text.split(under).nth(1).unwrap();
    let rows = part.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.split('|').nth(1).unwrap().trim().trim_matches('`')).collect()
}

fn run(program: &str, arguments: &[&str], env: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    output
}

fn secret(path: &Path, text: &str) {
    let mut file =
        std::fs::File::options().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_health_posts_are_answered_as_they_say() {
    let mut node = Node::new().await;
    node.start().await;
    let url = node.url("/v1/health");
    for (opened_by, status) in [("json health 204", 204), ("json health 400", 400)] {
        for body in blocks(WORKLOAD, opened_by) {
            let post = node.http().post(&url).bearer_auth(TOKEN).body(body);
            assert_eq!(post.send().await.unwrap().status().as_u16(), status, "{body}");
        }
    }
    let status = node.status().await;
    assert_eq!(status["workloads"][0]["detail"], "rendering scene 12");
    assert_eq!(status["workloads"][0]["work"], "1834");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_programs_post_their_health() {
    let mut node = Node::new().await;
    node.start().await;
    let token_file = node.home.path().join("token");
    std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
    let manager = node.url("");
    let env = [
        ("NODESYS_MANAGER", manager.as_str()),
        ("NODESYS_TOKEN_FILE", token_file.to_str().unwrap()),
        ("ONCE", "1"),
    ];
    let [shell] = blocks(WORKLOAD, "sh")[..] else { panic!("one shell example") };
    run("sh", &["-eu"], &env, shell);
    assert_eq!(node.status().await["workloads"][0]["status"], "healthy");
    let [python] = blocks(WORKLOAD, "python")[..] else { panic!("one program") };
    let said = run("python3", &["-"], &env, python);
    assert!(said.stdout.is_empty(), "{}", String::from_utf8_lossy(&said.stdout));
    assert_eq!(node.status().await["workloads"][0]["detail"], "1 rounds");
}

#[test]
fn the_environment_is_the_nodes() {
    assert_eq!(first_column(WORKLOAD, "## Environment"), NODE_ENV);
}

#[test]
fn the_releases_are_read_and_hashed() {
    let releases = blocks(RELEASES, "json release");
    assert_eq!(releases.len(), 2);
    let [canonical] = blocks(RELEASES, "python canonical")[..] else { panic!("one program") };
    for text in &releases {
        let release = Release::parse(text.as_bytes()).unwrap();
        let output = run("python3", &["-c", canonical], &[], text);
        assert_eq!(output.stdout, release.canonical());
    }
    let first = Release::parse(releases[0].as_bytes()).unwrap();
    assert!(RELEASES.contains(&format!("`{}`", first.hash())), "{}", first.hash());
    let example = include_bytes!("../../../core/schema/release.example.json");
    assert_eq!(first, Release::parse(example).unwrap());
}

#[test]
fn the_refused_release_is_refused_in_these_words() {
    let [refused] = blocks(RELEASES, "json refused")[..] else { panic!("one refused release") };
    let Err(ReleaseError::Fields(problems)) = Release::parse(refused.as_bytes()) else {
        panic!("it is not refused");
    };
    let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected: Vec<&str> = blocks(RELEASES, "text problems")[0].lines().collect();
    assert_eq!(words, expected);
}

#[test]
fn the_configuration_of_a_cluster_is_read() {
    let [config] = blocks(RELEASES, "json manager")[..] else { panic!("one configuration") };
    let home = tempfile::tempdir().unwrap();
    secret(&home.path().join("node.key"), &"07".repeat(32));
    secret(&home.path().join("rpc"), "https://rpc.example.org/key\n\nhttps://other.example.org\n");
    let path = home.path().join("manager.json");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let args = ["nodesys-manager", "--config", path.to_str().unwrap()];
        Args::try_parse_from(args).unwrap().settings()
    };
    let settings = read(config).unwrap();
    assert_eq!(settings.listen.to_string(), "0.0.0.0:7070", "pods must reach it");
    let cluster = settings.cluster.unwrap();
    assert_eq!((cluster.rpcs.len(), cluster.placements.len()), (2, 1));
    let first = Release::parse(blocks(RELEASES, "json release")[0].as_bytes()).unwrap();
    assert_eq!(cluster.placements[0].grant.covers(&first), Ok(()));

    for (from, to, words) in [
        ("\"rpc_file\": \"rpc\"", "\"rpc_file\": \"none\"", "none cannot be read"),
        ("\"project\":", "\"projekt\":", "projekt"),
        ("\"tcp\": [443]", "\"sctp\": [443]", "sctp"),
        ("2a01:4f8:1:2::/64", "2a01:4f8:1:2::1/64", "first address"),
        ("\"name\": \"render\",", "\"name\": \"render\", \"token_file\": \"x\",", "leave it out"),
    ] {
        let problem = format!("{:#}", read(&config.replace(from, to)).err().unwrap());
        assert!(problem.contains(words), "{to}: {problem}");
    }
    let no_grant = config.split("\"grant\"").next().unwrap().trim_end().trim_end_matches(',');
    let problem = format!("{:#}", read(&format!("{no_grant}}}]}}")).err().unwrap());
    assert!(problem.contains("workload render has no grant"), "{problem}");
    std::fs::write(home.path().join("rpc"), "").unwrap();
    let problem = format!("{:#}", read(config).err().unwrap());
    assert!(problem.contains("holds no RPC URL"), "{problem}");
}
