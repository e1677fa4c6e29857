//! The releases that a verified repository has for this machine, and the one that this node takes.
//!
//! Pure: everything that decides is in the arguments.

use std::collections::BTreeMap;

use nodesys_core::Address;
use nodesys_core::update::{
    Platform, Program, ReleaseTerms, TargetMetadata, Verified, VerifiedTarget,
};
use semver::Version;

use crate::exit::Exit;

/// A release that is listed.
#[derive(Debug, Clone)]
pub(crate) struct ListedRelease {
    pub(crate) terms: ReleaseTerms,
    /// For this machine.
    pub(crate) programs: BTreeMap<Program, VerifiedTarget>,
    /// For this machine.
    pub(crate) manager_archive: Option<VerifiedTarget>,
}

impl ListedRelease {
    /// It has all that this machine needs.
    fn is_whole(&self) -> bool {
        Program::ALL.iter().all(|program| self.programs.contains_key(program))
    }
}

/// All releases, the oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue(BTreeMap<Version, ListedRelease>);

impl Catalogue {
    pub(crate) fn of(verified: &Verified, here: &Platform) -> anyhow::Result<Self> {
        let mut releases = BTreeMap::new();
        for target in &verified.targets {
            if let TargetMetadata::Release(terms) = &target.about {
                let listed = ListedRelease {
                    terms: terms.clone(),
                    programs: BTreeMap::new(),
                    manager_archive: None,
                };
                releases.insert(terms.version.clone(), listed);
            }
        }
        for target in &verified.targets {
            let (TargetMetadata::Program { version, platform, .. }
            | TargetMetadata::ManagerArchive { version, platform }) = &target.about
            else {
                continue;
            };
            let Some(listed) = releases.get_mut(version) else {
                return Err(Exit::Failure.because(format!(
                    "the repository lists {} of a release {version} that it does not list: tell its \
                     operator",
                    target.name
                )));
            };
            if platform != here {
                continue;
            }
            match &target.about {
                TargetMetadata::Program { program, .. } => {
                    listed.programs.insert(*program, target.clone());
                }
                _ => listed.manager_archive = Some(target.clone()),
            }
        }
        Ok(Self(releases))
    }
}

/// The facts of this node that decide.
#[derive(Debug)]
pub(crate) struct NodeFacts<'a> {
    /// The running version.
    pub(crate) current: &'a Version,
    /// `None` where there is no node on this machine.
    pub(crate) node_key: Option<Address>,
    /// The operator's own word.
    pub(crate) pin: Option<&'a Version>,
    /// Releases that were tried and failed, and why.
    pub(crate) quarantined: &'a BTreeMap<Version, String>,
}

/// The choice.
#[derive(Debug)]
pub(crate) enum Choice<'a> {
    /// Nothing: this is the newest, or the pinned one.
    Current,
    /// Nothing yet: there is a newer one, and it is not this node's turn.
    Waits(&'a ReleaseTerms),
    /// Nothing: the only newer one was tried and did not hold.
    Quarantined { version: &'a Version, why: &'a str },
    /// The wanted release is not available.
    Blocked { exit: Exit, why: String },
    /// This one; `towards` is the one after it, where it is a stop on the way.
    Take { listed: &'a ListedRelease, towards: Option<&'a Version> },
}

/// Chooses.
pub(crate) fn choose<'a>(catalogue: &'a Catalogue, node: &'a NodeFacts<'_>) -> Choice<'a> {
    let goal = match goal(catalogue, node) {
        Ok(goal) => goal,
        Err(choice) => return *choice,
    };
    let between = catalogue.0.range(node.current.clone()..goal.terms.version.clone());
    let stop = between
        .filter(|(version, _)| *version != node.current)
        .map(|(_, listed)| listed)
        .find(|listed| listed.terms.required_stop);
    let Some(stop) = stop else { return Choice::Take { listed: goal, towards: None } };
    let version = &stop.terms.version;
    let blocked = |why: &str| Choice::Blocked {
        exit: Exit::Failure,
        why: format!("{} goes by way of {version}, and {why}", goal.terms.version),
    };
    if !stop.is_whole() {
        return blocked("that has no files for this machine: tell the operator of the repository");
    }
    if let Some(why) = node.quarantined.get(version) {
        let why = format!(
            "that was tried and failed ({why}): wait for a newer one, or try it again with \
             --pin {version}"
        );
        return blocked(&why);
    }
    if node.pin.is_none() && !stop.terms.reaches(node.node_key) {
        return Choice::Waits(&stop.terms);
    }
    Choice::Take { listed: stop, towards: Some(&goal.terms.version) }
}

/// The release at the end of the way.
fn goal<'a>(
    catalogue: &'a Catalogue,
    node: &'a NodeFacts<'_>,
) -> Result<&'a ListedRelease, Box<Choice<'a>>> {
    if let Some(pin) = node.pin {
        return pinned(catalogue, node, pin);
    }
    let mut waits = None;
    let mut quarantined = None;
    for (version, listed) in catalogue.0.iter().rev() {
        if version <= node.current {
            break;
        }
        // What is on trial is for those who name it.
        if !version.pre.is_empty() || !listed.is_whole() {
            continue;
        }
        if let Some(why) = node.quarantined.get(version) {
            quarantined.get_or_insert(Choice::Quarantined { version, why });
        } else if listed.terms.reaches(node.node_key) {
            return Ok(listed);
        } else {
            waits.get_or_insert(Choice::Waits(&listed.terms));
        }
    }
    Err(Box::new(waits.or(quarantined).unwrap_or(Choice::Current)))
}

fn pinned<'a>(
    catalogue: &'a Catalogue,
    node: &'a NodeFacts<'_>,
    pin: &'a Version,
) -> Result<&'a ListedRelease, Box<Choice<'a>>> {
    let current = node.current;
    let blocked = |exit, why: String| Err(Box::new(Choice::Blocked { exit, why }));
    if pin == current {
        return Err(Box::new(Choice::Current));
    }
    if pin < current {
        let why = format!(
            "the pinned {pin} is older than {current}, which runs: an older program may not read \
             the files of a newer one; pin another, or run nodesys update --unpin"
        );
        return blocked(Exit::Failure, why);
    }
    if let Some(why) = node.quarantined.get(pin) {
        return Err(Box::new(Choice::Quarantined { version: pin, why }));
    }
    match catalogue.0.get(pin) {
        Some(listed) if listed.is_whole() => Ok(listed),
        Some(_) => blocked(Exit::NotFound, format!("{pin} has no files for this machine")),
        None => {
            let listed: Vec<String> = catalogue.0.keys().map(ToString::to_string).collect();
            let why =
                format!("the pinned {pin} is not listed; the repository has {}", listed.join(", "));
            blocked(Exit::NotFound, why)
        }
    }
}

#[cfg(test)]
mod tests;
