//! The places where a project's bundles are published.

use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::keccak256;
use nodesys_core::bundle::{BUNDLE_JSON, Bundle, PreviousDay};
use nodesys_core::files::{RewardRow, Row, first_difference, parse_file};
use nodesys_core::message::Message as _;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256};

use super::error::{PassedOver, Reason, StoreError};
use super::files::commit_of;
use super::repair::{repair, spelling};
use super::store::BundleStore;
use crate::client::{self, Client};

/// One place of bundles.
#[derive(Debug, Clone)]
pub enum BundleSource {
    /// A folder.
    Folder(BundleStore),
    /// A backend, a master, or any server with their `/v1/bundles` route.
    Server(Box<Client>),
}

impl BundleSource {
    /// A URL (`http://`, `https://`), or else a folder.
    ///
    /// # Errors
    ///
    /// [`StoreError::Server`] where the URL cannot be used. Whether anything is there is not looked at.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        if text.starts_with("http://") || text.starts_with("https://") {
            Ok(Self::Server(Box::new(Client::new(text)?)))
        } else {
            Ok(Self::Folder(BundleStore::new(text)))
        }
    }

    /// One file of a day as it is there, whatever its bytes; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] of a folder, [`StoreError::Server`] of a server that refuses or does not answer.
    pub async fn file(
        &self,
        project: Address,
        day: UtcDay,
        file: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Folder(store) => store.file(project, day, file),
            Self::Server(client) => match client.bundle_file(project, day, file).await {
                Ok(bytes) => Ok(Some(bytes.to_vec())),
                Err(client::Error::Problem(problem)) if problem.status == 404 => Ok(None),
                // A plain file server.
                Err(client::Error::BadAnswer { status: 404, .. }) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// The folder or server, for words.
    pub fn place(&self) -> String {
        match self {
            Self::Folder(store) => store.root().display().to_string(),
            Self::Server(client) => client.base().to_string(),
        }
    }
}

/// A file by its committed hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The committed bytes; `None` where no place gave them.
    pub bytes: Option<Vec<u8>>,
    /// The places that did not, each with what is wrong with it.
    pub passed_over: Vec<PassedOver>,
}

/// The places of a project's bundles, asked in their order.
///
/// One that did not answer is not asked again until [`Places::fresh`]: a slow place then costs one
/// wait, not one for each file.
#[derive(Debug, Clone, Default)]
pub struct Places {
    sources: Vec<BundleSource>,
    /// What was wrong with those that did not answer, by their place in `sources`.
    unavailable: Arc<Mutex<Vec<Option<String>>>>,
}

impl From<BundleSource> for Places {
    fn from(only: BundleSource) -> Self {
        Self::new(vec![only])
    }
}

impl Places {
    /// These places, in the order in which they are asked.
    pub fn new(sources: Vec<BundleSource>) -> Self {
        let unavailable = Arc::new(Mutex::new(vec![None; sources.len()]));
        Self { sources, unavailable }
    }

    /// The places.
    pub fn sources(&self) -> &[BundleSource] {
        &self.sources
    }

    /// All of them, for words.
    pub fn place(&self) -> String {
        self.sources.iter().map(BundleSource::place).collect::<Vec<_>>().join(" or ")
    }

