import type { FastifyInstance } from 'fastify'

import { Problem } from './problem.ts'

/** https://www.rfc-editor.org/rfc/rfc8259#section-8.1: JSON is UTF-8. A wrong byte is refused, not replaced. */
const UTF8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Bodies are JSON and nothing else. An empty one is no body, so that `POST .../confirm` may carry a content type. Text that the
 * database could not hold as it is (NUL, half of a surrogate pair) is refused here, once, for every member of every body.
 */
export function acceptOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body: Buffer, done) => {
    if (body.length === 0) {
      done(null, undefined)
      return
    }
    try {
      done(null, parseJsonBody(body))
    } catch (error) {
      done(error as Error, undefined)
    }
  })
}

/** @throws Problem */
export function parseJsonBody(body: Uint8Array): unknown {
  let text: string
  try {
    text = UTF8.decode(body)
  } catch (cause) {
    throw new Problem('malformed-request', 'The body is not valid UTF-8.', { cause })
  }
  let isStorable = true
  let value: unknown
  try {
    value = JSON.parse(text, (name, member: unknown) => {
      if (!isStorableText(name) || name === '__proto__') isStorable = false
      if (typeof member === 'string' && !isStorableText(member)) isStorable = false
      return member
    })
  } catch (cause) {
    throw new Problem('malformed-request', 'The body is not valid JSON.', { cause })
  }
  if (!isStorable) {
    throw new Problem(
      'invalid-request',
      'The body holds text that cannot be stored: NUL, half a surrogate pair, or __proto__.',
    )
  }
  return value
}

/** PostgreSQL's text has no NUL, and UTF-8 has no lone surrogates. */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}
