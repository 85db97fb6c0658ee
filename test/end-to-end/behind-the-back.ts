/** SQL as people and their programs write it behind the services' back, and what the cache has to hold afterwards. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import { isDeepStrictEqual } from 'node:util'

import { assertTtls, cachedKeys, expectedKeys } from '../support/order-keys.ts'
import { hasProgram, pgbench, psql } from '../support/psql.ts'
import type { TestSystem } from '../support/system.ts'
import { assertNothingStale, caughtUp, type JudgedSystem } from '../support/verdict.ts'
import { waitFor } from '../support/wait-for.ts'

interface Scenario {
  readonly name: string
  readonly run: (stage: Stage) => Promise<void>
  /** TRUNCATE forgets the view: its lists come back with their next reader. */
  readonly dropsLists?: true
}

/** A customer whose list was read and one whose was not, and orders of both. */
interface Stage {
  readonly system: TestSystem
  readonly sql: TestSystem['sql']
  readonly read: string
  readonly unread: string
  /** Orders of `read`, PENDING; the items of the first were read. */
  readonly orders: readonly [string, string, string]
}

const ELSEWHERE = '00000000-0000-4000-8000-000000000000'

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'an INSERT reaches entity, status and the list that was read',
    async run({ sql, read, unread }) {
      await sql`insert into orders (customer_id, total_amount) values (${read}, 12.50), (${unread}, 1), (null, null)`
    },
  },
  {
    name: 'an UPDATE of every column, to odd values and to NULL',
    async run({ sql, orders }) {
      await sql`update orders set status = 'a "b" \\ é 𝄞', total_amount = 0.10, street_address = E'1\n2', city = '',
        delivery_instructions = ${'ü\u2028\u0001"\\'.repeat(100)}, phone_number = '+49', version = version + 5
        where id = ${orders[0]}`
      await sql`update orders set total_amount = null, created_at = '0001-01-01 00:00:00.000001+00',
        updated_at = '9999-12-31 23:59:59.999999+00' where id = ${orders[1]}`
      await sql`update orders set phone_number = 'only' where id = ${orders[2]}`
    },
  },
  {
    name: 'a DELETE takes the order out of everything, its items too',
    async run({ sql, orders }) {
      await sql`delete from orders where id in (${orders[0]}, ${orders[2]})`
    },
  },
  {
    name: 'an order that changes its customer leaves one list and joins the other',
    async run({ sql, orders, read, unread }) {
      await sql`update orders set customer_id = ${unread} where id = ${orders[0]}`
      await sql`update orders set customer_id = null where id = ${orders[1]}`
      await sql`insert into orders (id, customer_id) values (${ELSEWHERE}, ${unread})`
      await sql`update orders set customer_id = ${read} where id = ${ELSEWHERE}`
    },
  },
  {
    name: 'an order that changes its id has all its keys under the new one',
    async run({ sql, orders }) {
      await sql`update orders set id = ${randomUUID()} where id = ${orders[0]}`
      await sql`update orders set id = ${randomUUID()}, customer_id = null, status = 'SHIPPED' where id = ${orders[1]}`
    },
  },
  {
    name: 'two orders that swap their ids within a transaction',
    async run({ sql, orders: [a, b] }) {
      const between = randomUUID()
      await sql.begin(async (tx) => {
        await tx`update orders set id = ${between} where id = ${a}`
        await tx`update orders set id = ${a}, status = 'SWAPPED' where id = ${b}`
        await tx`update orders set id = ${b} where id = ${between}`
      })
    },
  },
  {
    name: 'many changes of many rows in one transaction end at the last of each',
    async run({ sql, read, unread, orders }) {
      await sql.begin(async (tx) => {
        await tx`insert into orders (customer_id, total_amount)
          select case when n % 2 = 0 then ${read}::uuid else ${unread}::uuid end, n from generate_series(1, 300) n`
        await tx`update orders set status = 'CONFIRMED' where total_amount > 100`
        await tx`update orders set customer_id = ${read} where total_amount between 50 and 60`
        await tx`delete from orders where total_amount > 250`
        await tx`update orders set status = 'SHIPPED' where id = ${orders[0]}`
        await tx`update orders set status = 'DELIVERED' where id = ${orders[0]}`
      })
    },
  },
  {
    name: 'a rolled-back transaction leaves no trace',
    async run({ sql, orders, read }) {
      await assert.rejects(
        sql.begin(async (tx) => {
          await tx`update orders set status = 'NEVER' where id = ${orders[0]}`
          await tx`insert into orders (id, customer_id) values (${ELSEWHERE}, ${read})`
          await tx`delete from orders where id = ${orders[1]}`
          throw new Error('rolled back on purpose')
        }),
        /on purpose/,
      )
    },
  },
  {
    name: 'what a savepoint took back is not there, and the rest is',
    async run({ sql, orders, read }) {
      await sql.begin(async (tx) => {
        await tx`update orders set status = 'BEFORE' where id = ${orders[0]}`
        await tx
          .savepoint(async (inner) => {
            await inner`update orders set status = 'NEVER' where id = ${orders[0]}`
            await inner`delete from orders where id = ${orders[1]}`
            await inner`insert into orders (id, customer_id) values (${ELSEWHERE}, ${read})`
            throw new Error('taken back')
          })
          .catch(() => undefined)
        await tx.savepoint(async (inner) => {
          await inner`update orders set status = 'KEPT' where id = ${orders[1]}`
        })
        await tx`update orders set status = 'AFTER' where id = ${orders[2]}`
      })
    },
  },
  {
    name: 'INSERT ... ON CONFLICT inserts, updates and leaves alone',
    async run({ sql, orders, read }) {
      await sql`insert into orders (id, customer_id, status) values (${orders[0]}, ${read}, 'X'), (${ELSEWHERE}, ${read}, 'NEW')
        on conflict (id) do update set status = 'UPSERTED'`
      await sql`insert into orders (id, customer_id, status) values (${orders[1]}, ${read}, 'X') on conflict do nothing`
    },
  },
  {
    name: 'one id deleted and inserted again, in one transaction and in two',
    async run({ sql, orders, read, unread }) {
      await sql.begin(async (tx) => {
        await tx`delete from orders where id = ${orders[0]}`
        await tx`insert into orders (id, customer_id, status) values (${orders[0]}, ${unread}, 'AGAIN')`
      })
      await sql`delete from orders where id = ${orders[1]}`
      await sql`insert into orders (id, customer_id, status) values (${orders[1]}, ${read}, 'AGAIN')`
      await sql.begin(async (tx) => {
        await tx`insert into orders (id, customer_id) values (${ELSEWHERE}, ${read})`
        await tx`delete from orders where id = ${ELSEWHERE}`
      })
    },
  },
  {
    name: 'items added, changed, moved to another order and removed',
    async run({ sql, orders }) {
      await sql`update order_items set quantity = 7, unit_price = null where order_id = ${orders[0]}`
      await sql`insert into order_items (order_id, product_id, unit_price) values (${orders[0]}, 'new', 3), (null, 'loose', 1)`
      await sql`update order_items set order_id = ${orders[1]} where product_id = 'p1'`
      await sql`delete from order_items where product_id = 'p2'`
    },
  },
  {
    name: 'COPY of a thousand rows',
    async run({ sql, read, unread }) {
      const lines = Array.from(
        { length: 1000 },
        (_, n) => `${randomUUID()}\t${n % 3 === 0 ? read : n % 3 === 1 ? unread : '\\N'}\tCOPIED\t${n}.5\ttab\\there\n`,
      )
      const into = await sql`copy orders (id, customer_id, status, total_amount, city) from stdin`.writable()
      await new Promise<void>((resolve, reject) => {
        into.once('finish', resolve)
        into.once('error', reject)
        into.end(lines.join(''))
      })
    },
  },
  {
    dropsLists: true,
    name: 'TRUNCATE empties everything, and what comes after it is there',
    async run({ sql, read }) {
      await sql`truncate orders cascade`
      await sql`insert into orders (customer_id, total_amount) values (${read}, 2)`
    },
  },
  {
    dropsLists: true,
    name: 'TRUNCATE between changes of one transaction, and one that is rolled back',
    async run({ sql, read, orders }) {
      await sql.begin(async (tx) => {
        await tx`update orders set status = 'GONE' where id = ${orders[0]}`
        await tx`truncate orders cascade`
        await tx`insert into orders (id, customer_id, status) values (${orders[0]}, ${read}, 'BACK')`
        await tx`insert into order_items (order_id, product_id) values (${orders[0]}, 'p9')`
      })
      await sql
        .begin(async (tx) => {
          await tx`truncate orders cascade`
          throw new Error('rolled back')
        })
        .catch(() => undefined)
    },
  },
  {
    name: 'a table that is altered between changes',
    async run({ sql, read, orders }) {
      await sql`alter table orders add column if not exists note text default 'none'`
      await sql`update orders set note = 'seen', status = 'ALTERED' where id = ${orders[0]}`
      await sql`alter table orders drop column note`
      await sql`insert into orders (customer_id, status) values (${read}, 'AFTER')`
      await sql`alter table orders alter column total_amount type numeric(14, 2)`
      await sql`update orders set total_amount = 123456789012.34 where id = ${orders[1]}`
    },
  },
  {
    name: 'writers that work on the same rows at once',
    async run({ sql, orders, read, unread }) {
      const ids = [...orders, ELSEWHERE]
      await Promise.all(
        Array.from({ length: 6 }, async (_, writer) => {
          for (let round = 0; round < 25; round++) {
            const id = ids[(writer + round) % ids.length] ?? ELSEWHERE
            const customer = round % 2 === 0 ? read : unread
            if (round % 5 === 4) await sql`delete from orders where id = ${id}`
            else if (round % 5 === 3) {
              await sql`insert into orders (id, customer_id) values (${id}, ${customer}) on conflict (id) do update set status = 'RACE'`
            } else await sql`update orders set status = ${`S${round}`}, customer_id = ${customer} where id = ${id}`
          }
        }),
      )
    },
  },
]

