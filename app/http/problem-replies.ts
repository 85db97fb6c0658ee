import type { FastifyError, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify'

import type { Logger } from '../../src/index.ts'
import { Problem, PROBLEM_MEDIA_TYPE, problemDocument, type ProblemDocument, RETRY_AFTER_SECONDS } from './problem.ts'
import { isUnavailable } from './unavailable.ts'

/** Every error, whoever threw it, as a problem document. Nothing of its inside reaches the client. */
export function problemOf(error: unknown): ProblemDocument {
  if (error instanceof Problem) return error.document
  if (isUnavailable(error)) return problemDocument('unavailable', 'The database or the cache does not answer.')
  return fastifyProblem(error) ?? problemDocument('internal-error', 'The service could not do this; its log says why.')
}

function fastifyProblem(error: unknown): ProblemDocument | undefined {
  const { code, statusCode, validation, validationContext, message } = (error ?? {}) as Partial<FastifyError>
  if (validation) {
    const problem = validationContext === 'params' ? 'malformed-id' : 'invalid-request'
    return problemDocument(problem, message ?? 'The request does not have the expected form.')
  }
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return problemDocument('body-too-large', 'The body is larger than 1 MiB.')
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return problemDocument('unsupported-media-type', 'Send application/json.')
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return problemDocument('malformed-request', 'The body is not as long as Content-Length says.')
    case 'FST_ERR_BAD_URL':
      return problemDocument(
        'malformed-request',
        'The address is not valid: a percent sign begins two hex digits of UTF-8.',
      )
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return problemDocument('uri-too-long', 'A part of the address is too long.')
    default:
      if (statusCode === undefined || statusCode < 400 || statusCode > 499) return undefined
      return problemDocument('malformed-request', 'The request cannot be read.')
  }
}

export function createErrorHandler(log: Logger) {
  return async (error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const problem = problemOf(error)
    // The route's pattern, not the address: ids stay out of the log. A passing failure is the database's story, told there.
    const fields = { method: request.method, route: request.routeOptions.url, status: problem.status, err: error }
    if (problem.status === 500) log.error(fields, 'a request failed')
    else if (problem.status === 503) log.debug(fields, 'a request could not be answered')
    return await sendProblem(reply, problem)
  }
}

export function sendProblem(reply: FastifyReply, problem: ProblemDocument): FastifyReply {
  if (problem.status === 503) void reply.header('retry-after', String(RETRY_AFTER_SECONDS))
  // As bytes: to an object, or a text, fastify would add a charset that this media type does not have.
  return reply
    .code(problem.status)
    .type(PROBLEM_MEDIA_TYPE)
    .send(Buffer.from(JSON.stringify(problem)))
}

/**
 * One sentence from the first thing that the validator found: `body/items/0/quantity must be >= 1`. A pattern is
 * explained by its schema's description, which people can read.
 */
export function describeValidation(errors: FastifySchemaValidationError[], part: string): Error {
  const first = errors[0]
  if (!first) return new Error(`${part} does not have the expected form`)
  const place = `${part}${first.instancePath}`
  if (first.keyword === 'additionalProperties') {
    return new Error(
      `${place} has a member that is not known: ${JSON.stringify(first.params.additionalProperty).slice(0, 80)}`,
    )
  }
  if (first.keyword === 'pattern') {
    const { parentSchema } = first as { parentSchema?: { description?: string } }
    return new Error(`${place} must be ${parentSchema?.description ?? 'of another form'}`)
  }
  return new Error(`${place} ${first.message ?? 'does not have the expected form'}`)
}
