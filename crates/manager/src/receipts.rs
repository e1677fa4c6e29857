//! Receipts: checked before they count, kept as the operator's proof of credited minutes.
//!
//! One file per UTC day, `receipts/YYYY-MM-DD.ndjson`, one line per accepted heartbeat: the signed
//! heartbeat and its receipt, which together say which licenses were credited. Lines are only
//! appended and synced; days more than 60 days old are removed.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use anyhow::Context as _;
use nodesys_core::api::{LineResult, Receipt, ReceiptError};
use nodesys_core::message::{Domain, Heartbeat, MAX_LEASES, Message as _, Signed};
use nodesys_core::time::{Minute, UtcDay};
use serde::{Deserialize, Serialize};

/// Days kept before the present one.
const KEPT_DAYS: u32 = 60;

/// A line of a receipts file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReceipt {
    /// The node's heartbeat.
    pub heartbeat: Signed<Heartbeat>,
    /// The backend's answer.
    pub receipt: Receipt,
}

/// The reason a receipt is refused: the minute does not count as accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Signature, path or heartbeat do not match.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// Signed for another minute.
    #[error("the receipt is for minute {}, the heartbeat for minute {}", .found.0, .expected.0)]
    OtherMinute {
        /// The receipt's.
        found: Minute,
        /// The heartbeat's.
        expected: Minute,
    },
    /// Node key or number are not the heartbeat's.
    #[error("the receipt names another node key or sequence number")]
    OtherSender,
    /// The unsigned results differ from the signed bits.
    #[error("the receipt's results are not the signed ones")]
    Results,
}

/// Checks every statement of a receipt about a heartbeat.
pub fn check(
    receipt: &Receipt,
    heartbeat: &Heartbeat,
    domain: &Domain,
    receipt_key: Address,
) -> Result<(), Refused> {
    receipt.verify(domain, receipt_key, heartbeat.struct_hash())?;
    let found = receipt.batch.message.minute;
    if found != heartbeat.minute {
        return Err(Refused::OtherMinute { found, expected: heartbeat.minute });
    }
    let accepted = &receipt.accepted;
    if (accepted.node_key, accepted.seq) != (heartbeat.node_key, heartbeat.seq) {
        return Err(Refused::OtherSender);
    }
    if receipt.results.len() != heartbeat.leases.len() || heartbeat.leases.len() > MAX_LEASES {
        return Err(Refused::Results);
    }
    let credited = receipt.results.iter().map(|result| *result == LineResult::Credited);
    let bits = credited.enumerate().fold(0, |bits, (i, yes)| bits | (u64::from(yes) << i));
    if bits == accepted.credited { Ok(()) } else { Err(Refused::Results) }
}

/// The folder of kept receipts.
pub struct Receipts {
    dir: PathBuf,
    open: Option<(UtcDay, File)>,
}

impl Receipts {
    /// Opens (and makes) `receipts/` in the state folder.
    pub fn open(state_dir: &Path) -> anyhow::Result<Self> {
        let dir = state_dir.join("receipts");
        crate::state::make_private_dir(&dir)?;
        Ok(Self { dir, open: None })
    }

    /// Appends, and returns once the line is on disk.
    pub fn keep(&mut self, kept: &KeptReceipt) -> anyhow::Result<()> {
        let day = kept.heartbeat.message.minute.day();
        let mut line = serde_json::to_vec(kept).context("the receipt")?;
        line.push(b'\n');
        let written = self.file_of(day).and_then(|file| {
            file.write_all(&line)?;
            file.sync_data()
        });
        if written.is_err() {
            // Opened anew next time, which ends a line that was cut off.
            self.open = None;
        }
        written.with_context(|| format!("a receipt cannot be kept in {}", self.dir.display()))
    }

    fn file_of(&mut self, day: UtcDay) -> std::io::Result<&mut File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != day) {
            let path = self.dir.join(format!("{day}.ndjson"));
            let mut file =
                File::options().read(true).append(true).create(true).mode(0o600).open(path)?;
            end_cut_line(&mut file)?;
            self.open = Some((day, file));
            self.prune(day);
        }
        let (_, file) = self.open.as_mut().expect("the branch above has opened it");
        Ok(file)
    }

    fn prune(&self, today: UtcDay) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_str().is_some_and(|name| outdated(name, today)) {
                let removed = std::fs::remove_file(entry.path());
                tracing::info!(file = ?entry.file_name(), ?removed, "old receipts removed");
            }
        }
    }
}

/// Whether a file is a day's receipts, more than [`KEPT_DAYS`] old.
fn outdated(name: &str, today: UtcDay) -> bool {
    let day = name.strip_suffix(".ndjson").and_then(|day| day.parse::<UtcDay>().ok());
    day.is_some_and(|day| day.0.saturating_add(KEPT_DAYS) < today.0)
}

/// A line cut off by a crash is ended, so that the next one is on its own line.
fn end_cut_line(file: &mut File) -> std::io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
