/** The real servers: Kafka, Kafka Connect, Debezium. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'

import { Admin, Producer, stringSerializers } from '@platformatic/kafka'

import { defer } from '../../../test/support/defer.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { ownPostgres } from '../../../test/support/postgres.ts'
import { runCli, startCli } from '../../../test/support/process.ts'
import {
  connectorRuns,
  ownStack,
  STACK_SOFTWARE,
  startConnector,
  testStack,
  uniqueName,
  whyNoStack,
} from '../../../test/support/stack.ts'
import { makeTestDirectory, removeTestDirectory } from '../../../test/support/test-directory.ts'
import { topicValues } from '../../../test/support/topic-values.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { SILENT } from '../../runtime/logger.ts'
import { stopKeptStack } from './keep-stack.ts'
import { resetStack, startStack } from './start-stack.ts'

const skip = await whyNoStack()

test('messages outlive a broker that is killed; a row outlives a Connect that is killed', { skip }, async (t) => {
  const stack = await ownStack(t)
  const { sql, url } = await ownPostgres(t)
  await sql`create table public.things (id int primary key, name text)`

  await withAdmin(stack.brokers, (admin) => admin.createTopics({ topics: ['kept'], partitions: 3, replicas: 1 }))
  const sent = Array.from({ length: 300 }, (_, index) => `value ${index}`)
  await produce(stack.brokers, 'kept', sent)
  assert.deepEqual((await read(t, stack.brokers, 'kept', 300)).toSorted(), sent.toSorted())

  await t.test('Connect knows the connector, and a row comes by it', async () => {
    const plugins = (await (await fetch(`${stack.connectUrl}/connector-plugins`)).json()) as { class: string }[]
    assert.deepEqual(
      plugins.map((plugin) => plugin.class),
      ['io.debezium.connector.postgresql.PostgresConnector'],
    )
    await startConnector(t, stack.connectUrl, 'things', debeziumConfig(url, 'things'))
    await sql`insert into things values (1, 'one')`
    assert.deepEqual(await rowOf(t, stack.brokers, 1), { id: 1, name: 'one' })
  })

  await t.test('Connect, killed and started again, goes on with the next row', async () => {
    await stack.connect.kill()
    await sql`insert into things values (2, 'two')`
    await stack.connect.start()
    await connectorRuns(stack.connectUrl, 'things')
    assert.deepEqual(await rowOf(t, stack.brokers, 2), { id: 2, name: 'two' })
  })

  await t.test('the broker, killed and started again, has what it had, and Connect finds it', async () => {
    await stack.kafka.kill()
    await stack.kafka.start()
    assert.deepEqual((await read(t, stack.brokers, 'kept', 300)).toSorted(), sent.toSorted())
    await sql`insert into things values (3, 'three')`
    assert.deepEqual(await rowOf(t, stack.brokers, 3), { id: 3, name: 'three' })
  })
})

test('stack up starts what outlives it, a second one finds it, and down leaves nothing', { skip }, async (t) => {
  const data = scratch(t)
  const env = await stackEnvironment()
  defer(t, () => stopKeptStack(join(data, 'stack')))
  const before = await runCli(t, ['stack', 'status', '--data', data], env)
  assert.equal(before.exitCode, 1)

  const [first, second] = await Promise.all([up(), up()])
  for (const { exitCode, stdout, stderr } of [first, second]) {
    assert.equal(exitCode, 0, stderr)
    assert.equal(
      stdout,
      `Kafka              127.0.0.1:${env['TRACKOPS_KAFKA_PORT']}\n` +
        `Kafka Connect      http://127.0.0.1:${env['TRACKOPS_CONNECT_PORT']}\n`,
    )
  }
  const status = await runCli(t, ['stack', 'status', '--json', '--data', data], env)
  assert.equal(status.exitCode, 0, status.stdout)
  const { kafka, connect, connectors } = JSON.parse(status.stdout)
  assert.deepEqual([kafka.state, connect.state, connectors], ['running', 'running', []])

  // A system that finds it uses it, and does not end it.
  const used = await startStack(SILENT, {
    ...STACK_SOFTWARE,
    directory: join(data, 'stack'),
    ports: { kafka: 1, controller: 1, connect: 1 },
  })
  await used.stop()
  assert.deepEqual([used.brokers, used.kafka], [[`127.0.0.1:${env['TRACKOPS_KAFKA_PORT']}`], null])
  assert.deepEqual([await runs(kafka.pid), await runs(connect.pid)], [true, true])

  // One of the two is missing: status says so, and up starts that one only.
  process.kill(connect.pid, 'SIGKILL')
  await waitFor(async () => !(await runs(connect.pid)), { what: 'Connect to be dead' })
  const broken = await runCli(t, ['stack', 'status', '--data', data], env)
  assert.equal(broken.exitCode, 1)
  assert.match(broken.stdout, /^Kafka +127\S+ running.*\nKafka Connect +stopped\n$/)
  assert.equal((await up()).exitCode, 0)
  const mended = JSON.parse((await runCli(t, ['stack', 'status', '--json', '--data', data], env)).stdout)
  assert.equal(mended.kafka.pid, kafka.pid)

  const down = await runCli(t, ['stack', 'down', '--data', data], env)
  assert.deepEqual([down.exitCode, down.stdout], [0, 'stopped\n'], down.stderr)
  assert.deepEqual([await runs(kafka.pid), await runs(mended.connect.pid)], [false, false])
  const again = await runCli(t, ['stack', 'down', '--data', data], env)
  assert.deepEqual([again.exitCode, again.stdout], [0, 'nothing was running\n'])

  await resetStack(join(data, 'stack'))
  assert.equal(existsSync(join(data, 'stack/kafka')), false)

  function up() {
    return runCli(t, ['stack', 'up', '--data', data], env)
  }
})

test('a supervised stack is started again where it dies, and ends with us', { skip }, async (t) => {
  const directory = scratch(t)
  const stack = await startStack(SILENT, {
    ...STACK_SOFTWARE,
    directory,
    ports: { kafka: await freePort(), controller: await freePort(), connect: await freePort() },
  })
  defer(t, () => stack.stop())
  const { kafka, connect } = stack
  assert.ok(kafka !== null && connect !== null)
  const [killed, broker] = [connect.pid() ?? -1, kafka.pid() ?? -1]
  process.kill(killed, 'SIGKILL')
  await waitFor(() => connect.restarts() === 1, { what: 'Connect to be back', timeoutMs: 60_000, intervalMs: 50 })
  const later = connect.pid() ?? -1
  await stack.stop()
  for (const pid of [killed, later, broker]) assert.equal(await runs(pid), false)
})

test('a taken port is one line that names the variable, and nothing is started', { skip }, async (t) => {
  const env = await stackEnvironment()
  const stranger = createServer().listen(Number(env['TRACKOPS_CONNECT_PORT']), '127.0.0.1')
  t.after(() => stranger.close())
  const data = scratch(t)
  const { exitCode, stderr } = await runCli(t, ['stack', 'up', '--data', data], env)
  assert.equal(exitCode, 1)
  assert.match(stderr, /^trackops: Port \d+ for Kafka Connect \(TRACKOPS_CONNECT_PORT\) is taken .*\[PORT_TAKEN\].*\n$/)
  assert.equal(existsSync(join(data, 'stack/kafka')), false)
})

test('a start that is interrupted leaves nothing running', { skip }, async (t) => {
  const data = scratch(t)
  const up = startCli(t, ['stack', 'up', '--data', data], await stackEnvironment())
  const pidFile = join(data, 'stack/kafka/trackops.pid')
  const pid = await waitFor(() => existsSync(pidFile) && (Number.parseInt(readFileSync(pidFile, 'utf8'), 10) || null), {
    what: 'the broker to be started',
  })
  const { exitCode, stderr } = await up.end('SIGINT')
  assert.deepEqual([exitCode, stderr], [130, 'trackops: interrupted; what was started is stopped\n'])
  assert.equal(await runs(pid), false)
})

test('bad usage is told apart', async (t) => {
  for (const args of [[], ['sideways'], ['up', 'down'], ['up', '--json']]) {
    const { exitCode, stderr } = await runCli(t, ['stack', ...args])
    assert.deepEqual([exitCode, stderr.includes('[USAGE]')], [2, true], args.join(' '))
  }
})

test('the stack of a test run is shared: who asks again gets the same one', { skip }, async (t) => {
  const stack = await testStack()
  assert.deepEqual(await testStack(), stack)
  await produceAndRead(t, stack.brokers)
})

async function produceAndRead(t: TestContext, brokers: string[]): Promise<void> {
  const topic = uniqueName('topic')
  await withAdmin(brokers, (admin) => admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 }))
  await produce(brokers, topic, ['a', 'b'])
  assert.deepEqual(await read(t, brokers, topic, 2), ['a', 'b'])
}

async function withAdmin(brokers: string[], work: (admin: Admin) => Promise<unknown>): Promise<void> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: brokers })
  try {
    await work(admin)
  } finally {
    await admin.close()
  }
}

async function produce(brokers: string[], topic: string, values: readonly string[]): Promise<void> {
  const producer = new Producer({
    clientId: 'test',
    bootstrapBrokers: brokers,
    serializers: stringSerializers,
    idempotent: true,
  })
  try {
    await producer.send({ messages: values.map((value) => ({ topic, key: value, value })) })
  } finally {
    await producer.close()
  }
}

/** The first `count` values of a topic, by a group of its own. */
async function read(t: TestContext, brokers: string[], topic: string, count: number): Promise<string[]> {
  const values = await topicValues(t, brokers, topic, (seen) => seen.length === count)
  return values.map(String)
}

