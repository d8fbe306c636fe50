create table environment (
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

create table lifecycle (
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

create table project_group (
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

create table machine_policy (
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

create table feed (
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
