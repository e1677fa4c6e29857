//! A day's computation, from the backend's own uptime, the chain's holders and an upload. It runs
//! once for the upload, its commit and all requests for its rewards.

use std::sync::Arc;

use anyhow::Context;
use nodesys_chain::BlockRef;
use nodesys_chain::project::DistributorState;
use nodesys_core::bundle::{
    BundleError, DayBundle, DayInput, Format, PreviousDay, ProjectInfo, Snapshot, Terms, build_day,
    canonical_json,
};
use nodesys_core::files::{
    PointsRow, RewardRow, Row, UptimeRow, first_difference, parse_file, write_file,
};
use nodesys_core::holders::DayHolders;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::message::{Message, PointsUpload};
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::UtcDay;
use nodesys_core::{Address, B256, keccak256};
use sqlx::PgConnection;

use crate::db::commit::CommitRow;
use crate::db::points::UploadRow;
use crate::db::project::ProjectRow;
use crate::error::{ApiError, ApiResult};
use crate::state::App;
use crate::{chain, db};

/// An uploaded points file with its terms.
pub(crate) struct Upload {
    terms: Terms,
    points: Vec<PointsRow>,
    /// The bytes it was parsed from.
    pub(crate) row: UploadRow,
}

impl Upload {
    /// Parses terms and points, away from other requests: a large file takes a second. If the file
    /// was announced by its hash, it must be that one.
    pub(crate) async fn read(
        terms: Vec<u8>,
        csv: Vec<u8>,
        signature: WalletSignature,
        announced: Option<B256>,
    ) -> ApiResult<Self> {
        let reading = tokio::task::spawn_blocking(move || {
            if announced.is_some_and(|announced| announced != keccak256(&csv)) {
                return Err(ApiError::points_invalid("the body is not the file of points_hash"));
            }
            Self::parse(terms, csv, &signature)
        });
        reading.await.context("reading an upload")?
    }

    fn parse(terms: Vec<u8>, csv: Vec<u8>, signature: &WalletSignature) -> ApiResult<Self> {
        let parsed: Terms = serde_json::from_slice(&terms)
            .map_err(|error| ApiError::bad_request(format!("terms: {error}")))?;
        if canonical_json(&parsed) != terms {
            return Err(ApiError::bad_request("terms: not RFC 8785 canonical JSON"));
        }
        let points = parse_file(&csv).map_err(ApiError::points_invalid)?;
        let row = UploadRow { terms, csv, signature: signature.as_bytes().to_vec() };
        Ok(Self { terms: parsed, points, row })
    }

    /// The last upload of a day.
    pub(crate) async fn stored(
        app: &App,
        project: &ProjectRow,
        day: UtcDay,
    ) -> ApiResult<Option<Self>> {
        let mut conn = app.pool.acquire().await?;
        let row = db::points::of_day(&mut conn, project.project, day).await?;
        let Some(row) = row else { return Ok(None) };
        let signature = WalletSignature::new(row.signature.into())
            .ok_or_else(|| anyhow::anyhow!("a stored signature is too long"))?;
        Self::read(row.terms, row.csv, signature, None).await.map(Some)
    }

    /// The message that the reward signer signs.
    pub(crate) fn message(&self, day: UtcDay) -> PointsUpload {
        PointsUpload {
            epoch: day.epoch(),
            points_hash: keccak256(&self.row.csv),
            terms_hash: keccak256(&self.row.terms),
        }
    }
}

/// A day's inputs besides its upload and its closed uptime.
struct Basis {
    /// The previous day's commit; none on the project's first day.
    previous: Option<CommitRow>,
    distributor: DistributorState,
    snapshot: BlockRef,
}

impl Basis {
    /// Reads them. No database connection is held during calls to the chain.
    async fn read(
        app: &App,
        project: &ProjectRow,
        day: UtcDay,
        distributor: impl Future<Output = ApiResult<DistributorState>>,
    ) -> ApiResult<Self> {
        let mut conn = app.pool.acquire().await?;
        if !db::day::has_file(&mut conn, project.project, day).await? {
            return Err(not_closed(project, day));
        }
        let previous = previous(&mut conn, project, day).await?;
        drop(conn);
        let distributor = distributor.await?;
        let snapshot = snapshot(app, day).await?;
        Ok(Self { previous, distributor, snapshot })
    }

