//! Having a file by its hash: from the first place that gives it, going on where an earlier run
//! ended.
//!
//! A part lies beside its goal as `NAME.part` and is never used. Only bytes with the pinned size and
//! hash get the file's own name; a whole file with another hash is put aside as `NAME.refused`, so
//! that nobody goes on from it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, RANGE};

use crate::download::hash::hash_of;
use crate::download::pin::PinnedFile;
use crate::exit::Exit;
use crate::system::pause;

const CONNECT: Duration = Duration::from_secs(15);

/// How long a server may be silent in the middle of a file.
const SILENCE: Duration = Duration::from_secs(30);

/// How often a place is tried again that gave nothing new.
const TRIES: u32 = 3;

/// Left free on the disk, beside the file.
const SPARE_BYTES: u64 = 64 << 20;

/// Has the file at `goal`; what is there already is checked and not fetched again.
pub(crate) async fn fetch_file(
    file: &PinnedFile,
    goal: &Path,
    shown: &str,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    if goal.exists() {
        if hash_of(goal)? == file.sha256 {
            return Ok(());
        }
        put_aside(goal)?;
    }
    let part = with_suffix(goal, ".part");
    room_for(file, &part)?;
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .build()
        .context("the client for downloads")?;
    let mut problems = Vec::new();
    for url in &file.urls {
        match from(&client, url, file, &part, bar).await? {
            Ok(()) => {}
            Err(problem) => {
                problems.push(format!("\n  - {}: {problem}", place(url)));
                continue;
            }
        }
        let found = hash_of(&part)?;
        if found == file.sha256 {
            std::fs::rename(&part, goal)
                .with_context(|| format!("cannot make {}", goal.display()))?;
            return Ok(());
        }
        let aside = put_aside(&part)?;
        problems.push(format!(
            "\n  - {}: its SHA-256 is {found}, not the pinned {}; it is put aside as {}",
            place(url),
            file.sha256,
            aside.display()
        ));
    }
    Err(Exit::Network.because(format!(
        "{shown} cannot be downloaded from any place:{}\n  run it again to resume the download; k3s may have \
         other places in its pin, or come with --bundle FILE",
        problems.concat()
    )))
}

/// Has the rest of the file from one place; the inner error is that place's.
async fn from(
    client: &reqwest::Client,
    url: &reqwest::Url,
    file: &PinnedFile,
    part: &Path,
    bar: &ProgressBar,
) -> anyhow::Result<Result<(), String>> {
    let mut tries = 0;
    loop {
        let before = length(part);
        if before == file.size {
            return Ok(Ok(()));
        }
        let problem = match once(client, url, file, part, bar).await? {
            Ok(()) => continue,
            Err(problem) => problem,
        };
        tries = if length(part) > before { 0 } else { tries + 1 };
        if tries >= TRIES || problem.last {
            return Ok(Err(problem.words));
        }
        pause(500 * u64::from(tries)).await;
    }
}

/// A failure of a place.
struct Problem {
    words: String,
    /// Whether asking again would give the same.
    last: bool,
}

impl Problem {
    fn last(words: impl Into<String>) -> Self {
        Self { words: words.into(), last: true }
    }

    fn passing(error: reqwest::Error) -> Self {
        let error = anyhow::Error::from(error.without_url());
        Self { words: format!("it breaks off: {:#}", error.root_cause()), last: false }
    }
}

/// One request; a failure to write here is the outer error.
async fn once(
    client: &reqwest::Client,
    url: &reqwest::Url,
    file: &PinnedFile,
    part: &Path,
    bar: &ProgressBar,
) -> anyhow::Result<Result<(), Problem>> {
    let mut have = length(part);
    if have > file.size {
        std::fs::remove_file(part).with_context(|| cannot_write(part))?;
        have = 0;
    }
    let (answer, resumes) = match ask(client, url, file, part, have).await? {
        Ok(answer) => answer,
        Err(problem) => return Ok(Err(problem)),
    };
    let from = if resumes { have } else { 0 };
    let left = file.size - from;
    if let Some(length) = answer.content_length().filter(|length| *length != left) {
        return Ok(Err(Problem::last(format!("it has {length} bytes, and {left} are expected"))));
    }
    store(answer, file, part, from, bar).await
}

