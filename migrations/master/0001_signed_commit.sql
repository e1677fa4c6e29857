-- What the reward signer has signed. The row is there, durably, before the signature is made, so
-- that no crash and no second master can lead to two commits for one epoch and revision.

create table signed_commit (
    chain_id     bigint not null constraint signed_commit_chain_id check (chain_id > 0),
    distributor  bytea not null
        constraint signed_commit_distributor check (octet_length(distributor) = 20),
    epoch        bigint not null constraint signed_commit_epoch check (epoch >= 0),
    revision     bigint not null
        constraint signed_commit_revision check (revision between 0 and 4294967295),
    commit_hash  bytea not null
        constraint signed_commit_commit_hash check (octet_length(commit_hash) = 32),
    signer       bytea not null constraint signed_commit_signer check (octet_length(signer) = 20),
    body         text not null,
    noted_millis bigint not null constraint signed_commit_noted_millis check (noted_millis >= 0),
    constraint signed_commit_once primary key (chain_id, distributor, epoch, revision)
);
comment on table signed_commit is 'Commits that the reward signer has signed or was about to sign: one per chain, distributor, epoch and revision, never changed and never deleted.';
comment on column signed_commit.chain_id is 'The chain; equal distributor addresses on two chains are two projects.';
comment on column signed_commit.distributor is 'The project''s RewardDistributor, 20 raw bytes.';
comment on column signed_commit.epoch is 'The UTC day, as days since 1970-01-01.';
comment on column signed_commit.revision is 'The distributor''s revision counter, which rises when commits are revoked.';
comment on column signed_commit.commit_hash is 'EIP-712 struct hash of the commit: the only one that may be signed for this key.';
comment on column signed_commit.signer is 'Whose key signs, 20 raw bytes.';
comment on column signed_commit.body is 'The commit as JSON, for people.';
comment on column signed_commit.noted_millis is 'When the row was written, milliseconds since 1970-01-01T00:00:00Z.';

create function signed_commit_is_final() returns trigger language plpgsql as $$
begin
    raise exception 'signed_commit rows are never changed or deleted';
end
$$;
create trigger signed_commit_is_final before update or delete or truncate on signed_commit
    for each statement execute function signed_commit_is_final();