    /// Equal keys mean equal days, byte for byte: a closed day, a commit and a final block do not
    /// change.
    fn key(&self, project: &ProjectRow, upload: &PointsUpload) -> B256 {
        let previous = self.previous.as_ref().map(|row| row.commit.struct_hash());
        let previous = previous.unwrap_or_default();
        let quota = self.distributor.daily_quota.to_string();
        let parts: [&[u8]; 8] = [
            project.project.as_slice(),
            &upload.epoch.to_be_bytes(),
            upload.points_hash.as_slice(),
            upload.terms_hash.as_slice(),
            previous.as_slice(),
            &self.distributor.revision.to_be_bytes(),
            self.snapshot.hash.as_slice(),
            quota.as_bytes(),
        ];
        keccak256(parts.concat())
    }
}

/// An upload's day, from memory or computed now.
pub(crate) async fn compute(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
    upload: &Upload,
) -> ApiResult<Arc<DayBundle>> {
    let distributor = chain::distributor(&app.chain, project.project);
    let basis = Basis::read(app, project, day, distributor).await?;
    let key = basis.key(project, &upload.message(day));
    app.live.days.get_or_compute(key, build(app, project, day, upload, basis)).await
}

/// The day of the upload stored last, and its key; `None` without one. What strangers' requests cost
/// does not grow with their number: the upload is read once, and the chain once in a moment.
pub(crate) async fn compute_stored(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
) -> ApiResult<Option<(B256, Arc<DayBundle>)>> {
    let uploaded = {
        let mut conn = app.pool.acquire().await?;
        db::points::uploaded_at(&mut conn, project.project, day).await?
    };
    let Some(uploaded) = uploaded else { return Ok(None) };
    let _turn = app.live.reading.wait(project.project).await;
    let mut upload = None;
    let message = match app.live.uploads.get(project.project, day, uploaded) {
        Some(message) => message,
        None => {
            let Some(stored) = Upload::stored(app, project, day).await? else { return Ok(None) };
            let message = stored.message(day);
            app.live.uploads.read(project.project, day, uploaded, message.clone());
            upload = Some(stored);
            message
        }
    };
    let distributor = chain::recent_distributor(app, project.project);
    let basis = Basis::read(app, project, day, distributor).await?;
    let key = basis.key(project, &message);
    let compute = async {
        let stored = match upload {
            Some(upload) => Some(upload),
            None => Upload::stored(app, project, day).await?,
        };
        let stored = stored.filter(|stored| stored.message(day) == message);
        let stored =
            stored.ok_or_else(|| ApiError::busy("other points were uploaded meanwhile"))?;
        build(app, project, day, &stored, basis).await
    };
    let built = app.live.days.get_or_compute(key, compute).await?;
    Ok(Some((key, built)))
}

/// The day's snapshot block. It is final, so it is looked for once.
pub(crate) async fn snapshot(app: &App, day: UtcDay) -> ApiResult<BlockRef> {
    if let Some(known) = app.live.chain.snapshot(day) {
        return Ok(known);
    }
    let found = app.chain.first_block_at_or_after(day.end().secs(), app.final_depth).await?;
    let found = found.ok_or_else(|| {
        ApiError::day_open(format!("no block past the end of {day} is final yet: try later"))
    })?;
    app.live.chain.found_snapshot(day, found);
    Ok(found)
}

async fn build(
    app: &App,
    project: &ProjectRow,
    day: UtcDay,
    upload: &Upload,
    basis: Basis,
) -> ApiResult<DayBundle> {
    let Basis { previous, distributor, snapshot } = basis;
    let mut conn = app.pool.acquire().await?;
    let closed = db::day::closed_uptime(&mut conn, project.project, day)
        .await?
        .ok_or_else(|| not_closed(project, day))?;
    let csv = db::day::uptime_csv(&mut conn, project.project, day).await?;
    let csv = csv.ok_or_else(|| not_closed(project, day))?;
    let before = before(&mut conn, previous).await?;
    let parsing = tokio::task::spawn_blocking(move || parse_file::<UptimeRow>(&csv));
    let uptime = parsing.await.context("reading uptime.csv")?.map_err(anyhow::Error::from)?;
    let registry = app.domain.verifying_contract();
    all_passed(&mut conn, project.project, registry, day, snapshot.number).await?;
    let holders = holders(&mut conn, &uptime, snapshot.number, snapshot.secs).await?;
    drop(conn);
    let input = DayInput {
        project: ProjectInfo {
            chain_id: app.domain.chain_id(),
            registry: app.domain.verifying_contract(),
            distributor: project.project,
            name: project.name.clone(),
        },
        day,
        format: Format::NEWEST,
        revision: distributor.revision,
        daily_quota: distributor.daily_quota,
        terms: upload.terms.clone(),
        snapshot: Snapshot {
            block_number: snapshot.number,
            block_hash: snapshot.hash,
            block_secs: snapshot.secs,
        },
        closed,
        uptime,
        holders,
        points: upload.points.clone(),
        before,
    };
    // A million licenses take a while, in which other requests go on.
    let building = tokio::task::spawn_blocking(move || {
        build_day(&input).map_err(|error| match error {
            BundleError::UptimeHash { .. } => ApiError::from(anyhow::Error::from(error)),
            error => problem(&error, &input),
        })
    });
    building.await.context("building a day")?
}

