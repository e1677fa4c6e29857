-- A fact belongs to the contract that said it. Two projects may post the same six fields, since a struct hash
-- says nothing of the distributor: so a commit is found by its project and its hash, never by its hash alone,
-- and what hangs on a commit (files, tree, outbox row) names the project too.

alter table bundle_file drop constraint bundle_file_commit;
alter table tree drop constraint tree_commit;
alter table outbox drop constraint outbox_commit;
alter table outbox drop constraint outbox_commit_unique;
alter table reward_commit drop constraint reward_commit_hash_unique;
alter table reward_commit add constraint reward_commit_hash_unique unique (project, commit_hash);

alter table bundle_file add column project address;
update bundle_file f set project = c.project from reward_commit c where c.commit_hash = f.commit_hash;
alter table bundle_file alter column project set not null;
alter table bundle_file drop constraint bundle_file_pkey;
alter table bundle_file add primary key (project, commit_hash, name);
alter table bundle_file add constraint bundle_file_commit
    foreign key (project, commit_hash) references reward_commit (project, commit_hash);
comment on column bundle_file.project is 'Whose commit.';
comment on column bundle_file.commit_hash is 'Which commit of the project.';

alter table tree add column project address;
update tree t set project = c.project from reward_commit c where c.commit_hash = t.commit_hash;
alter table tree alter column project set not null;
alter table tree drop constraint tree_pkey;
alter table tree add primary key (project, commit_hash);
alter table tree add constraint tree_commit
    foreign key (project, commit_hash) references reward_commit (project, commit_hash);
comment on column tree.project is 'Whose commit.';
comment on column tree.commit_hash is 'Which commit of the project.';

-- A post goes to the distributor that is the commit's project, and nowhere else.
alter table outbox add constraint outbox_commit_unique unique (to_address, commit_hash);
alter table outbox add constraint outbox_commit
    foreign key (to_address, commit_hash) references reward_commit (project, commit_hash);
comment on column outbox.to_address is 'The distributor: the commit''s project.';
comment on column outbox.commit_hash is 'The commit it posts; at most one post per project and commit.';

-- Replicas of the version before write no project. A hash that one project has is that project's; of a hash
-- that two have, nothing is guessed: the insert fails on the column's not null.
create function commit_of_one_project() returns trigger language plpgsql as $$
begin
    if new.project is null then
        select (array_agg(c.project::bytea))[1] into new.project from reward_commit c
        where c.commit_hash = new.commit_hash having count(*) = 1;
    end if;
    return new;
end $$;
create trigger bundle_file_project before insert on bundle_file
    for each row execute function commit_of_one_project();
create trigger tree_project before insert on tree
    for each row execute function commit_of_one_project();

-- The revision as of the mirror: it rises when commits are revoked and when the signer is disabled or set.
-- A commit of a lower one that is not posted never will be.
alter table project add column revision integer not null default 0
    constraint project_revision check (revision >= 0);
comment on column project.revision is 'The distributor''s revision counter, as of the mirror.';
