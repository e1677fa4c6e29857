//! Every `--help` is as committed, and what is typed is what is meant.

use clap::CommandFactory as _;

use super::*;
use crate::license::name::LicenseName;
use nodesys_testing::docs;

fn parsed(words: &str) -> Result<Command, clap::Error> {
    Cli::try_parse_from(std::iter::once("nodesys").chain(words.split(' '))).map(|cli| cli.command)
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_help_is_as_committed() {
    let mut root = help::fold_global_options(Cli::command().term_width(100));
    let mut seen = 0;
    each(&mut root, "help", &mut seen);
    assert_eq!(seen, 58, "a command was added or taken away: commit its help");
}

fn each(command: &mut clap::Command, name: &str, seen: &mut usize) {
    insta::assert_snapshot!(name, command.render_long_help());
    *seen += 1;
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .filter(|sub| sub != "help")
        .collect();
    for sub in names {
        if let Some(found) = command.find_subcommand_mut(&sub) {
            each(found, &format!("{name}-{sub}"), seen);
        }
    }
}

/// A verb's page explains its own options, names the global ones in one place, and takes them still.
#[test]
fn a_verbs_help_folds_the_global_options() {
    fn each(command: &clap::Command, globals: &[String], pages: &mut usize) {
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            let page = verb.clone().render_long_help().to_string();
            let heading = page.match_indices("\nGlobal options").collect::<Vec<_>>();
            assert_eq!(heading.len(), 1, "{page}");
            let (own, folded) = page.split_at(heading[0].0);
            for long in globals {
                assert!(folded.contains(long), "{long}: {page}");
                assert!(!own.contains(&format!("{long} <")), "{long} is explained: {page}");
            }
            *pages += 1;
            each(verb, globals, pages);
        }
    }
    let root = help::fold_global_options(Cli::command());
    let globals = root.get_arguments().filter(|arg| arg.is_global_set());
    let globals: Vec<String> =
        globals.filter_map(|arg| arg.get_long().map(|long| format!("--{long}"))).collect();
    assert_eq!(globals.len(), 13, "{globals:?}");
    let first = root.clone().render_long_help().to_string();
    assert!(globals.iter().all(|long| first.contains(&format!("{long} <"))), "{first}");
    let mut pages = 0;
    each(&root, &globals, &mut pages);
    assert_eq!(pages, 57);
    let words = ["nodesys", "license", "show", "A1", "--chain-id", "5", "-o", "json"];
    let matches = root.try_get_matches_from(words).unwrap();
    let cli = Cli::from_arg_matches(&matches).unwrap();
    assert_eq!(cli.settings.chain_id, Some(5));
    assert_eq!(cli.settings.output, Some(crate::output::Format::Json));
}

#[test]
fn every_help_has_examples() {
    fn each(command: &clap::Command, path: &str, missing: &mut Vec<String>) {
        let verbs = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        let help = command.clone().render_long_help().to_string();
        let plain = ["version", "completion", "show", "get", "set", "unset", "path"];
        let of_config = path.contains("config") && plain.contains(&command.get_name());
        let told = help.contains(&format!("{path} ")) || help.contains(&format!("{path}\n"));
        if !of_config && !told {
            missing.push(path.to_owned());
        }
        for verb in verbs {
            each(verb, &format!("{path} {}", verb.get_name()), missing);
        }
    }
    let mut missing = Vec::new();
    each(&Cli::command(), "nodesys", &mut missing);
    assert_eq!(missing, ["nodesys version"], "without an example of their own");
}

#[test]
fn settings_may_stand_anywhere() {
    let line = "nodesys -o json license show A1 --rpc http://u:secret@127.0.0.1:1/secret \
                --rpc http://127.0.0.1:2/?key=secret --chain-id 5";
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let cli = Cli::try_parse_from(line.split(' ')).unwrap();
    assert_eq!(cli.settings.chain_id, Some(5));
    assert_eq!(cli.settings.output, Some(crate::output::Format::Json));
    let Command::License(LicenseCommand::Show(args)) = cli.command else { panic!() };
    assert_eq!(args.license, LicenseName::Symbol("A1".to_owned()));
    let shown = format!("{:?}", cli.settings.rpc);
    assert!(shown.contains("127.0.0.1:2") && !shown.contains("secret"), "{shown}");
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_reason() {
    for (words, part) in [
        ("pair request --days 91", "91"),
        ("pair request --days 0", "0"),
        ("pair request --nonce 0x1", "decimal"),
        ("pair sign r.json", "--keystore"),
        ("pair revoke --keystore w.json", "--node"),
        ("license show", "LICENSE"),
        ("license show alpha/x", "decimal"),
        ("uptime A1 --day 2026-02-30", "no such day"),
        ("rewards claim --dry-run --calldata", "--calldata"),
        ("rewards claim --account 0x12", "--account"),
        ("rewards explain", "--day"),
        ("workload add render", "PROJECT/WORKLOAD"),
        ("workload add acme/render --release-url releases", "--release-url"),
        ("workload logs render --follow --previous", "--previous"),
        ("workload logs render --lines 0", "--lines"),
        ("workload remove", "WORKLOAD"),
        ("workload pause a/b/c", "PROJECT/WORKLOAD"),
        ("config set nothing 1", "backend"),
        ("--rpc ftp://h/SECRET status", "expected http"),
        ("--backend", "--backend"),
        ("completion", "SHELL"),
    ] {
        let error = parsed(words).err().unwrap_or_else(|| panic!("{words} was taken"));
        assert_eq!(error.exit_code(), 2, "{words}");
        assert!(error.to_string().contains(part), "{words}: {error}");
    }
    // An RPC's URL may hold a secret, so what is refused is not repeated by us.
    let error = "ftp://h/SECRET".parse::<nodesys_chain::RpcUrl>().unwrap_err();
    assert!(!error.to_string().contains("SECRET"));
}

#[test]
fn every_command_line_of_the_page_is_one() {
    let told = docs::told(include_str!("../../../../docs/cli.md"));
    assert!(told.len() > 30, "{}", told.len());
    for words in &told {
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("docs/cli.md: {}: {error}", words.join(" "));
        }
    }
    let of_updates = include_str!("../../../../docs/updates.md");
    for words in docs::told(of_updates) {
        if let Err(error) = Cli::try_parse_from(&words) {
            panic!("docs/updates.md: {}: {error}", words.join(" "));
        }
    }
    // Every verb is told of.
    let mut verbs = Vec::new();
    verbs_of(&Cli::command(), "nodesys", &mut verbs);
    let page: Vec<String> = told.iter().map(|words| format!("{} ", words.join(" "))).collect();
    let missing: Vec<&String> = verbs
        .iter()
        .filter(|verb| !page.iter().any(|line| line.starts_with(&format!("{verb} "))))
        .collect();
    assert_eq!(missing, [""; 0]);
}

fn verbs_of(command: &clap::Command, path: &str, verbs: &mut Vec<String>) {
    let mut leaf = true;
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        leaf = false;
        verbs_of(verb, &format!("{path} {}", verb.get_name()), verbs);
    }
    if leaf {
        verbs.push(path.to_owned());
    }
}
