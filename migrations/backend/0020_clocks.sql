-- Clocks: a replica records beside its own time that of Postgres, so that the others can judge their
-- clocks by it.

alter table writer add column seen_at bigint;
comment on column writer.seen_at is 'Postgres''s time, in milliseconds, when alive_at was recorded; null from a version that does not record it.';
