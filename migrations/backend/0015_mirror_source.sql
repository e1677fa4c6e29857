-- The mirror follows each source of facts by a cursor of its own: a source that cannot be read is set aside,
-- keeps its place, and catches up by itself, while the others go on. chain_cursor stays, as the lowest place of
-- those that have begun, for replicas of the version before.

alter table collection add constraint collection_of_project unique (collection, project);

create table mirror_source (
    kind            text not null constraint mirror_source_kind
                    check (kind in ('registry', 'distributor', 'collection', 'delegates')),
    address         address not null,
    project         address constraint mirror_source_project references project,
    collection      address generated always as (case when kind = 'collection' then address end) stored,
    first_block     bigint not null constraint mirror_source_first_block check (first_block >= 0),
    cursor_block    bigint,
    cursor_hash     hash,
    failures        integer not null default 0 constraint mirror_source_failures check (failures >= 0),
    set_aside_at    millis,
    reason          text,
    next_try        millis,
    constraint mirror_source_pkey primary key (kind, address),
    constraint mirror_source_of_project
        check ((kind in ('distributor', 'collection')) = (project is not null)),
    constraint mirror_source_distributor check (kind <> 'distributor' or project = address),
    constraint mirror_source_collection
        foreign key (collection, project) references collection (collection, project),
    constraint mirror_source_cursor
        check (num_nulls(cursor_block, cursor_hash) in (0, 2) and cursor_block >= first_block),
    constraint mirror_source_set_aside check (num_nulls(set_aside_at, reason, next_try) in (0, 3)
        and (set_aside_at is not null) = (failures > 0))
);
create unique index mirror_source_one_registry on mirror_source (kind) where kind in ('registry', 'delegates');
comment on table mirror_source is 'Whom the mirror follows, and how far. A day is built when all sources of its project have passed its snapshot.';
comment on column mirror_source.kind is 'registry: ProjectRegistry; distributor: a project''s RewardDistributor; collection: a listed ERC-721 contract; delegates: the delegate registry.';
comment on column mirror_source.address is 'The contract.';
comment on column mirror_source.project is 'Whose it is; null for the two registries, which are everybody''s.';
comment on column mirror_source.collection is 'The address of a collection, for its foreign key.';
comment on column mirror_source.first_block is 'Where following begins.';
comment on column mirror_source.cursor_block is 'Last block whose logs of this source are in the mirror; null before the first page.';
comment on column mirror_source.cursor_hash is 'Its hash; another hash at this height later means that the RPC follows another chain.';
comment on column mirror_source.failures is 'Failed tries since it could be read.';
comment on column mirror_source.set_aside_at is 'Since when it cannot be read; null while it can.';
comment on column mirror_source.reason is 'What the last try said.';
comment on column mirror_source.next_try is 'When it is tried again.';

-- One cursor stood for all.
insert into mirror_source (kind, address, first_block, cursor_block, cursor_hash)
    select 'registry', n.registry, 0, c.block_number, c.block_hash from network n cross join chain_cursor c;
insert into mirror_source (kind, address, first_block, cursor_block, cursor_hash)
    select 'delegates', '\x00000000000000447e69651d841bd8d104bed493'::bytea, 0, c.block_number, c.block_hash
    from chain_cursor c;
insert into mirror_source (kind, address, project, first_block, cursor_block, cursor_hash)
    select 'distributor', p.project, p.project, 0, c.block_number, c.block_hash
    from project p cross join chain_cursor c;
insert into mirror_source (kind, address, project, first_block, cursor_block, cursor_hash)
    select 'collection', l.collection, l.project, 0, c.block_number, c.block_hash
    from collection l cross join chain_cursor c;
