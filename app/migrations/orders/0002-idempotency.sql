-- What `POST /api/orders` answered to an Idempotency-Key: the same key gets the same answer, with another body it is refused.
-- The answer is kept as text, so that a repetition is the same to the byte. No foreign key: an order that was deleted
-- behind the services' back does not let its key create a second one.

create table order_requests (
  idempotency_key text primary key,
  -- SHA-256 of what was asked for, after normalisation.
  request_hash text not null,
  order_id uuid not null,
  response text not null,
  created_at timestamptz not null default now()
);

-- For the removal of what is older than the retention.
create index order_requests_by_age on order_requests (created_at);
