create table event (
    id bigint generated always as identity primary key,
    space_id text,
    category text not null,
    occurred_at bigint not null,
    user_id text,
    username text not null,
    message text not null,
    document text not null
);
create index event_space on event (space_id, id);

create table event_related (
    event_id bigint not null references event (id) on delete cascade,
    document_id text not null,
    primary key (document_id, event_id)
);
