//! A project's badge: a small picture for other people's pages, without anything that runs or loads.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use nodesys_core::ids::Name;
use nodesys_core::time::UtcDay;

use crate::error::ApiResult;
use crate::params::ProjectRef;
use crate::state::{App, AppState};
use crate::{cached, db};

/// Days after which the newest paid day is no good news any more: a day is active two days after it at the latest
/// where the delay is a day.
const LATE_DAYS: u32 = 3;

/// Whoever opens it alone gets a picture that does nothing; any page may embed it.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    (header::CACHE_CONTROL, "max-age=300"),
];

/// A badge (SVG) that says up to which day the project's rewards can be claimed.
#[utoipa::path(get, path = "/v1/projects/{project}/badge", tag = "root",
    operation_id = "getBadge", params(("project" = String, Path)),
    responses(
        (status = 200, description = "The picture.", content_type = "image/svg+xml", body = String),
        (status = 304, description = "The picture of the ETag in `If-None-Match`, unchanged.")))]
pub(crate) async fn badge(
    State(app): State<AppState>,
    path: Result<Path<ProjectRef>, PathRejection>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let Path(project) = path?;
    let (name, paid) = paid(&app, &project).await?;
    let (words, tone) = told(paid, app.clock.now().day());
    let tag = cached::tag(&format!("{name}-{words}-{tone:?}").replace(' ', "-"));
    let picture = cached::same(&headers, &tag)
        .unwrap_or_else(|| cached::file("image/svg+xml", tag, draw(&name, &words, tone)));
    Ok((HEADERS, picture).into_response())
}

/// The project's name, and the last day whose root is active.
async fn paid(app: &App, project: &ProjectRef) -> ApiResult<(Name, Option<UtcDay>)> {
    let now = app.chain_secs().await?;
    let mut conn = app.pool.acquire().await?;
    let project = project.find(&mut conn).await?;
    let newest = db::commit::newest_active(&mut conn, project.project, now).await?;
    Ok((project.name, newest.map(|commit| commit.day)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Good,
    Late,
    None,
}

fn told(paid: Option<UtcDay>, today: UtcDay) -> (String, Tone) {
    match paid {
        None => ("no day paid yet".to_owned(), Tone::None),
        Some(day) if today.0.saturating_sub(day.0) <= LATE_DAYS => {
            (format!("paid up to {day}"), Tone::Good)
        }
        Some(day) => (format!("paid up to {day} only"), Tone::Late),
    }
}

/// Names have a-z, 0-9 and dashes, and days digits and dashes: there is nothing to escape.
fn draw(name: &Name, words: &str, tone: Tone) -> String {
    // Digits and small letters of 11 px Verdana, or what stands in for it, are at most this wide.
    let width = |text: &str| text.len() * 7 + 14;
    let (left, right) = (width(name.as_str()), width(words));
    let (all, colour) = (
        left + right,
        match tone {
            Tone::Good => "#0b6b63",
            Tone::Late => "#a32315",
            Tone::None => "#56636a",
        },
    );
    let (x, y) = (left / 2, left + right / 2);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{all}" height="20" role="img" aria-label="{name}: {words}"><title>{name}: {words}</title><rect width="{all}" height="20" rx="3" fill="#182025"/><path d="M{left} 0h{square}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{square}z" fill="{colour}"/><g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11"><text x="{x}" y="14">{name}</text><text x="{y}" y="14">{words}</text></g></svg>"##,
        square = right - 3,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_paid_and_when_that_is_old() {
        let today = UtcDay(20_500);
        assert_eq!(told(None, today), ("no day paid yet".to_owned(), Tone::None));
        let said = |days| told(Some(UtcDay(today.0 - days)), today);
        assert_eq!(said(3), ("paid up to 2026-02-13".to_owned(), Tone::Good));
        assert_eq!(said(4), ("paid up to 2026-02-12 only".to_owned(), Tone::Late));
        // A clock behind the day is no reason for alarm.
        assert_eq!(told(Some(today.next()), today).1, Tone::Good);
    }

    #[test]
    fn it_is_a_picture_of_two_texts_and_nothing_else() {
        let picture = draw(&"acme-2".parse().unwrap(), "paid up to 2026-02-13", Tone::Good);
        assert_eq!(picture.matches("<text").count(), 2);
        for bad in ["<script", "href", "<style", "foreignObject", "onload", "url("] {
            assert!(!picture.contains(bad), "{bad}");
        }
        assert!(picture.contains(r#"aria-label="acme-2: paid up to 2026-02-13""#));
    }
}
