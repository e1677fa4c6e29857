-- Marks: each grant and each end of a lease leaves a number and a random mark, in the order of their
-- commits. A batch names the newest mark its replica knew. If the database does not have it, the database
-- is not the one that the replica's memory was read from: a failover or a restore lost its tail, and its
-- numbers and fences are used again. The batch is refused, and the replica reads its memory anew.

create table lease_mark (
    seq  bigint primary key constraint lease_mark_seq check (seq > 0),
    mark bigint not null
);
comment on table lease_mark is 'One row per change of a lease, numbered without gaps in the order in which they became visible.';
comment on column lease_mark.seq is 'Number of the change, from 1.';
comment on column lease_mark.mark is 'Drawn at random: a lost number that is used again has another mark.';
insert into lease_mark (seq, mark)
    select 1, hashtextextended(gen_random_uuid()::text, 0) where exists (select from lease);

create function mark_lease_change() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(lease_ends_lock());
    insert into lease_mark (seq, mark)
        select coalesce(max(seq), 0) + 1, hashtextextended(gen_random_uuid()::text, 0) from lease_mark;
    return null;
end $$;
create constraint trigger lease_grant_marked after insert on lease
    deferrable initially deferred for each row execute function mark_lease_change();
create constraint trigger lease_end_marked after update on lease
    deferrable initially deferred for each row
    when (old.ended_at is null and new.ended_at is not null) execute function mark_lease_change();

alter table heartbeat_batch add column known_seq bigint;
alter table heartbeat_batch add column known_mark bigint;
comment on column heartbeat_batch.known_seq is 'Number of the newest change of a lease that its replica knew; null or 0 where it knew none.';
comment on column heartbeat_batch.known_mark is 'The mark of that change.';

create or replace function refuse_batch_of_moved_lease() returns trigger language plpgsql volatile as $$
begin
    perform pg_advisory_xact_lock_shared(lease_ends_lock());
    if new.known_seq > 0 and not exists (
        select from lease_mark where seq = new.known_seq and mark = new.known_mark
    ) then
        raise exception 'the batch was judged by leases that this database does not have'
            using errcode = 'check_violation', constraint = 'heartbeat_batch_leases_here';
    end if;
    if new.lease_seq is distinct from (select coalesce(max(seq), 0) from lease_end) then
        raise exception 'the batch was judged before the newest end of a lease'
            using errcode = 'check_violation', constraint = 'heartbeat_batch_leases_known';
    end if;
    return new;
end $$;
