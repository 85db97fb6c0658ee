/** The whole system, distributed, with TLS and logins everywhere: PostgreSQL, Redis, Kafka, Kafka Connect and its connector. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { callRedis } from '../../src/cache/redis-call.ts'
import { connectRedis, createRedisClient } from '../../src/roles/redis-client.ts'
import { createPostgresPool } from '../../src/runtime/postgres.ts'
import { SILENT } from '../../src/runtime/logger.ts'
import { blocksOf, readPage } from '../guides/page.ts'
import { type Authority, noOpenssl, pemOf, testAuthority } from '../support/certificates.ts'
import { defer, type TestScope } from '../support/defer.ts'
import { encryptPostgres } from '../support/encrypt-postgres.ts'
import { freePort } from '../support/free-port.ts'
import { ownPostgres } from '../support/postgres.ts'
import { runCli, startCli } from '../support/process.ts'
import { testRedis } from '../support/redis.ts'
import { ownStack, whyNoStack } from '../support/stack.ts'
import { makeTestDirectory, removeTestDirectory } from '../support/test-directory.ts'
import { waitFor } from '../support/wait-for.ts'

const skip = (await whyNoStack()) || noOpenssl

test(
  'with TLS and a login at every server, secrets in files, a change reaches the cache by Debezium',
  { skip },
  async (t) => {
    const authority = testAuthority(t)
    const directory = makeTestDirectory('secured')
    defer(t, () => removeTestDirectory(directory))
    const inFile = (name: string, text: string): string => {
      writeFileSync(join(directory, name), `${text}\n`)
      return join(directory, name)
    }
    const postgres = await securedPostgres(t, authority)
    const redis = await securedRedis(t, authority)
    const kafka = await securedKafka(t, authority)
    const ports = await Promise.all(
      ['CONSOLE', 'ORDER', 'INVENTORY'].map(async (name) => [`TRACKOPS_${name}_PORT`, String(await freePort())]),
    )
    const env = {
      ...(Object.fromEntries(ports) as Record<string, string>),
      TRACKOPS_LOG_LEVEL: 'debug',
      DATABASE_URL_FILE: inFile('orders', postgres.url('orders')),
      INVENTORY_DATABASE_URL_FILE: inFile('inventory', postgres.url('inventory')),
      REDIS_URL_FILE: inFile('redis', redis.url),
      REDIS_TLS_CA_FILE: authority.certFile,
      KAFKA_BROKERS: kafka.broker,
      KAFKA_CONNECT_URL: kafka.connectUrl,
      KAFKA_TLS: '1',
      KAFKA_TLS_CA_FILE: authority.certFile,
      KAFKA_SASL_MECHANISM: 'PLAIN',
      KAFKA_SASL_USERNAME: 'trackops',
      KAFKA_SASL_PASSWORD_FILE: inFile('kafka', 'geheim'),
    }
    const system = startCli(t, ['up', '--data', join(directory, 'data')], env)
    await system.ready()
    const sql = createPostgresPool(postgres.url('orders'), { applicationName: 'test', maxConnections: 1 })
    defer(t, () => sql.end({ timeout: 1 }))
    const [row] = await sql<{ id: string }[]>`
    insert into orders (customer_id, total_amount) values (gen_random_uuid(), 7) returning id::text`
    const cached = await waitFor(() => callRedis(redis.admin, ['GET', `order:entity:${row?.id}`], 5_000), {
      what: 'the order in the cache',
      timeoutMs: 60_000,
    })
    assert.match(JSON.stringify(cached), /7\.00/)

    const preflight = await runCli(t, ['preflight'], env)
    assert.doesNotMatch(preflight.stdout, /ERROR|login-unencrypted/)
    assert.match(preflight.stdout, /kafka, encryption/)
    const verify = await runCli(t, ['verify'], env)
    assert.equal(verify.exitCode, 0, verify.stdout + verify.stderr)
    const { stdout, stderr } = await system.end('SIGTERM')
    const log = readFileSync(join(directory, 'data/logs/trackops.log'), 'utf8')
    for (const text of [preflight.stdout, verify.stderr, stdout, stderr, log]) assert.doesNotMatch(text, /geheim/)
  },
)

async function securedPostgres(t: TestScope, authority: Authority) {
  const server = await ownPostgres(t, { settings: { wal_level: 'logical' } })
  await encryptPostgres(server, authority.issue('postgres', ['DNS:localhost']))
  for (const name of ['orders', 'inventory']) await server.sql.unsafe(`create database ${name}`)
  await server.sql`create role app superuser login password 'geheim'`
  const [files] = await server.sql<{ hba: string }[]>`select current_setting('hba_file') as hba`
  const rules = [
    'hostssl all app 127.0.0.1/32 scram-sha-256',
    'host all app all reject',
    'host all all 127.0.0.1/32 trust',
  ]
  writeFileSync(files?.hba ?? '', `${rules.join('\n')}\nlocal all all trust\n`)
  await server.sql`select pg_reload_conf()`
  const query = `sslmode=verify-full&sslrootcert=${authority.certFile}`
  return { url: (name: string) => `postgres://app:geheim@localhost:${server.port}/${name}?${query}` }
}

/** Its user may do what docs/operations.md says, and no more. */
async function securedRedis(t: TestScope, authority: Authority) {
  const { certFile, keyFile } = authority.issue('redis', ['DNS:localhost'])
  const tlsPort = await freePort()
  const tls = {
    'tls-port': String(tlsPort),
    'tls-auth-clients': 'no',
    'tls-cert-file': certFile,
    'tls-key-file': keyFile,
  }
  const server = await testRedis(t, { settings: tls })
  const admin = createRedisClient(server.url, { name: 'test', log: SILENT })
  await connectRedis(admin, server.url)
  defer(t, () => admin.destroy())
  const rule = blocksOf(readPage('docs/operations.md')).find(({ text }) => text.startsWith('ACL SETUSER'))
  assert.ok(rule, 'the page has the rule')
  await callRedis(admin, rule.text.trim().replace('>secret', '>geheim').split(/\s+/), 5_000)
  return { admin, url: `rediss://trackops:geheim@localhost:${tlsPort}/0` }
}