/** Debezium may send again what it sent before it was killed: so, until the row comes. */
async function rowOf(t: TestContext, brokers: string[], id: number): Promise<unknown> {
  const rowIn = (value: string | null | undefined) => (JSON.parse(value ?? '') as { after: { id: number } }).after
  const values = await topicValues(t, brokers, 'things.public.things', (seen) => rowIn(seen.at(-1)).id === id)
  return rowIn(values.at(-1))
}

function debeziumConfig(url: string, name: string): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(url)
  return {
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'plugin.name': 'pgoutput',
    'database.hostname': hostname,
    'database.port': port,
    'database.user': username,
    'database.password': password,
    'database.dbname': pathname.slice(1),
    'topic.prefix': name,
    'slot.name': name,
    'publication.name': name,
    'publication.autocreate.mode': 'filtered',
    'table.include.list': 'public.things',
    'topic.creation.default.replication.factor': '1',
    'topic.creation.default.partitions': '1',
  }
}

async function stackEnvironment(): Promise<Record<string, string>> {
  return {
    TRACKOPS_KAFKA_PORT: String(await freePort()),
    TRACKOPS_KAFKA_CONTROLLER_PORT: String(await freePort()),
    TRACKOPS_CONNECT_PORT: String(await freePort()),
    TRACKOPS_CACHE_DIR: STACK_SOFTWARE.cacheDirectory ?? '',
  }
}

/** A zombie does not: its parent is gone, and some machines have nobody who collects it. */
async function runs(pid: number): Promise<boolean> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,stat='])
  return new RegExp(`^ *${pid} +[^Z]`, 'm').test(stdout)
}

function scratch(t: TestContext): string {
  const directory = makeTestDirectory('stack')
  defer(t, () => removeTestDirectory(directory))
  return directory
}
