//! The command line.

use clap::{Parser, Subcommand};

use crate::chain::{LicenseCommand, ProjectCommand, RegistryCommand, SaleCommand};
use crate::config::Settings;
use crate::day::{CommitArgs, DayCommand, PointsCommand, PostArgs};
use crate::release::ReleaseCommand;
use crate::service::ServeOptions;
use crate::task::TaskCommand;

const EXAMPLES: &str = "\
Examples:
  nodesys-master points preview --day 2026-01-31
  nodesys-master commit --day 2026-01-31 --dry-run
  nodesys-master commit --day 2026-01-31
  nodesys-master post --day 2026-01-31
  nodesys-master task add tasks.ndjson
  nodesys-master release validate render.json
  nodesys-master serve --listen 127.0.0.1:8090
  nodesys-master migrate --database-url postgres://owner@localhost/master

Settings come from flags, then from the environment, then from the JSON file of --config.";

/// Points, commits and bundles of a project, for its owner.
#[derive(Debug, Parser)]
#[command(name = "nodesys-master", version, after_help = EXAMPLES, subcommand_required = true)]
pub struct Cli {
    /// Settings of all commands.
    #[command(flatten)]
    pub settings: Settings,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Points of a closed day.
    Points {
        /// The command.
        #[command(subcommand)]
        command: PointsCommand,
    },
    /// Build a closed day, compare it with the backend, sign it and submit it. Safe to re-run.
    ///
    /// Running it again for a day submits the same commit. A different commit for the same epoch and
    /// revision is never signed.
    ///
    /// Where the reward signer is a Safe or a cold key, --export writes the message to sign and
    /// --import accepts its signature: first for the points, then for the commit.
    Commit(CommitArgs),
    /// State of a day.
    Day {
        /// The command.
        #[command(subcommand)]
        command: DayCommand,
    },
    /// Send a signed commit to the chain yourself. Safe to re-run: finds a posted one.
    Post(PostArgs),
    /// The queue of tasks for workloads.
    Task {
        /// The command.
        #[command(subcommand)]
        command: TaskCommand,
    },
    /// A network's registry, for the operator of the network.
    Registry {
        /// The command.
        #[command(subcommand)]
        command: RegistryCommand,
    },
    /// A project on chain.
    Project {
        /// The command.
        #[command(subcommand)]
        command: ProjectCommand,
    },
    /// A license collection.
    License {
        /// The command.
        #[command(subcommand)]
        command: LicenseCommand,
    },
    /// Releases of the project's workloads.
    Release {
        /// The command.
        #[command(subcommand)]
        command: ReleaseCommand,
    },
    /// The sale of a collection's licenses.
    Sale {
        /// The command.
        #[command(subcommand)]
        command: SaleCommand,
    },
    /// Bring the master's database up to date, and end. Safe to re-run, and beside a running service.
    Migrate,
    /// Run the service: commit each day as it closes, serve bundles, hand out tasks.
    Serve(ServeOptions),
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documents_commands_are_commands() {
        let guides =
            [include_str!("../../../docs/owner.md"), include_str!("../../../docs/releases.md")];
        let lines = guides.iter().flat_map(|guide| guide.lines());
        let mut count = 0;
        for line in lines.filter(|line| line.starts_with("nodesys-master ")) {
            if let Err(error) = Cli::try_parse_from(line.split_whitespace()) {
                panic!("{line}: {error}");
            }
            count += 1;
        }
        assert!(count > 18, "{count} commands in the guides");
    }

    #[test]
    fn calldata_needs_no_key() {
        let parse = |words: &str| Cli::try_parse_from(words.split_whitespace());
        let sender = "--calldata --sender-keystore owner.json";
        for command in ["release announce render.json", "release tombstone render --version 2"] {
            assert!(parse(&format!("nodesys-master {command} --calldata")).is_ok());
            let error = parse(&format!("nodesys-master {command} {sender}")).unwrap_err();
            assert!(error.to_string().contains("cannot be used with"), "{error}");
        }
        // Other commands ignore a keystore, which may come from the environment.
        assert!(parse(&format!("nodesys-master project now --pause {sender}")).is_ok());
    }

    #[test]
    fn help_is_as_committed() {
        let mut command = Cli::command().term_width(100);
        insta::assert_snapshot!("help", command.render_long_help());
        for name in ["commit", "post", "serve", "task"] {
            let help = command.find_subcommand_mut(name).unwrap().render_long_help();
            insta::assert_snapshot!(format!("help-{name}"), help);
        }
        let release = command.find_subcommand_mut("release").unwrap();
        for name in ["validate", "announce", "publish", "tombstone", "show"] {
            let help = release.find_subcommand_mut(name).unwrap().render_long_help();
            insta::assert_snapshot!(format!("help-release-{name}"), help);
        }
        for (noun, names) in [
            ("points", &["preview"][..]),
            ("day", &["show"]),
            ("registry", &["receipt-key", "network-file", "cancel-network-file", "guardian"]),
            (
                "project",
                &[
                    "create",
                    "list-workload",
                    "receipt-key",
                    "signer",
                    "queue",
                    "now",
                    "fund",
                    "transfer",
                ],
            ),
            ("license", &["consent", "delist", "mint"]),
        ] {
            let group = command.find_subcommand_mut(noun).unwrap();
            for name in names {
                let help = group.find_subcommand_mut(name).unwrap().render_help();
                insta::assert_snapshot!(format!("help-{noun}-{name}"), help);
            }
        }
        let task = command.find_subcommand_mut("task").unwrap();
        for name in ["add", "list", "show", "stats"] {
            let help = task.find_subcommand_mut(name).unwrap().render_long_help();
            insta::assert_snapshot!(format!("help-task-{name}"), help);
        }
    }
}
