//! The table of sources: filled from the one cursor of the version before, and what it refuses.

use std::path::Path;

use sqlx::PgPool;
use sqlx::migrate::Migrator;

use crate::db::mirror_source::{self, Kind};
use nodesys_core::{Address, B256};

const REGISTRY: Address = Address::repeat_byte(1);
const PROJECT: Address = Address::repeat_byte(2);
const COLLECTION: Address = Address::repeat_byte(3);

/// Migrates from one version to another.
async fn migrate(pool: &PgPool, versions: std::ops::RangeInclusive<i64>) {
    let all = Migrator::new(Path::new("../../migrations/backend")).await.unwrap();
    for migration in all.iter().filter(|migration| versions.contains(&migration.version)) {
        sqlx::raw_sql(migration.sql.clone()).execute(pool).await.unwrap();
    }
}

async fn run(pool: &PgPool, text: &'static str) -> Result<(), sqlx::Error> {
    let [registry, project, collection] =
        [REGISTRY, PROJECT, COLLECTION].map(|address| address.to_vec());
    let hash = B256::repeat_byte(9).to_vec();
    let query = sqlx::query(text).bind(registry).bind(project).bind(collection).bind(hash);
    query.execute(pool).await.map(drop)
}

/// As the version before writes them.
const NETWORK: &str = "with given as (select $1::bytea, $2::bytea, $3::bytea, $4::bytea)
    insert into network (chain_id, registry) select 1, $1 from given";
const PROJECTS: &str = "with given as (select $1::bytea, $2::bytea, $3::bytea, $4::bytea)
    insert into project (project, name, owner, token, first_day) select $2, 'p', $1, $1, 1 from given";
const COLLECTIONS: &str = "with given as (select $1::bytea, $2::bytea, $3::bytea, $4::bytea)
    insert into collection (collection, project, workload) select $3, $2, 'w' from given";
const CURSOR: &str = "with given as (select $1::bytea, $2::bytea, $3::bytea, $4::bytea)
    insert into chain_cursor (chain_id, block_number, block_hash) select 1, 70, $4 from given";

#[sqlx::test(migrations = false)]
async fn the_one_cursor_becomes_each_sources(pool: PgPool) {
    migrate(&pool, 1..=14).await;
    for text in [NETWORK, PROJECTS, COLLECTIONS, CURSOR] {
        run(&pool, text).await.unwrap();
    }
    migrate(&pool, 15..=99).await;
    let mut conn = pool.acquire().await.unwrap();
    // What the new version adds is nothing: each is there.
    mirror_source::ensure(&mut conn, REGISTRY, 5).await.unwrap();
    let all = mirror_source::all(&mut conn).await.unwrap();
    let kinds: Vec<Kind> = all.iter().map(|source| source.kind).collect();
    assert_eq!(kinds, [Kind::Collection, Kind::Delegates, Kind::Distributor, Kind::Registry]);
    let cursor = Some((70, B256::repeat_byte(9)));
    assert!(all.iter().all(|source| source.cursor == cursor && source.next_block() == 71));
}

/// What the schema refuses, whoever writes it.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_schema_refuses_a_source_written_wrong(pool: PgPool) {
    run(&pool, PROJECTS).await.unwrap();
    run(&pool, COLLECTIONS).await.unwrap();
    const GIVEN: &str = "with given as (select $1::bytea, $2::bytea, $3::bytea, $4::bytea) ";
    for (constraint, values) in [
        ("mirror_source_kind", "(kind, address, first_block) select 'else', $1, 0"),
        ("mirror_source_of_project", "(kind, address, first_block) select 'distributor', $2, 0"),
        (
            "mirror_source_of_project",
            "(kind, address, project, first_block) select 'registry', $1, $2, 0",
        ),
        (
            "mirror_source_distributor",
            "(kind, address, project, first_block) select 'distributor', $1, $2, 0",
        ),
        (
            "mirror_source_collection",
            "(kind, address, project, first_block) select 'collection', $1, $2, 0",
        ),
        (
            "mirror_source_cursor",
            "(kind, address, first_block, cursor_block) select 'registry', $1, 0, 7",
        ),
        (
            "mirror_source_cursor",
            "(kind, address, first_block, cursor_block, cursor_hash)
             select 'registry', $1, 9, 7, $4",
        ),
        (
            "mirror_source_set_aside",
            "(kind, address, first_block, failures) select 'registry', $1, 0, 1",
        ),
    ] {
        let text = format!("{GIVEN} insert into mirror_source {values} from given");
        let text: &'static str = text.leak();
        let refused = run(&pool, text).await.unwrap_err();
        let found = refused.as_database_error().and_then(|error| error.constraint());
        assert_eq!(found, Some(constraint), "{refused}");
    }
}
