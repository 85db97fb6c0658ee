import type { Answer, Ask, HttpClient } from './http-client.ts'
import type { KnownOrder, KnownOrders } from './known-orders.ts'
import type { Outcome } from './load-statistics.ts'
import type { Moment, StalenessCheck } from './staleness.ts'
import { isOlder } from './staleness.ts'
import { isCancellable, newCart, nextStep, type Operation } from './workload.ts'

export interface SessionDeps {
  readonly client: HttpClient
  readonly orders: KnownOrders
  readonly staleness: StalenessCheck
  readonly pickProduct: (size: number) => number
  readonly random: () => number
  readonly record: (outcome: Outcome) => void
  readonly stale: () => void
}

/** An order as answers show it: only what is judged here. */
interface SeenOrder {
  readonly id: string
  readonly status: string
  readonly updatedAt: string
  readonly version: number
}

type ReadOperation = 'read order' | 'read status' | 'read list'
const READS: readonly ReadOperation[] = ['read order', 'read status', 'read list']

/** Does one operation, with the read that checks it if it is a write. `dueAtMs`: when it should have begun (performance.now()). */
export type Session = (operation: Operation, dueAtMs: number) => Promise<void>

export function createSession(deps: SessionDeps): Session {
  const { orders, random } = deps

  return async (operation, dueAtMs) => {
    const order = orders.pick()
    if (operation === 'create' || !order) {
      await create(dueAtMs)
      return
    }
    const step = operation === 'advance' ? nextStep(order.status) : undefined
    if (step) await write(order, { method: 'POST', path: `/api/orders/${order.id}/${step}` }, dueAtMs)
    else if (operation === 'cancel' && isCancellable(order.status)) {
      await write(order, { method: 'DELETE', path: `/api/orders/${order.id}?reason=load` }, dueAtMs)
    } else if (operation === 'advance' || operation === 'cancel') await read('read status', order, dueAtMs)
    else await read(operation, order, dueAtMs)
  }

  async function create(dueAtMs: number): Promise<void> {
    const customerId = orders.pickCustomer()
    const body = { customerId, items: newCart(deps.pickProduct, random) }
    const answer = await send({ method: 'POST', path: '/api/orders', body }, dueAtMs)
    const created = answer && seenOrder(answer.body)
    if (answer?.status !== 201 || !created) return
    const order = { id: created.id, customerId, status: created.status }
    orders.add(order)
    await readBack(order, created, answer.token)
  }

  async function write(order: KnownOrder, ask: Ask, dueAtMs: number): Promise<void> {
    const answer = await send(ask, dueAtMs)
    const written = answer && seenOrder(answer.body)
    if (answer?.status === 409 && isObject(answer.body) && typeof answer.body.currentStatus === 'string') {
      order.status = answer.body.currentStatus
    }
    if (answer?.status !== 200 || !written) return
    order.status = written.status
    await readBack(order, written, answer.token)
  }

  /** A read with the token of a write shows that write: the promise that is checked after each of them. */
  async function readBack(order: KnownOrder, written: SeenOrder, token: string | undefined): Promise<void> {
    if (token === undefined) return
    const operation = READS[Math.floor(random() * READS.length)] ?? 'read order'
    await read(operation, order, performance.now(), { token, written })
  }

  async function read(
    operation: ReadOperation,
    order: KnownOrder,
    dueAtMs: number,
    fresh?: { readonly token: string; readonly written: SeenOrder },
  ): Promise<void> {
    const key = `${operation}:${order.id}`
    const knownBefore = deps.staleness.before(key)
    const answer = await send({ method: 'GET', path: pathOf(operation, order), token: fresh?.token }, dueAtMs)
    if (!answer || answer.status >= 500) return
    const seen = answer.status === 200 ? seenIn(operation, order, answer.body) : undefined
    if (!seen) {
      // Somebody may have deleted the order; but not this soon after a write of ours.
      if (fresh) deps.stale()
      return
    }
    if (seen.status !== undefined) order.status = seen.status
    const written = fresh && (operation === 'read order' ? fresh.written.version : fresh.written.updatedAt)
    if (deps.staleness.isStale(key, seen.moment, newer(knownBefore, written))) deps.stale()
  }

  async function send(ask: Ask, dueAtMs: number): Promise<Answer | undefined> {
    let answer: Answer | undefined
    try {
      answer = await deps.client.send(ask)
    } catch {
      // Counted as an error below: what went wrong with one request of thousands is the service's log to tell.
    }
    deps.record({ latencyMs: performance.now() - dueAtMs, status: answer?.status, cache: answer?.cache })
    return answer
  }
}

function pathOf(operation: ReadOperation, order: KnownOrder): string {
  if (operation === 'read list') return `/api/customers/${order.customerId}/orders`
  return operation === 'read order' ? `/api/orders/${order.id}` : `/api/orders/${order.id}/status`
}

/** When the order, as this answer shows it, was made: its version where the answer has one. undefined: it is not there. */
export function seenIn(
  operation: ReadOperation,
  order: { readonly id: string },
  body: unknown,
): { readonly moment: Moment; readonly status?: string } | undefined {
  if (!isObject(body)) return undefined
  if (operation === 'read list') {
    const members: readonly unknown[] = Array.isArray(body.orders) ? body.orders : []
    const member = members.find((one) => isObject(one) && one.id === order.id)
    return isObject(member) && typeof member.updatedAt === 'string' ? { moment: member.updatedAt } : undefined
  }
  const { status, version, updatedAt } = body
  if (typeof status !== 'string') return undefined
  const moment = operation === 'read order' ? version : updatedAt
  return typeof moment === 'number' || typeof moment === 'string' ? { moment, status } : undefined
}

function seenOrder(body: unknown): SeenOrder | undefined {
  if (!isObject(body)) return undefined
  const { id, status, updatedAt, version } = body
  if (typeof id !== 'string' || typeof status !== 'string') return undefined
  if (typeof updatedAt !== 'string' || typeof version !== 'number') return undefined
  return { id, status, updatedAt, version }
}

function newer(a: Moment | undefined, b: Moment | undefined): Moment | undefined {
  if (a === undefined) return b
  return b === undefined || isOlder(b, a) ? a : b
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
