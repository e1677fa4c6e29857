//! Accepting a result: checked, judged and written in one transaction, acknowledged after its
//! commit.

use anyhow::Context as _;
use nodesys_core::B256;
use nodesys_core::ids::TaskId;
use nodesys_core::task::{
    Agreement, DeadReason, Judgement, ResultTaken, TaskState, Verdict, judge,
};
use nodesys_core::time::Timestamp;
use sqlx::PgTransaction;

use super::queue::{LeaseHolder, Queue, hash, pg_bigint, pg_day};

/// An output that a license gives for a task.
#[derive(Debug, Clone)]
pub(crate) struct GivenOutput {
    /// Canonical JSON.
    pub(crate) output: String,
    /// keccak256 of it.
    pub(crate) output_hash: B256,
}

/// Whether a result was stored, and if not, the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ResultOutcome {
    /// It is stored, now or before.
    Stored(ResultTaken),
    /// The task does not exist.
    NoTask,
    /// The task is not leased to this license with this fence.
    NotLeased,
    /// The lease of the task has ended; the task is still open.
    TaskExpired,
    /// The license has given another output before.
    AlreadyDone,
    /// The task has ended without this result.
    Late,
}

/// The task of a result, locked until the transaction ends.
struct LockedTask {
    state: TaskState,
    agreement: Agreement,
    /// Whether this is the last lease the task may have, and no other runs.
    last_lease: bool,
}

/// How a result ends its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    Dead(DeadReason),
}

impl Ending {
    /// The ending of a task by its judgement; `None` if the task goes on, or had ended before.
    const fn of(task: &LockedTask, judgement: &Judgement) -> Option<Self> {
        match (task.state, judgement.state) {
            (TaskState::Open, TaskState::Done) => Some(Self::Done),
            (TaskState::Open, TaskState::Dead) => Some(Self::Dead(DeadReason::Disagreement)),
            (TaskState::Open, TaskState::Open) if task.last_lease => {
                Some(Self::Dead(DeadReason::Attempts))
            }
            _ => None,
        }
    }

    /// The reason as the table stores it.
    const fn dead_reason(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Dead(DeadReason::Attempts) => Some("attempts"),
            Self::Dead(DeadReason::Disagreement) => Some("disagreement"),
        }
    }
}

/// Accepts a result; a repeated result gets the same answer.
///
/// # Errors
///
/// If the database fails. Then the result may or may not be stored, and can be given again.
pub(crate) async fn take(
    queue: &Queue,
    task: TaskId,
    holder: &LeaseHolder,
    given: &GivenOutput,
    now: Timestamp,
) -> anyhow::Result<ResultOutcome> {
    let mut transaction = queue.begin_result().await?;
    let result = TaskAnswer { queue: queue.id(), task: pg_bigint(task.get()), holder, given, now };
    let Some(locked) = result.lock(&mut transaction).await? else {
        return Ok(ResultOutcome::NoTask);
    };
    let stored = ResultOutcome::Stored(ResultTaken { task, output_hash: given.output_hash });
    if locked.state != TaskState::Dead {
        let others = result.others(&mut transaction, &locked).await?;
        let judgement = result.judgement(&locked, &others);
        let ending = Ending::of(&locked, &judgement);
        if result.write(&mut transaction, &judgement, ending).await? {
            let changed = others.iter().zip(&judgement.verdicts);
            let changed = changed.filter(|((_, before), after)| before != *after);
            for ((output, _), verdict) in changed {
                result.rejudge(&mut transaction, *output, *verdict).await?;
            }
            if ending == Some(Ending::Dead(DeadReason::Attempts)) {
                result.reject_pending(&mut transaction).await?;
            }
            transaction.commit().await?;
            return Ok(stored);
        }
    }
    Ok(result.refusal(&mut transaction, &locked).await?.unwrap_or(stored))
}

/// A license's answer to a task, with the parameters of its statements.
struct TaskAnswer<'a> {
    queue: i32,
    task: i64,
    holder: &'a LeaseHolder,
    given: &'a GivenOutput,
    now: Timestamp,
}

