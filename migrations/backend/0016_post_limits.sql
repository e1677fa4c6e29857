-- What a project's posts may cost the poster: a signer that is a contract decides what its check burns, and may
-- answer an estimate otherwise than a transaction. A row over a limit is parked with its reason (last_error).

alter table outbox add column failures integer not null default 0
    constraint outbox_failures check (failures >= 0);
alter table outbox add column next_try millis;
alter table outbox add constraint outbox_parked check ((next_try is not null) = (failures > 0));
comment on column outbox.failures is 'How often it was parked: over a limit, or failed in a block.';
comment on column outbox.next_try is 'When it is tried again; null before the first failure.';

create table post_gas (
    project address not null constraint post_gas_project references project,
    day     integer not null constraint post_gas_day check (day >= 0),
    gas     bigint not null constraint post_gas_gas check (gas > 0),
    constraint post_gas_pkey primary key (project, day)
);
comment on table post_gas is 'Gas that posts of a project burned in vain, by UTC day.';
comment on column post_gas.project is 'Whose posts.';
comment on column post_gas.day is 'The day on which the failure was found.';
comment on column post_gas.gas is 'Units of gas.';
