//! Nodes without a right to any license: of them next to nothing is kept, and their authorisations lapse.

use nodesys_core::B256;
use nodesys_core::api::{FleetState, LineResult};
use nodesys_core::ids::Fence;
use nodesys_core::message::{LeaseStatus, MAX_LEASES, Message as _, Status};
use nodesys_core::time::Timestamp;
use sqlx::PgPool;

use super::support::node::{healthy, line};
use super::support::{Node, World};
use crate::db::connect::MIGRATIONS;
use crate::node::Lapse;
use crate::periodic::Periodic as _;
use nodesys_testing::chain::{alice, bob};

const DAY_MILLIS: u64 = 86_400_000;

/// As many lines as may be, of licenses that nobody has.
fn most_lines() -> Vec<LeaseStatus> {
    let fence = Fence::checked_new(i64::MAX as u64).unwrap();
    let license = |number: usize| B256::left_padding_from(&number.to_be_bytes());
    (1..=MAX_LEASES).map(|number| line(license(number), fence, Status::Healthy)).collect()
}

/// The evidence that was stored last.
async fn stored(pool: &PgPool) -> Vec<u8> {
    let newest = "select body from heartbeat_batch order by server_time desc, wseq desc limit 1";
    sqlx::query_scalar(newest).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn of_a_node_without_a_right_is_kept_that_it_was_heard(pool: PgPool) {
    let mut world = World::new(pool).await;
    let holder = world.node(&alice(), 1).await;
    let lease = world.lease(&holder, &world.chain.a1()).await;
    let nobody = world.node(&bob(), 2).await;
    let request = world.lease_request(&nobody, &world.chain.a1());
    world.refused("not_entitled", world.client().request_lease(&request)).await;

    let signed = nobody.signed(&world, &most_lines()).await;
    let receipt = world.client().heartbeat(&signed).await.unwrap();
    assert_eq!(receipt.results, vec![LineResult::LeaseLost; MAX_LEASES]);
    let body = stored(&world.pool).await;
    assert!(body.len() < 48, "{} bytes", body.len());
    let hash = signed.message.struct_hash();
    assert!(body.windows(32).any(|part| part == hash.as_slice()), "the heartbeat's hash");
    // Of the same lines a standby's are kept whole, and so are those of a node that holds one of them.
    let standby = world.node(&alice(), 3).await;
    standby.beat(&world, &most_lines()).await.unwrap();
    assert!(stored(&world.pool).await.len() < 48);
    world.lease(&standby, &world.chain.a1()).await;
    standby.beat(&world, &most_lines()).await.unwrap();
    assert!(stored(&world.pool).await.len() > MAX_LEASES * 32);
    let mut lines = most_lines();
    lines[0] = healthy(&lease);
    holder.beat(&world, &lines).await.unwrap();
    assert!(stored(&world.pool).await.len() > MAX_LEASES * 32);

    // A replica that starts anew knows who was heard, and when.
    let heard = world.now();
    world.live(1).await;
    let other = world.another().await;
    let index: i32 = sqlx::query_scalar("select idx from node where node_key = $1")
        .bind(nobody.address().as_slice())
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let known = |app: &crate::state::App| {
        app.live.fold.read(|fold| fold.heard_at(u32::try_from(index).unwrap()))
    };
    assert_eq!((known(&other.app), known(&world.replica.app)), (Some(heard), Some(heard)));
}

/// Moves on; the job runs.
async fn lapse_at(world: &World, at: Timestamp) {
    world.go_without_chain(at).await;
    Lapse::new(world.replica.app.clone()).tick().await.unwrap();
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn an_authorisation_without_a_license_lapses_after_thirty_days(pool: PgPool) {
    let world = World::new(pool).await;
    let mut other = world.another().await;
    let start = world.now();
    // One that never had a right, one that has a lease, one that stands by, one that stopped standing by.
    let [nobody, holder, standby, former] =
        [(bob(), 1), (alice(), 2), (alice(), 3), (alice(), 4)].map(|(who, n)| Node::new(&who, n));
    for node in [&nobody, &holder, &standby, &former] {
        let long = node.authorization_until(&world, 1, start.secs() + 80 * 86_400);
        world.client().authorize_node(&long).await.unwrap();
    }
    world.lease(&holder, &world.chain.a1()).await;
    world.lease(&standby, &world.chain.a1()).await;
    world.go_without_chain(start.plus_millis(3 * DAY_MILLIS)).await;
    world.lease(&standby, &world.chain.a1()).await;
    world.lease(&former, &world.chain.a1()).await;
    sqlx::query("delete from standby where node_idx = 4").execute(&world.pool).await.unwrap();
    other.client.session(nobody.address()).await.unwrap();

    lapse_at(&world, start.plus_millis(30 * DAY_MILLIS)).await;
    let view = world.client().node(nobody.address()).await.unwrap();
    assert_eq!(view.lapsed_millis, None, "an hour too early");
    let lapsed = start.plus_millis(30 * DAY_MILLIS + 1);
    lapse_at(&world, lapsed).await;
    let mut views = Vec::new();
    for node in [&nobody, &holder, &standby, &former] {
        views.push(world.client().node(node.address()).await.unwrap().lapsed_millis);
    }
    assert_eq!(views, [Some(lapsed.millis()), None, None, None]);
    let fleet = world.client().fleet(bob().address(), None).await.unwrap();
    let row = fleet.rows.iter().find(|row| row.node_key == nobody.address()).unwrap();
    assert_eq!(row.state, FleetState::Expired);
    // The stopped one has its time from its last request on.
    lapse_at(&world, start.plus_millis(33 * DAY_MILLIS + 60_000)).await;
    let view = world.client().node(former.address()).await.unwrap();
    assert!(view.lapsed_millis.is_some(), "{view:?}");

    // The node is told why, at once by all replicas.
    other.alive.tick().await.unwrap();
    let signed = nobody.signed(&world, &[]).await;
    for client in [world.client(), &other.client] {
        let refusal = world.refused("authorization_expired", client.heartbeat(&signed)).await;
        assert!(refusal.detail.contains("30 days"), "{refusal:?}");
        assert!(refusal.detail.contains("`nodesys pair`"), "{refusal:?}");
        let request = world.lease_request(&nobody, &world.chain.a1());
        world.refused("authorization_expired", client.request_lease(&request)).await;
    }
    // What lapsed does not come back by itself; the wallet may sign anew, and has another thirty days.
    let old = nobody.authorization_until(&world, 1, start.secs() + 80 * 86_400);
    let refusal = world.refused("authorization_expired", world.client().authorize_node(&old)).await;
    assert!(refusal.detail.contains("nonce above 1"), "{refusal:?}");
    let again = nobody.authorization(&world, 2);
    assert_eq!(world.client().authorize_node(&again).await.unwrap().lapsed_millis, None);
    nobody.beat(&world, &[]).await.unwrap();
    other.alive.tick().await.unwrap();
    other.client.heartbeat(&nobody.signed(&world, &[]).await).await.unwrap();
    lapse_at(&world, world.now().plus_millis(29 * DAY_MILLIS)).await;
    let view = world.client().node(nobody.address()).await.unwrap();
    assert_eq!(view.lapsed_millis, None, "thirty days more");
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_lease_that_ended_starts_the_thirty_days(pool: PgPool) {
    let world = World::new(pool).await;
    let start = world.now();
    let node = Node::new(&alice(), 1);
    let long = node.authorization_until(&world, 1, start.secs() + 80 * 86_400);
    world.client().authorize_node(&long).await.unwrap();
    world.lease(&node, &world.chain.a1()).await;
    world.go_without_chain(start.plus_millis(31 * DAY_MILLIS)).await;
    let ended = i64::try_from(world.now().millis()).unwrap();
    sqlx::query("update lease set ended_at = $1, end_reason = 'expired'")
        .bind(ended)
        .execute(&world.pool)
        .await
        .unwrap();
    for (days, lapses) in [(31, false), (60, false), (62, true)] {
        lapse_at(&world, start.plus_millis(days * DAY_MILLIS)).await;
        let view = world.client().node(node.address()).await.unwrap();
        assert_eq!(view.lapsed_millis.is_some(), lapses, "after {days} days");
    }
}

/// Nodes are there before the columns are: their time begins with the migration.
#[sqlx::test(migrations = false)]
async fn nodes_of_the_version_before_have_thirty_days_more(pool: PgPool) {
    let files: Vec<_> = MIGRATIONS.iter().collect();
    for file in files.iter().filter(|file| file.version < 25) {
        sqlx::raw_sql(file.sql.clone()).execute(&pool).await.unwrap();
    }
    let authorised = "insert into node (node_key, operator, nonce, not_after_secs, operator_signature,
            node_signature, authorized_at)
        values (decode(repeat($1, 20), 'hex'), decode(repeat('00', 20), 'hex'),
            decode(repeat('00', 32), 'hex'), 1000000000000, '', decode(repeat('00', 65), 'hex'), 0)";
    sqlx::query(authorised).bind("01").execute(&pool).await.unwrap();
    let this = files.iter().find(|file| file.version == 25).unwrap();
    sqlx::raw_sql(this.sql.clone()).execute(&pool).await.unwrap();
    // The version before goes on, and knows nothing of the columns.
    sqlx::query(authorised).bind("02").execute(&pool).await.unwrap();

    let mut conn = pool.acquire().await.unwrap();
    let now: i64 = sqlx::query_scalar("select (extract(epoch from now()) * 1000)::bigint")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    let now = Timestamp::from_millis(u64::try_from(now).unwrap());
    let since = |days: u64| Timestamp::from_millis(now.millis() - days * DAY_MILLIS);
    let lapsed = crate::db::node::lapse(&mut conn, since(30), now).await.unwrap();
    assert_eq!(lapsed, 1, "only the one that was authorised long ago by the version before");
    let lapsed: i32 = sqlx::query_scalar("select idx from node where lapsed_at is not null")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert_eq!(lapsed, 2);
}
