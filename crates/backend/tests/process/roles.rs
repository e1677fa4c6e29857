//! Two roles, as `deploy/sql/roles.sql` makes them: one owns the tables, the other only uses them.

use std::process::Command;

use nodesys_core::message::Domain;
use nodesys_testing::anvil::CHAIN_ID;
use nodesys_testing::chain::Chain;
use sqlx::{ConnectOptions as _, PgPool};

use super::{Setup, followed, healthy, nodes};

const ROLES: &str = include_str!("../../../../deploy/sql/roles.sql");

fn url_of(pool: &PgPool, role: &str) -> String {
    let mut url = pool.connect_options().to_url_lossy();
    url.set_username(role).unwrap();
    url.to_string()
}

#[sqlx::test(migrations = false)]
async fn it_runs_and_opens_days_under_a_role_that_owns_nothing(pool: PgPool) {
    // It may be run again, as after an upgrade of the file.
    for _ in 0..2 {
        sqlx::raw_sql(ROLES).execute(&pool).await.unwrap();
    }
    let migrated = Command::new(env!("CARGO_BIN_EXE_nodesys-backend"))
        .args(["migrate", "--allow-unsafe-postgres"])
        .env("NODESYS_DATABASE_URL", url_of(&pool, "nodesys_owner"))
        .output()
        .unwrap();
    assert!(migrated.status.success(), "{migrated:?}");

    let chain = Chain::start().await;
    let mut setup = Setup::on(&url_of(&pool, "nodesys"), &chain);
    setup.no_migrate = true;
    let (mut process, client) = setup.start().await;
    client.ready().await.unwrap();
    // The first minute has opened the week ahead before the program was ready.
    let open: i64 = sqlx::query_scalar("select count(*) from day").fetch_one(&pool).await.unwrap();
    assert!(open >= 8, "{open} days are open");
    let nodes = nodes(&client, Domain::new(CHAIN_ID, chain.registry), 1).await;
    followed(&client, &chain).await;
    let lease = nodes[0].lease(&client, &chain).await;
    let receipt = nodes[0].beat(&client, &[healthy(&lease)]).await.unwrap();
    assert_eq!(receipt.accepted.credited, 1);
    process.kill().await.unwrap();

    let role = PgPool::connect(&url_of(&pool, "nodesys")).await.unwrap();
    for refused in [
        "alter table day disable trigger all",
        "drop table heartbeat_batch",
        "create table mine ()",
        "truncate day cascade",
        "alter function open_day(integer) security invoker",
    ] {
        let error = sqlx::query(refused).execute(&role).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{refused}: {error}");
    }
    // The function opens a day, and does nothing else.
    let tried = ["-1", "null"].map(|day| format!("select open_day({day})"));
    for wrong in tried {
        let wrong = sqlx::AssertSqlSafe(wrong);
        assert!(sqlx::query(wrong).execute(&role).await.is_err());
    }
    let again: bool = sqlx::query_scalar("select open_day((select min(day) from day))")
        .fetch_one(&role)
        .await
        .unwrap();
    assert!(!again, "an open day was opened again");
}
