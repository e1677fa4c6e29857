//! Forgetting what blocks said that the chain has replaced.

use nodesys_core::{Address, B256};
use sqlx::PgConnection;

use super::column;

/// The `bundle.json` of each commit that is not revoked: project, commit, bytes.
pub(crate) async fn bundles(
    conn: &mut PgConnection,
) -> anyhow::Result<Vec<(Address, B256, Vec<u8>)>> {
    let rows = sqlx::query!(
        r#"select f.project::bytea as "project!", f.commit_hash::bytea as "commit!", f.bytes as "bytes!"
           from bundle_file f join reward_commit c
               on (c.project, c.commit_hash) = (f.project, f.commit_hash)
           where f.name = 'bundle.json' and c.revoked_block is null order by c.day"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((column::address(&row.project)?, column::hash(&row.commit)?, row.bytes)))
        .collect()
}

/// What a rewinding forgot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rewound {
    pub(crate) license_events: u64,
    pub(crate) claims: u64,
    pub(crate) posts: u64,
}

/// Forgets what blocks after this one said, and puts every cursor back to it. Distributors are read from
/// their first block again: a project's revision is the sum of its history.
pub(crate) async fn rewind(
    conn: &mut PgConnection,
    (to, hash): (u64, B256),
) -> anyhow::Result<Rewound> {
    let to = column::signed(to)?;
    let events = sqlx::query!("delete from license_event where block_number > $1", to);
    let license_events = events.execute(&mut *conn).await?.rows_affected();
    sqlx::query!("delete from listing where listed_block > $1", to).execute(&mut *conn).await?;
    sqlx::query!(
        "update listing set until_day = null, delisted_block = null where delisted_block > $1",
        to
    )
    .execute(&mut *conn)
    .await?;
    let claims = sqlx::query!("delete from claim where block_number > $1", to);
    let claims = claims.execute(&mut *conn).await?.rows_affected();
    let posts = sqlx::query!(
        "update reward_commit set posted_tx = null, posted_block = null, activates_at_secs = null
         where posted_block > $1",
        to
    );
    let posts = posts.execute(&mut *conn).await?.rows_affected();
    let revoked =
        sqlx::query!("update reward_commit set revoked_block = null where revoked_block > $1", to);
    revoked.execute(&mut *conn).await?;
    let done = sqlx::query!("update outbox set done_block = null where done_block > $1", to);
    done.execute(&mut *conn).await?;
    sqlx::query!("update project set revision = 0").execute(&mut *conn).await?;
    sqlx::query!(
        "update mirror_source set cursor_block = null, cursor_hash = null
         where kind = 'distributor' or first_block > $1",
        to
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update mirror_source set cursor_block = $1, cursor_hash = $2 where cursor_block > $1",
        to,
        hash.as_slice() as _
    )
    .execute(conn)
    .await?;
    Ok(Rewound { license_events, claims, posts })
}
