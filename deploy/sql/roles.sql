-- Two roles for a database of the backend or of the master, run once by a superuser in that database:
--
--   createdb nodesys
--   psql --dbname nodesys --file roles.sql --set ON_ERROR_STOP=1
--   psql --dbname nodesys --command "\password nodesys_owner" --command "\password nodesys"
--
-- nodesys_owner owns the tables: `nodesys-backend migrate` and `nodesys-master migrate` run under it.
-- nodesys reads and writes rows: the programs run under it, with --no-migrate. It can change no table, switch
-- off no trigger, and so change no closed day. It may be run again, also in a database that has tables.

do $$
begin
    if not exists (select from pg_roles where rolname = 'nodesys_owner') then
        create role nodesys_owner login nosuperuser nocreatedb nocreaterole;
    end if;
    if not exists (select from pg_roles where rolname = 'nodesys') then
        create role nodesys login nosuperuser nocreatedb nocreaterole;
    end if;
end $$;

-- Nobody else gets in, nor makes anything.
do $$
begin
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I to nodesys_owner, nodesys', current_database());
end $$;
-- The backend looks for standbys that acknowledge nothing; without this it sees them without their names.
grant pg_read_all_stats to nodesys;
alter schema public owner to nodesys_owner;
revoke all on schema public from public;
grant usage on schema public to nodesys;

-- What an older installation made under another role.
do $$
declare
    thing record;
begin
    for thing in
        select c.oid::regclass as name, c.relkind from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
          and c.relowner <> 'nodesys_owner'::regrole
    loop
        execute format('alter %s %s owner to nodesys_owner',
            case thing.relkind when 'v' then 'view' else 'table' end, thing.name);
    end loop;
    for thing in
        select p.oid::regprocedure as name from pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proowner <> 'nodesys_owner'::regrole
    loop
        execute format('alter routine %s owner to nodesys_owner', thing.name);
    end loop;
    for thing in
        select t.oid::regtype as name from pg_type t
        where t.typnamespace = 'public'::regnamespace and t.typtype = 'd'
          and t.typowner <> 'nodesys_owner'::regrole
    loop
        execute format('alter domain %s owner to nodesys_owner', thing.name);
    end loop;
end $$;

-- What is there, and what migrations and new days will make.
grant select, insert, update, delete on all tables in schema public to nodesys;
grant usage on all sequences in schema public to nodesys;
grant execute on all routines in schema public to nodesys;
alter default privileges for role nodesys_owner in schema public
    grant select, insert, update, delete on tables to nodesys;
alter default privileges for role nodesys_owner in schema public grant usage on sequences to nodesys;
alter default privileges for role nodesys_owner in schema public grant execute on routines to nodesys;