export async function checkScenarios(t: TestContext, system: TestSystem & JudgedSystem): Promise<void> {
  for (const scenario of SCENARIOS) {
    await t.test(scenario.name, async () => await checkScenario(system, scenario))
  }
  await t.test('a script given to psql', { skip: !hasProgram('psql') && 'psql is not installed' }, async () => {
    await checkScenario(system, {
      run: async ({ read, orders }) => {
        await psql(
          system.urls.source,
          `
        begin;
        update orders set status = 'PSQL' where id = '${orders[0]}';
        savepoint s; delete from orders; rollback to s;
        insert into orders (customer_id, total_amount) values ('${read}', 12.50);
        commit;
        begin; delete from orders; rollback;
        copy orders (customer_id, status, city) from stdin;
${read}\tCOPIED\t\\N
\\N\tCOPIED\tBonn
\\.
        delete from orders where id = '${orders[1]}';
      `,
        )
      },
    })
  })
  await t.test(
    'pgbench with four clients',
    { skip: !hasProgram('pgbench') && 'pgbench is not installed' },
    async () => {
      await checkScenario(system, {
        run: async ({ read, unread }) => {
          await pgbench(
            system.urls.source,
            `
        \\set n random(1, 50)
        insert into orders (id, customer_id, total_amount)
          values (('10000000-0000-4000-8000-' || lpad(:n::text, 12, '0'))::uuid,
                  case when :n % 2 = 0 then '${read}'::uuid else '${unread}'::uuid end, :n)
          on conflict (id) do update set total_amount = orders.total_amount + 1;
        \\set m random(1, 50)
        update orders set status = 'B' || :n where id = ('10000000-0000-4000-8000-' || lpad(:m::text, 12, '0'))::uuid;
        \\if :n % 10 = 0
        delete from orders where id = ('10000000-0000-4000-8000-' || lpad(:m::text, 12, '0'))::uuid;
        \\endif
      `,
            { clients: 4, transactions: 100 },
          )
        },
      })
    },
  )
}