/** One listener for everybody, worker included; the worker's settings are those of docs/connector.md. */
async function securedKafka(t: TestScope, authority: Authority) {
  const port = await freePort()
  const { key, chain } = pemOf(authority.issue('kafka', ['IP:127.0.0.1']))
  const module = 'org.apache.kafka.common.security.plain.PlainLoginModule required'
  const page = blocksOf(readPage('docs/connector.md')).find(({ text }) => text.startsWith('security.protocol='))
  assert.ok(page, 'the page has the properties')
  const lines = page.text
    .replaceAll('/etc/kafka/ca.pem', authority.certFile)
    .replaceAll('SCRAM-SHA-512', 'PLAIN')
    .replaceAll('scram.ScramLoginModule', 'plain.PlainLoginModule')
    .replaceAll('secret', 'geheim')
    .trim()
    .split('\n')
  const stack = await ownStack(t, {
    listeners: [{ name: 'SASL', protocol: 'SASL_SSL', port }],
    kafkaSettings: {
      'listener.name.sasl.ssl.keystore.type': 'PEM',
      'listener.name.sasl.ssl.keystore.key': key,
      'listener.name.sasl.ssl.keystore.certificate.chain': chain,
      'listener.name.sasl.sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.sasl.plain.sasl.jaas.config': `${module} user_trackops="geheim" user_connect="geheim";`,
    },
    connectSettings: {
      'bootstrap.servers': `127.0.0.1:${port}`,
      ...Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])),
    },
  })
  return { broker: `127.0.0.1:${port}`, connectUrl: stack.connectUrl }
}
