import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Registry } from 'prom-client'

import { type Logger, TrackOpsError } from '../../src/index.ts'
import { acceptOnlyJson } from './json-body.ts'
import { measureRequests } from './metrics.ts'
import { PROBLEM_MEDIA_TYPE, problemDocument } from './problem.ts'
import { createErrorHandler, describeValidation, problemOf, sendProblem } from './problem-replies.ts'
import { answerUnknownRoutes } from './routes-known.ts'

export interface HttpServerOptions {
  /** `order-service` */
  readonly name: string
  readonly title: string
  readonly description: string
}

const BODY_LIMIT_BYTES = 1024 * 1024
/** Long enough for a product id of 200 characters, each of them percent-encoded from four bytes. */
const MAX_PARAM_LENGTH = 2_500
/** A client that sends its request byte by byte must not hold a socket for ever. */
const REQUEST_TIMEOUT_MS = 30_000

const CLOSE_IDLE_EVERY_MS = 20
/** Longer than any answer takes; who has sent nothing by then is not going to. */
const DRAIN_LIMIT_MS = 10_000

export type HttpServer = ReturnType<typeof build>

/** What both services have in common: JSON in, JSON or a problem out, documentation, measurement. No routes yet. */
export async function createHttpServer(
  deps: { readonly log: Logger; readonly metrics: Registry },
  options: HttpServerOptions,
): Promise<HttpServer> {
  const app = build(deps.log)
  acceptOnlyJson(app)
  answerUnknownRoutes(app)
  measureRequests(app, options.name, deps.metrics)
  await document(app, options)
  return app
}

function build(log: Logger) {
  const app = fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // Requests that come in while we close are answered like any other; the connection is closed after them.
    return503OnClosing: false,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allowUnionTypes: true, verbose: true } },
    schemaErrorFormatter: describeValidation,
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply, problemOf(error))
    },
    clientErrorHandler: answerBrokenRequest,
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setErrorHandler(createErrorHandler(log))
  app.addHook('preClose', (done) => {
    endConnections(app.server)
    done()
  })
  // Response schemas are documentation. Answers go out as they are: a cached document is not reshaped on its way.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  return app
}

/**
 * A client that keeps its connection for its next request must not hold up the end: Node closes what is idle when the closing begins,
 * and then waits a minute for those that were answered a moment later.
 */
function endConnections(server: HttpServer['server']): void {
  const closingIdle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS)
  const closingAll = setTimeout(() => server.closeAllConnections(), DRAIN_LIMIT_MS)
  server.once('close', () => {
    clearInterval(closingIdle)
    clearTimeout(closingAll)
  })
}

async function document(app: HttpServer, options: HttpServerOptions): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: options.title, description: options.description, version: '1.0.0' },
    },
  })
  await app.register(fastifySwaggerUi, { routePrefix: '/docs' })
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
}

/** @throws TrackOpsError PORT_TAKEN, CONFIG_INVALID */
export async function listen(
  app: FastifyInstance,
  at: { readonly host: string; readonly port: number; readonly service: string; readonly variable: string },
): Promise<void> {
  try {
    await app.listen({ host: at.host, port: at.port })
  } catch (cause) {
    await app.close()
    const { code } = cause as NodeJS.ErrnoException
    const place = `${at.host}:${at.port}`
    if (code === 'EADDRINUSE') {
      throw new TrackOpsError('PORT_TAKEN', `${at.service}: something listens at ${place} already (${at.variable})`, {
        cause,
      })
    }
    if (code === 'EACCES' || code === 'EADDRNOTAVAIL') {
      throw new TrackOpsError('CONFIG_INVALID', `${at.service} may not listen at ${place} (${at.variable}): ${code}`, {
        cause,
      })
    }
    throw cause
  }
}

/** What Node's parser refuses never becomes a request, so it is answered on the bare socket. */
function answerBrokenRequest(error: FastifyError | NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const problem =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? problemDocument('headers-too-large', 'The headers are larger than 16 KiB.')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? problemDocument('request-timeout', `The request was not complete after ${REQUEST_TIMEOUT_MS / 1000} seconds.`)
        : problemDocument('malformed-request', 'This is not an HTTP request.')
  const body = JSON.stringify(problem)
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}\r\n` +
        `content-type: ${PROBLEM_MEDIA_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    )
  }
  socket.destroySoon()
}
