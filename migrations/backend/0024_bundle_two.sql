-- Bundle format 2: logs decide who holds a license, and licenses whose logs contradict themselves are named in
-- a file of their own.

-- Whom a transfer takes a license from: contradictions are known by it. Rows of the version before have none
-- until the block is read again, which `nodesys-backend mirror rescan` does at once.
alter table license_event add column sender address;
alter table license_event add constraint license_event_sender
    check (sender is null or kind = 'transfer') not valid;
comment on column license_event.sender is 'Whom a transfer takes the license from, zero where it is minted; null for a rental, and in rows of a version that did not record it.';

-- Not validated, which would read all files: the rows that are there kept the narrower list.
alter table bundle_file drop constraint bundle_file_name;
alter table bundle_file add constraint bundle_file_name check (name in ('bundle.json', 'uptime.csv',
    'holders.csv', 'uncounted.csv', 'points.csv', 'rewards.csv', 'tree.json')) not valid;
