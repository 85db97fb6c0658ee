import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { makeTestDirectory, removeTestDirectory } from '../../test/support/test-directory.ts'
import { readSecret } from './secrets.ts'
import { readSettings, SETTINGS } from './settings.ts'

test('a secret comes from its variable or from a file, whose last newline is cut', (t) => {
  const directory = makeTestDirectory('secrets')
  t.after(() => removeTestDirectory(directory))
  const file = join(directory, 'url')
  for (const text of ['a secret ', 'a secret \n', 'a secret \r\n']) {
    writeFileSync(file, text)
    assert.equal(readSecret({ X_FILE: file }, 'X'), 'a secret ')
  }
  writeFileSync(file, 'two\n\n')
  assert.equal(readSecret({ X_FILE: file }, 'X'), 'two\n')
  assert.equal(readSecret({ X: 'given', X_FILE: '' }, 'X'), 'given')
  assert.equal(readSecret({ X: '' }, 'X'), undefined)
})

test('both, no such file, an empty one: each is said in one line, without the secret', (t) => {
  const directory = makeTestDirectory('secrets')
  t.after(() => removeTestDirectory(directory))
  const empty = join(directory, 'empty')
  writeFileSync(empty, '\n')
  for (const [environment, expected] of [
    [{ X: 'geheim', X_FILE: empty }, 'X and X_FILE are both set: unset one of them.'],
    [{ X_FILE: join(directory, 'none') }, `X_FILE: cannot read ${directory}/none (ENOENT).`],
    [{ X_FILE: directory }, `X_FILE: cannot read ${directory} (EISDIR).`],
    [{ X_FILE: empty }, `X_FILE: ${empty} is empty.`],
  ] as const)
    assert.throws(() => readSecret(environment, 'X'), { code: 'CONFIG_INVALID', message: expected })
})

test('every setting that may hold a password is read from a file as well, and checked alike', (t) => {
  const directory = makeTestDirectory('secrets')
  t.after(() => removeTestDirectory(directory))
  const secrets = Object.entries(SETTINGS).flatMap(([name, setting]) =>
    'isSecret' in setting ? [[name, setting] as const] : [],
  )
  assert.ok(secrets.length >= 5)
  for (const [name, { variable, parse }] of secrets) {
    const file = join(directory, name)
    const text = parse('postgres://u:geheim@h/d') ?? parse('redis://:geheim@h') ?? parse('http://u:geheim@h:1')
    writeFileSync(file, `${text}\n`)
    const settings = readSettings({ [`${variable}_FILE`]: file })
    assert.equal(settings[name as keyof typeof settings], text)
  }
  const file = join(directory, 'wrong')
  writeFileSync(file, 'mysql://u:geheim@h/d')
  assert.throws(() => readSettings({ DATABASE_URL_FILE: file }), /^(?!.*geheim).*DATABASE_URL: expected postgres:/)
})
