create table space (
    id text not null primary key,
    name text not null,
    name_key text not null unique,
    is_default boolean not null,
    document text not null
);

create table user_account (
    id text not null primary key,
    username text not null,
    username_key text not null unique,
    display_name text not null,
    email_address text,
    is_active boolean not null,
    is_service boolean not null,
    password_hash text,
    permissions text not null
);

create table api_key (
    id text not null primary key,
    user_id text not null references user_account (id) on delete cascade,
    purpose text not null,
    mac bytea not null unique,
    hint text not null,
    created_at bigint not null,
    expires_at bigint
);
create index api_key_user on api_key (user_id);

create table session (
    id text not null primary key,
    user_id text not null references user_account (id) on delete cascade,
    mac bytea not null unique,
    created_at bigint not null,
    last_seen_at bigint not null,
    expires_at bigint not null
);
create index session_by_user on session (user_id);

create table sign_in_failure (
    subject text not null primary key,
    failures bigint not null,
    window_began_at bigint not null
);
