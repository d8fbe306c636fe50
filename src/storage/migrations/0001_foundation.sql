create table counter (
    kind text not null primary key,
    last bigint not null
);

create table configuration (
    name text not null primary key,
    document text not null
);

create table installation (
    one bigint not null primary key check (one = 1),
    id text not null,
    salt bytea not null,
    key_check text not null,
    created_at bigint not null
);

create table data_key (
    kid bigint not null primary key,
    purpose text not null,
    state text not null,
    wrapped text not null,
    created_at bigint not null
);

create table node (
    name text not null primary key,
    owner text not null unique,
    version text not null,
    task_cap bigint not null,
    is_alive boolean not null,
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
    moved_to_top_at bigint,
    queue_time bigint not null,
    queue_time_expiry bigint,
    start_time bigint,
    updated_at bigint not null,
    completed_at bigint,
    error_message text,
    has_warnings boolean not null,
    has_pending_interruptions boolean not null,
    is_parked boolean not null,
    cancel_requested_at bigint,
    server_node text,
    concurrency_tag text,
    running_tag text,
    plan text,
    lease_owner text,
    lease_epoch bigint not null,
    lease_expires_at bigint
);
create index server_task_state on server_task (state, queue_time);
create unique index server_task_running_tag on server_task (running_tag) where running_tag is not null;

create table journal (
    task_id text not null references server_task (id) on delete cascade,
    position bigint not null,
    epoch bigint not null,
    occurred_at bigint not null,
    kind text not null,
    ticket text not null,
    attempt bigint not null,
    outcome text,
    document text not null,
    primary key (task_id, position)
);
create unique index journal_ticket on journal (task_id, ticket, kind);

create table task_segment (
    task_id text not null references server_task (id) on delete cascade,
    epoch bigint not null,
    valid_length bigint,
    primary key (task_id, epoch)
);

create table schedule_run (
    schedule text not null,
    due_at bigint not null,
    primary key (schedule, due_at)
);
