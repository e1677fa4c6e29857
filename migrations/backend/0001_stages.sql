-- The backend's tables, in the order of the data path:
-- license -> heartbeat -> uptime -> points -> commit -> tree -> root -> claim.
-- Addresses are 20 bytes, hashes 32, both raw; amounts are whole wei below 2^128.

create domain address as bytea check (octet_length(value) = 20);
create domain hash as bytea check (octet_length(value) = 32);
create domain uint256 as bytea check (octet_length(value) = 32);
create domain millis as bigint check (value >= 0);
create domain wei as numeric(39, 0)
    check (value >= 0 and value < 340282366920938463463374607431768211456);
comment on domain address is 'An account or contract, 20 raw bytes.';
comment on domain hash is 'A keccak256 hash, 32 raw bytes.';
comment on domain uint256 is 'A 256-bit number, 32 bytes, big-endian.';
comment on domain millis is 'Milliseconds since 1970-01-01T00:00:00Z.';
comment on domain wei is 'An amount of a project''s token in its smallest unit, below 2^128.';

------------------------------------------------------------------------------- license

create table chain_cursor (
    one         boolean primary key default true constraint chain_cursor_one_row check (one),
    chain_id    bigint not null constraint chain_cursor_chain check (chain_id > 0),
    block_number bigint not null constraint chain_cursor_block check (block_number >= 0),
    block_hash  hash not null
);
comment on table chain_cursor is 'How far the mirror has followed the chain. Only final blocks are taken, so nothing is undone.';
comment on column chain_cursor.one is 'Always true: there is one row.';
comment on column chain_cursor.chain_id is 'The chain the mirror is of.';
comment on column chain_cursor.block_number is 'Last block whose logs are in the mirror.';
comment on column chain_cursor.block_hash is 'Its hash; another hash at this height later means the RPC follows another chain.';

create table project (
    project     address primary key,
    name        text not null constraint project_name_unique unique,
    owner       address not null,
    token       address not null,
    first_day   integer not null constraint project_first_day check (first_day >= 0)
);
comment on table project is 'Projects of ProjectRegistry.';
comment on column project.project is 'The project''s RewardDistributor: its id.';
comment on column project.name is 'Unique name in the registry.';
comment on column project.owner is 'Who created it.';
comment on column project.token is 'The ERC-20 it pays.';
comment on column project.first_day is 'UTC day of creation: the epoch of its first commit.';

create table collection (
    collection  address primary key,
    project     address not null constraint collection_project references project,
    workload    text not null,
    constraint collection_workload_unique unique (project, workload)
);
comment on table collection is 'License collections listed by projects.';
comment on column collection.collection is 'The ERC-721 contract.';
comment on column collection.project is 'Whose it is.';
comment on column collection.workload is 'The workload its tokens license.';

create table license (
    idx             integer primary key constraint license_idx check (idx >= 0),
    collection      address not null constraint license_collection references collection,
    token_id        uint256 not null,
    license_hash    hash not null constraint license_hash_unique unique,
    first_leased    millis,
    constraint license_token_unique unique (collection, token_id)
);
comment on table license is 'Every license ever minted in a listed collection, in mint order.';
comment on column license.idx is 'Dense index: row order of day files and bit in batch bitmaps. Never reused.';
comment on column license.collection is 'The ERC-721 contract.';
comment on column license.token_id is 'The token.';
comment on column license.license_hash is 'keccak256(abi.encode(chainId, collection, tokenId)).';
comment on column license.first_leased is 'When it was first leased; from then on it is expected to run.';

create table license_event (
    block_number    bigint not null,
    log_index       integer not null,
    license_idx     integer not null constraint license_event_license references license,
    kind            text not null constraint license_event_kind check (kind in ('transfer', 'update_user')),
    account         address not null,
    expires_secs    bigint,
    constraint license_event_expires check ((kind = 'update_user') = (expires_secs is not null)),
    primary key (block_number, log_index)
);
comment on table license_event is 'Transfer and UpdateUser logs of listed collections, from final blocks.';
comment on column license_event.block_number is 'Block of the log.';
comment on column license_event.log_index is 'Place in the block.';
comment on column license_event.license_idx is 'The license.';
comment on column license_event.kind is 'ERC-721 Transfer or ERC-4907 UpdateUser.';
comment on column license_event.account is 'New holder or new renter; zero for none.';
comment on column license_event.expires_secs is 'Last second of the rental, seconds since 1970; capped at 2^63-1.';
create index license_event_license_idx on license_event (license_idx);

