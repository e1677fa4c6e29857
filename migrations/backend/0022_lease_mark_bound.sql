-- Marks have a bound: only the newest are asked for, since each replica learns of them every minute. A replica
-- that names an older one reads its memory anew, which does no harm.

create or replace function mark_lease_change() returns trigger language plpgsql as $$
declare
    newest bigint;
begin
    perform pg_advisory_xact_lock(lease_ends_lock());
    insert into lease_mark (seq, mark)
        select coalesce(max(seq), 0) + 1, hashtextextended(gen_random_uuid()::text, 0) from lease_mark
        returning seq into newest;
    delete from lease_mark where seq <= newest - 1000000;
    return null;
end $$;
comment on table lease_mark is 'One row per change of a lease, numbered without gaps in the order in which they became visible; the newest million are kept.';
