//! `nodesys-repository`: makes repositories of releases. For the people who release; nodes never
//! run it.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use nodesys_clock::Clock;
use nodesys_core::release::Image;
use nodesys_core::text::lines;
use nodesys_core::time::Timestamp;
use nodesys_core::update::{CURSOR_ALL, Platform, Program, ReleaseTerms};
use nodesys_update::author::publish::{Days, publish};
use nodesys_update::author::targets::{Files, List};
use nodesys_update::author::{Folder, root, write};
use nodesys_update::keys::{SigningKey, create, read_public, seed};
use nodesys_update::{Problem, tell};
use semver::Version;
use tough::schema::key::Key;

/// Makes repositories of releases (see docs/updates.md).
#[derive(Debug, Parser)]
#[command(name = "nodesys-repository", version, max_term_width = 100)]
#[command(after_help = "\
Example, of a first release (three people hold root keys, two of them sign):
  nodesys-repository key new anna.key            # each on her own machine; likewise for the others
  nodesys-repository root make --root anna.key.pub --root bob.key.pub --root carl.key.pub \\
      --threshold 2 --targets targets.key.pub --snapshot online.key.pub \\
      --timestamp online.key.pub --out root.json
  nodesys-repository root sign root.json --key anna.key
  nodesys-repository root sign root.json --key bob.key
  nodesys-repository root publish ./updates root.json
  nodesys-repository release add ./updates --version 0.2.0 --platform x86_64-linux \\
      --program nodesys=nodesys --program nodesys-update=nodesys-update --key targets.key
  nodesys-repository publish ./updates --snapshot-key online.key --timestamp-key online.key")]
