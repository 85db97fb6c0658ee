/** A TCP proxy whose target can be changed, as an address that follows a failover does. */
import { connect, createServer, type Socket } from 'node:net'

import { defer, type TestScope } from './defer.ts'

export interface Switch {
  readonly port: number
  /** New connections go there; those that are open are cut. */
  to(port: number): void
}

export async function tcpSwitch(scope: TestScope, firstPort: number): Promise<Switch> {
  let target = firstPort
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const socket of open) socket.destroy()
  }
  defer(scope, () => {
    cut()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return {
    port: address.port,
    to(port) {
      target = port
      cut()
    },
  }
}
