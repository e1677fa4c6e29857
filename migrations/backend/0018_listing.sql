-- A listing is for days: from one on, and once the collection's owner has delisted it, until before another. Then
-- the collection can be listed anew, in another project too, and another collection in its place. Every stage asks
-- by the day. The table collection stays what it was to replicas of the version before: each collection once, with
-- the project and workload of its first listing.

create table listing (
    collection      address not null constraint listing_collection references collection,
    from_day        integer not null constraint listing_from_day check (from_day >= 0),
    until_day       integer,
    project         address not null constraint listing_project references project,
    workload        text not null,
    listed_at       millis not null,
    listed_block    bigint not null constraint listing_listed_block check (listed_block >= 0),
    delisted_block  bigint,
    constraint listing_pkey primary key (collection, from_day),
    constraint listing_until_day check (until_day > from_day),
    constraint listing_delisted check (num_nulls(until_day, delisted_block) in (0, 2)),
    constraint listing_listed_at check (listed_at / 86400000 = from_day)
);
comment on table listing is 'Which days of a collection are a project''s, from final blocks of the registry. No two of a collection, or of a workload, share a day.';
comment on column listing.collection is 'The ERC-721 contract.';
comment on column listing.from_day is 'First UTC day: that of the listing''s block.';
comment on column listing.until_day is 'First UTC day that is not listed any more; null while no end is announced.';
comment on column listing.project is 'Whose the days are.';
comment on column listing.workload is 'The workload that the collection''s tokens license.';
comment on column listing.listed_at is 'Time of the listing''s block: a license is expected to run from then on at the earliest.';
comment on column listing.listed_block is 'Block of the listing; 0 where it came before this table.';
comment on column listing.delisted_block is 'Block that announced the end.';
create index listing_project on listing (project);

-- A listing that is known already is passed over; one that begins within another is refused.
create function refuse_overlapping_listing() returns trigger language plpgsql as $$
begin
    if exists (select from listing where collection = new.collection and from_day = new.from_day) then
        return null;
    end if;
    if exists (
        select from listing l
        where (l.collection = new.collection or (l.project = new.project and l.workload = new.workload))
          and l.from_day <= new.from_day and (l.until_day is null or l.until_day > new.from_day)
    ) then
        raise exception 'two listings of a collection or a workload share a day'
            using errcode = 'check_violation', constraint = 'listing_days_apart';
    end if;
    return new;
end $$;
create trigger listing_days_apart before insert on listing
    for each row execute function refuse_overlapping_listing();

-- Its day is not known, and no day before the project is asked for.
insert into listing (collection, from_day, project, workload, listed_at, listed_block)
    select c.collection, p.first_day, c.project, c.workload, p.first_day * 86400000::bigint, 0
    from collection c join project p on p.project = c.project;

-- A workload may have had several collections.
alter table collection drop constraint collection_workload_unique;
comment on column collection.project is 'Whose it was at first; listing has the days.';
comment on column collection.workload is 'The workload its tokens licensed at first.';
