-- What must not be lost and so never rests on Redis: domain events, consumers' positions in PostgreSQL, dead letters.
create table trackops.positions (
  consumer text primary key,
  position text not null,
  -- Every transaction below it was processed. Tells, after a lost slot, which rows changed unseen.
  horizon xid8,
  updated_at timestamptz not null default now()
);

create table trackops.domain_events (
  seq bigint generated always as identity primary key,
  event_id text not null unique,
  topic text not null,
  key text not null,
  payload jsonb not null,
  created_at timestamptz not null default now()
);

create index domain_events_by_topic on trackops.domain_events (topic, seq);
create index domain_events_by_age on trackops.domain_events (created_at);

-- A reader goes by seq, and must not step over a number whose transaction commits later. So writers take turns: the lock is
-- taken before a statement draws its numbers, and given back when its transaction is visible to others.
create function trackops.domain_events_take_turns() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(7310579, 1);
  perform pg_notify('trackops_domain_events', '');
  return null;
end $$;

create trigger take_turns before insert on trackops.domain_events
  for each statement execute function trackops.domain_events_take_turns();

create table trackops.dead_letters (
  id bigint generated always as identity primary key,
  consumer text not null,
  -- What was being consumed: a table's change, or a domain event of a topic.
  source text not null,
  -- Where: a stream position, or the event's seq.
  position text not null,
  -- What replay works on: {"kind": "keys", "keys": [{"view", "key"}]} or {"kind": "event", ...}.
  subject jsonb not null,
  error_code text not null,
  error_message text not null,
  attempts int not null,
  created_at timestamptz not null default now(),
  -- Set by an operator; a running service looks for it.
  replay_requested_at timestamptz,
  replayed_at timestamptz,
  unique (consumer, source, position)
);
