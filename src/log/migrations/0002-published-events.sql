-- Distributed mode: which events were published, and what they held at that time. An event belongs to the record that it was
-- derived from first: a redelivered copy of that record, at another offset, publishes nothing.
create table trackops.published_events (
  event_id text primary key,
  -- `<topic>-<partition>` of the record, and its offset.
  partition text not null,
  record_offset bigint not null,
  topic text not null,
  key text not null,
  payload jsonb not null,
  created_at timestamptz not null default now()
);

create index published_events_by_record on trackops.published_events (partition, record_offset);
create index published_events_by_age on trackops.published_events (created_at);