/** Sets the stage, runs, waits until all is applied, and compares every key with the database. */
export async function checkScenario(
  system: TestSystem & JudgedSystem,
  { run, dropsLists }: Omit<Scenario, 'name'>,
): Promise<void> {
  const { sql, redis, orderUrl } = system
  const [read, unread] = [randomUUID(), randomUUID()]
  await sql`truncate orders, order_items`
  const orders = [randomUUID(), randomUUID(), randomUUID()] as const
  for (const id of orders) {
    await sql`insert into orders (id, customer_id, total_amount, city) values (${id}, ${read}, 10, 'Bonn')`
    await sql`insert into order_items (order_id, product_id, quantity, unit_price, total_price)
      values (${id}, 'p1', 1, 2.50, 2.50), (${id}, 'p2', 2, 1, 2)`
  }
  await caughtUp(system)
  // A first read whose order is confirmed at that moment is answered, and not stored: its next one is.
  for (const path of [`customers/${read}/orders`, `orders/${orders[0]}`]) {
    const isHit = async (): Promise<boolean> =>
      (await fetch(`${orderUrl}/api/${path}`)).headers.get('x-cache') === 'hit'
    await waitFor(isHit, { what: `${path} to be cached` })
  }
  await run({ system, sql, read, unread, orders })
  await caughtUp(system)
  const lists = [`orders:customer:${read}`, `order:items:${orders[0]}`]
  if (!dropsLists) {
    // Apart, a list is refilled a moment after its change was applied.
    await waitFor(async () => (await redis.exists(lists)) === 2, { what: 'the lists that were read' })
  }
  const { expected, actual } = await whileNothingChanges(system, {
    expected: () => expectedKeys(sql, { customers: [read], itemsOf: [orders[0]] }),
    actual: async () =>
      Object.fromEntries(
        Object.entries(await cachedKeys(redis)).filter(([key]) => !isListOfEarlier(key, lists, unread)),
      ),
  })
  for (const list of lists) if (dropsLists && !(list in actual)) delete expected[list]
  assert.deepEqual(actual, expected)
  await assertTtls(redis, Object.keys(actual))
  await assertNothingStale(system)
}

/** Orders are confirmed by the inventory service when it gets to it: what the cache should hold is taken before and after what it holds. */
async function whileNothingChanges<T>(
  system: JudgedSystem,
  read: { expected(): Promise<T>; actual(): Promise<T> },
): Promise<{ expected: T; actual: T }> {
  return waitFor(
    async () => {
      const expected = await read.expected()
      await caughtUp(system)
      const actual = await read.actual()
      return isDeepStrictEqual(await read.expected(), expected) && { expected, actual }
    },
    { what: 'a moment in which no row changes' },
  )
}

/** Lists of the scenarios before are verify's business; one of `unread` must not be there. */
function isListOfEarlier(key: string, lists: readonly string[], unread: string): boolean {
  const isList = key.startsWith('orders:customer:') || key.startsWith('order:items:')
  return isList && !lists.includes(key) && key !== `orders:customer:${unread}`
}
