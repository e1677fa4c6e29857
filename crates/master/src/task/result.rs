//! Taking a result: checked, judged and written in one transaction, answered after its commit.

use anyhow::Context as _;
use nodesys_core::B256;
use nodesys_core::ids::TaskId;
use nodesys_core::task::{Agreement, Judgement, ResultTaken, TaskState, Verdict, judge};
use nodesys_core::time::Timestamp;
use sqlx::PgTransaction;

use super::queue::{Holder, Queue, hash, signed};

/// A result as it is given.
#[derive(Debug, Clone)]
pub struct Given {
    /// Canonical JSON.
    pub output: String,
    /// keccak256 of it.
    pub output_hash: B256,
}

/// What became of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is stored, now or before.
    Stored(ResultTaken),
    /// There is no such task.
    NoTask,
    /// The task is not leased to this license with this fence.
    NotLeased,
    /// The lease of the task has ended; the task is still open.
    TaskExpired,
    /// The license has answered otherwise before.
    AlreadyDone,
    /// The task has ended without this result.
    Late,
}

struct Task {
    state: TaskState,
    by: Agreement,
    /// Whether this is the last lease the task may have, and no other runs.
    last: bool,
}

/// Takes a result; the same again gets the same answer.
pub async fn take(
    queue: &Queue,
    task: TaskId,
    holder: &Holder,
    given: &Given,
    now: Timestamp,
) -> anyhow::Result<Taken> {
    let mut transaction = queue.begin_result().await?;
    let id = signed(task.get());
    let Some(found) = lock(queue, &mut transaction, id).await? else { return Ok(Taken::NoTask) };
    let stored = Taken::Stored(ResultTaken { task, output_hash: given.output_hash });
    if found.state != TaskState::Dead {
        let others = others(&mut transaction, id, &found, holder).await?;
        let judgement = judgement(&found, &others, given);
        let ends = ends(&found, &judgement);
        if write(queue, &mut transaction, id, holder, given, now, &judgement, &ends).await? {
            let flipped = others.iter().zip(&judgement.verdicts);
            let flipped = flipped.filter(|((_, before), after)| before != *after);
            for ((output, _), verdict) in flipped {
                rejudge(queue, &mut transaction, id, *output, *verdict, now).await?;
            }
            if ends.is_some_and(|reason| reason == Some("attempts")) {
                reject_pending(&mut transaction, id).await?;
            }
            transaction.commit().await?;
            return Ok(stored);
        }
    }
    refusal(&mut transaction, id, &found, holder, given, now, stored).await
}

async fn lock(
    queue: &Queue,
    transaction: &mut PgTransaction<'_>,
    id: i64,
) -> anyhow::Result<Option<Task>> {
    let row = sqlx::query!(
        "select state, copies, agree, expected_hash, live, attempts, max_attempts from task
         where id = $1 and queue = $2 for update",
        id,
        queue.id()
    )
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let state = match row.state.as_str() {
        "open" => TaskState::Open,
        "done" => TaskState::Done,
        _ => TaskState::Dead,
    };
    Ok(Some(Task {
        state,
        by: Agreement {
            copies: row.copies.unsigned_abs(),
            agree: row.agree.unsigned_abs(),
            expected: row.expected_hash.as_deref().map(hash).transpose()?,
        },
        last: row.attempts >= row.max_attempts && row.live <= 1,
    }))
}

/// The outputs that other licenses gave, with what they are worth so far.
async fn others(
    transaction: &mut PgTransaction<'_>,
    id: i64,
    task: &Task,
    holder: &Holder,
) -> anyhow::Result<Vec<(B256, Verdict)>> {
    if task.by.copies == 1 {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        "select output_hash, verdict from task_result where task = $1 and license <> $2
         order by received_millis, attempt",
        id,
        holder.license.as_slice()
    )
    .fetch_all(&mut **transaction)
    .await?;
    let verdict = |text: &str| match text {
        "accepted" => Verdict::Accepted,
        "rejected" => Verdict::Rejected,
        _ => Verdict::Pending,
    };
    rows.iter().map(|row| Ok((hash(&row.output_hash)?, verdict(&row.verdict)))).collect()
}

/// All outputs judged, the given one last.
fn judgement(task: &Task, others: &[(B256, Verdict)], given: &Given) -> Judgement {
    let outputs: Vec<B256> =
        others.iter().map(|(output, _)| *output).chain([given.output_hash]).collect();
    judge(&task.by, &outputs)
}

