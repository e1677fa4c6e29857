//! `nodesys-update`: verifies a repository of releases for `nodesys update`. It changes nothing but
//! its file of trusted metadata.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nodesys_core::text::lines;
use nodesys_core::time::Timestamp;
use nodesys_update::{Place, Problem, VerifyRequest, tell, verify};

/// Verifies repositories of releases; run by nodesys update.
#[derive(Debug, Parser)]
#[command(name = "nodesys-update", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify a repository and print its releases as JSON.
    #[command(after_help = "\
Example:
  nodesys-update verify --repository https://updates.example.org/ --trusted trusted.json \\
      --root root.json --now-secs 1767225600

Exit codes: 0 verified, 1 refused, 2 usage, 7 unreadable.")]
    Verify {
        /// The repository: an http(s) URL or a folder, with metadata/ and targets/ in it.
        #[arg(long, value_name = "URL|DIR")]
        repository: String,
        /// The file of trusted metadata; created on the first run.
        #[arg(long, value_name = "FILE")]
        trusted: PathBuf,
        /// The root.json to trust on the first run, obtained through another channel.
        #[arg(long, value_name = "FILE")]
        root: Option<PathBuf>,
        /// The latest time known, in seconds since 1970.
        #[arg(long, value_name = "SECS")]
        now_secs: u64,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Two providers are compiled in; the house's speaks TLS.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing before the first line of main installs a provider");
    match run(Cli::parse()).await.and_then(|text| tell(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{}", lines(&problem.to_string()));
            problem.code().into()
        }
    }
}

async fn run(cli: Cli) -> Result<String, Problem> {
    let Command::Verify { repository, trusted, root, now_secs } = cli.command;
    let place = Place::parse(&repository)?;
    let root = root
        .map(|path| {
            std::fs::read_to_string(&path).map_err(|error| {
                Problem::Usage(format!("the root {} cannot be read: {error}", path.display()))
            })
        })
        .transpose()?;
    let now = Timestamp::from_secs(now_secs);
    let wanted = VerifyRequest { place: &place, trusted: &trusted, root: root.as_deref(), now };
    let verified = verify(&wanted).await?;
    serde_json::to_string(&verified).map_err(|error| Problem::Here(error.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_help_is_as_committed() {
        let mut root = Cli::command().term_width(100);
        root.build();
        insta::assert_snapshot!("update", root.render_long_help());
        let verify = root.find_subcommand_mut("verify").unwrap();
        insta::assert_snapshot!("update-verify", verify.render_long_help());
    }
}
