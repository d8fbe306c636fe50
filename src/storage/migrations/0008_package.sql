create table package (
    id text not null,
    space_id text not null,
    feed_id text not null,
    package_id text not null,
    package_key text not null,
    version text not null,
    version_key text not null,
    published_at bigint not null,
    size_bytes bigint not null,
    file text not null,
    document text not null,
    primary key (space_id, package_key, version_key)
);
