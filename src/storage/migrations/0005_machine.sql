create table machine (
    id text not null primary key,
    space_id text not null,
    name text not null,
    name_key text not null,
    slug text not null,
    thumbprint text,
    uri text,
    is_disabled boolean not null,
    deregistration_mac bytea unique,
    deregistered_at bigint,
    document text not null
);
create unique index machine_name on machine (space_id, name_key) where deregistered_at is null;
create unique index machine_slug on machine (space_id, slug) where deregistered_at is null;
create index machine_thumbprint on machine (thumbprint);

create table machine_environment (
    machine_id text not null references machine (id) on delete cascade,
    environment_id text not null,
    primary key (environment_id, machine_id)
);

create table machine_role (
    machine_id text not null references machine (id) on delete cascade,
    role_key text not null,
    role text not null,
    primary key (role_key, machine_id)
);

create table machine_health (
    machine_id text not null primary key references machine (id) on delete cascade,
    health_status text not null,
    status_summary text not null,
    has_latest_calamari boolean not null,
    operating_system text not null,
    shell_name text not null,
    shell_version text not null,
    architecture text not null,
    agent_version text not null,
    checked_at bigint not null
);
