//! Adding tasks from NDJSON, in one transaction. Adding the same keys again changes nothing.

use std::io::BufRead;

use anyhow::{Context as _, bail};
use nodesys_core::task::{MAX_INPUT_BYTES, TaskSpec};
use nodesys_core::time::Timestamp;
use serde::Serialize;
use sqlx::PgTransaction;

use super::queue::{Queue, pg_bigint};

/// Tasks written in one statement.
const BATCH: usize = 500;
/// The longest line: the largest input, spelled with escapes, and the other fields.
const MAX_LINE_BYTES: u64 = MAX_INPUT_BYTES as u64 * 8;

/// Number of tasks in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AddedTasks {
    /// New tasks.
    pub added: u64,
    /// Tasks that existed already.
    pub known: u64,
}

/// Adds the tasks of an NDJSON text, all or none; empty lines are skipped.
///
/// # Errors
///
/// If a line is not a task, a key exists with another content, or the database fails. Then no task
/// was added.
pub async fn add(
    queue: &Queue,
    mut lines: impl BufRead + Send,
    now: Timestamp,
) -> anyhow::Result<AddedTasks> {
    let mut transaction = queue.pool().begin().await?;
    let (mut total, mut batch, mut number) = (AddedTasks::default(), Vec::new(), 0_usize);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = std::io::Read::take(&mut lines, MAX_LINE_BYTES);
        let read = limited.read_until(b'\n', &mut line).context("the tasks cannot be read")?;
        number += usize::from(read > 0);
        if read as u64 == MAX_LINE_BYTES {
            bail!("line {number} is longer than {MAX_LINE_BYTES} bytes; no task was added");
        }
        if !line.trim_ascii().is_empty() {
            let task = TaskSpec::parse(line.trim_ascii())
                .with_context(|| format!("line {number}; no task was added"))?;
            batch.push((number, task));
        }
        if batch.len() == BATCH || (read == 0 && !batch.is_empty()) {
            let added = write(queue, &mut transaction, &batch, now).await?;
            total.added += added;
            total.known += batch.len() as u64 - added;
            batch.clear();
        }
        if read == 0 {
            break;
        }
    }
    transaction.commit().await.context("the tasks cannot be written")?;
    Ok(total)
}

async fn write(
    queue: &Queue,
    transaction: &mut PgTransaction<'_>,
    batch: &[(usize, TaskSpec)],
    now: Timestamp,
) -> anyhow::Result<u64> {
    let tasks = || batch.iter().map(|(_, task)| task);
    let keys: Vec<String> = tasks().map(|task| task.key.clone()).collect();
    let hashes: Vec<Vec<u8>> = tasks().map(|task| task.hash().to_vec()).collect();
    let inputs: Vec<String> = tasks().map(|task| task.input.clone()).collect();
    let workloads: Vec<Option<String>> =
        tasks().map(|task| task.workload.as_ref().map(ToString::to_string)).collect();
    let expected: Vec<Option<Vec<u8>>> =
        tasks().map(|task| task.expected.map(|hash| hash.to_vec())).collect();
    let small = |value: u16| i16::try_from(value).unwrap_or(i16::MAX);
    let copies: Vec<i16> = tasks().map(|task| small(task.copies)).collect();
    let agree: Vec<i16> = tasks().map(|task| small(task.agree)).collect();
    let attempts: Vec<i16> = tasks().map(|task| small(task.max_attempts)).collect();
    let limits: Vec<i32> =
        tasks().map(|task| i32::try_from(task.time_limit_secs).unwrap_or(i32::MAX)).collect();
    let added = sqlx::query!(
        "insert into task (queue, added_millis, key, spec_hash, input, workload, copies, agree,
           expected_hash, max_attempts, time_limit_secs)
         select $1, $2, * from unnest($3::text[], $4::bytea[], $5::text[], $6::text[],
           $7::smallint[], $8::smallint[], $9::bytea[], $10::smallint[], $11::integer[])
         on conflict on constraint task_once do nothing",
        queue.id(),
        pg_bigint(now.millis()),
        &keys,
        &hashes,
        &inputs,
        &workloads as _,
        &copies,
        &agree,
        &expected as _,
        &attempts,
        &limits,
    )
    .execute(&mut **transaction)
    .await?;
    let differs = sqlx::query!(
        r#"select given.at as "at!", task.id from unnest($2::text[], $3::bytea[])
             with ordinality as given (key, spec_hash, at)
           join task on task.queue = $1 and task.key = given.key
           where task.spec_hash <> given.spec_hash order by given.at limit 1"#,
        queue.id(),
        &keys,
        &hashes
    )
    .fetch_optional(&mut **transaction)
    .await?;
    if let Some(row) = differs {
        let at = usize::try_from(row.at).unwrap_or(1).saturating_sub(1);
        let (line, task) = &batch[at];
        bail!(
            "line {line}: task {1} has the key {0:?} already, with another content: choose another \
             key; no task was added",
            task.key,
            row.id
        );
    }
    Ok(added.rows_affected())
}
