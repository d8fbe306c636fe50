create table project (
    id text not null primary key,
    space_id text not null,
    name text not null,
    name_key text not null,
    slug text not null,
    sort_order bigint not null,
    document text not null,
    unique (space_id, name_key),
    unique (space_id, slug)
);

create table channel (
    id text not null primary key,
    space_id text not null,
    project_id text not null references project (id) on delete cascade,
    name text not null,
    name_key text not null,
    slug text not null,
    is_default boolean not null,
    document text not null,
    unique (project_id, name_key),
    unique (project_id, slug)
);
create index channel_space on channel (space_id, name_key);

create table deployment_process (
    id text not null primary key,
    space_id text not null,
    project_id text not null references project (id) on delete cascade,
    version bigint not null,
    is_snapshot boolean not null,
    document text not null
);
create index deployment_process_project on deployment_process (project_id);

create table variable_set (
    id text not null primary key,
    space_id text not null,
    owner_id text not null,
    version bigint not null,
    is_snapshot boolean not null,
    document text not null
);
create index variable_set_owner on variable_set (space_id, owner_id);