create table node (
    idx                 integer generated always as identity primary key,
    node_key            address not null constraint node_key_unique unique,
    operator            address not null,
    nonce               uint256 not null,
    not_after_secs      bigint not null,
    operator_signature  bytea not null constraint node_operator_signature check (octet_length(operator_signature) <= 8192),
    node_signature      bytea not null constraint node_node_signature check (octet_length(node_signature) = 65),
    authorized_at       millis not null,
    revoked_at          millis,
    lease_nonce         bigint not null default 0
);
comment on table node is 'Nodes and the authorisation in force for each.';
comment on column node.idx is 'Dense index, used in evidence.';
comment on column node.node_key is 'Address of the node''s key.';
comment on column node.operator is 'Wallet that runs it.';
comment on column node.nonce is 'The authorisation''s nonce; only a higher one replaces it.';
comment on column node.not_after_secs is 'Last second of validity, seconds since 1970.';
comment on column node.operator_signature is 'The wallet''s signature over NodeAuthorization (key or ERC-1271).';
comment on column node.node_signature is 'The node key''s signature over the same digest.';
comment on column node.authorized_at is 'When it was stored.';
comment on column node.revoked_at is 'When the operator revoked it.';
comment on column node.lease_nonce is 'Highest LeaseRequest nonce taken, so that an old request cannot be replayed.';

create table lease (
    license_idx integer not null constraint lease_license references license,
    fence       bigint not null constraint lease_fence check (fence > 0),
    node_idx    integer not null constraint lease_node references node,
    operator    address not null,
    granted_at  millis not null,
    ended_at    millis,
    end_reason  text constraint lease_end_reason check (end_reason in ('expired', 'not_entitled', 'revoked', 'moved')),
    constraint lease_ended check ((ended_at is null) = (end_reason is null)),
    primary key (license_idx, fence)
);
comment on table lease is 'Every lease ever granted. A row changes once, when the lease ends.';
comment on column lease.license_idx is 'The license.';
comment on column lease.fence is 'Fencing number: one more than the lease before.';
comment on column lease.node_idx is 'The node that holds it.';
comment on column lease.operator is 'For whom the right was read on chain.';
comment on column lease.granted_at is 'When it was granted.';
comment on column lease.ended_at is 'When it ended; null while active.';
comment on column lease.end_reason is 'expired: no heartbeat carried it in time; not_entitled: the chain says so; revoked: the node was; moved: the node gave it to another.';
create unique index lease_one_active on lease (license_idx) where ended_at is null;
create index lease_of_node on lease (node_idx) where ended_at is null;
create index lease_ended_at on lease (ended_at) where ended_at is not null;

create table standby (
    license_idx integer not null constraint standby_license references license,
    node_idx    integer not null constraint standby_node references node,
    requested_at millis not null,
    primary key (license_idx, node_idx)
);
comment on table standby is 'Nodes that asked for a license another node holds, in order of asking.';
comment on column standby.license_idx is 'The license.';
comment on column standby.node_idx is 'The waiting node.';
comment on column standby.requested_at is 'When it first asked.';

------------------------------------------------------------------------------- heartbeat

create table writer (
    writer      integer generated always as identity primary key,
    started_at  millis not null,
    alive_at    millis not null,
    constraint writer_order check (alive_at >= started_at)
);
comment on table writer is 'One row per start of a backend replica: who writes batches, and when it was alive.';
comment on column writer.writer is 'Number of the start.';
comment on column writer.started_at is 'When it started.';
comment on column writer.alive_at is 'Last time it recorded being alive, each minute. Gaps over all writers are excused minutes.';

create table day (
    day             integer primary key constraint day_number check (day >= 0),
    closed_at       millis,
    excused         bytea constraint day_excused check (octet_length(excused) = 180),
    uptime_hash     hash,
    evidence_root   hash,
    receipt_key     address,
    signature       bytea constraint day_signature check (octet_length(signature) = 65),
    constraint day_closed_whole check (num_nulls(closed_at, excused, uptime_hash, evidence_root, receipt_key, signature) in (0, 6))
);
comment on table day is 'UTC days. An open day takes batches; a closed day never changes.';
comment on column day.day is 'Days since 1970-01-01.';
comment on column day.closed_at is 'When it was closed; null while open.';
comment on column day.excused is 'Minutes excused for everybody, as a day bitmap.';
comment on column day.uptime_hash is 'Merkle root over the projects'' uptime files.';
comment on column day.evidence_root is 'Merkle root over the day''s receipt batches.';
comment on column day.receipt_key is 'Key that signed DayClosed.';
comment on column day.signature is 'Signature over DayClosed.';

create function refuse_closed_day() returns trigger language plpgsql as $$
begin
    raise exception 'day % is closed and never changes', old.day using errcode = 'check_violation', constraint = 'day_closed_is_final';
end $$;
create trigger day_closed_is_final before update or delete on day
    for each row when (old.closed_at is not null) execute function refuse_closed_day();

