-- Takeover: each end of a lease has a number, in the order of their commits, and a batch says up to
-- which of them it was judged. A batch that does not know the newest is refused, so that no
-- heartbeat is credited for a lease that has moved, whichever replica took it.

create table lease_end (
    seq         bigint primary key constraint lease_end_seq check (seq > 0),
    license_idx integer not null,
    fence       bigint not null,
    constraint lease_end_lease_unique unique (license_idx, fence),
    constraint lease_end_lease foreign key (license_idx, fence) references lease
);
comment on table lease_end is 'Every end of a lease, numbered without gaps in the order in which they became visible.';
comment on column lease_end.seq is 'Number of the end, from 1.';
comment on column lease_end.license_idx is 'Whose lease.';
comment on column lease_end.fence is 'Which lease: every fence up to it is stale.';
insert into lease_end (seq, license_idx, fence)
    select row_number() over (order by ended_at, license_idx, fence), license_idx, fence
    from lease where ended_at is not null;

-- The lock under which ends are numbered, which batches share; the last thing a transaction that
-- ends a lease takes, so that nothing can wait for it in a circle.
create function lease_ends_lock() returns bigint language sql immutable as $$ select x'6e730100'::bigint $$;

create function number_lease_end() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(lease_ends_lock());
    insert into lease_end (seq, license_idx, fence)
        select coalesce(max(seq), 0) + 1, new.license_idx, new.fence from lease_end;
    return null;
end $$;
create constraint trigger lease_end_numbered after update on lease
    deferrable initially deferred for each row
    when (old.ended_at is null and new.ended_at is not null) execute function number_lease_end();

alter table heartbeat_batch add column lease_seq bigint;
alter table heartbeat_batch add column unfit bytea;
comment on column heartbeat_batch.lease_seq is 'Number of the newest end of a lease that its heartbeats were judged by; null in batches older than the numbers.';
comment on column heartbeat_batch.unfit is 'Roaring bitmap of indexes carried as degraded or down; null for none. They renew the lease only while nobody stands by.';
comment on column heartbeat_batch.carried is 'Roaring bitmap of indexes whose lease was carried but not credited, being starting, updating or new; null for none. They renew the lease as credited ones do.';

-- Fires after heartbeat_batch_day_open (triggers go by name). Each statement of a volatile function
-- sees what was committed before it began: also what the lock was waited for.
create function refuse_batch_of_moved_lease() returns trigger language plpgsql volatile as $$
begin
    perform pg_advisory_xact_lock_shared(lease_ends_lock());
    if new.lease_seq is distinct from (select coalesce(max(seq), 0) from lease_end) then
        raise exception 'the batch was judged before the newest end of a lease'
            using errcode = 'check_violation', constraint = 'heartbeat_batch_leases_known';
    end if;
    return new;
end $$;
create trigger heartbeat_batch_leases_known before insert on heartbeat_batch
    for each row execute function refuse_batch_of_moved_lease();

alter table lease add column earns_from bigint not null default 0;
comment on column lease.earns_from is 'First minute (since 1970) it may be credited for: after a change of node the one after the grant, so that no minute is credited to two nodes.';

alter table standby add column asked_at millis;
update standby set asked_at = requested_at;
alter table standby alter column asked_at set not null;
alter table standby add constraint standby_order check (asked_at >= requested_at);
create index standby_of_node on standby (node_idx);
comment on column standby.requested_at is 'When it first asked: the order of promotion.';
comment on column standby.asked_at is 'When it last asked; who stops asking is forgotten.';
