import assert from 'node:assert/strict'
import { test } from 'node:test'

import { differencesOf, parseExact } from './exact-json.ts'

const differences = (theirs: string, ours: string) => differencesOf(parseExact(theirs), parseExact(ours))

test('digits, escapes and signs of zero that JSON.parse would take for the same are differences, at their path', () => {
  const theirs = String.raw`{"a":{"n":9007199254740993,"s":"\u0041","z":-0.0,"same":[1,{}]},"b":"}\"{"}`
  const ours = String.raw`{"a":{"n":9007199254740992,"s":"A","z":0.0,"same":[1,{}]},"b":"}\"{"}`
  assert.deepEqual(
    differences(theirs, ours).map(({ path }) => path),
    ['a.n', 'a.s', 'a.z'],
  )
})

test('a field too many, one too few and another order are differences', () => {
  assert.deepEqual(differences('{"a":1,"b":2}', '{"a":1,"c":2}'), [
    { path: 'b', theirs: '2', ours: undefined },
    { path: 'c', theirs: undefined, ours: '2' },
  ])
  assert.deepEqual(differences('{"a":1,"b":[]}', '{"b":[],"a":1}'), [{ path: '(order)', theirs: 'a, b', ours: 'b, a' }])
  assert.deepEqual(differences('[1,2]', '[1,3]'), [{ path: '', theirs: '[1,2]', ours: '[1,3]' }])
  assert.deepEqual(differences('{"a":null}', '{"a":null}'), [])
})

test('what is not compact JSON is refused', () => {
  for (const text of ['{"a": 1}', '{"a":1', '[1,]', '']) assert.throws(() => parseExact(text), SyntaxError, text)
})
