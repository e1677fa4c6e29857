//! Names of workloads, as they are typed.

use std::fmt;
use std::str::FromStr;

use nodesys_core::ids::{Name, ParseError};

use crate::exit::Exit;
use crate::node::workloads::{WorkloadEntry, WorkloadsFile};

/// A project's workload: `PROJECT/WORKLOAD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectWorkload {
    pub(crate) project: Name,
    pub(crate) workload: Name,
}

impl FromStr for ProjectWorkload {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad =
            || ParseError::new("workload", "expected PROJECT/WORKLOAD, as in acme/render", text);
        let (project, workload) = text.split_once('/').ok_or_else(bad)?;
        Ok(Self {
            project: project.parse().map_err(|_| bad())?,
            workload: workload.parse().map_err(|_| bad())?,
        })
    }
}

impl fmt::Display for ProjectWorkload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.workload)
    }
}

/// A workload of this node: `WORKLOAD`, or `PROJECT/WORKLOAD` where two projects have one of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadRef {
    project: Option<Name>,
    workload: Name,
}

impl FromStr for WorkloadRef {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.contains('/') {
            let ProjectWorkload { project, workload } = text.parse()?;
            return Ok(Self { project: Some(project), workload });
        }
        let workload = text.parse().map_err(|_| {
            ParseError::new("workload", "expected WORKLOAD or PROJECT/WORKLOAD, as in render", text)
        })?;
        Ok(Self { project: None, workload })
    }
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.project {
            Some(project) => write!(f, "{project}/{}", self.workload),
            None => write!(f, "{}", self.workload),
        }
    }
}

impl WorkloadRef {
    /// The one entry that is meant; an error that ends with 3 where there is none.
    pub(crate) fn find<'a>(&self, file: &'a WorkloadsFile) -> anyhow::Result<&'a WorkloadEntry> {
        let mut found = file.workloads.iter().filter(|entry| {
            entry.name == self.workload
                && self.project.as_ref().is_none_or(|project| *project == entry.project_name)
        });
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (Some(one), Some(other)) => Err(Exit::Usage.because(format!(
                "{self} may be {} or {}: name one of them",
                one.label(),
                other.label()
            ))),
            (None, _) => {
                let known: Vec<String> = file.workloads.iter().map(WorkloadEntry::label).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(Exit::NotFound.because(format!(
                    "this node has no workload {self}; it has {known}. nodesys workload add \
                     PROJECT/WORKLOAD adds one"
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::workloads::tests::entry;

    #[test]
    fn a_workload_is_named_by_itself_or_with_its_project() {
        let mut other = entry("beta", 2);
        other.project_name = "other".parse().unwrap();
        let mut same = entry("alpha", 3);
        same.project_name = "other".parse().unwrap();
        let file = WorkloadsFile { workloads: vec![entry("alpha", 1), other, same] };
        let find =
            |text: &str| text.parse::<WorkloadRef>().unwrap().find(&file).map(WorkloadEntry::label);
        assert_eq!(find("beta").unwrap(), "other/beta");
        assert_eq!(find("acme/alpha").unwrap(), "acme/alpha");
        let error = find("alpha").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert!(error.to_string().contains("acme/alpha or other/alpha"), "{error}");
        let error = find("gamma").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::NotFound);
        assert!(
            error.to_string().contains("it has acme/alpha, other/beta, other/alpha"),
            "{error}"
        );
        for bad in ["", "/", "a/", "/a", "a/b/c", "A", "a b"] {
            assert!(bad.parse::<WorkloadRef>().is_err(), "{bad}");
        }
        assert!("alpha".parse::<ProjectWorkload>().is_err());
    }
}
