-- Opening a day makes a partition, which only the owner of the table may. A backend that runs under another
-- role (deploy/sql/roles.sql) calls this function, which runs as its owner; it makes nothing but the one day.

create function open_day(wanted integer) returns boolean
    language plpgsql security definer
    -- Nobody's table or function of the same name is taken instead.
    set search_path from current
    set lock_timeout = '2s'
as $$
begin
    if wanted is null or wanted < 0 then
        raise exception 'no day: %', wanted using errcode = 'invalid_parameter_value';
    end if;
    insert into day (day) values (wanted) on conflict do nothing;
    if not found then
        return false;
    end if;
    -- Made beside the table and attached: that takes no lock that reads or inserts wait for.
    execute format('create table heartbeat_batch_%s (like heartbeat_batch including all)', wanted);
    execute format(
        'alter table heartbeat_batch attach partition heartbeat_batch_%s for values in (%s)', wanted, wanted);
    return true;
end $$;
comment on function open_day is 'Opens a day for batches: its row and its partition, both or neither; false if it was open.';
revoke execute on function open_day from public;
