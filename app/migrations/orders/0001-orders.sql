-- The order system's tables. Services write them, and so may anyone with psql: nothing here refuses a status or an amount
-- that the services would not have written.

create table orders (
  id uuid primary key default gen_random_uuid(),
  customer_id uuid,
  status text not null default 'PENDING',
  total_amount numeric(12, 2),
  street_address text,
  city text,
  state text,
  postal_code text,
  country text,
  phone_number text,
  delivery_instructions text,
  cancellation_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version bigint not null default 0
);

-- Views and events need the old values: which list an order leaves, which status it had.
alter table orders replica identity full;

-- A customer's orders, newest first.
create index orders_by_customer on orders (customer_id, created_at desc, id);

create table order_items (
  id uuid primary key default gen_random_uuid(),
  -- On update too: a changed order id takes its items along instead of being refused.
  order_id uuid references orders on delete cascade on update cascade,
  product_id text,
  product_name text,
  quantity int default 1,
  unit_price numeric(12, 2),
  total_price numeric(12, 2)
);

alter table order_items replica identity full;

create index order_items_by_order on order_items (order_id);

-- Every UPDATE that changes something counts one version up and stamps the time, whoever wrote it, unless the statement set
-- that column itself: then it stays as written. So the services and psql follow one rule, a reader can order what it has
-- seen, and a statement that changes nothing (set status = status) is no new version.
-- clock_timestamp, not now: the trigger runs after the wait for the row's lock, a transaction's begin may lie before it.
create function orders_stamp() returns trigger language plpgsql as $$
begin
  if new.version is not distinct from old.version then
    new.version := old.version + 1;
  end if;
  if new.updated_at is not distinct from old.updated_at then
    new.updated_at := clock_timestamp();
  end if;
  return new;
end
$$;

create trigger orders_stamp before update on orders
  for each row when (old.* is distinct from new.*) execute function orders_stamp();
