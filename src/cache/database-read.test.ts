import assert from 'node:assert/strict'
import test from 'node:test'

import type { Sql } from 'postgres'

import { testPostgres } from '../../test/support/postgres.ts'
import { compileViews } from './compiled-view.ts'
import { createDatabaseReads } from './database-read.ts'
import { SHOP_VIEWS } from './protocol-fixture.ts'

void test('P3: the answer to an earlier question is no answer', async (t) => {
  const { sql } = await testPostgres(t)
  await sql.unsafe(`create table public.items (id text primary key, owner text, status text, note text);
    insert into items values ('1', 'ann', 'A', null)`)
  let earlier: unknown
  let isLate = false
  // A driver that is one answer behind.
  const late = new Proxy(sql, {
    get: (target, name) =>
      name === 'unsafe'
        ? (...asked: Parameters<Sql['unsafe']>) => ({
            async raw() {
              const result = await sql.unsafe(...asked).raw()
              const given = isLate ? earlier : result
              earlier = result
              return given
            },
          })
        : (Reflect.get(target, name) as unknown),
  })
  const view = compileViews(SHOP_VIEWS).byName('entity')
  const reads = createDatabaseReads({ sql: late })
  const key = await reads.keyOf(view, { id: '1' })
  const [read] = await reads.read(view, [key])
  assert.equal(read?.found.get(key.key)?.kind, 'document')
  isLate = true
  await assert.rejects(reads.read(view, [key]), { code: 'POSTGRES_PROTOCOL' })
})
