-- Stock and promises. `reserved` is at all times the sum of reservation_items over reservations that are RESERVED.

create table inventory (
  product_id text primary key,
  -- null: nobody stocked it, the default stock of the configuration counts.
  on_hand bigint check (on_hand >= 0),
  reserved bigint not null default 0 check (reserved >= 0),
  updated_at timestamptz not null default now()
);

-- One row an order, for ever: it is what makes a second or late event of an order harmless.
-- RESERVED   its items are in `reserved`
-- FAILED     nothing is reserved; the reason says why
-- CANCELLED  nothing is reserved (any more); also where the cancellation came before the creation
create table reservations (
  order_id uuid primary key,
  status text not null check (status in ('RESERVED', 'FAILED', 'CANCELLED')),
  reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- One row a product, whatever number of lines the order has for it. They stay when the order is cancelled, as a record.
create table reservation_items (
  order_id uuid not null references reservations on delete cascade,
  product_id text not null,
  quantity bigint not null check (quantity > 0),
  primary key (order_id, product_id)
);
