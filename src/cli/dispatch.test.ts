import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { parseArgs } from 'node:util'

import { TrackOpsError } from '../runtime/errors.ts'
import { type Command, COMMANDS } from './commands.ts'
import { dispatch } from './dispatch.ts'
import type { CliIo } from './io.ts'

test('a command gets what comes after its name, and its status is the exit status', async () => {
  const seen: string[][] = []
  const result = await call(
    ['greet', 'a', '--b'],
    command('greet', async (argv) => (seen.push(argv), 7)),
  )
  assert.deepEqual([seen, result], [[['a', '--b']], { status: 7, stdout: '', stderr: '' }])
})

test('--version, --help and "help COMMAND" go to standard output with status 0', async () => {
  const greet = command('greet', async (argv, io) => (io.stdout.write(argv.join(' ')), 0))
  assert.deepEqual(await call(['--version'], greet), { status: 0, stdout: '1.2.3\n', stderr: '' })
  assert.match((await call(['--help'], greet)).stdout, /greet .*greets somebody/)
  assert.deepEqual(await call(['help', 'greet'], greet), { status: 0, stdout: '--help', stderr: '' })
})

test('bad usage is one line on standard error and status 2', async () => {
  const strict = command(
    'strict',
    async (argv) => (parseArgs({ args: argv, options: { good: { type: 'string' } } }), 0),
  )
  for (const argv of [['nonsense'], ['--nonsense'], ['strict', '--bad'], ['strict', 'stray'], ['strict', '--good']]) {
    const { status, stdout, stderr } = await call(argv, strict)
    assert.deepEqual([status, stdout, stderr.split('\n').length], [2, '', 2], `${argv.join(' ')}: ${stderr}`)
    assert.match(stderr, /^trackops: .* See trackops --help\.\n$/)
  }
  assert.equal((await call([], strict)).status, 2)
})

test('a known error is one line with its code and what to do; a wrong setting is status 2, the rest 1', async () => {
  const failing = (error: unknown): Command => command('fail', () => Promise.reject(error))
  const taken = await call(['fail'], failing(new TrackOpsError('PORT_TAKEN', 'Port 1 is taken.\nReally.')))
  assert.equal(taken.status, 1)
  assert.match(taken.stderr, /^trackops: Port 1 is taken\. Really\. \[PORT_TAKEN\] Stop the program .*\n$/)
  assert.equal((await call(['fail'], failing(new TrackOpsError('CONFIG_INVALID', 'X: no.')))).status, 2)
})

test('an unexpected error is one line, with its stack only where it is asked for', async () => {
  const failing = command('fail', () => Promise.reject(new Error('who would have thought')))
  const { status, stderr } = await call(['fail'], failing)
  assert.deepEqual(
    [status, stderr],
    [1, 'trackops: unexpected: who would have thought (TRACKOPS_DEBUG=1 shows where)\n'],
  )
  assert.match((await call(['fail'], failing, { TRACKOPS_DEBUG: '1' })).stderr, /\n +at .*dispatch\.test\.ts/)
})

test('every command of the table can be loaded, and is there once', async () => {
  for (const entry of COMMANDS) {
    assert.equal(typeof (await entry.load()), 'function', entry.name)
    assert.ok(entry.usage.startsWith(entry.name))
  }
  assert.equal(new Set(COMMANDS.map(({ name }) => name)).size, COMMANDS.length)
})

function command(name: string, run: (argv: string[], io: CliIo) => Promise<number>): Command {
  return { name, usage: `${name} [WHOM]`, summary: 'greets somebody', load: async () => run }
}

async function call(argv: string[], only: Command, env: NodeJS.ProcessEnv = {}) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const io: CliIo = { stdout, stderr, env, cwd: '/', signal: new AbortController().signal }
  const status = await dispatch(argv, io, { commands: [only], version: '1.2.3' })
  const text = (stream: PassThrough): string => String(stream.read() ?? '')
  return { status, stdout: text(stdout), stderr: text(stderr) }
}
