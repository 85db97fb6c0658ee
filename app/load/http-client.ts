import { Agent, request } from 'node:http'

export interface Answer {
  readonly status: number
  readonly cache: string | undefined
  readonly token: string | undefined
  /** The parsed body, undefined where there is none or it is no JSON. */
  readonly body: unknown
}

export interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly token?: string | undefined
  readonly body?: unknown
}

export interface HttpClient {
  /** @throws where no answer came, or not in time */
  send(ask: Ask): Promise<Answer>
  close(): void
}

/** Above the services' own deadline, so that theirs speaks first. */
const TIMEOUT_MS = 20_000
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/** Connections are kept: a load that opens one for each request measures the opening. */
export function createHttpClient(base: URL, options: { readonly maxConnections: number }): HttpClient {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: options.maxConnections,
    maxFreeSockets: options.maxConnections,
  })
  return {
    send: (ask) =>
      new Promise((resolve, reject) => {
        const payload = ask.body === undefined ? undefined : JSON.stringify(ask.body)
        const outgoing = request(
          new URL(ask.path, base),
          {
            agent,
            method: ask.method,
            signal: AbortSignal.timeout(TIMEOUT_MS),
            headers: {
              ...(payload === undefined
                ? {}
                : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
              ...(ask.token === undefined ? {} : { 'x-freshness-token': ask.token }),
            },
          },
          (incoming) => {
            const chunks: Buffer[] = []
            let bytes = 0
            incoming.on('data', (chunk: Buffer) => {
              chunks.push(chunk)
              bytes += chunk.length
              if (bytes > MAX_ANSWER_BYTES) incoming.destroy(new Error('the answer is too large'))
            })
            incoming.on('error', reject)
            incoming.on('end', () => {
              const { 'x-cache': cache, 'x-freshness-token': token } = incoming.headers
              resolve({
                status: incoming.statusCode ?? 0,
                cache: typeof cache === 'string' ? cache : undefined,
                token: typeof token === 'string' ? token : undefined,
                body: parsed(Buffer.concat(chunks).toString()),
              })
            })
          },
        )
        outgoing.on('error', reject)
        outgoing.end(payload)
      }),
    close: () => agent.destroy(),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
