-- A closed day takes no batch, whoever writes it: the row stays locked against a close until the
-- batch is committed.

create function refuse_batch_of_closed_day() returns trigger language plpgsql as $$
begin
    perform from day where day = new.day and closed_at is null for key share;
    if not found then
        raise exception 'day % is closed and takes no batch', new.day
            using errcode = 'check_violation', constraint = 'heartbeat_batch_day_open';
    end if;
    return new;
end $$;
create trigger heartbeat_batch_day_open before insert on heartbeat_batch
    for each row execute function refuse_batch_of_closed_day();

comment on table writer is 'One row per start of a backend replica, and one more after each time it could not record being alive: who writes batches, and when it was alive.';
comment on column writer.writer is 'Number of the row; batches carry that of the start.';
comment on column reward_commit.revoked_block is 'Final block of its Revoked event, or of the event that raised the distributor''s revision before it was posted.';
