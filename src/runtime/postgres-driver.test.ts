import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'

import { ownPostgres } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/wait-for.ts'
import { mendDriver } from './postgres-driver.ts'

void test('the driver that is installed is one that the mends fit', () => {
  for (const file of ['connection', 'index']) {
    const path = fileURLToPath(new URL(`${file}.js`, import.meta.resolve('postgres')))
    const source = readFileSync(path, 'utf8')
    assert.notEqual(mendDriver(file, source), source, 'another version: is it mended there? then drop the mends')
    assert.equal(mendDriver(file, 'something else'), 'something else')
  }
})

void test('a server that dies within transactions ends neither the process nor any place of the pool', async (t) => {
  const server = await ownPostgres(t)
  const { sql } = server
  for (let round = 0; round < 3; round++) {
    let begun = 0
    const transactions = Array.from({ length: 10 }, async () =>
      sql.begin(async (tx) => {
        await tx`select 1`
        begun++
        for (;;) await tx`select pg_sleep(0.001)`
      }),
    )
    for (const transaction of transactions) transaction.catch(() => undefined)
    await waitFor(() => begun === 10, { what: 'ten transactions' })
    await server.kill()
    for (const transaction of transactions) await assert.rejects(transaction)
    await server.start()
    // All ten at once, so that each place of the pool has to work.
    await waitFor(
      async () => {
        const answers = await Promise.all(Array.from({ length: 10 }, () => sql`select pg_sleep(0.1), 1 as one`))
        return answers.length === 10
      },
      { what: 'every connection to come back' },
    )
  }
})
