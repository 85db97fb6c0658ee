import type { FastifyReply, FastifyRequest } from 'fastify'

import { type FreshnessToken, formatToken, parseToken, type Read } from '../../src/index.ts'
import { Problem } from './problem.ts'

export const TOKEN_HEADER = 'x-freshness-token'
export const CACHE_HEADER = 'x-cache'

const MAX_XID = 0xffff_ffff_ffff_ffffn

/** @throws Problem 400: a token that is not one of ours is a client's mistake, and ignoring it would break a promise */
export function tokenOf(request: FastifyRequest): FreshnessToken | undefined {
  const header = request.headers[TOKEN_HEADER]
  if (header === undefined) return undefined
  const token = typeof header === 'string' ? parseToken(header) : undefined
  if (!token || token.xid > MAX_XID) {
    throw new Problem('malformed-token', `${TOKEN_HEADER} must be sent back as a write gave it.`)
  }
  return token
}

export function giveToken(reply: FastifyReply, token: FreshnessToken): void {
  void reply.header(TOKEN_HEADER, formatToken(token))
}

/**
 * One word for an answer of several reads. `hit` promises that the database was not asked, so one part that was not from
 * the cache takes it away; `bypass`, the more telling of the others, wins over `miss`.
 */
export function sourceOfAll(reads: readonly Read<unknown>[]): Read<unknown>['source'] {
  if (reads.some(({ source }) => source === 'bypass')) return 'bypass'
  return reads.some(({ source }) => source === 'miss') ? 'miss' : 'hit'
}

export function tellSource(reply: FastifyReply, ...reads: readonly Read<unknown>[]): void {
  void reply.header(CACHE_HEADER, sourceOfAll(reads))
}
