/**
 * Java, and the jars of Kafka, Connect and Debezium. Maven fetches them once, as deploy/stack/pom.xml pins them, into a folder of the
 * user's cache that is named by the checksum of that file: another version is another folder, and clones share it.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify, stripVTControlCharacters } from 'node:util'

import { pause } from '../../runtime/backoff.ts'
import { TrackOpsError } from '../../runtime/errors.ts'
import { type DataDirectory, openDataDirectory } from '../embedded/data-directory.ts'
import { findProgram } from '../embedded/find-program.ts'
import { findJava } from './java.ts'

export interface StackSoftware {
  readonly java: string
  /** Folder of jars: broker, tools and worker. */
  readonly kafka: string
  /** Folder of folders, one a connector: `plugin.path`. */
  readonly plugins: string
  readonly logConfiguration: string
}

export interface StackSoftwareOptions {
  readonly env: NodeJS.ProcessEnv
  /** Default: `trackops` below XDG_CACHE_HOME or ~/.cache. */
  readonly cacheDirectory?: string | undefined
  /** Told in one line, before anything is fetched. */
  readonly say: (line: string) => void
  readonly signal?: AbortSignal | undefined
}

const DEPLOY = fileURLToPath(new URL('../../../deploy/stack/', import.meta.url))
/** Left by one that was killed; the next one removes it. */
const PARTIAL = '.partial-'
const TIMEOUT_MS = 15 * 60_000

/** Throws SERVER_MISSING with what somebody should install. */
export async function stackSoftware(options: StackSoftwareOptions): Promise<StackSoftware> {
  const java = await findJava(options.env)
  const pom = join(DEPLOY, 'pom.xml')
  const cache = options.cacheDirectory ?? defaultCacheDirectory(options.env)
  const folder = join(cache, `stack-${cacheKey(readFileSync(pom))}`)
  if (!existsSync(folder)) await fetchOnce(pom, cache, folder, options)
  return {
    java,
    kafka: join(folder, 'kafka'),
    plugins: join(folder, 'plugins'),
    logConfiguration: join(DEPLOY, 'log4j2.properties'),
  }
}

export function cacheKey(pom: Uint8Array): string {
  return createHash('sha256').update(pom).digest('hex').slice(0, 16)
}

export function defaultCacheDirectory(env: NodeJS.ProcessEnv): string {
  return join(env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'), 'trackops')
}

/** One at a time: Maven's own repository does not expect two. Whoever waited finds it done. */
async function fetchOnce(pom: string, cache: string, folder: string, options: StackSoftwareOptions): Promise<void> {
  const maven = findProgram(options.env['PATH'] ?? '', 'mvn')
  if (maven === null) {
    throw new TrackOpsError(
      'SERVER_MISSING',
      'Maven (mvn) is needed once, to fetch Kafka and Debezium: sudo apt-get install maven, or brew install maven.',
    )
  }
  const held = await lockCache(cache, options)
  try {
    if (existsSync(folder)) return
    for (const name of readdirSync(cache)) {
      if (name.includes(PARTIAL)) rmSync(join(cache, name), { recursive: true, force: true })
    }
    options.say(`fetching Kafka, Connect and Debezium from Maven Central into ${folder} (once, about 80 MB) ...`)
    // The name is given when all of it is there, so that what was interrupted never counts as complete.
    const partial = mkdtempSync(`${folder}${PARTIAL}`)
    try {
      await runMaven(maven, pom, partial, options)
      renameSync(partial, folder)
    } finally {
      rmSync(partial, { recursive: true, force: true })
    }
  } finally {
    held.release()
  }
}

async function lockCache(cache: string, options: StackSoftwareOptions): Promise<DataDirectory> {
  mkdirSync(cache, { recursive: true })
  const deadline = performance.now() + TIMEOUT_MS
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openDataDirectory(cache)
    } catch (error) {
      const isBusy = error instanceof TrackOpsError && error.code === 'DATA_DIRECTORY_BUSY'
      if (!isBusy || performance.now() > deadline || !(await pause(200, options.signal))) throw error
      if (attempt === 1) options.say('another trackops is fetching Kafka and Debezium: waiting for it ...')
    }
  }
}

async function runMaven(maven: string, pom: string, output: string, options: StackSoftwareOptions): Promise<void> {
  const args = ['-B', '-q', '-Dstyle.color=never', '-f', pom, `-Dtrackops.output=${output}`, 'package']
  try {
    await promisify(execFile)(maven, args, {
      cwd: output,
      env: options.env,
      timeout: TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
  } catch (error) {
    options.signal?.throwIfAborted()
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    const said =
      /^\[ERROR\] (.*?)(?: -> \[Help 1\])?$/m.exec(stripVTControlCharacters(stdout))?.[1] ??
      stderr.trim().split('\n').at(-1)
    throw new TrackOpsError(
      'SERVER_MISSING',
      `Maven could not fetch Kafka and Debezium: ${said || 'it said nothing'}. To see more: mvn -f ${pom} -Dtrackops.output=DIR package`,
      { cause: error },
    )
  }
}
