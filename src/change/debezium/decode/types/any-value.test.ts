import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { valueOf } from '../../../value.ts'
import { optionsOf, typeOf } from '../../fixtures/build.ts'
import { DECIMAL_MODES, mode, roundTrip, WITH_MICROS } from '../../fixtures/round-trip.ts'
import { compileType } from '../../types/compile-type.ts'
import { compileTypeDecoder } from './compile-type.ts'

test('any text, number and moment survives', () => {
  const day = fc.integer({ min: -719_162, max: 2_932_896 })
  const micros = fc.integer({ min: 0, max: 86_399_999_999 })
  const postgres = (days: number, us: number) => {
    const [date = '', time = ''] = new Date(days * 86_400_000 + Math.floor(us / 1000)).toISOString().split('T')
    const fraction = `${time.slice(9, 12)}${String(us % 1000).padStart(3, '0')}`.replace(/0+$/, '')
    return { date, stamp: `${date} ${time.slice(0, 8)}${fraction === '' ? '' : `.${fraction}`}` }
  }
  fc.assert(
    fc.property(day, micros, fc.constantFrom(...WITH_MICROS), (days, us, pair) => {
      const { date, stamp } = postgres(days, us)
      assert.equal(roundTrip('date', date, pair), date)
      assert.equal(roundTrip('timestamptz', `${stamp}+00`, pair), `${stamp}+00`)
      if (pair === mode('nanoseconds') && Math.abs(days) > 90_000) return
      assert.equal(roundTrip('timestamp', stamp, pair), stamp)
      assert.equal(roundTrip('time', stamp.slice(11), pair), stamp.slice(11))
    }),
  )
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
      fc.integer({ min: 1, max: 40 }),
      (unscaled, scale) => {
        const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
        const text = `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
        for (const pair of DECIMAL_MODES.slice(0, 2)) assert.equal(roundTrip(`numeric(99,${scale})`, text, pair), text)
        assert.equal(roundTrip('numeric', text, DECIMAL_MODES[1] ?? ''), text)
      },
    ),
  )
  fc.assert(
    fc.property(fc.array(fc.option(fc.string({ unit: 'binary' }))), (elements) => {
      const json = elements.map((element) => element)
      const text = compileTypeDecoder(typeOf('text[]'), optionsOf(), null).decode(json)
      if (elements.length > 0 && elements.every((element) => element === null)) assert.equal(text, undefined)
      else assert.deepEqual(valueOf(typeOf('text[]'), text ?? ''), elements)
    }),
  )
  fc.assert(
    fc.property(fc.double({ noNaN: true }), (value) => {
      for (const [type, number] of [
        ['float8', value],
        ['float4', Math.fround(value)],
      ] as const) {
        const text = compileTypeDecoder(typeOf(type), optionsOf(), null).decode(number)
        assert.ok(Object.is(type === 'float4' ? Math.fround(Number(text)) : Number(text), number), `${type} ${number}`)
      }
    }),
  )
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.option(fc.string({ unit: 'binary' }))), (pairs) => {
      const decoder = compileTypeDecoder(typeOf('hstore'), optionsOf(), null)
      const text = decoder.decode(pairs) ?? ''
      assert.equal(decoder.decode(JSON.stringify(pairs)), text)
      assert.deepEqual(
        JSON.parse(compileType(typeOf('hstore'), optionsOf('hstore.handling.mode=map'))?.encode(text, false) ?? ''),
        JSON.parse(JSON.stringify(pairs)),
      )
    }),
  )
})
