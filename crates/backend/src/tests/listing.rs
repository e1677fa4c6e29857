//! Listings: a collection's days belong to one project each, and its leases end with them.

use std::path::Path;

use nodesys_chain::bindings::ProjectRegistry;
use nodesys_core::api::{LeaseState, LineResult};
use nodesys_core::files::{UptimeRow, parse_file};
use nodesys_core::time::{MINUTES_PER_DAY, Timestamp, UtcDay};
use nodesys_core::{Address, B256};
use nodesys_testing::chain::{DAY, alice, bob, owner};
use sqlx::PgPool;
use sqlx::migrate::Migrator;

use super::support::World;
use super::support::node::healthy;
use crate::db;
use crate::db::listing::NewListing;
use crate::periodic::Periodic as _;

/// The first that is not the project's: its timelock is a week.
const UNTIL: UtcDay = UtcDay(DAY.0 + 8);
const LAST: UtcDay = UtcDay(DAY.0 + 7);

async fn row(world: &World, project: Address, day: UtcDay) -> Option<UptimeRow> {
    let csv = world.client().uptime(project, day).await.unwrap();
    parse_file::<UptimeRow>(&csv).unwrap().pop()
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn leases_end_at_midnight_and_no_day_is_two_projects(pool: PgPool) {
    let mut world = World::new(pool).await;
    let license = world.chain.a1();
    let (alpha, ours) = (world.chain.alpha, world.chain.distributor);
    let node = world.node(&alice(), 1).await;
    world.lease(&node, &license).await;
    let known_end = async |world: &World| {
        let found = world.replica.app.live.leases.find(1, &[license.hash()], |_, _| true).await;
        found.unwrap().remove(0).unwrap().listed_until
    };
    assert_eq!(known_end(&world).await, None);

    let provider = world.chain.provider.clone();
    let registry = ProjectRegistry::new(world.chain.registry, provider.rpc());
    let delist = registry.delistCollection(alpha);
    world.chain.send(owner().address(), delist.into_transaction_request()).await;
    world.chain.finalize().await;
    let told = registry.listingOf(alpha).call().await.unwrap();
    assert_eq!(told.untilDay.to::<u64>(), UNTIL.epoch());
    world.replica.mirror.tick().await.unwrap();
    world.replica.alive.tick().await.unwrap();
    assert_eq!(known_end(&world).await, Some(UNTIL), "a lease in memory learns of it");

    // To its last minute the license runs as ever.
    world.go(Timestamp::from_millis(UNTIL.start().millis() - 120_000)).await;
    world.replica.alive.tick().await.unwrap();
    world.replica.expire().await;
    let lease = world.lease(&node, &license).await;
    node.beat(&world, &[healthy(&lease)]).await.unwrap();
    world.live(1).await;
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
    // From midnight on nobody runs it.
    world.live(1).await;
    assert_eq!(world.now().day(), UNTIL);
    let receipt = node.beat(&world, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::LeaseLost]);
    world.replica.expire().await;
    let state = world.client().lease(license.hash()).await.unwrap().state;
    assert_eq!(state, LeaseState::Ended);
    let request = world.lease_request(&node, &license);
    let refusal = world.refused("unknown_license", world.client().request_lease(&request)).await;
    assert!(refusal.detail.contains("is not listed since"), "{refusal:?}");
    world.close_day(LAST).await;
    assert_eq!(row(&world, ours, LAST).await.unwrap().minutes, 2);

    // Another project takes it up on that day, which is all its own.
    let theirs = world.chain.project("other", owner().address(), bob().address()).await;
    let list = registry.listCollection(theirs, "gamma".to_owned(), alpha);
    world.chain.send(owner().address(), list.into_transaction_request()).await;
    world.chain.finalize().await;
    world.replica.mirror.tick().await.unwrap();
    let anew = world.lease(&node, &license).await;
    assert_eq!((anew.project, anew.workload.as_str()), (theirs, "gamma"));
    assert!(anew.fence > lease.fence);
    let receipt = node.beat(&world, &[healthy(&anew)]).await.unwrap();
    assert_eq!(receipt.results, [LineResult::Credited]);
    world.close_day(UNTIL).await;
    assert_eq!(row(&world, ours, UNTIL).await, None);
    let credited = row(&world, theirs, UNTIL).await.unwrap();
    assert_eq!(credited.minutes, 1);
    // Nothing was expected of it before it was listed, an hour after midnight.
    assert!(credited.expected > 1300 && credited.expected < MINUTES_PER_DAY - 59, "{credited:?}");
    // The days before are still told as they were.
    let day = world.client().license_day(alpha, license.token_id, LAST).await.unwrap();
    assert_eq!((day.minutes, day.closed), (2, true));
}

