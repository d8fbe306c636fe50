create table release (
    id text not null primary key,
    space_id text not null,
    project_id text not null references project (id) on delete cascade,
    channel_id text not null references channel (id),
    version text not null,
    version_key text not null,
    assembled_at bigint not null,
    document text not null,
    unique (project_id, version_key)
);
create index release_project on release (space_id, project_id, assembled_at);
create index release_channel on release (channel_id);

create table deployment (
    id text not null primary key,
    space_id text not null,
    release_id text not null references release (id) on delete cascade,
    project_id text not null references project (id) on delete cascade,
    channel_id text not null,
    environment_id text not null,
    tenant_id text,
    task_id text not null,
    created_at bigint not null,
    document text not null
);
create index deployment_space on deployment (space_id, created_at);
create index deployment_release on deployment (release_id);
create index deployment_project on deployment (project_id, environment_id, created_at);
create index deployment_task on deployment (task_id);