struct Cli {
    /// The time to sign by, in seconds since 1970 [default: now].
    #[arg(long, global = true, value_name = "SECS")]
    now_secs: Option<u64>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Roots: the keys of the repository and their roles.
    #[command(subcommand)]
    Root(RootCommand),
    /// The list of releases, signed by the targets' key.
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// Sign the newest list with the online keys. Run it after each change and every day.
    Publish {
        /// The repository's folder.
        folder: PathBuf,
        /// The snapshot's key.
        #[arg(long, value_name = "FILE")]
        snapshot_key: PathBuf,
        /// The timestamp's key.
        #[arg(long, value_name = "FILE")]
        timestamp_key: PathBuf,
        /// Days until the snapshot expires.
        #[arg(long, default_value_t = 30)]
        snapshot_days: u32,
        /// Days until the timestamp expires: the longest time that a mirror can hold a release back.
        #[arg(long, default_value_t = 3)]
        timestamp_days: u32,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make FILE, private, and FILE.pub (Ed25519).
    New {
        /// The private key's file.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum RootCommand {
    /// Make an unsigned root.
    Make {
        /// Public keys of the root.
        #[arg(long, value_name = "FILE.pub", required = true)]
        root: Vec<PathBuf>,
        /// How many of them must sign.
        #[arg(long, default_value = "2")]
        threshold: NonZeroU64,
        /// Public keys of the targets; one must sign.
        #[arg(long, value_name = "FILE.pub", required = true)]
        targets: Vec<PathBuf>,
        /// Public keys of the snapshot; one must sign.
        #[arg(long, value_name = "FILE.pub", required = true)]
        snapshot: Vec<PathBuf>,
        /// Public keys of the timestamp; one must sign.
        #[arg(long, value_name = "FILE.pub", required = true)]
        timestamp: Vec<PathBuf>,
        /// The previous root, to rotate keys.
        #[arg(long, value_name = "FILE")]
        previous: Option<PathBuf>,
        /// Days until the root expires.
        #[arg(long, default_value_t = 365)]
        days: u32,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Add one signature to a root.
    Sign {
        /// The root.
        file: PathBuf,
        /// The key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Publish a root that enough keys have signed.
    Publish {
        /// The repository's folder.
        folder: PathBuf,
        /// The root.
        file: PathBuf,
    },
}

/// Which release, and by whose key.
#[derive(Debug, Args)]
struct Which {
    /// The repository's folder.
    folder: PathBuf,
    /// The release's version.
    #[arg(long)]
    version: Version,
    /// The targets' key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Days until the list expires.
    #[arg(long, default_value_t = 90)]
    days: u32,
}

#[derive(Debug, Subcommand)]
enum ReleaseCommand {
    /// Add a release with its files for one platform; run it again for another.
    Add {
        #[command(flatten)]
        which: Which,
        /// Platform of the files, such as x86_64-linux.
        #[arg(long)]
        platform: Platform,
        /// A program: nodesys=FILE, and nodesys-update=FILE.
        #[arg(long, value_name = "NAME=FILE", value_parser = program, required = true)]
        program: Vec<(Program, PathBuf)>,
        /// The manager's image by digest.
        #[arg(long, value_name = "IMAGE")]
        manager_image: Option<Image>,
        /// The manager's image as an archive, for clusters it is loaded into.
        #[arg(long, value_name = "FILE", requires = "manager_image")]
        manager_archive: Option<PathBuf>,
        /// Percent of nodes that may have it at first.
        #[arg(long, default_value_t = 100.0, value_name = "PERCENT")]
        cursor: f64,
        /// Updates must not skip this release.
        #[arg(long)]
        required_stop: bool,
        /// The release's notes.
        #[arg(long, value_name = "FILE")]
        notes: Option<PathBuf>,
    },
    /// Let more nodes have a release.
    Cursor {
        #[command(flatten)]
        which: Which,
        /// Percent of nodes that may have it.
        #[arg(long, value_name = "PERCENT")]
        cursor: f64,
    },
    /// Take a release off the list.
    Withdraw {
        #[command(flatten)]
        which: Which,
    },
}

fn program(text: &str) -> Result<(Program, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("expected NAME=FILE")?;
    Ok((name.parse()?, file.into()))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the range checked")]
fn ppm(percent: f64) -> Result<u32, Problem> {
    if (0.0..=100.0).contains(&percent) {
        Ok((percent * f64::from(CURSOR_ALL) / 100.0).round() as u32)
    } else {
        Err(Problem::Usage(format!("a cursor is 0 to 100 percent, not {percent}")))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await.and_then(|text| tell(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("nodesys-repository: {}", lines(&problem.to_string()));
            problem.code().into()
        }
    }
}

async fn run(cli: Cli) -> Result<String, Problem> {
    let now = cli.now_secs.map_or_else(|| Clock::system().now(), Timestamp::from_secs);
    match cli.command {
        Command::Key(KeyCommand::New { file }) => {
            let public = create(&file)?;
            Ok(format!("made {} (private) and {}", file.display(), public.display()))
        }
        Command::Root(command) => of_root(command, now).await,
        Command::Release(command) => release(command, now).await,
        Command::Publish { folder, snapshot_key, timestamp_key, snapshot_days, timestamp_days } => {
            let keys = (&SigningKey::read(&snapshot_key)?, &SigningKey::read(&timestamp_key)?);
            let days = Days { snapshot: snapshot_days, timestamp: timestamp_days };
            let published = publish(&Folder::new(folder), keys, now, days).await?;
            serde_json::to_string(&published).map_err(|error| Problem::Here(error.to_string()))
        }
    }
}

async fn of_root(command: RootCommand, now: Timestamp) -> Result<String, Problem> {
    match command {
        RootCommand::Make {
            root: of_root,
            threshold,
            targets,
            snapshot,
            timestamp,
            previous,
            days,
            out,
        } => {
            let all = |files: &[PathBuf]| {
                files.iter().map(|file| read_public(file)).collect::<Result<Vec<Key>, Problem>>()
            };
            let keys = root::Keys {
                root: all(&of_root)?,
                root_threshold: threshold,
                targets: all(&targets)?,
                snapshot: all(&snapshot)?,
                timestamp: all(&timestamp)?,
            };
            let previous = previous.map(|path| root::read(&path)).transpose()?;
            let made = root::make(&keys, previous.as_ref(), now, days)?;
            write(&out, &made)?;
            Ok(format!(
                "{} is root {}, unsigned: {threshold} of its root keys must sign it{}",
                out.display(),
                made.signed.version,
                if previous.is_some() { ", and enough of the root before" } else { "" }
            ))
        }
        RootCommand::Sign { file, key } => {
            let mut signed = root::read(&file)?;
            root::sign(&mut signed, &SigningKey::read(&key)?).await?;
            write(&file, &signed)?;
            let (own, needed, others) = root::count(&signed);
            let others = match others {
                0 => String::new(),
                count => format!("; {count} by keys that are not among them, for the root before"),
            };
            let file = file.display();
            Ok(format!("{file} has {own} of the {needed} signatures by its own keys{others}"))
        }
        RootCommand::Publish { folder, file } => {
            let signed = root::read(&file)?;
            root::publish(&Folder::new(&folder), &signed)?;
            Ok(format!("root {} is up in {}", signed.signed.version, folder.display()))
        }
    }
}

async fn release(command: ReleaseCommand, now: Timestamp) -> Result<String, Problem> {
    let (which, done) = match &command {
        ReleaseCommand::Add { which, .. } => (which, "is listed"),
        ReleaseCommand::Cursor { which, .. } => (which, "has its cursor moved"),
        ReleaseCommand::Withdraw { which } => (which, "is withdrawn"),
    };
    let folder = Folder::new(&which.folder);
    let mut list = List::open(&folder, now, which.days)?;
    let version = &which.version;
    match &command {
        ReleaseCommand::Add {
            platform,
            program,
            manager_image,
            manager_archive,
            cursor,
            required_stop,
            notes,
            ..
        } => {
            for wanted in Program::ALL {
                if program.iter().filter(|(given, _)| *given == wanted).count() != 1 {
                    let words = format!("give --program {wanted}=FILE once: a release has it");
                    return Err(Problem::Usage(words));
                }
            }
            // Of the other platforms' files, what holds is said once.
            if list.terms(version).is_err() {
                let terms = ReleaseTerms {
                    version: version.clone(),
                    seed: seed()?,
                    cursor_ppm: ppm(*cursor)?,
                    required_stop: *required_stop,
                    manager_image: manager_image.clone(),
                };
                list.set_release(terms, notes.as_deref()).await?;
            }
            let files = Files {
                platform: platform.clone(),
                programs: program.clone(),
                manager_archive: manager_archive.clone(),
            };
            list.add_files(version, &files).await?;
        }
        ReleaseCommand::Cursor { cursor, .. } => list.set_cursor(version, ppm(*cursor)?)?,
        ReleaseCommand::Withdraw { .. } => list.withdraw(version)?,
    }
    let key = SigningKey::read(&which.key)?;
    let signed = list.sign(&key).await?;
    Ok(format!("{version} {done} in targets {signed}; nodes see it once it is published"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_line_of_the_page_is_one() {
        Cli::command().debug_assert();
        let page = include_str!("../../../../docs/updates.md");
        let told: Vec<&str> =
            page.lines().filter(|line| line.starts_with("nodesys-repository ")).collect();
        assert!(told.len() > 12, "{told:?}");
        for line in told {
            if let Err(error) = Cli::try_parse_from(line.split_whitespace()) {
                panic!("docs/updates.md: {line}: {error}");
            }
        }
    }

    #[test]
    fn every_help_is_as_committed() {
        fn each(command: &mut clap::Command, name: &str) {
            insta::assert_snapshot!(name, command.render_long_help());
            for verb in command.get_subcommands_mut().filter(|verb| verb.get_name() != "help") {
                let name = format!("{name}-{}", verb.get_name());
                each(verb, &name);
            }
        }
        let mut root = Cli::command().term_width(100);
        root.build();
        each(&mut root, "repository");
    }

    #[test]
    fn a_cursor_is_a_part_of_a_million() {
        assert_eq!(ppm(0.0).unwrap(), 0);
        assert_eq!(ppm(12.5).unwrap(), 125_000);
        assert_eq!(ppm(100.0).unwrap(), CURSOR_ALL);
        for bad in [-1.0, 100.1, f64::NAN] {
            assert_eq!(ppm(bad).unwrap_err().code(), 2);
        }
    }
}
