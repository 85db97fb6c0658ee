/** No password, in whatever setting, is shown or logged: by commands that work, that are refused, and that find nobody. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { callRedis } from '../../src/cache/redis-call.ts'
import { connectRedis, createRedisClient } from '../../src/roles/redis-client.ts'
import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import { defer, type TestScope } from '../support/defer.ts'
import { freePort } from '../support/free-port.ts'
import { ownPostgres } from '../support/postgres.ts'
import { type Ended, runCli, startCli } from '../support/process.ts'
import { testRedis } from '../support/redis.ts'
import { makeTestDirectory, removeTestDirectory } from '../support/test-directory.ts'
import { waitFor } from '../support/wait-for.ts'

const SECRET = /geheim/
const LOUD = { TRACKOPS_LOG_LEVEL: 'debug', TRACKOPS_DEBUG: '1' }
const ROLES = ['capture', 'order-event-consumer', 'cache-invalidator', 'cache-warmer']
const LOOKING: readonly (readonly string[])[] = [
  ['preflight'],
  ['preflight', '--json'],
  ['status'],
  ['verify'],
  ['inspect', 'order:entity:0b9d1cde-7c4e-4e61-a1b6-6a3a1d9f0f11'],
  ['forget', 'order-entity'],
  ['dlq', 'list'],
  ['connector'],
]

test('commands that work show and log no password at level debug', async (t) => {
  const servers = await lockedServers(t)
  const env = { ...LOUD, ...servers.env('geheim'), TRACKOPS_CONSOLE_PORT: String(await freePort()) }
  const stream = startCli(t, ['run', ...ROLES, 'console', 'order-service'], {
    ...env,
    TRACKOPS_ORDER_PORT: String(await freePort()),
  })
  await stream.ready()
  const orders = createPostgresPool(env.DATABASE_URL, { applicationName: 'test', maxConnections: 1 })
  defer(t, () => orders.end({ timeout: 1 }))
  await orders`insert into orders (customer_id, total_amount) values (gen_random_uuid(), 1)`
  for (const args of LOOKING) {
    const ended = await runCli(t, args, env)
    assert.ok(
      args[0] === 'preflight' || args[0] === 'inspect' || ended.exitCode === 0,
      `${args.join(' ')}: ${ended.stderr}`,
    )
    assertNoSecret(args, ended)
  }
  const ended = await stream.end('SIGTERM')
  assert.equal(ended.exitCode, 0, ended.stderr)
  assert.ok(ended.stderr.split('\n').length > 5, 'it logs')
  assertNoSecret(['run'], ended)
})

test('commands that are refused, or find nobody, show and log no password at level debug', async (t) => {
  const servers = await lockedServers(t)
  const directory = makeTestDirectory('secrets')
  defer(t, () => removeTestDirectory(directory))
  const inFile = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const nobody = await freePort()
  const { REDIS_URL: rightRedis } = servers.env('geheim')
  const wrong = servers.env('falsch-geheim')
  const kafka = {
    KAFKA_BROKERS: `127.0.0.1:${nobody}`,
    KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
    KAFKA_SASL_USERNAME: 'trackops',
    KAFKA_SASL_PASSWORD_FILE: inFile('kafka', 'geheim-kafka\n'),
    KAFKA_CONNECT_URL: `http://connect:geheim-connect@127.0.0.1:${nobody}`,
    TRACKOPS_CAPTURE_DATABASE_URL: `postgres://capture:geheim-capture@127.0.0.1:${nobody}/orders?sslmode=verify-full`,
  }
  const situations: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'a wrong password': wrong,
    "Redis's alone": { ...servers.env('geheim'), REDIS_URL: wrong.REDIS_URL },
    'a password as parameter': {
      ...wrong,
      DATABASE_URL: `postgres://app@127.0.0.1:${servers.port}/orders?password=falsch-geheim`,
    },
    'nobody there': {
      DATABASE_URL_FILE: inFile(
        'database',
        `postgres://u:geheim-database@127.0.0.1:${nobody}/orders?sslmode=verify-full`,
      ),
      INVENTORY_DATABASE_URL: `postgres://u:geheim-inventory@127.0.0.1:${nobody}/inventory`,
      REDIS_URL_FILE: inFile('redis', `rediss://u:geheim-redis@127.0.0.1:${nobody}/0`),
      ...kafka,
    },
    'nobody but Kafka is missing': { ...servers.env('geheim'), ...kafka },
    'a URL that is none': { ...wrong, DATABASE_URL: 'postgres://u:geheim@[/x' },
    'a URL with a parameter that is none': {
      ...wrong,
      DATABASE_URL: 'postgres://u:geheim@127.0.0.1/x?sslmode=nonsense',
    },
    'a secret twice': { REDIS_URL: rightRedis, REDIS_URL_FILE: inFile('twice', rightRedis) },
  }
  for (const [name, situation] of Object.entries(situations)) {
    const env = { ...LOUD, ...situation, TRACKOPS_CONSOLE_PORT: String(await freePort()) }
    const isDistributed = 'KAFKA_BROKERS' in situation
    const commands = [
      ['preflight'],
      ['verify'],
      ['dlq', 'list'],
      ['connector'],
      ['connector', '--register', `http://u:geheim@127.0.0.1:${nobody}`],
    ]
    for (const args of commands) assertNoSecret([name, ...args], await runCli(t, args, env))
    const running = startCli(t, ['run', ...ROLES.slice(isDistributed ? 1 : 0)], env)
    let hasEnded = false
    void running.ended.then(() => (hasEnded = true))
    // With Kafka away it goes on trying, and says so.
    await waitFor(() => hasEnded || /KAFKA_UNREACHABLE/.test(running.stderr()), { what: 'a line', timeoutMs: 60_000 })
    assertNoSecret([name, 'run'], await running.end('SIGTERM'))
  }
})

function assertNoSecret(args: readonly string[], { stdout, stderr }: Ended): void {
  assert.ok(stdout !== '' || stderr !== '', `${args.join(' ')} said nothing`)
  assert.doesNotMatch(stdout, SECRET, args.join(' '))
  assert.doesNotMatch(stderr, SECRET, args.join(' '))
}

/** Servers that want a password. */
async function lockedServers(t: TestScope) {
  const server = await ownPostgres(t)
  await server.sql`create database orders`
  await server.sql`create database inventory`
  await server.sql`create role app superuser login password 'geheim'`
  const [files] = await server.sql<{ hba: string }[]>`select current_setting('hba_file') as hba`
  const rules = [
    'host all app 127.0.0.1/32 scram-sha-256',
    'host all all 127.0.0.1/32 trust',
    'local all all trust',
    '',
  ]
  writeFileSync(files?.hba ?? '', rules.join('\n'))
  await server.sql`select pg_reload_conf()`
  const redis = await testRedis(t)
  const admin = createRedisClient(redis.url, { name: 'test', log: SILENT })
  await connectRedis(admin, redis.url)
  defer(t, () => admin.destroy())
  await callRedis(admin, ['ACL', 'SETUSER', 'app', 'on', '>geheim', '~*', '&*', '+@all'], 5_000)
  await callRedis(admin, ['ACL', 'SETUSER', 'default', 'off'], 5_000)
  const { port } = server
  return {
    port,
    env: (password: string) => ({
      DATABASE_URL: `postgres://app:${password}@127.0.0.1:${port}/orders`,
      INVENTORY_DATABASE_URL: `postgres://app:${password}@127.0.0.1:${port}/inventory`,
      REDIS_URL: `redis://app:${password}@127.0.0.1:${redis.port}/0`,
    }),
  }
}
