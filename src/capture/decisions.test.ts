import assert from 'node:assert/strict'
import { test } from 'node:test'

import { toLsn } from '../change/lsn.ts'
import { parseDatabaseUrl } from '../runtime/connection-target.ts'
import { evaluateLiveness, statusIntervalFor } from './liveness.ts'
import { codeOfSqlState, toCaptureError } from './postgres-error.ts'
import { createProgressGate } from './progress-gate.ts'
import { createScramClient } from './scram.ts'
import { decideSlot, type SlotState } from './slot.ts'
import { createSnapshotMarkers } from './snapshot-markers.ts'

const HISTORY = { systemIdentifier: '7', timeline: 1, slotEpoch: 'e' }
const SERVER = { systemIdentifier: '7', timeline: 1, walLsn: toLsn(1000n) }
const SLOT: SlotState = {
  confirmedFlushLsn: toLsn(900n),
  isActive: false,
  activePid: null,
  invalidation: null,
  isUsable: true,
}
const LEDGER = { history: HISTORY, isSnapshotCompleted: true, snapshotReason: 'initial', connections: 1 } as const

test('a slot is continued only if nothing speaks against it; any doubt begins a new epoch', () => {
  const resumed = decideSlot({ slot: SLOT, ledger: LEDGER, server: SERVER })
  assert.deepEqual(resumed, { kind: 'resume', history: HISTORY, resumeLsn: 900n })
  const initial = decideSlot({ slot: null, ledger: null, server: SERVER })
  assert.ok(initial.kind === 'create' && initial.reason === 'initial' && !initial.dropsFirst)

  const doubts = {
    'no ledger': { slot: SLOT, ledger: null, server: SERVER },
    'no slot': { slot: null, ledger: LEDGER, server: SERVER },
    'another cluster': { slot: SLOT, ledger: LEDGER, server: { ...SERVER, systemIdentifier: '8' } },
    'another timeline': { slot: SLOT, ledger: LEDGER, server: { ...SERVER, timeline: 2 } },
    invalidated: { slot: { ...SLOT, invalidation: 'wal_removed' }, ledger: LEDGER, server: SERVER },
    'ahead of the WAL': { slot: { ...SLOT, confirmedFlushLsn: toLsn(1001n) }, ledger: LEDGER, server: SERVER },
    'no position': { slot: { ...SLOT, confirmedFlushLsn: null }, ledger: LEDGER, server: SERVER },
    'interrupted after a loss': {
      slot: SLOT,
      ledger: { ...LEDGER, isSnapshotCompleted: false, snapshotReason: 'slot-lost' as const },
      server: SERVER,
    },
  }
  for (const [name, facts] of Object.entries(doubts)) {
    const decision = decideSlot(facts)
    assert.ok(decision.kind === 'create' && decision.reason === 'slot-lost', name)
    assert.equal(decision.dropsFirst, facts.slot !== null, name)
  }
  const foreign = decideSlot({ slot: { ...SLOT, isUsable: false }, ledger: LEDGER, server: SERVER })
  assert.equal(foreign.kind, 'refuse')
})

test('a silent connection is asked, then given up; one that we do not read is neither', () => {
  const facts = { lastInboundMs: 0, isPaused: false, statusIntervalMs: 10, timeoutMs: 60 }
  assert.equal(evaluateLiveness({ ...facts, nowMs: 9 }), 'alive')
  assert.equal(evaluateLiveness({ ...facts, nowMs: 10 }), 'ask')
  assert.equal(evaluateLiveness({ ...facts, nowMs: 60 }), 'dead')
  assert.equal(evaluateLiveness({ ...facts, nowMs: 1000, isPaused: true }), 'alive')
})

test('status updates come several times within the server’s patience', () => {
  assert.equal(statusIntervalFor(10_000, 60_000), 10_000)
  assert.equal(statusIntervalFor(10_000, 2000), 500)
  assert.equal(statusIntervalFor(10_000, 0), 10_000)
  assert.equal(statusIntervalFor(10_000, 10), 50)
})

test('progress is said a few times a second, at once when asked for, and never goes back', () => {
  const gate = createProgressGate(toLsn(10n))
  assert.equal(gate.next(0), null)
  assert.equal(gate.waitMs(0), undefined)
  gate.noteServer(toLsn(20n))
  assert.equal(gate.next(0), 20n)
  gate.noteServer(toLsn(30n))
  assert.equal(gate.next(100), null)
  assert.equal(gate.waitMs(100), 150)
  assert.equal(gate.next(250), 30n)
  gate.noteServer(toLsn(5n))
  assert.equal(gate.next(1000), null)

  assert.equal(gate.request(), true)
  assert.equal(gate.next(1000), null, 'not before the server has answered')
  gate.noteServer(toLsn(30n))
  assert.equal(gate.next(1000), 30n)
  gate.noteYielded(toLsn(50n))
  assert.equal(gate.next(2000), null, 'a transaction that was handed on says it by itself')
})

