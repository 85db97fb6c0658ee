import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type ErrorCode, retryOf, TrackOpsError } from './errors.ts'
import { fromPostgres, postgresErrorCode, sqlStateOf } from './postgres-errors.ts'

const withCode = (code: string): Error => Object.assign(new Error('row (secret) violates'), { code })

const CLASSES: readonly (readonly [what: string, code: string, expected: ErrorCode | undefined])[] = [
  ['the connection was refused', 'ECONNREFUSED', 'POSTGRES_UNREACHABLE'],
  ['the connection was reset', 'ECONNRESET', 'POSTGRES_UNREACHABLE'],
  ['no route', 'ENETUNREACH', 'POSTGRES_UNREACHABLE'],
  ['the driver closed it', 'CONNECTION_CLOSED', 'POSTGRES_UNREACHABLE'],
  ['the driver waited too long', 'CONNECT_TIMEOUT', 'POSTGRES_UNREACHABLE'],
  ['the server shuts down', '57P01', 'POSTGRES_UNREACHABLE'],
  ['the server starts', '57P03', 'POSTGRES_UNREACHABLE'],
  ['the session was idle too long', '57P05', 'POSTGRES_UNREACHABLE'],
  ['the transaction was idle too long', '25P03', 'POSTGRES_UNREACHABLE'],
  ['a serialisation failure', '40001', 'POSTGRES_UNREACHABLE'],
  ['a deadlock', '40P01', 'POSTGRES_UNREACHABLE'],
  ['a lock timeout', '55P03', 'POSTGRES_UNREACHABLE'],
  ['a statement timeout', '57014', 'POSTGRES_UNREACHABLE'],
  ['too many connections', '53300', 'POSTGRES_UNREACHABLE'],
  ['a full disk', '53100', 'POSTGRES_UNREACHABLE'],
  ['a broken protocol connection', '08006', 'POSTGRES_UNREACHABLE'],
  ['a standby', '25006', 'POSTGRES_UNREACHABLE'],
  ['a wrong password', '28P01', 'POSTGRES_REFUSED'],
  ['no such database', '3D000', 'POSTGRES_REFUSED'],
  ['no right', '42501', 'POSTGRES_REFUSED'],
  ['a unique violation', '23505', undefined],
  ['no such table', '42P01', undefined],
  ['text that jsonb cannot hold', '22P05', undefined],
]

for (const [what, code, expected] of CLASSES) {
  test(`${what} (${code}) is ${expected ?? 'nothing that is tried again'}`, () => {
    assert.equal(postgresErrorCode(withCode(code)), expected)
    const known = fromPostgres(withCode(code), 'reading')
    assert.equal(
      retryOf(known),
      expected === undefined ? 'never' : expected === 'POSTGRES_REFUSED' ? 'manual' : 'timed',
    )
    if (!(known instanceof TrackOpsError)) return
    assert.deepEqual(known.details, { sqlState: code })
    assert.match(known.message, /while reading/)
    assert.doesNotMatch(known.message, /secret/)
  })
}

test('the code is found in what an error wraps, and in the first of several', () => {
  assert.equal(sqlStateOf(new Error('outer', { cause: withCode('40001') })), '40001')
  assert.equal(sqlStateOf(new AggregateError([withCode('ECONNREFUSED'), withCode('ETIMEDOUT')])), 'ECONNREFUSED')
  assert.equal(sqlStateOf(new Error('no code')), undefined)
  assert.equal(sqlStateOf('not an error'), undefined)
  assert.equal(sqlStateOf(new AggregateError([])), undefined)
})

test('what has a place in the catalogue keeps it, and what nobody knows stays what it is', () => {
  const known = new TrackOpsError('TIMEOUT', 'too slow')
  assert.equal(fromPostgres(known, 'reading'), known)
  const unknown = new RangeError('no')
  assert.equal(fromPostgres(unknown, 'reading'), unknown)
})
