import type { Sql, TransactionSql } from 'postgres'

import type { Demand, Stock } from './reserve.ts'

/** The SQL of stock. `default_stock` counts wherever nobody has said how much there is (on_hand is null). */

/** As the service shows it. `available` is below zero where less is on hand than was promised. */
export interface ProductStock {
  readonly productId: string
  readonly onHand: number
  readonly reserved: number
  readonly available: number
}

type StockRow = { product_id: string; on_hand: string; reserved: string }

/** Locks the demanded products, in the demand's order, making rows for those that nobody has heard of. */
export async function lockStocks(tx: TransactionSql, demand: Demand, defaultStock: number): Promise<readonly Stock[]> {
  const productIds = JSON.stringify([...demand.keys()])
  await tx`
    insert into inventory (product_id)
    select value from jsonb_array_elements_text(${productIds}::text::jsonb) with ordinality as product (value, place)
    order by place
    on conflict do nothing`
  // Locked one by one in the order of the ids as bytes, which is the demand's order too for ASCII, and one order for
  // everybody in any case. FOR UPDATE locks in the order in which the sort gives the rows.
  const rows = await tx<{ product_id: string; available: string }[]>`
    select product_id, (coalesce(on_hand, ${defaultStock}::bigint) - reserved)::text as available
    from inventory
    where product_id in (select jsonb_array_elements_text(${productIds}::text::jsonb))
    order by product_id collate "C"
    for no key update`
  return rows.map((row) => ({ productId: row.product_id, available: BigInt(row.available) }))
}

export async function addReservation(tx: TransactionSql, orderId: string, demand: Demand): Promise<void> {
  const items = JSON.stringify(
    [...demand].map(([productId, quantity]) => ({ productId, quantity: quantity.toString() })),
  )
  await tx`
    with item as (
      select "productId", quantity
      from jsonb_to_recordset(${items}::text::jsonb) as item ("productId" text, quantity bigint)
    ), noted as (
      insert into reservation_items (order_id, product_id, quantity)
      select ${orderId}::uuid, "productId", quantity from item
    )
    update inventory
    set reserved = reserved + item.quantity, updated_at = now()
    from item
    where product_id = item."productId"`
}

/** Gives back what the order's items took. Its products are locked in the same order as a reservation locks them. */
export async function giveBack(tx: TransactionSql, orderId: string): Promise<void> {
  await tx`
    with locked as (
      select product_id, item.quantity
      from reservation_items as item join inventory using (product_id)
      where item.order_id = ${orderId}::uuid
      order by product_id collate "C"
      for no key update of inventory
    )
    update inventory
    set reserved = inventory.reserved - locked.quantity, updated_at = now()
    from locked
    where inventory.product_id = locked.product_id`
}

/** A product that nobody has heard of has the default stock, all of it available. */
export async function readStock(
  sql: Sql | TransactionSql,
  productId: string,
  defaultStock: number,
): Promise<ProductStock> {
  const rows = await sql<StockRow[]>`
    select product_id, coalesce(on_hand, ${defaultStock}::bigint)::text as on_hand, reserved::text
    from inventory
    where product_id = ${productId}`
  return stockOf(rows[0] ?? { product_id: productId, on_hand: String(defaultStock), reserved: '0' })
}

/** In the order of the ids as bytes, from the one after `after`: a page's last id asks for the next page. */
export async function listStocks(
  sql: Sql,
  page: { readonly after: string; readonly limit: number },
  defaultStock: number,
): Promise<readonly ProductStock[]> {
  const rows = await sql<StockRow[]>`
    select product_id, coalesce(on_hand, ${defaultStock}::bigint)::text as on_hand, reserved::text
    from inventory
    where product_id collate "C" > ${page.after}
    order by product_id collate "C"
    limit ${page.limit}`
  return rows.map(stockOf)
}

export async function setOnHand(tx: TransactionSql, productId: string, onHand: number): Promise<void> {
  await tx`
    insert into inventory (product_id, on_hand) values (${productId}, ${onHand}::bigint)
    on conflict (product_id) do update set on_hand = excluded.on_hand, updated_at = now()`
}

function stockOf(row: StockRow): ProductStock {
  const onHand = Number(row.on_hand)
  const reserved = Number(row.reserved)
  return { productId: row.product_id, onHand, reserved, available: onHand - reserved }
}
