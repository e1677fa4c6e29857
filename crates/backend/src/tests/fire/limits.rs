//! The limits table: what is served, what is limited and what the document shows are the same.

use std::collections::BTreeSet;

use crate::limits::{ROUTES, Route, per_network};
use crate::tests::api::{UNDOCUMENTED, documented_paths};

/// The table as ARCHITECTURE.md shows it.
fn shown() -> String {
    let mut text = "| route | caller | largest body | by network | by key | cost |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for route in &ROUTES {
        let Route { method, path, caller, body, by_key, cost, .. } = route;
        let body = match body {
            0 => "-".to_owned(),
            body if body % (1024 * 1024) == 0 => format!("{} MiB", body / 1024 / 1024),
            body => format!("{} KiB", body / 1024),
        };
        let rate = per_network(route).map_or("-".to_owned(), |rate| {
            format!("{}, then {} a minute", rate.burst, rate.per_minute)
        });
        let by_key = if by_key.is_empty() { "-" } else { by_key };
        text +=
            &format!("| `{method} {path}` | {caller} | {body} | {rate} | {by_key} | {cost} |\n");
    }
    text
}

#[test]
fn every_route_has_its_row_in_the_table_and_in_the_document() {
    let listed: Vec<(String, String)> =
        ROUTES.iter().map(|route| (route.path.to_owned(), route.method.to_lowercase())).collect();
    let mut served: BTreeSet<(String, String)> = documented_paths().into_iter().collect();
    served.extend(UNDOCUMENTED.map(|(method, path)| (path.to_owned(), method.to_owned())));
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), served);
    assert_eq!(listed.len(), served.len(), "a route stands twice");

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ARCHITECTURE.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (before, rest) = document.split_once("| route | caller |").expect("the table's head");
    let (_, after) = rest.split_once("\n\n").expect("the table's end");
    let fresh = format!("{before}{}\n{after}", shown());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &fresh).unwrap();
    }
    let document = std::fs::read_to_string(path).unwrap();
    assert!(
        document == fresh,
        "the limits table is not fresh: run the test with UPDATE_SNAPSHOTS=1"
    );
}

/// What a stranger may do without limit must cost nothing.
#[test]
fn what_has_no_limit_costs_nothing() {
    for route in &ROUTES {
        let limited = route.rate.is_some() || !route.by_key.is_empty();
        assert!(limited || route.cost == "nothing", "{route:?}");
    }
}
