/** A TCP proxy that knows what passes through it, and stops a connection at the very message that a test means. */
import { connect, createServer, type Socket } from 'node:net'

import { defer, type TestScope } from './defer.ts'
import type { Framing } from './wire-messages.ts'

/**
 * before: the server has nothing of the message. within: the first half of its bytes. behind: all of it, and its answer is kept
 * back. Nothing more passes on this connection in either direction; others go on.
 */
export type Place = 'before' | 'within' | 'behind'

export interface Gate<M> {
  readonly port: number
  /**
   * Resolves with the first message that is meant, once its connection has been stopped there. Later ones pass. Of several stops only the
   * last is looked for. @throws if nothing is meant within a minute
   */
  stop(place: Place, isMeant: (message: M) => boolean): Promise<M>
  /** As `stop` before it; what was kept back of its connection since passes when the function is called that it resolves with. */
  hold(isMeant: (message: M) => boolean): Promise<() => void>
}

const BOUND_MS = 60_000

interface Stop<M> {
  readonly place: Place | 'held'
  readonly isMeant: (message: M) => boolean
  readonly reached: (message: M, release: () => void) => void
}

export async function gate<M>(scope: TestScope, serverPort: number, framing: () => Framing<M>): Promise<Gate<M>> {
  let awaited: Stop<M> | undefined
  const open = new Set<Socket>()

  function follow(client: Socket): void {
    const server = connect(serverPort, '127.0.0.1')
    const framed = framing()
    let isStopped = false
    let held: Buffer[] | undefined
    const release = (): void => {
      for (const bytes of held ?? []) server.write(bytes)
      held = undefined
    }
    for (const socket of [client, server]) {
      open.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => open.delete(socket))
    }
    server.pipe(client)
    server.on('close', () => client.destroy())
    // In order, so that what was let through still arrives.
    client.on('close', () => server.end())
    client.on('data', (chunk) => {
      for (const { message, bytes } of framed(chunk)) {
        if (isStopped) return
        if (held) {
          held.push(bytes)
          continue
        }
        if (!awaited?.isMeant(message)) {
          server.write(bytes)
          continue
        }
        const { place, reached } = awaited
        awaited = undefined
        if (place === 'held') {
          held = [bytes]
          reached(message, release)
          continue
        }
        isStopped = true
        server.unpipe(client)
        server.resume()
        const length = { before: 0, within: bytes.length >> 1, behind: bytes.length }[place]
        server.write(bytes.subarray(0, length), () => reached(message, release))
      }
    })
  }

  const proxy = createServer(follow)
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  defer(scope, () => {
    for (const socket of open) socket.destroy()
    proxy.close()
  })
  const address = proxy.address()
  if (address === null || typeof address === 'string') throw new Error('the gate has no port')
  async function wait<T>(
    place: Stop<M>['place'],
    isMeant: Stop<M>['isMeant'],
    what: (message: M, release: () => void) => T,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    awaited = { place, isMeant, reached: (message, release) => resolve(what(message, release)) }
    const bound = setTimeout(() => reject(new Error(`nothing came to be stopped: ${place}`)), BOUND_MS)
    return await promise.finally(() => clearTimeout(bound))
  }

  return {
    port: address.port,
    stop: (place, isMeant) => wait(place, isMeant, (message) => message),
    hold: (isMeant) => wait('held', isMeant, (_, release) => release),
  }
}
