/** A TCP proxy for what networks do: addresses that move, connections that are cut, half-open, held up or slow. */
import { connect, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'

import { defer, type TestScope } from './defer.ts'

export interface TcpProxy {
  readonly port: number
  /** Connections that were made so far. */
  readonly connections: () => number
  /** New connections go there, as with an address that follows a failover; those that are open are cut. */
  to(port: number): void
  cut(): void
  /** What is connected, and whatever connects, stays connected, and what is sent is lost: until `pass`, those connections for good. */
  swallow(): void
  /** Nothing passes until `pass`, and nothing is lost: a network that was away, as TCP gets over it. */
  hold(): void
  /** Connections that lost something pass nothing any more: nobody sends it again. */
  pass(): void
  /** Each piece that the server sends is kept for so long before the next is taken. */
  delayReplies(ms: number): void
}

interface Link {
  readonly client: Socket
  readonly upstream: Socket
  isHalfOpen: boolean
}

export async function tcpProxy(scope: TestScope, targetPort: number): Promise<TcpProxy> {
  let target = targetPort
  let mode: 'pass' | 'swallow' | 'hold' = 'pass'
  let replyDelayMs = 0
  let connections = 0
  let held: (() => void)[] = []
  const links = new Set<Link>()

  /** Of a half-open connection one end does not hear that the other has gone. */
  function passage(link: Link, to: Socket, delayMs: () => number): Transform {
    return new Transform({
      flush(done) {
        if (!link.isHalfOpen) to.end()
        done()
      },
      transform(piece: Buffer, _encoding, done) {
        const pass = (): void => done(null, link.isHalfOpen ? undefined : piece)
        if (mode === 'hold') held.push(pass)
        else if (delayMs() > 0) setTimeout(pass, delayMs())
        else pass()
      },
    })
  }

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const link: Link = { client, upstream: connect(target, '127.0.0.1'), isHalfOpen: mode === 'swallow' }
    links.add(link)
    connections++
    for (const [one, other, delayMs] of [
      [client, link.upstream, () => 0],
      [link.upstream, client, () => replyDelayMs],
    ] as const) {
      one.on('error', () => undefined)
      one.on('close', () => {
        if (!link.isHalfOpen) other.destroy()
        if (client.destroyed && link.upstream.destroyed) links.delete(link)
      })
      one.pipe(passage(link, other, delayMs)).pipe(other, { end: false })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')

  const cut = (): void => {
    for (const { client, upstream } of links) {
      client.destroy()
      upstream.destroy()
    }
  }
  const release = (): void => {
    const waiting = held
    held = []
    for (const pass of waiting) pass()
  }
  defer(scope, () => {
    cut()
    release()
    server.close()
  })
  return {
    port: address.port,
    connections: () => connections,
    to(port) {
      target = port
      cut()
    },
    cut,
    swallow() {
      mode = 'swallow'
      for (const link of links) link.isHalfOpen = true
      release()
    },
    hold() {
      mode = 'hold'
    },
    pass() {
      mode = 'pass'
      release()
    },
    delayReplies(ms) {
      replyDelayMs = ms
    },
  }
}

/** The same URL, by way of the proxy. */
export function through(url: string, proxy: { readonly port: number }): string {
  const proxied = new URL(url)
  proxied.port = String(proxy.port)
  return proxied.href
}
