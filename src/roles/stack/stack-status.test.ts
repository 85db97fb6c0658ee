import assert from 'node:assert/strict'
import { test } from 'node:test'

import { makeTestDirectory, removeTestDirectory } from '../../../test/support/test-directory.ts'
import { hasFailed, parseConnectors, stackStatus } from './stack-status.ts'

const TRACE = `org.apache.kafka.connect.errors.ConnectException: An exception occurred: {"phone": "555"}
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:72)
Caused by: java.lang.IllegalStateException: value 555 of phone
\tat io.debezium.Thing.do(Thing.java:1)
\t... 5 more
Caused by: org.postgresql.util.PSQLException: ERROR: terminating connection
\tat org.postgresql.core.v3.QueryExecutorImpl.x(QueryExecutorImpl.java:1)
`

function reported(name: string, state: string, tasks: readonly { state: string; trace?: string }[]) {
  return { status: { name, connector: { state }, tasks: tasks.map((task, id) => ({ id, ...task })), type: 'source' } }
}

test('a failed task is told by the class of what was thrown, never by its text, which may quote a row', () => {
  const [connector] = parseConnectors({ x: reported('x', 'RUNNING', [{ state: 'FAILED', trace: TRACE }]) })
  assert.deepEqual(connector, {
    name: 'x',
    state: 'RUNNING',
    tasks: [{ id: 0, state: 'FAILED', error: 'org.postgresql.util.PSQLException' }],
  })
})

test('connectors come in the order of their names', () => {
  const reply = { b: reported('b', 'RUNNING', []), a: reported('a', 'PAUSED', []) }
  assert.deepEqual(
    parseConnectors(reply).map(({ name }) => name),
    ['a', 'b'],
  )
})

test('a connector that somebody paused has not failed; one that failed or that no worker has, has', () => {
  const states: readonly (readonly [string, readonly string[], boolean])[] = [
    ['RUNNING', ['RUNNING'], false],
    ['PAUSED', ['PAUSED'], false],
    ['STOPPED', [], false],
    ['RUNNING', ['FAILED'], true],
    ['FAILED', [], true],
    ['UNASSIGNED', ['UNASSIGNED'], true],
  ]
  for (const [state, tasks, expected] of states) {
    const [connector] = parseConnectors({
      x: reported(
        'x',
        state,
        tasks.map((each) => ({ state: each })),
      ),
    })
    assert.ok(connector)
    assert.equal(hasFailed(connector), expected, `${state} ${tasks.join()}`)
  }
})

test('where nothing was ever started, nothing runs, and asking makes no folder', async (t) => {
  const directory = makeTestDirectory('status')
  t.after(() => removeTestDirectory(directory))
  const status = await stackStatus(directory)
  assert.deepEqual(
    [status.isRunning, status.kafka.state, status.connect.state, status.connectors],
    [false, 'stopped', 'stopped', null],
  )
})
