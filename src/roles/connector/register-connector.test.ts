import assert from 'node:assert/strict'
import { test } from 'node:test'

import { freePort } from '../../../test/support/free-port.ts'
import { connectApi, reasonOf } from './connect-api.ts'
import { fakeConnect } from './connect-fixture.ts'
import { registerConnector } from './register-connector.ts'

const wanted = { name: 'items', config: { 'topic.prefix': 'items', 'database.password': 'hunter2' } }
const quick = { pollIntervalMs: 5, settleMs: 20, timeoutMs: 2000 }
const PUT = 'PUT /connectors/items/config'

test('a connector is installed, runs, and is not touched by the same again', async (t) => {
  const connect = await fakeConnect(t)
  const status = await registerConnector(connectApi(connect.url), wanted, quick)
  assert.deepEqual(status, { state: 'RUNNING', reason: null, tasks: [{ id: 0, state: 'RUNNING', reason: null }] })
  await registerConnector(connectApi(connect.url), wanted, quick)
  assert.deepEqual(connect.writes, [PUT])
  await registerConnector(connectApi(connect.url), { ...wanted, config: { ...wanted.config, more: '1' } }, quick)
  assert.deepEqual(connect.writes, [PUT, PUT])
})

test('a task that fails is told with the first line of its trace and what caused it', async (t) => {
  const connect = await fakeConnect(t)
  const trace = `org.apache.kafka.connect.errors.ConnectException: Cannot make publication\n\tat io.debezium.X(X.java:1)\nCaused by: org.postgresql.util.PSQLException: ERROR: must be owner\n\tat y`
  connect.next = { tasks: [{ state: 'FAILED', trace }] }
  await assert.rejects(registerConnector(connectApi(connect.url), wanted, quick), {
    code: 'CONNECTOR_FAILED',
    message: 'connector items is installed, but it failed: Cannot make publication: ERROR: must be owner.',
  })
})

test('a task that had failed is started anew, though nothing else has changed', async (t) => {
  const connect = await fakeConnect(t)
  connect.connectors.set('items', { config: { ...wanted.config, name: 'items' }, tasks: [{ state: 'FAILED' }] })
  await registerConnector(connectApi(connect.url), wanted, quick)
  assert.deepEqual(connect.writes, ['POST /connectors/items/restart?includeTasks=true&onlyFailed=true'])
})

test('a task that says it runs while nobody reads the slot does not run', async (t) => {
  const connect = await fakeConnect(t)
  const looks = { ...quick, timeoutMs: 100, isSlotRead: async () => false }
  await assert.rejects(registerConnector(connectApi(connect.url), wanted, looks), /RUNNING, but nobody reads the slot/)
  let asked = 0
  await registerConnector(connectApi(connect.url), wanted, { ...quick, isSlotRead: async () => (asked += 1) > 3 })
})

test('a connector that somebody paused stays so, and how to go on is said', async (t) => {
  const connect = await fakeConnect(t)
  connect.next = { state: 'PAUSED', tasks: [{ state: 'PAUSED' }] }
  await assert.rejects(
    registerConnector(connectApi(connect.url), wanted, quick),
    /is PAUSED: PUT .*\/connectors\/items\/resume/,
  )
})

test('one that never gets a task is given up, with its state', async (t) => {
  const connect = await fakeConnect(t)
  connect.next = { tasks: [] }
  const soon = { ...quick, timeoutMs: 50 }
  await assert.rejects(
    registerConnector(connectApi(connect.url), wanted, soon),
    /not run after 0.05 s: connector RUNNING, no task yet/,
  )
})

test("Connect's refusal is one line, without the password that it quotes", async (t) => {
  const connect = await fakeConnect(t)
  connect.refusal = 'Connector configuration is invalid:\nInvalid value hunter2 for configuration x'
  await assert.rejects(
    registerConnector(connectApi(connect.url), wanted, quick),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'CONNECT_REFUSED')
      assert.match(
        error.message,
        /\(400\): Connector configuration is invalid: Invalid value \*\*\* for configuration x$/,
      )
      return true
    },
  )
})

test('a login that fails is said in plain words, whatever Kafka Connect 4.3.0 makes of it', async (t) => {
  const connect = await fakeConnect(t)
  connect.refusal =
    'Cannot invoke "org.apache.kafka.connect.runtime.rest.entities.ConfigValueInfo.errors()" because the return value of "org.apache.kafka.connect.runtime.rest.entities.ConfigInfo.configValue()" is null'
  await assert.rejects(registerConnector(connectApi(connect.url), wanted, quick), /cannot log in to the database/)
})

test('where nothing listens, or something else does, it is said which URL', async () => {
  const url = `http://someone:hunter2@127.0.0.1:${await freePort()}`
  await assert.rejects(registerConnector(connectApi(url), wanted, quick), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'CONNECT_UNREACHABLE')
    assert.match(error.message, /^cannot reach Kafka Connect at http:\/\/127\.0\.0\.1:\d+: /)
    assert.doesNotMatch(error.message, /hunter2/)
    return true
  })
  assert.throws(() => connectApi('127.0.0.1:8083'), { code: 'USAGE' })
})

test('a trace without a cause is its first line without the class', () => {
  assert.equal(reasonOf('java.lang.IllegalStateException: slot is active\n\tat a.b(c)'), 'slot is active')
  assert.equal(reasonOf('no class here'), 'no class here')
  assert.equal(reasonOf('java.lang.NullPointerException\n\tat a'), 'java.lang.NullPointerException')
})
