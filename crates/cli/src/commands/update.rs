//! `update`: takes a newer release of the programs and of the manager.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use semver::Version;
use serde::Serialize;

use crate::exit::Exit;
use crate::output;
use crate::setup::Setup;
use crate::update::run::{UpdateRequest, set_timer, update};
use crate::update::timer::{SERVICE, TIMER};

/// Options of `update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nodesys update --repository https://updates.example.org/ --root root.json   # the first time
  nodesys update                      # from then on; safe to re-run
  nodesys update --check -o json
  nodesys update --pin 0.2.1          # this version, and no later one
  nodesys update --unpin
  nodesys update --roll-back          # cancel the update that is under way
  sudo nodesys update --timer on      # automatically, every hour

A release is installed when it is this node's turn, and only after a receipt within the last 5
minutes. It is kept if the manager gets three more receipts within 5 minutes; otherwise the previous
programs and manager are restored, and the release is not tried again. The next run resumes an
interrupted update.

Exits with 0 if it is done or there is nothing to do, with 3 if a pinned version is not listed, with
5 if the node is not healthy enough to begin or a release was rolled back, with 7 if the repository
cannot be read.")]
pub struct UpdateArgs {
    /// Report only; nothing but the repository's metadata is updated.
    #[arg(long, conflicts_with_all = ["pin", "unpin", "roll_back"])]
    pub check: bool,
    /// Update to this version and stay there, without waiting for this node's turn.
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["unpin", "roll_back"])]
    pub pin: Option<Version>,
    /// Follow the newest release again.
    #[arg(long, conflicts_with = "roll_back")]
    pub unpin: bool,
    /// Roll back the update that is under way, without waiting for the health check.
    #[arg(long)]
    pub roll_back: bool,
    /// The repository of releases: an http(s) URL or a folder; remembered.
    #[arg(long, value_name = "URL|DIR")]
    pub repository: Option<String>,
    /// The root.json to trust at the first update; later ones are signed by it.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Turn hourly updates by systemd on or off; nothing is updated now.
    #[arg(long, value_enum)]
    #[arg(conflicts_with_all = ["check", "pin", "unpin", "roll_back", "repository", "root"])]
    pub timer: Option<Timer>,
}

/// Whether this machine updates the node by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Timer {
    /// Every hour, at a minute of this machine's own.
    On,
    /// Never.
    Off,
}

/// Runs the command.
pub async fn run(setup: &Setup, args: &UpdateArgs) -> anyhow::Result<Exit> {
    if let Some(timer) = args.timer {
        let changed = set_timer(setup, timer == Timer::On)?;
        let timer = if timer == Timer::On { "on" } else { "off" };
        output::print(setup.format(), &TimerReport { timer, changed })?;
        return Ok(Exit::Done);
    }
    let request = UpdateRequest {
        check: args.check,
        pin: args.pin.clone(),
        unpin: args.unpin,
        roll_back: args.roll_back,
        repository: args.repository.clone(),
        root: args.root.clone(),
    };
    let report = update(setup, &request).await?;
    output::print(setup.format(), &report)?;
    Ok(report.exit())
}

#[derive(Serialize)]
struct TimerReport {
    timer: &'static str,
    changed: bool,
}

impl fmt::Display for TimerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.changed { "" } else { ", as it was" };
        match self.timer {
            "on" => write!(
                f,
                "timer       on{before}: see systemctl list-timers {TIMER} and journalctl -u \
                 {SERVICE}"
            ),
            _ => write!(f, "timer       off{before}"),
        }
    }
}
