create table certificate (
    id text not null primary key,
    der bytea not null,
    private_key text not null,
    created_at bigint not null
);
