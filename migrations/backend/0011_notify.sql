-- Notices: outages of nodes and workloads, who is told, and each message as a row until it is taken.

alter table node add column notify_nonce bigint not null default 0;
comment on column node.notify_nonce is 'Highest NotifyRequest nonce taken, so that an old request cannot be replayed.';

create table notify_target (
    id          bigint generated always as identity primary key,
    node_idx    integer not null constraint notify_target_node references node,
    url         text not null constraint notify_target_url check (octet_length(url) between 1 and 2048),
    secret      bytea not null constraint notify_target_secret check (octet_length(secret) = 32),
    added_at    millis not null,
    removed_at  millis,
    last_error  text
);
comment on table notify_target is 'Webhooks that are told of a node''s outages.';
comment on column notify_target.id is 'The target''s number.';
comment on column notify_target.node_idx is 'The node, whose key manages it.';
comment on column notify_target.url is 'Where messages go.';
comment on column notify_target.secret is 'Secret that messages are signed with; its receiver has it too.';
comment on column notify_target.added_at is 'When it was added.';
comment on column notify_target.removed_at is 'When it was removed; it is told no more.';
comment on column notify_target.last_error is 'What the last failed try said.';
create unique index notify_target_url_unique on notify_target (node_idx, url) where removed_at is null;

create table outage (
    id          bigint generated always as identity primary key,
    node_idx    integer not null constraint outage_node references node,
    license_idx integer constraint outage_license references license,
    since       millis not null,
    told_at     millis not null,
    ended_at    millis,
    ended_as    text constraint outage_ended_as check (ended_as in ('back', 'lost', 'unwatched')),
    constraint outage_ended_whole check (num_nulls(ended_at, ended_as) in (0, 2)),
    constraint outage_order check (told_at >= since)
);
comment on table outage is 'Outages of five minutes and more that somebody is told of.';
comment on column outage.id is 'Number of the outage.';
comment on column outage.node_idx is 'The node.';
comment on column outage.license_idx is 'The license whose workload is down; null where the whole node is.';
comment on column outage.since is 'Last sign of the node, or of the workload being well.';
comment on column outage.told_at is 'When it was found, and its messages were written.';
comment on column outage.ended_at is 'When it was over; null while it lasts.';
comment on column outage.ended_as is 'back: heard or well again; lost: the node holds the license no longer; unwatched: nobody is told any more.';
create unique index outage_one_open on outage (node_idx, coalesce(license_idx, -1)) where ended_at is null;

create table notify_delivery (
    id          bigint generated always as identity primary key,
    target_id   bigint not null constraint notify_delivery_target references notify_target,
    outage_id   bigint constraint notify_delivery_outage references outage,
    nonce       bigint,
    kind        text not null constraint notify_delivery_kind check (
        kind in ('node.down', 'node.back', 'workload.down', 'workload.back', 'workload.lost', 'test')),
    body        text not null,
    created_at  millis not null,
    attempts    integer not null default 0 constraint notify_delivery_attempts check (attempts >= 0),
    next_at     millis not null,
    delivered_at millis,
    failed_at   millis,
    constraint notify_delivery_once unique (target_id, outage_id, kind),
    constraint notify_delivery_test_once unique (target_id, nonce),
    constraint notify_delivery_reason check (num_nulls(outage_id, nonce) = 1),
    constraint notify_delivery_ended check (num_nulls(delivered_at, failed_at) > 0)
);
comment on table notify_delivery is 'Messages to targets: written with what they tell, sent until they are taken or given up.';
comment on column notify_delivery.id is 'Number of the message: its webhook-id, the same at each try.';
comment on column notify_delivery.target_id is 'To whom.';
comment on column notify_delivery.outage_id is 'Of which outage; null for a test.';
comment on column notify_delivery.nonce is 'Nonce of the request for a test; null otherwise.';
comment on column notify_delivery.kind is 'What it tells.';
comment on column notify_delivery.body is 'The JSON that is signed and sent.';
comment on column notify_delivery.created_at is 'When it was written.';
comment on column notify_delivery.attempts is 'How often it was sent without being taken.';
comment on column notify_delivery.next_at is 'When it is sent next.';
comment on column notify_delivery.delivered_at is 'When it was taken.';
comment on column notify_delivery.failed_at is 'When it was given up.';
create index notify_delivery_open on notify_delivery (next_at) where delivered_at is null and failed_at is null;