/// Asks for the rest of the file after `have` bytes; the answer, and whether it begins there.
async fn ask(
    client: &reqwest::Client,
    url: &reqwest::Url,
    file: &PinnedFile,
    part: &Path,
    have: u64,
) -> anyhow::Result<Result<(reqwest::Response, bool), Problem>> {
    let mut request = client.get(url.clone());
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(Problem::passing(error))),
    };
    Ok(match answer.status() {
        StatusCode::OK => Ok((answer, false)),
        StatusCode::PARTIAL_CONTENT if have > 0 => {
            let range = answer.headers().get(CONTENT_RANGE).and_then(|it| it.to_str().ok());
            let expected = format!("bytes {have}-{}/{}", file.size - 1, file.size);
            if range == Some(expected.as_str()) {
                Ok((answer, true))
            } else {
                let words = format!("it answers with the range {range:?}, not {expected}");
                Err(Problem::last(words))
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            // Another file than the one begun with.
            std::fs::remove_file(part).with_context(|| cannot_write(part))?;
            let words = "it has another file than the part that is here";
            Err(Problem { words: words.to_owned(), last: false })
        }
        status => {
            Err(Problem { words: format!("it answers {status}"), last: !status.is_server_error() })
        }
    })
}

/// Writes an answer's bytes into the part, from a byte of it on.
async fn store(
    answer: reqwest::Response,
    file: &PinnedFile,
    part: &Path,
    from: u64,
    bar: &ProgressBar,
) -> anyhow::Result<Result<(), Problem>> {
    let cannot = || cannot_write(part);
    let mut options = File::options();
    options.create(true);
    if from > 0 {
        options.append(true)
    } else {
        options.write(true).truncate(true)
    };
    let mut to = options.open(part).with_context(cannot)?;
    let mut written = from;
    let mut body = answer.bytes_stream();
    let ended = loop {
        bar.set_position(written);
        match body.next().await {
            None if written == file.size => break Ok(()),
            None => {
                let words = format!("it ends after {written} of {} bytes", file.size);
                break Err(Problem { words, last: false });
            }
            Some(Err(error)) => break Err(Problem::passing(error)),
            Some(Ok(bytes)) => {
                written += bytes.len() as u64;
                if written > file.size {
                    break Err(Problem::last(format!("it gives more than {} bytes", file.size)));
                }
                to.write_all(&bytes).with_context(cannot)?;
            }
        }
    };
    to.sync_all().with_context(cannot)?;
    drop(to);
    if written > file.size {
        std::fs::remove_file(part).with_context(cannot)?;
    }
    Ok(ended)
}

fn cannot_write(part: &Path) -> String {
    format!("cannot write {}", part.display())
}

fn put_aside(path: &Path) -> anyhow::Result<PathBuf> {
    let plain = path.with_extension("");
    let base = if path.extension().is_some_and(|it| it == "part") { &plain } else { path };
    let aside = with_suffix(base, ".refused");
    std::fs::rename(path, &aside).with_context(|| format!("cannot make {}", aside.display()))?;
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn length(part: &Path) -> u64 {
    std::fs::metadata(part).map_or(0, |it| it.len())
}

/// Not begun where it will not fit.
fn room_for(file: &PinnedFile, part: &Path) -> anyhow::Result<()> {
    let folder = part.parent().unwrap_or(Path::new("/"));
    let disk = rustix::fs::statvfs(folder).with_context(|| format!("{}", folder.display()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = file.size.saturating_sub(length(part)) + SPARE_BYTES;
    if free < needed {
        return Err(Exit::Failure.because(format!(
            "the disk of {} has {} MiB free, and {} MiB are needed: free some, and run it again",
            folder.display(),
            free >> 20,
            needed >> 20
        )));
    }
    Ok(())
}

/// A place for people: what stands behind the host may be a secret.
fn place(url: &reqwest::Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}