fn not_closed(project: &ProjectRow, day: UtcDay) -> ApiError {
    ApiError::day_open(format!("{day} is not closed, or {} did not exist", project.name))
}

/// The previous day's commit, which must exist except on the project's first day.
async fn previous(
    conn: &mut PgConnection,
    project: &ProjectRow,
    day: UtcDay,
) -> ApiResult<Option<CommitRow>> {
    if day == project.first_day {
        return Ok(None);
    }
    let previous = day.previous().filter(|previous| *previous >= project.first_day);
    let previous = previous.ok_or_else(|| {
        ApiError::out_of_order(format!("{} began on {}", project.name, project.first_day))
    })?;
    let commit = db::commit::accepted(conn, project.project, previous).await?;
    if commit.is_none() {
        return Err(ApiError::out_of_order(format!(
            "{previous} has no commit yet, and days follow one another"
        )));
    }
    Ok(commit)
}

/// The commit that the day builds on.
async fn before(conn: &mut PgConnection, previous: Option<CommitRow>) -> ApiResult<PreviousDay> {
    let Some(previous) = previous else { return Ok(PreviousDay::default()) };
    let commit = previous.commit.struct_hash();
    let rewards = db::commit::file(conn, previous.project, commit, RewardRow::FILE)
        .await?
        .with_context(|| format!("commit {commit} has no rewards.csv"))?;
    let parsing = tokio::task::spawn_blocking(move || parse_file(&rewards));
    let rewards = parsing.await.context("reading rewards.csv")?.map_err(anyhow::Error::from)?;
    Ok(PreviousDay { commit, rewards, carry: previous.carry_out })
}

/// Refuses while the mirror has not passed the snapshot block in all that the project's day depends on:
/// what a source has not said yet would be missing for good.
async fn all_passed(
    conn: &mut PgConnection,
    project: Address,
    registry: Address,
    day: UtcDay,
    block: u64,
) -> ApiResult<()> {
    let behind = db::mirror_source::behind(conn, project, registry, day, block).await?;
    let Some(first) = behind.first() else { return Ok(()) };
    let (kind, address) = (first.kind.as_str(), first.address);
    Err(ApiError::chain_unavailable(match first.since {
        Some(since) => format!(
            "the chain's logs of {kind} {address} have not been readable since {since}: the day waits for \
             them, and they are tried again by themselves"
        ),
        None => format!(
            "the license mirror has not reached block {block} of {kind} {address} yet: try again in a \
             minute"
        ),
    }))
}

/// Holder and renter of each license of the day at the snapshot block, and who is not counted.
async fn holders(
    conn: &mut PgConnection,
    uptime: &[UptimeRow],
    block: u64,
    block_secs: u64,
) -> ApiResult<DayHolders> {
    let licenses: Vec<LicenseIndex> = uptime.iter().map(|row| row.license).collect();
    let folded = db::license::holders(conn, &licenses, block).await?;
    if !folded.senders_known {
        return Err(ApiError::chain_unavailable(
            "the mirror was read by an older version, which kept no senders of transfers: the day waits for \
             `nodesys-backend mirror rescan`",
        ));
    }
    Ok(folded.holders.of_day(uptime, block_secs, Format::NEWEST))
}

/// The problem with a points row, and the rule's own row where the rule decides.
fn problem(error: &BundleError, input: &DayInput) -> ApiError {
    let refused = ApiError::points_invalid(error);
    let by_rule = input.terms.rule.points(&input.uptime, input.closed.excused);
    let difference = by_rule.and_then(|rows| {
        let (given, computed) = (write_file(&input.points), write_file(&rows));
        first_difference(PointsRow::FILE, given.as_bytes(), computed.as_bytes())
    });
    match difference {
        Some(difference) => refused.with_difference(difference),
        None => refused,
    }
}
