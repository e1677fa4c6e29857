-- Releases: the documents of announced release hashes, kept for nodes to fetch.

create table release (
    release_hash hash primary key,
    project     address not null constraint release_project references project,
    workload    text not null,
    version     bigint not null constraint release_version check (version > 0),
    body        bytea not null constraint release_body check (octet_length(body) between 1 and 65536),
    stored_at   millis not null,
    constraint release_version_unique unique (project, workload, version)
);
comment on table release is 'Documents of releases that the chain announced when they were stored. Never changed.';
comment on column release.release_hash is 'keccak256 of the body, as announced.';
comment on column release.project is 'The project for which it was stored; others may have announced the same bytes since.';
comment on column release.workload is 'The workload, as the document says.';
comment on column release.version is 'The version, as the document says.';
comment on column release.body is 'The release as canonical JSON.';
comment on column release.stored_at is 'When it was stored.';
alter table release alter column body set storage external;

create function release_is_final() returns trigger language plpgsql as $$
begin
    raise exception 'a stored release is never changed' using errcode = 'restrict_violation';
end $$;
create trigger release_final before update or delete on release
    for each row execute function release_is_final();
