import assert from 'node:assert/strict'
import { test } from 'node:test'

import { freePort } from '../../../test/support/free-port.ts'
import type { KafkaConnection } from '../kafka-clients.ts'
import { judgeEncryption } from './check-encryption.ts'
import { preflightFixture } from './preflight-fixture.ts'

interface Given {
  readonly source?: string
  readonly stock?: string
  readonly capture?: string
  readonly redis?: string
  readonly kafka?: KafkaConnection
}

const SASL = { mechanism: 'PLAIN', username: 'u', password: 'geheim' } as const

function found({ source, stock, capture, redis, kafka }: Given): string[] {
  const findings = judgeEncryption({
    config: {
      source: { urlVariable: 'DATABASE_URL', embeddedName: 'x', slot: 'x', publication: 'x' },
      databases: { stock: { urlVariable: 'STOCK_URL', embeddedName: 'stock' } },
      views: [],
    },
    urls: {
      source: source ?? 'postgres://u:geheim@127.0.0.1/d',
      redis: redis ?? 'redis://:geheim@localhost:1/0',
      databases: { stock: stock ?? 'postgres://u:geheim@[::1]/d' },
    },
    captureDatabaseUrl: capture,
    kafka,
  })
  for (const { severity, finding, mend } of findings) {
    assert.equal(severity, 'warning')
    assert.doesNotMatch(finding + mend, /geheim/)
  }
  return findings.map(({ finding }) => finding)
}

test('a login that leaves this machine unencrypted is told, with the setting that it comes from', () => {
  const remote = 'postgres://u:geheim@db.example/d'
  for (const [given, said] of [
    [{ source: remote }, /DATABASE_URL to PostgreSQL at db\.example is encrypted only if .*prefer/],
    [{ source: `${remote}?sslmode=disable` }, /DATABASE_URL to PostgreSQL at db\.example is not encrypted/],
    [{ stock: 'postgres://u@10.0.0.1/d?password=geheim' }, /STOCK_URL to PostgreSQL at 10\.0\.0\.1/],
    [{ capture: remote }, /TRACKOPS_CAPTURE_DATABASE_URL/],
    [{ redis: 'redis://:geheim@cache.example:6379/0' }, /REDIS_URL travels to Redis at cache\.example/],
    [{ redis: 'redis://:geheim@[2001:db8::1]:6379/0' }, /Redis at \[2001:db8::1\]/],
    [{ kafka: { brokers: ['localhost:1', 'kafka.example:2'], sasl: SASL } }, /PLAIN.* Kafka at kafka\.example:2/],
  ] as const) {
    const [first, ...more] = found(given)
    assert.match(first ?? 'nothing', said)
    assert.deepEqual(more, [])
  }
})

test('nothing is said of what is encrypted, stays here, or has no password', () => {
  for (const given of [
    {},
    { source: 'postgres://u:geheim@db.example/d?sslmode=require' },
    { source: 'postgres://u:geheim@db.example/d?sslmode=verify-full' },
    { source: 'postgres://u@db.example/d' },
    { source: 'postgres://u:geheim@/d?host=/run/postgresql' },
    { redis: 'rediss://:geheim@cache.example:6379/0' },
    { redis: 'redis://cache.example:6379/0' },
    { kafka: { brokers: ['kafka.example:2'], sasl: SASL, tls: {} } },
    { kafka: { brokers: ['kafka.example:2'] } },
    { kafka: { brokers: ['127.0.0.1:2'], sasl: SASL } },
  ] as const)
    assert.deepEqual(found(given), [])
})

test('brokers that do not let us in are an error', async (t) => {
  const { look } = await preflightFixture(t)
  const kafka = { brokers: [`127.0.0.1:${await freePort()}`], sasl: SASL }
  const [first, ...more] = await look({ kafka })
  assert.deepEqual([first?.id, first?.severity, more], ['kafka-unusable', 'error', []])
  assert.match(first?.finding ?? '', /cannot use Kafka at 127\.0\.0\.1:\d+: .*ECONNREFUSED/)
})
