-- The task queue: what a project asks of its workloads, who has leased it, and what came back.
--
-- Rows lock in one order: task before task_attempt before task_result. A result's day is fixed
-- under the shared advisory lock that closing a day takes exclusively, so a closed day's counts
-- never change.

create table task_queue (
    id             integer generated always as identity primary key,
    chain_id       bigint not null constraint task_queue_chain_id check (chain_id > 0),
    distributor    bytea not null
        constraint task_queue_distributor check (octet_length(distributor) = 20),
    closed_through integer not null default -1
        constraint task_queue_closed_through check (closed_through >= -1),
    constraint task_queue_once unique (chain_id, distributor)
);
comment on table task_queue is 'One queue per project that this database serves.';
comment on column task_queue.id is 'Its number here.';
comment on column task_queue.chain_id is 'The chain; equal distributor addresses on two chains are two projects.';
comment on column task_queue.distributor is 'The project''s RewardDistributor, 20 raw bytes.';
comment on column task_queue.closed_through is 'The last UTC day whose counts were used: results accepted from here on count for later days. -1 before the first.';

create table task (
    id              bigint generated always as identity primary key,
    queue           integer not null constraint task_queue_of references task_queue,
    key             text not null
        constraint task_key check (char_length(key) between 1 and 200),
    spec_hash       bytea not null constraint task_spec_hash check (octet_length(spec_hash) = 32),
    input           text not null constraint task_input check (octet_length(input) <= 65536),
    workload        text,
    copies          smallint not null constraint task_copies check (copies between 1 and 100),
    agree           smallint not null
        constraint task_agree check (agree <= copies and agree * 2 > copies),
    expected_hash   bytea constraint task_expected_hash check (octet_length(expected_hash) = 32),
    max_attempts    smallint not null
        constraint task_max_attempts check (max_attempts between copies and 1000),
    time_limit_secs integer not null
        constraint task_time_limit check (time_limit_secs between 5 and 604800),
    added_millis    bigint not null constraint task_added_millis check (added_millis >= 0),
    state           text not null default 'open'
        constraint task_state check (state in ('open', 'done', 'dead')),
    live            smallint not null default 0 constraint task_live check (live >= 0),
    answered        smallint not null default 0 constraint task_answered check (answered >= 0),
    attempts        smallint not null default 0
        constraint task_attempts check (attempts between live + answered and max_attempts),
    dead_reason     text
        constraint task_dead_reason check (dead_reason in ('attempts', 'disagreement')),
    ended_millis    bigint,
    constraint task_slots check (live + answered <= copies),
    constraint task_ended check ((state = 'open') = (ended_millis is null)),
    constraint task_dead check ((state = 'dead') = (dead_reason is not null)),
    constraint task_once unique (queue, key)
);
create index task_leasable on task (queue, id)
    where state = 'open' and live + answered < copies and attempts < max_attempts;
create index task_state_of on task (queue, state, id);
comment on table task is 'A unit of work that a project has asked for; never deleted here.';
comment on column task.id is 'Its number, rising in the order of adding.';
comment on column task.queue is 'Whose.';
comment on column task.key is 'The project''s own name for it: adding the same key again is the same task.';
comment on column task.spec_hash is 'keccak256 of the canonical JSON of all that the project said of it: the same key with another hash is refused.';
comment on column task.input is 'What the workload is given, canonical JSON.';
comment on column task.workload is 'Only licenses of this workload get it; null for any.';
comment on column task.copies is 'How many licenses answer it.';
comment on column task.agree is 'How many outputs must be equal; more than half, so only one can win.';
comment on column task.expected_hash is 'keccak256 of the known answer''s canonical JSON where the task is a canary.';
comment on column task.max_attempts is 'How often it is leased at most.';
comment on column task.time_limit_secs is 'How long one lease of it may take.';
comment on column task.added_millis is 'When it was added, milliseconds since 1970-01-01T00:00:00Z.';
comment on column task.state is 'open: waits for answers; done: has its answer; dead: given up.';
comment on column task.live is 'Leases that run.';
comment on column task.answered is 'Results taken.';
comment on column task.attempts is 'Leases ever given.';
comment on column task.dead_reason is 'attempts: too many leases ended without a result; disagreement: the outputs cannot agree any more.';
comment on column task.ended_millis is 'When it became done or dead.';

