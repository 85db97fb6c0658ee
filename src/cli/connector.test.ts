import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'

import { freePort } from '../../test/support/free-port.ts'
import { testPostgres } from '../../test/support/postgres.ts'
import { fakeConnect } from '../roles/connector/connect-fixture.ts'
import { COMMANDS } from './commands.ts'
import { dispatch } from './dispatch.ts'

interface Called {
  readonly status: number
  readonly out: string
  readonly err: string
}

const SECRET = 'postgres://trackops_capture:hunter2@127.0.0.1:1/trackops_orders'

async function call(argv: readonly string[], env: NodeJS.ProcessEnv = { DATABASE_URL: SECRET }): Promise<Called> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const io = { stdout, stderr, env, cwd: '/', signal: new AbortController().signal }
  const status = await dispatch(['connector', ...argv], io, { commands: COMMANDS, version: 'test' })
  const text = (stream: PassThrough): string => String(stream.read() ?? '')
  return { status, out: text(stdout), err: text(stderr) }
}

test('standard output is what POST /connectors takes, without the password; the rest goes to standard error', async () => {
  for (const more of [[], ['--json']]) {
    const { status, out, err } = await call(more)
    const { name, config } = JSON.parse(out) as { name: string; config: Record<string, string> }
    assert.deepEqual([status, name, config['topic.prefix']], [0, 'trackops_orders', 'trackops_orders'])
    assert.equal(config['database.user'], 'trackops_capture')
    assert.equal(config['topic.creation.default.partitions'], '12')
    assert.match(err, /The password is not printed: \$\{env:TRACKOPS_CAPTURE_PASSWORD\}/)
    assert.doesNotMatch(out + err, /hunter2/)
  }
})

test('partitions, replication, the reference for the password and the database of the connector can be chosen', async () => {
  const argv = ['--partitions', '3', '--replication-factor', '2', '--password-reference', '${file:/run/secrets:db}']
  const env = { DATABASE_URL: SECRET, TRACKOPS_CAPTURE_DATABASE_URL: 'postgres://catcher:x@db:6432/other' }
  const { config } = JSON.parse((await call(argv, env)).out) as { config: Record<string, string> }
  assert.equal(config['topic.creation.default.partitions'], '3')
  assert.equal(config['topic.creation.default.replication.factor'], '2')
  assert.equal(config['database.password'], '${file:/run/secrets:db}')
  assert.equal(config['database.hostname'], 'db')
})

test('bad usage is one line and status 2', async () => {
  for (const argv of [
    ['--nonsense'],
    ['stray'],
    ['--register'],
    ['--register', 'connect:8083'],
    ['--partitions', '0'],
  ]) {
    const { status, out, err } = await call(argv)
    assert.deepEqual([status, out, err.split('\n').length], [2, '', 2], `${argv.join(' ')}: ${err}`)
  }
})

test('registered, the password itself is sent, and the connector counts once the database sees its slot read', async (t) => {
  const connect = await fakeConnect(t)
  const { status, out, err } = await call(['--register', connect.url])
  assert.equal(status, 0, err)
  assert.equal(out, `connector trackops_orders runs at ${connect.url}: 2 tables, topics trackops_orders.*\n`)
  assert.equal(err, 'The source database cannot be reached from here, so Kafka Connect is believed.\n')
  assert.equal(connect.connectors.get('trackops_orders')?.config['database.password'], 'hunter2')
  const again = JSON.parse((await call(['--register', connect.url, '--json'])).out) as object
  assert.deepEqual(again, {
    name: 'trackops_orders',
    url: connect.url,
    state: 'RUNNING',
    reason: null,
    tasks: [{ id: 0, state: 'RUNNING', reason: null }],
  })
  assert.equal(connect.writes.length, 1)
})

test('a connector that fails, or a Kafka Connect that is not there, is one line and status 1', async (t) => {
  const { url } = await testPostgres(t)
  const connect = await fakeConnect(t)
  connect.next = { tasks: [{ state: 'FAILED', trace: 'java.lang.IllegalStateException: no room for slots\n\tat x' }] }
  const failed = await call(['--register', connect.url], { DATABASE_URL: url })
  assert.equal(failed.status, 1)
  assert.match(
    failed.err,
    /^trackops: connector trackops_orders is installed, but it failed: no room for slots\. \[CONNECTOR_FAILED\] .*\n$/,
  )
  const absent = await call(['--register', `http://127.0.0.1:${await freePort()}`])
  assert.equal(absent.status, 1)
  assert.match(
    absent.err,
    /\ntrackops: cannot reach Kafka Connect at http:\/\/127\.0\.0\.1:\d+: .* \[CONNECT_UNREACHABLE\] .*\n$/,
  )
})
