//! Listing releases: signed by the targets' key, on an offline machine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use nodesys_core::time::Timestamp;
use nodesys_core::update::{CURSOR_ALL, Platform, Program, ReleaseTerms, TargetMetadata};
use semver::Version;
use serde_json::Value;
use tough::TargetName;
use tough::schema::{Signed, Target, Targets};

use super::{Folder, SPEC, after, expiry, signed_enough, write};
use crate::Problem;
use crate::keys::SigningKey;
use crate::verify::hex_of;

/// A release's files for some platforms.
#[derive(Debug)]
pub struct Files {
    /// The platforms.
    pub platform: Platform,
    /// Its programs.
    pub programs: Vec<(Program, PathBuf)>,
    /// The manager's image as an archive.
    pub manager_archive: Option<PathBuf>,
}

/// The list of releases, being changed.
pub struct List<'a> {
    folder: &'a Folder,
    targets: Targets,
}

impl<'a> List<'a> {
    /// The newest list, to be signed anew and valid for some days.
    pub fn open(folder: &'a Folder, now: Timestamp, days: u32) -> Result<Self, Problem> {
        let newest = folder.newest::<Targets>("targets")?.map(|newest| newest.signed);
        let version = after(newest.as_ref().map(|newest| newest.version));
        let targets = newest.map(|newest| newest.targets).unwrap_or_default();
        let expires = expiry(now, days)?;
        let mut list = Targets::new(SPEC.to_owned(), version, expires);
        list.targets = targets;
        Ok(Self { folder, targets: list })
    }

    /// Adds a release, or changes its settings.
    pub async fn set_release(
        &mut self,
        terms: ReleaseTerms,
        notes: Option<&Path>,
    ) -> Result<(), Problem> {
        if terms.cursor_ppm > CURSOR_ALL {
            return Err(Problem::Usage("a cursor is at most 100 percent".to_owned()));
        }
        let name = notes_name(&terms.version);
        let text = match notes {
            Some(path) => std::fs::read(path)
                .map_err(|error| Problem::Usage(format!("{}: {error}", path.display())))?,
            None => format!("# {}\n", terms.version).into_bytes(),
        };
        let file = tempfile::NamedTempFile::new()
            .and_then(|file| std::fs::write(file.path(), text).map(|()| file))
            .map_err(|error| Problem::Here(format!("the notes cannot be written: {error}")))?;
        self.add(&name, file.path(), &TargetMetadata::Release(terms)).await
    }

    /// Adds a release's files.
    pub async fn add_files(&mut self, version: &Version, files: &Files) -> Result<(), Problem> {
        self.terms(version)?;
        let platform = &files.platform;
        for (program, path) in &files.programs {
            let about = TargetMetadata::Program {
                version: version.clone(),
                platform: platform.clone(),
                program: *program,
            };
            self.add(&format!("{program}-{version}-{platform}"), path, &about).await?;
        }
        if let Some(path) = &files.manager_archive {
            let about = TargetMetadata::ManagerArchive {
                version: version.clone(),
                platform: platform.clone(),
            };
            self.add(&format!("nodesys-manager-{version}-{platform}.tar"), path, &about).await?;
        }
        Ok(())
    }

    /// Moves a release's cursor; it never goes back, since nodes below it may have the release.
    pub fn set_cursor(&mut self, version: &Version, cursor_ppm: u32) -> Result<(), Problem> {
        let mut terms = self.terms(version)?;
        if cursor_ppm > CURSOR_ALL || cursor_ppm < terms.cursor_ppm {
            return Err(Problem::Usage(format!(
                "the cursor of {version} is at {} of 1,000,000 and only rises; to end a release, \
                 withdraw it",
                terms.cursor_ppm
            )));
        }
        terms.cursor_ppm = cursor_ppm;
        let name = target_name(&notes_name(version))?;
        if let Some(target) = self.targets.targets.get_mut(&name) {
            target.custom = custom(&TargetMetadata::Release(terms))?;
        }
        Ok(())
    }

    /// Takes a release off the list: no node begins it any more.
    pub fn withdraw(&mut self, version: &Version) -> Result<(), Problem> {
        self.terms(version)?;
        self.targets
            .targets
            .retain(|_, target| about(target).is_none_or(|it| of(&it) != Some(version)));
        Ok(())
    }

    /// The settings of a release.
    pub fn terms(&self, version: &Version) -> Result<ReleaseTerms, Problem> {
        let name = target_name(&notes_name(version))?;
        match self.targets.targets.get(&name).and_then(about) {
            Some(TargetMetadata::Release(terms)) => Ok(terms),
            _ => Err(Problem::Usage(format!("{version} is not listed: add it first"))),
        }
    }

    /// Signs the list and writes it; nodes see it once it is published.
    pub async fn sign(self, key: &SigningKey) -> Result<u64, Problem> {
        let root = self.folder.root()?;
        let version = self.targets.version;
        let mut signed = Signed { signed: self.targets, signatures: Vec::new() };
        key.sign(&mut signed).await?;
        signed_enough(&root, &signed)?;
        write(&self.folder.metadata(&format!("{version}.targets.json")), &signed)?;
        Ok(version.get())
    }

    async fn add(
        &mut self,
        name: &str,
        path: &Path,
        about: &TargetMetadata,
    ) -> Result<(), Problem> {
        let cannot =
            |error: &dyn std::fmt::Display| Problem::Usage(format!("{}: {error}", path.display()));
        let mut target = Target::from_path(path).await.map_err(|error| cannot(&error))?;
        target.custom = custom(about)?;
        let folder = self.folder.targets();
        let file = folder.join(format!("{}.{name}", hex_of(&target.hashes.sha256)));
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::copy(path, &file))
            .and_then(|_| readable(&file))
            .map_err(|error| cannot(&error))?;
        self.targets.targets.insert(target_name(name)?, target);
        Ok(())
    }
}

/// Served to everybody, whoever may read the file that it is a copy of.
fn readable(file: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file)?.permissions().mode();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode | 0o444))?;
    }
    Ok(())
}

fn notes_name(version: &Version) -> String {
    format!("release-{version}.md")
}

fn target_name(name: &str) -> Result<TargetName, Problem> {
    TargetName::new(name).map_err(|error| Problem::Usage(error.to_string()))
}

fn custom(about: &TargetMetadata) -> Result<HashMap<String, Value>, Problem> {
    let cannot = |error: serde_json::Error| Problem::Here(error.to_string());
    let value = serde_json::to_value(about).map_err(cannot)?;
    serde_json::from_value(value).map_err(cannot)
}

fn about(target: &Target) -> Option<TargetMetadata> {
    let custom = Value::Object(target.custom.clone().into_iter().collect());
    serde_json::from_value(custom).ok()
}

const fn of(about: &TargetMetadata) -> Option<&Version> {
    match about {
        TargetMetadata::Release(terms) => Some(&terms.version),
        TargetMetadata::Program { version, .. }
        | TargetMetadata::ManagerArchive { version, .. } => Some(version),
        TargetMetadata::Unknown => None,
    }
}
