//! An operator's fleet: all nodes of a wallet, with what each runs and how it is.

use std::fmt;
use std::str::FromStr;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use nodesys_core::Address;
use nodesys_core::api::{Fleet, FleetLicense, FleetRow, FleetState};
use nodesys_core::ids::ParseError;
use nodesys_core::message::Status;
use nodesys_core::time::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::error::ApiResult;
use crate::live::fold::{DayFold, Reported};
use crate::liveness::DOWN_MILLIS;
use crate::state::{App, AppState};
use crate::{cached, db};

/// Rows of a page.
const PAGE: usize = 500;
/// A heartbeat comes each minute, and from another replica a minute later.
const LATE_MILLIS: u64 = 150_000;

/// Where a page ends: `node.idx`, and the license's index or -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct After(i32, i32);

impl After {
    /// Before the first row.
    const START: Self = Self(0, -1);

    fn row(row: &db::fleet::FleetRow) -> Self {
        let license = row.license.as_ref().and_then(|license| i32::try_from(license.index.0).ok());
        Self(row.node, license.unwrap_or(-1))
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for After {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts = text.split_once('.');
        let parsed =
            parts.and_then(|(node, license)| Some(Self(node.parse().ok()?, license.parse().ok()?)));
        // What `next` has is printed in one way only.
        parsed
            .filter(|after| after.to_string() == text)
            .ok_or_else(|| ParseError::new("page", "not the `next` of another page", text))
    }
}

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FleetQuery {
    /// The `next` of the page before [default: the first page].
    #[param(value_type = Option<String>)]
    after: Option<After>,
}

/// An operator's nodes, with the licenses that each runs and waits for, 500 rows a page.
#[utoipa::path(get, path = "/v1/operators/{operator}", tag = "node", operation_id = "getFleet",
    params(("operator" = String, Path), FleetQuery),
    responses(
        (status = 200, description = "The page; of a wallet that authorised no node, without rows.",
            body = Fleet),
        (status = 304, description = "The page of the ETag in `If-None-Match`, unchanged.")))]
pub(crate) async fn fleet(
    State(app): State<AppState>,
    path: Result<Path<Address>, PathRejection>,
    query: Result<Query<FleetQuery>, QueryRejection>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let (Path(operator), Query(query)) = (path?, query?);
    let page = page(&app, operator, query.after.unwrap_or(After::START)).await?;
    Ok(cached::json(&headers, &page)?)
}

async fn page(app: &App, operator: Address, After(node, license): After) -> ApiResult<Fleet> {
    let mut conn = app.pool.acquire().await?;
    let (chain_id, most) = (app.domain.chain_id(), PAGE + 1);
    let mut rows = db::fleet::after(&mut conn, chain_id, operator, (node, license), most).await?;
    drop(conn);
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let next = rows.last().filter(|_| more).map(|row| After::row(row).to_string());
    let now = app.clock.now();
    let rows =
        app.live.fold.read(|fold| rows.into_iter().map(|row| show(fold, row, now)).collect());
    Ok(Fleet { operator, rows, next })
}

/// A row as it is now.
fn show(fold: &DayFold, row: db::fleet::FleetRow, now: Timestamp) -> FleetRow {
    let heard = u32::try_from(row.node).ok().and_then(|node| fold.heard_at(node));
    // A heartbeat of before the grant is another node's, or of another lease.
    let reported = row.license.as_ref().filter(|license| license.held).and_then(|license| {
        fold.reported(license.index).filter(|reported| reported.at >= license.since)
    });
    let lease = row.license.as_ref().map(|license| Lease {
        held: license.held,
        since: license.since,
        reported,
    });
    FleetRow {
        node_key: row.node_key,
        not_after: row.not_after_secs,
        state: state(row.revoked, row.lapsed || now.secs() > row.not_after_secs, lease, now),
        heard_millis: heard.map(Timestamp::millis),
        license: row.license.map(|license| FleetLicense {
            license: license.id,
            project: license.project,
            workload: license.workload,
            fence: license.fence,
            since_millis: license.since.millis(),
            minutes: fold.bitmap(now.day(), license.index).count(),
            status: reported.map(|reported| reported.status),
            release: reported.map(|reported| reported.release),
        }),
    }
}

/// What decides how a row with a license is.
#[derive(Debug, Clone, Copy)]
struct Lease {
    held: bool,
    since: Timestamp,
    /// By the last heartbeat that carried it since.
    reported: Option<Reported>,
}

/// How a row is, from facts alone.
fn state(revoked: bool, expired: bool, lease: Option<Lease>, now: Timestamp) -> FleetState {
    if revoked {
        return FleetState::Revoked;
    }
    if expired {
        return FleetState::Expired;
    }
    let Some(lease) = lease else { return FleetState::NoLicense };
    if !lease.held {
        return FleetState::Standby;
    }
    let earns = |reported: Reported| matches!(reported.status, Status::Healthy | Status::Updating);
    // Who has just been granted it has a while to send a first heartbeat.
    let last = lease.reported.map_or(lease.since, |reported| reported.at);
    match now.millis().saturating_sub(last.millis()) {
        silent if silent >= DOWN_MILLIS => FleetState::Down,
        _ if lease.reported.is_some_and(|reported| !earns(reported)) => FleetState::Down,
        silent if silent >= LATE_MILLIS || lease.reported.is_none() => FleetState::Late,
        _ => FleetState::Up,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn lease(held: bool, since_secs_ago: u64, reported: Option<(u64, Status)>) -> Option<Lease> {
        let ago = |secs: u64| Timestamp::from_secs(NOW.secs() - secs);
        let reported =
            reported.map(|(secs, status)| Reported { at: ago(secs), status, release: 1 });
        Some(Lease { held, since: ago(since_secs_ago), reported })
    }

    #[test]
    fn only_what_earns_is_up_or_late() {
        let now = |lease| state(false, false, lease, NOW);
        assert_eq!(state(true, true, lease(true, 900, None), NOW), FleetState::Revoked);
        assert_eq!(state(false, true, None, NOW), FleetState::Expired);
        assert_eq!(now(None), FleetState::NoLicense);
        assert_eq!(now(lease(false, 900, None)), FleetState::Standby);
        for (silent, expected) in [
            (149, FleetState::Up),
            (150, FleetState::Late),
            (299, FleetState::Late),
            (300, FleetState::Down),
        ] {
            let reported = Some((silent, Status::Healthy));
            assert_eq!(now(lease(true, 900, reported)), expected, "{silent} s");
        }
        assert_eq!(now(lease(true, 900, Some((10, Status::Updating)))), FleetState::Up);
        for status in [Status::Starting, Status::Degraded, Status::Down] {
            assert_eq!(now(lease(true, 900, Some((10, status)))), FleetState::Down, "{status:?}");
        }
        // Just granted, and nothing heard yet.
        assert_eq!(now(lease(true, 20, None)), FleetState::Late);
        assert_eq!(now(lease(true, 300, None)), FleetState::Down);
    }

    #[test]
    fn a_page_is_named_as_its_end_was_printed() {
        for after in [After::START, After(7, 0), After(i32::MAX, i32::MAX)] {
            assert_eq!(after.to_string().parse::<After>().unwrap(), after);
        }
        for bad in ["", "7", "7.", ".7", "+7.1", "7.01", "7.1.1", "99999999999.1", "7.1 "] {
            assert!(bad.parse::<After>().is_err(), "{bad:?}");
        }
    }
}
