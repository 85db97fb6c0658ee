import { readFile } from 'node:fs/promises'
import { STATUS_CODES } from 'node:http'

import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify'

import { TrackOpsError } from '../runtime/errors.ts'
import type { Metrics } from './metrics.ts'
import type { SystemStatus } from './status.ts'

export interface ConsoleDeps {
  readonly metrics: Pick<Metrics, 'registry'>
  readonly status: () => Promise<SystemStatus>
  readonly isReady: () => boolean
}

export interface ConsoleServer {
  readonly url: string
  close(): Promise<void>
}

const PAGE = new URL('../../console/index.html', import.meta.url)

/**
 * The page for people, and what machines ask: `/metrics` for Prometheus, `/health/live` (this process answers) and
 * `/health/ready` (changes flow) for whoever restarts and routes.
 */
export async function startConsoleServer(
  deps: ConsoleDeps,
  options: { readonly host: string; readonly port: number; readonly portVariable: string },
): Promise<ConsoleServer> {
  const app = await createConsole(deps)
  try {
    await app.listen({ host: options.host, port: options.port })
  } catch (error) {
    throw listenError(error, options.port, 'the console', options.portVariable)
  }
  return { url: `http://${options.host}:${options.port}`, close: () => app.close() }
}

/** The same before it listens. */
export async function createConsole(deps: ConsoleDeps): Promise<FastifyInstance> {
  const page = await readFile(PAGE, 'utf8')
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply, error.statusCode)
    },
  })
  app.setErrorHandler((error: FastifyError, _request, reply) => sendProblem(reply, error.statusCode))
  app.get('/', (_request, reply) => reply.type('text/html; charset=utf-8').send(page))
  app.get(
    '/api/status',
    async (_request, reply) => await reply.header('cache-control', 'no-store').send(await deps.status()),
  )
  app.get('/metrics', async (_request, reply) =>
    reply.type(deps.metrics.registry.contentType).send(await deps.metrics.registry.metrics()),
  )
  app.get('/health/live', () => ({ status: 'live' }))
  app.get('/health/ready', (_request, reply) => {
    const isReady = deps.isReady()
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'not ready' })
  })
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, 404))
  return app
}

/** Nothing of an error's inside: its message may quote what was asked, or name a server. */
function sendProblem(reply: FastifyReply, status = 500): FastifyReply {
  const title = STATUS_CODES[status] ?? 'Error'
  return reply
    .code(status)
    .type('application/problem+json')
    .send(Buffer.from(JSON.stringify({ type: 'about:blank', title, status })))
}

/** What a server says when it can't listen. */
export function listenError(error: unknown, port: number, purpose: string, variable: string): unknown {
  if (error instanceof Error && 'code' in error && (error.code === 'EADDRINUSE' || error.code === 'EACCES')) {
    const why = error.code === 'EADDRINUSE' ? 'is taken' : 'may not be used'
    return new TrackOpsError('PORT_TAKEN', `port ${port} for ${purpose} ${why} (${variable})`, {
      details: { port, variable },
      cause: error,
    })
  }
  return error
}
