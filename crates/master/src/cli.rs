//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;

use crate::config::Settings;
use crate::license::LicenseCommand;
use crate::project::ProjectCommand;
use crate::registry::RegistryCommand;
use crate::release::ReleaseCommand;
use crate::sale::SaleCommand;

const EXAMPLES: &str = "\
Examples:
  nodesys-master points preview --day 2026-01-31
  nodesys-master commit --day 2026-01-31 --dry-run
  nodesys-master commit --day 2026-01-31
  nodesys-master post --day 2026-01-31
  nodesys-master task add tasks.ndjson
  nodesys-master release validate render.json
  nodesys-master serve --listen 127.0.0.1:8090

Settings come from flags, else from the environment, else from the JSON file of --config.";

/// Points, commits and bundles of a project, for its owner.
#[derive(Debug, Parser)]
#[command(name = "nodesys-master", version, after_help = EXAMPLES, subcommand_required = true)]
pub struct Cli {
    /// Settings of all commands.
    #[command(flatten)]
    pub settings: Settings,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Points of a closed day.
    Points {
        /// What to do with them.
        #[command(subcommand)]
        command: PointsCommand,
    },
    /// Build a closed day, compare it with the backend, sign it and hand it in.
    ///
    /// The same day again hands in the same commit again. A second, different commit for one epoch
    /// and revision is refused, whatever happens in between.
    ///
    /// Where the reward signer is a Safe or a cold key, --export writes what it has to sign, and
    /// --import takes the signature: the points first, then the commit.
    Commit {
        /// The day, as YYYY-MM-DD.
        #[arg(long)]
        day: UtcDay,
        /// Build and show the commit; upload, sign and send nothing.
        #[arg(long)]
        dry_run: bool,
        /// Commit the cumulative amounts of this rewards.csv instead of the computed ones. Unless
        /// they are the same, that ends with the first differing row and without a signature.
        #[arg(long, value_name = "FILE")]
        rewards: Option<PathBuf>,
        /// Write what the reward signer has to sign next to this file; with --import, once that is
        /// taken.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "rewards"])]
        export: Option<PathBuf>,
        /// Take the signature over an exported file.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "rewards"])]
        import: Option<PathBuf>,
        /// The signature, unless the file holds it.
        #[arg(long, value_name = "HEX", requires = "import", value_parser = signature)]
        signature: Option<WalletSignature>,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Where a day stands.
    Day {
        /// What to do with it.
        #[command(subcommand)]
        command: DayCommand,
    },
    /// Send a signed commit to the chain oneself; finding it posted already is success.
    Post {
        /// The day, as YYYY-MM-DD.
        #[arg(long)]
        day: UtcDay,
        /// Who pays the gas.
        #[command(flatten)]
        sender: Sender,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// The queue of tasks that workloads work on.
    Task {
        /// What to do with it.
        #[command(subcommand)]
        command: crate::task::show::TaskCommand,
    },
    /// A network's registry, for who operates the network.
    Registry {
        /// What to do with it.
        #[command(subcommand)]
        command: RegistryCommand,
    },
    /// A project on chain.
    Project {
        /// What to do with it.
        #[command(subcommand)]
        command: ProjectCommand,
    },
    /// A license collection.
    License {
        /// What to do with it.
        #[command(subcommand)]
        command: LicenseCommand,
    },
    /// Releases: what the project's nodes run.
    Release {
        /// What to do with it.
        #[command(subcommand)]
        command: ReleaseCommand,
    },
    /// The sale of a collection's licenses.
    Sale {
        /// What to do with it.
        #[command(subcommand)]
        command: SaleCommand,
    },
    /// Commit each day as it closes, serve the bundles, hand out tasks.
    Serve(ServeOptions),
    /// A completion script, for your shell to read.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

fn signature(text: &str) -> Result<WalletSignature, String> {
    let bytes = text.parse().map_err(|error| format!("{error}"))?;
    WalletSignature::new(bytes).ok_or_else(|| "longer than 8192 bytes".to_owned())
}

/// Points of a closed day.
#[derive(Debug, Subcommand)]
pub enum PointsCommand {
    /// Show what each license would get, and change nothing.
    Preview {
        /// The day, as YYYY-MM-DD.
        #[arg(long)]
        day: UtcDay,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// Where a day stands.
#[derive(Debug, Subcommand)]
pub enum DayCommand {
    /// Closed, built, signed, accepted, posted: each as far as it can be told.
    Show {
        /// The day, as YYYY-MM-DD.
        #[arg(long)]
        day: UtcDay,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// Who pays the gas.
#[derive(Debug, Args)]
pub struct Sender {
    /// Encrypted JSON keystore of the sender; the reward signer's where absent.
    #[arg(long, value_name = "FILE", env = "NODESYS_SENDER_KEYSTORE")]
    pub sender_keystore: Option<PathBuf>,
    /// File whose first line is that keystore's password.
    #[arg(long, value_name = "FILE", env = "NODESYS_SENDER_PASSWORD_FILE")]
    #[arg(requires = "sender_keystore")]
    pub sender_password_file: Option<PathBuf>,
}

/// Options of the service.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", env = "NODESYS_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Written when ready: pid, address and build id as JSON.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Minutes to wait after a day's end before it is committed, for an owner who looks first.
    #[arg(long, value_name = "MINUTES", env = "NODESYS_REVIEW_MINUTES", default_value_t = 0)]
    pub review_minutes: u64,
    /// The URL that workloads reach this service by, for which their tickets are signed; the
    /// address it listens on where absent.
    #[arg(long, value_name = "URL", env = "NODESYS_PUBLIC_URL")]
    pub public_url: Option<nodesys_core::ticket::Origin>,
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
        let task = command.find_subcommand_mut("task").unwrap();
        for name in ["add", "list", "show", "stats"] {
            let help = task.find_subcommand_mut(name).unwrap().render_long_help();
            insta::assert_snapshot!(format!("help-task-{name}"), help);
        }
    }
}
