//! The local manager, by its own word.

use std::fmt;

use nodesys_core::time::Timestamp;

use crate::manager::status::ReportedError;
use crate::manager::status::{ManagerStatus, manager_status, status_problems};
use crate::output::{ago, clean, health_word, table};
use crate::setup::Setup;
use crate::status::section::Section;

pub(crate) async fn section(setup: &Setup, now: Timestamp) -> Section<ManagerStatus> {
    match manager_status(setup, now).await {
        Some(read) => Section::from_result(read.map(|manager| {
            let problems = status_problems(&manager, now);
            (manager, problems)
        })),
        None => Section::not_configured(
            "run nodesys start, or give --manager URL, the address it listens on",
        ),
    }
}

impl fmt::Display for ManagerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version       {}", clean(&self.version))?;
        writeln!(f, "node key      {}", self.node_key)?;
        writeln!(f, "backend       {}", self.backend)?;
        match &self.last_receipt {
            Some(last) => {
                let then = Timestamp::from_millis(last.server_time_millis);
                let ago = ago(self.asked, then);
                writeln!(f, "last receipt  {then} ({ago}), {} since its start", last.accepted)?;
            }
            None => writeln!(f, "last receipt  none")?,
        }
        if let Some(ReportedError { time, message }) = &self.last_error {
            writeln!(f, "last error    {time} {message}")?;
        }
        let mut table = table(&["workload", "license", "lease", "status", "last minute"]);
        for one in &self.workloads {
            table.add_row([
                clean(&one.name),
                format!("{}/{}", one.collection, one.token_id),
                one.lease.clone(),
                health_word(one.status).to_owned(),
                one.last_result.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        write!(f, "{table}")
    }
}
