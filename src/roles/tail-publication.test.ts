import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sql } from 'postgres'

import { parseDebeziumOptions } from '../change/debezium/options.ts'
import { createTailPublication } from './tail-publication.ts'

test('a publication that met another one in a deadlock is made again, a few times', async () => {
  const options = parseDebeziumOptions([], { topicPrefix: 'p' })
  const made: string[] = []
  const failing = (times: number): Sql => {
    const unsafe = (text: string): Promise<unknown> => {
      made.push(text)
      return made.length <= times
        ? Promise.reject(Object.assign(new Error('deadlock detected'), { code: '40P01' }))
        : Promise.resolve([])
    }
    return { unsafe } as unknown as Sql
  }
  await createTailPublication(failing(2), 'p', [], options)
  assert.equal(made.length, 3)
  made.length = 0
  await assert.rejects(createTailPublication(failing(9), 'p', [], options), { details: { sqlState: '40P01' } })
  assert.equal(made.length, 5)
})
