import type { Sql } from 'postgres'

const ORDERS_A_CUSTOMER = 8
const PRODUCTS = 50

/** Sample orders of one to three items, spread over customers and the last thirty days: `trackops up --seed 1000`. */
export async function seedOrders(sql: Sql, count: number): Promise<void> {
  const customers = Math.max(1, Math.round(count / ORDERS_A_CUSTOMER))
  await sql`
    with
      customers as (select nr, gen_random_uuid() as id from generate_series(0, ${customers}::int - 1) as nr),
      made as (
        insert into orders (customer_id, street_address, city, state, postal_code, country, created_at, updated_at)
        select c.id, (10 + nr % 90) || ' Main Street', (array['Lisbon', 'Oslo', 'Vienna', 'Lyon'])[1 + nr % 4], null,
               lpad((10000 + nr % 80000)::text, 5, '0'), (array['PT', 'NO', 'AT', 'FR'])[1 + nr % 4], at, at
        from generate_series(0, ${count}::int - 1) as nr
        join customers as c on c.nr = nr % ${customers}::int
        cross join lateral (select now() - nr % 43200 * interval '1 minute' as at) as times
        returning id
      ),
      numbered as (select id, row_number() over () as nr from made),
      items as (
        insert into order_items (order_id, product_id, product_name, quantity, unit_price, total_price)
        select o.id, 'product-' || product, 'Product ' || product, quantity, price, quantity * price
        from numbered as o
        cross join lateral generate_series(1, 1 + (o.nr % 3)::int) as item
        cross join lateral (
          select (o.nr * 7 + item * 13) % ${PRODUCTS}::int as product, 1 + (o.nr + item)::int % 4 as quantity,
                 round((4.99 + (o.nr * item % 97))::numeric, 2) as price
        ) as chosen
        returning order_id, total_price
      ),
      totals as (select order_id, sum(total_price) as total from items group by order_id)
    select count(*) from totals`
  await sql`
    update orders as o
    set total_amount = t.total, version = o.version, updated_at = o.updated_at
    from (select order_id, sum(total_price) as total from order_items group by order_id) as t
    where t.order_id = o.id and o.total_amount is null`
}
