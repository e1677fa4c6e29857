//! Rows of `tree`: one value per reward tree, read by offset.

use std::ops::Range;

use nodesys_core::tree::{Proof, ProofSearch, Step};
use nodesys_core::{Address, B256};
use sqlx::PgConnection;

/// Stores a commit's tree.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    project: Address,
    commit: B256,
    bytes: &[u8],
) -> anyhow::Result<()> {
    sqlx::query!(
        "insert into tree (project, commit_hash, bytes) values ($1, $2, $3)",
        project.as_slice() as _,
        commit.as_slice() as _,
        bytes
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An account's proof in a commit's tree: some reads by offset, whatever the tree's size.
pub(crate) async fn proof(
    conn: &mut PgConnection,
    project: Address,
    commit: B256,
    account: Address,
) -> anyhow::Result<Option<Proof>> {
    let mut search = ProofSearch::new(account);
    let mut read = Vec::new();
    loop {
        match search.step(&read)? {
            Step::Found(proof) => return Ok(Some(proof)),
            Step::Absent => return Ok(None),
            Step::Read(ranges) => read = read_ranges(conn, project, commit, &ranges).await?,
        }
    }
}

async fn read_ranges(
    conn: &mut PgConnection,
    project: Address,
    commit: B256,
    ranges: &[Range<usize>],
) -> anyhow::Result<Vec<Vec<u8>>> {
    // SQL counts bytes from 1.
    let from: Vec<i32> =
        ranges.iter().map(|range| i32::try_from(range.start + 1)).collect::<Result<_, _>>()?;
    let length: Vec<i32> =
        ranges.iter().map(|range| i32::try_from(range.len())).collect::<Result<_, _>>()?;
    Ok(sqlx::query_scalar!(
        r#"select substring(t.bytes from r.start for r.length) as "bytes!"
           from tree t, unnest($3::integer[], $4::integer[]) with ordinality as r (start, length, place)
           where t.project = $1 and t.commit_hash = $2 order by r.place"#,
        project.as_slice() as _,
        commit.as_slice() as _,
        &from,
        &length
    )
    .fetch_all(conn)
    .await?)
}