create table task_attempt (
    task           bigint not null constraint task_attempt_task references task,
    attempt        smallint not null constraint task_attempt_number check (attempt > 0),
    queue          integer not null constraint task_attempt_queue references task_queue,
    license        bytea not null
        constraint task_attempt_license check (octet_length(license) = 32),
    node_key       bytea not null
        constraint task_attempt_node_key check (octet_length(node_key) = 20),
    fence          bigint not null constraint task_attempt_fence check (fence >= 0),
    leased_millis  bigint not null,
    expires_millis bigint not null
        constraint task_attempt_expires check (expires_millis > leased_millis),
    state          text not null default 'leased'
        constraint task_attempt_state check (state in ('leased', 'answered', 'expired')),
    constraint task_attempt_once primary key (task, attempt)
);
create unique index task_attempt_license_once on task_attempt (task, license)
    where state <> 'expired';
create unique index task_attempt_node_once on task_attempt (task, node_key)
    where state <> 'expired';
create index task_attempt_running on task_attempt (queue, expires_millis) where state = 'leased';
create index task_attempt_held on task_attempt (license, fence) where state = 'leased';
comment on table task_attempt is 'A lease of a task to a license.';
comment on column task_attempt.task is 'The task.';
comment on column task_attempt.attempt is 'The first lease of the task is 1, the next 2.';
comment on column task_attempt.queue is 'The task''s queue.';
comment on column task_attempt.license is 'The license''s hash. One license answers a task at most once.';
comment on column task_attempt.node_key is 'The node that ran it, 20 raw bytes. One node answers a task at most once, whatever licenses it runs.';
comment on column task_attempt.fence is 'The fence of the license''s lease then: only its ticket may answer.';
comment on column task_attempt.leased_millis is 'When it was leased.';
comment on column task_attempt.expires_millis is 'When the lease of the task ends: a result at or after it is refused.';
comment on column task_attempt.state is 'leased: runs; answered: a result was taken; expired: ended without one.';

create table task_result (
    task            bigint not null constraint task_result_task references task,
    license         bytea not null
        constraint task_result_license check (octet_length(license) = 32),
    queue           integer not null constraint task_result_queue references task_queue,
    attempt         smallint not null,
    output          text not null,
    output_hash     bytea not null
        constraint task_result_output_hash check (octet_length(output_hash) = 32),
    received_millis bigint not null,
    verdict         text not null
        constraint task_result_verdict check (verdict in ('pending', 'accepted', 'rejected')),
    accepted_millis bigint,
    day             integer constraint task_result_day check (day >= 0),
    constraint task_result_once primary key (task, license),
    constraint task_result_attempt foreign key (task, attempt) references task_attempt (task, attempt),
    constraint task_result_accepted check (
        (verdict = 'accepted') = (day is not null) and (day is null) = (accepted_millis is null)
    )
);
create index task_result_counted on task_result (queue, day, license) where day is not null;
comment on table task_result is 'What a license answered to a task: at most one result each, so at most one is counted.';
comment on column task_result.task is 'The task.';
comment on column task_result.license is 'The license''s hash.';
comment on column task_result.queue is 'The task''s queue.';
comment on column task_result.attempt is 'The lease it answers.';
comment on column task_result.output is 'The output, canonical JSON.';
comment on column task_result.output_hash is 'keccak256 of it: what outputs are compared by.';
comment on column task_result.received_millis is 'When it was taken, milliseconds since 1970-01-01T00:00:00Z.';
comment on column task_result.verdict is 'pending: others must answer first; accepted: it counts; rejected: it does not.';
comment on column task_result.accepted_millis is 'When it was accepted.';
comment on column task_result.day is 'The UTC day it counts for, as days since 1970-01-01: that of its acceptance, or the first day not yet closed then.';

create function task_result_day_is_final() returns trigger language plpgsql as $$
begin
    if old.day is not null and (tg_op = 'DELETE' or new.day is distinct from old.day) then
        raise exception 'an accepted task result counts for its day for good';
    end if;
    if tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end
$$;
create trigger task_result_day_is_final before update or delete on task_result
    for each row execute function task_result_day_is_final();
