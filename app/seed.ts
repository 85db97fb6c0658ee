import type { Sql } from 'postgres'

/** Rows a transaction: large enough to be quick, small enough that the change log never gets one that it cannot hold. */
const BATCH_ROWS = 5_000
const ORDERS_PER_CUSTOMER = 20

/**
 * Sample orders with their items, spread over the last year. All of them are shipped or delivered: an order that waits for an answer
 * would wait for ever, where the capture begins after it and so has no event to tell.
 */
export async function seedOrders(sql: Sql, count: number): Promise<void> {
  const customers = Math.max(1, Math.ceil(count / ORDERS_PER_CUSTOMER))
  for (let left = count; left > 0; left -= BATCH_ROWS) await seedBatch(sql, Math.min(left, BATCH_ROWS), customers)
}

async function seedBatch(sql: Sql, count: number, customers: number): Promise<void> {
  await sql`
    with sample as materialized (
      select gen_random_uuid() as id,
             md5('customer ' || floor(random() * ${customers}::int))::uuid as customer_id,
             case when random() < 0.8 then 'DELIVERED' else 'SHIPPED' end as status,
             1 + floor(random() * 4)::int as lines,
             1 + floor(random() * 200)::int as house,
             now() - random() * interval '365 days' as created_at
      from generate_series(1, ${count}::int)
    ), line as materialized (
      select sample.id as order_id, product, 1 + floor(random() * 3)::int as quantity,
             (1 + product % 90)::numeric(12, 2) as unit_price
      from sample cross join lateral (
        select 1 + floor(random() * 200)::int as product from generate_series(1, sample.lines)
      ) as bought
    ), total as (
      select order_id, sum(quantity * unit_price) as amount from line group by order_id
    ), inserted as (
      insert into orders (id, customer_id, status, total_amount, street_address, city, country, created_at, updated_at)
      select id, customer_id, status, amount, 'Main St ' || house, 'Springfield', 'US', created_at,
             least(now(), created_at + interval '3 days')
      from sample join total on order_id = id
    )
    insert into order_items (order_id, product_id, product_name, quantity, unit_price, total_price)
    select order_id, 'SKU-' || lpad(product::text, 4, '0'), 'Product ' || product, quantity, unit_price,
           quantity * unit_price
    from line`
}