create table heartbeat_batch (
    day         integer not null constraint heartbeat_batch_day references day,
    writer      integer not null constraint heartbeat_batch_writer references writer,
    wseq        bigint not null constraint heartbeat_batch_wseq check (wseq > 0),
    minute      smallint not null constraint heartbeat_batch_minute check (minute between 0 and 1439),
    n           integer not null constraint heartbeat_batch_n check (n > 0),
    licenses    bytea not null,
    carried     bytea,
    body        bytea not null,
    server_time millis not null,
    root        hash not null,
    signature   bytea not null constraint heartbeat_batch_signature check (octet_length(signature) = 65),
    primary key (day, writer, wseq)
) partition by list (day);
comment on table heartbeat_batch is 'Accepted heartbeats, one row per group commit, one partition per day.';
comment on column heartbeat_batch.day is 'UTC day; the row''s FOR KEY SHARE on it keeps the day open while the batch commits.';
comment on column heartbeat_batch.writer is 'Who wrote it.';
comment on column heartbeat_batch.wseq is 'The writer''s batch number, from 1.';
comment on column heartbeat_batch.minute is 'Minute of the day all its heartbeats are for.';
comment on column heartbeat_batch.n is 'How many heartbeats.';
comment on column heartbeat_batch.licenses is 'Roaring bitmap of the license indexes credited this minute.';
comment on column heartbeat_batch.carried is 'Roaring bitmap of indexes whose lease was carried but not credited; null for none. Both renew the lease.';
comment on column heartbeat_batch.body is 'Evidence: the signed heartbeats, postcard-encoded.';
comment on column heartbeat_batch.server_time is 'The backend''s clock in the receipt.';
comment on column heartbeat_batch.root is 'Merkle root over Accepted leaves.';
comment on column heartbeat_batch.signature is 'Receipt key''s signature over ReceiptBatch.';
alter table heartbeat_batch alter column body set storage external;
alter table heartbeat_batch alter column licenses set storage external;

------------------------------------------------------------------------------- uptime

create table uptime_file (
    day         integer not null constraint uptime_file_day references day,
    project     address not null constraint uptime_file_project references project,
    csv         bytea not null,
    csv_hash    hash not null,
    path        bytea not null constraint uptime_file_path check (octet_length(path) % 32 = 0),
    primary key (day, project)
);
comment on table uptime_file is 'uptime.csv of each project and closed day.';
comment on column uptime_file.day is 'The closed day.';
comment on column uptime_file.project is 'The project.';
comment on column uptime_file.csv is 'The file''s bytes.';
comment on column uptime_file.csv_hash is 'Their keccak256.';
comment on column uptime_file.path is 'Merkle path to day.uptime_hash, 32 bytes per node.';

------------------------------------------------------------------------------- points

create table points_upload (
    project     address not null constraint points_upload_project references project,
    day         integer not null constraint points_upload_day references day,
    terms       bytea not null,
    csv         bytea not null,
    signature   bytea not null,
    uploaded_at millis not null,
    primary key (project, day)
);
comment on table points_upload is 'The points file a project''s signer uploaded last for a day; replaceable until a commit is accepted.';
comment on column points_upload.project is 'The project.';
comment on column points_upload.day is 'The closed day.';
comment on column points_upload.terms is 'Canonical JSON of the day''s terms.';
comment on column points_upload.csv is 'points.csv.';
comment on column points_upload.signature is 'Reward signer''s signature over PointsUpload.';
comment on column points_upload.uploaded_at is 'When.';

------------------------------------------------------------------------------- commit