const PROJECT: Address = Address::repeat_byte(2);
const OTHER: Address = Address::repeat_byte(3);
const COLLECTION: Address = Address::repeat_byte(4);
const SECOND: Address = Address::repeat_byte(5);

async fn projects(pool: &PgPool) {
    for (project, name) in [(PROJECT, "p"), (OTHER, "q")] {
        sqlx::query(
            "insert into project (project, name, owner, token, first_day) values ($1, $2, $1, $1, 7)",
        )
        .bind(project.to_vec())
        .bind(name)
        .execute(pool)
        .await
        .unwrap();
    }
}

const fn listing(
    collection: Address,
    project: Address,
    from: u32,
    block: u64,
) -> NewListing<'static> {
    let from = UtcDay(from);
    NewListing { collection, project, workload: "w", from, at: from.start(), block }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_schema_keeps_days_apart(pool: PgPool) {
    projects(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let first = listing(COLLECTION, PROJECT, 10, 1);
    db::listing::insert(&mut conn, &first).await.unwrap();
    let refused = async |conn: &mut sqlx::PgConnection, new: NewListing<'_>| {
        let error = db::listing::insert(conn, &new).await.unwrap_err();
        let error = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
        assert_eq!(error.and_then(|error| error.constraint()), Some("listing_days_apart"));
    };
    refused(&mut conn, listing(COLLECTION, OTHER, 12, 2)).await;
    refused(&mut conn, listing(SECOND, PROJECT, 12, 2)).await;

    db::listing::end(&mut conn, COLLECTION, PROJECT, UtcDay(12), 3).await.unwrap();
    refused(&mut conn, listing(COLLECTION, OTHER, 11, 4)).await;
    db::listing::insert(&mut conn, &listing(COLLECTION, OTHER, 12, 4)).await.unwrap();
    db::listing::insert(&mut conn, &listing(SECOND, PROJECT, 12, 4)).await.unwrap();
    // All of it once more, as a page that is read again.
    db::listing::insert(&mut conn, &first).await.unwrap();
    db::listing::end(&mut conn, COLLECTION, PROJECT, UtcDay(12), 3).await.unwrap();
    let mut whose = Vec::new();
    for day in 9..14 {
        let on = db::listing::project_on(&mut conn, COLLECTION, UtcDay(day)).await.unwrap();
        whose.push(on);
    }
    assert_eq!(whose, [None, Some(PROJECT), Some(PROJECT), Some(OTHER), Some(OTHER)]);
    // What blocks said that are replaced is forgotten: then the end, then the listing.
    let hash = B256::repeat_byte(9);
    db::rewind::rewind(&mut conn, (2, hash)).await.unwrap();
    let on = async |conn: &mut sqlx::PgConnection, day| {
        db::listing::project_on(conn, COLLECTION, UtcDay(day)).await.unwrap()
    };
    assert_eq!(on(&mut conn, 12).await, Some(PROJECT));
    db::rewind::rewind(&mut conn, (0, hash)).await.unwrap();
    assert_eq!(on(&mut conn, 10).await, None);
}

/// A collection of the version before counts from its project's first day on.
#[sqlx::test(migrations = false)]
async fn a_listing_without_days_is_for_all_of_its_projects(pool: PgPool) {
    let all = Migrator::new(Path::new("../../migrations/backend")).await.unwrap();
    let migrate = async |versions: std::ops::RangeInclusive<i64>| {
        for migration in all.iter().filter(|migration| versions.contains(&migration.version)) {
            sqlx::raw_sql(migration.sql.clone()).execute(&pool).await.unwrap();
        }
    };
    migrate(1..=17).await;
    projects(&pool).await;
    sqlx::query("insert into collection (collection, project, workload) values ($1, $2, 'w')")
        .bind(COLLECTION.to_vec())
        .bind(PROJECT.to_vec())
        .execute(&pool)
        .await
        .unwrap();
    migrate(18..=99).await;
    let mut conn = pool.acquire().await.unwrap();
    for (day, project) in [(6, None), (7, Some(PROJECT)), (9_000, Some(PROJECT))] {
        let found = db::listing::project_on(&mut conn, COLLECTION, UtcDay(day)).await.unwrap();
        assert_eq!(found, project, "day {day}");
    }
}
