/**
 * What goes wrong for a client, as RFC 9457 documents. A client tells problems apart by `type`, which never changes; `detail` is
 * one sentence for a person and may.
 */
const PROBLEMS = {
  'malformed-request': { status: 400, title: 'The request cannot be read' },
  'invalid-request': { status: 400, title: 'The request does not have the expected form' },
  'malformed-id': { status: 400, title: 'Not an id' },
  'malformed-token': { status: 400, title: 'Not a freshness token' },
  'unknown-status': { status: 400, title: 'No such order status' },
  'route-not-found': { status: 404, title: 'No such resource' },
  'order-not-found': { status: 404, title: 'No such order' },
  'reservation-not-found': { status: 404, title: 'No such reservation' },
  'method-not-allowed': { status: 405, title: 'The resource does not have this method' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'invalid-transition': { status: 409, title: 'The order does not go from its status to that one' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'uri-too-long': { status: 414, title: 'The address is too long' },
  'unsupported-media-type': { status: 415, title: 'The body has a type that is not understood' },
  'idempotency-key-reused': { status: 422, title: 'The idempotency key belongs to another request' },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  'internal-error': { status: 500, title: 'The service failed' },
  unavailable: { status: 503, title: 'The service cannot answer at the moment' },
} as const satisfies Record<string, { status: number; title: string }>

export type ProblemName = keyof typeof PROBLEMS

export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

/** Seconds; long enough for a restart of a database to get somewhere, short enough to be noticed when it is back. */
export const RETRY_AFTER_SECONDS = 2

export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly [member: string]: string | number
}

export function problemDocument(
  name: ProblemName,
  detail: string,
  members: Readonly<Record<string, string>> = {},
): ProblemDocument {
  const { status, title } = PROBLEMS[name]
  return { type: `urn:trackops:problem:${name}`, title, status, detail, ...members }
}

/** Thrown anywhere below a route; `problem-replies.ts` answers it. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly document: ProblemDocument

  constructor(
    problem: ProblemName,
    detail: string,
    options: { members?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.document = problemDocument(problem, detail, options.members)
  }
}