create table reward_commit (
    project         address not null constraint reward_commit_project references project,
    day             integer not null constraint reward_commit_day references day,
    revision        integer not null constraint reward_commit_revision check (revision >= 0),
    commit_hash     hash not null constraint reward_commit_hash_unique unique,
    previous        hash not null,
    root            hash not null,
    total           wei not null,
    data_hash       hash not null,
    signature       bytea not null,
    day_reward      wei not null,
    carry_in        wei not null,
    carry_out       wei not null,
    allocated       wei not null,
    accepted_at     millis not null,
    posted_tx       hash,
    posted_block    bigint,
    activates_at_secs bigint,
    revoked_block   bigint,
    constraint reward_commit_conserves check (allocated + carry_out = day_reward + carry_in),
    constraint reward_commit_posted_whole check (num_nulls(posted_tx, posted_block, activates_at_secs) in (0, 3)),
    primary key (project, day, revision)
);
comment on table reward_commit is 'Verified commits. Rewards plus remainder equal what there was to give.';
comment on column reward_commit.project is 'The project.';
comment on column reward_commit.day is 'The day: the commit''s epoch.';
comment on column reward_commit.revision is 'The distributor''s revision counter.';
comment on column reward_commit.commit_hash is 'EIP-712 struct hash.';
comment on column reward_commit.previous is 'Struct hash of the commit before, zero for the first.';
comment on column reward_commit.root is 'Root of the tree, zero while nobody has earned.';
comment on column reward_commit.total is 'Sum of all cumulative amounts.';
comment on column reward_commit.data_hash is 'keccak256 of bundle.json.';
comment on column reward_commit.signature is 'Reward signer''s signature.';
comment on column reward_commit.day_reward is 'What the project pays for the day.';
comment on column reward_commit.carry_in is 'Remainder of the day before.';
comment on column reward_commit.carry_out is 'Remainder for the next day.';
comment on column reward_commit.allocated is 'What the day adds.';
comment on column reward_commit.accepted_at is 'When it was stored.';
comment on column reward_commit.posted_tx is 'Transaction of its Posted event, from a final block.';
comment on column reward_commit.posted_block is 'Block of that event.';
comment on column reward_commit.activates_at_secs is 'When its delay passes, seconds since 1970.';
comment on column reward_commit.revoked_block is 'Final block of its Revoked event.';

create table bundle_file (
    commit_hash hash not null constraint bundle_file_commit references reward_commit (commit_hash),
    name        text not null constraint bundle_file_name check (name in ('bundle.json', 'uptime.csv', 'holders.csv', 'points.csv', 'rewards.csv', 'tree.json')),
    bytes       bytea not null,
    primary key (commit_hash, name)
);
comment on table bundle_file is 'The public files of each commit.';
comment on column bundle_file.commit_hash is 'Whose.';
comment on column bundle_file.name is 'File name.';
comment on column bundle_file.bytes is 'Content.';

------------------------------------------------------------------------------- tree

create table tree (
    commit_hash hash primary key constraint tree_commit references reward_commit (commit_hash),
    bytes       bytea not null
);
comment on table tree is 'One tree per commit, laid out so that a proof is a few reads by offset.';
comment on column tree.commit_hash is 'Whose.';
comment on column tree.bytes is 'nodesys_core::tree stored form.';
alter table tree alter column bytes set storage external;

------------------------------------------------------------------------------- root

create table outbox (
    id          bigint generated always as identity primary key,
    commit_hash hash not null constraint outbox_commit_unique unique constraint outbox_commit references reward_commit (commit_hash),
    to_address  address not null,
    calldata    bytea not null,
    created_at  millis not null,
    nonce       bigint,
    tx_hash     hash,
    raw_tx      bytea,
    signed_at   millis,
    attempts    integer not null default 0,
    last_error  text,
    done_block  bigint,
    constraint outbox_signed_whole check (num_nulls(nonce, tx_hash, raw_tx, signed_at) in (0, 4))
);
comment on table outbox is 'Transactions to send: a row with the signed bytes exists before anything is sent.';
comment on column outbox.id is 'Order of sending.';
comment on column outbox.commit_hash is 'The commit it posts; at most one post per commit.';
comment on column outbox.to_address is 'The distributor.';
comment on column outbox.calldata is 'The call.';
comment on column outbox.created_at is 'When it was queued.';
comment on column outbox.nonce is 'The poster''s account nonce of the signed transaction.';
comment on column outbox.tx_hash is 'Its hash.';
comment on column outbox.raw_tx is 'Its signed bytes, sent again as they are after a crash.';
comment on column outbox.signed_at is 'When it was signed.';
comment on column outbox.attempts is 'How often sending was tried.';
comment on column outbox.last_error is 'What the last try said.';
comment on column outbox.done_block is 'Final block in which the commit is posted, by whomever.';
create index outbox_open on outbox (id) where done_block is null;

------------------------------------------------------------------------------- claim

create table claim (
    block_number bigint not null,
    log_index   integer not null,
    project     address not null constraint claim_project references project,
    account     address not null,
    recipient   address not null,
    root        hash not null,
    amount      wei not null,
    cumulative  wei not null,
    tx_hash     hash not null,
    primary key (block_number, log_index)
);
comment on table claim is 'Claimed events, from final blocks.';
comment on column claim.block_number is 'Block of the log.';
comment on column claim.log_index is 'Place in the block.';
comment on column claim.project is 'The project.';
comment on column claim.account is 'Who earned.';
comment on column claim.recipient is 'Who received.';
comment on column claim.root is 'The root claimed under.';
comment on column claim.amount is 'What was paid by this claim.';
comment on column claim.cumulative is 'All that has been paid to the account with this claim.';
comment on column claim.tx_hash is 'The transaction.';
create index claim_of_account on claim (account, project);
