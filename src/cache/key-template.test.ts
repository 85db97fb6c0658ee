import assert from 'node:assert/strict'
import test from 'node:test'

import fc from 'fast-check'

import { codeOf } from './code-version.ts'
import { compileViews } from './compiled-view.ts'
import { areAmbiguous, canonicalText, createKeyTemplate, memberField } from './key-template.ts'
import { SHOP_VIEWS } from './protocol-fixture.ts'
import { type RowView, rowView } from './view.ts'

void test('every value comes back from its key, whatever it holds', () => {
  for (const text of ['order:entity:{id}', 'a:{x}:{y}', 'a-b:{x}/{y}.json', 'k{x}']) {
    const template = createKeyTemplate(text, 'app:')
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }), {
          minLength: template.parameters.length,
          maxLength: template.parameters.length,
        }),
        (values) => {
          const key = template.format(values)
          assert.doesNotMatch(key, /[{}]/)
          assert.deepEqual(Object.values(template.parse(key) ?? {}), values)
        },
      ),
    )
  }
})

void test('a UUID stands in its key as PostgreSQL writes it', () => {
  const id = '550e8400-e29b-41d4-a716-446655440000'
  assert.equal(
    createKeyTemplate('order:entity:{id}').format([canonicalText('uuid', id.toUpperCase())]),
    `order:entity:${id}`,
  )
  assert.equal(createKeyTemplate('order-entity:{id}').format([id]), `order-entity:${id}`)
})

void test('a value cannot forge a separator, nor another view its key', () => {
  const template = createKeyTemplate('a:{x}:{y}')
  assert.notEqual(template.format(['1:2', '3']), template.format(['1', '2:3']))
  assert.equal(createKeyTemplate('a:{x}').parse('a:1:2'), undefined)
  assert.equal(areAmbiguous(createKeyTemplate('a:{x}'), createKeyTemplate('a:{x}:{y}')), false)
})

void test('templates with two readings are refused', () => {
  for (const text of ['{id}', 'a:{x}{y}', 'a:{x}b{y}', 'a:', 'a:{x}:{x}', 'a:{}', 'a:{x', 'a%:{x}']) {
    assert.throws(() => createKeyTemplate(text), { code: 'CONFIG_INVALID' }, text)
  }
  const base = { table: 'public.t', columns: ['id', 'b'], ttlSeconds: 1, warm: 'all', document: () => ({}) } as const
  const two = (a: string, b: string): unknown =>
    compileViews([rowView({ ...base, name: 'a', key: a }), rowView({ ...base, name: 'b', key: b })])
  assert.throws(() => two('order:{id}', 'order:{b}'), { code: 'CONFIG_INVALID' })
  assert.throws(() => two('x{id}', 'xy:{b}'), { code: 'CONFIG_INVALID' })
  assert.throws(() => compileViews([rowView({ ...base, name: 'a', key: 'trackops:{id}' })]), { code: 'CONFIG_INVALID' })
  assert.doesNotThrow(() => two('order:entity:{id}', 'order:status:{b}'))
})

void test('a key is found to be of its view, and a glob matches it', () => {
  const views = compileViews(SHOP_VIEWS, { keyPrefix: 'app:' })
  assert.equal(views.ofKey('app:items:owner:ann')?.name, 'by-owner')
  assert.equal(views.ofKey('items:owner:ann'), undefined)
  assert.equal(createKeyTemplate('a[b]*:{x}').glob, String.raw`a\[b\]\*:*`)
})

void test('canonical text', () => {
  assert.equal(canonicalText('int4', '+007'), '7')
  assert.equal(canonicalText('int8', '-0'), '0')
  assert.equal(canonicalText('bool', 'TRUE'), 't')
  assert.equal(canonicalText('bpchar', 'ab  '), 'ab')
  assert.equal(canonicalText('text', ' A '), ' A ')
  assert.equal(canonicalText('uuid', '{550E8400E29B41D4A716446655440000}'), '550e8400-e29b-41d4-a716-446655440000')
})

void test('a member whose id looks like metadata is none', () => {
  assert.equal(memberField('_v'), '%5Fv')
  assert.notEqual(memberField('%5Fv'), memberField('_v'))
  assert.equal(memberField('a_b'), 'a_b')
})

void test('a change of the code, the columns or the key is another code; TTL and policy are not', () => {
  const view = SHOP_VIEWS[0] as RowView
  const code = codeOf(view)
  assert.match(code, /^[0-9a-f]{8}$/)
  assert.equal(codeOf({ ...view, ttlSeconds: 1, warm: 'none' }), code)
  for (const other of [{ document: () => null }, { columns: ['id'] }, { key: 'other:{id}' }, { codeVersion: 2 }])
    assert.notEqual(codeOf({ ...view, ...other }), code)
})
