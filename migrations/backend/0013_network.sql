-- A backend that is started with another registry, or on another chain, must not mix two networks' facts in
-- one database: the first start records whose they are, and every later one compares.
create table network (
    one boolean not null default true,
    chain_id bigint not null,
    registry address not null,
    constraint network_pkey primary key (one),
    constraint network_is_one check (one),
    constraint network_chain_id_is_positive check (chain_id > 0)
);
comment on table network is 'The network whose facts this database holds: one row, written by the first start.';
comment on column network.one is 'Always true: there is one row.';
comment on column network.chain_id is 'EIP-155 chain id.';
comment on column network.registry is 'Address of ProjectRegistry.';
