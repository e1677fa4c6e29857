-- Under fire: what strangers' nodes may leave here, and challenges while receipt keys change.

-- Of the heartbeats of a node without a right to any license nothing is kept but that it was heard, and in time its
-- authorisation lapses: anybody may authorise nodes, and only a license makes one useful. Of nodes that are here
-- already nothing is known, so their time begins with the migration.
alter table node add column entitled_at bigint default (extract(epoch from now()) * 1000)::bigint;
alter table node alter column entitled_at drop default;
alter table node add column lapsed_at bigint;
comment on column node.entitled_at is 'When the chain last allowed a license that the node asked for, in milliseconds since 1970, to the day; null for never.';
comment on column node.lapsed_at is 'When the authorisation lapsed for want of a license, in milliseconds since 1970; it counts while it is not before authorized_at.';

-- Replicas with different receipt keys must know each other's challenges, so the secret is the database's.
alter table network add column challenge_secret bytea not null
    default sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'))
    constraint network_challenge_secret check (octet_length(challenge_secret) = 32);
comment on column network.challenge_secret is 'What challenges of heartbeats are made with, the same at all replicas. Who knows it can make heartbeats some minutes in advance, and nothing else.';
