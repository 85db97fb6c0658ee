import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readSettings, SETTINGS } from './settings.ts'

test('an empty environment gives the documented defaults', () => {
  assert.deepEqual(readSettings({}), {
    mode: 'embedded',
    databaseUrl: undefined,
    redisUrl: undefined,
    kafkaBrokers: undefined,
    kafkaTls: false,
    kafkaTlsCaFile: undefined,
    kafkaTlsCertFile: undefined,
    kafkaTlsKeyFile: undefined,
    kafkaSaslMechanism: undefined,
    kafkaSaslUsername: undefined,
    kafkaSaslPassword: undefined,
    redisTlsCaFile: undefined,
    redisTlsCertFile: undefined,
    redisTlsKeyFile: undefined,
    kafkaConnectUrl: undefined,
    captureDatabaseUrl: undefined,
    postgresPort: 54_329,
    redisPort: 63_799,
    consolePort: 8080,
    kafkaPort: 9092,
    kafkaControllerPort: 9093,
    connectPort: 8083,
    cacheDirectory: undefined,
    host: '127.0.0.1',
    verifyRate: 20,
    logLevel: 'warn',
    debug: false,
  })
  const empty = Object.fromEntries(Object.values(SETTINGS).map(({ variable }) => [variable, '']))
  assert.deepEqual(readSettings(empty), readSettings({}), 'and an empty variable is none')
})

test('brokers make the mode distributed, and contradict a mode that is said to be embedded', () => {
  const { mode, kafkaBrokers } = readSettings({ KAFKA_BROKERS: 'one:9092, two:9092' })
  assert.deepEqual({ mode, kafkaBrokers }, { mode: 'distributed', kafkaBrokers: ['one:9092', 'two:9092'] })
  assert.throws(() => readSettings({ KAFKA_BROKERS: 'one:9092', TRACKOPS_MODE: 'embedded' }), {
    code: 'CONFIG_INVALID',
  })
})

for (const [variable, value] of [
  ['TRACKOPS_POSTGRES_PORT', '0'],
  ['TRACKOPS_REDIS_PORT', '65536'],
  ['TRACKOPS_CONSOLE_PORT', '8080x'],
  ['TRACKOPS_MODE', 'Embedded'],
  ['TRACKOPS_LOG_LEVEL', 'loud'],
  ['TRACKOPS_HOST', 'not a host'],
  ['TRACKOPS_DEBUG', 'yes'],
  ['KAFKA_BROKERS', 'one'],
  ['KAFKA_TLS', 'true'],
  ['KAFKA_SASL_MECHANISM', 'GSSAPI'],
] as const) {
  test(`${variable}=${value} is refused, naming the variable and what was given`, () => {
    assert.throws(
      () => readSettings({ [variable]: value }),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'CONFIG_INVALID')
        assert.ok(error.message.startsWith(`${variable}: expected `) && error.message.includes(JSON.stringify(value)))
        return true
      },
    )
  })
}

test('a URL that is wrong is named, and its password is not shown', () => {
  for (const variable of ['DATABASE_URL', 'REDIS_URL', 'KAFKA_CONNECT_URL', 'TRACKOPS_CAPTURE_DATABASE_URL']) {
    assert.throws(
      () => readSettings({ [variable]: 'mysql://me:secret@host/db' }),
      (error: Error) => {
        assert.match(error.message, new RegExp(`^${variable}: expected (postgres|redis|http)://`))
        assert.doesNotMatch(error.message, /secret/)
        return true
      },
    )
  }
})