impl TaskAnswer<'_> {
    async fn lock(
        &self,
        transaction: &mut PgTransaction<'_>,
    ) -> anyhow::Result<Option<LockedTask>> {
        let row = sqlx::query!(
            "select state, copies, agree, expected_hash, live, attempts, max_attempts from task
         where id = $1 and queue = $2 for update",
            self.task,
            self.queue
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let state = match row.state.as_str() {
            "open" => TaskState::Open,
            "done" => TaskState::Done,
            _ => TaskState::Dead,
        };
        Ok(Some(LockedTask {
            state,
            agreement: Agreement {
                copies: row.copies.unsigned_abs(),
                agree: row.agree.unsigned_abs(),
                expected: row.expected_hash.as_deref().map(hash).transpose()?,
            },
            last_lease: row.attempts >= row.max_attempts && row.live <= 1,
        }))
    }

    /// The outputs of other licenses, with their verdicts so far.
    async fn others(
        &self,
        transaction: &mut PgTransaction<'_>,
        task: &LockedTask,
    ) -> anyhow::Result<Vec<(B256, Verdict)>> {
        if task.agreement.copies == 1 {
            return Ok(Vec::new());
        }
        let rows = sqlx::query!(
            "select output_hash, verdict from task_result where task = $1 and license <> $2
         order by received_millis, attempt",
            self.task,
            self.holder.license.as_slice()
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
    fn judgement(&self, task: &LockedTask, others: &[(B256, Verdict)]) -> Judgement {
        let outputs: Vec<B256> =
            others.iter().map(|(output, _)| *output).chain([self.given.output_hash]).collect();
        judge(&task.agreement, &outputs)
    }

    /// Writes the result if the license's lease of the task still runs, and says whether it does.
    async fn write(
        &self,
        transaction: &mut PgTransaction<'_>,
        judgement: &Judgement,
        ending: Option<Ending>,
    ) -> anyhow::Result<bool> {
        let verdict =
            judgement.verdicts.last().copied().context("the given output has no verdict")?;
        // In READ COMMITTED this statement sees every day that was closed before it got the lock.
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
            self.task,
            self.holder.license.as_slice(),
            pg_bigint(self.holder.fence.get()),
            self.holder.node_key.as_slice(),
            pg_bigint(self.now.millis()),
            self.queue,
            self.given.output,
            self.given.output_hash.as_slice(),
            word(verdict),
            pg_day(self.now.day())?,
            ending.is_some(),
            ending.and_then(Ending::dead_reason),
        )
        .execute(&mut **transaction)
        .await?;
        Ok(written.rows_affected() == 1)
    }

    /// Gives the pending results with this output their final verdict.
    async fn rejudge(
        &self,
        transaction: &mut PgTransaction<'_>,
        output: B256,
        verdict: Verdict,
    ) -> anyhow::Result<()> {
        sqlx::query!(
            "update task_result set verdict = $3,
           accepted_millis = case when $3 = 'accepted' then $4::bigint end,
           day = case when $3 = 'accepted' then
             greatest($5::integer, (select closed_through + 1 from task_queue where id = $6)) end
         where task = $1 and output_hash = $2 and verdict = 'pending'",
            self.task,
            output.as_slice(),
            word(verdict),
            pg_bigint(self.now.millis()),
            pg_day(self.now.day())?,
            self.queue,
        )
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }

    /// Rejects the results that still waited for others.
    async fn reject_pending(&self, transaction: &mut PgTransaction<'_>) -> anyhow::Result<()> {
        sqlx::query!(
            "update task_result set verdict = 'rejected' where task = $1 and verdict = 'pending'",
            self.task
        )
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }

    /// The reason a result was not written; `None` if the same output is stored already.
    async fn refusal(
        &self,
        transaction: &mut PgTransaction<'_>,
        task: &LockedTask,
    ) -> anyhow::Result<Option<ResultOutcome>> {
        let row = sqlx::query!(
            r#"select a.fence, a.node_key, a.state, a.expires_millis, r.output_hash as "answer?"
           from task_attempt a
           left join task_result r on r.task = a.task and r.license = a.license
           where a.task = $1 and a.license = $2 order by a.attempt desc limit 1"#,
            self.task,
            self.holder.license.as_slice()
        )
        .fetch_optional(&mut **transaction)
        .await?;
        let Some(row) = row else { return Ok(Some(ResultOutcome::NotLeased)) };
        if let Some(answer) = row.answer {
            let same = answer == self.given.output_hash.as_slice();
            return Ok((!same).then_some(ResultOutcome::AlreadyDone));
        }
        let mine = row.fence == pg_bigint(self.holder.fence.get())
            && row.node_key == self.holder.node_key.as_slice();
        let runs = row.state == "leased" && row.expires_millis > pg_bigint(self.now.millis());
        Ok(Some(match (mine, task.state) {
            (false, _) => ResultOutcome::NotLeased,
            (true, TaskState::Open) if !runs => ResultOutcome::TaskExpired,
            (true, _) => ResultOutcome::Late,
        }))
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pending => "pending",
        Verdict::Accepted => "accepted",
        Verdict::Rejected => "rejected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_ends_an_open_task_for_one_reason() {
        let ending = |state, last_lease, judged| {
            let agreement = Agreement { copies: 1, agree: 1, expected: None };
            let judgement = Judgement { state: judged, verdicts: Vec::new() };
            Ending::of(&LockedTask { state, agreement, last_lease }, &judgement)
        };
        let (open, done, dead) = (TaskState::Open, TaskState::Done, TaskState::Dead);
        assert_eq!(ending(open, false, open), None);
        assert_eq!(ending(open, true, open), Some(Ending::Dead(DeadReason::Attempts)));
        assert_eq!(ending(open, true, done), Some(Ending::Done));
        assert_eq!(ending(open, true, dead), Some(Ending::Dead(DeadReason::Disagreement)));
        for judged in [open, done, dead] {
            assert_eq!(ending(done, true, judged), None);
        }
        assert_eq!(Ending::Done.dead_reason(), None);
        for reason in [DeadReason::Attempts, DeadReason::Disagreement] {
            // The table has the names that the JSON of core has.
            let name = serde_json::to_value(reason).unwrap();
            assert_eq!(Ending::Dead(reason).dead_reason(), name.as_str());
        }
    }
}