test('who asks again before the answer comes gets an answer to the later question, too', () => {
  const gate = createProgressGate(toLsn(10n))
  assert.equal(gate.request(), true)
  assert.equal(gate.request(), false)
  gate.noteServer(toLsn(20n))
  assert.equal(gate.next(0), 20n)
  assert.equal(gate.asksAgain(), true)
  gate.noteServer(toLsn(20n))
  assert.equal(gate.next(0), 20n)
  assert.equal(gate.asksAgain(), false)
})

test('an answer that comes within a transaction is asked for again', () => {
  const gate = createProgressGate(toLsn(10n))
  gate.noteUseless()
  assert.equal(gate.asksAgain(), false)
  assert.equal(gate.request(), true)
  gate.noteUseless()
  assert.equal(gate.next(0), null)
  assert.equal(gate.asksAgain(), true)
  gate.noteServer(toLsn(10n))
  assert.equal(gate.next(0), 10n)
})

test('snapshot markers follow Debezium’s order of precedence', () => {
  const marked = (...sizes: readonly number[]): string[] => {
    const markers = createSnapshotMarkers<number>()
    const rows = sizes.flatMap((size, table) => Array.from({ length: size }, () => markers.push(table, table)))
    return [...rows, markers.finish()].flatMap((row) => (row ? [row.marker] : []))
  }
  assert.deepEqual(marked(3, 3), [
    'first',
    'true',
    'last_in_data_collection',
    'first_in_data_collection',
    'true',
    'last',
  ])
  assert.deepEqual(marked(1), ['last'])
  assert.deepEqual(marked(1, 1, 2), ['first', 'last_in_data_collection', 'first_in_data_collection', 'last'])
  assert.deepEqual(marked(2, 0, 0), ['first', 'last'])
  assert.deepEqual(marked(0, 2), ['first_in_data_collection', 'last'])
  assert.deepEqual(marked(), [])
})

test('SCRAM-SHA-256 answers as RFC 7677 says, and takes no server that does not know the password', () => {
  // the RFC's example names a user, which is part of what is signed; so: its nonces, salt and count, with an empty name
  const client = createScramClient('pencil', 'rOprNGfwEbeRWgbNEkqO')
  assert.equal(client.clientFirst, 'n,,n=,r=rOprNGfwEbeRWgbNEkqO')
  const serverFirst = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
  assert.match(
    client.clientFinal(serverFirst),
    /^c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj\)hNlF\$k0,p=[A-Za-z0-9+/]{43}=$/,
  )
  assert.throws(() => client.verify('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='), { code: 'POSTGRES_REFUSED' })
  const other = createScramClient('pencil', 'mine')
  assert.throws(() => other.clientFinal('r=notmine,s=AAAA,i=4096'), { code: 'POSTGRES_PROTOCOL' })
  assert.throws(() => other.clientFinal('r=mineAndMore,s=AAAA,i=4000000000'), { code: 'POSTGRES_PROTOCOL' })
})

test('a database URL is percent-decoded, has libpq’s defaults, and never shows its password', () => {
  assert.deepEqual(parseDatabaseUrl('postgres://us%40er:p%2Fw%3A@[::1]:5433/my%20db?sslmode=require'), {
    host: '::1',
    port: 5433,
    user: 'us@er',
    password: 'p/w:',
    database: 'my db',
    sslMode: 'require',
    rootCertificatePath: null,
    certificatePath: null,
    keyPath: null,
  })
  const trusting = parseDatabaseUrl(
    'postgres://u@h/d?sslmode=require&sslrootcert=/ca.pem&sslcert=/me.pem&sslkey=/me.key',
  )
  assert.deepEqual(
    [trusting.sslMode, trusting.rootCertificatePath, trusting.certificatePath, trusting.keyPath],
    ['verify-ca', '/ca.pem', '/me.pem', '/me.key'],
  )
  const short = parseDatabaseUrl('postgresql://someone@db.example')
  assert.deepEqual([short.port, short.database, short.sslMode, short.password], [5432, 'someone', 'prefer', ''])
  assert.equal(parseDatabaseUrl('postgres://u@/d?host=/run/postgresql').host, '/run/postgresql')
  for (const wrong of [
    'nonsense',
    'http://u:secret@h/d',
    'postgres://u:secret@h/d?sslmode=maybe',
    'postgres://u:%secret@h/d',
  ]) {
    assert.throws(
      () => parseDatabaseUrl(wrong),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'CONFIG_INVALID')
        assert.ok(!error.message.includes('secret'))
        return true
      },
    )
  }
})

test('what the server says of itself passes, what it says of us does not; a fault of ours is never tried again', () => {
  assert.equal(codeOfSqlState('57P01'), 'POSTGRES_UNREACHABLE')
  assert.equal(codeOfSqlState('53300'), 'POSTGRES_UNREACHABLE')
  assert.equal(codeOfSqlState('53400'), 'POSTGRES_REFUSED')
  assert.equal(codeOfSqlState('28P01'), 'POSTGRES_REFUSED')
  assert.equal(codeOfSqlState('3D000'), 'POSTGRES_REFUSED')
  assert.equal(codeOfSqlState('55006'), 'SLOT_BUSY')
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  assert.equal((toCaptureError(refused, 'connecting') as { code?: string }).code, 'POSTGRES_UNREACHABLE')
  const ours = new TypeError('x is not a function')
  assert.equal(toCaptureError(ours, 'connecting'), ours)
})
