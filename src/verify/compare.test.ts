import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Found } from '../cache/database-read.ts'
import { type CachedEntry, parseDocument, parseList } from './cached-entry.ts'
import { compareEntry, type Verdict } from './compare.ts'
import { parseEntryVersion } from './entry-version.ts'

const CODE = '0a1b2c3d'
const VERSION = `${CODE}|e|0000000001D2F3A8|751`
const READ = `${CODE}|r|750:755:752,753`

const cached = (json: string): CachedEntry => parseDocument(`{"_v":"${VERSION}",${json.slice(1)}`)
const list = (members: Record<string, string>): CachedEntry =>
  parseList(['_v', READ, ...Object.entries(members).flat()])
const row = (text: string): Found => ({ kind: 'document', text })
const rows = (members: Record<string, string>): Found => ({
  kind: 'members',
  members: new Map(Object.entries(members)),
})
const NO_ROW: Found = { kind: 'absent' }
const kindOf = (verdict: Verdict): string => (verdict.kind === 'different' ? verdict.difference : verdict.kind)
const compare = (entry: CachedEntry, found: Found): string => kindOf(compareEntry(entry, found, CODE))

test('a document equals the row whatever the order of its members, and whatever metadata it carries', () => {
  assert.equal(compare(cached('{"a":1,"b":{"x":[1,2],"y":null}}'), row('{"b":{"y":null,"x":[1,2]},"a":1}')), 'equal')
  assert.equal(compare(cached('{"a":1,"_note":"ours"}'), row('{"a":1}')), 'equal')
})

test('a document that differs in any value, type, or by a member too many or too few is stale', () => {
  for (const text of ['{"a":2}', '{"a":"1"}', '{"a":null}', '{"a":1,"b":null}', '{}', '{"a":[1]}']) {
    assert.equal(compare(cached('{"a":1}'), row(text)), 'stale', text)
  }
  assert.equal(compare(cached('{"a":[1,2]}'), row('{"a":[2,1]}')), 'stale')
})

test('a document without a row is a ghost, an absence with a row is a stale absence', () => {
  assert.equal(compare(cached('{"a":1}'), NO_ROW), 'ghost')
  const version = parseEntryVersion(READ)
  assert.ok(version)
  const absent: CachedEntry = { kind: 'absent', version, raw: READ }
  assert.equal(compare(absent, row('{"a":1}')), 'stale-absent')
  assert.equal(compare(absent, NO_ROW), 'equal')
})

test('a list is compared by its members: one too few or too many is a hole, another document is stale', () => {
  const one = '{"id":"1"}'
  const two = '{"id":"2"}'
  assert.equal(compare(list({ 1: one, 2: two }), rows({ 2: two, 1: one })), 'equal')
  assert.equal(compare(list({ 1: one }), rows({ 1: one, 2: two })), 'hole')
  assert.equal(compare(list({ 1: one, 2: two }), rows({ 1: one })), 'hole')
  assert.equal(compare(list({ 1: one, 3: two }), rows({ 1: one, 2: two })), 'hole')
  assert.equal(compare(list({ 1: two }), rows({ 1: one })), 'stale')
  assert.equal(compare(list({ 1: `{"_v":"${VERSION}","id":"1"}` }), rows({ 1: one })), 'equal')
  assert.equal(compare(list({ 1: one }), rows({})), 'ghost')
  assert.equal(compare(list({}), rows({})), 'equal')
})

test('what is not of our form is unreadable, and never equal', () => {
  for (const text of [
    '',
    'hello',
    '{"a":1}',
    '[1]',
    '{"_v":"nonsense","a":1}',
    '{"_v":1,"a":1}',
    `{"_v":"${VERSION}"`,
  ]) {
    assert.equal(compare(parseDocument(text), row('{"a":1}')), 'unreadable', text)
  }
  assert.equal(compare(parseList(['1', '{"id":"1"}']), rows({ 1: '{"id":"1"}' })), 'unreadable')
  assert.equal(compare(list({ 1: 'not json' }), rows({ 1: '{"id":"1"}' })), 'unreadable')
})

test('an entry made by other code is told apart from a stale one, and nothing cached is nothing stale', () => {
  const other = parseDocument(`{"_v":"ffffffff|e|0000000001D2F3A8|751","a":2}`)
  assert.equal(compare(other, row('{"a":1}')), 'other-code')
  assert.equal(compare(parseDocument(null), row('{"a":1}')), 'not-cached')
  assert.equal(compare(cached('{"a":1}'), { kind: 'failed', error: new Error('view') }), 'failed')
})

test('versions of both kinds are read, anything else is none', () => {
  assert.deepEqual(parseEntryVersion(VERSION), { kind: 'change', code: CODE, lsn: 0x1d2f3a8n, xid: 751n })
  assert.deepEqual(parseEntryVersion(READ), { kind: 'read', code: CODE, snapshot: '750:755:752,753' })
  for (const text of ['', 'a|e|1|2', `${CODE}|r|750`, `${CODE}|x|1:2:`, `${CODE}|e|0000000001D2F3A8|`]) {
    assert.equal(parseEntryVersion(text), undefined, text)
  }
})
