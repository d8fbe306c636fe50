create table artifact (
    id text not null primary key,
    number bigint not null unique,
    space_id text not null,
    task_id text not null,
    name_key text not null,
    -- which file of which script it is, so that a script read twice leaves it once; null when a person made it
    origin text unique,
    document text not null
);
create index artifact_task on artifact (task_id);
