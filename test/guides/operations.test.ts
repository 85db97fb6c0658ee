import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { createClient } from '@redis/client'

import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { defer } from '../support/defer.ts'
import { freePort } from '../support/free-port.ts'
import { ownPostgres } from '../support/postgres.ts'
import { testRedis } from '../support/redis.ts'
import { makeTestDirectory, removeTestDirectory } from '../support/test-directory.ts'
import { waitFor } from '../support/wait-for.ts'
import { blocksOf, readPage, ROOT } from './page.ts'
import { createShell } from './shell.ts'

test('the role of docs/operations.md suffices for preflight and for the stream', async (t) => {
  // A role belongs to a whole server: one of its own.
  const server = await ownPostgres(t)
  await server.sql`create database library`
  const url = new URL(server.url)
  url.pathname = '/library'
  const sql = createPostgresPool(url.href, { applicationName: 'owner', maxConnections: 2 })
  defer(t, () => sql.end({ timeout: 1 }))
  const redisServer = await testRedis(t)
  const redis = createClient({ url: redisServer.url, RESP: 2 })
  redis.on('error', () => undefined)
  await redis.connect()
  defer(t, async () => redis.destroy())
  const directory = makeTestDirectory('operations')
  defer(t, () => removeTestDirectory(directory))

  const guide = blocksOf(readPage('docs/guides/your-own-schema.md'))
  for (const { attributes, language, text } of guide) {
    if (attributes['file'] !== undefined) writeFileSync(join(directory, attributes['file']), text)
    if (language === 'sql' && 'run' in attributes) await sql.unsafe(text)
  }
  mkdirSync(join(directory, 'node_modules'))
  symlinkSync(ROOT, join(directory, 'node_modules', 'trackops'))
  writeFileSync(join(directory, 'package.json'), '{"private": true, "type": "module"}\n')
  const [roles] = blocksOf(readPage('docs/operations.md')).filter(({ attributes }) => 'run' in attributes)
  await sql.unsafe(roles?.text ?? 'the page has its SQL')

  url.username = 'trackops_app'
  url.password = 'secret'
  const shell = createShell(t, {
    sql,
    redis,
    directory,
    ports: new Map(),
    env: {
      TRACKOPS_CONFIG: 'trackops.config.ts',
      DATABASE_URL: url.href,
      REDIS_URL: redisServer.url,
      TRACKOPS_CONSOLE_PORT: String(await freePort()),
    },
  })
  const { output, exitCode } = await shell.run('trackops preflight')
  assert.equal(exitCode, 0, output)
  const stream = shell.start('trackops run capture order-event-consumer cache-invalidator cache-warmer console')
  await waitFor(() => stream.output().includes('trackops is ready'), { what: 'the stream', timeoutMs: 60_000 })
  await sql`insert into authors values ('0b9d1cde-7c4e-4e61-a1b6-6a3a1d9f0f11', 'X')`
  await sql`insert into books values ('1', 'Y', '0b9d1cde-7c4e-4e61-a1b6-6a3a1d9f0f11', 1)`
  await waitFor(() => redis.get('library:book:1'), { what: 'the book to be cached' })
})
