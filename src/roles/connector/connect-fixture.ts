/** A Kafka Connect that answers as the real one does (4.3.0), with states that a test sets. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

import { defer, type TestScope } from '../../../test/support/defer.ts'

export interface FakeConnector {
  config: Record<string, string>
  state?: string
  trace?: string
  tasks?: { state: string; trace?: string }[]
}

export interface FakeConnect {
  readonly url: string
  readonly connectors: Map<string, FakeConnector>
  /** Method and path of every call but GETs. */
  readonly writes: string[]
  /** What the next PUT of a configuration is answered with. */
  refusal: string | undefined
  /** What a connector is once its configuration has been put, or it was restarted. */
  next: Pick<FakeConnector, 'state' | 'trace' | 'tasks'>
}

const RUNNING = { state: 'RUNNING', tasks: [{ state: 'RUNNING' }] }

export async function fakeConnect(scope: TestScope): Promise<FakeConnect> {
  const server = createServer((request, response) => {
    void answer(request.method ?? '', request.url ?? '', () => text(request)).then(([status, body]) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(body === undefined ? '' : JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(scope, async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const connect: FakeConnect = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connectors: new Map(),
    writes: [],
    refusal: undefined,
    next: RUNNING,
  }

  async function answer(method: string, path: string, body: () => Promise<string>): Promise<[number, unknown?]> {
    if (method !== 'GET') connect.writes.push(`${method} ${path}`)
    if (path === '/connectors?expand=info&expand=status') {
      return [200, Object.fromEntries([...connect.connectors].map(([name, one]) => [name, expanded(name, one)]))]
    }
    const [, name = '', rest] = /^\/connectors\/([^/]+)\/(.+)$/.exec(path) ?? []
    const one = connect.connectors.get(name)
    if (method === 'PUT' && rest === 'config') {
      const { refusal } = connect
      if (refusal !== undefined) return [400, { error_code: 400, message: refusal }]
      const config = { name, ...(JSON.parse(await body()) as Record<string, string>) }
      connect.connectors.set(name, { ...connect.next, config })
      return [one ? 200 : 201, { name, config, tasks: [], type: 'source' }]
    }
    if (!one) return [404, { error_code: 404, message: `Connector ${name} not found` }]
    if (rest?.startsWith('restart')) {
      connect.connectors.set(name, { ...connect.next, config: one.config })
      return [202, expanded(name, one).status]
    }
    return [200, rest === 'config' ? one.config : expanded(name, one).status]
  }
  return connect
}

function expanded(name: string, { config, state = 'RUNNING', trace, tasks = RUNNING.tasks }: FakeConnector) {
  const worker = { worker_id: '127.0.0.1:8083', version: '3.6.1.Final' }
  return {
    info: { name, config, tasks: tasks.map((_, task) => ({ connector: name, task })), type: 'source' },
    status: {
      name,
      connector: { state, ...worker, ...(trace === undefined ? {} : { trace }) },
      tasks: tasks.map((task, id) => ({ id, ...worker, ...task })),
      type: 'source',
    },
  }
}
