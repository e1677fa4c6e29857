-- What the dashboard reads.

-- An operator's nodes are read page by page, in the order in which they were first authorised.

create index node_of_operator on node (operator, idx);

-- A year of a license is 365 rows of as many files. Its numbers alone are read by offset: a day is 6 bytes for each
-- license, and is never compressed, so that a slice of it is one page.

create table uptime_count (
    day     integer not null constraint uptime_count_day references day,
    counts  bytea not null constraint uptime_count_whole check (octet_length(counts) % 6 = 0),
    constraint uptime_count_pkey primary key (day)
);
alter table uptime_count alter column counts set storage external;
comment on table uptime_count is 'Each license''s minutes of a closed day in numbers, made from the day''s files and made again where they are missing; 400 days are kept.';
comment on column uptime_count.day is 'The closed day.';
comment on column uptime_count.counts is 'At 6 times a license''s index: credited, expected, and excused of the missing minutes, 16 bits each, big-endian; zeros where it has no row.';
