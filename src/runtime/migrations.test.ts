import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { testPostgres } from '../../test/support/postgres.ts'
import { pendingMigrations, runMigrations } from './migrations.ts'

const TABLE = 'trackops.migrations'

test('files run once, in order, and a new one later', async (t) => {
  const { sql } = await testPostgres(t)
  const directory = folder(t, {
    '0001-things.sql': 'create table things (id int); insert into things values (1);',
    '0002-more.sql': 'insert into things values (2)',
  })
  assert.deepEqual(await runMigrations(sql, { directory, table: TABLE }), {
    applied: ['0001-things.sql', '0002-more.sql'],
  })
  assert.deepEqual(await runMigrations(sql, { directory, table: TABLE }), { applied: [] })
  writeFileSync(join(directory, '0003-last.sql'), 'insert into things values (3)')
  assert.deepEqual(await runMigrations(sql, { directory, table: TABLE }), { applied: ['0003-last.sql'] })
  assert.deepEqual(
    (await sql`select id from things order by id`).map((row) => row['id']),
    [1, 2, 3],
  )
})

test('a file that fails leaves nothing behind, not even its first statements, and those before it stay', async (t) => {
  const { sql } = await testPostgres(t)
  const directory = folder(t, {
    '0001-good.sql': 'create table good (id int)',
    '0002-bad.sql': 'create table half (id int); select nonsense',
  })
  await assert.rejects(runMigrations(sql, { directory, table: TABLE }), (error: Error & { code?: string }) => {
    assert.match(error.message, /0002-bad\.sql failed and was undone: column "nonsense" does not exist/)
    return error.code === 'MIGRATION'
  })
  const tables = await sql`select tablename from pg_tables where schemaname = 'public'`
  assert.deepEqual(
    tables.map((row) => row['tablename']),
    ['good'],
  )
  writeFileSync(join(directory, '0002-bad.sql'), 'create table whole (id int)')
  assert.deepEqual(await runMigrations(sql, { directory, table: TABLE }), { applied: ['0002-bad.sql'] })
})

test('processes that start at once run each file once', async (t) => {
  const { sql } = await testPostgres(t)
  const directory = folder(t, {
    '0001-things.sql': 'create table things (id int)',
    '0002-one.sql': 'insert into things values (1)',
  })
  const results = await Promise.all([1, 2, 3, 4].map(() => runMigrations(sql, { directory, table: TABLE })))
  assert.deepEqual(
    results.flatMap(({ applied }) => applied),
    ['0001-things.sql', '0002-one.sql'],
  )
  assert.equal((await sql`select from things`).length, 1)
})

test('its transactions do not wait for a standby', async (t) => {
  const { sql } = await testPostgres(t)
  const directory = folder(t, {
    '0001-setting.sql': "create table seen as select current_setting('synchronous_commit') as value",
  })
  await runMigrations(sql, { directory, table: 'plain_table' })
  assert.deepEqual([...(await sql`select value from seen`)], [{ value: 'local' }])
})

test('a changed, removed or late file is refused before anything runs', () => {
  const files = (...names: string[]) => names.map((name) => ({ name, checksum: `sum of ${name}` }))
  assert.deepEqual(pendingMigrations(files('0001-a', '0002-b'), files('0001-a')), files('0002-b'))
  const changed = [{ name: '0001-a', checksum: 'other' }]
  assert.throws(() => pendingMigrations(changed, files('0001-a')), /0001-a was changed after it ran/)
  assert.throws(() => pendingMigrations(files('0001-a'), files('0001-a', '0002-b')), /0002-b ran .* not there/)
  assert.throws(() => pendingMigrations(files('0002-b'), files('0001-a', '0002-b')), /0001-a ran .* not there/)
  assert.throws(() => pendingMigrations(files('0001-a', '0002-b'), files('0002-b')), /0001-a comes before 0002-b/)
})

test('a file whose name is no migration, and a number given twice, are refused', async (t) => {
  const { sql } = await testPostgres(t)
  const stray = folder(t, { 'notes.txt': '' })
  await assert.rejects(runMigrations(sql, { directory: stray, table: TABLE }), /notes\.txt is no migration/)
  const twice = folder(t, { '0001-a.sql': '', '0001-b.sql': '' })
  await assert.rejects(runMigrations(sql, { directory: twice, table: TABLE }), /have the number 0001/)
})

function folder(t: TestContext, files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'trackops-migrations-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return directory
}
