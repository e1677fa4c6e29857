-- Whom a transfer takes a license from: logs that contradict themselves are known by it. Rows of the version
-- before have none until the block is read again, which `nodesys-backend mirror rescan` does at once.

alter table license_event add column sender address;
alter table license_event add constraint license_event_sender
    check (sender is null or kind = 'transfer') not valid;
comment on column license_event.sender is 'Whom a transfer takes the license from, zero where it is minted; null for a rental, and in rows of a version that did not record it.';
