import assert from 'node:assert/strict'
import { test } from 'node:test'

import { TrackOpsError } from '../../runtime/errors.ts'
import { optionsOf } from './fixtures/build.ts'
import { isTableCaptured, PROPERTY_NAMES } from './options.ts'

function refusal(...pairs: readonly string[]): string {
  try {
    optionsOf(...pairs)
  } catch (error) {
    assert.ok(error instanceof TrackOpsError)
    assert.equal(error.code, 'USAGE')
    return error.message
  }
  return assert.fail(`${pairs.join(' ')} was accepted`)
}

test('a property that is not known is an error that names it and those that are', () => {
  assert.match(refusal('slot.nmae=x'), /unknown property slot\.nmae; known: .*topic\.prefix/)
  assert.match(refusal('database.hostname=x'), /unknown property database\.hostname/)
})

test('a value that is not allowed is an error that names the property and what is allowed', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['decimal.handling.mode=exact', /decimal\.handling\.mode; allowed: precise, double, string/],
    ['snapshot.mode=when_needed', /snapshot\.mode; allowed: initial, no_data/],
    ['tombstones.on.delete=yes', /tombstones\.on\.delete; allowed: true, false/],
    ['skipped.operations=c,x', /skipped\.operations; allowed: none/],
    ['money.fraction.digits=-1', /money\.fraction\.digits; allowed: an integer from 0/],
    ['table.include.list=(', /table\.include\.list; allowed: regular expressions/],
    ['message.key.columns=public.t', /message\.key\.columns; allowed/],
    ['plugin.name=decoderbufs', /plugin\.name; allowed: pgoutput/],
    ['value.converter.schemas.enable=true', /schemas\.enable; allowed: false/],
    ['column.mask.hash.NO-SUCH.with.salt.x=public.t.a', /digest algorithm/],
    ['topic.prefix', /NAME=VALUE/],
    ['=x', /NAME=VALUE/],
  ]
  for (const [pair, expected] of cases) assert.match(refusal(pair), expected)
  assert.match(refusal('table.include.list=a', 'table.exclude.list=b'), /exclude each other/)
})

test('what Debezium knows and a tail has no use for is accepted', () => {
  for (const pair of ['slot.name=x', 'publication.name=y', 'max.batch.size=1', 'plugin.name=pgoutput', 'name=c']) {
    assert.deepEqual(optionsOf(pair), optionsOf())
  }
})

test("defaults are Debezium's", () => {
  const options = optionsOf()
  assert.equal(options.decimalHandlingMode, 'precise')
  assert.equal(options.timePrecisionMode, 'adaptive')
  assert.equal(options.tombstonesOnDelete, true)
  assert.equal(options.valueReplaceNullWithDefault, true)
  assert.deepEqual([...options.skippedOperations], ['t'])
  assert.equal(optionsOf('skipped.operations=none').skippedOperations.size, 0)
  assert.equal(options.topicPrefix, 'tp')
  assert.equal(optionsOf('topic.prefix=a', 'topic.prefix=b').topicPrefix, 'b')
})

test('lists are anchored regular expressions on schema.table, without regard to case', () => {
  const include = optionsOf('table.include.list=public\\.orders, shop\\..*')
  assert.ok(isTableCaptured(include, 'public', 'orders'))
  assert.ok(isTableCaptured(include, 'SHOP', 'anything'))
  assert.ok(!isTableCaptured(include, 'public', 'orders_old'))
  assert.ok(!isTableCaptured(include, 'xpublic', 'orders'))
  const exclude = optionsOf('schema.exclude.list=audit', 'table.exclude.list=public.tmp_\\d{1\\,2}')
  assert.ok(!isTableCaptured(exclude, 'audit', 'log'))
  assert.ok(!isTableCaptured(exclude, 'public', 'tmp_12'))
  assert.ok(isTableCaptured(exclude, 'public', 'tmp_123'))
})

test('the list of property names has no name twice and is sorted', () => {
  assert.deepEqual(PROPERTY_NAMES, [...new Set(PROPERTY_NAMES)].toSorted())
})
