create table counter (
    kind text not null primary key,
    last bigint not null
);

create table installation (
    one bigint not null primary key check (one = 1),
    id text not null,
    salt bytea not null,
    created_at bigint not null
);

create table key_ring (
    one bigint not null primary key check (one = 1),
    document text not null,
    created_at bigint not null
);

create table node (
    name text not null primary key,
    version text not null,
    task_cap bigint not null,
    is_draining boolean not null,
    started_at bigint not null,
    last_seen_at bigint not null
);

create table server_task (
    id text not null primary key,
    number bigint not null unique,
    space_id text,
    name text not null,
    description text not null,
    state text not null,
    arguments text not null,
    project_id text,
    environment_id text,
    tenant_id text,
    priority_at bigint,
    queue_time bigint not null,
    queue_time_expiry bigint,
    started_at bigint,
    completed_at bigint,
    error_message text,
    has_warnings boolean not null,
    has_pending_interruptions boolean not null,
    cancel_requested_at bigint,
    server_node text,
    concurrency_tag text,
    plan text,
    lease_owner text,
    lease_epoch bigint not null,
    lease_expires_at bigint
);
create index server_task_state on server_task (state, queue_time);
create unique index server_task_tag on server_task (concurrency_tag) where state in ('Executing', 'Cancelling');

create table task_segment (
    task_id text not null references server_task (id) on delete cascade,
    epoch bigint not null,
    valid_length bigint,
    primary key (task_id, epoch)
);