/// Whether the task ends with this result, and if it is given up, why.
fn ends(task: &Task, judgement: &Judgement) -> Option<Option<&'static str>> {
    match (task.state, judgement.state) {
        (TaskState::Open, TaskState::Done) => Some(None),
        (TaskState::Open, TaskState::Dead) => Some(Some("disagreement")),
        (TaskState::Open, TaskState::Open) if task.last => Some(Some("attempts")),
        _ => None,
    }
}

/// Writes the result where the license's lease of the task runs; false where it does not.
#[expect(clippy::too_many_arguments, reason = "one statement takes them all")]
async fn write(
    queue: &Queue,
    transaction: &mut PgTransaction<'_>,
    id: i64,
    holder: &Holder,
    given: &Given,
    now: Timestamp,
    judgement: &Judgement,
    ends: &Option<Option<&'static str>>,
) -> anyhow::Result<bool> {
    let verdict = judgement.verdicts.last().copied().context("a given output is judged")?;
    // In READ COMMITTED this statement sees whatever day was closed before the lock was had.
    let written = sqlx::query!(
        "with answered as (
           update task_attempt set state = 'answered'
           where task = $1 and license = $2 and fence = $3 and node_key = $4
             and state = 'leased' and expires_millis > $5
           returning attempt
         ), kept as (
           insert into task_result (task, license, queue, attempt, output, output_hash,
             received_millis, verdict, accepted_millis, day)
           select $1, $2, $6, attempt, $7, $8, $5, $9,
             case when $9 = 'accepted' then $5 end,
             case when $9 = 'accepted' then
               greatest($10, (select closed_through + 1 from task_queue where id = $6)) end
           from answered
           returning task
         )
         update task set
           live = live - 1, answered = answered + 1,
           state = case when $11 then case when $12::text is null then 'done' else 'dead' end
             else state end,
           dead_reason = case when $11 then $12 else dead_reason end,
           ended_millis = case when $11 then $5 else ended_millis end
         from kept where task.id = kept.task",
        id,
        holder.license.as_slice(),
        signed(holder.fence.get()),
        holder.node_key.as_slice(),
        signed(now.millis()),
        queue.id(),
        given.output,
        given.output_hash.as_slice(),
        word(verdict),
        day(now)?,
        ends.is_some(),
        ends.flatten(),
    )
    .execute(&mut **transaction)
    .await?;
    Ok(written.rows_affected() == 1)
}

/// Gives the pending results with an output the verdict that has come out.
async fn rejudge(
    queue: &Queue,
    transaction: &mut PgTransaction<'_>,
    id: i64,
    output: B256,
    verdict: Verdict,
    now: Timestamp,
) -> anyhow::Result<()> {
    sqlx::query!(
        "update task_result set verdict = $3,
           accepted_millis = case when $3 = 'accepted' then $4::bigint end,
           day = case when $3 = 'accepted' then
             greatest($5::integer, (select closed_through + 1 from task_queue where id = $6)) end
         where task = $1 and output_hash = $2 and verdict = 'pending'",
        id,
        output.as_slice(),
        word(verdict),
        signed(now.millis()),
        day(now)?,
        queue.id(),
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn reject_pending(transaction: &mut PgTransaction<'_>, id: i64) -> anyhow::Result<()> {
    sqlx::query!(
        "update task_result set verdict = 'rejected' where task = $1 and verdict = 'pending'",
        id
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Why a result was not written; nothing was changed.
async fn refusal(
    transaction: &mut PgTransaction<'_>,
    id: i64,
    task: &Task,
    holder: &Holder,
    given: &Given,
    now: Timestamp,
    stored: Taken,
) -> anyhow::Result<Taken> {
    let row = sqlx::query!(
        r#"select a.fence, a.node_key, a.state, a.expires_millis, r.output_hash as "answer?"
           from task_attempt a
           left join task_result r on r.task = a.task and r.license = a.license
           where a.task = $1 and a.license = $2 order by a.attempt desc limit 1"#,
        id,
        holder.license.as_slice()
    )
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = row else { return Ok(Taken::NotLeased) };
    if let Some(answer) = row.answer {
        let same = answer == given.output_hash.as_slice();
        return Ok(if same { stored } else { Taken::AlreadyDone });
    }
    let mine =
        row.fence == signed(holder.fence.get()) && row.node_key == holder.node_key.as_slice();
    let runs = row.state == "leased" && row.expires_millis > signed(now.millis());
    Ok(match (mine, task.state) {
        (false, _) => Taken::NotLeased,
        (true, TaskState::Open) if !runs => Taken::TaskExpired,
        (true, _) => Taken::Late,
    })
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pending => "pending",
        Verdict::Accepted => "accepted",
        Verdict::Rejected => "rejected",
    }
}

fn day(now: Timestamp) -> anyhow::Result<i32> {
    i32::try_from(now.day().0).context("a day beyond the calendar")
}
