/** Fetching, with programs that stand for Java and Maven: the real ones run in stack.test.ts. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { makeTestDirectory, removeTestDirectory } from '../../../test/support/test-directory.ts'
import { javaVersion } from './java.ts'
import { cacheKey, defaultCacheDirectory, stackSoftware, type StackSoftwareOptions } from './stack-software.ts'

const JAVA_17 = `echo 'openjdk version "17.0.15" 2025-04-15' >&2`
/** Writes what Maven would, into the folder of -Dtrackops.output, and counts its runs. */
const MAVEN = `for each in "$@"; do case $each in -Dtrackops.output=*) out=\${each#*=};; esac; done
echo run >> "$COUNT"
mkdir "$out/kafka" && sleep 0.2 && mkdir "$out/plugins"`

test('the jars are fetched once, also where two ask at the same time; then Maven is not needed', async (t) => {
  const { options, runs, programs } = machine(t, { java: JAVA_17, mvn: MAVEN })
  const [one, other] = await Promise.all([stackSoftware(options), stackSoftware(options)])
  assert.deepEqual(one, other)
  assert.equal(runs(), 1)
  assert.ok(existsSync(one.kafka) && existsSync(one.plugins) && existsSync(one.logConfiguration))

  removeTestDirectory(join(programs, 'mvn'))
  assert.deepEqual(await stackSoftware(options), one)
})

test('what was interrupted is not taken for complete', async (t) => {
  const { options, runs, cache, program } = machine(t, { java: JAVA_17, mvn: `${MAVEN}; kill -9 $$` })
  await assert.rejects(stackSoftware(options), { code: 'SERVER_MISSING' })
  assert.deepEqual(
    readdirSync(cache).filter((name) => name.startsWith('stack-')),
    [],
  )
  // As a process that was killed itself leaves it.
  mkdirSync(join(cache, 'stack-0123456789abcdef.partial-abc', 'kafka'), { recursive: true })
  program('mvn', MAVEN)
  const { plugins } = await stackSoftware(options)
  assert.ok(existsSync(plugins))
  assert.equal(runs(), 2)
  assert.equal(readdirSync(cache).filter((name) => name.startsWith('stack-')).length, 1, 'and what is left is removed')
})

test("without Java or Maven one line says what to install; Maven's own reason is quoted", async (t) => {
  const nothing = machine(t, {})
  await assert.rejects(stackSoftware(nothing.options), {
    message: /^Java 17 or newer is needed, .*apt-get install openjdk/,
  })
  const old = machine(t, { java: `echo 'java version "1.8.0_402"' >&2` })
  await assert.rejects(stackSoftware(old.options), { message: /is version 8: / })
  const noMaven = machine(t, { java: JAVA_17 })
  await assert.rejects(stackSoftware(noMaven.options), {
    message: /^Maven \(mvn\) is needed once, .*apt-get install maven/,
  })
  const offline = machine(t, {
    java: JAVA_17,
    mvn: `printf '\\033[0m[ERROR] Unknown host repo -> [Help 1]\\n'; echo '[ERROR] more'; exit 1`,
  })
  await assert.rejects(stackSoftware(offline.options), {
    code: 'SERVER_MISSING',
    message: /^Maven could not fetch Kafka and Debezium: Unknown host repo\. To see more: mvn -f \S+pom\.xml /,
  })
})

test('JAVA_HOME is before the PATH', async (t) => {
  const { options, programs } = machine(t, { java: 'exit 1', mvn: MAVEN })
  const home = join(programs, 'home')
  mkdirSync(join(home, 'bin'), { recursive: true })
  writeFileSync(join(home, 'bin', 'java'), `#!/bin/sh\n${JAVA_17}\n`, { mode: 0o755 })
  const { java } = await stackSoftware({ ...options, env: { ...options.env, JAVA_HOME: home } })
  assert.equal(java, join(home, 'bin', 'java'))
})

test('another pom is another folder', () => {
  const [one, other] = ['<a/>', '<b/>'].map((text) => cacheKey(Buffer.from(text)))
  assert.match(one ?? '', /^[0-9a-f]{16}$/)
  assert.notEqual(one, other)
  assert.equal(cacheKey(Buffer.from('<a/>')), one)
})

test('the cache is where the system wants caches to be', () => {
  assert.equal(defaultCacheDirectory({ HOME: '/home/x' }), '/home/x/.cache/trackops')
  assert.equal(defaultCacheDirectory({ HOME: '/home/x', XDG_CACHE_HOME: '/c' }), '/c/trackops')
})

test("Java's version is read from whatever form it has", () => {
  assert.equal(javaVersion('openjdk version "17.0.15" 2025-04-15'), 17)
  assert.equal(javaVersion('java version "1.8.0_402"'), 8)
  assert.equal(javaVersion('openjdk version "25" 2025-09-16'), 25)
  assert.equal(javaVersion('The operation couldn’t be completed. Unable to locate a Java Runtime.'), null)
})

function machine(t: TestContext, given: Readonly<Record<string, string>>) {
  const directory = makeTestDirectory('software')
  t.after(() => removeTestDirectory(directory))
  const programs = join(directory, 'bin')
  const cache = join(directory, 'cache')
  const count = join(directory, 'count')
  mkdirSync(programs)
  const program = (name: string, script: string): void => {
    writeFileSync(join(programs, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`)
    chmodSync(join(programs, name), 0o755)
  }
  for (const [name, script] of Object.entries(given)) program(name, script)
  const options: StackSoftwareOptions = {
    env: { PATH: programs, COUNT: count },
    cacheDirectory: cache,
    say: () => undefined,
  }
  const runs = (): number => (existsSync(count) ? readFileSync(count, 'utf8').split('\n').length - 1 : 0)
  return { options, programs, cache, program, runs }
}