    /// The same places, with those that did not answer asked again.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self::new(self.sources.clone())
    }

    /// A file of a day by the keccak256 that was committed, from the first place that gives those
    /// bytes. Where none does, bytes whose change can be undone serve too: the hash proves them.
    pub async fn committed(
        &self,
        project: Address,
        day: UtcDay,
        file: &str,
        expected: B256,
    ) -> Fetched {
        self.fetch(project, day, file, Some(expected), |bytes| keccak256(bytes) == expected).await
    }

    /// The `bundle.json` that leads to a commit; where the chain names none yet, any that is a bundle.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] with what each place gave instead.
    pub async fn bundle_of(
        &self,
        project: Address,
        day: UtcDay,
        commit: Option<B256>,
    ) -> Result<(Bundle, Vec<u8>), StoreError> {
        let leads = |bytes: &[u8]| match (Bundle::parse(bytes), commit) {
            (Ok(bundle), Some(commit)) => commit_of(&bundle, bytes).struct_hash() == commit,
            (Ok(_), None) => true,
            (Err(_), _) => false,
        };
        let fetched = self.fetch(project, day, BUNDLE_JSON, None, leads).await;
        let bytes = self.needed(day, BUNDLE_JSON, fetched)?;
        let bundle = Bundle::parse(&bytes).map_err(|error| StoreError::Bad {
            place: self.place(),
            day,
            problem: error.to_string(),
        })?;
        Ok((bundle, bytes))
    }

    /// What the day after builds on: amounts, remainder and commit of `day`, as `commit` has them; where
    /// the chain names none yet, as any bundle has.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] with what each place gave instead, [`StoreError::Bad`] where the bundle names
    /// no `rewards.csv`, or its rows cannot be read.
    pub async fn after(
        &self,
        project: Address,
        day: UtcDay,
        commit: Option<B256>,
    ) -> Result<(Bundle, PreviousDay), StoreError> {
        let (bundle, json) = self.bundle_of(project, day, commit).await?;
        let bad = |problem: String| StoreError::Bad { place: self.place(), day, problem };
        let name = RewardRow::FILE;
        let &expected = bundle
            .files
            .get(name)
            .ok_or_else(|| bad(format!("{BUNDLE_JSON} names no hash of {name}")))?;
        let fetched = self.committed(project, day, name, expected).await;
        let rewards = self.needed(day, name, fetched)?;
        let rewards = parse_file::<RewardRow>(&rewards).map_err(|error| bad(error.to_string()))?;
        let (commit, carry) = (commit_of(&bundle, &json).struct_hash(), bundle.carry_out);
        Ok((bundle, PreviousDay { commit, rewards, carry }))
    }

    /// The bytes, or an error that says what each place gave instead.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] where there are no bytes.
    pub fn needed(&self, day: UtcDay, file: &str, fetched: Fetched) -> Result<Vec<u8>, StoreError> {
        let Fetched { bytes, passed_over } = fetched;
        let missing =
            || StoreError::Missing { place: self.place(), file: file.to_owned(), day, passed_over };
        bytes.ok_or_else(missing)
    }

    async fn fetch(
        &self,
        project: Address,
        day: UtcDay,
        file: &str,
        expected: Option<B256>,
        accept: impl Fn(&[u8]) -> bool,
    ) -> Fetched {
        let mut fetched = Fetched::default();
        // Bytes that are not the committed ones, by the place that gave them.
        let mut altered: Vec<(usize, Vec<u8>)> = Vec::new();
        for (i, source) in self.sources.iter().enumerate() {
            let known = self.problem_of(i);
            let answer = match known {
                Some(problem) => Err(problem),
                None => source.file(project, day, file).await.map_err(|error| {
                    let problem = error.to_string();
                    self.set_aside(i, &problem);
                    problem
                }),
            };
            let (reason, problem) = match answer {
                Ok(Some(bytes)) if accept(&bytes) => {
                    fetched.bytes = Some(bytes);
                    break;
                }
                Ok(Some(bytes)) => {
                    altered.push((fetched.passed_over.len(), bytes));
                    (Reason::Altered, String::new())
                }
                Ok(None) => (Reason::Missing, "there is no such file".to_owned()),
                Err(problem) => (Reason::Unavailable, problem),
            };
            let (place, file) = (source.place(), file.to_owned());
            fetched.passed_over.push(PassedOver { place, day, file, reason, problem });
        }
        if let (None, Some(expected)) = (&fetched.bytes, expected) {
            // Last, since it is work: a careless copy with CRLF, or a byte that was changed.
            fetched.bytes = altered.iter().find_map(|(_, given)| repair(file, given, expected));
        }
        for (at, given) in altered {
            fetched.passed_over[at].problem =
                what_is_wrong(file, &given, fetched.bytes.as_deref(), expected);
        }
        fetched
    }

    fn problem_of(&self, i: usize) -> Option<String> {
        // What it guards is whole at any moment, so a panic elsewhere spoils nothing.
        let unavailable = self.unavailable.lock().unwrap_or_else(PoisonError::into_inner);
        unavailable.get(i).cloned().flatten()
    }

    fn set_aside(&self, i: usize, problem: &str) {
        let mut unavailable = self.unavailable.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = unavailable.get_mut(i) {
            *place = Some(problem.to_owned());
        }
    }
}

/// How given bytes differ from the committed ones, as far as those are known.
fn what_is_wrong(
    file: &str,
    given: &[u8],
    committed: Option<&[u8]>,
    expected: Option<B256>,
) -> String {
    if let Some(committed) = committed {
        if let Some(spelling) = spelling(given, committed) {
            return format!("{spelling}; it is not the file as it was committed");
        }
        return match first_difference(file, given, committed) {
            Some(difference) if file != BUNDLE_JSON => format!(
                "it was changed after it was committed: line {}: given {}, committed {}",
                difference.line,
                difference.given.as_deref().unwrap_or("nothing"),
                difference.computed.as_deref().unwrap_or("nothing")
            ),
            _ => "it was changed after it was committed".to_owned(),
        };
    }
    let found = keccak256(given);
    match expected {
        Some(expected) => format!("its keccak256 is {found}, {expected} was committed"),
        None => format!("its keccak256 is {found}, and it leads to another commit"),
    }
}
