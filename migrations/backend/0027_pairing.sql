-- Pairing by a code, and the message that tells an operator of a new node.

create table pairing (
    id          bytea primary key constraint pairing_id check (octet_length(id) = 16),
    secret_hash hash not null,
    code_hash   hash not null,
    node_key    address not null,
    not_after_secs bigint not null constraint pairing_not_after check (not_after_secs >= 0),
    nonce       uint256 not null,
    machine     text not null constraint pairing_machine check (octet_length(machine) <= 256),
    until_at    millis not null,
    tries       integer not null default 0 constraint pairing_tries check (tries between 0 and 5),
    operator    address,
    operator_signature bytea
        constraint pairing_signature_size check (octet_length(operator_signature) <= 8192),
    constraint pairing_signed_by check (operator is not null or operator_signature is null)
);
comment on table pairing is 'Nodes that wait for a wallet''s signature; each is dropped ten minutes after it began.';
comment on column pairing.id is 'Its id, in the link.';
comment on column pairing.secret_hash is 'SHA-256 of the secret with which the node asks how far it is.';
comment on column pairing.code_hash is 'The code that the operator types, under a secret that is not in the database.';
comment on column pairing.node_key is 'The node.';
comment on column pairing.not_after_secs is 'Last second of the authorisation, seconds since 1970.';
comment on column pairing.nonce is 'Nonce of the authorisation.';
comment on column pairing.machine is 'What the machine calls itself.';
comment on column pairing.until_at is 'When it ends.';
comment on column pairing.tries is 'Wrong codes; five end it.';
comment on column pairing.operator is 'Who typed the code; null before.';
comment on column pairing.operator_signature is 'The operator''s signature; null before.';
create index pairing_until on pairing (until_at);

alter table node add column announced boolean not null default true;
comment on column node.announced is 'False from a new authorisation until the operator''s webhooks are told of it.';
create index node_unannounced on node (idx) where not announced;

-- Wider than before: the version before writes what both allow.
alter table notify_delivery add column node_idx integer
    constraint notify_delivery_node references node;
comment on column notify_delivery.node_idx is 'The new node that it tells of; null otherwise.';
alter table notify_delivery drop constraint notify_delivery_reason;
alter table notify_delivery add constraint notify_delivery_reason
    check (num_nonnulls(outage_id, nonce, node_idx) = 1) not valid;
alter table notify_delivery drop constraint notify_delivery_kind;
alter table notify_delivery add constraint notify_delivery_kind check (
    kind in ('node.down', 'node.back', 'workload.down', 'workload.back', 'workload.lost', 'test',
             'node.authorized')) not valid;
