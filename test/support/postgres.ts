/**
 * PostgreSQL for tests. `testPostgres(t)` gives an empty database in a server that all tests of the run share; `ownPostgres(t)` a
 * server of the test's own, for tests that stop it, kill it or change its settings.
 *
 * In the shared server, creating a replication slot waits for every transaction that runs anywhere in it: don't hold
 * transactions open for long there.
 */
import { randomBytes } from 'node:crypto'
import { after } from 'node:test'

import type { Sql } from 'postgres'

import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { defer, type TestScope } from './defer.ts'
import { startTestCluster, TEST_POSTGRES_VARIABLE, type TestCluster } from './postgres-cluster.ts'

export interface TestDatabase {
  readonly url: string
  readonly sql: Sql
}

let lazily: Promise<TestCluster> | undefined

after(async () => {
  if (lazily !== undefined) await (await lazily).remove()
})

/** Superuser URL of the shared server's database `postgres`. */
export async function sharedPostgres(): Promise<string> {
  const given = process.env[TEST_POSTGRES_VARIABLE]
  if (given !== undefined && given !== '') return given
  lazily ??= startTestCluster()
  return (await lazily).url
}

/** An empty database of a random name; dropped, with its slots, when the test is over. `sql` is closed then as well. */
export async function testPostgres(scope: TestScope): Promise<TestDatabase> {
  const serverUrl = await sharedPostgres()
  const name = `test_${randomBytes(6).toString('hex')}`
  await asSuperuser(serverUrl, (sql) => sql.unsafe(`create database ${name} template template0`))
  defer(scope, () => asSuperuser(serverUrl, (sql) => dropDatabase(sql, name)))
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { url: url.href, sql: pool(scope, url.href) }
}

export interface OwnPostgres extends TestDatabase {
  readonly port: number
  /** Where its files are. */
  readonly directory: string
  start(): Promise<void>
  stop(): Promise<void>
  /** SIGKILL to the server, as a crash would. `start()` recovers it. */
  kill(): Promise<void>
  restart(): Promise<void>
}

/**
 * A server of the test's own. `settings` as in postgresql.conf; `prepare` as for `startTestCluster`; `sql` reconnects by itself after a
 * restart.
 */
export async function ownPostgres(
  scope: TestScope,
  options: {
    readonly settings?: Readonly<Record<string, string>>
    readonly prepare?: (directory: string) => Promise<void>
  } = {},
): Promise<OwnPostgres> {
  const cluster = await startTestCluster(options.settings, options.prepare)
  defer(scope, () => cluster.remove())
  return {
    url: cluster.url,
    port: cluster.port,
    directory: cluster.directory,
    sql: pool(scope, cluster.url),
    start: () => cluster.start(),
    stop: () => cluster.stop(),
    kill: () => cluster.kill(),
    async restart() {
      await cluster.stop()
      await cluster.start()
    },
  }
}

function pool(scope: TestScope, url: string): Sql {
  const sql = createPostgresPool(url, { applicationName: 'trackops-test' })
  defer(scope, () => sql.end({ timeout: 1 }))
  return sql
}

async function asSuperuser(url: string, work: (sql: Sql) => Promise<unknown>): Promise<void> {
  const sql = createPostgresPool(url, { applicationName: 'trackops-test-support', maxConnections: 1 })
  try {
    await work(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** A slot keeps its database, and its reader the slot. A reader that was ended leaves it a moment later: so, again. */
async function dropDatabase(sql: Sql, name: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`
      await sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = ${name}`
      await sql.unsafe(`drop database if exists ${name} with (force)`)
      return
    } catch (error) {
      if (attempt === 50) throw error
    }
  }
}
